//! R6 to R13: what a list says, what the manifest says, and where else evidence may be.

use countersign::oci::{Descriptor, media_type};
use integration_tests::{
    registry::{Access, FakeRegistry, Reply, basic},
    shelf::{JWS, Shelf, bare, index},
    sigstore::{
        bundle::BUNDLE_V03,
        legacy::Layer,
        manifest::{EMPTY, SIGNATURE_ARTIFACT, of_bundle, tag, tagged},
        storage::Storage,
    },
};
use serde_json::{Value, json};

use super::{Shop, broken_bundle, codes, listed};

const SPDX: &str = "application/spdx+json";

impl Shop {
    /// Lists exactly these, whatever is there.
    fn list(&self, referrers: &[Descriptor]) {
        let page = Reply::ok(media_type::IMAGE_INDEX, index(referrers).to_string());
        self.registry.script(&self.repository().referrers_path(&self.image.digest), [page]);
    }

    /// A good bundle, under a manifest with something changed.
    fn put_changed(&self, change: impl FnOnce(&mut Value)) -> Descriptor {
        let bundle = self.bundle().bytes();
        let mut manifest = of_bundle(&self.image, &bundle);
        change(&mut manifest);
        self.repository().put_bundle_as(&bundle, &manifest)
    }
}

fn without(manifest: &mut Value, member: &str) {
    manifest.as_object_mut().unwrap().remove(member);
}

// R6
#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_decides_and_not_what_the_list_says_of_it() {
    type Change = fn(&mut Value);
    let same: Change = |_| {};
    let no_type: Change = |manifest| without(manifest, "artifactType");
    let other_version: Change = |manifest| {
        manifest["artifactType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.2");
    };
    let spdx: Change = |manifest| {
        manifest["artifactType"] = json!(SPDX);
        manifest["layers"][0]["mediaType"] = json!(SPDX);
    };
    let spdx_layer: Change = |manifest| {
        without(manifest, "artifactType");
        manifest["layers"][0]["mediaType"] = json!(SPDX);
    };
    for (row, listed_as, change, code) in [
        ("listed truly", Some(BUNDLE_V03), same, "VERIFIED"),
        ("listed as empty", Some(EMPTY), same, "VERIFIED"),
        ("listed without a type", None, same, "VERIFIED"),
        ("listed as empty, a manifest without a type", Some(EMPTY), no_type, "VERIFIED"),
        ("listed without a type, a manifest without a type", None, no_type, "VERIFIED"),
        (
            "another version's type",
            Some("application/vnd.dev.sigstore.bundle+json;version=0.2"),
            other_version,
            "VERIFIED",
        ),
        ("listed as something else", Some(SPDX), same, "NO_SIGNATURE"),
        ("listed as a bundle, is something else", Some(BUNDLE_V03), spdx, "ARTIFACT_TYPE_MISMATCH"),
        ("listed as empty, is something else", Some(EMPTY), spdx_layer, "NO_SIGNATURE"),
        ("listed without a type, is something else", None, spdx, "NO_SIGNATURE"),
    ] {
        let shop = Shop::open().await;
        let bundle = shop.put_changed(change);
        shop.list(&[listed(&bundle, listed_as)]);
        assert_eq!(shop.code().await, code, "R6 {row}");
    }
}

// R7
#[tokio::test(flavor = "multi_thread")]
async fn a_referrer_of_another_subject_is_none_of_this_one() {
    type Change = fn(&Shop, &mut Value);
    let rows: [(&str, Change, &str); 4] = [
        ("this image", |_, _| {}, "VERIFIED"),
        (
            "another image",
            |shop, manifest| manifest["subject"] = json!(bare(&shop.repository().put_image("another", None))),
            "SUBJECT_MISMATCH",
        ),
        ("no subject", |_, manifest| without(manifest, "subject"), "SUBJECT_MISMATCH"),
        // The digest decides; size and type of an unsigned claim add nothing to it.
        ("this digest, another size", |_, manifest| manifest["subject"]["size"] = json!(1), "VERIFIED"),
    ];
    for (row, change, code) in rows {
        let shop = Shop::open().await;
        let bundle = shop.put_changed(|manifest| change(&shop, manifest));
        shop.list(&[listed(&bundle, Some(BUNDLE_V03))]);
        assert_eq!(shop.code().await, code, "R7 {row}");
        let good = shop.put_changed(|manifest| manifest["annotations"] = json!({ "one": "more" }));
        shop.list(&[listed(&bundle, Some(BUNDLE_V03)), listed(&good, Some(BUNDLE_V03))]);
        assert_eq!(shop.code().await, "VERIFIED", "R7 {row}, beside a good one");
    }
}

