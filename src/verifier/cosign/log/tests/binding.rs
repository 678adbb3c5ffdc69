//! Is the entry about the item? Each body here was taken in by a log that is trusted.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::super::{
    super::evidence::{Shape, Signed},
    testing::{Fixture, Kind, OwnSigner, PAYLOAD, PAYLOAD_TYPE, Secret, envelope, judge, pem, sha256},
};
use crate::crypto::{hex, scheme::HashAlgorithm, testing as pki, x509::Certificate};

fn other_payload(fixture: &mut Fixture) {
    match &mut fixture.signed {
        Signed::Envelope(envelope) => envelope.payload = b"{}".as_slice().into(),
        Signed::Message { digest, .. } => *digest = sha256(&[b"{}"]).to_vec(),
        Signed::Payload { bytes, .. } => *bytes = b"{}".as_slice().into(),
    }
}

fn other_signature(fixture: &mut Fixture) {
    fixture.signature = b"another signature".to_vec();
    let own = fixture.signature.clone();
    match &mut fixture.signed {
        Signed::Envelope(of) => *of = envelope(&[&own], of.raw.is_some()),
        Signed::Message { signature, .. } | Signed::Payload { signature, .. } => *signature = own,
    }
}

// COS-01, COS-02, R61, R82, R83; CVE-2022-23649, CVE-2022-36056, CVE-2026-22703
#[test]
fn entry_of_another_artifact_signature_or_signer_is_refused() {
    for kind in Kind::ALL {
        let (artifact, signature) = match kind {
            Kind::Dsse | Kind::IntotoV2 | Kind::Payload => ("payload", "signature"),
            Kind::DsseLayer | Kind::Intoto => ("payload", "envelope"),
            Kind::Message => ("message", "signature"),
            Kind::RecordV2 => ("envelope", "signature"),
        };
        let about = |what| format!("log entry is about another {what}");
        judge(
            || Fixture::keyless(kind),
            &[
                ("its own", None, &|_| {}),
                ("COS-01 artifact", Some(&about(artifact)), &other_payload),
                ("COS-02 signature", Some(&about(signature)), &other_signature),
                ("COS-02 certificate", Some(&about("certificate")), &|f| f.signer = OwnSigner::certificate()),
                ("entry of the certificate's key", Some(&about("certificate")), &|f| {
                    let OwnSigner::Certificate(der) = &f.signer else { panic!("keyless") };
                    let key = Certificate::parse(der).unwrap().public_key().clone();
                    let own = std::mem::replace(&mut f.signer, OwnSigner::Key(key));
                    f.log(&f.body());
                    f.signer = own;
                }),
                ("R61 entry of a certificate of the key", None, &|f| {
                    let OwnSigner::Certificate(der) = &f.signer else { panic!("keyless") };
                    f.signer = OwnSigner::Key(Certificate::parse(der).unwrap().public_key().clone());
                }),
                ("R61 entry of a certificate of another key", Some(&about("key")), &|f| {
                    f.signer = OwnSigner::Key(Secret::p256().public());
                }),
            ],
        );
        judge(
            || Fixture::keyed(kind),
            &[("R61 key", Some(&about("key")), &|f| f.signer = OwnSigner::Key(Secret::p256().public()))],
        );
    }
}

// R83
#[test]
fn layer_is_bound_by_its_own_bytes() {
    let raw = |f: &mut Fixture, change: &dyn Fn(&mut Vec<u8>)| {
        let Signed::Envelope(envelope) = &mut f.signed else { panic!("an envelope") };
        let mut bytes = envelope.raw.take().unwrap().to_vec();
        change(&mut bytes);
        envelope.raw = Some(bytes.into());
    };
    for kind in [Kind::DsseLayer, Kind::Intoto] {
        judge(
            || Fixture::keyless(kind),
            &[
                ("R83 another byte", Some("log entry is about another envelope"), &|f| raw(f, &|raw| raw.push(b'\n'))),
                ("R83 bytes unknown", Some("log entry is about another envelope"), &|f| {
                    let Signed::Envelope(envelope) = &mut f.signed else { panic!("an envelope") };
                    envelope.raw = None;
                }),
                ("referrer", None, &|f| f.shape = Shape::AttestationReferrer),
                ("a signature that is not the envelope's", Some("log entry is about another signature"), &|f| {
                    f.signature = b"another signature".to_vec();
                }),
            ],
        );
    }
    judge(
        || Fixture::keyless(Kind::IntotoV2),
        &[("R83 intoto/0.0.2 over a layer", Some("log entry is about another envelope"), &|f| {
            f.signed = Signed::Envelope(envelope(&[b"the signature"], true));
        })],
    );
}

