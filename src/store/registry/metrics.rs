//! What is counted. Labels are from closed sets: no host, no repository, nothing from outside (`threats.md` 3.3).

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter, UpDownCounter},
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blob,
    Manifest,
    Referrers,
    Token,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Manifest => "manifest",
            Self::Referrers => "referrers",
            Self::Token => "token",
        }
    }
}

/// Counters of one store; none without a meter.
#[derive(Debug)]
pub(super) struct Metrics(Option<Instruments>);

#[derive(Debug)]
struct Instruments {
    breaker_opened: Counter<u64>,
    breakers_open: UpDownCounter<i64>,
    in_flight: UpDownCounter<i64>,
    realm_denied: Counter<u64>,
    requests: Counter<u64>,
    retries: Counter<u64>,
    throttled: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(meter: Option<&Meter>) -> Self {
        Self(meter.map(|meter| {
            let counter = |name, what| meter.u64_counter(name).with_description(what).build();
            let instruments = Instruments {
                breakers_open: meter
                    .i64_up_down_counter("countersign_registry_breakers_open")
                    .with_description("Failing hosts that are tried once a second only, by class")
                    .build(),
                breaker_opened: counter("countersign_registry_breaker_opened", "Times a failing host's breaker opened"),
                in_flight: meter
                    .i64_up_down_counter("countersign_registry_requests_in_flight")
                    .with_description("Requests to registries under way, by class of host")
                    .build(),
                realm_denied: counter("countersign_registry_realm_denied", "Token services that were not allowed"),
                requests: counter("countersign_registry_requests", "Requests to registries, by what and outcome"),
                retries: counter("countersign_registry_retries", "Requests that repeat a failed one"),
                throttled: counter("countersign_registry_throttled", "Answers 429"),
            };
            // Rates need a first value.
            for one in [&instruments.realm_denied, &instruments.retries, &instruments.throttled] {
                one.add(0, &[]);
            }
            for named in [false, true] {
                instruments.breaker_opened.add(0, &[class(named)]);
                instruments.breakers_open.add(0, &[class(named)]);
                instruments.in_flight.add(0, &[class(named)]);
            }
            instruments
        }))
    }

    /// `status`: of the answer, if there was one. `named`: the host has an entry of its own.
    pub(super) fn request(&self, kind: Kind, named: bool, status: Option<u16>) {
        let Some(instruments) = &self.0 else { return };
        let outcome = match status {
            None => "none",
            Some(401) => "401",
            Some(403) => "403",
            Some(404) => "404",
            Some(429) => "429",
            Some(200..=299) => "2xx",
            Some(300..=399) => "3xx",
            Some(400..=499) => "4xx",
            Some(500..=599) => "5xx",
            Some(_) => "other",
        };
        instruments
            .requests
            .add(1, &[KeyValue::new("kind", kind.name()), class(named), KeyValue::new("status", outcome)]);
        if status == Some(429) {
            instruments.throttled.add(1, &[]);
        }
    }

    pub(super) fn retry(&self) {
        self.count(|instruments| &instruments.retries);
    }

    pub(super) fn realm_denied(&self) {
        self.count(|instruments| &instruments.realm_denied);
    }

    /// For one host's breaker.
    pub(super) fn breaker(&self, named: bool) -> Breaker {
        let instruments = self.0.as_ref();
        Breaker(instruments.map(|all| (all.breaker_opened.clone(), all.breakers_open.clone(), class(named))))
    }

    /// A request that has a place; counted until it is dropped, whatever becomes of it.
    pub(super) fn in_flight(&self, named: bool) -> InFlight {
        let counted = self.0.as_ref().map(|all| (all.in_flight.clone(), class(named)));
        if let Some((in_flight, class)) = &counted {
            in_flight.add(1, std::slice::from_ref(class));
        }
        InFlight(counted)
    }

    fn count(&self, of: impl Fn(&Instruments) -> &Counter<u64>) {
        if let Some(instruments) = &self.0 {
            of(instruments).add(1, &[]);
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct InFlight(Option<(UpDownCounter<i64>, KeyValue)>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some((in_flight, class)) = &self.0 {
            in_flight.add(-1, std::slice::from_ref(class));
        }
    }
}

/// What is counted about one host's breaker: nothing, by default.
#[derive(Debug, Default)]
pub(super) struct Breaker(Option<(Counter<u64>, UpDownCounter<i64>, KeyValue)>);

impl Breaker {
    pub(super) fn opened(&self) {
        if let Some((opened, open, class)) = &self.0 {
            opened.add(1, std::slice::from_ref(class));
            open.add(1, std::slice::from_ref(class));
        }
    }

    pub(super) fn closed(&self) {
        if let Some((_, open, class)) = &self.0 {
            open.add(-1, std::slice::from_ref(class));
        }
    }
}

/// Whether a host has an entry of its own in the configuration: never which host.
fn class(named: bool) -> KeyValue {
    KeyValue::new("host", if named { "named" } else { "any" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{DecisionLog, Telemetry};

    #[test]
    fn what_is_under_way_is_counted_until_it_ends() {
        let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
        let metrics = Metrics::new(Some(&telemetry.meter()));
        let says = |named: u8, any: u8| {
            let text = telemetry.prometheus_text().unwrap();
            for (class, count) in [("named", named), ("any", any)] {
                let line = format!("countersign_registry_requests_in_flight{{host=\"{class}\"}} {count}\n");
                assert!(text.contains(&line), "{line}{text}");
            }
        };
        says(0, 0);
        let held = [metrics.in_flight(true), metrics.in_flight(true), metrics.in_flight(false)];
        says(2, 1);
        drop(held);
        says(0, 0);
        drop(Metrics::new(None).in_flight(true));
    }
}
