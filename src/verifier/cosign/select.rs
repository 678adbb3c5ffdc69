//! `select` and `maxAge`: which of several verified attestations of one type count.
//!
//! Pure: times, the moment and what is known of the rest go in, one answer an attestation comes out. The laws are the tests of
//! this module. `latest` and `all` are the exceptions to "one more artifact never turns a yes into a no" (R119): an operator
//! who writes them asks for exactly that.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;

use crate::{
    reason::Code,
    verifier::{Check, Rejection, Undecided, VerifyError},
};

/// How far an attestation's time may lie in the future: two clocks that are kept differ by less (COS-09).
const MAX_SKEW: time::Duration = time::Duration::seconds(60);

/// Which attestations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Select {
    /// Every verified one must pass, else none does.
    All,
    /// Each by itself.
    #[default]
    Any,
    /// Only the newest verified one may pass.
    Latest,
}

/// What is asked of the times of attestations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Freshness {
    /// Which count.
    pub select: Select,
    /// How old an attestation may be.
    pub max_age: Option<Duration>,
    /// Where the statement says its time: a JSON pointer (RFC 6901). Without it the verified time of its signature counts.
    pub time_field: Option<String>,
}

impl Freshness {
    /// Whether an attestation without a time can never pass.
    pub const fn needs_time(&self) -> bool {
        self.max_age.is_some() || self.time_field.is_some() || matches!(self.select, Select::Latest)
    }
}

/// A verified attestation of the wanted type.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its time: what `timeField` points at, else the earliest verified time of its signature.
    pub time: Option<OffsetDateTime>,
    /// What was found of it apart from its time.
    pub content: Result<(), Rejection>,
}

/// Whether the candidates are all that there are.
#[derive(Debug, Clone)]
pub enum Completeness {
    /// A bound cut the list: nothing is proven absent.
    Cut,
    /// Of at least one attestation nothing could be found out.
    Open(Undecided),
    /// They are all.
    Whole,
}

/// An attestation that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The first moment at which it is too old. `None`: never.
    pub until: Option<OffsetDateTime>,
}

/// Judges `candidates` at `now`, an answer each, in their order.
pub fn select(
    freshness: &Freshness,
    candidates: &[Candidate],
    completeness: &Completeness,
    now: OffsetDateTime,
) -> Vec<Result<Kept, VerifyError>> {
    let own: Vec<Result<Kept, Rejection>> =
        candidates.iter().map(|candidate| judge(freshness, candidate, now)).collect();
    match freshness.select {
        Select::Any => own.into_iter().map(|one| one.map_err(VerifyError::from)).collect(),
        Select::All => all(own, completeness),
        Select::Latest => latest(own, candidates, completeness),
    }
}

/// An attestation by itself.
fn judge(freshness: &Freshness, candidate: &Candidate, now: OffsetDateTime) -> Result<Kept, Rejection> {
    candidate.content.clone()?;
    let Some(time) = candidate.time else {
        if freshness.needs_time() {
            let reason = match &freshness.time_field {
                Some(field) => format!("the statement has no RFC 3339 time at {field}"),
                None => "no time of the attestation is known".to_owned(),
            };
            return Err(Rejection::new(Check::Expiry, Code::AttestationFuture, reason));
        }
        return Ok(Kept { until: None });
    };
    if time - now > MAX_SKEW {
        let reason = format!("the attestation's time, {time}, lies in the future");
        return Err(Rejection::new(Check::Expiry, Code::AttestationFuture, reason));
    }
    let Some(max_age) = freshness.max_age else { return Ok(Kept { until: None }) };
    // Ages count in whole seconds, so that an attestation of exactly `maxAge` passes. One past the calendar's end never comes.
    let age = time::Duration::try_from(max_age).ok().and_then(|age| age.checked_add(time::Duration::SECOND));
    let until = age.and_then(|age| time.checked_add(age));
    match until {
        Some(until) if until <= now => {
            let reason = format!("the attestation is of {time}, older than {} s", max_age.as_secs());
            Err(Rejection::new(Check::Expiry, Code::AttestationStale, reason))
        }
        until => Ok(Kept { until }),
    }
}

/// One that fails fails the others. What is not known keeps all from passing, and is no reason for a no.
fn all(own: Vec<Result<Kept, Rejection>>, completeness: &Completeness) -> Vec<Result<Kept, VerifyError>> {
    let failed = own.iter().find_map(|one| one.as_ref().err().cloned());
    let until = own.iter().filter_map(|one| one.as_ref().ok().and_then(|kept| kept.until)).min();
    let missing = incomplete(completeness);
    let each = |one: Result<Kept, Rejection>| match (one, &failed, &missing) {
        (Err(rejection), _, _) => Err(rejection.into()),
        (Ok(_), Some(failed), _) => Err(superseded(&format!("another attestation fails: {}", failed.reason())).into()),
        (Ok(_), None, Some(missing)) => Err(missing.clone()),
        (Ok(_), None, None) => Ok(Kept { until }),
    };
    own.into_iter().map(each).collect()
}

/// Only the newest may pass; where several are, all of these or none. One without a time could be the newest.
fn latest(
    own: Vec<Result<Kept, Rejection>>,
    candidates: &[Candidate],
    completeness: &Completeness,
) -> Vec<Result<Kept, VerifyError>> {
    let undated = candidates.iter().any(|candidate| candidate.time.is_none());
    let newest = candidates.iter().filter_map(|candidate| candidate.time).max();
    let is_newest = |candidate: &Candidate| candidate.time.is_some() && candidate.time == newest;
    let tied = || own.iter().zip(candidates).filter(|(_, candidate)| is_newest(candidate));
    let failed = tied().find_map(|(one, _)| one.as_ref().err().cloned());
    let until = tied().filter_map(|(one, _)| one.as_ref().ok().and_then(|kept| kept.until)).min();
    let missing = incomplete(completeness);
    let each = |one: Result<Kept, Rejection>, candidate: &Candidate| match (one, &failed, &missing) {
        // What is not known may be newer still: then this one's own failure would decide nothing.
        (Err(rejection), _, _) => Err(rejection.into()),
        (Ok(_), _, _) if undated => Err(superseded("another attestation has no time, and may be newer").into()),
        (Ok(_), _, _) if !is_newest(candidate) => Err(superseded("another attestation is newer").into()),
        (Ok(_), Some(failed), _) => {
            Err(superseded(&format!("another attestation of the same time fails: {}", failed.reason())).into())
        }
        (Ok(_), None, Some(missing)) => Err(missing.clone()),
        (Ok(_), None, None) => Ok(Kept { until }),
    };
    own.into_iter().zip(candidates).map(|(one, candidate)| each(one, candidate)).collect()
}

fn superseded(reason: &str) -> Rejection {
    Rejection::new(Check::Expiry, Code::AttestationSuperseded, reason)
}

/// Why nothing can be said of all, or of the newest.
fn incomplete(completeness: &Completeness) -> Option<VerifyError> {
    match completeness {
        Completeness::Whole => None,
        Completeness::Cut => {
            let reason = "the list of attestations was cut: `latest` and `all` need every one";
            Some(Rejection::new(Check::Limits, Code::LimitExceeded, reason).into())
        }
        Completeness::Open(undecided) => Some(VerifyError::Undecided(undecided.clone())),
    }
}

#[cfg(test)]
mod tests;
