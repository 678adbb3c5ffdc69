//! Fakes over mocks: a registry and an API server that can be told to misbehave, image layouts in real directories, a small PKI, signers, the real server. They
//! see only countersign's public face; there is no test in here.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a fake that cannot be set up fails its test loudly"
)]

mod asked;
pub mod cluster;
pub mod conformance;
pub mod fuzz;
pub mod layout;
pub mod load;
pub mod notation;
pub mod pki;
pub mod provider;
pub mod registry;
pub mod shelf;
pub mod sigstore;
pub mod upstream;
pub mod web;
