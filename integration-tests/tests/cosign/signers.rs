//! R65, COS-12: how many have signed, and when two signatures are one signer's.

use integration_tests::sigstore::{signer::Signer, storage::Storage};
use serde_json::{Value, json};

use super::{ISSUER, SUBJECT, Shop, by_identity, by_key, cosign};

/// Three verifiers, each with a key of its own.
fn three(shop: &mut Shop, at_least: usize) -> [Signer; 3] {
    let names = ["build", "qa", "security"];
    let signers = names.map(|name| Signer::of_key(shop.mini.base.key(name).unwrap()));
    let verifiers: Vec<Value> = names
        .iter()
        .zip(&signers)
        .map(|(name, signer)| {
            let mut trust_policy = by_key();
            trust_policy["keys"] = json!([{ "pem": signer.key.pem() }]);
            cosign(name, &trust_policy)
        })
        .collect();
    shop.verifiers(&verifiers, &json!({ "atLeast": at_least, "of": names }));
    signers
}

// R65
#[tokio::test(flavor = "multi_thread")]
async fn k_of_n_counts_distinct_keys_over_the_layers_of_one_tag() {
    for (row, wanted, by, code) in [
        ("two of three", 2, &[0, 1][..], "VERIFIED"),
        ("two of three, the others", 2, &[2, 1], "VERIFIED"),
        ("three of two wanted", 2, &[0, 1, 2], "VERIFIED"),
        ("one of two wanted", 2, &[0], "POLICY_UNSATISFIED"),
        ("one twice", 2, &[0, 0], "POLICY_UNSATISFIED"),
        ("one three times", 2, &[1, 1, 1], "POLICY_UNSATISFIED"),
        ("one twice, and another", 2, &[1, 1, 2], "VERIFIED"),
        ("three of three", 3, &[0, 1, 2], "VERIFIED"),
        ("two of three wanted", 3, &[0, 1], "POLICY_UNSATISFIED"),
        ("two of three wanted, one twice", 3, &[0, 1, 1], "POLICY_UNSATISFIED"),
    ] {
        for referrers in [false, true] {
            let mut shop = Shop::open().await;
            let signers = three(&mut shop, wanted);
            let layer =
                |(number, signer): (usize, &usize)| shop.layer_of(&signers[*signer], &json!({ "number": number }));
            let layers: Vec<_> = by.iter().enumerate().map(layer).collect();
            if referrers {
                for layer in layers {
                    shop.repository().put_sig_referrer(&shop.image, &[layer]);
                }
            } else {
                shop.repository().put_sig_tag(&shop.image, &layers);
            }
            let value = shop.value().await;
            assert_eq!(value["code"], code, "R65 {row}, as referrers {referrers}: {}", value["message"]);
        }
    }
}

// R65: one payload that all sign is one blob with a layer each, and still as many signers
#[tokio::test(flavor = "multi_thread")]
async fn three_layers_of_the_same_bytes_are_three_signatures() {
    for (row, wanted, by, code) in [
        ("three keys", 3, &[0, 1, 2][..], "VERIFIED"),
        ("two keys, one of them twice", 3, &[0, 1, 1], "POLICY_UNSATISFIED"),
        ("one key twice", 2, &[0, 0], "POLICY_UNSATISFIED"),
    ] {
        let mut shop = Shop::open().await;
        let signers = three(&mut shop, wanted);
        let layers: Vec<_> = by.iter().map(|signer| shop.layer_by(&signers[*signer], &shop.image.digest)).collect();
        assert!(layers.iter().all(|layer| layer.bytes == layers[0].bytes), "{row}");
        shop.repository().put_sig_tag(&shop.image, &layers);
        let value = shop.value().await;
        assert_eq!(value["code"], code, "R65 {row}: {}", value["message"]);
    }
}

// R65
#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_are_is_no_configuration() {
    let mut shop = Shop::open().await;
    three(&mut shop, 4);
    let fault = shop.fault().await;
    assert!(fault.contains("atLeast"), "R65 4 of 3: {fault}");
    three(&mut shop, 3);
    shop.start().await;
}

