//! What is counted about revocation.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter},
};

/// Instruments; none without a meter.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics(Option<Instruments>);

#[derive(Debug, Clone)]
struct Instruments {
    cache: Counter<u64>,
    fetches: Counter<u64>,
    requests: Counter<u64>,
}

impl Metrics {
    pub(super) fn new(meter: Option<&Meter>) -> Self {
        Self(meter.map(|meter| {
            let counter = |name, what| meter.u64_counter(name).with_description(what).build();
            let instruments = Instruments {
                cache: counter(
                    "countersign_revocation_cache",
                    "Looks at kept evidence about revocation, by kind and result",
                ),
                fetches: counter(
                    "countersign_revocation_fetches",
                    "Times evidence about revocation was to be fetched, by kind and result",
                ),
                requests: counter(
                    "countersign_revocation_requests",
                    "Requests for evidence about revocation, by kind and result",
                ),
            };
            // Rates need a first value.
            for kind in ["crl", "ocsp"] {
                for result in ["success", "failure"] {
                    instruments.fetches.add(0, &labels(kind, result));
                }
                for result in ["hit", "stale", "miss", "failed"] {
                    instruments.cache.add(0, &labels(kind, result));
                }
                for result in ["success", "denied", "status", "tooLarge", "timeout", "unavailable"] {
                    instruments.requests.add(0, &labels(kind, result));
                }
            }
            instruments
        }))
    }

    /// `result`: `hit`, `stale`, `miss`, `failed`.
    pub(super) fn cache(&self, kind: &'static str, result: &'static str) {
        self.add(|all| &all.cache, kind, result);
    }

    /// `result`: `success`, `failure`.
    pub(super) fn fetched(&self, kind: &'static str, result: &'static str) {
        self.add(|all| &all.fetches, kind, result);
    }

    /// `result`: `success`, or which error.
    pub(super) fn request(&self, kind: &'static str, result: &'static str) {
        self.add(|all| &all.requests, kind, result);
    }

    fn add(&self, of: fn(&Instruments) -> &Counter<u64>, kind: &'static str, result: &'static str) {
        if let Some(instruments) = &self.0 {
            of(instruments).add(1, &labels(kind, result));
        }
    }
}

fn labels(kind: &'static str, result: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("kind", kind), KeyValue::new("result", result)]
}
