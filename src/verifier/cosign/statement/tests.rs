use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::{
    reason::Code,
    verifier::cosign::wire::testing::{members, name, twice, with, without},
};

fn image() -> Digest {
    Digest::sha256(b"image")
}

fn hex(of: &str) -> String {
    Digest::sha256(of.as_bytes()).hex().to_owned()
}

fn good() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "web", "digest": { "sha256": image().hex() }, "annotations": { "build": "42" } }],
        "predicateType": "https://cosign.sigstore.dev/attestation/vuln/v1",
        "predicate": { "metadata": { "scanFinishedOn": "2026-11-20T10:00:00.5+01:00", "count": 3, "day": "2026-11-20" } },
    })
}

fn statement(bytes: &[u8]) -> Result<Statement, StatementFault> {
    read(PAYLOAD_TYPE, bytes)
}

fn subjects(subjects: Value) -> Result<Statement, StatementFault> {
    statement(&with(&good(), "/subject", subjects))
}

/// Whether a statement with these subjects is about the image.
fn is_about(list: Value, image: &Digest) -> bool {
    subjects(list).unwrap().binds(image).is_ok()
}

#[test]
fn a_statement_is_read_and_handed_on_whole() {
    let read = statement(good().to_string().as_bytes()).unwrap();
    assert_eq!(read.predicate_type(), "https://cosign.sigstore.dev/attestation/vuln/v1");
    assert_eq!(read.binds(&image()).unwrap().annotations().unwrap()["build"], "42");
    assert_eq!(*read.value(), good());
    assert_eq!(read.into_value(), good());
}

// What an unknown signer wrote is read no further than that: a small text of many members makes a large tree.
#[test]
fn of_the_head_only_the_types_are_read_and_as_strictly() {
    let head_of = |bytes: &[u8]| head(PAYLOAD_TYPE, bytes);
    let text = good().to_string();
    assert_eq!(head_of(text.as_bytes()).unwrap().predicate_type, "https://cosign.sigstore.dev/attestation/vuln/v1");

    // Refused once its signer is trusted; until then not looked at.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for below in [r#"{"a":1,"a":2}"#, deep.as_str(), "1e999"] {
        let text = text.replacen(r#""predicate":{"#, &format!(r#""x":{below},"predicate":{{"#), 1);
        assert!(head_of(text.as_bytes()).is_ok(), "{below:.20}");
        assert!(statement(text.as_bytes()).is_err(), "{below:.20}");
    }

    for bad in [
        with(&good(), "/_type", json!("https://in-toto.io/Statement/v2")),
        with(&good(), "/_type", json!(1)),
        with(&good(), "/predicateType", json!("")),
        with(&good(), "/predicateType", json!({})),
        without(&good(), "/_type"),
        without(&good(), "/predicateType"),
        twice(&good(), "/_type", "_type"),
        twice(&good(), "/predicateType", "predicateType"),
        b"[]".to_vec(),
        b"".to_vec(),
        text.as_bytes()[..text.len() - 1].to_vec(),
        format!("{text} x").into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&bad).into_owned();
        assert_eq!(head_of(&bad).unwrap_err().code(), Code::PayloadMalformed, "{shown}");
        assert!(statement(&bad).is_err(), "{shown}");
    }
    assert!(matches!(head("application/json", text.as_bytes()), Err(StatementFault::PayloadType { .. })));
}

// R35, COS-21
#[test]
fn only_the_payload_type_of_in_toto_is_a_statement() {
    for other in [
        "application/vnd.in-toto+JSON",
        "application/vnd.in-toto+json ",
        "application/vnd.in-toto",
        "application/json",
        "",
    ] {
        let fault = read(other, good().to_string().as_bytes()).unwrap_err();
        assert!(matches!(&fault, StatementFault::PayloadType { found } if found == other));
        assert_eq!(fault.code(), Code::PayloadMalformed);
    }
}

// R37, COS-21
#[test]
fn two_versions_of_statements_are_known() {
    for version in ["v0.1", "v1"] {
        let kind = json!(format!("https://in-toto.io/Statement/{version}"));
        assert!(statement(&with(&good(), "/_type", kind)).is_ok(), "{version}");
    }
    for other in [
        "https://in-toto.io/Statement/v0.2",
        "https://in-toto.io/Statement/v1.0",
        "https://in-toto.io/Statement/v1/",
        "http://in-toto.io/Statement/v1",
        "x",
    ] {
        assert!(
            matches!(statement(&with(&good(), "/_type", json!(other))), Err(StatementFault::Type { .. })),
            "{other}"
        );
    }
}

