use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::reason;

fn config(value: Value) -> Config {
    serde_json::from_value(value).unwrap()
}

fn statement() -> Value {
    json!({
        "name": "unit", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:acme"], "trustedIdentities": ["*"],
    })
}

fn faults(config: &Config, base: &Path) -> Vec<(String, String)> {
    let faults = config.load(base).expect_err("a fault");
    faults.iter().map(|fault| (fault.path(), reason::chain(fault))).collect()
}

#[test]
fn defaults_are_notations_and_unknown_members_are_refused() {
    let plain = config(json!({"trustPolicies": [statement()], "trustStore": "ts"}));
    assert_eq!((plain.max_signature_attempts, plain.max_envelope_bytes), (100, 1 << 20));
    assert!(plain.user_metadata.is_empty());
    for value in [
        json!({"trustpolicy": "a"}),
        json!({"trustPolicy": "a", "trustStores": {"CA": {}}}),
        json!({"trustPolicy": "a", "maxSignatureAttempts": -1}),
        json!({"trustPolicy": "a", "userMetadata": {"a": 1}}),
    ] {
        assert!(serde_json::from_value::<Config>(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn exactly_one_policy_and_one_set_of_stores_is_wanted() {
    let base = TempDir::new().unwrap();
    let one = json!([statement()]);
    for (value, path, part) in [
        (json!({"trustStore": "ts"}), "trustPolicy", "trustPolicies is needed"),
        (json!({"trustPolicy": "p", "trustPolicies": one, "trustStore": "ts"}), "trustPolicies", "exclude"),
        (json!({"trustPolicies": one}), "trustStore", "trustStores is needed"),
        (json!({"trustPolicies": one, "trustStore": "ts", "trustStores": {}}), "trustStores", "exclude"),
        (
            json!({"trustPolicies": one, "trustStore": "ts", "maxSignatureAttempts": 0}),
            "maxSignatureAttempts",
            "at least 1",
        ),
        (json!({"trustPolicies": one, "trustStore": "ts", "maxEnvelopeBytes": 0}), "maxEnvelopeBytes", "at least 1"),
        (json!({"trustPolicies": one, "trustStores": {"ca": {"..": ["a"]}}}), "trustStores.ca...", "no name"),
        (json!({"trustPolicy": "gone.json", "trustStore": "ts"}), "trustPolicy", "gone.json cannot be read"),
        (json!({"trustPolicy": ".", "trustStore": "ts"}), "trustPolicy", "not a regular file"),
        (json!({"trustPolicies": [], "trustStore": "ts"}), "trustPolicies", "no statement"),
    ] {
        let found = faults(&config(value.clone()), base.path());
        let [(at, message)] = found.as_slice() else { panic!("{value}: {found:?}") };
        assert_eq!(at, path, "{value}: {message}");
        assert!(message.contains(part), "{value}: {message}");
    }
    // A policy that names no store needs none.
    let skip = json!({"name": "unit", "registryScopes": ["a.b/c"], "signatureVerification": {"level": "skip"}});
    assert!(config(json!({"trustPolicies": [skip]})).load(base.path()).is_ok());
}

#[test]
fn all_faults_are_told_with_their_places() {
    let base = TempDir::new().unwrap();
    let mut bad = statement();
    bad["signatureVerification"]["level"] = json!("hard");
    bad["registryScopes"] = json!(["a.b/*"]);
    let inline = config(json!({"trustPolicies": [bad], "maxSignatureAttempts": 0}));
    let paths: Vec<_> = faults(&inline, base.path()).into_iter().map(|(path, _)| path).collect();
    let expected = [
        "maxSignatureAttempts",
        "trustPolicies[0].registryScopes[0]",
        "trustPolicies[0].signatureVerification.level",
        "trustStore",
    ];
    assert_eq!(paths, expected);

    let document = json!({"version": "1.0", "trustPolicies": [bad]}).to_string();
    fs::write(base.path().join("trustpolicy.json"), document).unwrap();
    let file = config(json!({"trustPolicy": "trustpolicy.json", "trustStore": "ts"}));
    let found = faults(&file, base.path());
    assert_eq!(found.len(), 2);
    let (path, message) = &found[0];
    assert_eq!(path, "trustPolicy");
    assert!(message.contains("trustpolicy.json: trustPolicies[0].registryScopes[0]: statement \"unit\""), "{message}");
}

// CFG-14, item 58
#[test]
fn a_policy_file_is_read_from_the_base_and_bounded() {
    let base = TempDir::new().unwrap();
    let mut document = json!({"version": "1.0", "trustPolicies": [statement()]}).to_string();
    let limit = usize::try_from(MAX_DOCUMENT_BYTES).unwrap();
    let file = config(json!({"trustPolicy": "p.json", "trustStore": "ts"}));
    document.push_str(&" ".repeat(limit - document.len()));
    fs::write(base.path().join("p.json"), &document).unwrap();
    let loaded = file.load(base.path()).unwrap();
    assert!(matches!(loaded.stores, TrustStoreSource::Directory(at) if at == base.path().join("ts")));
    document.push(' ');
    fs::write(base.path().join("p.json"), &document).unwrap();
    assert!(faults(&file, base.path())[0].1.contains("more than 1048576 bytes"));
}
