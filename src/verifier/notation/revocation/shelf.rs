//! Evidence at hand: kept in memory, joined in flight, kept on disk, fetched again when it is old.
//!
//! ```text
//! obtain ──► memory, young ──────────────────────────────────► Held
//!              │ old or none
//!              ├──► failed a moment ago ──► the old one, if any, and why
//!              └──► one flight a key: disk ─► client ─► younger than what is held? ─► memory, disk
//! ```
//!
//! A flight is a task of the runtime: it outlives who asked, and ends by itself. What is kept was verified under its issuer,
//! whose bytes are a part of the key, so that one authority's words are never taken for another's (item 102).

use std::{
    fmt::Debug,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::{Ask, client::RevocationClient, folder::Folder, metrics::Metrics};
use crate::flight::{Flights, Landed};

/// What all evidence of one kind may weigh in memory.
const MAX_HELD_BYTES: u64 = 128 << 20;
/// How long nothing is asked again after a failure.
pub(super) const FAILED_FOR: Duration = Duration::from_secs(10);
/// Failures that are remembered; a stranger may not grow it, since only trusted chains are asked about.
const MAX_FAILED: u64 = 10_000;
/// What nobody used for so long is not asked for ahead of time.
const IDLE: Duration = Duration::from_hours(6);
/// Longest time of one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// SHA-256 over what makes evidence what it is.
pub(super) type Key = [u8; 32];

/// Where evidence of one kind comes from.
pub(super) trait Source: Clone + Debug + Send + Sync + 'static {
    /// What is kept: read and verified.
    type Item: Send + Sync + 'static;
    /// For metrics.
    const KIND: &'static str;

    fn key(&self) -> Key;

    /// Its file's name in a directory.
    fn file_name(&self) -> String;

    /// Reads and verifies what a file has. `None`: it is no evidence for this source.
    fn read(&self, bytes: &[u8], ask: Ask) -> Option<Fresh<Self::Item>>;

    /// Asks those who should know. `Err` says why nothing came of it.
    fn fetch(&self, way: &Way, ask: Ask) -> impl Future<Output = Result<Fresh<Self::Item>, String>> + Send;
}

/// Evidence that was just read and verified.
pub(super) struct Fresh<T> {
    pub(super) item: T,
    /// Of two, the younger is taken: on the way, plain HTTP can be answered with old answers (REV-05).
    pub(super) this_update: OffsetDateTime,
    /// What could not be had with it: it is better than nothing, and asked for again soon.
    pub(super) lacks: Option<String>,
    /// How many bytes it has.
    pub(super) weight: usize,
    /// As it goes to disk, where it does.
    pub(super) file: Option<Bytes>,
}

/// Evidence that is kept.
pub(super) struct Held<S: Source> {
    pub(super) item: S::Item,
    source: S,
    this_update: OffsetDateTime,
    times: Mutex<Times>,
    weight: u32,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    fetched_at: Instant,
    used_at: Instant,
}

/// What asking came to.
pub(super) struct Obtained<S: Source> {
    pub(super) held: Option<Arc<Held<S>>>,
    /// Why there is none, or no younger one.
    pub(super) why: Option<Arc<str>>,
    /// How long until it would be asked for again.
    pub(super) again: Duration,
}

/// The way to evidence outside.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) client: Arc<dyn RevocationClient>,
    pub(super) runtime: Handle,
    pub(super) interval: Duration,
    pub(super) folder: Option<Folder>,
    pub(super) metrics: Metrics,
}

type Flown<S> = (Option<Arc<Held<S>>>, Option<Arc<str>>);

/// Evidence of one kind.
pub(super) struct Shelf<S: Source> {
    held: moka::sync::Cache<Key, Arc<Held<S>>>,
    failed: moka::sync::Cache<Key, Arc<str>>,
    flights: Flights<Key, Flown<S>>,
}

impl<S: Source> Debug for Shelf<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("kind", &S::KIND).finish_non_exhaustive()
    }
}

impl<S: Source> Default for Shelf<S> {
    fn default() -> Self {
        let held = moka::sync::Cache::builder()
            .max_capacity(MAX_HELD_BYTES)
            .weigher(|_, held: &Arc<Held<S>>| held.weight)
            .time_to_idle(IDLE.saturating_mul(4))
            .build();
        let failed = moka::sync::Cache::builder().max_capacity(MAX_FAILED).time_to_live(FAILED_FOR).build();
        Self { held, failed, flights: Flights::default() }
    }
}

impl Way {
    /// The deadline of one fetch of a flight that was begun on behalf of `ask`: two seconds, and no more than a third of what
    /// is left.
    pub(super) fn deadline(ask: Ask) -> Instant {
        let now = Instant::now();
        let third = ask.deadline.saturating_duration_since(now) / 3;
        now.checked_add(third.min(FETCH_TIMEOUT)).unwrap_or(now)
    }
}

/// One key's evidence on its way.
struct Flight<S: Source> {
    shelf: Arc<Shelf<S>>,
    source: S,
    way: Way,
    ask: Ask,
}

