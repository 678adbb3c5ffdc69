//! Store `cached`: what is asked again, and what is not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use countersign::{
    oci::{
        Completeness, Content, ContentError, Descriptor, Digest, Discovery, Found, Listing, Reference, Referrer,
        Repository,
    },
    reason::Code,
    store::{
        Deadline, Store, StoreError,
        cached::{Cached, ContentCache, Limits},
    },
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout},
};

/// A store that answers what it was given, counts, and can be held.
#[derive(Debug)]
struct Scripted {
    bytes: HashMap<Digest, Vec<u8>>,
    listing: Mutex<Result<Listing, StoreError>>,
    tag: Mutex<Result<Descriptor, StoreError>>,
    calls: watch::Sender<Vec<&'static str>>,
    open: watch::Sender<bool>,
}

impl Scripted {
    fn new(contents: &[&[u8]]) -> Arc<Self> {
        Arc::new(Self {
            bytes: contents.iter().map(|bytes| (Digest::sha256(bytes), bytes.to_vec())).collect(),
            listing: Mutex::new(Ok(Listing::whole(Vec::new()))),
            tag: Mutex::new(Err(missing())),
            calls: watch::Sender::default(),
            open: watch::Sender::new(true),
        })
    }

    async fn called(&self, what: &'static str) {
        self.calls.send_modify(|calls| calls.push(what));
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    fn count(&self, what: &str) -> usize {
        self.calls.borrow().iter().filter(|call| **call == what).count()
    }

    async fn arrived(&self, count: usize) {
        let _ = self.calls.subscribe().wait_for(|calls| calls.len() >= count).await;
    }

    fn content(&self, descriptor: &Descriptor) -> Result<Content, StoreError> {
        let bytes = self.bytes.get(&descriptor.digest).cloned().ok_or_else(missing)?;
        Content::check(descriptor.clone(), bytes.into())
            .map_err(|source| StoreError::Content { what: "content".into(), source })
    }
}

#[async_trait]
impl Store for Scripted {
    async fn resolve(&self, reference: &Reference, _: Deadline) -> Result<Descriptor, StoreError> {
        self.called("resolve").await;
        match reference.digest() {
            Some(digest) => self.bytes.get(digest).map(|bytes| Descriptor::of("m", bytes)).ok_or_else(missing),
            None => self.tag.lock().unwrap().clone(),
        }
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: Discovery, _: Deadline) -> Result<Listing, StoreError> {
        self.called("referrers").await;
        self.listing.lock().unwrap().clone()
    }

    async fn manifest(&self, _: &Repository, descriptor: &Descriptor, _: Deadline) -> Result<Content, StoreError> {
        self.called("manifest").await;
        self.content(descriptor)
    }

