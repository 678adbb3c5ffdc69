//! R16 to R25, R28, COS-30 to COS-33: each limit at its value and one past it.

use std::time::Duration;

use bytes::Bytes;
use integration_tests::{
    registry::{Body, Reply},
    shelf::{Shelf, to_bytes},
    sigstore::{
        bundle::{Bundle, Content, Version},
        envelope::{EntryKind, Envelope, cosign_statement},
        legacy::Layer,
        manifest::{tag, tagged},
        storage::Storage,
    },
};
use serde_json::{Value, json};

use super::{Shop, broken, broken_bundle};

impl Shop {
    fn put_broken_layers(&self, count: usize) -> Vec<Layer> {
        (0..count).map(|number| broken(self.layer_with(&json!({ "broken": number })))).collect()
    }
}

// R16, R17
#[tokio::test(flavor = "multi_thread")]
async fn manifests_and_blobs_have_a_size() {
    let layers = |shop: &Shop| vec![shop.layer()];
    for (row, less, code) in [("at the limit", 0, "VERIFIED"), ("one byte more", 1, "LIMIT_EXCEEDED")] {
        let mut shop = Shop::open().await;
        let layers = layers(&shop);
        shop.repository().put_sig_tag(&shop.image, &layers);
        let size = to_bytes(&tagged(&layers)).len();
        shop.configuration["limits"]["registry"]["manifestBytes"] = json!(size - less);
        assert_eq!(shop.code().await, code, "R16 .sig manifest {row}");

        let mut shop = Shop::open().await;
        let layer = shop.layer();
        shop.configuration["verifiers"][0]["maxBundleBytes"] = json!(layer.bytes.len() - less);
        shop.repository().put_sig_tag(&shop.image, &[layer]);
        assert_eq!(shop.code().await, code, "R17 payload {row}");

        let mut shop = Shop::open().await;
        let bundle = shop.bundle();
        let listing = shop.repository().put_bundle(&shop.image, &bundle);
        shop.configuration["verifiers"][0]["maxBundleBytes"] = json!(bundle.bytes().len() - less);
        assert_eq!(shop.code().await, code, "R17 bundle {row}");
        // What is too large by its descriptor is not asked for.
        let blob = countersign::oci::Digest::sha256(&bundle.bytes());
        assert_eq!(shop.registry.calls_to(&shop.repository().blob_path(&blob)), 1 - less, "R17 bundle {row}");
        assert_eq!(shop.registry.calls_to(&listing.digest.to_string()), 1, "R17 bundle {row}");
    }
}

// R17
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_without_a_length_ends_where_its_descriptor_says() {
    type Serve = fn(Bytes) -> Body;
    let rows: [(&str, Serve, &str); 5] = [
        ("in chunks", |bytes| Body::Chunked(vec![bytes], Duration::ZERO), "VERIFIED"),
        ("until the connection closes", Body::UntilClose, "VERIFIED"),
        ("in chunks, more", |bytes| Body::Chunked(vec![bytes, "x".into()], Duration::ZERO), "SIZE_MISMATCH"),
        ("without end", |bytes| Body::Endless(bytes, Duration::ZERO), "SIZE_MISMATCH"),
        (
            "until the connection closes, a byte less",
            |bytes| Body::UntilClose(bytes.slice(..bytes.len() - 1)),
            "SIZE_MISMATCH",
        ),
    ];
    for (row, serve, code) in rows {
        let shop = Shop::open().await;
        shop.repository().put_bundle(&shop.image, &shop.bundle());
        shop.registry.script("/v2/shop/web/blobs/", [Reply::body(serve)]);
        assert_eq!(shop.code().await, code, "R17 {row}");
    }
}

