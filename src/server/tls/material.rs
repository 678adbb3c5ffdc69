//! The serving certificate and its key, from PEM.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use der::Decode as _;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::VerifierBuilderError,
    sign::CertifiedKey,
};
use x509_cert::Certificate;

/// Longest file that is read; a bundle of a hundred authorities is far below.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Longest chain that is served (`threats.md` 1.2).
const MAX_CHAIN: usize = 10;

/// Why TLS cannot be served with these files. Says which file, never what is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// More certificates than are served.
    #[error("the serving certificate's chain has more than {MAX_CHAIN} certificates")]
    ChainLong,
    /// A certificate was not issued by the one after it.
    #[error("the serving certificate's chain is out of order: each certificate must be issued by the next")]
    ChainOrder,
    /// A certificate is malformed.
    #[error("a certificate of the serving chain is malformed")]
    Certificate(#[source] der::Error),
    /// A client CA is malformed.
    #[error("an authority for client certificates is malformed")]
    ClientAuthority(#[source] rustls::Error),
    /// The client CA file has no certificate.
    #[error("the file of authorities for client certificates has no certificate")]
    ClientAuthorityMissing,
    /// The authorities cannot be used.
    #[error("the authorities for client certificates cannot be used")]
    ClientVerifier(#[source] VerifierBuilderError),
    /// TLS 1.3 cannot be configured.
    #[error("TLS cannot be configured")]
    Configuration(#[source] rustls::Error),
    /// The key is encrypted.
    #[error("the key is encrypted; there is nobody to ask for its passphrase")]
    KeyEncrypted,
    /// The key is malformed, or of a kind that its PEM label does not name.
    #[error("the key cannot be used")]
    Key(#[source] rustls::Error),
    /// Key and certificate are not a pair.
    #[error("the key does not belong to the certificate")]
    Mismatch(#[source] rustls::Error),
    /// The certificate file has no certificate.
    #[error("the certificate file has no certificate")]
    NoCertificate,
    /// The key file has no key.
    #[error("the key file has no key")]
    NoKey(#[source] pem::Error),
    /// Not PEM.
    #[error("a file is no PEM")]
    Pem(#[source] pem::Error),
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody gives a serving certificate.
    #[error("there is neither a file nor anybody else with a serving certificate")]
    Unnamed,
    /// A file is larger than any certificate file.
    #[error("{path} has more than {MAX_FILE_BYTES} bytes")]
    TooLarge {
        /// Its path.
        path: PathBuf,
    },
}

/// Reads a file of bounded size.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let mut content = Vec::new();
    // One byte more than allowed tells a full file from one that goes on.
    let mut file = File::open(path).map_err(failed)?.take(MAX_FILE_BYTES.saturating_add(1));
    let size = file.read_to_end(&mut content).map_err(failed)?;
    if u64::try_from(size).is_ok_and(|size| size <= MAX_FILE_BYTES) {
        Ok(content)
    } else {
        Err(TlsError::TooLarge { path: path.to_owned() })
    }
}

/// All certificates of a PEM file.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(TlsError::Pem)
}

/// From when to when the leaf is valid, Unix seconds.
pub(super) fn life(certified: &CertifiedKey) -> Option<(i64, i64)> {
    let leaf = Certificate::from_der(certified.cert.first()?).ok()?;
    let validity = leaf.tbs_certificate.validity;
    let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
    Some((seconds(validity.not_before)?, seconds(validity.not_after)?))
}

/// A certificate chain and the key of its leaf.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certified: CertifiedKey,
    /// End of the leaf's validity, Unix seconds. An expired one is served, loudly (TLS-03): the client refuses it.
    pub(super) not_after: i64,
}

impl Pair {
    /// Parses chain and key, and checks that they belong together.
    pub(super) fn parse(certificate: &[u8], key: &[u8], provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        if chain.len() > MAX_CHAIN {
            return Err(TlsError::ChainLong);
        }
        let parsed = chain.iter().map(|der| Certificate::from_der(der).map_err(TlsError::Certificate));
        let parsed: Vec<Certificate> = parsed.collect::<Result<_, _>>()?;
        let leaf = parsed.first().ok_or(TlsError::NoCertificate)?;
        let linked = parsed.iter().zip(parsed.iter().skip(1));
        if linked.into_iter().any(|(child, issuer)| child.tbs_certificate.issuer != issuer.tbs_certificate.subject) {
            return Err(TlsError::ChainOrder);
        }
        let not_after = leaf.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            let encrypted = key.windows(9).any(|window| window == b"ENCRYPTED");
            if encrypted { TlsError::KeyEncrypted } else { TlsError::NoKey(error) }
        })?;
        let signer = provider.key_provider.load_private_key(key).map_err(TlsError::Key)?;
        let certified = CertifiedKey::new(chain, signer);
        certified.keys_match().map_err(TlsError::Mismatch)?;
        Ok(Self { certified, not_after: i64::try_from(not_after).unwrap_or(i64::MAX) })
    }
}
