//! Store `layout`: an OCI image layout on disk, for air-gapped verification and pipelines.
//!
//! Every registry and repository name reads the same layout; names serve the scopes of policies. The layout is a stranger's
//! as much as a registry is: bounded, hashed, and confined to its directory.

use std::{collections::HashSet, io, path::Path, sync::Arc};

use async_trait::async_trait;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use self::{
    catalog::Catalog,
    files::{Files, unreadable},
};
use super::{Deadline, Store, StoreError};
use crate::{
    json,
    oci::{
        Content, Descriptor, Digest, Discovery, Found, Listing, Manifest, Reference, Referrer, Repository, media_type,
    },
};

mod catalog;
mod files;
mod names;

/// What reading a layout may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest manifest or index in bytes; `index.json` is one.
    pub manifest_bytes: u64,
    /// Most manifests, also through indexes.
    pub entries: usize,
    /// Most bytes of manifests read when the layout is opened.
    pub scan_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // `threats.md` 1.2; the distribution specification asks for at least this much.
            manifest_bytes: 4 << 20,
            entries: 10_000,
            // 10,000 manifests of 26 KiB; signatures' manifests have less than 2.
            scan_bytes: 256 << 20,
        }
    }
}

/// An opened layout. What it lists was read when it was opened; blobs are read when they are asked for.
#[derive(Debug, Clone)]
pub struct Layout {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    catalog: Catalog,
    limits: Limits,
}

impl Layout {
    /// Opens the layout in `dir` and reads every manifest that it lists.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::Manifest`], [`StoreError::Limit`].
    pub async fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        let open = move || {
            let files = Files::open(&dir)?;
            let catalog = Catalog::scan(&files, &limits)?;
            Ok(Self { inner: Arc::new(Inner { files, catalog, limits }) })
        };
        spawn_blocking(open).await.unwrap_or_else(|fault| Err(unreadable("its directory", io::Error::other(fault))))
    }

    /// Runs file reads off the asynchronous workers.
    async fn read<T: Send + 'static>(
        &self,
        what: String,
        deadline: Deadline,
        read: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // A read that is quick enough would win against a deadline that has passed.
        if deadline <= Instant::now() {
            return Err(StoreError::Deadline { what });
        }
        let inner = Arc::clone(&self.inner);
        match timeout_at(deadline, spawn_blocking(move || read(&inner))).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(fault)) => Err(unreadable(&what, io::Error::other(fault))),
            Err(_) => Err(StoreError::Deadline { what }),
        }
    }
}

#[async_trait]
impl Store for Layout {
    async fn resolve(&self, reference: &Reference, deadline: Deadline) -> Result<Descriptor, StoreError> {
        let reference = reference.clone();
        self.read(reference.to_string(), deadline, move |layout| layout.resolve(&reference)).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        ways: Discovery,
        deadline: Deadline,
    ) -> Result<Listing, StoreError> {
        let (repository, subject) = (repository.clone(), subject.clone());
        let what = format!("referrers of {subject}");
        self.read(what, deadline, move |layout| layout.referrers(&repository, &subject, &ways)).await
    }

    async fn manifest(
        &self,
        _: &Repository,
        descriptor: &Descriptor,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        let descriptor = descriptor.clone();
        let read = move |layout: &Inner| layout.files.blob(&descriptor, layout.limits.manifest_bytes);
        self.read("a manifest of the layout".into(), deadline, read).await
    }

    async fn blob(
        &self,
        _: &Repository,
        descriptor: &Descriptor,
        limit_bytes: u64,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        let descriptor = descriptor.clone();
        let read = move |layout: &Inner| layout.files.blob(&descriptor, limit_bytes);
        self.read("a blob of the layout".into(), deadline, read).await
    }
}

impl Inner {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, StoreError> {
        let claimed = match (self.catalog.find(reference)?, reference.digest()) {
            (Some(listed), _) => listed.clone(),
            (None, Some(digest)) => self.unlisted(digest)?,
            (None, None) => return Err(StoreError::NotFound { what: reference.to_string() }),
        };
        let content = self.files.blob(&claimed, self.limits.manifest_bytes)?;
        Manifest::parse(&claimed.media_type, content.bytes())
            .map_err(|source| StoreError::Manifest { what: reference.to_string(), source })?;
        let Descriptor { media_type, digest, size, .. } = claimed;
        Ok(Descriptor { media_type, digest, size, artifact_type: None, annotations: [].into() })
    }

    /// A manifest that is in the layout and not listed: its media type is what its body says or, without a word of its
    /// own, what it looks like; [`Manifest::parse`] then holds it to that.
    fn unlisted(&self, digest: &Digest) -> Result<Descriptor, StoreError> {
        let size = self.files.blob_size(digest)?;
        let media_type = String::new();
        let digest = digest.clone();
        let unnamed = Descriptor { media_type, digest, size, artifact_type: None, annotations: [].into() };
        let content = self.files.blob(&unnamed, self.limits.manifest_bytes)?;
        let document = json::parse(content.bytes(), json::DOCUMENT_DEPTH).unwrap_or_default();
        let implied =
            if document.get("manifests").is_some() { media_type::IMAGE_INDEX } else { media_type::IMAGE_MANIFEST };
        let media_type = document.get("mediaType").and_then(|value| value.as_str()).unwrap_or(implied).to_owned();
        Ok(Descriptor { media_type, ..unnamed })
    }

    fn referrers(&self, repository: &Repository, subject: &Digest, ways: &Discovery) -> Result<Listing, StoreError> {
        let mut listing = Listing { referrers: Vec::new(), ..self.catalog.referrers(subject) };
        if ways.referrers {
            listing.referrers = self.catalog.referrers(subject).referrers;
            self.add_tagged(repository, subject, &mut listing)?;
        }
        for tag in &ways.cosign_tags {
            if let Some(descriptor) = absent_as_none(self.catalog.by_tag(repository, &tag.name(subject)))? {
                let referrer = Referrer { descriptor: descriptor.clone(), found: Found::CosignTag(tag.kind) };
                listing.referrers.push(referrer);
            }
        }
        Ok(listing)
    }

    /// The index under the referrers tag, as copied from a registry without a referrers API (REG-29).
    fn add_tagged(&self, repository: &Repository, subject: &Digest, listing: &mut Listing) -> Result<(), StoreError> {
        let tag = subject.referrers_tag();
        let Some(descriptor) = absent_as_none(self.catalog.by_tag(repository, &tag))? else { return Ok(()) };
        let content = self.files.blob(descriptor, self.limits.manifest_bytes)?;
        let malformed = |detail: String| StoreError::Referrers { subject: subject.to_string(), detail };
        let index = match Manifest::parse(&descriptor.media_type, content.bytes()) {
            Ok(Manifest::Index(index)) => index,
            Ok(Manifest::Image(_)) => return Err(malformed(format!("tag {tag} names an image manifest"))),
            Err(error) => return Err(malformed(error.to_string())),
        };
        let mut known: HashSet<Digest> =
            listing.referrers.iter().map(|known| known.descriptor.digest.clone()).collect();
        for descriptor in index.manifests {
            if known.insert(descriptor.digest.clone()) {
                listing.referrers.push(Referrer { descriptor, found: Found::ReferrersTag });
            }
        }
        Ok(())
    }
}

fn absent_as_none<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