    async fn blob(
        &self,
        _: &Repository,
        descriptor: &Descriptor,
        limit_bytes: u64,
        _: Deadline,
    ) -> Result<Content, StoreError> {
        self.called("blob").await;
        assert!(descriptor.size <= limit_bytes);
        self.content(descriptor)
    }
}

fn missing() -> StoreError {
    StoreError::NotFound { what: "it".into() }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { registry: "r".into(), what: "w".into(), detail: "503".into() }
}

fn soon() -> Deadline {
    Instant::now() + Duration::from_secs(5)
}

fn repository(text: &str) -> Repository {
    Repository::parse(text).unwrap()
}

fn cached(store: &Arc<Scripted>, content: &ContentCache, limits: Limits) -> Cached {
    let credential = Arc::new(|registry: &countersign::oci::Registry| registry.to_string().into());
    Cached::new(Arc::<Scripted>::clone(store), content.clone(), credential, limits, &Handle::current())
}

fn plain(store: &Arc<Scripted>) -> Cached {
    cached(store, &ContentCache::new(1 << 20), Limits::default())
}

#[tokio::test]
async fn content_by_digest_is_fetched_once_also_for_the_next_generation() {
    let store = Scripted::new(&[b"abc"]);
    let content = ContentCache::new(1 << 20);
    let (a, descriptor) = (repository("r.test/a"), Descriptor::of("m", b"abc"));
    for _ in 0..3 {
        let generation = cached(&store, &content, Limits::default());
        for _ in 0..2 {
            assert_eq!(generation.manifest(&a, &descriptor, soon()).await.unwrap().bytes().as_ref(), b"abc");
            assert_eq!(generation.blob(&a, &descriptor, 3, soon()).await.unwrap().bytes().as_ref(), b"abc");
            let resolved =
                generation.resolve(&Reference::to_digest(a.clone(), descriptor.digest.clone()), soon()).await;
            assert_eq!(resolved.unwrap(), descriptor);
        }
    }
    assert_eq!((store.count("manifest"), store.count("blob"), store.count("resolve")), (1, 1, 1));
}

// 7.1, L-blob: whether a digest exists is an answer of its own.
#[tokio::test]
async fn content_is_shared_neither_between_repositories_nor_credentials() {
    let store = Scripted::new(&[b"abc"]);
    let content = ContentCache::new(1 << 20);
    let descriptor = Descriptor::of("m", b"abc");
    let first = cached(&store, &content, Limits::default());
    for name in ["r.test/a", "r.test/b", "s.test/a"] {
        first.blob(&repository(name), &descriptor, 3, soon()).await.unwrap();
    }
    let other = Cached::new(
        Arc::<Scripted>::clone(&store),
        content.clone(),
        Arc::new(|_| "another credential".into()),
        Limits::default(),
        &Handle::current(),
    );
    other.blob(&repository("r.test/a"), &descriptor, 3, soon()).await.unwrap();
    assert_eq!(store.count("blob"), 4);
}

// CVE-2021-41190: what was accepted as one media type is not handed out as another.
#[tokio::test]
async fn a_manifest_of_another_media_type_is_asked_for_anew() {
    let store = Scripted::new(&[b"abc"]);
    let cached = plain(&store);
    for media_type in ["m", "n", "m"] {
        let found =
            cached.manifest(&repository("r.test/a"), &Descriptor::of(media_type, b"abc"), soon()).await.unwrap();
        assert_eq!(found.descriptor().media_type, media_type);
    }
    assert_eq!(store.count("manifest"), 2);
}

#[tokio::test]
async fn kept_content_still_has_to_be_what_the_next_descriptor_says() {
    let store = Scripted::new(&[b"abc"]);
    let cached = plain(&store);
    let (a, descriptor) = (repository("r.test/a"), Descriptor::of("x", b"abc"));
    cached.blob(&a, &descriptor, 3, soon()).await.unwrap();
    let error = cached.blob(&a, &Descriptor { size: 2, ..descriptor.clone() }, 3, soon()).await.unwrap_err();
    assert!(matches!(error, StoreError::Content { source: ContentError::Size { .. }, .. }), "{error:?}");
    let error = cached.blob(&a, &descriptor, 2, soon()).await.unwrap_err();
    assert!(matches!(error, StoreError::Limit { limit: 2, .. }), "{error:?}");
}

#[tokio::test]
async fn content_is_bounded_by_bytes() {
    let contents: Vec<Vec<u8>> = (0_u8..32).map(|n| vec![n; 4096]).collect();
    let store = Scripted::new(&contents.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let content = ContentCache::new(32 << 10);
    let cached = cached(&store, &content, Limits::default());
    for bytes in &contents {
        cached.blob(&repository("r.test/a"), &Descriptor::of("x", bytes), 4096, soon()).await.unwrap();
    }
    content.settle();
    assert!((1..=32 << 10).contains(&content.bytes()), "{}", content.bytes());
}

// REG-05, CCH-03
#[tokio::test]
async fn a_tag_is_resolved_anew_each_time_and_only_coalesced() {
    let store = Scripted::new(&[b"abc", b"abcd"]);
    let cached = plain(&store);
    let reference = Reference::parse("r.test/a:v1").unwrap();
    for bytes in [&b"abc"[..], b"abcd"] {
        *store.tag.lock().unwrap() = Ok(Descriptor::of("m", bytes));
        assert_eq!(cached.resolve(&reference, soon()).await.unwrap(), Descriptor::of("m", bytes));
    }
    assert_eq!(store.count("resolve"), 2);
    store.open.send_replace(false);
    let together = async { tokio::join!(cached.resolve(&reference, soon()), cached.resolve(&reference, soon())) };
    let release = async {
        store.arrived(3).await;
        store.open.send_replace(true);
    };
    let ((one, two), ()) = tokio::join!(together, release);
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(store.count("resolve"), 3);
}

#[tokio::test]
async fn listings_are_believed_while_they_are_young_and_cut_ones_and_errors_never() {
    let referrer = Referrer { descriptor: Descriptor::of("m", b"abc"), found: Found::ReferrersApi };
    let full = Listing::whole(vec![referrer]);
    let empty = Listing::whole(Vec::new());
    let cut = Listing { completeness: Completeness::Cut, ..full.clone() };
    let hour = Duration::from_hours(1);
    let kept = Limits { listing_age: hour, empty_listing_age: hour, ..Limits::default() };
    let only_full = Limits { empty_listing_age: Duration::ZERO, ..kept };
    let only_empty = Limits { listing_age: Duration::ZERO, ..kept };
    for (name, listing, limits, calls) in [
        ("full", Ok(full.clone()), kept, 1),
        ("full", Ok(full.clone()), only_full, 1),
        ("full, too old", Ok(full), only_empty, 3),
        ("empty", Ok(empty.clone()), only_empty, 1),
        ("empty, too old", Ok(empty), only_full, 3),
        ("cut", Ok(cut), kept, 3),
        ("error", Err(unavailable()), kept, 3),
        ("missing", Err(missing()), kept, 3),
    ] {
        let store = Scripted::new(&[]);
        *store.listing.lock().unwrap() = listing.clone();
        let cached = cached(&store, &ContentCache::new(1024), limits);
        for _ in 0..3 {
            let subject = Digest::sha256(b"");
            let found = cached.referrers(&repository("r.test/a"), &subject, Discovery::REFERRERS, soon()).await;
            match (found, &listing) {
                (Ok(found), Ok(listing)) => assert_eq!(found.referrers, listing.referrers, "{name}"),
                (Err(found), Err(error)) => assert_eq!(found.code(), error.code(), "{name}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
        assert_eq!(store.count("referrers"), calls, "{name}");
    }
    let limits = Limits::default();
    assert_eq!((limits.listing_age.as_secs(), limits.empty_listing_age.as_secs()), (10, 5));
}

#[tokio::test]
async fn listings_are_kept_apart_by_repository_subject_and_ways() {
    let store = Scripted::new(&[]);
    let cached = plain(&store);
    let (one, two) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
    let cosign = Discovery::everywhere();
    let ask =
        async |name, subject: &Digest, ways| cached.referrers(&repository(name), subject, ways, soon()).await.unwrap();
    for _ in 0..2 {
        ask("r.test/a", &one, Discovery::REFERRERS).await;
        ask("r.test/a", &two, Discovery::REFERRERS).await;
        ask("r.test/b", &one, Discovery::REFERRERS).await;
        ask("r.test/a", &one, cosign.clone()).await;
    }
    assert_eq!(store.count("referrers"), 4);
}

// 7.5 rule 6
#[tokio::test]
async fn who_goes_away_takes_nobody_along() {
    let store = Scripted::new(&[b"abc"]);
    let cached = Arc::new(plain(&store));
    store.open.send_replace(false);
    let fetch = || {
        let cached = Arc::clone(&cached);
        async move { cached.blob(&repository("r.test/a"), &Descriptor::of("x", b"abc"), 3, soon()).await }
    };
    let first = tokio::spawn(fetch());
    store.arrived(1).await;
    let second = tokio::spawn(fetch());
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    store.open.send_replace(true);
    assert!(second.await.unwrap().is_ok());
    assert_eq!(store.count("blob"), 1);
}

#[tokio::test]
async fn an_error_is_given_to_all_who_wait_and_then_forgotten() {
    let store = Scripted::new(&[]);
    *store.listing.lock().unwrap() = Err(unavailable());
    let cached = plain(&store);
    store.open.send_replace(false);
    let (name, subject) = (repository("r.test/a"), Digest::sha256(b""));
    let ask = || cached.referrers(&name, &subject, Discovery::REFERRERS, soon());
    let release = async {
        store.arrived(1).await;
        store.open.send_replace(true);
    };
    let (one, two, three, ()) = tokio::join!(ask(), ask(), ask(), release);
    for answer in [one, two, three] {
        assert_eq!(answer.unwrap_err().code(), Code::RegistryUnavailable);
    }
    assert_eq!(store.count("referrers"), 1);
    *store.listing.lock().unwrap() = Ok(Listing::whole(Vec::new()));
    assert!(ask().await.is_ok());
    assert_eq!(store.count("referrers"), 2);
}

#[tokio::test]
async fn each_who_waits_has_a_deadline_and_so_has_the_flight() {
    let store = Scripted::new(&[b"abc"]);
    let limits = Limits { flight: Duration::from_millis(60), ..Limits::default() };
    let cached = cached(&store, &ContentCache::new(1 << 20), limits);
    store.open.send_replace(false);
    let (name, descriptor) = (repository("r.test/a"), Descriptor::of("x", b"abc"));
    let fetch = |deadline| cached.blob(&name, &descriptor, 3, deadline);
    let impatient = fetch(Instant::now() + Duration::from_millis(10)).await.unwrap_err();
    assert!(matches!(impatient, StoreError::Deadline { .. }), "{impatient:?}");
    // The flight of the impatient goes on until its own end; who has more time than it boards the next.
    let patient = async { fetch(soon()).await };
    let release = async {
        store.arrived(2).await;
        store.open.send_replace(true);
    };
    let both = async { tokio::join!(patient, release) };
    let (answer, ()) = timeout(Duration::from_secs(5), both).await.unwrap();
    assert!(answer.is_ok());
    assert_eq!(store.count("blob"), 2);
}

#[tokio::test]
async fn flights_end_with_the_store() {
    let store = Scripted::new(&[b"abc"]);
    let cached = plain(&store);
    store.open.send_replace(false);
    let name = repository("r.test/a");
    let gone = cached.blob(&name, &Descriptor::of("x", b"abc"), 3, Instant::now() + Duration::from_millis(10)).await;
    assert_eq!(gone.unwrap_err().code(), Code::Timeout);
    drop(cached);
    // The flight's hold on the store is let go: nothing of it is left.
    let alone = async {
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(Duration::from_secs(5), alone).await.is_ok());
}
