use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    crypto::{scheme::HashAlgorithm, testing},
    reason::{Code, chain},
    verifier::cosign::wire::testing::{members, name, renamed, snake_case, twice, with, without},
};

const V01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const V02: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
const V03_OLD: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";
const V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn entry() -> Value {
    json!({
        "logIndex": "21", "logId": { "keyId": b64([7; 32]) }, "kindVersion": { "kind": "dsse", "version": "0.0.1" },
        "integratedTime": "1700000000", "inclusionPromise": { "signedEntryTimestamp": b64("promise") },
        "inclusionProof": { "logIndex": "3", "rootHash": b64([1; 32]), "treeSize": "9",
            "hashes": [b64([2; 32]), b64([3; 32])], "checkpoint": { "envelope": "log\n9\n" } },
        "canonicalizedBody": b64("{}"),
    })
}

fn good() -> Value {
    json!({
        "mediaType": V03,
        "verificationMaterial": {
            "certificate": { "rawBytes": b64("leaf") },
            "tlogEntries": [entry()],
            "timestampVerificationData": { "rfc3161Timestamps": [{ "signedTimestamp": b64("timestamp") }] },
        },
        "dsseEnvelope": {
            "payload": b64("payload"), "payloadType": "application/vnd.in-toto+json",
            "signatures": [{ "sig": b64("signature"), "keyid": "" }],
        },
    })
}

fn message() -> Value {
    let mut document = good();
    let members = document.as_object_mut().unwrap();
    members.remove("dsseEnvelope");
    let digest = json!({ "algorithm": "SHA2_256", "digest": b64([5; 32]) });
    members.insert("messageSignature".into(), json!({ "messageDigest": digest, "signature": b64("signature") }));
    document
}

/// A v0.1 bundle with this chain.
fn chained(ders: &[Vec<u8>]) -> Value {
    let mut document = good();
    document["mediaType"] = json!(V01);
    let certificates: Vec<Value> = ders.iter().map(|der| json!({ "rawBytes": b64(der) })).collect();
    let material = document["verificationMaterial"].as_object_mut().unwrap();
    material.remove("certificate");
    material.insert("x509CertificateChain".into(), json!({ "certificates": certificates }));
    document
}

fn read(document: &Value) -> Result<Item, BundleFault> {
    parse(document.to_string().as_bytes())
}

fn shown(document: &Value) -> String {
    format!("{:?}", read(document).unwrap())
}

fn changed(change: impl FnOnce(&mut Value)) -> Result<Item, BundleFault> {
    let mut document = good();
    change(&mut document);
    read(&document)
}

#[test]
fn a_bundle_is_read_whole() {
    let item = read(&good()).unwrap();
    assert_eq!(item.shape, Shape::Bundle(BundleVersion::V03));
    let Signed::Envelope(envelope) = &item.signed else { panic!("{item:?}") };
    assert_eq!(envelope.payload_type, "application/vnd.in-toto+json");
    assert_eq!((&envelope.payload[..], &envelope.signatures[..]), (&b"payload"[..], &[b"signature".to_vec()][..]));
    assert!(envelope.raw.is_none());
    assert!(matches!(&item.material, Material::Certificate { leaf, chain } if leaf == b"leaf" && chain.is_empty()));
    assert_eq!(item.timestamps, [b"timestamp".to_vec()]);
    let [entry] = &item.entries[..] else { panic!("{item:?}") };
    assert_eq!((entry.log_index, &entry.log_id, entry.integrated_time), (21, &vec![7; 32], Some(1_700_000_000)));
    assert_eq!(entry.kind, Some(("dsse".into(), "0.0.1".into())));
    assert_eq!((entry.promise.as_deref(), &entry.body[..]), (Some(&b"promise"[..]), &b"{}"[..]));
    let proof = entry.proof.as_ref().unwrap();
    assert_eq!((proof.log_index, proof.tree_size, &proof.root_hash), (3, 9, &vec![1; 32]));
    assert_eq!((&proof.hashes[..], proof.checkpoint.as_str()), (&[[2; 32], [3; 32]][..], "log\n9\n"));
}

