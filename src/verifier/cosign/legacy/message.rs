//! The JSON in cosign's annotations, and DSSE envelopes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use crate::verifier::cosign::wire::{DsseBase64, Few, Number, StandardBase64, message};

/// Signatures of an envelope: as many as a bundle may have log entries.
const MAX_SIGNATURES: usize = 32;

message! {
    /// `dev.sigstore.cosign/bundle`.
    RekorBundle, refuse {
        signed_entry_timestamp: StandardBase64 = "SignedEntryTimestamp",
        payload: RekorPayload = "Payload",
    }
}

message! {
    /// What the promise signs.
    RekorPayload, refuse {
        body: StandardBase64 = "body",
        integrated_time: Number = "integratedTime",
        log_index: Number = "logIndex",
        log_id: LogId = "logID",
    }
}

message! {
    /// `dev.sigstore.cosign/rfc3161timestamp`.
    Timestamp, refuse { signed_rfc3161_timestamp: StandardBase64 = "SignedRFC3161Timestamp" }
}

message! {
    /// A DSSE envelope. "Consumers MUST ignore unrecognized fields" (DSSE v1.0, envelope, "Parsing rules").
    Envelope, ignore {
        payload_type: String = "payloadType",
        payload: DsseBase64 = "payload",
        signatures: Few<Signature, MAX_SIGNATURES> = "signatures",
    }
}

message! {
    /// `keyid` is nobody's word.
    Signature, ignore { sig: DsseBase64 = "sig" }
}

/// The hash of a log's key: 64 lower-case hex digits.
#[derive(Debug)]
pub(super) struct LogId(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for LogId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;

        impl Visitor<'_> for Hex {
            type Value = LogId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 lower-case hex digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LogId, E> {
                let malformed = || E::custom("no 64 lower-case hex digits");
                let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(malformed()) };
                if pairs.len() != 32 {
                    return Err(malformed());
                }
                let bytes = pairs.iter().map(|[high, low]| Some((nibble(*high)? << 4) | nibble(*low)?));
                bytes.collect::<Option<_>>().map(LogId).ok_or_else(malformed)
            }
        }

        deserializer.deserialize_str(Hex)
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        _ => None,
    }
}