// R26, R51, CVE-2026-39395
#[test]
fn what_is_no_statement_is_refused() {
    for (what, bytes) in [
        ("not JSON", b"not json".to_vec()),
        ("nothing", vec![]),
        ("something behind", format!("{}x", good()).into_bytes()),
        ("duplicate within the predicate", twice(&good(), "/predicate/metadata/count", "count")),
    ] {
        assert!(matches!(statement(&bytes), Err(StatementFault::Json(_))), "{what}");
    }
    for pointer in members(&good()) {
        let doubled = statement(&twice(&good(), &pointer, name(&pointer)));
        assert!(matches!(doubled, Err(StatementFault::Json(_))), "{pointer} twice");
    }
    for member in ["_type", "subject", "predicateType", "predicate"] {
        let pointer = format!("/{member}");
        for bytes in [without(&good(), &pointer), with(&good(), &pointer, Value::Null)] {
            let fault = statement(&bytes).unwrap_err();
            assert!(
                matches!(fault, StatementFault::Member { member: missing } if missing == member),
                "{member}: {fault}"
            );
        }
    }
    for (pointer, value) in [
        ("/_type", json!(1)),
        ("/predicateType", json!(["x"])),
        ("/predicateType", json!("")),
        ("/subject", json!({"digest": {}})),
        ("/subject", json!("x")),
        ("/subject", json!(["x"])),
        ("/subject", json!([null])),
        ("/subject", json!([{"digest": "x"}])),
        ("/subject", json!([{"digest": {"sha256": 1}}])),
        ("/subject", json!([{"digest": {"sha256": image().hex()}, "annotations": "x"}])),
    ] {
        let fault = statement(&with(&good(), pointer, value.clone())).unwrap_err();
        assert!(matches!(fault, StatementFault::Member { .. }), "{pointer} {value}: {fault}");
    }
    for document in ["[]", "null", "1"] {
        assert!(
            matches!(statement(document.as_bytes()), Err(StatementFault::Member { member: "_type" })),
            "{document}"
        );
    }
    assert!(statement(&with(&good(), "/extra", json!({"x": 1}))).is_ok(), "members that are not known are ignored");
}

// R38, COS-25
#[test]
fn any_subject_with_exactly_the_digest_of_the_image_binds() {
    let subject = |digest: Value| json!({ "name": "x", "digest": digest });
    let of = |name: &str| subject(json!({ "sha256": hex(name) }));
    let sha512 = Digest::of(Algorithm::Sha512, b"image");
    for (what, list, binds) in [
        ("only", json!([of("image")]), true),
        ("second of three", json!([of("a"), of("image"), of("b")]), true),
        ("beside one without sha256", json!([subject(json!({"gitCommit": "0"})), of("image")]), true),
        ("beside one without any digest", json!([{"name": "x"}, of("image")]), true),
        ("beside another algorithm", json!([subject(json!({"sha512": "0", "sha256": image().hex()}))]), true),
        ("others", json!([of("a"), of("b")]), false),
        ("no sha256 anywhere", json!([subject(json!({}))]), false),
        ("sha512 only", json!([subject(json!({"sha512": sha512.hex()}))]), false),
        ("its hex under another algorithm", json!([subject(json!({"sha512": image().hex()}))]), false),
        ("upper case", json!([subject(json!({"sha256": image().hex().to_uppercase()}))]), false),
        ("algorithm in upper case", json!([subject(json!({"SHA256": image().hex()}))]), false),
        ("with the algorithm's name", json!([subject(json!({"sha256": image().to_string()}))]), false),
        ("cut", json!([subject(json!({"sha256": image().hex().get(..63).unwrap()}))]), false),
        ("longer", json!([subject(json!({"sha256": format!("{}0", image().hex())}))]), false),
        ("empty", json!([subject(json!({"sha256": ""}))]), false),
        ("pattern", json!([subject(json!({"sha256": "*"}))]), false),
        ("in the name", json!([{"name": image().to_string(), "digest": {"sha256": hex("a")}}]), false),
    ] {
        assert_eq!(is_about(list, &image()), binds, "{what}");
    }
    let fault = subjects(json!([of("a")])).unwrap().binds(&image()).unwrap_err().code();
    assert_eq!(fault, Code::SubjectMismatch);
    assert!(is_about(json!([subject(json!({"sha512": sha512.hex()}))]), &sha512), "an image by sha512");
    assert!(!is_about(json!([of("image")]), &sha512), "an image by sha512 and a subject by sha256");
}