// R45, COS-34
#[test]
fn four_media_types_are_bundles_and_no_other() {
    for (media_type, version) in [(V03, BundleVersion::V03), (V03_OLD, BundleVersion::V03)] {
        assert_eq!(changed(|it| it["mediaType"] = json!(media_type)).unwrap().shape, Shape::Bundle(version));
    }
    for (media_type, version) in [(V01, BundleVersion::V01), (V02, BundleVersion::V02)] {
        let mut document = chained(&[b"leaf".to_vec()]);
        document["mediaType"] = json!(media_type);
        assert_eq!(read(&document).unwrap().shape, Shape::Bundle(version));
    }
    for other in [
        "application/vnd.dev.sigstore.bundle+json;version=99.9",
        "application/vnd.dev.sigstore.bundle+json;version=0.99",
        "application/vnd.dev.sigstore.bundle+json; version=0.3",
        "application/vnd.dev.sigstore.bundle+json",
        "application/vnd.dev.sigstore.bundle.v0.2+json",
        "application/vnd.dev.sigstore.bundle.v0.3+JSON",
        "application/json",
    ] {
        let fault = changed(|it| it["mediaType"] = json!(other)).unwrap_err();
        assert!(matches!(&fault, BundleFault::MediaType { found } if found == other), "{fault}");
    }
    let absent = parse(&without(&good(), "/mediaType")).unwrap_err();
    assert!(matches!(absent, BundleFault::Missing { member: "mediaType" }));
}

// R47, R48, R49, COS-34
#[test]
fn certificates_come_in_the_form_of_the_version_and_without_a_root() {
    let der = testing::good_chain().der;
    let root = der.len() - 1;
    let item = read(&chained(&der[..root])).unwrap();
    assert!(matches!(item.material, Material::Certificate { leaf, chain } if leaf == der[0] && chain == der[1..root]));
    let fault = |document: &Value| read(document).unwrap_err();
    assert!(matches!(fault(&chained(&der)), BundleFault::RootInChain { position } if position == root), "root");
    assert!(matches!(fault(&chained(&[])), BundleFault::EmptyChain), "empty");
    let junk = fault(&chained(&[der[0].clone(), b"junk".to_vec()]));
    assert!(
        matches!(junk, BundleFault::ChainCertificate { position: 1, .. }) && junk.code() == Code::CertificateInvalid
    );
    let mut newer = chained(&der[..1]);
    newer["mediaType"] = json!(V03);
    assert!(matches!(fault(&newer), BundleFault::Chain), "chain in v0.3");
    for old in [V01, V02] {
        let fault = changed(|it| it["mediaType"] = json!(old)).unwrap_err();
        assert!(matches!(fault, BundleFault::SingleCertificate), "{old}");
    }
    let empty = changed(|it| it["verificationMaterial"]["certificate"]["rawBytes"] = json!("")).unwrap_err();
    assert!(matches!(empty, BundleFault::Missing { member: "certificate.rawBytes" }));
}

#[test]
fn exactly_one_says_who_signed_and_exactly_one_what() {
    let key = |hint: Value| {
        changed(|it| {
            let material = it["verificationMaterial"].as_object_mut().unwrap();
            material.remove("certificate");
            material.insert("publicKey".into(), hint);
        })
    };
    assert!(matches!(key(json!({"hint": "x"})).unwrap().material, Material::Key { hint: Some(hint) } if hint == "x"));
    assert!(matches!(key(json!({})).unwrap().material, Material::Key { hint: None }));
    let both = changed(|it| it["verificationMaterial"]["publicKey"] = json!({"hint": "x"})).unwrap_err();
    let none = parse(&without(&good(), "/verificationMaterial/certificate")).unwrap_err();
    assert!(matches!((both, none), (BundleFault::Material, BundleFault::Material)));
    let both = changed(|it| it["messageSignature"] = message()["messageSignature"].clone()).unwrap_err();
    let none = parse(&without(&good(), "/dsseEnvelope")).unwrap_err();
    assert!(matches!((both, none), (BundleFault::Content, BundleFault::Content)));
    let missing = parse(&without(&good(), "/verificationMaterial")).unwrap_err();
    assert!(matches!(missing, BundleFault::Missing { member: "verificationMaterial" }));
}

// R34, COS-24
#[test]
fn an_envelope_has_exactly_one_signature() {
    for count in [0, 2, 1000] {
        let fault = changed(|it| it["dsseEnvelope"]["signatures"] = vec![json!({"sig": "AAAA"}); count].into());
        assert!(matches!(fault.unwrap_err(), BundleFault::Signatures { count: found } if found == count), "{count}");
    }
    let empty = changed(|it| it["dsseEnvelope"]["signatures"] = json!([{"sig": ""}])).unwrap_err();
    assert!(matches!(empty, BundleFault::Missing { .. }));
}

