//! What the registry is asked for a signature, cold and warm; and that nothing is looked for that no policy could use.

use integration_tests::{
    registry::Call,
    shelf::Shelf,
    sigstore::{manifest::tag, storage::Storage},
};
use serde_json::{Value, json};

use super::{Shop, by_key, cosign, scanned};

impl Shop {
    /// What was asked for, sorted: `subject`, `listing`, `.sig`, `.att`, `manifest` (of a referrer), `blob`.
    fn asked(&self) -> Vec<&'static str> {
        let digest = self.image.digest.to_string();
        let kind = |call: &Call| {
            assert_eq!(call.method, "GET", "{call:?}");
            let last = call.path().rsplit('/').next().unwrap();
            match () {
                () if call.path().contains("/referrers/") && last == digest => "listing",
                () if call.path().contains("/blobs/sha256:") => "blob",
                () if call.path().contains("/manifests/") && last == digest => "subject",
                () if last == tag("", &self.image.digest, "sig") => ".sig",
                () if last == tag("", &self.image.digest, "att") => ".att",
                () if call.path().contains("/manifests/sha256:") => "manifest",
                () => panic!("nobody needs {call:?}"),
            }
        };
        let mut asked: Vec<_> = self.registry.calls().iter().map(kind).collect();
        asked.sort_unstable();
        asked
    }
}

fn with(mut verifier: Value, member: &str, value: Value) -> Value {
    verifier[member] = value;
    verifier
}

/// The configuration's own notation verifier.
fn notary() -> Value {
    integration_tests::provider::configuration([])["verifiers"][0].clone()
}

// Limits and figures: `.sig` 1 manifest + 1 blob a layer, bundle manifest + blob, beside the subject's own and the listing
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_image_costs_only_what_its_evidence_needs_and_a_warm_one_nothing() {
    type Put = fn(&Shop);
    let rows: [(&str, Put, &[&str]); 7] = [
        ("unsigned", |_| {}, &[".sig", "listing", "subject"]),
        (
            "one layer under .sig",
            |shop| drop(shop.repository().put_sig_tag(&shop.image, &[shop.layer()])),
            &[".sig", "blob", "listing", "subject"],
        ),
        (
            "three layers under .sig",
            |shop| {
                // Three signatures by one key over one payload: one blob. So three payloads.
                let layers: Vec<_> = (0..3).map(|number| shop.layer_with(&json!({ "number": number }))).collect();
                shop.repository().put_sig_tag(&shop.image, &layers);
            },
            &[".sig", "blob", "blob", "blob", "listing", "subject"],
        ),
        (
            "one bundle",
            |shop| drop(shop.repository().put_bundle(&shop.image, &shop.bundle())),
            &[".sig", "blob", "listing", "manifest", "subject"],
        ),
        (
            "a .sig and a bundle",
            |shop| {
                shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
                shop.repository().put_bundle(&shop.image, &shop.bundle());
            },
            &[".sig", "blob", "blob", "listing", "manifest", "subject"],
        ),
        (
            "the classic payload as a referrer",
            |shop| drop(shop.repository().put_sig_referrer(&shop.image, &[shop.layer()])),
            &[".sig", "blob", "listing", "manifest", "subject"],
        ),
        (
            "attestations and a notation signature, which are not its matter",
            |shop| {
                shop.repository().put_att_tag(&shop.image, &[shop.attested(&shop.scan())]);
                shop.repository().put_att_referrer(&shop.image, &[shop.attested(&shop.scan())]);
                shop.repository().sign(&shop.image, &shop.stage.authority.signer("signer"));
            },
            &[".sig", "listing", "subject"],
        ),
    ];
    for (row, put, expected) in rows {
        let shop = Shop::open().await;
        put(&shop);
        let provider = shop.start().await;
        let cold = provider.code(&shop.by_digest()).await;
        assert_eq!(shop.asked(), expected, "{row}: cold");
        shop.registry.forget_calls();
        assert_eq!(provider.code(&shop.by_digest()).await, cold, "{row}: warm");
        assert_eq!(shop.asked(), Vec::<&str>::new(), "{row}: warm");
        // By tag: the tag, and nothing else.
        assert_eq!(provider.code(&shop.by_tag()).await, cold, "{row}: warm by tag");
        let asked: Vec<_> = shop.registry.calls().iter().map(|call| call.path().to_owned()).collect();
        assert_eq!(asked, [shop.repository().manifest_path(&"v1")], "{row}: warm by tag");
    }
}

