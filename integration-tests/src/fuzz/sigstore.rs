//! What the verifiers `cosign` and `attestation` read. R116.

use std::{path::PathBuf, sync::LazyLock};

use bytes::Bytes;
use countersign::{
    crypto::x509::Certificate,
    oci::{Descriptor, Digest},
    verifier::cosign::{
        bundle as bundles,
        certificate::SigningCertificate,
        config::{Config, KeyConfig, PolicyConfig},
        evidence::{Item, Material, Shape, Signed},
        identity::IdentityConfig,
        judge::{self, Target, Want},
        key::Key,
        legacy, payload,
        policy::TrustPolicy,
        root::{Profile, TrustedRoot, source::RootConfig},
        sct,
        statement::{self as statements, PAYLOAD_TYPE},
    },
};
use serde_json::Value;
use time::{OffsetDateTime, macros::datetime};

use super::{Read, only_what_was_signed, refused, told};
use crate::sigstore::der::{octets, tlv};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:41 UTC);

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn blob(layout: &str, hex: &str) -> Vec<u8> {
    std::fs::read(fixtures().join("layouts").join(layout).join("blobs/sha256").join(hex)).expect("a blob")
}

fn compiled(policy: PolicyConfig) -> TrustPolicy {
    let policy = PolicyConfig { name: "fuzz".to_owned(), scopes: vec!["**".to_owned()], ..policy };
    let compiled = Config::of_policy(policy).compile(&fixtures()).expect("a policy");
    compiled.policies.into_iter().next().expect("one policy")
}

/// Who believes the publisher's email address.
static KEYLESS: LazyLock<TrustPolicy> = LazyLock::new(|| {
    let (issuer, subject) = (Some("https://accounts.acorn.test".to_owned()), Some("release@acorn.test".to_owned()));
    compiled(PolicyConfig {
        trusted_root: Some(RootConfig::of_file("trust/sigstore/trusted_root.json".into())),
        identities: Some(vec![IdentityConfig { issuer, subject, ..IdentityConfig::default() }]),
        ..PolicyConfig::default()
    })
});

/// Who believes the publisher's key, logged or not.
static KEYED: LazyLock<TrustPolicy> = LazyLock::new(|| {
    let file = Some("trust/cosign/keys/p256.pub".into());
    compiled(PolicyConfig {
        keys: Some(vec![KeyConfig { file, ..KeyConfig::default() }]),
        ignore_tlog: true,
        ..PolicyConfig::default()
    })
});

/// Images of the fixtures, and the bundle about each: Rekor v1, with a timestamp, Rekor v2.
const BUNDLES: [(&str, &str); 3] = [
    (
        "1486180609da104c2e579eb33aabb811c5594cdfc0e93180ff69febfe6ee5ad0",
        "5b7ee38f5b8c07973225aef65ad6875942c43d2b5080c399159572454d437a63",
    ),
    (
        "1a4a757561e4e50a4a8d539b9f78c15dba904acf11cea96cc72ab518b04dc017",
        "0adee93b3f8b6027dacec0adb14ecef95b4b89494aa0f697902f99c753b1dfa9",
    ),
    (
        "7c466b0b50bab0d76502905dcd0dc49e27288c78f39d1666f9fd57fa4fec5486",
        "b4f82d497ce1c6eff3169f01bce484c896606e93f4636b87e9a824391dfe4a1d",
    ),
];

/// The bundles, with what they are about.
static ITEMS: LazyLock<Vec<(Digest, Item)>> = LazyLock::new(|| {
    let read = |(image, bundle): &(&str, &str)| {
        let item = bundles::parse(&blob("bundle", bundle)).expect("a bundle");
        (Digest::parse(&format!("sha256:{image}")).expect("a digest"), item)
    };
    BUNDLES.iter().map(read).collect()
});

/// Who signed, where `item` is believed.
fn judged(item: &Item, digest: &Digest, want: &Want, policy: &TrustPolicy) -> Option<String> {
    let target = Target { digest, bytes: None, repository: None };
    match judge::judge(item, &target, want, policy, NOW) {
        Ok(findings) => Some(format!("{digest} by {:?}", findings.signer.map(|signer| signer.display))),
        Err(rejection) => {
            assert!(!rejection.reason().is_empty() && rejection.reason().len() <= 8192, "{}", rejection.reason());
            None
        }
    }
}

/// A Sigstore bundle: it is believed about nothing but what a seed is about, and as that signer's.
pub fn bundle(data: &[u8]) -> Read {
    only_what_was_signed("bundle", data, |data| {
        let item = bundles::parse(data).map_err(|error| told(&error)).ok()?;
        ITEMS.iter().find_map(|(digest, _)| judged(&item, digest, &Want::Signature, &KEYLESS))
    })
}

