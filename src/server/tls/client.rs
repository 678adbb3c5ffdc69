//! Who may ask: the client's certificate chain, and the name in it.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use der::{Decode as _, asn1::Ia5StringRef, oid::ObjectIdentifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_cert::{
    Certificate,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::material::{self, TlsError};
use crate::telemetry::metrics::ServerMetrics;

/// RFC 5280 §4.1.2.4, `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Checks client certificates against the authorities of the moment and the pinned name.
#[derive(Debug)]
pub(super) struct Clients {
    chains: ArcSwap<Chains>,
    /// The authorities, where somebody else hands them over: looked at before each use of `chains`.
    handed: Option<Arc<ArcSwapOption<RootCertStore>>>,
    provider: Arc<CryptoProvider>,
    /// What a DNS name (SAN) or the common name must equal; `None`: any.
    name: Option<String>,
    algorithms: WebPkiSupportedAlgorithms,
    metrics: Arc<ServerMetrics>,
}

/// The verifier of one set of authorities; none where there are no authorities yet.
#[derive(Debug)]
struct Chains {
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// What was handed over.
    of: Option<Arc<RootCertStore>>,
}

/// The certificate's chain is good, but it is somebody else.
#[derive(Debug, thiserror::Error)]
#[error("the client certificate has another name than the one that may ask")]
struct WrongName;

impl Clients {
    pub(super) fn new(
        bundle: &[u8],
        name: Option<&str>,
        provider: &Arc<CryptoProvider>,
        metrics: &Arc<ServerMetrics>,
    ) -> Result<Self, TlsError> {
        let chains = Chains { verifier: Some(chains(bundle, provider)?), of: None };
        Ok(Self::with(chains, None, name, provider, metrics))
    }

    /// Whatever `slot` holds at each handshake; nobody is let in while it is empty.
    pub(super) fn handed(
        slot: &Arc<ArcSwapOption<RootCertStore>>,
        name: Option<&str>,
        provider: &Arc<CryptoProvider>,
        metrics: &Arc<ServerMetrics>,
    ) -> Self {
        let nobody = Chains { verifier: None, of: None };
        Self::with(nobody, Some(Arc::clone(slot)), name, provider, metrics)
    }

    fn with(
        chains: Chains,
        handed: Option<Arc<ArcSwapOption<RootCertStore>>>,
        name: Option<&str>,
        provider: &Arc<CryptoProvider>,
        metrics: &Arc<ServerMetrics>,
    ) -> Self {
        Self {
            chains: ArcSwap::from_pointee(chains),
            handed,
            provider: Arc::clone(provider),
            name: name.map(ToOwned::to_owned),
            algorithms: provider.signature_verification_algorithms,
            metrics: Arc::clone(metrics),
        }
    }

    /// The verifier of the moment.
    fn chains(&self) -> Arc<Chains> {
        let chains = self.chains.load_full();
        let Some(slot) = &self.handed else { return chains };
        let roots = slot.load_full();
        if chains.of.as_ref().map(Arc::as_ptr) == roots.as_ref().map(Arc::as_ptr) {
            return chains;
        }
        let built = roots.as_ref().and_then(|roots| {
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&self.provider));
            builder.build().ok()
        });
        let renewed = Arc::new(Chains { verifier: built, of: roots });
        self.chains.store(Arc::clone(&renewed));
        self.metrics.reload("client_ca");
        renewed
    }

    /// Takes other authorities into use; on error the old ones stay.
    pub(super) fn replace(&self, bundle: &[u8], provider: &Arc<CryptoProvider>) -> Result<(), TlsError> {
        self.chains.store(Arc::new(Chains { verifier: Some(chains(bundle, provider)?), of: None }));
        Ok(())
    }
}

fn chains(bundle: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in material::certificates(bundle)? {
        roots.add(certificate).map_err(TlsError::ClientAuthority)?;
    }
    if roots.is_empty() {
        return Err(TlsError::ClientAuthorityMissing);
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let verifier = verifier.map_err(TlsError::ClientVerifier)?;
    Ok(verifier)
}

impl ClientCertVerifier for Clients {
    // No hints: they cannot be borrowed from what may be swapped, and a client with one certificate needs none.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chained = match &self.chains().verifier {
            Some(chains) => chains.verify_client_cert(end_entity, intermediates, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let verified = chained.inspect_err(|error| self.metrics.client_refused(refusal(error)))?;
        match &self.name {
            Some(name) if !is_named(end_entity, name) => {
                self.metrics.client_refused("name");
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(WrongName)))))
            }
            Some(_) | None => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A closed set for the metric.
fn refusal(error: &Error) -> &'static str {
    use CertificateError as Why;
    let Error::InvalidCertificate(why) = error else { return "other" };
    if matches!(why, Why::Expired | Why::ExpiredContext { .. }) {
        "expired"
    } else if matches!(why, Why::NotValidYet | Why::NotValidYetContext { .. }) {
        "not_yet_valid"
    } else if matches!(why, Why::UnknownIssuer) {
        "unknown_issuer"
    } else if matches!(why, Why::InvalidPurpose | Why::InvalidPurposeContext { .. }) {
        "purpose"
    } else {
        "other"
    }
}

/// Whether a DNS name of the certificate, or its common name, is `name`: exactly, but for the case of a DNS name. Wildcards
/// in the certificate stand for themselves only.
fn is_named(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let dns = match certificate.tbs_certificate.get::<SubjectAltName>() {
        Ok(Some((_, SubjectAltName(names)))) => names,
        Ok(None) => Vec::new(),
        Err(_) => return false,
    };
    let in_dns = dns
        .iter()
        .any(|general| matches!(general, GeneralName::DnsName(dns) if dns.as_str().eq_ignore_ascii_case(name)));
    let attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|relative| relative.0.iter());
    let mut common = attributes.filter(|attribute| attribute.oid == COMMON_NAME);
    // Two common names could be read as either: then none counts.
    let in_common = match (common.next(), common.next()) {
        (Some(only), None) => {
            let value = &only.value;
            let text = value
                .decode_as::<der::asn1::Utf8StringRef<'_>>()
                .map(|text| text.as_str() == name)
                .or_else(|_| value.decode_as::<der::asn1::PrintableStringRef<'_>>().map(|text| text.as_str() == name))
                .or_else(|_| value.decode_as::<Ia5StringRef<'_>>().map(|text| text.as_str() == name));
            text.unwrap_or(false)
        }
        (Some(_), Some(_)) | (None, _) => false,
    };
    in_dns || in_common
}
