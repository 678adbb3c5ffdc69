//! Identities that a trust policy believes, matched whole.

/// One element of `identities`.
#[derive(Debug, Clone)]
pub struct Identity {}