// Shapes that no policy could use are not looked for
#[tokio::test(flavor = "multi_thread")]
async fn what_no_policy_could_use_is_not_looked_for() {
    let keyed = cosign("cosign", &by_key());
    let scans = scanned("scanned", &by_key());
    let elsewhere = {
        let mut trust_policy = by_key();
        trust_policy["scopes"] = json!(["elsewhere.example.com/**"]);
        cosign("cosign", &trust_policy)
    };
    for (row, verifiers, require, expected) in [
        ("cosign, any format", json!([keyed]), json!("cosign"), &[".sig", "listing", "subject"][..]),
        (
            "cosign, bundles only",
            json!([with(keyed.clone(), "signatureFormat", json!("bundle"))]),
            json!("cosign"),
            &["listing", "subject"],
        ),
        (
            "cosign, legacy only: the classic payload may be a referrer",
            json!([with(keyed.clone(), "signatureFormat", json!("legacy"))]),
            json!("cosign"),
            &[".sig", "listing", "subject"],
        ),
        ("attestations, any format", json!([scans]), json!("scanned"), &[".att", "listing", "subject"]),
        (
            "attestations, bundles only",
            json!([with(scans.clone(), "signatureFormat", json!("bundle"))]),
            json!("scanned"),
            &["listing", "subject"],
        ),
        ("notation", json!([notary()]), json!("notary"), &["listing", "subject"]),
        (
            "cosign is configured, the policy asks notation only",
            json!([notary(), keyed, scans]),
            json!("notary"),
            &["listing", "subject"],
        ),
        (
            "cosign and notation list once",
            json!([notary(), keyed]),
            json!({ "any": ["notary", "cosign"] }),
            &[".sig", "listing", "subject"],
        ),
        (
            "cosign, attestations and notation list once",
            json!([notary(), keyed, scans]),
            json!({ "all": ["notary", "cosign", "scanned"] }),
            &[".att", ".sig", "listing", "subject"],
        ),
        (
            "two cosign verifiers look once",
            json!([keyed, cosign("other", &by_key())]),
            json!({ "any": ["cosign", "other"] }),
            &[".sig", "listing", "subject"],
        ),
        ("cosign trusts nobody here", json!([elsewhere]), json!("cosign"), &["subject"]),
    ] {
        let mut shop = Shop::open().await;
        shop.verifiers(verifiers.as_array().unwrap(), &require);
        let code = shop.code().await;
        assert_ne!(code, "VERIFIED", "{row}");
        assert_eq!(shop.asked(), expected, "{row}: {code}");
    }
}

// One `.sig` with a layer for each of three verifiers, and a notation signature beside it: each thing is fetched once
#[tokio::test(flavor = "multi_thread")]
async fn verifiers_that_look_at_the_same_place_share_what_is_found() {
    let mut shop = Shop::open().await;
    let verifiers = [notary(), cosign("a", &by_key()), cosign("b", &by_key()), cosign("c", &by_key())];
    shop.verifiers(&verifiers, &json!({ "all": ["notary", "a", "b", "c"] }));
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    shop.repository().sign(&shop.image, &shop.stage.authority.signer("signer"));
    assert_eq!(shop.code().await, "VERIFIED");
    assert_eq!(shop.asked(), [".sig", "blob", "blob", "listing", "manifest", "subject"]);
}

// `.sig`, subject and listing are asked side by side
#[tokio::test(flavor = "multi_thread")]
async fn the_first_three_questions_do_not_wait_for_each_other() {
    let shop = Shop::open().await;
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    let provider = shop.start().await;
    let before = shop.registry.arrivals();
    shop.registry.hold();
    let key = shop.by_digest();
    let asking = tokio::spawn(async move { provider.code(&key).await });
    shop.registry.arrived(before + 3).await;
    assert_eq!(shop.asked(), [".sig", "listing", "subject"]);
    shop.registry.release();
    assert_eq!(asking.await.unwrap(), "VERIFIED");
    assert_eq!(shop.asked(), [".sig", "blob", "listing", "subject"]);
}
