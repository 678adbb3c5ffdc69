//! Who signs: a key with a certificate, or a key alone.

use super::key::{Key, pem};

/// A signer.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The key.
    pub key: Key,
    /// Its certificate, DER; a managed key has none.
    pub certificate: Option<Vec<u8>>,
    /// The certificates above it, DER: cosign v1 and v2 store them beside the signature.
    pub chain: Vec<Vec<u8>>,
}

impl Signer {
    /// A managed key.
    pub const fn of_key(key: Key) -> Self {
        Self { key, certificate: None, chain: Vec::new() }
    }

    /// What log entries say: the certificate if there is one, else the key, in PEM.
    pub fn verifier_pem(&self) -> String {
        self.certificate.as_deref().map_or_else(|| self.key.pem(), |der| pem("CERTIFICATE", der))
    }

    /// Signs a message.
    ///
    /// # Errors
    /// The key does not.
    pub fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.key.sign(message)
    }
}
