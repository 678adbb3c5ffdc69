//! What can be wrong with an entry of a log that is known.

use time::OffsetDateTime;

use super::super::evidence::Shape;
use crate::{
    crypto::{scheme::SchemeError, x509::CertificateError},
    json::JsonError,
    reason::Code,
};

/// Why an entry of a known log does not vouch for the signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::verifier::cosign) enum LogFault {
    /// The trusted root names no host for a Rekor v2 log.
    #[error("log {url} of the trusted root has no host to compare a checkpoint's name with")]
    BaseUrl {
        /// What it names.
        url: String,
    },
    /// The entry is about something else.
    #[error("log entry is about another {what}")]
    Binding {
        /// What differs.
        what: &'static str,
    },
    /// The body is not one strict JSON document.
    #[error("log entry's body cannot be read")]
    Body(#[source] JsonError),
    /// The certificate of the entry or of the signer cannot be read.
    #[error("log entry's {what} cannot be read")]
    Certificate {
        /// Whose.
        what: &'static str,
        /// Why.
        source: CertificateError,
    },
    /// A proof whose root nobody signed.
    #[error("inclusion proof has no checkpoint")]
    CheckpointMissing,
    /// A member of the body is malformed.
    #[error("log entry's body has a malformed {member}")]
    Field {
        /// Which.
        member: &'static str,
    },
    /// The log took the entry in later than it can be.
    #[error("log entry says to be of {integrated_at}, now is {now}")]
    Future {
        /// When the log says.
        integrated_at: OffsetDateTime,
        /// The time of the check.
        now: OffsetDateTime,
    },
    /// A hash that does not go with the kind of entry or with the key.
    #[error("log entry names {algorithm:?} as the hash of its {what}")]
    Hash {
        /// What was hashed.
        what: &'static str,
        /// What the entry names.
        algorithm: String,
    },
    /// The proof does not lead to the root.
    #[error("inclusion proof does not hold")]
    Inclusion(#[source] sigstore_merkle::Error),
    /// An index that canonical JSON cannot carry.
    #[error("log index {index} is past 2^53 - 1")]
    Index {
        /// The index.
        index: u64,
    },
    /// A kind or version that is not supported, or not in this place.
    #[error("log entry of kind {kind}/{version} does not count for a {shape}")]
    Kind {
        /// `kind`.
        kind: String,
        /// `apiVersion`.
        version: String,
        /// How the item was stored.
        shape: Shape,
    },
    /// `kindVersion` is not the body's.
    #[error("log entry is said to be {stated}, its body is {body}")]
    KindMismatch {
        /// `kindVersion`.
        stated: String,
        /// What the body is.
        body: String,
    },
    /// A bundle's entry without `kindVersion`.
    #[error("log entry has no kindVersion")]
    KindMissing,
    /// The log's key was not in use yet.
    #[error("log's key is in use since {start}, now is {now}")]
    KeyNotYet {
        /// Since when.
        start: OffsetDateTime,
        /// The time of the check.
        now: OffsetDateTime,
    },
    /// The log's key was not in use when the entry was made.
    #[error("log entry is of {integrated_at}, the log's key was in use from {start} to {}", until(*.end))]
    KeyWindow {
        /// When the entry was made.
        integrated_at: OffsetDateTime,
        /// Since when the key was in use.
        start: OffsetDateTime,
        /// Until when.
        end: Option<OffsetDateTime>,
    },
    /// More than is read.
    #[error("{what} has {size}, the limit is {limit}")]
    Limit {
        /// What is too large, and its unit.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A checkpoint that is no signed note of a log.
    #[error("checkpoint has a malformed {part}")]
    Note {
        /// Where.
        part: &'static str,
    },
    /// A checkpoint of something else.
    #[error("checkpoint is of {origin:?}, not of {expected:?}")]
    Origin {
        /// Whose it is.
        origin: String,
        /// Whose it must be.
        expected: String,
    },
    /// The promise (SET) does not verify.
    #[error("signed entry timestamp does not verify with the log's key")]
    Promise(#[source] SchemeError),
    /// There must be a promise (SET).
    #[error("log entry of a {shape} has no signed entry timestamp")]
    PromiseMissing {
        /// How the item was stored.
        shape: Shape,
    },
    /// Rekor v2 makes no promises.
    #[error("log entry of Rekor v2 has a signed entry timestamp")]
    PromiseUnexpected,
    /// There must be a proof.
    #[error("log entry of a {shape} has no inclusion proof")]
    ProofMissing {
        /// How the item was stored.
        shape: Shape,
    },
    /// What the proof says of the tree is not what the log signed.
    #[error("inclusion proof and {other} name another {what}")]
    ProofMismatch {
        /// What differs.
        what: &'static str,
        /// From what.
        other: &'static str,
    },
    /// A time that no calendar has, or none where there must be one.
    #[error("log entry with a signed entry timestamp has no integrated time that can be read")]
    Time,
    /// No signature of the log, under the log's name, verifies.
    #[error("checkpoint has no signature of {name:?} by the log's key")]
    Unsigned {
        /// The name.
        name: String,
        /// Why the last one that could have been does not verify.
        source: Option<SchemeError>,
    },
}

fn until(end: Option<OffsetDateTime>) -> String {
    end.map_or_else(|| "today".to_owned(), |end| end.to_string())
}

impl LogFault {
    /// The stable code.
    pub(in crate::verifier::cosign) const fn code(&self) -> Code {
        match self {
            Self::Limit { .. } => Code::LimitExceeded,
            Self::BaseUrl { .. }
            | Self::Binding { .. }
            | Self::Body(_)
            | Self::Certificate { .. }
            | Self::CheckpointMissing
            | Self::Field { .. }
            | Self::Future { .. }
            | Self::Hash { .. }
            | Self::Inclusion(_)
            | Self::Index { .. }
            | Self::Kind { .. }
            | Self::KindMismatch { .. }
            | Self::KindMissing
            | Self::KeyNotYet { .. }
            | Self::KeyWindow { .. }
            | Self::Note { .. }
            | Self::Origin { .. }
            | Self::Promise(_)
            | Self::PromiseMissing { .. }
            | Self::PromiseUnexpected
            | Self::ProofMissing { .. }
            | Self::ProofMismatch { .. }
            | Self::Time
            | Self::Unsigned { .. } => Code::TlogInvalid,
        }
    }
}
