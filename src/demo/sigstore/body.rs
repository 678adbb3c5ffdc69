//! What Rekor v1 logs: canonical bodies of its entry kinds.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::key::{hex, sha256};

/// A body. Whoever wants another changes `document` before it is logged.
#[derive(Debug, Clone)]
pub struct Body {
    /// `kind`.
    pub kind: String,
    /// `apiVersion`.
    pub version: String,
    /// The whole document.
    pub document: Value,
}

impl Body {
    /// `kind`, `version` and what `spec` is.
    pub fn new(kind: &str, version: &str, spec: &Value) -> Self {
        let document = json!({ "apiVersion": version, "kind": kind, "spec": spec });
        Self { kind: kind.to_owned(), version: version.to_owned(), document }
    }

    /// `hashedrekord` 0.0.1, of what has this SHA-256.
    pub fn hashedrekord(digest: &[u8], signature: &[u8], verifier_pem: &str) -> Self {
        let signature = json!({ "content": STANDARD.encode(signature),
            "publicKey": { "content": STANDARD.encode(verifier_pem) } });
        let data = json!({ "hash": { "algorithm": "sha256", "value": hex(digest) } });
        Self::new("hashedrekord", "0.0.1", &json!({ "data": data, "signature": signature }))
    }

    /// `dsse` 0.0.1. `envelope`: its bytes.
    pub fn dsse(envelope: &[u8], payload: &[u8], signatures: &[Vec<u8>], verifier_pem: &str) -> Self {
        let verifier = STANDARD.encode(verifier_pem);
        let one = |signature: &Vec<u8>| json!({ "signature": STANDARD.encode(signature), "verifier": verifier });
        let signatures: Vec<Value> = signatures.iter().map(one).collect();
        let spec = json!({ "envelopeHash": hash(envelope), "payloadHash": hash(payload), "signatures": signatures });
        Self::new("dsse", "0.0.1", &spec)
    }

    /// `intoto` 0.0.2: signatures are in base64 twice.
    pub fn intoto(
        envelope: &[u8],
        payload_type: &str,
        payload: &[u8],
        signatures: &[Vec<u8>],
        verifier_pem: &str,
    ) -> Self {
        let verifier = STANDARD.encode(verifier_pem);
        let one =
            |signature: &Vec<u8>| json!({ "publicKey": verifier, "sig": STANDARD.encode(STANDARD.encode(signature)) });
        let signatures: Vec<Value> = signatures.iter().map(one).collect();
        let content = json!({ "envelope": { "payloadType": payload_type, "signatures": signatures },
            "hash": hash(envelope), "payloadHash": hash(payload) });
        Self::new("intoto", "0.0.2", &json!({ "content": content }))
    }

    /// `intoto` 0.0.1 of cosign 1.x: no signature in it.
    pub fn old_intoto(envelope: &[u8], payload: &[u8], verifier_pem: &str) -> Self {
        let content = json!({ "hash": hash(envelope), "payloadHash": hash(payload) });
        Self::new("intoto", "0.0.1", &json!({ "content": content, "publicKey": STANDARD.encode(verifier_pem) }))
    }

    /// The bytes that are logged.
    pub fn bytes(&self) -> Vec<u8> {
        canonical(&self.document).into_bytes()
    }
}

fn hash(bytes: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": hex(&sha256(bytes)) })
}

/// JSON by RFC 8785, for documents of ASCII names and integers: members sorted, no spaces.
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            Value::Object(members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