impl<S: Source> Shelf<S> {
    /// Evidence of `source`, as young as can be had before the deadline.
    pub(super) async fn obtain(self: &Arc<Self>, source: S, way: &Way, ask: Ask) -> Obtained<S> {
        let key = source.key();
        let held = self.held.get(&key);
        if let Some(held) = &held {
            held.use_now();
            let age = held.age();
            if age < way.interval {
                way.metrics.cache(S::KIND, "hit");
                return Obtained { held: Some(Arc::clone(held)), why: None, again: way.interval.saturating_sub(age) };
            }
        }
        if let Some(why) = self.failed.get(&key) {
            way.metrics.cache(S::KIND, "failed");
            return Obtained { held, why: Some(why), again: FAILED_FOR };
        }
        way.metrics.cache(S::KIND, if held.is_some() { "stale" } else { "miss" });
        let flight = Flight { shelf: Arc::clone(self), source, way: way.clone(), ask };
        match timeout_at(ask.deadline, self.flights.join(key, &way.runtime, flight.fly(key))).await {
            Ok(Landed::Safely((Some(held), None))) => {
                let again = way.interval.saturating_sub(held.age());
                Obtained { held: Some(held), why: None, again }
            }
            Ok(Landed::Safely((younger, why))) => Obtained { held: younger.or(held), why, again: FAILED_FOR },
            Ok(Landed::Crashed) => failed(held, "asking ended without an outcome"),
            Err(_) => failed(held, "no answer before the deadline"),
        }
    }

    /// Fetches again, before it is needed, what was used of late and will soon be old.
    pub(super) async fn refresh(self: &Arc<Self>, way: &Way, now: OffsetDateTime) {
        let soon = way.interval.saturating_sub(way.interval / 4);
        let due: Vec<_> = self
            .held
            .iter()
            .map(|(key, held)| (*key, held))
            .filter(|(key, held)| held.age() >= soon && held.idle() < IDLE && !self.failed.contains_key(key))
            .collect();
        for (key, held) in due {
            let deadline = Instant::now().checked_add(FETCH_TIMEOUT.saturating_mul(3));
            let ask = Ask { now, signing_time: None, deadline: deadline.unwrap_or_else(Instant::now) };
            let flight = Flight { shelf: Arc::clone(self), source: held.source.clone(), way: way.clone(), ask };
            // What came of it is on the shelf, or counted.
            let _ = self.flights.join(key, &way.runtime, flight.fly(key)).await;
        }
    }
}

fn failed<S: Source>(held: Option<Arc<Held<S>>>, why: &str) -> Obtained<S> {
    Obtained { held, why: Some(Arc::from(why)), again: FAILED_FOR }
}

impl<S: Source> Flight<S> {
    async fn fly(self, key: Key) -> Flown<S> {
        let mut known = self.shelf.held.get(&key);
        if known.is_none() {
            known = self.read_disk(key).await;
            if known.as_ref().is_some_and(|held| held.age() < self.way.interval) {
                return (known, None);
            }
        }
        match self.source.fetch(&self.way, self.ask).await {
            Ok(fresh) if known.as_ref().is_some_and(|known| fresh.this_update < known.this_update) => {
                self.failed(key, known, "the answer is older than the last one")
            }
            Ok(mut fresh) => {
                if let Some(lacks) = fresh.lacks.take() {
                    let old = Instant::now().checked_sub(self.way.interval).unwrap_or_else(Instant::now);
                    let known = known.or_else(|| Some(self.keep(key, fresh, old)));
                    return self.failed(key, known, &lacks);
                }
                self.way.metrics.fetched(S::KIND, "success");
                let file = fresh.file.take();
                let held = self.keep(key, fresh, Instant::now());
                if let (Some(folder), Some(file)) = (self.way.folder.clone(), file) {
                    let name = self.source.file_name();
                    // Best effort: a directory that cannot be written changes no verdict.
                    drop(self.way.runtime.spawn_blocking(move || folder.write(&name, &file)).await);
                }
                (Some(held), None)
            }
            Err(why) => self.failed(key, known, &why),
        }
    }

    fn failed(&self, key: Key, known: Option<Arc<Held<S>>>, why: &str) -> Flown<S> {
        self.way.metrics.fetched(S::KIND, "failure");
        let why: Arc<str> = Arc::from(why);
        self.shelf.failed.insert(key, Arc::clone(&why));
        (known, Some(why))
    }

    fn keep(&self, key: Key, fresh: Fresh<S::Item>, fetched_at: Instant) -> Arc<Held<S>> {
        let Fresh { item, this_update, lacks: _, weight, file: _ } = fresh;
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).max(1024);
        let source = self.source.clone();
        let used_at = self.shelf.held.get(&key).map_or_else(Instant::now, |held| held.times().used_at);
        let times = Mutex::new(Times { fetched_at, used_at });
        let held = Arc::new(Held { item, source, this_update, times, weight });
        self.shelf.held.insert(key, Arc::clone(&held));
        held
    }

    /// What was kept before a restart, verified again, and as old as its file is.
    async fn read_disk(&self, key: Key) -> Option<Arc<Held<S>>> {
        let (folder, source, ask) = (self.way.folder.clone()?, self.source.clone(), self.ask);
        let read = self.way.runtime.spawn_blocking(move || {
            let (bytes, age) = folder.read(&source.file_name(), ask.now)?;
            Some((source.read(&bytes, ask)?, age))
        });
        let (fresh, age) = read.await.ok().flatten()?;
        let fetched_at = Instant::now().checked_sub(age)?;
        Some(self.keep(key, fresh, fetched_at))
    }
}

impl<S: Source> Held<S> {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn use_now(&self) {
        self.times().used_at = Instant::now();
    }

    fn age(&self) -> Duration {
        self.times().fetched_at.elapsed()
    }

    fn idle(&self) -> Duration {
        self.times().used_at.elapsed()
    }
}

#[cfg(test)]
impl<S: Source> Shelf<S> {
    /// Lets time pass, and failures be forgotten.
    pub(super) fn pass(&self, time: Duration) {
        self.failed.invalidate_all();
        for (_, held) in &self.held {
            let mut times = held.times();
            times.fetched_at = times.fetched_at.checked_sub(time).unwrap();
            times.used_at = times.used_at.checked_sub(time).unwrap();
        }
    }
}
