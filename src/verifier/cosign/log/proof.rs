//! The inclusion proof: from the body's leaf to a root that the log signed.

use sigstore_merkle::{hash_leaf, verify_inclusion_proof};
use sigstore_types::Sha256Hash;

use super::{
    super::{
        evidence::{Entry, Proof},
        root::Log,
    },
    LogFault,
    checkpoint::Checkpoint,
};

/// A tree of 2⁶⁴ leaves is 64 high (COS-06).
const MAX_HASHES: usize = 64;

/// Verifies `proof` and its checkpoint for the entry's body.
///
/// Size and root are what the log signed; what the proof itself says of them must be the same. In Rekor v1 the proof has an index
/// of its own, the shard's; in Rekor v2 the entry's is the leaf's.
///
/// # Errors
/// [`LogFault`]; among them a proof without a checkpoint, whose root nobody signed.
///
/// Rule: RFC 6962 §2.1.1; `sigstore.md` §1.5, R84–R87.
pub(super) fn verify(entry: &Entry, proof: &Proof, is_v2: bool, log: &Log) -> Result<(), LogFault> {
    if proof.hashes.len() > MAX_HASHES {
        let size = proof.hashes.len();
        return Err(LogFault::Limit { what: "inclusion proof, in hashes,", size, limit: MAX_HASHES });
    }
    if proof.checkpoint.is_empty() {
        return Err(LogFault::CheckpointMissing);
    }
    let checkpoint = Checkpoint::parse(&proof.checkpoint)?;
    checkpoint.verify(is_v2, log)?;
    let mismatch = |what, other| Err(LogFault::ProofMismatch { what, other });
    if proof.tree_size != checkpoint.size {
        return mismatch("tree size", "checkpoint");
    }
    if proof.root_hash != checkpoint.root {
        return mismatch("root hash", "checkpoint");
    }
    if is_v2 && proof.log_index != entry.log_index {
        return mismatch("index", "entry");
    }
    let hashes: Vec<Sha256Hash> = proof.hashes.iter().copied().map(Sha256Hash::new).collect();
    let root = Sha256Hash::new(checkpoint.root);
    verify_inclusion_proof(&hash_leaf(&entry.body), proof.log_index, checkpoint.size, &hashes, &root)
        .map_err(LogFault::Inclusion)
}
