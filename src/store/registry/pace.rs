//! How fast a host that throttles is asked: as fast as it lets us, found out by asking.
//!
//! ```text
//! 429 ──► pause as it says ──► 10 calls a second, one more for each that is answered (doubling each second)
//!  429 again ──► pause ──► 7/10 of that, one more a second; after ten seconds without a 429 faster again
//! ```
//!
//! Without it each pause ends in a burst of everybody who waited, of which a small registry answers a few and throttles the rest:
//! it would be asked in bursts, a second apart, for ever. The rule is that of TCP's congestion avoidance (RFC 5681).

use std::time::Duration;

use tokio::time::Instant;

/// Calls a second after the first 429.
const FIRST: f64 = 10.0;
/// What is left of a pace that was too fast.
const LESS: f64 = 0.7;
/// Slowest pace, in calls a second.
const SLOWEST: f64 = 1.0;
/// A pace that is none any more, in calls a second.
const FREE: f64 = 1000.0;
/// How long a pace that was found stays careful.
const CAREFUL: Duration = Duration::from_secs(10);

/// The pace of one host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    a_second: f64,
    /// When the next call may be sent.
    next: Instant,
    /// Until then it grows slowly.
    careful_until: Instant,
}

impl Pace {
    /// After a 429 whose pause ends at `until`; `before`: the pace that was too fast, if there was one.
    pub(super) fn after(before: Option<Self>, now: Instant, until: Instant) -> Self {
        match before {
            None => Self { a_second: FIRST, next: until, careful_until: now },
            Some(before) => {
                let a_second = (before.a_second * LESS).max(SLOWEST);
                Self { a_second, next: until, careful_until: until + CAREFUL }
            }
        }
    }

    /// When a call may be sent that cannot wait until `deadline`, which takes its turn; `None`: too late, and no turn is taken.
    pub(super) fn turn(&mut self, now: Instant, deadline: Instant) -> Option<Instant> {
        let turn = self.next.max(now);
        if turn > now && turn >= deadline {
            return None;
        }
        self.next = turn + Duration::from_secs_f64(self.a_second.recip());
        Some(turn)
    }

    /// After a call that was answered; `None`: there is no need for a pace any more.
    pub(super) fn answered(mut self, now: Instant) -> Option<Self> {
        self.a_second += if now < self.careful_until { self.a_second.recip() } else { 1.0 };
        (self.a_second < FREE).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registry that answers so many calls a second, at most a tenth of them at once, and asks everybody else to wait a second.
    struct Small {
        a_second: f64,
        has: f64,
        at: Instant,
    }

    impl Small {
        fn answers(&mut self, now: Instant) -> bool {
            self.has = (self.has + (now - self.at).as_secs_f64() * self.a_second).min(self.a_second / 10.0);
            self.at = now;
            let answers = self.has >= 1.0;
            if answers {
                self.has -= 1.0;
            }
            answers
        }
    }

    /// Seconds of asking without end, one call after the other: calls answered and calls refused, in each.
    fn ask(a_second: f64, seconds: u64) -> Vec<(u32, u32)> {
        let start = Instant::now();
        let mut registry = Small { a_second, has: a_second / 10.0, at: start };
        let mut pace = Pace::after(None, start, start + Duration::from_secs(1));
        let end = start + Duration::from_secs(seconds);
        let mut all = vec![(0, 0); usize::try_from(seconds).unwrap()];
        let mut now = start;
        while let Some(turn) = pace.turn(now, end) {
            now = turn;
            let second = &mut all[usize::try_from((now - start).as_secs()).unwrap()];
            if registry.answers(now) {
                second.0 += 1;
                pace = pace.answered(now).expect("it never runs free");
            } else {
                second.1 += 1;
                pace = Pace::after(Some(pace), now, now + Duration::from_secs(1));
            }
        }
        all
    }

    #[test]
    fn a_small_registry_is_asked_about_as_fast_as_it_answers() {
        for a_second in [20.0, 50.0, 200.0] {
            let seconds = ask(a_second, 120);
            let answered: u32 = seconds.iter().map(|second| second.0).sum();
            let refused: u32 = seconds.iter().map(|second| second.1).sum();
            let most = seconds.iter().map(|second| second.0 + second.1).max().unwrap();
            assert!(f64::from(answered) > 0.6 * a_second * 120.0, "{a_second}: {answered} answered");
            assert!(refused < 60, "{a_second}: {refused} refused");
            assert!(f64::from(most) < 1.3 * a_second, "{a_second}: {most} in a second");
        }
    }

    #[test]
    fn who_cannot_wait_for_a_turn_takes_none() {
        let now = Instant::now();
        let mut pace = Pace::after(None, now, now);
        let soon = now + Duration::from_millis(250);
        let turns: Vec<_> = (0..4).map(|_| pace.turn(now, soon).map(|turn| (turn - now).as_millis())).collect();
        assert_eq!(turns, [Some(0), Some(100), Some(200), None]);
        let later = now + Duration::from_secs(1);
        assert_eq!(pace.turn(now, later), Some(now + Duration::from_millis(300)), "none was lost");
    }

    #[test]
    fn a_registry_that_does_not_throttle_any_more_is_soon_asked_freely() {
        let mut now = Instant::now();
        let mut pace = Some(Pace::after(None, now, now));
        let start = now;
        while let Some(mut paced) = pace {
            now = paced.turn(now, now + Duration::from_mins(1)).unwrap();
            pace = paced.answered(now);
        }
        assert!(now - start < Duration::from_secs(10), "{:?}", now - start);
    }
}
