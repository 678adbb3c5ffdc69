//! The envelope: `TimeStampResp`, `ContentInfo`, `SignedData`, `SignerInfo`.
//!
//! Rule: RFC 3161 §2.4.2; RFC 5652 §3, §5.

use std::fmt;

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};

use super::{
    MAX_CERTIFICATES,
    attributes::SignedAttributes,
    error::{TspError, malformed},
    hash_of,
    info::unsigned,
};
use crate::{
    crypto::{
        read,
        scheme::HashAlgorithm,
        x509::{Certificate, Name},
    },
    reason,
};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(super) const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// `signedData` over a `TSTInfo`: version 3, since the content is not plain data (RFC 5652 §5.1).
const SIGNED_DATA_VERSION: u64 = 3;
/// Most digest algorithms listed; one signer has one.
const MAX_DIGEST_ALGORITHMS: usize = 8;
/// Most signers; real tokens have one.
const MAX_SIGNERS: usize = 4;

/// Whom a token names as its signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerId {
    /// By the issuer's name and the certificate's serial number.
    IssuerAndSerialNumber {
        /// The issuer.
        issuer: Name,
        /// The content of the serial number's INTEGER.
        serial_number: Vec<u8>,
    },
    /// By the identifier that the certificate gives its key.
    SubjectKeyIdentifier(Vec<u8>),
}

impl SignerId {
    /// Whether it is this certificate that is named. Proves nothing about who signed.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerialNumber { issuer, serial_number } => {
                certificate.issuer() == issuer && certificate.serial_number() == serial_number
            }
            Self::SubjectKeyIdentifier(id) => certificate
                .extensions()
                .value(SUBJECT_KEY_IDENTIFIER)
                .and_then(|value| OctetStringRef::from_der(value).ok())
                .is_some_and(|found| found.as_bytes() == id),
        }
    }
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IssuerAndSerialNumber { issuer, serial_number } => {
                let serial = reason::printable(&read::hex(serial_number), 64);
                write!(f, "serial number {serial} of \"{}\"", reason::printable(&issuer.to_text(), 128))
            }
            Self::SubjectKeyIdentifier(id) => {
                write!(f, "key identifier {}", reason::printable(&read::hex(id), 64))
            }
        }
    }
}

/// `SignedData`, without what nobody uses.
#[derive(Debug, Clone)]
pub(super) struct SignedData {
    /// The content of `eContent`: a DER `TSTInfo`.
    pub(super) content: Vec<u8>,
    /// The X.509 certificates, in the order given.
    pub(super) certificates: Vec<Certificate>,
    /// The signers that can be read, at least one.
    pub(super) signers: Vec<SignerInfo>,
    /// How many there are, with those that cannot be read.
    pub(super) signer_count: usize,
}

/// `SignerInfo`, without its unsigned attributes.
#[derive(Debug, Clone)]
pub(super) struct SignerInfo {
    pub(super) id: SignerId,
    /// The digest algorithm; `None` where it is not SHA-2.
    pub(super) digest_hash: Option<HashAlgorithm>,
    /// Its OID.
    pub(super) digest_algorithm: ObjectIdentifier,
    /// What they say.
    pub(super) attributes: SignedAttributes,
    /// What was signed: the attributes as transmitted, as the SET that they are and not as the `[0]` that stands for it.
    pub(super) signed: Vec<u8>,
    /// The DER `AlgorithmIdentifier`.
    pub(super) signature_algorithm: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// The token in a DER `TimeStampResp`.
pub(super) fn token_of_response(der: &[u8]) -> Result<&[u8], TspError> {
    let mut response = read::only_sequence(der).map_err(malformed("response"))?;
    let mut info = read::content(&mut response, Tag::Sequence).map_err(malformed("status"))?;
    let status = unsigned(&mut info, Tag::Integer).map_err(malformed("status"))?;
    // 0: granted, 1: granted with modifications.
    if status > 1 {
        return Err(TspError::Status { status });
    }
    read::optional(&mut info, Tag::Sequence).map_err(malformed("status"))?;
    if read::optional(&mut info, Tag::BitString).map_err(malformed("status"))?.is_some() {
        return Err(TspError::FailureInfo);
    }
    info.finish(()).map_err(malformed("status"))?;
    if response.is_finished() {
        return Err(TspError::NoToken);
    }
    let token = response.tlv_bytes().map_err(malformed("token"))?;
    response.finish(token).map_err(malformed("response"))
}

impl SignedData {
    /// Reads a DER `ContentInfo`.
    pub(super) fn read(token: &[u8]) -> Result<Self, TspError> {
        let mut fields = content_of(token)?;
        version(&mut fields, "SignedData", SIGNED_DATA_VERSION)?;
        let digests = digest_algorithms(&mut fields)?;
        let content = encapsulated(&mut fields)?;
        let tags = [TagNumber::N0, TagNumber::N1].map(read::context);
        let [certificates, crls] = tags.map(|tag| read::optional(&mut fields, tag));
        let certificates = certificates.map_err(malformed("certificates"))?;
        let certificates = certificates.map_or(Ok(Vec::new()), read_certificates)?;
        // Revocation lists of the token's own are not used.
        crls.map_err(malformed("revocation lists"))?;
        let list = read::content(&mut fields, Tag::Set).map_err(malformed("signers"))?;
        fields.finish(()).map_err(malformed("SignedData"))?;
        let (signers, signer_count) = read_signers(list, &digests)?;
        Ok(Self { content, certificates, signers, signer_count })
    }

