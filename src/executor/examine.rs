//! List, examine, weigh, decide: the inside of one flight.

use std::{collections::HashSet, iter, sync::Arc};

use futures_util::{
    StreamExt as _,
    future::{join, join_all},
    stream,
};
use tokio::time::{Instant, timeout_at};

use super::{
    Executor, Question,
    nested::{Level, endorsements, soonest_end, subject_of},
    store_decision,
};
use crate::{
    oci::{
        Artifact, Completeness, Content, Descriptor, Digest, Discovery, Listing, Reference, Referrer, Repository,
        Subject,
    },
    policy::{Evidence, Wanted},
    reason::Code,
    report::{About, Nested, Verdict, VerifierReport, Word},
    store::{Deadline, StoreError},
    verifier::{Check, Coverage, Item, Rejection, Rest, Source, Undecided, Verifier, VerifyError, VerifyRequest},
};

/// The verifiers that matter for a repository, and what is known of each before any evidence is looked for.
#[derive(Debug, Default)]
pub(super) struct Panel {
    /// Those that will look at artifacts, each with the lookups that it needs, as indexes into all.
    able: Vec<(Arc<dyn Verifier>, Vec<usize>)>,
    /// Words that need no artifact: waived, or no trust policy for this repository.
    settled: Vec<VerifierReport>,
}

