//! R101, R104, R106 to R108, R114, R115: one key never decides another's, order decides nothing, and policies hold together.

use countersign::oci::{Digest, media_type};
use integration_tests::{
    provider::VERIFY,
    registry::Reply,
    shelf::{Shelf, bare},
    sigstore::{
        bundle::BUNDLE_V03,
        legacy::{BUNDLE, CERTIFICATE, CHAIN, Layer, SIGNATURE, TIMESTAMP},
        manifest::{of_bundle, tag, tagged},
        storage::Storage,
    },
};
use serde_json::{Value, json};

use super::{Shop, broken, by_key, codes, cosign, scanned};

/// How an image of its own is malformed, or what is attached to it.
type Spoil = fn(&Shop, &str, &countersign::oci::Descriptor);

impl Shop {
    fn put_layer_of(&self, name: &str, image: &countersign::oci::Descriptor, change: impl FnOnce(&mut Layer)) {
        let mut layer = self.layer_by(&self.signer, &image.digest);
        change(&mut layer);
        self.registry.repository(name).put_sig_tag(image, &[layer]);
    }

    fn put_annotated(&self, name: &str, image: &countersign::oci::Descriptor, annotation: &str, text: &str) {
        self.put_layer_of(name, image, |layer| {
            layer.annotations.insert(annotation.to_owned(), text.to_owned());
        });
    }

    fn put_bytes_as_bundle(&self, name: &str, image: &countersign::oci::Descriptor, bytes: &[u8]) {
        self.registry.repository(name).put_bundle_as(bytes, &of_bundle(image, bytes));
    }
}

