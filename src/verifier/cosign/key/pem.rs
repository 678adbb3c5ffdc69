//! A key file's one PEM block.

use der::{
    Encode as _,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier},
};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::{KeyFault, MAX_KEY_FILE_BYTES};
use crate::{crypto::algorithm::PublicKey, verifier::cosign::pem};

const SPKI: &str = "PUBLIC KEY";
const PKCS1: &str = "RSA PUBLIC KEY";
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Longest label that an error repeats.
const MAX_LABEL_CHARS: usize = 64;

/// The key of a file that holds one, and nothing else.
pub(super) fn public_key(bytes: &[u8]) -> Result<PublicKey, KeyFault> {
    if bytes.len() > MAX_KEY_FILE_BYTES {
        return Err(KeyFault::TooLarge { size: bytes.len(), limit: MAX_KEY_FILE_BYTES });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| KeyFault::NotPem)?;
    if text.trim_ascii().is_empty() {
        return Err(KeyFault::Empty);
    }
    check_labels(text)?;
    let blocks = pem::blocks(text).map_err(KeyFault::Pem)?;
    match blocks.as_slice() {
        [block] if block.label == PKCS1 => wrap(&block.der),
        [block] => PublicKey::parse(&block.der).map_err(KeyFault::Malformed),
        several => Err(KeyFault::Several { count: several.len() }),
    }
}

/// One block, of a public key. What is refused is named by what matters most to its owner.
fn check_labels(text: &str) -> Result<(), KeyFault> {
    let labels: Vec<&str> = pem::labels(text).collect();
    let bounded = |label: &str| label.chars().take(MAX_LABEL_CHARS).collect();
    if let Some(label) = labels.iter().find(|label| label.contains("PRIVATE KEY")) {
        return Err(KeyFault::Private { label: bounded(label) });
    }
    match labels.as_slice() {
        [] => Err(KeyFault::NotPem),
        [SPKI | PKCS1] => Ok(()),
        ["CERTIFICATE"] => Err(KeyFault::Certificate),
        [label] => Err(KeyFault::Label { label: bounded(label) }),
        several => Err(KeyFault::Several { count: several.len() }),
    }
}

/// RFC 8017 §A.1.1 into RFC 3279 §2.3.1: the same key as `SubjectPublicKeyInfo`.
fn wrap(pkcs1: &[u8]) -> Result<PublicKey, KeyFault> {
    let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
    let wrapped = BitStringRef::from_bytes(pkcs1)
        .and_then(|subject_public_key| SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der());
    wrapped.and_then(|spki| PublicKey::parse(&spki)).map_err(KeyFault::Malformed)
}
