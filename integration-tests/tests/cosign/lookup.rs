//! R1 to R5: which requests find evidence, and what their answers mean.

use countersign::oci::{Digest, media_type};
use integration_tests::{
    registry::{Body, Reply, Response},
    shelf::Shelf,
    sigstore::{
        manifest::{self, tag},
        storage::Storage,
    },
};

use super::{NAME, Shop};

// R1
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_resolved_once_and_everything_else_goes_by_digest() {
    let shop = Shop::open().await;
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    let tagged = shop.repository().manifest_path(&"v1");
    // Whoever asks for the tag a second time hears of another image.
    let other = shop.registry.repository(NAME).put_image("another", None);
    let flipped = Reply::edit({
        let digest = other.digest.to_string();
        move |_, response| response.without("Docker-Content-Digest").with("Docker-Content-Digest", &digest)
    });
    shop.registry.script(&tagged, [Reply::Faithful, flipped]);
    let value = shop.start().await.value(&shop.by_tag()).await;
    assert_eq!(value["code"], "VERIFIED", "R1: {value}");
    assert_eq!(value["digest"], shop.image.digest.to_string());
    assert_eq!(shop.registry.calls_to(&tagged), 1, "R1: {:?}", shop.registry.calls());
    // The nearest no: the tag means the other image from the start.
    shop.registry.script(&tagged, [Reply::Faithful]);
    shop.repository().put_image("another", Some("v1"));
    assert_eq!(shop.start().await.code(&shop.by_tag()).await, "NO_SIGNATURE", "R1: moved before");
}

/// What of a stored signature is served otherwise than it was pushed.
type Spoil = fn(&Shop);

#[expect(clippy::needless_pass_by_value, reason = "as a reply wants it")]
fn longer(bytes: bytes::Bytes) -> Body {
    Body::Whole([&bytes[..], b" "].concat().into())
}

#[expect(clippy::needless_pass_by_value, reason = "as a reply wants it")]
fn flipped(bytes: bytes::Bytes) -> Body {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Body::Whole(bytes.into())
}

// R2, COS-19
#[tokio::test(flavor = "multi_thread")]
async fn every_byte_is_hashed_and_every_size_compared() {
    let rows: [(&str, Spoil, &str); 8] = [
        ("as pushed", |_| {}, "VERIFIED"),
        (
            "subject, other bytes",
            |shop| {
                shop.registry.script(&shop.repository().manifest_path(&shop.image.digest), [Reply::body(flipped)]);
            },
            "DIGEST_MISMATCH",
        ),
        (
            "blob, other bytes",
            |shop| shop.registry.script("/v2/shop/web/blobs/", [Reply::body(flipped)]),
            "DIGEST_MISMATCH",
        ),
        (
            "blob, a byte more",
            |shop| shop.registry.script("/v2/shop/web/blobs/", [Reply::body(longer)]),
            "SIZE_MISMATCH",
        ),
        (
            "blob, nothing",
            |shop| shop.registry.script("/v2/shop/web/blobs/", [Reply::body(|_| Body::Whole(bytes::Bytes::new()))]),
            "SIZE_MISMATCH",
        ),
        (
            "tag, another digest in the header",
            |shop| {
                let header = Reply::with("Docker-Content-Digest", &Digest::sha256(b"another").to_string());
                shop.registry.script(&sig_path(shop), [header]);
            },
            "DIGEST_MISMATCH",
        ),
        (
            "referrer, other bytes",
            |shop| {
                shop.repository().remove_tag(&tag("", &shop.image.digest, "sig"));
                let bundle = shop.repository().put_bundle(&shop.image, &shop.bundle());
                shop.registry.script(&shop.repository().manifest_path(&bundle.digest), [Reply::body(flipped)]);
            },
            "DIGEST_MISMATCH",
        ),
        (
            "bundle, other bytes",
            |shop| {
                shop.repository().remove_tag(&tag("", &shop.image.digest, "sig"));
                shop.repository().put_bundle(&shop.image, &shop.bundle());
                shop.registry.script("/v2/shop/web/blobs/", [Reply::body(flipped)]);
            },
            "DIGEST_MISMATCH",
        ),
    ];
    for (row, spoil, code) in rows {
        let shop = Shop::open().await;
        shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
        spoil(&shop);
        assert_eq!(shop.code().await, code, "R2 {row}");
    }
}

fn sig_path(shop: &Shop) -> String {
    shop.repository().manifest_path(&tag("", &shop.image.digest, "sig"))
}

