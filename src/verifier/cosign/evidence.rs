//! One signature or attestation, whatever it was stored as: what the parsers hand to the checks.
//!
//! Nothing in here is believed yet. Lengths and counts have been bounded, encodings (base64, JSON, PEM) undone; DER has not been
//! read.

use std::fmt;

use bytes::Bytes;

use crate::crypto::scheme::HashAlgorithm;

/// How an item was stored. The letters are those of `sigstore.md` §1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// B: a layer under the tag `sha256-<hex>.att`.
    AttestationTag,
    /// E: a DSSE layer of a referrer.
    AttestationReferrer,
    /// F: a Sigstore bundle, by the version of its media type.
    Bundle(BundleVersion),
    /// D: a simple signing layer of a referrer.
    SignatureReferrer,
    /// A: a layer under the tag `sha256-<hex>.sig`.
    SignatureTag,
}

/// The versions of the Sigstore bundle format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BundleVersion {
    /// `;version=0.1`
    V01,
    /// `;version=0.2`
    V02,
    /// `;version=0.3` and `.v0.3+json`
    V03,
}

impl Shape {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttestationTag => "cosign .att tag",
            Self::AttestationReferrer => "cosign attestation referrer",
            Self::Bundle(BundleVersion::V01) => "sigstore bundle v0.1",
            Self::Bundle(BundleVersion::V02) => "sigstore bundle v0.2",
            Self::Bundle(BundleVersion::V03) => "sigstore bundle v0.3",
            Self::SignatureReferrer => "cosign signature referrer",
            Self::SignatureTag => "cosign .sig tag",
        }
    }

    /// Whether it is a Sigstore bundle.
    pub const fn is_bundle(self) -> bool {
        matches!(self, Self::Bundle(_))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One signature or attestation.
#[derive(Debug, Clone)]
pub struct Item {
    /// How it was stored.
    pub shape: Shape,
    /// What was signed, and the signatures.
    pub signed: Signed,
    /// Who says to have signed.
    pub material: Material,
    /// Entries of transparency logs; at most [`MAX_LOG_ENTRIES`].
    pub entries: Vec<Entry>,
    /// RFC 3161 `TimeStampResp`, DER; at most [`MAX_TIMESTAMPS`].
    pub timestamps: Vec<Vec<u8>>,
}

/// R21: most log entries of an item.
pub const MAX_LOG_ENTRIES: usize = 32;
/// R22: most signed timestamps of an item.
pub const MAX_TIMESTAMPS: usize = 32;
/// R25: most certificates that come with an item.
pub const MAX_CHAIN: usize = 10;

/// What was signed.
#[derive(Debug, Clone)]
pub enum Signed {
    /// A DSSE envelope: signed is its PAE.
    Envelope(Envelope),
    /// A message of which the bundle has the digest only.
    Message {
        /// The hash of `digest`.
        algorithm: HashAlgorithm,
        /// The digest that the bundle states.
        digest: Vec<u8>,
        /// The signature over the message.
        signature: Vec<u8>,
    },
    /// A simple signing payload: signed are the layer's bytes.
    Payload {
        /// The layer, as fetched.
        bytes: Bytes,
        /// The signature over it.
        signature: Vec<u8>,
    },
}

/// A DSSE envelope, decoded.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// `payloadType`.
    pub payload_type: String,
    /// `payload`, decoded.
    pub payload: Bytes,
    /// `signatures[].sig`, decoded. In a bundle exactly one.
    pub signatures: Vec<Vec<u8>>,
    /// The envelope's own bytes, where it was a layer of its own (B, E): log entries name their hash.
    pub raw: Option<Bytes>,
}

/// Who says to have signed.
#[derive(Debug, Clone)]
pub enum Material {
    /// A certificate.
    Certificate {
        /// The signer's, DER.
        leaf: Vec<u8>,
        /// Others that came with it, DER, in the order given. They help to build a path and are never trusted.
        chain: Vec<Vec<u8>>,
    },
    /// A key that the verifier must know. Legacy items without a certificate have no hint.
    Key {
        /// Whatever the signer calls the key.
        hint: Option<String>,
    },
}

/// An entry of a transparency log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `logId.keyId`, decoded: 32 bytes in any entry that can verify.
    pub log_id: Vec<u8>,
    /// The index that the log promises. Not the one of the proof.
    pub log_index: u64,
    /// `kindVersion` as the bundle states it; legacy entries state none.
    pub kind: Option<(String, String)>,
    /// Unix seconds. Believed only under a promise (SET).
    pub integrated_time: Option<i64>,
    /// The signed entry timestamp.
    pub promise: Option<Vec<u8>>,
    /// The inclusion proof with its checkpoint.
    pub proof: Option<Proof>,
    /// The entry: `canonicalizedBody`, decoded.
    pub body: Vec<u8>,
}

/// An inclusion proof.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The leaf's index in the tree.
    pub log_index: u64,
    /// The tree's root.
    pub root_hash: Vec<u8>,
    /// The tree's size.
    pub tree_size: u64,
    /// The siblings, lowest first; at most 64.
    pub hashes: Vec<[u8; 32]>,
    /// The signed note; empty where there is none.
    pub checkpoint: String,
}
