//! When the signers that were seen end: who must renew next.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use time::{Duration, OffsetDateTime};

/// Most ends that are kept, the soonest: signers are few, and only the first end is asked about.
const MOST: usize = 256;
/// A signer that was not seen for so long is forgotten: its images no longer run.
const FORGOTTEN: Duration = Duration::hours(24);

/// Ends of signers, each with the moment at which it was last seen.
#[derive(Debug, Default)]
pub(super) struct Foresight(Mutex<BTreeMap<OffsetDateTime, OffsetDateTime>>);

impl Foresight {
    /// A signer that ends at `end` was believed at `now`.
    pub(super) fn saw(&self, end: OffsetDateTime, now: OffsetDateTime) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = ends.entry(end).or_insert(now);
        *seen = now.max(*seen);
        if ends.len() > MOST {
            ends.pop_last();
        }
    }

    /// The soonest end that is still ahead.
    pub(super) fn soonest(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.retain(|end, seen| *end >= now && now - *seen < FORGOTTEN);
        ends.first_key_value().map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    #[test]
    fn the_soonest_end_ahead_is_told_while_its_signer_is_seen() {
        let foresight = Foresight::default();
        assert_eq!(foresight.soonest(NOW), None);
        let (near, far) = (NOW + Duration::HOUR, NOW + Duration::days(90));
        for end in [far, near, NOW - Duration::HOUR] {
            foresight.saw(end, NOW);
        }
        assert_eq!(foresight.soonest(NOW), Some(near));
        assert_eq!(foresight.soonest(near + Duration::SECOND), Some(far));
        assert_eq!(foresight.soonest(NOW + FORGOTTEN), None, "nobody has seen it for a day");
    }

    #[test]
    fn the_soonest_are_kept_however_many_there_are() {
        let foresight = Foresight::default();
        for hours in 1..=1_000 {
            foresight.saw(NOW + Duration::hours(1_001 - hours), NOW);
        }
        assert_eq!(foresight.soonest(NOW), Some(NOW + Duration::HOUR));
        assert_eq!(foresight.0.lock().unwrap().len(), MOST);
    }
}