#[test]
fn every_signature_of_an_envelope_is_logged_and_ours_is_by_our_signer() {
    let two = || {
        let mut fixture = Fixture::keyed(Kind::DsseLayer);
        fixture.signed = Signed::Envelope(envelope(&[b"by another", b"the signature"], true));
        fixture
    };
    let log = |f: &mut Fixture, signatures: &[(&[u8], String)]| {
        let one = |(signature, verifier): &(&[u8], String)| json!({"signature": STANDARD.encode(signature), "verifier": verifier});
        f.relog("/spec/signatures", signatures.iter().map(one).collect::<Vec<_>>());
    };
    let another = || pem("PUBLIC KEY", Secret::p256().public().spki());
    judge(
        two,
        &[
            ("both", None, &|f| {
                let own = f.signer.pem();
                log(f, &[(b"the signature", own), (b"by another", another())]);
            }),
            ("ours alone", Some("log entry is about another signature"), &|f| {
                let own = f.signer.pem();
                log(f, &[(b"the signature", own)]);
            }),
            ("ours twice", Some("log entry is about another signature"), &|f| {
                let own = f.signer.pem();
                log(f, &[(b"the signature", own.clone()), (b"the signature", own)]);
            }),
            ("one more", Some("log entry is about another signature"), &|f| {
                let own = f.signer.pem();
                log(f, &[(b"the signature", own), (b"by another", another()), (b"a third", another())]);
            }),
            ("our key beside the other signature", Some("log entry is about another key"), &|f| {
                let own = f.signer.pem();
                log(f, &[(b"the signature", another()), (b"by another", own)]);
            }),
            ("none", Some("log entry is about another signature"), &|f| log(f, &[])),
        ],
    );
}

#[test]
fn artifacts_are_hashed_as_the_entry_says_and_the_key_allows() {
    let hashed = |f: &mut Fixture, name: &str, algorithm: HashAlgorithm| {
        let value = hex(algorithm.digest(PAYLOAD).as_ref());
        f.relog("/spec/data/hash", json!({"algorithm": name, "value": value}));
    };
    let sign_with = |f: &mut Fixture, secret: &Secret| f.signer = OwnSigner::Key(secret.public());
    judge(
        || Fixture::keyed(Kind::Payload),
        &[
            ("SHA-384 of a P-384 key", None, &|f| {
                sign_with(f, &Secret::p384());
                hashed(f, "sha384", HashAlgorithm::Sha384);
            }),
            ("SHA-512 of a P-384 key", None, &|f| {
                sign_with(f, &Secret::p384());
                hashed(f, "sha512", HashAlgorithm::Sha512);
            }),
            ("SHA-256 of a P-384 key", None, &|f| {
                sign_with(f, &Secret::p384());
                hashed(f, "sha256", HashAlgorithm::Sha256);
            }),
            ("SHA-384 of another payload", Some("log entry is about another payload"), &|f| {
                hashed(f, "sha384", HashAlgorithm::Sha384);
                other_payload(f);
            }),
            ("SHA-256 of Ed25519", None, &|f| {
                sign_with(f, &Secret::ed25519());
                hashed(f, "sha256", HashAlgorithm::Sha256);
            }),
            ("SHA-512 of Ed25519: pre-hashed", Some("log entry names \"SHA-512\" as the hash of its artifact"), &|f| {
                sign_with(f, &Secret::ed25519());
                hashed(f, "sha512", HashAlgorithm::Sha512);
            }),
            ("a name for another length", Some("log entry's body has a malformed spec.data.hash"), &|f| {
                hashed(f, "sha512", HashAlgorithm::Sha256);
            }),
            ("SHA-1", Some("log entry names \"sha1\" as the hash"), &|f| hashed(f, "sha1", HashAlgorithm::Sha256)),
        ],
    );
    judge(
        || Fixture::keyless(Kind::Message),
        &[
            ("SHA-384 of a message known by it", None, &|f| {
                hashed(f, "sha384", HashAlgorithm::Sha384);
                let Signed::Message { algorithm, digest, .. } = &mut f.signed else { panic!("a message") };
                *algorithm = HashAlgorithm::Sha384;
                *digest = HashAlgorithm::Sha384.digest(PAYLOAD).as_ref().to_vec();
            }),
            ("SHA-384 of a message known by SHA-256", Some("log entry names \"SHA-384\" as the hash"), &|f| {
                hashed(f, "sha384", HashAlgorithm::Sha384);
            }),
        ],
    );
    judge(
        || Fixture::keyless(Kind::DsseLayer),
        &[("an envelope by SHA-512", Some("log entry names \"sha512\" as the hash of its envelope"), &|f| {
            f.relog("/spec/envelopeHash", json!({"algorithm": "sha512", "value": "0".repeat(128)}));
        })],
    );
}

