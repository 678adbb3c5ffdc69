//! Who may answer for an issuer: itself, or whom it certified for that, directly.
//!
//! Rule: RFC 6960 §4.2.2.2. Any other certificate of the same authority is no responder, whatever it signs (item 92, REV-03).

use der::asn1::ObjectIdentifier;
use time::OffsetDateTime;

use super::{
    basic::{Basic, ResponderId},
    cert_id::sha1,
    error::{OcspError, ResponderFault, malformed},
};
use crate::crypto::x509::{Certificate, KeyUsage};

const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const NO_CHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");

/// The delegate that the response names as its signer; `None`: that is the issuer. Its signature on the response is yet to be
/// verified.
pub(super) fn find(basic: &Basic, issuer: &Certificate, now: OffsetDateTime) -> Result<Option<Certificate>, OcspError> {
    if basic.responder.names(issuer) {
        return Ok(None);
    }
    let mut refused = None;
    for der in &basic.certificates {
        let Ok(delegate) = Certificate::parse(der) else {
            return Err(malformed("certificates")(der::Tag::Sequence.value_error()));
        };
        if basic.responder.names(&delegate) {
            match check(&delegate, issuer, now) {
                Ok(()) => return Ok(Some(delegate)),
                Err(what) => {
                    let responder = delegate.subject().to_text();
                    refused = refused.or(Some(OcspError::Responder { responder, what }));
                }
            }
        }
    }
    Err(refused.unwrap_or(OcspError::ResponderUnknown))
}

impl ResponderId {
    fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Key(hash) => sha1(certificate.public_key().bytes()).as_ref() == hash.as_slice(),
            Self::Name(name) => certificate.subject().der() == name.as_slice(),
        }
    }
}

fn check(delegate: &Certificate, issuer: &Certificate, now: OffsetDateTime) -> Result<(), ResponderFault> {
    if delegate.issuer() != issuer.subject() || delegate.verify_signed_by(issuer.public_key()).is_err() {
        return Err(ResponderFault::NotIssued);
    }
    let extensions = delegate.extensions();
    // `anyExtendedKeyUsage` does not count: the delegation must be explicit.
    if !extensions.extended_key_usage().is_some_and(|usage| usage.purposes.contains(&OCSP_SIGNING)) {
        return Err(ResponderFault::NoOcspSigning);
    }
    if extensions.key_usage_critical().is_some() && !extensions.has_key_usage(KeyUsage::DigitalSignature) {
        return Err(ResponderFault::NoDigitalSignature);
    }
    let (not_before, not_after) = (delegate.not_before(), delegate.not_after());
    if now < not_before || now > not_after {
        return Err(ResponderFault::OutsideValidity { not_before, not_after, now });
    }
    if let Some(oid) = extensions.critical_beyond(&[NO_CHECK]) {
        return Err(ResponderFault::CriticalExtension(oid));
    }
    if extensions.value(NO_CHECK).is_none() && extensions.has_revocation_address() {
        return Err(ResponderFault::MayBeRevoked);
    }
    Ok(())
}