// R8
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_one_layer_and_a_bad_one_hides_no_good_one() {
    type Change = fn(&mut Value);
    let rows: [(&str, Change, &str); 4] = [
        ("no layer", |manifest| manifest["layers"] = json!([]), "has 0 layers"),
        (
            "a layer of another type",
            |manifest| manifest["layers"][0]["mediaType"] = json!(SPDX),
            "the bundle's layer has the media type",
        ),
        (
            "the layer twice",
            |manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"] = json!([layer, layer]);
            },
            "has 2 layers",
        ),
        (
            "a layer of another type beside it",
            |manifest| {
                let mut other = manifest["layers"][0].clone();
                other["mediaType"] = json!(SPDX);
                manifest["layers"] = json!([other, manifest["layers"][0]]);
            },
            "has 2 layers",
        ),
    ];
    for (row, change, says) in rows {
        let shop = Shop::open().await;
        let bad = shop.put_changed(change);
        let value = shop.value().await;
        assert_eq!(value["code"], "BAD_MANIFEST", "R8 {row}: {value}");
        assert!(value.to_string().contains(says), "R8 {row}: {value}");
        let good = shop.repository().put_bundle(&shop.image, &shop.bundle());
        for order in [[&bad, &good], [&good, &bad]] {
            shop.list(&order.map(|one| listed(one, Some(BUNDLE_V03))));
            let value = shop.value().await;
            assert_eq!(value["code"], "VERIFIED", "R8 {row}");
            let mut told = codes(&value);
            told.sort_unstable();
            assert_eq!(told, ["BAD_MANIFEST", "VERIFIED"], "R8 {row}: it is told all the same");
        }
    }
}

// R9
#[tokio::test(flavor = "multi_thread")]
async fn referrers_of_other_tools_are_not_even_opened() {
    let shop = Shop::open().await;
    let notation = shop.repository().sign(&shop.image, &shop.stage.authority.signer("signer"));
    let junk = shop.repository().put_signature(&shop.image, JWS, b"junk");
    let sbom = shop.put_changed(|manifest| manifest["artifactType"] = json!(SPDX));
    assert_eq!(shop.code().await, "NO_SIGNATURE", "R9");
    shop.repository().put_bundle(&shop.image, &shop.bundle());
    shop.registry.forget_calls();
    let value = shop.value().await;
    assert_eq!((codes(&value), &value["warnings"]), (vec!["VERIFIED"], &Value::Null), "R9: {value}");
    for referrer in [notation, junk, sbom] {
        assert_eq!(shop.registry.calls_to(&referrer.digest.to_string()), 0, "R9");
    }
}

