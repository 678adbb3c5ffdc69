//! What Gatekeeper's expansion does with a workload: the Pods that it would make, by `expansion.yaml`.

use serde_json::{Value, json};

use super::engine::{Answer, Template, document, documents, reply};

/// The Pods that `object` stands for: itself, or what the expansion templates make of it, however deep.
pub(super) fn pods_of(object: &Value, expansions: &[Value]) -> Vec<Value> {
    if object["kind"] == "Pod" {
        return vec![object.clone()];
    }
    let (group, version) = match object["apiVersion"].as_str().unwrap().split_once('/') {
        Some(parts) => parts,
        None => ("", object["apiVersion"].as_str().unwrap()),
    };
    let has = |list: &Value, text: &str| list.as_array().unwrap().iter().any(|entry| entry == text);
    let applies = |expansion: &&Value| {
        expansion["spec"]["applyTo"].as_array().unwrap().iter().any(|to| {
            has(&to["groups"], group)
                && has(&to["versions"], version)
                && has(&to["kinds"], object["kind"].as_str().unwrap())
        })
    };
    expansions
        .iter()
        .filter(applies)
        .flat_map(|expansion| {
            let spec = &expansion["spec"];
            let source = format!("/{}", spec["templateSource"].as_str().unwrap().replace('.', "/"));
            let mut made = object.pointer(&source).unwrap_or_else(|| panic!("{source}")).clone();
            let gvk = &spec["generatedGVK"];
            made["apiVersion"] = match gvk["group"].as_str().unwrap() {
                "" => gvk["version"].clone(),
                group => json!(format!("{group}/{}", gvk["version"].as_str().unwrap())),
            };
            made["kind"] = gvk["kind"].clone();
            made["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
            pods_of(&made, expansions)
        })
        .collect()
}

#[test]
fn every_workload_kind_is_judged_by_its_pod_template() {
    let expansions = documents("expansion.yaml");
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController"];
    let template = Template::bundled();
    for kind in kinds {
        for (word, refused) in [("good", 0), ("bad", 1)] {
            let name = format!("samples/{}-{word}.yaml", kind.to_lowercase());
            let object = document(&name);
            assert_eq!(object["kind"], kind, "{name}");
            let pods = pods_of(&object, &expansions);
            assert_eq!(pods.len(), 1, "{name}");
            let answer = reply(&[(
                &format!("registry.example.com/signed@sha256:{}", "a".repeat(64)),
                json!({ "isSuccess": true }),
            )]);
            let reviewed = template.review(&pods[0], &json!({ "provider": "countersign" }), Answer::Is(answer));
            assert_eq!(reviewed.violations.len(), refused, "{name}: {:?}", reviewed.violations);
        }
    }
}
