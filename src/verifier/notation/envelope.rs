//! A signature envelope, JWS or COSE, parsed into one form. Nothing in it is believed yet: [`super::integrity`] does that.
//!
//! ```text
//! application/jose+json ──jws──┐
//!                              ├──► attributes (the rules both share) ──► Envelope
//! application/cose ──────cose──┘
//! ```
//!
//! Rule: Notary Project signature specification v1.1 with its JWS and COSE envelope specifications. The media type decides
//! the parser; nothing is guessed from the bytes.

use time::OffsetDateTime;

use crate::{
    crypto::{
        algorithm::SignatureAlgorithm,
        chain::{ChainError, MAX_CERTIFICATES},
    },
    json::JsonError,
    reason::{self, Code},
};

mod attributes;
mod cbor;
mod cose;
mod jws;

/// The media type of a JWS envelope.
pub const JWS_MEDIA_TYPE: &str = "application/jose+json";
/// The media type of a COSE envelope.
pub const COSE_MEDIA_TYPE: &str = "application/cose";
/// The only content type of a payload.
pub const PAYLOAD_CONTENT_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";
/// Largest envelope unless configured otherwise: real ones have at most about 10 KiB (`threats.md` 1.2).
pub const DEFAULT_ENVELOPE_BYTES: usize = 1024 * 1024;

/// What an envelope may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an envelope.
    pub envelope_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { envelope_bytes: DEFAULT_ENVELOPE_BYTES }
    }
}

/// The signing scheme, with the time that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningScheme {
    /// `notary.x509`: the signer's own word on the time, good for nothing but "expires after it was signed".
    X509 {
        /// `io.cncf.notary.signingTime`.
        signing_time: OffsetDateTime,
    },
    /// `notary.x509.signingAuthority`: the time is the authority's.
    SigningAuthority {
        /// `io.cncf.notary.authenticSigningTime`.
        authentic_signing_time: OffsetDateTime,
    },
}

impl SigningScheme {
    const X509: &str = "notary.x509";
    const SIGNING_AUTHORITY: &str = "notary.x509.signingAuthority";

    /// The name in envelopes.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::X509 { .. } => Self::X509,
            Self::SigningAuthority { .. } => Self::SIGNING_AUTHORITY,
        }
    }

    /// When it says it was signed, whoever says so.
    pub const fn claimed_time(&self) -> OffsetDateTime {
        match self {
            Self::X509 { signing_time } => *signing_time,
            Self::SigningAuthority { authentic_signing_time } => *authentic_signing_time,
        }
    }
}

/// A verification plugin that an envelope demands. Its name is data, never a path; nothing is run for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// `io.cncf.notary.verificationPlugin`, not blank.
    pub name: String,
    /// `io.cncf.notary.verificationPluginMinVersion`, a semantic version.
    pub min_version: Option<String>,
}

/// The signed attributes, well formed and allowed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    pub(super) scheme: SigningScheme,
    pub(super) expiry: Option<OffsetDateTime>,
    pub(super) plugin: Option<Plugin>,
    /// Names of attributes that are neither critical nor known.
    pub(super) extended: Vec<String>,
}

/// An envelope that was read. Its signature is not verified.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// What the header says; the leaf's key decides.
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) attributes: Attributes,
    pub(super) payload: Vec<u8>,
    /// DER, leaf first, as given; 1 to [`MAX_CERTIFICATES`].
    pub(super) chain: Vec<Vec<u8>>,
    /// What the signature is over, from the bytes as transmitted.
    pub(super) signed_bytes: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// Unsigned: an RFC 3161 token, unread.
    pub(super) timestamp_token: Option<Vec<u8>>,
    /// Unsigned: what made it, in its own words.
    pub(super) signing_agent: Option<String>,
}

