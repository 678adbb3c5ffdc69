use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    reason::{Code, chain},
    verifier::cosign::wire::testing::{members, name, renamed, twice, with, without},
};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn pem(der: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", b64(der))
}

fn rekor() -> Value {
    json!({
        "SignedEntryTimestamp": b64("promise"),
        "Payload": { "body": b64("{}"), "integratedTime": 1_700_000_000, "logIndex": 21, "logID": "0a".repeat(32) },
    })
}

fn envelope() -> Value {
    json!({
        "payloadType": "application/vnd.in-toto+json", "payload": b64("statement"),
        "signatures": [{ "keyid": "", "sig": b64("signature") }],
    })
}

fn layer(media_type: &str, annotations: &[(&str, &str)]) -> Descriptor {
    let mut layer = Descriptor::of(media_type, b"");
    layer.annotations = annotations.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    layer
}

/// A signature's layer with one annotation beside the signature.
fn signed(annotation: &str, text: &str) -> Result<Item, LegacyFault> {
    let layer = layer(SIMPLE_SIGNING, &[(SIGNATURE, "c2ln"), (annotation, text)]);
    signature(Shape::SignatureTag, &layer, Bytes::from_static(b"{}"))
}

fn attested(bytes: &[u8]) -> Result<Item, LegacyFault> {
    attestation(Shape::AttestationTag, &layer(DSSE_ENVELOPE, &[]), Bytes::copy_from_slice(bytes))
}

#[test]
fn a_signature_layer_is_read_with_its_annotations() {
    let (certificate, chain) = (pem("leaf"), [pem("intermediate"), pem("root")].concat());
    let (bundle, timestamp) = (rekor().to_string(), json!({"SignedRFC3161Timestamp": b64("time")}).to_string());
    let annotations = [
        (SIGNATURE, "c2ln"),
        (CERTIFICATE, certificate.as_str()),
        (CHAIN, &chain),
        (BUNDLE, &bundle),
        (TIMESTAMP, &timestamp),
        ("predicateType", "ignored"),
    ];
    let layer = layer(SIMPLE_SIGNING, &annotations);
    let item = signature(Shape::SignatureReferrer, &layer, Bytes::from_static(b" {} ")).unwrap();
    assert_eq!(item.shape, Shape::SignatureReferrer);
    // R33: what is signed is the layer, byte for byte
    assert!(
        matches!(&item.signed, Signed::Payload { bytes, signature } if &bytes[..] == b" {} " && signature == b"sig")
    );
    let Material::Certificate { leaf, chain } = &item.material else { panic!("{item:?}") };
    assert_eq!((&leaf[..], &chain[..]), (&b"leaf"[..], &[b"intermediate".to_vec(), b"root".to_vec()][..]));
    assert_eq!(item.timestamps, [b"time".to_vec()]);
    let [entry] = &item.entries[..] else { panic!("{item:?}") };
    assert_eq!((&entry.log_id, entry.log_index, entry.integrated_time), (&vec![0x0a; 32], 21, Some(1_700_000_000)));
    assert_eq!((entry.promise.as_deref(), &entry.body[..]), (Some(&b"promise"[..]), &b"{}"[..]));
    assert!(entry.kind.is_none() && entry.proof.is_none());
}

#[test]
fn annotations_that_are_absent_or_empty_are_nothing() {
    let bare = layer(SIMPLE_SIGNING, &[(SIGNATURE, "c2ln")]);
    let empty =
        layer(SIMPLE_SIGNING, &[(SIGNATURE, "c2ln"), (CERTIFICATE, ""), (CHAIN, ""), (BUNDLE, ""), (TIMESTAMP, "")]);
    for layer in [bare, empty] {
        let item = signature(Shape::SignatureTag, &layer, Bytes::new()).unwrap();
        assert!(matches!(item.material, Material::Key { hint: None }));
        assert!(item.entries.is_empty() && item.timestamps.is_empty());
    }
}

// COS-19
#[test]
fn a_layer_without_a_signature_of_its_kind_is_refused() {
    let read = |media_type: &str, annotations: &[(&str, &str)]| {
        signature(Shape::SignatureTag, &layer(media_type, annotations), Bytes::new()).unwrap_err()
    };
    assert!(matches!(read(SIMPLE_SIGNING, &[]), LegacyFault::NoSignature));
    assert!(matches!(read(SIMPLE_SIGNING, &[(SIGNATURE, "")]), LegacyFault::NoSignature));
    for odd in ["c2l", "c2ln\n", " c2ln", "c2ln c2ln", "-_8=", "c2ln=", "c2lo!"] {
        assert!(matches!(read(SIMPLE_SIGNING, &[(SIGNATURE, odd)]), LegacyFault::Base64 { .. }), "{odd:?}");
    }
    for other in [
        DSSE_ENVELOPE,
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.dev.cosign.simplesigning.v1+json; x=y",
        "",
    ] {
        assert!(matches!(read(other, &[(SIGNATURE, "c2ln")]), LegacyFault::MediaType { .. }), "{other}");
    }
    let wrong = attestation(Shape::AttestationTag, &layer(SIMPLE_SIGNING, &[]), Bytes::from(envelope().to_string()));
    assert!(matches!(wrong.unwrap_err(), LegacyFault::MediaType { expected: DSSE_ENVELOPE, .. }));
}

