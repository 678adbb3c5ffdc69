//! Keys from a seed: the same seed and name are the same key. (Signatures of ECDSA differ all the same: their nonces are random.)

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use der::asn1::ObjectIdentifier;

use super::der as asn1;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// What a private key does with a message.
type Sign = dyn Fn(&[u8]) -> anyhow::Result<Vec<u8>> + Send + Sync;

/// A key pair.
#[derive(Clone)]
pub struct Key {
    spki: Vec<u8>,
    algorithm: Vec<u8>,
    details: &'static str,
    sign: Arc<Sign>,
}

impl Key {
    /// ECDSA on P-256 with SHA-256, signatures in DER.
    ///
    /// # Errors
    /// The library takes no key.
    pub fn p256(seed: &str, name: &str) -> anyhow::Result<Self> {
        // One hash in 2^32 is no scalar of the curve: then another name is taken.
        let secret = sha256(format!("{seed}/{name}").as_bytes());
        let private = PrivateKey::from_private_key(&ECDH_P256, &secret).map_err(|error| anyhow!("{error}"))?;
        let point = private.compute_public_key().context("no public key")?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &secret, point.as_ref())
                .map_err(|error| anyhow!("{error}"))?;
        let algorithm = asn1::sequence(&[asn1::oid(&EC_PUBLIC_KEY), asn1::oid(&P256)]);
        let spki = asn1::sequence(&[algorithm, asn1::bits(point.as_ref())]);
        let signing = asn1::sequence(&[asn1::oid(&ECDSA_WITH_SHA256)]);
        Ok(Self::new("PKIX_ECDSA_P256_SHA_256", spki, signing, move |message| {
            Ok(pair.sign(&SystemRandom::new(), message).context("the key does not sign")?.as_ref().to_vec())
        }))
    }

    /// Any other kind. `details` is the name in `PublicKeyDetails`; `algorithm` the `AlgorithmIdentifier` of its signatures.
    pub fn new(
        details: &'static str,
        spki: Vec<u8>,
        algorithm: Vec<u8>,
        sign: impl Fn(&[u8]) -> anyhow::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self { spki, algorithm, details, sign: Arc::new(sign) }
    }

    /// `SubjectPublicKeyInfo`, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// `AlgorithmIdentifier` of its signatures, DER.
    pub fn algorithm(&self) -> &[u8] {
        &self.algorithm
    }

    /// Its name in the protobuf specification's `PublicKeyDetails`.
    pub const fn details(&self) -> &'static str {
        self.details
    }

    /// SHA-256 of the `SubjectPublicKeyInfo`: a log's id.
    pub fn id(&self) -> [u8; 32] {
        sha256(&self.spki)
    }

    /// The public key in PEM, as `cosign.pub` has it.
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// Signs a message.
    ///
    /// # Errors
    /// The library does not.
    pub fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        (self.sign)(message)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("details", &self.details).field("id", &hex(&self.id())).finish_non_exhaustive()
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A PEM block with lines of 64.
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, character) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + "\n-----END " + label + "-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{algorithm::PublicKey, scheme};

    #[test]
    fn one_seed_and_name_is_one_key_that_signs() {
        let key = Key::p256("seed", "signer").unwrap();
        assert_eq!(key.spki(), Key::p256("seed", "signer").unwrap().spki());
        assert_ne!(key.spki(), Key::p256("seed", "other").unwrap().spki());
        let signature = key.sign(b"message").unwrap();
        let public = PublicKey::parse(key.spki()).unwrap();
        scheme::verify(&public, None, b"message", &signature).unwrap();
        assert!(scheme::verify(&public, None, b"massage", &signature).is_err());
    }
}
