//! Distinguished names, as they stand in a certificate.

use std::fmt::Write as _;

use der::{
    Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _,
    asn1::{AnyRef, ObjectIdentifier},
};

use crate::crypto::read;

/// One attribute of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    oid: ObjectIdentifier,
    text: Option<String>,
    value: Vec<u8>,
}

impl Attribute {
    /// The attribute's type.
    pub const fn oid(&self) -> ObjectIdentifier {
        self.oid
    }

    /// The name of the type where it is one of the nine that Notary Project identities know.
    pub fn short_name(&self) -> Option<&'static str> {
        NAMED.iter().find(|(_, oid)| *oid == self.oid).map(|(name, _)| *name)
    }

    /// The value as text; `None` where it is no text, or in a character set that is not read the same by everyone.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The value's DER.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    fn read(reader: &mut SliceReader<'_>) -> der::Result<Self> {
        let mut inner = read::content(reader, Tag::Sequence)?;
        let oid = ObjectIdentifier::decode(&mut inner)?;
        let value = AnyRef::decode(&mut inner)?;
        inner.finish(())?;
        Ok(Self { oid, text: text_of(value), value: value.to_der()? })
    }
}

/// A distinguished name: its bytes decide equality, its attributes what it says.
#[derive(Debug, Clone)]
pub struct Name {
    der: Vec<u8>,
    rdns: Vec<Vec<Attribute>>,
}

/// Names are equal when their bytes are; nothing is folded or normalised (X-17).
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Name {}

/// The attribute types that have names of their own, in the order in which [`Name::to_text`] gives them.
const NAMED: [(&str, ObjectIdentifier); 9] = [
    ("SERIALNUMBER", ObjectIdentifier::new_unwrap("2.5.4.5")),
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("POSTALCODE", ObjectIdentifier::new_unwrap("2.5.4.17")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
];

impl Name {
    /// Parses a DER `Name`. The caller has bounded its size.
    ///
    /// # Errors
    /// Malformed DER, an empty RDN.
    pub fn parse(der: &[u8]) -> der::Result<Self> {
        let mut reader = read::only_sequence(der)?;
        let mut rdns = Vec::new();
        while !reader.is_finished() {
            let mut set = read::content(&mut reader, Tag::Set)?;
            let mut rdn = vec![Attribute::read(&mut set)?];
            while !set.is_finished() {
                rdn.push(Attribute::read(&mut set)?);
            }
            rdns.push(rdn);
        }
        Ok(Self { der: der.to_vec(), rdns })
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The relative distinguished names, in the certificate's order; each has at least one attribute.
    pub fn rdns(&self) -> &[Vec<Attribute>] {
        &self.rdns
    }

    /// All attributes, in the certificate's order.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.rdns.iter().flatten()
    }

    /// Whether some RDN has more than one attribute.
    pub fn is_multi_valued(&self) -> bool {
        self.rdns.iter().any(|rdn| rdn.len() > 1)
    }

    /// The name as Ratify's reports spell it, which is Go's `pkix.Name.String()`: attributes regrouped by type, whatever
    /// their order in the certificate. For people and for constraint templates that compare it; never to decide by.
    ///
    /// Of CN and SERIALNUMBER only the last value is given; several values of another type are joined with `+`; types
    /// without a name of their own follow, the last one first, as OID and hex.
    pub fn to_text(&self) -> String {
        let mut parts = Vec::new();
        for (name, oid) in NAMED {
            let values = self.attributes().filter(|attribute| attribute.oid == oid).filter_map(Attribute::text);
            let values: Vec<&str> = if matches!(name, "CN" | "SERIALNUMBER") {
                values.last().filter(|value| !value.is_empty()).into_iter().collect()
            } else {
                values.collect()
            };
            if !values.is_empty() {
                let said: Vec<String> = values.iter().map(|value| format!("{name}={}", escaped(value))).collect();
                parts.push(said.join("+"));
            }
        }
        let all: Vec<&Attribute> = self.attributes().collect();
        for attribute in all.into_iter().rev() {
            if attribute.short_name().is_none() || attribute.text.is_none() {
                parts.push(format!("{}=#{}", attribute.oid, read::hex(&again(attribute))));
            }
        }
        parts.join(",")
    }
}

/// The value as Go encodes a string again: a `PrintableString` if its characters allow, else a `UTF8String`.
fn again(attribute: &Attribute) -> Vec<u8> {
    let Some(text) = &attribute.text else { return attribute.value.clone() };
    let printable = |b: u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b);
    let tag = if text.bytes().all(printable) { Tag::PrintableString } else { Tag::Utf8String };
    AnyRef::new(tag, text.as_bytes()).and_then(|any| any.to_der()).unwrap_or_else(|_| attribute.value.clone())
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, c) in value.char_indices() {
        let escape = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => at == 0 || at == last,
            '#' => at == 0,
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        // Writing to a String does not fail.
        let _ = out.write_char(c);
    }
    out
}

