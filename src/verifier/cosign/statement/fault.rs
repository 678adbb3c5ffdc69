//! Why a statement is refused.

use super::{super::WireError, PAYLOAD_TYPE};
use crate::{json::JsonError, oci::Digest, reason::Code};

/// Why a statement is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementFault {
    /// Not even what it says that it is can be read.
    #[error("the head of the statement is not readable")]
    Head(#[source] WireError),
    /// Not strict JSON.
    #[error("the statement is not readable")]
    Json(#[source] JsonError),
    /// A member is missing or is something else.
    #[error("member {member} of the statement is missing or malformed")]
    Member {
        /// Which.
        member: &'static str,
    },
    /// COS-25: it is about nothing.
    #[error("the statement has no subject")]
    NoSubject,
    /// Nothing stands where the time should.
    #[error("the statement has nothing at {pointer:?}, where its time is looked for")]
    NoTime {
        /// Where.
        pointer: String,
    },
    /// R35.
    #[error("the envelope's payload is of type {found:?} instead of {PAYLOAD_TYPE}")]
    PayloadType {
        /// What the envelope says.
        found: String,
    },
    /// R38: it is about other images.
    #[error("none of the statement's {subjects} subjects is {expected}")]
    Subject {
        /// What is verified.
        expected: Digest,
        /// How many subjects there are.
        subjects: usize,
    },
    /// Something else stands where the time should.
    #[error("the statement has no RFC 3339 time at {pointer:?}")]
    Time {
        /// Where.
        pointer: String,
    },
    /// R23, R24.
    #[error("{member} of the statement has {count} entries, the limit is {limit}")]
    TooMany {
        /// Of what.
        member: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// R37.
    #[error("`_type` {found:?} is no in-toto statement of version 0.1 or 1")]
    Type {
        /// What it says.
        found: String,
    },
}

impl StatementFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::NoTime { .. } | Self::Time { .. } => Code::AttestationFuture,
            Self::Subject { .. } => Code::SubjectMismatch,
            Self::TooMany { .. } => Code::LimitExceeded,
            Self::Head(_)
            | Self::Json(_)
            | Self::Member { .. }
            | Self::NoSubject
            | Self::PayloadType { .. }
            | Self::Type { .. } => Code::PayloadMalformed,
        }
    }
}
