//! What a policy requires.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

use super::{ConfigFault, Fault};
use crate::{policy::Wanted, verifier::VerifierName};

/// Longest message of a `static` requirement: a sentence or two.
const MAX_MESSAGE_BYTES: usize = 300;

/// A verifier's name, or a map with exactly one of `any`, `all`, `static`, `atLeast` with `of`, or `evidence` with
/// `signedBy`.
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
    /// The verifier holds about an artifact that is itself signed: what is attached to that very artifact satisfies `by`.
    Signed {
        /// Who says yes to the artifact.
        evidence: VerifierName,
        /// What must hold about the artifact. A waiver is no signature.
        by: Box<Self>,
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

/// In words: `notary`, `2 of (build, qa, security)`, `(notary or sbom signed by build)`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: &[Self], word: &str| -> String {
            parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::Verifier(name) => f.write_str(name),
            Self::All(parts) => write!(f, "({})", joined(parts, " and ")),
            Self::Any(parts) => write!(f, "({})", joined(parts, " or ")),
            Self::AtLeast { count, of } => write!(f, "{count} of ({})", of.join(", ")),
            Self::Signed { evidence, by } => write!(f, "{evidence} signed by {by}"),
            Self::Static { action: Action::Fail, .. } => f.write_str("static fail"),
            Self::Static { action: Action::Pass, .. } => f.write_str("static pass"),
        }
    }
}

