//! A small PKI for TLS: an authority, server and client certificates, and those that must be refused.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use time::{Duration, OffsetDateTime, macros::datetime};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// Its key in PEM (PKCS#8).
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Authority {
    /// A new authority with a common name.
    pub fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("an authority") }
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its certificate in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A server's certificate for DNS names and addresses.
    pub fn server(&self, names: &[&str]) -> Identity {
        self.issue("server", names, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// A client's certificate with a common name.
    pub fn client(&self, name: &str) -> Identity {
        self.issue(name, &[], |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A certificate with one thing changed: another usage, another validity.
    pub fn issue(&self, name: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = params(name, names);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity::new(certificate.pem(), certificate.der().clone(), &key)
    }

    /// What a client needs to trust it, and only it.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("an authority");
        roots
    }

    /// A TLS client that trusts it, and shows `identity` if given.
    pub fn client_config(&self, identity: Option<&Identity>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(self.roots());
        match identity {
            Some(identity) => builder
                .with_client_auth_cert(vec![identity.certificate.clone()], identity.key())
                .expect("a matching pair"),
            None => builder.with_no_client_auth(),
        }
    }
}

impl Identity {
    /// A certificate that only itself vouches for.
    pub fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params("self-signed", names).self_signed(&key).expect("a certificate");
        Self::new(certificate.pem(), certificate.der().clone(), &key)
    }

    fn new(certificate_pem: String, certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let (key_pem, key) = (key.serialize_pem(), PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self { certificate_pem, key_pem, certificate, key }
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }

    /// A TLS server with this certificate; with `clients` it demands a certificate of that authority.
    pub fn server_config(&self, clients: Option<&Authority>) -> ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("protocol versions");
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider)
                    .build()
                    .expect("a client verifier"),
            ),
            None => builder.with_no_client_auth(),
        };
        builder.with_single_cert(vec![self.certificate.clone()], self.key()).expect("a matching pair")
    }
}

/// Makes a certificate one that has expired.
pub fn expired(params: &mut CertificateParams) {
    params.not_before = datetime!(2020-01-01 00:00 UTC);
    params.not_after = params.not_before + Duration::days(1);
}

/// Makes a certificate one that is valid only later.
pub fn not_yet_valid(params: &mut CertificateParams) {
    params.not_before = datetime!(2999-01-01 00:00 UTC);
    params.not_after = FAR;
}

const FAR: OffsetDateTime = datetime!(2999-12-31 00:00 UTC);

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("DNS names and addresses");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = datetime!(2020-01-01 00:00 UTC);
    params.not_after = FAR;
    params
}
