//! One gate a host: places in flight, a pause and then a pace while it throttles us, and a breaker while it fails.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

use super::{metrics::Breaker, pace::Pace};

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// How often an open breaker lets one call through (`threats.md` 7.3).
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Longest pause that a registry's word alone imposes on calls that could have waited no longer (`threats.md` 7.1).
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the gate says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Go ahead.
    Go,
    /// The host fails; nothing is sent until the next probe.
    Open,
    /// The host throttles; nothing is sent before this moment.
    Throttled(Instant),
    /// The host throttled lately: a turn at this moment is the call's own.
    Turn(Instant),
    /// It did, and no turn is left before the call's deadline.
    Late,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    probe_at: Option<Instant>,
    throttled_until: Option<Instant>,
    pace: Option<Pace>,
}

/// The state of one host.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) places: Arc<Semaphore>,
    state: Mutex<State>,
    breaker: Breaker,
}

impl Drop for Gate {
    /// A host that nobody asks any more fails nobody.
    fn drop(&mut self) {
        if self.state().probe_at.is_some() {
            self.breaker.closed();
        }
    }
}

impl Gate {
    pub(super) fn new(places: usize, breaker: Breaker) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), state: Mutex::default(), breaker }
    }

    /// A poisoned lock holds counters at most one step behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `has_turn`: the call has waited for its turn.
    pub(super) fn admit(&self, now: Instant, deadline: Instant, has_turn: bool) -> Admission {
        let mut state = self.state();
        match state.throttled_until {
            Some(until) if now < until => return Admission::Throttled(until),
            _ => state.throttled_until = None,
        }
        match state.probe_at {
            Some(at) if now < at => Admission::Open,
            Some(_) => {
                state.probe_at = Some(now + PROBE_EVERY);
                Admission::Go
            }
            None => match &mut state.pace {
                Some(pace) if !has_turn => match pace.turn(now, deadline) {
                    Some(turn) if turn <= now => Admission::Go,
                    Some(turn) => Admission::Turn(turn),
                    None => Admission::Late,
                },
                Some(_) | None => Admission::Go,
            },
        }
    }

    /// The host answered something else than 429.
    pub(super) fn kept_pace(&self, now: Instant) {
        let mut state = self.state();
        state.pace = state.pace.and_then(|pace| pace.answered(now));
    }

    /// The host answered, whatever it said.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.failures = 0;
        if state.probe_at.take().is_some() {
            self.breaker.closed();
        }
    }

    /// The host could not be reached, or failed. True where this opened the breaker.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES {
            return false;
        }
        let opens = state.probe_at.replace(now + PROBE_EVERY).is_none();
        if opens {
            self.breaker.opened();
        }
        opens
    }

    /// The host said 429: all calls pause.
    pub(super) fn throttle(&self, now: Instant, pause: Duration) {
        let until = now + pause.min(LONGEST_PAUSE);
        let mut state = self.state();
        // Those that were sent together are refused together: one step for all of them.
        if state.throttled_until.is_none_or(|until| until <= now) {
            state.pace = Some(Pace::after(state.pace, now, until));
        }
        state.throttled_until = state.throttled_until.max(Some(until));
    }
}

