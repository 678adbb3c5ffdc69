//! Base64 in the dialects of its documents, always without line breaks, stray bits and anything behind it.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde::de::{Deserialize, Deserializer, Visitor};

/// The standard alphabet, padded.
pub(in super::super) fn decode_standard(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// DSSE v1.0, "Parsing rules": either alphabet; padded, as all who write it do.
fn decode_dsse(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// Protobuf JSON: either alphabet, with or without padding.
fn decode_proto(text: &str) -> Option<Vec<u8>> {
    match text.len() % 4 {
        0 => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok(),
        _ => STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok(),
    }
}

macro_rules! dialect {
    ($(#[$doc:meta])* $name:ident, $decode:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(in super::super) struct $name(pub(in super::super) Vec<u8>);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text($decode)).map(Self)
            }
        }
    };
}

dialect! {
    /// A member of a DSSE envelope.
    DsseBase64, decode_dsse
}
dialect! {
    /// `bytes` of a protobuf message.
    ProtoBase64, decode_proto
}
dialect! {
    /// What Go's `encoding/json` writes for bytes.
    StandardBase64, decode_standard
}

struct Text(fn(&str) -> Option<Vec<u8>>);

impl Visitor<'_> for Text {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        // The text itself can be megabytes of a stranger's.
        self.0(text).ok_or_else(|| E::custom("malformed base64"))
    }
}
