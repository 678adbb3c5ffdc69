//! One signature against one trust policy statement: each step, in the specification's order, with the policy's action.
//!
//! ```text
//! integrity → plugin → authenticity → expiry → authenticTimestamp → revocation → subject → user metadata
//! always      always   policy         policy   policy               policy       always    always
//! ```
//!
//! Rule: Notary Project signature verification workflow v1.1.0, "Steps". Nothing here fetches: the shell makes the steps in
//! this order and finds out what can be found out about revocation: of the timestamp authority before the step
//! authenticTimestamp where [`Dated::authority`] names one, of the signer before the step revocation where
//! [`Steps::wants_revocation`] says so.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    chains::KnownChains,
    envelope::{Envelope, EnvelopeError, Limits, Plugin, SigningScheme},
    identity::SubjectAttributes,
    integrity::{self, Signed},
    level::{Action, Validation},
    revocation::ChainRevocation,
    trust_policy::{Checked, StoreName, StoreType},
    trust_store::TrustStores,
};
use crate::{
    crypto::x509::Certificate,
    oci::{Descriptor, Digest},
    reason::{self, Class, Code},
    verifier::{Check, Findings, Outcome, Rejection, Signer, Undecided, Until, VerifyError},
};

mod timestamp;

use timestamp::Moment;

/// What a signature is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The statement's name.
    pub(super) statement: &'a str,
    /// What it asks for.
    pub(super) checked: &'a Checked,
    /// The trust stores.
    pub(super) stores: &'a TrustStores,
    /// Chains that were found to fit before.
    pub(super) chains: &'a KnownChains,
    /// Required user metadata.
    pub(super) user_metadata: &'a BTreeMap<String, String>,
    /// The bounds of envelopes.
    pub(super) limits: Limits,
    /// The moment of the whole request.
    pub(super) now: OffsetDateTime,
}

impl Terms<'_> {
    fn store(&self, name: &StoreName) -> Result<&[Certificate], Failure> {
        self.stores.certificates(name).map_err(|fault| {
            Failure::new(Code::NoTrust, format!("trust store {name} vouches for nobody: {}", reason::chain(fault)))
        })
    }
}

/// What a step that passed rests on.
#[derive(Debug, Default)]
struct Holds {
    /// Until when it would pass again.
    until: Until,
    /// What the reader should know.
    warnings: Vec<String>,
}

impl Holds {
    fn join(&mut self, other: Self) {
        self.until = self.until.into_iter().chain(other.until).min();
        self.warnings.extend(other.warnings);
    }
}

/// At what moment the certificates were found valid, or why not; before the step that enters it.
#[derive(Debug)]
pub(super) struct Dated(Result<Moment, Failure>);

impl Dated {
    /// The timestamp authority's chain. It is to be asked about whatever the policy says of the signer's (item 88,
    /// CVE-2024-56138); it ends in a trusted root, so that its addresses are no stranger's.
    pub(super) fn authority(&self) -> Option<&[Certificate]> {
        match &self.0 {
            Ok(Moment::Token(verified)) => Some(verified.chain()),
            Ok(Moment::Authority | Moment::Now { .. }) | Err(_) => None,
        }
    }
}

/// Why a step failed.
#[derive(Debug)]
struct Failure {
    code: Code,
    reason: String,
}

impl Failure {
    fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// The first step: parses an envelope of `media_type` and checks its integrity, which no policy can soften.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_integrity(media_type: &str, envelope: &[u8], terms: &Terms<'_>) -> Result<Signed, Rejection> {
    let rejected = |check, code, reason: &str| {
        let reason = format!("{reason} (trust policy {:?}: enforce {check})", terms.statement);
        Rejection::new(check, code, reason)
    };
    let envelope = Envelope::parse(media_type, envelope, terms.limits).map_err(|error| {
        let check = if matches!(error, EnvelopeError::TooLarge { .. }) { Check::Limits } else { Check::Integrity };
        rejected(check, error.code(), &reason::chain(&error))
    })?;
    integrity::check(envelope, terms.chains)
        .map_err(|error| rejected(Check::Integrity, error.code(), &reason::chain(&error)))
}

