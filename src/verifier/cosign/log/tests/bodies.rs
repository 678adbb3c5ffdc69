//! What a body must look like. Each body here was taken in by a log that is trusted.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{
    super::evidence::{BundleVersion, Shape},
    body::Body,
    testing::{Fixture, Kind, OwnSigner, PAYLOAD, Secret, judge, sha256},
};
use crate::crypto::hex;

/// Logs these bytes as a body.
fn relog_bytes(fixture: &mut Fixture, body: &str) {
    fixture.entry.body = body.as_bytes().to_vec();
    fixture.entry.proof = None;
    fixture.shape = Shape::Bundle(BundleVersion::V01);
    fixture.promise();
}

// COS-04, and the ruling on kinds
#[test]
fn only_supported_kinds_count_and_only_where_they_are_written() {
    for (kind, version) in [
        ("rekord", "0.0.1"),
        ("hashedrekord", "0.0.9"),
        ("dsse", "0.0.2"),
        ("intoto", "0.0.3"),
        ("", ""),
        ("DSSE", "0.0.1"),
    ] {
        let refused = format!("log entry of kind {kind}/{version} does not count for a sigstore bundle v0.3");
        judge(
            || Fixture::keyless(Kind::Dsse),
            &[(kind, Some(&refused), &|f| {
                let mut body = f.body();
                (body["kind"], body["apiVersion"]) = (kind.into(), version.into());
                f.log(&body);
            })],
        );
    }
    judge(
        || Fixture::keyless(Kind::Intoto),
        &[("intoto/0.0.1 in a bundle", Some("log entry of kind intoto/0.0.1 does not count for a sigstore"), &|f| {
            f.shape = Shape::Bundle(BundleVersion::V01);
            f.entry.kind = Some(("intoto".to_owned(), "0.0.1".to_owned()));
        })],
    );
    let of = |kind: Kind, signed_as: Kind| {
        let mut fixture = Fixture::keyless(kind);
        fixture.signed = Fixture::keyless(signed_as).signed;
        fixture.verify().unwrap_err().to_string()
    };
    for (kind, signed_as, name) in [
        (Kind::Message, Kind::Dsse, "hashedrekord/0.0.1"),
        (Kind::Dsse, Kind::Message, "dsse/0.0.1"),
        (Kind::IntotoV2, Kind::Message, "intoto/0.0.2"),
        (Kind::Intoto, Kind::Payload, "intoto/0.0.1"),
        (Kind::DsseLayer, Kind::Payload, "dsse/0.0.1"),
    ] {
        assert!(of(kind, signed_as).starts_with(&format!("log entry of kind {name} does not")), "{kind:?}");
    }
}

#[test]
fn kind_version_is_the_bodys() {
    let stated = |kind: &str, version: &str| Some((kind.to_owned(), version.to_owned()));
    judge(
        || Fixture::keyless(Kind::Dsse),
        &[
            ("kindVersion, kind", Some("log entry is said to be hashedrekord/0.0.1, its body is dsse/0.0.1"), &|f| {
                f.entry.kind = stated("hashedrekord", "0.0.1");
            }),
            ("kindVersion, version", Some("log entry is said to be dsse/0.0.2"), &|f| {
                f.entry.kind = stated("dsse", "0.0.2");
            }),
            ("kindVersion missing in a bundle", Some("log entry has no kindVersion"), &|f| f.entry.kind = None),
        ],
    );
    judge(
        || Fixture::keyless(Kind::Payload),
        &[
            ("kindVersion of a layer", None, &|f| f.entry.kind = stated("hashedrekord", "0.0.1")),
            ("kindVersion of a layer, another", Some("log entry is said to be dsse"), &|f| {
                f.entry.kind = stated("dsse", "0.0.1");
            }),
        ],
    );
}

#[test]
fn body_is_one_strict_document() {
    let unreadable = Some("log entry's body cannot be read");
    let good = Fixture::keyless(Kind::Payload).body().to_string();
    let double = good.replacen("\"kind\"", "\"kind\":\"hashedrekord\",\"kind\"", 1);
    let double_below = good.replacen("\"algorithm\"", "\"algorithm\":\"sha256\",\"algorithm\"", 1);
    let trailing = format!("{good}{{}}");
    let cut = good.trim_end_matches('}');
    for body in [
        "",
        "junk",
        "null",
        "[]",
        "{}",
        "1",
        r#"{"kind":1,"apiVersion":"0.0.1","spec":{}}"#,
        &double,
        &double_below,
        &trailing,
        cut,
    ] {
        judge(
            || Fixture::keyless(Kind::Payload),
            &[(body, unreadable, &|f| {
                relog_bytes(f, body);
                f.entry.kind = Some(("hashedrekord".to_owned(), "0.0.1".to_owned()));
            })],
        );
    }
    judge(
        || Fixture::keyless(Kind::Payload),
        &[
            ("unknown members", None, &|f| {
                f.relog("/spec/data", json!({"hash": f.body()["spec"]["data"]["hash"], "url": "x"}));
            }),
            ("null", unreadable, &|f| f.relog("/spec/signature", Value::Null)),
            ("number", unreadable, &|f| f.relog("/spec/signature/content", 1)),
            ("not base64", Some("log entry's body has a malformed spec.signature.content"), &|f| {
                f.relog("/spec/signature/content", "?");
            }),
            ("no signature", Some("log entry's body has a malformed spec.signature.content"), &|f| {
                f.relog("/spec/signature/content", "");
            }),
            ("upper case", Some("log entry's body has a malformed spec.data.hash"), &|f| {
                f.relog("/spec/data/hash/value", hex(&sha256(&[PAYLOAD])).to_uppercase());
            }),
            ("short", Some("log entry's body has a malformed spec.data.hash"), &|f| {
                f.relog("/spec/data/hash/value", hex(&sha256(&[PAYLOAD])[..31]));
            }),
            ("odd", Some("log entry's body has a malformed spec.data.hash"), &|f| {
                f.relog("/spec/data/hash/value", "abc");
            }),
            ("no hex", Some("log entry's body has a malformed spec.data.hash"), &|f| {
                f.relog("/spec/data/hash/value", "+1".repeat(32));
            }),
        ],
    );
}

