//! Store `layout`: what is found, what is refused.

use std::{io::ErrorKind, os::unix::fs::symlink, time::Duration};

use countersign::{
    oci::{
        Completeness, ContentError, CosignKind, Descriptor, Digest, Discovery, Found, ManifestError, Reference,
        Repository, media_type,
    },
    reason::Code,
    store::{
        Deadline, Store, StoreError,
        layout::{Layout, Limits},
    },
};
use integration_tests::{
    layout::LayoutDir,
    shelf::{JWS, NOTARY_SIGNATURE, Shelf, bare, index, signature, to_bytes},
};
use serde_json::json;
use tokio::time::Instant;

fn soon() -> Deadline {
    Instant::now() + Duration::from_secs(5)
}

fn web() -> Repository {
    Repository::parse("registry.example.com/shop/web").unwrap()
}

fn tagged(tag: &str) -> Reference {
    Reference::parse(&format!("{}:{tag}", web())).unwrap()
}

async fn open(dir: &LayoutDir) -> Layout {
    Layout::open(dir.path(), Limits::default()).await.unwrap()
}

async fn resolve(layout: &Layout, text: &str) -> Result<Descriptor, StoreError> {
    layout.resolve(&Reference::parse(text).unwrap(), soon()).await
}

async fn listed(layout: &Layout, subject: &Digest) -> Vec<Digest> {
    let listing = layout.referrers(&web(), subject, Discovery::REFERRERS, soon()).await.unwrap();
    assert_eq!(listing.completeness, Completeness::Whole);
    listing.referrers.into_iter().map(|referrer| referrer.descriptor.digest).collect()
}

#[tokio::test]
async fn a_tag_is_the_ref_name_whole_by_path_or_alone_and_the_closest_rules() {
    let dir = LayoutDir::new();
    let alone = dir.put_image("alone", Some("v1"));
    let path = dir.put_image("path", Some("shop/web:v2"));
    let whole = dir.put_image("whole", Some("registry.example.com/shop/web:v1"));
    let layout = open(&dir).await;
    for (reference, expected) in [
        ("registry.example.com/shop/web:v1", Some(&whole)),
        ("other.example.com/shop/web:v1", Some(&alone)),
        ("other.example.com/any/thing:v1", Some(&alone)),
        ("other.example.com/shop/web:v2", Some(&path)),
        ("other.example.com/any/thing:v2", None),
        ("registry.example.com/shop/web:v3", None),
        ("registry.example.com/shop/web", None),
    ] {
        match (resolve(&layout, reference).await, expected) {
            (Ok(found), Some(expected)) => assert_eq!(&found, expected, "{reference}"),
            (Err(StoreError::NotFound { .. }), None) => {}
            (other, _) => panic!("{reference}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_tag_of_two_manifests_names_none_of_them() {
    let dir = LayoutDir::new();
    let one = dir.put_image("one", Some("v1"));
    dir.put_image("two", Some("v1"));
    dir.put_image("twice", Some("v2"));
    dir.put_image("twice", Some("v2"));
    let layout = open(&dir).await;
    let error = layout.resolve(&tagged("v1"), soon()).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unreadable { source, .. } if source.kind() == ErrorKind::InvalidData),
        "{error:?}"
    );
    assert!(layout.resolve(&tagged("v2"), soon()).await.is_ok());
    assert_eq!(layout.resolve(&Reference::to_digest(web(), one.digest.clone()), soon()).await.unwrap(), one);
}

// REF-08: where a digest is written the tag is never looked at.
#[tokio::test]
async fn the_digest_rules_listed_nested_or_only_a_blob() {
    let dir = LayoutDir::new();
    let listed = dir.put_image("listed", Some("v1"));
    let platform = to_bytes(&json!({
        "schemaVersion": 2,
        "config": Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [],
    }));
    dir.put_file(&platform);
    let nested = Descriptor::of(media_type::IMAGE_MANIFEST, &platform);
    let outer = dir.put_index(std::slice::from_ref(&nested), Some("multi"));
    let unlisted_index = to_bytes(&index(&[]));
    dir.put_file(&unlisted_index);
    let unlisted = Descriptor::of(media_type::IMAGE_INDEX, &unlisted_index);
    let layout = open(&dir).await;
    for expected in [&listed, &nested, &outer, &unlisted] {
        let text = format!("{}:gone@{}", web(), expected.digest);
        assert_eq!(&resolve(&layout, &text).await.unwrap(), expected);
    }
    let missing = format!("{}@{}", web(), Digest::sha256(b"missing"));
    assert_eq!(resolve(&layout, &missing).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn referrers_are_found_by_subject_in_the_order_of_the_index() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", Some("v1"));
    let other = dir.put_image("other", Some("v2"));
    let second = dir.put_signature(&image, JWS, b"b");
    let stranger = dir.put_signature(&other, JWS, b"c");
    let first = dir.put_signature(&image, JWS, b"a");
    let nested_bytes = to_bytes(&signature(&image, JWS, b"nested"));
    dir.put_file(&nested_bytes);
    let nested = Descriptor::of(media_type::IMAGE_MANIFEST, &nested_bytes);
    dir.put_index(std::slice::from_ref(&nested), None);
    let layout = open(&dir).await;
    let listing = layout.referrers(&web(), &image.digest, Discovery::REFERRERS, soon()).await.unwrap();
    assert_eq!(
        listing.referrers.iter().map(|referrer| &referrer.descriptor.digest).collect::<Vec<_>>(),
        [&second.digest, &first.digest, &nested.digest]
    );
    assert!(listing.referrers.iter().all(|referrer| {
        referrer.found == Found::Layout && referrer.descriptor.artifact_type.as_deref() == Some(NOTARY_SIGNATURE)
    }));
    assert_eq!(listed(&layout, &other.digest).await, [stranger.digest]);
    assert!(listed(&layout, &first.digest).await.is_empty());
}

// REG-28, REG-29: as copied from a registry that has no referrers API.
#[tokio::test]
async fn the_referrers_tag_adds_what_no_subject_shows() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", Some("v1"));
    let signed = dir.put_signature(&image, JWS, b"a");
    let legacy = dir.put_image("no subject", None);
    dir.put_index(&[signed.clone(), legacy.clone()], Some(&image.digest.referrers_tag()));
    let layout = open(&dir).await;
    let listing = layout.referrers(&web(), &image.digest, Discovery::REFERRERS, soon()).await.unwrap();
    let found: Vec<_> =
        listing.referrers.iter().map(|referrer| (&referrer.descriptor.digest, referrer.found)).collect();
    assert_eq!(found, [(&signed.digest, Found::Layout), (&legacy.digest, Found::ReferrersTag)]);
    let none = layout.referrers(&web(), &image.digest, Discovery::default(), soon()).await.unwrap();
    assert!(none.referrers.is_empty());
}

#[tokio::test]
async fn a_referrers_tag_that_is_no_index_is_an_error_and_not_an_empty_list() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", Some("v1"));
    dir.put_image("not an index", Some(&image.digest.referrers_tag()));
    let layout = open(&dir).await;
    let error = layout.referrers(&web(), &image.digest, Discovery::REFERRERS, soon()).await.unwrap_err();
    assert!(matches!(error, StoreError::Referrers { .. }), "{error:?}");
}

