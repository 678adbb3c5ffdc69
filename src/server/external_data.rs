//! Gatekeeper's wire: `ProviderRequest` in, `ProviderResponse` out.
//!
//! Gatekeeper uses any body that parses, whatever the HTTP status; so every reply is a `ProviderResponse`, and one that
//! does not answer the question says so in `systemError` (rule R1).

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::{
    json::{self, JsonError, REQUEST_DEPTH},
    reason::{self, Code},
};

/// Longest `systemError` and item `error` (`threats.md` 1.2).
const MAX_ERROR_BYTES: usize = 512;
const GROUP: &str = "externaldata.gatekeeper.sh";

/// The versions of the protocol; answered in kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    V1Alpha1,
    V1Beta1,
}

impl ApiVersion {
    const fn as_str(self) -> &'static str {
        match self {
            Self::V1Alpha1 => "externaldata.gatekeeper.sh/v1alpha1",
            Self::V1Beta1 => "externaldata.gatekeeper.sh/v1beta1",
        }
    }
}

/// Why a body is no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("`{field}` {expected}")]
    Field { field: &'static str, expected: &'static str },
    #[error("body is not one JSON document")]
    Json(#[source] JsonError),
    #[error("member names are exact: `{0}` is meant in another letter case")]
    LetterCase(&'static str),
    #[error("more than {limit} distinct keys")]
    TooManyKeys { limit: usize },
    #[error("apiVersion is neither {GROUP}/v1beta1 nor {GROUP}/v1alpha1")]
    Version,
}

impl RequestError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Field { .. } | Self::Json(_) | Self::LetterCase(_) => Code::BadRequest,
            Self::TooManyKeys { .. } => Code::TooManyKeys,
            Self::Version => Code::UnsupportedVersion,
        }
    }
}

/// A question: keys in the order they were asked, as they came.
#[derive(Debug)]
pub(crate) struct ProviderRequest {
    pub(crate) version: ApiVersion,
    /// As asked, duplicates included.
    pub(crate) keys: Vec<String>,
    /// For each key its place in `distinct`.
    pub(crate) slots: Vec<usize>,
    /// Where in `keys` each distinct key first stands.
    pub(crate) distinct: Vec<usize>,
}

impl ProviderRequest {
    /// Parses a body of bounded size. Absent `keys` is an empty list: Gatekeeper's own type omits it when empty.
    pub(crate) fn parse(body: &[u8], max_keys: usize) -> Result<Self, RequestError> {
        let expected_object = |field| RequestError::Field { field, expected: "is not an object" };
        let Value::Object(mut members) = json::parse(body, REQUEST_DEPTH).map_err(RequestError::Json)? else {
            return Err(RequestError::Field { field: "body", expected: "is not an object" });
        };
        exact_names(&members, &["apiVersion", "kind", "request"])?;
        let version = match members.get("apiVersion").and_then(Value::as_str) {
            Some(text) if text == ApiVersion::V1Beta1.as_str() => ApiVersion::V1Beta1,
            Some(text) if text == ApiVersion::V1Alpha1.as_str() => ApiVersion::V1Alpha1,
            Some(_) | None => return Err(RequestError::Version),
        };
        if members.get("kind").and_then(Value::as_str) != Some("ProviderRequest") {
            return Err(RequestError::Field { field: "kind", expected: "is not `ProviderRequest`" });
        }
        let Some(Value::Object(mut request)) = members.remove("request") else {
            return Err(expected_object("request"));
        };
        exact_names(&request, &["keys"])?;
        let keys = match request.remove("keys") {
            None => Vec::new(),
            Some(Value::Array(keys)) => keys,
            Some(_) => return Err(RequestError::Field { field: "request.keys", expected: "is not a list" }),
        };
        Self::index(version, keys, max_keys)
    }