// R18, R20, COS-30
#[tokio::test(flavor = "multi_thread")]
async fn layers_are_tried_up_to_the_limit_which_is_named() {
    for (row, broken, code) in [
        ("1 before the good one", 1, "VERIFIED"),
        ("50 before the good one", 50, "VERIFIED"),
        ("99 before the good one", 99, "VERIFIED"),
        ("100 before the good one", 100, "LIMIT_EXCEEDED"),
        ("1,000 before the good one", 1_000, "LIMIT_EXCEEDED"),
    ] {
        let shop = Shop::open().await;
        let mut layers = if broken == 1_000 {
            // One and the same layer: it is looked at as often as it is listed, and fetched once.
            vec![super::broken(shop.layer_with(&json!({ "broken": 0 }))); broken]
        } else {
            shop.put_broken_layers(broken)
        };
        layers.push(shop.layer());
        shop.repository().put_sig_tag(&shop.image, &layers);
        let value = shop.value().await;
        assert_eq!(value["code"], code, "COS-30 {row}: {}", value["message"]);
        assert_eq!(value.to_string().contains("maxSignatureAttempts"), code != "VERIFIED", "COS-30 {row}");
        assert!(shop.registry.calls_to("/blobs/") <= 100, "COS-30 {row}");
    }
    // R18: and past what a manifest may list at all
    for (row, count, code) in [("10,000 layers", 10_000, "VERIFIED"), ("10,001 layers", 10_001, "LIMIT_EXCEEDED")] {
        let shop = Shop::open().await;
        let layer = shop.layer();
        let mut manifest = tagged(std::slice::from_ref(&layer));
        let short =
            json!({ "mediaType": "x", "digest": countersign::oci::Digest::sha256(b"x").to_string(), "size": 1 });
        let layers = manifest["layers"].as_array_mut().unwrap();
        layers.extend(vec![short; count - 1]);
        shop.repository().put_blob(&layer.bytes);
        let tag = tag("", &shop.image.digest, "sig");
        shop.repository().put_document(countersign::oci::media_type::IMAGE_MANIFEST, &manifest, Some(&tag));
        assert_eq!(shop.code().await, code, "R18 {row}");
    }
}

// R19, R20
#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_listed_and_tried_up_to_their_limits() {
    for (row, limit, value, before, code) in [
        ("R19 the 20th of 20", "descriptors", 20, 19, "VERIFIED"),
        ("R19 the 21st of 20", "descriptors", 20, 20, "LIMIT_EXCEEDED"),
        ("R20 the third of three", "attempts", 3, 2, "VERIFIED"),
        ("R20 the fourth of three", "attempts", 3, 3, "LIMIT_EXCEEDED"),
    ] {
        let mut shop = Shop::open().await;
        if limit == "descriptors" {
            shop.configuration["limits"]["registry"]["descriptors"] = json!(value);
        } else {
            shop.configuration["verifiers"][0]["maxSignatureAttempts"] = json!(value);
        }
        for _ in 0..before {
            // A signature differs each time, so that each is an artifact of its own.
            shop.repository().put_bundle(&shop.image, &broken_bundle(shop.bundle()));
        }
        shop.repository().put_bundle(&shop.image, &shop.bundle());
        assert_eq!(shop.code().await, code, "{row}");
        assert!(shop.registry.calls_to("/blobs/") <= value, "{row}: not more is fetched than is tried");
    }
    // What lies under cosign's tag is one of those that are tried, and the list cut is no reason against it.
    let mut shop = Shop::open().await;
    shop.configuration["limits"]["registry"]["descriptors"] = json!(1);
    for _ in 0..2 {
        shop.repository().put_bundle(&shop.image, &broken_bundle(shop.bundle()));
    }
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    assert_eq!(shop.code().await, "VERIFIED", "R19: a good .sig beside a list that was cut");
}

/// A bundle over a statement, with everything else as it should be.
fn bundle_over(shop: &Shop, statement: &Value) -> Bundle {
    shop.mini.base.bundle(&shop.signer, Version::V03New, statement, EntryKind::Dsse).unwrap()
}

// R21, R22, COS-31 to COS-33
#[tokio::test(flavor = "multi_thread")]
async fn entries_and_timestamps_of_a_bundle_are_counted_before_they_are_read() {
    for (row, entries, timestamps, good) in [
        ("R21 COS-31 32 entries", 32, 0, true),
        ("R21 COS-31 33 entries", 33, 0, false),
        ("R22 COS-32 32 timestamps", 1, 32, true),
        ("R22 COS-32 33 timestamps", 1, 33, false),
        ("COS-33 1,000 entries", 1_000, 0, false),
        ("COS-33 100 timestamps", 1, 100, false),
    ] {
        let mut shop = Shop::open().await;
        shop.configuration["verifiers"][0]["maxBundleBytes"] = json!(16 << 20);
        let mut bundle = shop.bundle();
        bundle.entries = vec![bundle.entries[0].clone(); entries];
        if timestamps > 0 {
            bundle.timestamps = vec![shop.mini.timestamp(bundle.signature()); timestamps];
        }
        shop.repository().put_bundle(&shop.image, &bundle);
        let code = if good { "VERIFIED" } else { "LIMIT_EXCEEDED" };
        assert_eq!(shop.code().await, code, "{row}");
    }
}

