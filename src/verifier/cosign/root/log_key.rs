//! Keys of logs, and the ids that belong to them.

use aws_lc_rs::digest::{SHA256, digest};
use der::{
    Encode as _,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier},
};
use url::Url;
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::{
    crypto::{
        algorithm::{Curve, KeyKind, PublicKey},
        scheme::Scheme,
    },
    reason::{self, printable},
};

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Bytes of a `logId.keyId`.
const ID_BYTES: usize = 32;
/// Signature type of Ed25519 in a signed note's key id.
///
/// Rule: C2SP signed-note, "Signature types".
const NOTE_ED25519: &[u8] = &[0x01];
/// What stands in the place of a signature type for RSA keys of Rekor v2.
const NOTE_RSA: &[u8] = b"\xffPKIX-RSA-PKCS#1v1.5";

/// Reads `rawBytes` as `details` (`PublicKeyDetails`) says; or why the key cannot be used.
pub(super) fn read(details: &str, raw: &[u8]) -> Result<PublicKey, String> {
    let unreadable = |error| format!("its key is not readable: {error}");
    let key = if details == "PKCS1_RSA_PKCS1V5" {
        PublicKey::parse(&spki_of_rsa(raw).map_err(unreadable)?)
    } else {
        PublicKey::parse(raw)
    };
    let key = key.map_err(unreadable)?;
    let fits = match details {
        "PKIX_ECDSA_P256_SHA_256" => *key.kind() == KeyKind::Ec(Curve::P256),
        "PKIX_ECDSA_P384_SHA_384" | "PKIX_ECDSA_P384_SHA_256" => *key.kind() == KeyKind::Ec(Curve::P384),
        "PKIX_ECDSA_P521_SHA_512" | "PKIX_ECDSA_P521_SHA_256" => *key.kind() == KeyKind::Ec(Curve::P521),
        "PKIX_ED25519" => *key.kind() == KeyKind::Ed25519,
        "PKIX_RSA_PKCS1V15_2048_SHA256" => matches!(key.kind(), KeyKind::Rsa { bits: 2048, .. }),
        "PKIX_RSA_PKCS1V15_3072_SHA256" => matches!(key.kind(), KeyKind::Rsa { bits: 3072, .. }),
        "PKIX_RSA_PKCS1V15_4096_SHA256" => matches!(key.kind(), KeyKind::Rsa { bits: 4096, .. }),
        "PKIX_RSA_PKCS1V5" | "PKCS1_RSA_PKCS1V5" => matches!(key.kind(), KeyKind::Rsa { .. }),
        other => return Err(format!("its key is of the kind {:?}, which is not supported", printable(other, 64))),
    };
    if !fits {
        return Err(format!("its key is {} and is said to be {details}", key.kind()));
    }
    Scheme::of_key(&key, None).map_err(|error| reason::chain(&error))?;
    Ok(key)
}

/// An RSA key of PKCS#1 as `SubjectPublicKeyInfo`.
fn spki_of_rsa(pkcs1: &[u8]) -> der::Result<Vec<u8>> {
    let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key: BitStringRef::from_bytes(pkcs1)? }.to_der()
}

/// Whether `id` belongs to `key`: the hash of the key as in RFC 6962 and Rekor v1, or of a signed note's name and key, where the
/// name is the log's host as in Rekor v2.
pub(super) fn is_id_of(id: &[u8], key: &PublicKey, base_url: &str) -> bool {
    if id.len() != ID_BYTES {
        return false;
    }
    if digest(&SHA256, key.spki()).as_ref() == id {
        return true;
    }
    let (kind, bytes) = match key.kind() {
        KeyKind::Ed25519 => (NOTE_ED25519, key.bytes()),
        KeyKind::Rsa { .. } => (NOTE_RSA, key.spki()),
        // ECDSA keys have no type of their own in signed notes: the hash of the key, as above.
        KeyKind::Ec(_) | KeyKind::Other(_) => return false,
    };
    names(base_url).iter().any(|name| digest(&SHA256, &[name.as_bytes(), b"\n", kind, bytes].concat()).as_ref() == id)
}

/// What a log at `base_url` may be called in its notes: its host, with port and path where it has them.
fn names(base_url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(base_url) else { return vec![base_url.to_owned()] };
    let Some(host) = url.host_str() else { return Vec::new() };
    let origin = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = format!("{origin}{}", url.path().trim_end_matches('/'));
    vec![host.to_owned(), origin, path]
}