/// The steps made so far.
pub(super) struct Steps<'a> {
    signed: &'a Signed,
    terms: &'a Terms<'a>,
    subject: String,
    made: Vec<(Check, Outcome)>,
    /// What all steps that passed rest on.
    holds: Holds,
    /// By what each certificate is known not to be revoked, leaf first.
    methods: Vec<&'static str>,
}

impl<'a> Steps<'a> {
    /// The steps up to authenticTimestamp.
    ///
    /// # Errors
    /// The first step that fails and that the policy enforces.
    pub(super) fn make(signed: &'a Signed, terms: &'a Terms<'a>) -> Result<Self, VerifyError> {
        let mut steps = Self::begin(signed, terms);
        if let Some(plugin) = signed.plugin() {
            return Err(steps.rejection(Check::Integrity, Action::Enforce, &plugin_required(plugin)).into());
        }
        steps.settle(Validation::Authenticity, authenticity(signed, terms))?;
        steps.settle(Validation::Expiry, expiry(signed, terms))?;
        Ok(steps)
    }

    fn begin(signed: &'a Signed, terms: &'a Terms<'a>) -> Self {
        let subject = signed.chain().leaf().subject().to_text();
        let warnings = signed.chain().warnings().iter().map(ToString::to_string).collect();
        let holds = Holds { until: None, warnings };
        let made = vec![(Check::Integrity, Outcome::Passed)];
        Self { signed, terms, subject, made, holds, methods: Vec::new() }
    }

    fn action(&self, validation: Validation) -> Action {
        self.terms.checked.actions.action(validation)
    }

    /// Enters what came of a step that a policy can enforce, log or (revocation only) skip.
    fn settle(&mut self, validation: Validation, result: Result<Holds, Failure>) -> Result<(), VerifyError> {
        let check = check_of(validation);
        let action = self.action(validation);
        let outcome = match (action, result) {
            (Action::Skip, _) => Outcome::Skipped,
            (Action::Enforce | Action::Log, Ok(holds)) => {
                self.holds.join(holds);
                Outcome::Passed
            }
            (Action::Log, Err(failure)) => Outcome::Logged(self.rejection(check, action, &failure)),
            (Action::Enforce, Err(failure)) => {
                let rejection = self.rejection(check, action, &failure);
                return Err(match rejection.code().class() {
                    Class::No => rejection.into(),
                    Class::Broken | Class::Undecided | Class::Yes => {
                        Undecided::new(rejection.code(), format!("{check}: {}", rejection.reason())).into()
                    }
                });
            }
        };
        self.made.push((check, outcome));
        Ok(())
    }

    /// A step that no policy can soften.
    fn always(&mut self, check: Check, result: Result<(), Failure>) -> Result<(), Rejection> {
        result.map_err(|failure| self.rejection(check, Action::Enforce, &failure))?;
        self.made.push((check, Outcome::Passed));
        Ok(())
    }

    /// Whether anybody is to be asked about the chain: the policy wants it, and the chain is no stranger's (item 101, SSRF).
    pub(super) fn wants_revocation(&self) -> bool {
        let action = self.terms.checked.actions.action(Validation::Revocation);
        action != Action::Skip && self.passed(Check::Authenticity)
    }

    /// At what moment the certificates are judged, and what comes of it.
    pub(super) fn date(&self) -> Dated {
        Dated(timestamp::judge(self.signed, self.terms))
    }

    /// The step authenticTimestamp. `found`: what is known of the chain that [`Dated::authority`] names.
    ///
    /// # Errors
    /// Where the policy enforces it: a no, or nothing could be found out about the timestamp authority.
    pub(super) fn authentic_timestamp(
        &mut self,
        dated: Dated,
        found: Option<&ChainRevocation>,
    ) -> Result<(), VerifyError> {
        let until = found.and_then(|found| self.until(found));
        let result = dated.0.and_then(|moment| {
            let warnings = match (&moment, found) {
                (Moment::Authority | Moment::Now { .. }, _) => Vec::new(),
                (Moment::Token(_), Some(found)) => not_revoked(found, "timestamp authority: ")?,
                (Moment::Token(_), None) => {
                    let reason = "nobody was asked about the timestamp authority's certificates";
                    return Err(Failure::new(Code::RevocationUnavailable, reason));
                }
            };
            Ok(Holds { until: moment.until(), warnings })
        });
        self.holds.join(Holds { until, warnings: Vec::new() });
        self.settle(Validation::AuthenticTimestamp, result)
    }

