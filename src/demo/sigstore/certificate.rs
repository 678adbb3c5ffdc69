//! Certificates of any kind, and the extensions of those that Fulcio issues.

use der::asn1::ObjectIdentifier;
use time::OffsetDateTime;

use super::{
    der as write,
    key::{Key, sha256},
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
/// Fulcio's arc; its extensions are numbered below it.
const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
/// `OtherName` of Fulcio: a user name.
const USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// The purpose of a signer's certificate.
pub const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// The purpose of a timestamp authority's certificate.
pub const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// Bits of `KeyUsage`, the first byte.
pub const DIGITAL_SIGNATURE: u8 = 0x80;
/// `keyEncipherment`.
pub const KEY_ENCIPHERMENT: u8 = 0x20;
/// `keyCertSign` and `cRLSign`.
pub const CERT_SIGN: u8 = 0x06;

/// An extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Which.
    pub oid: ObjectIdentifier,
    /// Whether who does not know it must refuse.
    pub criticality: Criticality,
    /// Its value, usually DER.
    pub value: Vec<u8>,
}

/// Whether who does not know an extension must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criticality {
    /// It must.
    Critical,
    /// It may pass over it.
    Ordinary,
}

/// A name in the subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `dNSName`, which no signer has.
    Dns(String),
    /// `rfc822Name`.
    Email(String),
    /// `otherName` of a type with a `UTF8String`.
    Other(ObjectIdentifier, String),
    /// `uniformResourceIdentifier`.
    Uri(String),
}

impl Name {
    /// The user name of Fulcio: an `otherName`.
    pub fn user(name: &str) -> Self {
        Self::Other(USER_NAME, name.to_owned())
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Dns(name) => write::primitive(2, name.as_bytes()),
            Self::Email(address) => write::primitive(1, address.as_bytes()),
            Self::Other(kind, name) => {
                write::context(0, &[write::oid(kind), write::context(0, &write::utf8(name))].concat())
            }
            Self::Uri(uri) => write::primitive(6, uri.as_bytes()),
        }
    }
}

impl Extension {
    /// An extension that who does not know it may pass over.
    pub fn ordinary(oid: ObjectIdentifier, value: Vec<u8>) -> Self {
        Self { oid, criticality: Criticality::Ordinary, value }
    }

    /// A critical one.
    pub fn critical(oid: ObjectIdentifier, value: Vec<u8>) -> Self {
        Self { oid, criticality: Criticality::Critical, value }
    }

    /// `keyUsage`, by its first byte.
    pub fn key_usage(bits: u8) -> Self {
        let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap_or(0);
        Self::critical(KEY_USAGE, write::tlv(0x03, &[unused, bits]))
    }

    /// `extKeyUsage`.
    pub fn extended_key_usage(criticality: Criticality, purposes: &[ObjectIdentifier]) -> Self {
        let purposes: Vec<Vec<u8>> = purposes.iter().map(write::oid).collect();
        Self { oid: EXTENDED_KEY_USAGE, criticality, value: write::sequence(&purposes) }
    }

    /// `basicConstraints` of an authority.
    pub fn authority(path_length: Option<u8>) -> Self {
        let length = path_length.map_or_else(Vec::new, |length| write::integer(u64::from(length)));
        Self::critical(BASIC_CONSTRAINTS, write::sequence(&[write::TRUE.to_vec(), length]))
    }

    /// `subjectAltName`.
    pub fn names(criticality: Criticality, names: &[Name]) -> Self {
        let names: Vec<Vec<u8>> = names.iter().map(Name::encode).collect();
        Self { oid: SUBJECT_ALT_NAME, criticality, value: write::sequence(&names) }
    }

    /// `subjectKeyIdentifier`.
    pub fn subject_key(key: &Key) -> Self {
        Self::ordinary(SUBJECT_KEY_ID, write::octets(&key_id(key)))
    }

