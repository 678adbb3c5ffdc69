//! What may be written, what may not, and that all of it is described.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::{chart, names, yaml};

fn read(name: &str) -> String {
    fs::read_to_string(chart().join(name)).unwrap()
}

/// The chart's own values under those of a file, as Helm lays them: maps are merged, all else replaced, null takes away.
pub(super) fn effective(text: &str) -> Value {
    let mut values = yaml(&read("values.yaml"));
    lay(&mut values, &yaml(text));
    values
}

fn lay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                match under.get_mut(name) {
                    Some(found) if value.is_object() => lay(found, value),
                    _ => _ = under.insert(name.clone(), value.clone()),
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    jsonschema::options().with_draft(jsonschema::Draft::Draft7).build(&schema).unwrap()
}

#[test]
fn the_schema_takes_every_sample_and_the_chart_s_own_values() {
    let schema = schema();
    assert!(schema.is_valid(&effective("{}")));
    for name in names(&chart().join("ci")) {
        let values = effective(&read(&format!("ci/{name}.yaml")));
        let faults: Vec<String> = schema.iter_errors(&values).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, [""; 0], "{name}");
    }
}

/// By whom a file in `ci/bad` says that it is refused, and with which words.
pub(super) fn refusal(text: &str) -> (&str, &str) {
    let first = text.lines().next().unwrap();
    first.strip_prefix("# Refused by the ").and_then(|rest| rest.split_once(": ")).unwrap_or_else(|| panic!("{first}"))
}

#[test]
fn the_schema_refuses_what_cannot_work() {
    let schema = schema();
    let mut seen = 0;
    for name in names(&chart().join("ci/bad")) {
        let text = read(&format!("ci/bad/{name}.yaml"));
        let (by, words) = refusal(&text);
        let values = effective(&text);
        let faults: Vec<String> =
            schema.iter_errors(&values).map(|fault| format!("{} {fault}", fault.instance_path())).collect();
        match by {
            "schema" => {
                seen += 1;
                assert!(faults.iter().any(|fault| fault.contains(words)), "{name}: {faults:?}");
            }
            "templates" => assert_eq!(faults, [""; 0], "{name}: the schema refuses it, not the templates"),
            other => panic!("{name}: {other}"),
        }
    }
    assert!(seen >= 15, "{seen}");
}

/// A denial that comes after Gatekeeper's webhook has timed out is an admission.
#[test]
fn a_provider_waits_less_long_than_the_webhook() {
    let schema = schema();
    for webhook in 1..=30 {
        for provider in 1..=30 {
            let mut values = effective("{}");
            values["gatekeeper"]["webhookTimeoutSeconds"] = json!(webhook);
            values["provider"]["timeout"]["verify"] = json!(provider);
            assert_eq!(schema.is_valid(&values), provider < webhook, "verify {provider}, webhook {webhook}");
            // Ratify's name wins, in either direction.
            values["provider"]["timeout"]["verify"] = json!(1);
            values["provider"]["timeout"]["validationTimeoutSeconds"] = json!(provider);
            assert_eq!(schema.is_valid(&values), provider < webhook, "validation {provider}, webhook {webhook}");
            let mut values = effective("{}");
            values["gatekeeper"]["mutatingWebhookTimeoutSeconds"] = json!(webhook);
            values["provider"]["timeout"]["mutate"] = json!(provider);
            assert_eq!(schema.is_valid(&values), provider <= webhook, "mutate {provider}, webhook {webhook}");
        }
    }
}

/// Paths of values, down to where an operator writes something of his own.
fn paths(values: &Value, at: &str, found: &mut BTreeSet<String>) {
    // Selectors, lists of resources and the like are Kubernetes' words, not ours.
    const WHOLE: [&str; 5] = ["resources", "nodeSelector", "gatekeeperPodSelector", "dns", "hosts"];
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let is_ours = value.as_object().is_some_and(|members| !members.is_empty()) && !WHOLE.contains(&name.as_str());
        if is_ours {
            paths(value, &path, found);
        } else {
            found.insert(path);
        }
    }
}

/// The names of the first column of a table in Markdown: between the two marks.
fn described(text: &str) -> BTreeSet<String> {
    let (_, rest) = text.split_once("<!-- values:").unwrap();
    let (table, _) = rest.split_once("<!-- end of values -->").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    let cells = rows.map(|(cell, _)| cell.trim_end_matches('`').to_owned());
    cells.flat_map(|cell| cell.split("`, `").map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_readme_describes_every_value_and_no_other() {
    let mut expected = BTreeSet::new();
    paths(&effective("{}"), "", &mut expected);
    assert!(expected.len() > 80, "{}", expected.len());
    let found = described(&read("README.md"));
    let missing: Vec<&String> = expected.difference(&found).collect();
    let other: Vec<&String> = found.difference(&expected).collect();
    assert_eq!((missing, other), (Vec::new(), Vec::new()));
}

/// Each line of values.yaml is preceded by what it is for, or stands in a block that is.
#[test]
fn every_value_has_its_comment() {
    let text = read("values.yaml");
    let mut commented = false;
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            commented = false;
        } else if line.trim_start().starts_with('#') {
            commented = true;
        } else if !line.starts_with(' ') && line.ends_with(": {}") | line.ends_with(": []") {
            assert!(commented, "values.yaml:{}: {line}", index + 1);
        }
    }
}

/// The schema knows every value of the chart, closed at each level that is ours.
#[test]
fn the_schema_is_closed() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let validator = self::schema();
    let mut found = BTreeSet::new();
    paths(&effective("{}"), "", &mut found);
    for path in found {
        let parents = path.split('.').collect::<Vec<_>>();
        let mut at = &schema;
        for parent in &parents {
            at = &at["properties"][*parent];
        }
        assert!(at.is_object(), "the schema does not say what {path} is");
        let Some((_, parents)) = parents.split_last() else { continue };
        let mut values = effective("{}");
        let mut level = &mut values;
        for parent in parents {
            level = &mut level[*parent];
        }
        level["misspelt"] = json!(true);
        assert!(!validator.is_valid(&values), "beside {path} anything is taken");
    }
}
