//! `TSTInfo`: what the authority says.
//!
//! Rule: RFC 3161 §2.4.2; X.690 §11.7 for the time.

use std::time::Duration;

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{ObjectIdentifier, OctetStringRef},
};
use time::{Date, Month, OffsetDateTime, Time};

use super::{
    error::{TspError, malformed},
    hash_of,
};
use crate::crypto::{read, scheme::HashAlgorithm};

/// ETSI's best practices policy (BTSP), under which a token without an accuracy is good to a second.
const BEST_PRACTICES: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");

/// What was timestamped: a hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imprint {
    /// The hash's OID.
    pub algorithm: ObjectIdentifier,
    /// The hash; `None` where it is not SHA-256, SHA-384 or SHA-512.
    pub hash: Option<HashAlgorithm>,
    /// The hash value, of whatever length.
    pub digest: Vec<u8>,
}

/// `TSTInfo`, as far as it is used.
#[derive(Debug, Clone)]
pub(super) struct TstInfo {
    pub(super) imprint: Imprint,
    pub(super) time: OffsetDateTime,
    pub(super) accuracy: Duration,
}

impl TstInfo {
    pub(super) fn read(der: &[u8]) -> Result<Self, TspError> {
        let mut fields = read::only_sequence(der).map_err(malformed("TSTInfo"))?;
        let actual = unsigned(&mut fields, Tag::Integer).map_err(malformed("version"))?;
        if actual != 1 {
            return Err(TspError::Version { part: "TSTInfo", expected: 1, actual });
        }
        let policy = read::value(&mut fields, Tag::ObjectIdentifier).map_err(malformed("policy"))?;
        let imprint = imprint(&mut fields).map_err(malformed("imprint"))?;
        read::value(&mut fields, Tag::Integer).map_err(malformed("serial number"))?;
        let time = read::value(&mut fields, Tag::GeneralizedTime).map_err(malformed("genTime"))?;
        let time = generalized_time(time).ok_or(TspError::Time)?;
        let accuracy = accuracy(&mut fields).map_err(malformed("accuracy"))?;
        trailer(&mut fields).map_err(malformed("TSTInfo"))?;
        extensions(&mut fields)?;
        fields.finish(()).map_err(malformed("TSTInfo"))?;
        let unstated = if policy == BEST_PRACTICES.as_bytes() { Duration::from_secs(1) } else { Duration::ZERO };
        let accuracy = if accuracy.is_zero() { unstated } else { accuracy };
        Ok(Self { imprint, time, accuracy })
    }
}

fn imprint(fields: &mut SliceReader<'_>) -> der::Result<Imprint> {
    let mut inner = read::content(fields, Tag::Sequence)?;
    let (algorithm, parameters) = read::algorithm(&mut inner)?;
    let digest = OctetStringRef::decode(&mut inner)?.as_bytes().to_vec();
    inner.finish(Imprint { algorithm, hash: hash_of(algorithm, parameters), digest })
}

/// `YYYYMMDDhhmmss[.f]Z`, where `f` has 1 to 9 digits and does not end in 0.
fn generalized_time(text: &[u8]) -> Option<OffsetDateTime> {
    let (seconds, rest) = text.split_at_checked(14)?;
    let [year, month, day, hour, minute, second] =
        [0..4, 4..6, 6..8, 8..10, 10..12, 12..14].map(|range| seconds.get(range).and_then(decimal));
    let nanosecond = match rest {
        [b'Z'] => 0,
        [b'.', fraction @ .., b'Z'] => nanoseconds(fraction)?,
        _ => return None,
    };
    let small = |number: Option<u32>| number.and_then(|number| u8::try_from(number).ok());
    let month = Month::try_from(small(month)?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year?).ok()?, month, small(day)?).ok()?;
    let time = Time::from_hms_nano(small(hour)?, small(minute)?, small(second)?, nanosecond).ok()?;
    Some(date.with_time(time).assume_utc())
}

fn nanoseconds(fraction: &[u8]) -> Option<u32> {
    let missing = 9_usize.checked_sub(fraction.len())?;
    // RFC 3161: no fraction of zero, no trailing zeros.
    if fraction.last().is_none_or(|last| *last == b'0') {
        return None;
    }
    (0..missing).try_fold(decimal(fraction)?, |sum, _| sum.checked_mul(10))
}

