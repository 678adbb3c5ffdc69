//! The composition root: from a configuration to an engine, and from one engine to the next.
//!
//! ```text
//! files ──fingerprint──► changed? ──Config::load──► build ──► Generation ──swap──► App::current
//!   ▲                                   │ broken: the last good stays, counted, and stale in the end
//!   └────────── each tick ──────────────┘
//! ```
//!
//! A generation is immutable. A request keeps the one it started with, so no verdict outlives the trust it was given
//! under, nothing is purged and nothing is locked.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::{
    runtime::Handle,
    sync::Mutex,
    time::{Instant, MissedTickBehavior, interval},
};

pub use self::{
    build::{Anchor, Engine, Materials, build, build_store},
    roots::{RootInUse, tuf_sources},
};
use self::{
    files::{Fingerprint, fingerprint, named_files},
    metrics::Metrics,
    roots::Schedule,
};
use crate::{
    config::{Config, ConfigError, Fault, Process},
    reason,
    store::{cached::ContentCache, registry::Outside},
    time::Clock,
    verifier::{cosign::root::source::TufSource, notation::revocation::RevocationEvidence},
};

mod build;
mod files;
mod metrics;
mod revocation;
mod roots;

/// How often it is asked whether a TUF repository has its turn, or evidence about revocation.
const TURN_EVERY: Duration = Duration::from_secs(10);
/// After so many ticks a configuration that does not work is tried again unchanged: what it names may work by now.
const RETRY_TICKS: u32 = 30;

/// Why there is no generation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The configuration itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The files changed while they were read; the next look will tell.
    #[error("the files changed while they were read")]
    Moving,
}

/// One configuration in force.
#[derive(Debug)]
pub struct Generation {
    /// What it was built to.
    pub engine: Engine,
    /// What it was built from.
    pub config: Config,
    /// Counts up from 1.
    pub number: u64,
    /// Since when it is in force.
    pub loaded_at: Instant,
}

/// What became of a look at the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// They changed, and what they say now does not work: the last good generation stays.
    Broken,
    /// They changed, and a new generation is in force.
    Renewed,
    /// As before.
    Unchanged,
}

/// The running configuration, and the file it comes from.
pub struct App {
    file: PathBuf,
    process: Process,
    content: ContentCache,
    evidence: RevocationEvidence,
    outside: Outside,
    runtime: Handle,
    metrics: Metrics,
    clock: Clock,
    current: ArcSwap<Generation>,
    /// When the files began to say something that does not work.
    broken_since: ArcSwap<Option<Instant>>,
    seen: Mutex<Seen>,
}

/// What was last looked at, good or bad.
#[derive(Debug)]
struct Seen {
    fingerprint: Fingerprint,
    files: Vec<PathBuf>,
    ticks: u32,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("file", &self.file)
            .field("current", &self.current.load().number)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Loads `file` and builds the first generation. `runtime`: where verifications run.
    ///
    /// # Errors
    /// [`AppError`]: everything that is wrong with the configuration and with what it names.
    pub async fn start(file: &Path, process: Process, outside: Outside, runtime: Handle) -> Result<Self, AppError> {
        let config = Config::load(file, &process)?;
        let content = ContentCache::new(config.limits.content());
        let metrics = Metrics::new(outside.meter.as_ref());
        let clock = Clock::System;
        fetch_missing(&config, &metrics, clock).await;
        let files = named_files(file, Some(&config));
        let before = fingerprint(&files);
        let evidence = RevocationEvidence::default();
        let materials = Materials {
            content: content.clone(),
            outside: outside.clone(),
            evidence: evidence.clone(),
            runtime: runtime.clone(),
        };
        let engine = build(&config, &materials).await.map_err(|faults| invalid(file, faults))?;
        say_warnings(&engine);
        let generation = Generation { engine, config, number: 1, loaded_at: Instant::now() };
        metrics.in_force(&generation);
        metrics.observe(&generation, &content, clock.now());
        say_roots(&generation.engine, clock);
        Ok(Self {
            file: file.to_owned(),
            process,
            content,
            evidence,
            outside,
            runtime,
            metrics,
            clock,
            current: ArcSwap::from_pointee(generation),
            broken_since: ArcSwap::from_pointee(None),
            // What changed since is seen at the first tick.
            seen: Mutex::new(Seen { fingerprint: before, files, ticks: 0 }),
        })
    }