#[test]
fn verifier_is_exactly_one_block() {
    let malformed = Some("log entry's body has a malformed spec.signature.publicKey.content");
    let block =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", STANDARD.encode(der));
    let key = Secret::p256().public();
    let good = block("PUBLIC KEY", key.spki());
    for (name, text, fault) in [
        ("block", good.clone(), None),
        ("newlines at its end", format!("{good}\n\n"), None),
        ("carriage returns", good.replace('\n', "\r\n"), None),
        ("two blocks", format!("{good}\n{good}\n"), malformed),
        ("a certificate after it", format!("{good}\n{}", block("CERTIFICATE", b"x")), malformed),
        ("text before", format!("x\n{good}"), malformed),
        ("text after", format!("{good}\nx"), malformed),
        ("another label", block("EC PRIVATE KEY", key.spki()), malformed),
        ("two labels", good.replace("END PUBLIC KEY", "END CERTIFICATE"), malformed),
        ("headers", good.replacen('\n', "\nProc-Type: 4\n\n", 1), malformed),
        ("empty block", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n".to_owned(), malformed),
        ("one line of dashes", "-----BEGIN PUBLIC KEY-----".to_owned(), malformed),
        ("nothing", String::new(), malformed),
        (
            "bytes after the key",
            block("PUBLIC KEY", &[key.spki(), &[0]].concat()),
            Some("log entry is about another key"),
        ),
    ] {
        judge(
            || Fixture::new(Kind::Payload, OwnSigner::Key(key.clone())),
            &[(name, fault, &|f| f.relog("/spec/signature/publicKey/content", STANDARD.encode(&text)))],
        );
    }
}

/// Pointers to all strings of a document.
fn strings(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| strings(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| strings(value, &format!("{at}/{n}"), found));
        }
        Value::String(_) => found.push(at.to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

// R117
#[test]
fn every_member_of_a_body_binds_or_is_listed() {
    // A bundle writes its envelope anew, so the hash of the one that was logged is of bytes that are gone.
    let unauthenticated = |kind, at: &str| match kind {
        Kind::Dsse => at == "/spec/envelopeHash/value",
        Kind::IntotoV2 => at == "/spec/content/hash/value",
        Kind::DsseLayer | Kind::Intoto | Kind::Message | Kind::Payload | Kind::RecordV2 => false,
    };
    for kind in Kind::ALL {
        let mut found = Vec::new();
        strings(&Fixture::keyless(kind).body(), "", &mut found);
        assert!(found.len() >= 6, "{kind:?}: {found:?}");
        for at in found {
            let mut fixture = Fixture::keyless(kind);
            let old = fixture.body().pointer(&at).unwrap().as_str().unwrap().to_owned();
            let middle = old.len() / 2;
            let new = if old.as_bytes()[middle] == b'0' { "1" } else { "0" };
            let changed = format!("{}{new}{}", old.get(..middle).unwrap(), old.get(middle + 1..).unwrap());
            let stated = fixture.entry.kind.clone();
            fixture.relog(&at, changed);
            fixture.entry.kind = stated;
            assert_eq!(fixture.verify().is_ok(), unauthenticated(kind, &at), "{kind:?} {at}");
        }
    }
}

// R116
proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..256)) {
        let mut fixture = Fixture::keyless(Kind::Payload);
        fixture.entry.body = body;
        let _ = Body::parse(&fixture.entry, fixture.shape);
    }

    #[test]
    fn no_spec_panics(at in any::<prop::sample::Index>(), text in ".{0,80}", kind in prop::sample::select(Kind::ALL.to_vec())) {
        let fixture = Fixture::keyless(kind);
        let mut body = fixture.body();
        let mut found = Vec::new();
        strings(&body, "", &mut found);
        *body.pointer_mut(&found[at.index(found.len())]).unwrap() = text.into();
        let mut entry = fixture.entry;
        (entry.body, entry.kind) = (body.to_string().into_bytes(), None);
        let _ = Body::parse(&entry, Shape::AttestationTag);
    }
}
