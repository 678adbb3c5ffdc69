//! `SignedCertificateTimestampList`: TLS structures inside a DER OCTET STRING. Nothing is believed here.

use der::{Decode as _, asn1::OctetStringRef};
use time::OffsetDateTime;

use super::{MAX_LIST_BYTES, MAX_TIMESTAMPS, SctFault};

/// One timestamp, as it stands.
#[derive(Debug, Clone)]
pub(super) struct SignedTimestamp<'a> {
    pub(super) log_id: [u8; 32],
    /// Since 1970.
    pub(super) milliseconds: u64,
    /// With their length, as they are signed.
    pub(super) extensions: &'a [u8],
    /// Hash and signature.
    pub(super) algorithm: [u8; 2],
    pub(super) signature: &'a [u8],
}

impl SignedTimestamp<'_> {
    /// `None`: past all calendars.
    pub(super) fn time(&self) -> Option<OffsetDateTime> {
        let nanoseconds = i128::from(self.milliseconds).checked_mul(1_000_000)?;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
    }
}

/// Parses the extension's value. Rule: RFC 6962 §3.3.
pub(super) fn parse(value: &[u8]) -> Result<Vec<SignedTimestamp<'_>>, SctFault> {
    let (size, limit) = (value.len(), MAX_LIST_BYTES);
    if size > limit {
        return Err(SctFault::TooLarge { size, limit });
    }
    let list = OctetStringRef::from_der(value).map_err(|_| SctFault::Malformed { part: "octet string" })?;
    let mut outer = Bytes { rest: list.as_bytes(), part: "list" };
    let mut entries = Bytes { rest: outer.vector()?, part: "list" };
    outer.finish()?;
    // `SerializedSCT sct_list <1..2^16-1>`: a list that is there is not empty.
    if entries.rest.is_empty() {
        return Err(SctFault::Malformed { part: "list" });
    }
    let mut found = Vec::new();
    while !entries.rest.is_empty() {
        if found.len() >= MAX_TIMESTAMPS {
            return Err(SctFault::TooMany { limit: MAX_TIMESTAMPS });
        }
        found.push(timestamp(entries.vector()?)?);
    }
    Ok(found)
}

fn timestamp(entry: &[u8]) -> Result<SignedTimestamp<'_>, SctFault> {
    let mut fields = Bytes { rest: entry, part: "timestamp" };
    let [version] = fields.array()?;
    if version != 0 {
        return Err(SctFault::Version { version });
    }
    let log_id = fields.array()?;
    let milliseconds = u64::from_be_bytes(fields.array()?);
    let extensions = fields.vector_with_length()?;
    let algorithm = fields.array()?;
    let signature = fields.vector()?;
    fields.finish()?;
    Ok(SignedTimestamp { log_id, milliseconds, extensions, algorithm, signature })
}

/// What is left to read of a TLS structure.
struct Bytes<'a> {
    rest: &'a [u8],
    part: &'static str,
}

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], SctFault> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(SctFault::Malformed { part: self.part })?;
        self.rest = rest;
        Ok(*array)
    }

    /// A vector's content; its length has 16 bits.
    fn vector(&mut self) -> Result<&'a [u8], SctFault> {
        let length = u16::from_be_bytes(self.array()?);
        let split = self.rest.split_at_checked(usize::from(length));
        let (content, rest) = split.ok_or(SctFault::Malformed { part: self.part })?;
        self.rest = rest;
        Ok(content)
    }

    /// [`Bytes::vector`] with the two bytes before it.
    fn vector_with_length(&mut self) -> Result<&'a [u8], SctFault> {
        let whole = self.rest;
        self.vector()?;
        let read = whole.len().checked_sub(self.rest.len()).and_then(|read| whole.get(..read));
        read.ok_or(SctFault::Malformed { part: self.part })
    }

    fn finish(self) -> Result<(), SctFault> {
        if self.rest.is_empty() { Ok(()) } else { Err(SctFault::Malformed { part: self.part }) }
    }
}