    /// RFC 3161 §2.4.2: a token has no signature but the authority's.
    pub(super) fn only_signer(&self) -> Result<&SignerInfo, TspError> {
        match self.signers.as_slice() {
            [signer] if self.signer_count == 1 => Ok(signer),
            _ => Err(TspError::Signers { count: self.signer_count }),
        }
    }
}

fn content_of(token: &[u8]) -> Result<SliceReader<'_>, TspError> {
    let mut outer = read::only_sequence(token).map_err(malformed("token"))?;
    content_type(&mut outer, "signedData", SIGNED_DATA)?;
    let explicit = read::content(&mut outer, read::context(TagNumber::N0));
    let mut explicit = explicit.map_err(malformed("token"))?;
    outer.finish(()).map_err(malformed("token"))?;
    let fields = read::content(&mut explicit, Tag::Sequence).map_err(malformed("SignedData"))?;
    explicit.finish(fields).map_err(malformed("token"))
}

fn content_type(reader: &mut SliceReader<'_>, name: &'static str, expected: ObjectIdentifier) -> Result<(), TspError> {
    let oid = read::value(reader, Tag::ObjectIdentifier).map_err(malformed("content type"))?;
    if oid == expected.as_bytes() {
        return Ok(());
    }
    Err(TspError::ContentType { expected: name, actual: oid_text(oid) })
}

/// An OID for people.
pub(super) fn oid_text(oid: &[u8]) -> String {
    let text = ObjectIdentifier::from_bytes(oid).map_or_else(|_| read::hex(oid), |oid| oid.to_string());
    reason::printable(&text, 64)
}

fn version(reader: &mut SliceReader<'_>, part: &'static str, expected: u64) -> Result<(), TspError> {
    let actual = unsigned(reader, Tag::Integer).map_err(malformed("version"))?;
    if actual == expected { Ok(()) } else { Err(TspError::Version { part, expected, actual }) }
}

fn digest_algorithms(fields: &mut SliceReader<'_>) -> Result<Vec<ObjectIdentifier>, TspError> {
    let broken = malformed("digest algorithms");
    let mut list = read::content(fields, Tag::Set).map_err(&broken)?;
    let mut found = Vec::new();
    while !list.is_finished() {
        if found.len() == MAX_DIGEST_ALGORITHMS {
            return Err(TspError::TooMany { what: "digest algorithms", limit: MAX_DIGEST_ALGORITHMS });
        }
        let (oid, parameters) = read::algorithm(&mut list).map_err(&broken)?;
        if !parameters.is_none_or(AnyRef::is_null) {
            return Err(broken(Tag::Null.value_error()));
        }
        found.push(oid);
    }
    Ok(found)
}

/// `EncapsulatedContentInfo`.
fn encapsulated(fields: &mut SliceReader<'_>) -> Result<Vec<u8>, TspError> {
    let broken = malformed("content");
    let mut info = read::content(fields, Tag::Sequence).map_err(&broken)?;
    content_type(&mut info, "TSTInfo", TST_INFO)?;
    let mut explicit = read::content(&mut info, read::context(TagNumber::N0)).map_err(&broken)?;
    info.finish(()).map_err(&broken)?;
    let content = read::value(&mut explicit, Tag::OctetString).map_err(&broken)?;
    explicit.finish(content.to_vec()).map_err(&broken)
}

