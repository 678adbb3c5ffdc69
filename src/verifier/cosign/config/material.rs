//! PEM texts and files that trust policies name, read whole and bounded.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{ConfigFault, FaultKind, KeyConfig, PemConfig, PolicyConfig};
use crate::{
    crypto::x509::{self, Certificate},
    verifier::cosign::{
        key::{Key, MAX_KEY_FILE_BYTES},
        root::{Window, source::RootConfig},
    },
};

/// The files that trust policies are made of.
pub(super) fn files(policies: &[PolicyConfig]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for PolicyConfig { keys, trusted_root, ca_roots, ca_intermediates, .. } in policies {
        files.extend(keys.iter().flatten().filter_map(|key| key.file.clone()));
        files.extend([ca_roots, ca_intermediates].into_iter().flatten().flatten().filter_map(|ca| ca.file.clone()));
        files.extend(trusted_root.iter().flat_map(RootConfig::files));
    }
    files
}

/// Reads a key.
pub(super) fn key(config: &KeyConfig, base: &Path, at: &str, faults: &mut Vec<ConfigFault>) -> Option<Key> {
    let KeyConfig { file, pem, hash_algorithm, valid_for } = config;
    let window = valid_for.map(|window| Window { start: window.start, end: window.end });
    if window.is_some_and(|window| window.end.is_some_and(|end| end < window.start)) {
        faults.push(ConfigFault::new(format!("{at}.validFor"), FaultKind::InvertedWindow));
    }
    let Text { name, member, bytes } = text(file.as_deref(), pem.as_deref(), base, at, MAX_KEY_FILE_BYTES, faults)?;
    match Key::parse(&name, &bytes, *hash_algorithm) {
        Ok(key) => Some(Key { window, ..key }),
        Err(fault) => {
            faults.push(ConfigFault::new(member, FaultKind::Key(fault)));
            None
        }
    }
}

/// Reads certificates of authorities.
pub(super) fn certificates(
    config: &PemConfig,
    base: &Path,
    at: &str,
    faults: &mut Vec<ConfigFault>,
) -> Option<Vec<Certificate>> {
    let PemConfig { file, pem } = config;
    let limit = x509::MAX_FILE_BYTES;
    let Text { member, bytes, .. } = text(file.as_deref(), pem.as_deref(), base, at, limit, faults)?;
    let read = x509::certificates_from_file_bytes(&bytes);
    let all = read.map_err(|fault| faults.push(ConfigFault::new(&member, FaultKind::Certificates(fault)))).ok()?;
    let before = faults.len();
    for certificate in all.iter().filter(|certificate| !certificate.is_ca()) {
        let subject = certificate.subject().to_text();
        faults.push(ConfigFault::new(&member, FaultKind::Authority { subject }));
    }
    (faults.len() == before).then_some(all)
}

/// What was written, or stood in a file.
struct Text {
    /// For people.
    name: String,
    /// The member that it was written in.
    member: String,
    bytes: Vec<u8>,
}

fn text(
    file: Option<&Path>,
    pem: Option<&str>,
    base: &Path,
    at: &str,
    limit: usize,
    faults: &mut Vec<ConfigFault>,
) -> Option<Text> {
    let (member, read) = match (file, pem) {
        (Some(_), Some(_)) => (format!("{at}.pem"), Err(FaultKind::Beside { other: "file" })),
        (None, None) => (at.to_owned(), Err(FaultKind::Missing { what: "`file` or `pem`" })),
        (None, Some(pem)) => (format!("{at}.pem"), Ok((at.to_owned(), pem.as_bytes().to_vec()))),
        (Some(file), None) => {
            let bytes = read_file(&base.join(file), limit);
            (format!("{at}.file"), bytes.map(|bytes| (file.display().to_string(), bytes)))
        }
    };
    match read {
        Ok((name, bytes)) => Some(Text { name, member, bytes }),
        Err(kind) => {
            faults.push(ConfigFault::new(member, kind));
            None
        }
    }
}

/// A FIFO would block for ever, so the file's kind is looked at before it is opened. A symbolic link is followed, as
/// Kubernetes mounts have them.
fn read_file(file: &Path, limit: usize) -> Result<Vec<u8>, FaultKind> {
    let shown = file.display().to_string();
    let unreadable = |source| FaultKind::Unreadable { file: shown.clone(), source };
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > limit { Err(FaultKind::TooLarge { file: shown, limit }) } else { Ok(bytes) }
}