// R3
#[tokio::test(flavor = "multi_thread")]
async fn tags_of_cosign_are_found_and_a_404_means_none() {
    let shop = Shop::open().await;
    assert_eq!(shop.code().await, "NO_SIGNATURE", "R3: no .sig");
    shop.repository().put_att_tag(&shop.image, &[shop.attested(&shop.scan())]);
    assert_eq!(shop.code().await, "NO_SIGNATURE", "R3, R40: an .att is no signature");
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    assert_eq!(shop.code().await, "VERIFIED", "R3: .sig");

    let mut shop = Shop::open().await;
    shop.wants_scans();
    assert_eq!(shop.code().await, "NO_ATTESTATION", "R3: no .att");
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    assert_eq!(shop.code().await, "NO_ATTESTATION", "R3: a .sig is no attestation");
    shop.repository().put_att_tag(&shop.image, &[shop.attested(&shop.scan())]);
    assert_eq!(shop.code().await, "VERIFIED", "R3: .att");
}

// R4, COS-30 for lists
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_followed_to_their_bound() {
    // Three pages of two, the good one last; `pages` is at its value, and one below it.
    for (row, pages, code) in [("three of three", 3, "VERIFIED"), ("three of two", 2, "LIMIT_EXCEEDED")] {
        let mut shop = Shop::open().await;
        shop.configuration["limits"]["registry"]["pages"] = pages.into();
        shop.registry.page(2);
        for number in 0..5 {
            shop.repository().put_document(media_type::IMAGE_MANIFEST, &spdx(&shop, number), None);
        }
        shop.repository().put_bundle(&shop.image, &shop.bundle());
        assert_eq!(shop.code().await, code, "R4 {row}");
        assert_eq!(shop.registry.calls_to("/referrers/"), pages.min(3), "R4 {row}");
    }
    // A list without end, each page of which is new.
    let shop = Shop::open().await;
    let path = shop.repository().referrers_path(&shop.image.digest);
    let next = path.clone();
    let endless = Reply::edit(move |call, response| {
        let at: usize = call.query("at").and_then(|text| text.parse().ok()).unwrap_or_default();
        response.with("Link", &format!("<{next}?at={}>; rel=\"next\"", at + 1))
    });
    shop.registry.script(&path, [endless]);
    assert_eq!(shop.code().await, "LIMIT_EXCEEDED", "R4 endless");
    assert_eq!(shop.registry.calls_to("/referrers/"), 20, "R4 endless: limits.registry.pages");
    // Beside it a good signature still counts for a verifier that must say yes.
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    assert_eq!(shop.code().await, "VERIFIED", "R4 endless, and a good .sig");
}

/// A referrer that nobody asks for.
fn spdx(shop: &Shop, number: usize) -> serde_json::Value {
    let mut document = manifest::of_bundle(&shop.image, number.to_string().as_bytes());
    document["artifactType"] = "application/spdx+json".into();
    document["layers"][0]["mediaType"] = "application/spdx+json".into();
    document
}

/// Where something is asked for.
type Path = fn(&Shop) -> String;

// R5
#[tokio::test(flavor = "multi_thread")]
async fn only_a_404_means_none() {
    let shop = Shop::open().await;
    shop.registry.without_referrers_api();
    assert_eq!(shop.code().await, "NO_SIGNATURE", "R5: no API, no tag");
    let bundle = shop.repository().put_bundle(&shop.image, &shop.bundle());
    assert_eq!(shop.code().await, "NO_SIGNATURE", "R5: nobody maintained the tag");
    shop.repository().put_referrers_tag(&shop.image, &[bundle]);
    assert_eq!(shop.code().await, "VERIFIED", "R5: by the referrers tag");

    let ways: [(&str, Path); 3] = [
        ("listing", |shop| shop.repository().referrers_path(&shop.image.digest)),
        (".sig", sig_path),
        ("referrers tag", |shop| {
            shop.registry.without_referrers_api();
            shop.repository().manifest_path(&shop.image.digest.to_string().replace(':', "-"))
        }),
    ];
    for (way, path) in ways {
        for (status, said) in
            [(401, "AUTH"), (403, "AUTH"), (429, "RATE_LIMITED"), (500, "REG_UNAVAILABLE"), (503, "REG_UNAVAILABLE")]
        {
            let shop = Shop::open().await;
            // The pattern of the referrers tag is a prefix of that of `.sig`: its own script comes first.
            let path = path(&shop);
            shop.registry.script(&path, [Reply::Own(Response::new(status, "{}"))]);
            if path != sig_path(&shop) {
                shop.registry.script(&sig_path(&shop), [Reply::Faithful]);
            }
            let code = shop.code().await;
            assert!(code.contains(said), "R5 {way} {status}: {code}");
            // It takes nothing away from what was found elsewhere.
            if path == sig_path(&shop) {
                shop.repository().put_bundle(&shop.image, &shop.bundle());
            } else {
                shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
            }
            assert_eq!(shop.code().await, "VERIFIED", "R5 {way} {status}, and good evidence elsewhere");
        }
    }
}
