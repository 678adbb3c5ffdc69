//! What is counted about plugins. Labels are the operator's names and reason codes; nothing that a plugin writes.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};

use crate::{reason::Code, verifier::VerifierName};

/// Upper bounds of the duration histogram, in seconds: from a small program's start to the longest life of a run.
const SECONDS: [f64; 12] = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];

/// Instruments; none without a meter.
#[derive(Debug, Clone)]
pub(super) struct Metrics(Option<Instruments>);

#[derive(Debug, Clone)]
struct Instruments {
    runs: Counter<u64>,
    running: UpDownCounter<i64>,
    duration: Histogram<f64>,
    output: Counter<u64>,
}

/// One more that runs, until it is dropped.
#[derive(Debug)]
pub(super) struct Running(Option<(UpDownCounter<i64>, KeyValue)>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((running, verifier)) = self.0.take() {
            running.add(-1, &[verifier]);
        }
    }
}

impl Metrics {
    pub(super) fn new(meter: Option<&Meter>) -> Self {
        Self(meter.map(|meter| {
            Instruments {
                runs: meter
                    .u64_counter("countersign_plugin_runs")
                    .with_description(
                        "Runs of plugins that came to an end, or found no place, by verifier and reason code",
                    )
                    .build(),
                running: meter
                    .i64_up_down_counter("countersign_plugins_running")
                    .with_description("Plugins that run, by verifier")
                    .build(),
                duration: meter
                    .f64_histogram("countersign_plugin_run_duration")
                    .with_unit("s")
                    .with_description("Time from a plugin's start to its end, by verifier")
                    .with_boundaries(SECONDS.to_vec())
                    .build(),
                output: meter
                    .u64_counter("countersign_plugin_stderr")
                    .with_unit("By")
                    .with_description("What plugins wrote to standard error, which nobody reads, by verifier")
                    .build(),
            }
        }))
    }

    /// Rates need a first value.
    pub(super) fn expect(&self, verifier: &VerifierName) {
        if let Some(instruments) = &self.0 {
            instruments.running.add(0, &[by(verifier)]);
            instruments.output.add(0, &[by(verifier)]);
            for code in [Code::Verified, Code::PluginRejected, Code::PluginFailed, Code::PluginTimeout] {
                instruments.runs.add(0, &[by(verifier), KeyValue::new("code", code.as_str())]);
            }
        }
    }

    /// One runs until the value is dropped.
    pub(super) fn running(&self, verifier: &VerifierName) -> Running {
        Running(self.0.as_ref().map(|instruments| {
            instruments.running.add(1, &[by(verifier)]);
            (instruments.running.clone(), by(verifier))
        }))
    }

    /// What became of a run.
    pub(super) fn ended(&self, verifier: &VerifierName, code: Code) {
        if let Some(instruments) = &self.0 {
            instruments.runs.add(1, &[by(verifier), KeyValue::new("code", code.as_str())]);
        }
    }

    /// How long it took, and what it wrote to standard error.
    pub(super) fn ran(&self, verifier: &VerifierName, ran: &super::run::Ran) {
        if let Some(instruments) = &self.0 {
            instruments.duration.record(ran.took.as_secs_f64(), &[by(verifier)]);
            instruments.output.add(u64::try_from(ran.stderr.len()).unwrap_or(u64::MAX), &[by(verifier)]);
        }
    }
}

fn by(verifier: &VerifierName) -> KeyValue {
    KeyValue::new("verifier", std::sync::Arc::clone(verifier))
}
