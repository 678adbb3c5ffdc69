//! A timestamp authority (RFC 3161): tokens as CMS `SignedData`, by hand, so that each part can be wrong.

use countersign::demo::sigstore::{
    Care,
    certificate::{
        CERT_SIGN, Criticality, DIGITAL_SIGNATURE, Extension, Issuer, TIME_STAMPING, Template, distinguished_name,
        serial_of,
    },
    der as asn1,
    key::Key,
    trust::{Chain, Window},
};
use der::asn1::ObjectIdentifier;
use time::{Duration, OffsetDateTime, macros::format_description};

use super::keys::Hash;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");

/// An authority: a root, and a leaf that signs.
#[derive(Debug, Clone)]
pub struct Tsa {
    /// Where it says to be.
    pub uri: String,
    /// The anchor.
    pub root: Issuer,
    /// The signer's key.
    pub key: Key,
    /// Serial number of the signer's certificate.
    pub serial: u64,
    /// The signer's certificate, DER.
    pub certificate: Vec<u8>,
    /// When it is in use, by the trusted root.
    pub window: Window,
}

/// How an authority shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Common name of the root.
    pub name: String,
    /// The signer's key.
    pub key: Key,
    /// When the root is valid.
    pub root_validity: (OffsetDateTime, OffsetDateTime),
    /// When the signer's certificate is valid.
    pub validity: (OffsetDateTime, OffsetDateTime),
    /// The signer's extensions.
    pub extensions: Vec<Extension>,
    /// When it is in use.
    pub window: Window,
}

impl Plan {
    /// In use since a year before `now`, for ten years.
    pub fn new(seed: &str, name: &str, now: OffsetDateTime) -> Self {
        let start = now - Duration::days(365);
        let validity = (start, now + Duration::days(3650));
        Self {
            name: name.to_owned(),
            key: Key::p256(seed, &format!("{name} signer")).expect("a key"),
            root_validity: validity,
            validity,
            extensions: vec![
                Extension::key_usage(DIGITAL_SIGNATURE),
                Extension::extended_key_usage(Criticality::Critical, &[TIME_STAMPING]),
            ],
            window: Window::since(start),
        }
    }
}

/// Whether the signer's certificate is in the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificates {
    /// It is.
    Embedded,
    /// Only its issuer and serial number are.
    Absent,
}

/// A timestamp as it shall be.
#[derive(Debug, Clone)]
pub struct Token {
    /// `PKIStatus`: 0 is granted.
    pub status: u64,
    /// Hash of the imprint.
    pub imprint: Hash,
    /// What is hashed into the imprint: a signature.
    pub message: Vec<u8>,
    /// Whole seconds of `genTime`.
    pub at: OffsetDateTime,
    /// Digits after the point of `genTime`'s seconds.
    pub fraction: Option<String>,
    /// Serial number.
    pub serial: u64,
    /// Whether the signer's certificate is there.
    pub certificates: Certificates,
    /// Certificates beside it, DER.
    pub more_certificates: Vec<Vec<u8>>,
    /// Hash of the CMS signature's attributes and content; the key signs with its own.
    pub digest: Hash,
    /// The digest in the attributes; none is the right one.
    pub message_digest: Option<Vec<u8>>,
    /// What becomes of the signature.
    pub care: Care,
}

impl Token {
    /// A timestamp over a signature as an authority gives it today.
    pub fn new(signature: &[u8], at: OffsetDateTime) -> Self {
        Self {
            status: 0,
            imprint: Hash::Sha256,
            message: signature.to_vec(),
            at,
            fraction: None,
            serial: 42,
            certificates: Certificates::Embedded,
            more_certificates: Vec::new(),
            digest: Hash::Sha256,
            message_digest: None,
            care: Care::Intact,
        }
    }

    fn info(&self) -> Vec<u8> {
        let seconds = self.at.format(format_description!("[year][month][day][hour][minute][second]")).expect("a time");
        let time = match &self.fraction {
            Some(digits) => format!("{seconds}.{digits}Z"),
            None => format!("{seconds}Z"),
        };
        asn1::sequence(&[
            asn1::integer(1),
            asn1::oid(&POLICY),
            asn1::sequence(&[algorithm(self.imprint), asn1::octets(&self.imprint.digest(&self.message))]),
            asn1::integer(self.serial),
            asn1::tlv(0x18, time.as_bytes()),
            asn1::sequence(&[asn1::integer(1)]),
        ])
    }
}

