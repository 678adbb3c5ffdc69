//! A list's own extensions.
//!
//! Rule: RFC 5280 §5.2.

use std::{cmp::Ordering, fmt};

use der::{Reader as _, SliceReader, Tag, asn1::ObjectIdentifier};
use url::Url;

use super::{
    error::{CrlError, malformed},
    scope::Scope,
};
use crate::crypto::{read, x509};

const NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const DELTA_INDICATOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const FRESHEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.46");

/// Largest extension that is read; real ones have some hundred bytes.
const MAX_EXTENSION_BYTES: usize = 64 * 1024;
/// Most extensions that are read.
const MAX_EXTENSIONS: usize = 32;
/// Most bytes of a number (RFC 5280 §5.2.3).
const MAX_NUMBER_BYTES: usize = 20;

/// A `cRLNumber`: not negative, up to 20 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(Vec<u8>);

impl Number {
    /// Reads the INTEGER that is all of `value`.
    fn read(value: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(value)?;
        let integer = read::value(&mut reader, Tag::Integer)?;
        reader.finish(())?;
        match read::shortest(integer) {
            [] | [0x80..=0xff, ..] => Err(Tag::Integer.value_error()),
            // The sign's byte is no digit.
            [0, digits @ ..] | digits if digits.len() <= MAX_NUMBER_BYTES => Ok(Self(digits.to_vec())),
            _ => Err(Tag::Integer.length_error()),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", read::hex(&self.0))
    }
}

/// The extensions that are understood.
#[derive(Debug, Clone)]
pub(super) struct Extensions {
    pub(super) number: Number,
    /// The number of the list that a delta starts from.
    pub(super) delta_base: Option<Number>,
    /// Where deltas are.
    pub(super) freshest: Option<Vec<Url>>,
    pub(super) scope: Option<Scope>,
}

impl Extensions {
    pub(super) fn read(fields: &mut SliceReader<'_>) -> Result<Self, CrlError> {
        let broken = malformed("extensions");
        let Some(mut list) = super::tagged_list(fields).map_err(&broken)? else { return Err(CrlError::NoNumber) };
        let (mut number, mut delta_base, mut freshest, mut scope) = (None, None, None, None);
        let mut seen = Vec::new();
        while !list.is_finished() {
            let (oid, critical, value) = read::extension(&mut list).map_err(&broken)?;
            let name = || ObjectIdentifier::from_bytes(oid).map_or_else(|_| read::hex(oid), |oid| oid.to_string());
            if seen.contains(&oid) {
                return Err(CrlError::DuplicateExtension { oid: name() });
            }
            if seen.len() == MAX_EXTENSIONS || value.len() > MAX_EXTENSION_BYTES {
                return Err(broken(Tag::Sequence.length_error()));
            }
            seen.push(oid);
            match ObjectIdentifier::from_bytes(oid) {
                Ok(NUMBER) => number = Some(Number::read(value).map_err(malformed("number"))?),
                Ok(DELTA_INDICATOR) => {
                    delta_base = Some(Number::read(value).map_err(malformed("delta indicator"))?);
                }
                Ok(ISSUING_DISTRIBUTION_POINT) => {
                    scope = Some(Scope::read(value).map_err(malformed("issuing distribution point"))?);
                }
                Ok(FRESHEST) => {
                    freshest = Some(x509::freshest_urls(value).map_err(malformed("freshest CRL"))?);
                }
                // Which key signed is found out by trying the issuer's.
                Ok(AUTHORITY_KEY) => {}
                Ok(_) | Err(_) if critical => return Err(CrlError::CriticalExtension { on: "list", oid: name() }),
                Ok(_) | Err(_) => {}
            }
        }
        let number = number.ok_or(CrlError::NoNumber)?;
        Ok(Self { number, delta_base, freshest, scope })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let number = |value: &[u8]| Number::read(value).unwrap();
        let ascending = [&[2, 1, 0][..], &[2, 1, 9], &[2, 1, 0x7f], &[2, 2, 0, 0x80], &[2, 2, 0, 0xff], &[2, 2, 1, 0]];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
        assert_eq!(number(&[2, 2, 0, 9]), number(&[2, 1, 9]));
        for refused in [&[2, 1, 0x80][..], &[2, 0], &[2, 1, 1, 0], &[4, 1, 1], &[2, 21, 1], &[]] {
            assert!(Number::read(refused).is_err(), "{refused:?}");
        }
        let of_length = |length: u8, first: u8| [&[2, length, first][..], &vec![1; usize::from(length) - 1]].concat();
        assert!(Number::read(&of_length(20, 1)).is_ok() && Number::read(&of_length(21, 1)).is_err());
        let signed = [&[2, 21, 0][..], &[0xff; 20]].concat();
        assert_eq!(Number::read(&signed).unwrap().to_string(), format!("0x{}", "ff".repeat(20)));
    }
}
