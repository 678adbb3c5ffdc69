//! X.509 certificates, as far as verification reads them.

use aws_lc_rs::digest;
use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{AnyRef, BitStringRef},
};
use time::OffsetDateTime;
use x509_cert::time::Validity;

use super::{algorithm::PublicKey, read};
use crate::reason::Code;

mod addresses;
mod extensions;
mod file;
mod name;
mod signature;

pub use addresses::{
    AddressError, DistributionPoint, MAX_URLS_PER_CERTIFICATE, MAX_URLS_PER_LIST, RevocationAddresses,
};
pub(crate) use addresses::{freshest_urls, general_names};
pub use extensions::{BasicConstraints, ExtendedKeyUsage, Extensions, KeyUsage};
pub use file::{FileError, MAX_FILE_BYTES, certificates_from_file_bytes};
pub use name::{Attribute, Name};
pub use signature::CertificateSignatureError;
pub(crate) use signature::{hash_of as signature_hash, verify as verify_signature};

/// Largest certificate that is read (`notation.md` 3.6; real ones have 1 to 4 KiB).
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// A certificate that was read, not yet one that is trusted.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
    serial_number: Vec<u8>,
    issuer: Name,
    subject: Name,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    public_key: PublicKey,
    extensions: Extensions,
}

/// Why bytes are no certificate that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The algorithm inside what is signed and the one beside it differ.
    #[error("certificate names two signature algorithms")]
    Algorithms,
    /// An extension stands twice.
    #[error("certificate has extension {oid} twice")]
    DuplicateExtension {
        /// Which.
        oid: String,
    },
    /// An extension that matters cannot be read.
    #[error("certificate has a malformed {name} extension")]
    Extension {
        /// Which.
        name: &'static str,
        /// Why.
        source: der::Error,
    },
    /// Not DER, or not a certificate.
    #[error("certificate is malformed in its {part}")]
    Malformed {
        /// Where.
        part: &'static str,
        /// Why.
        source: der::Error,
    },
    /// Too large.
    #[error("certificate has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A validity that no calendar has.
    #[error("certificate has a validity that cannot be read")]
    Validity,
    /// Not version 3.
    #[error("certificate is not of version 3")]
    Version,
}

impl CertificateError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::LimitExceeded,
            Self::Algorithms
            | Self::DuplicateExtension { .. }
            | Self::Extension { .. }
            | Self::Malformed { .. }
            | Self::Validity
            | Self::Version => Code::CertificateInvalid,
        }
    }
}

impl Certificate {
    /// Parses exactly one DER certificate of version 3.
    ///
    /// # Errors
    /// [`CertificateError`]: more than [`MAX_CERTIFICATE_BYTES`], BER, trailing bytes, another version, a duplicate
    /// extension, an unreadable `basicConstraints`, `keyUsage` or `extKeyUsage`. Any other extension is kept unread.
    ///
    /// Rule: RFC 5280 §4.1.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge { size: der.len(), limit: MAX_CERTIFICATE_BYTES });
        }
        let (tbs, signature_algorithm, signature) = split(der).map_err(malformed("outer sequence"))?;
        let mut fields = read::only_sequence(tbs).map_err(malformed("signed part"))?;
        version(&mut fields)?;
        let serial = AnyRef::decode(&mut fields).and_then(|serial| serial_number(serial));
        let serial_number = serial.map_err(malformed("serial number"))?.to_vec();
        let inner_algorithm = fields.tlv_bytes().map_err(malformed("signature algorithm"))?;
        if inner_algorithm != signature_algorithm {
            return Err(CertificateError::Algorithms);
        }
        let issuer = fields.tlv_bytes().and_then(Name::parse).map_err(malformed("issuer"))?;
        let validity = Validity::decode(&mut fields).map_err(malformed("validity"))?;
        let subject = fields.tlv_bytes().and_then(Name::parse).map_err(malformed("subject"))?;
        let public_key = fields.tlv_bytes().and_then(PublicKey::parse).map_err(malformed("public key"))?;
        let extensions = Extensions::read(&mut fields)?;
        Ok(Self {
            der: der.to_vec(),
            tbs: tbs.to_vec(),
            signature_algorithm: signature_algorithm.to_vec(),
            signature: signature.to_vec(),
            serial_number,
            issuer,
            subject,
            not_before: moment(validity.not_before)?,
            not_after: moment(validity.not_after)?,
            public_key,
            extensions,
        })
    }

    /// The certificate's bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The `TBSCertificate`, which is what its issuer signed, as transmitted.
    pub(crate) fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// The content of the serial number's INTEGER, as it stands.
    pub fn serial_number(&self) -> &[u8] {
        &self.serial_number
    }

    /// Whose certificate it is.
    pub const fn subject(&self) -> &Name {
        &self.subject
    }

    /// Who is said to have issued it.
    pub const fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// The first moment at which it is valid.
    pub const fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// The last moment at which it is valid.
    pub const fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The subject's key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// SHA-256 of the `SubjectPublicKeyInfo`, as lower-case hex.
    pub fn spki_sha256(&self) -> String {
        read::hex(digest::digest(&digest::SHA256, self.public_key.spki()).as_ref())
    }

    /// The extensions.
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Whether `basicConstraints` says cA.
    pub fn is_ca(&self) -> bool {
        self.extensions.basic_constraints().is_some_and(|constraints| constraints.ca)
    }

    /// Whether subject and issuer are the same bytes. Says nothing about the signature.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Verifies that `issuer`'s key signed this certificate. Names are not compared.
    ///
    /// # Errors
    /// [`CertificateSignatureError`].
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), CertificateSignatureError> {
        signature::verify(&self.signature_algorithm, issuer, &self.tbs, &self.signature)
    }

    /// Whether the certificate is self-issued and signed with its own key.
    pub fn is_self_signed(&self) -> bool {
        self.is_self_issued() && self.verify_signed_by(&self.public_key).is_ok()
    }
}

