//! A list whose issuer is known, and what it says of one certificate.
//!
//! Rule: RFC 5280 §5.2.4, §6.3.3; `notation.md` 3.5, D10, D12, D13.

use time::OffsetDateTime;

use super::{
    Crl,
    entries::walk,
    error::CrlError,
    revocation::{Question, Reason, Revocation},
    scope,
};
use crate::crypto::{
    read,
    x509::{self, Certificate, DistributionPoint, KeyUsage},
};

/// A complete list that its issuer signed, perhaps with a delta. [`Crl::verify`] is the only constructor.
#[derive(Debug, Clone)]
pub struct VerifiedCrl {
    base: Crl,
    delta: Option<Crl>,
    issuer: Certificate,
}

/// What a list says of a certificate, at a time at which that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// It is not revoked, or was not yet when it signed.
    NotRevoked {
        /// Until when the same lists say so: the earlier `nextUpdate`.
        next_update: OffsetDateTime,
    },
    /// It is revoked, for ever or for now.
    Revoked(Revocation),
}

/// Whether a list can be used, apart from what it lists for ever.
type Freshness = Result<OffsetDateTime, CrlError>;

impl VerifiedCrl {
    pub(super) fn of(crl: &Crl, issuer: &Certificate) -> Result<Self, CrlError> {
        if crl.is_delta() {
            return Err(CrlError::DeltaAlone);
        }
        check_issued(crl, issuer)?;
        Ok(Self { base: crl.clone(), delta: None, issuer: issuer.clone() })
    }

    /// The complete list.
    pub const fn base(&self) -> &Crl {
        &self.base
    }

    /// The delta.
    pub const fn delta(&self) -> Option<&Crl> {
        self.delta.as_ref()
    }

    /// The last moment at which the same lists can say that a certificate is not revoked; `None` where they never can.
    pub fn next_update(&self) -> Option<OffsetDateTime> {
        match &self.delta {
            Some(delta) => Some(self.base.next_update?.min(delta.next_update?)),
            None => self.base.next_update,
        }
    }

    /// Adds a delta that the same issuer signed for this list, in place of the one there was.
    ///
    /// # Errors
    /// [`CrlError`]: as of [`Crl::verify`]; [`CrlError::Delta`]: not newer than the list, from a later one than this, of
    /// another scope, or no delta.
    ///
    /// Rule: RFC 5280 §5.2.4; item 96.
    pub fn with_delta(mut self, delta: Crl) -> Result<Self, CrlError> {
        let refused = |what| Err(CrlError::Delta { what });
        let Some(starts_from) = &delta.extensions.delta_base else { return refused("it is a complete list") };
        check_issued(&delta, &self.issuer)?;
        if delta.number() <= self.base.number() {
            return refused("it is not newer");
        }
        if starts_from > self.base.number() {
            return refused("it starts from a later list");
        }
        if delta.extensions.scope != self.base.extensions.scope {
            return refused("it has another scope");
        }
        self.delta = Some(delta);
        Ok(self)
    }

