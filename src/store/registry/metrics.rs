//! What is counted. Labels are from closed sets: hosts as the configuration names them, no repository, nothing from outside
//! (`threats.md` 3.3).

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter, UpDownCounter},
};

use super::pattern::Pattern;

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
    buffered: UpDownCounter<i64>,
    in_flight: UpDownCounter<i64>,
    realm_denied: Counter<u64>,
    requests: Counter<u64>,
    retries: Counter<u64>,
    throttled: Counter<u64>,
    waiting: UpDownCounter<i64>,
}

impl Metrics {
    /// `hosts`: the label of each entry.
    pub(super) fn new<'a>(meter: Option<&Meter>, hosts: impl IntoIterator<Item = &'a KeyValue>) -> Self {
        Self(meter.map(|meter| {
            let counter = |name, what| meter.u64_counter(name).with_description(what).build();
            let level = |name, what| meter.i64_up_down_counter(name).with_description(what);
            let instruments = Instruments {
                breakers_open: level(
                    "countersign_registry_breakers_open",
                    "Failing hosts that are tried once a second only, by entry of hosts",
                )
                .build(),
                buffered: level(
                    "countersign_registry_buffered",
                    "Of limits.registry.bufferedBytes, what answers hold that arrive now",
                )
                .with_unit("By")
                .build(),
                breaker_opened: counter("countersign_registry_breaker_opened", "Times a failing host's breaker opened"),
                in_flight: level(
                    "countersign_registry_requests_in_flight",
                    "Requests to registries under way, by entry of hosts",
                )
                .build(),
                realm_denied: counter("countersign_registry_realm_denied", "Token services that were not allowed"),
                requests: counter("countersign_registry_requests", "Requests to registries, by what and outcome"),
                retries: counter("countersign_registry_retries", "Requests that repeat a failed one"),
                throttled: counter("countersign_registry_throttled", "Answers 429"),
                waiting: level(
                    "countersign_registry_requests_waiting",
                    "Requests that wait for a place at their host or for the end of its pause, by entry of hosts",
                )
                .build(),
            };
            // Rates need a first value.
            for one in [&instruments.realm_denied, &instruments.retries, &instruments.throttled] {
                one.add(0, &[]);
            }
            instruments.buffered.add(0, &[]);
            for host in hosts.into_iter().map(std::slice::from_ref) {
                instruments.breaker_opened.add(0, host);
                instruments.breakers_open.add(0, host);
                instruments.in_flight.add(0, host);
                instruments.waiting.add(0, host);
            }
            instruments
        }))
    }

    /// `status`: of the answer, if there was one.
    pub(super) fn request(&self, kind: Kind, host: &KeyValue, status: Option<u16>) {
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
            .add(1, &[KeyValue::new("kind", kind.name()), host.clone(), KeyValue::new("status", outcome)]);
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
    pub(super) fn breaker(&self, host: &KeyValue) -> Breaker {
        let instruments = self.0.as_ref();
        Breaker(instruments.map(|all| (all.breaker_opened.clone(), all.breakers_open.clone(), host.clone())))
    }

    /// A request that has a place; counted until it is dropped, whatever becomes of it.
    pub(super) fn in_flight(&self, host: &KeyValue) -> Level {
        Level::up(self.0.as_ref().map(|all| &all.in_flight), 1, Some(host))
    }

    /// A request that waits for one; the same.
    pub(super) fn waiting(&self, host: &KeyValue) -> Level {
        Level::up(self.0.as_ref().map(|all| &all.waiting), 1, Some(host))
    }

    /// Bytes that an answer may hold; the same.
    pub(super) fn buffered(&self, bytes: u64) -> Level {
        Level::up(self.0.as_ref().map(|all| &all.buffered), i64::try_from(bytes).unwrap_or(i64::MAX), None)
    }

    fn count(&self, of: impl Fn(&Instruments) -> &Counter<u64>) {
        if let Some(instruments) = &self.0 {
            of(instruments).add(1, &[]);
        }
    }
}

/// More of something, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Level(Option<(UpDownCounter<i64>, i64, Option<KeyValue>)>);

impl Level {
    fn up(of: Option<&UpDownCounter<i64>>, by: i64, host: Option<&KeyValue>) -> Self {
        let Some(counter) = of else { return Self::default() };
        counter.add(by, host.map_or(&[], std::slice::from_ref));
        Self(Some((counter.clone(), by, host.cloned())))
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        if let Some((counter, by, host)) = &self.0 {
            counter.add(by.saturating_neg(), host.as_ref().map_or(&[], std::slice::from_ref));
        }
    }
}

/// What is counted about one host's breaker: nothing, by default.
#[derive(Debug, Default)]
pub(super) struct Breaker(Option<(Counter<u64>, UpDownCounter<i64>, KeyValue)>);

impl Breaker {
    pub(super) fn opened(&self) {
        if let Some((opened, open, host)) = &self.0 {
            opened.add(1, std::slice::from_ref(host));
            open.add(1, std::slice::from_ref(host));
        }
    }

    pub(super) fn closed(&self) {
        if let Some((_, open, host)) = &self.0 {
            open.add(-1, std::slice::from_ref(host));
        }
    }
}

/// The label of an entry of `hosts`: its pattern as the operator wrote it, never a host that somebody else named.
pub(super) fn label(pattern: &Pattern) -> KeyValue {
    KeyValue::new("host", pattern.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{DecisionLog, Telemetry};

    #[test]
    fn what_is_under_way_is_counted_until_it_ends() {
        let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
        let hosts = ["ghcr.io:444", "*"].map(|text| label(&Pattern::parse(text).unwrap()));
        let metrics = Metrics::new(Some(&telemetry.meter()), &hosts);
        let [ours, any] = &hosts;
        let says = |of_ours: u8, of_any: u8, bytes: u16| {
            let text = telemetry.prometheus_text().unwrap();
            for line in [
                format!("countersign_registry_requests_in_flight{{host=\"ghcr.io:444\"}} {of_ours}\n"),
                format!("countersign_registry_requests_waiting{{host=\"*\"}} {of_any}\n"),
                format!("countersign_registry_buffered_bytes {bytes}\n"),
            ] {
                assert!(text.contains(&line), "{line}{text}");
            }
        };
        says(0, 0, 0);
        let held = [metrics.in_flight(ours), metrics.in_flight(ours), metrics.waiting(any), metrics.buffered(2048)];
        says(2, 1, 2048);
        drop(held);
        says(0, 0, 0);
        drop(Metrics::new(None, []).in_flight(ours));
    }
}
