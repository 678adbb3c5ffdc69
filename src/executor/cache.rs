//! The verdicts that this generation gave.

use std::time::Duration;

use moka::sync::Cache;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Answer, limits::Limits};
use crate::{
    oci::{Digest, Repository},
    report::Decision,
    tenant::Tenant,
};

/// What a verdict is about. Typed parts, so that no two different questions share a key (TEN-06); never a tag, never the
/// raw key, never a digest without its repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct VerdictKey {
    tenant: Tenant,
    repository: Repository,
    digest: Digest,
}

impl VerdictKey {
    pub(super) fn new(tenant: &Tenant, repository: &Repository, digest: &Digest) -> Self {
        Self { tenant: tenant.clone(), repository: repository.clone(), digest: digest.clone() }
    }
}

#[derive(Debug, Clone)]
struct Kept {
    answer: Answer,
    /// On the monotonic clock: a wall clock set back does not lengthen it (CFG-19).
    fresh_until: Instant,
    /// On the wall clock: what certificates and expiry say.
    valid_until: Option<OffsetDateTime>,
}

/// Verdicts by tenant, repository and subject digest, bounded by bytes.
#[derive(Debug)]
pub(super) struct Verdicts {
    kept: Cache<VerdictKey, Kept>,
    yes: Duration,
    no: Duration,
}

/// What an entry costs beside its rendered bytes and about as many in its verdict: key and bookkeeping.
const ENTRY_BYTES: usize = 1024;

impl Verdicts {
    pub(super) fn new(limits: &Limits) -> Self {
        let weigh = |_: &VerdictKey, kept: &Kept| {
            let bytes = kept.answer.rendered.size_hint().saturating_mul(2).saturating_add(ENTRY_BYTES);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder()
            .max_capacity(limits.verdict_cache_bytes)
            .weigher(weigh)
            .time_to_live(limits.verdict_ttl.max(limits.negative_ttl))
            .build();
        Self { kept, yes: limits.verdict_ttl, no: limits.negative_ttl }
    }

    pub(super) fn fresh(&self, key: &VerdictKey, now: OffsetDateTime) -> Option<Answer> {
        let kept = self.kept.get(key)?;
        let valid = kept.valid_until.is_none_or(|until| now < until);
        (valid && Instant::now() < kept.fresh_until).then_some(Answer { cached: true, ..kept.answer })
    }

    /// Verdicts kept and their bytes, after the housekeeping that is due.
    pub(super) fn size(&self) -> (u64, u64) {
        self.kept.run_pending_tasks();
        (self.kept.entry_count(), self.kept.weighted_size())
    }

    /// Keeps a definite answer. `listed_at`: when the listing it rests on was made; its life counts from there, so that a
    /// cached verdict on a cached listing is no staler than either may be.
    pub(super) fn keep(&self, key: VerdictKey, answer: &Answer, now: OffsetDateTime, listed_at: Instant) {
        let (life, valid_until) = match &answer.verdict.decision {
            Decision::Allow { valid_until, .. } => (self.yes, *valid_until),
            Decision::Deny(_) => (self.no, None),
            Decision::Undecided(_) => return,
        };
        if valid_until.is_some_and(|until| until <= now) {
            return;
        }
        self.kept.insert(key, Kept { answer: answer.clone(), fresh_until: listed_at + life, valid_until });
    }
}
