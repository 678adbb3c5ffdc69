//! Each shape in which Sigstore evidence is stored, through registry client, executor and verifier together; each good one, and the
//! nearest that must be refused. Numbers are those of `sigstore.md` §9.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    oci::{Descriptor, media_type},
    time::Clock,
};
use integration_tests::{
    provider::{Stage, configuration},
    registry::{FakeRegistry, Reply, Repository},
    shelf::{Shelf as _, index},
    sigstore::{
        Mini,
        bundle::{Bundle, Version},
        certificate::Name,
        envelope::{EntryKind, VULN, cosign_statement, simple_signing, statement, vuln_statement},
        legacy::Layer,
        manifest::{self, EMPTY},
        signer::Signer,
        storage::Storage as _,
    },
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

const NAME: &str = "shop/web";
const ISSUER: &str = "https://issuer.example.com";
const SUBJECT: &str = "https://github.com/acme/web/.github/workflows/release.yml@refs/heads/main";

/// A registry with an image, an instance, and its signer.
struct Exhibit {
    stage: Stage,
    registry: FakeRegistry,
    image: Descriptor,
    mini: Mini,
    signer: Signer,
}

impl Exhibit {
    async fn new() -> Self {
        let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
        let image = registry.repository(NAME).put_image("image", Some("v1"));
        let mini = Mini::new("storage", Clock::System.now() - Duration::HOUR);
        let signer = mini.base.signer(Name::Uri(SUBJECT.to_owned()), ISSUER).unwrap();
        stage.write("trusted_root.json", &mini.trusted_root_json());
        Self { stage, registry, image, mini, signer }
    }

    fn shelf(&self) -> Repository<'_> {
        self.registry.repository(NAME)
    }

    fn digest(&self) -> String {
        self.image.digest.to_string()
    }

    /// A signature of the image, or of another.
    fn layer(&self, digest: &str) -> Layer {
        self.mini.base.sign(&self.signer, simple_signing("elsewhere.example.com/web", digest, &Value::Null)).unwrap()
    }

    fn attestation(&self, statement: &Value, kind: EntryKind) -> Layer {
        self.mini.base.attest(&self.signer, statement, kind).unwrap()
    }

    fn bundle(&self, statement: &Value) -> Bundle {
        self.mini.base.bundle(&self.signer, Version::V03New, statement, EntryKind::Dsse).unwrap()
    }

    /// What a server without any cache decides by a verifier of signatures, or of scans of a week.
    async fn code(&self, verifier: &str) -> String {
        self.code_with(verifier, &json!({})).await
    }

    async fn code_with(&self, verifier: &str, members: &Value) -> String {
        let policy = json!([{ "name": "all", "scopes": ["**"], "trustedRoot": { "file": "trusted_root.json" },
            "identities": [{ "issuer": ISSUER, "subject": SUBJECT }] }]);
        let mut signatures = json!({ "name": "signed", "type": "cosign", "trustPolicies": policy });
        signatures.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let scans = json!({ "name": "scanned", "type": "attestation", "trustPolicies": policy, "predicateType": VULN,
            "maxAge": "168h", "timeField": "/predicate/metadata/scanFinishedOn" });
        let mut configuration = configuration([self.registry.host().as_str()]);
        configuration["verifiers"] = json!([signatures, scans]);
        configuration["policies"] = json!([{ "scopes": ["**"], "require": { "any": [verifier] } }]);
        let provider = self.stage.start(&configuration).await;
        provider.code(&self.shelf().digest(&self.image.digest).to_string()).await
    }
}

fn rfc3339(moment: OffsetDateTime) -> String {
    moment.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap()
}

/// Another image's digest.
fn another() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

// R3, R29, R31: the name in the payload is another, and nobody minds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signature_tag() {
    let exhibit = Exhibit::new().await;
    assert_eq!(exhibit.code("signed").await, "NO_SIGNATURE");
    exhibit.shelf().put_sig_tag(&exhibit.image, &[exhibit.layer(&another())]);
    assert_eq!(exhibit.code("signed").await, "SUBJECT_MISMATCH", "R29");
    let mut broken = exhibit.layer(&exhibit.digest());
    broken.signature.as_mut().unwrap()[20] ^= 1;
    exhibit.shelf().put_sig_tag(&exhibit.image, std::slice::from_ref(&broken));
    assert_ne!(exhibit.code("signed").await, "VERIFIED", "R33");
    exhibit.shelf().put_sig_tag(&exhibit.image, &[broken, exhibit.layer(&exhibit.digest())]);
    assert_eq!(exhibit.code("signed").await, "VERIFIED", "R14: the second layer is good");
    assert_eq!(exhibit.code("scanned").await, "NO_ATTESTATION", "R40");
    assert_eq!(exhibit.code_with("signed", &json!({ "signatureFormat": "bundle" })).await, "NO_SIGNATURE");
}

