//! What Gatekeeper is told: the published manifests with this release's names.

use std::{collections::BTreeSet, fs, path::PathBuf};

use countersign::kubernetes::apply::{Manifest, to_list};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{Rendered, chart, names, texts, yaml};

/// Published in `rego/`, copied into the chart, which is a folder of its own.
fn copies() -> Vec<(PathBuf, PathBuf)> {
    let rego = chart().join("../../rego");
    let mut all: Vec<(PathBuf, PathBuf)> = ["template.yaml", "constraint.yaml", "expansion.yaml"]
        .map(|name| (rego.join(name), chart().join("files").join(name)))
        .into();
    let mutation = names(&rego.join("mutation")).into_iter().map(|name| format!("mutation/{name}.yaml"));
    all.extend(mutation.map(|name| (rego.join(&name), chart().join("files").join(&name))));
    all
}

#[test]
fn the_charts_copies_are_the_published_manifests() {
    let copies = copies();
    assert_eq!(copies.len(), 7);
    assert_eq!(names(&chart().join("files/mutation")), names(&chart().join("../../rego/mutation")));
    assert_eq!(names(&chart().join("files")).len(), 3);
    for (published, copy) in copies {
        let same = fs::read(&published).unwrap() == fs::read(&copy).unwrap();
        assert!(same, "{}: cargo test -p integration-tests -- --ignored writes_the_charts_copies", copy.display());
    }
}

#[test]
#[ignore = "writes into the source tree"]
fn writes_the_charts_copies() {
    for (published, copy) in copies() {
        fs::copy(published, copy).unwrap();
    }
}

/// Every object that the hook applies.
fn applied(rendered: &Rendered) -> Vec<Value> {
    let map = rendered.of_kind("ConfigMap").find(|map| map.name().ends_with("-manifests")).unwrap();
    let texts = map.0["data"].as_object().unwrap().values().map(|text| text.as_str().unwrap());
    texts
        .flat_map(|text| {
            serde_yaml_ng::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap())
        })
        .collect()
}

/// What the product itself makes of the folder that the hook gives it.
#[test]
fn the_product_reads_every_manifest_of_the_folder() {
    for rendered in Rendered::all() {
        let folder = tempfile::tempdir().unwrap();
        let map = rendered.of_kind("ConfigMap").find(|map| map.name().ends_with("-manifests")).unwrap();
        for (name, text) in map.0["data"].as_object().unwrap() {
            fs::write(folder.path().join(name), text.as_str().unwrap()).unwrap();
        }
        let read = Manifest::of_folders(&[folder.path().to_owned()]);
        let read = to_list(&read.unwrap_or_else(|error| panic!("{}: {error}", rendered.name)), None);
        let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        let found: BTreeSet<String> = super::list(&read["items"]).iter().map(name).collect();
        assert_eq!(found, applied(&rendered).iter().map(name).collect(), "{}", rendered.name);
        assert!(!read.to_string().contains("CA_BUNDLE"), "{}", rendered.name);
    }
}

/// The Providers, whoever makes them.
pub(super) fn providers(rendered: &Rendered) -> Vec<Value> {
    let of_the_chart = rendered.of_kind("Provider").map(|object| object.0.clone());
    let of_the_hook = applied(rendered).into_iter().filter(|object| object["kind"] == "Provider");
    of_the_chart.chain(of_the_hook).collect()
}

#[test]
fn the_providers_ask_our_service_and_are_made_once() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let values = rendered.values();
        let service = rendered.of_kind("Service").find(|service| !service.name().ends_with("-metrics")).unwrap();
        let host = format!("https://{}.{}.svc:6001", service.name(), service.namespace());
        let mut expected = vec![("countersign", "/countersign/gatekeeper/v1/verify")];
        if values["provider"]["enableMutation"] == true {
            expected.push(("countersign-mutation", "/countersign/gatekeeper/v1/mutate"));
        }
        if values["provider"]["ratifyNames"] == true {
            expected.push(("ratify-mutation-provider", "/ratify/gatekeeper/v1/mutate"));
            expected.push(("ratify-provider", "/ratify/gatekeeper/v1/verify"));
        }
        let mut found = providers(&rendered);
        found.sort_by_key(|provider| provider["metadata"]["name"].as_str().unwrap().to_owned());
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|it| {
                (
                    it["metadata"]["name"].as_str().unwrap(),
                    it["spec"]["url"].as_str().unwrap().strip_prefix(&host).unwrap(),
                )
            })
            .collect();
        assert_eq!(found, expected, "{name}");
        // The certificate's keeper knows the same ones.
        let kept = &super::configuration::of(&rendered)["kubernetes"]["certificates"]["providers"];
        if !kept.is_null() {
            let mut kept = texts(kept);
            kept.sort_unstable();
            assert_eq!(kept, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{name}");
        }
    }
}

