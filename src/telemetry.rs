//! What the outside can see of us: log lines, metrics, traces. Knows nothing of what it reports about.
//!
//! ```text
//! tracing events ──► JSON or text ──┐
//!                                   ├──► Lines (buffered, nothing dropped) ──► standard output
//! decision records ─────────────────┘
//! instruments ──► OpenTelemetry ──► a Prometheus registry of our own ──► /metrics
//! spans ──► OpenTelemetry ──► OTLP, where configured
//! ```

use std::{
    fmt::{self, Debug},
    io::{self, Write},
};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use prometheus::{Registry, TextEncoder};
use serde::{Deserialize, Deserializer, de::Error as _};
use tokio::runtime::Handle;

mod log;
pub mod metrics;
pub mod trace;

pub use log::Lines;

/// The name under which instruments and spans are made.
const SCOPE: &str = "countersign";

/// `telemetry`: logs, decision records, traces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// How log lines look.
    pub log_format: LogFormat,
    /// From which level on our own events are written; those of libraries are written from `warn` on.
    pub log_level: LogLevel,
    /// For which keys a decision record is written; the configuration has it at its root, as `decisionLog`.
    #[serde(skip)]
    pub decision_log: DecisionLog,
    /// Where traces go; absent: nowhere.
    pub otlp: Option<Otlp>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people. Decision records are JSON in either format.
    Text,
}

/// From which level on events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// Only errors.
    Error,
    /// And warnings.
    Warn,
    /// And what an operator wants to know.
    #[default]
    Info,
    /// And what a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// For which keys a decision record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DecisionLog {
    /// Every key.
    #[default]
    All,
    /// Keys without a yes: refused or undecided.
    Denials,
    /// None.
    None,
}

/// `telemetry.otlp`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Otlp {
    /// The collector's traces endpoint, OTLP over HTTP with protobuf, as `http://collector:4318/v1/traces`.
    #[serde(deserialize_with = "http_url")]
    pub endpoint: url::Url,
}

fn http_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<url::Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || D::Error::custom("an endpoint is a URL that starts http:// or https://");
    let url = url::Url::parse(&text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(wrong()) }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The subscriber of this process is already set.
    #[error("a log subscriber is already set")]
    Subscriber(#[source] tracing::subscriber::SetGlobalDefaultError),
    /// The Prometheus exporter refused.
    #[error("metrics cannot be exported")]
    Metrics(#[source] opentelemetry_sdk::error::OTelSdkError),
    /// Metrics could not be written as text.
    #[error("metrics cannot be written")]
    Render(#[source] prometheus::Error),
    /// The trace exporter refused.
    #[error("traces cannot be exported")]
    Otlp(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// Metrics, log lines and traces of one process, or of one test.
pub struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
    lines: Lines,
    decision_log: DecisionLog,
}

impl Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("decision_log", &self.decision_log).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Metrics, and decision records to `sink`; no subscriber, no traces. Touches nothing outside itself.
    ///
    /// # Errors
    /// [`TelemetryError::Metrics`].
    pub fn detached(decision_log: DecisionLog, sink: impl Write + Send + 'static) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .map_err(TelemetryError::Metrics)?;
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        Ok(Self { registry, meters, tracers: None, lines: Lines::to(sink), decision_log })
    }

    /// Telemetry of the process: as [`Telemetry::detached`] to standard output, and sets the process's subscriber and
    /// panic hook. Once, by `main`. `runtime`: where traces are sent.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn init(config: &Config, runtime: &Handle) -> Result<Self, TelemetryError> {
        // `Stdout` flushes at each line; the buffer around it makes one write of what came together.
        let mut telemetry = Self::detached(config.decision_log, io::BufWriter::with_capacity(64 * 1024, io::stdout()))?;
        if let Some(otlp) = &config.otlp {
            telemetry.tracers = Some(trace::provider(otlp, runtime).map_err(TelemetryError::Otlp)?);
        }
        log::subscribe(config, &telemetry.lines, telemetry.tracers.as_ref()).map_err(TelemetryError::Subscriber)?;
        log::hook_panics();
        Ok(telemetry)
    }

    /// Makes instruments; their names start `countersign_`.
    pub fn meter(&self) -> Meter {
        self.meters.meter(SCOPE)
    }

    /// Where decision records go.
    pub const fn lines(&self) -> &Lines {
        &self.lines
    }

    /// For which keys.
    pub const fn decision_log(&self) -> DecisionLog {
        self.decision_log
    }

    /// Whether spans go anywhere.
    pub const fn exports_traces(&self) -> bool {
        self.tracers.is_some()
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// [`TelemetryError::Render`].
    pub fn prometheus_text(&self) -> Result<String, TelemetryError> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(TelemetryError::Render)
    }

    /// Sends and writes what is buffered. Blocks for at most some seconds.
    pub fn flush(&self) {
        if let Some(tracers) = &self.tracers
            && let Err(error) = tracers.force_flush()
        {
            tracing::warn!(%error, "traces could not be flushed");
        }
        self.lines.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_of_this_telemetry_only() {
        let one = Telemetry::detached(DecisionLog::None, io::sink()).unwrap();
        let other = Telemetry::detached(DecisionLog::None, io::sink()).unwrap();
        one.meter().u64_counter("countersign_things").build().add(2, &[]);
        assert!(one.prometheus_text().unwrap().contains("countersign_things_total 2"));
        assert!(!other.prometheus_text().unwrap().contains("things"));
    }

    #[test]
    fn configuration_is_closed() {
        let config: Config = serde_json::from_str(
            r#"{"logFormat":"text","logLevel":"debug","otlp":{"endpoint":"http://collector:4318/v1/traces"}}"#,
        )
        .unwrap();
        assert_eq!((config.log_format, config.log_level), (LogFormat::Text, LogLevel::Debug));
        for wrong in [
            r#"{"logLevel":"loud"}"#,
            r#"{"decisionLog":"all"}"#,
            r#"{"logfmt":1}"#,
            r#"{"otlp":{}}"#,
            r#"{"otlp":{"endpoint":"x"}}"#,
        ] {
            assert!(serde_json::from_str::<Config>(wrong).is_err(), "{wrong}");
        }
    }
}
