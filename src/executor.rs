//! The engine: from a reference to a verdict, in four steps a reader can follow.
//!
//! ```text
//! Question ──resolve──► Subject ──list──► Listing ──examine──► reports ──decide──► Verdict
//!    │                     │      (flight: one per tenant, repository and digest)     │
//!    └── cached? ◄─────────┴───────────── verdict cache of this generation ◄──────────┘
//! ```
//!
//! An executor never changes: a new configuration or key set is a new executor, with a verdict cache of its own, so no
//! verdict outlives the trust it was given under.

mod cache;
mod examine;
mod foresight;
pub mod limits;
mod metrics;
mod nested;
mod places;

use std::sync::Arc;

use opentelemetry::metrics::Meter;
use time::OffsetDateTime;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use self::{
    cache::{VerdictKey, Verdicts},
    limits::Limits,
    metrics::Metrics,
    places::Places,
};
use crate::{
    flight::{Flights, Landed},
    oci::{Descriptor, Discovery, Listing, Reference, Repository, Subject},
    policy::PolicyProvider,
    reason::{self, Class, Code},
    report::{Decision, Reason, Verdict, VerifierReport, Word, below, wire::Rendered},
    store::{Deadline, Store, StoreError},
    tenant::Tenant,
    verifier::Verifier,
};

/// What an executor is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where everything comes from.
    pub store: Arc<dyn Store>,
    /// All verifiers; the policy names those that matter.
    pub verifiers: Vec<Arc<dyn Verifier>>,
    /// Decides.
    pub policy: Arc<dyn PolicyProvider>,
    /// Bounds.
    pub limits: Limits,
    /// Where flights run: a runtime of their own, so that no request worker is held up.
    pub runtime: Handle,
    /// Where metrics go; none are kept without.
    pub meter: Option<Meter>,
}

/// One key's question.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who asks.
    pub tenant: Tenant,
    /// About what.
    pub reference: Reference,
    /// The moment of the whole request.
    pub now: OffsetDateTime,
    /// When the answer must be there.
    pub deadline: Instant,
}

/// The answer to a question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The verdict, with the reasons as data.
    pub verdict: Arc<Verdict>,
    /// The same as the wire wants it.
    pub rendered: Arc<Rendered>,
    /// Whether it came from the verdict cache.
    pub cached: bool,
}

impl Answer {
    fn of(question: &Question, verdict: Verdict) -> Self {
        let rendered = Rendered::for_tenant(&question.tenant, &question.reference.to_string(), &verdict);
        Self { verdict: Arc::new(verdict), rendered: Arc::new(rendered), cached: false }
    }

    fn without_subject(question: &Question, decision: Decision) -> Self {
        Self::of(question, Verdict { subject: None, decision, policy: String::new(), reports: Vec::new() })
    }

    fn undecided(question: &Question, code: Code, message: &str) -> Self {
        Self::without_subject(question, Decision::Undecided(Reason::new(code, message)))
    }
}

/// One immutable engine: stores, verifiers, policy, limits, and the verdicts it gave.
#[derive(Debug)]
pub struct Executor {
    parts: Parts,
    places: Places,
    metrics: Metrics,
    verdicts: Verdicts,
    verifications: Flights<VerdictKey, Answer>,
    resolutions: Flights<(Tenant, Reference), Result<Descriptor, StoreError>>,
}