    /// What the list says of a certificate. `point`: the certificate's distribution point for which the list answers; `None`
    /// where it came from elsewhere (a file), which only a list without a distribution point of its own allows.
    ///
    /// A revocation that cannot be taken back counts although the list has expired (D13) or its delta is missing. Of holds and
    /// their removals the latest counts, and a hold where two are of one moment. An entry whose `invalidityDate` is after the
    /// authentic signing time does not count.
    ///
    /// # Errors
    /// [`CrlError`]: this says nothing about the certificate.
    pub fn lookup(&self, question: &Question<'_>, point: Option<&DistributionPoint>) -> Result<Listing, CrlError> {
        let Question { certificate, issuer, now, .. } = *question;
        if *issuer.public_key() != *self.issuer.public_key() || certificate.issuer() != &self.base.issuer {
            return Err(other_issuer(&self.base, certificate.issuer()));
        }
        scope::check(self.base.extensions.scope.as_ref(), certificate, point)?;
        let found = self.find(question)?;
        let lists = std::iter::once(&self.base).chain(&self.delta);
        let mut next_update: Option<OffsetDateTime> = None;
        let mut refused = None;
        for list in lists {
            match freshness(list, now) {
                Ok(until) => next_update = Some(next_update.map_or(until, |earlier| earlier.min(until))),
                // A list of the future, or one without an end, is no evidence of anything.
                Err(error @ CrlError::Expired { .. }) => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        if let Some(revocation) = found.permanent {
            return Ok(Listing::Revoked(revocation));
        }
        if let Some(error) = refused {
            return Err(error);
        }
        self.check_delta(certificate)?;
        match (found.latest, next_update) {
            (Some(hold), _) if hold.reason == Reason::CertificateHold => Ok(Listing::Revoked(hold)),
            (_, Some(next_update)) => Ok(Listing::NotRevoked { next_update }),
            (_, None) => Err(CrlError::NoNextUpdate),
        }
    }

    /// Whether all changes are at hand.
    fn check_delta(&self, certificate: &Certificate) -> Result<(), CrlError> {
        match (&self.base.extensions.freshest, &self.delta) {
            (Some(_), None) => Err(CrlError::DeltaMissing),
            (None, None) if certificate.names_freshest_crl() => Err(CrlError::FreshestInCertificate),
            (Some(_), Some(_)) | (None, _) => Ok(()),
        }
    }

    fn find(&self, question: &Question<'_>) -> Result<Found, CrlError> {
        let serial = read::shortest(question.certificate.serial_number());
        let mut found = Found::default();
        for list in std::iter::once(&self.base).chain(&self.delta) {
            walk(&list.entries, |entry| {
                if read::shortest(entry.serial_number) == serial && !entry.revocation.spares(question.signing_time) {
                    found.add(entry.revocation);
                }
            })?;
        }
        Ok(found)
    }
}

/// What all entries for one certificate come to.
#[derive(Default)]
struct Found {
    /// The first revocation that cannot be taken back.
    permanent: Option<Revocation>,
    /// The latest hold or removal of one.
    latest: Option<Revocation>,
}

impl Found {
    fn add(&mut self, revocation: Revocation) {
        let is_hold = revocation.reason == Reason::CertificateHold;
        if !is_hold && revocation.reason != Reason::RemoveFromCrl {
            self.permanent.get_or_insert(revocation);
            return;
        }
        let later = |known: &Revocation| revocation.date > known.date || (revocation.date == known.date && is_hold);
        if self.latest.as_ref().is_none_or(later) {
            self.latest = Some(revocation);
        }
    }
}

fn freshness(crl: &Crl, now: OffsetDateTime) -> Freshness {
    let this_update = crl.this_update;
    if this_update > now {
        return Err(CrlError::Future { this_update, now });
    }
    let Some(next_update) = crl.next_update else { return Err(CrlError::NoNextUpdate) };
    if now > next_update {
        return Err(CrlError::Expired { this_update, next_update, now });
    }
    Ok(next_update)
}

fn check_issued(crl: &Crl, issuer: &Certificate) -> Result<(), CrlError> {
    if crl.issuer != *issuer.subject() {
        return Err(other_issuer(crl, issuer.subject()));
    }
    if !issuer.extensions().has_key_usage(KeyUsage::CRLSign) {
        return Err(CrlError::NotCrlSigner { issuer: issuer.subject().to_text() });
    }
    x509::verify_signature(&crl.algorithm, issuer.public_key(), &crl.signed, &crl.signature)
        .map_err(CrlError::Signature)
}

fn other_issuer(crl: &Crl, expected: &x509::Name) -> CrlError {
    CrlError::OtherIssuer { expected: expected.to_text(), actual: crl.issuer.to_text() }
}