/// Everything here is a definite no.
const MALFORMED: [(&str, Spoil); 20] = [
    ("no signature in the annotation", |shop, name, image| shop.put_annotated(name, image, SIGNATURE, "")),
    ("a signature that is no base64", |shop, name, image| shop.put_annotated(name, image, SIGNATURE, "%%%%")),
    ("a signature of zeros", |shop, name, image| shop.put_annotated(name, image, SIGNATURE, "AAAAAAAA")),
    ("a certificate that is no PEM", |shop, name, image| shop.put_annotated(name, image, CERTIFICATE, "certificate")),
    ("a chain of nothing", |shop, name, image| {
        shop.put_annotated(name, image, CHAIN, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    }),
    ("an entry that is no JSON", |shop, name, image| shop.put_annotated(name, image, BUNDLE, "{")),
    ("an entry of another shape", |shop, name, image| shop.put_annotated(name, image, BUNDLE, r#"{"Payload":[]}"#)),
    ("an entry with a number past all numbers", |shop, name, image| {
        shop.put_annotated(name, image, BUNDLE, r#"{"SignedEntryTimestamp":"","Payload":{"logIndex":1e999}}"#);
    }),
    ("a timestamp that is none", |shop, name, image| shop.put_annotated(name, image, TIMESTAMP, "{}")),
    ("a payload that is not UTF-8", |shop, name, image| {
        let layer = shop.mini.base.sign(&shop.signer, vec![0xff, 0xfe, 0x00]).unwrap();
        shop.registry.repository(name).put_sig_tag(image, &[layer]);
    }),
    ("a layer without annotations", |shop, name, image| {
        let layer = shop.layer_by(&shop.signer, &image.digest);
        shop.registry.repository(name).put_blob(&layer.bytes);
        let mut manifest = tagged(&[layer]);
        manifest["layers"][0].as_object_mut().unwrap().remove("annotations");
        let tag = tag("", &image.digest, "sig");
        shop.registry.repository(name).put_document(media_type::IMAGE_MANIFEST, &manifest, Some(&tag));
    }),
    ("an index under .sig", |shop, name, image| {
        let tag = tag("", &image.digest, "sig");
        shop.registry.repository(name).put_index(&[bare(image)], Some(&tag));
    }),
    ("no layer under .sig", |shop, name, image| drop(shop.registry.repository(name).put_sig_tag(image, &[]))),
    ("a bundle that is no JSON", |shop, name, image| shop.put_bytes_as_bundle(name, image, b"bundle")),
    ("a bundle that is a list", |shop, name, image| shop.put_bytes_as_bundle(name, image, b"[]")),
    ("a bundle that is null", |shop, name, image| shop.put_bytes_as_bundle(name, image, b"null")),
    ("a bundle of brackets", |shop, name, image| {
        shop.put_bytes_as_bundle(name, image, "[".repeat(100_000).as_bytes());
    }),
    ("half a bundle", |shop, name, image| {
        let bytes = shop.bundle_by(&shop.signer, &image.digest).bytes();
        shop.put_bytes_as_bundle(name, image, &bytes[..bytes.len() / 2]);
    }),
    ("a bundle of version 99", |shop, name, image| {
        let mut bundle = shop.bundle_by(&shop.signer, &image.digest);
        bundle.media_type = bundle.media_type.replace("v0.3", "v99.9");
        shop.registry.repository(name).put_bundle(image, &bundle);
    }),
    ("a bundle's manifest that is no JSON", |shop, name, image| {
        let listed = shop.registry.repository(name).put_manifest(media_type::IMAGE_MANIFEST, b"{", None);
        let listed = super::listed(&listed, Some(BUNDLE_V03));
        let page = integration_tests::shelf::index(&[listed]).to_string();
        let path = shop.registry.repository(name).referrers_path(&image.digest);
        shop.registry.script(&path, [Reply::ok(media_type::IMAGE_INDEX, page)]);
    }),
];

// R101
#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_a_no_for_its_own_key_and_no_system_error() {
    let shop = Shop::open().await;
    let mut keys = Vec::new();
    for (number, (row, spoil)) in MALFORMED.iter().enumerate() {
        for (name, is_bad) in [(format!("shop/good-{number}"), false), (format!("shop/bad-{number}"), true)] {
            let repository = shop.registry.repository(&name);
            let image = repository.put_image(&name, None);
            if is_bad {
                spoil(&shop, &name, &image);
            } else {
                repository.put_sig_tag(&image, &[shop.layer_by(&shop.signer, &image.digest)]);
            }
            keys.push((row, is_bad, repository.digest(&image.digest).to_string()));
        }
    }
    // And keys that name nothing at all.
    let missing = shop.repository().digest(&Digest::sha256(b"missing")).to_string();
    for (row, key) in [("no such image", missing.as_str()), ("no reference", "::"), ("an empty key", "")] {
        keys.push((Box::leak(Box::new(row)), true, key.to_owned()));
    }
    let asked: Vec<&str> = keys.iter().map(|(_, _, key)| key.as_str()).collect();
    let answer = shop.start().await.ask(VERIFY, &asked).await;
    assert_eq!(answer["systemError"].as_str().unwrap_or_default(), "", "R101");
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), keys.len(), "R101: an item a key");
    for ((row, is_bad, key), item) in keys.iter().zip(items) {
        assert_eq!(item["key"], *key, "R115: in order");
        let code = item["value"]["code"].as_str().unwrap();
        assert_eq!(item["value"]["isSuccess"], !is_bad, "R101 {row}: {code}");
        assert!(!["INTERNAL", "TIMEOUT"].contains(&code), "R101 {row}: {code}");
        assert_eq!(code == "VERIFIED", !is_bad, "R101 {row}: {code}");
    }
}

// R101, R14: each beside a good signature of the same image takes nothing away
#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_hides_no_good_item_of_its_own_image() {
    let shop = Shop::open().await;
    let mut keys = Vec::new();
    for (number, (row, spoil)) in MALFORMED.iter().enumerate() {
        let name = format!("shop/both-{number}");
        let repository = shop.registry.repository(&name);
        let image = repository.put_image(&name, None);
        spoil(&shop, &name, &image);
        let tagged = shop.registry.repository(&name).manifest_path(&tag("", &image.digest, "sig"));
        if row.contains("bundle") {
            repository.put_sig_tag(&image, &[shop.layer_by(&shop.signer, &image.digest)]);
        } else {
            repository.put_bundle(&image, &shop.bundle_by(&shop.signer, &image.digest));
        }
        keys.push((row, repository.digest(&image.digest).to_string(), tagged));
    }
    let asked: Vec<&str> = keys.iter().map(|(_, key, _)| key.as_str()).collect();
    let answer = shop.start().await.ask(VERIFY, &asked).await;
    for ((row, _, _), item) in keys.iter().zip(answer["items"].as_array().unwrap()) {
        assert_eq!(item["value"]["code"], "VERIFIED", "R14 {row}: {}", item["value"]["message"]);
    }
}

