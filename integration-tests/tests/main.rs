//! Behaviour, seen from the public face only: a module a behaviour.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "what a test's helpers cannot set up fails the test"
)]

mod cached;
mod captured;
mod cases;
mod catalogue;
mod certificates;
mod chart;
mod cluster;
mod codes;
mod conformance;
mod cosign;
mod cosign_fixtures;
mod examples;
mod fuzz_smoke;
mod layering;
mod layout;
mod mini_sigstore;
mod nested;
mod notation_fixtures;
mod notation_flips;
mod plugins;
mod readme;
mod real_bundles;
mod registry;
mod rego;
mod routed;
mod second_opinions;
mod serve;
mod sigstore;
mod sigstore_core;
mod sigstore_mutations;
mod sigstore_storage;