    /// `authorityKeyIdentifier`.
    pub fn authority_key(key: &Key) -> Self {
        Self::ordinary(AUTHORITY_KEY_ID, write::sequence(&[write::primitive(0, &key_id(key))]))
    }

    /// One of Fulcio's 1 to 6: the text is the value.
    pub fn fulcio_raw(number: u8, text: &str) -> Self {
        Self::fulcio(number, text.as_bytes().to_vec())
    }

    /// One of Fulcio's from 8: the value is a `UTF8String`.
    pub fn fulcio_utf8(number: u8, text: &str) -> Self {
        Self::fulcio(number, write::utf8(text))
    }

    /// One of Fulcio's with any value.
    pub fn fulcio(number: u8, value: Vec<u8>) -> Self {
        // The arc is short, and so is the number: nothing is ever cut off.
        Self::ordinary(FULCIO.push_arc(u32::from(number)).unwrap_or(FULCIO), value)
    }

    fn encode(&self) -> Vec<u8> {
        let critical = match self.criticality {
            Criticality::Critical => write::TRUE.to_vec(),
            Criticality::Ordinary => Vec::new(),
        };
        write::sequence(&[write::oid(&self.oid), critical, write::octets(&self.value)])
    }
}

fn key_id(key: &Key) -> Vec<u8> {
    key.id().into_iter().take(20).collect()
}

/// A certificate with its key: it can issue others.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Common name of its subject.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
}

/// What a certificate shall say.
#[derive(Debug, Clone)]
pub struct Template {
    /// Serial number.
    pub serial: u64,
    /// Common name of the subject; none is an empty subject.
    pub subject: Option<String>,
    /// First moment.
    pub not_before: OffsetDateTime,
    /// Last moment.
    pub not_after: OffsetDateTime,
    /// Extensions, in this order.
    pub extensions: Vec<Extension>,
}

impl Template {
    /// The `TBSCertificate`.
    ///
    /// # Errors
    /// A moment that cannot be written.
    pub fn to_be_signed(&self, issuer: &str, issuer_key: &Key, spki: &[u8]) -> anyhow::Result<Vec<u8>> {
        let Self { serial, subject, not_before, not_after, extensions } = self;
        let extensions: Vec<Vec<u8>> = extensions.iter().map(Extension::encode).collect();
        Ok(write::sequence(&[
            write::context(0, &write::integer(2)),
            write::integer(*serial),
            issuer_key.algorithm().to_vec(),
            distinguished_name(Some(issuer)),
            write::sequence(&[write::time(*not_before)?, write::time(*not_after)?]),
            distinguished_name(subject.as_deref()),
            spki.to_vec(),
            write::context(3, &write::sequence(&extensions)),
        ]))
    }

    /// The certificate of a key, signed by an issuer.
    ///
    /// # Errors
    /// A moment that cannot be written, a key that does not sign.
    pub fn issue(&self, issuer: &str, issuer_key: &Key, spki: &[u8]) -> anyhow::Result<Vec<u8>> {
        let signed = self.to_be_signed(issuer, issuer_key, spki)?;
        let signature = issuer_key.sign(&signed)?;
        Ok(write::sequence(&[signed, issuer_key.algorithm().to_vec(), write::bits(&signature)]))
    }
}

/// `O=mini sigstore, CN=…`, or nothing.
pub fn distinguished_name(common_name: Option<&str>) -> Vec<u8> {
    let part =
        |kind: &ObjectIdentifier, text: &str| write::set(&[write::sequence(&[write::oid(kind), write::utf8(text)])]);
    let parts = common_name.map(|name| [part(&ORGANISATION, "mini sigstore"), part(&COMMON_NAME, name)]);
    write::sequence(parts.as_ref().map_or(&[], |parts| parts.as_slice()))
}

/// A serial number that belongs to a key.
pub fn serial_of(key: &Key) -> u64 {
    let hash = sha256(key.spki());
    hash.first_chunk::<8>().map_or(1, |bytes| u64::from_be_bytes(*bytes) | 1)
}
