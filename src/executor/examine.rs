//! List, examine, weigh, decide: the inside of one flight.

use std::{collections::HashSet, sync::Arc};

use futures_util::{
    StreamExt as _,
    future::{join, join_all},
    stream,
};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use super::{Executor, Question, store_decision};
use crate::{
    oci::{
        Artifact, Completeness, Content, Descriptor, Digest, Discovery, Listing, Reference, Referrer, Repository,
        Subject,
    },
    policy::Evidence,
    reason::Code,
    report::{About, Verdict, VerifierReport, Word},
    store::{Deadline, StoreError},
    verifier::{Check, Coverage, Rejection, Rest, Source, Undecided, Verifier, VerifyError, VerifyRequest},
};

/// The verifiers that matter for a repository, and what is known of each before any evidence is looked for.
#[derive(Debug, Default)]
struct Panel {
    /// Those that will look at artifacts, each with the lookups that it needs, as indexes into `lookups`.
    able: Vec<(Arc<dyn Verifier>, Vec<usize>)>,
    /// Where to look, each way once: two verifiers that look at the same place share what is found.
    lookups: Vec<Source>,
    /// Words that need no artifact: waived, or no trust policy for this repository.
    settled: Vec<VerifierReport>,
}

/// A way of finding referrers, and what was found.
struct Lookup {
    source: Source,
    listing: Result<Listing, StoreError>,
}

/// What one referrer is looked at by.
struct Exhibit<'a> {
    home: &'a Repository,
    referrer: &'a Referrer,
    /// Its manifest, where listing it was reading it.
    read: Option<&'a Content>,
    verifiers: Vec<Arc<dyn Verifier>>,
}

