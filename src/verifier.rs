//! Verifiers: what an artifact proves.
//!
//! A verifier is a **shell** that fetches what it needs through a [`VerifyRequest`], and a **core** below it that parses
//! and checks, synchronously. It answers with [`Verified`], whose one constructor demands the checks that were made, or
//! with a [`Rejection`] (no) or an [`Undecided`] (could not find out).

use std::{fmt, fmt::Debug, sync::Arc};

use async_trait::async_trait;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{
    oci::{Artifact, Content, Descriptor, Digest, Discovery, Referrer, Repository, Subject},
    reason::Code,
    store::{Deadline, Store, StoreError},
};

pub mod cosign;
pub mod exec;
pub mod notation;
mod refusal;

pub use refusal::{Rejection, Told, Undecided, VerifyError};

/// An operator's name for a verifier; unique in a configuration.
pub type VerifierName = Arc<str>;

/// One way to prove something about a subject from an artifact attached to it.
#[async_trait]
pub trait Verifier: Debug + Send + Sync {
    /// The operator's name, unique.
    fn name(&self) -> &VerifierName;

    /// The configuration's `type`.
    fn kind(&self) -> &'static str;

    /// Whether a listed referrer is one for this verifier. Cheap, no I/O; a claim is enough, the manifest decides later.
    fn can_verify(&self, referrer: &Referrer) -> bool;

    /// Where its artifacts are, for a subject in this repository. Only what could be used is looked for.
    fn source(&self, repository: &Repository) -> Source {
        Source { repository: repository.clone(), ways: Discovery::REFERRERS }
    }

    /// Most referrers, in listing order, that are tried for one subject.
    fn max_attempts(&self) -> usize;

    /// What is said where nothing that could be verified was found.
    fn missing(&self) -> Rejection {
        Rejection::new(Check::Content, Code::NoSignature, "no signature associated with the image was found")
    }

    /// The operator's explicit `skip` for this repository; then no evidence is looked for.
    fn waives(&self, repository: &Repository) -> Option<Waiver>;

    /// Whether the verifier could accept anything in this repository; the reason where it could not. Asked before any I/O.
    fn covers(&self, repository: &Repository) -> Result<(), Rejection>;

    /// The checks that a policy of this verifier may only log.
    fn may_log(&self) -> &'static [Check] {
        &[]
    }

    /// Verifies one artifact: an outcome for each signature or attestation that it carries, in its order. None: it is
    /// nothing of this verifier's.
    ///
    /// # Errors
    /// [`VerifyError`] about the artifact as a whole.
    async fn verify(&self, request: &VerifyRequest<'_>) -> Result<Vec<Item>, VerifyError>;

    /// Weighs what was verified for one subject together, in the order of the reports: for each whether it counts after all,
    /// and until when. It can only take a yes away or shorten it.
    fn weigh(&self, verified: &[&Verified], rest: &Rest, now: OffsetDateTime) -> Vec<Result<Until, VerifyError>> {
        let _ = (rest, now);
        vec![Ok(None); verified.len()]
    }
}

/// Until when something is true; `None`: the evidence names no end.
pub type Until = Option<OffsetDateTime>;

/// Whether there may be more artifacts for a verifier than those that it verified.
#[derive(Debug, Clone)]
pub enum Rest {
    /// A bound cut them: nothing is proven absent.
    Cut,
    /// Nothing: the others are known, and no yes.
    None,
    /// Of at least one nothing could be found out.
    Open(Undecided),
}

/// Where a verifier's artifacts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Usually the subject's own.
    pub repository: Repository,
    /// How they are found.
    pub ways: Discovery,
}

/// How far a list of evidence can be trusted to be all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// A bound cut it: nothing is proven absent.
    Cut,
    /// All that was listed was looked at.
    Whole,
}

/// The outcome of one signature or attestation of an artifact.
#[derive(Debug, Clone)]
pub struct Item {
    /// The layer's digest, where an artifact may have several.
    pub layer: Option<Digest>,
    /// What names the signature itself, where the manifest does not: signers of one image sign the same payload, so that their
    /// layers are one. Two words with one name are about one signature.
    pub envelope: Option<Digest>,
    /// What came out.
    pub outcome: Result<Verified, VerifyError>,
}

