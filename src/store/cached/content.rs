//! What a digest names, kept: bytes, and what a reference by digest resolved to.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use moka::sync::Cache;

use crate::oci::{Content, Descriptor, Digest, Repository};

/// Content by digest, bounded by bytes. A digest is never stale, so that generations share it (clones are one cache).
///
/// Nothing is shared between repositories or credentials: whether a digest exists is itself an answer that only who may
/// pull is given (`threats.md` 7.1).
#[derive(Clone)]
pub struct ContentCache {
    entries: Cache<Key, Entry>,
}

/// Which entry. Two documents of one digest are two where their media types differ: each was accepted as one of them only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) repository: Repository,
    pub(super) credential: Arc<str>,
    pub(super) digest: Digest,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Blob,
    Manifest { media_type: String },
    Resolved,
}

#[derive(Clone)]
enum Entry {
    Bytes(Bytes),
    Descriptor(Arc<Descriptor>),
}

/// What an entry costs beside its bytes: key, bookkeeping, allocations.
const OVERHEAD_BYTES: usize = 512;

impl ContentCache {
    /// An empty cache for at most `bytes`, overhead included.
    pub fn new(bytes: u64) -> Self {
        let weigh = |key: &Key, entry: &Entry| {
            let size = match entry {
                Entry::Bytes(bytes) => bytes.len(),
                Entry::Descriptor(descriptor) => descriptor.media_type.len(),
            };
            let names = key.repository.path().len().saturating_add(key.credential.len());
            u32::try_from(size.saturating_add(names).saturating_add(OVERHEAD_BYTES)).unwrap_or(u32::MAX)
        };
        Self { entries: Cache::builder().max_capacity(bytes).weigher(weigh).build() }
    }

    /// The content that `descriptor` describes, hashed again: it is what *this* descriptor says, or it is not found here.
    pub(super) fn content(&self, key: &Key, descriptor: &Descriptor) -> Option<Content> {
        match self.entries.get(key)? {
            Entry::Bytes(bytes) => Content::check(descriptor.clone(), bytes).ok(),
            Entry::Descriptor(_) => None,
        }
    }

    pub(super) fn keep_content(&self, key: Key, content: &Content) {
        self.entries.insert(key, Entry::Bytes(content.bytes().clone()));
    }

    /// What the digest resolved to.
    pub(super) fn resolved(&self, key: &Key) -> Option<Descriptor> {
        match self.entries.get(key)? {
            Entry::Bytes(_) => None,
            Entry::Descriptor(descriptor) => Some(Descriptor::clone(&descriptor)),
        }
    }

    pub(super) fn keep_resolved(&self, key: Key, descriptor: Descriptor) {
        self.entries.insert(key, Entry::Descriptor(Arc::new(descriptor)));
    }

    /// Bytes held now, as far as housekeeping has counted them.
    pub fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }

    /// Does the housekeeping that is due: evicts what is over the bound.
    pub fn settle(&self) {
        self.entries.run_pending_tasks();
    }
}

impl fmt::Debug for ContentCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
