//! A Fulcio-shaped authority: a root, an intermediate, and leaves that live for ten minutes.

use der::asn1::ObjectIdentifier;
use time::{Duration, OffsetDateTime};

use super::{
    certificate::{
        CERT_SIGN, CODE_SIGNING, Criticality, DIGITAL_SIGNATURE, Extension, Issuer, Name, Template, serial_of,
    },
    key::Key,
    sct::{self, Sct},
    trust::{Chain, Window},
};

/// How long a leaf is valid.
pub const LEAF_LIFETIME: Duration = Duration::minutes(10);

/// A root and its intermediate.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Where it says to be.
    pub uri: String,
    /// The anchor.
    pub root: Issuer,
    /// What issues leaves.
    pub intermediate: Issuer,
    /// When it is in use, by the trusted root.
    pub window: Window,
}

/// How an authority shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Common name of the root; the intermediate's has ` intermediate` after it.
    pub name: String,
    /// When the root is valid.
    pub root_validity: (OffsetDateTime, OffsetDateTime),
    /// When the intermediate is valid.
    pub intermediate_validity: (OffsetDateTime, OffsetDateTime),
    /// The intermediate's extensions between its constraints and its key identifiers.
    pub intermediate_extensions: Vec<Extension>,
    /// The intermediate's `basicConstraints` and `keyUsage`.
    pub intermediate_constraints: Vec<Extension>,
    /// When it is in use.
    pub window: Window,
}

impl Plan {
    /// In use since a year before `now`, for ten years.
    pub fn new(name: &str, now: OffsetDateTime) -> Self {
        let start = now.saturating_sub(Duration::days(365));
        let validity = (start, now.saturating_add(Duration::days(3650)));
        Self {
            name: name.to_owned(),
            root_validity: validity,
            intermediate_validity: validity,
            intermediate_extensions: vec![Extension::extended_key_usage(Criticality::Ordinary, &[CODE_SIGNING])],
            intermediate_constraints: vec![Extension::key_usage(CERT_SIGN), Extension::authority(Some(0))],
            window: Window::since(start),
        }
    }
}

impl Authority {
    /// Makes one, from a seed and a plan.
    ///
    /// # Errors
    /// A key or a moment that cannot be.
    pub fn new(seed: &str, plan: &Plan) -> anyhow::Result<Self> {
        let root_key = Key::p256(seed, &format!("{} root", plan.name))?;
        let key = Key::p256(seed, &format!("{} intermediate", plan.name))?;
        let name = format!("{} intermediate", plan.name);
        let root = Template {
            serial: serial_of(&root_key),
            subject: Some(plan.name.clone()),
            not_before: plan.root_validity.0,
            not_after: plan.root_validity.1,
            extensions: vec![
                Extension::key_usage(CERT_SIGN),
                Extension::authority(Some(1)),
                Extension::subject_key(&root_key),
            ],
        };
        let identifiers = [Extension::subject_key(&key), Extension::authority_key(&root_key)];
        let extensions = [&plan.intermediate_constraints[..], &plan.intermediate_extensions, &identifiers].concat();
        let intermediate = Template {
            serial: serial_of(&key),
            subject: Some(name.clone()),
            not_before: plan.intermediate_validity.0,
            not_after: plan.intermediate_validity.1,
            extensions,
        };
        let certificate = intermediate.issue(&plan.name, &root_key, key.spki())?;
        let anchor = root.issue(&plan.name, &root_key, root_key.spki())?;
        Ok(Self {
            uri: "https://fulcio.example.com".to_owned(),
            root: Issuer { name: plan.name.clone(), key: root_key, certificate: anchor },
            intermediate: Issuer { name, key, certificate },
            window: plan.window,
        })
    }

