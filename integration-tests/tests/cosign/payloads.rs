//! COS-18, COS-25, COS-36, COS-38: what is inside the signed bytes, through the engine.

use countersign::oci::{Digest, media_type};
use integration_tests::{
    shelf::Shelf,
    sigstore::{
        envelope::{cosign_statement, simple_signing},
        manifest::tagged,
        storage::Storage,
    },
};
use serde_json::{Value, json};

use super::Shop;

impl Shop {
    /// Of a payload of its own, correctly signed and logged, under `.sig`: the code.
    async fn code_of_payload(&self, payload: Vec<u8>) -> String {
        let layer = self.mini.base.sign(&self.signer, payload).unwrap();
        self.repository().put_sig_tag(&self.image, &[layer]);
        self.code().await
    }

    fn payload(&self) -> Value {
        serde_json::from_slice(&simple_signing("shop/web", &self.image.digest.to_string(), &json!({}))).unwrap()
    }
}

// COS-18, R29, R30, R31
#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_cosigns_and_about_this_image() {
    type Change = fn(&mut Value);
    let rows: [(&str, Change, &str); 12] = [
        ("as cosign writes it", |_| {}, "VERIFIED"),
        ("optional is null", |payload| payload["optional"] = Value::Null, "VERIFIED"),
        (
            "another docker-reference: copied images keep the old one",
            |payload| payload["critical"]["identity"]["docker-reference"] = json!("elsewhere.example.com/other"),
            "VERIFIED",
        ),
        (
            "another digest",
            |payload| payload["critical"]["image"]["docker-manifest-digest"] = json!(Digest::sha256(b"x").to_string()),
            "SUBJECT_MISMATCH",
        ),
        (
            "the digest in capitals",
            |payload| {
                let digest = payload["critical"]["image"]["docker-manifest-digest"].as_str().unwrap().to_uppercase();
                payload["critical"]["image"]["docker-manifest-digest"] = json!(digest);
            },
            "",
        ),
        ("no digest", |payload| payload["critical"]["image"] = json!({}), ""),
        (
            "a list of digests",
            |payload| {
                let digest = payload["critical"]["image"]["docker-manifest-digest"].clone();
                payload["critical"]["image"]["docker-manifest-digest"] = json!([digest]);
            },
            "",
        ),
        (
            "another type",
            |payload| payload["critical"]["type"] = json!("atomic container signature"),
            "PAYLOAD_MALFORMED",
        ),
        ("no type", |payload| drop(payload["critical"].as_object_mut().unwrap().remove("type")), "PAYLOAD_MALFORMED"),
        ("no critical", |payload| drop(payload.as_object_mut().unwrap().remove("critical")), "PAYLOAD_MALFORMED"),
        ("optional is a list", |payload| payload["optional"] = json!([1]), ""),
        ("optional of 512 KiB", |payload| payload["optional"]["x"] = json!("x".repeat(512 << 10)), "VERIFIED"),
    ];
    for (row, change, code) in rows {
        let shop = Shop::open().await;
        let mut payload = shop.payload();
        change(&mut payload);
        let said = shop.code_of_payload(payload.to_string().into_bytes()).await;
        if code.is_empty() {
            assert!(["PAYLOAD_MALFORMED", "SUBJECT_MISMATCH"].contains(&said.as_str()), "COS-18 {row}: {said}");
        } else {
            assert_eq!(said, code, "COS-18 {row}");
        }
    }
}

// COS-18, R26
#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_one_json_object_that_reads_one_way() {
    let shop = Shop::open().await;
    let whole = shop.payload().to_string();
    let other = whole.replace(&shop.image.digest.to_string(), &Digest::sha256(b"x").to_string());
    let member = |text: &str| text[1..text.len() - 1].to_owned();
    let long = |bytes: usize| {
        let mut payload = shop.payload();
        let room = bytes - payload.to_string().len() - r#""x":"""#.len();
        payload["optional"]["x"] = json!("x".repeat(room));
        payload.to_string()
    };
    assert_eq!(long(1 << 20).len(), 1 << 20);
    for (row, text, code) in [
        ("whole", whole.clone(), "VERIFIED"),
        ("with spaces", format!(" {} ", whole.replace(':', ": ").replace("sha256: ", "sha256:")), "VERIFIED"),
        ("not JSON", "signed".to_owned(), "PAYLOAD_MALFORMED"),
        ("half", whole[..whole.len() / 2].to_owned(), "PAYLOAD_MALFORMED"),
        ("a list", format!("[{whole}]"), "PAYLOAD_MALFORMED"),
        ("something after it", format!("{whole}{{}}"), "PAYLOAD_MALFORMED"),
        ("critical twice, ours last", format!("{{{},{}}}", member(&other), member(&whole)), "PAYLOAD_MALFORMED"),
        ("critical twice, ours first", format!("{{{},{}}}", member(&whole), member(&other)), "PAYLOAD_MALFORMED"),
        ("1 MiB", long(1 << 20), "VERIFIED"),
        ("1 MiB and a byte", long((1 << 20) + 1), "LIMIT_EXCEEDED"),
    ] {
        assert_eq!(shop.code_of_payload(text.into_bytes()).await, code, "COS-18 {row}");
    }
}