    /// The generation in force.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Whether the files have been saying something that does not work for longer than `limits.maxStale`, or a trusted root is
    /// older than its `maxAge`.
    pub fn is_stale(&self, now: Instant) -> bool {
        let current = self.current.load();
        let limit = current.config.limits.max_stale;
        let wall = self.clock.now();
        current.engine.roots.iter().any(|root| root.is_too_old(wall))
            || self.broken_since.load().is_some_and(|since| now.saturating_duration_since(since) > limit)
    }

    /// Whether the credentials that a cluster keeps have been looked at.
    pub fn knows_pull_secrets(&self) -> bool {
        self.outside.pull_secrets.is_settled()
    }

    /// Looks at the files every `every` and keeps trusted roots fresh, for ever.
    pub async fn watch(&self, every: Duration) {
        // The client of a refresh is large, and seldom there.
        tokio::join!(self.watch_files(every), Box::pin(self.watch_repositories()), self.watch_revocations());
    }

    /// Keeps evidence about revoked certificates young, so that no request has to wait for it.
    async fn watch_revocations(&self) {
        let mut ticks = interval(TURN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let generation = self.current();
            let now = self.clock.now();
            join_all(generation.engine.revocations.iter().map(|revocation| revocation.refresh(now))).await;
        }
    }

    /// Asks each TUF repository when it has its turn.
    async fn watch_repositories(&self) {
        let mut schedule = Schedule::default();
        let mut ticks = interval(TURN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh_due(&mut schedule).await;
        }
    }

    /// Asks the TUF repositories that have their turn, one after the other. What they say is taken by the next look at the files.
    async fn refresh_due(&self, schedule: &mut Schedule) {
        let generation = self.current();
        let sources = tuf_sources(&generation.config);
        let base = &generation.config.base;
        for source in schedule.due(&sources, base, Instant::now(), self.clock.now()) {
            if refresh(&source, base, &self.metrics, self.clock).await {
                schedule.succeeded(&source, Instant::now());
            } else {
                schedule.failed(&source, Instant::now());
                for concern in generation.engine.roots.iter().filter_map(|root| root.concern(self.clock.now())) {
                    tracing::warn!(target: "countersign", warning = %concern, "a trusted root grows old");
                }
            }
        }
    }