impl Item {
    /// The outcome of an artifact that carries one signature.
    pub const fn only(outcome: Result<Verified, VerifyError>) -> Self {
        Self { layer: None, envelope: None, outcome }
    }
}

/// What another verifier said of what is attached to the artifact under verification: of the signature of an SBOM.
#[derive(Debug, Clone)]
pub struct Endorsement {
    /// Who says it, by the operator's name.
    pub verifier: VerifierName,
    /// Its `type`.
    pub kind: &'static str,
    /// Digest of the attached artifact's manifest. `None`: what is said of all of them: none was found, or a bound was met, or
    /// they could not be listed.
    pub artifact: Option<Digest>,
    /// The attached artifact's type; empty where there is none.
    pub artifact_type: String,
    /// What is said. A waiver is no endorsement.
    pub outcome: Result<Verified, VerifyError>,
}

/// What a verifier may know and do. It cannot reach another repository, another subject, or a clock.
#[derive(Debug)]
pub struct VerifyRequest<'a> {
    subject: &'a Subject,
    artifact: &'a Artifact,
    nested: &'a [Endorsement],
    home: &'a Repository,
    now: OffsetDateTime,
    store: &'a dyn Store,
    deadline: Deadline,
}

impl<'a> VerifyRequest<'a> {
    /// Made by the executor. `home`: the repository that the artifact was found in.
    pub fn new(
        subject: &'a Subject,
        artifact: &'a Artifact,
        home: &'a Repository,
        now: OffsetDateTime,
        store: &'a dyn Store,
        deadline: Deadline,
    ) -> Self {
        Self { subject, artifact, nested: &[], home, now, store, deadline }
    }

    /// The same about an artifact of which others have said this.
    #[must_use]
    pub const fn with_nested(self, nested: &'a [Endorsement]) -> Self {
        Self { nested, ..self }
    }

    /// What is being verified.
    pub const fn subject(&self) -> &Subject {
        self.subject
    }

    /// The evidence, bound to the subject.
    pub const fn artifact(&self) -> &Artifact {
        self.artifact
    }

    /// What others said of what is attached to the artifact; empty unless a policy wants the artifact signed. The executor
    /// sees to it that no yes given with them outlasts theirs.
    pub const fn nested(&self) -> &'a [Endorsement] {
        self.nested
    }

    /// The moment of the whole request.
    pub const fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// When the answer must be there.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Fetches a blob of the artifact: at most `limit_bytes`, and what its descriptor says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn blob(&self, descriptor: &Descriptor, limit_bytes: u64) -> Result<Content, StoreError> {
        self.store.blob(self.home, descriptor, limit_bytes, self.deadline).await
    }

    /// Fetches the artifact's own manifest, byte for byte.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifact_manifest(&self) -> Result<Content, StoreError> {
        self.store.manifest(self.home, self.artifact.descriptor(), self.deadline).await
    }

    /// Fetches the subject's own manifest: what a message signature was made over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subject_manifest(&self) -> Result<Content, StoreError> {
        self.store.manifest(self.subject.repository(), self.subject.descriptor(), self.deadline).await
    }
}

/// A check that a verifier makes, in the words of the Notary Project where it has one. Of two failures the one of the later
/// check came further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// The artifact's form and content are readable and of the right type.
    Content,
    /// A program of the operator's accepts it.
    Plugin,
    /// What was signed is of the type that is asked for.
    PredicateType,
    /// The envelope is whole: signature, certificate profile, attributes.
    Integrity,
    /// The signature verifies under the signer's key.
    Signature,
    /// Transparency logs vouch for it.
    Transparency,
    /// Certificate transparency logs vouch for the signer's certificate.
    CertificateTransparency,
    /// A trusted time is known.
    Timestamp,
    /// The signer is trusted.
    Authenticity,
    /// The signer is who was asked for.
    Identity,
    /// The signature has not expired.
    Expiry,
    /// Certificates were valid when it was signed.
    AuthenticTimestamp,
    /// No certificate is revoked.
    Revocation,
    /// What was signed is this subject.
    Subject,
    /// Required annotations are signed.
    Annotations,
    /// Required user metadata is there.
    Metadata,
    /// A policy applies and is valid.
    Policy,
    /// Limits.
    Limits,
}

