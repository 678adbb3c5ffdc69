//! `CertID`: a certificate by its issuer's name and key, hashed, and its serial number.
//!
//! The hash identifies and proves nothing: SHA-1 is what requests use everywhere, and is no weakness here.
//!
//! Rule: RFC 6960 §4.1.1.

use aws_lc_rs::digest;
use der::{SliceReader, Tag, asn1::AnyRef, asn1::ObjectIdentifier};

use crate::crypto::{read, x509::Certificate};

pub(super) const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// A `CertID`, as it stands in a response.
#[derive(Debug, Clone)]
pub(super) struct CertId {
    hash: Option<&'static digest::Algorithm>,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    serial_number: Vec<u8>,
}

impl CertId {
    pub(super) fn read(fields: &mut SliceReader<'_>) -> der::Result<Self> {
        use der::Reader as _;
        let mut inner = read::content(fields, Tag::Sequence)?;
        let (oid, parameters) = read::algorithm(&mut inner)?;
        let issuer_name = read::value(&mut inner, Tag::OctetString)?.to_vec();
        let issuer_key = read::value(&mut inner, Tag::OctetString)?.to_vec();
        let serial_number = read::value(&mut inner, Tag::Integer)?.to_vec();
        inner.finish(Self { hash: hash_of(oid, parameters), issuer_name, issuer_key, serial_number })
    }

    /// Whether it is the `CertID` of `certificate`, which `issuer` issued.
    pub(super) fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let Some(hash) = self.hash else { return false };
        let is = |value: &[u8], of: &[u8]| digest::digest(hash, of).as_ref() == value;
        read::shortest(&self.serial_number) == read::shortest(certificate.serial_number())
            && is(&self.issuer_name, certificate.issuer().der())
            && is(&self.issuer_key, issuer.public_key().bytes())
    }
}

/// The SHA-1 of `bytes`, as it identifies names and keys.
pub(super) fn sha1(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
}

fn hash_of(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>) -> Option<&'static digest::Algorithm> {
    match oid {
        _ if !parameters.is_none_or(AnyRef::is_null) => None,
        SHA1 => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        SHA256 => Some(&digest::SHA256),
        SHA384 => Some(&digest::SHA384),
        SHA512 => Some(&digest::SHA512),
        _ => None,
    }
}
