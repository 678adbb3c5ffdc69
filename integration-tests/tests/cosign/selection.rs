//! R44, COS-20: which of several attestations count, through the engine.

use countersign::report::wire::rfc3339;
use integration_tests::sigstore::{
    envelope::{statement, vuln_statement},
    legacy::Layer,
    storage::Storage,
};
use serde_json::{Value, json};
use time::Duration;

use super::{Shop, broken_bundle, by_key, scanned};

/// An attestation of an image.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// A scan that ended so many minutes ago.
    Ago(i64),
    /// The same, with a signature that does not verify.
    BrokenAgo(i64),
    /// A scan that says no time.
    Timeless,
    /// Of another predicate type, this many minutes ago.
    Provenance,
}

use Made::{Ago, BrokenAgo, Provenance, Timeless};

const FIELD: &str = "/predicate/metadata/scanFinishedOn";

impl Shop {
    fn scan_of(&self, minutes: i64) -> Value {
        let moment = self.mini.base.at - Duration::minutes(minutes);
        vuln_statement(&self.image.digest.to_string(), &rfc3339(moment))
    }

    fn put_made(&self, all: &[Made]) {
        for made in all {
            let statement = match made {
                Ago(minutes) | BrokenAgo(minutes) => self.scan_of(*minutes),
                Timeless => {
                    let mut timeless = self.scan_of(0);
                    timeless["predicate"]["metadata"] = json!({});
                    timeless
                }
                Provenance => statement(&self.image.digest.to_string(), "https://slsa.dev/provenance/v1", &json!({})),
            };
            let bundle = self.attested_bundle(&statement);
            let bundle = if matches!(made, BrokenAgo(_)) { broken_bundle(bundle) } else { bundle };
            self.repository().put_bundle(&self.image, &bundle);
        }
    }
}

fn selecting(select: &str, max_age: Option<&str>, time_field: Option<&str>) -> Value {
    let mut verifier = scanned("scanned", &by_key());
    verifier["select"] = json!(select);
    for (member, value) in [("maxAge", max_age), ("timeField", time_field)] {
        if let Some(value) = value {
            verifier[member] = json!(value);
        }
    }
    verifier
}

// R44
#[tokio::test(flavor = "multi_thread")]
async fn select_and_max_age_decide_over_the_verified_attestations_of_the_type() {
    // Ages in minutes against an hour, told by the statement.
    for (row, made, any, latest, all) in [
        ("none", &[][..], "NO_ATTESTATION", "NO_ATTESTATION", "NO_ATTESTATION"),
        ("a young one", &[Ago(5)], "VERIFIED", "VERIFIED", "VERIFIED"),
        ("an old one", &[Ago(90)], "ATTESTATION_STALE", "ATTESTATION_STALE", "ATTESTATION_STALE"),
        ("a young one after an old one", &[Ago(90), Ago(5)], "VERIFIED", "VERIFIED", "ATTESTATION"),
        ("a young one before an old one", &[Ago(5), Ago(90)], "VERIFIED", "VERIFIED", "ATTESTATION"),
        ("two young ones", &[Ago(5), Ago(6)], "VERIFIED", "VERIFIED", "VERIFIED"),
        ("a forged one that would be the newest", &[Ago(5), BrokenAgo(1)], "VERIFIED", "VERIFIED", "VERIFIED"),
        (
            "only a forged young one",
            &[Ago(90), BrokenAgo(1)],
            "ATTESTATION_STALE",
            "ATTESTATION_STALE",
            "ATTESTATION_STALE",
        ),
        ("ten minutes in the future", &[Ago(-10)], "ATTESTATION_FUTURE", "ATTESTATION_FUTURE", "ATTESTATION_FUTURE"),
        ("one in the future beside a young one", &[Ago(-10), Ago(5)], "VERIFIED", "ATTESTATION", "ATTESTATION"),
        ("one without a time beside a young one", &[Timeless, Ago(5)], "VERIFIED", "ATTESTATION", "ATTESTATION"),
        ("only one without a time", &[Timeless], "ATTESTATION_FUTURE", "ATTESTATION_FUTURE", "ATTESTATION_FUTURE"),
        ("another type beside a young one", &[Provenance, Ago(5)], "VERIFIED", "VERIFIED", "VERIFIED"),
        (
            "another type beside an old one",
            &[Provenance, Ago(90)],
            "ATTESTATION_STALE",
            "ATTESTATION_STALE",
            "ATTESTATION_STALE",
        ),
    ] {
        let mut shop = Shop::open().await;
        shop.put_made(made);
        for (select, code) in [("any", any), ("latest", latest), ("all", all)] {
            shop.verifiers(&[selecting(select, Some("1h"), Some(FIELD))], &json!("scanned"));
            let value = shop.value().await;
            let said = value["code"].as_str().unwrap();
            let fits = if code == "ATTESTATION" { said.starts_with("ATTESTATION_") } else { said == code };
            assert!(fits, "R44 {select}, {row}: {said} is not {code}: {}", value["message"]);
        }
    }
}

