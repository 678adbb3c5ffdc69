//! What signers sign: simple signing payloads, in-toto statements, DSSE envelopes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{body::Body, signer::Signer};

/// The payload type of statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The predicate type of an image signature of cosign v3.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// The predicate type of cosign's vulnerability scans.
pub const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// The simple signing payload about an image: `digest` with its algorithm.
pub fn simple_signing(reference: &str, digest: &str, optional: &Value) -> Vec<u8> {
    let critical = json!({ "identity": { "docker-reference": reference },
        "image": { "docker-manifest-digest": digest }, "type": "cosign container image signature" });
    json!({ "critical": critical, "optional": optional }).to_string().into_bytes()
}

/// A statement v1 about an image: `digest` with its algorithm.
pub fn statement(digest: &str, predicate_type: &str, predicate: &Value) -> Value {
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("sha256", digest));
    json!({ "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { algorithm: hex } }],
        "predicateType": predicate_type, "predicate": predicate })
}

/// The statement that cosign v3 signs instead of a simple signing payload.
pub fn cosign_statement(digest: &str) -> Value {
    statement(digest, COSIGN_SIGN, &json!({}))
}

/// The statement that `cosign attest --type vuln` signs, of a scan that ended then.
pub fn vuln_statement(digest: &str, finished: &str) -> Value {
    let scanner = json!({ "uri": "https://scanner.example.com", "version": "1.2.3",
        "db": { "uri": "", "version": "2026-01-01" }, "result": { "findings": [] } });
    let predicate = json!({
        "invocation": { "parameters": [], "uri": "", "event_id": "", "builder.id": "" },
        "scanner": scanner,
        "metadata": { "scanStartedOn": finished, "scanFinishedOn": finished },
    });
    let mut statement = statement(digest, VULN, &predicate);
    if let Value::Object(members) = &mut statement {
        members.insert("_type".to_owned(), json!("https://in-toto.io/Statement/v0.1"));
    }
    statement
}

/// A DSSE envelope.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// `payloadType`.
    pub payload_type: String,
    /// `payload`, decoded.
    pub payload: Vec<u8>,
    /// `signatures[].sig`, decoded.
    pub signatures: Vec<Vec<u8>>,
}

impl Envelope {
    /// Signs a payload.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(signer: &Signer, payload_type: &str, payload: Vec<u8>) -> anyhow::Result<Self> {
        let signature = signer.sign(&pae(payload_type, &payload))?;
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures: vec![signature] })
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign_statement(signer: &Signer, statement: &Value) -> anyhow::Result<Self> {
        Self::sign(signer, IN_TOTO, statement.to_string().into_bytes())
    }

    /// The envelope as JSON; cosign writes an empty `keyid`.
    pub fn json(&self) -> Value {
        let signatures: Vec<Value> =
            self.signatures.iter().map(|signature| json!({ "keyid": "", "sig": STANDARD.encode(signature) })).collect();
        json!({ "payloadType": self.payload_type, "payload": STANDARD.encode(&self.payload), "signatures": signatures })
    }

    /// The envelope's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.json().to_string().into_bytes()
    }

    /// What is signed.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// The body of a log entry.
    pub fn body(&self, kind: EntryKind, verifier_pem: &str) -> Body {
        let Self { payload_type, payload, signatures } = self;
        let envelope = self.bytes();
        match kind {
            EntryKind::Dsse => Body::dsse(&envelope, payload, signatures, verifier_pem),
            EntryKind::InToto001 => Body::old_intoto(&envelope, payload, verifier_pem),
            EntryKind::InToto002 => Body::intoto(&envelope, payload_type, payload, signatures, verifier_pem),
        }
    }
}

/// How an envelope is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `dsse` 0.0.1
    Dsse,
    /// `intoto` 0.0.1
    InToto001,
    /// `intoto` 0.0.2
    InToto002,
}

/// DSSE v1's pre-authentication encoding.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