    fn index(version: ApiVersion, values: Vec<Value>, max_keys: usize) -> Result<Self, RequestError> {
        let mut keys = Vec::with_capacity(values.len());
        for value in values {
            let Value::String(key) = value else {
                return Err(RequestError::Field {
                    field: "request.keys",
                    expected: "has an element that is no string",
                });
            };
            keys.push(key);
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let (mut slots, mut distinct) = (Vec::with_capacity(keys.len()), Vec::new());
        for (place, key) in keys.iter().enumerate() {
            let slot = *seen.entry(key).or_insert_with(|| {
                distinct.push(place);
                distinct.len().saturating_sub(1)
            });
            if slot >= max_keys {
                return Err(RequestError::TooManyKeys { limit: max_keys });
            }
            slots.push(slot);
        }
        Ok(Self { version, keys, slots, distinct })
    }
}

/// REQ-09: what another reader would take for the member must not be overlooked by this one.
fn exact_names(members: &Map<String, Value>, names: &[&'static str]) -> Result<(), RequestError> {
    for name in names {
        if members.keys().any(|member| member != name && member.eq_ignore_ascii_case(name)) {
            return Err(RequestError::LetterCase(name));
        }
    }
    Ok(())
}

/// The reply is larger than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyTooLarge;

/// Writes a `ProviderResponse`, item by item.
#[derive(Debug)]
pub(crate) struct ResponseWriter {
    out: Vec<u8>,
    limit: usize,
    items: usize,
}

impl ResponseWriter {
    pub(crate) fn new(version: ApiVersion, idempotent: Idempotent, limit: usize) -> Self {
        let mut out = Vec::with_capacity(2048);
        out.extend_from_slice(br#"{"apiVersion":""#);
        out.extend_from_slice(version.as_str().as_bytes());
        out.extend_from_slice(br#"","kind":"ProviderResponse","response":{"#);
        match idempotent {
            Idempotent::Unsaid => {}
            Idempotent::Yes => out.extend_from_slice(br#""idempotent":true,"#),
        }
        out.extend_from_slice(br#""items":["#);
        Self { out, limit, items: 0 }
    }

    /// An item whose value `write` writes as one JSON document.
    pub(crate) fn value(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ReplyTooLarge> {
        self.begin(key);
        self.out.extend_from_slice(br#","value":"#);
        write(&mut self.out);
        self.end()
    }

    /// An item with a string for a value.
    pub(crate) fn text(&mut self, key: &str, value: &str) -> Result<(), ReplyTooLarge> {
        self.value(key, |out| write_string(out, value))
    }

    /// An item that is an error.
    pub(crate) fn error(&mut self, key: &str, code: Code, message: &str) -> Result<(), ReplyTooLarge> {
        self.begin(key);
        self.out.extend_from_slice(br#","error":"#);
        write_string(&mut self.out, &error_text(code, message));
        self.end()
    }

    fn begin(&mut self, key: &str) {
        if self.items > 0 {
            self.out.push(b',');
        }
        self.items = self.items.saturating_add(1);
        self.out.extend_from_slice(br#"{"key":"#);
        write_string(&mut self.out, key);
    }

    fn end(&mut self) -> Result<(), ReplyTooLarge> {
        self.out.push(b'}');
        // What `finish` may still add.
        let size = self.out.len().saturating_add(MAX_ERROR_BYTES.saturating_mul(2)).saturating_add(32);
        if size > self.limit { Err(ReplyTooLarge) } else { Ok(()) }
    }

    /// The body. `system_error`: what could not be answered, if anything.
    pub(crate) fn finish(mut self, system_error: Option<(Code, &str)>) -> Vec<u8> {
        self.out.push(b']');
        if let Some((code, message)) = system_error {
            self.out.extend_from_slice(br#","systemError":"#);
            write_string(&mut self.out, &error_text(code, message));
        }
        self.out.extend_from_slice(b"}}\n");
        self.out
    }
}

/// What a reply says about being asked again: Gatekeeper wants it on mutation, and only there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotent {
    Unsaid,
    Yes,
}

/// A reply that answers nothing.
pub(crate) fn system_error(code: Code, message: &str) -> Vec<u8> {
    ResponseWriter::new(ApiVersion::V1Beta1, Idempotent::Unsaid, usize::MAX).finish(Some((code, message)))
}

/// `CODE: message`, escaped, at most [`MAX_ERROR_BYTES`].
fn error_text(code: Code, message: &str) -> String {
    // `printable` adds three bytes where it cuts.
    reason::printable(&format!("{code}: {message}"), MAX_ERROR_BYTES.saturating_sub(3))
}

/// Appends `text` as a JSON string.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Neither serialising a str nor writing to a Vec fails.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(keys: &str) -> String {
        format!(
            r#"{{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{{"keys":{keys}}}}}"#
        )
    }

    // CCH-07: one key is one decision of a request, wherever it stands and whatever expires meanwhile.
    #[test]
    fn duplicates_share_a_slot_and_keep_their_places() {
        let request = ProviderRequest::parse(body(r#"["b","a","b"]"#).as_bytes(), 2).unwrap();
        assert_eq!(request.keys, ["b", "a", "b"]);
        assert_eq!((request.slots, request.distinct), (vec![0, 1, 0], vec![0, 1]));
    }

    #[test]
    fn the_limit_counts_distinct_keys() {
        // REQ-16, REQ-17
        assert!(ProviderRequest::parse(body(r#"["b","a","b"]"#).as_bytes(), 2).is_ok());
        let error = ProviderRequest::parse(body(r#"["b","a","c"]"#).as_bytes(), 2).unwrap_err();
        assert!(matches!(error, RequestError::TooManyKeys { limit: 2 }));
    }

    #[test]
    fn a_reply_is_bounded_and_never_cut() {
        let mut writer = ResponseWriter::new(ApiVersion::V1Beta1, Idempotent::Unsaid, 4096);
        let outcome = (0..100).try_for_each(|_| writer.text("key", &"x".repeat(100)));
        assert_eq!(outcome, Err(ReplyTooLarge));
        assert!(writer.finish(Some((Code::Internal, &"\u{1}".repeat(900)))).len() <= 4096 + 256);
    }

    #[test]
    fn error_text_is_short_and_plain() {
        let reply: Value = serde_json::from_slice(&system_error(Code::Auth, &"é\u{1b}[31m".repeat(200))).unwrap();
        let text = reply["response"]["systemError"].as_str().unwrap();
        assert!(text.len() <= MAX_ERROR_BYTES && text.starts_with("AUTH: é\\u{1b}"), "{text}");
        assert_eq!(reply["apiVersion"], json!("externaldata.gatekeeper.sh/v1beta1"));
    }

    #[test]
    fn keys_are_echoed_as_they_came() {
        // REQ-24, REQ-25
        for key in ["a\0b", "\r\n", "\u{1b}[2J", "\u{202e}x", "a\u{200d}b", "e\u{301}", "é", "\"\\"] {
            let mut writer = ResponseWriter::new(ApiVersion::V1Alpha1, Idempotent::Yes, 4096);
            writer.text(key, key).unwrap();
            let reply: Value = serde_json::from_slice(&writer.finish(None)).unwrap();
            assert_eq!(reply["response"], json!({"idempotent": true, "items": [{"key": key, "value": key}]}));
        }
    }
}
