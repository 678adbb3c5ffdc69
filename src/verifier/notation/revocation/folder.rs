//! Evidence on disk: a directory of our own, bounded in files and bytes. What is read from it is believed no more than what
//! comes from outside.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use time::OffsetDateTime;
use uuid::Uuid;

/// Largest file: a CRL of 32 MiB and its delta, in base64.
const MAX_FILE_BYTES: u64 = 96 << 20;
/// What all files may weigh.
const MAX_ALL_BYTES: u64 = 256 << 20;
/// Most files.
const MAX_FILES: usize = 4096;

/// A directory of evidence.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The directory is made if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    /// A file and its age. `None`: there is none that can be used.
    pub(super) fn read(&self, name: &str, now: OffsetDateTime) -> Option<(Vec<u8>, Duration)> {
        let path = self.0.join(name);
        let bytes = read_bounded(&path).ok()?;
        let written = OffsetDateTime::from(fs::metadata(&path).ok()?.modified().ok()?);
        // A file from the future says nothing about its age.
        let age = Duration::try_from(now - written).unwrap_or(Duration::from_hours(24));
        Some((bytes, age))
    }

    /// Writes a file beside its place and moves it there, so that it is never half of one (CVE-2024-51491).
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > MAX_FILE_BYTES {
            return Err(io::Error::other("larger than a file may be"));
        }
        self.make_room(size)?;
        let partial = self.0.join(format!(".{}.partial", Uuid::new_v4().simple()));
        let written = OpenOptions::new().write(true).create_new(true).open(&partial).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&partial, self.0.join(name))).inspect_err(|_| {
            // What cannot be removed either is removed as the oldest, some day.
            let _ = fs::remove_file(&partial);
        })
    }

    /// Removes the oldest files until `size` more bytes fit.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)?.flatten() {
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut left = files.len();
        let mut bytes = files.iter().fold(size, |sum, (_, length, _)| sum.saturating_add(*length));
        for (_, length, path) in files {
            if bytes <= MAX_ALL_BYTES && left < MAX_FILES {
                break;
            }
            fs::remove_file(path)?;
            bytes = bytes.saturating_sub(length);
            left = left.saturating_sub(1);
        }
        Ok(())
    }
}

/// Reads a regular file up to the bound; a symbolic link is followed, as Kubernetes mounts have them.
pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= MAX_FILE_BYTES) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {MAX_FILE_BYTES} bytes")))
    }
}
