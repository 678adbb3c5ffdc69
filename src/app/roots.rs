//! Trusted roots in force: which they are, how old, and how those of TUF repositories are kept fresh.
//!
//! A refresh happens in the background and writes the repository's cache file; that file is one of those that the
//! configuration is made of, so a new one is a new generation. A refresh that fails changes nothing but counters and ages.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use time::OffsetDateTime;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use self::http::{ClientFault, Http};
use crate::{
    config::{Config, VerifierKind},
    time::Clock,
    verifier::cosign::root::{
        Origin, TrustedRoot,
        source::{RootConfig, RootSource, TufSource},
        tuf::{self, Session, TufFault},
    },
};

mod http;

/// One refresh, all its files together.
const REFRESH_TIMEOUT: Duration = Duration::from_mins(1);
/// First wait after a refresh that failed; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(30);
/// Longest such wait.
const LAST_RETRY: Duration = Duration::from_hours(1);
/// An embedded root older than this is said to be old: by then the public instance has rotated something.
const OLD: time::Duration = time::Duration::days(180);

/// A trusted root of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootInUse {
    /// What it is called.
    pub name: String,
    /// Where it was read.
    pub origin: Origin,
    /// Past this age we are not ready.
    pub max_age: Option<Duration>,
}

impl RootInUse {
    /// Its age in seconds, where it has one.
    pub(super) fn age(&self, now: OffsetDateTime) -> Option<time::Duration> {
        self.origin.age(now)
    }

    /// Whether it is older than the operator accepts.
    pub(super) fn is_too_old(&self, now: OffsetDateTime) -> bool {
        let limit = self.max_age.and_then(|limit| time::Duration::try_from(limit).ok());
        self.age(now).zip(limit).is_some_and(|(age, limit)| age > limit)
    }

    /// What should be looked at.
    pub fn concern(&self, now: OffsetDateTime) -> Option<String> {
        let Self { name, origin, .. } = self;
        match origin {
            Origin::Embedded { .. } if origin.age(now)? > OLD => {
                let days = origin.age(now)?.whole_days();
                Some(format!("trusted root {name} is {days} days old; upgrade, or keep it fresh with `tuf:`"))
            }
            Origin::Tuf { expires, .. } if *expires < now => Some(format!(
                "trusted root {name} was vouched for until {expires} only; its repository must be reached"
            )),
            Origin::Embedded { .. } | Origin::File(_) | Origin::Inline | Origin::OwnAuthority | Origin::Tuf { .. } => {
                None
            }
        }
    }
}

/// Each `trustedRoot` of the configuration.
fn configured(config: &Config) -> Vec<&RootConfig> {
    let mut all: Vec<&RootConfig> = Vec::new();
    for verifier in &config.verifiers {
        match &verifier.kind {
            VerifierKind::Attestation(attestation) => all.extend(attestation.roots()),
            VerifierKind::Cosign(cosign) => all.extend(cosign.roots()),
            VerifierKind::Exec(_) | VerifierKind::Notation(_) => {}
        }
    }
    all
}

/// The TUF repositories of the configuration, each once.
pub fn tuf_sources(config: &Config) -> Vec<TufSource> {
    let mut sources: Vec<TufSource> = Vec::new();
    for source in configured(config).into_iter().flat_map(RootConfig::tuf) {
        if !sources.contains(source) {
            sources.push(source.clone());
        }
    }
    sources
}

