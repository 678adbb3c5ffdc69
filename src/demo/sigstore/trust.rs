//! `trusted_root.json`: what a verifier has to know about an instance.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::key::Key;

/// When something is in use: both ends are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First moment. A trusted root without it is malformed.
    pub start: Option<OffsetDateTime>,
    /// Last moment; none is open.
    pub end: Option<OffsetDateTime>,
}

impl Window {
    /// Open at its end.
    pub const fn since(start: OffsetDateTime) -> Self {
        Self { start: Some(start), end: None }
    }

    /// Closed.
    pub const fn between(start: OffsetDateTime, end: OffsetDateTime) -> Self {
        Self { start: Some(start), end: Some(end) }
    }

    fn json(self) -> anyhow::Result<Value> {
        let mut window = json!({});
        for (name, moment) in [("start", self.start), ("end", self.end)] {
            if let (Value::Object(window), Some(moment)) = (&mut window, moment) {
                window.insert(name.to_owned(), json!(moment.format(&Rfc3339)?));
            }
        }
        Ok(window)
    }
}

/// A log as the trusted root knows it.
#[derive(Debug, Clone)]
pub struct Log {
    /// Where it is.
    pub base_url: String,
    /// Its key.
    pub key: Key,
    /// Its id: of Rekor v1 and CT logs the key's.
    pub id: Vec<u8>,
    /// When its key is in use.
    pub window: Window,
}

impl Log {
    /// A log whose id is its key's.
    pub fn new(base_url: &str, key: Key, window: Window) -> Self {
        let id = key.id().to_vec();
        Self { base_url: base_url.to_owned(), key, id, window }
    }

    /// The URL without its scheme.
    pub fn host(&self) -> &str {
        self.base_url.split_once("://").map_or(&self.base_url, |(_, host)| host)
    }

    fn json(&self) -> anyhow::Result<Value> {
        let Self { base_url, key, id, window } = self;
        Ok(json!({
            "baseUrl": base_url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": { "rawBytes": STANDARD.encode(key.spki()), "keyDetails": key.details(),
                "validFor": window.json()? },
            "logId": { "keyId": STANDARD.encode(id) },
        }))
    }
}

/// An authority as the trusted root knows it.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Where it is.
    pub uri: String,
    /// Certificates, what issues first, the root last, DER.
    pub certificates: Vec<Vec<u8>>,
    /// When it is in use.
    pub window: Window,
}

impl Chain {
    fn json(&self) -> anyhow::Result<Value> {
        let Self { uri, certificates, window } = self;
        let certificates: Vec<Value> =
            certificates.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
        Ok(json!({
            "subject": { "organization": "mini sigstore", "commonName": "mini sigstore" },
            "uri": uri,
            "certChain": { "certificates": certificates },
            "validFor": window.json()?,
        }))
    }
}

/// The whole document.
#[derive(Debug, Clone)]
pub struct Root {
    /// `mediaType`.
    pub media_type: String,
    /// Rekor and its like.
    pub tlogs: Vec<Log>,
    /// Fulcio and its like.
    pub certificate_authorities: Vec<Chain>,
    /// CT logs.
    pub ctlogs: Vec<Log>,
    /// RFC 3161 authorities.
    pub timestamp_authorities: Vec<Chain>,
}

impl Root {
    /// The document.
    ///
    /// # Errors
    /// A moment that cannot be written.
    pub fn json(&self) -> anyhow::Result<Value> {
        let Self { media_type, tlogs, certificate_authorities, ctlogs, timestamp_authorities } = self;
        let logs = |logs: &[Log]| logs.iter().map(Log::json).collect::<anyhow::Result<Vec<Value>>>();
        let chains = |chains: &[Chain]| chains.iter().map(Chain::json).collect::<anyhow::Result<Vec<Value>>>();
        Ok(json!({
            "mediaType": media_type,
            "tlogs": logs(tlogs)?,
            "certificateAuthorities": chains(certificate_authorities)?,
            "ctlogs": logs(ctlogs)?,
            "timestampAuthorities": chains(timestamp_authorities)?,
        }))
    }
}