// R10
#[tokio::test(flavor = "multi_thread")]
async fn signatures_may_be_elsewhere_and_under_a_prefix() {
    let mut shop = Shop::open().await;
    let elsewhere = || shop.registry.repository("signatures/web");
    let name = elsewhere().name().to_string();
    let other = shop.repository().put_image("another", None);
    let layers = [shop.layer()];
    let put = |prefix: &str| {
        elsewhere().put_blob(&layers[0].bytes);
        let tag = tag(prefix, &shop.image.digest, "sig");
        elsewhere().put_document(media_type::IMAGE_MANIFEST, &tagged(&layers), Some(&tag));
    };
    put("team-");
    let moved = [shop.layer_by(&shop.signer, &other.digest)];
    let verifier = shop.configuration["verifiers"][0].clone();
    for (row, source, code) in [
        ("there", json!({ "repository": name, "tagPrefix": "team-" }), "VERIFIED"),
        ("not beside the image", json!({}), "NO_SIGNATURE"),
        ("not without the prefix", json!({ "repository": name }), "NO_SIGNATURE"),
        ("not under another prefix", json!({ "repository": name, "tagPrefix": "team" }), "NO_SIGNATURE"),
        ("not in the image's repository", json!({ "tagPrefix": "team-" }), "NO_SIGNATURE"),
    ] {
        let mut sourced = verifier.clone();
        sourced["source"] = source;
        shop.configuration["verifiers"] = json!([sourced]);
        assert_eq!(shop.code().await, code, "R10 {row}");
    }
    let mut sourced = verifier;
    sourced["source"] = json!({ "repository": name, "tagPrefix": "team-" });
    shop.configuration["verifiers"] = json!([sourced]);
    // The digest is bound there as here.
    shop.registry.repository("signatures/web").put_blob(&moved[0].bytes);
    let tag = tag("team-", &shop.image.digest, "sig");
    let elsewhere = shop.registry.repository("signatures/web");
    elsewhere.put_document(media_type::IMAGE_MANIFEST, &tagged(&moved), Some(&tag));
    assert_eq!(shop.code().await, "SUBJECT_MISMATCH", "R10: another image's signature");
    // Bundles are looked for there, too: their subject lies elsewhere, and is not asked of that repository.
    elsewhere.remove_tag(&tag);
    elsewhere.put_bundle(&shop.image, &shop.bundle());
    assert_eq!(shop.code().await, "VERIFIED", "R10: a bundle");
}

// R11, COS-39
#[tokio::test(flavor = "multi_thread")]
async fn an_attached_sbom_is_no_evidence_under_any_tag() {
    let mut shop = Shop::open().await;
    let mut sbom = shop.layer();
    sbom.media_type = "text/spdx+json".to_owned();
    let put = |suffix: &str, layer: &Layer| {
        shop.repository().put_blob(&layer.bytes);
        let tag = tag("", &shop.image.digest, suffix);
        let manifest = tagged(std::slice::from_ref(layer));
        shop.repository().put_document(media_type::IMAGE_MANIFEST, &manifest, Some(&tag));
    };
    // Even a good signature does not count there.
    put("sbom", &shop.layer());
    assert_eq!(shop.code().await, "NO_SIGNATURE", "R11 .sbom");
    put("sbom", &sbom);
    put("sig", &sbom);
    assert_eq!(shop.code().await, "UNSUPPORTED_MEDIATYPE", "COS-39 an SBOM under .sig");
    put("att", &sbom);
    assert_eq!(shop.registry.calls_to(".sbom"), 0, "R11: nobody asks for it");
    shop.wants_scans();
    assert_eq!(shop.code().await, "UNSUPPORTED_MEDIATYPE", "COS-39 an SBOM under .att");
    assert_eq!(shop.registry.calls_to(".sbom"), 0, "R11: nobody asks for it");
}

// R12
#[tokio::test(flavor = "multi_thread")]
async fn an_index_and_its_platforms_are_signed_each_by_itself() {
    type Put = fn(&Shop, &Descriptor, Layer);
    let puts: [(&str, Put); 2] = [
        (".sig", |shop, image, layer| drop(shop.repository().put_sig_tag(image, &[layer]))),
        ("referrer", |shop, image, layer| drop(shop.repository().put_sig_referrer(image, &[layer]))),
    ];
    for (way, put) in puts {
        for whole_is_signed in [true, false] {
            let row = format!("{way}, the index is signed: {whole_is_signed}");
            let shop = Shop::open().await;
            let platform = shop.image.clone();
            let whole = shop.repository().put_index(&[bare(&platform)], Some("all"));
            let (signed, other) = if whole_is_signed { (whole, platform) } else { (platform, whole) };
            let key = |one: &Descriptor| shop.repository().digest(&one.digest).to_string();
            let layer = shop.layer_by(&shop.signer, &signed.digest);
            put(&shop, &signed, layer.clone());
            let provider = shop.start().await;
            assert_eq!(provider.code(&key(&signed)).await, "VERIFIED", "R12 {row}");
            assert_eq!(provider.code(&key(&other)).await, "NO_SIGNATURE", "R12 {row}: asked for the other");
            put(&shop, &other, layer);
            assert_eq!(
                shop.start().await.code(&key(&other)).await,
                "SUBJECT_MISMATCH",
                "R12 {row}: moved to the other"
            );
        }
    }
}

