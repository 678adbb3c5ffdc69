//! Simple signing payloads: what `cosign sign` signs in the classic format.
//!
//! Rule: `sigstore.md` §1.1, R29 to R32, COS-18; cosign `specs/SIGNATURE_SPEC.md`. Members that it does not know are ignored, as
//! cosign ignores them; one that stands twice is refused, because two readers could then see two payloads.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::{
    json::{self, JsonError},
    oci::{Digest, DigestError, Reference, Repository},
    reason::Code,
};

/// Largest payload that is read; real ones have 250 bytes (`threats.md` 1.2).
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// What `critical.type` must be (R30).
const TYPE: &str = "cosign container image signature";

/// A simple signing payload. Believe it once its signature is verified.
#[derive(Debug, Clone)]
pub struct Payload {
    signed_type: String,
    digest: Digest,
    docker_reference: Option<String>,
    optional: Option<Map<String, Value>>,
}

/// Why a payload is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadFault {
    /// The image's digest is none.
    #[error("`docker-manifest-digest` of the payload is malformed")]
    Digest(#[source] DigestError),
    /// Not strict JSON.
    #[error("the payload is not readable")]
    Json(#[source] JsonError),
    /// A member is missing or is something else.
    #[error("member {member} of the payload is missing or malformed")]
    Member {
        /// Which.
        member: &'static str,
    },
    /// It names another repository (`matchRepository: strict`).
    #[error("the payload is about {found:?}, the image is in {expected}")]
    Repository {
        /// What it names.
        found: String,
        /// Where the image is.
        expected: Repository,
    },
    /// It is about another image (R29).
    #[error("the payload is about {found}, the image is {expected}")]
    Subject {
        /// What it is about.
        found: Digest,
        /// What is verified.
        expected: Digest,
    },
    /// Too large.
    #[error("the payload has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// It is no cosign signature (R30).
    #[error("the payload is of type {found:?} instead of {TYPE:?}")]
    Type {
        /// What it says.
        found: String,
    },
}

impl PayloadFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::LimitExceeded,
            Self::Repository { .. } | Self::Subject { .. } => Code::SubjectMismatch,
            Self::Digest(_) | Self::Json(_) | Self::Member { .. } | Self::Type { .. } => Code::PayloadMalformed,
        }
    }
}

/// Reads a payload. Whether it is of cosign's type, and about this image, is asked apart.
///
/// # Errors
/// [`PayloadFault::TooLarge`], [`PayloadFault::Json`], [`PayloadFault::Member`], [`PayloadFault::Digest`].
pub fn read(bytes: &[u8]) -> Result<Payload, PayloadFault> {
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(PayloadFault::TooLarge { size: bytes.len(), limit: MAX_PAYLOAD_BYTES });
    }
    let document = json::parse(bytes, json::DOCUMENT_DEPTH).map_err(PayloadFault::Json)?;
    let critical = object(document.get("critical"), "critical")?;
    let image = object(critical.get("image"), "critical.image")?;
    let digest = text(image.get("docker-manifest-digest"), "critical.image.docker-manifest-digest")?;
    let docker_reference = match critical.get("identity") {
        None | Some(Value::Null) => None,
        identity => match object(identity, "critical.identity")?.get("docker-reference") {
            None | Some(Value::Null) => None,
            reference => Some(text(reference, "critical.identity.docker-reference")?.to_owned()),
        },
    };
    let optional = match document.get("optional") {
        None | Some(Value::Null) => None,
        optional => Some(object(optional, "optional")?.clone()),
    };
    Ok(Payload {
        signed_type: text(critical.get("type"), "critical.type")?.to_owned(),
        digest: Digest::parse(digest).map_err(PayloadFault::Digest)?,
        docker_reference,
        optional,
    })
}

fn object<'a>(value: Option<&'a Value>, member: &'static str) -> Result<&'a Map<String, Value>, PayloadFault> {
    value.and_then(Value::as_object).ok_or(PayloadFault::Member { member })
}

