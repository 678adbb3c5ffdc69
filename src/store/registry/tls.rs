//! TLS towards registries: TLS 1.2 or later, one verifier for registry, token service and redirect target (TLS-20),
//! authorities scoped to the host that they were configured for (TLS-21). PEM is read and judged here, at load.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Most bytes of a PEM file.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// A client certificate with its chain, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Mozilla's authorities, as compiled in: the same in every image, whether it has `ca-certificates` or not.
pub(super) fn public_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    roots
}

/// A client configuration that trusts `roots`, and shows `identity` if asked.
pub(super) fn client(roots: &Arc<RootCertStore>, identity: Option<Identity>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(Arc::clone(roots));
    let mut config = match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("client certificate and key do not work together: {error}"))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Reads authorities; one that is malformed refuses the file, and so does none.
pub(super) fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{} has a certificate that is no authority: {error}", path.display()))?;
    }
    Ok(roots)
}

/// Reads a certificate chain, at least one certificate.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{} is not readable PEM: {error}", path.display()))?;
    if chain.is_empty() { Err(format!("{} has no certificate", path.display())) } else { Ok(chain) }
}

/// Reads a private key (PKCS#8, PKCS#1 or SEC1).
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    // The PEM error could repeat what it read, which is a key.
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| format!("{} has no readable private key", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("{} cannot be read: {error}", path.display());
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_PEM_BYTES {
        return Err(format!("{} has {size} bytes, the limit is {MAX_PEM_BYTES}", path.display()));
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn only_whole_pem_with_authorities_is_read() {
        let issued = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let pem = issued.cert.pem();
        assert_eq!(read_roots(file(&pem).path()).unwrap().len(), 1);
        let key = file(&issued.signing_key.serialize_pem());
        assert!(read_key(key.path()).is_ok());
        let broken = pem.replacen("MI", "!!", 1);
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
        for text in [String::new(), "x".to_owned(), broken, garbage.clone(), format!("{pem}{garbage}")] {
            assert!(read_roots(file(&text).path()).is_err(), "{text}");
        }
        assert!(read_key(file(&pem).path()).is_err());
        assert!(read_roots(Path::new("/nonexistent.pem")).is_err());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let roots = Arc::new(public_roots());
        assert!(roots.len() > 50);
        let a = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let b = rcgen::generate_simple_self_signed(["b.test".to_owned()]).unwrap();
        let key = |pair: &rcgen::KeyPair| PrivateKeyDer::from_pem_slice(pair.serialize_pem().as_bytes()).unwrap();
        assert!(client(&roots, Some((vec![a.cert.der().clone()], key(&a.signing_key)))).is_ok());
        assert!(client(&roots, Some((vec![a.cert.der().clone()], key(&b.signing_key)))).is_err());
    }
}
