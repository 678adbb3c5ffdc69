//! Why a timestamp token is refused.

use der::asn1::ObjectIdentifier;

use crate::{
    crypto::{
        chain::{OutsideValidity, Place},
        scheme::{HashAlgorithm, SchemeError},
        x509::{CertificateError, CertificateSignatureError},
    },
    reason::Code,
};

/// Why a timestamp token is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TspError {
    /// A signed attribute that must be there is not.
    #[error("timestamp has no {name} attribute")]
    Attribute {
        /// Which.
        name: &'static str,
    },
    /// A signed attribute stands twice, or with several values.
    #[error("timestamp has more than one {name} attribute")]
    AttributeTwice {
        /// Which.
        name: &'static str,
    },
    /// A certificate in the token that cannot be read.
    #[error("certificate {position} of the timestamp cannot be used")]
    Certificate {
        /// Which, from 0, in the token's order.
        position: usize,
        /// Why.
        source: CertificateError,
    },
    /// The token holds a certificate of another kind than X.509.
    #[error("certificate {position} of the timestamp is not an X.509 certificate")]
    CertificateKind {
        /// Which, from 0, in the token's order.
        position: usize,
    },
    /// Not the content that a timestamp has.
    #[error("timestamp is of content type {actual} instead of {expected}")]
    ContentType {
        /// What it must be.
        expected: &'static str,
        /// What it says, for people.
        actual: String,
    },
    /// An extension of the token that must be understood and is not.
    #[error("timestamp has a critical extension, and none is known")]
    CriticalExtension,
    /// A digest algorithm that is not SHA-2.
    #[error("timestamp is digested with {algorithm}, which is not SHA-256, SHA-384 or SHA-512")]
    DigestAlgorithm {
        /// Its OID.
        algorithm: ObjectIdentifier,
    },
    /// A response with a token that also says why there is none.
    #[error("timestamp response holds a failure")]
    FailureInfo,
    /// The message was not what was timestamped.
    #[error("timestamp is for another message: the {hash} imprint differs")]
    Imprint {
        /// The imprint's hash.
        hash: HashAlgorithm,
    },
    /// The imprint's hash proves nothing, or is not known.
    #[error("timestamp's imprint is made with {algorithm}, which is not SHA-256, SHA-384 or SHA-512")]
    ImprintAlgorithm {
        /// Its OID.
        algorithm: ObjectIdentifier,
    },
    /// A certificate of the path that must not be there.
    #[error("{at} of the timestamp {what}")]
    Issuer {
        /// Which.
        at: Place,
        /// What is wrong with it.
        what: String,
    },
    /// Not DER, or not a timestamp.
    #[error("timestamp is malformed in its {part}")]
    Malformed {
        /// Where.
        part: &'static str,
        /// Why.
        source: der::Error,
    },
    /// The signed digest is of other bytes.
    #[error("timestamp's messageDigest is not that of its content")]
    MessageDigest,
    /// No path leads from the signer to a trusted authority.
    #[error("no path leads from the timestamp's signer (\"{signer}\") to a trusted authority")]
    NoPath {
        /// The signer's subject.
        signer: String,
    },
    /// A response without a token.
    #[error("timestamp response has no token")]
    NoToken,
    /// A certificate of the path was not valid at the token's time.
    #[error("timestamp's {0}")]
    OutsideValidity(OutsideValidity),
    /// Paths are too many to try all.
    #[error("timestamp's certificates have more possible paths than are tried (limit {limit})")]
    PathBudget {
        /// Most signatures verified to find paths.
        limit: usize,
    },
    /// The signature is wrong.
    #[error("timestamp's signature does not verify")]
    Signature(#[source] SchemeError),
    /// The signature is of an algorithm that is not allowed, or not the key's.
    #[error("timestamp is signed with {what}")]
    SignatureAlgorithm {
        /// With what, and why not.
        what: String,
    },
    /// Digest and signature algorithm name two hashes.
    #[error("timestamp is digested with {digest} and signed with {signature}")]
    SignatureHash {
        /// The digest algorithm's.
        digest: HashAlgorithm,
        /// The signature algorithm's.
        signature: HashAlgorithm,
    },
    /// The signer's certificate may not sign timestamps.
    #[error("timestamp's signer (\"{signer}\") {what}")]
    Signer {
        /// Its subject.
        signer: String,
        /// What is wrong with it.
        what: String,
    },
    /// Not one signer.
    #[error("timestamp has {count} signers instead of one")]
    Signers {
        /// How many.
        count: usize,
    },
    /// Nobody knows the certificate that the token names.
    #[error("timestamp's signer ({signer}) is not known")]
    SignerUnknown {
        /// Whom the token names.
        signer: String,
    },
    /// The token names another certificate as the signer's than the one whose key signed.
    #[error("timestamp's signed certificate hash is not that of \"{signer}\"")]
    SigningCertificate {
        /// The certificate's subject.
        signer: String,
    },
    /// A certificate hash that proves nothing, or is not known.
    #[error("timestamp names its certificate with {algorithm}, which is not SHA-256, SHA-384 or SHA-512")]
    SigningCertificateAlgorithm {
        /// Its OID.
        algorithm: ObjectIdentifier,
    },
    /// The authority did not grant the timestamp.
    #[error("timestamp was not granted: status {status}")]
    Status {
        /// `PKIStatus`.
        status: u64,
    },
    /// A time that no calendar has, or that is not written as it must be.
    #[error("timestamp's genTime is not a time")]
    Time,
    /// Too large.
    #[error("timestamp has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many of something.
    #[error("timestamp has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Another version than the one that there is.
    #[error("timestamp's {part} has version {actual} instead of {expected}")]
    Version {
        /// Of what.
        part: &'static str,
        /// What it must be.
        expected: u64,
        /// What it says.
        actual: u64,
    },
}