/// All orders of some things.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.len() < 2 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for at in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(at);
        all.extend(orders(&rest).into_iter().map(|rest| [vec![first.clone()], rest].concat()));
    }
    all
}

// R108
#[tokio::test(flavor = "multi_thread")]
async fn neither_order_nor_repetition_changes_the_decision() {
    let shop = Shop::open().await;
    let moved = shop.layer_by(&shop.signer, &Digest::sha256(b"another"));
    let unread = shop.mini.base.sign(&shop.signer, b"no payload".to_vec()).unwrap();
    let mut unknown = shop.layer();
    unknown.media_type = "text/plain".to_owned();
    let mut bare = shop.layer();
    bare.annotations.insert(SIGNATURE.to_owned(), "%".to_owned());
    let bad = [broken(shop.layer_with(&json!({ "n": 1 }))), unread, unknown, bare];
    let code_of = async |layers: &[Layer]| {
        shop.repository().put_sig_tag(&shop.image, layers);
        shop.code().await
    };
    // Also of such as fail the same check, each with a code of its own.
    for several in [&bad[..], &bad[1..]] {
        let mut no: Option<String> = None;
        for order in orders(several) {
            let code = code_of(&order).await;
            assert_eq!(*no.get_or_insert_with(|| code.clone()), code, "R108, R112: one code, whatever the order");
            assert_ne!(code, "VERIFIED", "R108");
        }
    }
    for order in orders(&[bad[0].clone(), moved.clone(), shop.layer()]) {
        assert_eq!(code_of(&order).await, "VERIFIED", "R108");
        assert_eq!(code_of(&[order.clone(), order].concat()).await, "VERIFIED", "R108: everything twice");
    }
    for order in orders(&[bad[0].clone(), moved]) {
        assert_eq!(code_of(&order).await, "SUBJECT_MISMATCH", "R108: the nearest miss");
    }
}

// R114
#[tokio::test(flavor = "multi_thread")]
async fn tag_and_digest_of_one_image_have_one_verdict() {
    type Put = fn(&Shop);
    let rows: [(&str, Put); 4] = [
        ("unsigned", |_| {}),
        ("signed", |shop| drop(shop.repository().put_sig_tag(&shop.image, &[shop.layer()]))),
        ("bundle", |shop| drop(shop.repository().put_bundle(&shop.image, &shop.bundle()))),
        ("broken", |shop| drop(shop.repository().put_sig_tag(&shop.image, &[broken(shop.layer())]))),
    ];
    for (row, put) in rows {
        let shop = Shop::open().await;
        put(&shop);
        let both = format!("{}@{}", shop.by_tag(), shop.image.digest);
        let mut told = Vec::new();
        for key in [shop.by_tag(), shop.by_digest(), both] {
            let mut value = shop.start().await.value(&key).await;
            for member in ["traceID", "timestamp"] {
                value.as_object_mut().unwrap().remove(member);
            }
            told.push(value);
        }
        assert_eq!(told[0], told[1], "R114 {row}");
        assert_eq!(told[1], told[2], "R114 {row}");
    }
}

