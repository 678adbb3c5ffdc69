//! Store `cached`: any store, asked less often.
//!
//! | what | kept | shared |
//! |---|---|---|
//! | content by digest, and what a digest resolves to | until room is needed | by generations, in a [`ContentCache`] |
//! | listings | 10 s; empty ones 5 s; cut ones never | no |
//! | what a tag resolves to | never | no |
//! | errors | never | no |
//!
//! Equal calls at the same time are one flight, whatever they ask for.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use moka::sync::Cache;
use opentelemetry::metrics::Meter;
use tokio::{
    runtime::Handle,
    time::{Duration, Instant},
};

pub use self::content::ContentCache;
use self::{
    content::{Key, Kind},
    metrics::{Metrics, Sought},
    shared::Shared,
};
use super::{Deadline, Store, StoreError};
use crate::oci::{Completeness, Content, Descriptor, Digest, Discovery, Listing, Reference, Registry, Repository};

mod content;
mod metrics;
mod shared;

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a listing with referrers is believed.
    pub listing_age: Duration,
    /// How long an empty listing is believed: a signature may be on its way.
    pub empty_listing_age: Duration,
    /// Most bytes of listings kept, overhead included.
    pub listing_bytes: u64,
    /// How long a call may go on when who started it could not wait as long.
    pub flight: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // `threats.md` 7.1, L-ref.
            listing_age: Duration::from_secs(10),
            empty_listing_age: Duration::from_secs(5),
            listing_bytes: 8 << 20,
            // The longest that a verify request waits by default.
            flight: Duration::from_secs(2),
        }
    }
}

/// Which credential is used towards a registry, as an opaque name (never the secret): part of every key of content.
pub type CredentialId = Arc<dyn Fn(&Registry) -> Arc<str> + Send + Sync>;

/// A store behind caches and flights. Flights run on `runtime` and end with this value.
pub struct Cached {
    store: Arc<dyn Store>,
    content: ContentCache,
    credential: CredentialId,
    limits: Limits,
    listings: Cache<Question, Listed>,
    resolving: Shared<Reference, Descriptor>,
    listing: Shared<Question, Arc<Listing>>,
    fetching: Shared<Fetch, Content>,
    metrics: Metrics,
}

/// What a listing costs beside its referrers: key and bookkeeping.
const LISTING_BYTES: usize = 768;
/// What a descriptor costs beside its texts.
const DESCRIPTOR_BYTES: usize = 320;
/// What an entry of a map costs beside its texts.
const ENTRY_BYTES: usize = 64;

/// What a listing answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    repository: Repository,
    subject: Digest,
    ways: Discovery,
}

/// What a fetch asks for. Size and media type are part of it: one caller's wrong claim must not become another's error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Fetch {
    key: Key,
    media_type: String,
    size: u64,
}

#[derive(Debug, Clone)]
struct Listed {
    listing: Arc<Listing>,
    until: Instant,
}

impl Cached {
    /// `content` may be shared with other values of this type, also over other stores.
    pub fn new(
        store: Arc<dyn Store>,
        content: ContentCache,
        credential: CredentialId,
        limits: Limits,
        runtime: &Handle,
    ) -> Self {
        // The bound on age is `Listed::until`; this one only frees memory.
        let age = limits.listing_age.max(limits.empty_listing_age).min(Duration::from_hours(1));
        Self {
            store,
            content,
            credential,
            limits,
            listings: Cache::builder().max_capacity(limits.listing_bytes).weigher(weigh).time_to_live(age).build(),
            resolving: Shared::new(runtime.clone(), limits.flight),
            listing: Shared::new(runtime.clone(), limits.flight),
            fetching: Shared::new(runtime.clone(), limits.flight),
            metrics: Metrics::default(),
        }
    }

    /// The same, counting what its caches have and have not.
    #[must_use]
    pub fn counted(self, meter: &Meter) -> Self {
        Self { metrics: Metrics::new(meter), ..self }
    }

    fn key(&self, repository: &Repository, digest: &Digest, kind: Kind) -> Key {
        Key {
            repository: repository.clone(),
            credential: (self.credential)(repository.registry()),
            digest: digest.clone(),
            kind,
        }
    }

    /// Content from the cache, or by a flight that puts it there.
    async fn fetch(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        kind: Kind,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        let key = self.key(repository, &descriptor.digest, kind);
        if let Some(content) = self.metrics.looked(Sought::Content, self.content.content(&key, descriptor)) {
            return Ok(content);
        }
        let (media_type, size) = (descriptor.media_type.clone(), descriptor.size);
        let what = format!("content {}", descriptor.digest);
        let call = |ends| {
            let (store, cache, key) = (Arc::clone(&self.store), self.content.clone(), key.clone());
            let (repository, descriptor) = (repository.clone(), descriptor.clone());
            async move {
                // Another flight may have landed since the cache was asked.
                if let Some(content) = cache.content(&key, &descriptor) {
                    return Ok(content);
                }
                let content = match key.kind {
                    Kind::Blob => store.blob(&repository, &descriptor, descriptor.size, ends).await?,
                    Kind::Manifest { .. } | Kind::Resolved => store.manifest(&repository, &descriptor, ends).await?,
                };
                cache.keep_content(key, &content);
                Ok(content)
            }
        };
        let content = self.fetching.join(Fetch { key: key.clone(), media_type, size }, &what, deadline, call).await?;
        // Annotations of the descriptor are the caller's own.
        Content::check(descriptor.clone(), content.bytes().clone())
            .map_err(|source| StoreError::Content { what, source })
    }
}

