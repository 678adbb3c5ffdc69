//! Manifests and blobs: bytes are what was asked for, or an error that says how they differ.

use bytes::Bytes;
use countersign::oci::{Algorithm, media_type};
use integration_tests::{
    registry::{Body, Reply, Response},
    shelf::{index, to_bytes},
};
use serde_json::{Value, json};

use super::*;

const OTHER: &[u8] = br#"{"schemaVersion":2,"config":{"mediaType":"c","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

const MISMATCH: Expected = Err(("Content", Code::DigestMismatch));
const SIZE: Expected = Err(("Content", Code::SizeMismatch));
const BAD_HTTP: Expected = Err(("Http", Code::BadHttp));
const LIMIT: Expected = Err(("Limit", Code::LimitExceeded));

fn longer(bytes: &Bytes) -> Bytes {
    [bytes.as_ref(), b" "].concat().into()
}

fn shorter(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() - 1)
}

fn digest_header(digest: &str) -> Reply {
    Reply::with("Docker-Content-Digest", digest)
}

#[tokio::test]
async fn a_manifest_by_digest_is_the_one_asked_for_or_an_error() {
    let sha512 = |bytes: &[u8]| Digest::of(Algorithm::Sha512, bytes).to_string();
    let rows: Vec<(&str, Reply, Expected)> = vec![
        ("REG-01", Reply::body(|_| Body::Whole(OTHER.into())), MISMATCH),
        ("REG-03 missing", Reply::without("Docker-Content-Digest"), Ok(())),
        ("REG-03 malformed", digest_header("x"), Err(("DigestHeader", Code::DigestMismatch))),
        ("REG-03 empty", digest_header("sha256:"), Err(("DigestHeader", Code::DigestMismatch))),
        (
            "REG-03 another algorithm, true",
            Reply::edit(move |_, response| {
                let digest = sha512(&response.body.bytes());
                response.without("Docker-Content-Digest").with("Docker-Content-Digest", &digest)
            }),
            Ok(()),
        ),
        ("REG-03 another algorithm, false", digest_header(&Digest::of(Algorithm::Sha512, b"x").to_string()), MISMATCH),
        ("REG-03 another digest", digest_header(&Digest::sha256(b"x").to_string()), MISMATCH),
        ("REG-06 a byte more", Reply::body(|bytes| Body::Whole(longer(&bytes))), MISMATCH),
        ("REG-06 a byte less", Reply::body(|bytes| Body::Whole(shorter(&bytes))), MISMATCH),
        (
            "REG-07",
            Reply::body(|bytes| Body::Declared(bytes.clone(), (bytes.len() + 10).to_string())),
            Err(("Truncated", Code::Truncated)),
        ),
        ("REG-08 smaller", Reply::body(|bytes| Body::Declared(bytes.clone(), (bytes.len() - 1).to_string())), MISMATCH),
        ("REG-08 negative", Reply::body(|bytes| Body::Declared(bytes, "-1".into())), BAD_HTTP),
        ("REG-08 two", Reply::with("Content-Length", "3"), BAD_HTTP),
        (
            "REG-11 chunks",
            Reply::body(|bytes| Body::Chunked(vec![bytes.slice(..9), bytes.slice(9..)], Duration::ZERO)),
            Ok(()),
        ),
        ("until the connection closes", Reply::body(Body::UntilClose), Ok(())),
        ("REG-12", Reply::with("Content-Encoding", "gzip"), BAD_HTTP),
        ("REG-12 identity", Reply::with("Content-Encoding", "identity"), Ok(())),
        ("REG-58", Reply::with("Date", "Sat, 21 Nov 2036 10:00:00 GMT"), Ok(())),
        ("REG-62", Reply::with("Docker-Distribution-Api-Version", "registry/9.9"), Ok(())),
        ("204", Reply::status(204), BAD_HTTP),
        ("206", Reply::edit(|_, response| Response { status: 206, ..response }), BAD_HTTP),
    ];
    for (row, reply, expected) in rows {
        let setup = Setup::new().await;
        setup.fake.script(&setup.image_path(), [reply]);
        let found = setup.resolve(soon()).await;
        check(row, &found, expected);
        if let Ok(found) = found {
            assert_eq!(found, setup.image, "{row}");
        }
        anonymous(row, &setup.fake);
        for call in setup.fake.calls() {
            assert_eq!((call.method.as_str(), call.header("Accept-Encoding")), ("GET", Some("identity")), "{row}");
        }
    }
}

