//! The step authenticTimestamp: that the certificates were valid when the signature was made, as far as anybody knows when
//! that was.
//!
//! | scheme | `tsa` store | `verifyTimestamp` | a certificate expired | judged at |
//! |---|---|---|---|---|
//! | `notary.x509.signingAuthority` | any | any | any | the authority's signed time |
//! | `notary.x509` | none | any | any | now |
//! | `notary.x509` | some | `afterCertExpiry` | no | now |
//! | `notary.x509` | some | `afterCertExpiry` | yes | the token's time |
//! | `notary.x509` | some | `always`, the default | any | the token's time |
//!
//! A token that is not asked for is not looked at. One that is must be there and hold in all its parts, whatever the
//! certificates are worth without it.
//!
//! Rule: trust policy specification, `verifyTimestamp`; verification workflow v1.1.0, "Authentic timestamp"; `notation.md`
//! 2.5, 3.4.

use time::{Duration, OffsetDateTime};

use super::{Failure, Terms, rfc3339};
use crate::{
    crypto::{
        chain::{self, Bound},
        tsp::{Embedded, Profile, Timestamp, Trust, TspError, VerifiedTime},
        x509::Certificate,
    },
    reason::{self, Code},
    verifier::{
        Until,
        notation::{
            envelope::SigningScheme,
            integrity::Signed,
            trust_policy::{StoreType, VerifyTimestamp},
        },
    },
};

/// At what moment the certificates of a signature were found valid.
#[derive(Debug)]
pub(super) enum Moment {
    /// When a signing authority says that it signed.
    Authority,
    /// Now.
    Now {
        /// Until when they are.
        until: Until,
    },
    /// When a timestamp authority saw the signature. Whether its own certificates were revoked is still to be asked.
    Token(Box<VerifiedTime>),
}

impl Moment {
    /// Until when that remains true. What was timestamped stays so: neither the signer's certificates nor the authority's
    /// need to be valid now (item 87).
    pub(super) const fn until(&self) -> Until {
        match self {
            Self::Now { until } => *until,
            Self::Authority | Self::Token(_) => None,
        }
    }
}

/// Judges the certificates at the moment that the table above names.
pub(super) fn judge(signed: &Signed, terms: &Terms<'_>) -> Result<Moment, Failure> {
    let certificates = signed.chain().certificates();
    let outside = |moment| match chain::outside_validity(certificates, moment) {
        Some(outside) => Err(Failure::new(Code::CertificateExpired, outside.to_string())),
        None => Ok(()),
    };
    match signed.scheme() {
        SigningScheme::SigningAuthority { authentic_signing_time } => {
            outside(authentic_signing_time).map(|()| Moment::Authority)
        }
        SigningScheme::X509 { .. } if wants_token(certificates, terms) => {
            let verified = verify_token(signed, terms)?;
            check_validity(certificates, &verified)?;
            Ok(Moment::Token(Box::new(verified)))
        }
        SigningScheme::X509 { .. } => {
            outside(terms.now)?;
            let until = certificates.iter().map(Certificate::not_after).min();
            Ok(Moment::Now { until: until.map(|last| past_the_last(last, terms.now)) })
        }
    }
}

/// The last moment of a certificate or a CRL is one of its valid ones.
pub(super) fn past_the_last(last: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    last.max(now.saturating_add(Duration::NANOSECOND))
}

/// For signatures of the scheme `notary.x509`.
fn wants_token(certificates: &[Certificate], terms: &Terms<'_>) -> bool {
    let has_tsa = terms.checked.stores_of(StoreType::Tsa).next().is_some();
    let due = match terms.checked.verify_timestamp {
        VerifyTimestamp::AfterCertExpiry => certificates.iter().any(|certificate| terms.now > certificate.not_after()),
        VerifyTimestamp::Always => true,
    };
    has_tsa && due
}

/// The token is over the primitive signature, by an authority under a root of the `tsa` stores.
fn verify_token(signed: &Signed, terms: &Terms<'_>) -> Result<VerifiedTime, Failure> {
    let token = signed.timestamp_token().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| {
        Failure::new(
            Code::TimestampMissing,
            "the signature has no timestamp countersignature, and the policy asks for one",
        )
    })?;
    let timestamp = Timestamp::from_token(token).map_err(|error| refused(&error))?;
    let anchors = anchors(terms)?;
    let trust = Trust { anchors: &anchors, known: &[], embedded: Embedded::Use, profile: Profile::Notary };
    let verified = timestamp.verify(signed.signature(), &trust).map_err(|error| refused(&error))?;
    check_past(&verified, terms.now)?;
    Ok(verified)
}

/// Nobody can have seen the signature in the future: such a token says nothing about now, nor, under `--at`, about then.
fn check_past(verified: &VerifiedTime, now: OffsetDateTime) -> Result<(), Failure> {
    if verified.time().saturating_sub(accuracy(verified)) <= now {
        return Ok(());
    }
    let (time, now) = (rfc3339(verified.time()), rfc3339(now));
    Err(Failure::new(Code::TimestampInvalid, format!("the timestamp is of the future: of {time}, and it is {now}")))
}

fn accuracy(verified: &VerifiedTime) -> Duration {
    Duration::try_from(verified.accuracy()).unwrap_or(Duration::MAX)
}

fn refused(error: &TspError) -> Failure {
    Failure::new(error.code(), reason::chain(error))
}

/// One bad store spoils the statement, as it does for the stores of signers.
fn anchors(terms: &Terms<'_>) -> Result<Vec<Certificate>, Failure> {
    let mut anchors = Vec::new();
    for store in terms.checked.stores_of(StoreType::Tsa) {
        anchors.extend_from_slice(terms.store(store)?);
    }
    Ok(anchors)
}

/// The whole span in which the signature may have been timestamped lies in the validity of each certificate, ends included
/// (item 80).
fn check_validity(certificates: &[Certificate], verified: &VerifiedTime) -> Result<(), Failure> {
    let (time, accuracy) = (verified.time(), accuracy(verified));
    let span = [time.saturating_sub(accuracy), time.saturating_add(accuracy)];
    let Some(outside) = span.into_iter().find_map(|moment| chain::outside_validity(certificates, moment)) else {
        return Ok(());
    };
    let bound = match outside.bound {
        Bound::NotAfter => "after",
        Bound::NotBefore => "before",
    };
    let said = format!(
        "the signature may have been timestamped {bound} the validity of a certificate (at {}, give or take {}): {outside}",
        rfc3339(time),
        seconds(accuracy),
    );
    Err(Failure::new(Code::CertificateExpired, said))
}

fn seconds(accuracy: Duration) -> String {
    let (whole, fraction) = (accuracy.whole_seconds(), accuracy.subsec_microseconds());
    if fraction == 0 { format!("{whole} s") } else { format!("{whole}.{fraction:06} s") }
}
