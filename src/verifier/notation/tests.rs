use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

use super::{testing::Signer, *};
use crate::{
    oci::{Artifact, Content, Descriptor, Digest, Discovery, Found, Listing, Reference, Subject, media_type},
    store::{Deadline, Store, StoreError},
};

mod revocation;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
const ENVELOPE: &str = "application/jose+json";

/// Holds one blob, or cannot be reached; counts what it is asked.
#[derive(Debug, Default)]
struct OneBlob {
    bytes: Option<Vec<u8>>,
    calls: AtomicUsize,
}

#[async_trait]
impl Store for OneBlob {
    async fn resolve(&self, _: &Reference, _: Deadline) -> Result<Descriptor, StoreError> {
        unreachable!("a verifier does not resolve")
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: Discovery, _: Deadline) -> Result<Listing, StoreError> {
        unreachable!("a verifier does not list")
    }

    async fn manifest(&self, _: &Repository, _: &Descriptor, _: Deadline) -> Result<Content, StoreError> {
        unreachable!("a verifier does not fetch manifests")
    }

    async fn blob(&self, _: &Repository, wanted: &Descriptor, _: u64, _: Deadline) -> Result<Content, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let what = wanted.digest.to_string();
        match &self.bytes {
            None => Err(StoreError::Unavailable { registry: "r".to_owned(), what, detail: "503".to_owned() }),
            Some(bytes) => Content::check(wanted.clone(), bytes.clone().into())
                .map_err(|source| StoreError::Content { what, source }),
        }
    }
}

/// A verifier that trusts a signer's root, and a good envelope of that signer for [`subject`].
struct World {
    _dir: TempDir,
    notation: Notation,
    envelope: Vec<u8>,
}

