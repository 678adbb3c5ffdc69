//! A walk over CBOR before anything decodes it: one item, definite lengths, bounded nesting, nothing left over.
//!
//! The decoders below accept indefinite-length strings; two readers could then see two documents in the same bytes.

use super::EnvelopeError;

/// Deepest nesting: an envelope itself has four levels.
const MAX_DEPTH: usize = 16;

/// Checks that `bytes` are one item.
pub(super) fn check(bytes: &[u8]) -> Result<(), EnvelopeError> {
    let mut walk = Walk { bytes, offset: 0 };
    walk.item(MAX_DEPTH)?;
    if walk.offset == bytes.len() { Ok(()) } else { Err(walk.error("something follows the item")) }
}

struct Walk<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Walk<'_> {
    fn error(&self, what: &'static str) -> EnvelopeError {
        EnvelopeError::Cbor { offset: self.offset, what }
    }

    fn skip(&mut self, count: u64) -> Result<&[u8], EnvelopeError> {
        let end = usize::try_from(count).ok().and_then(|count| self.offset.checked_add(count));
        let taken = end.and_then(|end| self.bytes.get(self.offset..end).map(|taken| (end, taken)));
        let Some((end, taken)) = taken else { return Err(self.error("the item is cut off")) };
        self.offset = end;
        Ok(taken)
    }

    fn big_endian(&mut self, count: u64) -> Result<u64, EnvelopeError> {
        Ok(self.skip(count)?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    fn item(&mut self, depth: usize) -> Result<(), EnvelopeError> {
        let Some(depth) = depth.checked_sub(1) else { return Err(self.error("nested too deeply")) };
        let first = self.big_endian(1)?;
        let (major, low) = (first >> 5, first & 0x1f);
        let argument = match low {
            0..=23 => low,
            24 => self.big_endian(1)?,
            25 => self.big_endian(2)?,
            26 => self.big_endian(4)?,
            27 => self.big_endian(8)?,
            31 => return Err(self.error("indefinite length")),
            _ => return Err(self.error("reserved length")),
        };
        match major {
            2 | 3 => self.skip(argument).map(|_| ()),
            4 => self.items(argument, depth),
            5 => match argument.checked_mul(2) {
                Some(items) => self.items(items, depth),
                None => Err(self.error("the item is cut off")),
            },
            6 => self.item(depth),
            // Numbers, and simple values and floats, are their head.
            _ => Ok(()),
        }
    }

    /// Each item has at least one byte, so a count that lies ends with the bytes.
    fn items(&mut self, count: u64, depth: usize) -> Result<(), EnvelopeError> {
        for _ in 0..count {
            self.item(depth)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_definite_and_shallow_item_passes() {
        for (name, bytes, ok) in [
            ("number", &[0x18, 0x20][..], true),
            ("map", &[0xa1, 0x01, 0x82, 0x40, 0x60], true),
            ("tag", &[0xc1, 0x1a, 0, 0, 0, 1], true),
            ("float", &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], true),
            ("ENV-63 trailing", &[0x00, 0x00], false),
            ("ENV-53 indefinite array", &[0x9f, 0xff], false),
            ("ENV-53 indefinite bytes", &[0x5f, 0x41, 0x00, 0xff], false),
            ("ENV-53 indefinite text", &[0x7f, 0xff], false),
            ("ENV-53 indefinite map", &[0xbf, 0xff], false),
            ("reserved", &[0x1c], false),
            ("cut", &[0x42, 0x00], false),
            ("empty", &[], false),
            ("ENV-60 huge array", &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false),
            ("ENV-60 huge map", &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false),
            ("ENV-60 huge bytes", &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], false),
            ("ENV-60 4 GiB bytes", &[0x5a, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0], false),
        ] {
            assert_eq!(check(bytes).is_ok(), ok, "{name}");
        }
    }

    // Item 28, ENV-60
    #[test]
    fn nesting_is_bounded_at_its_limit() {
        let nested = |n: usize| [vec![0x81; n], vec![0x00]].concat();
        assert!(check(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(matches!(check(&nested(MAX_DEPTH)), Err(EnvelopeError::Cbor { what: "nested too deeply", .. })));
        for byte in [0x81, 0xa1, 0xc1] {
            assert!(check(&vec![byte; 1_000_000]).is_err());
        }
    }
}
