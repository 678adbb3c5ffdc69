//! What the tests of these modules share.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use time::Duration;

use super::make::{Profile, names};

/// Leaves of 90 days under authorities of two years, for `countersign` in `countersign-system`.
pub(super) fn profile() -> Profile {
    Profile {
        names: names("countersign", "countersign-system"),
        leaf: Duration::days(90),
        authority: Duration::days(730),
        provider: Arc::new(default_provider()),
    }
}