impl Tsa {
    /// An authority of a seed.
    pub fn new(seed: &str, now: OffsetDateTime) -> Self {
        Self::of(seed, &Plan::new(seed, "mini tsa", now))
    }

    /// An authority by a plan.
    pub fn of(seed: &str, plan: &Plan) -> Self {
        let root_key = Key::p256(seed, &format!("{} root", plan.name)).expect("a key");
        let root = Template {
            serial: serial_of(&root_key),
            subject: Some(plan.name.clone()),
            not_before: plan.root_validity.0,
            not_after: plan.root_validity.1,
            extensions: vec![
                Extension::key_usage(CERT_SIGN),
                Extension::authority(Some(0)),
                Extension::subject_key(&root_key),
            ],
        };
        let mut extensions = plan.extensions.clone();
        extensions.extend([Extension::subject_key(&plan.key), Extension::authority_key(&root_key)]);
        let leaf = Template {
            serial: serial_of(&plan.key),
            subject: Some(format!("{} signer", plan.name)),
            not_before: plan.validity.0,
            not_after: plan.validity.1,
            extensions,
        };
        let anchor = root.issue(&plan.name, &root_key, root_key.spki()).expect("a certificate");
        Self {
            uri: "https://tsa.example.com/api/v1/timestamp".to_owned(),
            certificate: leaf.issue(&plan.name, &root_key, plan.key.spki()).expect("a certificate"),
            serial: leaf.serial,
            key: plan.key.clone(),
            root: Issuer { name: plan.name.clone(), key: root_key, certificate: anchor },
            window: plan.window,
        }
    }

    /// As the trusted root knows it.
    pub fn chain(&self) -> Chain {
        let certificates = vec![self.certificate.clone(), self.root.certificate.clone()];
        Chain { uri: self.uri.clone(), certificates, window: self.window }
    }

    /// A `TimeStampResp`.
    pub fn stamp(&self, token: &Token) -> Vec<u8> {
        let status = asn1::sequence(&[asn1::integer(token.status)]);
        asn1::sequence(&[status, self.token(token)])
    }

    /// The token in it: a CMS `ContentInfo`.
    pub fn token(&self, token: &Token) -> Vec<u8> {
        let info = token.info();
        let mut certificates = token.more_certificates.clone();
        if token.certificates == Certificates::Embedded {
            certificates.push(self.certificate.clone());
        }
        let certificates = match certificates.as_slice() {
            [] => Vec::new(),
            certificates => asn1::context(0, &sorted(certificates.to_vec()).concat()),
        };
        let content = asn1::sequence(&[asn1::oid(&TST_INFO), asn1::context(0, &asn1::octets(&info))]);
        let signed = asn1::sequence(&[
            asn1::integer(3),
            asn1::set(&[algorithm(token.digest)]),
            content,
            certificates,
            asn1::set(&[self.signer_info(token, &info)]),
        ]);
        asn1::sequence(&[asn1::oid(&SIGNED_DATA), asn1::context(0, &signed)])
    }

    fn signer_info(&self, token: &Token, info: &[u8]) -> Vec<u8> {
        let digest = token.message_digest.clone().unwrap_or_else(|| token.digest.digest(info));
        let certificate = asn1::sequence(&[asn1::octets(&Hash::Sha256.digest(&self.certificate))]);
        let attributes = sorted(vec![
            attribute(&CONTENT_TYPE, asn1::oid(&TST_INFO)),
            attribute(&SIGNING_TIME, asn1::time(token.at).expect("a time")),
            attribute(&MESSAGE_DIGEST, asn1::octets(&digest)),
            attribute(&SIGNING_CERTIFICATE_V2, asn1::sequence(&[asn1::sequence(&[certificate])])),
        ]);
        let signature = token.care.apply(self.key.sign(&asn1::set(&attributes)).expect("a signature"));
        asn1::sequence(&[
            asn1::integer(1),
            asn1::sequence(&[distinguished_name(Some(&self.root.name)), asn1::integer(self.serial)]),
            algorithm(token.digest),
            asn1::context(0, &attributes.concat()),
            self.key.algorithm().to_vec(),
            asn1::octets(&signature),
        ])
    }
}

fn algorithm(hash: Hash) -> Vec<u8> {
    asn1::sequence(&[asn1::oid(&hash.oid())])
}

fn attribute(kind: &ObjectIdentifier, value: Vec<u8>) -> Vec<u8> {
    asn1::sequence(&[asn1::oid(kind), asn1::set(&[value])])
}

/// In the order of a DER `SET OF`.
fn sorted(mut parts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    parts.sort();
    parts
}
