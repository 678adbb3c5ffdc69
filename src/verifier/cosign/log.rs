//! Does an entry of a transparency log vouch for exactly this signature?
//!
//! ```text
//! Entry ─► a log of the root? ─► body: kind ─┬─► promise  SET over body, index, time ─► a time (v1 only)
//!              │ no: Ok(None)                ├─► proof    leaf ─► root = checkpoint's, signed by the log
//!                                            └─► binding  hash, signature, certificate or key are the item's own
//! ```
//!
//! An entry of a log that the root does not have does not count and does not hurt. Whatever is wrong with an entry of a log that
//! the root has refuses the item: evidence that contradicts itself is not weighed.
//!
//! Rule: `sigstore.md` §1.5, §2.1, §2.2, §2.4; Rekor v1 and v2 client specifications; RFC 6962 §2.1.

use std::collections::HashSet;

use time::{Duration, OffsetDateTime};

use super::{
    evidence::{BundleVersion, Entry, Shape, Signed},
    root::{Log, TrustedRoot, Window},
};
use crate::crypto::{algorithm::PublicKey, hex};

mod binding;
mod body;
mod checkpoint;
mod fault;
mod promise;
mod proof;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(super) use fault::LogFault;

use body::Body;

/// COS-09: a log's clock may be ahead of ours by this much.
const CLOCK_SKEW: Duration = Duration::seconds(60);

/// What an entry must be about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimed<'a> {
    /// How the item was stored; it decides which evidence an entry must bring.
    pub shape: Shape,
    /// What was signed.
    pub signed: &'a Signed,
    /// The one signature that verified.
    pub signature: &'a [u8],
    /// What it verified with.
    pub signer: Signer<'a>,
}

/// What a signature verified with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signer<'a> {
    /// The key of this certificate, DER.
    Certificate(&'a [u8]),
    /// A key that the trust policy names.
    Key(&'a PublicKey),
}

/// An entry that vouches for the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logged {
    /// The log's id, lower-case hex.
    pub log: String,
    /// Where the log is.
    pub log_name: String,
    /// The index that the entry states; the promise or, in Rekor v2, the proof is about it.
    pub index: u64,
    /// When a Rekor v1 log says to have taken the entry in. Only a promise (SET) vouches for a time.
    pub integrated_at: Option<OffsetDateTime>,
    /// Whether a promise was verified.
    pub promised: bool,
    /// Whether an inclusion proof and its checkpoint were verified.
    pub proven: bool,
}

/// Checks that `entry` vouches for `claimed`. `None`: it is of a log that `root` does not have.
///
/// A promise or a proof that is there is checked, whether it is demanded or not. Demanded are: for bundles of v0.2 and later a
/// proof; for bundles of v0.1 and everything older a promise; for Rekor v2 a proof and no promise.
///
/// An integrated time must lie in the window of the log's key and not more than a minute after `now`. Without a promise nothing
/// tells when the log signed: then its key must have been in use before `now`, and may have been retired since.
///
/// # Errors
/// [`LogFault`]: the item is refused.
///
/// Rule: `sigstore.md` R61, R81–R89, R92; `threats.md` COS-01…COS-12.
pub(super) fn verify(
    entry: &Entry,
    claimed: &Claimed<'_>,
    root: &TrustedRoot,
    now: OffsetDateTime,
) -> Result<Option<Logged>, LogFault> {
    // One id may stand in a root more than once, with another window each.
    let mut refused = None;
    for log in root.logs.iter().filter(|log| log.id == entry.log_id) {
        match verify_in(entry, claimed, log, now) {
            Ok(logged) => return Ok(Some(logged)),
            Err(fault) => refused = Some(fault),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// How many logs vouch. Entries of one log count once, however many there are (COS-12, R88; CVE-2026-49834).
pub(super) fn distinct(logged: &[Logged]) -> usize {
    logged.iter().map(|entry| entry.log.as_str()).collect::<HashSet<_>>().len()
}

fn verify_in(entry: &Entry, claimed: &Claimed<'_>, log: &Log, now: OffsetDateTime) -> Result<Logged, LogFault> {
    let body = Body::parse(entry, claimed.shape)?;
    evidence_is_complete(entry, claimed.shape, &body)?;
    let integrated_at = match &entry.promise {
        Some(promise) => Some(promise::verify(entry, promise, log)?),
        None => None,
    };
    if let Some(proof) = &entry.proof {
        proof::verify(entry, proof, body.is_v2(), log)?;
    }
    binding::check(&body, claimed)?;
    in_time(integrated_at, log.window, now)?;
    Ok(Logged {
        log: hex(&log.id),
        log_name: log.base_url.clone(),
        index: entry.log_index,
        integrated_at,
        promised: entry.promise.is_some(),
        proven: entry.proof.is_some(),
    })
}

/// Rule: `sigstore.md` §1.4 (bundle versions), §2.1, R46, R87.
fn evidence_is_complete(entry: &Entry, shape: Shape, body: &Body) -> Result<(), LogFault> {
    let (promise, proof) = match shape {
        Shape::Bundle(BundleVersion::V02 | BundleVersion::V03) => (false, true),
        Shape::Bundle(BundleVersion::V01)
        | Shape::AttestationReferrer
        | Shape::AttestationTag
        | Shape::SignatureReferrer
        | Shape::SignatureTag => (true, false),
    };
    if body.is_v2() && entry.promise.is_some() {
        return Err(LogFault::PromiseUnexpected);
    }
    if promise && entry.promise.is_none() {
        return Err(LogFault::PromiseMissing { shape });
    }
    if (proof || body.is_v2()) && entry.proof.is_none() {
        return Err(LogFault::ProofMissing { shape });
    }
    Ok(())
}

fn in_time(integrated_at: Option<OffsetDateTime>, window: Window, now: OffsetDateTime) -> Result<(), LogFault> {
    let Some(integrated_at) = integrated_at else {
        // COS-11; retired keys stay good for what they signed (`sigstore.md` §2.7).
        return if window.start <= now { Ok(()) } else { Err(LogFault::KeyNotYet { start: window.start, now }) };
    };
    if !window.contains(integrated_at) {
        return Err(LogFault::KeyWindow { integrated_at, start: window.start, end: window.end });
    }
    // COS-09
    if integrated_at > now.saturating_add(CLOCK_SKEW) {
        return Err(LogFault::Future { integrated_at, now });
    }
    Ok(())
}
