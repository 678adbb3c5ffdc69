//! Our own serving certificate: made, renewed, and its authority rotated, without a gap and without a restart.
//!
//! ```text
//!            one writer, by Lease                              every replica
//!   Lease ─► plan ─► publish: caBundle of each Provider        bell ─► read ─► whole? ─► served from now on
//!              ▲  └► write: the Secret, at its version ──────────────────┘      └ no: what was served stays
//!              └──── read again, until nothing is due
//! ```
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | the API server is away | what is served stays; counted, and tried again |
//! | the Secret is deleted, half-written, or not ours any more | what is served stays; the writer writes back what it remembers, else what is sound, else a new authority |
//! | a Secret of that name that never was ours | not read, not written; counted |
//! | two writers | each write names the version that it was made from: one is refused |
//! | a clock is wrong by more than an hour | that replica writes nothing: what it made would not be believed |
//! | the Secret is lost or broken, and the writer had not seen its last authority | what Providers list stays listed until one leaf's life after all of them were read: who serves by it is believed |
//! | a Provider's `caBundle` is reset | written again; an overlap under way begins anew |
//! | a `caBundle` lists an authority that is not in the Secret | it goes, unless the Secret was just lost or broken: then it could be ours, and stays as long as those |
//!
//! What each replica needs of the API server stands in [`super`]'s documentation.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use opentelemetry::metrics::Meter;
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    sign::CertifiedKey,
};
use time::OffsetDateTime;
use tokio::time::{Duration, Instant, sleep};

use self::{
    lease::Lease,
    make::Profile,
    material::Material,
    metrics::{Metrics, What},
    plan::{Change, Timing, View},
    providers::{Others, Outcome, Wanted},
    secret::{Found, Owner},
};
use super::{
    CallError, Cluster,
    bell::{self, Ring},
    config,
};
use crate::{reason, time::Clock};

mod bundle;
mod lease;
mod make;
mod material;
mod metrics;
mod plan;
mod providers;
mod secret;
#[cfg(test)]
mod testing;

const API: &str = "/api/v1";
const PLURAL: &str = "secrets";
/// How often everything is looked at; also how often the Lease is renewed.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// The same while there is nothing to serve.
const LOOK_FIRST: Duration = Duration::from_secs(2);
/// Most changes in one look: from nothing to a marked successor are four, with what Providers list adopted.
const MAX_CHANGES: usize = 8;
/// How far our clock may be from the API server's for us to write. Half a [`make::BACKDATE`] would do as well.
const MAX_CLOCK_DIFFERENCE: time::Duration = time::Duration::HOUR;

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificatesError {
    /// The API server's clock and ours differ too much to sign anything.
    #[error("our clock is {seconds} s from the API server's; nothing is written until they agree")]
    Clock {
        /// Ours minus theirs.
        seconds: i64,
    },
    /// Somebody else's Secret.
    #[error("Secret {name} holds something and is not marked {}: v1; it is left alone", secret::MARK)]
    Foreign {
        /// Its name.
        name: String,
    },
    /// The Lease.
    #[error("Lease {name}")]
    Lease {
        /// Its name.
        name: String,
        /// Why.
        source: CallError,
    },
    /// No certificate could be made. Says nothing of a key.
    #[error("a certificate could not be made: {0}")]
    Make(String),
    /// One or more Providers.
    #[error("{0}")]
    Provider(String),
    /// The Secret cannot be read or written.
    #[error("Secret {name}")]
    Secret {
        /// Its name.
        name: String,
        /// Why.
        source: CallError,
    },
    /// The Secret is there, and something in it is not sound.
    #[error("Secret {name}: {fault}")]
    Unsound {
        /// Its name.
        name: String,
        /// The first fault.
        fault: String,
    },
}

impl CertificatesError {
    const fn what(&self) -> What {
        match self {
            Self::Clock { .. } => What::Clock,
            Self::Foreign { .. } | Self::Secret { .. } | Self::Unsound { .. } => What::Secret,
            Self::Lease { .. } => What::Lease,
            Self::Make(_) => What::Make,
            Self::Provider(_) => What::Provider,
        }
    }
}

