//! A throw-away PKI: code-signing authorities and signers, the server's certificate, Gatekeeper's client certificate.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Context as _;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use time::{Duration, OffsetDateTime};

/// The name that Gatekeeper's webhook certificate has.
pub(crate) const GATEKEEPER_NAME: &str = "gatekeeper-webhook-service.gatekeeper-system.svc";

/// An authority that issues certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A signer of Notary Project signatures: an ECDSA P-256 key and its chain.
pub(crate) struct Signer {
    chain: Vec<Vec<u8>>,
    key: EcdsaKeyPair,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Validity {
    /// From yesterday to next year.
    pub(crate) fn current(now: OffsetDateTime) -> Self {
        Self { from: now.saturating_sub(Duration::DAY), until: now.saturating_add(Duration::days(365)) }
    }

    /// Ended an hour ago.
    pub(crate) fn past(now: OffsetDateTime) -> Self {
        Self { from: now.saturating_sub(Duration::DAY), until: now.saturating_sub(Duration::HOUR) }
    }
}

impl Authority {
    /// A root whose subject is `name`.
    pub(crate) fn new(name: &str, validity: Validity) -> anyhow::Result<Self> {
        let mut params = params(name, validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, new_key()?).with_context(|| format!("authority {name}"))?;
        Ok(Self { issuer })
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A signer with a leaf of the code-signing profile: digital signatures and nothing else.
    pub(crate) fn signer(&self, name: &str, validity: Validity) -> anyhow::Result<Signer> {
        let mut params = params(name, validity);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let (leaf, key) = self.issue(&params)?;
        let chain = vec![leaf.der().to_vec(), self.issuer.der().to_vec()];
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der())
            .context("the signing key is not readable")?;
        Ok(Signer { chain, key })
    }

    /// A server's certificate for loopback addresses.
    pub(crate) fn server(&self, validity: Validity) -> anyhow::Result<Pair> {
        let mut params = params("countersign", validity);
        params.subject_alt_names =
            vec![SanType::DnsName("localhost".try_into()?), SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.pair(&params)
    }

    /// A client's certificate for the DNS name `name`.
    pub(crate) fn client(&self, name: &str, validity: Validity) -> anyhow::Result<Pair> {
        let mut params = params(name, validity);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.pair(&params)
    }

    fn pair(&self, params: &CertificateParams) -> anyhow::Result<Pair> {
        let (certificate, key) = self.issue(params)?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    fn issue(&self, params: &CertificateParams) -> anyhow::Result<(Certificate, KeyPair)> {
        let key = new_key()?;
        Ok((params.signed_by(&key, &self.issuer).context("a certificate could not be issued")?, key))
    }
}

impl Signer {
    /// Certificates, leaf first, root last, DER.
    pub(crate) fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// ES256: r and s, 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let signature = self.key.sign(&SystemRandom::new(), message).context("the key does not sign")?;
        Ok(signature.as_ref().to_vec())
    }
}

fn new_key() -> anyhow::Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("no key could be made")
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CountryName, "CH");
    subject.push(DnType::StateOrProvinceName, "Bern");
    subject.push(DnType::OrganizationName, "Countersign demo");
    subject.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = validity.from;
    params.not_after = validity.until;
    params.use_authority_key_identifier_extension = true;
    params
}
