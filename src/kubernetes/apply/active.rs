//! What Gatekeeper says of an object: its pods each report in `status.byPod`.

use serde_json::Value;

use super::manifest::Kind;
use crate::reason;

/// Longest word of Gatekeeper's that is repeated.
const MAX_WORD_BYTES: usize = 300;

/// Whether Gatekeeper acts on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Active,
    /// A pod reports an error; that may be because something else is not there yet.
    Faulty(String),
    /// Not yet, as far as it says.
    Waiting(String),
}

/// Reads the status of `object` for its present generation.
pub(super) fn state(kind: Kind, object: &Value) -> State {
    let number = |value: &Value, at: &str| value.pointer(at).and_then(Value::as_u64).unwrap_or_default();
    let generation = number(object, "/metadata/generation");
    let pods = object.pointer("/status/byPod").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_current = |pod: &&Value| number(pod, "/observedGeneration") >= generation;
    let current: Vec<&Value> = pods.iter().filter(is_current).collect();
    if let Some(fault) = current.iter().find_map(|pod| fault(pod)) {
        return State::Faulty(fault);
    }
    if pods.is_empty() {
        // Before Gatekeeper 3.21 nothing is said of Providers.
        return match kind {
            Kind::Provider => State::Active,
            Kind::Constraint | Kind::ConstraintTemplate | Kind::ExpansionTemplate | Kind::Mutator => {
                State::Waiting("no pod of Gatekeeper has reported on it".to_owned())
            }
        };
    }
    if current.len() < pods.len() {
        return State::Waiting(format!("{} of {} pods of Gatekeeper have seen this change", current.len(), pods.len()));
    }
    let flag = match kind {
        Kind::Constraint | Kind::Mutator => "/enforced",
        Kind::Provider => "/active",
        Kind::ExpansionTemplate => return State::Active,
        Kind::ConstraintTemplate => {
            return if is_true(object, "/status/created") {
                State::Active
            } else {
                State::Waiting("Gatekeeper has not made its constraint's kind".to_owned())
            };
        }
    };
    if pods.iter().any(|pod| is_true(pod, flag)) {
        State::Active
    } else {
        State::Waiting(format!("no pod of Gatekeeper reports it as {}", flag.trim_start_matches('/')))
    }
}

fn is_true(value: &Value, at: &str) -> bool {
    value.pointer(at).and_then(Value::as_bool) == Some(true)
}

/// The first error that a pod reports.
fn fault(pod: &Value) -> Option<String> {
    let error = pod.get("errors")?.as_array()?.first()?;
    let id = pod.get("id").and_then(Value::as_str).unwrap_or("a pod");
    let message = error.get("message").and_then(Value::as_str).unwrap_or("an error without a message");
    Some(reason::printable(&format!("{id} reports: {message}"), MAX_WORD_BYTES))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn only_what_pods_report_of_this_generation_counts() {
        let pod = |generation: u64, enforced: bool| json!({ "id": "p", "observedGeneration": generation, "enforced": enforced, "active": enforced });
        let waiting = |text: &str| State::Waiting(text.to_owned());
        let unseen = waiting("no pod of Gatekeeper has reported on it");
        for (name, kind, status, expected) in [
            ("nothing", Kind::Constraint, json!({}), unseen.clone()),
            ("no pods", Kind::Mutator, json!({ "byPod": [] }), unseen.clone()),
            ("an expansion", Kind::ExpansionTemplate, json!({}), unseen),
            ("a Provider before 3.21", Kind::Provider, json!({}), State::Active),
            ("all", Kind::Constraint, json!({ "byPod": [pod(2, true), pod(2, true)] }), State::Active),
            (
                "audit does not enforce",
                Kind::Constraint,
                json!({ "byPod": [pod(2, true), pod(2, false)] }),
                State::Active,
            ),
            (
                "an older generation",
                Kind::Constraint,
                json!({ "byPod": [pod(2, true), pod(1, true)] }),
                waiting("1 of 2 pods of Gatekeeper have seen this change"),
            ),
            (
                "nobody enforces",
                Kind::Mutator,
                json!({ "byPod": [pod(2, false)] }),
                waiting("no pod of Gatekeeper reports it as enforced"),
            ),
            (
                "not active",
                Kind::Provider,
                json!({ "byPod": [pod(2, false)] }),
                waiting("no pod of Gatekeeper reports it as active"),
            ),
            (
                "a template without its kind",
                Kind::ConstraintTemplate,
                json!({ "byPod": [pod(2, false)], "created": false }),
                waiting("Gatekeeper has not made its constraint's kind"),
            ),
            (
                "a template",
                Kind::ConstraintTemplate,
                json!({ "byPod": [pod(2, false)], "created": true }),
                State::Active,
            ),
            (
                "an error",
                Kind::ConstraintTemplate,
                json!({ "byPod": [{ "id": "q", "observedGeneration": 2, "errors": [{ "message": "no\nRego" }] }], "created": true }),
                State::Faulty("q reports: no\\u{a}Rego".to_owned()),
            ),
            (
                "an error of an older generation",
                Kind::ConstraintTemplate,
                json!({ "byPod": [{ "id": "q", "observedGeneration": 1, "errors": [{ "message": "no" }] }], "created": true }),
                waiting("0 of 1 pods of Gatekeeper have seen this change"),
            ),
        ] {
            let object = json!({ "metadata": { "generation": 2 }, "status": status });
            assert_eq!(state(kind, &object), expected, "{name}");
        }
    }
}