// R10: another repository, and a prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signature_tag_elsewhere() {
    let exhibit = Exhibit::new().await;
    let layers = [exhibit.layer(&exhibit.digest())];
    let shelf = exhibit.registry.repository("signatures/web");
    shelf.put_layers(&layers);
    let tag = manifest::tag("release-", &exhibit.image.digest, "sig");
    shelf.put_document(media_type::IMAGE_MANIFEST, &manifest::tagged(&layers), Some(&tag));
    let source = |prefix| {
        let repository = format!("{}/signatures/web", exhibit.registry.host());
        json!({ "source": { "repository": repository, "tagPrefix": prefix } })
    };
    assert_eq!(exhibit.code_with("signed", &source("release-")).await, "VERIFIED");
    assert_eq!(exhibit.code_with("signed", &source("other-")).await, "NO_SIGNATURE");
    assert_eq!(exhibit.code("signed").await, "NO_SIGNATURE");
}

// R15: D, all referrers of the type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signature_referrer() {
    let exhibit = Exhibit::new().await;
    exhibit.shelf().put_sig_referrer(&exhibit.image, &[exhibit.layer(&another())]);
    assert_eq!(exhibit.code("signed").await, "SUBJECT_MISMATCH");
    exhibit.shelf().put_sig_referrer(&exhibit.image, &[exhibit.layer(&exhibit.digest())]);
    exhibit.shelf().put_sig_referrer(&exhibit.image, &[exhibit.layer(&another())]);
    assert_eq!(exhibit.code("signed").await, "VERIFIED");
}

// R3, R82, R83: each kind of entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attestation_tag() {
    let exhibit = Exhibit::new().await;
    let now = rfc3339(exhibit.mini.base.at);
    let scan = vuln_statement(&exhibit.digest(), &now);
    for kind in [EntryKind::Dsse, EntryKind::InToto001, EntryKind::InToto002] {
        let good = exhibit.attestation(&scan, kind);
        let mut swapped = exhibit.attestation(&scan, kind);
        swapped.entry.clone_from(&good.entry);
        exhibit.shelf().put_att_tag(&exhibit.image, &[swapped]);
        assert_eq!(exhibit.code("scanned").await, "TLOG_INVALID", "{kind:?}: another envelope's entry");
        exhibit.shelf().put_att_tag(&exhibit.image, &[good]);
        assert_eq!(exhibit.code("scanned").await, "VERIFIED", "{kind:?}");
    }
    assert_eq!(exhibit.code("signed").await, "NO_SIGNATURE", "R40");
}

// R38, R39, and the age of what is attested.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attestation_about_something_else_or_too_old() {
    let exhibit = Exhibit::new().await;
    let now = exhibit.mini.base.at;
    let scan = |digest: &str, at| vuln_statement(digest, &rfc3339(at));
    for (name, statement, code) in [
        ("another image", scan(&another(), now), "SUBJECT_MISMATCH"),
        ("eight days old", scan(&exhibit.digest(), now - Duration::days(8)), "ATTESTATION_STALE"),
        ("of tomorrow", scan(&exhibit.digest(), now + Duration::days(1)), "ATTESTATION_FUTURE"),
        (
            "another type",
            statement(&exhibit.digest(), "https://slsa.dev/provenance/v1", &json!({})),
            "PREDICATE_TYPE_MISMATCH",
        ),
    ] {
        exhibit.shelf().put_att_tag(&exhibit.image, &[exhibit.attestation(&statement, EntryKind::Dsse)]);
        assert_eq!(exhibit.code("scanned").await, code, "{name}");
    }
}

// R113: E with a signature of nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attestation_referrer() {
    let exhibit = Exhibit::new().await;
    let scan = vuln_statement(&exhibit.digest(), &rfc3339(exhibit.mini.base.at));
    let good = exhibit.attestation(&scan, EntryKind::Dsse);
    let mut garbage = good.clone();
    let mut envelope: Value = serde_json::from_slice(&garbage.bytes).unwrap();
    envelope["signatures"][0]["sig"] = json!(STANDARD.encode("garbage"));
    garbage.bytes = envelope.to_string().into_bytes();
    exhibit.shelf().put_att_referrer(&exhibit.image, &[garbage]);
    assert_ne!(exhibit.code("scanned").await, "VERIFIED");
    exhibit.shelf().put_att_referrer(&exhibit.image, &[good]);
    assert_eq!(exhibit.code("scanned").await, "VERIFIED");
}

