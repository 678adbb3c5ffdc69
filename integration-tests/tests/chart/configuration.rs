//! What is rendered for the product is a configuration that it takes.

use std::{fs, path::Path};

use countersign::{
    app::{self, Materials},
    config::{Config, Process, StoreKind},
    store::{cached::ContentCache, registry::Outside},
    verifier::notation::revocation::RevocationEvidence,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::{Rendered, list, texts, yaml};

/// Where the Deployment mounts the configuration, and everything else.
const CONFIGURATION: &str = "/etc/countersign/countersign.yaml";
const MOUNTS: &str = "/var/run/countersign";

/// The configuration as it is written.
pub(super) fn text(rendered: &Rendered) -> &str {
    let name = rendered.only("Deployment").name();
    rendered.find("ConfigMap", name).unwrap().text("/data/countersign.yaml")
}

pub(super) fn of(rendered: &Rendered) -> Value {
    yaml(text(rendered))
}

/// The `ConfigMap`'s files as they are mounted, and empty ones where others mount theirs.
fn mounted(rendered: &Rendered) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let name = rendered.only("Deployment").name();
    for (name, text) in rendered.find("ConfigMap", name).unwrap().0["data"].as_object().unwrap() {
        fs::write(folder.path().join(name), text.as_str().unwrap()).unwrap();
    }
    let docker = folder.path().join("docker");
    fs::create_dir(&docker).unwrap();
    fs::write(docker.join("config.json"), r#"{"auths":{"registry.internal.example.com:5443":{"auth":"dTpw"}}}"#)
        .unwrap();
    folder
}

fn parse(rendered: &Rendered, folder: &Path) -> Config {
    let text = text(rendered).replace(MOUNTS, folder.to_str().unwrap());
    Config::parse(&text, folder, &Process::default())
        .unwrap_or_else(|faults| panic!("{}: {faults:#?}\n{text}", rendered.name))
}

/// As `countersign check` does, but for the certificates that others mount.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_configuration_is_taken() {
    for rendered in Rendered::all() {
        let folder = mounted(&rendered);
        let config = parse(&rendered, folder.path());
        let materials = Materials {
            content: ContentCache::new(1024),
            outside: Outside::default(),
            evidence: RevocationEvidence::default(),
            runtime: Handle::current(),
        };
        let engine = app::build(&config, &materials).await;
        let engine = engine.unwrap_or_else(|faults| panic!("{}: {faults:#?}", rendered.name));
        assert_eq!(engine.store_faults, 0, "{}: {:?}", rendered.name, engine.warnings);
        // What is weakened was asked for: transparency logs only where cosign.tLogVerify says so.
        let weakened = rendered.values()["cosign"]["tLogVerify"] == false;
        assert_eq!(engine.weakenings > 0, weakened, "{}: {:?}", rendered.name, engine.warnings);
    }
}

#[test]
fn a_broken_configuration_would_be_noticed() {
    let rendered = Rendered::named("minimal");
    let wrong = text(&rendered).replace("verifiers:", "verifier:");
    assert!(Config::parse(&wrong, Path::new("."), &Process::default()).is_err());
}

