//! What a registry answers: manifests, blobs, lists.

use super::*;
use crate::oci::CosignKind;

#[tokio::test]
async fn a_tag_is_resolved_by_one_get_that_says_who_we_are_and_what_we_read() {
    let fake = Fake::start(|_, _| manifest()).await;
    let descriptor = fake.store("").resolve(&fake.tag(), soon()).await.unwrap();
    assert_eq!(descriptor, Descriptor::of(media_type::IMAGE_MANIFEST, MANIFEST.as_bytes()));
    let requests = fake.requests();
    assert_eq!(requests.len(), 1);
    let request = requests[0].to_ascii_lowercase();
    assert!(request.starts_with("get /v2/team/app/manifests/v1 http/1.1\r\n"), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    assert!(request.contains("accept: application/vnd.oci.image.index.v1+json, "), "{request}");
    assert!(!request.contains("authorization") && !request.contains("cookie"), "{request}");
}

/// A name, what is answered, the code.
type Row = (&'static str, fn() -> Vec<u8>, Code);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table, one row a case")]
async fn answers_that_are_no_manifest_are_refused_by_name() {
    let table: &[Row] = &[
        (
            "REG-03 malformed",
            || {
                reply(
                    "200 OK",
                    &format!("Content-Type: {}\r\nDocker-Content-Digest: sha256:\r\n", media_type::IMAGE_MANIFEST),
                    MANIFEST,
                )
            },
            Code::DigestMismatch,
        ),
        (
            "REG-03 other",
            || {
                reply(
                    "200 OK",
                    &format!(
                        "Content-Type: {}\r\nDocker-Content-Digest: {}\r\n",
                        media_type::IMAGE_MANIFEST,
                        Digest::sha256(b"")
                    ),
                    MANIFEST,
                )
            },
            Code::DigestMismatch,
        ),
        (
            "REG-07",
            || {
                b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 999\r\n\r\n{}".to_vec()
            },
            Code::Truncated,
        ),
        ("REG-08 negative", || b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_vec(), Code::BadHttp),
        (
            "REG-08 two",
            || b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}".to_vec(),
            Code::BadHttp,
        ),
        ("REG-12", || reply("200 OK", "Content-Encoding: gzip\r\n", "x"), Code::BadHttp),
        (
            "REG-13",
            || typed(media_type::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#),
            Code::AmbiguousManifest,
        ),
        (
            "REG-14",
            || {
                typed(
                    media_type::IMAGE_INDEX,
                    &format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, media_type::DOCKER_LIST),
                )
            },
            Code::MediaTypeMismatch,
        ),
        ("REG-15 page", || typed("text/html", "<html>"), Code::UnsupportedMediaType),
        (
            "REG-15 schema 1",
            || typed("application/vnd.docker.distribution.manifest.v1+json", "{}"),
            Code::UnsupportedMediaType,
        ),
        ("REG-15 none", || reply("200 OK", "", MANIFEST), Code::UnsupportedMediaType),
        (
            "REG-16",
            || typed(media_type::IMAGE_MANIFEST, r#"{"schemaVersion":2,"layers":[],"layers":[]}"#),
            Code::BadManifest,
        ),
        ("REG-35 none", || reply("401 Unauthorized", "", ""), Code::Auth),
        (
            "REG-35 basic, anonymous",
            || reply("401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n", ""),
            Code::Auth,
        ),
        ("REG-38", || reply("403 Forbidden", "", ""), Code::Auth),
        ("REG-49 no place", || reply("302 Found", "", ""), Code::BadHttp),
        (
            "REG-55 header",
            || [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 1 << 20], b"\r\n\r\n".to_vec()].concat(),
            Code::BadHttp,
        ),
        ("REG-55 NUL", || b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n".to_vec(), Code::BadHttp),
        (
            "REG-55 headers",
            || format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000)).into_bytes(),
            Code::BadHttp,
        ),
        ("REG-57", || b"\x15\x03\x03\x00\x02\x02\x32".to_vec(), Code::Tls),
        ("not found", || reply("404 Not Found", "", ""), Code::NotFound),
        ("partial", || reply("206 Partial Content", "", "x"), Code::BadHttp),
        ("silence", Vec::new, Code::RegistryUnavailable),
    ];
    for (name, answer, code) in table {
        let fake = Fake::start(|_, _| answer()).await;
        let error = fake.store("").resolve(&fake.tag(), soon()).await.unwrap_err();
        assert_eq!(error.code(), *code, "{name}: {error}");
    }
}

