//! Trust policies as the checks use them: whom to believe, and what their evidence must show.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use super::{
    identity::{Authorities, Identity},
    key::Key,
    root::TrustedRoot,
};
use crate::oci::{
    Repository,
    scope::{Scope, most_specific},
};

/// Whom to believe in some repositories, and what must be shown.
#[derive(Debug, Clone)]
pub struct TrustPolicy {
    /// The operator's name; unique in a verifier.
    pub name: String,
    /// Where it holds.
    pub scopes: Vec<Scope>,
    /// Whom to believe.
    pub trust: Trust,
    /// What their evidence must show.
    pub demands: Demands,
    /// Annotations that must be signed, each with this value.
    pub annotations: BTreeMap<String, String>,
    /// Whether a simple signing payload's `docker-reference` must name the repository.
    pub match_repository: bool,
}

/// Whom to believe.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Certificates of an authority of one of the roots, for one of the identities. An own authority is a root of its own.
    Certificates {
        /// Each is judged whole.
        roots: Vec<Arc<TrustedRoot>>,
        /// Any of them.
        identities: Vec<Identity>,
        /// Whose authorities the roots have.
        authorities: Authorities,
    },
    /// Any of the keys.
    Keys {
        /// At least one.
        keys: Vec<Key>,
        /// For logs and timestamps; empty only where the log is ignored.
        roots: Vec<Arc<TrustedRoot>>,
    },
}

/// What evidence must show. `None` is the operator's explicit `ignoreTlog` or `ignoreSct`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// Distinct transparency logs.
    pub logs: Option<NonZeroUsize>,
    /// Distinct certificate transparency logs; without meaning for keys.
    pub scts: Option<NonZeroUsize>,
    /// Signed timestamps of distinct authorities.
    pub signed_timestamps: usize,
    /// Log times and signed timestamps together.
    pub observer_timestamps: usize,
    /// Own authorities only: the present counts as a time.
    pub current_time: bool,
}

/// The policies that decide about a repository: those of the most specific scope. Where two tie, both must hold; none:
/// nobody is believed there.
pub fn applicable<'a>(policies: &'a [TrustPolicy], repository: &Repository) -> Vec<&'a TrustPolicy> {
    let mut all: Vec<&TrustPolicy> = Vec::new();
    for (_, policy) in most_specific(policies.iter().map(|policy| (policy.scopes.as_slice(), policy)), repository) {
        // Two scopes of one policy may tie.
        if !all.iter().any(|known| std::ptr::eq(*known, policy)) {
            all.push(policy);
        }
    }
    all
}