#[tokio::test]
async fn cosign_tags_are_listed_only_when_asked_for() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", Some("v1"));
    let cosign = dir.put_image("signature", Some(&format!("{}.sig", image.digest.referrers_tag())));
    let layout = open(&dir).await;
    assert!(listed(&layout, &image.digest).await.is_empty());
    let ways = Discovery { referrers: false, ..Discovery::everywhere() };
    let listing = layout.referrers(&web(), &image.digest, ways, soon()).await.unwrap();
    assert_eq!(listing.referrers.len(), 1);
    assert_eq!(listing.referrers[0].found, Found::CosignTag(CosignKind::Signatures));
    assert_eq!(listing.referrers[0].descriptor.digest, cosign.digest);
}

// REG-19: an index that lists itself needs a liar, since no digest can contain itself; the visited set ends it.
#[tokio::test]
async fn indexes_that_list_each_other_are_walked_once() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", None);
    let inner = dir.put_index(std::slice::from_ref(&image), None);
    let outer = dir.put_index(&[inner.clone(), image.clone(), inner.clone()], None);
    dir.list(outer.clone());
    dir.list(outer);
    let layout = Layout::open(dir.path(), Limits { entries: 3, ..Limits::default() }).await.unwrap();
    assert!(layout.resolve(&Reference::to_digest(web(), image.digest), soon()).await.is_ok());
}

