//! The verifiers `cosign` and `attestation`: signatures and attestations of the Sigstore world.
//!
//! ```text
//!                        ┌─ legacy ─┐              ┌─ key | certificate ─ identity, sct
//! Artifact ─► blobs ─►   ┤          ├─► Item ─judge┤  log: entry bound, promise, proof ──┐
//!                        └─ bundle ─┘              └─ timestamp ── times ────────────────┴─► payload | statement ─► Findings
//! ```
//!
//! `sigstore-verify` itself is not in the accept path: it reads the wall clock and refuses an item for what should merely not
//! count. Its family's parsers, Merkle proofs and trusted roots are used; the whole is the tests' second opinion.

pub mod evidence;
pub mod identity;
pub mod key;
pub mod policy;
pub mod root;