// REG-01, REG-02, REG-04, REG-06, REG-09, REG-10
#[tokio::test]
async fn content_is_what_was_asked_for() {
    let fake = Fake::start(|_, _| typed(media_type::IMAGE_MANIFEST, MANIFEST)).await;
    let store = fake.store("");
    let right = Descriptor::of(media_type::IMAGE_MANIFEST, MANIFEST.as_bytes());
    assert!(store.manifest(&fake.repository(), &right, soon()).await.is_ok());
    assert!(store.blob(&fake.repository(), &right, right.size, soon()).await.is_ok());
    let digest = Descriptor { digest: Digest::sha256(b""), ..right.clone() };
    for (name, descriptor, code) in [
        ("digest", digest.clone(), Code::DigestMismatch),
        ("longer by one", Descriptor { size: right.size - 1, ..right.clone() }, Code::SizeMismatch),
        ("shorter by one", Descriptor { size: right.size + 1, ..right.clone() }, Code::SizeMismatch),
    ] {
        let error = store.manifest(&fake.repository(), &descriptor, soon()).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}");
        let error = store.blob(&fake.repository(), &descriptor, 1 << 20, soon()).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}");
    }
    let other = Descriptor { media_type: media_type::IMAGE_INDEX.to_owned(), ..right.clone() };
    let error = store.manifest(&fake.repository(), &other, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::MediaTypeMismatch);
    let named = Reference::to_digest(fake.repository(), digest.digest);
    assert_eq!(store.resolve(&named, soon()).await.unwrap_err().code(), Code::DigestMismatch);
    let before = fake.requests().len();
    for size in [right.size + 1, u64::MAX] {
        let large = Descriptor { size, ..right.clone() };
        let error = store.blob(&fake.repository(), &large, right.size, soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::LimitExceeded);
    }
    assert_eq!(fake.requests().len(), before, "what exceeds the limit is not asked for");
}

// REG-10, REG-22: at the limit and one byte more, with and without a length.
#[tokio::test]
async fn a_manifest_s_bytes_are_bounded_with_and_without_a_length() {
    let size = u64::try_from(MANIFEST.len()).unwrap();
    for chunked in [false, true] {
        let fake = Fake::start(move |_, _| {
            if !chunked {
                return manifest();
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
                media_type::IMAGE_MANIFEST
            );
            format!("{head}{:x}\r\n{MANIFEST}\r\n0\r\n\r\n", MANIFEST.len()).into_bytes()
        })
        .await;
        let limits = |manifest_bytes| Limits { manifest_bytes, ..Limits::default() };
        assert!(fake.limited("", limits(size)).resolve(&fake.tag(), soon()).await.is_ok());
        let error = fake.limited("", limits(size - 1)).resolve(&fake.tag(), soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::LimitExceeded);
    }
}

/// Request and how many came before it → answer.
type Answer = fn(&str, usize) -> Vec<u8>;
type Listed = Result<(usize, Completeness), Code>;