// An absent manifest is only absent (a layout may hold one platform of an index); a spoilt one could refer to anything.
#[tokio::test]
async fn a_spoilt_manifest_cuts_every_listing_and_an_absent_one_does_not() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", Some("v1"));
    let signed = dir.put_signature(&image, JWS, b"a");
    dir.list(Descriptor::of(media_type::IMAGE_MANIFEST, b"absent"));
    assert_eq!(listed(&open(&dir).await, &image.digest).await, std::slice::from_ref(&signed.digest));
    let spoilt = dir.put_signature(&image, JWS, b"b");
    for bytes in [b"other bytes".to_vec(), vec![b' '; usize::try_from(spoilt.size).unwrap()]] {
        dir.write(&LayoutDir::blob_name(&spoilt.digest), &bytes);
        let layout = open(&dir).await;
        let listing = layout.referrers(&web(), &image.digest, Discovery::REFERRERS, soon()).await.unwrap();
        assert_eq!(listing.completeness, Completeness::Cut);
        assert_eq!(listing.referrers.len(), 1);
    }
}

#[tokio::test]
async fn a_malformed_manifest_is_still_listed_for_the_subject_that_it_names() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", Some("v1"));
    let mut document = signature(&image, JWS, b"a");
    document["manifests"] = json!([]);
    let ambiguous = dir.put_document(media_type::IMAGE_MANIFEST, &document, None);
    assert_eq!(listed(&open(&dir).await, &image.digest).await, [ambiguous.digest]);
}

// REG-01, 04, 06, 09, 13, 14, 15, 16, 17 for a layout: the row's number, what is on disk, what is answered.
#[tokio::test]
async fn a_manifest_that_is_not_what_it_should_be_is_refused() {
    let image = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE_MANIFEST,
        "config": Descriptor::of("c", b"{}"),
        "layers": [],
    });
    let with = |member: &str, value: serde_json::Value| {
        let mut document = image.clone();
        document[member] = value;
        to_bytes(&document)
    };
    let good = to_bytes(&image);
    let cases: Vec<(&str, &str, Vec<u8>, Code)> = vec![
        ("REG-13", media_type::IMAGE_MANIFEST, with("manifests", json!([])), Code::AmbiguousManifest),
        ("REG-14", media_type::DOCKER_MANIFEST, good.clone(), Code::MediaTypeMismatch),
        ("REG-14", media_type::IMAGE_MANIFEST, with("mediaType", json!("text/plain")), Code::MediaTypeMismatch),
        ("REG-15", "application/vnd.docker.distribution.manifest.v1+json", good.clone(), Code::UnsupportedMediaType),
        ("REG-15", "text/html", b"<html>".to_vec(), Code::UnsupportedMediaType),
        ("REG-16", media_type::IMAGE_MANIFEST, br#"{"schemaVersion":2,"schemaVersion":2}"#.to_vec(), Code::BadManifest),
        ("REG-17", media_type::IMAGE_MANIFEST, vec![b'['; 1 << 20], Code::BadManifest),
        ("REG-17", media_type::IMAGE_MANIFEST, with("schemaVersion", json!("2")), Code::BadManifest),
    ];
    for (row, media_type, bytes, code) in cases {
        let dir = LayoutDir::new();
        dir.put_manifest(media_type, &bytes, Some("v1"));
        let error = open(&dir).await.resolve(&tagged("v1"), soon()).await.unwrap_err();
        assert!(matches!(error, StoreError::Manifest { .. }), "{row}: {error:?}");
        assert_eq!(error.code(), code, "{row}");
    }
}

// REG-01, REG-04, REG-06, REG-09, REG-10
#[tokio::test]
async fn a_blob_is_what_its_descriptor_says_or_an_error() {
    let dir = LayoutDir::new();
    let digest = dir.put_blob(b"abcd");
    let honest = Descriptor::of("x", b"abcd");
    let layout = open(&dir).await;
    let blob = async |descriptor: &Descriptor, limit| layout.blob(&web(), descriptor, limit, soon()).await;
    assert_eq!(blob(&honest, 4).await.unwrap().bytes().as_ref(), b"abcd");
    assert!(matches!(blob(&honest, 3).await.unwrap_err(), StoreError::Limit { limit: 3, .. }));
    for size in [3, 5, 0, u64::MAX] {
        let lying = Descriptor { size, ..honest.clone() };
        let error = blob(&lying, u64::MAX).await.unwrap_err();
        let refused = matches!(error, StoreError::Content { source: ContentError::Size { actual: 4, .. }, .. });
        assert!(refused, "{size}: {error:?}");
    }
    dir.write(&LayoutDir::blob_name(&digest), b"abce");
    let error = blob(&honest, 4).await.unwrap_err();
    assert!(matches!(error, StoreError::Content { source: ContentError::Digest { .. }, .. }), "{error:?}");
    let absent = Descriptor::of("x", b"absent");
    assert!(matches!(blob(&absent, 100).await.unwrap_err(), StoreError::NotFound { .. }));
}

