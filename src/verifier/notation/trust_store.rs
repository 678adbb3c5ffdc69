//! Trust stores: the certificates that a trust policy names, as `type:name`.
//!
//! Only the stores that a policy names are read. One that is missing, empty or bad is kept as a fault: it vouches for
//! nobody, the statements that name it fail authenticity, and no other statement notices (items 48, 50; ).

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::trust_policy::{StoreName, StoreType};
use crate::crypto::x509::{self, Certificate, FileError};

/// Most files of one store. Trust stores in the field have fewer than ten.
const MAX_FILES: usize = 1000;
/// Most bytes of one store: sixteen files of the largest size.
const MAX_STORE_BYTES: usize = 16 * x509::MAX_FILE_BYTES;

/// Where trust stores are.
#[derive(Debug, Clone)]
pub enum TrustStoreSource {
    /// A directory as notation has it: `x509/{ca,signingAuthority,tsa}/NAME/*`.
    Directory(PathBuf),
    /// Files, named by the operator.
    Files(BTreeMap<StoreName, Vec<PathBuf>>),
}

/// Why a store vouches for nobody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// A certificate that is no trust anchor: neither a CA nor self-signed, or, for a `tsa` store, not both.
    #[error("{path} holds the certificate of {subject}, which is no {wanted}")]
    Anchor {
        /// Which file.
        path: PathBuf,
        /// Whose certificate.
        subject: String,
        /// What belongs there.
        wanted: &'static str,
    },
    /// No certificate in it.
    #[error("{path} is empty")]
    Empty {
        /// Which directory; or the list of files.
        path: PathBuf,
    },
    /// A file that holds no usable certificates.
    #[error("{path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: FileError,
    },
    /// No such store.
    #[error("{path} does not exist")]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// Not configured at all.
    #[error("trustStores has no such store")]
    NotConfigured,
    /// A directory, a device, a pipe.
    #[error("{path} is not a regular file")]
    NotFile {
        /// What it is called.
        path: PathBuf,
    },
    /// A symbolic link that leaves the trust store directory.
    #[error("{path} leads out of the trust store directory")]
    Outside {
        /// What it is called.
        path: PathBuf,
    },
    /// Too many files or bytes.
    #[error("{path} has more than {limit} {unit}")]
    TooLarge {
        /// Which directory or file.
        path: PathBuf,
        /// The limit.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// It cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StoreFault {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else {
            Self::Unreadable { path, source }
        }
    }
}

/// The stores that a policy names, each with its certificates or its fault.
#[derive(Debug)]
pub struct TrustStores(BTreeMap<StoreName, Result<Vec<Certificate>, StoreFault>>);

impl TrustStores {
    /// Reads the stores of `names`, and nothing else.
    ///
    /// Cost: file system reads, bounded in files and bytes.
    pub fn load<'a>(source: &TrustStoreSource, names: impl IntoIterator<Item = &'a StoreName>) -> Self {
        let load = |name: &StoreName| match source {
            TrustStoreSource::Directory(root) => load_directory(root, name),
            TrustStoreSource::Files(files) => match files.get(name) {
                Some(paths) => load_files(name.store_type, paths),
                None => Err(StoreFault::NotConfigured),
            },
        };
        Self(names.into_iter().map(|name| (name.clone(), load(name))).collect())
    }

    /// The certificates of a store, at least one, or why there are none.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn certificates(&self, name: &StoreName) -> Result<&[Certificate], &StoreFault> {
        match self.0.get(name) {
            Some(Ok(certificates)) => Ok(certificates),
            Some(Err(fault)) => Err(fault),
            None => Err(&StoreFault::NotConfigured),
        }
    }

    /// The stores that vouch for somebody.
    pub fn all(&self) -> impl Iterator<Item = (&StoreName, &[Certificate])> {
        self.0.iter().filter_map(|(name, store)| store.as_ref().ok().map(|found| (name, found.as_slice())))
    }

    /// The stores that vouch for nobody, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&StoreName, &StoreFault)> {
        self.0.iter().filter_map(|(name, store)| store.as_ref().err().map(|fault| (name, fault)))
    }
}

