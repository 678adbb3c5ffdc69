//! Evidence about evidence: what is attached to an artifact is looked at as what is attached to the image, one level deeper.
//!
//! ```text
//! image ◄── SBOM ◄── signature      a policy that wants `{ evidence: sbom, signedBy: notary }`: `notary` is asked about the
//!   level 0   level 1               SBOM as if it were an image, before `sbom` is asked about it
//! ```
//!
//! Nothing goes round in a circle, as each level names the digest of the one above. How deep and how wide it may be is bounded all
//! the same (REG-26), by shares that do not depend on what comes first.

use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Executor, examine::on_subject, limits::MAX_NESTED_ARTIFACTS};
use crate::{
    oci::{Artifact, Descriptor, Digest, Repository, Subject},
    policy::{Evidence, Wanted},
    reason::Code,
    report::{About, Nested, VerifierReport, Word},
    store::Deadline,
    verifier::{Check, Coverage, Endorsement, Rejection, Until, Verifier, VerifyError},
};

/// What is looked at: the image, or an artifact that must be signed itself.
#[derive(Debug)]
pub(super) struct Level<'a> {
    pub(super) subject: &'a Subject,
    pub(super) wanted: &'a Wanted,
    pub(super) now: OffsetDateTime,
    pub(super) deadline: Deadline,
    /// Most artifacts that one verifier looks at here, beside its own limit.
    share: usize,
    /// Most artifacts that are looked at below these, on all levels together.
    beneath: usize,
    /// How many levels may lie below.
    depth: usize,
}

impl<'a> Level<'a> {
    pub(super) const fn of_image(
        subject: &'a Subject,
        wanted: &'a Wanted,
        depth: usize,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Self {
        Self { subject, wanted, now, deadline, share: usize::MAX, beneath: MAX_NESTED_ARTIFACTS, depth }
    }

    /// Most artifacts that `verifier` looks at here.
    pub(super) fn attempts(&self, verifier: &dyn Verifier) -> usize {
        verifier.max_attempts().min(self.share)
    }

    /// Why nothing verifies though more is there than `verifier` may look at.
    pub(super) fn exhausted(&self, verifier: &dyn Verifier) -> Rejection {
        let limit = self.attempts(verifier);
        let bound = if limit < verifier.max_attempts() {
            format!("{MAX_NESTED_ARTIFACTS} are looked at below what is attached to an image")
        } else {
            format!("maxSignatureAttempts is {limit}")
        };
        let reason = format!("none of the first {limit} signatures verifies; {bound}");
        Rejection::new(Check::Limits, Code::LimitExceeded, reason)
    }

    /// The level of one of `parents` artifacts here. Each has an equal share: what is attached to one takes nothing from another.
    fn below<'b>(&self, subject: &'b Subject, wanted: &'b Wanted, parents: usize) -> Level<'b> {
        let all = self.beneath.checked_div(parents).unwrap_or(0);
        let beneath = if wanted.below.is_empty() { 0 } else { all / 2 };
        let share = all.saturating_sub(beneath).checked_div(wanted.verifiers.len()).unwrap_or(0);
        let depth = self.depth.saturating_sub(1);
        Level { subject, wanted, now: self.now, deadline: self.deadline, share, beneath, depth }
    }
}

impl Executor {
    /// What the verifiers that `wanted` names say of what is attached to `subject`, one of `parents` artifacts of the level
    /// `above`; and when that was listed.
    pub(super) fn below<'a>(
        &'a self,
        above: &'a Level<'_>,
        subject: Subject,
        wanted: &'a Wanted,
        parents: usize,
    ) -> BoxFuture<'a, (Nested, Option<Instant>)> {
        Box::pin(async move {
            let level = above.below(&subject, wanted, parents);
            let refusal = match (above.depth, level.share) {
                (0, _) => Some("limits.nestedDepth levels of evidence on evidence were looked at already".to_owned()),
                (_, 0) => Some(format!("{MAX_NESTED_ARTIFACTS} are too few for all that must be signed itself")),
                _ => None,
            };
            let (evidence, listed_at) = if let Some(reason) = refusal {
                (self.refuse_all(wanted, &reason), None)
            } else {
                let (panel, lookups) = self.panel(subject.repository(), wanted);
                let lookups = self.list(lookups, subject.digest(), level.deadline).await;
                self.gather(&level, panel, &lookups).await
            };
            (Nested { subject, evidence }, listed_at)
        })
    }

    /// Nothing is looked at, so nothing is proven absent.
    fn refuse_all(&self, wanted: &Wanted, reason: &str) -> Evidence {
        let all = self.parts.verifiers.iter().filter(|verifier| wanted.verifiers.contains(verifier.name()));
        let refused = |verifier| {
            let rejection = Rejection::new(Check::Limits, Code::LimitExceeded, reason);
            on_subject(verifier, Word::Not(rejection.into()))
        };
        Evidence { reports: all.map(refused).collect(), coverage: Coverage::Cut }
    }
}

/// An artifact as what others are attached to: by what was hashed, without what only a list says of it.
pub(super) fn subject_of(artifact: &Artifact, home: &Repository) -> Subject {
    let Descriptor { media_type, digest, size, artifact_type: _, annotations: _ } = artifact.descriptor().clone();
    let descriptor = Descriptor { media_type, digest, size, artifact_type: None, annotations: [].into() };
    Subject::new(home.clone(), descriptor)
}

/// What a verifier is told of what was found.
pub(super) fn endorsements(nested: &Nested) -> Vec<Endorsement> {
    let endorsement = |report: &VerifierReport| {
        let outcome = match &report.word {
            Word::Yes(verified) => Ok(verified.as_ref().clone()),
            Word::Not(error) => Err(VerifyError::clone(error)),
            Word::Waived(_) => return None,
        };
        let artifact_type = report.about.as_ref().map(|about| about.artifact_type.clone()).unwrap_or_default();
        let artifact = report.about.as_ref().and_then(|about: &About| Digest::parse(&about.digest).ok());
        Some(Endorsement { verifier: report.verifier.clone(), kind: report.kind, artifact, artifact_type, outcome })
    };
    nested.evidence.reports.iter().filter_map(endorsement).collect()
}

/// Until when all that was found is true: who was told of it may have relied on any of it.
pub(super) fn soonest_end(nested: &Nested) -> Until {
    let until = |report: &VerifierReport| match &report.word {
        Word::Yes(verified) => verified.valid_until(),
        Word::Not(_) | Word::Waived(_) => None,
    };
    nested.evidence.reports.iter().filter_map(until).min()
}