fn read_certificates(mut list: SliceReader<'_>) -> Result<Vec<Certificate>, TspError> {
    let mut found = Vec::new();
    while !list.is_finished() {
        let position = found.len();
        if position == MAX_CERTIFICATES {
            return Err(TspError::TooMany { what: "certificates", limit: MAX_CERTIFICATES });
        }
        if list.peek_tag().map_err(malformed("certificates"))? != Tag::Sequence {
            return Err(TspError::CertificateKind { position });
        }
        let der = list.tlv_bytes().map_err(malformed("certificates"))?;
        found.push(Certificate::parse(der).map_err(|source| TspError::Certificate { position, source })?);
    }
    Ok(found)
}

/// The signers that can be read, and how many there are; an error where none can.
fn read_signers(mut list: SliceReader<'_>, digests: &[ObjectIdentifier]) -> Result<(Vec<SignerInfo>, usize), TspError> {
    let mut found = Vec::new();
    let mut refused = None;
    let mut count = 0_usize;
    while !list.is_finished() {
        if count == MAX_SIGNERS {
            return Err(TspError::TooMany { what: "signers", limit: MAX_SIGNERS });
        }
        count = count.saturating_add(1);
        let mut fields = read::content(&mut list, Tag::Sequence).map_err(malformed("signers"))?;
        match SignerInfo::read(&mut fields).and_then(|signer| signer.listed(digests)) {
            Ok(signer) => found.push(signer),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        _ if !found.is_empty() => Ok((found, count)),
        Some(error) => Err(error),
        None => Err(TspError::Signers { count }),
    }
}

impl SignerInfo {
    /// RFC 5652 §5.1: where the list is not empty, a verifier may demand that the signer's algorithm is in it.
    fn listed(self, digests: &[ObjectIdentifier]) -> Result<Self, TspError> {
        let algorithm = self.digest_algorithm;
        let listed = digests.is_empty() || digests.contains(&algorithm);
        if listed { Ok(self) } else { Err(TspError::DigestAlgorithm { algorithm }) }
    }

    fn read(fields: &mut SliceReader<'_>) -> Result<Self, TspError> {
        let broken = malformed("signer");
        let actual = unsigned(fields, Tag::Integer).map_err(malformed("version"))?;
        let id = signer_id(fields).map_err(malformed("signer's name"))?;
        // RFC 5652 §5.3
        let expected = match id {
            SignerId::IssuerAndSerialNumber { .. } => 1,
            SignerId::SubjectKeyIdentifier(_) => 3,
        };
        if actual != expected {
            return Err(TspError::Version { part: "SignerInfo", expected, actual });
        }
        let (digest_algorithm, parameters) = read::algorithm(fields).map_err(malformed("digest algorithm"))?;
        let tag = read::context(TagNumber::N0);
        if fields.peek_tag().map_err(&broken)? != tag {
            return Err(TspError::Attribute { name: "signed" });
        }
        let mut signed = fields.tlv_bytes().map_err(malformed("signed attributes"))?.to_vec();
        if let Some(first) = signed.first_mut() {
            // RFC 5652 §5.4: an EXPLICIT SET OF is what is signed, not the [0].
            *first = Tag::Set.octet();
        }
        let attributes = SignedAttributes::read(&signed)?;
        let signature_algorithm = fields.tlv_bytes().map_err(malformed("signature algorithm"))?.to_vec();
        let signature = read::value(fields, Tag::OctetString).map_err(malformed("signature"))?.to_vec();
        let digest_hash = hash_of(digest_algorithm, parameters);
        // Unsigned attributes are of no use here.
        read::optional(fields, read::context(TagNumber::N1)).map_err(malformed("unsigned attributes"))?;
        if !fields.is_finished() {
            return Err(broken(Tag::Sequence.length_error()));
        }
        Ok(Self { id, digest_hash, digest_algorithm, attributes, signed, signature_algorithm, signature })
    }
}

fn signer_id(fields: &mut SliceReader<'_>) -> der::Result<SignerId> {
    let key_identifier = Tag::ContextSpecific { constructed: false, number: TagNumber::N0 };
    if fields.peek_tag()? == key_identifier {
        return read::value(fields, key_identifier).map(|id| SignerId::SubjectKeyIdentifier(id.to_vec()));
    }
    let mut inner = read::content(fields, Tag::Sequence)?;
    let issuer = inner.tlv_bytes().and_then(Name::parse)?;
    let serial_number = read::value(&mut inner, Tag::Integer)?.to_vec();
    inner.finish(SignerId::IssuerAndSerialNumber { issuer, serial_number })
}
