//! What was signed: of the wanted type; and, after the signature verified, readable and about the target.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    super::{
        evidence::{Item, Signed},
        payload::{self, Payload},
        policy::TrustPolicy,
        statement::{self, SIGN_V1, Statement},
    },
    Target, Want,
};
use crate::{
    crypto::{hex, scheme::HashAlgorithm},
    oci::Algorithm,
    reason::Code,
    verifier::{Check, Rejection},
};

/// What was signed.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// A digest of the target.
    Message { algorithm: HashAlgorithm, digest: &'a [u8] },
    /// A simple signing payload.
    Payload(Payload),
    /// An in-toto statement.
    Statement(Statement),
}

/// Compares the type of what was signed with what is wanted, before anything else, so that an attestation beside a signature
/// is told as what it is; nothing is believed yet. Of a statement, which may be large and anybody's, only that much is read.
pub(super) fn check_type(item: &Item, want: &Want) -> Result<(), Rejection> {
    let head;
    let is = match &item.signed {
        Signed::Envelope(envelope) => {
            let read = statement::head(&envelope.payload_type, &envelope.payload);
            head = read.map_err(|fault| Rejection::because(Check::Content, fault.code(), &fault))?;
            Some(head.predicate_type.as_str())
        }
        Signed::Message { .. } | Signed::Payload { .. } => None,
    };
    compare(is, want)
}

/// R39, R40: the signed type counts, and an attestation is no signature. `None`: a signature of the older kinds.
fn compare(predicate_type: Option<&str>, want: &Want) -> Result<(), Rejection> {
    let (is, wanted) = match (predicate_type, want) {
        (_, Want::Any) | (None, Want::Signature) => return Ok(()),
        (None, Want::Attestation { predicate_type, .. }) => ("a signature", predicate_type.as_str()),
        (Some(is), Want::Attestation { predicate_type, .. }) => (is, predicate_type.as_str()),
        (Some(is), Want::Signature) => (is, SIGN_V1),
    };
    if is == wanted {
        return Ok(());
    }
    let reason = format!("it is {is}, wanted is {wanted}");
    Err(Rejection::new(Check::PredicateType, Code::PredicateTypeMismatch, reason))
}

impl<'a> Content<'a> {
    /// Reads what was signed, whole. A statement's tree takes many times its bytes: only of a signer who is trusted.
    pub(super) fn read(item: &'a Item, want: &Want) -> Result<Self, Rejection> {
        let content = match &item.signed {
            Signed::Envelope(envelope) => {
                let read = statement::read(&envelope.payload_type, &envelope.payload);
                Self::Statement(read.map_err(|fault| Rejection::because(Check::Content, fault.code(), &fault))?)
            }
            Signed::Message { algorithm, digest, .. } => Self::Message { algorithm: *algorithm, digest },
            Signed::Payload { bytes, .. } => {
                let refused = |fault: payload::PayloadFault| Rejection::because(Check::Content, fault.code(), &fault);
                let payload = payload::read(bytes).map_err(refused)?;
                payload.check_type().map_err(refused)?;
                Self::Payload(payload)
            }
        };
        // What is used is compared, whatever was seen of it before.
        compare(content.predicate_type(), want)?;
        Ok(content)
    }

    /// Whether what was signed is about the target, and says what the policy asks for.
    pub(super) fn bind(&self, target: &Target<'_>, policy: &TrustPolicy) -> Result<(), Rejection> {
        let annotations = match self {
            Self::Message { algorithm, digest } => {
                is_digest_of(*algorithm, digest, target)?;
                None
            }
            Self::Payload(payload) => {
                payload
                    .binds(target.digest)
                    .map_err(|fault| Rejection::because(Check::Subject, fault.code(), &fault))?;
                payload.annotations()
            }
            Self::Statement(statement) => statement
                .binds(target.digest)
                .map_err(|fault| Rejection::because(Check::Subject, fault.code(), &fault))?
                .annotations(),
        };
        if let (Self::Payload(payload), true, Some(repository)) = (self, policy.match_repository, target.repository) {
            payload
                .check_repository(repository)
                .map_err(|fault| Rejection::because(Check::Subject, Code::SubjectMismatch, &fault))?;
        }
        payload::check_annotations(annotations, &policy.annotations)
            .map_err(|fault| Rejection::because(Check::Annotations, fault.code(), &fault))
    }

    pub(super) fn predicate_type(&self) -> Option<&str> {
        match self {
            Self::Message { .. } | Self::Payload(_) => None,
            Self::Statement(statement) => Some(statement.predicate_type()),
        }
    }

    /// Predicate type and statement.
    pub(super) fn into_statement(self) -> Option<(String, Arc<Value>)> {
        match self {
            Self::Message { .. } | Self::Payload(_) => None,
            Self::Statement(statement) => {
                Some((statement.predicate_type().to_owned(), Arc::new(statement.into_value())))
            }
        }
    }

    /// What stands at a JSON pointer, if it is a time.
    pub(super) fn time_at(&self, pointer: &str) -> Option<OffsetDateTime> {
        match self {
            Self::Message { .. } | Self::Payload(_) => None,
            Self::Statement(statement) => statement.time_at(pointer).ok(),
        }
    }
}

/// R50, COS-23. Of a target of which only the SHA-256 is known no other digest can be compared.
pub(super) fn is_digest_of(algorithm: HashAlgorithm, digest: &[u8], target: &Target<'_>) -> Result<(), Rejection> {
    let same = match (target.bytes, algorithm) {
        (Some(bytes), _) => algorithm.digest(bytes).as_ref() == digest,
        (None, HashAlgorithm::Sha256) => {
            target.digest.algorithm() == Algorithm::Sha256 && target.digest.hex() == hex(digest)
        }
        (None, HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => false,
    };
    if same {
        return Ok(());
    }
    let reason = format!("the {algorithm} digest that was signed is not that of {}", target.digest);
    Err(Rejection::new(Check::Subject, Code::SubjectMismatch, reason))
}