/// The trusted roots of the configuration as they are on disk now, each once. What cannot be read is its verifier's fault to say.
pub(super) fn in_use(config: &Config) -> Vec<RootInUse> {
    let mut all: Vec<RootInUse> = Vec::new();
    for root in configured(config) {
        let Ok(read) = root.load(&config.base) else { continue };
        for (root, source) in read.iter().zip(root.sources()) {
            let found = of(root, source);
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }
    all
}

fn of(root: &Arc<TrustedRoot>, source: &RootSource) -> RootInUse {
    let max_age = match source {
        RootSource::Tuf(tuf) => tuf.max_age,
        RootSource::Embedded(_) | RootSource::File { .. } | RootSource::Inline { .. } => None,
    };
    RootInUse { name: root.name.clone(), origin: root.origin.clone(), max_age }
}

/// Why a refresh failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefreshFault {
    #[error("the repository cannot be asked")]
    Client(#[from] ClientFault),
    #[error("the task that read or wrote the cache did not end")]
    Lost,
    #[error("the repository did not answer within {} s", REFRESH_TIMEOUT.as_secs())]
    Slow,
    #[error(transparent)]
    Tuf(#[from] TufFault),
}

/// Asks the repository, verifies its answer and puts it into the cache.
pub(super) async fn refresh(source: &TufSource, base: &Path, clock: Clock) -> Result<Origin, RefreshFault> {
    let (own, folder) = (source.clone(), base.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let http = Http::new(&own, &folder)?;
        Ok::<_, RefreshFault>((Session::open(own, &folder)?, http))
    });
    let (session, http) = opened.await.map_err(|_| RefreshFault::Lost)??;
    let refreshed = timeout(REFRESH_TIMEOUT, session.refresh(http, clock.now()));
    let (archive, root) = refreshed.await.map_err(|_| RefreshFault::Slow)??;
    let written = tokio::task::spawn_blocking(move || session.write(&archive));
    written.await.map_err(|_| RefreshFault::Lost)??;
    Ok(root.origin.clone())
}

/// The repositories without which `config` cannot be built: nothing usable is cached, and nothing compiled in stands for it.
pub(super) async fn unusable(config: &Config) -> Vec<TufSource> {
    let (sources, base) = (tuf_sources(config), config.base.clone());
    let looked = tokio::task::spawn_blocking(move || {
        sources.into_iter().filter(|source| tuf::look(source, &base).is_err()).collect()
    });
    looked.await.unwrap_or_default()
}

/// When each repository is next asked.
#[derive(Debug, Default)]
pub(super) struct Schedule(HashMap<PathBuf, Turn>);

#[derive(Debug)]
struct Turn {
    due: Instant,
    failures: u32,
}

impl Schedule {
    /// The repositories whose turn it is. One that is new has its turn when its cache is as old as its interval.
    pub(super) fn due(
        &mut self,
        sources: &[TufSource],
        base: &Path,
        now: Instant,
        wall: OffsetDateTime,
    ) -> Vec<TufSource> {
        let known: HashSet<PathBuf> = sources.iter().map(TufSource::cache_file).collect();
        self.0.retain(|file, _| known.contains(file));
        let mut all = Vec::new();
        for source in sources {
            let turn = self.0.entry(source.cache_file()).or_insert_with(|| {
                let cached = tuf::look(source, base).ok().flatten();
                // A cache from the future says nothing about its age.
                let age = cached.and_then(|at| Duration::try_from(wall - at).ok());
                let rest = age.map_or(Duration::ZERO, |age| source.refresh.saturating_sub(age));
                Turn { due: later(now, rest), failures: 0 }
            });
            if turn.due <= now {
                all.push(source.clone());
            }
        }
        all
    }

    pub(super) fn succeeded(&mut self, source: &TufSource, now: Instant) {
        self.0.insert(source.cache_file(), Turn { due: later(now, spread(source.refresh)), failures: 0 });
    }

    pub(super) fn failed(&mut self, source: &TufSource, now: Instant) {
        let turn = self.0.entry(source.cache_file()).or_insert(Turn { due: now, failures: 0 });
        let wait = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(turn.failures)).min(LAST_RETRY).min(source.refresh);
        turn.failures = turn.failures.saturating_add(1);
        turn.due = later(now, spread(wait));
    }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

/// Up to a tenth less, so that many of us do not come at once.
fn spread(wait: Duration) -> Duration {
    let random = u32::from(Uuid::new_v4().as_bytes().first().copied().unwrap_or_default());
    wait.saturating_sub(wait / 2560 * random)
}

#[cfg(test)]
mod tests;
