//! What would be logged, of one test alone.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::{Dispatch, Level, level_filters::LevelFilter, subscriber::DefaultGuard};
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _};

/// Everything that was written.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes down what this thread logs, all of ours and the worst of others, as `serve` would at its most talkative, until the
/// guard is dropped.
pub(crate) fn log() -> (Log, (DefaultGuard, Dispatch)) {
    let log = Log::default();
    let writer = log.clone();
    let levels = Targets::new()
        .with_default(Level::WARN)
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("kube_runtime", LevelFilter::OFF)
        .with_target("countersign", Level::TRACE);
    let layer = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    // With a single dispatcher, tracing asks the one of whichever thread meets an event first, and other tests' threads have none.
    let second = Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(levels).with(layer));
    (log, (guard, second))
}
