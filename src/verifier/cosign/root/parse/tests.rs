//! R81, R94 to R96, COS-11 and COS-35: what a trusted root may say.

use proptest::prelude::*;
use serde_json::json;
use sigstore_trust_root::{
    SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT,
};
use time::macros::datetime;

use super::{super::source::Instance, *};

fn public_good() -> Value {
    serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap()
}

fn parse(document: &Value) -> Result<TrustedRoot, RootFault> {
    TrustedRoot::parse("test", document.to_string().as_bytes(), Profile::Sigstore)
}

/// The public instance's document with a member changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = public_good();
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    document
}

/// The same without a member.
fn without(pointer: &str, member: &str) -> Value {
    let mut document = public_good();
    document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member).unwrap();
    document
}

// R94
#[test]
fn the_known_instances_parse_whole() {
    for (instance, authorities, logs, ct_logs, timestamp_authorities, profile) in [
        (Instance::PublicGood, 2, 2, 2, 1, Profile::Sigstore),
        (Instance::Staging, 2, 5, 5, 2, Profile::Sigstore),
        (Instance::GitHub, 6, 0, 0, 6, Profile::GitHub),
    ] {
        let root = instance.embedded().unwrap();
        let name = instance.as_str();
        assert_eq!(root.warnings, Vec::<String>::new(), "{name}");
        assert_eq!(root.certificate_authorities.len(), authorities, "{name}");
        assert_eq!((root.logs.len(), root.ct_logs.len()), (logs, ct_logs), "{name}");
        assert_eq!(root.timestamp_authorities.len(), timestamp_authorities, "{name}");
        assert_eq!((root.profile, root.name.as_str()), (profile, name));
        assert_eq!(root.origin, Origin::Embedded { date: Instance::EMBEDDED }, "{name}");
    }
}

// R98: what GitHub's items need not have is said by the configuration alone.
#[test]
fn the_profile_is_the_configuration_s_word_and_never_the_document_s() {
    let root = TrustedRoot::parse("mine", SIGSTORE_GITHUB_TRUSTED_ROOT.as_bytes(), Profile::Sigstore).unwrap();
    assert_eq!(root.profile, Profile::Sigstore);
}

#[test]
fn a_client_trust_configuration_holds_a_trusted_root() {
    let wrapper = |media_type: &str| json!({"mediaType": media_type, "trustedRoot": public_good(), "signingConfig": {"anything": 1}});
    let root = parse(&wrapper(WRAPPER_MEDIA_TYPE)).unwrap();
    assert_eq!((root.logs.len(), root.warnings.len()), (2, 0));
    for other in ["", MEDIA_TYPES[0], "application/json"] {
        assert!(matches!(parse(&wrapper(other)), Err(RootFault::MediaType { .. })), "{other}");
    }
}

#[test]
fn only_media_types_of_trusted_roots_are_read() {
    for media_type in MEDIA_TYPES {
        parse(&with("/mediaType", json!(media_type))).unwrap();
    }
    for other in [
        "application/vnd.dev.sigstore.trustedroot+json;version=0.9",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "",
    ] {
        assert!(matches!(parse(&with("/mediaType", json!(other))), Err(RootFault::MediaType { .. })), "{other}");
    }
    assert!(matches!(parse(&without("", "mediaType")), Err(RootFault::Missing { at }) if at == "mediaType"));
}

// R81, COS-11
#[test]
fn windows_are_closed_and_know_fractions_of_seconds() {
    let window = |start: &str, end: Value| {
        let mut document = public_good();
        document["tlogs"][0]["publicKey"]["validFor"] = json!({"start": start, "end": end});
        parse(&document).unwrap().logs[0].window
    };
    let closed = window("2024-01-01T00:00:00.250Z", json!("2024-12-31T23:59:59.999+00:00"));
    assert!(closed.contains(datetime!(2024-01-01 0:00:00.25 UTC)));
    assert!(!closed.contains(datetime!(2024-01-01 0:00:00.249 UTC)));
    assert!(closed.contains(datetime!(2024-12-31 23:59:59.999 UTC)));
    assert!(!closed.contains(datetime!(2025-01-01 0:00 UTC)));
    let open = window("2024-01-01T00:00:00Z", Value::Null);
    assert!(open.end.is_none() && open.contains(datetime!(9999-12-31 0:00 UTC)));
    let moment = window("2024-01-01T00:00:00Z", json!("2024-01-01T00:00:00Z"));
    assert!(moment.contains(datetime!(2024-01-01 0:00 UTC)));
}

