//! Whom Gatekeeper is to believe that it speaks with us: a Provider's `caBundle`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject as _, SectionKind},
    },
};

/// Largest bundle; an old and a new authority have some 4 KiB.
const MAX_BYTES: usize = 64 << 10;

/// Why bytes are no CA bundle. Repeats nothing of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not base64, where that is wanted.
    #[error("is no base64 of PEM")]
    Base64,
    /// A section is no certificate of an authority that can be trusted.
    #[error("has a certificate, number {0}, that cannot be read")]
    Certificate(usize),
    /// Nothing in it.
    #[error("has no certificate")]
    Empty,
    /// Something else in it, perhaps a private key, which must not become public.
    #[error("has something other than certificates in it")]
    Other,
    /// More than is trusted at once.
    #[error("has more than {MAX_BYTES} bytes")]
    TooLarge,
}

/// One certificate or more, in PEM: each was read as a trust anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaBundle {
    base64: String,
}

impl CaBundle {
    /// Reads PEM.
    ///
    /// # Errors
    /// [`BundleError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BYTES {
            return Err(BundleError::TooLarge);
        }
        let mut anchors = RootCertStore::empty();
        for (index, section) in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes).enumerate() {
            let number = index.saturating_add(1);
            let (kind, der) = section.map_err(|_: pem::Error| BundleError::Certificate(number))?;
            if kind != SectionKind::Certificate {
                return Err(BundleError::Other);
            }
            anchors.add(CertificateDer::from(der)).map_err(|_| BundleError::Certificate(number))?;
        }
        if anchors.is_empty() {
            return Err(BundleError::Empty);
        }
        Ok(Self { base64: STANDARD.encode(bytes) })
    }

    /// Reads base64 of PEM, as a Provider has it.
    ///
    /// # Errors
    /// [`BundleError`]
    pub fn from_base64(text: &str) -> Result<Self, BundleError> {
        if text.len() > MAX_BYTES.saturating_mul(2) {
            return Err(BundleError::TooLarge);
        }
        Self::parse(&STANDARD.decode(text).map_err(|_| BundleError::Base64)?)
    }

    pub(super) fn base64(&self) -> &str {
        &self.base64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn only_certificates_are_a_bundle() {
        let (one, two) = (authority(), authority());
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let broken = one.replacen("MII", "MIJ", 1);
        for (name, text, expected) in [
            ("one", one.clone(), Ok(())),
            ("an old and a new one", format!("{one}{two}"), Ok(())),
            ("nothing", String::new(), Err(BundleError::Empty)),
            ("no PEM", "ca".to_owned(), Err(BundleError::Empty)),
            ("a private key", format!("{one}{key}"), Err(BundleError::Other)),
            ("the second is broken", format!("{two}{broken}"), Err(BundleError::Certificate(2))),
            ("too much", one.repeat(MAX_BYTES / one.len() + 1), Err(BundleError::TooLarge)),
        ] {
            assert_eq!(CaBundle::parse(text.as_bytes()).map(|_| ()), expected, "{name}");
            let encoded = STANDARD.encode(&text);
            assert_eq!(CaBundle::from_base64(&encoded).map(|_| ()), expected, "{name}");
        }
        assert_eq!(CaBundle::from_base64(&one), Err(BundleError::Base64));
    }
}
