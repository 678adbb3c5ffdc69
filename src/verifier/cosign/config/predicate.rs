//! What a verifier of type `attestation` asks for: a predicate type, and times.

use super::{ConfigFault, FaultKind, PolicyConfig};
use crate::verifier::cosign::{
    select::{Freshness, Select},
    statement::predicate_type_of,
};

/// Longest predicate type and pointer; real ones have a fifth.
const MAX_TEXT_BYTES: usize = 512;

/// The predicate type that is meant by a URI or by a short name of cosign's. `None`: neither.
pub fn predicate_type(written: &str) -> Option<String> {
    let plain = written.len() <= MAX_TEXT_BYTES && written.bytes().all(|b| b.is_ascii_graphic());
    predicate_type_of(written).filter(|_| plain).map(str::to_owned)
}

pub(super) fn check(written: &str, faults: &mut Vec<ConfigFault>) -> String {
    predicate_type(written).unwrap_or_else(|| {
        let fault = FaultKind::PredicateType { written: written.to_owned() };
        faults.push(ConfigFault::new("predicateType", fault));
        String::new()
    })
}

/// `latest` and `maxAge` need a time: one that the statement says, or one that every trust policy's evidence has.
pub(super) fn check_times(freshness: &Freshness, policies: &[PolicyConfig], faults: &mut Vec<ConfigFault>) {
    if let Some(field) = &freshness.time_field {
        if !is_pointer(field) {
            faults.push(ConfigFault::new("timeField", FaultKind::Pointer { written: field.clone() }));
        }
        return;
    }
    let member = match (freshness.max_age, freshness.select) {
        (Some(_), _) => "maxAge",
        (None, Select::Latest) => "select",
        (None, Select::All | Select::Any) => return,
    };
    if let Some(policy) = policies.iter().find(|policy| !yields_time(policy)) {
        faults.push(ConfigFault::new(member, FaultKind::TimeUnknown { policy: policy.name.clone() }));
    }
}

/// Whether evidence that the policy accepts can have a verified time. A present that counts as one says nothing of the past.
fn yields_time(policy: &PolicyConfig) -> bool {
    let demanded = [policy.signed_timestamp_threshold, policy.observer_timestamp_threshold];
    let by_default = policy.keys.is_none() && !policy.use_current_time && policy.observer_timestamp_threshold.is_none();
    !policy.ignore_tlog || by_default || demanded.into_iter().flatten().any(|threshold| threshold > 0)
}

/// RFC 6901: parts after slashes, in which `~` stands before `0` or `1` only. The whole document is no time.
fn is_pointer(text: &str) -> bool {
    let mut rest = text.split('~');
    let first = rest.next().unwrap_or_default();
    text.len() <= MAX_TEXT_BYTES
        && first.starts_with('/')
        && rest.all(|part| part.starts_with(['0', '1']))
        && !text.chars().any(char::is_control)
}
