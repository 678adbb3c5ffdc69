use std::time::Duration;

use super::{
    super::settings::{EnforcementAction, Settings},
    *,
};

fn object<'a>(manifests: &'a [Manifest], name: &str) -> &'a Manifest {
    manifests.iter().find(|manifest| manifest.to_string() == name).unwrap()
}

#[test]
fn what_this_binary_brings_is_whole_and_in_order() {
    let names: Vec<String> = Manifest::built_in().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "Provider countersign",
            "Provider countersign-mutation",
            "ConstraintTemplate verifiedimages",
            "ExpansionTemplate expand-workloads",
            "ExpansionTemplate expand-cronjobs",
            "Assign countersign-digest-containers",
            "Assign countersign-digest-ephemeral-containers",
            "Assign countersign-digest-image-volumes",
            "Assign countersign-digest-init-containers",
            "VerifiedImages images-are-verified",
        ]
    );
}

#[test]
fn without_settings_an_object_is_as_it_is_published_but_for_the_placeholder() {
    let mut manifests = Manifest::built_in().unwrap();
    Settings::default().make(&mut manifests).unwrap();
    for manifest in &manifests {
        let (_, text) = BUILT_IN.iter().find(|(_, text)| text.contains(&format!("name: {}\n", manifest.name))).unwrap();
        let documents = config::documents(text).unwrap();
        let written = documents.iter().find(|document| document["metadata"]["name"] == manifest.name).unwrap();
        let mut expected = written.clone();
        expected["metadata"]["labels"] = json!({ "app.kubernetes.io/part-of": "countersign" });
        expected["spec"].as_object_mut().unwrap().remove("caBundle");
        assert_eq!(manifest.object(None), expected, "{manifest}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_setting_changes_its_field_and_no_other() {
    let plain = Manifest::built_in().unwrap();
    let set = |settings: Settings| {
        let mut manifests = plain.clone();
        settings.make(&mut manifests).unwrap();
        manifests
    };
    let none = Settings::default;
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (name, settings, about, field, expected) in [
        (
            "namespace",
            Settings { namespace: Some("gatekeeper-system".to_owned()), ..none() },
            "Provider countersign",
            "/url",
            json!("https://countersign.gatekeeper-system.svc:6001/countersign/gatekeeper/v1/verify"),
        ),
        (
            "namespace, own one exempt",
            Settings { namespace: Some("own".to_owned()), ..none() },
            "VerifiedImages images-are-verified",
            "/match/excludedNamespaces",
            json!(["kube-system", "gatekeeper-system", "own"]),
        ),
        (
            "service",
            Settings { service: Some("other".to_owned()), ..none() },
            "Provider countersign-mutation",
            "/url",
            json!("https://other.countersign-system.svc:6001/countersign/gatekeeper/v1/mutate"),
        ),
        (
            "verify",
            Settings { verify_timeout: Some(Duration::from_secs(5)), ..none() },
            "Provider countersign",
            "/timeout",
            json!(5),
        ),
        (
            "mutate",
            Settings { mutate_timeout: Some(Duration::from_secs(3)), ..none() },
            "Provider countersign-mutation",
            "/timeout",
            json!(3),
        ),
        (
            "action",
            Settings { enforcement_action: Some(EnforcementAction::Dryrun), ..none() },
            "VerifiedImages images-are-verified",
            "/enforcementAction",
            json!("dryrun"),
        ),
        (
            "exempt",
            Settings { exempt_namespaces: Some(texts(&["a", "b"])), namespace: Some("a".to_owned()), ..none() },
            "Assign countersign-digest-containers",
            "/match/excludedNamespaces",
            json!(["a", "b"]),
        ),
    ] {
        let is_alone =
            settings.namespace.is_none() && settings.exempt_namespaces.is_none() && settings.service.is_none();
        let made = set(settings);
        let spec = Value::Object(object(&made, about).spec.clone());
        assert_eq!(spec.pointer(field), Some(&expected), "{name}");
        let changed: Vec<String> = made.iter().filter(|one| !plain.contains(one)).map(ToString::to_string).collect();
        assert!(!is_alone || changed == [about], "{name}: {changed:?}");
    }
}

#[test]
fn a_url_that_is_no_services_cannot_be_moved() {
    let provider = |url: &str| {
        let text = format!(
            "apiVersion: externaldata.gatekeeper.sh/v1beta1\nkind: Provider\nmetadata: {{name: p}}\nspec: {{url: \"{url}\"}}\n"
        );
        let mut all = Vec::new();
        read("p.yaml", &text, &mut all).unwrap();
        all
    };
    let moved = Settings { namespace: Some("n".to_owned()), ..Settings::default() };
    for (url, expected) in [
        ("https://a.b.svc:6001/x/verify", Some("https://a.n.svc:6001/x/verify")),
        ("https://a.b.svc.cluster.local/verify", Some("https://a.n.svc.cluster.local/verify")),
        ("https://countersign.example.com/verify", None),
        ("https://10.0.0.1:6001/verify", None),
        ("https://a.b/verify", None),
    ] {
        let mut manifests = provider(url);
        let made = moved.make(&mut manifests);
        assert_eq!(made.is_ok(), expected.is_some(), "{url}");
        if let Some(expected) = expected {
            assert_eq!(manifests[0].spec["url"], expected);
        }
        Settings::default().make(&mut provider(url)).unwrap();
    }
}

#[test]
fn what_is_not_ours_to_apply_is_refused_with_its_place() {
    let constraint =
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: VerifiedImages\nmetadata: {name: c}\nspec: {}\n";
    for (name, text, expected) in [
        ("a constraint", constraint.to_owned(), None),
        ("two documents", format!("# one\n---\n{constraint}---\n{}", constraint.replace("c}", "d}")), None),
        ("as a cluster shows it", constraint.replace("name: c", "name: c, uid: u, generation: 3"), None),
        ("a Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n".to_owned(), Some("Secret of v1 is none")),
        ("a Suite", constraint.replace("constraints.", "test."), Some("is none of Gatekeeper's kinds")),
        ("no spec", constraint.replace("spec: {}\n", ""), Some("spec is missing")),
        ("no name", constraint.replace("name: c", ""), Some("metadata.name")),
        ("a path for a name", constraint.replace("name: c", "name: ../c"), Some("metadata.name")),
        ("a namespace", constraint.replace("name: c", "name: c, namespace: n"), Some("metadata.namespace is not applied")),
        ("an owner", constraint.replace("name: c", "name: c, finalizers: [f]"), Some("metadata.finalizers is not applied")),
        ("another member", format!("{constraint}data: {{}}\n"), Some("data is no member")),
        ("a key twice", format!("{constraint}spec: {{}}\n"), Some("line 5")),
        ("no object", "[]\n".to_owned(), Some("no object")),
        (
            "a bundle that is none",
            "apiVersion: externaldata.gatekeeper.sh/v1beta1\nkind: Provider\nmetadata: {name: p}\nspec: {url: x, caBundle: AAAA}\n"
                .to_owned(),
            Some("spec.caBundle has no certificate"),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("one.yaml"), &text).unwrap();
        std::fs::write(folder.path().join("other.txt"), "not looked at").unwrap();
        match (Manifest::of_folders(&[folder.path().to_owned()]), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => {
                let said = error.to_string();
                assert!(said.contains(part) && said.contains("one.yaml"), "{name}: {said}");
            }
            (other, expected) => panic!("{name}: {other:?}, not {expected:?}"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let of_folder = |folder: &Path| Manifest::of_folders(&[folder.to_owned()]).unwrap_err().to_string();
    assert_eq!(of_folder(folder.path()), "there is nothing to apply");
    assert!(of_folder(&folder.path().join("missing")).ends_with("missing cannot be read"));
    std::fs::write(folder.path().join("a.yaml"), constraint).unwrap();
    std::fs::write(folder.path().join("b.yaml"), constraint).unwrap();
    assert_eq!(of_folder(folder.path()), "VerifiedImages c: stands twice");
}

#[test]
fn published_manifests_are_the_same_from_a_folder() {
    let rego = Path::new(env!("CARGO_MANIFEST_DIR")).join("rego");
    let folder = tempfile::tempdir().unwrap();
    for name in ["provider.yaml", "template.yaml", "constraint.yaml", "expansion.yaml"] {
        std::fs::copy(rego.join(name), folder.path().join(name)).unwrap();
    }
    let folders = [folder.path().to_owned(), rego.join("mutation")];
    assert_eq!(Manifest::of_folders(&folders).unwrap(), Manifest::built_in().unwrap());
}