// R65: the same key under two verifiers' names is one signer
#[tokio::test(flavor = "multi_thread")]
async fn one_key_under_two_names_counts_once() {
    let mut shop = Shop::open().await;
    let both = json!({ "atLeast": 2, "of": ["one", "two"] });
    shop.verifiers(&[cosign("one", &by_key()), cosign("two", &by_key())], &both);
    shop.repository().put_sig_tag(&shop.image, &[shop.layer(), shop.layer_with(&json!({ "again": 1 }))]);
    shop.repository().put_bundle(&shop.image, &shop.bundle());
    assert_eq!(shop.code().await, "POLICY_UNSATISFIED", "R65: the same key in every shape");
    let other = shop.stranger();
    let mut trust_policy = by_key();
    trust_policy["keys"] = json!([{ "file": "cosign.pub" }, { "pem": other.key.pem() }]);
    shop.verifiers(&[cosign("one", &by_key()), cosign("two", &trust_policy)], &both);
    assert_eq!(shop.code().await, "POLICY_UNSATISFIED", "R65: a wider list adds nobody");
    shop.repository().put_bundle(&shop.image, &shop.bundle_by(&other, &shop.image.digest));
    assert_eq!(shop.code().await, "VERIFIED", "R65: two keys");
}

// Keyless: a signer is an issuer and a subject; patterns that match one of them add nothing
#[tokio::test(flavor = "multi_thread")]
async fn keyless_signers_are_distinct_by_issuer_and_subject() {
    let nightly = "https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/main";
    let mut by_pattern = by_identity();
    by_pattern["identities"] = json!([{ "issuer": ISSUER, "subjectRegExp": "https://github.com/acme/.*" }]);
    for (row, by, code) in [
        ("one workflow", &[SUBJECT][..], "POLICY_UNSATISFIED"),
        ("one workflow twice, with two certificates", &[SUBJECT, SUBJECT], "POLICY_UNSATISFIED"),
        ("two workflows", &[SUBJECT, nightly], "VERIFIED"),
        ("two that the narrow verifier does not know", &[nightly, nightly], "POLICY_UNSATISFIED"),
    ] {
        let mut shop = Shop::open().await;
        let verifiers = [cosign("narrow", &by_identity()), cosign("wide", &by_pattern)];
        shop.verifiers(&verifiers, &json!({ "atLeast": 2, "of": ["narrow", "wide"] }));
        for (number, subject) in by.iter().enumerate() {
            let mut leaf = shop
                .mini
                .base
                .leaf(integration_tests::sigstore::certificate::Name::Uri((*subject).to_owned()), ISSUER)
                .unwrap();
            leaf.key = shop.mini.base.key(&format!("ephemeral {number}")).unwrap();
            leaf.serial += u64::try_from(number).unwrap();
            let signer = shop.mini.base.issue(&leaf).unwrap();
            shop.repository().put_bundle(&shop.image, &shop.bundle_by(&signer, &shop.image.digest));
        }
        let value = shop.value().await;
        assert_eq!(value["code"], code, "{row}: {}", value["message"]);
    }
}

// One signature is one signature: under a key and under a certificate of that key, and copied to another layer
#[tokio::test(flavor = "multi_thread")]
async fn one_signature_known_by_key_and_by_certificate_counts_once() {
    let mut shop = Shop::open().await;
    let workflow = shop.workflow(SUBJECT);
    let mut by_its_key = by_key();
    by_its_key["keys"] = json!([{ "pem": workflow.key.pem() }, { "pem": shop.stranger().key.pem() }]);
    by_its_key["ignoreTlog"] = json!(true);
    let verifiers = [cosign("keyless", &by_identity()), cosign("keyed", &by_its_key)];
    let (layer, other) =
        (shop.layer_by(&workflow, &shop.image.digest), shop.layer_of(&workflow, &json!({ "more": 1 })));
    let by_another = shop.layer_of(&shop.stranger(), &json!({ "by": "another" }));
    let mut copied = layer.clone();
    copied.annotations.insert("one".to_owned(), "more".to_owned());
    let mut bare = layer.clone();
    bare.certificate = None;
    for (row, layers, code) in [
        ("one layer", vec![layer.clone()], "POLICY_UNSATISFIED"),
        ("the layer twice", vec![layer.clone(), layer.clone()], "POLICY_UNSATISFIED"),
        ("the layer with another annotation", vec![layer.clone(), copied], "POLICY_UNSATISFIED"),
        ("the layer without its certificate", vec![layer.clone(), bare], "POLICY_UNSATISFIED"),
        // The first has shown that key and certificate are one and the same signer's.
        ("a second signature of both", vec![layer.clone(), other], "POLICY_UNSATISFIED"),
        ("a key of somebody else's beside it", vec![layer, by_another], "VERIFIED"),
    ] {
        shop.verifiers(&verifiers, &json!({ "all": ["keyless", "keyed"] }));
        shop.repository().put_sig_tag(&shop.image, &layers);
        assert_eq!(shop.code().await, "VERIFIED", "R65 {row}: each for itself");
        shop.verifiers(&verifiers, &json!({ "atLeast": 2, "of": ["keyless", "keyed"] }));
        assert_eq!(shop.code().await, code, "R65 {row}");
    }
}
