//! The policy of the `policies` section: by scope, `any`, `all` and `atLeast` over named verifiers.
//!
//! The most specific scope decides; where two different scopes tie for a repository, both policies must hold; where none
//! matches, there is no policy and the image is refused.

mod decide;
mod require;

use serde::Deserialize;

pub use self::require::{Action, Requirement};
use super::{Evidence, PolicyProvider, Wanted};
use crate::{
    oci::{
        Repository, Subject,
        scope::{Scope, ScopeError, most_specific},
    },
    reason::Code,
    report::{Decision, Reason},
    verifier::VerifierName,
};

/// One element of the configuration's `policies`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where it holds; see [`Scope`].
    pub scopes: Vec<String>,
    /// What it requires.
    pub require: Requirement,
}

/// What is wrong with the `policies` section, and where: `policies[1].scopes[0]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct ConfigFault {
    /// The field's path below the configuration's root.
    pub path: String,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

/// What can be wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// `atLeast` is zero or larger than the number of names.
    #[error("`atLeast` is {wanted}; it must be from 1 to the number of names in `of`, {names}")]
    AtLeast {
        /// What it says.
        wanted: usize,
        /// How many names there are.
        names: usize,
    },
    /// The same scope stands twice.
    #[error("scope {scope:?} stands at {first} already")]
    DuplicateScope {
        /// The scope.
        scope: String,
        /// Where it stands first.
        first: String,
    },
    /// A name stands twice in one list.
    #[error("verifier {0:?} stands twice in this list")]
    DuplicateVerifier(String),
    /// A decision without evidence that nobody could explain.
    #[error("the message has {size} bytes; it must have 1 to {limit}, none of them a control character")]
    Message {
        /// Its size.
        size: usize,
        /// The most.
        limit: usize,
    },
    /// An empty list.
    #[error("the list is empty; nothing would be required")]
    Empty,
    /// Evidence on evidence, deeper than is looked.
    #[error("is evidence {depth} levels below the image; limits.nestedDepth is {limit}")]
    Depth {
        /// How deep it is.
        depth: usize,
        /// How deep is looked.
        limit: usize,
    },
    /// A verifier that would vouch for its own evidence.
    #[error("verifier {0:?} gives the evidence; who signs that must be another")]
    SignsItself(String),
    /// A signature without evidence.
    #[error("`static` decides without evidence; nobody would have signed anything")]
    StaticSignature,
    /// Not a scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// No verifier of that name.
    #[error("no verifier is named {0:?}")]
    UnknownVerifier(String),
}

#[derive(Debug, Clone)]
struct Policy {
    scopes: Vec<Scope>,
    require: Requirement,
}

/// The policies of a configuration.
#[derive(Debug, Clone)]
pub struct Threshold {
    policies: Vec<Policy>,
}

impl Threshold {
    /// Builds and checks all policies. `verifiers`: the names that exist.
    ///
    /// # Errors
    /// Every fault there is, each with its path.
    pub fn build(configs: &[Config], verifiers: &[VerifierName]) -> Result<Self, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut policies: Vec<Policy> = Vec::new();
        let mut seen: Vec<(Scope, String)> = Vec::new();
        if configs.is_empty() {
            faults.push(ConfigFault { path: "policies".into(), fault: Fault::Empty });
        }
        for (index, config) in configs.iter().enumerate() {
            let path = format!("policies[{index}]");
            let scopes = parse_scopes(&config.scopes, &path, &mut seen, &mut faults);
            config.require.check(&format!("{path}.require"), verifiers, &mut faults);
            policies.push(Policy { scopes, require: config.require.clone() });
        }
        if faults.is_empty() { Ok(Self { policies }) } else { Err(faults) }
    }

    /// The policies that decide about a repository, each with the scope that matched: the most specific, all that tie.
    fn applicable(&self, repository: &Repository) -> Vec<(&Scope, &Policy)> {
        most_specific(self.policies.iter().map(|policy| (policy.scopes.as_slice(), policy)), repository)
    }
}

impl PolicyProvider for Threshold {
    fn wanted(&self, repository: &Repository) -> Option<Wanted> {
        let applicable = self.applicable(repository);
        if applicable.is_empty() {
            return None;
        }
        let mut wanted = Wanted::default();
        for (_, policy) in applicable {
            policy.require.collect(&mut wanted);
        }
        Some(wanted)
    }