impl Executor {
    /// An executor of `parts`, without any verdict yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            places: Places::new(&parts.limits),
            metrics: Metrics::new(parts.meter.as_ref(), &parts.verifiers),
            verdicts: Verdicts::new(&parts.limits),
            verifications: Flights::default(),
            resolutions: Flights::default(),
            parts,
        })
    }

    /// The bounds.
    pub const fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// The verifiers.
    pub fn verifiers(&self) -> &[Arc<dyn Verifier>] {
        &self.parts.verifiers
    }

    /// Whether any policy is about this repository.
    pub fn has_policy(&self, repository: &Repository) -> bool {
        self.parts.policy.wanted(repository).is_some()
    }

    /// A verdict that is still true, for a reference by digest. No I/O and no waiting: for the request's own worker.
    pub fn cached(&self, question: &Question) -> Option<Answer> {
        let digest = question.reference.digest()?;
        self.verdicts.fresh(&VerdictKey::new(&question.tenant, question.reference.repository(), digest), question.now)
    }

    /// Records how full the verdict cache is, after the housekeeping that is due, and whose signer ends next. To be called
    /// now and then.
    pub fn observe(&self, now: OffsetDateTime) {
        let (verdicts, bytes) = self.verdicts.size();
        self.metrics.kept(verdicts, bytes, now);
    }

    /// Answers a question by its deadline. Never fails: what could not be found out is an undecided verdict.
    pub async fn verify(self: &Arc<Self>, question: Question) -> Answer {
        if let Some(answer) = self.cached(&question) {
            return answer;
        }
        let repository = question.reference.repository();
        if self.parts.policy.wanted(repository).is_none() {
            let reason = Reason::new(Code::NoPolicy, format!("no policy covers {repository}"));
            return Answer::without_subject(&question, Decision::Deny(reason));
        }
        timeout_at(question.deadline, self.fly(&question)).await.unwrap_or_else(|_| {
            Answer::undecided(&question, Code::Timeout, "verification did not end before the deadline")
        })
    }

    /// Resolves a reference; concurrent callers share one resolution, and nothing of it is kept.
    pub async fn resolve(
        self: &Arc<Self>,
        tenant: &Tenant,
        reference: &Reference,
        deadline: Deadline,
    ) -> Result<Subject, Reason> {
        let wait = timeout_at(deadline, self.resolve_shared(tenant, reference, deadline));
        match wait.await {
            Ok(Ok(descriptor)) => Ok(Subject::new(reference.repository().clone(), descriptor)),
            Ok(Err(error)) => Err(store_reason(&error)),
            Err(_) => Err(Reason::new(Code::Timeout, format!("{reference} did not resolve before the deadline"))),
        }
    }

    /// Lists what is attached to a subject, whatever its type: for people.
    pub async fn discover(&self, subject: &Subject, deadline: Deadline) -> Result<Listing, Reason> {
        let ways = Discovery::everywhere();
        let listing = self.parts.store.referrers(subject.repository(), subject.digest(), ways, deadline);
        listing.await.map_err(|error| store_reason(&error))
    }

    /// By digest the flight starts at once and resolves beside the listing; a tag is resolved anew for each request.
    async fn fly(self: &Arc<Self>, question: &Question) -> Answer {
        if let Some(digest) = question.reference.digest() {
            let key = VerdictKey::new(&question.tenant, question.reference.repository(), digest);
            return self.verdict(question, key, None).await;
        }
        match self.resolve_shared(&question.tenant, &question.reference, question.deadline).await {
            Err(error) => Answer::without_subject(question, store_decision(&error)),
            Ok(descriptor) => {
                let key = VerdictKey::new(&question.tenant, question.reference.repository(), &descriptor.digest);
                match self.verdicts.fresh(&key, question.now) {
                    Some(answer) => answer,
                    None => self.verdict(question, key, Some(descriptor)).await,
                }
            }
        }
    }

    async fn resolve_shared(
        self: &Arc<Self>,
        tenant: &Tenant,
        reference: &Reference,
        deadline: Deadline,
    ) -> Result<Descriptor, StoreError> {
        let (store, wanted) = (self.parts.store.clone(), reference.clone());
        let flight = async move { store.resolve(&wanted, deadline).await };
        let key = (tenant.clone(), reference.clone());
        match self.resolutions.join(key, &self.parts.runtime, flight).await {
            Landed::Safely(outcome) => outcome,
            Landed::Crashed => Err(StoreError::Internal { what: reference.to_string() }),
        }
    }

    /// One flight per tenant, repository and digest. It is a task of this executor: it ends at its own deadline, not with
    /// its client, so that a slow registry is got through and the next question is answered from the cache.
    async fn verdict(self: &Arc<Self>, question: &Question, key: VerdictKey, known: Option<Descriptor>) -> Answer {
        self.metrics.missed();
        let (this, asked, kept) = (Arc::clone(self), question.clone(), key.clone());
        let deadline = question.deadline + self.parts.limits.finish;
        let flight = async move {
            let _under_way = this.metrics.flight();
            let start = Instant::now();
            let answer = this.find_out(&asked, kept, known, deadline).await;
            this.metrics.landed(&answer.verdict.decision, start.elapsed());
            answer
        };
        match self.verifications.join(key, &self.parts.runtime, flight).await {
            Landed::Safely(answer) => answer,
            Landed::Crashed => Answer::undecided(question, Code::Internal, "verification ended without a verdict"),
        }
    }

    /// The flight itself: as soon as there is a place, the verdict, and the cache filled.
    async fn find_out(
        &self,
        asked: &Question,
        kept: VerdictKey,
        known: Option<Descriptor>,
        deadline: Deadline,
    ) -> Answer {
        let waiting = self.metrics.waiting();
        let taken = self.places.take(&asked.tenant, asked.deadline).await;
        drop(waiting);
        let _place = match taken {
            Ok(place) => (place, self.metrics.place()),
            Err(full) => {
                self.metrics.refused(full);
                return Answer::undecided(asked, Code::Overloaded, full.what());
            }
        };
        let (verdict, listed_at) = self.examine(asked, known, deadline).await;
        self.metrics.reported(&verdict.reports, asked.now);
        warn_of_logged(verdict.subject.as_ref(), &verdict.reports);
        let answer = Answer::of(asked, verdict);
        self.verdicts.keep(kept, &answer, asked.now, listed_at);
        answer
    }
}

/// Says each failed check that a trust policy only logs: once a verification, not for each answer from the cache.
fn warn_of_logged(subject: Option<&Subject>, reports: &[VerifierReport]) {
    for nested in below(reports) {
        warn_of_logged(Some(&nested.subject), &nested.evidence.reports);
    }
    let subject = subject.map(ToString::to_string).unwrap_or_default();
    for report in reports {
        let Word::Yes(verified) = &report.word else { continue };
        for failed in verified.logged() {
            let (check, code) = (failed.check().as_str(), failed.code().as_str());
            let reason = reason::printable(failed.reason(), reason::MAX_OUTSIDE_TEXT_BYTES);
            tracing::warn!(target: "countersign", subject, verifier = &*report.verifier, check, code, reason, "a check failed and is only logged");
        }
    }
}

/// A store's error as a decision about a key: a definite no is a no, everything else leaves the question open.
fn store_decision(error: &StoreError) -> Decision {
    let reason = store_reason(error);
    match reason.code.class() {
        Class::No => Decision::Deny(reason),
        Class::Broken | Class::Undecided | Class::Yes => Decision::Undecided(reason),
    }
}

fn store_reason(error: &StoreError) -> Reason {
    Reason::new(error.code(), reason::chain(error))
}

#[cfg(test)]
mod tests;
