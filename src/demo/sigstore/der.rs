//! DER, written by hand: no builder would write what a test must be able to get wrong.

use der::asn1::ObjectIdentifier;
use time::{OffsetDateTime, macros::format_description};

/// `BOOLEAN TRUE`.
pub const TRUE: [u8; 3] = [0x01, 0x01, 0xFF];

/// A tag, a length, a content.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let length: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | u8::try_from(length.len()).unwrap_or(0x7F));
            bytes.extend(length);
        }
    }
    bytes.extend(content);
    bytes
}

/// `SEQUENCE`.
pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// `SET` in the order given: one member, or sorted by the caller.
pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// `[number]`, constructed: explicit around a value, or implicit around its content.
pub fn context(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xA0 | number, content)
}

/// `[number] IMPLICIT`, primitive.
pub fn primitive(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x80 | number, content)
}

/// A positive `INTEGER`.
pub fn integer(number: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    // Zero has one byte; a leading one bit would be a sign.
    if bytes.first().is_none_or(|first| *first >= 0x80) {
        bytes.insert(0, 0);
    }
    tlv(0x02, &bytes)
}

/// `OBJECT IDENTIFIER`.
pub fn oid(oid: &ObjectIdentifier) -> Vec<u8> {
    tlv(0x06, oid.as_bytes())
}

/// `OCTET STRING`.
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, bytes)
}

/// `BIT STRING` of whole bytes.
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

/// `UTF8String`.
pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0C, text.as_bytes())
}

/// `GeneralizedTime` in whole seconds.
pub fn generalized_time(at: OffsetDateTime) -> anyhow::Result<Vec<u8>> {
    let text = at.format(format_description!("[year][month][day][hour][minute][second]Z"))?;
    Ok(tlv(0x18, text.as_bytes()))
}

/// `Time` of a certificate: `UTCTime` before 2050 (RFC 5280 §4.1.2.5).
pub fn time(at: OffsetDateTime) -> anyhow::Result<Vec<u8>> {
    if at.year() >= 2050 {
        return generalized_time(at);
    }
    let text = at.format(format_description!("[year repr:last_two][month][day][hour][minute][second]Z"))?;
    Ok(tlv(0x17, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_integers_are_minimal() {
        assert_eq!(tlv(4, &[7]), [4, 1, 7]);
        assert_eq!(tlv(4, &[0; 200]).first_chunk(), Some(&[4, 0x81, 200]));
        assert_eq!(tlv(4, &[0; 300]).first_chunk(), Some(&[4, 0x82, 1, 44]));
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
    }
}
