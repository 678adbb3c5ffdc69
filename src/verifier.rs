//! Verifiers: what an artifact proves.
//!
//! A verifier is a **shell** that fetches what it needs through a [`VerifyRequest`], and a **core** below it that parses
//! and checks, synchronously. It answers with [`Verified`], whose one constructor demands the checks that were made, or
//! with a [`Rejection`] (no) or an [`Undecided`] (could not find out).

use std::{error::Error, fmt, fmt::Debug, sync::Arc};

use async_trait::async_trait;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{
    oci::{Artifact, Content, Descriptor, Referrer, Repository, Subject},
    reason::{self, Class, Code},
    store::{Deadline, Store, StoreError},
};

pub mod notation;

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

    /// Most referrers, in listing order, that are tried for one subject.
    fn max_attempts(&self) -> usize;

    /// The operator's explicit `skip` for this repository; then no evidence is looked for.
    fn waives(&self, repository: &Repository) -> Option<Waiver>;

    /// Whether the verifier could accept anything in this repository; the reason where it could not. Asked before any I/O.
    fn covers(&self, repository: &Repository) -> Result<(), Rejection>;

    /// Verifies one artifact.
    async fn verify(&self, request: &VerifyRequest<'_>) -> Result<Verified, VerifyError>;
}

/// What a verifier may know and do. It cannot reach another repository, another subject, or a clock.
#[derive(Debug)]
pub struct VerifyRequest<'a> {
    subject: &'a Subject,
    artifact: &'a Artifact,
    now: OffsetDateTime,
    store: &'a dyn Store,
    deadline: Deadline,
}

impl<'a> VerifyRequest<'a> {
    /// Made by the executor.
    pub fn new(
        subject: &'a Subject,
        artifact: &'a Artifact,
        now: OffsetDateTime,
        store: &'a dyn Store,
        deadline: Deadline,
    ) -> Self {
        Self { subject, artifact, now, store, deadline }
    }

    /// What is being verified.
    pub const fn subject(&self) -> &Subject {
        self.subject
    }

    /// The evidence, bound to the subject.
    pub const fn artifact(&self) -> &Artifact {
        self.artifact
    }

    /// The moment of the whole request.
    pub const fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Fetches a blob of the artifact: at most `limit_bytes`, and what its descriptor says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn blob(&self, descriptor: &Descriptor, limit_bytes: u64) -> Result<Content, StoreError> {
        self.store.blob(self.subject.repository(), descriptor, limit_bytes, self.deadline).await
    }
}

/// A check that a verifier makes, in the words of the Notary Project where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// The artifact's form and content are readable and of the right type.
    Content,
    /// The envelope is whole: signature, certificate profile, attributes.
    Integrity,
    /// The signer is trusted.
    Authenticity,
    /// The signature has not expired.
    Expiry,
    /// Certificates were valid when it was signed.
    AuthenticTimestamp,
    /// No certificate is revoked.
    Revocation,
    /// What was signed is this subject.
    Subject,
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
            Self::Integrity => "integrity",
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
    /// One sentence for the report.
    pub message: String,
    /// What the report shows beside it, in the verifier's own words (`Issuer`, `SN`, …).
    pub extensions: Map<String, Value>,
    /// What else the reader should know.
    pub warnings: Vec<String>,
}

/// Proof of a yes, with its evidence. One of the places that can say yes.
#[derive(Debug, Clone)]
pub struct Verified {
    findings: Findings,
}

impl Verified {
    /// Concludes from findings. The only constructor: integrity and subject must have passed, authenticity must have been
    /// made, no check may stand twice, and it must still be true at `now`.
    ///
    /// # Errors
    /// [`Rejection`] with [`Code::Internal`] where a verifier did not make its checks, [`Code::Expired`] where the evidence
    /// is no longer true.
    pub fn conclude(mut findings: Findings, now: OffsetDateTime) -> Result<Self, Rejection> {
        let count = |check: Check| findings.checks.iter().filter(|(made, _)| *made == check).count();
        let passed = |check: Check| {
            findings.checks.iter().any(|(made, outcome)| *made == check && matches!(outcome, Outcome::Passed))
        };
        for check in [Check::Integrity, Check::Subject] {
            if count(check) != 1 || !passed(check) {
                return Err(Rejection::new(check, Code::Internal, "the verifier concluded without this check"));
            }
        }
        if count(Check::Authenticity) != 1 {
            let check = Check::Authenticity;
            return Err(Rejection::new(check, Code::Internal, "the verifier concluded without this check"));
        }
        if findings.valid_until.is_some_and(|until| until <= now) {
            return Err(Rejection::new(Check::Expiry, Code::Expired, "the evidence is no longer valid"));
        }
        if !passed(Check::Authenticity) {
            findings.signer = None;
        }
        Ok(Self { findings })
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

    /// One sentence.
    pub fn message(&self) -> &str {
        &self.findings.message
    }

    /// The verifier's own facts.
    pub const fn extensions(&self) -> &Map<String, Value> {
        &self.findings.extensions
    }

    /// Warnings: the verifier's own, and one for each check that was only logged.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let logged = self.findings.checks.iter().filter_map(|(check, outcome)| match outcome {
            Outcome::Logged(rejection) => Some(format!("{check} failed and is only logged: {}", rejection.reason())),
            Outcome::Passed | Outcome::Skipped => None,
        });
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

/// A final no.
#[derive(Debug, Clone)]
pub struct Rejection {
    check: Check,
    code: Code,
    reason: String,
}

impl Rejection {
    /// A no with a reason in words (without `check` and `code`, which are printed beside it).
    pub fn new(check: Check, code: Code, reason: impl Into<String>) -> Self {
        Self { check, code, reason: reason.into() }
    }

    /// A no because of an error of a core; its chain becomes the reason.
    pub fn because(check: Check, code: Code, error: &(dyn Error + 'static)) -> Self {
        Self { check, code, reason: reason::chain(error) }
    }

    /// Which check.
    pub const fn check(&self) -> Check {
        self.check
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The reason in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// No answer could be had.
#[derive(Debug, Clone)]
pub struct Undecided {
    code: Code,
    reason: String,
}

impl Undecided {
    /// `code`: of class [`Class::Undecided`] or [`Class::Broken`].
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The reason in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Why there is no yes.
#[derive(Debug, Clone)]
pub enum VerifyError {
    /// A final no.
    Rejected(Rejection),
    /// Not an answer.
    Undecided(Undecided),
}

impl VerifyError {
    /// What a store's error means for the artifact whose content was asked for.
    pub fn from_store(check: Check, error: &StoreError) -> Self {
        let (code, reason) = (error.code(), reason::chain(error));
        match code.class() {
            Class::No => Self::Rejected(Rejection::new(check, code, reason)),
            Class::Broken | Class::Undecided | Class::Yes => Self::Undecided(Undecided::new(code, reason)),
        }
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Undecided(undecided) => undecided.code(),
        }
    }

    /// The reason in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Rejected(rejection) => rejection.reason(),
            Self::Undecided(undecided) => undecided.reason(),
        }
    }
}

impl From<Rejection> for VerifyError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
