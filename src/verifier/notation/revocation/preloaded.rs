//! Evidence that the operator brings along: `crlFiles`, `ocspFiles`, and notation's CRL cache as `preload`.
//!
//! It counts without any connection, as long as it is fresh; a certificate that it says is revoked is revoked.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use der::pem;
use url::Url;

use super::{
    config::RevocationConfig,
    folder::read_bounded,
    source::{CrlFile, cache_file_name},
};
use crate::{
    crypto::{
        crl::{Crl, VerifiedCrl},
        ocsp,
        x509::Certificate,
    },
    reason,
};

/// Most files of one configuration.
const MAX_FILES: usize = 1024;
/// What all files together may weigh.
const MAX_ALL_BYTES: usize = 256 << 20;
/// How many authorities a list is kept verified for; it has one.
const MAX_ISSUERS: usize = 4;

/// What is at hand.
#[derive(Debug, Default)]
pub(super) struct Preloaded {
    lists: Vec<List>,
    /// By the name of their file, which is their address.
    by_address: HashMap<String, List>,
    responses: Vec<ocsp::Response>,
}

/// A list, and for whom it was verified.
#[derive(Debug)]
struct List {
    file: CrlFile,
    verified: Mutex<Vec<(Certificate, Option<VerifiedCrl>)>>,
}

/// What is wrong with a file: the member that names it, and why.
pub(super) type Fault = (String, String);

impl List {
    fn new(file: CrlFile) -> Self {
        Self { file, verified: Mutex::default() }
    }

    /// Verified once for each authority.
    fn verified(&self, issuer: &Certificate) -> Option<VerifiedCrl> {
        if !self.file.is_of(issuer) {
            return None;
        }
        let mut known = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, verified)) = known.iter().find(|(of, _)| of == issuer) {
            return verified.clone();
        }
        let verified = self.file.verified(issuer);
        if known.len() < MAX_ISSUERS {
            known.push((issuer.clone(), verified.clone()));
        }
        verified
    }
}

impl Preloaded {
    /// Reads everything that `config` names, relative to `base`. The second of the pair: files of `preload` that are none.
    pub(super) fn load(config: &RevocationConfig, base: &Path) -> Result<(Self, Vec<String>), Vec<Fault>> {
        let (mut loaded, mut faults, mut warnings) = (Self::default(), Vec::new(), Vec::new());
        let mut left = MAX_ALL_BYTES;
        for (index, file) in config.crl_files.iter().enumerate() {
            match read(&base.join(file), &mut left).and_then(|bytes| crl(&bytes)) {
                Ok(crl) => loaded.lists.push(List::new(CrlFile::of(crl))),
                Err(why) => faults.push((format!("crlFiles[{index}]"), format!("{} {why}", file.display()))),
            }
        }
        for (index, file) in config.ocsp_files.iter().enumerate() {
            let parsed = read(&base.join(file), &mut left)
                .and_then(|bytes| ocsp::Response::parse(&bytes).map_err(|error| reason::chain(&error)));
            match parsed {
                Ok(response) => loaded.responses.push(response),
                Err(why) => faults.push((format!("ocspFiles[{index}]"), format!("{} {why}", file.display()))),
            }
        }
        if let Some(folder) = &config.preload {
            match loaded.preload(&base.join(folder), &mut left) {
                Ok(skipped) => warnings = skipped,
                Err(why) => faults.push(("preload".to_owned(), format!("{} {why}", folder.display()))),
            }
        }
        if faults.is_empty() { Ok((loaded, warnings)) } else { Err(faults) }
    }

    /// Notation's cache: each file is named by its address. One that is broken is a miss there, and here.
    fn preload(&mut self, folder: &Path, left: &mut usize) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(folder).map_err(|error| format!("cannot be read: {error}"))?;
        let mut skipped = Vec::new();
        for entry in entries.take(MAX_FILES).flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.len() != 64 || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                continue;
            }
            let read = read(&entry.path(), left);
            match read.and_then(|bytes| CrlFile::parse(&bytes).ok_or_else(|| "is no entry of a CRL cache".to_owned())) {
                Ok(file) => {
                    self.by_address.insert(name, List::new(file));
                }
                Err(why) => skipped.push(format!("revocation.preload: {name} {why}")),
            }
        }
        Ok(skipped)
    }

    /// Lists of `issuer` that say by themselves what they are about.
    pub(super) fn lists<'a>(&'a self, issuer: &'a Certificate) -> impl Iterator<Item = VerifiedCrl> + 'a {
        self.lists.iter().filter_map(|list| list.verified(issuer))
    }

    /// The list of `issuer` that was published at `url`.
    pub(super) fn list_at(&self, url: &Url, issuer: &Certificate) -> Option<VerifiedCrl> {
        self.by_address.get(&cache_file_name(url))?.verified(issuer)
    }

    /// Responses that have an answer for `certificate`.
    pub(super) fn responses<'a>(
        &'a self,
        certificate: &'a Certificate,
        issuer: &'a Certificate,
    ) -> impl Iterator<Item = &'a ocsp::Response> {
        self.responses.iter().filter(|response| response.is_about(certificate, issuer))
    }
}

fn read(path: &Path, left: &mut usize) -> Result<Vec<u8>, String> {
    let bytes = read_bounded(path).map_err(|error| format!("cannot be read: {error}"))?;
    *left = left.checked_sub(bytes.len()).ok_or("is too much: all files together exceed 256 MiB")?;
    Ok(bytes)
}

/// A CRL in DER or PEM.
fn crl(bytes: &[u8]) -> Result<Crl, String> {
    let der: Bytes = if bytes.starts_with(b"-----BEGIN") {
        let (label, der) = pem::decode_vec(bytes).map_err(|error| format!("is not readable PEM: {error}"))?;
        if label != "X509 CRL" {
            return Err("is PEM of something else than an X509 CRL".to_owned());
        }
        der.into()
    } else {
        Bytes::copy_from_slice(bytes)
    };
    Crl::parse(&der).map_err(|error| reason::chain(&error))
}
