//! The manifests under `rego/`: what the bundled template decides, and that they say what Gatekeeper expects.
//!
//! Evaluated with regorus, whose semantics are OPA's for what the templates use; equality beyond that is not claimed.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "helpers of tests, and tables"
)]

mod decisions;
mod engine;
mod manifests;
mod published;
mod suite;
mod workloads;