// COS-18: only who asks for it compares the name
#[tokio::test(flavor = "multi_thread")]
async fn a_strict_policy_compares_the_name_too() {
    let mut shop = Shop::open().await;
    shop.configuration["verifiers"][0]["trustPolicies"][0]["matchRepository"] = json!("strict");
    let here = shop.repository().name().to_string();
    for (row, name, code) in [
        ("this repository", here.clone(), "VERIFIED"),
        ("another", here.replace("shop/web", "shop/webs"), "SUBJECT_MISMATCH"),
        ("another host's", "old.example.com/shop/web".to_owned(), "SUBJECT_MISMATCH"),
        ("none", String::new(), "SUBJECT_MISMATCH"),
    ] {
        let payload = simple_signing(&name, &shop.image.digest.to_string(), &json!(null));
        assert_eq!(shop.code_of_payload(payload).await, code, "COS-18 strict: {row}");
    }
}

// COS-25, R37, R38
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn a_statement_names_the_image_by_its_sha256() {
    type Change = fn(&mut Value);
    let other = || json!({ "name": "other", "digest": { "sha256": "0".repeat(64) } });
    let rows: [(&str, Change, &str); 12] = [
        ("one subject", |_| {}, "VERIFIED"),
        ("no subject", |statement| statement["subject"] = json!([]), "no"),
        ("subject is absent", |statement| drop(statement.as_object_mut().unwrap().remove("subject")), "no"),
        ("subject is null", |statement| statement["subject"] = Value::Null, "no"),
        (
            "only sha512",
            |statement| statement["subject"][0]["digest"] = json!({ "sha512": "0".repeat(128) }),
            "SUBJECT_MISMATCH",
        ),
        (
            "the digest under sha512",
            |statement| {
                let hex = statement["subject"][0]["digest"]["sha256"].clone();
                statement["subject"][0]["digest"] = json!({ "sha512": hex });
            },
            "no",
        ),
        ("digest is empty", |statement| statement["subject"][0]["digest"] = json!({}), "no"),
        ("the image is called by name only", |statement| statement["subject"] = json!([{ "name": "shop/web" }]), "no"),
        (
            "a part of the digest",
            |statement| {
                let hex = statement["subject"][0]["digest"]["sha256"].as_str().unwrap()[..63].to_owned();
                statement["subject"][0]["digest"]["sha256"] = json!(hex);
            },
            "no",
        ),
        ("a pattern", |statement| statement["subject"][0]["digest"]["sha256"] = json!("*"), "no"),
        (
            "another statement type",
            |statement| statement["_type"] = json!("https://in-toto.io/Statement/v2"),
            "PAYLOAD_MALFORMED",
        ),
        ("the older type", |statement| statement["_type"] = json!("https://in-toto.io/Statement/v0.1"), "VERIFIED"),
    ];
    for (row, change, code) in rows {
        let shop = Shop::open().await;
        let mut statement = cosign_statement(&shop.image.digest.to_string());
        change(&mut statement);
        shop.repository().put_bundle(&shop.image, &shop.attested_bundle(&statement));
        let said = shop.code().await;
        if code == "no" {
            assert!(["PAYLOAD_MALFORMED", "SUBJECT_MISMATCH"].contains(&said.as_str()), "COS-25 {row}: {said}");
        } else {
            assert_eq!(said, code, "COS-25 {row}");
        }
        // Of several subjects any one may be the image; a foreign one is not made ours by company.
        if let Some(subjects) = statement["subject"].as_array_mut().filter(|_| code == "VERIFIED") {
            subjects.insert(0, other());
            subjects.push(other());
            let shop = Shop::open().await;
            shop.repository().put_bundle(&shop.image, &shop.attested_bundle(&statement));
            assert_eq!(shop.code().await, "VERIFIED", "R38 {row}: the second of three");
            statement["subject"].as_array_mut().unwrap().remove(1);
            let shop = Shop::open().await;
            shop.repository().put_bundle(&shop.image, &shop.attested_bundle(&statement));
            assert_eq!(shop.code().await, "SUBJECT_MISMATCH", "R38 {row}: none of two");
        }
    }
}

