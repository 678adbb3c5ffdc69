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
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => {
                    files.push((metadata.modified()?, metadata.len(), entry.path()));
                }
                Ok(_) => {}
                // Another writer's, moved to its place since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        files.sort();
        let mut left = files.len();
        let mut bytes = files.iter().fold(size, |sum, (_, length, _)| sum.saturating_add(*length));
        for (_, length, path) in files {
            if bytes <= MAX_ALL_BYTES && left < MAX_FILES {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
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

#[cfg(test)]
mod tests {
    use std::thread;

    use tempfile::tempdir;

    use super::*;

    /// The clock of the file system, a little later.
    fn now(dir: &Path) -> OffsetDateTime {
        OffsetDateTime::from(fs::metadata(dir).unwrap().modified().unwrap()) + Duration::from_mins(1)
    }

    // Item 102: concurrent writers, CVE-2024-51491
    #[test]
    fn who_reads_beside_many_writers_sees_one_of_them_whole() {
        let dir = tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let of = |writer: u8| vec![writer; 200_000];
        folder.write("it", &of(0)).unwrap();
        let now = now(dir.path());
        thread::scope(|scope| {
            for writer in 1..5 {
                let folder = folder.clone();
                scope.spawn(move || (0..20).for_each(|_| folder.write("it", &of(writer)).unwrap()));
            }
            for _ in 0..200 {
                let (bytes, _) = folder.read("it", now).unwrap();
                assert!(bytes.len() == 200_000 && bytes.iter().all(|byte| *byte == bytes[0]), "torn");
            }
        });
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["it"], "nothing half done stays behind");
    }

    // Item 102: a directory that cannot be written, or read
    #[test]
    fn what_cannot_be_written_is_an_error_and_what_cannot_be_read_is_a_miss() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("kept");
        let folder = Folder::open(&path).unwrap();
        folder.write("it", b"one").unwrap();
        let now = now(dir.path());
        assert_eq!(folder.read("it", now).map(|(bytes, _)| bytes), Some(b"one".to_vec()));
        assert!(folder.read("other", now).is_none());
        // A directory in its place can be neither read nor replaced, by nobody.
        fs::remove_file(path.join("it")).unwrap();
        fs::create_dir(path.join("it")).unwrap();
        fs::write(path.join("it/file"), b"").unwrap();
        assert!(folder.read("it", now).is_none());
        assert!(folder.write("it", b"two").is_err());
        assert!(fs::read_dir(&path).unwrap().count() == 1, "what was half done is gone");
        fs::remove_dir_all(&path).unwrap();
        assert!(folder.write("it", b"two").is_err() && folder.read("it", now).is_none());
        // A file where the directory should be.
        fs::write(&path, b"").unwrap();
        assert!(Folder::open(&path).is_err());
    }

    #[test]
    fn the_oldest_make_room() {
        let dir = tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        for (age, name) in [(3, "oldest"), (2, "older"), (1, "young")] {
            folder.write(name, &[0]).unwrap();
            let file = File::options().append(true).open(dir.path().join(name)).unwrap();
            // Sparse: it weighs what it says and takes no place.
            file.set_len(MAX_ALL_BYTES / 3).unwrap();
            let at = now(dir.path()) - Duration::from_hours(age);
            file.set_modified(at.into()).unwrap();
        }
        folder.write("new", &[0; 100]).unwrap();
        let is_there = |name: &str| dir.path().join(name).exists();
        assert!(!is_there("oldest") && is_there("older") && is_there("young") && is_there("new"));
        assert!(folder.write("huge", &vec![0; usize::try_from(MAX_FILE_BYTES).unwrap() + 1]).is_err());
        assert!(is_there("older"), "what is not written takes nobody's place");
    }
}
