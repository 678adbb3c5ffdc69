//! What a policy requires.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use super::{ConfigFault, Fault};
use crate::verifier::VerifierName;

/// Longest message of a `static` requirement: a sentence or two.
const MAX_MESSAGE_BYTES: usize = 300;

/// A verifier's name, or a map with exactly one of `any`, `all`, `static`, or `atLeast` with `of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
    /// At least so many of these verifiers hold, each by a signer of its own.
    AtLeast {
        /// How many.
        count: usize,
        /// Of which.
        of: Vec<VerifierName>,
    },
    /// Decided without evidence, whatever is attached to the image (R106).
    Static {
        /// How.
        action: Action,
        /// Why, for people: every report says it.
        message: String,
    },
    /// The verifier holds: at least one artifact got a yes from it, or it waived.
    Verifier(VerifierName),
}

/// How a `static` requirement decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Never.
    Fail,
    /// Always.
    Pass,
}

/// `static`, as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Static {
    action: Action,
    message: String,
}

impl Requirement {
    /// Appends the names in it, each once.
    pub(super) fn collect_names(&self, names: &mut Vec<VerifierName>) {
        let mut add = |name: &VerifierName| {
            if !names.contains(name) {
                names.push(Arc::clone(name));
            }
        };
        match self {
            Self::Verifier(name) => add(name),
            Self::AtLeast { of, .. } => of.iter().for_each(add),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect_names(names)),
            Self::Static { .. } => {}
        }
    }

    pub(super) fn check(&self, path: &str, verifiers: &[VerifierName], faults: &mut Vec<ConfigFault>) {
        match self {
            Self::Verifier(name) => {
                if !verifiers.contains(name) {
                    faults.push(ConfigFault { path: path.into(), fault: Fault::UnknownVerifier(name.to_string()) });
                }
            }
            Self::Static { message, .. } => {
                let (size, limit) = (message.len(), MAX_MESSAGE_BYTES);
                if message.trim().is_empty() || size > limit || message.chars().any(char::is_control) {
                    let fault = Fault::Message { size, limit };
                    faults.push(ConfigFault { path: format!("{path}.static.message"), fault });
                }
            }
            Self::All(parts) => check_parts(parts, &format!("{path}.all"), verifiers, faults),
            Self::Any(parts) => check_parts(parts, &format!("{path}.any"), verifiers, faults),
            Self::AtLeast { count, of } => {
                if *count == 0 || *count > of.len() {
                    let fault = Fault::AtLeast { wanted: *count, names: of.len() };
                    faults.push(ConfigFault { path: format!("{path}.atLeast"), fault });
                }
                let names: Vec<_> = of.iter().cloned().map(Self::Verifier).collect();
                check_parts(&names, &format!("{path}.of"), verifiers, faults);
            }
        }
    }
}

fn check_parts(parts: &[Requirement], path: &str, verifiers: &[VerifierName], faults: &mut Vec<ConfigFault>) {
    if parts.is_empty() {
        faults.push(ConfigFault { path: path.into(), fault: Fault::Empty });
    }
    for (index, part) in parts.iter().enumerate() {
        let here = format!("{path}[{index}]");
        if let Requirement::Verifier(name) = part
            && parts.iter().take(index).any(|earlier| earlier == part)
        {
            faults.push(ConfigFault { path: here, fault: Fault::DuplicateVerifier(name.to_string()) });
            continue;
        }
        part.check(&here, verifiers, faults);
    }
}

impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

const SHAPE: &str = "a verifier's name, or a map with exactly one of `any`, `all`, `static`, or `atLeast` and `of`";

impl<'de> Visitor<'de> for Reader {
    type Value = Requirement;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Requirement, E> {
        if name.is_empty() {
            Err(E::custom("a verifier's name is empty"))
        } else {
            Ok(Requirement::Verifier(name.into()))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Requirement, A::Error> {
        let (mut any, mut all, mut stated, mut count, mut of) = (None, None, None, None, None);
        while let Some(key) = members.next_key::<String>()? {
            match key.as_str() {
                "any" => fill(&mut any, &key, members.next_value()?)?,
                "all" => fill(&mut all, &key, members.next_value()?)?,
                "static" => fill(&mut stated, &key, members.next_value::<Static>()?)?,
                "atLeast" => fill(&mut count, &key, members.next_value()?)?,
                "of" => fill(&mut of, &key, members.next_value::<Vec<String>>()?)?,
                _ => return Err(de::Error::custom(format_args!("unknown member `{key}`: {SHAPE}"))),
            }
        }
        match (any, all, stated, count, of) {
            (Some(parts), None, None, None, None) => Ok(Requirement::Any(parts)),
            (None, Some(parts), None, None, None) => Ok(Requirement::All(parts)),
            (None, None, Some(Static { action, message }), None, None) => Ok(Requirement::Static { action, message }),
            (None, None, None, Some(count), Some(of)) => {
                Ok(Requirement::AtLeast { count, of: of.into_iter().map(Into::into).collect() })
            }
            (None, None, None, Some(_), None) => Err(de::Error::custom("`atLeast` needs `of`, the verifiers' names")),
            (None, None, None, None, Some(_)) => Err(de::Error::custom("`of` needs `atLeast`, a number")),
            _ => Err(de::Error::custom(format_args!("not {SHAPE}"))),
        }
    }
}

fn fill<T, E: de::Error>(place: &mut Option<T>, key: &str, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format_args!("member `{key}` stands twice"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Requirement, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_requirement_is_a_name_or_exactly_one_of_the_maps() {
        assert_eq!(read(r#""notary""#).unwrap(), Requirement::Verifier("notary".into()));
        let nested = read(r#"{"all":["notary",{"atLeast":2,"of":["build","qa","security"]}]}"#).unwrap();
        assert!(matches!(nested, Requirement::All(parts) if parts.len() == 2));
        let stated = read(r#"{"any":["notary",{"static":{"action":"pass","message":"old"}}]}"#).unwrap();
        assert!(matches!(stated, Requirement::Any(parts) if parts.len() == 2));
        for (text, says) in [
            ("{}", "exactly one of"),
            (r#"{"static":{"action":"pass"}}"#, "missing field `message`"),
            (r#"{"static":{"message":"x"}}"#, "missing field `action`"),
            (r#"{"static":{"action":"warn","message":"x"}}"#, "unknown variant `warn`"),
            (r#"{"static":{"action":"pass","message":"x","until":1}}"#, "unknown field `until`"),
            (r#"{"static":{"action":"pass","message":"x"},"any":["a"]}"#, "exactly one of"),
            (r#"{"atLeast":1,"of":[{"static":{"action":"pass","message":"x"}}]}"#, "invalid type"),
            (r#"{"any":["a"],"all":["b"]}"#, "exactly one of"),
            (r#"{"atLeast":1}"#, "needs `of`"),
            (r#"{"of":["a"]}"#, "needs `atLeast`"),
            (r#"{"some":["a"]}"#, "unknown member `some`"),
            (r#"{"any":["a"],"any":["b"]}"#, "stands twice"),
            (r#"{"atLeast":-1,"of":["a"]}"#, "invalid value"),
            (r#"{"atLeast":1,"of":[{"any":["a"]}]}"#, "invalid type"),
            ("1", "a verifier's name, or a map"),
            (r#"["a"]"#, "a verifier's name, or a map"),
            (r#""""#, "empty"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