/// Keeps the serving certificate of one replica, and, while it holds the Lease, the Secret and the Providers.
#[derive(Debug)]
pub struct Keeper {
    cluster: Cluster,
    config: config::Certificates,
    profile: Profile,
    timing: Timing,
    lease: Lease,
    memory: Option<Material>,
    served: Arc<ArcSwapOption<CertifiedKey>>,
    /// Of what is served.
    life: Option<material::Life>,
    last_success: Instant,
    last_error: Option<String>,
    metrics: Metrics,
}

/// What is asked of the clocks at one look.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: OffsetDateTime,
    at: Instant,
    began: Instant,
}

impl Moment {
    /// `at`, and what has passed since.
    fn passed(&self) -> Instant {
        self.at.checked_add(self.began.elapsed()).unwrap_or(self.at)
    }
}

impl Keeper {
    /// `identity`: what this replica is called in the Lease, different from every other. Contacts nobody yet.
    pub fn new(cluster: Cluster, config: config::Certificates, identity: String, meter: &Meter) -> Self {
        let seconds = |duration: Duration| time::Duration::try_from(duration).unwrap_or(time::Duration::MAX);
        let profile = Profile {
            names: make::names(&config.service, cluster.namespace()),
            leaf: seconds(config.validity),
            authority: seconds(config.authority_validity),
            provider: Arc::<CryptoProvider>::new(default_provider()),
        };
        let timing = Timing {
            renew_before: seconds(config.renew_before),
            authority_renew_before: seconds(config.authority_renew_before),
            overlap: seconds(config.overlap),
        };
        Self {
            lease: Lease::new(config.lease.clone(), identity),
            cluster,
            profile,
            timing,
            config,
            memory: None,
            served: Arc::default(),
            life: None,
            last_success: Instant::now(),
            last_error: None,
            metrics: Metrics::new(meter),
        }
    }

    /// What is to be served: follows each change. Empty until there is a certificate.
    pub fn served(&self) -> Arc<ArcSwapOption<CertifiedKey>> {
        Arc::clone(&self.served)
    }

    /// Follows the Secret, and keeps everything while it has the Lease, until `stop` ends; then lets go of the Lease.
    pub async fn run_until(mut self, clock: Clock, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut bell = std::pin::pin!(bell::secret(&self.cluster, &self.config.secret));
        loop {
            // A look is not given up half-way: it has its own deadlines.
            let _ = self.tick(clock.now(), Instant::now()).await;
            let mut pause = std::pin::pin!(sleep(if self.memory.is_some() { LOOK_EVERY } else { LOOK_FIRST }));
            loop {
                tokio::select! {
                    () = &mut stop => return self.release().await,
                    () = &mut pause => break,
                    Some(ring) = bell.next() => match ring {
                        Ring::Changed => self.follow(clock.now()).await,
                        Ring::Lost => self.metrics.failed(What::Watch),
                    },
                }
            }
        }
    }

    /// Looks at everything once: follows, and, where it has the Lease, does all that is due. `at`: the monotonic clock.
    ///
    /// # Errors
    /// [`CertificatesError`]: the first thing that failed; all else that could be done was done, and what was served is served.
    pub async fn tick(&mut self, now: OffsetDateTime, at: Instant) -> Result<(), CertificatesError> {
        let moment = Moment { now, at, began: Instant::now() };
        let kept = self.lead(moment).await;
        let outcome = match kept {
            Ok(true) => self.keep(moment).await,
            Ok(false) => self.look(now).await.and_then(|(_, found)| self.judge(&found)),
            // Who cannot lead can still follow.
            Err(error) => self.look(now).await.and(Err(error)),
        };
        self.metrics.holds(self.lease.is_held(moment.passed()));
        self.metrics.observe(self.memory.as_ref(), now, self.last_success.elapsed());
        self.tell(outcome)
    }

