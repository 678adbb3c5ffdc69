//! Why a bundle is refused before anything in it is verified.

use crate::{
    crypto::{scheme::HashAlgorithm, x509::CertificateError},
    reason::Code,
    verifier::cosign::wire::{TooMany, WireError},
};

/// Why a bundle is refused before anything in it is verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleFault {
    /// R47.
    #[error("a bundle of version 0.3 has a certificate chain, where one certificate is allowed")]
    Chain,
    /// A certificate beside the signer's that is none.
    #[error("certificate {position} of the bundle's chain cannot be read")]
    ChainCertificate {
        /// Which; the signer's is 0.
        position: usize,
        /// Why.
        source: CertificateError,
    },
    /// Neither or both contents.
    #[error("bundle has not exactly one of `dsseEnvelope` and `messageSignature`")]
    Content,
    /// COS-23.
    #[error("messageDigest of the bundle is by none of SHA2_256, SHA2_384 and SHA2_512")]
    DigestAlgorithm,
    /// COS-23.
    #[error("messageDigest of the bundle has {length} bytes, which is no {algorithm}")]
    DigestLength {
        /// The hash that is stated.
        algorithm: HashAlgorithm,
        /// Bytes of the digest.
        length: usize,
    },
    /// R49.
    #[error("the bundle's certificate chain is empty")]
    EmptyChain,
    /// A sibling that is no SHA-256.
    #[error("a hash of an inclusion proof has {length} bytes instead of 32")]
    HashLength {
        /// Its bytes.
        length: usize,
    },
    /// Not the JSON of a bundle.
    #[error("bundle is malformed")]
    Malformed(#[source] WireError),
    /// Neither key nor certificate, or more than one of them.
    #[error("bundle has not exactly one of `certificate`, `x509CertificateChain` and `publicKey`")]
    Material,
    /// R45.
    #[error("bundle has media type {found:?}, of which no version is known")]
    MediaType {
        /// What it says.
        found: String,
    },
    /// A member that must be there is not, or is empty.
    #[error("bundle has no {member}")]
    Missing {
        /// Which.
        member: &'static str,
    },
    /// R48.
    #[error("certificate {position} of the bundle's chain is a root, which only the trusted root may give")]
    RootInChain {
        /// Which; the signer's is 0.
        position: usize,
    },
    /// R34, COS-24.
    #[error("dsseEnvelope of the bundle has {count} signatures instead of one")]
    Signatures {
        /// How many.
        count: usize,
    },
    /// One certificate before v0.3.
    #[error("a bundle of version 0.1 or 0.2 has a `certificate`, where a chain is the form")]
    SingleCertificate,
    /// Too large.
    #[error("bundle has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// R21, R22, R25, COS-31 to 33.
    #[error("{member} of the bundle has {count} elements, the limit is {limit}")]
    TooMany {
        /// Of what.
        member: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

impl BundleFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::TooMany { .. } => Code::LimitExceeded,
            Self::ChainCertificate { source, .. } => source.code(),
            Self::Chain
            | Self::Content
            | Self::DigestAlgorithm
            | Self::DigestLength { .. }
            | Self::EmptyChain
            | Self::HashLength { .. }
            | Self::Malformed(_)
            | Self::Material
            | Self::MediaType { .. }
            | Self::Missing { .. }
            | Self::RootInChain { .. }
            | Self::Signatures { .. }
            | Self::SingleCertificate => Code::BundleMalformed,
        }
    }
}

pub(super) const fn missing(member: &'static str) -> BundleFault {
    BundleFault::Missing { member }
}

pub(super) fn too_many(member: &'static str) -> impl FnOnce(TooMany) -> BundleFault {
    move |TooMany { count, limit }| BundleFault::TooMany { member, count, limit }
}
