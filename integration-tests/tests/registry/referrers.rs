//! Listing: only a 404 means "none", only the whole list is one.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use countersign::oci::{Completeness, CosignKind, Found, media_type};
use integration_tests::{
    registry::{Body, Reply, Response},
    shelf::{JWS, NOTARY_SIGNATURE, index, to_bytes},
};

use super::*;

const MALFORMED: Expected = Err(("Referrers", Code::BadReferrers));
const DENIED: Expected = Err(("RedirectDenied", Code::RedirectDenied));

fn descriptors(count: usize) -> Vec<Descriptor> {
    (0..count).map(|n| Descriptor::of(media_type::IMAGE_MANIFEST, &n.to_le_bytes())).collect()
}

fn list_of(count: usize) -> Reply {
    Reply::ok(media_type::IMAGE_INDEX, to_bytes(&index(&descriptors(count))))
}

/// A page with one more descriptor, and a link to another page, for ever.
fn endless_pages() -> Reply {
    let count = AtomicUsize::new(0);
    Reply::edit(move |call, _| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let page = to_bytes(&index(&[Descriptor::of(media_type::IMAGE_MANIFEST, &n.to_le_bytes())]));
        let link = format!("<{}?page={n}>; rel=\"next\"", call.path());
        Response::new(200, page).with("Content-Type", media_type::IMAGE_INDEX).with("Link", &link)
    })
}

#[tokio::test]
async fn all_pages_are_listed_in_order() {
    let setup = Setup::new().await;
    let signatures: Vec<Descriptor> =
        (0..5_u8).map(|n| setup.repository().put_signature(&setup.image, JWS, &[n])).collect();
    setup.fake.page(2);
    let listing = setup.referrers(&setup.image.digest).await.unwrap();
    assert_eq!(listing.completeness, Completeness::Whole);
    assert!(listing.referrers.iter().all(|referrer| {
        referrer.found == Found::ReferrersApi && referrer.descriptor.artifact_type.as_deref() == Some(NOTARY_SIGNATURE)
    }));
    let digests: Vec<&Digest> = listing.referrers.iter().map(|referrer| &referrer.descriptor.digest).collect();
    assert_eq!(digests, signatures.iter().map(|descriptor| &descriptor.digest).collect::<Vec<_>>());
    assert_eq!(setup.fake.calls().len(), 3);
}

// REG-20
#[tokio::test]
async fn pages_without_end_are_cut_at_the_limit_and_say_so() {
    let setup = Setup::with(Limits { pages: 3, ..Limits::default() }).await;
    for n in 0..3_u8 {
        setup.repository().put_signature(&setup.image, JWS, &[n]);
    }
    setup.fake.page(1);
    let at_limit = setup.referrers(&setup.image.digest).await.unwrap();
    assert_eq!((at_limit.referrers.len(), at_limit.completeness), (3, Completeness::Whole));
    setup.repository().put_signature(&setup.image, JWS, b"one more");
    let above = setup.referrers(&setup.image.digest).await.unwrap();
    assert_eq!((above.referrers.len(), above.completeness), (3, Completeness::Cut));

    let setup = Setup::new().await;
    setup.fake.script("/v2/shop/web/referrers/", [endless_pages()]);
    let endless = setup.referrers(&setup.image.digest).await.unwrap();
    assert_eq!((endless.referrers.len(), endless.completeness), (20, Completeness::Cut));
    assert_eq!(setup.fake.calls().len(), 20);
}

// REG-22
#[tokio::test]
async fn descriptors_are_cut_at_the_limit_and_bytes_are_an_error() {
    for (count, completeness) in [(2000, Completeness::Whole), (2001, Completeness::Cut)] {
        let setup = Setup::new().await;
        setup.fake.script("/v2/shop/web/referrers/", [list_of(count)]);
        let listing = setup.referrers(&setup.image.digest).await.unwrap();
        assert_eq!((listing.referrers.len(), listing.completeness), (2000, completeness), "{count}");
    }
    for (row, body) in [
        ("REG-22 announced", Body::Whole(vec![b' '; (4 << 20) + 1].into())),
        ("REG-22 endless", Body::Endless(vec![b' '; 1 << 20].into(), Duration::ZERO)),
    ] {
        let setup = Setup::new().await;
        let page = Response { body, ..Response::new(200, "").with("Content-Type", media_type::IMAGE_INDEX) };
        setup.fake.script("/v2/shop/web/referrers/", [Reply::Own(page)]);
        check(row, &setup.referrers(&setup.image.digest).await, Err(("Limit", Code::LimitExceeded)));
    }
}

