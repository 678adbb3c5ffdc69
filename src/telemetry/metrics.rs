//! The server's instruments. Every label is one of a closed set (OPS-12): a `&'static str`, never outside text.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};

/// Upper bounds of the duration histogram, in seconds: a cache hit is below a millisecond, a cold answer below two seconds.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0];

/// What the server counts.
#[derive(Debug)]
pub struct ServerMetrics {
    requests: Counter<u64>,
    duration: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
    keys: Counter<u64>,
    cache_hits: Counter<u64>,
    panics: Counter<u64>,
    reload_failures: Counter<u64>,
    reloads: Counter<u64>,
    client_refusals: Counter<u64>,
    certificate_expiry: Gauge<i64>,
}

impl ServerMetrics {
    /// The instruments, under `countersign_`.
    pub fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, what: &'static str| meter.u64_counter(name).with_description(what).build();
        let metrics = Self {
            requests: counter("countersign_requests", "Requests, by endpoint and outcome"),
            duration: meter
                .f64_histogram("countersign_request_duration")
                .with_unit("s")
                .with_description("Time from a request's head to its answer")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            in_flight: meter
                .i64_up_down_counter("countersign_requests_in_flight")
                .with_description("Requests being answered")
                .build(),
            keys: counter("countersign_keys", "Keys answered, by endpoint and reason code"),
            cache_hits: counter("countersign_verdict_cache_hits", "Keys answered from the verdict cache"),
            panics: counter("countersign_panics", "Faults of ours that ended as a system error"),
            reload_failures: counter("countersign_reload_failures", "Changed files that could not be used, by what"),
            reloads: counter("countersign_reloads", "Changed files taken into use, by what"),
            client_refusals: counter(
                "countersign_client_certificates_refused",
                "Client certificates refused, by reason",
            ),
            certificate_expiry: meter
                .i64_gauge("countersign_certificate_expiry_timestamp")
                .with_unit("s")
                .with_description("End of the serving certificate's validity, as Unix time")
                .build(),
        };
        // Rates need a first value.
        metrics.cache_hits.add(0, &[]);
        metrics.panics.add(0, &[]);
        metrics.in_flight.add(0, &[]);
        for what in ["certificate", "client_ca"] {
            metrics.reloads.add(0, &[KeyValue::new("what", what)]);
            metrics.reload_failures.add(0, &[KeyValue::new("what", what)]);
        }
        metrics
    }

    /// A request was answered. `outcome`: a reason code, or `OK`.
    pub fn request(&self, endpoint: &'static str, outcome: &'static str, took: Duration) {
        let endpoint = KeyValue::new("endpoint", endpoint);
        self.duration.record(took.as_secs_f64(), std::slice::from_ref(&endpoint));
        self.requests.add(1, &[endpoint, KeyValue::new("outcome", outcome)]);
    }

    /// A request began (1) or ended (-1).
    pub fn in_flight(&self, change: i64) {
        self.in_flight.add(change, &[]);
    }

    /// A key was answered.
    pub fn key(&self, endpoint: &'static str, code: &'static str) {
        self.keys.add(1, &[KeyValue::new("endpoint", endpoint), KeyValue::new("code", code)]);
    }

    /// A key was answered from the verdict cache.
    pub fn cache_hit(&self) {
        self.cache_hits.add(1, &[]);
    }

    /// A panic was caught.
    pub fn panic(&self) {
        self.panics.add(1, &[]);
    }

    /// A changed file could not be used.
    pub fn reload_failure(&self, what: &'static str) {
        self.reload_failures.add(1, &[KeyValue::new("what", what)]);
    }

    /// A changed file is in use.
    pub fn reload(&self, what: &'static str) {
        self.reloads.add(1, &[KeyValue::new("what", what)]);
    }

    /// A client certificate was refused.
    pub fn client_refused(&self, reason: &'static str) {
        self.client_refusals.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// When the serving certificate ends.
    pub fn certificate_expiry(&self, unix_seconds: i64) {
        self.certificate_expiry.record(unix_seconds, &[]);
    }
}
