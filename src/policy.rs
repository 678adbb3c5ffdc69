//! Policies: from reports to a decision. Synchronous and pure, so that its laws can be tested.

use std::{collections::BTreeMap, fmt::Debug};

pub use crate::report::Evidence;
use crate::{
    oci::{Repository, Subject},
    report::Decision,
    verifier::VerifierName,
};

pub mod threshold;

/// Whose words matter about a subject, and about what is attached to their artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The verifiers, without repetition.
    pub verifiers: Vec<VerifierName>,
    /// Of these, those whose artifacts must be signed themselves: whose words matter about those artifacts.
    pub below: BTreeMap<VerifierName, Self>,
}

impl Wanted {
    /// Whose words matter about the artifacts of a verifier. `None`: nobody looks below them.
    pub fn below(&self, verifier: &VerifierName) -> Option<&Self> {
        self.below.get(verifier)
    }
}

/// Decides from evidence.
pub trait PolicyProvider: Debug + Send + Sync {
    /// Whose words matter in this repository. `None`: no policy, refused.
    fn wanted(&self, repository: &Repository) -> Option<Wanted>;

    /// The policy that applies there, for people.
    fn describe(&self, repository: &Repository) -> String;

    /// Decides. No evidence is a deny; an undecided report is never a no by being counted.
    fn decide(&self, subject: &Subject, evidence: &Evidence) -> Decision;
}