    /// The intermediate, then the root, DER.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        vec![self.intermediate.certificate.clone(), self.root.certificate.clone()]
    }

    /// As the trusted root knows it.
    pub fn trust(&self) -> Chain {
        Chain { uri: self.uri.clone(), certificates: self.chain(), window: self.window }
    }

    /// Issues a leaf.
    ///
    /// # Errors
    /// A moment that cannot be written, a key that does not sign.
    pub fn issue(&self, leaf: &Leaf) -> anyhow::Result<Vec<u8>> {
        leaf.issue(&self.intermediate)
    }
}

/// A signer's certificate as it shall be: everything that a test wants wrong is a field.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The signer's key.
    pub key: Key,
    /// Serial number.
    pub serial: u64,
    /// Common name of the subject; Fulcio writes none.
    pub subject: Option<String>,
    /// First moment.
    pub not_before: OffsetDateTime,
    /// Last moment.
    pub not_after: OffsetDateTime,
    /// `keyUsage`, if any.
    pub key_usage: Option<u8>,
    /// `extKeyUsage`; empty is no such extension.
    pub extended_key_usage: Vec<ObjectIdentifier>,
    /// `subjectAltName`; empty is no such extension.
    pub names: Vec<Name>,
    /// Whether the names are critical: they are where the subject is empty.
    pub names_criticality: Criticality,
    /// Issuer in extension 1, raw.
    pub issuer_v1: Option<String>,
    /// Issuer in extension 8, `UTF8String`.
    pub issuer_v2: Option<String>,
    /// More extensions: claims, or what nobody knows.
    pub extensions: Vec<Extension>,
    /// What the transparency logs promise; empty is no such extension.
    pub scts: Vec<Sct>,
}

impl Leaf {
    /// A signer with one name, valid for ten minutes from `from`, and no promise yet.
    pub fn new(key: &Key, name: Name, issuer: &str, from: OffsetDateTime) -> Self {
        Self {
            key: key.clone(),
            serial: serial_of(key),
            subject: None,
            not_before: from,
            not_after: from.saturating_add(LEAF_LIFETIME),
            key_usage: Some(DIGITAL_SIGNATURE),
            extended_key_usage: vec![CODE_SIGNING],
            names: vec![name],
            names_criticality: Criticality::Critical,
            issuer_v1: Some(issuer.to_owned()),
            issuer_v2: Some(issuer.to_owned()),
            extensions: Vec::new(),
            scts: Vec::new(),
        }
    }

    fn extensions(&self, issuer: &Key) -> Vec<Extension> {
        let mut extensions = Vec::new();
        extensions.extend(self.key_usage.map(Extension::key_usage));
        if !self.extended_key_usage.is_empty() {
            extensions.push(Extension::extended_key_usage(Criticality::Ordinary, &self.extended_key_usage));
        }
        extensions.extend([Extension::subject_key(&self.key), Extension::authority_key(issuer)]);
        if !self.names.is_empty() {
            extensions.push(Extension::names(self.names_criticality, &self.names));
        }
        extensions.extend(self.issuer_v1.as_deref().map(|issuer| Extension::fulcio_raw(1, issuer)));
        extensions.extend(self.issuer_v2.as_deref().map(|issuer| Extension::fulcio_utf8(8, issuer)));
        extensions.extend(self.extensions.clone());
        extensions
    }

    /// Issues it: once without the promises, for the logs to sign, and once with them.
    ///
    /// # Errors
    /// A moment that cannot be written, a key that does not sign.
    pub fn issue(&self, issuer: &Issuer) -> anyhow::Result<Vec<u8>> {
        let mut template = Template {
            serial: self.serial,
            subject: self.subject.clone(),
            not_before: self.not_before,
            not_after: self.not_after,
            extensions: self.extensions(&issuer.key),
        };
        if !self.scts.is_empty() {
            let precertificate = template.to_be_signed(&issuer.name, &issuer.key, self.key.spki())?;
            template.extensions.push(sct::list(&self.scts, &precertificate, issuer.key.spki())?);
        }
        template.issue(&issuer.name, &issuer.key, self.key.spki())
    }
}