// R23, R24, COS-25
#[tokio::test(flavor = "multi_thread")]
async fn subjects_and_their_digests_are_bounded() {
    for (row, subjects, digests, good) in [
        ("R23 1,024 subjects", 1024, 1, true),
        ("R23 COS-25 1,025 subjects", 1025, 1, false),
        ("R24 32 digests", 1, 32, true),
        ("R24 COS-25 33 digests", 1, 33, false),
    ] {
        let shop = Shop::open().await;
        let mut statement = cosign_statement(&shop.image.digest.to_string());
        let own = &mut statement["subject"][0]["digest"];
        for number in 1..digests {
            own[format!("own{number}")] = json!("00");
        }
        let all = statement["subject"].as_array_mut().unwrap();
        for number in 1..subjects {
            all.insert(0, json!({ "digest": { "sha256": format!("{number:064x}") } }));
        }
        shop.repository().put_bundle(&shop.image, &bundle_over(&shop, &statement));
        let code = if good { "VERIFIED" } else { "LIMIT_EXCEEDED" };
        assert_eq!(shop.code().await, code, "{row}");
    }
}

// R24 for signatures: a bundle's envelope has one, a keyed `.att` any one good of at most 32
#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_has_as_many_signatures_as_its_format_allows() {
    for (row, count, bundled, code) in [
        ("COS-24 one, in a bundle", 1, true, "VERIFIED"),
        ("COS-24 none, in a bundle", 0, true, "BUNDLE_MALFORMED"),
        ("COS-24 two, in a bundle", 2, true, "BUNDLE_MALFORMED"),
        ("one, under .att", 1, false, "VERIFIED"),
        ("two, the last good, under .att", 2, false, "VERIFIED"),
        ("none, under .att", 0, false, "BUNDLE_MALFORMED"),
    ] {
        let mut shop = Shop::open().await;
        shop.wants_scans();
        let mut bundle = shop.attested_bundle(&shop.scan());
        let Content::Envelope(envelope) = &mut bundle.content else { panic!("an envelope") };
        let good = envelope.signatures[0].clone();
        let stranger = Envelope::sign(&shop.stranger(), &envelope.payload_type, envelope.payload.clone()).unwrap();
        envelope.signatures =
            [vec![stranger.signatures[0].clone(); count.max(1) - 1], vec![good; count.min(1)]].concat();
        if bundled {
            shop.repository().put_bundle(&shop.image, &bundle);
        } else {
            let envelope = envelope.clone();
            let mut layer = Layer::attestation(&shop.signer, &envelope);
            let body = envelope.body(EntryKind::InToto001, &shop.signer.verifier_pem());
            layer.entry = Some(shop.mini.base.log(&body).unwrap());
            shop.repository().put_att_tag(&shop.image, &[layer]);
        }
        assert_eq!(shop.code().await, code, "{row}");
    }
}

// R28
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_undecided_for_its_own_key_only() {
    let mut shop = Shop::open().await;
    let slow = shop.registry.repository("shop/slow");
    let image = slow.put_image("slow", None);
    let layer = shop.layer_by(&shop.signer, &image.digest);
    slow.put_sig_tag(&image, &[layer]);
    let key = slow.digest(&image.digest).to_string();
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    assert_eq!(shop.start().await.code(&key).await, "VERIFIED", "R28: as long as it answers");
    shop.configuration["server"]["providerTimeout"]["verify"] = json!("1s");
    for (row, pattern) in [
        ("listing", slow.referrers_path(&image.digest)),
        (".sig", slow.manifest_path(&tag("", &image.digest, "sig"))),
        ("blob", "/v2/shop/slow/blobs/".to_owned()),
    ] {
        shop.registry.script(&pattern, [Reply::Silent]);
        let provider = shop.start().await;
        let answer = provider.ask(integration_tests::provider::VERIFY, &[&key, &shop.by_digest()]).await;
        // A listing that does not come is no reason against a good signature elsewhere; but what must be read, must come.
        let system_error = answer["systemError"].as_str().unwrap_or_default();
        let items = answer["items"].as_array().unwrap();
        let own = items.iter().find(|item| item["key"] == shop.by_digest()).unwrap();
        assert_eq!(own["value"]["code"], "VERIFIED", "R28 {row}: the other key of the same request");
        assert!(system_error.contains("TIMEOUT"), "R28 {row}: {answer}");
        assert!(items.iter().all(|item| item["key"] != key.as_str()), "R28 {row}: {answer}");
        shop.registry.script(&pattern, [Reply::Faithful]);
    }
}
