//! Bearer tokens: what a token service answers.

use std::{fmt, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;

/// A token whose service says nothing lives this long. Rule: distribution specification, "Token Authentication".
const DEFAULT_SECONDS: u64 = 60;
/// Longest life that is believed.
const LONGEST: Duration = Duration::from_hours(1);
/// A life of more than ten years is no number of seconds (REG-36).
const ABSURD_SECONDS: u64 = 315_360_000;
/// A token is not used in its last seconds, so that it does not expire on the way (`threats.md` 7.1).
const MARGIN: Duration = Duration::from_secs(30);
const MAX_TOKEN_BYTES: usize = 32 << 10;

/// A token.
#[derive(Clone)]
pub(in crate::store::registry) struct Token {
    pub(super) secret: SecretString,
    pub(super) lifetime: Duration,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    token: Option<SecretString>,
}

impl Token {
    /// Reads a token service's answer. `Err` repeats nothing of it (REG-36).
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let Answer { access_token, expires_in, token } =
            super::read_object(body).map_err(|_| "its answer is no token")?;
        let secret = token.filter(is_set).or(access_token.filter(is_set)).ok_or("its answer has no token")?;
        if !is_token(&secret) {
            return Err("its token could not stand in a header");
        }
        let seconds = expires_in.unwrap_or(DEFAULT_SECONDS);
        if seconds == 0 || seconds > ABSURD_SECONDS {
            return Err("its token has expired or never does");
        }
        let life = Duration::from_secs(seconds);
        let lifetime = life.saturating_sub(MARGIN.min(life.div_f32(2.0))).min(LONGEST);
        Ok(Self { secret, lifetime })
    }
}

fn is_set(secret: &SecretString) -> bool {
    use secrecy::ExposeSecret as _;
    !secret.expose_secret().is_empty()
}

/// No CR, LF, NUL, space or anything else that would end or split a header.
fn is_token(secret: &SecretString) -> bool {
    use secrecy::ExposeSecret as _;
    let text = secret.expose_secret();
    text.len() <= MAX_TOKEN_BYTES && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    // REG-36
    #[test]
    fn a_token_is_read_with_its_lifetime() {
        for (body, token, seconds) in [
            (r#"{"token":"t"}"#, "t", 30),
            (r#"{"access_token":"a"}"#, "a", 30),
            (r#"{"token":"t","access_token":"a","expires_in":300,"scope":"x"}"#, "t", 270),
            (r#"{"token":"","access_token":"a","expires_in":10}"#, "a", 5),
            (r#"{"token":"t","expires_in":315360000}"#, "t", 3600),
        ] {
            let read = Token::parse(body.as_bytes()).unwrap();
            assert_eq!(read.secret.expose_secret(), token, "{body}");
            assert_eq!(read.lifetime.as_secs(), seconds, "{body}");
        }
    }

    // REG-36
    #[test]
    fn what_is_no_token_is_refused() {
        for body in [
            "<html>",
            "{}",
            r#"[null,null,"t"]"#,
            r#"{"token":""}"#,
            r#"{"token":7}"#,
            r#"{"token":"a\r\nX: y"}"#,
            r#"{"token":"a\u0000"}"#,
            r#"{"token":"a b"}"#,
            r#"{"token":"é"}"#,
            r#"{"token":"a","token":"b"}"#,
            r#"{"token":"a","expires_in":0}"#,
            r#"{"token":"a","expires_in":-1}"#,
            r#"{"token":"a","expires_in":1e18}"#,
            r#"{"token":"a","expires_in":1000000000000000000}"#,
            r#"{"token":"a","expires_in":315360001}"#,
            &format!(r#"{{"token":"{}"}}"#, "a".repeat(MAX_TOKEN_BYTES + 1)),
        ] {
            assert!(Token::parse(body.as_bytes()).is_err(), "{body:.60}");
        }
        assert!(Token::parse(format!(r#"{{"token":"{}"}}"#, "a".repeat(MAX_TOKEN_BYTES)).as_bytes()).is_ok());
    }
}
