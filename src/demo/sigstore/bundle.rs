//! Sigstore bundles, in protobuf's JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    envelope::Envelope,
    key::{Key, sha256},
    rekor::Entry,
    signer::Signer,
};

/// Media type of a bundle's layer and artifact, whatever version it has.
pub const BUNDLE_V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The versions, by their media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 0.1: a chain, a promise.
    V01,
    /// 0.2: a chain, a proof.
    V02,
    /// 0.3 as first written: `;version=0.3`.
    V03,
    /// 0.3 as written today.
    V03New,
}

impl Version {
    /// All.
    pub const ALL: [Self; 4] = [Self::V01, Self::V02, Self::V03, Self::V03New];

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::V01 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V02 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V03 => "application/vnd.dev.sigstore.bundle+json;version=0.3",
            Self::V03New => BUNDLE_V03,
        }
    }
}

/// Who says to have signed.
#[derive(Debug, Clone)]
pub enum Material {
    /// `certificate`, DER.
    Certificate(Vec<u8>),
    /// `x509CertificateChain`, DER.
    Chain(Vec<Vec<u8>>),
    /// `publicKey.hint`.
    Hint(String),
}

impl Material {
    /// As signers write it in a version.
    pub fn of(signer: &Signer, version: Version) -> Self {
        match (&signer.certificate, version) {
            (None, _) => Self::hint(&signer.key),
            (Some(certificate), Version::V01 | Version::V02) => Self::Chain(vec![certificate.clone()]),
            (Some(certificate), Version::V03 | Version::V03New) => Self::Certificate(certificate.clone()),
        }
    }

    /// cosign's hint of a key.
    pub fn hint(key: &Key) -> Self {
        Self::Hint(STANDARD.encode(key.id()))
    }
}

/// What was signed.
#[derive(Debug, Clone)]
pub enum Content {
    /// `dsseEnvelope`.
    Envelope(Envelope),
    /// `messageSignature`.
    Message {
        /// `messageDigest.algorithm`.
        algorithm: String,
        /// `messageDigest.digest`.
        digest: Vec<u8>,
        /// `signature`.
        signature: Vec<u8>,
    },
}

/// A bundle. Whoever wants it wrong changes it before it is written.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// `mediaType`.
    pub media_type: String,
    /// Who signed.
    pub material: Material,
    /// Log entries.
    pub entries: Vec<Entry>,
    /// RFC 3161 `TimeStampResp`, DER.
    pub timestamps: Vec<Vec<u8>>,
    /// What was signed.
    pub content: Content,
}

impl Bundle {
    /// A bundle without entries and timestamps.
    pub fn new(signer: &Signer, version: Version, content: Content) -> Self {
        Self {
            media_type: version.media_type().to_owned(),
            material: Material::of(signer, version),
            entries: Vec::new(),
            timestamps: Vec::new(),
            content,
        }
    }

    /// A signature over a message.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign_message(signer: &Signer, version: Version, message: &[u8]) -> anyhow::Result<Self> {
        let (digest, signature) = (sha256(message).to_vec(), signer.sign(message)?);
        Ok(Self::new(signer, version, Content::Message { algorithm: "SHA2_256".to_owned(), digest, signature }))
    }

    /// The first signature's bytes: what timestamps are about.
    pub fn signature(&self) -> &[u8] {
        match &self.content {
            Content::Envelope(envelope) => envelope.signatures.first().map(Vec::as_slice).unwrap_or_default(),
            Content::Message { signature, .. } => signature,
        }
    }

    /// The document.
    pub fn json(&self) -> Value {
        let Self { media_type, material, entries, timestamps, content } = self;
        let raw = |der: &[u8]| json!({ "rawBytes": STANDARD.encode(der) });
        let (kind, who) = match material {
            Material::Certificate(der) => ("certificate", raw(der)),
            Material::Chain(chain) => {
                let chain: Vec<Value> = chain.iter().map(|der| raw(der)).collect();
                ("x509CertificateChain", json!({ "certificates": chain }))
            }
            Material::Hint(hint) => ("publicKey", json!({ "hint": hint })),
        };
        let entries: Vec<Value> = entries.iter().map(Entry::json).collect();
        let timestamps: Vec<Value> =
            timestamps.iter().map(|der| json!({ "signedTimestamp": STANDARD.encode(der) })).collect();
        let mut proof = json!({ kind: who, "tlogEntries": entries });
        if let (Value::Object(proof), false) = (&mut proof, timestamps.is_empty()) {
            proof.insert("timestampVerificationData".to_owned(), json!({ "rfc3161Timestamps": timestamps }));
        }
        let (name, content) = match content {
            Content::Envelope(envelope) => ("dsseEnvelope", envelope.json()),
            Content::Message { algorithm, digest, signature } => {
                let digest = json!({ "algorithm": algorithm, "digest": STANDARD.encode(digest) });
                ("messageSignature", json!({ "messageDigest": digest, "signature": STANDARD.encode(signature) }))
            }
        };
        json!({ "mediaType": media_type, "verificationMaterial": proof, name: content })
    }

    /// The document's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.json().to_string().into_bytes()
    }
}
