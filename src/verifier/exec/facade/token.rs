//! Who may ask: the one process that was told the word.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{HeaderMap, header::PROXY_AUTHORIZATION};
use secrecy::{ExposeSecret as _, SecretString};

/// The user's name in the proxy's URL. It says nothing.
const USER: &str = "run";
/// More than anybody guesses while a run lasts.
const TOKEN_BYTES: usize = 32;

/// A word that only one run knows.
#[derive(Debug)]
pub(super) struct Token(SecretString);

impl Token {
    /// A new word. `None`: the system gives no randomness.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0_u8; TOKEN_BYTES];
        rand::fill(&mut bytes).ok()?;
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Some(Self(hex.into()))
    }

    /// What stands before `@` in a URL.
    pub(super) fn user_info(&self) -> String {
        format!("{USER}:{}", self.0.expose_secret())
    }

    /// Whether a request shows it, as `Proxy-Authorization: Basic …`, once (RFC 9110 §11.7.2).
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(PROXY_AUTHORIZATION).iter();
        let (Some(value), None) = (shown.next(), shown.next()) else { return false };
        let Some((scheme, credentials)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let wanted = STANDARD.encode(self.user_info());
        scheme.eq_ignore_ascii_case("basic")
            && constant_time::verify_slices_are_equal(credentials.as_bytes(), wanted.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn shows(token: &Token, values: &[String]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PROXY_AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        token.is_shown(&headers)
    }

    #[test]
    fn only_the_run_own_word_is_let_in() {
        let (token, other) = (Token::new().unwrap(), Token::new().unwrap());
        let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
        let right = basic(token.user_info());
        assert!(shows(&token, std::slice::from_ref(&right)));
        assert!(shows(&token, &[right.replace("Basic", "basic")]));
        for (name, values) in [
            ("nothing", vec![]),
            ("another run's", vec![basic(other.user_info())]),
            ("another user", vec![basic(token.user_info().replacen("run", "root", 1))]),
            ("cut", vec![basic(token.user_info().chars().take(20).collect())]),
            ("longer", vec![basic(format!("{}0", token.user_info()))]),
            ("another scheme", vec![right.replace("Basic", "Bearer")]),
            ("not encoded", vec![format!("Basic {}", token.user_info())]),
            ("twice", vec![right.clone(), right.clone()]),
        ] {
            assert!(!shows(&token, &values), "{name}");
        }
    }

    #[test]
    fn debug_output_does_not_tell_the_word() {
        let token = Token::new().unwrap();
        let word = token.user_info().replacen("run:", "", 1);
        assert_eq!(word.len(), 2 * TOKEN_BYTES);
        assert!(!format!("{token:?}").contains(&word));
    }
}