    /// One look at a time, so that many changes are one new generation (CFG-13).
    async fn watch_files(&self, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    /// Looks at the files once. Content is compared, not times or events: that sees a file written in place or renamed
    /// over, and the `..data` link of a mounted `ConfigMap` swapped (CFG-12).
    pub async fn look(&self) -> Look {
        let mut seen = self.seen.lock().await;
        self.metrics.observe(&self.current.load(), &self.content, self.clock.now());
        let now = read_fingerprint(seen.files.clone()).await;
        seen.ticks = seen.ticks.saturating_add(1);
        let retry = self.broken_since.load().is_some() && seen.ticks >= RETRY_TICKS;
        if now == seen.fingerprint && !retry {
            return Look::Unchanged;
        }
        seen.ticks = 0;
        let (files, outcome) = self.renew().await;
        seen.files = files;
        match outcome {
            Ok((generation, fingerprint)) => {
                seen.fingerprint = fingerprint;
                self.take(generation);
                Look::Renewed
            }
            Err(AppError::Moving) => {
                // Half a change: neither taken nor counted, the next tick sees the whole.
                Look::Unchanged
            }
            Err(error) => {
                let is_news = now != seen.fingerprint;
                seen.fingerprint = read_fingerprint(seen.files.clone()).await;
                self.refuse(&error, is_news);
                Look::Broken
            }
        }
    }

    /// Puts it in force, and only then says so: whoever has read the new number is not answered by the old generation any more.
    fn take(&self, generation: Generation) {
        let generation = Arc::new(generation);
        self.current.store(Arc::clone(&generation));
        self.broken_since.store(Arc::new(None));
        self.metrics.in_force(&generation);
        self.metrics.observe(&generation, &self.content, self.clock.now());
        say_roots(&generation.engine, self.clock);
        say_warnings(&generation.engine);
        tracing::info!(target: "countersign", generation = generation.number, "the configuration was renewed");
    }

    fn refuse(&self, error: &AppError, is_news: bool) {
        if self.broken_since.load().is_none() {
            self.broken_since.store(Arc::new(Some(Instant::now())));
        }
        if is_news {
            self.metrics.failed();
            let generation = self.current.load().number;
            tracing::error!(target: "countersign", generation, error = %reason::chain(error), "the new configuration does not work; the last good one stays");
        }
    }

    /// Builds the next generation, if the files hold still meanwhile.
    async fn renew(&self) -> (Vec<PathBuf>, Result<(Generation, Fingerprint), AppError>) {
        let number = self.current.load().number.saturating_add(1);
        let (file, process) = (self.file.clone(), self.process.clone());
        let loaded = tokio::task::spawn_blocking(move || Config::load(&file, &process)).await;
        let config = match loaded {
            Ok(Ok(config)) => config,
            Ok(Err(error)) => return (self.files_of_current(), Err(error.into())),
            Err(_) => return (self.files_of_current(), Err(AppError::Moving)),
        };
        fetch_missing(&config, &self.metrics, self.clock).await;
        let files = named_files(&self.file, Some(&config));
        let before = read_fingerprint(files.clone()).await;
        let materials = Materials {
            content: self.content.clone(),
            outside: self.outside.clone(),
            evidence: self.evidence.clone(),
            runtime: self.runtime.clone(),
        };
        let built = build(&config, &materials).await;
        if read_fingerprint(files.clone()).await != before {
            return (files, Err(AppError::Moving));
        }
        let outcome = built
            .map_err(|faults| invalid(&self.file, faults))
            .map(|engine| (Generation { engine, config, number, loaded_at: Instant::now() }, before));
        (files, outcome)
    }

    fn files_of_current(&self) -> Vec<PathBuf> {
        named_files(&self.file, Some(&self.current.load().config))
    }
}

fn invalid(file: &Path, faults: Vec<Fault>) -> AppError {
    ConfigError::Invalid { file: file.to_owned(), faults }.into()
}

/// Which trusted roots are in force, and how old they are.
fn say_roots(engine: &Engine, clock: Clock) {
    for root in &engine.roots {
        tracing::info!(target: "countersign", root = %root.name, origin = %root.origin, "a trusted root is in force");
        if let Some(concern) = root.concern(clock.now()) {
            tracing::warn!(target: "countersign", warning = %concern, "a trusted root grows old");
        }
    }
}

/// Asks the repositories without which there could be no engine. What fails is said again when the engine is built.
async fn fetch_missing(config: &Config, metrics: &Metrics, clock: Clock) {
    for source in roots::unusable(config).await {
        refresh(&source, &config.base, metrics, clock).await;
    }
}

/// Whether the repository's answer could be taken.
async fn refresh(source: &TufSource, base: &Path, metrics: &Metrics, clock: Clock) -> bool {
    let refreshed = roots::refresh(source, base, clock).await;
    metrics.refreshed(refreshed.is_ok());
    match refreshed {
        Ok(origin) => {
            tracing::info!(target: "countersign", root = %source.name(), origin = %origin, "a trusted root was fetched");
            true
        }
        Err(fault) => {
            tracing::warn!(target: "countersign", root = %source.name(), error = %reason::chain(&fault), "a trusted root could not be fetched; the last good one stays");
            false
        }
    }
}

fn say_warnings(engine: &Engine) {
    for warning in &engine.warnings {
        tracing::warn!(target: "countersign", warning = %warning, "the configuration works, but");
    }
}

/// File reads off the asynchronous workers. A reader that crashed has seen nothing that equals anything.
async fn read_fingerprint(files: Vec<PathBuf>) -> Fingerprint {
    tokio::task::spawn_blocking(move || fingerprint(&files)).await.unwrap_or_default()
}

#[cfg(test)]
mod tests;
