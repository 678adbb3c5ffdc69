//! List, examine, decide: the inside of one flight.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{Executor, Question, store_decision};
use crate::{
    oci::{Artifact, Completeness, Descriptor, Discovery, Listing, Reference, Referrer, Repository, Subject},
    policy::{Coverage, Evidence},
    reason::Code,
    report::{About, Verdict, VerifierReport, Word},
    store::{Deadline, StoreError},
    verifier::{Check, Rejection, Undecided, Verifier, VerifyError, VerifyRequest},
};

/// The verifiers that matter for a repository, and what is known of each before any evidence is looked for.
#[derive(Debug, Default)]
struct Panel {
    /// Those that will look at artifacts.
    able: Vec<Arc<dyn Verifier>>,
    /// Words that need no artifact: waived, or no trust policy for this repository.
    settled: Vec<VerifierReport>,
}

/// What one referrer is looked at by.
struct Exhibit {
    referrer: Referrer,
    verifiers: Vec<Arc<dyn Verifier>>,
}

impl Executor {
    /// Examines what `asked` names. `known`: the descriptor, where the reference (a tag) has been resolved already.
    pub(super) async fn examine(
        &self,
        asked: &Question,
        known: Option<Descriptor>,
        deadline: Deadline,
    ) -> (Verdict, Instant) {
        let repository = asked.reference.repository();
        let panel = self.panel(repository);
        let (resolved, listed) = self.resolve_and_list(&asked.reference, known, !panel.able.is_empty(), deadline).await;
        let policy = self.parts.policy.describe(repository);
        let subject = match resolved {
            Ok(descriptor) => Subject::new(repository.clone(), descriptor),
            Err(error) => {
                let decision = store_decision(&error);
                return (Verdict { subject: None, decision, policy, reports: panel.settled }, Instant::now());
            }
        };
        let listed_at = listed.as_ref().map_or_else(|_| Instant::now(), |listing| listing.listed_at);
        let evidence = self.gather(asked, &subject, panel, listed, deadline).await;
        let decision = self.parts.policy.decide(&subject, &evidence);
        (Verdict { subject: Some(subject), decision, policy, reports: evidence.reports }, listed_at)
    }

    fn panel(&self, repository: &Repository) -> Panel {
        let names = self.parts.policy.verifiers(repository).unwrap_or_default();
        let mut panel = Panel::default();
        for verifier in self.parts.verifiers.iter().filter(|verifier| names.contains(verifier.name())) {
            match (verifier.waives(repository), verifier.covers(repository)) {
                (Some(waiver), _) => panel.settled.push(on_subject(verifier, Word::Waived(waiver))),
                (None, Err(rejection)) => panel.settled.push(on_subject(verifier, Word::Not(rejection.into()))),
                (None, Ok(())) => panel.able.push(Arc::clone(verifier)),
            }
        }
        panel
    }

    /// The listing needs only the digest: for a reference by digest both run side by side.
    async fn resolve_and_list(
        &self,
        reference: &Reference,
        known: Option<Descriptor>,
        wanted: bool,
        deadline: Deadline,
    ) -> (Result<Descriptor, StoreError>, Result<Listing, StoreError>) {
        let store = &self.parts.store;
        let list = async |digest| {
            if !wanted {
                return Ok(Listing::whole(Vec::new()));
            }
            store.referrers(reference.repository(), digest, Discovery::REFERRERS, deadline).await
        };
        match (known, reference.digest()) {
            (Some(descriptor), _) => {
                let listed = list(&descriptor.digest).await;
                (Ok(descriptor), listed)
            }
            (None, Some(digest)) => tokio::join!(store.resolve(reference, deadline), list(digest)),
            (None, None) => match store.resolve(reference, deadline).await {
                Ok(descriptor) => {
                    let listed = list(&descriptor.digest).await;
                    (Ok(descriptor), listed)
                }
                Err(error) => (Err(error), Ok(Listing::whole(Vec::new()))),
            },
        }
    }

    async fn gather(
        &self,
        asked: &Question,
        subject: &Subject,
        panel: Panel,
        listed: Result<Listing, StoreError>,
        deadline: Deadline,
    ) -> Evidence {
        let Panel { able, settled: mut reports } = panel;
        let listing = match listed {
            Ok(listing) => listing,
            Err(error) => {
                // An error is never an empty list: each verifier's question stays open, or is a no if the error is one.
                let word = |_: &Arc<dyn Verifier>| Word::Not(VerifyError::from_store(Check::Content, &error));
                reports.extend(able.iter().map(|verifier| on_subject(verifier, word(verifier))));
                return Evidence { reports, coverage: Coverage::Whole };
            }
        };
        let mut looks = Vec::new();
        for exhibit in assign(&listing, &able) {
            looks.push(self.look(asked, subject, exhibit, deadline));
        }
        let looked: Vec<Vec<VerifierReport>> =
            stream::iter(looks).buffered(self.parts.limits.artifacts_at_once).collect().await;
        reports.extend(looked.into_iter().flatten());
        for verifier in &able {
            reports.extend(missing(verifier, &reports, &listing));
        }
        let coverage = match listing.completeness {
            Completeness::Cut => Coverage::Cut,
            Completeness::Whole => Coverage::Whole,
        };
        Evidence { reports, coverage }
    }

