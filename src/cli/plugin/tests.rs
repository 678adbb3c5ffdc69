use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::oci::{Descriptor, media_type::IMAGE_MANIFEST};

/// A layout with an image, something attached to it, and something attached to nothing: their digests.
struct Scene {
    folder: TempDir,
    image: Descriptor,
    attached: Descriptor,
}

impl Scene {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("layout/blobs/sha256")).unwrap();
        let put = |folder: &Path, value: &Value| {
            let bytes = value.to_string().into_bytes();
            let descriptor = Descriptor::of(IMAGE_MANIFEST, &bytes);
            fs::write(folder.join("layout/blobs/sha256").join(descriptor.digest.hex()), &bytes).unwrap();
            descriptor
        };
        let empty = Descriptor::of("application/vnd.oci.empty.v1+json", b"{}");
        let path = folder.path();
        fs::write(path.join("layout/blobs/sha256").join(empty.digest.hex()), b"{}").unwrap();
        let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": empty, "layers": [empty] });
        let image = put(path, &manifest);
        let mut attached = manifest;
        attached["subject"] = serde_json::to_value(&image).unwrap();
        attached["artifactType"] = json!("application/example");
        let attached = put(path, &attached);
        fs::write(path.join("layout/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let index = json!({ "schemaVersion": 2, "manifests": [image, attached] });
        fs::write(path.join("layout/index.json"), index.to_string()).unwrap();
        Self { folder, image, attached }
    }

    async fn find(&self, artifact: &str, subject: Option<&str>) -> Result<Attached, attached::NotAttached> {
        let store = Layout::open(&self.folder.path().join("layout"), layout::Limits::default()).await.unwrap();
        let subject = subject.map(|text| Reference::parse(text).unwrap());
        let wanted = attached::Wanted::parse(artifact, subject).unwrap();
        Attached::find(&store, &wanted, Instant::now() + AROUND).await
    }
}

#[tokio::test]
async fn an_artifact_is_shown_with_the_image_that_it_names() {
    let scene = Scene::set();
    let (image, attached) = (&scene.image.digest, &scene.attached.digest);
    let found = scene.find(&attached.to_string(), None).await.unwrap();
    assert_eq!(found.subject.to_string(), format!("layout.invalid/image@{image}"));
    assert_eq!(found.artifact.artifact_type(), "application/example");
    let named = format!("registry.example.com/app@{attached}");
    let found = scene.find(&named, Some(&format!("registry.example.com/app@{image}"))).await.unwrap();
    assert_eq!(found.subject.to_string(), format!("registry.example.com/app@{image}"));
}

#[tokio::test]
async fn what_is_not_attached_to_the_image_is_handed_to_no_plugin() {
    let scene = Scene::set();
    let (image, attached) = (scene.image.digest.to_string(), scene.attached.digest.to_string());
    let other = format!("app@{attached}");
    for (row, artifact, subject, words) in [
        ("it names none", image.as_str(), None, "attached to nothing"),
        ("it names another", attached.as_str(), Some(other.as_str()), "SUBJECT_MISMATCH"),
    ] {
        match scene.find(artifact, subject).await {
            Err(attached::NotAttached::Artifact(why)) => assert!(why.contains(words), "{row}: {why}"),
            Err(attached::NotAttached::Store(error)) => panic!("{row}: {error}"),
            Ok(_) => panic!("{row}: it was found"),
        }
    }
    let none = scene.find(&Digest::sha256(b"none").to_string(), None).await;
    assert!(matches!(none, Err(attached::NotAttached::Store(_))));
    assert!(attached::Wanted::parse("Not A Reference", None).is_err());
}

#[test]
fn a_program_is_pinned_where_it_really_is() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.sh");
    fs::write(&real, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
    let program = Program::at(&folder.path().join("link"), None).unwrap();
    assert_eq!((program.command.as_str(), program.sha256), ("real.sh", Digest::sha256(b"#!/bin/sh\n")));
    let other = Digest::sha256(b"other");
    for pin in [other.to_string(), other.hex().to_owned()] {
        assert_eq!(Program::at(&real, Some(pin)).unwrap().sha256, other);
    }
    assert!(Program::at(&real, Some("abc".to_owned())).is_err());
    assert!(Program::at(folder.path(), None).is_err());
    assert!(Program::at(&folder.path().join("none"), None).is_err());
}

#[test]
fn settings_are_one_bounded_object() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        object(&file)
    };
    assert_eq!(read(r#"{"a":[1]}"#).unwrap()["a"], json!([1]));
    for text in ["", "[]", "1", r#"{"a":1,"a":2}"#, r#"{"a":1} x"#] {
        assert!(read(text).is_err(), "{text}");
    }
    let limit = usize::try_from(MAX_CONFIG_BYTES).unwrap();
    assert!(read(&format!("{}{{}}", " ".repeat(limit - 2))).is_ok());
    assert!(read(&format!("{}{{}}", " ".repeat(limit - 1))).is_err());
}