/// The body of a log entry, in the place of a good one's.
pub fn rekor_body(data: &[u8]) -> Read {
    only_what_was_signed("rekor_body", data, |data| {
        ITEMS.iter().find_map(|(digest, item)| {
            let mut item = item.clone();
            item.entries[0].body = data.to_vec();
            judged(&item, digest, &Want::Signature, &KEYLESS).map(|_| Digest::sha256(data).to_string())
        })
    })
}

/// A log's checkpoint, in the place of a good one's. More signatures of others may follow.
pub fn checkpoint(data: &[u8]) -> Read {
    only_what_was_signed("checkpoint", data, |data| {
        let text = std::str::from_utf8(data).ok()?;
        ITEMS.iter().find_map(|(digest, item)| {
            let mut item = item.clone();
            text.clone_into(&mut item.entries[0].proof.as_mut().expect("a proof").checkpoint);
            judged(&item, digest, &Want::Signature, &KEYLESS)?;
            text.split_once("\n\n").map(|(note, _)| note.to_owned())
        })
    })
}

/// A simple signing payload, and the layer of a tag that it is.
pub fn simple_signing(data: &[u8]) -> Read {
    static LAYER: LazyLock<Descriptor> = LazyLock::new(|| layer(SIGNATURE_MANIFEST));
    const SIGNATURE_MANIFEST: &str = "1cd9dff5a9a840c55bc38ecb14ac5c9720750b40d1fc05888e5c984ea8c8ca89";
    const IMAGE: &str = "sha256:c0bff86e0de0147fd1d745e647367594d47e3a37e43679f7a065a62afe0ada53";
    match payload::read(data) {
        Ok(payload) => {
            let _ = (payload.check_type(), payload.docker_reference(), payload.annotations());
            assert!(payload.binds(payload.digest()).is_ok() && payload.binds(&Digest::sha256(b"nobody's")).is_err());
        }
        Err(error) => told(&error),
    }
    only_what_was_signed("simple_signing", data, |data| {
        let bytes = Bytes::copy_from_slice(data);
        let item = legacy::signature(Shape::SignatureTag, &LAYER, bytes).map_err(|error| told(&error)).ok()?;
        let image = Digest::parse(IMAGE).expect("a digest");
        judged(&item, &image, &Want::Signature, &KEYED).map(|_| Digest::sha256(data).to_string())
    })
}

fn layer(manifest: &str) -> Descriptor {
    let manifest: Value = serde_json::from_slice(&blob("cosign", manifest)).expect("a manifest");
    Descriptor::read(&manifest["layers"][0]).expect("a layer")
}

/// A DSSE envelope, and the layer of an attestation's tag that it is.
pub fn dsse(data: &[u8]) -> Read {
    static LAYER: LazyLock<Descriptor> = LazyLock::new(|| layer(ATTESTATION_MANIFEST));
    const ATTESTATION_MANIFEST: &str = "ee48f028ec9088431c2a83f3228fd6cbd2b4547a87376115b04ee68560955073";
    const IMAGE: &str = "sha256:91324880c001c7c95ea9f414e03b202b8e65eccd025e25f07a6a484f31fabace";
    only_what_was_signed("dsse", data, |data| {
        let bytes = Bytes::copy_from_slice(data);
        let item = legacy::attestation(Shape::AttestationTag, &LAYER, bytes).map_err(|error| told(&error)).ok()?;
        let image = Digest::parse(IMAGE).expect("a digest");
        let want = Want::Attestation { predicate_type: "https://spdx.dev/Document".to_owned(), time_field: None };
        judged(&item, &image, &want, &KEYED)?;
        let Signed::Envelope(envelope) = item.signed else { panic!("no envelope") };
        Some(format!("{} {}", envelope.payload_type, Digest::sha256(&envelope.payload)))
    })
}

/// An in-toto statement.
pub fn statement(data: &[u8]) -> Read {
    match statements::read(PAYLOAD_TYPE, data) {
        Err(error) => refused(&error),
        Ok(statement) => {
            assert!(statement.binds(&Digest::sha256(b"nobody's")).is_err(), "about something that it does not name");
            if let Err(error) = statement.time_at("/predicate/timestamp") {
                told(&error);
            }
            let predicate_type = statement.predicate_type().to_owned();
            assert_eq!(statement.into_value()["predicateType"], predicate_type);
            Read::Accepted
        }
    }
}

