//! Why a CRL says nothing about a certificate.

use time::OffsetDateTime;

use crate::{crypto::x509::CertificateSignatureError, reason::Code};

/// Why a CRL says nothing about a certificate: junk, of another, out of scope, or not fresh. Never that it was revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// The algorithm inside what is signed and the one beside it differ.
    #[error("CRL names two signature algorithms")]
    Algorithms,
    /// An extension that must be understood and is not.
    #[error("CRL has the critical {on} extension {oid}, which is not supported")]
    CriticalExtension {
        /// On what: `list` or `entry`.
        on: &'static str,
        /// Which.
        oid: String,
    },
    /// A delta that does not belong to the list.
    #[error("delta CRL does not fit its base: {what}")]
    Delta {
        /// What does not fit.
        what: &'static str,
    },
    /// A delta where a complete list is needed.
    #[error("CRL is a delta, a complete one is needed")]
    DeltaAlone,
    /// There is, or may be, a delta, and it is not at hand.
    #[error("CRL has a delta, which could not be had")]
    DeltaMissing,
    /// An extension stands twice.
    #[error("CRL has extension {oid} twice")]
    DuplicateExtension {
        /// Which.
        oid: String,
    },
    /// Past `nextUpdate`.
    #[error("CRL of {this_update} was good until {next_update}, not at {now}")]
    Expired {
        /// Since when it was true.
        this_update: OffsetDateTime,
        /// Until when it could be used.
        next_update: OffsetDateTime,
        /// When it was judged.
        now: OffsetDateTime,
    },
    /// The certificate says where deltas are, and the list does not.
    #[error("certificate names a delta CRL that its CRL does not name, which is not supported")]
    FreshestInCertificate,
    /// From the future, seen from `now`.
    #[error("CRL is of {this_update}, after {now}")]
    Future {
        /// Since when it will be true.
        this_update: OffsetDateTime,
        /// When it was judged.
        now: OffsetDateTime,
    },
    /// Not DER, or no CRL.
    #[error("CRL is malformed in its {part}")]
    Malformed {
        /// Where.
        part: &'static str,
        /// Why.
        source: der::Error,
    },
    /// It does not say until when it holds.
    #[error("CRL has no nextUpdate")]
    NoNextUpdate,
    /// It cannot be told from others of its issuer.
    #[error("CRL has no number")]
    NoNumber,
    /// The issuer may not sign lists.
    #[error("\"{issuer}\" has no keyUsage cRLSign")]
    NotCrlSigner {
        /// Its subject.
        issuer: String,
    },
    /// It is of another authority than the certificate.
    #[error("CRL is of \"{actual}\", the certificate of \"{expected}\"")]
    OtherIssuer {
        /// The certificate's issuer.
        expected: String,
        /// The CRL's issuer.
        actual: String,
    },
    /// It is not the list for this certificate, or not all of it.
    #[error("CRL does not cover the certificate: {what}")]
    Scope {
        /// Why not.
        what: &'static str,
    },
    /// The signature is wrong.
    #[error("CRL is not signed by its issuer")]
    Signature(#[source] CertificateSignatureError),
    /// Too large.
    #[error("CRL has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Not version 2.
    #[error("CRL is not of version 2")]
    Version,
}

impl CrlError {
    /// The stable code: always one of *don't know*.
    pub const fn code(&self) -> Code {
        match self {
            Self::Algorithms
            | Self::CriticalExtension { .. }
            | Self::Delta { .. }
            | Self::DeltaAlone
            | Self::DeltaMissing
            | Self::DuplicateExtension { .. }
            | Self::Expired { .. }
            | Self::FreshestInCertificate
            | Self::Future { .. }
            | Self::Malformed { .. }
            | Self::NoNextUpdate
            | Self::NoNumber
            | Self::NotCrlSigner { .. }
            | Self::OtherIssuer { .. }
            | Self::Scope { .. }
            | Self::Signature(_)
            | Self::TooLarge { .. }
            | Self::Version => Code::RevocationUnavailable,
        }
    }
}

pub(super) fn malformed(part: &'static str) -> impl Fn(der::Error) -> CrlError {
    move |source| CrlError::Malformed { part, source }
}
