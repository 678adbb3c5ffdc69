//! What is counted about verifications. Labels are closed sets: reason codes, limits, and verifiers' names, which the
//! operator wrote; nothing that a stranger can choose (`threats.md` 3.3). An answer from the verdict cache costs nothing
//! here.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};

use time::OffsetDateTime;

use super::{foresight::Foresight, places::Full};
use crate::{
    reason::Code,
    report::{Decision, VerifierReport, Word, below},
    verifier::{Check, Verifier},
};

/// Upper bounds of the duration histogram, in seconds: from all content cached to a flight's last deadline.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

/// Instruments; none without a meter.
#[derive(Debug)]
pub(super) struct Metrics(Option<Instruments>);

#[derive(Debug)]
struct Instruments {
    misses: Counter<u64>,
    verdicts: Gauge<u64>,
    verdict_bytes: Gauge<u64>,
    flights: UpDownCounter<i64>,
    places: UpDownCounter<i64>,
    waiting: UpDownCounter<i64>,
    refused: Counter<u64>,
    duration: Histogram<f64>,
    outcomes: Counter<u64>,
    nested_outcomes: Counter<u64>,
    logged: Counter<u64>,
    signer_expiry: Gauge<i64>,
    foresight: Foresight,
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted(Option<UpDownCounter<i64>>);

impl Counted {
    fn new(of: Option<&UpDownCounter<i64>>) -> Self {
        if let Some(counter) = of {
            counter.add(1, &[]);
        }
        Self(of.cloned())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(counter) = &self.0 {
            counter.add(-1, &[]);
        }
    }
}

impl Metrics {
    pub(super) fn new(meter: Option<&Meter>, verifiers: &[Arc<dyn Verifier>]) -> Self {
        let instruments = meter.map(Instruments::new);
        if let Some(instruments) = &instruments {
            // Rates need a first value.
            instruments.misses.add(0, &[]);
            instruments.flights.add(0, &[]);
            instruments.places.add(0, &[]);
            instruments.waiting.add(0, &[]);
            for full in Full::ALL {
                instruments.refused.add(0, &[limit(full)]);
            }
            for verifier in verifiers {
                instruments.nested_outcomes.add(0, &outcome(verifier.name(), Code::Verified));
                for check in verifier.may_log() {
                    instruments.logged.add(0, &logged(verifier.name(), *check));
                }
            }
            instruments.signer_expiry.record(0, &[]);
        }
        Self(instruments)
    }

    /// The verdict cache had no answer.
    pub(super) fn missed(&self) {
        if let Some(instruments) = &self.0 {
            instruments.misses.add(1, &[]);
        }
    }

    /// A flight is under way until the value is dropped.
    pub(super) fn flight(&self) -> Counted {
        Counted::new(self.0.as_ref().map(|instruments| &instruments.flights))
    }

    /// A place is taken until the value is dropped.
    pub(super) fn place(&self) -> Counted {
        Counted::new(self.0.as_ref().map(|instruments| &instruments.places))
    }

    /// A verification waits for a place until the value is dropped.
    pub(super) fn waiting(&self) -> Counted {
        Counted::new(self.0.as_ref().map(|instruments| &instruments.waiting))
    }

    /// No place became free in time.
    pub(super) fn refused(&self, full: Full) {
        if let Some(instruments) = &self.0 {
            instruments.refused.add(1, &[limit(full)]);
        }
    }

    /// A flight landed.
    pub(super) fn landed(&self, decision: &Decision, took: Duration) {
        if let Some(instruments) = &self.0 {
            instruments.duration.record(took.as_secs_f64(), &[KeyValue::new("code", decision.code().as_str())]);
        }
    }

    /// What verifiers said at `now`, of what is attached to the image and of what is attached to that.
    pub(super) fn reported(&self, reports: &[VerifierReport], now: OffsetDateTime) {
        if let Some(instruments) = &self.0 {
            instruments.reported(&instruments.outcomes, reports, now);
        }
    }

    /// How full the verdict cache is, and who ends next.
    pub(super) fn kept(&self, verdicts: u64, bytes: u64, now: OffsetDateTime) {
        if let Some(instruments) = &self.0 {
            let soonest = instruments.foresight.soonest(now).map_or(0, OffsetDateTime::unix_timestamp);
            instruments.signer_expiry.record(soonest, &[]);
            instruments.verdicts.record(verdicts, &[]);
            instruments.verdict_bytes.record(bytes, &[]);
        }
    }
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, what: &'static str| meter.u64_counter(name).with_description(what).build();
        let gauge = |name: &'static str, what: &'static str| meter.u64_gauge(name).with_description(what);
        let level =
            |name: &'static str, what: &'static str| meter.i64_up_down_counter(name).with_description(what).build();
        Self {
            misses: counter("countersign_verdict_cache_misses", "Questions that the verdict cache did not answer"),
            verdicts: gauge("countersign_verdict_cache_entries", "Verdicts kept").build(),
            verdict_bytes: gauge("countersign_verdict_cache_size", "What the verdicts kept weigh")
                .with_unit("By")
                .build(),
            flights: level("countersign_verifications_in_flight", "Verifications under way or waiting for a place"),
            places: level("countersign_places_in_use", "Places of limits.inFlight that are taken"),
            waiting: level("countersign_places_awaited", "Verifications that wait for a place"),
            refused: counter("countersign_places_refused", "Verifications that found no place in time, by limit"),
            duration: meter
                .f64_histogram("countersign_verification_duration")
                .with_unit("s")
                .with_description("Time from a verification's start to its verdict, by reason code")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            outcomes: counter(
                "countersign_verifier_outcomes",
                "What verifiers said of artifacts, by verifier and reason code",
            ),
            nested_outcomes: counter(
                "countersign_nested_verifier_outcomes",
                "What verifiers said of what is attached to evidence, by verifier and reason code",
            ),
            logged: counter(
                "countersign_logged_checks",
                "Checks that failed and that a trust policy only logs, by verifier and check",
            ),
            signer_expiry: meter
                .i64_gauge("countersign_signer_expiry_timestamp")
                .with_unit("s")
                .with_description("Soonest end of a signer believed in the last day, as Unix time; 0: none is known")
                .build(),
            foresight: Foresight::default(),
        }
    }

    fn reported(&self, outcomes: &Counter<u64>, reports: &[VerifierReport], now: OffsetDateTime) {
        for nested in below(reports) {
            self.reported(&self.nested_outcomes, &nested.evidence.reports, now);
        }
        for VerifierReport { verifier, word, .. } in reports {
            let code = match word {
                Word::Yes(verified) => {
                    for failed in verified.logged() {
                        self.logged.add(1, &logged(verifier, failed.check()));
                    }
                    if let Some(end) = verified.signer_until() {
                        self.foresight.saw(end, now);
                    }
                    verified.code()
                }
                Word::Waived(_) => Code::Waived,
                Word::Not(error) => error.code(),
            };
            outcomes.add(1, &outcome(verifier, code));
        }
    }
}

fn outcome(verifier: &Arc<str>, code: Code) -> [KeyValue; 2] {
    [KeyValue::new("verifier", Arc::clone(verifier)), KeyValue::new("code", code.as_str())]
}

fn logged(verifier: &Arc<str>, check: Check) -> [KeyValue; 2] {
    [KeyValue::new("verifier", Arc::clone(verifier)), KeyValue::new("check", check.as_str())]
}

fn limit(full: Full) -> KeyValue {
    KeyValue::new("limit", full.limit())
}
