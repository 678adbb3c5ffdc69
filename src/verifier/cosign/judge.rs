//! One item against one trust policy: the place of this verifier that can find enough for a yes.
//!
//! ```text
//! content   what was signed: of the wanted type
//! signer    a key or a certificate whose key verifies the signature
//! vouch     logs and timestamps about exactly that signature ──► times
//! signer    the certificate's chain at every time, its SCTs, its identity
//! content   the signed bytes: readable, about the subject, with the wanted annotations
//! ```
//!
//! Rule: `sigstore.md` §2.0–2.6.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use self::{content::Content, signer::Proven, vouch::Vouched};
use super::{
    bundle,
    evidence::{Item, Signed},
    policy::{Demands, Trust, TrustPolicy},
    root::TrustedRoot,
};
use crate::{
    oci::{Digest, Repository},
    reason::Code,
    verifier::{Attested, Check, Findings, Outcome, Rejection},
};

mod content;
mod signer;
mod vouch;

/// What evidence must be about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its digest.
    pub digest: &'a Digest,
    /// Its bytes, where they are known: Ed25519 and hashes other than SHA-256 need them for a message signature.
    pub bytes: Option<&'a [u8]>,
    /// Where it lies; only `matchRepository: strict` looks at it.
    pub repository: Option<&'a Repository>,
}

/// What must have been signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Whatever it is, about the target. For bundles of artifacts that are no images.
    Any,
    /// A statement of this predicate type about the target.
    Attestation {
        /// The predicate type, compared exactly.
        predicate_type: String,
        /// Where the statement says when it was made: a JSON pointer. Without it the verified time counts.
        time_field: Option<String>,
    },
    /// A signature of the target: simple signing, cosign's own statement type, or a message signature.
    Signature,
}

/// Judges a Sigstore bundle, with its bytes.
///
/// # Errors
/// [`Rejection`].
pub fn judge_bundle(
    bytes: &[u8],
    target: &Target<'_>,
    want: &Want,
    policy: &TrustPolicy,
    now: OffsetDateTime,
) -> Result<Findings, Rejection> {
    let item = bundle::parse(bytes).map_err(|fault| Rejection::because(Check::Content, fault.code(), &fault))?;
    judge(&item, target, want, policy, now)
}

/// Judges an item.
///
/// # Errors
/// [`Rejection`] with the check that failed.
pub fn judge(
    item: &Item,
    target: &Target<'_>,
    want: &Want,
    policy: &TrustPolicy,
    now: OffsetDateTime,
) -> Result<Findings, Rejection> {
    content::check_type(item, want)?;
    let question = Question { item, target, demands: policy.demands, now };
    let proven = match &policy.trust {
        Trust::Certificates { roots, identities, authorities } => {
            signer::by_certificate(&question, roots, identities, *authorities)
        }
        Trust::Keys { keys, roots } => signer::by_key(&question, keys, roots),
    }?;
    let content = Content::read(item, want)?;
    content.bind(target, policy)?;
    Ok(conclude(item, content, proven, want, policy))
}

/// What the checks of signers and logs ask.
struct Question<'a> {
    item: &'a Item,
    target: &'a Target<'a>,
    demands: Demands,
    now: OffsetDateTime,
}

/// Tries each root whole; evidence of two is never mixed (R99). The nearest miss is told.
fn in_any_root<T>(
    roots: &[Arc<TrustedRoot>],
    mut judge: impl FnMut(&TrustedRoot) -> Result<T, Rejection>,
) -> Result<T, Rejection> {
    let mut refused: Option<Rejection> = None;
    for root in roots {
        match judge(root) {
            Ok(proven) => return Ok(proven),
            Err(rejection) => {
                if refused.as_ref().is_none_or(|known| known.check() < rejection.check()) {
                    refused = Some(rejection);
                }
            }
        }
    }
    let nobody = || Rejection::new(Check::Authenticity, Code::NoTrust, "the trust policy has no trusted root");
    Err(refused.unwrap_or_else(nobody))
}

fn conclude(item: &Item, content: Content<'_>, proven: Proven, want: &Want, policy: &TrustPolicy) -> Findings {
    let Proven { signer, vouched, scts, facts, valid_until, checks, warnings } = proven;
    let mut made = vec![(Check::Content, Outcome::Passed)];
    if !matches!(item.signed, Signed::Payload { .. }) {
        made.push((Check::PredicateType, Outcome::Passed));
    }
    made.extend(checks);
    made.push((Check::Subject, Outcome::Passed));
    if !policy.annotations.is_empty() {
        made.push((Check::Annotations, Outcome::Passed));
    }
    let mut extensions = Map::new();
    extensions.insert("shape".to_owned(), item.shape.as_str().into());
    extensions.insert("trustPolicy".to_owned(), policy.name.as_str().into());
    extensions.extend(facts);
    if let Some(predicate_type) = content.predicate_type() {
        extensions.insert("predicateType".to_owned(), predicate_type.into());
    }
    extensions.extend(vouched_facts(&vouched, &scts));
    let made_at = match want {
        Want::Attestation { time_field: Some(field), .. } => content.time_at(field),
        Want::Any | Want::Attestation { time_field: None, .. } | Want::Signature => vouched.times.iter().min().copied(),
    };
    if let (Want::Attestation { .. }, Some(moment)) = (want, made_at) {
        extensions.insert("attestedAt".to_owned(), rfc3339(moment).into());
    }
    let message = format!("{} signed by {}", item.shape, signer.display);
    let size_bytes = match &item.signed {
        Signed::Envelope(envelope) => envelope.payload.len(),
        Signed::Message { .. } | Signed::Payload { .. } => 0,
    };
    // A signature is no evidence for whoever judges content, also where its form is a statement.
    let attested = match want {
        Want::Any | Want::Attestation { .. } => content.into_statement(),
        Want::Signature => None,
    };
    let attested =
        attested.map(|(predicate_type, statement)| Attested { predicate_type, statement, size_bytes, made_at });
    // The ends of keyless certificates matter only where the present is the time that they are judged at.
    let signer_until = valid_until;
    Findings { checks: made, signer: Some(signer), valid_until, signer_until, message, extensions, warnings, attested }
}

fn rfc3339(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

/// Log entries, times and SCTs, as the report shows them.
fn vouched_facts(vouched: &Vouched, scts: &[String]) -> Map<String, Value> {
    let mut facts = Map::new();
    let entries: Vec<Value> = vouched
        .logged
        .iter()
        .map(|entry| {
            let mut told = json!({"log": entry.log_name, "logIndex": entry.index});
            if let (Some(moment), Value::Object(members)) = (entry.integrated_at, &mut told) {
                members.insert("integratedTime".to_owned(), rfc3339(moment).into());
            }
            told
        })
        .collect();
    let stamped: Vec<Value> = vouched
        .stamped
        .iter()
        .map(|stamp| json!({"authority": stamp.authority, "time": rfc3339(stamp.time)}))
        .collect();
    for (name, values) in [("logEntries", entries), ("timestamps", stamped)] {
        if !values.is_empty() {
            facts.insert(name.to_owned(), values.into());
        }
    }
    if !scts.is_empty() {
        facts.insert("certificateTransparencyLogs".to_owned(), scts.into());
    }
    facts
}
