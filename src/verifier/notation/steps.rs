//! One signature against one trust policy statement: each step, in the specification's order, with the policy's action.
//!
//! ```text
//! integrity → plugin → authenticity → expiry → authenticTimestamp → revocation → subject → user metadata
//! always      always   policy         policy   policy               policy       always    always
//! ```
//!
//! Rule: Notary Project signature verification workflow v1.1.0, "Steps". Nothing here fetches: what would need a
//! revocation server or a timestamp token fails, it is never left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    envelope::{Envelope, EnvelopeError, Limits, Plugin, SigningScheme},
    identity::SubjectAttributes,
    integrity::{self, Signed},
    level::{Action, Validation},
    trust_policy::{Checked, StoreName, StoreType, VerifyTimestamp},
    trust_store::TrustStores,
};
use crate::{
    crypto::{chain, x509::Certificate},
    oci::{Descriptor, Digest},
    reason::{self, Code},
    verifier::{Check, Findings, Outcome, Rejection, Signer},
};

/// What a signature is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The statement's name.
    pub(super) statement: &'a str,
    /// What it asks for.
    pub(super) checked: &'a Checked,
    /// The trust stores.
    pub(super) stores: &'a TrustStores,
    /// Required user metadata.
    pub(super) user_metadata: &'a BTreeMap<String, String>,
    /// The bounds of envelopes.
    pub(super) limits: Limits,
    /// The moment of the whole request.
    pub(super) now: OffsetDateTime,
}

/// Verifies an envelope of `media_type` as a signature of `subject`.
///
/// # Errors
/// The first step that fails and that the policy enforces.
pub(super) fn verify(
    media_type: &str,
    envelope: &[u8],
    subject: &Descriptor,
    terms: &Terms<'_>,
) -> Result<Findings, Rejection> {
    let signed = check_integrity(media_type, envelope, terms)?;
    let mut steps = Steps::begin(&signed, terms);
    if let Some(plugin) = signed.plugin() {
        return Err(steps.rejection(Check::Integrity, Action::Enforce, &plugin_required(plugin)));
    }
    steps.step(Validation::Authenticity, authenticity)?;
    steps.step(Validation::Expiry, expiry)?;
    steps.step(Validation::AuthenticTimestamp, authentic_timestamp)?;
    steps.step(Validation::Revocation, revocation)?;
    steps.always(Check::Subject, is_signed(&signed, subject))?;
    if !terms.user_metadata.is_empty() {
        steps.always(Check::Metadata, has_metadata(&signed, terms))?;
    }
    Ok(steps.conclude())
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

fn check_integrity(media_type: &str, envelope: &[u8], terms: &Terms<'_>) -> Result<Signed, Rejection> {
    let rejected = |check, code, reason: &str| {
        let reason = format!("{reason} (trust policy {:?}: enforce {check})", terms.statement);
        Rejection::new(check, code, reason)
    };
    let envelope = Envelope::parse(media_type, envelope, terms.limits).map_err(|error| {
        let check = if matches!(error, EnvelopeError::TooLarge { .. }) { Check::Limits } else { Check::Integrity };
        rejected(check, error.code(), &reason::chain(&error))
    })?;
    integrity::check(envelope).map_err(|error| rejected(Check::Integrity, error.code(), &reason::chain(&error)))
}

/// The steps made so far.
struct Steps<'a> {
    signed: &'a Signed,
    terms: &'a Terms<'a>,
    subject: String,
    made: Vec<(Check, Outcome)>,
    warnings: Vec<String>,
}

impl<'a> Steps<'a> {
    fn begin(signed: &'a Signed, terms: &'a Terms<'a>) -> Self {
        let subject = signed.chain().leaf().subject().to_text();
        let warnings = signed.chain().warnings().iter().map(ToString::to_string).collect();
        Self { signed, terms, subject, made: vec![(Check::Integrity, Outcome::Passed)], warnings }
    }

