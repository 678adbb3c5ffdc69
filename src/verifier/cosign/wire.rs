//! JSON of known messages, read straight into them.
//!
//! A document is never built as a tree first: what is not a member of a known message costs no memory, lists stop being kept
//! at their limit, and base64 is decoded as it is read. Each member may stand once, under either of its names; a message is an
//! object and never a list of its members; `null` is absence, as in protobuf JSON.
//!
//! Rule: protobuf JSON (protobuf.dev, "JSON Format"), as Go's `protojson` reads it, and stricter: integers in exponent or
//! fraction form, line breaks and stray bits in base64 are refused.

use std::{fmt, marker::PhantomData};

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

mod base64;

pub(super) use self::base64::{DsseBase64, ProtoBase64, StandardBase64, decode_standard};

/// Why a document is not the message that it should be.
#[derive(Debug, thiserror::Error)]
#[error("malformed at {member}")]
pub struct WireError {
    /// Where, as far as reading came.
    member: String,
    #[source]
    source: serde_json::Error,
}

/// Reads exactly one document.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let message: T = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| WireError { member: error.path().to_string(), source: error.into_inner() })?;
    reader.end().map_err(|source| WireError { member: "its end".to_owned(), source })?;
    Ok(message)
}

/// Declares a message: a struct of optional members, each with its JSON name and, if it has one, its second name. `refuse` or
/// `ignore` says what becomes of other members.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident, $unknown:ident { $($field:ident: $type:ty = $json:literal $(| $second:literal)?),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name {
            $(pub(super) $field: Option<$type>,)*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;

                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut members: A) -> Result<$name, A::Error> {
                        let mut message = $name::default();
                        let mut seen: Vec<&'static str> = Vec::new();
                        while let Some(name) = members.next_key::<String>()? {
                            match name.as_str() {
                                $($json $(| $second)? => {
                                    if seen.contains(&$json) {
                                        return Err(serde::de::Error::duplicate_field($json));
                                    }
                                    seen.push($json);
                                    message.$field = members.next_value()?;
                                })*
                                other => $crate::verifier::cosign::wire::$unknown(other, &mut members)?,
                            }
                        }
                        Ok(message)
                    }
                }

                deserializer.deserialize_map(Members)
            }
        }
    };
}

pub(super) use message;

/// What a message does that may have no other members.
pub(super) fn refuse<'de, A: MapAccess<'de>>(name: &str, _members: &mut A) -> Result<(), A::Error> {
    Err(A::Error::custom(format_args!("unknown member {name:?}")))
}

/// What a message does that may be extended.
pub(super) fn ignore<'de, A: MapAccess<'de>>(_name: &str, members: &mut A) -> Result<(), A::Error> {
    members.next_value::<IgnoredAny>().map(|_| ())
}

/// A list of which no more than `LIMIT` elements are read; the rest is counted only, so that a limit is known as one.
#[derive(Debug)]
pub(super) struct Few<T, const LIMIT: usize> {
    /// The elements, if there were no more than the limit.
    kept: Vec<T>,
    count: usize,
}

/// More elements than a list may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) count: usize,
    pub(super) limit: usize,
}

impl<T, const LIMIT: usize> Default for Few<T, LIMIT> {
    fn default() -> Self {
        Self { kept: Vec::new(), count: 0 }
    }
}

impl<T, const LIMIT: usize> Few<T, LIMIT> {
    /// The elements.
    pub(super) fn all(self) -> Result<Vec<T>, TooMany> {
        if self.count > LIMIT { Err(TooMany { count: self.count, limit: LIMIT }) } else { Ok(self.kept) }
    }
}

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for Few<T, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const LIMIT: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for Elements<T, LIMIT> {
            type Value = Few<T, LIMIT>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < LIMIT {
                    let Some(element) = elements.next_element()? else { break };
                    kept.push(element);
                }
                let mut count = kept.len();
                while elements.next_element::<IgnoredAny>()?.is_some() {
                    count = count.saturating_add(1);
                }
                Ok(Few { kept, count })
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// A protobuf `int64` that may not be negative: a number, or a string of decimal digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(i64);

impl Count {
    pub(super) const fn as_i64(self) -> i64 {
        self.0
    }

    pub(super) const fn as_u64(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer from 0 to 2^63-1")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Count, E> {
                i64::try_from(number).map(Count).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                let plain = text == "0" || !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
                let number = if plain { text.parse().ok() } else { None };
                number.map(Count).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// The same where only a number is one, as in Go's `encoding/json`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) Count);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        i64::try_from(number).map(|number| Self(Count(number))).map_err(|_| D::Error::custom("integer past 2^63-1"))
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