fn text_of(value: AnyRef<'_>) -> Option<String> {
    let bytes = value.value();
    let ascii = || bytes.is_ascii().then(|| String::from_utf8_lossy(bytes).into_owned());
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other ASN.1 type is no text")]
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::TeletexString => ascii(),
        Tag::BmpString => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            if rest.is_empty() { char::decode_utf16(units).collect::<Result<String, _>>().ok() } else { None }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::tlv;

    const UTF8: u8 = 12;

    fn attribute(oid: &str, tag: u8, value: &[u8]) -> Vec<u8> {
        let oid = ObjectIdentifier::new_unwrap(oid);
        tlv(0x30, &[tlv(6, oid.as_bytes()), tlv(tag, value)].concat())
    }

    fn name(rdns: &[&[Vec<u8>]]) -> Name {
        let rdns: Vec<u8> = rdns.iter().flat_map(|rdn| tlv(0x31, &rdn.concat())).collect();
        Name::parse(&tlv(0x30, &rdns)).unwrap()
    }

    // ENV-36
    #[test]
    fn text_is_regrouped_joined_and_escaped_as_go_writes_it() {
        let one = |oid, value: &str| attribute(oid, UTF8, value.as_bytes());
        let ou = "2.5.4.11";
        for (expected, rdns) in [
            (
                "CN=bench root,O=Bench,L=Seattle,ST=WA,C=US",
                vec![
                    vec![one("2.5.4.3", "bench root")],
                    vec![one("2.5.4.6", "US")],
                    vec![one("2.5.4.10", "Bench")],
                    vec![one("2.5.4.8", "WA")],
                    vec![one("2.5.4.7", "Seattle")],
                ],
            ),
            (
                "SERIALNUMBER=2,CN=last,OU=a+OU=b",
                vec![
                    vec![one("2.5.4.3", "first")],
                    vec![one(ou, "a")],
                    vec![one("2.5.4.3", "last")],
                    vec![one(ou, "b")],
                    vec![one("2.5.4.5", "2")],
                ],
            ),
            ("OU=a+OU=b", vec![vec![one(ou, "a"), one(ou, "b")]]),
            (r#"CN=\ Zoë\, \"x\" \+ \<y\>\;#\\\ "#, vec![vec![one("2.5.4.3", " Zoë, \"x\" + <y>;#\\ ")]]),
            (r"CN=\#x", vec![vec![one("2.5.4.3", "#x")]]),
            ("CN=Bad=#CN", vec![vec![one("2.5.4.3", "Bad=#CN")]]),
            (
                "STREET=s,C=US,0.9.2342.19200300.100.1.1=#13027531,1.2.840.113549.1.9.1=#0c0361406",
                vec![
                    vec![one("1.2.840.113549.1.9.1", "a@")],
                    vec![one("2.5.4.6", "US")],
                    vec![one("0.9.2342.19200300.100.1.1", "u1")],
                    vec![one("2.5.4.9", "s")],
                ],
            ),
            ("", vec![]),
        ] {
            let rdns: Vec<&[Vec<u8>]> = rdns.iter().map(Vec::as_slice).collect();
            let text = name(&rdns).to_text();
            assert_eq!(text, expected.replace("#0c0361406", "#0c026140"), "{expected}");
        }
    }

    #[test]
    fn values_are_decoded_only_where_everyone_reads_the_same() {
        for (tag, value, text) in [
            (12, "é".as_bytes(), Some("é")),
            (12, &[0xff][..], None),
            (19, b"US", Some("US")),
            (19, &[0xe9], None),
            (22, b"a@b", Some("a@b")),
            (20, b"old", Some("old")),
            (20, &[0xe9], None),
            (30, &[0, 0x41, 0x20, 0xac], Some("A€")),
            (30, &[0, 0x41, 0x20], None),
            (30, &[0xd8, 0], None),
            (4, b"octets", None),
        ] {
            let name = name(&[&[attribute("2.5.4.10", tag, value)]]);
            let attribute = name.attributes().next().unwrap();
            assert_eq!((attribute.short_name(), attribute.text()), (Some("O"), text), "{tag} {value:?}");
            assert_eq!(name.to_text().contains("=#"), text.is_none());
        }
    }

    // X-17
    #[test]
    fn names_are_equal_by_their_bytes_alone() {
        let of = |tag, value: &[u8]| name(&[&[attribute("2.5.4.10", tag, value)]]);
        assert_eq!(of(12, b"A"), of(12, b"A"));
        assert_ne!(of(12, b"A"), of(19, b"A"));
        assert_ne!(of(12, b"A"), of(12, b"a"));
        assert_eq!(of(12, b"A").to_text(), of(19, b"A").to_text());
        assert!(!of(12, b"A").is_multi_valued());
        assert!(name(&[&[attribute("2.5.4.10", 12, b"A"), attribute("2.5.4.11", 12, b"B")]]).is_multi_valued());
        assert!(Name::parse(&tlv(0x30, &tlv(0x31, &[]))).is_err(), "empty RDN");
        assert!(Name::parse(&[0x30, 0, 0]).is_err(), "trailing byte");
        assert!(Name::parse(&[0x30, 0x80, 0, 0]).is_err(), "indefinite length");
    }

    // ENV-41: text that looks like hex is text, whatever its length
    #[test]
    fn hex_in_a_value_is_not_decoded() {
        let long = format!("=#{}", "04".repeat(20_000));
        let name = name(&[&[attribute("2.5.4.3", 12, long.as_bytes())]]);
        assert_eq!(name.to_text().len(), long.len() + 3);
    }
}