impl Panel {
    fn add(&mut self, verifier: &Arc<dyn Verifier>, repository: &Repository) {
        let Source { repository, ways } = verifier.source(repository);
        let lone = |ways| Source { repository: repository.clone(), ways };
        let tags = ways.cosign_tags.iter().map(|tag| Discovery { referrers: false, cosign_tags: [tag.clone()].into() });
        let mut mine = Vec::new();
        for source in ways.referrers.then_some(Discovery::REFERRERS).into_iter().chain(tags).map(lone) {
            let at = self.lookups.iter().position(|known| *known == source).unwrap_or_else(|| {
                self.lookups.push(source);
                self.lookups.len().saturating_sub(1)
            });
            mine.push(at);
        }
        self.able.push((Arc::clone(verifier), mine));
    }
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
        let mut panel = self.panel(repository);
        let lookups = std::mem::take(&mut panel.lookups);
        let (resolved, lookups) = self.resolve_and_list(&asked.reference, known, lookups, deadline).await;
        let policy = self.parts.policy.describe(repository);
        let subject = match resolved {
            Ok(descriptor) => Subject::new(repository.clone(), descriptor),
            Err(error) => {
                let decision = store_decision(&error);
                return (Verdict { subject: None, decision, policy, reports: panel.settled }, Instant::now());
            }
        };
        let listed = lookups.iter().filter_map(|lookup| Some(lookup.listing.as_ref().ok()?.listed_at));
        let listed_at = listed.min().unwrap_or_else(Instant::now);
        let evidence = self.gather(asked, &subject, panel, &lookups, deadline).await;
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
                (None, Ok(())) => panel.add(verifier, repository),
            }
        }
        panel
    }

    /// The lists need only the digest: for a reference by digest all runs side by side.
    async fn resolve_and_list(
        &self,
        reference: &Reference,
        known: Option<Descriptor>,
        lookups: Vec<Source>,
        deadline: Deadline,
    ) -> (Result<Descriptor, StoreError>, Vec<Lookup>) {
        let store = &self.parts.store;
        match (known, reference.digest()) {
            (Some(descriptor), _) => {
                let listed = self.list(lookups, &descriptor.digest, deadline).await;
                (Ok(descriptor), listed)
            }
            (None, Some(digest)) => {
                join(store.resolve(reference, deadline), self.list(lookups, digest, deadline)).await
            }
            (None, None) => match store.resolve(reference, deadline).await {
                Ok(descriptor) => {
                    let listed = self.list(lookups, &descriptor.digest, deadline).await;
                    (Ok(descriptor), listed)
                }
                Err(error) => (Err(error), Vec::new()),
            },
        }
    }

    /// All ways side by side; one that fails leaves the others be.
    async fn list(&self, lookups: Vec<Source>, subject: &Digest, deadline: Deadline) -> Vec<Lookup> {
        let list = async |source: Source| {
            let store = &self.parts.store;
            let listing = store.referrers(&source.repository, subject, source.ways.clone(), deadline).await;
            Lookup { source, listing }
        };
        join_all(lookups.into_iter().map(list)).await
    }

    async fn gather(
        &self,
        asked: &Question,
        subject: &Subject,
        panel: Panel,
        lookups: &[Lookup],
        deadline: Deadline,
    ) -> Evidence {
        let Panel { able, settled: mut reports, lookups: _ } = panel;
        for (verifier, mine) in &able {
            // An error is never an empty list: the verifier's question stays open, or is a no if the error is one.
            for error in mine.iter().filter_map(|at| lookups.get(*at)?.listing.as_ref().err()) {
                let word = Word::Not(VerifyError::from_store(Check::Content, error));
                reports.push(on_subject(verifier, word));
            }
        }
        let mut looks = Vec::new();
        for exhibit in assign(lookups, &able) {
            looks.push(self.look(asked, subject, exhibit, deadline));
        }
        let looked: Vec<Vec<VerifierReport>> =
            stream::iter(looks).buffered(self.parts.limits.artifacts_at_once).collect().await;
        reports.extend(looked.into_iter().flatten());
        let mut coverage = Coverage::Whole;
        for (verifier, mine) in &able {
            let cut = is_cut(mine, lookups);
            if cut {
                coverage = Coverage::Cut;
            }
            weigh(verifier, &mut reports, cut, asked.now);
            reports.extend(missing(verifier, &reports, cut));
        }
        Evidence { reports, coverage }
    }

    /// One referrer: its manifest, bound to the subject, then every able verifier under the deadline.
    async fn look(
        &self,
        asked: &Question,
        subject: &Subject,
        exhibit: Exhibit<'_>,
        deadline: Deadline,
    ) -> Vec<VerifierReport> {
        let artifact = match self.read(subject, &exhibit, deadline).await {
            Ok(artifact) => artifact,
            Err(error) => {
                let report = |verifier: &Arc<dyn Verifier>| VerifierReport {
                    about: Some(About::from(exhibit.referrer)),
                    ..on_subject(verifier, Word::Not(error.clone()))
                };
                return exhibit.verifiers.iter().map(report).collect();
            }
        };
        let store = &*self.parts.store;
        let request = VerifyRequest::new(subject, &artifact, exhibit.home, asked.now, store, deadline);
        let mut reports = Vec::with_capacity(exhibit.verifiers.len());
        for verifier in &exhibit.verifiers {
            let report = |layer: Option<Digest>, envelope: Option<Digest>, word| VerifierReport {
                about: Some(About {
                    layer: layer.map(|digest| digest.to_string()),
                    envelope: envelope.map(|digest| digest.to_string()),
                    ..About::from(&artifact)
                }),
                ..on_subject(verifier, word)
            };
            match timeout_at(deadline, verifier.verify(&request)).await {
                Ok(Ok(items)) => reports.extend(items.into_iter().map(|item| {
                    let word = item.outcome.map_or_else(Word::Not, |verified| Word::Yes(Box::new(verified)));
                    report(item.layer, item.envelope, word)
                })),
                Ok(Err(error)) => reports.push(report(None, None, Word::Not(error))),
                Err(_) => {
                    let late = Undecided::new(Code::Timeout, "the verifier did not end before the deadline");
                    reports.push(report(None, None, Word::Not(VerifyError::Undecided(late))));
                }
            }
        }
        reports
    }

    async fn read(
        &self,
        subject: &Subject,
        exhibit: &Exhibit<'_>,
        deadline: Deadline,
    ) -> Result<Artifact, VerifyError> {
        let fetched;
        let content = if let Some(content) = exhibit.read {
            content
        } else {
            let fetch = self.parts.store.manifest(exhibit.home, &exhibit.referrer.descriptor, deadline);
            fetched = fetch.await.map_err(|error| VerifyError::from_store(Check::Content, &error))?;
            &fetched
        };
        Artifact::read(subject, exhibit.referrer, content)
            .map_err(|error| Rejection::because(Check::Content, error.code(), &error).into())
    }
}