    /// Reads the Secret once and serves what it says, without writing anything.
    pub async fn follow(&mut self, now: OffsetDateTime) {
        let looked = self.look(now).await.and_then(|(_, found)| self.judge(&found));
        self.metrics.observe(self.memory.as_ref(), now, self.last_success.elapsed());
        // Told again by the next tick if it lasts.
        let _ = self.tell(looked);
    }

    /// Lets another replica write from now on.
    pub async fn release(mut self) {
        if let Err(source) = self.lease.release(&self.cluster).await {
            let error = CertificatesError::Lease { name: self.config.lease.clone(), source };
            tracing::warn!(target: "countersign", error = reason::chain(&error), "the Lease could not be released; it ends by itself");
        }
        self.metrics.holds(false);
    }

    /// Whether this replica may write now.
    async fn lead(&mut self, moment: Moment) -> Result<bool, CertificatesError> {
        let Moment { now, at, .. } = moment;
        let failed = |source| CertificatesError::Lease { name: self.config.lease.clone(), source };
        let kept = self.lease.keep(&self.cluster, now, at).await.map_err(failed)?;
        if let Some(date) = kept.date
            && (now - date).abs() > MAX_CLOCK_DIFFERENCE
        {
            let seconds = (now - date).whole_seconds();
            self.lease.release(&self.cluster).await.map_err(failed)?;
            return Err(CertificatesError::Clock { seconds });
        }
        Ok(self.lease.is_held(moment.passed()))
    }

    /// Does what is due, until nothing is.
    async fn keep(&mut self, moment: Moment) -> Result<(), CertificatesError> {
        let mut trouble = None;
        for _ in 0..MAX_CHANGES {
            let (before, found) = self.look(moment.now).await?;
            if found.owner == Owner::Somebody && self.memory.is_none() {
                return self.judge(&found);
            }
            if let Some(fault) = found.faults.first() {
                self.metrics.failed(What::Secret);
                tracing::warn!(target: "countersign", secret = %self.config.secret, %fault, "the Secret of the own certificates is repaired");
            }
            let mut published = plan::Published::NotEverywhere;
            let mut others = None;
            if found.is_whole() {
                let outcome = self.publish(&found.material, moment).await;
                trouble = not_published(&outcome);
                (published, others) = (outcome.published, outcome.others);
            }
            let memory = self.memory.as_ref();
            let view = View { found: &found, memory, published, others: others.as_deref(), now: moment.now };
            let Some(change) = view.plan(&self.timing) else { break };
            let material =
                view.apply(change, &self.profile).map_err(|error| CertificatesError::Make(reason::chain(&error)))?;
            if change.publishes_first() {
                trouble = not_published(&self.publish(&material, moment).await);
            }
            if !self.lease.is_held(moment.passed()) {
                // Lost meanwhile: not one write more.
                break;
            }
            self.write(change, &material, before.as_ref()).await?;
        }
        trouble.map_or(Ok(()), Err)
    }

    async fn publish(&self, material: &Material, moment: Moment) -> Outcome {
        let anchors = &material.bundle();
        let others = if material.unread { Others::Stay } else { Others::Go };
        let may_write = || self.lease.is_held(moment.passed());
        let (names, hosts) = (&self.config.providers, &self.profile.names);
        let outcome = providers::publish(&self.cluster, names, hosts, Wanted { anchors, others }, may_write).await;
        if outcome.patched > 0 {
            tracing::info!(target: "countersign", providers = outcome.patched, authorities = anchors.len(), "the Providers' caBundle was written");
        }
        outcome
    }

    async fn write(
        &mut self,
        change: Change,
        material: &Material,
        before: Option<&Secret>,
    ) -> Result<(), CertificatesError> {
        let name = &self.config.secret;
        let path = self.cluster.path(API, PLURAL);
        let secret = secret::render(material, before, name, self.cluster.namespace());
        let written = match before {
            Some(_) => self.cluster.replace(&path, name, &secret).await,
            None => self.cluster.create(&path, &secret).await,
        };
        match written {
            Ok(_) => {
                self.metrics.changed(change);
                tracing::info!(target: "countersign", change = change.as_str(), secret = %name, "the own certificates were changed");
                Ok(())
            }
            // Somebody was faster: the next look sees what they wrote.
            Err(error) if error.is_conflict() => Ok(()),
            Err(source) => Err(CertificatesError::Secret { name: name.clone(), source }),
        }
    }

