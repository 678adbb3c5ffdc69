//! The manifests say what Gatekeeper expects; where one has to be true of another, both are read.

use serde_json::{Value, json};

use super::engine::{document, documents, folder};

fn mutations() -> Vec<Value> {
    let names = ["containers", "init-containers", "ephemeral-containers", "image-volumes"];
    assert_eq!(std::fs::read_dir(folder().join("mutation")).unwrap().count(), names.len());
    names.iter().map(|name| document(&format!("mutation/{name}.yaml"))).collect()
}

#[test]
fn template_and_constraint_name_one_kind_and_the_provider() {
    let (template, constraint) = (document("template.yaml"), document("constraint.yaml"));
    let crd = &template["spec"]["crd"]["spec"];
    let kind = crd["names"]["kind"].as_str().unwrap();
    assert_eq!(template["apiVersion"], "templates.gatekeeper.sh/v1");
    assert_eq!(template["metadata"]["name"], kind.to_lowercase());
    assert_eq!(constraint["kind"], kind);
    assert_eq!(crd["validation"]["openAPIV3Schema"]["required"], json!(["provider"]));
    // A template with other engines beside Rego would run without external data.
    assert_eq!(template["spec"]["targets"][0]["code"].as_array().unwrap().len(), 1);
    assert_eq!(constraint["spec"]["match"]["kinds"], json!([{ "apiGroups": [""], "kinds": ["Pod"] }]));
    assert_eq!(constraint["spec"]["parameters"]["provider"], documents("provider.yaml")[0]["metadata"]["name"]);
}

#[test]
fn providers_are_https_with_a_whole_timeout_and_a_ca() {
    let providers = documents("provider.yaml");
    let expected = [("countersign", "verify", 2), ("countersign-mutation", "mutate", 1)];
    assert_eq!(providers.len(), expected.len());
    for (provider, (name, endpoint, seconds)) in providers.iter().zip(expected) {
        assert_eq!(provider["apiVersion"], "externaldata.gatekeeper.sh/v1beta1");
        assert_eq!(provider["metadata"]["name"], name);
        let url = provider["spec"]["url"].as_str().unwrap();
        assert!(
            url.starts_with("https://") && url.ends_with(&format!("/countersign/gatekeeper/v1/{endpoint}")),
            "{url}"
        );
        assert_eq!(provider["spec"]["timeout"], seconds);
        assert_eq!(provider["spec"]["caBundle"], "CA_BUNDLE");
    }
}

#[test]
fn mutation_has_one_assign_a_list_and_tests_the_volumes_path() {
    let expected = [
        "spec.containers[name:*].image",
        "spec.initContainers[name:*].image",
        "spec.ephemeralContainers[name:*].image",
        "spec.volumes[name:*].image.reference",
    ];
    let provider = documents("provider.yaml")[1]["metadata"]["name"].clone();
    let excluded = document("constraint.yaml")["spec"]["match"]["excludedNamespaces"].clone();
    for (assign, location) in mutations().iter().zip(expected) {
        let spec = &assign["spec"];
        assert_eq!((&assign["apiVersion"], &assign["kind"]), (&json!("mutations.gatekeeper.sh/v1"), &json!("Assign")));
        assert_eq!(spec["location"], location);
        assert_eq!(spec["applyTo"], json!([{ "groups": [""], "kinds": ["Pod"], "versions": ["v1"] }]));
        assert_eq!(spec["match"]["excludedNamespaces"], excluded);
        let external = json!({ "provider": provider, "dataSource": "ValueAtLocation", "failurePolicy": "Fail" });
        assert_eq!(spec["parameters"]["assign"], json!({ "externalData": external }));
        // Assign makes missing parents: only volumes can lack one.
        let tests = match location.strip_suffix(".reference") {
            Some(parent) => json!([{ "subPath": parent, "condition": "MustExist" }]),
            None => Value::Null,
        };
        assert_eq!(spec["parameters"]["pathTests"], tests, "{location}");
    }
}

#[test]
fn expansion_covers_every_kind_with_a_pod_template() {
    let mut kinds = Vec::new();
    for expansion in documents("expansion.yaml") {
        assert_eq!(expansion["apiVersion"], "expansion.gatekeeper.sh/v1beta1");
        for to in expansion["spec"]["applyTo"].as_array().unwrap() {
            for kind in to["kinds"].as_array().unwrap() {
                kinds.push(format!("{}/{}", to["groups"][0].as_str().unwrap(), kind.as_str().unwrap()));
            }
        }
    }
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "/ReplicationController",
            "apps/DaemonSet",
            "apps/Deployment",
            "apps/ReplicaSet",
            "apps/StatefulSet",
            "batch/CronJob",
            "batch/Job",
        ]
    );
}
