//! `WWW-Authenticate`, read strictly.
//!
//! ```text
//! header    = challenge *( "," challenge )
//! challenge = scheme [ 1*SP ( token68 / [ param *( "," param ) ] ) ]
//! param     = token "=" ( token / quoted-string )
//! ```
//! Rule: RFC 9110 §11.3; distribution specification, "Token Authentication".

use std::collections::BTreeMap;

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::registry) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from a token service. The scope that it asks for is not read: we ask for pulling this repository, and
    /// nothing else (REG-39).
    Bearer { realm: String, service: Option<String> },
}

/// Most bytes of all `WWW-Authenticate` headers of one answer (REG-35).
const MAX_HEADER_BYTES: usize = 8 << 10;
const MAX_CHALLENGES: usize = 8;

/// Reads the challenges; a token is preferred to a password. `Err` says what is wrong.
pub(in crate::store::registry) fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Challenge, &'static str> {
    let mut total = 0_usize;
    let mut found = Vec::new();
    for value in values {
        total = total.saturating_add(value.len());
        if total > MAX_HEADER_BYTES {
            return Err("its challenge is too long");
        }
        let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).ok_or("its challenge is no text")?;
        read_header(text, &mut found).ok_or("its challenge is malformed")?;
    }
    let mut bearer = found.iter().filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match (bearer.next(), bearer.next()) {
        (Some(_), Some(_)) => Err("it names two token services"),
        (Some((_, parameters)), None) => {
            let realm = parameters.get("realm").filter(|realm| !realm.is_empty());
            let realm = realm.ok_or("its challenge has no realm")?.clone();
            Ok(Challenge::Bearer { realm, service: parameters.get("service").cloned() })
        }
        (None, _) if found.iter().any(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")) => Ok(Challenge::Basic),
        (None, _) if found.is_empty() => Err("it names no way to authenticate"),
        (None, _) => Err("it asks for an authentication scheme that is neither Basic nor Bearer"),
    }
}

type Parsed = (String, BTreeMap<String, String>);

fn read_header(text: &str, found: &mut Vec<Parsed>) -> Option<()> {
    let mut scanner = Scanner(text);
    loop {
        scanner.skip(|c| matches!(c, ' ' | '\t' | ','));
        if scanner.0.is_empty() {
            return Some(());
        }
        let scheme = scanner.token()?;
        if found.len() >= MAX_CHALLENGES {
            return None;
        }
        let mut parameters = BTreeMap::new();
        match scanner.0.chars().next() {
            None | Some(',') => {}
            Some(' ') => {
                scanner.skip(|c| c == ' ');
                if !scanner.token68() {
                    scanner.parameters(&mut parameters)?;
                }
            }
            Some(_) => return None,
        }
        found.push((scheme.to_owned(), parameters));
    }
}

struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn skip(&mut self, of: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(of);
    }

    fn token(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
        let (token, rest) = self.0.split_at_checked(self.0.len().checked_sub(rest.len())?)?;
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Takes a token68 if that is what stands here, up to a comma or the end.
    fn token68(&mut self) -> bool {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        let rest = rest.trim_start_matches('=').trim_start_matches(' ');
        let whole = rest.len() < self.0.len() && (rest.is_empty() || rest.starts_with(','));
        if whole {
            self.0 = rest;
        }
        whole
    }

    /// Takes parameters as long as a name with `=` follows; a name without begins the next challenge.
    fn parameters(&mut self, into: &mut BTreeMap<String, String>) -> Option<()> {
        loop {
            let before = self.0;
            self.skip(|c| matches!(c, ' ' | '\t' | ','));
            if self.0.is_empty() {
                return Some(());
            }
            let name = self.token()?;
            self.skip(|c| c == ' ');
            let Some(rest) = self.0.strip_prefix('=') else {
                self.0 = before;
                // At least one parameter must have stood before the next scheme.
                return (!into.is_empty()).then_some(());
            };
            self.0 = rest;
            self.skip(|c| c == ' ');
            let value = if self.0.starts_with('"') { self.quoted()? } else { self.token()?.to_owned() };
            self.skip(|c| matches!(c, ' ' | '\t'));
            if !self.0.is_empty() && !self.0.starts_with(',') {
                return None;
            }
            if into.insert(name.to_ascii_lowercase(), value).is_some() {
                return None;
            }
        }
    }

    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut chars = self.0.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                c if c.is_control() => return None,
                c => value.push(c),
            }
        }
        self.0 = chars.as_str();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    // REG-35
    #[test]
    fn challenges_are_read_and_a_token_is_preferred() {
        for (values, expected) in [
            (vec!["Basic realm=\"x\""], Challenge::Basic),
            (vec!["basic"], Challenge::Basic),
            (
                vec!["Bearer realm=\"https://a.test/t\",service=\"s\",scope=\"repository:x:pull\""],
                bearer("https://a.test/t", Some("s")),
            ),
            (vec!["BEARER Realm=\"https://a.test/t\" , service=s"], bearer("https://a.test/t", Some("s"))),
            (vec!["Bearer realm=\"a\\\"b\""], bearer("a\"b", None)),
            (vec!["Basic realm=\"x\", Bearer realm=\"r\""], bearer("r", None)),
            (vec!["Basic realm=\"x\"", "Bearer realm=\"r\""], bearer("r", None)),
            (vec!["Negotiate YWJj==, Basic realm=x"], Challenge::Basic),
        ] {
            assert_eq!(parse(values.iter().map(|value| value.as_bytes())), Ok(expected), "{values:?}");
        }
    }

    // REG-35
    #[test]
    fn what_is_no_challenge_is_refused() {
        let long = format!("Bearer realm=\"{}\"", "a".repeat(MAX_HEADER_BYTES));
        for value in [
            "",
            "Bearer",
            "Bearer realm=\"\"",
            "Bearer service=\"s\"",
            "Bearer realm=\"unterminated",
            "Bearer realm=\"a\" service=\"b\"",
            "Bearer realm=\"a\",realm=\"b\"",
            "Bearer realm=\"a\", Bearer realm=\"b\"",
            "Bearer realm=\"a\u{7f}\"",
            "Digest realm=\"a\"",
            "=,=",
            "Bearer @",
            "Bär realm=x",
            &long,
        ] {
            assert!(parse(std::iter::once(value.as_bytes())).is_err(), "{value}");
        }
        let many = "Digest,".repeat(MAX_CHALLENGES.saturating_add(1));
        assert!(parse(std::iter::once(many.as_bytes())).is_err());
        assert!(parse(std::iter::empty()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = parse(std::iter::once(bytes.as_slice()));
        }
    }
}