    /// The revocation step. `found`: what is known of the chain.
    ///
    /// # Errors
    /// Where the policy enforces it: a no, or nothing could be found out.
    pub(super) fn revocation(&mut self, found: &ChainRevocation) -> Result<(), VerifyError> {
        if self.action(Validation::Revocation) != Action::Skip {
            let until = self.until(found);
            self.holds.join(Holds { until, warnings: Vec::new() });
            self.methods = found.methods();
        }
        let warnings = not_revoked(found, "");
        self.settle(Validation::Revocation, warnings.map(|warnings| Holds { until: None, warnings }))
    }

    /// Until when what was found holds, where it is only logged too: it may be found otherwise then.
    fn until(&self, found: &ChainRevocation) -> Until {
        found.valid_until().map(|last| timestamp::past_the_last(last, self.terms.now))
    }

    /// The last steps: what is signed is `subject`, with the metadata that the operator requires.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn conclude(mut self, subject: &Descriptor) -> Result<Findings, Rejection> {
        self.always(Check::Subject, is_signed(self.signed, subject))?;
        if !self.terms.user_metadata.is_empty() {
            self.always(Check::Metadata, has_metadata(self.signed, self.terms))?;
        }
        Ok(self.findings())
    }

    /// Item 107: what failed, and under which policy, step and action, and whose certificate it was.
    fn rejection(&self, check: Check, action: Action, failure: &Failure) -> Rejection {
        let said = reason::printable(&failure.reason, 400);
        let leaf = reason::printable(&self.subject, 200);
        let reason = format!("{said} (trust policy {:?}: {action} {check}; leaf {leaf:?})", self.terms.statement);
        Rejection::new(check, failure.code, reason)
    }

    fn passed(&self, check: Check) -> bool {
        self.made.iter().any(|(made, outcome)| *made == check && matches!(outcome, Outcome::Passed))
    }

    fn findings(self) -> Findings {
        let leaf = self.signed.chain().leaf();
        let root = self.signed.chain().root();
        let ends = self.signed.chain().certificates().iter().map(Certificate::not_after);
        let signer_until = ends.chain(self.signed.expiry()).min();
        let mut extensions = Map::new();
        let mut signer = None;
        // A name is worth something only where the chain under it is trusted.
        if self.passed(Check::Authenticity) {
            extensions.insert("Issuer".to_owned(), Value::from(leaf.issuer().to_text()));
            extensions.insert("SN".to_owned(), Value::from(self.subject.clone()));
            if self.passed(Check::Revocation) && !self.methods.is_empty() {
                extensions.insert("revocation".to_owned(), Value::from(self.methods.clone()));
            }
            // The text, not the bytes: one subject in two string types is one signer.
            let subject = Digest::sha256(self.subject.as_bytes());
            let identity = format!("{}:{}", root.spki_sha256(), subject.hex());
            signer = Some(Signer { identity, display: self.subject.clone() });
        }
        let logged = self.made.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Logged(_))).count();
        let message = match logged {
            0 => "the Notation signature is verified".to_owned(),
            1 => "the Notation signature is accepted with one failed check that is only logged".to_owned(),
            more => format!("the Notation signature is accepted with {more} failed checks that are only logged"),
        };
        Findings {
            checks: self.made,
            signer,
            valid_until: self.holds.until,
            signer_until,
            message,
            extensions,
            warnings: self.holds.warnings,
            attested: None,
        }
    }
}

const fn check_of(validation: Validation) -> Check {
    match validation {
        Validation::AuthenticTimestamp => Check::AuthenticTimestamp,
        Validation::Authenticity => Check::Authenticity,
        Validation::Expiry => Check::Expiry,
        Validation::Integrity => Check::Integrity,
        Validation::Revocation => Check::Revocation,
    }
}

