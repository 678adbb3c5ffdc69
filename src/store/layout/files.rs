//! Files of a layout: confined to its directory, and read up to a bound.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    oci::{Content, ContentError, Descriptor, Digest},
    store::StoreError,
};

/// The layout's directory, with every link in its own path resolved.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    /// # Errors
    /// [`StoreError::Unreadable`] where `dir` is no directory.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let what = "its directory";
        let root = dir.canonicalize().map_err(|error| unreadable(what, error))?;
        match root.metadata() {
            Ok(found) if found.is_dir() => Ok(Self { root }),
            Ok(_) => Err(unreadable(what, io::Error::from(io::ErrorKind::NotADirectory))),
            Err(error) => Err(unreadable(what, error)),
        }
    }

    /// Reads one of the layout's own two documents. A layout without it is no layout, so that its absence is no answer
    /// about an image.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::Limit`].
    pub(super) fn document(&self, name: &str, limit: u64) -> Result<Bytes, StoreError> {
        let (file, size) = self.find(name).map_err(|error| unreadable(name, error))?;
        if size > limit {
            return Err(too_large(name, limit));
        }
        read(file, limit).map_err(|error| unreadable(name, error))
    }

    /// Size of a blob that no descriptor announces.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unreadable`].
    pub(super) fn blob_size(&self, digest: &Digest) -> Result<u64, StoreError> {
        let name = blob_name(digest);
        self.find(&name).map(|(_, size)| size).map_err(|error| blob_error(&name, error))
    }

    /// Reads a blob: its size on disk is compared with the descriptor's before a byte is read, the bytes are hashed.
    ///
    /// # Errors
    /// [`StoreError::Content`], [`StoreError::Limit`], [`StoreError::NotFound`], [`StoreError::Unreadable`].
    pub(super) fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Content, StoreError> {
        let name = blob_name(&descriptor.digest);
        if descriptor.size > limit {
            return Err(too_large(&name, limit));
        }
        let (file, size) = self.find(&name).map_err(|error| blob_error(&name, error))?;
        if size != descriptor.size {
            let source = ContentError::Size { expected: descriptor.size, actual: size };
            return Err(StoreError::Content { what: name, source });
        }
        let bytes = read(file, descriptor.size).map_err(|error| unreadable(&name, error))?;
        Content::check(descriptor.clone(), bytes).map_err(|source| StoreError::Content { what: name, source })
    }

    /// Opens a regular file below the root; links may point about inside the layout (as Kubernetes' volumes do), not out
    /// of it. A FIFO or a device is never opened: opening could block, and reading never end.
    fn find(&self, name: &str) -> io::Result<(File, u64)> {
        let path = self.root.join(name).canonicalize()?;
        if !path.starts_with(&self.root) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "leads out of the layout"));
        }
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
        }
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }
}

/// Reads at most one byte more than `limit`: enough for a file that grew meanwhile to be told by its size.
fn read(file: File, limit: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// A parsed digest has no character but those of its algorithm, one colon and hex.
fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}", digest.to_string().replace(':', "/"))
}

fn blob_error(name: &str, error: io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::NotFound {
        StoreError::NotFound { what: format!("{name} of the layout") }
    } else {
        unreadable(name, error)
    }
}

fn too_large(name: &str, limit: u64) -> StoreError {
    StoreError::Limit { what: name.to_owned(), limit, unit: "bytes" }
}

pub(super) fn unreadable(what: &str, error: io::Error) -> StoreError {
    StoreError::Unreadable { what: what.to_owned(), source: Arc::new(error) }
}
