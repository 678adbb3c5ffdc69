//! Where signatures and attestations are looked for, and what is none.

use std::time::Duration;

use countersign::oci::{Descriptor, Digest, media_type};
use integration_tests::{
    registry::Reply,
    shelf::{JWS, Shelf as _, to_bytes},
    sigstore::{
        bundle::Bundle,
        manifest::{self, EMPTY, tag},
        storage::Storage as _,
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{NAME, Scene, ask, named, scans, signatures, told, with, words};

type Verifier = fn(&Scene) -> Value;

fn keyless(scene: &Scene) -> Value {
    signatures(&scene.keyless())
}

fn keyed(scene: &Scene) -> Value {
    signatures(&scene.keys(&["alice"]))
}

fn scanned(scene: &Scene) -> Value {
    scans(&scene.keyless())
}

fn legacy(scene: &Scene) -> Value {
    with(keyless(scene), &json!({ "signatureFormat": "legacy" }))
}

fn bundles(scene: &Scene) -> Value {
    with(keyless(scene), &json!({ "signatureFormat": "bundle" }))
}

fn good(scene: &Scene) -> Bundle {
    scene.bundle(&scene.signer())
}

fn stranger(scene: &Scene) -> Bundle {
    scene.bundle(&scene.named("https://github.com/evil/app"))
}

/// A bundle's manifest, changed before it is pushed.
fn put_changed(scene: &Scene, change: impl FnOnce(&mut Value)) -> Descriptor {
    let bytes = good(scene).bytes();
    let mut manifest = manifest::of_bundle(&scene.image, &bytes);
    change(&mut manifest);
    scene.repository().put_bundle_as(&bytes, &manifest)
}

fn put_platform(scene: &Scene) -> Descriptor {
    let platform = scene.repository().put_image("platform", None);
    let index = scene.repository().put_index(&[platform, scene.image.clone()], Some("index"));
    scene.repository().put_bundle(&index, &scene.bundle_of(&scene.signer(), &sign(&index)));
    index
}

fn sign(image: &Descriptor) -> Value {
    integration_tests::sigstore::envelope::cosign_statement(&image.digest.to_string())
}

/// Name, verifier, what is attached, and what is said.
type Row = (&'static str, Verifier, fn(&Scene), &'static str);

const ROWS: [Row; 24] = [
    ("R3 nothing attached", keyless, |_| (), "no NO_SIGNATURE"),
    ("R3 nothing attached, a scan is asked for", scanned, |_| (), "no NO_ATTESTATION"),
    ("R3 a .sig is no .att", scanned, |scene| put_sig(scene), "no NO_ATTESTATION"),
    ("R3 an .att is no .sig", keyless, |scene| put_att(scene), "no NO_SIGNATURE"),
    ("COS-38 a tag of another algorithm", keyless, |scene| put_sig_under(scene, "sha512-"), "no NO_SIGNATURE"),
    (
        "R6 an empty artifact that is a bundle",
        keyless,
        |scene| {
            put_changed(scene, |manifest| manifest["artifactType"] = json!(EMPTY));
        },
        "yes",
    ),
    (
        "R8 no layer",
        keyless,
        |scene| {
            put_changed(scene, |manifest| manifest["layers"] = json!([]));
        },
        "no BAD_MANIFEST",
    ),
    (
        "R8 two layers beside a good bundle",
        keyless,
        |scene| {
            put_changed(scene, |manifest| manifest["layers"] = json!([manifest["layers"][0], manifest["layers"][0]]));
            scene.repository().put_bundle(&scene.image, &good(scene));
        },
        "yes",
    ),
    ("R11 COS-39 an SBOM under .att", scanned, |scene| put_sbom(scene, "att"), "no UNSUPPORTED_MEDIATYPE"),
    ("R12 only its index is signed", keyless, |scene| drop(put_platform(scene)), "no NO_SIGNATURE"),
    ("R14 a good tag where bundles count", bundles, |scene| put_sig(scene), "no NO_SIGNATURE"),
    (
        "R14 a good bundle where tags count",
        legacy,
        |scene| {
            scene.repository().put_bundle(&scene.image, &good(scene));
        },
        "no NO_SIGNATURE",
    ),
    ("COS-30 fifty layers by others, then a good one", keyless, |scene| put_layers(scene, 50), "yes"),
    ("R18 R20 the last that is tried", keyless, |scene| put_layers(scene, 99), "yes"),
    ("R18 R20 one too far", keyless, |scene| put_layers(scene, 100), "no LIMIT_EXCEEDED"),
    (
        "R40 COS-20 a scan is no signature",
        keyless,
        |scene| {
            put_scan(scene);
        },
        "no PREDICATE_TYPE_MISMATCH",
    ),
    ("R40 nor is provenance", keyless, |scene| put_provenance(scene), "no PREDICATE_TYPE_MISMATCH"),
    (
        "R40 COS-22 provenance is no scan, as a bundle",
        scanned,
        |scene| {
            put_provenance(scene);
        },
        "no PREDICATE_TYPE_MISMATCH",
    ),
    (
        "COS-22 provenance is no scan, as a layer",
        scanned,
        |scene| {
            let layer = scene.mini.base.attest(&scene.signer(), &scene.provenance(), super::EntryKind::Dsse).unwrap();
            scene.repository().put_att_tag(&scene.image, &[layer]);
        },
        "no PREDICATE_TYPE_MISMATCH",
    ),
    (
        "COS-20 a stranger's scan beside good provenance",
        scanned,
        |scene| {
            put_provenance(scene);
            let bundle =
                scene.bundle_of(&scene.named("https://github.com/evil/app"), &scene.scan("2026-11-21T11:00:00Z"));
            scene.repository().put_bundle(&scene.image, &bundle);
        },
        "no IDENTITY_MISMATCH",
    ),
    (
        "R60 a keyed tag that nobody logged",
        keyed,
        |scene| {
            let mut layer = scene.layer(&scene.keyed("alice"));
            layer.entry = None;
            scene.repository().put_sig_tag(&scene.image, &[layer]);
        },
        "yes",
    ),
    (
        "R60 and by another key",
        keyed,
        |scene| {
            let mut layer = scene.layer(&scene.keyed("bob"));
            layer.entry = None;
            scene.repository().put_sig_tag(&scene.image, &[layer]);
        },
        "no SIG_INVALID",
    ),
    (
        "R17 a bundle that is larger than its descriptor says",
        keyless,
        |scene| {
            put_changed(scene, |manifest| manifest["layers"][0]["size"] = json!(10));
        },
        "no SIZE_MISMATCH",
    ),
    (
        "R2 a bundle with another digest",
        keyless,
        |scene| {
            put_changed(scene, |_| ());
            scene.registry.script(
                "/v2/shop/web/blobs/",
                [Reply::body(|body| {
                    let mut bytes = body.to_vec();
                    let last = bytes.len() - 2;
                    bytes[last] ^= 1;
                    integration_tests::registry::Body::Whole(bytes.into())
                })],
            );
        },
        "no DIGEST_MISMATCH",
    ),
];

fn put_sig(scene: &Scene) {
    scene.repository().put_sig_tag(&scene.image, &[scene.layer(&scene.signer())]);
}

fn put_layers(scene: &Scene, strangers: usize) {
    let other = scene.layer(&scene.named("https://github.com/evil/app"));
    let mut layers = vec![other; strangers];
    layers.push(scene.layer(&scene.signer()));
    scene.repository().put_sig_tag(&scene.image, &layers);
}

fn put_att(scene: &Scene) {
    scene.repository().put_att_tag(&scene.image, &[scene.scan_layer(&scene.signer())]);
}

fn put_sig_under(scene: &Scene, algorithm: &str) {
    let layers = [scene.layer(&scene.signer())];
    scene.repository().put_layers(&layers);
    let name = tag("", &scene.image.digest, "sig").replace("sha256-", algorithm);
    scene.repository().put_document(media_type::IMAGE_MANIFEST, &manifest::tagged(&layers), Some(&name));
}

fn put_pages(scene: &Scene) {
    scene.registry.page(1);
    for _ in 0..2 {
        scene.repository().put_bundle(&scene.image, &stranger(scene));
    }
    scene.repository().put_bundle(&scene.image, &good(scene));
}

fn put_sbom(scene: &Scene, suffix: &str) {
    let sbom = br#"{"spdxVersion":"SPDX-2.3"}"#;
    scene.repository().put_blob(sbom);
    let manifest = json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST,
        "config": Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [Descriptor::of("text/spdx+json", sbom)] });
    let name = tag("", &scene.image.digest, suffix);
    scene.repository().put_manifest(media_type::IMAGE_MANIFEST, &to_bytes(&manifest), Some(&name));
}