/// At most nine digits.
fn decimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn accuracy(fields: &mut SliceReader<'_>) -> der::Result<Duration> {
    let Some(mut inner) = read::optional(fields, Tag::Sequence)? else { return Ok(Duration::ZERO) };
    let mut next = |tag: Tag, most: u64| -> der::Result<u64> {
        if inner.is_finished() || inner.peek_tag()? != tag {
            return Ok(0);
        }
        let number = unsigned(&mut inner, tag)?;
        if number > most { Err(tag.value_error()) } else { Ok(number) }
    };
    let implicit = |number| Tag::ContextSpecific { constructed: false, number };
    let seconds = Duration::from_secs(next(Tag::Integer, u64::from(u32::MAX))?);
    let millis = Duration::from_millis(next(implicit(TagNumber::N0), 999)?);
    let micros = Duration::from_micros(next(implicit(TagNumber::N1), 999)?);
    inner.finish(seconds.saturating_add(millis).saturating_add(micros))
}

/// `ordering`, `nonce` and `tsa`, which decide nothing here: there is no request, and who signed is said by the certificate.
fn trailer(fields: &mut SliceReader<'_>) -> der::Result<()> {
    if !fields.is_finished() && fields.peek_tag()? == Tag::Boolean {
        bool::decode(fields)?;
    }
    read::optional(fields, Tag::Integer)?;
    read::optional(fields, read::context(TagNumber::N0))?;
    Ok(())
}

/// None is known, so a critical one refuses the token (RFC 5280 §4.2, to which RFC 3161 points).
fn extensions(fields: &mut SliceReader<'_>) -> Result<(), TspError> {
    let broken = malformed("extensions");
    let list = read::optional(fields, read::context(TagNumber::N1)).map_err(&broken)?;
    let Some(mut list) = list else { return Ok(()) };
    while !list.is_finished() {
        let mut extension = read::content(&mut list, Tag::Sequence).map_err(&broken)?;
        read::value(&mut extension, Tag::ObjectIdentifier).map_err(&broken)?;
        let tag = extension.peek_tag().map_err(&broken)?;
        if tag == Tag::Boolean && bool::decode(&mut extension).map_err(&broken)? {
            return Err(TspError::CriticalExtension);
        }
        read::value(&mut extension, Tag::OctetString).map_err(&broken)?;
        extension.finish(()).map_err(&broken)?;
    }
    Ok(())
}

/// A non-negative INTEGER of at most 64 bits, under `tag`.
pub(super) fn unsigned(reader: &mut SliceReader<'_>, tag: Tag) -> der::Result<u64> {
    let bytes = match read::value(reader, tag)? {
        // X.690 §8.3.2: no more bytes than needed.
        [0, rest @ ..] if rest.first().is_none_or(|first| *first >= 0x80) => rest,
        bytes @ [1..=0x7f, ..] => bytes,
        _ => return Err(tag.value_error()),
    };
    if bytes.len() > 8 {
        return Err(tag.length_error());
    }
    Ok(bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    // R90, item 79: fractions of a second
    #[test]
    fn times_are_read_as_rfc_3161_writes_them() {
        for (text, expected) in [
            ("20240618073031Z", Some(datetime!(2024-06-18 7:30:31 UTC))),
            ("20241231080530.009Z", Some(datetime!(2024-12-31 8:05:30.009 UTC))),
            ("20241231080530.87Z", Some(datetime!(2024-12-31 8:05:30.87 UTC))),
            ("20240229235959.123456789Z", Some(datetime!(2024-02-29 23:59:59.123456789 UTC))),
            ("99991231235959Z", Some(datetime!(9999-12-31 23:59:59 UTC))),
            ("20240618073031", None),
            ("20240618073031+0100", None),
            ("202406180730Z", None),
            ("20240618073031.Z", None),
            ("20240618073031.0Z", None),
            ("20240618073031.10Z", None),
            ("20240618073031.1234567891Z", None),
            ("20240618073031.1", None),
            ("20240618073031,1Z", None),
            ("20240618073031.-1Z", None),
            ("20230229000000Z", None),
            ("20240618240000Z", None),
            ("20240618073060Z", None),
            ("20241318073031Z", None),
            ("20240600073031Z", None),
            ("+024061807303Z", None),
            ("2024061807303\u{664}Z", None),
            ("", None),
        ] {
            assert_eq!(generalized_time(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_as_der_writes_them() {
        for (bytes, expected) in [
            (&[2, 1, 0][..], Some(0)),
            (&[2, 1, 0x7f], Some(127)),
            (&[2, 2, 0, 0x80], Some(128)),
            (&[2, 9, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some(u64::MAX)),
            (&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0], None),
            (&[2, 2, 0, 0x7f], None),
            (&[2, 1, 0x80], None),
            (&[2, 0], None),
            (&[2, 2, 1], None),
        ] {
            let read = SliceReader::new(bytes).and_then(|mut reader| unsigned(&mut reader, Tag::Integer));
            assert_eq!(read.ok(), expected, "{bytes:?}");
        }
    }
}