    /// A step that a policy can enforce, log or (revocation only) skip.
    fn step(
        &mut self,
        validation: Validation,
        make: fn(&Signed, &Terms<'_>) -> Result<Vec<String>, Failure>,
    ) -> Result<(), Rejection> {
        let check = check_of(validation);
        let action = self.terms.checked.actions.action(validation);
        let outcome = match action {
            Action::Skip => Outcome::Skipped,
            Action::Enforce | Action::Log => match make(self.signed, self.terms) {
                Ok(warnings) => {
                    self.warnings.extend(warnings);
                    Outcome::Passed
                }
                Err(failure) => {
                    let rejection = self.rejection(check, action, &failure);
                    if action == Action::Enforce {
                        return Err(rejection);
                    }
                    Outcome::Logged(rejection)
                }
            },
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

    fn conclude(self) -> Findings {
        let leaf = self.signed.chain().leaf();
        let root = self.signed.chain().root();
        let valid_until = self.valid_until();
        let mut extensions = Map::new();
        let mut signer = None;
        // A name is worth something only where the chain under it is trusted.
        if self.passed(Check::Authenticity) {
            extensions.insert("Issuer".to_owned(), Value::from(leaf.issuer().to_text()));
            extensions.insert("SN".to_owned(), Value::from(self.subject.clone()));
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
            valid_until,
            message,
            extensions,
            warnings: self.warnings,
            attested: None,
        }
    }

    /// The earliest moment at which a step that passed would fail.
    fn valid_until(&self) -> Option<OffsetDateTime> {
        let expiry = self.signed.expiry().filter(|_| self.passed(Check::Expiry));
        let by_now = matches!(self.signed.scheme(), SigningScheme::X509 { .. });
        let certificates = self.signed.chain().certificates().iter().map(Certificate::not_after).min();
        let certificates = certificates.filter(|_| by_now && self.passed(Check::AuthenticTimestamp));
        // The last moment of a certificate is one of its valid ones.
        let certificates = certificates.map(|last| last.max(self.terms.now.saturating_add(Duration::NANOSECOND)));
        [expiry, certificates].into_iter().flatten().min()
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
fn authenticity(signed: &Signed, terms: &Terms<'_>) -> Result<Vec<String>, Failure> {
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
        let anchors = terms.stores.certificates(store).map_err(|fault| {
            Failure::new(Code::NoTrust, format!("trust store {store} vouches for nobody: {}", reason::chain(fault)))
        })?;
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
        return Ok(Vec::new());
    }
    let why = if subject.is_some() {
        "the leaf's subject is none of the trusted identities"
    } else {
        "the leaf's subject is not unambiguous (C, ST and O once each, only attributes that identities can name), only identity * matches it"
    };
    Err(Failure::new(Code::IdentityMismatch, why))
}

/// Expired from the very moment on (D23).
fn expiry(signed: &Signed, terms: &Terms<'_>) -> Result<Vec<String>, Failure> {
    match signed.expiry() {
        Some(expiry) if terms.now >= expiry => {
            Err(Failure::new(Code::Expired, format!("the signature expired at {}", rfc3339(expiry))))
        }
        Some(_) | None => Ok(Vec::new()),
    }
}

/// Certificates are valid now; with a signing authority, when it signed. Where the policy wants a timestamp token instead,
/// that cannot be had yet.
fn authentic_timestamp(signed: &Signed, terms: &Terms<'_>) -> Result<Vec<String>, Failure> {
    let certificates = signed.chain().certificates();
    let moment = match signed.scheme() {
        SigningScheme::SigningAuthority { authentic_signing_time } => authentic_signing_time,
        SigningScheme::X509 { .. } => terms.now,
    };
    if wants_token(signed, terms) {
        let token = if signed.timestamp_token().is_some() { "" } else { ", and the signature has none" };
        return Err(Failure::new(
            Code::TimestampUnsupported,
            format!(
                "the policy asks for a timestamp countersignature of a tsa store, which this release cannot verify{token}"
            ),
        ));
    }
    match chain::outside_validity(certificates, moment) {
        None => Ok(Vec::new()),
        Some(outside) => Err(Failure::new(Code::CertificateExpired, outside.to_string())),
    }
}

/// Rule: trust policy specification, `verifyTimestamp`; a signing authority vouches for its time itself.
fn wants_token(signed: &Signed, terms: &Terms<'_>) -> bool {
    let by_signer = matches!(signed.scheme(), SigningScheme::X509 { .. });
    let has_tsa = terms.checked.stores_of(StoreType::Tsa).next().is_some();
    let due = match terms.checked.verify_timestamp {
        VerifyTimestamp::AfterCertExpiry => {
            signed.chain().certificates().iter().any(|certificate| terms.now > certificate.not_after())
        }
        VerifyTimestamp::Always => true,
    };
    by_signer && has_tsa && due
}

/// Certificates that name no revocation server cannot be revoked; where one is named it cannot be asked yet. The root is
/// never asked about.
fn revocation(signed: &Signed, _: &Terms<'_>) -> Result<Vec<String>, Failure> {
    let certificates = signed.chain().certificates();
    let issued = certificates.len().saturating_sub(1);
    let mut warnings = Vec::new();
    for (position, certificate) in certificates.iter().enumerate().take(issued) {
        let subject = reason::printable(&certificate.subject().to_text(), 128);
        if certificate.extensions().has_revocation_address() {
            return Err(Failure::new(
                Code::RevocationUnsupported,
                format!("certificate {position} ({subject:?}) names revocation servers, which this release cannot ask"),
            ));
        }
        warnings.push(format!("certificate {position} ({subject:?}) names no revocation server: it cannot be revoked"));
    }
    Ok(warnings)
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
