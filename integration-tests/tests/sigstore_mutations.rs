//! Any single field of any good item is another, missing or there twice: refused, or listed as something that nobody signs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use countersign::{
    oci::{
        Artifact, Content, CosignKind, Descriptor, Digest, Discovery, Found, Listing, Reference, Referrer, Repository,
        Subject,
    },
    store::{Deadline, Store, StoreError},
    verifier::{
        Verifier as _, VerifyRequest,
        cosign::{
            Cosign,
            config::{AttestationConfig, Config},
            root::{Profile, TrustedRoot},
            timestamp,
        },
    },
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use self::mutants::{Mutant, mutants};
use crate::{
    cases::{Case, cases, fixtures},
    cosign_fixtures::{Policy, Want},
};

mod mutants;

/// Good cases, one of each form, and another good one of the form.
const VECTORS: [(&str, &str); 20] = [
    ("bundle-ok-email", "bundle-ok-set-only-time"),
    ("bundle-ok-github", "bundle-ok-email"),
    ("bundle-ok-timestamp", "bundle-ok-rekor2"),
    ("bundle-ok-rekor2", "bundle-ok-timestamp"),
    ("bundle-ok-message-signature", "bundle-ok-email"),
    ("bundle-ok-intoto-entry", "bundle-ok-email"),
    ("bundle-att-vuln", "bundle-att-spdxjson"),
    ("bundle-sct-missing-ignored", "bundle-ok-email"),
    ("bundle-no-entries-timestamp", "bundle-ok-timestamp"),
    ("bundle-key-cosign3", "bundle-key-cosign2"),
    ("bundle-key-cosign3-annotations", "bundle-key-cosign3"),
    ("bundle-key-att-vuln", "bundle-key-att-spdxjson"),
    ("cosign-annotations-all", "cosign-hand-good"),
    ("cosign-ok-p384", "cosign-ok-p384-default-hash"),
    ("cosign-oci11-ok", "cosign-oci11-hand-good"),
    ("cosign-att-vuln", "cosign-att-custom"),
    ("cosign-att-two-signatures", "cosign-att-hand-good"),
    ("cosign-keyless-ok", "cosign-keyless-ok-uri"),
    ("cosign-keyless-att-ok", "cosign-keyless-att-ok-intoto"),
    ("cosign-keyless-att-ok-intoto", "cosign-keyless-att-ok"),
];

/// What nobody signs: the document, the path (`*`: any index) and the ways in which it may change, and why that is no harm.
const UNAUTHENTICATED: [(&str, &str, &str, &str); 32] = [
    ("bundle", "/dsseEnvelope/signatures/*/keyid", "drop empty null", KEY_ID),
    (
        "bundle",
        "/verificationMaterial/publicKey/hint",
        "drop empty flip null",
        "a hint proves nothing (R63); the configured keys are tried",
    ),
    ("bundle", "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/*", "twice", TWICE),
    (
        "bundle",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/*/signedTimestamp",
        "flip",
        "certificates in a token, beside those of the trusted root (COS-16); see the next test",
    ),
    ("bundle", "/verificationMaterial/tlogEntries/*", "twice", TWICE),
    (
        "bundle",
        "/verificationMaterial/tlogEntries/*/inclusionPromise",
        "drop null",
        "the proof shows the entry, and a signed timestamp the time",
    ),
    ("layer", "", "stranger", "DSSE ignores what it does not know"),
    ("layer", "/signatures/*", "beside drop stranger swap twice", ANY_SIGNATURE),
    ("layer", "/signatures/*/keyid", "drop empty null twice", KEY_ID),
    ("layer", "/signatures/*/sig", "flip swap", ANY_SIGNATURE),
    ("manifest", "", "stranger", OCI_IGNORES),
    ("manifest", "/annotations", "drop null swap", HINTS),
    ("manifest", "/annotations/dev.sigstore.bundle.content", "drop empty flip", HINTS),
    ("manifest", "/annotations/dev.sigstore.bundle.predicateType", "drop empty flip swap", HINTS),
    ("manifest", "/annotations/org.opencontainers.image.created", "drop empty flip swap", HINTS),
    ("manifest", "/artifactType", "drop empty flip", "the layer tells what it is (R6)"),
    ("manifest", "/config", "stranger swap", CONFIG),
    ("manifest", "/config/artifactType", "drop empty flip null", CONFIG),
    ("manifest", "/config/digest", "flip swap", CONFIG),
    ("manifest", "/config/mediaType", "empty flip", CONFIG),
    ("manifest", "/config/size", "next swap", CONFIG),
    ("manifest", "/layers/*", "beside twice", "any good layer is enough, each is judged alone"),
    ("manifest", "/layers/*", "stranger", OCI_IGNORES),
    ("manifest", "/layers/*/annotations", "drop null swap", HINTS),
    (
        "manifest",
        "/layers/*/annotations/dev.cosignproject.cosign/signature",
        "drop empty",
        "an attestation's is empty; the envelope has the signature",
    ),
    (
        "manifest",
        "/layers/*/annotations/dev.sigstore.cosign/chain",
        "drop empty flip",
        "intermediates are the trusted root's",
    ),
    ("manifest", "/layers/*/annotations/predicateType", "drop empty flip swap", HINTS),
    ("manifest", "/layers/*/mediaType", "flip", "its prefix says that it is a bundle; the bundle says its own type"),
    ("manifest", "/mediaType", "drop empty", "the descriptor says it as well, and must"),
    ("manifest", "/subject", "stranger", OCI_IGNORES),
    ("manifest", "/subject/mediaType", "empty flip", SUBJECT),
    ("manifest", "/subject/size", "next swap", SUBJECT),
];