// R25
#[test]
fn certificates_are_pem_blocks_and_nothing_else() {
    let chained = |text: &str| {
        let leaf = pem("leaf");
        let layer = layer(SIMPLE_SIGNING, &[(SIGNATURE, "c2ln"), (CERTIFICATE, &leaf), (CHAIN, text)]);
        signature(Shape::SignatureTag, &layer, Bytes::new())
    };
    assert!(chained(&pem("ca").repeat(10)).is_ok());
    let fault = chained(&pem("ca").repeat(11)).unwrap_err();
    assert!(matches!(fault, LegacyFault::TooManyCertificates { annotation: CHAIN, count: 11, limit: 10 }));
    assert_eq!(fault.code(), Code::LimitExceeded);
    assert!(signed(CERTIFICATE, &pem("leaf").replace('\n', "\r\n")).is_ok());
    let two = signed(CERTIFICATE, &pem("leaf").repeat(2)).unwrap_err();
    assert!(matches!(two, LegacyFault::TooManyCertificates { annotation: CERTIFICATE, count: 2, limit: 1 }));
    assert!(matches!(signed(CHAIN, &pem("ca")).unwrap_err(), LegacyFault::ChainWithoutCertificate));
    let good = pem("leaf");
    for (what, text) in [
        ("text before", format!("x\n{good}")),
        ("text behind", format!("{good}x")),
        ("no end", good.replace("END CERT", "END cert")),
        ("not base64", good.replace("bGVh", "b!Vh")),
        ("empty block", pem("")),
        ("DER in base64", b64("leaf")),
    ] {
        assert!(matches!(signed(CERTIFICATE, &text).unwrap_err(), LegacyFault::Pem { .. }), "{what}");
    }
    for (what, text) in [("white space", "\n ".to_owned()), ("a key", good.replace("CERTIFICATE", "PUBLIC KEY"))] {
        assert!(matches!(signed(CERTIFICATE, &text).unwrap_err(), LegacyFault::NoCertificate { .. }), "{what}");
    }
}

// R51, R117, COS-03
#[test]
fn no_member_of_a_log_entry_is_missing_renamed_doubled_or_of_another_type() {
    let read = |bytes: Vec<u8>| signed(BUNDLE, std::str::from_utf8(&bytes).unwrap());
    assert!(read(rekor().to_string().into_bytes()).is_ok());
    for pointer in members(&rekor()) {
        for value in [Value::Null, json!("!"), json!(-1), json!("5"), json!(1.5), json!({"x": 1}), json!([])] {
            assert!(read(with(&rekor(), &pointer, value.clone())).is_err(), "{pointer} as {value}");
        }
        assert!(read(without(&rekor(), &pointer)).is_err(), "without {pointer}");
        assert!(read(twice(&rekor(), &pointer, name(&pointer))).is_err(), "{pointer} twice");
        assert!(read(renamed(&rekor(), &pointer, &name(&pointer).to_uppercase())).is_err(), "{pointer} in upper case");
        let sibling = pointer.rsplit_once('/').unwrap().0.to_owned() + "/extra";
        assert!(read(with(&rekor(), &sibling, json!(1))).is_err(), "{sibling}");
    }
    for id in ["0A".repeat(32), "0a".repeat(31), "0a".repeat(33), "0".repeat(63), "0g".repeat(32)] {
        assert!(read(with(&rekor(), "/Payload/logID", json!(id))).is_err(), "{id}");
    }
    let first = with(&rekor(), "/Payload/logIndex", json!(0));
    assert_eq!(read(first).unwrap().entries[0].log_index, 0);
}

#[test]
fn a_timestamp_is_one_response() {
    for text in [
        "{}",
        r#"{"SignedRFC3161Timestamp":""}"#,
        r#"{"SignedRFC3161Timestamp":"!"}"#,
        r#"{"SignedRFC3161Timestamp":["AAAA"]}"#,
        "AAAA",
        "null",
    ] {
        assert!(signed(TIMESTAMP, text).is_err(), "{text}");
    }
}