/// Which verifiers look at which referrers: in listing order, each at most its own number of attempts. The same manifest
/// listed twice is looked at once (ENV-65).
fn assign<'a>(lookups: &'a [Lookup], able: &[(Arc<dyn Verifier>, Vec<usize>)]) -> Vec<Exhibit<'a>> {
    let mut attempts = vec![0_usize; able.len()];
    let mut seen = HashSet::new();
    let mut exhibits = Vec::new();
    for (at, Lookup { source, listing }) in lookups.iter().enumerate() {
        let Ok(listing) = listing else { continue };
        for referrer in &listing.referrers {
            let digest = &referrer.descriptor.digest;
            if !seen.insert((&source.repository, digest, &source.ways.cosign_tags)) {
                continue;
            }
            let mut verifiers = Vec::new();
            for ((verifier, mine), tried) in able.iter().zip(&mut attempts) {
                let wanted = mine.contains(&at) && verifier.can_verify(referrer);
                if wanted && *tried < verifier.max_attempts() {
                    *tried = tried.saturating_add(1);
                    verifiers.push(Arc::clone(verifier));
                }
            }
            if !verifiers.is_empty() {
                let read = listing.manifests.iter().find(|content| content.descriptor().digest == *digest);
                exhibits.push(Exhibit { home: &source.repository, referrer, read, verifiers });
            }
        }
    }
    exhibits
}

/// Whether a list of this verifier was cut at a bound.
fn is_cut(mine: &[usize], lookups: &[Lookup]) -> bool {
    let listings = mine.iter().filter_map(|at| lookups.get(*at)?.listing.as_ref().ok());
    listings.into_iter().any(|listing| listing.completeness == Completeness::Cut)
}

/// Lets a verifier weigh what it verified; it can only take a yes away or shorten it.
fn weigh(verifier: &Arc<dyn Verifier>, reports: &mut [VerifierReport], cut: bool, now: OffsetDateTime) {
    let mine = || reports.iter().filter(|report| report.verifier == *verifier.name());
    let refused = || {
        mine().filter_map(|report| match &report.word {
            Word::Not(error) => Some(error),
            Word::Waived(_) | Word::Yes(_) => None,
        })
    };
    let open = refused().find_map(|error| match error {
        VerifyError::Undecided(undecided) => Some(undecided.clone()),
        VerifyError::Rejected(_) => None,
    });
    let beyond = cut
        || artifacts(mine()) >= verifier.max_attempts()
        || refused().any(|error| error.code() == Code::LimitExceeded);
    let rest = match open {
        _ if beyond => Rest::Cut,
        Some(undecided) => Rest::Open(undecided),
        None => Rest::None,
    };
    let yes: Vec<_> = mine()
        .filter_map(|report| match &report.word {
            Word::Yes(proof) => Some(&**proof),
            Word::Not(_) | Word::Waived(_) => None,
        })
        .collect();
    let mut weighed = verifier.weigh(&yes, &rest, now).into_iter();
    for report in reports.iter_mut().filter(|report| report.verifier == *verifier.name()) {
        if let Word::Yes(proof) = &mut report.word {
            let unweighed =
                || Err(Rejection::new(Check::Policy, Code::Internal, "the verifier did not weigh it").into());
            match weighed.next().unwrap_or_else(unweighed) {
                Ok(until) => proof.shorten(until),
                Err(error) => report.word = Word::Not(error),
            }
        }
    }
}

/// How many artifacts the reports are about.
fn artifacts<'a>(reports: impl Iterator<Item = &'a VerifierReport>) -> usize {
    reports.filter_map(|report| Some(&report.about.as_ref()?.digest)).collect::<HashSet<_>>().len()
}

/// What is to be said of a verifier beyond its words on artifacts: nothing was there, or the limit bit before a yes.
fn missing(verifier: &Arc<dyn Verifier>, reports: &[VerifierReport], cut: bool) -> Option<VerifierReport> {
    let mine = || reports.iter().filter(|report| report.verifier == *verifier.name());
    let looked = || mine().filter(|report| report.about.is_some());
    if looked().any(|report| matches!(report.word, Word::Yes(_))) {
        return None;
    }
    let limit = verifier.max_attempts();
    let rejection = if cut {
        Rejection::new(Check::Limits, Code::LimitExceeded, "the list of referrers exceeds its limit and was cut")
    } else if artifacts(mine()) >= limit {
        let reason = format!("none of the first {limit} signatures verifies; maxSignatureAttempts is {limit}");
        Rejection::new(Check::Limits, Code::LimitExceeded, reason)
    } else if mine().next().is_none() {
        verifier.missing()
    } else {
        return None;
    };
    Some(on_subject(verifier, Word::Not(rejection.into())))
}

fn on_subject(verifier: &Arc<dyn Verifier>, word: Word) -> VerifierReport {
    VerifierReport { verifier: Arc::clone(verifier.name()), kind: verifier.kind(), about: None, word }
}