// R115
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_any_size_has_a_bounded_and_ordered_answer() {
    let mut shop = Shop::open().await;
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    let provider = shop.start().await;
    let answer = provider.ask(VERIFY, &[]).await;
    let said = answer["systemError"].as_str().unwrap_or_default();
    assert_eq!((answer["items"].as_array().map_or(0, Vec::len), said), (0, ""), "R115 none");
    let many: Vec<String> = (0..10_000).map(|number| format!("::{number}")).collect();
    let keys: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = provider.ask(VERIFY, &keys).await;
    let said = answer["systemError"].as_str().unwrap();
    assert!(said.contains("TOO_MANY_KEYS"), "R115 10,000 keys: {said}");
    assert_eq!(answer["items"].as_array().map_or(0, Vec::len), 0);
    // As many as the limit are answered, in order, ours among them.
    shop.configuration["limits"]["keys"] = json!(10_000);
    shop.configuration["limits"]["replyBytes"] = json!(32 << 20);
    let own = shop.by_digest();
    let mut keys = keys;
    keys[5_000] = &own;
    let answer = shop.start().await.ask(VERIFY, &keys).await;
    assert_eq!(answer["systemError"].as_str().unwrap_or_default(), "", "R115");
    let items = answer["items"].as_array().unwrap();
    assert!(items.iter().map(|item| item["key"].as_str().unwrap()).eq(keys.iter().copied()), "R115: in order");
    let good: Vec<usize> = (0..items.len()).filter(|at| items[*at]["value"]["isSuccess"] == true).collect();
    assert_eq!(good, [5_000], "R115");
    // Empty texts and repetitions.
    let answer = provider.ask(VERIFY, &["", &own, ""]).await;
    let said: Vec<_> = answer["items"].as_array().unwrap().iter().map(|item| &item["value"]["code"]).collect();
    assert!(said.iter().all(|code| ["REF_INVALID", "VERIFIED"].contains(&code.as_str().unwrap())), "R115: {said:?}");
}

/// A policy for a scope.
fn policy(scope: &str, require: &str) -> Value {
    json!({ "scopes": [scope], "require": require })
}

// R104
#[tokio::test(flavor = "multi_thread")]
async fn policies_that_tie_must_all_hold_and_one_of_a_policys_keys_is_enough() {
    let mut shop = Shop::open().await;
    let host = shop.registry.host();
    let stranger = shop.stranger();
    let mut by_stranger = by_key();
    by_stranger["keys"] = json!([{ "pem": stranger.key.pem() }]);
    let verifiers = [cosign("ours", &by_key()), cosign("theirs", &by_stranger)];
    shop.verifiers(&verifiers, &json!("ours"));
    let (left, right) = (format!("{host}/shop/w*"), format!("{host}/shop/*b"));
    let tie = json!([policy(&left, "ours"), policy(&right, "theirs")]);
    let narrow = json!([policy("**", "theirs"), policy(&format!("{host}/shop/web"), "ours")]);
    let (ours, theirs) = (shop.layer(), shop.layer_of(&stranger, &json!({ "by": "stranger" })));
    for (row, policies, layers, is_yes) in [
        ("both signed, both are asked", &tie, vec![ours.clone(), theirs.clone()], true),
        ("one signed, both are asked", &tie, vec![ours.clone()], false),
        ("the other signed, both are asked", &tie, vec![theirs.clone()], false),
        ("the narrower policy decides alone", &narrow, vec![ours.clone()], true),
        ("the wider policy is not asked", &narrow, vec![theirs.clone()], false),
    ] {
        shop.configuration["policies"] = policies.clone();
        shop.repository().put_sig_tag(&shop.image, &layers);
        let value = shop.value().await;
        assert_eq!(value["isSuccess"], is_yes, "R104 {row}: {}", value["message"]);
    }
    // The same inside a verifier: trust policies of scopes that tie must both hold, over one and the same signature.
    let mut either = by_key();
    either["keys"] = json!([{ "file": "cosign.pub" }, { "pem": stranger.key.pem() }]);
    either["scopes"] = json!([left]);
    for (row, second, layer, is_yes) in [
        ("both trust the key", by_key(), &ours, true),
        ("only one trusts the key", by_key(), &theirs, false),
        ("only the other trusts the key", by_stranger, &ours, false),
    ] {
        let mut second = second;
        second["scopes"] = json!([right]);
        second["name"] = json!("second");
        let verifier = json!({ "name": "ours", "type": "cosign", "trustPolicies": [either, second] });
        shop.verifiers(&[verifier], &json!("ours"));
        shop.repository().put_sig_tag(&shop.image, std::slice::from_ref(layer));
        let value = shop.value().await;
        assert_eq!(value["isSuccess"], is_yes, "R104 {row}: {}", value["message"]);
    }
}