const ANY_SIGNATURE: &str = "of an envelope's signatures one by a trusted key is enough";
const CONFIG: &str = "nobody reads the config";
const HINTS: &str = "annotations beside what is signed select, and prove nothing";
const KEY_ID: &str = "DSSE does not sign it, and nobody reads it";
const OCI_IGNORES: &str = "OCI ignores members that it does not know";
const SUBJECT: &str = "the digest alone names the subject";
const TWICE: &str = "the same twice counts once";

/// A layout's blobs, and one more that was made up.
#[derive(Debug)]
struct Blobs {
    layout: PathBuf,
    made: BTreeMap<String, Bytes>,
}

impl Blobs {
    fn read(&self, digest: &str) -> Bytes {
        if let Some(bytes) = self.made.get(digest) {
            return bytes.clone();
        }
        let path = self.layout.join("blobs").join(digest.replacen(':', "/", 1));
        std::fs::read(&path).map(Bytes::from).unwrap_or_default()
    }

    fn content(&self, descriptor: &Descriptor) -> Result<Content, StoreError> {
        let bytes = self.read(&descriptor.digest.to_string());
        Content::check(descriptor.clone(), bytes)
            .map_err(|source| StoreError::Content { what: descriptor.digest.to_string(), source })
    }
}

#[async_trait]
impl Store for Blobs {
    async fn resolve(&self, _: &Reference, _: Deadline) -> Result<Descriptor, StoreError> {
        panic!("a verifier resolves nothing")
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: Discovery, _: Deadline) -> Result<Listing, StoreError> {
        panic!("a verifier lists nothing")
    }

    async fn manifest(&self, _: &Repository, descriptor: &Descriptor, _: Deadline) -> Result<Content, StoreError> {
        self.content(descriptor)
    }

    async fn blob(&self, _: &Repository, descriptor: &Descriptor, _: u64, _: Deadline) -> Result<Content, StoreError> {
        self.content(descriptor)
    }
}

/// A good case with its one signature manifest.
struct Vector {
    case: Case,
    verifier: Cosign,
    subject: Subject,
    found: Found,
    manifest: Value,
    layout: PathBuf,
}

