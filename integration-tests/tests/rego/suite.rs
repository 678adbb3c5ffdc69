//! The gator suite, evaluated here with the stub template, since gator itself has no external data.

use regorus::{Engine, Value as Rego};
use serde_json::{Value, json};

use super::{
    engine::{Answer, Template, document, documents, folder, read, rego_of},
    workloads::pods_of,
};

const INDENT: &str = "              ";

/// The stub variant: the template with a function `external_data` of its own at the end.
fn stub_of_template() -> String {
    let mut text = read("template.yaml").replacen(
        "# Refuses every image",
        "# GENERATED from template.yaml and stub/external_data.rego, for gator only: do not deploy.\n# Refuses every image",
        1,
    );
    text.push('\n');
    for line in read("stub/external_data.rego").lines() {
        text.push_str(format!("{INDENT}{line}").trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn stub_equals_the_template_apart_from_external_data() {
    assert!(
        read("stub/template.yaml") == stub_of_template(),
        "run: cargo test -p integration-tests -- --ignored writes_the_stub"
    );
    let (stub, template) = (rego_of("stub/template.yaml"), rego_of("template.yaml"));
    let own = stub.strip_prefix(template.as_str()).expect("the stub starts as the template");
    let rules = own.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic())).collect::<Vec<_>>();
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert!(rules[0].starts_with("external_data(request) := "), "{rules:?}");
}

#[test]
#[ignore = "writes into the source tree"]
fn writes_the_stub() {
    std::fs::write(folder().join("stub/template.yaml"), stub_of_template()).unwrap();
}

/// `data.inventory` of a case's objects, as Gatekeeper lays it out.
fn inventory(files: Option<&Value>) -> Value {
    let mut inventory = json!({ "namespace": {} });
    for file in files.and_then(Value::as_array).into_iter().flatten() {
        for object in documents(file.as_str().unwrap()) {
            let at = |field: &str| object["metadata"][field].as_str().unwrap().to_owned();
            let (version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
            inventory["namespace"][at("namespace")][version][kind][at("name")] = object.clone();
        }
    }
    inventory
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut engine = Engine::new();
    engine.set_input(Rego::from_json_str(&json!([pattern, text]).to_string()).unwrap());
    engine.eval_bool_query("regex.match(input[0], input[1])".to_owned(), false).unwrap()
}

fn check(name: &str, assertion: &Value, violations: &[String]) {
    let hits = match assertion["message"].as_str() {
        Some(pattern) => violations.iter().filter(|text| matches(pattern, text)).count(),
        None => violations.len(),
    };
    let wanted = &assertion["violations"];
    let holds = match wanted.as_str() {
        Some("no") => hits == 0,
        Some("yes") => hits > 0,
        Some(other) => panic!("{name}: {other}"),
        None => wanted.as_u64() == u64::try_from(hits).ok(),
    };
    assert!(holds, "{name}: {assertion}: {violations:#?}");
}

#[test]
fn every_case_of_the_suite_holds() {
    let suite = document("suite.yaml");
    let mut cases = 0;
    for test in suite["tests"].as_array().unwrap() {
        let constraint = document(test["constraint"].as_str().unwrap());
        let stub = Template::v1("verifiedimages", &rego_of(test["template"].as_str().unwrap()));
        let expansions = test["expansion"].as_str().map(documents).unwrap_or_default();
        for case in test["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let object = document(case["object"].as_str().unwrap());
            let inventory = inventory(case.get("inventory"));
            let violations: Vec<String> = pods_of(&object, &expansions)
                .iter()
                .flat_map(|pod| {
                    stub.review_with(pod, &constraint["spec"]["parameters"], Answer::Own, Some(&inventory)).violations
                })
                .collect();
            for assertion in case["assertions"].as_array().unwrap() {
                check(name, assertion, &violations);
            }
            cases += 1;
        }
    }
    assert!(cases >= 24, "{cases}");
}

#[test]
fn every_sample_is_used_by_a_case() {
    let suite = read("suite.yaml");
    for entry in std::fs::read_dir(folder().join("samples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(suite.contains(&format!("samples/{name}")), "{name}");
    }
}
