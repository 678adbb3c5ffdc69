//! Signed attributes: content type, digest, signing time and the hash of the signer's certificate.
//!
//! Rule: RFC 5652 §5.3, §11; RFC 5035 §5.4 (`SigningCertificateV2`); RFC 2634 §5.4 (`SigningCertificate`, SHA-1).

use aws_lc_rs::digest;
use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{ObjectIdentifier, OctetStringRef},
};
use time::OffsetDateTime;

use super::{
    error::{TspError, malformed},
    hash_of,
};
use crate::crypto::{read, scheme::HashAlgorithm, x509::Certificate};

const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// Most signed attributes. Real tokens have 4 to 6.
const MAX_ATTRIBUTES: usize = 32;

/// What the signed attributes say.
#[derive(Debug, Clone, Default)]
pub(super) struct SignedAttributes {
    /// The OID's content.
    pub(super) content_type: Option<Vec<u8>>,
    pub(super) message_digest: Option<Vec<u8>>,
    pub(super) signing_time: Option<OffsetDateTime>,
    pub(super) signing_certificate: Option<CertificateId>,
    pub(super) signing_certificate_v2: Option<CertificateId>,
}

/// `ESSCertID`, `ESSCertIDv2`: a certificate by its hash.
#[derive(Debug, Clone)]
pub(super) struct CertificateId {
    hash: IdHash,
    digest: Vec<u8>,
    /// The DER name and the content of the serial number.
    issuer_serial: Option<(Vec<u8>, Vec<u8>)>,
}

/// Which of the two attributes it comes from.
#[derive(Debug, Clone, Copy)]
enum IdVersion {
    One,
    Two,
}

#[derive(Debug, Clone, Copy)]
enum IdHash {
    /// Only in the first version, which has no other.
    Sha1,
    Sha2(HashAlgorithm),
    Unsupported(ObjectIdentifier),
}

impl CertificateId {
    /// Whether it is this certificate.
    ///
    /// # Errors
    /// [`TspError::SigningCertificateAlgorithm`]: by a hash that is not SHA-2 (in version 2).
    pub(super) fn is_of(&self, certificate: &Certificate) -> Result<bool, TspError> {
        let digest = match self.hash {
            IdHash::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der()),
            IdHash::Sha2(hash) => hash.digest(certificate.der()),
            IdHash::Unsupported(algorithm) => return Err(TspError::SigningCertificateAlgorithm { algorithm }),
        };
        let named = self.issuer_serial.as_ref().is_none_or(|(issuer, serial_number)| {
            certificate.issuer().der() == issuer && certificate.serial_number() == serial_number
        });
        Ok(named && digest.as_ref() == self.digest)
    }

    /// The first of the list, which is the signer's; others would only narrow the path down.
    fn first_of(attribute: &[u8], version: IdVersion) -> der::Result<Self> {
        let mut outer = read::only_sequence(attribute)?;
        let mut list = read::content(&mut outer, Tag::Sequence)?;
        read::optional(&mut outer, Tag::Sequence)?;
        outer.finish(())?;
        let mut id = read::content(&mut list, Tag::Sequence)?;
        while !list.is_finished() {
            read::content(&mut list, Tag::Sequence)?;
        }
        let hash = match version {
            IdVersion::One => IdHash::Sha1,
            IdVersion::Two if id.peek_tag()? == Tag::Sequence => {
                let (oid, parameters) = read::algorithm(&mut id)?;
                hash_of(oid, parameters).map_or(IdHash::Unsupported(oid), IdHash::Sha2)
            }
            IdVersion::Two => IdHash::Sha2(HashAlgorithm::Sha256),
        };
        let digest = OctetStringRef::decode(&mut id)?.as_bytes().to_vec();
        let issuer_serial = read::optional(&mut id, Tag::Sequence)?.map(issuer_serial).transpose()?;
        id.finish(Self { hash, digest, issuer_serial })
    }
}