// COS-23, R50
#[test]
fn a_message_has_a_digest_of_a_known_hash_and_its_length() {
    let digest = |algorithm: Value, length: usize| {
        let mut document = message();
        document["messageSignature"]["messageDigest"] = json!({"algorithm": algorithm, "digest": b64(vec![5; length])});
        read(&document)
    };
    for (named, number, hash, length) in [
        ("SHA2_256", 1, HashAlgorithm::Sha256, 32),
        ("SHA2_384", 2, HashAlgorithm::Sha384, 48),
        ("SHA2_512", 3, HashAlgorithm::Sha512, 64),
    ] {
        for algorithm in [json!(named), json!(number)] {
            let item = digest(algorithm, length).unwrap();
            assert!(matches!(item.signed, Signed::Message { algorithm, .. } if algorithm == hash), "{named}");
        }
        for length in [length - 1, length + 1] {
            let fault = digest(json!(named), length).unwrap_err();
            assert!(matches!(fault, BundleFault::DigestLength { .. }), "{named} of {length} bytes");
        }
    }
    for other in [
        json!("SHA1"),
        json!("SHA3_256"),
        json!("sha256"),
        json!("HASH_ALGORITHM_UNSPECIFIED"),
        json!(0),
        json!(4),
        json!(""),
    ] {
        assert!(matches!(digest(other.clone(), 32).unwrap_err(), BundleFault::DigestAlgorithm), "{other}");
    }
    for member in
        ["/messageSignature/messageDigest", "/messageSignature/messageDigest/digest", "/messageSignature/signature"]
    {
        assert!(matches!(parse(&without(&message(), member)).unwrap_err(), BundleFault::Missing { .. }), "{member}");
    }
}

