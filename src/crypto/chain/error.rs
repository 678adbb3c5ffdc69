//! Which certificate of a chain does not fit, and what about it.

use std::fmt;

use crate::{
    crypto::{
        algorithm::AlgorithmError,
        x509::{Certificate, CertificateError, CertificateSignatureError, Name},
    },
    reason::{self, Code},
};

/// Which certificate of a chain: its place, from 0 at the leaf, and its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 0 is the leaf.
    pub position: usize,
    /// Its subject, escaped and bounded.
    pub subject: String,
}

impl Place {
    pub(super) fn of(position: usize, certificate: &Certificate) -> Self {
        Self { position, subject: brief(certificate.subject()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {} (\"{}\")", self.position, self.subject)
    }
}

/// A name for an error: escaped, and bounded so that it cannot push the fact out of a report.
pub(super) fn brief(name: &Name) -> String {
    reason::printable(&name.to_text(), 128)
}

/// Why a chain does not fit the profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A parent without `basicConstraints` cA.
    #[error("{at} issues certificates and is no CA")]
    CaFlag {
        /// Which.
        at: Place,
    },
    /// A certificate that cannot be read.
    #[error("certificate {position} of the chain cannot be used")]
    Certificate {
        /// Which; 0 is the leaf.
        position: usize,
        /// Why.
        source: CertificateError,
    },
    /// Nothing in it.
    #[error("chain is empty")]
    Empty,
    /// A purpose that a code-signing leaf must not have.
    #[error("{at} has extKeyUsage {purpose}, which a code-signing certificate must not have")]
    ExtendedKeyUsage {
        /// Which.
        at: Place,
        /// The purpose.
        purpose: &'static str,
    },
    /// The issuer's name is not the next subject.
    #[error("{at} was issued by \"{issuer}\", the next certificate is \"{next}\"")]
    IssuerName {
        /// Which.
        at: Place,
        /// Its issuer.
        issuer: String,
        /// The next certificate's subject.
        next: String,
    },
    /// The next certificate's key did not sign.
    #[error("{at} was not signed by the next certificate (\"{next}\")")]
    IssuerSignature {
        /// Which.
        at: Place,
        /// The next certificate's subject.
        next: String,
        /// Why.
        source: CertificateSignatureError,
    },
    /// keyUsage is missing.
    #[error("{at} has no keyUsage")]
    KeyUsageAbsent {
        /// Which.
        at: Place,
    },
    /// keyUsage has a bit that it must not have.
    #[error("{at} has keyUsage {bit}, which a code-signing certificate must not have")]
    KeyUsageForbidden {
        /// Which.
        at: Place,
        /// The bit.
        bit: &'static str,
    },
    /// keyUsage lacks a bit.
    #[error("{at} has no keyUsage {bit}")]
    KeyUsageMissing {
        /// Which.
        at: Place,
        /// The bit.
        bit: &'static str,
    },
    /// keyUsage is not critical.
    #[error("{at} has a keyUsage that is not critical")]
    KeyUsageNotCritical {
        /// Which.
        at: Place,
    },
    /// The leaf is a CA.
    #[error("{at} is the leaf and a CA")]
    LeafIsCa {
        /// Which.
        at: Place,
    },
    /// The leaf's key belongs to no algorithm.
    #[error("{at} has a key that must not sign")]
    LeafKey {
        /// Which.
        at: Place,
        /// Why.
        source: AlgorithmError,
    },
    /// More certificates below a CA than its pathLenConstraint allows.
    #[error("{at} allows {allowed} intermediate certificates below it, the chain has {found}")]
    PathLength {
        /// Which.
        at: Place,
        /// What pathLenConstraint says.
        allowed: usize,
        /// What the chain has.
        found: usize,
    },
    /// The last certificate names another issuer: the root is missing.
    #[error("{at} is the last of the chain and was issued by \"{issuer}\": the chain is not complete")]
    RootIssuer {
        /// Which.
        at: Place,
        /// Its issuer.
        issuer: String,
    },
    /// The last certificate names itself as its issuer and did not sign itself.
    #[error("{at} is the last of the chain and is not self-signed")]
    RootSignature {
        /// Which.
        at: Place,
        /// Why.
        source: CertificateSignatureError,
    },
    /// A self-signed certificate before the end.
    #[error("{at} is self-signed and not the last of the chain")]
    SelfSignedNotLast {
        /// Which.
        at: Place,
    },
    /// Too many bytes.
    #[error("chain has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of all certificates.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many certificates.
    #[error("chain has {count} certificates, the limit is {limit}")]
    TooMany {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

impl ChainError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Certificate { source, .. } => source.code(),
            Self::LeafKey { source, .. } => source.code(),
            Self::TooLarge { .. } | Self::TooMany { .. } => Code::LimitExceeded,
            Self::CaFlag { .. }
            | Self::Empty
            | Self::ExtendedKeyUsage { .. }
            | Self::IssuerName { .. }
            | Self::IssuerSignature { .. }
            | Self::KeyUsageAbsent { .. }
            | Self::KeyUsageForbidden { .. }
            | Self::KeyUsageMissing { .. }
            | Self::KeyUsageNotCritical { .. }
            | Self::LeafIsCa { .. }
            | Self::PathLength { .. }
            | Self::RootIssuer { .. }
            | Self::RootSignature { .. }
            | Self::SelfSignedNotLast { .. } => Code::CertificateInvalid,
        }
    }
}