#[test]
fn an_attestation_layer_is_read_and_kept_as_it_is() {
    let bytes = format!(" {}\n", envelope());
    let item = attested(bytes.as_bytes()).unwrap();
    let Signed::Envelope(read) = &item.signed else { panic!("{item:?}") };
    // R83: log entries name the hash of these bytes
    assert_eq!(read.raw.as_deref(), Some(bytes.as_bytes()));
    assert_eq!((read.payload_type.as_str(), &read.payload[..]), ("application/vnd.in-toto+json", &b"statement"[..]));
    assert_eq!(read.signatures, [b"signature".to_vec()]);
    let with_empty = layer(DSSE_ENVELOPE, &[(SIGNATURE, "")]);
    assert!(attestation(Shape::AttestationReferrer, &with_empty, Bytes::from(bytes.clone())).is_ok());
    let with_signature = layer(DSSE_ENVELOPE, &[(SIGNATURE, "c2ln")]);
    let fault = attestation(Shape::AttestationTag, &with_signature, Bytes::from(bytes)).unwrap_err();
    assert!(matches!(fault, LegacyFault::SignatureBesideEnvelope));
}

// DSSE v1.0, "Parsing rules"
#[test]
fn an_envelope_is_read_as_dsse_has_it() {
    let mut extended = envelope();
    extended["extra"] = json!({"x": [1]});
    extended["signatures"][0]["cert"] = json!("x");
    extended["payload"] = json!("-_A=");
    extended["signatures"][0].as_object_mut().unwrap().remove("keyid");
    let item = attested(extended.to_string().as_bytes()).unwrap();
    assert!(matches!(&item.signed, Signed::Envelope(envelope) if envelope.payload[..] == [0xfb, 0xf0]));
    for pointer in members(&envelope()).into_iter().filter(|pointer| name(pointer) != "keyid") {
        for bytes in [
            without(&envelope(), &pointer),
            with(&envelope(), &pointer, Value::Null),
            with(&envelope(), &pointer, json!(1)),
            renamed(&envelope(), &pointer, &name(&pointer).to_uppercase()),
            twice(&envelope(), &pointer, name(&pointer)),
        ] {
            let fault = attested(&bytes).unwrap_err();
            assert!(
                matches!(fault, LegacyFault::Envelope(_) | LegacyFault::EnvelopeMember { .. }),
                "{pointer}: {fault}"
            );
            assert_eq!(fault.code(), Code::BundleMalformed, "{pointer}");
        }
    }
    for text in ["not json", "", "[]", "null", r#"["application/vnd.in-toto+json","AAAA",[{"sig":"AAAA"}]]"#] {
        assert!(matches!(attested(text.as_bytes()).unwrap_err(), LegacyFault::Envelope(_)), "{text}");
    }
    let not_base64 = attested(&with(&envelope(), "/payload", json!("AAA"))).unwrap_err();
    assert!(chain(&not_base64).contains("malformed at payload: malformed base64"), "{}", chain(&not_base64));
}

// COS-24
#[test]
fn an_envelope_has_one_signature_or_several() {
    let signed = |n: usize| attested(&with(&envelope(), "/signatures", vec![json!({"sig": "AAAA"}); n].into()));
    for n in [1, 2, 32] {
        assert!(
            matches!(signed(n).unwrap().signed, Signed::Envelope(envelope) if envelope.signatures.len() == n),
            "{n}"
        );
    }
    assert!(matches!(signed(0).unwrap_err(), LegacyFault::EnvelopeMember { member: "signatures" }));
    assert!(matches!(signed(33).unwrap_err(), LegacyFault::TooManySignatures { count: 33, limit: 32 }));
    let empty = attested(&with(&envelope(), "/signatures", json!([{"sig": "AAAA"}, {"sig": ""}]))).unwrap_err();
    assert!(matches!(empty, LegacyFault::EnvelopeMember { member: "signatures[].sig" }));
}

// R17, COS-18
#[test]
fn layers_are_read_up_to_their_limits() {
    let payload = |size: usize| {
        let layer = layer(SIMPLE_SIGNING, &[(SIGNATURE, "c2ln")]);
        signature(Shape::SignatureTag, &layer, Bytes::from(vec![b' '; size]))
    };
    assert!(payload(MAX_PAYLOAD_BYTES).is_ok());
    assert!(matches!(payload(MAX_PAYLOAD_BYTES + 1).unwrap_err(), LegacyFault::TooLarge { .. }));
    let padded = |size: usize| {
        let mut bytes = envelope().to_string().into_bytes();
        bytes.resize(size, b' ');
        attested(&bytes)
    };
    assert!(padded(MAX_ENVELOPE_BYTES).is_ok());
    let fault = padded(MAX_ENVELOPE_BYTES + 1).unwrap_err();
    assert!(matches!(fault, LegacyFault::TooLarge { .. }) && fault.code() == Code::LimitExceeded);
}

// R116
proptest! {
    #[test]
    fn any_bytes_and_annotations_return(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
        let _ = attested(&bytes);
        for annotation in [SIGNATURE, CERTIFICATE, CHAIN, BUNDLE, TIMESTAMP] {
            let _ = signed(annotation, &text);
        }
        let _ = signed(CERTIFICATE, &format!("-----BEGIN {text}-----END {text}-----"));
    }

    #[test]
    fn an_envelope_with_any_bytes_replaced_returns(at in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = envelope().to_string().into_bytes();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        let _ = attested(&bytes);
    }
}
