//! What a plugin answers. Standard output is read line by line: exactly one line must be a JSON object with a boolean
//! `isSuccess`; other lines are its log, and are not looked at.

use serde_json::{Map, Value};

use crate::json;

/// Deepest nesting of a reply: extensions of an SBOM's violations have five.
const DEPTH: usize = 16;

/// A verdict, in a plugin's own words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) is_success: bool,
    pub(super) message: Option<String>,
    pub(super) error_reason: Option<String>,
    pub(super) remediation: Option<String>,
    pub(super) extensions: Map<String, Value>,
}

/// Whom a reply must be about, where it says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The verifier's own name.
    pub(super) verifier: &'a str,
    /// `repository@digest`.
    pub(super) subject: &'a str,
    /// The artifact's digest.
    pub(super) artifact: &'a str,
}

/// What is wrong with what a plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReplyError {
    #[error("line {line} of its output begins as JSON and is not one strict JSON document")]
    Json { line: usize },
    #[error("no line of its output is a JSON object with `isSuccess`")]
    Missing,
    #[error("`{member}` of its reply names another {what}")]
    Other { member: &'static str, what: &'static str },
    #[error("lines {first} and {second} of its output are both verdicts")]
    Second { first: usize, second: usize },
    #[error("`{member}` of its reply is not {wanted}")]
    Type { member: &'static str, wanted: &'static str },
}

impl Reply {
    /// Reads the one verdict of an output.
    ///
    /// # Errors
    /// [`ReplyError`]: whatever is not exactly one verdict about what was asked.
    pub(super) fn read(output: &[u8], asked: &Asked<'_>) -> Result<Self, ReplyError> {
        let mut found: Option<(usize, Map<String, Value>)> = None;
        for (line, object) in objects(output) {
            let object = object?;
            if !object.contains_key("isSuccess") {
                continue;
            }
            if let Some((first, _)) = found {
                return Err(ReplyError::Second { first, second: line });
            }
            found = Some((line, object));
        }
        let (_, object) = found.ok_or(ReplyError::Missing)?;
        Self::of(object, asked)
    }

    fn of(mut object: Map<String, Value>, asked: &Asked<'_>) -> Result<Self, ReplyError> {
        let Some(Value::Bool(is_success)) = object.get("isSuccess") else {
            return Err(ReplyError::Type { member: "isSuccess", wanted: "true or false" });
        };
        let is_success = *is_success;
        for (member, wanted, what) in [
            ("name", asked.verifier, "verifier"),
            ("verifierName", asked.verifier, "verifier"),
            ("subject", asked.subject, "subject"),
            ("referenceDigest", asked.artifact, "artifact"),
            ("artifactDigest", asked.artifact, "artifact"),
        ] {
            if text(&object, member)?.is_some_and(|said| said != wanted) {
                return Err(ReplyError::Other { member, what });
            }
        }
        let extensions = match object.remove("extensions") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(extensions)) => extensions,
            Some(other) => Map::from_iter([("value".to_owned(), other)]),
        };
        Ok(Self {
            is_success,
            message: text(&object, "message")?,
            error_reason: text(&object, "errorReason")?,
            remediation: text(&object, "remediation")?,
            extensions,
        })
    }
}

/// What a plugin says of its own failure: Ratify's `{"code", "msg"}`.
pub(super) fn failure(output: &[u8]) -> Option<(i64, String)> {
    objects(output).filter_map(|(_, object)| object.ok()).find_map(|object| {
        let message = object.get("msg").and_then(Value::as_str).unwrap_or_default();
        Some((object.get("code")?.as_i64()?, message.to_owned()))
    })
}

/// Lines that begin as objects do, from 1, each read strictly.
fn objects(output: &[u8]) -> impl Iterator<Item = (usize, Result<Map<String, Value>, ReplyError>)> {
    output.split(|b| *b == b'\n').zip(1..).filter_map(|(text, line)| {
        let text = text.trim_ascii();
        text.starts_with(b"{").then(|| match json::parse(text, DEPTH) {
            Ok(Value::Object(object)) => (line, Ok(object)),
            Ok(_) | Err(_) => (line, Err(ReplyError::Json { line })),
        })
    })
}

/// A text that says something. Go writes empty texts where it has none.
fn text(object: &Map<String, Value>, member: &'static str) -> Result<Option<String>, ReplyError> {
    match object.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(ReplyError::Type { member, wanted: "text" }),
    }
}

#[cfg(test)]
mod tests;
