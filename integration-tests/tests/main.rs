//! Behaviour, seen from the public face only: a module a behaviour.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "what a test's helpers cannot set up fails the test"
)]

mod cached;
mod catalogue;
mod codes;
mod layering;
mod layout;
mod notation_fixtures;
mod notation_flips;
mod readme;
mod registry;
mod rego;
mod routed;
mod serve;
