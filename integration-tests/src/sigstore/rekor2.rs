//! A log of the shape of Rekor v2: tiles, Ed25519 notes, no promise and no time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::demo::sigstore::{
    body::Body,
    key::{Key, sha256},
    merkle::{self, Hash},
    note::{Checkpoint, Line},
    rekor::{Entry, Place, Proof},
    signer::Signer,
    trust::{Log, Window},
};
use serde_json::json;

use super::keys;

/// A log.
#[derive(Debug, Clone)]
pub struct Rekor2 {
    /// As the trusted root knows it.
    pub log: Log,
    /// The name in its notes and the origin of its checkpoints: the host.
    pub name: String,
}

/// The id of an Ed25519 key in notes (C2SP signed-note): over name, algorithm and key.
pub fn note_key_id(name: &str, key: &Key) -> [u8; 32] {
    sha256(&[name.as_bytes(), b"\n\x01", &keys::ed25519_point(key)].concat())
}

/// `hashedrekord` 0.0.2. `digest`: of the message, or of an envelope's PAE.
pub fn body(signer: &Signer, algorithm: keys::Hash, digest: &[u8], signature: &[u8]) -> Body {
    let mut verifier = json!({ "keyDetails": signer.key.details() });
    match &signer.certificate {
        Some(certificate) => verifier["x509Certificate"] = json!({ "rawBytes": STANDARD.encode(certificate) }),
        None => verifier["publicKey"] = json!({ "rawBytes": STANDARD.encode(signer.key.spki()) }),
    }
    let data = json!({ "algorithm": algorithm.bundle_name(), "digest": STANDARD.encode(digest) });
    let signature = json!({ "content": STANDARD.encode(signature), "verifier": verifier });
    Body::new("hashedrekord", "0.0.2", &json!({ "hashedRekordV002": { "data": data, "signature": signature } }))
}

impl Rekor2 {
    /// A log of a seed.
    pub fn new(seed: &str, window: Window) -> Self {
        let base_url = "https://log2026-1.rekor.example.com";
        let mut log = Log::new(base_url, keys::ed25519(seed, "rekor2"), window);
        let name = log.host().to_owned();
        log.id = note_key_id(&name, &log.key).to_vec();
        Self { log, name }
    }

    /// Logs a body, with proof and checkpoint. There is one tree: older entries are not counted.
    pub fn log(&self, body: &Body, place: Place) -> Entry {
        let bytes = body.bytes();
        let leaves = place.leaves(&bytes);
        let root = merkle::root(&leaves);
        let index = u64::try_from(place.index).expect("a small index");
        let size = u64::try_from(place.size).expect("a small tree");
        let checkpoint = Some(self.checkpoint(size, root).note());
        let proof = Proof { index, size, root, hashes: merkle::path(place.index, &leaves), checkpoint };
        Entry {
            log_id: self.log.id.clone(),
            log_index: index,
            kind: body.kind.clone(),
            version: body.version.clone(),
            integrated_time: None,
            promise: None,
            proof: Some(proof),
            body: bytes,
        }
    }

    /// Logs what is signed over a message: the digest is SHA-256, as the log has it for P-256.
    pub fn log_signature(&self, signer: &Signer, message: &[u8], signature: &[u8]) -> Entry {
        let digest = keys::Hash::Sha256.digest(message);
        self.log(&body(signer, keys::Hash::Sha256, &digest, signature), Place::default())
    }

    /// The signed head of a tree.
    pub fn checkpoint(&self, size: u64, root: Hash) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(&self.name, size, root);
        checkpoint.sign(&self.name, &self.log.id, &self.log.key).expect("a signature");
        checkpoint
    }
}

/// Adds a witness's cosignature to a note (C2SP tlog-cosignature: algorithm 4, a time, a signature).
pub fn witness(checkpoint: &mut Checkpoint, name: &str, seed: &str, at: u64) {
    let key = keys::ed25519(seed, name);
    let id = sha256(&[name.as_bytes(), b"\n\x04", &keys::ed25519_point(&key)].concat());
    let message = format!("cosignature/v1\ntime {at}\n{}", checkpoint.text());
    let signature = [&at.to_be_bytes()[..], &key.sign(message.as_bytes()).expect("a signature")].concat();
    let hint = id.first_chunk().copied().expect("32 bytes");
    checkpoint.signatures.push(Line { name: name.to_owned(), hint, signature });
}