/// Why bytes are no envelope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// An algorithm outside the closed list.
    #[error("envelope states algorithm {stated}, which is none of PS256, PS384, PS512, ES256, ES384, ES512")]
    Algorithm {
        /// As stated.
        stated: String,
    },
    /// An attribute that the scheme does not allow.
    #[error("envelope has attribute {name}, which signing scheme {scheme} does not allow")]
    AttributeForbidden {
        /// Which.
        name: &'static str,
        /// The scheme.
        scheme: &'static str,
    },
    /// An attribute that must be there.
    #[error("envelope has no attribute {name}")]
    AttributeMissing {
        /// Which.
        name: &'static str,
    },
    /// An attribute that cannot be read.
    #[error("envelope has attribute {name}, which is not {expected}")]
    AttributeValue {
        /// Which.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A member that is not encoded as it must be.
    #[error("{member} is not {encoding}")]
    Base64 {
        /// Which.
        member: &'static str,
        /// The encoding.
        encoding: &'static str,
    },
    /// One name in what is signed and in what is not.
    #[error("envelope has {name} both in the protected and in the unprotected header")]
    BothHeaders {
        /// Which.
        name: String,
    },
    /// The certificates are missing or too many.
    #[error("envelope has no acceptable certificate chain")]
    Chain(#[source] ChainError),
    /// Not CBOR as it must be written.
    #[error("envelope is no CBOR of definite length at byte {offset}: {what}")]
    Cbor {
        /// Where.
        offset: usize,
        /// What.
        what: &'static str,
    },
    /// The payload has another type.
    #[error("envelope has content type {stated}, only {PAYLOAD_CONTENT_TYPE} is supported")]
    ContentType {
        /// As stated.
        stated: String,
    },
    /// Not a COSE signature.
    #[error("envelope is no COSE_Sign1: {reason}")]
    Cose {
        /// Why.
        reason: String,
    },
    /// `crit` names what is not there.
    #[error("envelope lists {name} as critical and does not have it")]
    CriticalAbsent {
        /// Which.
        name: String,
    },
    /// `crit` names something twice.
    #[error("envelope lists {name} as critical twice")]
    CriticalDuplicate {
        /// Which.
        name: String,
    },
    /// `crit` lacks what it must name.
    #[error("envelope does not list as critical: {names}")]
    CriticalMissing {
        /// All that are missing.
        names: String,
    },
    /// `crit` names what must not be critical.
    #[error("envelope lists {name} as critical, which it must not be")]
    CriticalNotAllowed {
        /// Which.
        name: String,
    },
    /// Not strict JSON.
    #[error("{member} is not strict JSON")]
    Json {
        /// Which: `envelope` or `protected header`.
        member: &'static str,
        /// Why.
        source: JsonError,
    },
    /// Another media type.
    #[error("envelope has media type {media_type}, only {JWS_MEDIA_TYPE} and {COSE_MEDIA_TYPE} are supported")]
    MediaType {
        /// As stated.
        media_type: String,
    },
    /// A member that is missing or of the wrong type.
    #[error("envelope has no member {member} that is {expected}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// No payload, or an empty one.
    #[error("envelope has no payload")]
    PayloadEmpty,
    /// A signing scheme that does not exist.
    #[error("envelope has signing scheme {stated}, which is neither notary.x509 nor notary.x509.signingAuthority")]
    Scheme {
        /// As stated.
        stated: String,
    },
    /// No signature, or an empty one.
    #[error("envelope has an empty signature")]
    SignatureEmpty,
    /// Too large.
    #[error("envelope has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A critical attribute that nobody here can process (D1).
    #[error("envelope has critical attribute {name}, which is not understood")]
    UnknownCritical {
        /// Which.
        name: String,
    },
    /// A critical attribute for a plugin (item 105).
    #[error("envelope has critical attribute {name} for verification plugin {plugin}, and plugins are not supported")]
    UnknownCriticalOfPlugin {
        /// Which.
        name: String,
        /// The plugin.
        plugin: String,
    },
    /// A member that must not be there.
    #[error("envelope has member {name}, which is not allowed")]
    UnknownMember {
        /// Which.
        name: String,
    },
}

impl EnvelopeError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Algorithm { .. } => Code::SignatureAlgorithm,
            Self::Chain(source) => source.code(),
            Self::MediaType { .. } => Code::UnsupportedMediaType,
            Self::SignatureEmpty => Code::SignatureInvalid,
            Self::TooLarge { .. } => Code::LimitExceeded,
            Self::UnknownCritical { .. } => Code::UnknownCritical,
            Self::UnknownCriticalOfPlugin { .. } => Code::PluginRequired,
            Self::AttributeForbidden { .. }
            | Self::AttributeMissing { .. }
            | Self::AttributeValue { .. }
            | Self::Base64 { .. }
            | Self::BothHeaders { .. }
            | Self::Cbor { .. }
            | Self::ContentType { .. }
            | Self::Cose { .. }
            | Self::CriticalAbsent { .. }
            | Self::CriticalDuplicate { .. }
            | Self::CriticalMissing { .. }
            | Self::CriticalNotAllowed { .. }
            | Self::Json { .. }
            | Self::Member { .. }
            | Self::PayloadEmpty
            | Self::Scheme { .. }
            | Self::UnknownMember { .. } => Code::SignatureMalformed,
        }
    }
}

impl Envelope {
    /// Parses an envelope of the stated media type.
    ///
    /// # Errors
    /// [`EnvelopeError`]: size first, then form, then attributes. No key is used.
    pub fn parse(media_type: &str, bytes: &[u8], limits: Limits) -> Result<Self, EnvelopeError> {
        let (size, limit) = (bytes.len(), limits.envelope_bytes);
        if size > limit {
            return Err(EnvelopeError::TooLarge { size, limit });
        }
        match media_type {
            JWS_MEDIA_TYPE => jws::parse(bytes),
            COSE_MEDIA_TYPE => cose::parse(bytes),
            _ => Err(EnvelopeError::MediaType { media_type: quoted(media_type) }),
        }
    }
}

/// Outside text for an error: quoted, escaped, bounded.
fn quoted(text: &str) -> String {
    format!("\"{}\"", reason::printable(text, 128))
}

fn content_type(stated: Option<&str>) -> Result<(), EnvelopeError> {
    match stated {
        Some(PAYLOAD_CONTENT_TYPE) => Ok(()),
        Some(stated) => Err(EnvelopeError::ContentType { stated: quoted(stated) }),
        None => Err(EnvelopeError::AttributeMissing { name: "content type" }),
    }
}

/// The count of certificates, before any of them is decoded.
fn chain_length(count: usize) -> Result<(), EnvelopeError> {
    let limit = MAX_CERTIFICATES;
    match count {
        0 => Err(EnvelopeError::Chain(ChainError::Empty)),
        1..=MAX_CERTIFICATES => Ok(()),
        _ => Err(EnvelopeError::Chain(ChainError::TooMany { count, limit })),
    }
}
