//! Real replies against the published schema, and against what Ratify answers.

use std::{collections::BTreeMap, fs, path::Path};

use countersign::{oci::Descriptor, time::Clock};
use integration_tests::{
    notation::SigningAuthority,
    provider::{MUTATE, Provider, RATIFY_VERIFY, Stage, configuration, trust_policy},
    registry::{FakeRegistry, Repository},
    shelf::{JWS, Shelf},
};
use jsonschema::Validator;
use serde_json::{Value, json};
use time::Duration;

use super::Scene;

fn schema() -> Validator {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/report/wire/value.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
fn fits(row: &str, schema: &Validator, value: &Value) {
    let faults: Vec<String> =
        schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{row}: {faults:?}\n{value:#}");
}

/// A registry whose repositories hold one image each, and what was done to it.
struct Shop<'a> {
    stage: &'a Stage,
    stranger: SigningAuthority,
    registry: &'a FakeRegistry,
}

impl Shop<'_> {
    fn image(&self, name: &str) -> (Repository<'_>, Descriptor) {
        let repository = self.registry.repository(name);
        let image = repository.put_image(name, Some("v1"));
        (repository, image)
    }

    fn signed(&self, name: &str) {
        let (repository, image) = self.image(name);
        repository.sign(&image, &self.stage.authority.signer("signer"));
    }

    fn signed_by_strangers(&self, name: &str, count: usize) {
        let (repository, image) = self.image(name);
        for _ in 0..count {
            repository.sign(&image, &self.stranger.signer("stranger"));
        }
    }

    fn tampered(&self, name: &str) {
        let (repository, image) = self.image(name);
        let envelope = |signer: &str| -> Value {
            let bytes =
                self.stage.authority.signer(signer).sign(&image.media_type, &image.digest.to_string(), image.size);
            serde_json::from_slice(&bytes).unwrap()
        };
        let mut one = envelope("one");
        one["signature"] = envelope("other")["signature"].clone();
        repository.put_signature(&image, JWS, one.to_string().as_bytes());
    }

    fn copied(&self, name: &str) {
        let (repository, image) = self.image(name);
        let other = repository.put_image("another image", None);
        let signer = self.stage.authority.signer("signer");
        let envelope = signer.sign(&other.media_type, &other.digest.to_string(), other.size);
        repository.put_signature(&image, JWS, &envelope);
    }

    fn garbage(&self, name: &str) {
        let (repository, image) = self.image(name);
        repository.put_signature(&image, JWS, b"\x1b[31m\x00{]");
    }

    /// The signature has ended an hour ago, the certificate has not.
    fn expired(&self, name: &str) {
        let (repository, image) = self.image(name);
        let now = Clock::System.now();
        let signer = self.stage.authority.signer_valid("signer", now - Duration::hours(2));
        let digest = image.digest.to_string();
        let envelope = signer.sign_until(&image.media_type, &digest, image.size, Some(now - Duration::HOUR));
        repository.put_signature(&image, JWS, &envelope);
    }
}

async fn shop(stage: &Stage, registry: &FakeRegistry) -> Provider {
    let stranger = SigningAuthority::new("root", Clock::System.now());
    let shop = Shop { stage, stranger, registry };
    shop.signed("shop/signed");
    shop.image("shop/unsigned");
    shop.signed_by_strangers("shop/stranger", 1);
    shop.signed_by_strangers("shop/strangers", 60);
    shop.signed_by_strangers("shop/audited", 1);
    shop.tampered("shop/tampered");
    shop.copied("shop/copied");
    shop.garbage("shop/garbage");
    shop.expired("shop/expired");
    shop.expired("shop/permitted");
    shop.image("shop/waived");
    shop.signed("other/signed");
    let host = registry.host();
    let named = |name: &str| format!("{host}/shop/{name}");
    let mut configuration = configuration([host.as_str()]);
    configuration["policies"][0]["scopes"] = json!([format!("{host}/shop/**"), "registry.invalid/**"]);
    configuration["verifiers"][0]["trustPolicies"] = json!([
        trust_policy("strict", &["*"], &json!({ "level": "strict" })),
        trust_policy("audit", &[&named("audited")], &json!({ "level": "audit" })),
        trust_policy("permissive", &[&named("permitted")], &json!({ "level": "permissive" })),
        trust_policy("skip", &[&named("waived")], &json!({ "level": "skip" })),
    ]);
    stage.start(&configuration).await
}