fn statement(name: &str, scope: &str, store: &str) -> Value {
    json!({
        "name": name, "registryScopes": [scope], "signatureVerification": {"level": "strict"},
        "trustStores": [store], "trustedIdentities": ["*"],
    })
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let signer = Signer::default();
        std::fs::write(dir.path().join("root.cer"), signer.chain.last().unwrap()).unwrap();
        std::fs::write(dir.path().join("junk.cer"), b"junk").unwrap();
        let mut both = statement("both", "a.b/both", "ca:junk");
        both["trustStores"] = json!(["ca:junk", "signingAuthority:acme"]);
        let mut audit = statement("audit", "a.b/audit", "ca:junk");
        audit["signatureVerification"]["level"] = json!("audit");
        let config = json!({
            "trustPolicies": [
                statement("web", "a.b/web", "ca:acme"),
                statement("junk", "a.b/junk", "ca:junk"),
                statement("tsa", "a.b/tsa", "tsa:acme"),
                both, audit,
                {"name": "free", "registryScopes": ["a.b/free"], "signatureVerification": {"level": "skip"}},
            ],
            "trustStores": {
                "ca": {"acme": ["root.cer"], "junk": ["junk.cer"]},
                "signingAuthority": {"acme": ["root.cer"]}, "tsa": {"acme": ["root.cer"]},
            },
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let notation = Notation::load("notary".into(), &config, dir.path()).unwrap();
        let protected = testing::protected_json().to_string();
        let envelope = signer.jws(&protected, testing::PAYLOAD).to_string().into_bytes();
        Self { _dir: dir, notation, envelope }
    }

    fn layer(&self) -> Value {
        serde_json::to_value(Descriptor::of(ENVELOPE, &self.envelope)).unwrap()
    }

    async fn verify(&self, repository: &str, artifact: &Artifact, store: &OneBlob) -> Result<Verified, VerifyError> {
        let subject = Subject::new(Repository::parse(repository).unwrap(), subject());
        let deadline = Instant::now() + Duration::from_mins(1);
        let request = VerifyRequest::new(&subject, artifact, subject.repository(), NOW, store, deadline);
        let mut items = self.notation.verify(&request).await?;
        assert_eq!(items.len(), 1, "one signature an artifact");
        items.remove(0).outcome
    }
}

fn subject() -> Descriptor {
    let payload: Value = serde_json::from_str(testing::PAYLOAD).unwrap();
    Descriptor::read(&payload["targetArtifact"]).unwrap()
}

fn config_of(media_type: &str) -> Value {
    serde_json::to_value(Descriptor::of(media_type, b"{}")).unwrap()
}

/// Reads a manifest of [`subject`] as an artifact.
fn artifact(manifest_type: &str, mut manifest: Value) -> Artifact {
    manifest["subject"] = serde_json::to_value(subject()).unwrap();
    if manifest_type != media_type::ARTIFACT_MANIFEST {
        manifest["schemaVersion"] = json!(2);
    }
    let bytes = manifest.to_string();
    let descriptor = Descriptor::of(manifest_type, bytes.as_bytes());
    let content = Content::check(descriptor.clone(), bytes.into()).unwrap();
    let subject = Subject::new(Repository::parse("a.b/web").unwrap(), subject());
    Artifact::read(&subject, &Referrer { descriptor, found: Found::ReferrersApi }, &content).unwrap()
}

fn legacy(layers: &Value) -> Artifact {
    artifact(media_type::IMAGE_MANIFEST, json!({"config": config_of(manifest::ARTIFACT_TYPE), "layers": layers}))
}

// item 26, item 71; ENV-02, ENV-66, D17, D18
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn only_the_two_forms_of_signature_manifest_are_read() {
    let world = World::new();
    let layer = || json!([world.layer()]);
    let (image, old) = (media_type::IMAGE_MANIFEST, media_type::ARTIFACT_MANIFEST);
    let (kind, empty) = (manifest::ARTIFACT_TYPE, media_type::EMPTY);
    let other_layer = json!([Descriptor::of("application/vnd.oci.image.layer.v1.tar", &world.envelope)]);
    for (name, manifest_type, manifest, expected) in [
        ("legacy", image, json!({"config": config_of(kind), "layers": layer()}), None),
        ("new", image, json!({"artifactType": kind, "config": config_of(empty), "layers": layer()}), None),
        ("artifact manifest", old, json!({"artifactType": kind, "blobs": layer()}), None),
        (
            "ENV-66, whose annotation lies",
            image,
            json!({"artifactType": kind, "config": config_of(empty), "layers": layer(),
                "annotations": {"io.cncf.notary.x509chain.thumbprint#S256": "[\"00\"]"}}),
            None,
        ),
        (
            "mixed",
            image,
            json!({"artifactType": kind, "config": config_of(kind), "layers": layer()}),
            Some(Code::ArtifactTypeMismatch),
        ),
        (
            "new with an image's config",
            image,
            json!({"artifactType": kind, "config": config_of("application/vnd.oci.image.config.v1+json"), "layers": layer()}),
            Some(Code::ArtifactTypeMismatch),
        ),
        (
            "REG-27 another type than was listed",
            image,
            json!({"artifactType": "a/b", "config": config_of(empty), "layers": layer()}),
            Some(Code::ArtifactTypeMismatch),
        ),
        (
            "REG-27 another config, which is the type where none is said",
            image,
            json!({"config": config_of("a/b"), "layers": layer()}),
            Some(Code::ArtifactTypeMismatch),
        ),
        (
            "Docker's",
            media_type::DOCKER_MANIFEST,
            json!({"config": config_of(kind), "layers": layer()}),
            Some(Code::ArtifactTypeMismatch),
        ),
        ("an index", media_type::IMAGE_INDEX, json!({"artifactType": kind, "manifests": []}), Some(Code::BadManifest)),
        ("REG-25 no layer", image, json!({"config": config_of(kind), "layers": []}), Some(Code::BadManifest)),
        (
            "REG-25 a million layers' worth of one",
            image,
            json!({"config": config_of(kind), "layers": vec![world.layer(); 10_000]}),
            Some(Code::BadManifest),
        ),
        (
            "REG-25 two layers",
            image,
            json!({"config": config_of(kind), "layers": [world.layer(), world.layer()]}),
            Some(Code::BadManifest),
        ),
        (
            "another layer",
            image,
            json!({"config": config_of(kind), "layers": other_layer}),
            Some(Code::UnsupportedMediaType),
        ),
    ] {
        let store = OneBlob { bytes: Some(world.envelope.clone()), ..OneBlob::default() };
        let found = world.verify("a.b/web", &artifact(manifest_type, manifest), &store).await;
        assert_eq!(found.as_ref().err().map(VerifyError::code), expected, "{name}: {found:?}");
        let calls = usize::from(expected.is_none());
        assert_eq!(store.calls.load(Ordering::Relaxed), calls, "{name}: refused before anything is fetched");
    }
}

// item 70
#[tokio::test]
async fn an_envelope_is_measured_before_it_is_fetched() {
    let mut world = World::new();
    let size = u64::try_from(world.envelope.len()).unwrap();
    let artifact = legacy(&json!([world.layer()]));
    let store = OneBlob { bytes: Some(world.envelope.clone()), ..OneBlob::default() };
    world.notation.max_envelope_bytes = size;
    assert!(world.verify("a.b/web", &artifact, &store).await.is_ok());
    world.notation.max_envelope_bytes = size - 1;
    let found = world.verify("a.b/web", &artifact, &store).await.unwrap_err();
    assert_eq!((found.code(), store.calls.load(Ordering::Relaxed)), (Code::LimitExceeded, 1));
}

// D15: could not be fetched is not a no
#[tokio::test]
async fn an_envelope_that_cannot_be_fetched_leaves_the_question_open() {
    let world = World::new();
    let artifact = legacy(&json!([world.layer()]));
    let found = world.verify("a.b/web", &artifact, &OneBlob::default()).await.unwrap_err();
    assert!(matches!(found, VerifyError::Undecided(_)), "{found:?}");
    let other = OneBlob { bytes: Some(vec![b' '; world.envelope.len()]), ..OneBlob::default() };
    let found = world.verify("a.b/web", &artifact, &other).await.unwrap_err();
    assert!(matches!(&found, VerifyError::Rejected(no) if no.code() == Code::DigestMismatch), "{found:?}");
}

// item 43, item 44, item 45, item 48; ENV-33, X-16
#[tokio::test]
async fn a_repository_is_covered_waived_or_refused_before_any_signature_is_looked_at() {
    let world = World::new();
    let artifact = legacy(&json!([world.layer()]));
    for (repository, waiver, covered) in [
        ("a.b/web", None, None),
        ("a.b/free", Some("free"), None),
        ("a.b/audit", None, None),
        ("a.b/both", None, None),
        ("a.b/junk", None, Some(Code::NoTrust)),
        ("a.b/tsa", None, Some(Code::Untrusted)),
        ("a.b/none", None, Some(Code::TrustPolicyMissing)),
        ("a.b/web/below", None, Some(Code::TrustPolicyMissing)),
    ] {
        let at = Repository::parse(repository).unwrap();
        assert_eq!(world.notation.waives(&at).as_ref().map(Waiver::policy), waiver, "{repository}");
        assert_eq!(world.notation.covers(&at).err().map(|no| no.code()), covered, "{repository}");
        let store = OneBlob { bytes: Some(world.envelope.clone()), ..OneBlob::default() };
        let found = world.verify(repository, &artifact, &store).await.err().map(|error| error.code());
        let expected = match repository {
            "a.b/web" | "a.b/audit" => None,
            "a.b/free" => Some(Code::PolicyError),
            "a.b/both" => Some(Code::NoTrust),
            _ => covered,
        };
        assert_eq!(found, expected, "{repository}: whoever asks all the same gets no other answer");
    }
    let faults: Vec<_> = world.notation.store_faults().map(|(name, _)| name.to_string()).collect();
    assert_eq!(faults, ["ca:junk"]);
}

#[test]
fn only_referrers_of_notarys_type_are_looked_at() {
    let world = World::new();
    let listed = |artifact_type: Option<&str>| {
        let artifact_type = artifact_type.map(ToOwned::to_owned);
        let descriptor = Descriptor { artifact_type, ..Descriptor::of(media_type::IMAGE_MANIFEST, b"{}") };
        world.notation.can_verify(&Referrer { descriptor, found: Found::ReferrersApi })
    };
    assert!(listed(Some("application/vnd.cncf.notary.signature")));
    for other in [None, Some("application/vnd.cncf.notary.signature.v2"), Some("application/vnd.cncf.Notary.signature")]
    {
        assert!(!listed(other), "{other:?}");
    }
}

// CVE-2024-23332
#[test]
fn policies_that_admit_more_than_strict_and_scopes_that_match_nothing_are_warned_of() {
    let dir = TempDir::new().unwrap();
    let config = json!({
        "trustPolicies": [
            statement("web", "a.b/web", "ca:acme"),
            statement("hub", "acme/web", "ca:acme"),
            {"name": "free", "registryScopes": ["a.b/free"], "signatureVerification": {"level": "skip"}},
        ],
        "trustStore": "ts",
    });
    let config: Config = serde_json::from_value(config).unwrap();
    let warnings = Notation::load("notary".into(), &config, dir.path()).unwrap().warnings();
    let [scope, skip] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(scope.contains("\"acme/web\"") && scope.contains("docker.io/acme/web"), "{scope}");
    assert!(skip.contains("\"free\""), "{skip}");
}