/// Items 104 to 106, ENV-40: the name is data; nothing is looked for or run.
fn plugin_required(plugin: &Plugin) -> Failure {
    let name = reason::printable(&plugin.name, 128);
    let version = plugin.min_version.as_ref().map(|version| format!(" {} or later", reason::printable(version, 64)));
    let why = if plugin.name == "com.amazonaws.signer.notation.plugin" {
        ": signatures of AWS Signer leave identity and revocation to its plugin, which is not run"
    } else {
        ": plugins are not run"
    };
    Failure::new(
        Code::PluginRequired,
        format!("the envelope demands verification plugin {name:?}{}{why}", version.unwrap_or_default()),
    )
}

/// A certificate of the chain is in a store of the scheme's type, byte for byte, and the leaf is a trusted identity.
fn authenticity(signed: &Signed, terms: &Terms<'_>) -> Result<Holds, Failure> {
    let scheme = signed.scheme();
    let store_type = match scheme {
        SigningScheme::SigningAuthority { .. } => StoreType::SigningAuthority,
        SigningScheme::X509 { .. } => StoreType::Ca,
    };
    let stores: Vec<&StoreName> = terms.checked.stores_of(store_type).collect();
    if stores.is_empty() {
        let (scheme, store_type) = (scheme.as_str(), store_type.as_str());
        return Err(Failure::new(
            Code::Untrusted,
            format!("signing scheme {scheme} needs a trust store of type {store_type}, the policy names none"),
        ));
    }
    let mut trusted = false;
    for store in stores {
        // One bad store spoils the statement, whatever the others hold: its operator meant another set of anchors.
        let anchors = terms.store(store)?;
        trusted |= signed.chain().certificates().iter().any(|certificate| anchors.contains(certificate));
    }
    if !trusted {
        let root = reason::printable(&signed.chain().root().subject().to_text(), 128);
        return Err(Failure::new(
            Code::Untrusted,
            format!("no certificate of the chain under root {root:?} is in the trust stores that the policy names"),
        ));
    }
    let subject = SubjectAttributes::read(signed.chain().leaf().subject());
    if terms.checked.identities.has(subject.as_ref()) {
        return Ok(Holds::default());
    }
    let why = if subject.is_some() {
        "the leaf's subject is none of the trusted identities"
    } else {
        "the leaf's subject is not unambiguous (C, ST and O once each, only attributes that identities can name), only identity * matches it"
    };
    Err(Failure::new(Code::IdentityMismatch, why))
}

/// Expired from the very moment on (D23).
fn expiry(signed: &Signed, terms: &Terms<'_>) -> Result<Holds, Failure> {
    match signed.expiry() {
        Some(expiry) if terms.now >= expiry => {
            Err(Failure::new(Code::Expired, format!("the signature expired at {}", rfc3339(expiry))))
        }
        until => Ok(Holds { until, warnings: Vec::new() }),
    }
}

fn not_revoked(found: &ChainRevocation, whose: &str) -> Result<Vec<String>, Failure> {
    let warnings = found.judge().map_err(|trouble| Failure::new(trouble.code, format!("{whose}{}", trouble.reason)))?;
    Ok(warnings.into_iter().map(|warning| format!("{whose}{warning}")).collect())
}

/// Media type, digest and size, all three; nothing else of the descriptor (§1.2 of the facts).
fn is_signed(signed: &Signed, subject: &Descriptor) -> Result<(), Failure> {
    let target = signed.target();
    if target.media_type == subject.media_type && target.digest == subject.digest && target.size == subject.size {
        return Ok(());
    }
    let media_type = reason::printable(&target.media_type, 96);
    Err(Failure::new(
        Code::SubjectMismatch,
        format!(
            "the envelope signs {} of {} bytes as {media_type:?}, this is {} of {} bytes as {:?}",
            target.digest, target.size, subject.digest, subject.size, subject.media_type
        ),
    ))
}

fn has_metadata(signed: &Signed, terms: &Terms<'_>) -> Result<(), Failure> {
    let annotations = &signed.target().annotations;
    for (name, wanted) in terms.user_metadata {
        let differs = match annotations.get(name) {
            Some(found) if found == wanted => continue,
            Some(_) => "has another value than required",
            None => "is missing",
        };
        return Err(Failure::new(Code::MetadataMismatch, format!("user metadata {name:?} {differs}")));
    }
    Ok(())
}

fn rfc3339(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_else(|_| moment.to_string())
}

#[cfg(test)]
mod tests;