impl Check {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Plugin => "plugin",
            Self::PredicateType => "predicateType",
            Self::Integrity => "integrity",
            Self::Signature => "signature",
            Self::Transparency => "transparency",
            Self::CertificateTransparency => "certificateTransparency",
            Self::Timestamp => "timestamp",
            Self::Identity => "identity",
            Self::Annotations => "annotations",
            Self::Authenticity => "authenticity",
            Self::Expiry => "expiry",
            Self::AuthenticTimestamp => "authenticTimestamp",
            Self::Revocation => "revocation",
            Self::Subject => "subject",
            Self::Metadata => "metadata",
            Self::Policy => "policy",
            Self::Limits => "limits",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a check ended in an artifact that is accepted.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It failed and the operator's policy only logs that.
    Logged(Rejection),
    /// It succeeded.
    Passed,
    /// The operator's policy leaves it out.
    Skipped,
}

/// Who signed: what `atLeast` counts distinct. Known only where authenticity succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signer {
    /// What makes two signers one: for certificates SHA-256 of the root's SPKI, and the leaf's subject, both as hex.
    pub identity: String,
    /// For people: the leaf's subject.
    pub display: String,
}

/// What an artifact proved, as its verifier's core found it; not yet a yes.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Each check that was made or left out, in order.
    pub checks: Vec<(Check, Outcome)>,
    /// Who signed. Dropped unless authenticity passed.
    pub signer: Option<Signer>,
    /// Until when this stays true, as far as the evidence itself says.
    pub valid_until: Option<OffsetDateTime>,
    /// When the signer's certificates or the signature end, where that matters: foresight, no part of the yes.
    pub signer_until: Until,
    /// One sentence for the report.
    pub message: String,
    /// What the report shows beside it, in the verifier's own words (`Issuer`, `SN`, …).
    pub extensions: Map<String, Value>,
    /// What else the reader should know.
    pub warnings: Vec<String>,
    /// What was attested, where it was an attestation.
    pub attested: Option<Attested>,
}

/// A statement that somebody trusted has signed about the subject: evidence for whoever judges its content.
#[derive(Debug, Clone)]
pub struct Attested {
    /// Its predicate type.
    pub predicate_type: String,
    /// The whole statement, as signed.
    pub statement: Arc<Value>,
    /// Bytes of its text.
    pub size_bytes: usize,
    /// When it was made, as far as the verifier was asked to know.
    pub made_at: Option<OffsetDateTime>,
}

/// Proof of a yes, with its evidence. One of the places that can say yes.
#[derive(Debug, Clone)]
pub struct Verified {
    findings: Findings,
}

