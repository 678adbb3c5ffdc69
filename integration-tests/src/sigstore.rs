//! The rest of the mini Sigstore: what `countersign demo` does not need. Keys of all kinds, Rekor v2, a timestamp authority, and writers
//! that put each storage shape on a [`crate::shelf::Shelf`].
//!
//! [`Mini`] is one instance with everything; its parts are plain data, to be changed before they are written.

pub use countersign::demo::sigstore::{
    Care, Sigstore, authority, body, bundle, certificate, der, envelope, key, legacy, manifest, merkle, note, rekor,
    sct, signer, trust,
};
use time::OffsetDateTime;

use self::{rekor2::Rekor2, trust::Root, tsa::Tsa};

pub mod keys;
pub mod mutate;
pub mod rekor2;
pub mod storage;
pub mod tsa;

/// An instance with Rekor v1 and v2 and a timestamp authority.
#[derive(Debug, Clone)]
pub struct Mini {
    /// Authority, CT log, Rekor v1.
    pub base: Sigstore,
    /// Rekor v2.
    pub rekor2: Rekor2,
    /// The timestamp authority.
    pub tsa: Tsa,
}

impl Mini {
    /// An instance of a seed whose signers sign at `at`.
    pub fn new(seed: &str, at: OffsetDateTime) -> Self {
        let base = Sigstore::new(seed, at).expect("an instance");
        let window = base.authority.window;
        Self { rekor2: Rekor2::new(seed, window), tsa: Tsa::new(seed, at), base }
    }

    /// What its verifiers have to know.
    pub fn trusted_root(&self) -> Root {
        let mut root = self.base.trusted_root();
        root.tlogs.push(self.rekor2.log.clone());
        root.timestamp_authorities.push(self.tsa.chain());
        root
    }

    /// The same as JSON text.
    pub fn trusted_root_json(&self) -> String {
        self.trusted_root().json().expect("a trusted root").to_string()
    }

    /// A timestamp of now over a signature, as RFC 3161 `TimeStampResp`.
    pub fn timestamp(&self, signature: &[u8]) -> Vec<u8> {
        self.tsa.stamp(&tsa::Token::new(signature, self.base.at))
    }
}