// REG-20, REG-21, REG-23, REG-29
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table, one row a case")]
async fn only_a_404_means_no_referrers() {
    let table: &[(&str, Answer, Listed)] = &[
        ("none", |_, _| reply("404 Not Found", "", ""), Ok((0, Completeness::Whole))),
        ("two", |_, _| typed(media_type::IMAGE_INDEX, &index(2)), Ok((2, Completeness::Whole))),
        ("at the limit", |_, _| typed(media_type::IMAGE_INDEX, &index(10)), Ok((10, Completeness::Whole))),
        ("past the limit", |_, _| typed(media_type::IMAGE_INDEX, &index(11)), Ok((10, Completeness::Cut))),
        (
            "REG-29 tag 403",
            |request, _| {
                if request.contains("/referrers/") {
                    reply("404 Not Found", "", "")
                } else {
                    reply("403 Forbidden", "", "")
                }
            },
            Err(Code::Auth),
        ),
        (
            "REG-29 tag 503",
            |request, _| {
                if request.contains("/referrers/") { reply("404 Not Found", "", "") } else { reply("503 Busy", "", "") }
            },
            Err(Code::RegistryUnavailable),
        ),
        (
            "REG-29 tag manifest",
            |request, _| if request.contains("/referrers/") { reply("404 Not Found", "", "") } else { manifest() },
            Err(Code::BadReferrers),
        ),
        ("REG-29 api 401", |_, _| reply("401 Unauthorized", "", ""), Err(Code::Auth)),
        ("api 400", |_, _| reply("400 Bad Request", "", ""), Err(Code::BadHttp)),
        ("api page", |_, _| typed("text/html", "<html>"), Err(Code::BadReferrers)),
        (
            "REG-21",
            |_, _| {
                reply(
                    "200 OK",
                    &format!("Content-Type: {}\r\nLink: <?>; rel=next\r\n", media_type::IMAGE_INDEX),
                    &index(1),
                )
            },
            Err(Code::BadReferrers),
        ),
        (
            "REG-20",
            |_, n| {
                reply(
                    "200 OK",
                    &format!("Content-Type: {}\r\nLink: <?n={n}>; rel=next\r\n", media_type::IMAGE_INDEX),
                    &index(1),
                )
            },
            Ok((3, Completeness::Cut)),
        ),
        (
            "three pages",
            |_, n| {
                reply(
                    "200 OK",
                    &format!(
                        "Content-Type: {}\r\n{}",
                        media_type::IMAGE_INDEX,
                        if n < 2 { format!("Link: <?n={n}>; rel=next\r\n") } else { String::new() }
                    ),
                    &index(1),
                )
            },
            Ok((3, Completeness::Whole)),
        ),
        (
            "second page missing",
            |_, n| {
                if n == 0 {
                    reply(
                        "200 OK",
                        &format!("Content-Type: {}\r\nLink: <?n={n}>; rel=next\r\n", media_type::IMAGE_INDEX),
                        &index(1),
                    )
                } else {
                    reply("404 Not Found", "", "")
                }
            },
            Err(Code::BadReferrers),
        ),
        (
            "REG-23",
            |_, _| {
                reply(
                    "200 OK",
                    &format!(
                        "Content-Type: {}\r\nLink: <http://169.254.169.254/x>; rel=next\r\n",
                        media_type::IMAGE_INDEX
                    ),
                    &index(1),
                )
            },
            Err(Code::RedirectDenied),
        ),
        (
            "REG-23 file",
            |_, _| {
                reply(
                    "200 OK",
                    &format!("Content-Type: {}\r\nLink: <file:///etc/passwd>; rel=next\r\n", media_type::IMAGE_INDEX),
                    &index(1),
                )
            },
            Err(Code::RedirectDenied),
        ),
        (
            "REG-23 unreadable",
            |_, _| {
                reply("200 OK", &format!("Content-Type: {}\r\nLink: nonsense\r\n", media_type::IMAGE_INDEX), &index(1))
            },
            Err(Code::BadReferrers),
        ),
    ];
    for (name, answer, expected) in table {
        let fake = Fake::start(*answer).await;
        let store = fake.limited("", Limits { pages: 3, descriptors: 10, retries: 0, ..Limits::default() });
        let listing = store.referrers(&fake.repository(), &subject(), Discovery::REFERRERS, soon()).await;
        let found =
            listing.map(|listing| (listing.referrers.len(), listing.completeness)).map_err(|error| error.code());
        assert_eq!(found, *expected, "{name}");
    }
}

#[tokio::test]
async fn each_way_of_discovery_is_only_gone_where_wanted() {
    let fake = Fake::start(|request, _| {
        if request.contains(".sig ") {
            manifest()
        } else if request.contains("/manifests/sha256-") && !request.contains(".att ") {
            typed(media_type::IMAGE_INDEX, &index(1))
        } else {
            reply("404 Not Found", "", "")
        }
    })
    .await;
    let ways = Discovery::everywhere();
    let listing = fake.store("").referrers(&fake.repository(), &subject(), ways, soon()).await.unwrap();
    let found: Vec<_> = listing.referrers.iter().map(|referrer| referrer.found).collect();
    assert_eq!(found, [Found::ReferrersTag, Found::CosignTag(CosignKind::Signatures)]);
    assert_eq!(fake.requests().len(), 4);
}
