//! The extensions that verification honours: `basicConstraints`, `keyUsage`, `extKeyUsage`. All others are kept, unread.

use std::fmt;

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::ext::pkix;

use super::{CertificateError, malformed};
use crate::crypto::read;

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
pub(super) const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
pub(super) const AUTHORITY_INFORMATION_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
pub(super) const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// `basicConstraints`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether the extension is critical.
    pub critical: bool,
    /// cA.
    pub ca: bool,
    /// `pathLenConstraint`.
    pub path_length: Option<u8>,
}

/// A bit of `keyUsage`, in the order of RFC 5280 §4.2.1.3.
pub type KeyUsage = pkix::KeyUsages;

/// `extKeyUsage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedKeyUsage {
    /// Whether the extension is critical.
    pub critical: bool,
    /// The purposes; at least one.
    pub purposes: Vec<ObjectIdentifier>,
}

/// An extension as it stands; any OID, of whatever length.
#[derive(Clone)]
struct Extension {
    oid: Vec<u8>,
    critical: bool,
    value: Vec<u8>,
}

impl Extension {
    fn read(list: &mut SliceReader<'_>) -> der::Result<Self> {
        let mut inner = read::content(list, Tag::Sequence)?;
        let oid = AnyRef::decode(&mut inner)?;
        oid.tag().assert_eq(Tag::ObjectIdentifier)?;
        let critical = inner.peek_tag()? == Tag::Boolean && bool::decode(&mut inner)?;
        let value = OctetStringRef::decode(&mut inner)?;
        inner.finish(Self { oid: oid.value().to_vec(), critical, value: value.as_bytes().to_vec() })
    }

    /// The OID for people.
    fn name(&self) -> String {
        ObjectIdentifier::from_bytes(&self.oid).map_or_else(|_| read::hex(&self.oid), |oid| oid.to_string())
    }
}

/// A certificate's extensions.
#[derive(Clone, Default)]
pub struct Extensions {
    all: Vec<Extension>,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<(bool, pkix::KeyUsage)>,
    extended_key_usage: Option<ExtendedKeyUsage>,
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(Extension::name)).finish()
    }
}

impl Extensions {
    /// `basicConstraints`, where there is one.
    pub const fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.basic_constraints
    }

    /// Whether `keyUsage` is critical; `None` where there is none.
    pub fn key_usage_critical(&self) -> Option<bool> {
        self.key_usage.map(|(critical, _)| critical)
    }

    /// Whether `keyUsage` is there and has this bit.
    pub fn has_key_usage(&self, bit: KeyUsage) -> bool {
        self.key_usage.is_some_and(|(_, usage)| usage.0.contains(bit))
    }

    /// `extKeyUsage`, where there is one.
    pub const fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.extended_key_usage.as_ref()
    }

    /// The DER value of an extension.
    pub fn value(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        self.all.iter().find(|extension| extension.oid == oid.as_bytes()).map(|extension| extension.value.as_slice())
    }

    /// The first critical extension that is none of `understood` nor of the three that are read here.
    pub fn critical_beyond(&self, understood: &[ObjectIdentifier]) -> Option<String> {
        let known = |oid: &[u8]| {
            [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE].iter().chain(understood).any(|one| one.as_bytes() == oid)
        };
        self.all.iter().find(|extension| extension.critical && !known(&extension.oid)).map(Extension::name)
    }

    /// Whether the certificate says where to ask if it was revoked: a CRL distribution point, or an OCSP responder. An
    /// unreadable access description counts as one.
    pub fn has_revocation_address(&self) -> bool {
        let ocsp = |value: &[u8]| names_ocsp(value).unwrap_or(true);
        self.value(CRL_DISTRIBUTION_POINTS).is_some() || self.value(AUTHORITY_INFORMATION_ACCESS).is_some_and(ocsp)
    }

    /// Reads what follows the public key: two unique identifiers that nobody uses, and the extensions.
    pub(super) fn read(fields: &mut SliceReader<'_>) -> Result<Self, CertificateError> {
        let mut found = Self::default();
        for number in [TagNumber::N1, TagNumber::N2] {
            let tag = Tag::ContextSpecific { constructed: false, number };
            if !fields.is_finished() && fields.peek_tag().map_err(malformed("unique identifier"))? == tag {
                AnyRef::decode(fields).map_err(malformed("unique identifier"))?;
            }
        }
        if fields.is_finished() {
            return Ok(found);
        }
        let tag = Tag::ContextSpecific { constructed: true, number: TagNumber::N3 };
        let list = read::content(fields, tag).and_then(|mut outer| {
            let list = read::content(&mut outer, Tag::Sequence)?;
            outer.finish(list)
        });
        let mut list = list.map_err(malformed("extensions"))?;
        if !fields.is_finished() {
            return Err(malformed("extensions")(Tag::Sequence.value_error()));
        }
        while !list.is_finished() {
            let extension = Extension::read(&mut list).map_err(malformed("extensions"))?;
            found.add(extension)?;
        }
        Ok(found)
    }

    fn add(&mut self, extension: Extension) -> Result<(), CertificateError> {
        if self.all.iter().any(|known| known.oid == extension.oid) {
            return Err(CertificateError::DuplicateExtension { oid: extension.name() });
        }
        let (critical, value) = (extension.critical, extension.value.as_slice());
        let broken = |name| move |source| CertificateError::Extension { name, source };
        match ObjectIdentifier::from_bytes(&extension.oid) {
            Ok(BASIC_CONSTRAINTS) => {
                let read = pkix::BasicConstraints::from_der(value).map_err(broken("basicConstraints"))?;
                let (ca, path_length) = (read.ca, read.path_len_constraint);
                self.basic_constraints = Some(BasicConstraints { critical, ca, path_length });
            }
            Ok(KEY_USAGE) => {
                let read = pkix::KeyUsage::from_der(value).map_err(broken("keyUsage"))?;
                self.key_usage = Some((critical, read));
            }
            Ok(EXTENDED_KEY_USAGE) => {
                let purposes = pkix::ExtendedKeyUsage::from_der(value).map_err(broken("extKeyUsage"))?.0;
                if purposes.is_empty() {
                    // RFC 5280 §4.2.1.12: SIZE (1..MAX); X-05.
                    return Err(broken("extKeyUsage")(Tag::Sequence.length_error()));
                }
                self.extended_key_usage = Some(ExtendedKeyUsage { critical, purposes });
            }
            _ => {}
        }
        self.all.push(extension);
        Ok(())
    }
}

fn names_ocsp(value: &[u8]) -> der::Result<bool> {
    let mut list = read::only_sequence(value)?;
    while !list.is_finished() {
        if ObjectIdentifier::decode(&mut read::content(&mut list, Tag::Sequence)?)? == OCSP {
            return Ok(true);
        }
    }
    Ok(false)
}