// R23, R24, COS-25
#[test]
fn subjects_and_digests_are_read_up_to_their_limits() {
    let many = |n: usize| subjects(vec![json!({"digest": {"sha256": image().hex()}}); n].into());
    assert!(matches!(many(0).unwrap_err(), StatementFault::NoSubject));
    assert!(many(1).is_ok() && many(1024).is_ok());
    let fault = many(1025).unwrap_err();
    assert!(matches!(fault, StatementFault::TooMany { member: "subject", count: 1025, limit: 1024 }));
    assert_eq!(fault.code(), Code::LimitExceeded);
    let digests = |n: usize| {
        let digests: Map<String, Value> = (0..n).map(|n| (format!("algorithm{n}"), json!("0"))).collect();
        subjects(json!([{"digest": {"sha256": image().hex()}}, {"digest": digests}]))
    };
    assert!(digests(32).is_ok());
    let fault = digests(33).unwrap_err();
    assert!(matches!(fault, StatementFault::TooMany { member: "subject[].digest", count: 33, limit: 32 }));
}

// R41
#[test]
fn only_a_signature_may_leave_its_predicate_out() {
    let signature = with(&good(), "/predicateType", json!(SIGN_V1));
    let signature: Value = serde_json::from_slice(&signature).unwrap();
    assert!(statement(&without(&signature, "/predicate")).is_ok());
    assert!(statement(&with(&signature, "/predicate", Value::Null)).is_ok());
    assert!(statement(&without(&good(), "/predicate")).is_err());
    assert!(
        statement(&without(
            &serde_json::from_slice(&with(&good(), "/predicateType", json!(format!("{SIGN_V1}/")))).unwrap(),
            "/predicate"
        ))
        .is_err()
    );
}

// R42
#[test]
fn annotations_are_those_of_the_subject_that_matched() {
    let list = json!([
        { "digest": { "sha256": hex("a") }, "annotations": { "build": "wrong" } },
        { "digest": { "sha256": image().hex() } },
        { "digest": { "sha256": image().hex() }, "annotations": { "build": "later" } },
    ]);
    assert!(subjects(list).unwrap().binds(&image()).unwrap().annotations().is_none());
}

// R43
#[test]
fn predicates_of_any_kind_are_handed_on_unchanged() {
    for predicate in
        [json!("SPDXVersion: SPDX-2.2\n"), json!({"Data": "{}", "Timestamp": ""}), json!([]), json!({}), json!(0)]
    {
        let read = statement(&with(&good(), "/predicate", predicate.clone())).unwrap();
        assert_eq!(read.value()["predicate"], predicate);
    }
}

#[test]
fn a_time_is_read_where_the_pointer_says() {
    let read = statement(good().to_string().as_bytes()).unwrap();
    let time = read.time_at("/predicate/metadata/scanFinishedOn").unwrap();
    assert_eq!(time, datetime!(2026-11-20 09:00:00.5 UTC));
    for pointer in ["/predicate/metadata/absent", "/predicate/metadata/scanFinishedOn/", "predicate", "/predicate/0"] {
        let fault = read.time_at(pointer).unwrap_err();
        assert!(matches!(&fault, StatementFault::NoTime { pointer: at } if at == pointer), "{pointer}");
        assert_eq!(fault.code(), Code::AttestationFuture);
    }
    for pointer in ["", "/predicate", "/predicate/metadata/count", "/predicate/metadata/day", "/_type"] {
        assert!(matches!(read.time_at(pointer).unwrap_err(), StatementFault::Time { .. }), "{pointer}");
    }
}

// `sigstore.md` §1.6
#[test]
fn names_of_predicate_types_are_aliases_or_uris() {
    for (name, predicate_type) in [
        ("custom", "https://cosign.sigstore.dev/attestation/v1"),
        ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
        ("spdx", "https://spdx.dev/Document"),
        ("spdxjson", "https://spdx.dev/Document"),
        ("cyclonedx", "https://cyclonedx.org/bom"),
        ("link", "https://in-toto.io/Link/v1"),
        ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
        ("openvex", "https://openvex.dev/ns"),
        ("https://spdx.dev/Document/v2.3", "https://spdx.dev/Document/v2.3"),
        ("urn:example:x", "urn:example:x"),
    ] {
        assert_eq!(predicate_type_of(name), Some(predicate_type));
    }
    for other in ["", "vulns", "Vuln", " vuln", "spdx.dev/Document", ":x", "https:", "1:x", "https://a b", "a\u{0}:x"] {
        assert_eq!(predicate_type_of(other), None, "{other:?}");
    }
}

// R116
proptest! {
    #[test]
    fn any_bytes_return(bytes in proptest::collection::vec(any::<u8>(), 0..200), payload_type in ".{0,40}", pointer in ".{0,20}") {
        prop_assert!(statement(&bytes).is_err());
        prop_assert!(read(&payload_type, &bytes).is_err());
        let _ = statement(good().to_string().as_bytes()).unwrap().time_at(&pointer);
        let _ = predicate_type_of(&pointer);
    }

    #[test]
    fn a_statement_with_any_bytes_replaced_returns(at in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = good().to_string().into_bytes();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        if let Ok(statement) = statement(&bytes) {
            let _ = statement.binds(&image());
        }
    }
}
