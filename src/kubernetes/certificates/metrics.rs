//! What is counted. Labels are closed sets.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Meter},
};
use time::OffsetDateTime;
use tokio::time::Duration;

use super::{material::Material, plan::Change};

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Our clock and the API server's do not agree.
    Clock,
    /// The Lease.
    Lease,
    /// Making a key or a certificate.
    Make,
    /// A Provider.
    Provider,
    /// Reading or writing the Secret, or what it holds.
    Secret,
    /// The watch broke.
    Watch,
}

impl What {
    const ALL: [Self; 6] = [Self::Clock, Self::Lease, Self::Make, Self::Provider, Self::Secret, Self::Watch];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Lease => "lease",
            Self::Make => "make",
            Self::Provider => "provider",
            Self::Secret => "secret",
            Self::Watch => "watch",
        }
    }
}

#[derive(Debug)]
pub(super) struct Metrics {
    changes: Counter<u64>,
    errors: Counter<u64>,
    lease: Gauge<u64>,
    remaining: Gauge<i64>,
    success_age: Gauge<u64>,
}

impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let metrics = Self {
            changes: meter
                .u64_counter("countersign_certificates_changes")
                .with_description("Changes of the own certificates that this replica wrote, by change")
                .build(),
            errors: meter
                .u64_counter("countersign_certificates_errors")
                .with_description("Failures to keep the own certificates, by what failed")
                .build(),
            lease: meter
                .u64_gauge("countersign_certificates_lease_held")
                .with_description("Whether this replica is the one that writes the own certificates")
                .build(),
            remaining: meter
                .i64_gauge("countersign_certificates_remaining")
                .with_unit("s")
                .with_description("Time until the own certificates end, by which")
                .build(),
            success_age: meter
                .u64_gauge("countersign_certificates_success_age")
                .with_unit("s")
                .with_description("Time since the Secret of the own certificates was last read whole")
                .build(),
        };
        for what in What::ALL {
            metrics.errors.add(0, &[KeyValue::new("what", what.as_str())]);
        }
        for change in Change::ALL {
            metrics.changes.add(0, &[KeyValue::new("change", change.as_str())]);
        }
        metrics.lease.record(0, &[]);
        metrics
    }

    pub(super) fn changed(&self, change: Change) {
        self.changes.add(1, &[KeyValue::new("change", change.as_str())]);
    }

    pub(super) fn failed(&self, what: What) {
        self.errors.add(1, &[KeyValue::new("what", what.as_str())]);
    }

    pub(super) fn holds(&self, held: bool) {
        self.lease.record(u64::from(held), &[]);
    }

    /// Counts down, also past zero.
    pub(super) fn observe(&self, material: Option<&Material>, now: OffsetDateTime, success_age: Duration) {
        let left = |until: OffsetDateTime| (until - now).whole_seconds();
        let leaf = material.and_then(|m| m.leaf.as_ref()).map(|leaf| leaf.life.until);
        let authority = material.and_then(|m| m.signer.as_ref()).map(|signer| signer.anchor.life.until);
        for (which, until) in [("leaf", leaf), ("authority", authority)] {
            if let Some(until) = until {
                self.remaining.record(left(until), &[KeyValue::new("which", which)]);
            }
        }
        self.success_age.record(success_age.as_secs(), &[]);
    }
}
