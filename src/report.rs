//! Reports and verdicts: the answer for a subject, and the only place that knows Ratify's wire shapes.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    oci::{Artifact, CosignKind, Found, Referrer, Subject},
    reason::{Code, printable},
    verifier::{Coverage, Undecided, Verified, VerifierName, VerifyError, Waiver},
};

pub mod wire;

/// Longest artifact type that is told: RFC 6838 §4.2 allows 127 characters on either side of the slash.
const MAX_TYPE_BYTES: usize = 255;

/// What one verifier says.
#[derive(Debug, Clone)]
pub enum Word {
    /// No, or no answer.
    Not(VerifyError),
    /// The operator waived it.
    Waived(Waiver),
    /// Yes, with proof.
    Yes(Box<Verified>),
}

/// Which artifact a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Digest of its manifest.
    pub digest: String,
    /// Its artifact type, from the manifest where that was read, else as listed.
    pub artifact_type: String,
    /// The layer's digest, where the word is about one of several signatures of the artifact.
    pub layer: Option<String>,
    /// The signature that the word is about, where the manifest does not name it: `atLeast` counts none twice.
    pub envelope: Option<String>,
}

/// What lies under cosign's tags has no artifact type of its own: the names that Ratify and cosign's referrers have for it.
fn artifact_type(artifact: &Artifact) -> &str {
    match artifact.found() {
        Found::CosignTag(CosignKind::Signatures) => "application/vnd.dev.cosign.artifact.sig.v1+json",
        Found::CosignTag(CosignKind::Attestations) => "application/vnd.dev.cosign.artifact.att.v1+json",
        Found::Layout | Found::ReferrersApi | Found::ReferrersTag => artifact.artifact_type(),
    }
}

impl From<&Artifact> for About {
    fn from(artifact: &Artifact) -> Self {
        Self {
            digest: artifact.descriptor().digest.to_string(),
            artifact_type: printable(artifact_type(artifact), MAX_TYPE_BYTES),
            layer: None,
            envelope: None,
        }
    }
}

impl From<&Referrer> for About {
    fn from(referrer: &Referrer) -> Self {
        Self {
            digest: referrer.descriptor.digest.to_string(),
            artifact_type: printable(referrer.descriptor.artifact_type.as_deref().unwrap_or_default(), MAX_TYPE_BYTES),
            layer: None,
            envelope: None,
        }
    }
}

/// One verifier's word on one artifact, or, without one, on the subject (waived; nothing found; limit).
#[derive(Debug, Clone)]
pub struct VerifierReport {
    /// The operator's name of the verifier.
    pub verifier: VerifierName,
    /// Its `type`.
    pub kind: &'static str,
    /// The artifact, where the word is about one.
    pub about: Option<About>,
    /// The word.
    pub word: Word,
    /// What was found below the artifact; `None` where nobody looked, as no policy asks for it.
    pub nested: Option<Arc<Nested>>,
}

/// What was found for a subject.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Yes, no, undecided, waived.
    pub reports: Vec<VerifierReport>,
    /// Whether there may be more.
    pub coverage: Coverage,
}

/// Evidence about evidence: what was found for an artifact that is itself attached to something.
#[derive(Debug, Clone)]
pub struct Nested {
    /// The artifact, where it lies.
    pub subject: Subject,
    /// What was found for it.
    pub evidence: Evidence,
}

/// What lies below these reports, each once: words on several items of one artifact share it.
pub fn below(reports: &[VerifierReport]) -> impl Iterator<Item = &Nested> {
    let mut last: Option<&Arc<Nested>> = None;
    reports.iter().filter_map(move |report| {
        let nested = report.nested.as_ref()?;
        let again = last.replace(nested).is_some_and(|last| Arc::ptr_eq(last, nested));
        (!again).then_some(&**nested)
    })
}

/// Why a decision is a no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The stable code.
    pub code: Code,
    /// In words; escaped and bounded.
    pub message: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<&Undecided> for Reason {
    fn from(undecided: &Undecided) -> Self {
        Self::new(undecided.code(), undecided.reason())
    }
}

/// What is decided about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes, until then as far as the evidence says.
    Allow {
        /// `None`: the evidence names no end.
        valid_until: Option<OffsetDateTime>,
        /// The operator's words, where nothing but the policy's `static: pass` admits; then there is no evidence.
        stated: Option<String>,
    },
    /// A definite no.
    Deny(Reason),
    /// Not an answer; never cached as a no.
    Undecided(Reason),
}

impl Decision {
    /// A yes that rests on evidence.
    pub const fn allow(valid_until: Option<OffsetDateTime>) -> Self {
        Self::Allow { valid_until, stated: None }
    }

    /// The stable code, as reports, logs and metrics say it.
    pub const fn code(&self) -> Code {
        match self {
            Self::Allow { stated: None, .. } => Code::Verified,
            Self::Allow { stated: Some(_), .. } => Code::StaticPass,
            Self::Deny(reason) | Self::Undecided(reason) => reason.code,
        }
    }

    /// The decision in words.
    pub fn message(&self) -> &str {
        match self {
            Self::Allow { stated: None, .. } => Code::Verified.meaning(),
            Self::Allow { stated: Some(message), .. } => message,
            Self::Deny(reason) | Self::Undecided(reason) => &reason.message,
        }
    }
}

/// The answer for a key: the decision, and the reports that led to it.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What was verified; `None` where the key did not resolve.
    pub subject: Option<Subject>,
    /// What is decided.
    pub decision: Decision,
    /// The policy's scope that decided, for people; empty where none applied.
    pub policy: String,
    /// Each verifier's words, in listing order.
    pub reports: Vec<VerifierReport>,
}

#[cfg(test)]
mod tests {
    use super::{wire::Rendered, *};

    // R106
    #[test]
    fn a_pass_without_evidence_is_said_wherever_a_decision_is() {
        let decision = Decision::Allow { valid_until: None, stated: Some("old images".to_owned()) };
        assert_eq!((decision.code(), decision.message()), (Code::StaticPass, "old images"));
        let verdict = Verdict { subject: None, decision, policy: "**".to_owned(), reports: Vec::new() };
        let rendered = Rendered::of("app", &verdict);
        assert!(rendered.is_success());
        let mut value = Vec::new();
        rendered.write_value(&mut value, "0", OffsetDateTime::UNIX_EPOCH);
        let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert_eq!((&value["code"], &value["message"]), (&"STATIC_PASS".into(), &"old images".into()));
        assert_eq!(value["warnings"], serde_json::json!(["admitted without evidence by the policy: old images"]));
        assert_eq!(Decision::allow(None).code(), Code::Verified);
    }
}
