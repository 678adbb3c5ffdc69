//! Why a response says nothing about a certificate.

use std::fmt;

use time::OffsetDateTime;

use crate::{crypto::x509::CertificateSignatureError, reason::Code};

/// Why a response says nothing about a certificate: junk, unauthorised, for another, or not fresh. Never that it was revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// An extension that must be understood and is not.
    #[error("OCSP response has the critical extension {oid}, which is not supported")]
    CriticalExtension {
        /// Which.
        oid: String,
    },
    /// From the future, seen from `now`.
    #[error("OCSP response is of {instant}, after {now}")]
    Future {
        /// `thisUpdate` or `producedAt`.
        instant: OffsetDateTime,
        /// When it was judged.
        now: OffsetDateTime,
    },
    /// Not DER, or no OCSP response.
    #[error("OCSP response is malformed in its {part}")]
    Malformed {
        /// Where.
        part: &'static str,
        /// Why.
        source: der::Error,
    },
    /// It does not say until when it holds.
    #[error("OCSP response has no nextUpdate")]
    NoNextUpdate,
    /// It answers for another certificate, or another issuer's.
    #[error("OCSP response is for another certificate")]
    OtherCertificate,
    /// The certificate of the responder was not meant for this, or not now.
    #[error("OCSP responder (\"{responder}\") {what}")]
    Responder {
        /// Its subject.
        responder: String,
        /// What is wrong with it.
        what: ResponderFault,
    },
    /// Neither the issuer nor a certificate in the response is whom the response names as its signer.
    #[error("OCSP responder is neither the issuer nor among the response's certificates")]
    ResponderUnknown,
    /// The signature is wrong.
    #[error("OCSP response is not signed by its responder")]
    Signature(#[source] CertificateSignatureError),
    /// Past `nextUpdate`.
    #[error("OCSP response of {this_update} was good until {next_update}, not at {now}")]
    Stale {
        /// Since when it was known to be true.
        this_update: OffsetDateTime,
        /// Until when it could be used.
        next_update: OffsetDateTime,
        /// When it was judged.
        now: OffsetDateTime,
    },
    /// The responder did not answer the question.
    #[error("OCSP responder answers {}", status_name(*status))]
    Status {
        /// `OCSPResponseStatus`.
        status: u8,
    },
    /// Too large.
    #[error("OCSP response has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Another kind of response than the one that is known.
    #[error("OCSP response is of a type that is not supported")]
    Type,
}

/// What is wrong with a delegated responder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponderFault {
    /// An extension that must be understood and is not.
    CriticalExtension(String),
    /// It has revocation addresses and no `id-pkix-ocsp-nocheck`.
    MayBeRevoked,
    /// Its `keyUsage` does not let it sign.
    NoDigitalSignature,
    /// Its `extKeyUsage` lacks `OCSPSigning`.
    NoOcspSigning,
    /// The issuer of the certificate in question did not issue it.
    NotIssued,
    /// It was not valid.
    OutsideValidity {
        /// From when.
        not_before: OffsetDateTime,
        /// Until when.
        not_after: OffsetDateTime,
        /// When it was needed.
        now: OffsetDateTime,
    },
}

impl fmt::Display for ResponderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CriticalExtension(oid) => write!(f, "has the critical extension {oid}, which is not supported"),
            Self::MayBeRevoked => f.write_str("may itself be revoked: it has revocation addresses and no ocsp-nocheck"),
            Self::NoDigitalSignature => f.write_str("has a keyUsage without digitalSignature"),
            Self::NoOcspSigning => f.write_str("is not certified for OCSPSigning"),
            Self::NotIssued => f.write_str("is not certified by the issuer of the certificate in question"),
            Self::OutsideValidity { not_before, not_after, now } => {
                write!(f, "is valid from {not_before} to {not_after}, not at {now}")
            }
        }
    }
}

impl OcspError {
    /// The stable code: always one of *don't know*.
    pub const fn code(&self) -> Code {
        match self {
            Self::CriticalExtension { .. }
            | Self::Future { .. }
            | Self::Malformed { .. }
            | Self::NoNextUpdate
            | Self::OtherCertificate
            | Self::Responder { .. }
            | Self::ResponderUnknown
            | Self::Signature(_)
            | Self::Stale { .. }
            | Self::Status { .. }
            | Self::TooLarge { .. }
            | Self::Type => Code::RevocationUnavailable,
        }
    }
}

/// RFC 6960 §4.2.1.
fn status_name(status: u8) -> String {
    match status {
        1 => "malformedRequest".to_owned(),
        2 => "internalError".to_owned(),
        3 => "tryLater".to_owned(),
        5 => "sigRequired".to_owned(),
        6 => "unauthorized".to_owned(),
        _ => format!("status {status}"),
    }
}

pub(super) fn malformed(part: &'static str) -> impl Fn(der::Error) -> OcspError {
    move |source| OcspError::Malformed { part, source }
}
