//! What was found of an item, by its content: inside a generation the same bytes under the same trust policies prove the same.
//!
//! Only findings for a yes are kept: whether something is no yet, or no longer, depends on the moment.

use std::{fmt, sync::Arc};

use moka::sync::Cache;
use time::OffsetDateTime;

use super::Findings;
use crate::oci::{Digest, Repository};

/// Bytes that are kept, as far as they are known: statements are the large part.
const MAX_BYTES: u64 = 32 << 20;
/// What findings without a statement take, about.
const FINDINGS_BYTES: u32 = 4 << 10;
/// A statement in memory takes some times its text.
const GROWTH: usize = 4;

/// What an item was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// Where the subject lies: trust policies go by that.
    pub(super) repository: Repository,
    /// Its digest.
    pub(super) subject: Digest,
    /// The item's content and descriptor.
    pub(super) item: Digest,
}

/// Findings by question.
pub(super) struct Memory {
    findings: Cache<Question, Arc<Known>>,
}

struct Known {
    findings: Findings,
    judged_at: OffsetDateTime,
}

impl Default for Memory {
    fn default() -> Self {
        let weigh = |_: &Question, known: &Arc<Known>| weight(&known.findings);
        Self { findings: Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).build() }
    }
}

impl Memory {
    /// Findings that still hold.
    pub(super) fn findings(&self, question: &Question, now: OffsetDateTime) -> Option<Findings> {
        let known = self.findings.get(question)?;
        let still = known.findings.valid_until.is_none_or(|until| now < until);
        (still && known.judged_at <= now).then(|| known.findings.clone())
    }

    pub(super) fn keep(&self, question: Question, findings: &Findings, judged_at: OffsetDateTime) {
        self.findings.insert(question, Arc::new(Known { findings: findings.clone(), judged_at }));
    }
}

fn weight(findings: &Findings) -> u32 {
    let statement = findings.attested.as_ref().map_or(0, |attested| attested.size_bytes.saturating_mul(GROWTH));
    u32::try_from(statement).unwrap_or(u32::MAX).saturating_add(FINDINGS_BYTES)
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("kept", &self.findings.entry_count()).finish()
    }
}