impl Verified {
    /// Concludes from findings. The only constructor: either the envelope's integrity or the bare signature must have passed,
    /// and the subject; authenticity must have been made; no check may stand twice; and it must still be true at `now`.
    ///
    /// Beside a bare signature nothing is only logged: authenticity and identity must have passed, and whether the logs
    /// vouch for it must have been looked at or left out by the operator's word.
    ///
    /// A plugin's yes stands alone: it passed, for this subject, and names no signer.
    ///
    /// # Errors
    /// [`Rejection`] with [`Code::Internal`] where a verifier did not make its checks, [`Code::Expired`] where the evidence
    /// is no longer true.
    pub fn conclude(mut findings: Findings, now: OffsetDateTime) -> Result<Self, Rejection> {
        let count = |check: Check| findings.checks.iter().filter(|(made, _)| *made == check).count();
        let passed = |check: Check| {
            findings.checks.iter().any(|(made, outcome)| *made == check && matches!(outcome, Outcome::Passed))
        };
        let without = |check| Err(Rejection::new(check, Code::Internal, "the verifier concluded without this check"));
        if count(Check::Plugin) > 0 {
            let both = passed(Check::Plugin) && passed(Check::Subject);
            let alone = findings.checks.len() == 2 && findings.signer.is_none() && findings.attested.is_none();
            return if both && alone { Self::still_true(findings, now) } else { without(Check::Plugin) };
        }
        let bare = count(Check::Signature) > 0;
        let first = if bare { Check::Signature } else { Check::Integrity };
        let identified: &[Check] = if bare { &[Check::Authenticity, Check::Identity] } else { &[] };
        for check in [first, Check::Subject].iter().chain(identified) {
            if count(*check) != 1 || !passed(*check) {
                return without(*check);
            }
        }
        let made: &[Check] = if bare { &[Check::Transparency, Check::Timestamp] } else { &[Check::Authenticity] };
        for check in made {
            if count(*check) != 1 {
                return without(*check);
            }
        }
        if bare && findings.checks.iter().any(|(_, outcome)| matches!(outcome, Outcome::Logged(_))) {
            return without(first);
        }
        if !passed(Check::Authenticity) {
            findings.signer = None;
            findings.signer_until = None;
        }
        Self::still_true(findings, now)
    }

    fn still_true(findings: Findings, now: OffsetDateTime) -> Result<Self, Rejection> {
        if findings.valid_until.is_some_and(|until| until <= now) {
            return Err(Rejection::new(Check::Expiry, Code::Expired, "the evidence is no longer valid"));
        }
        Ok(Self { findings })
    }

    /// The same for no longer than `until`.
    pub fn shorten(&mut self, until: Until) {
        let known = self.findings.valid_until;
        self.findings.valid_until = known.into_iter().chain(until).min();
    }

    /// Each check, in order.
    pub fn checks(&self) -> &[(Check, Outcome)] {
        &self.findings.checks
    }

    /// Who signed; `None` where authenticity did not succeed.
    pub const fn signer(&self) -> Option<&Signer> {
        self.findings.signer.as_ref()
    }

    /// Until when this stays true.
    pub const fn valid_until(&self) -> Option<OffsetDateTime> {
        self.findings.valid_until
    }

    /// When the signer's certificates or the signature end. It may be later or earlier than [`Self::valid_until`].
    pub const fn signer_until(&self) -> Until {
        self.findings.signer_until
    }

    /// Checks that failed and are only logged.
    pub fn logged(&self) -> impl Iterator<Item = &Rejection> {
        self.findings.checks.iter().filter_map(|(_, outcome)| match outcome {
            Outcome::Logged(rejection) => Some(rejection),
            Outcome::Passed | Outcome::Skipped => None,
        })
    }

    /// The stable code: whether a failed check is only logged.
    pub fn code(&self) -> Code {
        if self.logged().next().is_some() { Code::Logged } else { Code::Verified }
    }

    /// One sentence.
    pub fn message(&self) -> &str {
        &self.findings.message
    }

    /// What was attested.
    pub const fn attested(&self) -> Option<&Attested> {
        self.findings.attested.as_ref()
    }

    /// The verifier's own facts.
    pub const fn extensions(&self) -> &Map<String, Value> {
        &self.findings.extensions
    }

    /// Warnings: the verifier's own, and one for each check that was only logged.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let logged = self.logged();
        let logged = logged.map(|failed| format!("{} failed and is only logged: {}", failed.check(), failed.reason()));
        logged.chain(self.findings.warnings.iter().cloned())
    }
}

/// An operator's explicit `skip`: yes without evidence. Only a trust policy with level `skip` on a named scope makes it;
/// every report shows it. One of the places that can say yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    policy: String,
}

impl Waiver {
    /// `policy`: the name of the trust policy statement that says `skip`.
    pub(crate) fn by_policy(policy: &str) -> Self {
        Self { policy: policy.to_owned() }
    }

    /// The statement's name.
    pub fn policy(&self) -> &str {
        &self.policy
    }
}

#[cfg(test)]
mod tests;