#[async_trait]
impl Store for Cached {
    async fn resolve(&self, reference: &Reference, deadline: Deadline) -> Result<Descriptor, StoreError> {
        let repository = reference.repository();
        if let Some(digest) = reference.digest()
            && let Some(descriptor) = self
                .metrics
                .looked(Sought::Resolution, self.content.resolved(&self.key(repository, digest, Kind::Resolved)))
        {
            return Ok(descriptor);
        }
        // Beside a digest a tag says nothing: both spellings are one question.
        let question = match reference.digest() {
            Some(digest) => Reference::to_digest(repository.clone(), digest.clone()),
            None => reference.clone(),
        };
        let call = |ends| {
            let (store, cache) = (Arc::clone(&self.store), self.content.clone());
            let (question, mut key) = (question.clone(), None);
            if let Some(digest) = question.digest() {
                key = Some(self.key(question.repository(), digest, Kind::Resolved));
            }
            async move {
                if let Some(descriptor) = key.as_ref().and_then(|key| cache.resolved(key)) {
                    return Ok(descriptor);
                }
                let descriptor = store.resolve(&question, ends).await?;
                // What a tag means is never kept; what a digest means is, and only under the digest asked for.
                if let Some(key) = key.filter(|key| key.digest == descriptor.digest) {
                    cache.keep_resolved(key, descriptor.clone());
                }
                Ok(descriptor)
            }
        };
        self.resolving.join(question.clone(), &reference.to_string(), deadline, call).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        ways: Discovery,
        deadline: Deadline,
    ) -> Result<Listing, StoreError> {
        let question = Question { repository: repository.clone(), subject: subject.clone(), ways };
        if let Some(listing) = self.metrics.looked(Sought::Listing, fresh(&self.listings, &question)) {
            return Ok(Listing::clone(&listing));
        }
        let call = |ends| {
            let (store, cache, limits) = (Arc::clone(&self.store), self.listings.clone(), self.limits);
            let question = question.clone();
            async move {
                if let Some(listing) = fresh(&cache, &question) {
                    return Ok(listing);
                }
                let listing =
                    store.referrers(&question.repository, &question.subject, question.ways.clone(), ends).await?;
                let listing = Arc::new(listing);
                if let Some(age) = limits.age(&listing)
                    && let Some(until) = Instant::now().checked_add(age)
                {
                    cache.insert(question, Listed { listing: Arc::clone(&listing), until });
                }
                Ok(listing)
            }
        };
        let what = format!("referrers of {subject}");
        let listing = self.listing.join(question.clone(), &what, deadline, call).await?;
        Ok(Listing::clone(&listing))
    }

    async fn manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        let kind = Kind::Manifest { media_type: descriptor.media_type.clone() };
        self.fetch(repository, descriptor, kind, deadline).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit_bytes: u64,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        if descriptor.size > limit_bytes {
            let what = format!("blob {}", descriptor.digest);
            return Err(StoreError::Limit { what, limit: limit_bytes, unit: "bytes" });
        }
        self.fetch(repository, descriptor, Kind::Blob, deadline).await
    }
}

impl Limits {
    /// How long a listing is believed; a cut one is not.
    fn age(&self, listing: &Listing) -> Option<Duration> {
        match listing.completeness {
            Completeness::Cut => None,
            Completeness::Whole if listing.referrers.is_empty() => Some(self.empty_listing_age),
            Completeness::Whole => Some(self.listing_age),
        }
    }
}

/// What a listing costs in memory, about.
fn weigh(question: &Question, listed: &Listed) -> u32 {
    let texts = |of: &Descriptor| {
        let annotations = of.annotations.iter().map(|(name, value)| name.len() + value.len() + ENTRY_BYTES);
        of.media_type.len() + of.artifact_type.as_ref().map_or(0, String::len) + annotations.sum::<usize>()
    };
    let referrers = listed.listing.referrers.iter().map(|referrer| texts(&referrer.descriptor) + DESCRIPTOR_BYTES);
    let manifests = listed.listing.manifests.iter().map(|content| content.bytes().len() + DESCRIPTOR_BYTES);
    let bytes = question.repository.path().len() + referrers.sum::<usize>() + manifests.sum::<usize>() + LISTING_BYTES;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn fresh(listings: &Cache<Question, Listed>, question: &Question) -> Option<Arc<Listing>> {
    listings.get(question).filter(|listed| Instant::now() < listed.until).map(|listed| listed.listing)
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("store", &self.store).field("content", &self.content).finish_non_exhaustive()
    }
}