// R4, R5, R14, R40: F, listed by the API in pages, or by the referrers tag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundle_referrer() {
    let exhibit = Exhibit::new().await;
    let provenance = statement(&exhibit.digest(), "https://slsa.dev/provenance/v1", &json!({}));
    let mut listed = vec![
        exhibit.shelf().put_bundle(&exhibit.image, &exhibit.bundle(&cosign_statement(&another()))),
        exhibit.shelf().put_bundle(&exhibit.image, &exhibit.bundle(&provenance)),
    ];
    assert_ne!(exhibit.code("signed").await, "VERIFIED", "R40: another image's signature, and an attestation");
    listed.push(exhibit.shelf().put_bundle(&exhibit.image, &exhibit.bundle(&cosign_statement(&exhibit.digest()))));
    assert_eq!(exhibit.code("signed").await, "VERIFIED");
    exhibit.registry.page(1);
    assert_eq!(exhibit.code("signed").await, "VERIFIED", "R4");
    assert_eq!(exhibit.code_with("signed", &json!({ "signatureFormat": "legacy" })).await, "NO_SIGNATURE");
    exhibit.registry.without_referrers_api();
    assert_eq!(exhibit.code("signed").await, "NO_SIGNATURE");
    exhibit.shelf().put_referrers_tag(&exhibit.image, &listed);
    assert_eq!(exhibit.code("signed").await, "VERIFIED", "R5");
}

// R6, R7, R8, R9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundle_manifest_decides_and_not_its_listing() {
    let exhibit = Exhibit::new().await;
    let shelf = exhibit.shelf();
    let bytes = exhibit.bundle(&cosign_statement(&exhibit.digest())).bytes();
    let honest = manifest::of_bundle(&exhibit.image, &bytes);
    let other = shelf.put_image("another", None);
    let mut two = honest.clone();
    two["layers"].as_array_mut().unwrap().push(honest["layers"][0].clone());
    let mut untyped = honest.clone();
    untyped.as_object_mut().unwrap().remove("artifactType");
    let list = |put: Descriptor, artifact_type: Option<&str>| {
        let listed = Descriptor { artifact_type: artifact_type.map(str::to_owned), ..put };
        let page = Reply::ok(media_type::IMAGE_INDEX, index(&[listed]).to_string());
        exhibit.registry.script(&shelf.referrers_path(&exhibit.image.digest), [page]);
    };
    for (name, document, listed_as, accepted) in [
        ("as it is", &honest, Some("application/vnd.dev.sigstore.bundle.v0.3+json"), true),
        ("R6 listed as empty", &honest, Some(EMPTY), true),
        ("R6 listed without a type", &honest, None, true),
        ("R6 untyped, listed as empty", &untyped, Some(EMPTY), true),
        ("R9 listed as something else", &honest, Some("application/spdx+json"), false),
        ("R8 two layers", &two, Some(EMPTY), false),
        ("R7 of another image", &manifest::of_bundle(&other, &bytes), Some(EMPTY), false),
    ] {
        list(shelf.put_bundle_as(&bytes, document), listed_as);
        assert_eq!(exhibit.code("signed").await == "VERIFIED", accepted, "{name}");
    }
}

// R14: a broken item of one format does not hide a good one of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_item_of_one_format_does_not_hide_a_good_one_of_another() {
    let exhibit = Exhibit::new().await;
    let mut broken = exhibit.bundle(&cosign_statement(&exhibit.digest()));
    broken.entries[0].promise.as_mut().unwrap()[20] ^= 1;
    exhibit.shelf().put_bundle(&exhibit.image, &broken);
    assert_eq!(exhibit.code("signed").await, "TLOG_INVALID");
    exhibit.shelf().put_sig_tag(&exhibit.image, &[exhibit.layer(&exhibit.digest())]);
    assert_eq!(exhibit.code("signed").await, "VERIFIED", "bundle broken, tag good");
    exhibit.shelf().put_bundle(&exhibit.image, &exhibit.bundle(&cosign_statement(&exhibit.digest())));
    exhibit.shelf().put_sig_tag(&exhibit.image, &[exhibit.layer(&another())]);
    assert_eq!(exhibit.code("signed").await, "VERIFIED", "tag wrong, bundle good");
}

// R11: what lies under `.sbom` is nobody's word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sbom_tag_is_never_evidence() {
    let exhibit = Exhibit::new().await;
    let layers = [exhibit.layer(&exhibit.digest())];
    exhibit.shelf().put_layers(&layers);
    let tag = manifest::tag("", &exhibit.image.digest, "sbom");
    exhibit.shelf().put_document(media_type::IMAGE_MANIFEST, &manifest::tagged(&layers), Some(&tag));
    assert_eq!(exhibit.code("signed").await, "NO_SIGNATURE");
    assert_eq!(exhibit.registry.calls_to(".sbom"), 0);
}