/// Without these a cluster could not start the provider that it asks.
#[test]
fn our_own_and_gatekeepers_namespaces_are_never_asked_about() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let values = rendered.values();
        let gatekeeper = values["gatekeeper"]["namespace"].as_str().unwrap();
        let own = rendered.only("Deployment").namespace();
        for object in applied(&rendered) {
            if !["VerifiedImages", "Assign"].contains(&object["kind"].as_str().unwrap()) {
                continue;
            }
            let exempt = texts(&object["spec"]["match"]["excludedNamespaces"]);
            for namespace in ["kube-system", gatekeeper, own].into_iter().chain(texts(&values["exemptNamespaces"])) {
                assert!(exempt.contains(&namespace), "{name}: {exempt:?}");
            }
            let legacy = texts(&values["provider"]["mutationExcludedNamespaces"]);
            let keeps_tags = object["kind"] == "Assign";
            assert!(legacy.iter().all(|namespace| exempt.contains(namespace) == keeps_tags), "{name}: {exempt:?}");
            assert!(!exempt.contains(&"countersign-system"), "{name}: whoever may make it would have a way around");
        }
    }
}

/// While the constraint only reports, no mutator may refuse: an image that cannot be resolved keeps its tag.
#[test]
fn nothing_is_refused_before_the_constraint_denies() {
    let mut seen = [0, 0];
    for rendered in Rendered::all() {
        let denies = rendered.values()["enforcementAction"] == "deny";
        for object in applied(&rendered).iter().filter(|object| object["kind"] == "Assign") {
            let policy = &object["spec"]["parameters"]["assign"]["externalData"]["failurePolicy"];
            assert_eq!(policy, if denies { "Fail" } else { "Ignore" }, "{}", rendered.name);
            seen[usize::from(denies)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count >= 4), "{seen:?}");
}

/// But for namespaces and action they are what is published, and tested in `rego/`.
#[test]
fn constraint_and_mutators_are_otherwise_as_published() {
    for rendered in Rendered::all() {
        let values = rendered.values();
        let published = |kind: &str| -> Vec<Value> {
            let all = copies().into_iter().flat_map(|(path, _)| {
                let text = fs::read_to_string(path).unwrap();
                let documents: Vec<Value> = serde_yaml_ng::Deserializer::from_str(&text)
                    .map(|document| Value::deserialize(document).unwrap())
                    .collect();
                documents
            });
            all.filter(|object| object["kind"] == kind).collect()
        };
        for (kind, wanted) in [
            ("ConstraintTemplate", &json!(true)),
            ("VerifiedImages", &json!(true)),
            ("ExpansionTemplate", &values["expansion"]["enabled"]),
            ("Assign", &values["provider"]["enableMutation"]),
        ] {
            let mut found: Vec<Value> =
                applied(&rendered).into_iter().filter(|object| object["kind"] == kind).collect();
            let mut expected = if wanted == &json!(true) { published(kind) } else { Vec::new() };
            for object in found.iter_mut().chain(&mut expected) {
                if let Some(list) = object.pointer_mut("/spec/match/excludedNamespaces") {
                    assert!(list.as_array().unwrap().len() >= 2);
                    *list = Value::Null;
                }
                if kind == "VerifiedImages" {
                    object["spec"]["enforcementAction"] = Value::Null;
                }
                if kind == "Assign" {
                    object["spec"]["parameters"]["assign"]["externalData"]["failurePolicy"] = Value::Null;
                }
            }
            let order = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
            found.sort_by_key(order);
            expected.sort_by_key(order);
            assert_eq!(found, expected, "{}: {kind}", rendered.name);
        }
        let constraint = applied(&rendered).into_iter().find(|object| object["kind"] == "VerifiedImages").unwrap();
        assert_eq!(constraint["spec"]["enforcementAction"], values["enforcementAction"], "{}", rendered.name);
    }
    let default = yaml(&fs::read_to_string(chart().join("values.yaml")).unwrap());
    assert_eq!(default["enforcementAction"], "dryrun", "the documented first step");
}
