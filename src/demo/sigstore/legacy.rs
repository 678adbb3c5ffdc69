//! What cosign 1 and 2 store: a layer, with everything else in its annotations.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{envelope::Envelope, key::pem, rekor::Entry, signer::Signer};

/// Media type of a signature's layer.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Media type of an attestation's layer.
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// The signature, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The certificate, in PEM.
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// The certificates above it, in PEM.
pub const CHAIN: &str = "dev.sigstore.cosign/chain";
/// The log's entry and promise.
pub const BUNDLE: &str = "dev.sigstore.cosign/bundle";
/// The signed timestamp.
pub const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// A layer. Whoever wants it wrong changes it before it is written.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The signature over them; an attestation's is in its envelope.
    pub signature: Option<Vec<u8>>,
    /// The certificate, in PEM.
    pub certificate: Option<String>,
    /// The certificates above it, in PEM.
    pub chain: Option<String>,
    /// The log's entry.
    pub entry: Option<Entry>,
    /// RFC 3161 `TimeStampResp`, DER.
    pub timestamp: Option<Vec<u8>>,
    /// More annotations, and others for the above.
    pub annotations: BTreeMap<String, String>,
}

impl Layer {
    /// A signature over a simple signing payload.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn signature(signer: &Signer, payload: Vec<u8>) -> anyhow::Result<Self> {
        let signature = signer.sign(&payload)?;
        Ok(Self { signature: Some(signature), ..Self::new(signer, SIMPLE_SIGNING, payload) })
    }

    /// An attestation.
    pub fn attestation(signer: &Signer, envelope: &Envelope) -> Self {
        Self::new(signer, DSSE, envelope.bytes())
    }

    fn new(signer: &Signer, media_type: &str, bytes: Vec<u8>) -> Self {
        let chain: String = signer.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
        Self {
            media_type: media_type.to_owned(),
            bytes,
            signature: None,
            certificate: signer.certificate.as_deref().map(|der| pem("CERTIFICATE", der)),
            chain: (!chain.is_empty()).then_some(chain),
            entry: None,
            timestamp: None,
            annotations: BTreeMap::new(),
        }
    }

    /// All annotations of its descriptor.
    pub fn all_annotations(&self) -> BTreeMap<String, String> {
        let timestamp = |der: &Vec<u8>| json!({ "SignedRFC3161Timestamp": STANDARD.encode(der) }).to_string();
        let mut all: BTreeMap<String, String> = [
            // An attestation's is there, and empty.
            (SIGNATURE, Some(STANDARD.encode(self.signature.as_deref().unwrap_or_default()))),
            (CERTIFICATE, self.certificate.clone()),
            (CHAIN, self.chain.clone()),
            (BUNDLE, self.entry.as_ref().map(|entry| entry.legacy().to_string())),
            (TIMESTAMP, self.timestamp.as_ref().map(timestamp)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
        all.extend(self.annotations.clone());
        all
    }

    /// Its descriptor in a manifest.
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": crate::oci::Digest::sha256(&self.bytes).to_string(),
            "size": self.bytes.len(), "annotations": self.all_annotations() })
    }
}