impl Vector {
    fn new(case: Case) -> Self {
        let policy = Policy::of(&case);
        let name = Arc::from("sigstore");
        let verifier = match policy.want {
            Want::Attestation => {
                let config: AttestationConfig = serde_json::from_value(policy.verifier()).unwrap();
                Cosign::load_attestation(name, &config, &fixtures()).unwrap()
            }
            Want::Signature => {
                let config: Config = serde_json::from_value(policy.verifier()).unwrap();
                Cosign::load(name, &config, &fixtures()).unwrap()
            }
        };
        let layout = fixtures().join(&case.layout);
        let blobs = Blobs { layout: layout.clone(), made: BTreeMap::new() };
        let bytes = blobs.read(&case.subject.digest);
        let reference = Reference::parse(&case.subject.reference).unwrap();
        let subject = Subject::new(reference.repository().clone(), Descriptor::of(&case.subject.media_type, &bytes));
        let manifest: Value = serde_json::from_slice(&blobs.read(&case.signatures[0])).unwrap();
        let found = match (manifest.get("subject"), policy.want) {
            (Some(_), _) => Found::ReferrersApi,
            (None, Want::Attestation) => Found::CosignTag(CosignKind::Attestations),
            (None, Want::Signature) => Found::CosignTag(CosignKind::Signatures),
        };
        Self { case, verifier, subject, found, manifest, layout }
    }

