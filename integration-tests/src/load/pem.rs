//! Certificates and keys from files.

use std::{fmt::Display, fs, io, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Certificates of a file.
pub(super) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(&fs::read(path)?).collect::<Result<_, _>>().map_err(wrong)
}

/// The key of a file.
pub(super) fn key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&fs::read(path)?).map_err(wrong)
}

/// Authorities of a file.
pub(super) fn roots(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    certificates(path)?.into_iter().try_for_each(|authority| roots.add(authority).map_err(wrong))?;
    Ok(roots)
}

/// As an error of input.
pub(super) fn wrong(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}
