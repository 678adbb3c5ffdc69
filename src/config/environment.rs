//! Scalars of the configuration from the environment: `COUNTERSIGN__SERVER__PROVIDER_TIMEOUT__VERIFY` is
//! `server.providerTimeout.verify`.
//!
//! Kubernetes injects `COUNTERSIGN_SERVICE_HOST`, `COUNTERSIGN_PORT_6001_TCP` and their like beside a Service named
//! `countersign`: they have one underscore after the name, ours have two.

use std::collections::BTreeMap;

use config::{Case, Environment, Source};

use super::{
    document::{self, Kind, Node, Origin},
    fault::Fault,
};

const PREFIX: &str = "COUNTERSIGN";
const SEPARATOR: &str = "__";

/// Lays what `variables` say over the file.
pub(crate) fn overlay(root: &mut Node, variables: &BTreeMap<String, String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let ours = variables.iter().filter(|(name, _)| name.starts_with("COUNTERSIGN__"));
    for (name, text) in ours {
        if let Err(message) = set(root, name, text) {
            faults.push(Fault::new(name, message).at(Origin::Environment(name.clone())));
        }
    }
    faults
}

/// Sets one scalar. The error says why not, without the value: it may be a secret.
fn set(root: &mut Node, name: &str, text: &str) -> Result<(), String> {
    // CFG-15
    if text.chars().any(char::is_control) {
        return Err("the value has a line break or another control character".to_owned());
    }
    let path = field(name, text).ok_or("the name has an empty part")?;
    let mut segments = path.split('.').peekable();
    let mut node = root;
    while let Some(segment) = segments.next() {
        let Kind::Map(members) = &mut node.kind else {
            return Err(format!(
                "{path} leads through a list or a scalar; only scalars in maps are set from the environment"
            ));
        };
        let origin = Origin::Environment(name.to_owned());
        if segments.peek().is_some() {
            node = members.entry(segment.to_owned()).or_insert_with(|| Node::map(origin));
            continue;
        }
        if members.get(segment).is_some_and(|old| !matches!(old.kind, Kind::Scalar(_))) {
            return Err(format!("{path} is no scalar; only scalars are set from the environment"));
        }
        let value = document::plain(text, 0).map_err(|_| "the value is a number that JSON does not have".to_owned())?;
        members.insert(segment.to_owned(), Node::scalar(origin, value));
        return Ok(());
    }
    Ok(())
}

/// The field that a variable sets, in camelCase joined by dots.
fn field(name: &str, text: &str) -> Option<String> {
    let one = [(name.to_owned(), text.to_owned())].into_iter().collect();
    let found = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .convert_case(Case::Camel)
        .source(Some(one))
        .collect()
        .ok()?;
    let path = found.into_keys().next()?;
    (!path.split('.').any(str::is_empty)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid(text: &str, variables: &[(&str, &str)]) -> (serde_json::Value, Vec<String>) {
        let mut root = document::parse(text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let faults = overlay(&mut root, &variables);
        (root.to_value(), faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn scalars_are_set_and_added() {
        let (value, faults) = overlaid(
            "server: { address: a }",
            &[
                ("COUNTERSIGN__SERVER__ADDRESS", "0.0.0.0:6001"),
                ("COUNTERSIGN__SERVER__PROVIDER_TIMEOUT__VERIFY", "3s"),
                ("COUNTERSIGN__LIMITS__KEYS", "7"),
                ("COUNTERSIGN__TENANCY__ENABLED", "false"),
            ],
        );
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            value,
            serde_json::json!({
                "server": {"address": "0.0.0.0:6001", "providerTimeout": {"verify": "3s"}},
                "limits": {"keys": 7},
                "tenancy": {"enabled": false},
            })
        );
    }

    #[test]
    fn what_kubernetes_injects_for_a_service_of_our_name_disturbs_nothing() {
        let (value, faults) = overlaid(
            "server: { address: a }",
            &[
                ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
                ("COUNTERSIGN_SERVICE_PORT", "6001"),
                ("COUNTERSIGN_SERVICE_PORT_HTTPS", "6001"),
                ("COUNTERSIGN_PORT", "tcp://10.0.0.1:6001"),
                ("COUNTERSIGN_PORT_6001_TCP", "tcp://10.0.0.1:6001"),
                ("COUNTERSIGN_PORT_6001_TCP_ADDR", "10.0.0.1"),
                ("COUNTERSIGN_PORT_6001_TCP_PROTO", "tcp"),
                ("PATH", "/bin"),
            ],
        );
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(value, serde_json::json!({"server": {"address": "a"}}));
    }

    // CFG-15
    #[test]
    fn what_is_no_scalar_or_no_single_line_is_refused_without_its_value() {
        for (name, variable, value) in [
            ("list", "COUNTERSIGN__STORES", "x-y-z"),
            ("element of a list", "COUNTERSIGN__STORES__0__NAME", "x-y-z"),
            ("map", "COUNTERSIGN__SERVER", "x-y-z"),
            ("line break", "COUNTERSIGN__SERVER__ADDRESS", "x-y-z\nb"),
            ("no name", "COUNTERSIGN__", "x-y-z"),
            ("infinity", "COUNTERSIGN__SERVER__ADDRESS", ".inf"),
        ] {
            let (after, faults) = overlaid("server: { address: a }\nstores: [{name: s}]", &[(variable, value)]);
            assert_eq!(faults.len(), 1, "{name}");
            assert!(faults[0].contains(variable) && !faults[0].contains("x-y-z"), "{name}: {faults:?}");
            assert_eq!(after, serde_json::json!({"server": {"address": "a"}, "stores": [{"name": "s"}]}), "{name}");
        }
    }

    #[test]
    fn a_reference_to_another_variable_stays_text() {
        let (value, _) = overlaid("server: {}", &[("COUNTERSIGN__SERVER__ADDRESS", "${COUNTERSIGN__SERVER__ADDRESS}")]);
        assert_eq!(value["server"]["address"], "${COUNTERSIGN__SERVER__ADDRESS}");
    }
}