// REG-04, REG-06
#[tokio::test]
async fn described_content_has_its_size_and_digest_or_is_an_error() {
    let rows: Vec<(&str, Reply, Expected)> = vec![
        ("faithful", Reply::Faithful, Ok(())),
        ("REG-04", Reply::body(|bytes| Body::Whole(bytes.iter().rev().copied().collect())), MISMATCH),
        ("REG-06 a byte more", Reply::body(|bytes| Body::Whole(longer(&bytes))), SIZE),
        (
            "REG-06 a byte more, in chunks",
            Reply::body(|bytes| Body::Chunked(vec![longer(&bytes)], Duration::ZERO)),
            SIZE,
        ),
        ("REG-06 a byte less", Reply::body(|bytes| Body::Whole(shorter(&bytes))), SIZE),
        ("REG-06 nothing", Reply::body(|_| Body::Whole(Bytes::new())), SIZE),
        ("REG-10 endless", Reply::body(|bytes| Body::Endless(bytes, Duration::ZERO)), SIZE),
        ("REG-12", Reply::with("Content-Encoding", "gzip"), BAD_HTTP),
        ("404", Reply::status(404), Err(("NotFound", Code::NotFound))),
    ];
    for (row, reply, expected) in rows {
        let setup = Setup::new().await;
        let (repository, name) = (setup.repository(), setup.repository().name());
        let blob = Descriptor::of("x", b"a blob of some bytes");
        repository.put_blob(b"a blob of some bytes");
        setup.fake.script("/v2/", [reply]);
        check(row, &setup.store.blob(&name, &blob, 100, soon()).await, expected);
        check(row, &setup.store.manifest(&name, &setup.image, soon()).await, expected);
    }
}

// REG-09, REG-10: the descriptor's size is compared with the limit before anything is asked for.
#[tokio::test]
async fn what_is_larger_than_the_limit_is_not_even_asked_for() {
    let setup = Setup::new().await;
    let name = setup.repository().name();
    setup.repository().put_blob(b"abcd");
    let blob = Descriptor::of("x", b"abcd");
    assert!(setup.store.blob(&name, &blob, 4, soon()).await.is_ok());
    setup.fake.forget_calls();
    check("REG-10", &setup.store.blob(&name, &blob, 3, soon()).await, LIMIT);
    for size in [5 << 30, u64::MAX >> 1, u64::MAX] {
        let huge = Descriptor { size, ..blob.clone() };
        check("REG-09", &setup.store.blob(&name, &huge, 32 << 20, soon()).await, LIMIT);
        check("REG-09", &setup.store.manifest(&name, &huge, soon()).await, LIMIT);
    }
    assert_eq!(setup.fake.calls().len(), 0);
}

// Item 70; REG-10: where no descriptor says how much it is, reading stops at the bound.
#[tokio::test]
async fn a_manifest_ends_at_the_limit_and_not_one_byte_later() {
    let image = json!({ "schemaVersion": 2, "config": Descriptor::of("c", b""), "layers": [] });
    let size = u64::try_from(to_bytes(&image).len()).unwrap();
    for (row, limit, expected) in [("at the limit", size, Ok(())), ("one above", size - 1, LIMIT)] {
        for chunked in [false, true] {
            let limits = Limits { manifest_bytes: limit, ..Limits::default() };
            let setup = Setup::with(limits).await;
            let pushed = setup.repository().put_document(media_type::IMAGE_MANIFEST, &image, Some("v2"));
            let body = move |bytes: Bytes| {
                if chunked { Body::Chunked(vec![bytes], Duration::ZERO) } else { Body::Whole(bytes) }
            };
            setup.fake.script("/v2/", [Reply::body(body)]);
            let found = setup.store.resolve(&setup.repository().digest(&pushed.digest), soon()).await;
            check(row, &found, expected);
        }
    }
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [Reply::body(|_| Body::Endless(vec![b' '; 1 << 20].into(), Duration::ZERO))]);
    check("endless", &setup.resolve(soon()).await, LIMIT);
}

// REG-07, REG-51: what ended early is asked for again, as often as the limits say.
#[tokio::test]
async fn a_body_that_ends_early_is_asked_for_again() {
    let early = || Reply::body(|bytes| Body::Declared(bytes.clone(), (bytes.len() + 1).to_string()));
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [early(), Reply::Faithful]);
    check("REG-07 once", &setup.resolve(soon()).await, Ok(()));
    let limits = Limits { retries: 0, ..Limits::default() };
    let setup = Setup::with(limits).await;
    setup.fake.script("/v2/", [early(), Reply::Faithful]);
    check("REG-07 no retries", &setup.resolve(soon()).await, Err(("Truncated", Code::Truncated)));
    assert_eq!(setup.fake.calls().len(), 1);
}

