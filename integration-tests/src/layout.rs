//! An OCI image layout in a temporary directory.

use std::{fs, path::Path, sync::Mutex};

use countersign::oci::{Descriptor, Digest};
use tempfile::TempDir;

use crate::shelf::{Shelf, index, to_bytes};

/// A layout that is written as it is filled; `index.json` lists every manifest, in the order in which they were put.
#[derive(Debug)]
pub struct LayoutDir {
    dir: TempDir,
    listed: Mutex<Vec<Descriptor>>,
}

impl LayoutDir {
    /// An empty layout.
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        fs::create_dir_all(dir.path().join("blobs/sha256")).expect("a directory for blobs");
        let layout = Self { dir, listed: Mutex::default() };
        layout.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        layout.write_index();
        layout
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file of the layout, whatever it was.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).expect("a writable layout");
    }

    /// Where the blob is, below the layout's directory.
    pub fn blob_name(digest: &Digest) -> String {
        format!("blobs/{}", digest.to_string().replace(':', "/"))
    }

    /// Puts a file without listing it.
    pub fn put_file(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        self.write(&Self::blob_name(&digest), bytes);
        digest
    }

    /// Lists a descriptor in `index.json`, true or not.
    pub fn list(&self, descriptor: Descriptor) {
        self.listed.lock().expect("no panic").push(descriptor);
        self.write_index();
    }

    fn write_index(&self) {
        let listed = self.listed.lock().expect("no panic").clone();
        self.write("index.json", &to_bytes(&index(&listed)));
    }
}

impl Default for LayoutDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Shelf for LayoutDir {
    fn put_blob(&self, bytes: &[u8]) -> Digest {
        self.put_file(bytes)
    }

    fn put_manifest(&self, media_type: &str, bytes: &[u8], tag: Option<&str>) -> Descriptor {
        self.put_file(bytes);
        let descriptor = Descriptor::of(media_type, bytes);
        let annotations = tag.map(|tag| ("org.opencontainers.image.ref.name".to_owned(), tag.to_owned()));
        self.list(Descriptor { annotations: annotations.into_iter().collect(), ..descriptor.clone() });
        descriptor
    }
}