/// A way of finding referrers, and what was found.
pub(super) struct Lookup {
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
    /// `lookups`: where to look, each way once: two verifiers that look at the same place share what is found.
    fn add(&mut self, verifier: &Arc<dyn Verifier>, repository: &Repository, lookups: &mut Vec<Source>) {
        let Source { repository, ways } = verifier.source(repository);
        let lone = |ways| Source { repository: repository.clone(), ways };
        let tags = ways.cosign_tags.iter().map(|tag| Discovery { referrers: false, cosign_tags: [tag.clone()].into() });
        let mut mine = Vec::new();
        for source in ways.referrers.then_some(Discovery::REFERRERS).into_iter().chain(tags).map(lone) {
            let at = lookups.iter().position(|known| *known == source).unwrap_or_else(|| {
                lookups.push(source);
                lookups.len().saturating_sub(1)
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
        let wanted = self.parts.policy.wanted(repository).unwrap_or_default();
        let (panel, lookups) = self.panel(repository, &wanted);
        let (resolved, lookups) = self.resolve_and_list(&asked.reference, known, lookups, deadline).await;
        let policy = self.parts.policy.describe(repository);
        let subject = match resolved {
            Ok(descriptor) => Subject::new(repository.clone(), descriptor),
            Err(error) => {
                let decision = store_decision(&error);
                return (Verdict { subject: None, decision, policy, reports: panel.settled }, Instant::now());
            }
        };
        let level = Level::of_image(&subject, &wanted, self.parts.limits.nested_depth, asked.now, deadline);
        let (evidence, listed_at) = self.gather(&level, panel, &lookups).await;
        let decision = self.parts.policy.decide(&subject, &evidence);
        let verdict = Verdict { subject: Some(subject), decision, policy, reports: evidence.reports };
        (verdict, listed_at.unwrap_or_else(Instant::now))
    }

    /// Who is asked about what is attached to something in `repository`, and where that is looked for.
    pub(super) fn panel(&self, repository: &Repository, wanted: &Wanted) -> (Panel, Vec<Source>) {
        let (mut panel, mut lookups) = (Panel::default(), Vec::new());
        for verifier in self.parts.verifiers.iter().filter(|verifier| wanted.verifiers.contains(verifier.name())) {
            match (verifier.waives(repository), verifier.covers(repository)) {
                (Some(waiver), _) => panel.settled.push(on_subject(verifier, Word::Waived(waiver))),
                (None, Err(rejection)) => panel.settled.push(on_subject(verifier, Word::Not(rejection.into()))),
                (None, Ok(())) => panel.add(verifier, repository, &mut lookups),
            }
        }
        (panel, lookups)
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
    pub(super) async fn list(&self, lookups: Vec<Source>, subject: &Digest, deadline: Deadline) -> Vec<Lookup> {
        let list = async |source: Source| {
            let store = &self.parts.store;
            let listing = store.referrers(&source.repository, subject, source.ways.clone(), deadline).await;
            Lookup { source, listing }
        };
        join_all(lookups.into_iter().map(list)).await
    }

    /// What the panel says of all that was found, on this level and below; and when the oldest of the lists was made.
    pub(super) async fn gather(
        &self,
        level: &Level<'_>,
        panel: Panel,
        lookups: &[Lookup],
    ) -> (Evidence, Option<Instant>) {
        let Panel { able, settled: mut reports } = panel;
        for (verifier, mine) in &able {
            // An error is never an empty list: the verifier's question stays open, or is a no if the error is one.
            for error in mine.iter().filter_map(|at| lookups.get(*at)?.listing.as_ref().err()) {
                let word = Word::Not(VerifyError::from_store(Check::Content, error));
                reports.push(on_subject(verifier, word));
            }
        }
        let exhibits = assign(level, lookups, &able);
        let asked = exhibits.iter().flat_map(|exhibit| &exhibit.verifiers);
        let parents = asked.filter(|verifier| level.wanted.below(verifier.name()).is_some()).count();
        let mut looks = Vec::new();
        for exhibit in exhibits {
            looks.push(self.look(level, exhibit, parents));
        }
        let looked: Vec<(Vec<VerifierReport>, Option<Instant>)> =
            stream::iter(looks).buffered(self.parts.limits.artifacts_at_once).collect().await;
        let mut listed_at = lookups.iter().filter_map(|lookup| Some(lookup.listing.as_ref().ok()?.listed_at)).min();
        for (said, below_at) in looked {
            reports.extend(said);
            listed_at = listed_at.into_iter().chain(below_at).min();
        }
        let mut coverage = Coverage::Whole;
        for (verifier, mine) in &able {
            let cut = is_cut(mine, lookups);
            if cut {
                coverage = Coverage::Cut;
            }
            weigh(level, verifier, &mut reports, cut);
            reports.extend(missing(level, verifier, &reports, cut));
        }
        (Evidence { reports, coverage }, listed_at)
    }

    /// One referrer: its manifest, bound to the subject, then every able verifier under the deadline, with what is attached to the
    /// artifact itself where a policy asks for that. `parents`: how many artifacts of this level are looked below.
    async fn look(
        &self,
        level: &Level<'_>,
        exhibit: Exhibit<'_>,
        parents: usize,
    ) -> (Vec<VerifierReport>, Option<Instant>) {
        let artifact = match self.read(level, &exhibit).await {
            Ok(artifact) => artifact,
            Err(error) => {
                let report = |verifier: &Arc<dyn Verifier>| VerifierReport {
                    about: Some(About::from(exhibit.referrer)),
                    ..on_subject(verifier, Word::Not(error.clone()))
                };
                return (exhibit.verifiers.iter().map(report).collect(), None);
            }
        };
        let store = &*self.parts.store;
        let (mut reports, mut listed_at) = (Vec::with_capacity(exhibit.verifiers.len()), None);
        for verifier in &exhibit.verifiers {
            let mut nested = None;
            if let Some(wanted) = level.wanted.below(verifier.name()) {
                let (found, below_at) = self.below(level, subject_of(&artifact, exhibit.home), wanted, parents).await;
                listed_at = listed_at.into_iter().chain(below_at).min();
                nested = Some(Arc::new(found));
            }
            let endorsements = nested.as_deref().map(endorsements).unwrap_or_default();
            let request = VerifyRequest::new(level.subject, &artifact, exhibit.home, level.now, store, level.deadline)
                .with_nested(&endorsements);
            let outcome = timeout_at(level.deadline, verifier.verify(&request)).await.unwrap_or_else(|_| {
                Err(Undecided::new(Code::Timeout, "the verifier did not end before the deadline").into())
            });
            reports.extend(said(verifier, &artifact, outcome, nested.as_ref()));
        }
        (reports, listed_at)
    }

    async fn read(&self, level: &Level<'_>, exhibit: &Exhibit<'_>) -> Result<Artifact, VerifyError> {
        let fetched;
        let content = if let Some(content) = exhibit.read {
            content
        } else {
            let fetch = self.parts.store.manifest(exhibit.home, &exhibit.referrer.descriptor, level.deadline);
            fetched = fetch.await.map_err(|error| VerifyError::from_store(Check::Content, &error))?;
            &fetched
        };
        Artifact::read(level.subject, exhibit.referrer, content)
            .map_err(|error| Rejection::because(Check::Content, error.code(), &error).into())
    }
}

/// Which verifiers look at which referrers: in listing order, each at most its own number of attempts. The same manifest
/// listed twice is looked at once (ENV-65).
fn assign<'a>(level: &Level<'_>, lookups: &'a [Lookup], able: &[(Arc<dyn Verifier>, Vec<usize>)]) -> Vec<Exhibit<'a>> {
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
                if wanted && *tried < level.attempts(&**verifier) {
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
fn weigh(level: &Level<'_>, verifier: &Arc<dyn Verifier>, reports: &mut [VerifierReport], cut: bool) {
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
        || artifacts(mine()) >= level.attempts(&**verifier)
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
    let mut weighed = verifier.weigh(&yes, &rest, level.now).into_iter();
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
fn missing(
    level: &Level<'_>,
    verifier: &Arc<dyn Verifier>,
    reports: &[VerifierReport],
    cut: bool,
) -> Option<VerifierReport> {
    let mine = || reports.iter().filter(|report| report.verifier == *verifier.name());
    let looked = || mine().filter(|report| report.about.is_some());
    if looked().any(|report| matches!(report.word, Word::Yes(_))) {
        return None;
    }
    let rejection = if cut {
        Rejection::new(Check::Limits, Code::LimitExceeded, "the list of referrers exceeds its limit and was cut")
    } else if artifacts(mine()) >= level.attempts(&**verifier) {
        level.exhausted(&**verifier)
    } else if mine().next().is_none() {
        verifier.missing()
    } else {
        return None;
    };
    Some(on_subject(verifier, Word::Not(rejection.into())))
}

/// What a verifier says of an artifact: a word on each of its items, or one on the whole.
fn said(
    verifier: &Arc<dyn Verifier>,
    artifact: &Artifact,
    outcome: Result<Vec<Item>, VerifyError>,
    nested: Option<&Arc<Nested>>,
) -> Vec<VerifierReport> {
    let until = nested.and_then(|nested| soonest_end(nested));
    let items = outcome.unwrap_or_else(|error| iter::once(Item::only(Err(error))).collect());
    let report = |Item { layer, envelope, outcome }: Item| {
        let word = match outcome {
            Ok(mut proof) => {
                proof.shorten(until);
                Word::Yes(Box::new(proof))
            }
            Err(error) => Word::Not(error),
        };
        let about = About {
            layer: layer.map(|digest| digest.to_string()),
            envelope: envelope.map(|digest| digest.to_string()),
            ..About::from(artifact)
        };
        VerifierReport { about: Some(about), nested: nested.cloned(), ..on_subject(verifier, word) }
    };
    items.into_iter().map(report).collect()
}

pub(super) fn on_subject(verifier: &Arc<dyn Verifier>, word: Word) -> VerifierReport {
    VerifierReport { verifier: Arc::clone(verifier.name()), kind: verifier.kind(), about: None, word, nested: None }
}
