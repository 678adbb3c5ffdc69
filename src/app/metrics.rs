//! What is measured of generations, and of what they share.

use opentelemetry::metrics::{Counter, Gauge, Meter};

use super::Generation;
use crate::store::cached::ContentCache;

/// Instruments; none without a meter.
#[derive(Debug)]
pub(super) struct Metrics(Option<Instruments>);

#[derive(Debug)]
struct Instruments {
    failures: Counter<u64>,
    generation: Gauge<u64>,
    age: Gauge<f64>,
    content: Gauge<u64>,
    store_faults: Gauge<u64>,
    warnings: Gauge<u64>,
    weakenings: Gauge<u64>,
}

impl Metrics {
    pub(super) fn new(meter: Option<&Meter>) -> Self {
        Self(meter.map(|meter| {
            Instruments {
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
            instruments.failures.add(0, &[]);
            instruments.generation.record(generation.number, &[]);
            instruments.store_faults.record(number(generation.engine.store_faults), &[]);
            instruments.weakenings.record(number(generation.engine.weakenings), &[]);
            instruments.warnings.record(number(generation.engine.warnings.len()), &[]);
        }
    }

    /// What changes by itself: age, and how full the caches are.
    pub(super) fn observe(&self, generation: &Generation, content: &ContentCache) {
        if let Some(instruments) = &self.0 {
            instruments.age.record(generation.loaded_at.elapsed().as_secs_f64(), &[]);
            content.settle();
            instruments.content.record(content.bytes(), &[]);
            generation.engine.executor.observe();
        }
    }
}