// R95 (conformance: trust-root-tlog-missing-validity-start)
#[test]
fn a_window_without_start_or_with_its_ends_exchanged_refuses_the_document() {
    for holder in [
        "/tlogs/0/publicKey",
        "/tlogs/1/publicKey",
        "/ctlogs/1/publicKey",
        "/certificateAuthorities/0",
        "/timestampAuthorities/0",
    ] {
        let place = format!("{holder}/validFor");
        let start = parse(&without(&place, "start"));
        assert!(
            matches!(&start, Err(RootFault::Missing { at }) if at.ends_with("validFor.start")),
            "{holder}: {start:?}"
        );
        let window = parse(&without(holder, "validFor"));
        assert!(matches!(&window, Err(RootFault::Missing { at }) if at.ends_with("validFor")), "{holder}: {window:?}");
        let null = parse(&with(&format!("{place}/start"), Value::Null));
        assert!(matches!(null, Err(RootFault::Missing { .. })), "{holder}: {null:?}");
        let ends = json!({"start": "2024-01-01T00:00:00Z", "end": "2023-12-31T23:59:59.999Z"});
        let inverted = parse(&with(&place, ends));
        assert!(matches!(inverted, Err(RootFault::InvertedWindow { .. })), "{holder}: {inverted:?}");
        for time in ["", "yesterday", "2024-01-01", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00"] {
            let unreadable = parse(&with(&format!("{place}/start"), json!(time)));
            assert!(matches!(unreadable, Err(RootFault::Time { .. })), "{holder}: {time}");
        }
        assert!(matches!(parse(&with(&format!("{place}/start"), json!(1))), Err(RootFault::Type { .. })), "{holder}");
    }
}

// R96
#[test]
fn an_entry_that_cannot_be_used_is_left_out_and_disables_nothing_else() {
    let other_key = public_good()["ctlogs"][0]["publicKey"]["rawBytes"].clone();
    let other_certificate = public_good()["timestampAuthorities"][0]["certChain"]["certificates"][0].clone();
    let many = vec![other_certificate.clone(); MAX_CERTIFICATES + 1];
    for (pointer, value, word) in [
        ("/tlogs/0/publicKey/keyDetails", json!("PKIX_ML_DSA_65"), "not supported"),
        ("/tlogs/0/publicKey/keyDetails", json!("PKIX_ED25519_PH"), "not supported"),
        ("/tlogs/0/publicKey/keyDetails", Value::Null, "not supported"),
        ("/tlogs/0/publicKey/keyDetails", json!("PKIX_ED25519"), "is said to be"),
        ("/tlogs/0/publicKey/keyDetails", json!("PKIX_ECDSA_P384_SHA_384"), "is said to be"),
        ("/tlogs/0/publicKey/rawBytes", json!("AAAA"), "not readable"),
        ("/tlogs/0/publicKey/rawBytes", json!("****"), "no base64"),
        ("/tlogs/0/publicKey/rawBytes", Value::Null, "missing"),
        ("/tlogs/0/publicKey/rawBytes", other_key, "not that of its key"),
        ("/tlogs/0/hashAlgorithm", json!("SHA2_512"), "hash algorithm"),
        ("/tlogs/0/logId/keyId", json!("AAAA"), "not that of its key"),
        ("/tlogs/0/logId/keyId", Value::Null, "missing"),
        ("/tlogs/1/baseUrl", json!("https://elsewhere.example"), "not that of its key"),
        ("/ctlogs/0/publicKey/rawBytes", json!("AAAA"), "not readable"),
        ("/certificateAuthorities/1/certChain/certificates/0/rawBytes", json!("AAAA"), "certificate 0"),
        ("/certificateAuthorities/1/certChain/certificates/1/rawBytes", json!("?"), "certificate 1"),
        ("/certificateAuthorities/1/certChain/certificates/0", other_certificate.clone(), "did not sign"),
        ("/certificateAuthorities/1/certChain/certificates", json!([]), "no certificate"),
        ("/timestampAuthorities/0/certChain/certificates", json!(many), "more than"),
    ] {
        let root = parse(&with(pointer, value)).unwrap_or_else(|fault| panic!("{pointer}: {fault}"));
        let left = [
            2 - root.logs.len(),
            2 - root.ct_logs.len(),
            2 - root.certificate_authorities.len(),
            1 - root.timestamp_authorities.len(),
        ];
        assert_eq!(left.iter().sum::<usize>(), 1, "{pointer}: {left:?}");
        let [warning] = &root.warnings[..] else { panic!("{pointer}: {:?}", root.warnings) };
        let entry = pointer.trim_start_matches('/').split('/').take(2).collect::<Vec<_>>().join("[") + "]";
        assert!(warning.starts_with(&entry) && warning.contains(word), "{pointer}: {warning}");
    }
}

#[test]
fn a_log_id_that_stands_twice_refuses_the_document_whether_its_entry_can_be_used_or_not() {
    for list in ["tlogs", "ctlogs"] {
        let mut document = public_good();
        let first = document[list][0].clone();
        document[list].as_array_mut().unwrap().push(first);
        assert!(matches!(parse(&document), Err(RootFault::DuplicateLog { .. })), "{list}");
        document[list][2]["publicKey"]["keyDetails"] = json!("PKIX_ML_DSA_65");
        assert!(matches!(parse(&document), Err(RootFault::DuplicateLog { .. })), "{list}");
    }
}

