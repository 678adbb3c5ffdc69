use serde_json::{Value, json};

use super::*;
use crate::oci::{CosignKind, Repository, media_type};

const KIND: &str = "application/vnd.example.signature";

fn subject() -> Subject {
    Subject::new(Repository::parse("r.io/app").unwrap(), Descriptor::of(media_type::IMAGE_MANIFEST, b"image"))
}

fn layer() -> Value {
    json!(Descriptor::of("application/octet-stream", b"x"))
}

/// A signature's manifest that is right but for `changes`; `null` removes a member.
fn document(changes: Value) -> Value {
    let mut document = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "artifactType": KIND,
        "config": Descriptor::of(media_type::EMPTY, b"{}"), "layers": [layer()], "subject": subject().descriptor(),
    });
    let Value::Object(changes) = changes else { panic!() };
    for (name, value) in changes {
        if value.is_null() {
            drop(document.as_object_mut().unwrap().remove(&name));
        } else {
            document[name] = value;
        }
    }
    document
}

fn read(bytes: Vec<u8>, media_type: &str, listed: Option<&str>, found: Found) -> Result<Artifact, ArtifactError> {
    let descriptor = Descriptor { artifact_type: listed.map(str::to_owned), ..Descriptor::of(media_type, &bytes) };
    let content = Content::check(descriptor.clone(), bytes.into()).unwrap();
    Artifact::read(&subject(), &Referrer { descriptor, found }, &content)
}

#[test]
fn an_artifact_is_what_its_manifest_says_and_of_the_subject_that_it_names() {
    let other = json!(Descriptor::of(media_type::IMAGE_MANIFEST, b"other"));
    // sha512 of the same bytes is another name, which nobody has compared with ours.
    let sha512 = json!({"mediaType": media_type::IMAGE_MANIFEST, "size": 5,
        "digest": Digest::of(crate::oci::Algorithm::Sha512, b"image").to_string()});
    let none = || json!({"subject": null});
    let old = json!({"artifactType": null, "config": Descriptor::of(KIND, b"{}")});
    let api = Found::ReferrersApi;
    for (row, changes, listed, found, expected) in [
        ("as listed", json!({}), Some(KIND), api, None),
        ("listed without a type", json!({}), None, api, None),
        ("REG-27 another", json!({}), Some("a/b"), api, Some(Code::ArtifactTypeMismatch)),
        ("REG-27 the config's type", old.clone(), Some(KIND), api, None),
        ("REG-27 and not another", old, Some("a/b"), api, Some(Code::ArtifactTypeMismatch)),
        (
            "R6 the empty config's type says nothing",
            json!({"artifactType": KIND, "config": Descriptor::of(media_type::EMPTY, b"{}")}),
            Some(media_type::EMPTY),
            api,
            None,
        ),
        (
            "R6 and the empty type of no config",
            json!({"artifactType": "a/b", "config": Descriptor::of(KIND, b"{}")}),
            Some(media_type::EMPTY),
            api,
            Some(Code::ArtifactTypeMismatch),
        ),
        (
            "REG-27 artifactType before the config's",
            json!({"artifactType": "a/b", "config": Descriptor::of(KIND, b"{}")}),
            Some(KIND),
            api,
            Some(Code::ArtifactTypeMismatch),
        ),
        ("REG-28 none", none(), Some(KIND), api, Some(Code::SubjectMismatch)),
        ("REG-28 none, by tag", none(), Some(KIND), Found::ReferrersTag, Some(Code::SubjectMismatch)),
        ("REG-28 none, by cosign's tag", none(), Some(KIND), Found::CosignTag(CosignKind::Signatures), None),
        ("REG-28 another", json!({"subject": other}), Some(KIND), api, Some(Code::SubjectMismatch)),
        (
            "REG-28 another, by cosign's tag",
            json!({"subject": other}),
            None,
            Found::CosignTag(CosignKind::Signatures),
            Some(Code::SubjectMismatch),
        ),
        ("REG-28 another algorithm", json!({"subject": sha512}), Some(KIND), api, Some(Code::SubjectMismatch)),
    ] {
        let result = read(document(changes).to_string().into(), media_type::IMAGE_MANIFEST, listed, found);
        assert_eq!(result.as_ref().err().map(ArtifactError::code), expected, "{row}: {result:?}");
        if let Ok(artifact) = result {
            assert_eq!(artifact.artifact_type(), KIND, "{row}");
            let bound = if artifact.manifest().subject().is_some() { Binding::Subject } else { Binding::Tag };
            assert_eq!(artifact.binding(), bound, "{row}");
        }
    }
}

