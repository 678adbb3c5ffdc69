//! in-toto statements: what attestations sign, and since cosign v3 signatures too.
//!
//! Members that are not known are ignored (in-toto, "Parsing rules"); one that stands twice is refused. Subjects match by digest
//! only: no names, no patterns (CVE-2021-41087).
//!
//! Rule: in-toto attestation specification, Statement v0.1 and v1; `sigstore.md` §1.6, R23, R24, R35 to R43, COS-21, COS-25.

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::wire;
use crate::{
    json,
    oci::{Algorithm, Digest},
};

mod fault;
mod predicate;

pub use fault::StatementFault;
pub use predicate::{SIGN_V1, aliases, predicate_type_of};

/// R35: the only payload type of an envelope that is read.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// R23: most subjects of a statement.
pub const MAX_SUBJECTS: usize = 1024;
/// R24: most digests of a subject.
pub const MAX_DIGESTS: usize = 32;

/// R37.
const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];

/// A statement. Believe it once its signature is verified.
#[derive(Debug, Clone)]
pub struct Statement {
    document: Value,
    predicate_type: String,
    subjects: Vec<StatementSubject>,
}

/// What a statement is about, one of several.
#[derive(Debug, Clone)]
pub struct StatementSubject {
    sha256: Option<String>,
    sha512: Option<String>,
    annotations: Option<Map<String, Value>>,
}

impl StatementSubject {
    /// R42: its annotations, where cosign v3 keeps those of a signature; their values can be any JSON.
    pub const fn annotations(&self) -> Option<&Map<String, Value>> {
        self.annotations.as_ref()
    }

    /// A digest in other letters, of another length or behind an algorithm's name is not this one.
    fn is_about(&self, image: &Digest) -> bool {
        let claimed = match image.algorithm() {
            Algorithm::Sha256 => self.sha256.as_deref(),
            Algorithm::Sha512 => self.sha512.as_deref(),
        };
        claimed == Some(image.hex())
    }
}

/// Reads the payload of an envelope. Whether it is about this image is asked apart.
///
/// # Errors
/// [`StatementFault`].
pub fn read(payload_type: &str, payload: &[u8]) -> Result<Statement, StatementFault> {
    check_payload_type(payload_type)?;
    let document = json::parse(payload, json::DOCUMENT_DEPTH).map_err(StatementFault::Json)?;
    check_kind(text(&document, "_type")?)?;
    let predicate_type = text(&document, "predicateType")?.to_owned();
    // R41: cosign 3.0.0 to 3.0.4 leave it out of signatures.
    if document.get("predicate").is_none_or(Value::is_null) && predicate_type != SIGN_V1 {
        return Err(StatementFault::Member { member: "predicate" });
    }
    let subjects = document.get("subject").and_then(Value::as_array);
    let subjects = subjects.ok_or(StatementFault::Member { member: "subject" })?;
    match subjects.len() {
        0 => return Err(StatementFault::NoSubject),
        1..=MAX_SUBJECTS => {}
        count => return Err(StatementFault::TooMany { member: "subject", count, limit: MAX_SUBJECTS }),
    }
    let subjects = subjects.iter().map(read_subject).collect::<Result<_, _>>()?;
    Ok(Statement { document, predicate_type, subjects })
}

wire::message! {
    /// What a statement says that it is.
    HeadMessage, ignore { kind: String = "_type", predicate_type: String = "predicateType" }
}

/// The head of a statement of which nothing else has been read.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) predicate_type: String,
}

/// Reads what a payload says that it is, in memory of that size: the rest is skipped, and may be anything.
///
/// # Errors
/// [`StatementFault`].
pub(super) fn head(payload_type: &str, payload: &[u8]) -> Result<Head, StatementFault> {
    check_payload_type(payload_type)?;
    let HeadMessage { kind, predicate_type } = wire::read(payload).map_err(StatementFault::Head)?;
    let given =
        |text: Option<String>, member| text.filter(|text| !text.is_empty()).ok_or(StatementFault::Member { member });
    check_kind(&given(kind, "_type")?)?;
    Ok(Head { predicate_type: given(predicate_type, "predicateType")? })
}

fn check_payload_type(payload_type: &str) -> Result<(), StatementFault> {
    if payload_type == PAYLOAD_TYPE {
        return Ok(());
    }
    Err(StatementFault::PayloadType { found: payload_type.to_owned() })
}

fn check_kind(kind: &str) -> Result<(), StatementFault> {
    if TYPES.contains(&kind) {
        return Ok(());
    }
    Err(StatementFault::Type { found: kind.to_owned() })
}

fn text<'a>(document: &'a Value, member: &'static str) -> Result<&'a str, StatementFault> {
    let text = document.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or(StatementFault::Member { member })
}

fn read_subject(subject: &Value) -> Result<StatementSubject, StatementFault> {
    let malformed = |member| move || StatementFault::Member { member };
    let subject = subject.as_object().ok_or_else(malformed("subject[]"))?;
    let digests = match subject.get("digest") {
        // Nothing to match by: passed over, as one without the image's algorithm is (issue ruling).
        None | Some(Value::Null) => &Map::new(),
        Some(digests) => digests.as_object().ok_or_else(malformed("subject[].digest"))?,
    };
    if digests.len() > MAX_DIGESTS {
        let member = "subject[].digest";
        return Err(StatementFault::TooMany { member, count: digests.len(), limit: MAX_DIGESTS });
    }
    let digest = |algorithm| match digests.get(algorithm) {
        None => Ok(None),
        Some(digest) => digest.as_str().map(|hex| Some(hex.to_owned())).ok_or_else(malformed("subject[].digest")),
    };
    let annotations = match subject.get("annotations") {
        None | Some(Value::Null) => None,
        Some(annotations) => Some(annotations.as_object().ok_or_else(malformed("subject[].annotations"))?.clone()),
    };
    Ok(StatementSubject { sha256: digest("sha256")?, sha512: digest("sha512")?, annotations })
}

impl Statement {
    /// R38: the first subject that is about this image.
    ///
    /// # Errors
    /// [`StatementFault::Subject`].
    pub fn binds(&self, image: &Digest) -> Result<&StatementSubject, StatementFault> {
        let bound = self.subjects.iter().find(|subject| subject.is_about(image));
        bound.ok_or_else(|| StatementFault::Subject { expected: image.clone(), subjects: self.subjects.len() })
    }

    /// R39: the type of what is said about its subjects.
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// R43: the whole statement, as it was signed.
    pub const fn value(&self) -> &Value {
        &self.document
    }

    /// [`Statement::value`], to keep.
    pub fn into_value(self) -> Value {
        self.document
    }

    /// The time at a JSON pointer (RFC 6901) into the statement, such as `/predicate/metadata/scanFinishedOn`.
    ///
    /// # Errors
    /// [`StatementFault::NoTime`], [`StatementFault::Time`].
    pub fn time_at(&self, pointer: &str) -> Result<OffsetDateTime, StatementFault> {
        let found =
            self.document.pointer(pointer).ok_or_else(|| StatementFault::NoTime { pointer: pointer.to_owned() })?;
        let time = found.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        time.ok_or_else(|| StatementFault::Time { pointer: pointer.to_owned() })
    }
}

#[cfg(test)]
mod tests;
