//! Small steps of reading DER with [`der`]: strict (definite, minimal lengths), no copies.

use der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _, asn1::AnyRef};

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

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}
