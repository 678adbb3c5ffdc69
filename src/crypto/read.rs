//! Small steps of reading DER with [`der`]: strict (definite, minimal lengths), no copies.

use std::time::Duration;

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
    asn1::{AnyRef, GeneralizedTime, ObjectIdentifier},
};
use time::OffsetDateTime;
use x509_cert::time::Time;

/// A reader of one item's content, which must have `tag`.
pub(crate) fn content<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<SliceReader<'a>> {
    let any = AnyRef::decode(reader)?;
    any.tag().assert_eq(tag)?;
    SliceReader::new(any.value())
}

/// A reader of the content of `bytes`, which must be exactly one SEQUENCE.
pub(crate) fn only_sequence(bytes: &[u8]) -> der::Result<SliceReader<'_>> {
    let mut reader = SliceReader::new(bytes)?;
    let inner = content(&mut reader, Tag::Sequence)?;
    reader.finish(inner)
}

/// A reader of the next item's content if it has `tag`, else `None` and nothing is read.
pub(crate) fn optional<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<Option<SliceReader<'a>>> {
    if reader.is_finished() || reader.peek_tag()? != tag {
        return Ok(None);
    }
    content(reader, tag).map(Some)
}

/// The value of the next item, which must have `tag`.
pub(crate) fn value<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    let any = AnyRef::decode(reader)?;
    any.tag().assert_eq(tag)?;
    Ok(any.value())
}

/// An `AlgorithmIdentifier`: the OID and, where there are some, the parameters.
pub(crate) fn algorithm<'a>(reader: &mut SliceReader<'a>) -> der::Result<(ObjectIdentifier, Option<AnyRef<'a>>)> {
    let mut inner = content(reader, Tag::Sequence)?;
    let oid = ObjectIdentifier::decode(&mut inner)?;
    let parameters = if inner.is_finished() { None } else { Some(AnyRef::decode(&mut inner)?) };
    inner.finish((oid, parameters))
}

/// A `Time` of RFC 5280 §4.1.2.5: `UTCTime`, or `GeneralizedTime` without fractions. Times before 1970 are refused.
pub(crate) fn time(reader: &mut SliceReader<'_>) -> der::Result<OffsetDateTime> {
    moment(Time::decode(reader)?.to_unix_duration(), Tag::UtcTime)
}

/// A `GeneralizedTime` without fractions.
pub(crate) fn generalized_time(reader: &mut SliceReader<'_>) -> der::Result<OffsetDateTime> {
    moment(GeneralizedTime::decode(reader)?.to_unix_duration(), Tag::GeneralizedTime)
}

fn moment(since_1970: Duration, tag: Tag) -> der::Result<OffsetDateTime> {
    let seconds = i64::try_from(since_1970.as_secs()).map_err(|_| tag.value_error())?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| tag.value_error())
}

/// The content of an INTEGER without bytes that only repeat its sign: two writers may spell one serial number differently
///
pub(crate) fn shortest(mut integer: &[u8]) -> &[u8] {
    while let [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] = integer {
        integer = integer.get(1..).unwrap_or_default();
    }
    integer
}

/// One `Extension`: its OID, whether it is critical, its value.
pub(crate) fn extension<'a>(list: &mut SliceReader<'a>) -> der::Result<(&'a [u8], bool, &'a [u8])> {
    let mut inner = content(list, Tag::Sequence)?;
    let oid = value(&mut inner, Tag::ObjectIdentifier)?;
    let critical = inner.peek_tag()? == Tag::Boolean && bool::decode(&mut inner)?;
    let bytes = value(&mut inner, Tag::OctetString)?;
    inner.finish((oid, critical, bytes))
}

/// The constructed tag `[number]`.
pub(crate) const fn context(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: true, number }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}