// REG-21, REG-23
#[tokio::test]
async fn links_in_a_circle_or_to_another_origin_are_errors() {
    let elsewhere = FakeRegistry::start().await;
    let port = elsewhere.port();
    let setup = Setup::new().await;
    let own = setup.repository().referrers_path(&setup.image.digest);
    let link = |target: &str| format!("<{target}>; rel=\"next\"");
    let rows: Vec<(&str, String, Expected)> = vec![
        ("REG-21", link(&own), MALFORMED),
        ("REG-21 relative", link(""), MALFORMED),
        ("REG-23 metadata", link("http://169.254.169.254/latest"), DENIED),
        ("REG-23 other host", link("//evil.test/v2/"), DENIED),
        ("REG-23 other port", link(&format!("http://127.0.0.1:{port}{own}?x")), DENIED),
        ("REG-23 other scheme", link(&format!("https://{}{own}?x", setup.fake.host())), DENIED),
        ("REG-23 file", link("file:///etc/passwd"), DENIED),
        ("REG-23 userinfo", link(&format!("http://user:pass@{}{own}?x", setup.fake.host())), DENIED),
        ("malformed", "next, please".into(), MALFORMED),
    ];
    for (row, value, expected) in rows {
        setup.fake.script(&own, [Reply::with("Link", &value)]);
        check(row, &setup.referrers(&setup.image.digest).await, expected);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_later_page_that_is_missing_is_an_error() {
    let setup = Setup::new().await;
    setup.repository().put_signature(&setup.image, JWS, b"1");
    setup.repository().put_signature(&setup.image, JWS, b"2");
    setup.fake.page(1);
    setup.fake.script("/v2/shop/web/referrers/", [Reply::Faithful, Reply::status(404)]);
    check("later 404", &setup.referrers(&setup.image.digest).await, MALFORMED);
}

const FAILURES: [(u16, Expected); 8] = [
    (401, Err(("Auth", Code::Auth))),
    (403, Err(("Auth", Code::Auth))),
    (408, Err(("Unavailable", Code::RegistryUnavailable))),
    (429, Err(("RateLimited", Code::RateLimited))),
    (500, Err(("Unavailable", Code::RegistryUnavailable))),
    (503, Err(("Unavailable", Code::RegistryUnavailable))),
    (405, Err(("Http", Code::BadHttp))),
    (410, Err(("Http", Code::BadHttp))),
];

// REG-29, first half: an error of the API is not "no such API".
#[tokio::test]
async fn an_error_of_the_referrers_api_is_no_empty_list_and_asks_no_tag() {
    for (status, expected) in FAILURES {
        let setup = Setup::new().await;
        setup.fake.script("/v2/shop/web/referrers/", [Reply::status(status)]);
        check(&format!("REG-29 {status}"), &setup.referrers(&setup.image.digest).await, expected);
        assert_eq!(setup.fake.calls_to("/manifests/"), 0, "{status}");
    }
}

// REG-29, second half
#[tokio::test]
async fn an_error_of_the_referrers_tag_is_no_empty_list() {
    let mut rows: Vec<(String, Reply, Expected)> =
        FAILURES.into_iter().map(|(status, expected)| (status.to_string(), Reply::status(status), expected)).collect();
    let image = to_bytes(&integration_tests::shelf::signature(&Descriptor::of("x", b""), JWS, b""));
    rows.push(("image manifest".into(), Reply::ok(media_type::IMAGE_MANIFEST, image), MALFORMED));
    rows.push(("HTML".into(), Reply::ok("text/html", "<html>"), MALFORMED));
    rows.push(("no JSON".into(), Reply::ok(media_type::IMAGE_INDEX, "["), MALFORMED));
    rows.push(("too many".into(), list_of(10_001), Err(("Limit", Code::LimitExceeded))));
    rows.push(("404".into(), Reply::status(404), Ok(())));
    for (row, reply, expected) in rows {
        let setup = Setup::new().await;
        setup.fake.without_referrers_api();
        setup.fake.script("/v2/shop/web/manifests/sha256-", [reply]);
        let found = setup.referrers(&setup.image.digest).await;
        check(&format!("REG-29 {row}"), &found, expected);
        if let Ok(listing) = found {
            assert!(listing.referrers.is_empty() && listing.completeness == Completeness::Whole, "{row}");
        }
    }
}

// Item 72: both ways find what is there.
#[tokio::test]
async fn the_referrers_tag_is_asked_only_after_a_404_of_the_api() {
    let setup = Setup::new().await;
    let signature = setup.repository().put_signature(&setup.image, JWS, b"1");
    setup.repository().put_index(std::slice::from_ref(&signature), Some(&setup.image.digest.referrers_tag()));
    let by_api = setup.referrers(&setup.image.digest).await.unwrap();
    assert_eq!((by_api.referrers.len(), setup.fake.calls_to("/manifests/")), (1, 0));
    setup.fake.without_referrers_api();
    let by_tag = setup.referrers(&setup.image.digest).await.unwrap();
    assert_eq!(by_tag.referrers[0].found, Found::ReferrersTag);
    assert_eq!(by_tag.referrers[0].descriptor, signature);
}

// REG-30: each subject is judged alone, and a 404 is not remembered.
#[tokio::test]
async fn an_api_that_comes_and_goes_is_asked_each_time() {
    let setup = Setup::new().await;
    setup.repository().put_signature(&setup.image, JWS, b"1");
    let other = setup.repository().put_image("other", None);
    setup.repository().put_signature(&other, JWS, b"2");
    let path = setup.repository().referrers_path(&setup.image.digest);
    setup.fake.script(&path, [Reply::status(404), Reply::Faithful]);
    assert!(setup.referrers(&setup.image.digest).await.unwrap().referrers.is_empty());
    assert_eq!(setup.referrers(&other.digest).await.unwrap().referrers.len(), 1);
    assert_eq!(setup.referrers(&setup.image.digest).await.unwrap().referrers.len(), 1);
}

// REG-31, item 72: no filter is asked for, so that no claim about one can hide anything.
#[tokio::test]
async fn a_claimed_filter_changes_nothing() {
    let setup = Setup::new().await;
    setup.repository().put_signature(&setup.image, JWS, b"1");
    setup.fake.script("/v2/shop/web/referrers/", [Reply::with("OCI-Filters-Applied", "artifactType")]);
    assert_eq!(setup.referrers(&setup.image.digest).await.unwrap().referrers.len(), 1);
    assert_eq!(setup.fake.calls()[0].query("artifactType"), None);
}

// REG-32
#[tokio::test]
async fn an_empty_list_is_an_answer_and_not_a_reason_to_ask_the_tag() {
    let setup = Setup::new().await;
    let listing = setup.referrers(&setup.image.digest).await.unwrap();
    assert!(listing.referrers.is_empty() && listing.completeness == Completeness::Whole);
    assert_eq!(setup.fake.calls().len(), 1);
}

#[tokio::test]
async fn what_is_no_index_is_no_list() {
    let rows: Vec<(&str, &str, Bytes)> = vec![
        ("HTML", "text/html", "<html>".into()),
        ("null", media_type::IMAGE_INDEX, "null".into()),
        ("no manifests", media_type::IMAGE_INDEX, r#"{"schemaVersion":2}"#.into()),
        ("null manifests", media_type::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":null}"#.into()),
        ("other type", media_type::IMAGE_INDEX, r#"{"schemaVersion":2,"mediaType":"x","manifests":[]}"#.into()),
        ("twice", media_type::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#.into()),
        (
            "bad digest",
            media_type::IMAGE_INDEX,
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:","size":1}]}"#.into(),
        ),
        ("REG-17", media_type::IMAGE_INDEX, vec![b'['; 1 << 20].into()),
        ("nothing", media_type::IMAGE_INDEX, Bytes::new()),
    ];
    for (row, content_type, body) in rows {
        let setup = Setup::new().await;
        setup.fake.script("/v2/shop/web/referrers/", [Reply::ok(content_type, body)]);
        check(row, &setup.referrers(&setup.image.digest).await, MALFORMED);
    }
}

#[tokio::test]
async fn cosign_tags_are_asked_for_only_when_wanted() {
    let setup = Setup::new().await;
    let tag = format!("{}.sig", setup.image.digest.referrers_tag());
    let signature = setup.repository().put_image("signature", Some(&tag));
    let ways = Discovery { referrers: false, ..Discovery::everywhere() };
    let name = setup.repository().name();
    let listing = setup.store.referrers(&name, &setup.image.digest, ways.clone(), soon()).await.unwrap();
    assert_eq!(listing.referrers.len(), 1);
    assert_eq!(
        (listing.referrers[0].found, &listing.referrers[0].descriptor),
        (Found::CosignTag(CosignKind::Signatures), &signature)
    );
    setup.fake.script(&setup.repository().manifest_path(&tag), [Reply::status(503)]);
    let failed = setup.store.referrers(&name, &setup.image.digest, ways, soon()).await;
    check("503", &failed, Err(("Unavailable", Code::RegistryUnavailable)));
}
