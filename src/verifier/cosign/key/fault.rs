//! Why a key file is refused.

use crate::{
    crypto::{
        algorithm::{KeyKind, PublicKey},
        scheme::{HashAlgorithm, Scheme, SchemeError},
    },
    reason::Code,
    verifier::cosign::pem::PemFault,
};

/// Smallest RSA modulus in bits (R56).
const MIN_RSA_BITS: usize = 2048;

/// Why a key file is refused. A fault of the configuration, never of an image. Nothing of the file is repeated but labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// A certificate where a key belongs: it says more than a key, and none of that would be checked.
    #[error("file has a certificate, which is trusted by `caRoots` and `identities`; `keys` want its public key alone")]
    Certificate,
    /// Nothing in it.
    #[error("file is empty")]
    Empty,
    /// A hash for a key that brings its own.
    #[error("an Ed25519 key signs messages, so `hashAlgorithm` {hash} cannot hold for it")]
    HashForEd25519 {
        /// The one configured.
        hash: HashAlgorithm,
    },
    /// A PEM block of another kind.
    #[error("file has a PEM block {label:?}, only `PUBLIC KEY` and `RSA PUBLIC KEY` are keys to verify with")]
    Label {
        /// Its label.
        label: String,
    },
    /// What the block holds is not DER of a key.
    #[error("the key's DER is malformed")]
    Malformed(#[source] der::Error),
    /// No PEM at all: raw bytes, DER, or text.
    #[error("file has no PEM block")]
    NotPem,
    /// The block cannot be read, or there is text beside it.
    #[error("file is not exactly one PEM block")]
    Pem(#[source] PemFault),
    /// A private key, encrypted or not.
    #[error("file has a private key ({label:?}); give the public key, and think about who has read this one")]
    Private {
        /// Its label.
        label: String,
    },
    /// More than one block.
    #[error("file has {count} PEM blocks, and one key is wanted; list several keys one by one")]
    Several {
        /// How many.
        count: usize,
    },
    /// An RSA key that is too small.
    #[error("the RSA key has {bits} bits, {MIN_RSA_BITS} are the least")]
    SmallRsa {
        /// Its bits.
        bits: usize,
    },
    /// Too large.
    #[error("file has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A curve, a kind or an exponent that is not supported, or a point that is not on its curve.
    #[error("the key cannot be used")]
    Unsupported(#[source] SchemeError),
}

impl KeyFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        Code::NoTrust
    }
}

/// R53 to R56: whether signatures by `key` can be verified with `hash`.
pub(super) fn check_usable(key: &PublicKey, hash: Option<HashAlgorithm>) -> Result<(), KeyFault> {
    match (key.kind(), hash) {
        (KeyKind::Rsa { bits, .. }, _) if *bits < MIN_RSA_BITS => return Err(KeyFault::SmallRsa { bits: *bits }),
        (KeyKind::Ed25519, Some(hash)) => return Err(KeyFault::HashForEd25519 { hash }),
        (KeyKind::Ec(_) | KeyKind::Ed25519 | KeyKind::Other(_) | KeyKind::Rsa { .. }, _) => {}
    }
    for scheme in Scheme::of_key(key, hash).map_err(KeyFault::Unsupported)? {
        scheme.check_key(key).map_err(KeyFault::Unsupported)?;
    }
    Ok(())
}