#[test]
fn unknown_members_are_a_warning_wherever_they_stand() {
    for pointer in [
        "",
        "/tlogs/0",
        "/tlogs/0/publicKey",
        "/tlogs/0/publicKey/validFor",
        "/tlogs/0/logId",
        "/ctlogs/0",
        "/certificateAuthorities/0",
        "/certificateAuthorities/0/certChain",
        "/certificateAuthorities/0/certChain/certificates/0",
        "/timestampAuthorities/0/validFor",
    ] {
        let mut document = public_good();
        document.pointer_mut(pointer).unwrap()["new\n"] = json!(1);
        let root = parse(&document).unwrap();
        assert_eq!((root.logs.len(), root.certificate_authorities.len()), (2, 2), "{pointer}");
        let [warning] = &root.warnings[..] else { panic!("{pointer}: {:?}", root.warnings) };
        assert!(warning.contains("new\\u{a} is not known"), "{warning}");
    }
    let mut document = public_good();
    for number in 0..200 {
        document[format!("x{number}")] = json!(1);
    }
    assert_eq!(parse(&document).unwrap().warnings.len(), MAX_WARNINGS + 1);
}

// COS-35
#[test]
fn a_root_of_which_nothing_can_be_used_is_refused() {
    let empty = json!({"mediaType": MEDIA_TYPES[0]});
    assert!(matches!(parse(&empty), Err(RootFault::Nothing)));
    let lists = json!({"mediaType": MEDIA_TYPES[0], "tlogs": [], "certificateAuthorities": [], "ctlogs": [], "timestampAuthorities": []});
    assert!(matches!(parse(&lists), Err(RootFault::Nothing)));
    let mut unusable = public_good();
    unusable["certificateAuthorities"] = json!([]);
    unusable["timestampAuthorities"] = json!([]);
    unusable["tlogs"][0]["publicKey"]["keyDetails"] = json!("NEW");
    unusable["tlogs"][1]["publicKey"]["keyDetails"] = json!("NEW");
    assert!(matches!(parse(&unusable), Err(RootFault::Nothing)), "certificate transparency logs alone");
    // An empty list is an empty list: what asks for a log finds none.
    let root = parse(&with("/tlogs", json!([]))).unwrap();
    assert!(root.logs.is_empty() && root.certificate_authorities.len() == 2);
}

// COS-35
#[test]
fn what_is_no_trusted_root_is_refused() {
    let of_bytes = |bytes: &[u8]| TrustedRoot::parse("test", bytes, Profile::Sigstore);
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("cut", &SIGSTORE_STAGING_TRUSTED_ROOT.as_bytes()[..5000]),
        ("two documents", b"{}{}"),
        ("duplicate member", br#"{"mediaType":"a","mediaType":"b"}"#),
        ("no UTF-8", b"\"\xff\""),
    ] {
        assert!(matches!(of_bytes(bytes), Err(RootFault::Json(_))), "{name}");
    }
    for (name, bytes) in [("list", &b"[]"[..]), ("text", b"\"x\""), ("null", b"null")] {
        assert!(matches!(of_bytes(bytes), Err(RootFault::Type { .. })), "{name}");
    }
    let mut padded = SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes().to_vec();
    padded.resize(MAX_BYTES, b' ');
    of_bytes(&padded).unwrap();
    padded.push(b' ');
    assert!(matches!(of_bytes(&padded), Err(RootFault::TooLarge)));
    for (pointer, value) in [
        ("/tlogs", json!({})),
        ("/tlogs/0", json!("x")),
        ("/tlogs/0/publicKey", json!([])),
        ("/tlogs/0/publicKey/rawBytes", json!(1)),
        ("/tlogs/0/baseUrl", json!(1)),
        ("/certificateAuthorities", json!("x")),
        ("/certificateAuthorities/0/certChain", json!([])),
        ("/certificateAuthorities/0/certChain/certificates", json!({})),
    ] {
        assert!(matches!(parse(&with(pointer, value)), Err(RootFault::Type { .. })), "{pointer}");
    }
    for (pointer, member) in
        [("/tlogs/0", "publicKey"), ("/tlogs/0", "logId"), ("/certificateAuthorities/0", "certChain")]
    {
        assert!(matches!(parse(&without(pointer, member)), Err(RootFault::Missing { .. })), "{member}");
    }
}

/// Every place of a document: a pointer each.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), all)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| places(value, &format!("{at}/{i}"), all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

// R116
proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = TrustedRoot::parse("test", &bytes, Profile::Sigstore);
    }

    #[test]
    fn no_change_of_a_genuine_document_makes_it_panic_or_add(place in any::<prop::sample::Index>(), kind in 0_u8..6, text in ".{0,40}") {
        let mut document = public_good();
        let mut all = Vec::new();
        places(&document, "", &mut all);
        let at: &String = place.get(&all);
        let value = match kind {
            0 => Value::Null,
            1 => json!(text),
            2 => json!([text]),
            3 => json!({text: 1}),
            4 => json!(-1),
            _ => json!([]),
        };
        *document.pointer_mut(at).unwrap() = value;
        if let Ok(root) = parse(&document) {
            prop_assert!(root.logs.len() <= 2 && root.certificate_authorities.len() <= 2);
        }
    }
}
