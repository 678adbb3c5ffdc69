//! JSON from outside, read strictly.
//!
//! One document, no duplicate members, no trailing bytes, bounded nesting. `serde_json` alone keeps the last of two
//! equal members, so two readers could see two documents in the same bytes.

use std::{collections::HashSet, fmt, sync::Arc};

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deepest nesting of a provider request (`threats.md` 1.2).
pub const REQUEST_DEPTH: usize = 32;
/// Deepest nesting of a registry document, an envelope or a payload (`threats.md` 1.2).
pub const DOCUMENT_DEPTH: usize = 64;

/// Why bytes are not one strict JSON document. The message carries `serde_json`'s line and column.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a strict JSON document")]
pub struct JsonError(#[source] Arc<serde_json::Error>);

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl JsonError {
    /// Line (from 1) and column at which reading stopped.
    pub fn position(&self) -> (usize, usize) {
        (self.0.line(), self.0.column())
    }
}

/// Parses exactly one JSON document, nested at most `depth` deep.
///
/// # Errors
/// Anything but one document: bad syntax, duplicate members, trailing bytes, too deep a nesting, invalid UTF-8.
pub fn parse(bytes: &[u8], depth: usize) -> Result<Value, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// [`parse`] into a type.
///
/// # Errors
/// As [`parse`], and whatever `T` refuses.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8], depth: usize) -> Result<T, JsonError> {
    Ok(serde_json::from_value(parse(bytes, depth)?)?)
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut seen = HashSet::new();
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom(format_args!("duplicate member {name:?}")));
            }
            let value = members.next_value_seed(self.deeper()?)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_is_read() {
        assert_eq!(parse(br#" {"a":[1,null,"x"]} "#, 4).unwrap(), serde_json::json!({"a": [1, null, "x"]}));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (name, text) in [
            ("duplicate", r#"{"a":1,"a":1}"#),
            ("duplicate below", r#"{"b":{"a":1,"a":2}}"#),
            ("trailing", "{} x"),
            ("second document", r"{}{}"),
            ("truncated", r#"{"a":"#),
            ("number out of range", "1e400"),
            ("lone surrogate", r#""\ud800""#),
            ("empty", ""),
            ("byte order mark", "\u{feff}{}"),
        ] {
            assert!(parse(text.as_bytes(), 8).is_err(), "{name}");
        }
        assert!(parse(b"\"\xff\"", 8).is_err(), "invalid UTF-8");
    }

    #[test]
    fn nesting_is_bounded_at_its_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(8).as_bytes(), 8).is_ok());
        assert!(parse(nested(9).as_bytes(), 8).is_err());
        assert!(parse("[".repeat(200_000).as_bytes(), DOCUMENT_DEPTH).is_err());
        assert!(parse(r#"{"a":"#.repeat(200_000).as_bytes(), DOCUMENT_DEPTH).is_err());
    }
}