impl TspError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::PathBudget { .. } | Self::TooLarge { .. } | Self::TooMany { .. } => Code::LimitExceeded,
            Self::Attribute { .. }
            | Self::AttributeTwice { .. }
            | Self::Certificate { .. }
            | Self::CertificateKind { .. }
            | Self::ContentType { .. }
            | Self::CriticalExtension
            | Self::DigestAlgorithm { .. }
            | Self::FailureInfo
            | Self::Imprint { .. }
            | Self::ImprintAlgorithm { .. }
            | Self::Issuer { .. }
            | Self::Malformed { .. }
            | Self::MessageDigest
            | Self::NoPath { .. }
            | Self::NoToken
            | Self::OutsideValidity(_)
            | Self::Signature(_)
            | Self::SignatureAlgorithm { .. }
            | Self::SignatureHash { .. }
            | Self::Signer { .. }
            | Self::Signers { .. }
            | Self::SignerUnknown { .. }
            | Self::SigningCertificate { .. }
            | Self::SigningCertificateAlgorithm { .. }
            | Self::Status { .. }
            | Self::Time
            | Self::Version { .. } => Code::TimestampInvalid,
        }
    }
}

/// For `map_err`: what could not be read.
pub(super) fn malformed(part: &'static str) -> impl Fn(der::Error) -> TspError {
    move |source| TspError::Malformed { part, source }
}

/// The same mistakes can be made here as in the signature of a certificate.
impl From<CertificateSignatureError> for TspError {
    fn from(error: CertificateSignatureError) -> Self {
        let what = match error {
            CertificateSignatureError::Invalid { key, .. } => return Self::Signature(SchemeError::Invalid { key }),
            CertificateSignatureError::Key { algorithm, key } => format!("{algorithm}, which does not fit a {key} key"),
            CertificateSignatureError::Parameters { algorithm } => {
                format!("{algorithm}, with parameters that are not allowed")
            }
            CertificateSignatureError::Unsupported { algorithm } => format!("{algorithm}, which is not supported"),
            CertificateSignatureError::WeakHash { hash } => format!("{hash}, which is refused"),
        };
        Self::SignatureAlgorithm { what }
    }
}
