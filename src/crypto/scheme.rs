//! Signature schemes of Sigstore: what a public key of a signer, a log or an authority may have signed with.
//!
//! ECDSA signatures are ASN.1 DER, RSA is PKCS#1 v1.5, Ed25519 is pure. Raw `r | s`, PSS and Ed25519ph are refused. A curve does
//! not fix the hash: cosign up to v2 signs with SHA-256 on every curve, later ones with the curve's own.
//!
//! Rule: Sigstore `PublicKeyDetails` (protobuf-specs, `sigstore_common.proto`); FIPS 186-5 §6.4; RFC 8017 §8.2; RFC 8032 §5.1.

use std::fmt;

use aws_lc_rs::{digest, signature as aws};
use serde::Deserialize;

use super::{
    algorithm::{Curve, KeyKind, PublicKey},
    primitive,
};
use crate::reason::Code;

/// Smallest RSA modulus in bits (R56).
const MIN_RSA_BITS: usize = 2048;
/// Largest RSA modulus in bits that the primitive takes.
const MAX_RSA_BITS: usize = 8192;
/// Smallest RSA exponent: 1 signs nothing, 3 has a history of forgeries.
const MIN_RSA_EXPONENT: u64 = 65_537;

/// A hash function of the SHA-2 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> digest::Digest {
        digest::digest(self.primitive(), bytes)
    }

    pub(crate) const fn primitive(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// A key's kind with a hash: one way to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// ECDSA, DER, over the hash.
    Ecdsa(Curve, HashAlgorithm),
    /// Pure Ed25519, over the message.
    Ed25519,
    /// RSA PKCS#1 v1.5 over the hash.
    Rsa(HashAlgorithm),
}

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// It does not verify.
    #[error("the signature does not verify with the {key} key")]
    Invalid {
        /// What kind of key.
        key: KeyKind,
    },
    /// A key that may sign nothing here.
    #[error("{key} is no key that may sign")]
    Key {
        /// What kind of key.
        key: KeyKind,
    },
    /// Only a digest is known, and the scheme signs messages or another hash.
    #[error("a {key} key cannot be checked against a {hash} digest alone")]
    NeedsMessage {
        /// What kind of key.
        key: KeyKind,
        /// The digest that is known.
        hash: HashAlgorithm,
    },
}

impl SchemeError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } => Code::SignatureInvalid,
            Self::Key { .. } | Self::NeedsMessage { .. } => Code::SignatureAlgorithm,
        }
    }
}

impl Scheme {
    /// The schemes that `key` may have signed with, likeliest first. `hash`: the one that is configured, if one is; else the
    /// curve's own and SHA-256 (R54), and for RSA SHA-256.
    ///
    /// # Errors
    /// [`SchemeError::Key`]: RSA below 2048 bits, an exponent below 65537, other curves, other kinds; a hash for Ed25519.
    pub fn of_key(key: &PublicKey, hash: Option<HashAlgorithm>) -> Result<Vec<Self>, SchemeError> {
        match key.kind() {
            KeyKind::Ec(curve) => {
                let own = match curve {
                    Curve::P256 => HashAlgorithm::Sha256,
                    Curve::P384 => HashAlgorithm::Sha384,
                    Curve::P521 => HashAlgorithm::Sha512,
                };
                Ok(match hash {
                    Some(hash) => vec![Self::Ecdsa(*curve, hash)],
                    None if own == HashAlgorithm::Sha256 => vec![Self::Ecdsa(*curve, own)],
                    None => vec![Self::Ecdsa(*curve, own), Self::Ecdsa(*curve, HashAlgorithm::Sha256)],
                })
            }
            KeyKind::Rsa { bits: MIN_RSA_BITS..=MAX_RSA_BITS, exponent: Some(MIN_RSA_EXPONENT..) } => {
                Ok(vec![Self::Rsa(hash.unwrap_or(HashAlgorithm::Sha256))])
            }
            KeyKind::Ed25519 if hash.is_none() => Ok(vec![Self::Ed25519]),
            KeyKind::Ed25519 | KeyKind::Rsa { .. } | KeyKind::Other(_) => {
                Err(SchemeError::Key { key: key.kind().clone() })
            }
        }
    }

