//! Log lines: written by a thread of their own, in order, none dropped.

use std::{
    io::{self, Write},
    panic,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{level_filters::LevelFilter, subscriber::SetGlobalDefaultError};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{Layer as _, filter::Targets, fmt, fmt::MakeWriter, layer::SubscriberExt as _};

use super::{Config, LogFormat, LogLevel, SCOPE};

/// Lines that wait for the writing thread; when as many wait the next line waits too, none is dropped.
const WAITING_LINES: usize = 16 * 1024;

/// A way to write whole lines from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lines {
    queue: NonBlocking,
    // Dropping the guard writes what waits.
    guard: Arc<Mutex<Option<WorkerGuard>>>,
    failed: Arc<AtomicU64>,
}

impl Lines {
    /// Lines to `sink`, through a thread that flushes after each batch.
    pub(super) fn to(sink: impl Write + Send + 'static) -> Self {
        let (queue, guard) = NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(WAITING_LINES)
            .thread_name("log")
            .finish(sink);
        Self { queue, guard: Arc::new(Mutex::new(Some(guard))), failed: Arc::default() }
    }

    /// Writes one line, which ends in a line feed.
    pub fn write(&self, line: &[u8]) {
        if self.queue.clone().write_all(line).is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that could not be handed over (the writing thread has ended).
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Writes what waits and ends the writing thread.
    pub(super) fn flush(&self) {
        drop(self.guard.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> NonBlocking {
        self.queue.clone()
    }
}

/// Sets the process's subscriber: our events from the configured level on, other crates' from `warn` on, so that no
/// library's debug output can show a header or a body (OPS-14).
pub(super) fn subscribe(
    config: &Config,
    lines: &Lines,
    tracers: Option<&SdkTracerProvider>,
) -> Result<(), SetGlobalDefaultError> {
    let level = match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let events = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // Writes answers that it cannot read to the log, Secrets included; its errors reach us as values.
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("kube_runtime", LevelFilter::OFF)
        .with_target(SCOPE, level);
    let format = match config.log_format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(lines.clone())
            .boxed(),
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(lines.clone()).boxed(),
    };
    let spans = tracers.map(|provider| {
        let ours = Targets::new().with_target(SCOPE, LevelFilter::INFO);
        tracing_opentelemetry::layer().with_tracer(provider.tracer(SCOPE)).with_filter(ours)
    });
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(format.with_filter(events)).with(spans))
}

/// A panic is said as where it was, without its message: that may hold anything (OPS-14).
pub(super) fn hook_panics() {
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "a fault of ours: panic");
        // Where the log itself is gone.
        if tracing::dispatcher::has_been_set() {
            return;
        }
        let _ = writeln!(io::stderr(), "a fault of ours: panic at {place}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // OPS-11
    #[test]
    fn no_line_is_dropped_and_order_is_kept() {
        let sink = Sink::default();
        let lines = Lines::to(io::BufWriter::new(sink.clone()));
        let expected: Vec<String> = (0..WAITING_LINES * 2).map(|n| format!("{n}\n")).collect();
        for line in &expected {
            lines.write(line.as_bytes());
        }
        lines.flush();
        assert!(*sink.0.lock().unwrap() == expected.concat().into_bytes());
        assert_eq!(lines.failed(), 0);
    }
}