// R107, R103
#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_matched_by_parsed_names() {
    let mut shop = Shop::open().await;
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    let host = shop.registry.host();
    let port = shop.registry.port();
    for (scope, covers) in [
        ("**".to_owned(), true),
        (format!("{host}/**"), true),
        (format!("{host}/shop/**"), true),
        (format!("{host}/shop/*"), true),
        (format!("{host}/shop/web"), true),
        (format!("{host}/**/web"), true),
        (format!("{host}/shop/w*b"), true),
        (format!("{host}/*"), false),
        (format!("{host}/shop"), false),
        (format!("{host}/shop/we"), false),
        (format!("{host}/shop/web2"), false),
        (format!("{host}/shop/web/*"), false),
        (format!("{host}/hop/web"), false),
        ("127.0.0.1/**".to_owned(), false),
        (format!("127.0.0.1:{}/**", if port == 1 { 2 } else { port - 1 }), false),
        ("docker.io/**".to_owned(), false),
        ("shop/web".to_owned(), false),
    ] {
        shop.verifiers(&[cosign("cosign", &by_key())], &json!("cosign"));
        shop.configuration["policies"][0]["scopes"] = json!([scope]);
        let code = if covers { "VERIFIED" } else { "NO_POLICY" };
        for key in [shop.by_digest(), shop.by_tag()] {
            assert_eq!(shop.start().await.code(&key).await, code, "R107 policy {scope}");
        }
        let mut trust_policy = by_key();
        trust_policy["scopes"] = json!([scope]);
        shop.verifiers(&[cosign("cosign", &trust_policy)], &json!("cosign"));
        let code = if covers { "VERIFIED" } else { "NO_TRUST_POLICY" };
        assert_eq!(shop.code().await, code, "R107 trust policy {scope}");
    }
}

// R106
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_without_evidence_is_shown_as_one() {
    let mut shop = Shop::open().await;
    let say = |action: &str| json!({ "static": { "action": action, "message": "the old shop, until July" } });
    let verifiers = [cosign("cosign", &by_key()), scanned("scanned", &by_key())];
    for (row, require, code, warned) in [
        ("pass", say("pass"), "STATIC_PASS", true),
        ("fail", say("fail"), "STATIC_FAIL", false),
        ("signed or passed", json!({ "any": ["cosign", say("pass")] }), "STATIC_PASS", true),
        ("signed or failed", json!({ "any": ["cosign", say("fail")] }), "", false),
        ("signed and passed", json!({ "all": ["cosign", say("pass")] }), "NO_SIGNATURE", false),
    ] {
        shop.verifiers(&verifiers, &require);
        shop.registry.forget_calls();
        let provider = shop.start().await;
        let value = provider.value(&shop.by_digest()).await;
        let is_yes = row == "pass" || row == "signed or passed";
        assert_eq!(value["isSuccess"], is_yes, "R106 {row}: {value}");
        if !code.is_empty() {
            assert_eq!(value["code"], code, "R106 {row}: {value}");
        }
        if row == "pass" {
            assert_ne!(value["code"], "VERIFIED", "R106: nothing was verified: {value}");
            assert_eq!(codes(&value), Vec::<&str>::new(), "R106: nobody has a word");
        }
        let metrics = provider.admin("/metrics").await.1;
        let is_counted = |line: &str| line.starts_with("countersign_keys") && line.contains("\"STATIC_PASS\"");
        assert_eq!(metrics.lines().any(is_counted), is_yes, "R106 {row}: counted as such: {metrics}");
        let said = value["warnings"].to_string().contains("admitted without evidence");
        assert_eq!(said, warned, "R106 {row}: {value}");
        let has_message = value.to_string().contains("the old shop, until July");
        assert_eq!(has_message, warned || row.contains("fail"), "R106 {row}: {value}");
        if !row.contains("signed") {
            assert_eq!(shop.registry.calls_to("/referrers/"), 0, "R106 {row}: no evidence is looked for");
        }
    }
    // With evidence the word is not needed, and not said.
    shop.verifiers(&verifiers, &json!({ "any": ["cosign", say("pass")] }));
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    let value = shop.value().await;
    assert_eq!((&value["code"], &value["warnings"]), (&json!("VERIFIED"), &Value::Null), "R106: {value}");
}