// REG-11
#[tokio::test]
async fn a_body_that_drips_ends_at_the_deadline() {
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [Reply::body(|_| Body::Endless(Bytes::from_static(b" "), Duration::from_millis(5)))]);
    check("REG-11", &setup.resolve(in_ms(60)).await, Err(("Deadline", Code::Timeout)));
}

fn image_with(member: &str, value: Value) -> Value {
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE_MANIFEST,
        "config": Descriptor::of("c", b""),
        "layers": [],
    });
    document[member] = value;
    document
}

fn with_size(size: &Value) -> Vec<u8> {
    let layer = json!({ "mediaType": "l", "digest": Digest::sha256(b"").to_string(), "size": size });
    to_bytes(&image_with("layers", json!([layer])))
}

#[tokio::test]
async fn a_manifest_that_can_be_read_as_two_things_or_none_is_refused() {
    let bad = Err(("Manifest", Code::BadManifest));
    let nested = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let with = |member: &str, value: Value| to_bytes(&image_with(member, value));
    let rows: Vec<(&str, &str, Vec<u8>, Expected)> = vec![
        ("REG-09 size -1", media_type::IMAGE_MANIFEST, with_size(&json!(-1)), bad),
        ("REG-09 size 1e30", media_type::IMAGE_MANIFEST, with_size(&json!(1e30)), bad),
        ("REG-09 size \"12\"", media_type::IMAGE_MANIFEST, with_size(&json!("12")), bad),
        ("REG-09 size 2^63-1", media_type::IMAGE_MANIFEST, with_size(&json!(i64::MAX)), Ok(())),
        (
            "REG-13",
            media_type::IMAGE_MANIFEST,
            with("manifests", json!([])),
            Err(("Manifest", Code::AmbiguousManifest)),
        ),
        ("REG-16 case", media_type::IMAGE_MANIFEST, with("Layers", json!(7)), Ok(())),
        ("REG-16 twice", media_type::IMAGE_MANIFEST, br#"{"schemaVersion":2,"layers":[],"layers":[]}"#.to_vec(), bad),
        ("REG-17 depth", media_type::IMAGE_MANIFEST, nested, bad),
        ("REG-17 brackets", media_type::IMAGE_MANIFEST, vec![b'['; 4 << 20], bad),
        ("REG-17 number", media_type::IMAGE_MANIFEST, br#"{"schemaVersion":1e400}"#.to_vec(), bad),
        ("REG-17 version 1", media_type::IMAGE_MANIFEST, with("schemaVersion", json!(1)), bad),
        ("REG-17 version \"2\"", media_type::IMAGE_MANIFEST, with("schemaVersion", json!("2")), bad),
        ("index", media_type::IMAGE_INDEX, to_bytes(&index(&[])), Ok(())),
    ];
    for (row, media_type, bytes, expected) in rows {
        let setup = Setup::new().await;
        setup.repository().put_manifest(media_type, &bytes, Some("v2"));
        check(row, &setup.store.resolve(&setup.repository().tag("v2"), soon()).await, expected);
    }
}

// REG-14, REG-15: header, body and descriptor name one media type; the body may name none.
#[tokio::test]
async fn media_types_agree_or_the_manifest_is_refused() {
    let (oci, docker) = (media_type::IMAGE_MANIFEST, media_type::DOCKER_MANIFEST);
    let mismatch = Err(("Manifest", Code::MediaTypeMismatch));
    let unknown = Err(("Manifest", Code::UnsupportedMediaType));
    let rows: Vec<(&str, &str, Option<&str>, &str, Expected)> = vec![
        // header, body, descriptor
        ("REG-14 all agree", oci, Some(oci), oci, Ok(())),
        ("REG-14 none in the body", oci, None, oci, Ok(())),
        ("REG-14 parameters", "application/vnd.oci.image.manifest.v1+json; charset=utf-8", Some(oci), oci, Ok(())),
        ("REG-14 header differs", docker, Some(oci), oci, mismatch),
        ("REG-14 body differs", oci, Some(docker), oci, mismatch),
        ("REG-14 descriptor differs", oci, Some(oci), docker, mismatch),
        ("REG-14 only the body agrees", docker, Some(oci), docker, mismatch),
        ("REG-14 header differs, none in the body", docker, None, oci, mismatch),
        ("REG-14 an index", media_type::IMAGE_INDEX, None, oci, mismatch),
        ("REG-15 schema 1", "application/vnd.docker.distribution.manifest.v1+prettyjws", None, oci, unknown),
        ("REG-15 login page", "text/html", None, oci, unknown),
        ("REG-15 none", "", None, oci, unknown),
        ("REG-15 just JSON", "application/json", Some(oci), oci, unknown),
    ];
    for (row, header, body, descriptor, expected) in rows {
        let setup = Setup::new().await;
        let mut document = json!({ "schemaVersion": 2, "config": Descriptor::of("c", b""), "layers": [] });
        if let Some(body) = body {
            document["mediaType"] = json!(body);
        }
        let pushed = setup.repository().put_document(header, &document, None);
        let described = Descriptor { media_type: descriptor.to_owned(), ..pushed };
        check(row, &setup.store.manifest(&setup.repository().name(), &described, soon()).await, expected);
    }
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [Reply::ok("text/html", "<html>please log in</html>")]);
    check("REG-15 login page with 200", &setup.store.resolve(&setup.tag(), soon()).await, unknown);
}

// REG-18: only the registry is asked for a blob, whatever its descriptor says about other places.
#[tokio::test]
async fn addresses_in_descriptors_are_never_followed() {
    let (setup, elsewhere) = (Setup::new().await, FakeRegistry::start().await);
    let layer = json!({
        "mediaType": "l",
        "digest": Digest::sha256(b"foreign").to_string(),
        "size": 7,
        "urls": [elsewhere.url("/foreign")],
        "data": "Zm9yZWlnbg==",
    });
    let manifest = image_with("layers", json!([layer]));
    setup.repository().put_document(media_type::IMAGE_MANIFEST, &manifest, Some("v2"));
    assert!(setup.store.resolve(&setup.repository().tag("v2"), soon()).await.is_ok());
    let blob = Descriptor::of("l", b"foreign");
    let found = setup.store.blob(&setup.repository().name(), &blob, 100, soon()).await;
    check("REG-18", &found, Err(("NotFound", Code::NotFound)));
    assert_eq!(elsewhere.connections(), 0);
}

// REG-02, REG-05, item 67: one GET, no HEAD before it; what it answered is what is described.
#[tokio::test]
async fn a_tag_that_moves_between_calls_yields_one_digest() {
    let setup = Setup::new().await;
    let other = setup.repository().put_image("other", None);
    let bytes = setup.store.manifest(&setup.repository().name(), &other, soon()).await.unwrap().bytes().clone();
    setup.fake.forget_calls();
    let moved = Reply::edit(move |_, response| {
        let response = response.without("Docker-Content-Digest");
        Response { body: Body::Whole(bytes.clone()), ..response }
    });
    setup.fake.script(&setup.repository().manifest_path(&"v1"), [Reply::Faithful, moved]);
    assert_eq!(setup.store.resolve(&setup.tag(), soon()).await.unwrap(), setup.image);
    assert_eq!(setup.fake.calls().iter().map(|call| call.method.as_str()).collect::<Vec<_>>(), ["GET"]);
    assert_eq!(setup.store.resolve(&setup.tag(), soon()).await.unwrap(), other);
}

// REG-62
#[tokio::test]
async fn nothing_but_what_is_wanted_is_asked_for() {
    let setup = Setup::new().await;
    setup.fake.script("/v2/?", [Reply::status(404)]);
    setup.resolve(soon()).await.unwrap();
    setup.referrers(&setup.image.digest).await.unwrap();
    let paths: Vec<String> = setup.fake.calls().iter().map(|call| call.target.clone()).collect();
    assert_eq!(paths, [setup.image_path(), setup.repository().referrers_path(&setup.image.digest)]);
}

// REG-60
#[tokio::test]
async fn a_tag_deleted_meanwhile_leaves_the_digest() {
    let setup = Setup::new().await;
    let subject = setup.store.resolve(&setup.tag(), soon()).await.unwrap();
    setup.repository().remove_tag("v1");
    assert!(setup.referrers(&subject.digest).await.is_ok());
    check("REG-60", &setup.store.resolve(&setup.tag(), soon()).await, Err(("NotFound", Code::NotFound)));
}