#[tokio::test]
async fn nothing_outside_the_layout_is_read_and_nothing_but_files() {
    let dir = LayoutDir::new();
    let outside = tempfile::TempDir::new().unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    let escape = Descriptor::of("x", b"secret");
    let at = |descriptor: &Descriptor| dir.path().join(LayoutDir::blob_name(&descriptor.digest));
    symlink(outside.path().join("secret"), at(&escape)).unwrap();
    let inside = Descriptor::of("x", b"inside");
    std::fs::write(dir.path().join("moved"), b"inside").unwrap();
    symlink("../../moved", at(&inside)).unwrap();
    let folder = Descriptor::of("x", b"folder");
    std::fs::create_dir(at(&folder)).unwrap();
    let device = Descriptor { size: 0, ..Descriptor::of("x", b"") };
    symlink("/dev/zero", at(&device)).unwrap();
    let circle = Descriptor::of("x", b"circle");
    symlink(at(&circle), at(&circle)).unwrap();
    let layout = open(&dir).await;
    assert!(layout.blob(&web(), &inside, 100, soon()).await.is_ok());
    for descriptor in [&escape, &folder, &device, &circle] {
        let error = layout.blob(&web(), descriptor, 100, soon()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret") && error.code() == Code::StoreUnreadable);
    }
}

#[tokio::test]
async fn limits_hold_at_their_value_and_not_one_above() {
    let dir = LayoutDir::new();
    // A name so long that the index is the largest document.
    let image = dir.put_image("image", Some(&"v".repeat(2000)));
    let signed = dir.put_signature(&image, JWS, b"a");
    let index = std::fs::metadata(dir.path().join("index.json")).unwrap().len();
    let exact = Limits { manifest_bytes: index, entries: 2, scan_bytes: image.size + signed.size };
    assert!(Layout::open(dir.path(), exact).await.is_ok());
    for (limits, unit) in [
        (Limits { manifest_bytes: exact.manifest_bytes - 1, ..exact }, "bytes"),
        (Limits { entries: 1, ..exact }, "manifests"),
        (Limits { scan_bytes: exact.scan_bytes - 1, ..exact }, "bytes"),
    ] {
        let error = Layout::open(dir.path(), limits).await.unwrap_err();
        assert!(matches!(&error, StoreError::Limit { unit: found, .. } if *found == unit), "{error:?}");
    }
    let layout = open(&dir).await;
    let large = Descriptor { size: Limits::default().manifest_bytes + 1, ..bare(&image) };
    let error = layout.manifest(&web(), &large, soon()).await.unwrap_err();
    assert!(matches!(error, StoreError::Limit { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_layout_does_not_open() {
    let none = tempfile::TempDir::new().unwrap();
    let missing = Layout::open(&none.path().join("missing"), Limits::default()).await.unwrap_err();
    assert!(matches!(missing, StoreError::Unreadable { .. }), "{missing:?}");
    let empty = Layout::open(none.path(), Limits::default()).await.unwrap_err();
    assert!(matches!(&empty, StoreError::Unreadable { what, .. } if what == "oci-layout"), "{empty:?}");
    for (name, text) in [
        ("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#),
        ("oci-layout", "{}"),
        ("oci-layout", "x"),
        ("index.json", "x"),
        ("index.json", r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#),
        ("index.json", r#"{"schemaVersion":2}"#),
        ("index.json", r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","mediaType":"x","size":1}]}"#),
    ] {
        let dir = LayoutDir::new();
        dir.write(name, text.as_bytes());
        let error = Layout::open(dir.path(), Limits::default()).await.unwrap_err();
        let refused = match name {
            "oci-layout" => matches!(error, StoreError::Unreadable { .. }),
            _ => matches!(&error, StoreError::Manifest { source, .. } if !matches!(source, ManifestError::Ambiguous)),
        };
        assert!(refused, "{name} {text}: {error:?}");
    }
}

#[tokio::test]
async fn a_deadline_in_the_past_is_a_deadline_and_no_answer() {
    let dir = LayoutDir::new();
    let image = dir.put_image("image", Some("v1"));
    let layout = open(&dir).await;
    let past = Instant::now() - Duration::from_millis(1);
    for error in [
        layout.resolve(&tagged("v1"), past).await.unwrap_err(),
        layout.manifest(&web(), &image, past).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::Timeout, "{error:?}");
    }
}