fn put_scan(scene: &Scene) {
    let bundle = scene.bundle_of(&scene.signer(), &scene.scan("2026-11-21T11:00:00Z"));
    scene.repository().put_bundle(&scene.image, &bundle);
}

fn put_provenance(scene: &Scene) {
    let bundle = scene.bundle_of(&scene.signer(), &scene.provenance());
    scene.repository().put_bundle(&scene.image, &bundle);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_found_where_the_tools_put_it_and_nowhere_else() {
    let mut wrong = Vec::new();
    for (name, verifier, attach, expected) in ROWS {
        let scene = Scene::new().await;
        attach(&scene);
        let engine = scene.engine(&[named("it", &verifier(&scene))], json!("it")).await.unwrap();
        let answer = ask(&engine, scene.reference()).await;
        if told(&answer) != expected {
            wrong.push(format!("{name}: {} ({:?}), not {expected}", told(&answer), words(&answer)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// R12: nor does a platform's signature count for its index.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_counts_for_the_manifest_that_it_names() {
    let scene = Scene::new().await;
    let index = scene.repository().put_index(std::slice::from_ref(&scene.image), Some("index"));
    scene.repository().put_bundle(&scene.image, &good(&scene));
    let engine = scene.engine(&[named("it", &keyless(&scene))], json!("it")).await.unwrap();
    assert_eq!(told(&ask(&engine, scene.reference()).await), "yes");
    assert_eq!(told(&ask(&engine, scene.repository().digest(&index.digest)).await), "no NO_SIGNATURE");
}

// R5: what could not be had is not "unsigned"; R28, R101: and is one key's trouble.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_leaves_it_open() {
    let mut wrong = Vec::new();
    for status in [401, 403, 429, 500, 503] {
        for what in ["referrers", "tag"] {
            let scene = Scene::new().await;
            scene.repository().put_sig_tag(&scene.image, &[scene.layer(&scene.named("https://github.com/evil/app"))]);
            let path = match what {
                "referrers" => scene.repository().referrers_path(&scene.image.digest),
                _ => scene.repository().manifest_path(&tag("", &scene.image.digest, "sig")),
            };
            scene.registry.script(&path, [Reply::status(status)]);
            let said = scene.verdict(&keyless(&scene)).await;
            if !said.starts_with('?') {
                wrong.push(format!("{status} for the {what}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// R5, R14: what was found elsewhere may still convince.
#[tokio::test(flavor = "multi_thread")]
async fn one_way_that_fails_hides_no_yes_on_another() {
    let scene = Scene::new().await;
    scene.repository().put_sig_tag(&scene.image, &[scene.layer(&scene.signer())]);
    scene.registry.script(&scene.repository().referrers_path(&scene.image.digest), [Reply::status(500)]);
    assert_eq!(scene.verdict(&keyless(&scene)).await, "yes");
}

// R4, R19: a list without end, and more referrers than are looked at.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_looked_at_proves_nothing_absent() {
    for (name, limits, expected) in [
        ("R4 within the pages", json!({ "registry": { "pages": 3 } }), "yes"),
        ("R4 beyond the pages", json!({ "registry": { "pages": 2 } }), "no LIMIT_EXCEEDED"),
        ("R19 at the limit", json!({ "registry": { "descriptors": 3 } }), "yes"),
        ("R19 one more", json!({ "registry": { "descriptors": 2 } }), "no LIMIT_EXCEEDED"),
    ] {
        let scene = Scene::new().await;
        put_pages(&scene);
        let engine = scene.engine_with(&[named("it", &keyless(&scene))], json!("it"), limits).await.unwrap();
        let answer = ask(&engine, scene.reference()).await;
        assert_eq!(told(&answer), expected, "{name}: {:?}", words(&answer));
    }
}

// R16, R17: bytes are bounded before they are read.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_read() {
    let scene = Scene::new().await;
    scene.repository().put_bundle(&scene.image, &good(&scene));
    let size = good(&scene).bytes().len() + 200;
    let small = with(keyless(&scene), &json!({ "maxBundleBytes": 1000 }));
    assert_eq!(scene.verdict(&small).await, "no LIMIT_EXCEEDED");
    assert_eq!(scene.registry.calls_to("/blobs/"), 0, "its size is told before it is asked for");
    let enough = with(keyless(&scene), &json!({ "maxBundleBytes": size }));
    assert_eq!(scene.verdict(&enough).await, "yes");
}

// R10: another repository, a prefix before the tags; the digest that is signed is still the image's.
#[tokio::test(flavor = "multi_thread")]
async fn signatures_may_lie_in_another_repository() {
    let scene = Scene::new().await;
    let home = scene.registry.repository("signatures");
    let layers = [scene.layer(&scene.signer())];
    home.put_layers(&layers);
    let name = tag("team-", &scene.image.digest, "sig");
    home.put_document(media_type::IMAGE_MANIFEST, &manifest::tagged(&layers), Some(&name));
    let elsewhere = home.name().to_string();
    for (source, expected) in [
        (json!({ "repository": elsewhere, "tagPrefix": "team-" }), "yes"),
        (json!({ "repository": elsewhere }), "no NO_SIGNATURE"),
        (json!({ "tagPrefix": "team-" }), "no NO_SIGNATURE"),
    ] {
        let verifier = with(keyless(&scene), &json!({ "source": source }));
        assert_eq!(scene.verdict(&verifier).await, expected, "{source}");
    }
    let other = [scene.layer_about(&scene.signer(), &Digest::sha256(b"other").to_string())];
    home.put_layers(&other);
    home.put_document(media_type::IMAGE_MANIFEST, &manifest::tagged(&other), Some(&name));
    let verifier = with(keyless(&scene), &json!({ "source": { "repository": elsewhere, "tagPrefix": "team-" } }));
    assert_eq!(scene.verdict(&verifier).await, "no SUBJECT_MISMATCH");
}

// R1, R114: a tag is resolved once; whatever it is afterwards, the digest is what is verified.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_resolved_once_and_says_what_its_digest_says() {
    let scene = Scene::new().await;
    scene.repository().put_bundle(&scene.image, &good(&scene));
    let path = scene.repository().manifest_path(&"v1");
    scene.registry.script(&path, [Reply::Faithful, Reply::status(404)]);
    let engine = scene.engine(&[named("it", &keyless(&scene))], json!("it")).await.unwrap();
    let by_tag = ask(&engine, scene.repository().tag("v1")).await;
    assert_eq!(scene.registry.calls_to("/manifests/v1"), 1);
    let calls = scene.registry.calls();
    assert!(calls.iter().skip(1).all(|call| call.target.contains("sha256")), "{calls:?}");
    let by_digest = ask(&engine, scene.reference()).await;
    assert_eq!((told(&by_tag), words(&by_tag)), (told(&by_digest), words(&by_digest)));
    assert_eq!(told(&by_tag), "yes");
}

// The issue's figures: a tag costs one manifest and a blob a layer, a bundle listing, manifest and blob; shapes that could not
// count are not looked for. R93: nothing but the registry is asked.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_could_count_is_asked_for() {
    let count = async |scene: &Scene, verifier: &Value| {
        scene.registry.forget_calls();
        assert_eq!(scene.verdict(verifier).await, "yes");
        let mut kinds: Vec<String> = Vec::new();
        for call in scene.registry.calls() {
            let path = call.path().trim_start_matches("/v2/").trim_start_matches(NAME).to_owned();
            let kind = match path.trim_start_matches('/').split_once('/') {
                Some(("manifests", name)) if name.strip_suffix(".sig").is_some() => "tag",
                Some(("manifests", name)) if *name == scene.image.digest.to_string() => "image",
                Some(("manifests", _)) => "manifest",
                Some(("blobs", _)) => "blob",
                Some(("referrers", _)) => "list",
                _ => panic!("{path}"),
            };
            kinds.push(kind.to_owned());
        }
        kinds.sort();
        kinds.join(" ")
    };
    let scene = Scene::new().await;
    put_sig(&scene);
    assert_eq!(count(&scene, &legacy(&scene)).await, "blob image list tag");
    let scene = Scene::new().await;
    scene.repository().put_bundle(&scene.image, &good(&scene));
    assert_eq!(count(&scene, &bundles(&scene)).await, "blob image list manifest");
    assert_eq!(count(&scene, &keyless(&scene)).await, "blob image list manifest tag");
    // Listed, and nobody's business.
    scene.repository().put_signature(&scene.image, JWS, b"{}");
    assert_eq!(count(&scene, &bundles(&scene)).await, "blob image list manifest");
}

// R28: a slow registry is one question's trouble, and no answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_slow_is_no_answer_in_time() {
    let scene = Scene::new().await;
    scene.repository().put_bundle(&scene.image, &good(&scene));
    scene.registry.script(&scene.repository().referrers_path(&scene.image.digest), [Reply::Silent]);
    let engine = scene.engine(&[named("it", &bundles(&scene))], json!("it")).await.unwrap();
    let question = super::Question {
        tenant: super::Tenant::Cluster,
        reference: scene.reference(),
        now: super::NOW,
        deadline: Instant::now() + Duration::from_millis(300),
    };
    let answer = engine.verify(question).await;
    assert!(told(&answer).starts_with('?'), "{}", told(&answer));
}

// REG-59, R18: what lies under the tag may have any size.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_tag_of_any_size_is_refused_by_its_limit() {
    let large = |scene: &Scene, layers: usize| {
        let layer = scene.layer(&scene.named("https://github.com/evil/app")).descriptor();
        let plain = json!({ "mediaType": layer["mediaType"], "digest": layer["digest"], "size": layer["size"] });
        let mut document = manifest::tagged(&[]);
        document["layers"] = json!(vec![plain; layers]);
        document
    };
    // A thousand, about as many as a manifest may hold, and more than one is read for.
    for layers in [1001, 20_000, 100_000] {
        let scene = Scene::new().await;
        let name = tag("", &scene.image.digest, "sig");
        scene.repository().put_document(media_type::IMAGE_MANIFEST, &large(&scene, layers), Some(&name));
        assert_eq!(scene.verdict(&legacy(&scene)).await, "no LIMIT_EXCEEDED", "{layers}");
    }
    // An index is no signature's manifest.
    let scene = Scene::new().await;
    let name = tag("", &scene.image.digest, "sig");
    scene.repository().put_index(std::slice::from_ref(&scene.image), Some(&name));
    let said = scene.verdict(&legacy(&scene)).await;
    assert!(said.starts_with("no "), "{said}");
}
