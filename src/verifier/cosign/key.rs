//! Public keys of signers, as operators configure them.
//!
//! One PEM block a file, and nothing beside it: two keys of which only one is used, or a private key that lies where a public
//! one belongs, are faults of the configuration and never a guess (COS-37, TOB-SIGSTORE-6).
//!
//! Rule: `sigstore.md` §2.3, R53 to R57 and R62.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::root::Window;
use crate::crypto::{
    algorithm::PublicKey,
    hex,
    scheme::{self, HashAlgorithm, SchemeError},
};

mod fault;
mod pem;

pub use fault::KeyFault;

/// Largest key file that is read: a PEM of an RSA key of 8192 bits has 1.5 KiB.
pub const MAX_KEY_FILE_BYTES: usize = 16 * 1024;

/// A public key that a trust policy names.
#[derive(Debug, Clone)]
pub struct Key {
    /// For people: the file, or where it stands in the configuration.
    pub name: String,
    /// The key.
    pub public: PublicKey,
    /// The hash that is configured.
    pub hash: Option<HashAlgorithm>,
    /// When signatures by it count (R62): then a trusted time is needed, and each must be in it.
    pub window: Option<Window>,
}

impl Key {
    /// Parses a key file: exactly one PEM block, `PUBLIC KEY` (`SubjectPublicKeyInfo`) or `RSA PUBLIC KEY` (PKCS#1, which is
    /// wrapped), with white space around it at most.
    ///
    /// `name`: for people. `hash`: the one that is configured; without one the curve's own and SHA-256 are tried, for RSA
    /// SHA-256. The key has no window; who configures one sets it.
    ///
    /// # Errors
    /// [`KeyFault`]: any other content, a certificate included, and keys that may not sign.
    pub fn parse(name: &str, bytes: &[u8], hash: Option<HashAlgorithm>) -> Result<Self, KeyFault> {
        let public = pem::public_key(bytes)?;
        fault::check_usable(&public, hash)?;
        Ok(Self { name: name.to_owned(), public, hash, window: None })
    }

    /// What makes two keys one: SHA-256 of the `SubjectPublicKeyInfo`, as lower-case hex.
    pub fn id(&self) -> String {
        hex(self.spki_hash().as_ref())
    }

    /// What cosign writes as a bundle's `publicKey.hint`: the hash of [`Key::id`] in base64. It selects, and proves nothing.
    pub fn hint(&self) -> String {
        STANDARD.encode(self.spki_hash())
    }

    fn spki_hash(&self) -> digest::Digest {
        HashAlgorithm::Sha256.digest(self.public.spki())
    }

    /// Verifies `signature` over `message`. The window is not looked at: it needs times that are trusted.
    ///
    /// # Errors
    /// [`SchemeError`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        scheme::verify(&self.public, self.hash, message, signature)
    }

    /// Verifies `signature` over a message of which only the `hash` digest is known.
    ///
    /// # Errors
    /// [`SchemeError`]; [`SchemeError::NeedsMessage`] for Ed25519, and where the key signs with another hash.
    pub fn verify_digest(&self, hash: HashAlgorithm, digest: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        scheme::verify_digest(&self.public, self.hash, (hash, digest), signature)
    }
}

#[cfg(test)]
mod tests;
