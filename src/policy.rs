//! Policies: from reports to a decision. Synchronous and pure, so that its laws can be tested.

use std::fmt::Debug;

use crate::{
    oci::{Repository, Subject},
    report::{Decision, VerifierReport},
    verifier::{Coverage, VerifierName},
};

pub mod threshold;

/// What was found for a subject.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Yes, no, undecided, waived.
    pub reports: Vec<VerifierReport>,
    /// Whether there may be more.
    pub coverage: Coverage,
}

/// Decides from evidence.
pub trait PolicyProvider: Debug + Send + Sync {
    /// The verifiers whose word matters in this repository, without repetition. `None`: no policy, refused.
    fn verifiers(&self, repository: &Repository) -> Option<Vec<VerifierName>>;

    /// The policy that applies there, for people.
    fn describe(&self, repository: &Repository) -> String;

    /// Decides. No evidence is a deny; an undecided report is never a no by being counted.
    fn decide(&self, subject: &Subject, evidence: &Evidence) -> Decision;
}