// COS-36, R32, R42
#[tokio::test(flavor = "multi_thread")]
async fn annotations_that_the_policy_asks_for_are_signed() {
    for (row, wanted, signed, code) in [
        ("asked for none", json!({}), json!({ "build": "42" }), "VERIFIED"),
        ("the one", json!({ "build": "42" }), json!({ "build": "42" }), "VERIFIED"),
        ("one of two", json!({ "build": "42" }), json!({ "build": "42", "by": "ci" }), "VERIFIED"),
        ("missing", json!({ "build": "42" }), json!({}), "ANNOTATION_MISMATCH"),
        ("no annotations at all", json!({ "build": "42" }), json!(null), "ANNOTATION_MISMATCH"),
        ("another value", json!({ "build": "42" }), json!({ "build": "43" }), "ANNOTATION_MISMATCH"),
        ("another name", json!({ "build": "42" }), json!({ "Build": "42" }), "ANNOTATION_MISMATCH"),
        (
            "only one of two wanted",
            json!({ "build": "42", "by": "ci" }),
            json!({ "build": "42" }),
            "ANNOTATION_MISMATCH",
        ),
        ("a number is not its text", json!({ "build": "42" }), json!({ "build": [42] }), "ANNOTATION_MISMATCH"),
    ] {
        let mut shop = Shop::open().await;
        shop.configuration["verifiers"][0]["trustPolicies"][0]["annotations"] = wanted;
        shop.repository().put_sig_tag(&shop.image, &[shop.layer_with(&signed)]);
        assert_eq!(shop.code().await, code, "COS-36 payload: {row}");

        let mut statement = cosign_statement(&shop.image.digest.to_string());
        if !signed.is_null() {
            statement["subject"][0]["annotations"] = signed;
        }
        let mut other = Shop::open().await;
        other.configuration = shop.configuration.clone();
        other.configuration["stores"][0]["hosts"] =
            json!({ other.registry.host(): { "plainHttp": true, "allowLoopback": true } });
        other.repository().put_bundle(&other.image, &other.attested_bundle(&statement));
        assert_eq!(other.code().await, code, "COS-36 bundle: {row}");
    }
    // Unsigned annotations beside the layer, and on its manifest, say nothing.
    let mut shop = Shop::open().await;
    shop.configuration["verifiers"][0]["trustPolicies"][0]["annotations"] = json!({ "build": "42" });
    let mut layer = shop.layer();
    layer.annotations.insert("build".to_owned(), "42".to_owned());
    shop.repository().put_sig_tag(&shop.image, &[layer]);
    assert_eq!(shop.code().await, "ANNOTATION_MISMATCH", "COS-36: an unsigned annotation");
}

// COS-38: names come from the digest that was verified, and from nothing else
#[tokio::test(flavor = "multi_thread")]
async fn tags_are_named_by_the_verified_digest_only() {
    let shop = Shop::open().await;
    let hex = shop.image.digest.hex().to_owned();
    let layers = [shop.layer()];
    let manifest = tagged(&layers);
    shop.repository().put_blob(&layers[0].bytes);
    for tag in [
        format!("sha512-{hex}.sig"),
        format!("sha256:{hex}.sig").replace(':', "_"),
        format!("sha256-{}.sig", hex.to_uppercase()),
        format!("sha256-{}.sig", &hex[..32]),
        format!("sha256-{hex}.sig.old"),
        "v1.sig".to_owned(),
        "latest.sig".to_owned(),
    ] {
        shop.repository().put_document(media_type::IMAGE_MANIFEST, &manifest, Some(&tag));
        shop.registry.forget_calls();
        for key in [shop.by_digest(), shop.by_tag()] {
            assert_eq!(shop.start().await.code(&key).await, "NO_SIGNATURE", "COS-38 {tag}");
        }
        assert_eq!(shop.registry.calls_to(&format!("/manifests/{tag}")), 0, "COS-38 {tag}");
    }
    shop.repository().put_document(media_type::IMAGE_MANIFEST, &manifest, Some(&format!("sha256-{hex}.sig")));
    assert_eq!(shop.code().await, "VERIFIED", "COS-38: the right name");
}
