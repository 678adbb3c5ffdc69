//! What the engine may spend.

use std::time::Duration;

/// Bounds of the engine; each has a safe default and none can be zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Verifications under way at once (`threats.md` 1.2: 256).
    pub in_flight: usize,
    /// Of these, one namespace's (`threats.md` 1.2: 64). Keys without a namespace may use all.
    pub in_flight_per_tenant: usize,
    /// Verifications that wait for a place. One more is refused at once: what waits costs memory, and an answer that waited
    /// past its deadline is none (REQ-36). A namespace's share of them is that of the places. Default: eight requests of 512 keys.
    pub queued: usize,
    /// Artifacts of one subject that are fetched and verified side by side: all signatures of a usual image at once.
    pub artifacts_at_once: usize,
    /// How many levels of evidence on evidence are looked at below an image: 1, the signature of an SBOM (`threats.md` 1.2: at
    /// most 3).
    pub nested_depth: usize,
    /// How long a flight may go on after its first caller's deadline, to fill the caches for the next question.
    pub finish: Duration,
    /// How long a yes is kept (`threats.md` 7.1: at most 10 s).
    pub verdict_ttl: Duration,
    /// How long a no is kept (`threats.md` 7.3: at most 5 s).
    pub negative_ttl: Duration,
    /// Most bytes of rendered verdicts that are kept.
    pub verdict_cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 256,
            in_flight_per_tenant: 64,
            queued: 4096,
            artifacts_at_once: 32,
            nested_depth: 1,
            finish: Duration::from_secs(5),
            verdict_ttl: Duration::from_secs(10),
            negative_ttl: Duration::from_secs(5),
            verdict_cache_bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// How many verifications of one namespace wait for a place: its share of the queue is that of the places.
    pub(super) fn queued_per_tenant(&self) -> usize {
        let share = self.queued.saturating_mul(self.in_flight_per_tenant).checked_div(self.in_flight);
        share.unwrap_or(self.queued).clamp(1, self.queued.max(1))
    }
}

/// Most levels of evidence on evidence that can be configured (`threats.md` 1.2).
pub const MAX_NESTED_DEPTH: usize = 3;
/// Most artifacts that are looked at below those of one image, on all levels together (`threats.md` 1.2).
pub(super) const MAX_NESTED_ARTIFACTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_s_share_of_the_queue_is_that_of_the_places() {
        let share = |in_flight, in_flight_per_tenant, queued| {
            Limits { in_flight, in_flight_per_tenant, queued, ..Limits::default() }.queued_per_tenant()
        };
        assert_eq!(Limits::default().queued_per_tenant(), 1024);
        assert_eq!([share(256, 1, 1), share(1, 1, 10), share(1, 5, 10)], [1, 10, 10]);
    }
}
