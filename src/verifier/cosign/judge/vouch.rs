//! Logs and timestamps: who else knows of exactly this signature, and since when.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::{
    super::{
        evidence::{Item, Shape, Signed},
        log::{self, Claimed, Logged, Signer},
        policy::Demands,
        root::{Profile, TrustedRoot},
        timestamp::{self, SignedTime},
    },
    Question,
};
use crate::{
    reason::Code,
    verifier::{Check, Outcome, Rejection},
};

/// COS-09: an authority's clock may be ahead of ours by this much.
const CLOCK_SKEW: Duration = Duration::seconds(60);

/// What logs and timestamp authorities say.
#[derive(Debug, Default)]
pub(super) struct Vouched {
    /// Entries that were verified; none where the log is ignored.
    pub(super) logged: Vec<Logged>,
    /// Timestamps of trusted authorities.
    pub(super) stamped: Vec<SignedTime>,
    /// All trusted times.
    pub(super) times: Vec<OffsetDateTime>,
    /// The two checks, for the report.
    pub(super) checks: Vec<(Check, Outcome)>,
}

/// What a root's profile makes of the trust policy's demands: GitHub's instance has no log and no SCT, and one signed
/// timestamp; for that root alone (R98).
pub(super) fn demands(asked: Demands, root: &TrustedRoot) -> Demands {
    match root.profile {
        Profile::GitHub => {
            Demands { logs: None, scts: None, signed_timestamps: asked.signed_timestamps.max(1), ..asked }
        }
        Profile::Sigstore => asked,
    }
}

/// Verifies entries and timestamps about `signature`, made by `signer`, and counts them. Without a root there are none.
pub(super) fn verify(
    question: &Question<'_>,
    signature: &[u8],
    signer: Signer<'_>,
    root: Option<&TrustedRoot>,
) -> Result<Vouched, Rejection> {
    let demands = root.map_or(question.demands, |root| demands(question.demands, root));
    let mut vouched = Vouched::default();
    if let Some(root) = root {
        if demands.logs.is_some() {
            vouched.logged = entries(question, signature, signer, root)?;
        }
        vouched.stamped = timestamps(question, signature, root)?;
    }
    count(&demands, &mut vouched)?;
    let logged = vouched.logged.iter().filter_map(|entry| entry.integrated_at);
    vouched.times = logged.chain(vouched.stamped.iter().map(|stamp| stamp.time)).collect();
    Ok(vouched)
}

/// An entry of an unknown log does not count; a bad one of a known log refuses the item.
fn entries(
    question: &Question<'_>,
    signature: &[u8],
    signer: Signer<'_>,
    root: &TrustedRoot,
) -> Result<Vec<Logged>, Rejection> {
    let Item { shape, signed, entries, .. } = question.item;
    let claimed = Claimed { shape: *shape, signed, signature, signer };
    let mut logged = Vec::new();
    for entry in entries {
        let verified = log::verify(entry, &claimed, root, question.now);
        logged.extend(verified.map_err(|fault| Rejection::because(Check::Transparency, fault.code(), &fault))?);
    }
    Ok(logged)
}

/// Timestamps are verified whether they are demanded or not: one of a trusted authority must fit, one of an unknown authority
/// does not count.
fn timestamps(question: &Question<'_>, signature: &[u8], root: &TrustedRoot) -> Result<Vec<SignedTime>, Rejection> {
    let stamped = stamped_bytes(question.item, signature);
    let mut all = Vec::new();
    for response in &question.item.timestamps {
        let verified = timestamp::verify(response, stamped, root)
            .map_err(|fault| Rejection::because(Check::Timestamp, fault.code(), &fault))?;
        if let Some(stamp) = verified {
            if stamp.time > question.now + CLOCK_SKEW {
                let reason = format!("the signed timestamp {} lies in the future", stamp.time);
                return Err(Rejection::new(Check::Timestamp, Code::TimestampInvalid, reason));
            }
            all.push(stamp);
        }
    }
    Ok(all)
}

/// Cosign has the envelope of an attestation layer stamped; everything else stamps the signature (`sigstore.md` §2.1).
fn stamped_bytes<'a>(item: &'a Item, signature: &'a [u8]) -> &'a [u8] {
    match (&item.signed, item.shape) {
        (Signed::Envelope(envelope), Shape::AttestationReferrer | Shape::AttestationTag) => {
            envelope.raw.as_ref().map_or(signature, |raw| raw)
        }
        _ => signature,
    }
}

/// Thresholds count distinct logs and authorities (COS-12).
fn count(demands: &Demands, vouched: &mut Vouched) -> Result<(), Rejection> {
    let Vouched { logged, stamped, times: _, checks } = vouched;
    match demands.logs {
        Some(wanted) => {
            let known = log::distinct(logged);
            if known < wanted.get() {
                let reason = format!("entries of {known} trusted logs vouch for the signature, wanted are {wanted}");
                return Err(Rejection::new(Check::Transparency, Code::TlogMissing, reason));
            }
            checks.push((Check::Transparency, Outcome::Passed));
        }
        None => checks.push((Check::Transparency, Outcome::Skipped)),
    }
    let authorities: BTreeSet<&str> = stamped.iter().map(|stamp| stamp.authority_id.as_str()).collect();
    let clocks: BTreeSet<&str> =
        logged.iter().filter(|entry| entry.integrated_at.is_some()).map(|entry| entry.log.as_str()).collect();
    let observers = authorities.len().saturating_add(clocks.len());
    for (known, wanted, what) in [
        (authorities.len(), demands.signed_timestamps, "signed timestamps of trusted authorities"),
        (observers, demands.observer_timestamps, "trusted times"),
    ] {
        if known < wanted {
            let reason = format!("{known} {what} are known for the signature, wanted are {wanted}");
            return Err(Rejection::new(Check::Timestamp, Code::TimestampMissing, reason));
        }
    }
    let timed = if observers == 0 { Outcome::Skipped } else { Outcome::Passed };
    checks.push((Check::Timestamp, timed));
    Ok(())
}
