//! What is measured of generations, and of what they share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Meter},
};
use time::OffsetDateTime;

use super::{Generation, build::Anchor};
use crate::store::cached::ContentCache;

/// Instruments; none without a meter.
#[derive(Debug)]
pub(super) struct Metrics(Option<Instruments>);

/// The trust anchors in force: read whenever metrics are, so that one that is gone is no longer told.
type Anchors = Arc<ArcSwap<Vec<Anchor>>>;

#[derive(Debug)]
struct Instruments {
    anchors: Anchors,
    failures: Counter<u64>,
    generation: Gauge<u64>,
    age: Gauge<f64>,
    content: Gauge<u64>,
    store_faults: Gauge<u64>,
    warnings: Gauge<u64>,
    root_age: Gauge<f64>,
    root_refreshes: Counter<u64>,
    weakenings: Gauge<u64>,
}

impl Metrics {
    pub(super) fn new(meter: Option<&Meter>) -> Self {
        Self(meter.map(|meter| {
            Instruments {
                anchors: anchors(meter),
                failures: meter
                    .u64_counter("countersign_config_reload_failures")
                    .with_description("Changed configurations that could not be used")
                    .build(),
                generation: meter
                    .u64_gauge("countersign_config_generation")
                    .with_description("Number of the configuration in force")
                    .build(),
                age: meter
                    .f64_gauge("countersign_config_age")
                    .with_unit("s")
                    .with_description("Time since the configuration in force was loaded")
                    .build(),
                content: meter
                    .u64_gauge("countersign_content_cache_size")
                    .with_unit("By")
                    .with_description("What manifests and blobs kept by digest weigh")
                    .build(),
                store_faults: meter
                    .u64_gauge("countersign_trust_store_faults")
                    .with_description("Trust stores that vouch for nobody: missing, empty or bad")
                    .build(),
                root_age: meter
                    .f64_gauge("countersign_trusted_root_age")
                    .with_unit("s")
                    .with_description("Age of the oldest trusted root in force that was fetched, or is compiled in")
                    .build(),
                root_refreshes: meter
                    .u64_counter("countersign_trusted_root_refreshes")
                    .with_description("Times a TUF repository was asked for a trusted root, by result")
                    .build(),
                weakenings: meter
                    .u64_gauge("countersign_trust_policy_weakenings")
                    .with_description("Checks that trust policies leave out: ignoreTlog, ignoreSct, useCurrentTime")
                    .build(),
                warnings: meter
                    .u64_gauge("countersign_config_warnings")
                    .with_description(
                        "Warnings of the configuration in force, as of trust stores that vouch for nobody",
                    )
                    .build(),
            }
        }))
    }

    pub(super) fn failed(&self) {
        if let Some(instruments) = &self.0 {
            instruments.failures.add(1, &[]);
        }
    }

    /// A generation came into force (X-16: what vouches for nobody can be alarmed on).
    pub(super) fn in_force(&self, generation: &Generation) {
        if let Some(instruments) = &self.0 {
            let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            instruments.anchors.store(Arc::new(generation.engine.anchors.clone()));
            instruments.failures.add(0, &[]);
            instruments.root_refreshes.add(0, &[result(true)]);
            instruments.root_refreshes.add(0, &[result(false)]);
            instruments.generation.record(generation.number, &[]);
            instruments.store_faults.record(number(generation.engine.store_faults), &[]);
            instruments.weakenings.record(number(generation.engine.weakenings), &[]);
            instruments.warnings.record(number(generation.engine.warnings.len()), &[]);
        }
    }

    /// A TUF repository was asked.
    pub(super) fn refreshed(&self, succeeded: bool) {
        if let Some(instruments) = &self.0 {
            instruments.root_refreshes.add(1, &[result(succeeded)]);
        }
    }

    /// What changes by itself: ages, and how full the caches are.
    pub(super) fn observe(&self, generation: &Generation, content: &ContentCache, now: OffsetDateTime) {
        if let Some(instruments) = &self.0 {
            for origin in ["embedded", "tuf"] {
                let roots = generation.engine.roots.iter().filter(|root| root.origin.kind() == origin);
                let oldest = roots.filter_map(|root| root.origin.age(now)).max().unwrap_or_default();
                instruments.root_age.record(oldest.as_seconds_f64(), &[KeyValue::new("origin", origin)]);
            }
            instruments.age.record(generation.loaded_at.elapsed().as_secs_f64(), &[]);
            content.settle();
            instruments.content.record(content.bytes(), &[]);
            generation.engine.executor.observe(now);
        }
    }
}

fn anchors(meter: &Meter) -> Anchors {
    let anchors = Anchors::default();
    let read = Arc::clone(&anchors);
    meter
        .i64_observable_gauge("countersign_trust_anchor_expiry_timestamp")
        .with_unit("s")
        .with_description(
            "End of the first certificate of each trust store to end, as Unix time, by verifier and store",
        )
        .with_callback(move |observer| {
            for Anchor { verifier, store, until } in read.load().iter() {
                let verifier = KeyValue::new("verifier", Arc::clone(verifier));
                observer.observe(until.unix_timestamp(), &[verifier, KeyValue::new("store", store.clone())]);
            }
        })
        .build();
    anchors
}

fn result(succeeded: bool) -> KeyValue {
    KeyValue::new("result", if succeeded { "success" } else { "failure" })
}