    /// Verifies `signature` over `message`.
    ///
    /// # Errors
    /// [`SchemeError::Invalid`]; also where the scheme is not the key's.
    pub fn verify(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        let invalid = || SchemeError::Invalid { key: key.kind().clone() };
        let primitive = self.primitive(key).ok_or_else(invalid)?;
        aws::UnparsedPublicKey::new(primitive, key.bytes()).verify(message, signature).map_err(|_| invalid())
    }

    /// Verifies `signature` over a message of which only the digest is known.
    ///
    /// # Errors
    /// [`SchemeError`]; Ed25519 and schemes over another hash need the message.
    pub fn verify_digest(
        self,
        key: &PublicKey,
        hash: HashAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), SchemeError> {
        let invalid = || SchemeError::Invalid { key: key.kind().clone() };
        match self {
            Self::Ecdsa(_, own) | Self::Rsa(own) if own == hash => {}
            Self::Ecdsa(..) | Self::Rsa(_) | Self::Ed25519 => {
                return Err(SchemeError::NeedsMessage { key: key.kind().clone(), hash });
            }
        }
        let primitive = self.primitive(key).ok_or_else(invalid)?;
        let digest = digest::Digest::import_less_safe(digest, hash.primitive()).map_err(|_| invalid())?;
        aws::UnparsedPublicKey::new(primitive, key.bytes()).verify_digest(&digest, signature).map_err(|_| invalid())
    }

    /// Whether the primitive takes the key: a point on its curve, a modulus that can be one.
    ///
    /// # Errors
    /// [`SchemeError::Key`].
    pub fn check_key(self, key: &PublicKey) -> Result<(), SchemeError> {
        let refused = || SchemeError::Key { key: key.kind().clone() };
        let primitive = self.primitive(key).ok_or_else(refused)?;
        aws::ParsedPublicKey::new(primitive, key.bytes()).map(|_| ()).map_err(|_| refused())
    }

    /// `None`: the scheme is not one of this key.
    fn primitive(self, key: &PublicKey) -> Option<&'static dyn aws::VerificationAlgorithm> {
        match (self, key.kind()) {
            (Self::Ecdsa(curve, hash), KeyKind::Ec(of_key)) if curve == *of_key => Some(primitive::ecdsa(curve, hash)),
            (Self::Rsa(hash), KeyKind::Rsa { .. }) => Some(primitive::pkcs1(hash)),
            (Self::Ed25519, KeyKind::Ed25519) => Some(&aws::ED25519),
            _ => None,
        }
    }
}

/// Verifies `signature` over `message` with any of the schemes that `key` may have signed with.
///
/// # Errors
/// [`SchemeError`].
pub fn verify(
    key: &PublicKey,
    hash: Option<HashAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SchemeError> {
    let mut refused = SchemeError::Key { key: key.kind().clone() };
    for scheme in Scheme::of_key(key, hash)? {
        match scheme.verify(key, message, signature) {
            Ok(()) => return Ok(()),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Verifies `signature` over a message of which only a digest is known, given with its hash, with any of the schemes that
/// `key` may have signed with. `hash`: the one that is configured, if one is.
///
/// # Errors
/// [`SchemeError`]; [`SchemeError::NeedsMessage`] where none of the schemes signs digests of this hash.
pub fn verify_digest(
    key: &PublicKey,
    hash: Option<HashAlgorithm>,
    digest: (HashAlgorithm, &[u8]),
    signature: &[u8],
) -> Result<(), SchemeError> {
    let (of_digest, digest) = digest;
    let mut refused = SchemeError::NeedsMessage { key: key.kind().clone(), hash: of_digest };
    for scheme in Scheme::of_key(key, hash)? {
        match scheme.verify_digest(key, of_digest, digest, signature) {
            Ok(()) => return Ok(()),
            Err(SchemeError::NeedsMessage { .. }) => {}
            Err(error @ (SchemeError::Invalid { .. } | SchemeError::Key { .. })) => refused = error,
        }
    }
    Err(refused)
}
