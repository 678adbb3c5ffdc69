//! R110 to R112: what is told of each item, what was left out, and how much.

use integration_tests::{
    registry::{Access, basic},
    sigstore::{bundle::Version, envelope::EntryKind, manifest, storage::Storage},
};
use serde_json::{Value, json};

use super::{ISSUER, SUBJECT, Shop, broken, by_identity, by_key, codes, cosign};

/// Of the checks of a report: those with this outcome.
fn checks<'a>(report: &'a Value, outcome: &str) -> Vec<&'a str> {
    let all = report["checks"].as_array().unwrap().iter();
    all.filter(|check| check["outcome"] == outcome).map(|check| check["check"].as_str().unwrap()).collect()
}

// R110
#[tokio::test(flavor = "multi_thread")]
async fn a_keyless_bundle_is_told_with_signer_log_times_and_checks() {
    let mut shop = Shop::open().await;
    shop.verifiers(&[cosign("keyless", &by_identity())], &json!("keyless"));
    let mut bundle = shop.bundle_by(&shop.workflow(SUBJECT), &shop.image.digest);
    bundle.timestamps = vec![shop.mini.timestamp(bundle.signature())];
    let listed = shop.repository().put_bundle(&shop.image, &bundle);
    let value = shop.value().await;
    let report = &value["verifierReports"][0];
    assert_eq!(value["code"], "VERIFIED", "{value}");
    assert_eq!((&report["verifierName"], &report["verifierType"]), (&json!("keyless"), &json!("cosign")));
    assert_eq!(report["referenceDigest"], listed.digest.to_string());
    assert_eq!(report["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert_eq!(report["signer"], format!("{SUBJECT} (issuer {ISSUER})"));
    let told = &report["extensions"];
    assert_eq!(told["shape"], "sigstore bundle v0.3");
    assert_eq!((&told["subject"], &told["issuer"]), (&json!(SUBJECT), &json!(ISSUER)));
    assert_eq!((&told["trustPolicy"], &told["trustedRoot"]), (&json!("keyless"), &json!("trusted_root.json")));
    assert_eq!(told["predicateType"], "https://sigstore.dev/cosign/sign/v1");
    let entry = &told["logEntries"][0];
    assert_eq!(entry["logIndex"], json!(bundle.entries[0].log_index), "R110 {told}");
    assert!(entry["integratedTime"].as_str().unwrap().ends_with('Z') && entry["log"].is_string(), "R110 {told}");
    assert!(told["timestamps"][0]["time"].as_str().unwrap().ends_with('Z'), "R110 {told}");
    assert_eq!(told["certificateTransparencyLogs"][0], shop.mini.base.ct.base_url, "R110 {told}");
    let made = checks(report, "passed");
    for check in [
        "content",
        "signature",
        "transparency",
        "certificateTransparency",
        "timestamp",
        "authenticity",
        "identity",
        "subject",
    ] {
        assert!(made.contains(&check), "R110 {check}: {report}");
    }
    assert_eq!((checks(report, "skipped").len(), &report["warnings"]), (0, &Value::Null), "R110 {report}");
}

// R110
#[tokio::test(flavor = "multi_thread")]
async fn each_shape_says_what_it_is_and_which_layer() {
    type Put = fn(&Shop);
    let rows: [(&str, Put, &str); 3] = [
        ("A", |shop| drop(shop.repository().put_sig_tag(&shop.image, &[shop.layer()])), "cosign .sig tag"),
        (
            "D",
            |shop| drop(shop.repository().put_sig_referrer(&shop.image, &[shop.layer()])),
            "cosign signature referrer",
        ),
        (
            "F",
            |shop| {
                let statement = integration_tests::sigstore::envelope::cosign_statement(&shop.image.digest.to_string());
                let bundle =
                    shop.mini.base.bundle(&shop.signer, Version::V02, &statement, EntryKind::InToto002).unwrap();
                shop.repository().put_bundle(&shop.image, &bundle);
            },
            "sigstore bundle v0.2",
        ),
    ];
    for (row, put, shape) in rows {
        let shop = Shop::open().await;
        put(&shop);
        let value = shop.value().await;
        let report = &value["verifierReports"][0];
        assert_eq!(report["extensions"]["shape"], shape, "R110 {row}: {value}");
        assert_eq!(report["layerDigest"].is_string(), row != "F", "R110 {row}: {value}");
        let signer = report["signer"].as_str().unwrap();
        let id = integration_tests::sigstore::key::hex(&shop.signer.key.id());
        assert!(signer.contains("cosign.pub") && signer.contains(&id), "R110 {row}: {signer}");
    }
}

// R110: what differed
#[tokio::test(flavor = "multi_thread")]
async fn a_near_miss_says_who_signed_and_who_was_expected() {
    let mut shop = Shop::open().await;
    shop.verifiers(&[cosign("keyless", &by_identity())], &json!("keyless"));
    let other = "https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/main";
    shop.put_keyless(other);
    let value = shop.value().await;
    let message = value["message"].as_str().unwrap();
    assert_eq!(value["code"], "IDENTITY_MISMATCH", "R110 {value}");
    assert!(message.contains(other) && message.contains(SUBJECT), "R110 identity: {message}");

    let shop = Shop::open().await;
    let layer = shop.layer_of(&shop.stranger(), &json!(null));
    shop.repository().put_sig_tag(&shop.image, &[layer]);
    let value = shop.value().await;
    assert_eq!(value["code"], "SIG_INVALID", "R110 {value}");
    assert!(value["message"].as_str().unwrap().contains("cosign.pub"), "R110 key: {value}");
    let report = &value["verifierReports"][0];
    assert!(report["errorReason"].as_str().unwrap().starts_with("SIG_INVALID: "), "R112 {report}");
    assert!(report["remediation"].as_str().unwrap().ends_with('.'), "R112 {report}");
}

// R73, R111
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_switched_off_is_said_everywhere() {
    const METRIC: &str = "countersign_trust_policy_weakenings";
    for (row, ignored, said) in [
        ("nothing", &[][..], &[][..]),
        ("ignoreTlog", &["ignoreTlog"], &["ignoreTlog"]),
        ("ignoreSct", &["ignoreSct"], &["ignoreSct"]),
        ("both", &["ignoreTlog", "ignoreSct"], &["ignoreTlog", "ignoreSct"]),
    ] {
        let mut shop = Shop::open().await;
        let mut trust_policy = by_identity();
        for switch in ignored {
            trust_policy[switch] = json!(true);
        }
        shop.verifiers(&[cosign("keyless", &trust_policy)], &json!("keyless"));
        let mut bundle = shop.bundle_by(&shop.workflow(SUBJECT), &shop.image.digest);
        // Without a log the time comes from the authority.
        bundle.timestamps = vec![shop.mini.timestamp(bundle.signature())];
        shop.repository().put_bundle(&shop.image, &bundle);
        let provider = shop.start().await;
        let value = provider.value(&shop.by_digest()).await;
        assert_eq!(value["code"], "VERIFIED", "R111 {row}: {value}");
        let report = &value["verifierReports"][0];
        let expected: Vec<&str> = [("ignoreTlog", "transparency"), ("ignoreSct", "certificateTransparency")]
            .into_iter()
            .filter_map(|(switch, check)| ignored.contains(&switch).then_some(check))
            .collect();
        assert_eq!(checks(report, "skipped"), expected, "R111 {row}");
        let at_start = provider.app.current().engine.warnings.join("\n");
        for switch in ["ignoreTlog", "ignoreSct"] {
            let wanted = said.contains(&switch);
            for (place, text) in [
                ("report", report["warnings"].to_string()),
                ("value", value["warnings"].to_string()),
                ("start", at_start.clone()),
            ] {
                assert_eq!(text.contains(switch), wanted, "R111 {row}, {switch} in the {place}: {text}");
            }
        }
        let count = f64::from(u32::try_from(said.len()).unwrap());
        assert_eq!(provider.metric(METRIC), Some(count), "R111 {row}");
    }
}

/// Every text of a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

// R110: bounded, and a stranger's text is escaped
#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_bounded_whatever_is_attached() {
    let shop = Shop::open().await;
    let mut layers: Vec<_> = (0..90).map(|number| broken(shop.layer_with(&json!({ "n": number })))).collect();
    layers.push(shop.layer());
    shop.repository().put_sig_tag(&shop.image, &layers);
    let value = shop.value().await;
    assert_eq!(value["code"], "VERIFIED");
    assert_eq!((codes(&value).len(), &value["omittedReports"]), (50, &json!(41)), "R110");
    assert!(codes(&value).contains(&"VERIFIED"), "R110: the yes is never left out");
    assert!(value.to_string().len() < 128 << 10, "R110: {}", value.to_string().len());

    let hostile = format!("https://evil.example.com/\n\u{1b}[31m\u{202e}{}", "x".repeat(100_000));
    let shop = Shop::open().await;
    let statement =
        integration_tests::sigstore::envelope::statement(&shop.image.digest.to_string(), &hostile, &json!({}));
    shop.repository().put_bundle(&shop.image, &shop.attested_bundle(&statement));
    // The same as the type of an artifact: a bundle by how it begins.
    let bundle = shop.attested_bundle(&shop.scan()).bytes();
    let mut manifest = manifest::of_bundle(&shop.image, &bundle);
    manifest["artifactType"] = json!(format!("application/vnd.dev.sigstore.bundle{hostile}"));
    shop.repository().put_bundle_as(&bundle, &manifest);
    let mut layer = shop.layer();
    layer.media_type = hostile;
    shop.repository().put_sig_tag(&shop.image, &[layer]);
    let value = shop.value().await;
    let text = value.to_string();
    assert_eq!(value["isSuccess"], false);
    assert!(text.len() < 16 << 10, "R110: {} bytes", text.len());
    for told in texts(&value) {
        assert!(!told.contains(|c: char| c.is_control() || c == '\u{202e}'), "R110: {told:?}");
    }
}

// R110: no secret, in the value, in the record, in the metrics; and no image in a label
#[tokio::test(flavor = "multi_thread")]
async fn nothing_told_has_a_secret() {
    let mut shop = Shop::open().await;
    shop.registry.require(Access::Basic("robot".to_owned(), "canary-7c41".to_owned()));
    shop.stage.write("password", "canary-7c41");
    let host = shop.registry.host();
    shop.configuration["stores"][0]["hosts"][&host]["credentials"] =
        json!({ "username": "robot", "passwordFile": "password" });
    let encoded = basic("robot", "canary-7c41").replace("Basic ", "");
    for good in [true, false] {
        let layer = if good { shop.layer() } else { broken(shop.layer()) };
        shop.repository().put_sig_tag(&shop.image, &[layer]);
        let provider = shop.start().await;
        let value = provider.value(&shop.by_digest()).await.to_string();
        let metrics = provider.admin("/metrics").await.1;
        let records = provider.stop().await;
        assert_eq!(value.contains("\"VERIFIED\""), good, "{value}");
        for (place, text) in [("value", &value), ("metrics", &metrics), ("records", &records)] {
            assert!(!text.contains("canary-7c41") && !text.contains(&encoded), "R110 {place}");
        }
        for label in ["shop/web", &shop.image.digest.hex()[..12], ISSUER, "cosign.pub"] {
            assert!(!metrics.contains(label), "R110: {label} in a metric");
        }
    }
}

// R112: the codes that a template can compare with, each from its own cause
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn each_cause_has_its_code() {
    type Put = fn(&Shop);
    let keyed = by_key();
    let rows: [(&str, Value, Put, &str); 6] = [
        (
            "not logged",
            keyed.clone(),
            |shop| {
                let mut layer = shop.layer();
                layer.entry = None;
                shop.repository().put_sig_tag(&shop.image, &[layer]);
            },
            "TLOG_MISSING",
        ),
        (
            "another's entry",
            keyed.clone(),
            |shop| {
                let mut layer = shop.layer();
                layer.entry = shop.layer_with(&json!({ "another": 1 })).entry;
                shop.repository().put_sig_tag(&shop.image, &[layer]);
            },
            "TLOG_INVALID",
        ),
        ("a certificate where a key is wanted", keyed, |shop| shop.put_keyless(SUBJECT), "UNTRUSTED"),
        (
            "a key where a certificate is wanted",
            by_identity(),
            |shop| drop(shop.repository().put_bundle(&shop.image, &shop.bundle())),
            "UNTRUSTED",
        ),
        (
            "no promise of a CT log",
            by_identity(),
            |shop| {
                let mut leaf = shop
                    .mini
                    .base
                    .leaf(integration_tests::sigstore::certificate::Name::Uri(SUBJECT.to_owned()), ISSUER)
                    .unwrap();
                leaf.scts.clear();
                let signer = shop.mini.base.issue(&leaf).unwrap();
                shop.repository().put_bundle(&shop.image, &shop.bundle_by(&signer, &shop.image.digest));
            },
            "SCT_MISSING",
        ),
        (
            "no time",
            {
                let mut trust_policy = by_identity();
                trust_policy["ignoreTlog"] = json!(true);
                trust_policy
            },
            |shop| shop.put_keyless(SUBJECT),
            "TIMESTAMP_MISSING",
        ),
    ];
    for (row, trust_policy, put, code) in rows {
        let mut shop = Shop::open().await;
        shop.verifiers(&[cosign("cosign", &trust_policy)], &json!("cosign"));
        put(&shop);
        let value = shop.value().await;
        assert_eq!(value["code"], code, "R112 {row}: {}", value["message"]);
        assert_eq!(codes(&value), [code], "R112 {row}");
    }
}
