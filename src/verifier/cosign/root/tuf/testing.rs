//! A TUF repository for tests: signed here and now, with each thing that can be wrong with one.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sigstore_tuf::{Error, Key, Repository, canonical_json::to_canonical_bytes, transport::FetchFuture};

use crate::{crypto::read::hex, oci::Digest};

/// An end that is not reached.
pub(crate) const LATER: &str = "2030-01-01T00:00:00Z";

/// What a repository says.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whose keys: another number, another repository.
    pub(crate) owner: u8,
    /// Versions of timestamp, snapshot and targets.
    pub(crate) versions: [u64; 3],
    /// Ends of root, timestamp, snapshot and targets.
    pub(crate) expires: [&'static str; 4],
    /// Who signs timestamp, snapshot and targets in place of the owner.
    pub(crate) signers: [Option<u8>; 3],
    pub(crate) consistent: bool,
    pub(crate) target: &'static str,
    pub(crate) content: Vec<u8>,
    /// What is served in the place of `content`.
    pub(crate) served: Option<Vec<u8>>,
}

impl Plan {
    pub(crate) fn of(content: &[u8]) -> Self {
        Self {
            owner: 1,
            versions: [1, 1, 1],
            expires: [LATER; 4],
            signers: [None; 3],
            consistent: true,
            target: "trusted_root.json",
            content: content.to_vec(),
            served: None,
        }
    }

    /// Version 1 of the root metadata: what clients are given.
    pub(crate) fn initial_root(&self) -> Vec<u8> {
        envelope(&self.root(1, &[self.owner], 1), &[self.owner])
    }

    /// Root metadata of some version, where each of `keys` is for every role.
    pub(crate) fn root(&self, version: u64, keys: &[u8], threshold: u64) -> Value {
        let ids: Vec<String> = keys.iter().map(|key| key_id(*key)).collect();
        let all: BTreeMap<String, Value> = keys.iter().map(|key| (key_id(*key), key_object(*key))).collect();
        let any = json!({"keyids": ids, "threshold": 1});
        json!({
            "_type": "root", "spec_version": "1.0.31", "version": version, "expires": self.expires[0],
            "consistent_snapshot": self.consistent, "keys": all,
            "roles": {"root": {"keyids": ids, "threshold": threshold}, "timestamp": any, "snapshot": any, "targets": any},
        })
    }

    /// All files below the repository's address, but newer roots.
    pub(crate) fn publish(&self) -> Published {
        let [timestamp_version, snapshot_version, targets_version] = self.versions;
        let signer = |role: usize| [self.signers[role].unwrap_or(self.owner)];
        let hash = Digest::sha256(&self.content).hex().to_owned();
        let targets = json!({
            "_type": "targets", "spec_version": "1.0.31", "version": targets_version, "expires": self.expires[3],
            "targets": {self.target: {"length": self.content.len(), "hashes": {"sha256": hash}}},
        });
        let targets = envelope(&targets, &signer(2));
        let snapshot = json!({
            "_type": "snapshot", "spec_version": "1.0.31", "version": snapshot_version, "expires": self.expires[2],
            "meta": {"targets.json": {"version": targets_version, "length": targets.len()}},
        });
        let snapshot = envelope(&snapshot, &signer(1));
        let timestamp = json!({
            "_type": "timestamp", "spec_version": "1.0.31", "version": timestamp_version, "expires": self.expires[1],
            "meta": {"snapshot.json": {"version": snapshot_version, "length": snapshot.len()}},
        });
        let served = self.served.clone().unwrap_or_else(|| self.content.clone());
        let (snapshot_at, targets_at, content_at) = if self.consistent {
            let target = match self.target.rsplit_once('/') {
                Some((folder, name)) => format!("targets/{folder}/{hash}.{name}"),
                None => format!("targets/{hash}.{}", self.target),
            };
            (format!("{snapshot_version}.snapshot.json"), format!("{targets_version}.targets.json"), target)
        } else {
            ("snapshot.json".to_owned(), "targets.json".to_owned(), format!("targets/{}", self.target))
        };
        Published(BTreeMap::from([
            ("timestamp.json".to_owned(), envelope(&timestamp, &signer(0))),
            (snapshot_at, snapshot),
            (targets_at, targets),
            (content_at, served),
        ]))
    }
}

/// Files by path: a repository without a network.
#[derive(Debug, Clone)]
pub(crate) struct Published(pub(crate) BTreeMap<String, Vec<u8>>);

impl Repository for Published {
    fn fetch_metadata<'a>(&'a self, name: &'a str, _max_length: u64) -> FetchFuture<'a> {
        let found: Result<_, Error> = Ok(self.0.get(name).cloned());
        Box::pin(async move { found })
    }

    fn fetch_target<'a>(&'a self, path: &'a str, _max_length: u64) -> FetchFuture<'a> {
        let found: Result<_, Error> = Ok(self.0.get(&format!("targets/{path}")).cloned());
        Box::pin(async move { found })
    }
}

fn pair(key: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[key; 32]).unwrap()
}

pub(crate) fn key_object(key: u8) -> Value {
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": hex(pair(key).public_key().as_ref())}})
}

pub(crate) fn key_id(key: u8) -> String {
    let key: Key = serde_json::from_value(key_object(key)).unwrap();
    key.key_id().unwrap()
}

/// `signed` with a signature of each of `keys`.
pub(crate) fn envelope(signed: &Value, keys: &[u8]) -> Vec<u8> {
    let message = to_canonical_bytes(signed).unwrap();
    let signatures: Vec<Value> =
        keys.iter().map(|key| json!({"keyid": key_id(*key), "sig": hex(pair(*key).sign(&message).as_ref())})).collect();
    serde_json::to_vec(&json!({"signed": signed, "signatures": signatures})).unwrap()
}