    /// One referrer: its manifest, bound to the subject, then every able verifier under the deadline.
    async fn look(
        &self,
        asked: &Question,
        subject: &Subject,
        exhibit: Exhibit,
        deadline: Deadline,
    ) -> Vec<VerifierReport> {
        let Exhibit { referrer, verifiers } = exhibit;
        let artifact = match self.read(subject, &referrer, deadline).await {
            Ok(artifact) => artifact,
            Err(error) => {
                let report = |verifier: &Arc<dyn Verifier>| VerifierReport {
                    about: Some(About::from(&referrer)),
                    ..on_subject(verifier, Word::Not(error.clone()))
                };
                return verifiers.iter().map(report).collect();
            }
        };
        let request = VerifyRequest::new(subject, &artifact, asked.now, &*self.parts.store, deadline);
        let mut reports = Vec::with_capacity(verifiers.len());
        for verifier in &verifiers {
            let word = match timeout_at(deadline, verifier.verify(&request)).await {
                Ok(Ok(verified)) => Word::Yes(Box::new(verified)),
                Ok(Err(error)) => Word::Not(error),
                Err(_) => Word::Not(VerifyError::Undecided(Undecided::new(
                    Code::Timeout,
                    "the verifier did not end before the deadline",
                ))),
            };
            reports.push(VerifierReport { about: Some(About::from(&artifact)), ..on_subject(verifier, word) });
        }
        reports
    }

    async fn read(&self, subject: &Subject, referrer: &Referrer, deadline: Deadline) -> Result<Artifact, VerifyError> {
        let fetched = self.parts.store.manifest(subject.repository(), &referrer.descriptor, deadline).await;
        let content = fetched.map_err(|error| VerifyError::from_store(Check::Content, &error))?;
        Artifact::read(subject, referrer, &content)
            .map_err(|error| Rejection::because(Check::Content, error.code(), &error).into())
    }
}

/// Which verifiers look at which referrers: in listing order, each at most its own number of attempts. The same manifest
/// listed twice is looked at once (ENV-65).
fn assign(listing: &Listing, able: &[Arc<dyn Verifier>]) -> Vec<Exhibit> {
    let mut attempts = vec![0_usize; able.len()];
    let mut seen = std::collections::HashSet::new();
    let mut exhibits = Vec::new();
    for referrer in &listing.referrers {
        if !seen.insert(&referrer.descriptor.digest) {
            continue;
        }
        let mut verifiers = Vec::new();
        for (verifier, tried) in able.iter().zip(&mut attempts) {
            if verifier.can_verify(referrer) && *tried < verifier.max_attempts() {
                *tried = tried.saturating_add(1);
                verifiers.push(Arc::clone(verifier));
            }
        }
        if !verifiers.is_empty() {
            exhibits.push(Exhibit { referrer: referrer.clone(), verifiers });
        }
    }
    exhibits
}

/// What is to be said of a verifier beyond its words on artifacts: nothing was there, or the limit bit before a yes.
fn missing(verifier: &Arc<dyn Verifier>, reports: &[VerifierReport], listing: &Listing) -> Option<VerifierReport> {
    let mine = || reports.iter().filter(|report| report.verifier == *verifier.name() && report.about.is_some());
    if mine().any(|report| matches!(report.word, Word::Yes(_))) {
        return None;
    }
    let limit = verifier.max_attempts();
    let rejection = if listing.completeness == Completeness::Cut {
        Rejection::new(Check::Limits, Code::LimitExceeded, "the list of referrers exceeds its limit and was cut")
    } else if mine().count() >= limit {
        let reason = format!("none of the first {limit} signatures verifies; maxSignatureAttempts is {limit}");
        Rejection::new(Check::Limits, Code::LimitExceeded, reason)
    } else if mine().next().is_none() {
        Rejection::new(Check::Content, Code::NoSignature, "no signature associated with the image was found")
    } else {
        return None;
    };
    Some(on_subject(verifier, Word::Not(rejection.into())))
}

fn on_subject(verifier: &Arc<dyn Verifier>, word: Word) -> VerifierReport {
    VerifierReport { verifier: Arc::clone(verifier.name()), kind: verifier.kind(), about: None, word }
}