fn load_directory(root: &Path, name: &StoreName) -> Result<Vec<Certificate>, StoreFault> {
    let root = fs::canonicalize(root).map_err(|source| StoreFault::io(root, source))?;
    let named = root.join("x509").join(name.store_type.as_str()).join(&name.name);
    let directory = inside(&root, &named)?;
    let entries = fs::read_dir(&directory).map_err(|source| StoreFault::io(&named, source))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| StoreFault::io(&named, source))?;
        // Kubernetes keeps a mount's generations beside its files: `..data` and `..2026_11_21_…`.
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        if paths.len() >= MAX_FILES {
            return Err(StoreFault::TooLarge { path: named, limit: MAX_FILES, unit: "files" });
        }
        paths.push(inside(&root, &entry.path())?);
    }
    if paths.is_empty() {
        return Err(StoreFault::Empty { path: named });
    }
    paths.sort();
    load_files(name.store_type, &paths)
}

/// Follows symbolic links, but not out of `root`: what Kubernetes mounts is made of links (decision F).
fn inside(root: &Path, path: &Path) -> Result<PathBuf, StoreFault> {
    let real = fs::canonicalize(path).map_err(|source| StoreFault::io(path, source))?;
    if real.starts_with(root) { Ok(real) } else { Err(StoreFault::Outside { path: path.to_owned() }) }
}

fn load_files(store_type: StoreType, paths: &[PathBuf]) -> Result<Vec<Certificate>, StoreFault> {
    let mut found: Vec<Certificate> = Vec::new();
    let mut size = 0_usize;
    for path in paths {
        let bytes = read_file(path)?;
        size = size.saturating_add(bytes.len());
        if size > MAX_STORE_BYTES {
            return Err(StoreFault::TooLarge {
                path: path.clone(),
                limit: MAX_STORE_BYTES,
                unit: "bytes in its store",
            });
        }
        let certificates = x509::certificates_from_file_bytes(&bytes)
            .map_err(|source| StoreFault::File { path: path.clone(), source })?;
        for certificate in certificates {
            check_anchor(store_type, path, &certificate)?;
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(StoreFault::Empty { path: PathBuf::from("the list of files") }) } else { Ok(found) }
}

fn read_file(path: &Path) -> Result<Vec<u8>, StoreFault> {
    let unreadable = |source| StoreFault::io(path, source);
    let too_large = || StoreFault::TooLarge { path: path.to_owned(), limit: x509::MAX_FILE_BYTES, unit: "bytes" };
    let limit = u64::try_from(x509::MAX_FILE_BYTES).unwrap_or(u64::MAX);
    // Looked at before it is opened: opening a pipe waits for its other end.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(StoreFault::NotFile { path: path.to_owned() });
    }
    if metadata.len() > limit {
        return Err(too_large());
    }
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > x509::MAX_FILE_BYTES { Err(too_large()) } else { Ok(bytes) }
}

/// Rule: trust store specification, "Trust store": roots, intermediate CAs, self-signed signing certificates; a `tsa`
/// store holds roots only (items 49, 50).
fn check_anchor(store_type: StoreType, path: &Path, certificate: &Certificate) -> Result<(), StoreFault> {
    let (holds, wanted) = match store_type {
        StoreType::Ca | StoreType::SigningAuthority => {
            (certificate.is_ca() || certificate.is_self_signed(), "CA and not self-signed")
        }
        StoreType::Tsa => (certificate.is_ca() && certificate.is_self_signed(), "self-signed root CA"),
    };
    if holds {
        return Ok(());
    }
    Err(StoreFault::Anchor { path: path.to_owned(), subject: certificate.subject().to_text(), wanted })
}

#[cfg(test)]
mod tests;
