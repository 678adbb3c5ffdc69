//! Public keys of signers, as operators configure them.

use crate::crypto::{algorithm::PublicKey, scheme::HashAlgorithm};

/// A public key that a trust policy names.
#[derive(Debug, Clone)]
pub struct Key {
    /// For people: the file, or where it stands in the configuration.
    pub name: String,
    /// The key.
    pub public: PublicKey,
    /// The hash that is configured.
    pub hash: Option<HashAlgorithm>,
}