/// The container reads what is mounted, under the names that the configuration has.
#[test]
fn every_file_that_is_named_is_mounted() {
    for rendered in Rendered::all() {
        let spec = &rendered.only("Deployment").0["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        assert_eq!(texts(&container["args"]), ["serve", "--config", CONFIGURATION], "{}", rendered.name);
        let mut files: Vec<String> = Vec::new();
        for mount in list(&container["volumeMounts"]) {
            let volume = list(&spec["volumes"]).iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            let folder = mount["mountPath"].as_str().unwrap();
            let items = [&volume["secret"]["items"], &volume["configMap"]["items"]];
            files.extend(
                items
                    .iter()
                    .flat_map(|items| list(items))
                    .map(|item| format!("{folder}/{}", item["path"].as_str().unwrap())),
            );
            if let Some(map) = volume["configMap"]["name"].as_str() {
                files.extend(
                    rendered.find("ConfigMap", map).unwrap().keys().iter().map(|key| format!("{folder}/{key}")),
                );
            }
        }
        assert!(files.contains(&CONFIGURATION.to_owned()), "{}: {files:?}", rendered.name);
        let text = text(&rendered);
        let named =
            text.split(|c: char| c.is_whitespace() || c == '\'' || c == '"').filter(|word| word.starts_with(MOUNTS));
        for path in named {
            assert!(files.contains(&path.to_owned()), "{}: {path} of {files:?}", rendered.name);
        }
        let mounted = files.iter().filter(|file| file.starts_with(MOUNTS));
        for path in mounted {
            assert!(text.contains(path.as_str()), "{}: {path} is mounted and never read", rendered.name);
        }
    }
}

/// What Gatekeeper waits for is what the product answers within.
#[test]
fn timeouts_are_those_of_the_providers() {
    for (name, verify, mutate) in [("minimal", 2, 1), ("ratify-migration", 5, 2)] {
        let rendered = Rendered::named(name);
        let folder = mounted(&rendered);
        let config = parse(&rendered, folder.path());
        let timeout = config.server.provider_timeout;
        assert_eq!((timeout.verify.as_secs(), timeout.mutate.as_secs()), (verify, mutate), "{name}");
        for provider in super::manifests::providers(&rendered) {
            let expected = if provider["spec"]["url"].as_str().unwrap().ends_with("/mutate") { mutate } else { verify };
            assert_eq!(provider["spec"]["timeout"], expected, "{name}");
        }
    }
}

/// Values of Ratify mean here what they meant there.
#[test]
fn values_of_ratify_become_the_products_words() {
    let rendered = Rendered::named("ratify-migration");
    let config = of(&rendered);
    let notation = &config["verifiers"][0];
    assert_eq!(
        notation["trustPolicies"],
        json!([
            {
                "name": "default",
                "registryScopes": ["*"],
                "signatureVerification": { "level": "strict" },
                "trustStores": ["ca:cert-0", "tsa:cert-1"],
                "trustedIdentities": ["*"],
            },
            {
                "name": "payments",
                "registryScopes": ["registry.example.com/payments/app"],
                "signatureVerification": { "level": "audit" },
                "trustStores": ["ca:certs"],
                "trustedIdentities": ["x509.subject: C=DE, ST=BE, O=Acme, CN=release"],
            },
        ])
    );
    assert_eq!(
        notation["trustStores"],
        json!({
            "ca": { "cert-0": ["notation-0.pem"], "certs": ["notation-0.pem", "notation-1.pem"] },
            "tsa": { "cert-1": ["notation-1.pem"] },
        })
    );
    assert_eq!(
        config["verifiers"][1]["trustPolicies"],
        json!([{
            "ignoreTlog": true,
            "keys": [{ "file": "cosign-0.pub" }],
            "name": "default",
            "scopes": ["registry.example.com/**", "ghcr.io/acme/app"],
        }])
    );
    assert_eq!(config["policies"], json!([{ "scopes": ["**"], "require": { "any": ["notation", "cosign"] } }]));
    assert_eq!(config["limits"]["listingTtl"], "20s");
    assert_eq!(config["telemetry"], json!({ "logFormat": "text", "logLevel": "debug" }));
}

/// Sprig's own merge drops false, 0 and "".
#[test]
fn extra_configuration_lies_over_the_rest_with_false_and_whole_numbers() {
    let rendered = Rendered::named("ha");
    let folder = mounted(&rendered);
    let config = parse(&rendered, folder.path());
    assert!(!config.tenancy.enabled);
    assert_eq!(
        of(&rendered)["limits"],
        json!({
            "contentCacheBytes": 134_217_728,
            "inFlightPerTenant": 128,
            "listingTtl": "10s",
            "verdictCacheBytes": 67_108_864,
            "verdictTtl": "10s",
        })
    );
}

/// Credentials go to hosts that are named, and to no other.
#[test]
fn any_other_host_gets_no_credentials() {
    let mut named = 0;
    for rendered in Rendered::all() {
        for (host, how) in of(&rendered)["stores"][0]["hosts"].as_object().unwrap() {
            if host == "*" {
                assert_eq!(how.get("credentials"), None, "{}", rendered.name);
            } else {
                named += usize::from(how.get("credentials").is_some());
            }
        }
    }
    assert_eq!(named, 3);
    let config = of(&Rendered::named("pull-secrets"));
    let credentials = json!({
        "pullSecrets": [
            { "name": "regcred", "namespace": "gatekeeper-system" },
            { "name": "team-a-pull", "namespace": "team-a" },
            { "name": "team-a-mirror", "namespace": "team-a" },
        ],
        "serviceAccount": "countersign",
    });
    assert_eq!(config["stores"][0]["hosts"]["registry.example.com"]["credentials"], credentials);
}

/// No verifier is forced on anybody: cosign alone is cosign alone (issue 1451 of Ratify).
#[test]
fn verifiers_are_those_that_something_is_trusted_for() {
    for (name, expected) in [
        ("minimal", &["notation"][..]),
        ("cosign-keyless", &["cosign", "scanned"]),
        ("cert-manager-issuer", &["cosign"]),
        ("ratify-migration", &["notation", "cosign"]),
    ] {
        let rendered = Rendered::named(name);
        let folder = mounted(&rendered);
        let config = parse(&rendered, folder.path());
        let names: Vec<&str> = config.verifiers.iter().map(|verifier| verifier.name.as_ref()).collect();
        assert_eq!(names, expected, "{name}");
        assert!(matches!(config.stores[0].kind, StoreKind::Registry(_)), "{name}");
    }
}