/// `IssuerSerial`, whose issuer must be one directory name.
fn issuer_serial(mut fields: SliceReader<'_>) -> der::Result<(Vec<u8>, Vec<u8>)> {
    let mut names = read::content(&mut fields, Tag::Sequence)?;
    let mut name = read::content(&mut names, read::context(TagNumber::N4))?;
    names.finish(())?;
    let issuer = name.tlv_bytes()?.to_vec();
    name.finish(())?;
    let serial_number = read::value(&mut fields, Tag::Integer)?.to_vec();
    fields.finish((issuer, serial_number))
}

impl SignedAttributes {
    /// Reads a DER `SET OF Attribute`. Attributes that are not known are passed over.
    pub(super) fn read(set: &[u8]) -> Result<Self, TspError> {
        let broken = malformed("signed attributes");
        let mut reader = SliceReader::new(set).map_err(&broken)?;
        let mut list = read::content(&mut reader, Tag::Set).map_err(&broken)?;
        reader.finish(()).map_err(&broken)?;
        let mut found = Self::default();
        let mut count = 0_usize;
        while !list.is_finished() {
            count = count.saturating_add(1);
            if count > MAX_ATTRIBUTES {
                return Err(TspError::TooMany { what: "signed attributes", limit: MAX_ATTRIBUTES });
            }
            let mut attribute = read::content(&mut list, Tag::Sequence).map_err(&broken)?;
            let oid = read::value(&mut attribute, Tag::ObjectIdentifier).map_err(&broken)?;
            let values = read::content(&mut attribute, Tag::Set).map_err(&broken)?;
            attribute.finish(()).map_err(&broken)?;
            found.add(oid, values)?;
        }
        Ok(found)
    }

    fn add(&mut self, oid: &[u8], values: SliceReader<'_>) -> Result<(), TspError> {
        if oid == CONTENT_TYPE.as_bytes() {
            let read =
                |value: &[u8]| read::value(&mut SliceReader::new(value)?, Tag::ObjectIdentifier).map(<[u8]>::to_vec);
            put(&mut self.content_type, "contentType", values, read)
        } else if oid == MESSAGE_DIGEST.as_bytes() {
            let read = |value: &[u8]| OctetStringRef::from_der(value).map(|digest| digest.as_bytes().to_vec());
            put(&mut self.message_digest, "messageDigest", values, read)
        } else if oid == SIGNING_TIME.as_bytes() {
            put(&mut self.signing_time, "signingTime", values, signing_time)
        } else if oid == SIGNING_CERTIFICATE.as_bytes() {
            let read = |value: &[u8]| CertificateId::first_of(value, IdVersion::One);
            put(&mut self.signing_certificate, "SigningCertificate", values, read)
        } else if oid == SIGNING_CERTIFICATE_V2.as_bytes() {
            let read = |value: &[u8]| CertificateId::first_of(value, IdVersion::Two);
            put(&mut self.signing_certificate_v2, "SigningCertificateV2", values, read)
        } else {
            Ok(())
        }
    }
}

/// All that are known here must stand once, with one value (RFC 5652 §11, RFC 5035 §5.4).
fn put<T>(
    place: &mut Option<T>,
    name: &'static str,
    mut values: SliceReader<'_>,
    read: impl FnOnce(&[u8]) -> der::Result<T>,
) -> Result<(), TspError> {
    if place.is_some() {
        return Err(TspError::AttributeTwice { name });
    }
    let value = values.tlv_bytes().map_err(malformed(name))?;
    if !values.is_finished() {
        return Err(TspError::AttributeTwice { name });
    }
    *place = Some(read(value).map_err(malformed(name))?);
    Ok(())
}

fn signing_time(value: &[u8]) -> der::Result<OffsetDateTime> {
    let time = x509_cert::time::Time::from_der(value)?;
    i64::try_from(time.to_unix_duration().as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| Tag::UtcTime.value_error())
}
