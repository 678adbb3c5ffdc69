//! Which files a configuration is made of, and what they hold.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{
    config::{Config, StoreKind, VerifierKind},
    oci::Digest,
};

/// Most bytes of one file that are hashed at every look. Of a larger one, which only a CRL is, its two ends count (a CRL's last
/// bytes are its signature), its size, and when it was written.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Bytes of a larger file's end.
const END_BYTES: u64 = 64 << 10;
/// Most files below a directory.
const MAX_FILES: usize = 10_000;
/// Deepest directory below one that is named: `x509/ca/NAME/..data/file` is five.
const MAX_DEPTH: usize = 8;

/// What all files held at one moment. The empty one equals nothing that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fingerprint(Option<Digest>);

/// The configuration file and each file and directory that it names, but those of `server.tls`, which the server renews.
pub(super) fn named_files(file: &Path, config: Option<&Config>) -> Vec<PathBuf> {
    let mut files = vec![file.to_owned()];
    let Some(config) = config else { return files };
    let mut add = |path: &Path| files.push(config.base.join(path));
    for store in &config.stores {
        match &store.kind {
            // Blobs are found by digest; what there is to find is listed in these.
            StoreKind::Layout(layout) => {
                add(&layout.path.join("index.json"));
                add(&layout.path.join("oci-layout"));
            }
            StoreKind::Registry(registry) => {
                for host in registry.hosts.values() {
                    let credentials = host.credentials.iter().flat_map(|c| [&c.docker_config, &c.password_file]);
                    let own = [&host.ca, &host.client_certificate, &host.client_key];
                    own.into_iter().chain(credentials).flatten().for_each(|path| add(path));
                }
            }
        }
    }
    for verifier in &config.verifiers {
        match &verifier.kind {
            VerifierKind::Attestation(attestation) => attestation.files().iter().for_each(|path| add(path)),
            VerifierKind::Cosign(cosign) => cosign.files().iter().for_each(|path| add(path)),
            VerifierKind::Exec(exec) => {
                config.plugins.directories.iter().for_each(|directory| add(&directory.join(&exec.command)));
            }
            VerifierKind::Notation(notation) => {
                [&notation.trust_policy, &notation.trust_store].into_iter().flatten().for_each(|path| add(path));
                notation.revocation.files().into_iter().for_each(&mut add);
                if let Some(stores) = &notation.trust_stores {
                    let all = [&stores.ca, &stores.signing_authority, &stores.tsa];
                    all.into_iter().flat_map(|files| files.values().flatten()).for_each(|path| add(path));
                }
            }
        }
    }
    files
}

/// Hashes names and contents. What cannot be read counts as that.
pub(super) fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    let mut bytes = Vec::new();
    let mut left = MAX_FILES;
    for file in files {
        append(&mut bytes, file, MAX_DEPTH, &mut left);
    }
    Fingerprint(Some(Digest::sha256(&bytes)))
}

fn append(bytes: &mut Vec<u8>, path: &Path, depth: usize, left: &mut usize) {
    let Some(one_less) = left.checked_sub(1) else { return };
    *left = one_less;
    // Each part ends in what no path holds, so that no two lists of parts are the same bytes.
    bytes.extend_from_slice(path.as_os_str().as_encoded_bytes());
    bytes.push(0);
    let said = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut entries: Vec<PathBuf> = fs::read_dir(path)
                .map(|entries| entries.take(MAX_FILES).filter_map(|entry| Some(entry.ok()?.path())).collect())
                .unwrap_or_default();
            entries.sort();
            if let Some(depth) = depth.checked_sub(1) {
                for entry in &entries {
                    append(bytes, entry, depth, left);
                }
            }
            "directory".to_owned()
        }
        Ok(metadata) if metadata.is_file() => {
            read_file(path, &metadata).unwrap_or_else(|error| error.kind().to_string())
        }
        Ok(_) => "neither file nor directory".to_owned(),
        Err(error) => error.kind().to_string(),
    };
    bytes.extend_from_slice(said.as_bytes());
    bytes.push(0);
}