/// Certificates are equal when their bytes are: trust is byte equality.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({:?})", self.subject.to_text())
    }
}

fn malformed(part: &'static str) -> impl Fn(der::Error) -> CertificateError {
    move |source| CertificateError::Malformed { part, source }
}

/// What is signed (with its header), the algorithm (with its header), the signature.
fn split(der: &[u8]) -> der::Result<(&[u8], &[u8], &[u8])> {
    let mut outer = read::only_sequence(der)?;
    let tbs = outer.tlv_bytes()?;
    let algorithm = outer.tlv_bytes()?;
    let signature = BitStringRef::decode(&mut outer)?;
    let signature = signature.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
    outer.finish((tbs, algorithm, signature))
}

fn version(fields: &mut SliceReader<'_>) -> Result<(), CertificateError> {
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber::N0 };
    // Absent means version 1.
    if fields.peek_tag().map_err(malformed("version"))? != tag {
        return Err(CertificateError::Version);
    }
    let version = read::content(fields, tag).and_then(|mut inner| {
        let version = u8::decode(&mut inner)?;
        inner.finish(version)
    });
    match version.map_err(malformed("version"))? {
        2 => Ok(()),
        _ => Err(CertificateError::Version),
    }
}

/// Any INTEGER: negative, zero and overlong serial numbers exist, and nothing here depends on them.
fn serial_number(serial: AnyRef<'_>) -> der::Result<&[u8]> {
    use der::Tagged as _;
    serial.tag().assert_eq(Tag::Integer)?;
    if serial.value().is_empty() { Err(Tag::Integer.length_error()) } else { Ok(serial.value()) }
}

fn moment(time: x509_cert::time::Time) -> Result<OffsetDateTime, CertificateError> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| CertificateError::Validity)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CertificateError::Validity)
}