#[test]
fn rekor_v2_names_one_verifier_whose_hash_is_the_artifacts() {
    const AT: &str = "/spec/hashedRekordV002";
    let verifier = format!("{AT}/signature/verifier");
    let pae = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), PAYLOAD.len());
    let details = |f: &mut Fixture, details: &str| {
        let mut value = f.signer.raw();
        value["keyDetails"] = details.into();
        f.relog(&verifier, value);
    };
    judge(
        || Fixture::keyed(Kind::RecordV2),
        &[
            ("P-384 with SHA-384", None, &|f| {
                f.signer = OwnSigner::Key(Secret::p384().public());
                let mut body = f.body();
                let record = body.pointer_mut(AT).unwrap();
                let digest = HashAlgorithm::Sha384.digest(&[pae.as_bytes(), PAYLOAD].concat());
                record["data"] = json!({"algorithm": "SHA2_384", "digest": STANDARD.encode(digest)});
                record["signature"]["verifier"]["keyDetails"] = "PKIX_ECDSA_P384_SHA_384".into();
                f.log(&body);
            }),
            ("keyDetails of another hash", Some("log entry names \"SHA2_256\" as the hash"), &|f| {
                details(f, "PKIX_ECDSA_P384_SHA_384");
            }),
            ("Ed25519ph", Some("log entry names \"SHA2_256\" as the hash"), &|f| details(f, "PKIX_ED25519_PH")),
            ("RSA-PSS", Some("log entry names \"SHA2_256\" as the hash"), &|f| details(f, "PKIX_RSA_PSS_2048_SHA256")),
            ("no keyDetails", Some("log entry's body cannot be read"), &|f| details_dropped(f, &verifier)),
            ("SHA-1", Some("log entry names \"SHA1\" as the hash"), &|f| {
                f.relog(&format!("{AT}/data/algorithm"), "SHA1");
            }),
            ("a digest of 31 bytes", Some("log entry's body has a malformed data.digest"), &|f| {
                f.relog(&format!("{AT}/data/digest"), STANDARD.encode([0; 31]));
            }),
            ("two verifiers", Some("log entry's body has a malformed verifier"), &|f| {
                let mut value = f.signer.raw();
                value["x509Certificate"] = json!({"rawBytes": STANDARD.encode(&pki::good_chain().der[0])});
                f.relog(&verifier, value);
            }),
            ("no verifier", Some("log entry's body has a malformed verifier"), &|f| {
                f.relog(&verifier, json!({"keyDetails": "PKIX_ECDSA_P256_SHA_256"}));
            }),
            ("a message of the same digest", None, &|f| {
                let digest = sha256(&[pae.as_bytes(), PAYLOAD]).to_vec();
                f.signed = Signed::Message { algorithm: HashAlgorithm::Sha256, digest, signature: f.signature.clone() };
            }),
            ("the payload's hash, not the encoding's", Some("log entry is about another envelope"), &|f| {
                f.relog(&format!("{AT}/data/digest"), STANDARD.encode(sha256(&[PAYLOAD])));
            }),
        ],
    );
}

fn details_dropped(fixture: &mut Fixture, verifier: &str) {
    let mut value = fixture.signer.raw();
    value.as_object_mut().unwrap().remove("keyDetails");
    fixture.relog(verifier, value);
}

#[test]
fn intoto_entries_hold_type_and_payload() {
    const SIG: &str = "/spec/content/envelope/signatures/0/sig";
    judge(
        || Fixture::keyless(Kind::IntotoV2),
        &[
            ("payload type", Some("log entry is about another payload type"), &|f| {
                f.relog("/spec/content/envelope/payloadType", "application/json");
            }),
            ("signature encoded once", Some("log entry's body has a malformed envelope.signatures.sig"), &|f| {
                f.relog(SIG, STANDARD.encode(&f.signature));
            }),
        ],
    );
    judge(
        || Fixture::keyless(Kind::Intoto),
        &[
            ("intoto/0.0.1 without payloadHash", None, &|f| {
                f.relog("/spec/content", json!({"hash": f.body()["spec"]["content"]["hash"]}));
            }),
            ("intoto/0.0.1 with another payloadHash", Some("log entry is about another payload"), &|f| {
                f.relog("/spec/content/payloadHash/value", hex(&sha256(&[b"{}"])));
            }),
        ],
    );
}