// R13
#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_to_their_own_host_and_to_no_other_source() {
    let mut shop = Shop::open().await;
    let elsewhere = FakeRegistry::start().await;
    shop.registry.require(Access::Basic("robot".to_owned(), "canary".to_owned()));
    shop.stage.write("password", "canary");
    let host = json!({ "plainHttp": true, "allowLoopback": true });
    let mut home = host.clone();
    home["credentials"] = json!({ "username": "robot", "passwordFile": "password" });
    shop.configuration["stores"][0]["hosts"] = json!({ shop.registry.host(): home, elsewhere.host(): host });
    let source = json!({ "repository": elsewhere.repository("signatures").name().to_string() });
    shop.configuration["verifiers"][0]["source"] = source;
    elsewhere.repository("signatures").put_sig_tag(&shop.image, &[shop.layer()]);
    assert_eq!(shop.code().await, "VERIFIED", "R13: another host's repository");
    let shown = basic("robot", "canary");
    assert!(shop.registry.calls().iter().any(|call| call.authorization() == Some(shown.as_str())), "R13");
    assert!(elsewhere.calls().iter().all(|call| call.authorization().is_none()), "R13: {:?}", elsewhere.calls());
    assert!(!elsewhere.calls().is_empty());
    // The nearest no: it demands some, and ours are not for it.
    elsewhere.require(Access::Basic("robot".to_owned(), "canary".to_owned()));
    let code = shop.code().await;
    assert!(code.contains("AUTH"), "R13: {code}");
    assert!(elsewhere.calls().iter().all(|call| call.authorization().is_none()), "R13: {:?}", elsewhere.calls());
}

// R15, R113
#[tokio::test(flavor = "multi_thread")]
async fn every_referrer_of_a_type_is_considered_and_garbage_is_none() {
    let shop = Shop::open().await;
    let bad = shop.repository().put_sig_referrer(&shop.image, &[super::broken(shop.layer())]);
    assert_eq!(shop.code().await, "SIG_INVALID", "R15 D: one that does not verify");
    let good = shop.repository().put_sig_referrer(&shop.image, &[shop.layer()]);
    for (row, order) in [("last", [&bad, &good]), ("first", [&good, &bad])] {
        shop.list(&order.map(|one| listed(one, Some(SIGNATURE_ARTIFACT))));
        assert_eq!(shop.code().await, "VERIFIED", "R15 D: the good one is {row}");
    }

    let mut shop = Shop::open().await;
    shop.wants_scans();
    let good = shop.attested(&shop.scan());
    let mut garbage = good.clone();
    let mut envelope: Value = serde_json::from_slice(&garbage.bytes).unwrap();
    envelope["signatures"][0]["sig"] = json!("Z2FyYmFnZQ==");
    garbage.bytes = envelope.to_string().into_bytes();
    shop.repository().put_att_referrer(&shop.image, std::slice::from_ref(&garbage));
    assert_eq!(shop.code().await, "SIG_INVALID", "R113 E: garbage");
    shop.repository().put_att_referrer(&shop.image, std::slice::from_ref(&good));
    assert_eq!(shop.code().await, "VERIFIED", "R113 E: garbage beside a good one");
    // In one manifest, too.
    let mut shop = Shop::open().await;
    shop.wants_scans();
    shop.repository().put_att_referrer(&shop.image, &[garbage, good]);
    assert_eq!(shop.code().await, "VERIFIED", "R113 E: layers of one manifest");
}

// R6, R9: a bundle that is broken is told, one that is not a bundle is not
#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_told_and_what_is_foreign_is_not() {
    let shop = Shop::open().await;
    shop.put_changed(|manifest| {
        without(manifest, "artifactType");
        manifest["layers"] = json!([]);
    });
    assert_eq!(codes(&shop.value().await), ["NO_SIGNATURE"], "R9: an artifact of no type without layers");
    shop.repository().put_bundle(&shop.image, &broken_bundle(shop.bundle()));
    assert_eq!(codes(&shop.value().await), ["SIG_INVALID"], "R6: a bundle that does not verify");
}