#[test]
fn content_of_another_referrer_is_not_its_manifest() {
    let bytes = document(json!({})).to_string().into_bytes();
    let descriptor = Descriptor::of(media_type::IMAGE_MANIFEST, &bytes);
    let content = Content::check(descriptor, bytes.into()).unwrap();
    let descriptor = Descriptor::of(media_type::IMAGE_MANIFEST, b"another");
    let error = Artifact::read(&subject(), &Referrer { descriptor, found: Found::ReferrersApi }, &content).unwrap_err();
    assert_eq!(error.code(), Code::DigestMismatch);
}

#[test]
fn a_manifest_that_reads_two_ways_or_none_is_refused() {
    let image = media_type::IMAGE_MANIFEST;
    let good = document(json!({})).to_string();
    let text = |changes| document(changes).to_string();
    let index = |count: usize| {
        let listed = vec![json!(Descriptor::of(image, b"x")); count];
        json!({"schemaVersion": 2, "manifests": listed}).to_string()
    };
    let size = |size: &str| good.replacen("\"size\":1", &format!("\"size\":{size}"), 1);
    assert!(good.contains("\"size\":1"));
    for (row, kind, text, expected) in [
        ("as it is", image, good.clone(), None),
        ("REG-09 2^63-1", image, size("9223372036854775807"), None),
        ("REG-09 -1", image, size("-1"), Some(Code::BadManifest)),
        ("REG-09 1e30", image, size("1e30"), Some(Code::BadManifest)),
        ("REG-09 text", image, size("\"12\""), Some(Code::BadManifest)),
        ("REG-13", image, text(json!({"manifests": []})), Some(Code::AmbiguousManifest)),
        (
            "REG-13 as an index",
            media_type::IMAGE_INDEX,
            text(json!({"manifests": [], "mediaType": null})),
            Some(Code::AmbiguousManifest),
        ),
        ("REG-14 body", image, text(json!({"mediaType": media_type::IMAGE_INDEX})), Some(Code::MediaTypeMismatch)),
        ("REG-14 none in the body", image, text(json!({"mediaType": null})), None),
        ("REG-15", "text/html", good.clone(), Some(Code::UnsupportedMediaType)),
        (
            "REG-15 schema 1",
            "application/vnd.docker.distribution.manifest.v1+json",
            good.clone(),
            Some(Code::UnsupportedMediaType),
        ),
        ("REG-16 twice", image, good.replacen('{', r#"{"layers":[],"#, 1), Some(Code::BadManifest)),
        ("REG-16 another case beside it", image, text(json!({"Layers": 1, "SUBJECT": 1})), None),
        ("REG-16 another case", image, text(json!({"layers": null, "Layers": [layer()]})), Some(Code::BadManifest)),
        ("REG-17 nested", image, "{\"a\":".repeat(100_000), Some(Code::BadManifest)),
        ("REG-17 brackets", image, "[".repeat(4 << 20), Some(Code::BadManifest)),
        ("REG-17 1e400", image, size("1e400"), Some(Code::BadManifest)),
        ("REG-17 version 1", image, text(json!({"schemaVersion": 1})), Some(Code::BadManifest)),
        ("REG-17 version text", image, text(json!({"schemaVersion": "2"})), Some(Code::BadManifest)),
        ("REG-17 null", image, "null".to_owned(), Some(Code::BadManifest)),
        ("REG-19 10,000", media_type::IMAGE_INDEX, index(10_000), None),
        ("REG-19 10,001", media_type::IMAGE_INDEX, index(10_001), Some(Code::LimitExceeded)),
        ("REG-25 none", image, text(json!({"layers": []})), None),
        ("REG-25 10,001", image, text(json!({"layers": vec![layer(); 10_001]})), Some(Code::LimitExceeded)),
        ("REG-25 no list", image, text(json!({"layers": layer()})), Some(Code::BadManifest)),
    ] {
        let result = Manifest::parse(kind, text.as_bytes());
        assert_eq!(result.as_ref().err().map(ManifestError::code), expected, "{row}");
    }
}

// REG-18: `urls` are not even kept, and inline data is never content.
#[test]
fn urls_and_inline_data_of_a_descriptor_are_not_kept() {
    let mut layer = layer();
    layer["urls"] = json!(["http://169.254.169.254/"]);
    layer["data"] = json!("AAAA");
    let bytes = document(json!({"layers": [layer]})).to_string();
    let Manifest::Image(image) = Manifest::parse(media_type::IMAGE_MANIFEST, bytes.as_bytes()).unwrap() else {
        panic!()
    };
    let kept = json!(image.layers[0]).to_string();
    assert!(!kept.contains("169.254") && !kept.contains("AAAA"), "{kept}");
}
