//! A mini Sigstore: a Fulcio-shaped authority, a CT log, a Rekor-shaped log, and signers that use them. No network, no clock: a seed
//! and a moment make an instance, the same ones the same keys, serial numbers and indexes.
//!
//! ```text
//!  Leaf ──sct──► CT log      Signer ──signs──► Layer | Bundle ──bytes──► registry
//!    └──issue──► Authority                       ▲
//!                               Body ──log──► Entry (promise, proof, checkpoint)
//! ```
//!
//! Everything is plain data with public fields, so that a test can make one thing wrong, at the place where it becomes wrong.

use serde_json::Value;
use time::OffsetDateTime;

use self::{
    authority::{Authority, Leaf, Plan},
    body::Body,
    bundle::{Bundle, Content, Version},
    certificate::Name,
    envelope::{EntryKind, Envelope},
    key::{Key, sha256},
    legacy::Layer,
    rekor::{Entry, Place, Rekor},
    sct::Sct,
    signer::Signer,
    trust::{Log, Root},
};

pub mod authority;
pub mod body;
pub mod bundle;
pub mod certificate;
pub mod der;
pub mod envelope;
pub mod key;
pub mod legacy;
pub mod manifest;
pub mod merkle;
pub mod note;
pub mod rekor;
pub mod sct;
pub mod signer;
pub mod trust;

/// What becomes of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// It stays.
    Intact,
    /// One bit of it is flipped.
    Tampered,
}

impl Care {
    /// A signature with, or without, its last bit flipped.
    pub fn apply(self, mut signature: Vec<u8>) -> Vec<u8> {
        if let (Self::Tampered, Some(byte)) = (self, signature.last_mut()) {
            *byte ^= 1;
        }
        signature
    }
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Sigstore {
    /// What its keys are made from.
    pub seed: String,
    /// When its signers sign.
    pub at: OffsetDateTime,
    /// Issues certificates.
    pub authority: Authority,
    /// Promises to publish them.
    pub ct: Log,
    /// Logs signatures.
    pub rekor: Rekor,
}

impl Sigstore {
    /// An instance in use since a year before `at`.
    ///
    /// # Errors
    /// A key or a moment that cannot be.
    pub fn new(seed: &str, at: OffsetDateTime) -> anyhow::Result<Self> {
        let plan = Plan::new("mini fulcio", at);
        let log = |url: &str, name: &str| anyhow::Ok(Log::new(url, Key::p256(seed, name)?, plan.window));
        Ok(Self {
            seed: seed.to_owned(),
            at,
            authority: Authority::new(seed, &plan)?,
            ct: log("https://ct.example.com/2026", "ct")?,
            rekor: Rekor::new(log("https://rekor.example.com", "rekor")?),
        })
    }

    /// A key of its seed.
    ///
    /// # Errors
    /// The library takes no key.
    pub fn key(&self, name: &str) -> anyhow::Result<Key> {
        Key::p256(&self.seed, name)
    }

    /// A certificate as it would be issued now, with one promise of the CT log.
    ///
    /// # Errors
    /// The library takes no key.
    pub fn leaf(&self, name: Name, issuer: &str) -> anyhow::Result<Leaf> {
        let mut leaf = Leaf::new(&self.key(&format!("signer {name:?} {issuer}"))?, name, issuer, self.at);
        leaf.scts.push(Sct::new(&self.ct.key, self.at));
        Ok(leaf)
    }

    /// Issues a certificate, and hands it to its signer.
    ///
    /// # Errors
    /// A moment that cannot be written, a key that does not sign.
    pub fn issue(&self, leaf: &Leaf) -> anyhow::Result<Signer> {
        let certificate = self.authority.issue(leaf)?;
        Ok(Signer { key: leaf.key.clone(), certificate: Some(certificate), chain: self.authority.chain() })
    }

    /// A signer with a certificate as it should be.
    ///
    /// # Errors
    /// As [`Sigstore::leaf`] and [`Sigstore::issue`].
    pub fn signer(&self, name: Name, issuer: &str) -> anyhow::Result<Signer> {
        self.issue(&self.leaf(name, issuer)?)
    }

    /// Logs a body now.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn log(&self, body: &Body) -> anyhow::Result<Entry> {
        self.rekor.log(body, self.at, Place::default())
    }

    /// Logs what is signed over these bytes: `hashedrekord`.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn log_signature(&self, signer: &Signer, message: &[u8], signature: &[u8]) -> anyhow::Result<Entry> {
        self.log(&Body::hashedrekord(&sha256(message), signature, &signer.verifier_pem()))
    }

    /// A: a simple signing payload, signed and logged.
    ///
    /// # Errors
    /// A key does not sign.
    pub fn sign(&self, signer: &Signer, payload: Vec<u8>) -> anyhow::Result<Layer> {
        let mut layer = Layer::signature(signer, payload)?;
        let signature = layer.signature.as_deref().unwrap_or_default();
        layer.entry = Some(self.log_signature(signer, &layer.bytes, signature)?);
        Ok(layer)
    }

    /// B: a statement in an envelope, signed and logged.
    ///
    /// # Errors
    /// A key does not sign.
    pub fn attest(&self, signer: &Signer, statement: &Value, kind: EntryKind) -> anyhow::Result<Layer> {
        let envelope = Envelope::sign_statement(signer, statement)?;
        let mut layer = Layer::attestation(signer, &envelope);
        layer.entry = Some(self.log(&envelope.body(kind, &signer.verifier_pem()))?);
        Ok(layer)
    }

    /// F: a bundle with a statement, signed and logged.
    ///
    /// # Errors
    /// A key does not sign.
    pub fn bundle(
        &self,
        signer: &Signer,
        version: Version,
        statement: &Value,
        kind: EntryKind,
    ) -> anyhow::Result<Bundle> {
        let envelope = Envelope::sign_statement(signer, statement)?;
        let entry = self.log(&envelope.body(kind, &signer.verifier_pem()))?;
        Ok(Bundle { entries: vec![entry], ..Bundle::new(signer, version, Content::Envelope(envelope)) })
    }

    /// F: a bundle with a signature over a message, logged.
    ///
    /// # Errors
    /// A key does not sign.
    pub fn message_bundle(&self, signer: &Signer, version: Version, message: &[u8]) -> anyhow::Result<Bundle> {
        let bundle = Bundle::sign_message(signer, version, message)?;
        let entry = self.log_signature(signer, message, bundle.signature())?;
        Ok(Bundle { entries: vec![entry], ..bundle })
    }

    /// What its verifiers have to know.
    pub fn trusted_root(&self) -> Root {
        Root {
            media_type: "application/vnd.dev.sigstore.trustedroot+json;version=0.1".to_owned(),
            tlogs: vec![self.rekor.log.clone()],
            certificate_authorities: vec![self.authority.trust()],
            ctlogs: vec![self.ct.clone()],
            timestamp_authorities: Vec::new(),
        }
    }
}
