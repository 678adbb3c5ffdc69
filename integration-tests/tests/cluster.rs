//! What asks an API server, against a fake one.

mod api;
mod apply;
mod pull_secrets;