    /// Reads the Secret, and takes what it says into use.
    async fn look(&mut self, now: OffsetDateTime) -> Result<(Option<Secret>, Found), CertificatesError> {
        let name = &self.config.secret;
        let path = self.cluster.path(API, PLURAL);
        let secret: Option<Secret> = self
            .cluster
            .get(&path, name)
            .await
            .map_err(|source| CertificatesError::Secret { name: name.clone(), source })?;
        let found = secret::read(secret.as_ref(), &self.profile.names, &self.profile.provider);
        self.take(&found, now);
        Ok((secret, found))
    }

    /// A whole Secret is served and remembered. Of one that is not, a leaf that passed every check is served by a replica that
    /// has nothing better.
    fn take(&mut self, found: &Found, now: OffsetDateTime) {
        if found.owner != Owner::Ours {
            return;
        }
        let is_whole = found.faults.is_empty();
        let Some(leaf) = &found.material.leaf else { return };
        let serves_now = self.life.is_some_and(|life| life.covers(now));
        let better = if is_whole { leaf.life.covers(now) || !serves_now } else { leaf.life.covers(now) && !serves_now };
        if better && !self.is_served(leaf) {
            self.served.store(Some(Arc::clone(leaf.certified())));
            self.life = Some(leaf.life);
        }
        if is_whole {
            self.last_success = Instant::now();
            self.memory = Some(found.material.clone());
        }
    }

    /// Whether a replica that only follows found what it should.
    fn judge(&self, found: &Found) -> Result<(), CertificatesError> {
        let name = || self.config.secret.clone();
        match (found.owner, found.faults.first()) {
            (Owner::Somebody, _) => Err(CertificatesError::Foreign { name: name() }),
            (Owner::Ours | Owner::Nobody, Some(fault)) => {
                Err(CertificatesError::Unsound { name: name(), fault: fault.to_string() })
            }
            (Owner::Ours | Owner::Nobody, None) => Ok(()),
        }
    }

    fn is_served(&self, leaf: &material::Leaf) -> bool {
        self.served.load().as_ref().is_some_and(|served| served.cert.first() == Some(leaf.der()))
    }

    /// Counts a failure; says it once, and once that it is over.
    fn tell(&mut self, outcome: Result<(), CertificatesError>) -> Result<(), CertificatesError> {
        let said = outcome.as_ref().err().map(|error| reason::chain(error));
        if let Err(error) = &outcome {
            self.metrics.failed(error.what());
        }
        match (&said, &self.last_error) {
            (Some(now), before) if before.as_ref() != Some(now) => {
                tracing::error!(target: "countersign", error = %now, "the own certificates cannot be kept; what is served stays");
            }
            (None, Some(_)) => tracing::info!(target: "countersign", "the own certificates are kept again"),
            (Some(_), Some(_) | None) | (None, None) => {}
        }
        self.last_error = said;
        outcome
    }
}

fn not_published(outcome: &Outcome) -> Option<CertificatesError> {
    let said: Vec<String> = outcome.errors.iter().map(|error| reason::chain(error)).collect();
    (!said.is_empty()).then(|| CertificatesError::Provider(said.join("; ")))
}

/// All instruments, each with a value: what the README's table is made from.
#[cfg(test)]
pub(crate) fn show_metrics(meter: &Meter) {
    let now = time::macros::datetime!(2026-11-21 12:00 UTC);
    let signer = testing::profile().authority(now).unwrap();
    let material = Material { signer: Some(signer), ..Material::default() };
    Metrics::new(meter).observe(Some(&material), now, Duration::ZERO);
}
