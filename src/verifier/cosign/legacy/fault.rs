//! Why a layer of the classic format is refused before anything in it is verified.

use crate::{
    reason::Code,
    verifier::cosign::{pem::PemFault, wire::WireError},
};

/// Why a layer of the classic format is refused before anything in it is verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyFault {
    /// An annotation that holds JSON is malformed.
    #[error("annotation {annotation} is malformed")]
    Annotation {
        /// Which.
        annotation: &'static str,
        /// How.
        source: WireError,
    },
    /// An annotation that holds base64 does not.
    #[error("annotation {annotation} is not standard base64")]
    Base64 {
        /// Which.
        annotation: &'static str,
    },
    /// A chain of nobody.
    #[error("the layer has a certificate chain, and no certificate")]
    ChainWithoutCertificate,
    /// The layer is no DSSE envelope.
    #[error("the layer is no DSSE envelope")]
    Envelope(#[source] WireError),
    /// A member of the envelope is missing or empty.
    #[error("the DSSE envelope has no {member}")]
    EnvelopeMember {
        /// Which.
        member: &'static str,
    },
    /// Another layer.
    #[error("the layer has media type {found:?} instead of {expected}")]
    MediaType {
        /// What the manifest says.
        found: String,
        /// What is read here.
        expected: &'static str,
    },
    /// A member of an annotation's JSON is missing or empty.
    #[error("annotation {annotation} has no {member}")]
    Missing {
        /// Which annotation.
        annotation: &'static str,
        /// Which member.
        member: &'static str,
    },
    /// An annotation that holds certificates has none, or something else too.
    #[error("annotation {annotation} does not hold certificates only")]
    NoCertificate {
        /// Which.
        annotation: &'static str,
    },
    /// Nothing signs the layer.
    #[error("the layer has no annotation dev.cosignproject.cosign/signature")]
    NoSignature,
    /// An annotation that holds PEM is malformed.
    #[error("annotation {annotation} is no PEM")]
    Pem {
        /// Which.
        annotation: &'static str,
        /// How.
        source: PemFault,
    },
    /// A signature beside those of the envelope.
    #[error("the layer is a DSSE envelope and has an annotation dev.cosignproject.cosign/signature")]
    SignatureBesideEnvelope,
    /// Too large.
    #[error("the layer has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// R25.
    #[error("annotation {annotation} has {count} PEM blocks, the limit is {limit}")]
    TooManyCertificates {
        /// Which.
        annotation: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// More signatures than anyone makes.
    #[error("the DSSE envelope has {count} signatures, the limit is {limit}")]
    TooManySignatures {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

impl LegacyFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::TooManyCertificates { .. } | Self::TooManySignatures { .. } => {
                Code::LimitExceeded
            }
            Self::Annotation { .. }
            | Self::Base64 { .. }
            | Self::ChainWithoutCertificate
            | Self::Envelope(_)
            | Self::EnvelopeMember { .. }
            | Self::MediaType { .. }
            | Self::Missing { .. }
            | Self::NoCertificate { .. }
            | Self::NoSignature
            | Self::Pem { .. }
            | Self::SignatureBesideEnvelope => Code::BundleMalformed,
        }
    }
}