/// Repository and tag, success, the decision's code, the first report's code.
const REPLIES: [(&str, bool, &str, &str); 16] = [
    ("shop/signed:v1", true, "VERIFIED", "VERIFIED"),
    ("shop/audited:v1", true, "VERIFIED", "LOGGED_ONLY"),
    ("shop/permitted:v1", true, "VERIFIED", "LOGGED_ONLY"),
    ("shop/waived:v1", true, "VERIFIED", "WAIVED"),
    ("shop/unsigned:v1", false, "NO_SIGNATURE", "NO_SIGNATURE"),
    ("shop/stranger:v1", false, "UNTRUSTED", "UNTRUSTED"),
    ("shop/strangers:v1", false, "UNTRUSTED", "UNTRUSTED"),
    ("shop/tampered:v1", false, "SIG_INVALID", "SIG_INVALID"),
    ("shop/copied:v1", false, "SUBJECT_MISMATCH", "SUBJECT_MISMATCH"),
    ("shop/garbage:v1", false, "SIG_MALFORMED", "SIG_MALFORMED"),
    ("shop/expired:v1", false, "EXPIRED", "EXPIRED"),
    ("shop/signed:none", false, "NOT_FOUND", "NOT_FOUND"),
    ("other/signed:v1", false, "NO_POLICY", "NO_POLICY"),
    ("registry.invalid/x:v1", false, "HOST_DENIED", "HOST_DENIED"),
    ("Not A Reference", false, "REF_INVALID", "REF_INVALID"),
    ("", false, "REF_INVALID", "REF_INVALID"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_reply_fits_the_schema() {
    let (stage, registry, schema) = (Stage::set(), FakeRegistry::start().await, schema());
    let provider = shop(&stage, &registry).await;
    let keys: Vec<String> = REPLIES
        .iter()
        .map(|(name, ..)| {
            if name.contains("shop") || name.contains("other") {
                format!("{}/{name}", registry.host())
            } else {
                (*name).to_owned()
            }
        })
        .collect();
    let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
    let response = provider.ask(RATIFY_VERIFY, &asked).await;
    let items = response["items"].as_array().unwrap();
    let order: Vec<&str> = items.iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert_eq!(order, asked, "in the order of the request: {response:#}");
    let mut values = BTreeMap::new();
    for (item, (row, success, code, report)) in items.iter().zip(REPLIES) {
        let value = &item["value"];
        fits(row, &schema, value);
        let found = (&value["isSuccess"], &value["code"], &value["verifierReports"][0]["code"]);
        assert_eq!(found, (&json!(success), &json!(code), &json!(report)), "{row}: {value:#}");
        values.insert(row, value);
    }
    let text = |row: &str, pointer: &str| values[row].pointer(pointer).map(ToString::to_string).unwrap_or_default();
    for (row, check) in [("shop/audited:v1", "authenticity"), ("shop/permitted:v1", "expiry")] {
        let checks = values[row]["verifierReports"][0]["checks"].as_array().unwrap();
        let logged: Vec<_> = checks.iter().filter(|entry| entry["outcome"] == "logged").collect();
        assert!(matches!(logged.as_slice(), [entry] if entry["check"] == check), "{row}: {checks:?}");
        assert!(text(row, "/warnings").contains(check), "{row}: {:#}", values[row]);
    }
    assert!(values["shop/audited:v1"]["verifierReports"][0].get("signer").is_none(), "nobody known signed it");
    assert!(text("shop/signed:v1", "/verifierReports/0/signer").contains("CN=signer"));
    assert!(text("shop/waived:v1", "/warnings").contains("skipped by trust policy"));
    let many = values["shop/strangers:v1"];
    assert_eq!((many["verifierReports"].as_array().unwrap().len(), &many["omittedReports"]), (50, &json!(10)));
    let garbage = text("shop/garbage:v1", "");
    assert!(!garbage.contains("\\u001b") && !garbage.contains("\\u0000"), "{garbage}");
}

/// Everything that Ratify's object has, ours has with the same name and type.
fn covers(place: &str, ratify: &Value, ours: &Value) {
    match (ratify, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (name, member) in theirs {
                let found = ours.get(name).unwrap_or_else(|| panic!("{place}.{name} is missing: {ours:#?}"));
                covers(&format!("{place}.{name}"), member, found);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            for (theirs, ours) in theirs.iter().zip(ours) {
                covers(&format!("{place}[]"), theirs, ours);
            }
            assert!(theirs.is_empty() || !ours.is_empty(), "{place} is empty");
        }
        (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_)) => {}
        (theirs, ours) => panic!("{place}: {theirs} in Ratify's, {ours} in ours"),
    }
}

/// Ratify's recorded reply, without the reports of verifiers that we do not have.
fn recorded(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/ratify-v1.4.4.json");
    let all: Vec<Value> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut reply = all.into_iter().find(|entry| entry["name"] == name).unwrap()["response"].take();
    if let Some(reports) = reply.pointer_mut("/response/items/0/value/verifierReports").and_then(Value::as_array_mut) {
        reports.retain(|report| report["type"] != "cosign");
    }
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ratify_answers_is_in_our_reply_under_the_same_name() {
    let scene = Scene::signed_by(1).await;
    let unsigned = scene.registry.repository("shop/web").put_image("unsigned", None);
    let unsigned = scene.registry.repository("shop/web").digest(&unsigned.digest).to_string();
    let stranger = scene.registry.repository("shop/stranger").put_image("image", Some("v1"));
    let root = SigningAuthority::new("another", Clock::System.now());
    scene.registry.repository("shop/stranger").sign(&stranger, &root.signer("stranger"));
    let (digest, tag) = (scene.by_digest(), scene.by_tag());
    let namespaced = format!("[team-a]{digest}");
    let strange = scene.registry.repository("shop/stranger").tag("v1").to_string();
    for (name, path, keys) in [
        ("good/verify/signed-digest", RATIFY_VERIFY, vec![digest.as_str()]),
        ("good/verify/namespaced", RATIFY_VERIFY, vec![&namespaced]),
        ("good/verify/unsigned", RATIFY_VERIFY, vec![&unsigned]),
        ("good/verify/empty-keys", RATIFY_VERIFY, vec![]),
        ("stranger/verify/signed-tag", RATIFY_VERIFY, vec![&strange]),
        ("good/mutate/signed-tag", MUTATE, vec![&tag]),
        ("good/mutate/empty-keys", MUTATE, vec![]),
    ] {
        let ours = scene.provider.send(&integration_tests::provider::client(), path, &keys).await.unwrap();
        let theirs = recorded(name);
        covers(name, &theirs, &ours);
        // On purpose: answered in kind, where Ratify says v1alpha1 to everyone.
        assert_eq!(ours["apiVersion"], "externaldata.gatekeeper.sh/v1beta1", "{name}");
        let pointers = ["/response/items/0/value/isSuccess", "/response/items/0/value/version", "/response/idempotent"];
        for pointer in pointers {
            if let Some(theirs) = theirs.pointer(pointer) {
                assert_eq!(ours.pointer(pointer), Some(theirs), "{name} {pointer}");
            }
        }
    }
}