impl Requirement {
    /// Adds whose words matter, each once.
    pub(super) fn collect(&self, wanted: &mut Wanted) {
        match self {
            Self::Verifier(name) => add(wanted, name),
            Self::AtLeast { of, .. } => of.iter().for_each(|name| add(wanted, name)),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(wanted)),
            Self::Signed { evidence, by } => {
                add(wanted, evidence);
                by.collect(wanted.below.entry(Arc::clone(evidence)).or_default());
            }
            Self::Static { .. } => {}
        }
    }

    /// Whether a verifier stands anywhere in it.
    fn names(&self, name: &VerifierName) -> bool {
        match self {
            Self::Verifier(verifier) => verifier == name,
            Self::AtLeast { of, .. } => of.contains(name),
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.names(name)),
            Self::Signed { evidence, by } => evidence == name || by.names(name),
            Self::Static { .. } => false,
        }
    }

    /// Whether any of it is decided without evidence.
    fn is_static(&self) -> bool {
        match self {
            Self::Static { .. } => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::is_static),
            // What is in there is named for itself.
            Self::AtLeast { .. } | Self::Signed { .. } | Self::Verifier(_) => false,
        }
    }

    /// Names each `signedBy` that lies deeper than `limit`. `above`: how many lie around this requirement.
    pub(super) fn check_depth(&self, path: &str, above: usize, limit: usize, faults: &mut Vec<ConfigFault>) {
        match self {
            Self::All(parts) => check_depths(parts, &format!("{path}.all"), above, limit, faults),
            Self::Any(parts) => check_depths(parts, &format!("{path}.any"), above, limit, faults),
            Self::Signed { by, .. } => {
                let (path, depth) = (format!("{path}.signedBy"), above.saturating_add(1));
                if depth > limit {
                    faults.push(ConfigFault { path, fault: Fault::Depth { depth, limit } });
                } else {
                    by.check_depth(&path, depth, limit, faults);
                }
            }
            Self::AtLeast { .. } | Self::Static { .. } | Self::Verifier(_) => {}
        }
    }

    pub(super) fn check(&self, path: &str, verifiers: &[VerifierName], faults: &mut Vec<ConfigFault>) {
        match self {
            Self::Signed { evidence, by } => {
                if !verifiers.contains(evidence) {
                    let fault = Fault::UnknownVerifier(evidence.to_string());
                    faults.push(ConfigFault { path: format!("{path}.evidence"), fault });
                }
                let path = format!("{path}.signedBy");
                if by.names(evidence) {
                    faults.push(ConfigFault { path: path.clone(), fault: Fault::SignsItself(evidence.to_string()) });
                }
                if by.is_static() {
                    faults.push(ConfigFault { path: path.clone(), fault: Fault::StaticSignature });
                }
                by.check(&path, verifiers, faults);
            }
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

fn add(wanted: &mut Wanted, name: &VerifierName) {
    if !wanted.verifiers.contains(name) {
        wanted.verifiers.push(Arc::clone(name));
    }
}

fn check_depths(parts: &[Requirement], path: &str, above: usize, limit: usize, faults: &mut Vec<ConfigFault>) {
    for (index, part) in parts.iter().enumerate() {
        part.check_depth(&format!("{path}[{index}]"), above, limit, faults);
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

const SHAPE: &str = "a verifier's name, or a map with exactly one of `any`, `all`, `static`, `atLeast` and `of`, or `evidence` \
                     and `signedBy`";

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
        let (mut evidence, mut by) = (None, None);
        while let Some(key) = members.next_key::<String>()? {
            match key.as_str() {
                "any" => fill(&mut any, &key, members.next_value()?)?,
                "all" => fill(&mut all, &key, members.next_value()?)?,
                "static" => fill(&mut stated, &key, members.next_value::<Static>()?)?,
                "atLeast" => fill(&mut count, &key, members.next_value()?)?,
                "of" => fill(&mut of, &key, members.next_value::<Vec<String>>()?)?,
                "evidence" => fill(&mut evidence, &key, members.next_value::<String>()?)?,
                "signedBy" => fill(&mut by, &key, members.next_value()?)?,
                _ => return Err(de::Error::custom(format_args!("unknown member `{key}`: {SHAPE}"))),
            }
        }
        let signed =
            pair(evidence, by, "`evidence` needs `signedBy`", "`signedBy` needs `evidence`, a verifier's name")?;
        let of = pair(count, of, "`atLeast` needs `of`, the verifiers' names", "`of` needs `atLeast`, a number")?;
        match (any, all, stated, of, signed) {
            (Some(parts), None, None, None, None) => Ok(Requirement::Any(parts)),
            (None, Some(parts), None, None, None) => Ok(Requirement::All(parts)),
            (None, None, Some(Static { action, message }), None, None) => Ok(Requirement::Static { action, message }),
            (None, None, None, Some((count, of)), None) => {
                Ok(Requirement::AtLeast { count, of: of.into_iter().map(Into::into).collect() })
            }
            (None, None, None, None, Some((evidence, by))) => {
                Ok(Requirement::Signed { evidence: evidence.into(), by: Box::new(by) })
            }
            _ => Err(de::Error::custom(format_args!("not {SHAPE}"))),
        }
    }
}

/// Both or neither.
fn pair<A, B, E: de::Error>(a: Option<A>, b: Option<B>, alone: &str, other: &str) -> Result<Option<(A, B)>, E> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(E::custom(alone)),
        (None, Some(_)) => Err(E::custom(other)),
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
        let signed = read(r#"{"evidence":"sbom","signedBy":{"any":["a","b"]}}"#).unwrap();
        assert!(matches!(signed, Requirement::Signed { by, .. } if matches!(*by, Requirement::Any(_))));
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
            (r#"{"evidence":"a"}"#, "needs `signedBy`"),
            (r#"{"signedBy":"a"}"#, "needs `evidence`"),
            (r#"{"evidence":["a"],"signedBy":"b"}"#, "invalid type"),
            (r#"{"evidence":"a","signedBy":["b"]}"#, "a verifier's name, or a map"),
            (r#"{"evidence":"a","signedBy":"b","any":["c"]}"#, "exactly one of"),
            (r#"{"evidence":"a","signedBy":"b","evidence":"c"}"#, "stands twice"),
            (r#"{"atLeast":1,"of":[{"evidence":"a","signedBy":"b"}]}"#, "invalid type"),
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