#[cfg(test)]
mod edges;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{
        algorithm::SignatureAlgorithm,
        testing::{ca, chain, good_chain, leaf, tlv},
    };

    macro_rules! vector {
        ($name:literal) => {
            ($name, include_bytes!(concat!("x509/vectors/", $name, ".pem")).as_slice())
        };
    }

    fn one(pem: &[u8]) -> Certificate {
        let [certificate] = <[_; 1]>::try_from(certificates_from_file_bytes(pem).unwrap()).unwrap();
        certificate
    }

    // Item 40
    #[test]
    fn signatures_of_another_writer_verify() {
        for (name, pem) in [
            vector!("rsa-pkcs1-sha256"),
            vector!("rsa-pkcs1-sha384"),
            vector!("rsa-pkcs1-sha512"),
            vector!("rsa-pss-sha256"),
            vector!("rsa-pss-sha384"),
            vector!("rsa-pss-sha512"),
            vector!("ecdsa-p-256-sha256"),
            vector!("ecdsa-p-256-sha384"),
            vector!("ecdsa-p-256-sha512"),
            vector!("ecdsa-p-384-sha256"),
            vector!("ecdsa-p-384-sha384"),
            vector!("ecdsa-p-384-sha512"),
            vector!("ecdsa-p-521-sha256"),
            vector!("ecdsa-p-521-sha384"),
            vector!("ecdsa-p-521-sha512"),
        ] {
            let certificate = one(pem);
            assert_eq!(certificate.subject().to_text(), "CN=bench root,O=Bench,L=Seattle,ST=WA,C=US", "{name}");
            certificate.verify_signed_by(certificate.public_key()).expect(name);
            assert!(certificate.is_self_signed() && certificate.is_ca(), "{name}");
            assert!(SignatureAlgorithm::of_key(certificate.public_key()).is_ok(), "{name}");
            assert_eq!(certificate.spki_sha256().len(), 64);
        }
    }

    // Item 37; ENV-29, D4
    #[test]
    fn weak_and_odd_certificate_signatures_are_refused() {
        for ((name, pem), part) in [
            (vector!("rsa-pkcs1-md5"), "uses MD5"),
            (vector!("rsa-pkcs1-sha1"), "uses SHA-1"),
            (vector!("ecdsa-p-256-sha1"), "uses SHA-1"),
            (vector!("rsa-pss-sha1"), "uses SHA-1"),
            (vector!("rsa-pss-sha256-salt-20"), "parameters that are not allowed"),
            (vector!("rsa-pss-sha256-mgf-sha1"), "uses SHA-1"),
            (vector!("key-ed25519"), "1.3.101.112 is not supported"),
            (vector!("key-secp256k1"), "does not fit"),
            (vector!("key-rsa-1024"), "does not verify"),
        ] {
            let certificate = one(pem);
            let error = certificate.verify_signed_by(certificate.public_key()).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
            assert!(!certificate.is_self_signed(), "{name}");
        }
        let (rsa, ec) = (one(vector!("rsa-pkcs1-sha256").1), one(vector!("ecdsa-p-256-sha256").1));
        let error = rsa.verify_signed_by(ec.public_key()).unwrap_err();
        assert_eq!(error.to_string(), "signature algorithm RSA PKCS#1 with SHA-256 does not fit a EC P-256 key");
    }

    // Item 5; ENV-28, X-33, X-34
    #[test]
    fn only_keys_of_the_six_kinds_have_an_algorithm() {
        for ((name, pem), said) in [
            (vector!("key-rsa-1024"), "RSA 1024"),
            (vector!("key-rsa-2047"), "RSA 2047"),
            (vector!("key-rsa-2056"), "RSA 2056"),
            (vector!("key-rsa-8192"), "RSA 8192"),
            (vector!("key-rsa-exponent-3"), "RSA 2048 with exponent 3"),
            (vector!("key-p-224"), "EC key on curve 1.3.132.0.33"),
            (vector!("key-secp256k1"), "EC key on curve 1.3.132.0.10"),
            (vector!("key-p-256-explicit"), "EC key without a named curve"),
            (vector!("key-p-256-compressed"), "EC P-256 key that is no uncompressed point"),
            (vector!("key-ed25519"), "Ed25519"),
        ] {
            let error = SignatureAlgorithm::of_key(one(pem).public_key()).expect_err(name);
            assert_eq!(error.code(), Code::SignatureAlgorithm);
            assert!(error.to_string().starts_with(said), "{name}: {error}");
        }
    }

    // Item 41, CVE-2023-25656
    #[test]
    fn malformed_certificates_are_refused_without_panic() {
        let good = good_chain().der.remove(0);
        assert!(Certificate::parse(&good).is_ok());
        for end in 0..good.len() {
            assert!(Certificate::parse(&good[..end]).is_err(), "{end} bytes");
        }
        let mut long = good.clone();
        long.push(0);
        assert!(Certificate::parse(&long).is_err(), "trailing byte");
        let version_1 = certificates_from_file_bytes(vector!("version-1").1).unwrap_err();
        assert!(matches!(version_1, FileError::Certificate { position: 1, source: CertificateError::Version }));
        assert!(matches!(Certificate::parse(&vec![0x30; 65_537]), Err(CertificateError::TooLarge { .. })));
        let deep = (0..10_000).fold(Vec::new(), |inner, _| tlv(0x30, &inner).into_iter().take(60_000).collect());
        assert!(Certificate::parse(&deep).is_err(), "X-35");
    }

    // Every byte of a certificate matters: none can change unnoticed
    #[test]
    fn any_flipped_bit_breaks_a_certificate_or_its_signature() {
        let issued = chain(&[leaf("signer"), ca("bench root", None)]).der;
        let ca = Certificate::parse(&issued[1]).unwrap();
        for at in 0..issued[0].len() {
            let mut changed = issued[0].clone();
            changed[at] ^= 1 << (at % 8);
            let verified = Certificate::parse(&changed).is_ok_and(|it| it.verify_signed_by(ca.public_key()).is_ok());
            assert!(!verified, "byte {at}");
        }
    }
}