/// A call under way; if it is given up (at its deadline) after `patience`, the host failed it.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    gate: &'a Gate,
    since: Instant,
    patience: Duration,
    open: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(gate: &'a Gate, patience: Duration) -> Self {
        Self { gate, since: Instant::now(), patience, open: true }
    }

    pub(super) fn succeeded(mut self) {
        self.open = false;
        self.gate.succeeded();
    }

    pub(super) fn failed(mut self) {
        self.open = false;
        self.gate.failed(Instant::now());
    }

    /// What happened says nothing about the host.
    pub(super) fn ignored(mut self) {
        self.open = false;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.open && self.since.elapsed() >= self.patience {
            self.gate.failed(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::metrics::Metrics, *};
    use crate::telemetry::{DecisionLog, Telemetry};

    fn admit(gate: &Gate, now: Instant) -> Admission {
        gate.admit(now, now + Duration::from_mins(1), false)
    }

    #[test]
    fn the_breaker_opens_at_its_count_and_lets_one_probe_a_second_through() {
        let (gate, start) = (Gate::new(1, Breaker::default()), Instant::now());
        for _ in 1..FAILURES {
            assert!(!gate.failed(start));
        }
        assert_eq!(admit(&gate, start), Admission::Go);
        assert!(gate.failed(start));
        assert_eq!(admit(&gate, start), Admission::Open);
        let later = start + PROBE_EVERY;
        assert_eq!([admit(&gate, later), admit(&gate, later)], [Admission::Go, Admission::Open]);
        gate.succeeded();
        assert_eq!([admit(&gate, later), admit(&gate, later)], [Admission::Go; 2]);
    }

    #[test]
    fn one_success_between_failures_keeps_it_closed() {
        let (gate, start) = (Gate::new(1, Breaker::default()), Instant::now());
        for _ in 0..20 {
            gate.failed(start);
            gate.succeeded();
        }
        assert_eq!(admit(&gate, start), Admission::Go);
    }

    // REG-50: the longest `Retry-After` closes a host for seconds, not for good.
    #[test]
    fn a_throttle_holds_for_everyone_and_is_bounded() {
        let (gate, start) = (Gate::new(1, Breaker::default()), Instant::now());
        gate.throttle(start, Duration::from_secs(1_000_000_000));
        gate.throttle(start, Duration::from_secs(1));
        assert_eq!(admit(&gate, start), Admission::Throttled(start + LONGEST_PAUSE));
        assert_eq!(admit(&gate, start + LONGEST_PAUSE), Admission::Go);
    }

    // REG-50
    #[test]
    fn after_a_pause_calls_come_one_after_the_other() {
        let (gate, start) = (Gate::new(9, Breaker::default()), Instant::now());
        let pause = Duration::from_secs(1);
        for _ in 0..5 {
            gate.throttle(start, pause);
        }
        let after = start + pause;
        let turn = after + Duration::from_millis(100);
        assert_eq!([admit(&gate, after), admit(&gate, after)], [Admission::Go, Admission::Turn(turn)]);
        assert_eq!(gate.admit(after, turn, false), Admission::Late);
        assert_eq!(gate.admit(turn, turn, true), Admission::Go, "its turn has come");
        gate.throttle(turn, pause);
        assert_eq!(gate.admit(turn, turn + pause, true), Admission::Throttled(turn + pause), "or not");
    }

    #[test]
    fn open_breakers_are_counted_until_their_host_answers_or_is_forgotten() {
        let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
        let host = opentelemetry::KeyValue::new("host", "ghcr.io");
        let metrics = Metrics::new(Some(&telemetry.meter()), [&host]);
        let counts = |opened: u8, open: u8| {
            let text = telemetry.prometheus_text().unwrap();
            let line = |name: &str, count: u8| format!("{name}{{host=\"ghcr.io\"}} {count}\n");
            let wanted = [
                line("countersign_registry_breaker_opened_total", opened),
                line("countersign_registry_breakers_open", open),
            ];
            assert!(wanted.iter().all(|line| text.contains(line)), "{wanted:?}\n{text}");
        };
        let start = Instant::now();
        let gates = [(); 2].map(|()| Gate::new(1, metrics.breaker(&host)));
        for gate in &gates {
            assert_eq!((0..FAILURES + 2).filter(|_| gate.failed(start)).count(), 1);
        }
        counts(2, 2);
        let [answers, forgotten] = gates;
        answers.succeeded();
        answers.succeeded();
        counts(2, 1);
        drop((answers, forgotten));
        counts(2, 0);
    }

    #[tokio::test]
    async fn a_call_given_up_late_counts_as_a_failure() {
        let gate = Gate::new(1, Breaker::default());
        for _ in 0..FAILURES {
            drop(Watch::new(&gate, Duration::from_hours(1)));
        }
        assert_eq!(admit(&gate, Instant::now()), Admission::Go);
        for _ in 0..FAILURES {
            drop(Watch::new(&gate, Duration::ZERO));
        }
        assert_eq!(admit(&gate, Instant::now()), Admission::Open);
    }
}