/// The certificate of the first bundle, where its timestamps of CT logs stand in it, who issued it, and the logs.
struct Logged {
    certificate: Vec<u8>,
    issuer: Vec<u8>,
    root: TrustedRoot,
}

static LOGGED: LazyLock<Logged> = LazyLock::new(|| {
    let json = std::fs::read(fixtures().join("trust/sigstore/trusted_root.json")).expect("a trusted root");
    let root = TrustedRoot::parse("fuzz", &json, Profile::Sigstore).expect("a trusted root");
    let Material::Certificate { leaf, .. } = &ITEMS[0].1.material else { panic!("no certificate") };
    let certificate = Certificate::parse(leaf).expect("a certificate");
    let mut authorities = root.certificate_authorities.iter().flat_map(|authority| &authority.chain);
    let issuer = authorities.find(|issuer| certificate.verify_signed_by(issuer.public_key()).is_ok());
    let issuer = issuer.expect("its issuer").public_key().spki().to_vec();
    Logged { certificate: leaf.clone(), issuer, root }
});

/// 1.3.6.1.4.1.11129.2.4.2, as it stands before the extension's value.
const SCT_LIST: [u8; 12] = [6, 10, 0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];

/// A list of CT logs' timestamps, in the certificate for which a good one was made: the logs that are found in it are those that signed.
pub fn sct_list(data: &[u8]) -> Read {
    only_what_was_signed("sct_list", data, |data| {
        let Logged { certificate, issuer, root } = &*LOGGED;
        let at = certificate.windows(SCT_LIST.len()).position(|window| window == SCT_LIST).expect("the extension");
        let der = replaced(certificate, at + SCT_LIST.len(), &octets(&octets(data)));
        let changed = Certificate::parse(&der).map_err(|error| told(&error)).ok()?;
        let found = sct::verify(&changed, issuer, &root.ct_logs).map_err(|error| told(&error)).ok()?;
        (!found.is_empty()).then(|| format!("{found:?}"))
    })
}

/// `der` with another item in the place of the one at `at`, and the lengths of all around it to suit.
fn replaced(der: &[u8], at: usize, item: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut start = 0;
    while start < der.len() {
        let (header, size) = match der[start + 1..] {
            [length @ 0..=0x7f, ..] => (2, usize::from(length)),
            [0x81, length, ..] => (3, usize::from(length)),
            [0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => panic!("a long item"),
        };
        let (content, end) = (start + header, start + header + size);
        if start == at {
            out.extend_from_slice(item);
        } else if (content..end).contains(&at) {
            out.extend(tlv(der[start], &replaced(&der[content..end], at - content, item)));
        } else {
            out.extend_from_slice(&der[start..end]);
        }
        start = end;
    }
    out
}

/// A signer's certificate, with the extensions that say who signed.
pub fn signing_certificate(data: &[u8]) -> Read {
    match SigningCertificate::parse(data) {
        Err(error) => refused(&error),
        Ok(parsed) => {
            let (name, issuer) = (parsed.subject_name().as_str(), parsed.issuer());
            assert!(!name.is_empty() && !name.chars().any(char::is_control), "{name:?}");
            assert!(issuer.is_none_or(|issuer| !issuer.is_empty() && !issuer.chars().any(char::is_control)));
            let Logged { issuer, root, .. } = &*LOGGED;
            if let Err(error) = sct::verify(parsed.certificate(), issuer, &root.ct_logs) {
                told(&error);
            }
            Read::Accepted
        }
    }
}

/// A trusted root.
pub fn trusted_root(data: &[u8]) -> Read {
    for profile in [Profile::GitHub, Profile::Sigstore] {
        match TrustedRoot::parse("fuzz", data, profile) {
            Err(error) => {
                told(&error);
                return Read::Refused;
            }
            Ok(root) => {
                let authorities = root.certificate_authorities.iter().chain(&root.timestamp_authorities);
                assert!(authorities.clone().all(|authority| !authority.chain.is_empty()));
                let logs = root.logs.len() + root.ct_logs.len();
                assert!(logs + authorities.count() > 0, "COS-35: nothing usable at all");
                assert!(root.warnings.len() <= 65 && root.warnings.iter().all(|warning| warning.len() <= 8192));
            }
        }
    }
    Read::Accepted
}

/// A public key in PEM.
pub fn public_key(data: &[u8]) -> Read {
    match Key::parse("fuzz", data, None) {
        Err(error) => refused(&error),
        Ok(key) => {
            assert!(key.verify(b"a message", &[0x30, 6, 2, 1, 1, 2, 1, 1]).is_err());
            assert_eq!(Key::parse("fuzz", data, None).expect("it was one").id(), key.id());
            Read::Accepted
        }
    }
}