    fn layer(&self) -> Value {
        let blobs = Blobs { layout: self.layout.clone(), made: BTreeMap::new() };
        let bytes = blobs.read(self.manifest["layers"][0]["digest"].as_str().unwrap());
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Whether a manifest, beside a blob that was made up, says yes.
    async fn is_accepted(&self, manifest: &str, made: Option<&str>) -> bool {
        let bytes = Bytes::copy_from_slice(manifest.as_bytes());
        let descriptor = Descriptor::of("application/vnd.oci.image.manifest.v1+json", &bytes);
        let referrer = Referrer { descriptor: descriptor.clone(), found: self.found };
        let content = Content::check(descriptor, bytes).unwrap();
        let Ok(artifact) = Artifact::read(&self.subject, &referrer, &content) else { return false };
        let made =
            made.map(|text| (Digest::sha256(text.as_bytes()).to_string(), Bytes::copy_from_slice(text.as_bytes())));
        let store = Blobs { layout: self.layout.clone(), made: made.into_iter().collect() };
        let deadline = Instant::now() + Duration::from_mins(5);
        let home = self.subject.repository();
        let request = VerifyRequest::new(&self.subject, &artifact, home, self.case.now(), &store, deadline);
        match self.verifier.verify(&request).await {
            Ok(items) => items.iter().any(|item| item.outcome.is_ok()),
            Err(_) => false,
        }
    }

    /// The manifest with another first layer.
    fn manifest_of(&self, layer: &str) -> String {
        let mut manifest = self.manifest.clone();
        manifest["layers"][0]["digest"] = json!(Digest::sha256(layer.as_bytes()).to_string());
        manifest["layers"][0]["size"] = json!(layer.len());
        manifest.to_string()
    }
}

/// Without the indices.
fn pattern(path: &str) -> String {
    let part = |part: &str| if part.parse::<usize>().is_ok() { "*".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// What was accepted, as document, path and kind; and how many changes were made.
async fn mutate(vector: Vector, donor: Vector) -> (String, BTreeSet<(&'static str, String, &'static str)>, usize) {
    let id = vector.case.id.clone();
    let layer = vector.layer();
    let whole = layer.to_string();
    let original = std::fs::read_to_string(
        Path::new(&vector.layout)
            .join("blobs")
            .join(vector.manifest["layers"][0]["digest"].as_str().unwrap().replacen(':', "/", 1)),
    )
    .unwrap();
    assert!(vector.is_accepted(&vector.manifest.to_string(), None).await, "{id}");
    assert!(vector.is_accepted(&vector.manifest_of(&original), Some(&original)).await, "{id}");
    let (mut accepted, mut made) = (BTreeSet::new(), 0);
    for Mutant { path, kind, text } in mutants(&vector.manifest, Some(&donor.manifest)) {
        made += 1;
        if vector.is_accepted(&text, None).await {
            accepted.insert(("manifest", pattern(&path), kind));
        }
    }
    for Mutant { path, kind, text } in mutants(&layer, Some(&donor.layer())) {
        if text == whole {
            continue;
        }
        made += 1;
        if vector.is_accepted(&vector.manifest_of(&text), Some(&text)).await {
            let is_bundle = layer.get("verificationMaterial").is_some();
            accepted.insert((if is_bundle { "bundle" } else { "layer" }, pattern(&path), kind));
        }
    }
    (id, accepted, made)
}

// R117
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_single_change_of_a_good_item_is_refused_or_of_something_that_nobody_signs() {
    let find = |id: &str| {
        let file = if id.starts_with("bundle-") { "bundle.json" } else { "cosign.json" };
        let found = cases(file).into_iter().find(|case| case.id == id);
        let case = found.unwrap_or_else(|| panic!("{id}"));
        assert_eq!(case.expected, "accept", "{id}");
        Vector::new(case)
    };
    let work: JoinSet<_> = VECTORS.iter().map(|(id, donor)| mutate(find(id), find(donor))).collect();
    let outcomes = work.join_all().await;
    let mut found: BTreeMap<(&str, String, &str), Vec<String>> = BTreeMap::new();
    let mut made = 0;
    for (id, accepted, count) in outcomes {
        made += count;
        for one in accepted {
            found.entry(one).or_default().push(id.clone());
        }
    }
    let listed: BTreeSet<(&str, String, &str)> = UNAUTHENTICATED
        .iter()
        .flat_map(|(document, path, kinds, _)| kinds.split(' ').map(move |kind| (*document, (*path).to_owned(), kind)))
        .collect();
    let unlisted: Vec<_> = found.iter().filter(|(one, _)| !listed.contains(*one)).collect();
    let refused: Vec<_> = listed.iter().filter(|one| !found.contains_key(*one)).collect();
    assert!(
        unlisted.is_empty() && refused.is_empty(),
        "of {made}, accepted: {unlisted:#?}\nrefused by now: {refused:#?}"
    );
    assert!(made > 5000, "{made}");
}

// R90, R117, COS-16: a signed timestamp, bit by bit. What may change are certificates that came along, since the trusted root has
// the signer's.
#[test]
fn a_flipped_bit_of_a_timestamp_is_refused_or_in_a_certificate_that_came_along() {
    let case = cases("bundle.json").into_iter().find(|case| case.id == "bundle-ok-timestamp").unwrap();
    let json = std::fs::read(fixtures().join(Policy::of(&case).trusted_root.unwrap())).unwrap();
    let root = TrustedRoot::parse("fixture", &json, Profile::Sigstore).unwrap();
    let bundle = Vector::new(case).layer();
    let bytes = |pointer: &str| STANDARD.decode(bundle.pointer(pointer).unwrap().as_str().unwrap()).unwrap();
    let mut response = bytes("/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp");
    let signature = bytes("/dsseEnvelope/signatures/0/sig");
    let whole = timestamp::verify(&response, &signature, &root).unwrap().unwrap();
    let certificates: Vec<_> = root.timestamp_authorities.iter().flat_map(|authority| &authority.chain).collect();
    let came_along: Vec<_> = certificates
        .iter()
        .filter_map(|certificate| {
            let der = certificate.der();
            let start = response.windows(der.len()).position(|window| window == der)?;
            Some(start..start + der.len())
        })
        .collect();
    let (mut noticed, mut unnoticed, mut elsewhere) = (0, 0, Vec::new());
    for at in 0..response.len() {
        response[at] ^= 1 << (at % 8);
        match timestamp::verify(&response, &signature, &root) {
            Err(_) | Ok(None) => noticed += 1,
            Ok(Some(time)) => {
                assert_eq!(time, whole, "byte {at}");
                if came_along.iter().any(|place| place.contains(&at)) {
                    unnoticed += 1;
                } else {
                    elsewhere.push(at);
                }
            }
        }
        response[at] ^= 1 << (at % 8);
    }
    // PKIStatus, before the token: granted with modifications is as good as granted.
    assert_eq!(elsewhere, [8]);
    assert!(noticed > 500 && unnoticed > 0, "{noticed} {unnoticed}");
}