// R16, R17, R21, R22, R25, COS-31, COS-32, COS-33
#[test]
fn each_list_is_read_up_to_its_limit() {
    let der = testing::good_chain().der;
    let with_list = |pointer: &str, n: usize, element: Value| parse(&with(&good(), pointer, vec![element; n].into()));
    for (list, limit, pointer, element) in [
        ("tlogEntries", 32, "/verificationMaterial/tlogEntries", entry()),
        (
            "rfc3161Timestamps",
            32,
            "/verificationMaterial/timestampVerificationData/rfc3161Timestamps",
            json!({"signedTimestamp": "AAAA"}),
        ),
        ("inclusionProof.hashes", 64, "/verificationMaterial/tlogEntries/0/inclusionProof/hashes", json!(b64([0; 32]))),
    ] {
        assert!(with_list(pointer, limit, element.clone()).is_ok(), "{list}");
        let fault = with_list(pointer, limit + 1, element).unwrap_err();
        assert_eq!(fault.code(), Code::LimitExceeded, "{list}");
        let BundleFault::TooMany { member, count, limit: stated } = fault else { panic!("{list}: {fault}") };
        assert_eq!((member, count, stated), (list, limit + 1, limit));
    }
    let chain = |n: usize| read(&chained(&vec![der[1].clone(); n]));
    assert!(chain(10).is_ok());
    assert!(matches!(chain(11).unwrap_err(), BundleFault::TooMany { member: "certificates", count: 11, limit: 10 }));
    // Beyond the limit nothing is read: these are no entries
    let junk = changed(|it| {
        let entries = it["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap();
        *entries = [vec![entry(); 32], vec![json!(0); 100_000]].concat();
    });
    assert!(matches!(junk.unwrap_err(), BundleFault::TooMany { count: 100_032, .. }));
    let padded = |size: usize| {
        let mut bytes = good().to_string().into_bytes();
        bytes.resize(size, b' ');
        parse(&bytes)
    };
    assert!(padded(MAX_BUNDLE_BYTES).is_ok());
    assert!(matches!(padded(MAX_BUNDLE_BYTES + 1).unwrap_err(), BundleFault::TooLarge { .. }));
}

// R51, COS-06, COS-34; conformance: malformed-json, invalid-base64-signature, negative-log-index
#[test]
fn malformed_members_are_refused_and_named() {
    const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
    for (pointer, value, says) in [
        (format!("{ENTRY}/logIndex"), json!("-1"), "tlogEntries[0].logIndex"),
        (format!("{ENTRY}/logIndex"), json!(-1), "tlogEntries[0].logIndex"),
        (format!("{ENTRY}/integratedTime"), json!("-1"), "integratedTime"),
        (format!("{ENTRY}/integratedTime"), json!("soon"), "integratedTime"),
        (format!("{ENTRY}/inclusionProof/treeSize"), json!("18446744073709551615"), "treeSize"),
        (format!("{ENTRY}/inclusionProof/logIndex"), json!("-1"), "inclusionProof.logIndex"),
        (format!("{ENTRY}/inclusionProof/hashes"), json!([b64([0; 31])]), "31 bytes instead of 32"),
        (format!("{ENTRY}/inclusionProof/hashes"), json!([null]), "hashes[0]"),
        (format!("{ENTRY}/canonicalizedBody"), json!(""), "no tlogEntries[].canonicalizedBody"),
        (format!("{ENTRY}/logId"), json!({}), "no tlogEntries[].logId.keyId"),
        (format!("{ENTRY}/kindVersion/kind"), json!(""), "no tlogEntries[].kindVersion.kind"),
        ("/dsseEnvelope/signatures".into(), json!([{"sig": "!!!"}]), "malformed base64"),
        ("/dsseEnvelope/payload".into(), json!("AAAA\nAAAA"), "dsseEnvelope.payload"),
        ("/dsseEnvelope/payload".into(), json!(""), "no dsseEnvelope.payload"),
        ("/verificationMaterial".into(), json!([]), "verificationMaterial"),
    ] {
        let fault = parse(&with(&good(), &pointer, value)).unwrap_err();
        assert!(chain(&fault).contains(says), "{pointer}: {}", chain(&fault));
        assert_eq!(fault.code(), Code::BundleMalformed, "{pointer}");
    }
    let text = good().to_string();
    for cut in 0..text.len() {
        let fault = parse(&text.as_bytes()[..cut]).unwrap_err();
        assert!(matches!(fault, BundleFault::Malformed(_)), "cut at {cut}: {fault}");
    }
}

/// Members that a bundle may leave out. Without one the item is another, which its checks then see; except `keyid`, which
/// nobody reads.
const OPTIONAL: &[&str] = &[
    "tlogEntries",
    "timestampVerificationData",
    "rfc3161Timestamps",
    "logIndex",
    "integratedTime",
    "inclusionPromise",
    "inclusionProof",
    "rootHash",
    "treeSize",
    "hashes",
    "checkpoint",
    "envelope",
    "keyid",
];

// R51, R117
#[test]
fn a_member_that_is_missing_renamed_doubled_or_of_another_type_is_never_read_past() {
    for document in [good(), message(), chained(&[b"leaf".to_vec()])] {
        let whole = shown(&document);
        for pointer in members(&document) {
            let member = name(&pointer);
            for (how, bytes) in
                [("without", without(&document, &pointer)), ("null", with(&document, &pointer, Value::Null))]
            {
                match parse(&bytes) {
                    Err(_) => assert!(!OPTIONAL.contains(&member), "{how} {pointer}"),
                    Ok(item) => {
                        assert!(OPTIONAL.contains(&member), "{how} {pointer}");
                        assert_eq!(format!("{item:?}") == whole, member == "keyid", "{how} {pointer}");
                    }
                }
            }
            for other in [format!("{member}s"), member.to_uppercase(), format!(" {member}")] {
                assert!(parse(&renamed(&document, &pointer, &other)).is_err(), "{pointer} as {other}");
            }
            for second in [member.to_owned(), snake_case(member)] {
                assert!(parse(&twice(&document, &pointer, &second)).is_err(), "{pointer} and {second}");
            }
            for value in [json!(true), json!({"x": 1}), json!(1.5)] {
                assert!(parse(&with(&document, &pointer, value.clone())).is_err(), "{pointer} as {value}");
            }
            let snake = parse(&renamed(&document, &pointer, &snake_case(member))).unwrap();
            assert_eq!(format!("{snake:?}"), whole, "{pointer} under its original name");
        }
    }
}

// R117
#[test]
fn no_bit_of_a_bundle_changes_without_a_trace() {
    let whole = shown(&good());
    let text = good().to_string();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let same = parse(&bytes).is_ok_and(|item| format!("{item:?}") == whole);
            assert!(!same, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn an_entry_may_lack_what_is_judged_later() {
    let item = changed(|it| {
        let entry = it["verificationMaterial"]["tlogEntries"][0].as_object_mut().unwrap();
        entry.remove("inclusionPromise");
        entry.insert("integratedTime".into(), json!("0"));
        entry["inclusionProof"].as_object_mut().unwrap().remove("checkpoint");
    });
    let entry = &item.unwrap().entries[0];
    assert_eq!((entry.promise.as_ref(), entry.integrated_time), (None, None));
    assert_eq!(entry.proof.as_ref().unwrap().checkpoint, "");
}

// R116
proptest! {
    #[test]
    fn any_bytes_return(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parse(&bytes).is_err());
    }

    #[test]
    fn a_bundle_with_any_bytes_replaced_returns(at in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = good().to_string().into_bytes();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        let _ = parse(&bytes);
    }
}
