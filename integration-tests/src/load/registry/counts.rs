//! What a registry was asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use crate::registry::{Call, Reply};

/// Most paths that are told apart; a run that asks more is no test of single calls.
const MAX_PATHS: usize = 100_000;

/// Calls that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// `/blobs/`
    pub blobs: u64,
    /// `/manifests/`, by digest.
    pub manifests: u64,
    /// `/manifests/`, by tag.
    pub tags: u64,
    /// `/referrers/`
    pub referrers: u64,
    /// `/token`
    pub tokens: u64,
    /// Of all these, not answered faithfully.
    pub faults: u64,
    /// The most calls to one path.
    pub most_of_one: u64,
    /// The most calls under way at once, on one host.
    pub peak: u64,
    /// The most calls that arrived in one second, and were not throttled.
    pub most_in_a_second: u64,
}

/// Counts calls; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    paths: HashMap<String, u64>,
    second: Option<(Instant, u64)>,
}

impl Counts {
    /// All but tokens.
    pub const fn reads(&self) -> u64 {
        self.blobs.saturating_add(self.manifests).saturating_add(self.tags).saturating_add(self.referrers)
    }

    /// Those of two hosts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            blobs: self.blobs.saturating_add(other.blobs),
            manifests: self.manifests.saturating_add(other.manifests),
            tags: self.tags.saturating_add(other.tags),
            referrers: self.referrers.saturating_add(other.referrers),
            tokens: self.tokens.saturating_add(other.tokens),
            faults: self.faults.saturating_add(other.faults),
            most_of_one: self.most_of_one.max(other.most_of_one),
            peak: self.peak.max(other.peak),
            most_in_a_second: self.most_in_a_second.max(other.most_in_a_second),
        }
    }
}

impl Counter {
    pub(super) fn count(&self, call: &Call, reply: &Reply) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = call.path();
        let State { counts, paths, second } = &mut *state;
        let kind = if path == "/token" {
            &mut counts.tokens
        } else if path.contains("/blobs/") {
            &mut counts.blobs
        } else if path.contains("/referrers/") {
            &mut counts.referrers
        } else if path.contains("/manifests/sha256:") {
            &mut counts.manifests
        } else {
            &mut counts.tags
        };
        *kind = kind.saturating_add(1);
        if !matches!(reply, Reply::Faithful) {
            counts.faults = counts.faults.saturating_add(1);
        }
        if paths.len() < MAX_PATHS || paths.contains_key(path) {
            let of_one = paths.entry(path.to_owned()).or_default();
            *of_one = of_one.saturating_add(1);
            counts.most_of_one = counts.most_of_one.max(*of_one);
        }
        if !matches!(reply, Reply::Own(response) if response.status == 429) {
            let now = Instant::now();
            let (start, so_many) = second.get_or_insert((now, 0));
            if now.saturating_duration_since(*start).as_millis() >= 1000 {
                (*start, *so_many) = (now, 0);
            }
            *so_many = so_many.saturating_add(1);
            counts.most_in_a_second = counts.most_in_a_second.max(*so_many);
        }
    }

    /// What was counted since this was last asked.
    pub(super) fn take(&self, peak: usize) -> Counts {
        let state = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Counts { peak: u64::try_from(peak).unwrap_or(u64::MAX), ..state.counts }
    }
}