// R44: without `timeField` the log's time counts; a yes lasts as long as the attestation is young
#[tokio::test(flavor = "multi_thread")]
async fn without_a_field_the_verified_time_counts_and_a_yes_ends_with_it() {
    for (row, minutes, code) in [("logged now", 0, "VERIFIED"), ("logged two hours ago", 120, "ATTESTATION_STALE")] {
        let mut shop = Shop::open().await;
        let then = shop.mini.base.at - Duration::minutes(minutes);
        shop.mini.base.at = then;
        // Whatever the statement says of its time.
        shop.put_made(&[Ago(-120)]);
        shop.verifiers(&[selecting("any", Some("1h"), None)], &json!("scanned"));
        let value = shop.value().await;
        assert_eq!(value["code"], code, "R44 {row}: {value}");
        if code == "VERIFIED" {
            let until = value["validUntil"].as_str().unwrap();
            let end = rfc3339(then + Duration::hours(1));
            assert_eq!(until.get(..16), end.get(..16), "R44 {row}");
        } else {
            assert_eq!(value["validUntil"], Value::Null, "R44 {row}");
        }
    }
}

// R44: `latest` and `maxAge` need a time, or are refused at load
#[tokio::test(flavor = "multi_thread")]
async fn age_without_any_time_is_no_configuration() {
    let mut unlogged = by_key();
    unlogged["ignoreTlog"] = json!(true);
    for (row, select, max_age, time_field, member) in [
        ("maxAge", "any", Some("1h"), None, Some("maxAge")),
        ("latest", "latest", None, None, Some("select")),
        ("maxAge with a field", "any", Some("1h"), Some(FIELD), None),
        ("latest with a field", "latest", None, Some(FIELD), None),
        ("any without an age", "any", None, None, None),
    ] {
        let mut shop = Shop::open().await;
        let mut verifier = selecting(select, max_age, time_field);
        verifier["trustPolicies"] = json!([unlogged]);
        shop.verifiers(&[verifier], &json!("scanned"));
        match member {
            Some(member) => {
                let fault = shop.fault().await;
                assert!(fault.contains(member), "R44 {row}: {fault}");
            }
            None => drop(shop.start().await),
        }
    }
}

// COS-20, CVE-2022-35929, CVE-2022-35930: types beside the wanted one prove nothing about it
#[tokio::test(flavor = "multi_thread")]
async fn other_types_do_not_stand_in_for_the_wanted_one() {
    let shop_of = |made: &'static [Made]| async move {
        let mut shop = Shop::open().await;
        shop.wants_scans();
        shop.put_made(made);
        shop
    };
    for (row, made, code) in [
        ("only another type", &[Provenance][..], "PREDICATE_TYPE_MISMATCH"),
        ("the wanted type forged, another type good", &[BrokenAgo(1), Provenance], "PREDICATE_TYPE_MISMATCH"),
        ("the wanted type beside another", &[Provenance, Ago(1)], "VERIFIED"),
    ] {
        let code_found = shop_of(made).await.code().await;
        let no = code_found == code || (code != "VERIFIED" && code_found == "SIG_INVALID");
        assert!(no, "COS-20 {row}: {code_found}");
    }
    // Neither a signature nor the annotation beside a layer makes one of the wanted type.
    let shop = shop_of(&[]).await;
    shop.repository().put_bundle(&shop.image, &shop.bundle());
    assert_eq!(shop.code().await, "PREDICATE_TYPE_MISMATCH", "COS-20: a signature");
    let lying = Layer {
        annotations: [("predicateType".to_owned(), "https://cosign.sigstore.dev/attestation/vuln/v1".to_owned())]
            .into(),
        ..shop.attested(&statement(&shop.image.digest.to_string(), "https://slsa.dev/provenance/v1", &json!({})))
    };
    let shop = shop_of(&[]).await;
    shop.repository().put_att_tag(&shop.image, &[lying]);
    assert_eq!(shop.code().await, "PREDICATE_TYPE_MISMATCH", "R39: the layer's annotation lies");
    // And no attestation is a signature.
    let shop = Shop::open().await;
    shop.put_made(&[Ago(1), Provenance]);
    assert_eq!(shop.code().await, "PREDICATE_TYPE_MISMATCH", "R40: attestations are no signature");
    shop.repository().put_bundle(&shop.image, &shop.bundle());
    assert_eq!(shop.code().await, "VERIFIED", "R40: a signature beside them");
}
