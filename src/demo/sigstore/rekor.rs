//! A log of the shape of Rekor v1: promises, proofs, checkpoints.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    body::{Body, canonical},
    key::{Key, hex},
    merkle::{self, Hash},
    note::Checkpoint,
    trust::Log,
};

/// Where an entry stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Entries in older shards: the promise's index counts them, the proof's does not.
    pub older: u64,
    /// Its index in its tree.
    pub index: usize,
    /// How many entries the tree has; the others are filling.
    pub size: usize,
}

impl Default for Place {
    /// The sixth of eleven, after older shards: no way to the root is trivial.
    fn default() -> Self {
        Self { older: 4_163_431, index: 5, size: 11 }
    }
}

impl Place {
    /// All leaves of the tree.
    pub fn leaves(&self, entry: &[u8]) -> Vec<Hash> {
        let filling = |index: usize| merkle::leaf(format!("entry {index} of somebody else").as_bytes());
        let leaf = |index| if index == self.index { merkle::leaf(entry) } else { filling(index) };
        (0..self.size).map(leaf).collect()
    }
}

/// A log.
#[derive(Debug, Clone)]
pub struct Rekor {
    /// As the trusted root knows it.
    pub log: Log,
    /// The name in its notes.
    pub name: String,
    /// The number of its tree, which its checkpoints' origin ends with.
    pub tree: String,
}

/// An entry with what the log says about it. Nothing in it is checked: whoever wants it wrong changes it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `logId`.
    pub log_id: Vec<u8>,
    /// The index that is promised.
    pub log_index: u64,
    /// `kindVersion.kind`.
    pub kind: String,
    /// `kindVersion.version`.
    pub version: String,
    /// Unix seconds.
    pub integrated_time: Option<i64>,
    /// The signed entry timestamp.
    pub promise: Option<Vec<u8>>,
    /// The inclusion proof.
    pub proof: Option<Proof>,
    /// The body.
    pub body: Vec<u8>,
}

/// An inclusion proof.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The index in the tree.
    pub index: u64,
    /// The tree's size.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
    /// Siblings, lowest first.
    pub hashes: Vec<Hash>,
    /// The signed note.
    pub checkpoint: Option<String>,
}

impl Rekor {
    /// A log with the host of its URL as its name.
    pub fn new(log: Log) -> Self {
        let name = log.host().to_owned();
        Self { log, name, tree: "1193050959916656506".to_owned() }
    }

    /// Logs a body at a moment, with promise, proof and checkpoint.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn log(&self, body: &Body, at: OffsetDateTime, place: Place) -> anyhow::Result<Entry> {
        let bytes = body.bytes();
        let (index, size) = (u64::try_from(place.index)?, u64::try_from(place.size)?);
        let leaves = place.leaves(&bytes);
        let root = merkle::root(&leaves);
        let checkpoint = self.checkpoint(size, root)?;
        let proof = Proof {
            index,
            size,
            root,
            hashes: merkle::path(place.index, &leaves),
            checkpoint: Some(checkpoint.note()),
        };
        let mut entry = Entry {
            log_id: self.log.id.clone(),
            log_index: place.older.saturating_add(index),
            kind: body.kind.clone(),
            version: body.version.clone(),
            integrated_time: Some(at.unix_timestamp()),
            promise: None,
            proof: Some(proof),
            body: bytes,
        };
        entry.promise = Some(entry.promise_by(&self.log.key)?);
        Ok(entry)
    }

    /// The signed head of a tree.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn checkpoint(&self, size: u64, root: Hash) -> anyhow::Result<Checkpoint> {
        let origin = format!("{} - {}", self.name, self.tree);
        let mut checkpoint = Checkpoint::new(&origin, size, root);
        checkpoint.sign(&self.name, &self.log.id, &self.log.key)?;
        Ok(checkpoint)
    }
}

impl Entry {
    /// A promise for what the entry now says.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn promise_by(&self, key: &Key) -> anyhow::Result<Vec<u8>> {
        key.sign(canonical(&self.payload()).as_bytes())
    }

    /// What a promise is about.
    fn payload(&self) -> Value {
        json!({ "body": STANDARD.encode(&self.body), "integratedTime": self.integrated_time.unwrap_or_default(),
            "logID": hex(&self.log_id), "logIndex": self.log_index })
    }

    /// The annotation `dev.sigstore.cosign/bundle`.
    pub fn legacy(&self) -> Value {
        let promise = STANDARD.encode(self.promise.as_deref().unwrap_or_default());
        json!({ "SignedEntryTimestamp": promise, "Payload": self.payload() })
    }

    /// The element of a bundle's `tlogEntries`.
    pub fn json(&self) -> Value {
        let Self { log_id, log_index, kind, version, integrated_time, promise, proof, body } = self;
        let mut entry = json!({
            "logIndex": log_index.to_string(),
            "logId": { "keyId": STANDARD.encode(log_id) },
            "kindVersion": { "kind": kind, "version": version },
            "canonicalizedBody": STANDARD.encode(body),
        });
        if let Value::Object(entry) = &mut entry {
            let mut add = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    entry.insert(name.to_owned(), value);
                }
            };
            add("integratedTime", integrated_time.map(|time| json!(time.to_string())));
            let promise = promise.as_ref().map(|promise| STANDARD.encode(promise));
            add("inclusionPromise", promise.map(|promise| json!({ "signedEntryTimestamp": promise })));
            add("inclusionProof", proof.as_ref().map(Proof::json));
        }
        entry
    }
}

impl Proof {
    fn json(&self) -> Value {
        let Self { index, size, root, hashes, checkpoint } = self;
        let hashes: Vec<String> = hashes.iter().map(|hash| STANDARD.encode(hash)).collect();
        let mut proof = json!({ "logIndex": index.to_string(), "treeSize": size.to_string(),
            "rootHash": STANDARD.encode(root), "hashes": hashes });
        if let (Value::Object(proof), Some(checkpoint)) = (&mut proof, checkpoint) {
            proof.insert("checkpoint".to_owned(), json!({ "envelope": checkpoint }));
        }
        proof
    }
}