fn text<'a>(value: Option<&'a Value>, member: &'static str) -> Result<&'a str, PayloadFault> {
    value.and_then(Value::as_str).ok_or(PayloadFault::Member { member })
}

impl Payload {
    /// R30: whether it says that it is a cosign signature.
    ///
    /// # Errors
    /// [`PayloadFault::Type`].
    pub fn check_type(&self) -> Result<(), PayloadFault> {
        if self.signed_type == TYPE { Ok(()) } else { Err(PayloadFault::Type { found: self.signed_type.clone() }) }
    }

    /// R29: whether it is about this image.
    ///
    /// # Errors
    /// [`PayloadFault::Subject`].
    pub fn binds(&self, image: &Digest) -> Result<(), PayloadFault> {
        if self.digest == *image {
            Ok(())
        } else {
            Err(PayloadFault::Subject { found: self.digest.clone(), expected: image.clone() })
        }
    }

    /// What it says that it is.
    pub fn signed_type(&self) -> &str {
        &self.signed_type
    }

    /// The image that it is about.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// R31: the name that the image had when it was signed. Copied images keep their old one, so it proves nothing.
    pub fn docker_reference(&self) -> Option<&str> {
        self.docker_reference.as_deref()
    }

    /// `matchRepository: strict`: whether `docker-reference`, with or without a tag and a digest, names this repository.
    ///
    /// # Errors
    /// [`PayloadFault::Repository`]; where there is no name at all, too.
    pub fn check_repository(&self, repository: &Repository) -> Result<(), PayloadFault> {
        let found = self.docker_reference().unwrap_or_default();
        match Reference::parse(found) {
            Ok(reference) if reference.repository() == repository => Ok(()),
            Ok(_) | Err(_) => Err(PayloadFault::Repository { found: found.to_owned(), expected: repository.clone() }),
        }
    }

    /// The annotations that are signed; their values can be any JSON.
    pub const fn annotations(&self) -> Option<&Map<String, Value>> {
        self.optional.as_ref()
    }
}

/// Annotations that are wanted and were not signed so (R32, COS-36).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Listed(.differing))]
pub struct AnnotationFault {
    /// Each that differs; at least one.
    pub differing: Vec<Difference>,
}

/// An annotation that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// The value that is wanted.
    pub wanted: String,
    /// The value that is signed, as JSON; `None`: there is none.
    pub found: Option<String>,
}

impl AnnotationFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        Code::AnnotationMismatch
    }
}

struct Listed<'a>(&'a [Difference]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Difference { name, wanted, found }) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "; " })?;
            match found {
                Some(found) => write!(f, "annotation {name:?} is {found}, expected {wanted:?}")?,
                None => write!(f, "annotation {name:?} is missing, expected {wanted:?}")?,
            }
        }
        Ok(())
    }
}

/// Checks that each annotation that is wanted is signed with this value. Others may stand beside them; a value that is no string
/// is equal to none, as for cosign: the number 42 is not `"42"`.
///
/// # Errors
/// [`AnnotationFault`] names each that differs.
pub fn check_annotations(
    have: Option<&Map<String, Value>>,
    wanted: &BTreeMap<String, String>,
) -> Result<(), AnnotationFault> {
    let found = |name: &str| have.and_then(|have| have.get(name));
    let differs = |(name, value): &(&String, &String)| found(name).and_then(Value::as_str) != Some(value.as_str());
    let differing: Vec<Difference> = wanted
        .iter()
        .filter(differs)
        .map(|(name, wanted)| Difference {
            name: name.clone(),
            wanted: wanted.clone(),
            found: found(name).map(Value::to_string),
        })
        .collect();
    if differing.is_empty() { Ok(()) } else { Err(AnnotationFault { differing }) }
}

#[cfg(test)]
mod tests;