    fn describe(&self, repository: &Repository) -> String {
        let scopes: Vec<_> = self.applicable(repository).iter().map(|(scope, _)| scope.to_string()).collect();
        scopes.join(" and ")
    }

    fn decide(&self, subject: &Subject, evidence: &Evidence) -> Decision {
        let applicable = self.applicable(subject.repository());
        if applicable.is_empty() {
            return Decision::Deny(Reason::new(Code::NoPolicy, format!("no policy covers {}", subject.repository())));
        }
        let requirements: Vec<_> = applicable.iter().map(|(_, policy)| &policy.require).collect();
        decide::decide(&requirements, evidence)
    }
}

/// The places whose nested evidence lies deeper than `limit` levels below the image: nobody would look for it there.
pub fn too_deep(configs: &[Config], limit: usize) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        config.require.check_depth(&format!("policies[{index}].require"), 0, limit, &mut faults);
    }
    faults
}

fn parse_scopes(
    texts: &[String],
    path: &str,
    seen: &mut Vec<(Scope, String)>,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Scope> {
    let mut scopes = Vec::new();
    if texts.is_empty() {
        faults.push(ConfigFault { path: format!("{path}.scopes"), fault: Fault::Empty });
    }
    for (index, text) in texts.iter().enumerate() {
        let here = format!("{path}.scopes[{index}]");
        match Scope::parse(text) {
            Err(error) => faults.push(ConfigFault { path: here, fault: error.into() }),
            Ok(scope) => {
                if let Some((_, first)) = seen.iter().find(|(other, _)| other.is_same(&scope)) {
                    let fault = Fault::DuplicateScope { scope: text.clone(), first: first.clone() };
                    faults.push(ConfigFault { path: here, fault });
                } else {
                    seen.push((scope.clone(), here));
                    scopes.push(scope);
                }
            }
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(configs: serde_json::Value, names: &[&str]) -> Result<Threshold, Vec<ConfigFault>> {
        let configs: Vec<Config> = serde_json::from_value(configs).unwrap();
        let names: Vec<VerifierName> = names.iter().map(|name| (*name).into()).collect();
        Threshold::build(&configs, &names)
    }

    #[test]
    fn the_most_specific_scope_decides_and_ties_all_hold() {
        let policy = build(
            serde_json::json!([
                {"scopes": ["**"], "require": "a"},
                {"scopes": ["r.io/pay/**"], "require": {"all": ["b", "c"]}},
                {"scopes": ["r.io/x*/web"], "require": "b"},
                {"scopes": ["r.io/*y/web"], "require": "c"},
            ]),
            &["a", "b", "c"],
        )
        .unwrap();
        for (repository, names) in [
            ("other.io/app", vec!["a"]),
            ("r.io/pay", vec!["b", "c"]),
            ("r.io/pay/x", vec!["b", "c"]),
            ("r.io/payments/x", vec!["a"]),
            ("r.io/x1/web", vec!["b"]),
            ("r.io/xy/web", vec!["b", "c"]),
        ] {
            let found = policy.wanted(&Repository::parse(repository).unwrap()).unwrap();
            assert_eq!(found.verifiers.iter().map(|name| &**name).collect::<Vec<_>>(), names, "{repository}");
        }
    }

    #[test]
    fn no_matching_scope_is_no_policy() {
        let policy = build(serde_json::json!([{"scopes": ["r.io/a"], "require": "a"}]), &["a"]).unwrap();
        assert_eq!(policy.wanted(&Repository::parse("r.io/b").unwrap()), None);
    }

    #[test]
    fn a_static_requirement_has_a_message_and_no_verifier() {
        let of = |message: &str| {
            build(
                serde_json::json!([{"scopes": ["**"], "require": {"any": [{"static": {"action": "pass", "message": message}}]}}]),
                &[],
            )
        };
        let policy = of(&"x".repeat(300)).unwrap();
        assert_eq!(policy.wanted(&Repository::parse("r.io/b").unwrap()), Some(Wanted::default()));
        for message in ["", " ", "a\nb", &"x".repeat(301)] {
            let faults = of(message).unwrap_err();
            assert_eq!(faults[0].path, "policies[0].require.any[0].static.message", "{message:?}");
        }
    }

    #[test]
    fn what_is_wanted_below_is_wanted_once_from_all_policies_that_tie() {
        let policy = build(
            serde_json::json!([
                {"scopes": ["r.io/x*/web"], "require": {"all": ["n", {"evidence": "e", "signedBy": {"any": ["s", "n"]}}]}},
                {"scopes": ["r.io/*y/web"], "require": {"evidence": "e", "signedBy": {"evidence": "s", "signedBy": "t"}}},
            ]),
            &["n", "e", "s", "t"],
        )
        .unwrap();
        let wanted = policy.wanted(&Repository::parse("r.io/xy/web").unwrap()).unwrap();
        let names = |wanted: &Wanted| wanted.verifiers.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&wanted), ["n", "e"]);
        assert_eq!(wanted.below.len(), 1, "only evidence is looked below");
        let below = wanted.below(&"e".into()).unwrap();
        assert_eq!(names(below), ["s", "n"]);
        assert_eq!(names(below.below(&"s".into()).unwrap()), ["t"]);
        let alone = policy.wanted(&Repository::parse("r.io/x1/web").unwrap()).unwrap();
        assert_eq!(alone.below(&"e".into()).unwrap().below, [].into());
    }

    #[test]
    fn nested_evidence_that_makes_no_sense_is_refused_with_a_sentence() {
        let nested = |evidence: &str, by: serde_json::Value| serde_json::json!({"evidence": evidence, "signedBy": by});
        let stated = || serde_json::json!({"static": {"action": "pass", "message": "x"}});
        for (require, path, says) in [
            (nested("nobody", "s".into()), ".evidence", "no verifier is named \"nobody\""),
            (nested("e", "nobody".into()), ".signedBy", "no verifier is named"),
            (nested("e", serde_json::json!({"any": ["s", "nobody"]})), ".signedBy.any[1]", "no verifier is named"),
            (nested("e", serde_json::json!({"any": []})), ".signedBy.any", "empty"),
            (nested("e", "e".into()), ".signedBy", "must be another"),
            (nested("e", serde_json::json!({"atLeast": 1, "of": ["s", "e"]})), ".signedBy", "must be another"),
            (nested("e", nested("s", "e".into())), ".signedBy", "must be another"),
            (nested("e", stated()), ".signedBy", "nobody would have signed"),
            (nested("e", serde_json::json!({"any": ["s", stated()]})), ".signedBy", "nobody would have signed"),
        ] {
            let faults = build(serde_json::json!([{"scopes": ["**"], "require": require}]), &["e", "s"]).unwrap_err();
            assert_eq!(faults[0].path, format!("policies[0].require{path}"), "{require}");
            assert!(faults[0].fault.to_string().contains(says), "{require}: {}", faults[0].fault);
            assert_eq!(faults.len(), 1, "{require}: {faults:?}");
        }
    }

    #[test]
    fn nested_evidence_is_as_deep_as_is_looked_and_no_deeper() {
        let two = serde_json::json!([{"scopes": ["**"], "require":
            {"any": ["n", {"evidence": "e", "signedBy": {"all": [{"evidence": "s", "signedBy": "t"}]}}]}}]);
        let configs: Vec<Config> = serde_json::from_value(two).unwrap();
        assert_eq!(too_deep(&configs, 2), []);
        let faults = too_deep(&configs, 1);
        assert_eq!(faults[0].path, "policies[0].require.any[1].signedBy.all[0].signedBy");
        assert_eq!(faults[0].fault, Fault::Depth { depth: 2, limit: 1 });
        assert_eq!(too_deep(&configs, 0)[0].path, "policies[0].require.any[1].signedBy");
    }

    // CFG-07
    #[test]
    fn every_fault_is_named_with_its_path() {
        let faults = build(
            serde_json::json!([
                {"scopes": ["r.io/a", "r.io/a"], "require": {"any": []}},
                {"scopes": [], "require": {"atLeast": 3, "of": ["a", "b"]}},
                {"scopes": ["r.io"], "require": {"all": ["a", "nobody", {"atLeast": 0, "of": ["a"]}, {"any": ["b", "b"]}]}},
            ]),
            &["a", "b"],
        )
        .unwrap_err();
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "policies[0].scopes[1]",
                "policies[0].require.any",
                "policies[1].scopes",
                "policies[1].require.atLeast",
                "policies[2].scopes[0]",
                "policies[2].require.all[1]",
                "policies[2].require.all[2].atLeast",
                "policies[2].require.all[3].any[1]",
            ]
        );
        assert!(build(serde_json::json!([]), &["a"]).is_err(), "CFG-05");
    }
}