fn read_file(path: &Path, metadata: &Metadata) -> io::Result<String> {
    let mut content = Vec::new();
    let mut file = File::open(path)?;
    (&mut file).take(MAX_FILE_BYTES).read_to_end(&mut content)?;
    let size = metadata.len();
    if size <= MAX_FILE_BYTES {
        return Ok(format!("{size} {}", Digest::sha256(&content)));
    }
    file.seek(SeekFrom::Start(size.saturating_sub(END_BYTES)))?;
    file.take(END_BYTES).read_to_end(&mut content)?;
    Ok(format!("{size} {} {:?}", Digest::sha256(&content), metadata.modified()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Vec<u8>);

    // REV-08, item 102: a CRL may have 32 MiB
    #[test]
    fn a_large_file_changes_with_its_ends_its_size_and_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.crl");
        let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(1);
        let size = usize::try_from(MAX_FILE_BYTES).unwrap() + 100_000;
        let written = |change: &dyn Fn(&mut Vec<u8>), modified| {
            let mut content = vec![7; size];
            change(&mut content);
            fs::write(&path, content).unwrap();
            File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
            fingerprint(std::slice::from_ref(&path))
        };
        let first = written(&|_| {}, at);
        assert_eq!(first, written(&|_| {}, at));
        let changes: [(&str, Change); 3] = [
            ("first byte", |it| it[0] = 8),
            ("last byte", |it| *it.last_mut().unwrap() = 8),
            ("one more", |it| it.push(7)),
        ];
        for (name, change) in changes {
            assert_ne!(first, written(&change, at), "{name}");
        }
        let later = at + std::time::Duration::from_nanos(1);
        assert_ne!(first, written(&|it| it[size / 2] = 8, later), "within, written later");
        // A small file is what it holds, whenever it was written: a ConfigMap that is mounted again is no news.
        let small = |modified| written(&|it| it.truncate(100), modified);
        assert_eq!(small(at), small(later));
    }

    #[cfg(unix)]
    #[test]
    fn every_way_of_changing_a_file_changes_the_fingerprint() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let look = || fingerprint(&[at("mounted/ca.pem"), at("store")]);
        let mut seen = vec![look()];
        let mut changed = |what: &str| {
            let now = look();
            assert!(!seen.contains(&now), "{what}");
            assert_eq!(now, look(), "{what}: the same twice");
            seen.push(now);
        };
        // CFG-12: as the kubelet mounts a ConfigMap.
        for (generation, content) in [("..1", "old"), ("..2", "new")] {
            fs::create_dir_all(at("mounted").join(generation)).unwrap();
            fs::write(at("mounted").join(generation).join("ca.pem"), content).unwrap();
        }
        symlink("..1", at("mounted/..data")).unwrap();
        symlink("..data/ca.pem", at("mounted/ca.pem")).unwrap();
        changed("mounted");
        symlink("..2", at("mounted/..next")).unwrap();
        fs::rename(at("mounted/..next"), at("mounted/..data")).unwrap();
        changed("link swapped");
        fs::write(at("mounted/..2/ca.pem"), "newer").unwrap();
        changed("written in place");
        fs::create_dir_all(at("store/x509/ca/acme")).unwrap();
        changed("directory made");
        fs::write(at("store/x509/ca/acme/root.pem"), "root").unwrap();
        changed("file added");
        fs::rename(at("store/x509/ca/acme/root.pem"), at("store/x509/ca/acme/root.crt")).unwrap();
        changed("file renamed");
        fs::remove_file(at("store/x509/ca/acme/root.crt")).unwrap();
        fs::create_dir(at("store/x509/ca/acme/root.crt")).unwrap();
        changed("file replaced by a directory");
        fs::remove_file(at("mounted/..data")).unwrap();
        changed("link gone");
    }
}
