//! One Notary Project signature, measured without a registry: `cargo bench --bench notation`.
//!
//! Parse, signature, chain, policy, timestamp, revocation and payload, on one thread and from memory: the time is the processor's.
//!
//! | case | is |
//! |---|---|
//! | `jws`, `cose` | an envelope with a chain of three, whose certificates nobody is asked about (`skip`) |
//! | `jws, ocsp at hand` | the same, with a response for each certificate in `ocspFiles` |
//! | `cose, crl warm` | the same, with lists that were fetched before; it is an error if anybody is asked again |
//! | `cose, crl cold` | the same, with lists that come (from memory) while it waits, are parsed and verified |
//! | `jws, no timestamp`, `jws, timestamp` | another, without and with its RFC 3161 token looked at |

#![expect(clippy::expect_used, reason = "what a benchmark cannot set up ends it")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use countersign::{
    oci::{
        Artifact, Content, Descriptor, Digest, Discovery, Found, Listing, Reference, Referrer, Repository, Subject,
        media_type,
    },
    store::{Deadline, Store, StoreError},
    verifier::{
        Verifier as _, VerifyRequest,
        notation::{
            Config, Notation,
            revocation::{
                RevocationClient, RevocationClientError, RevocationEvidence, RevocationOutside, RevocationRequest,
            },
        },
    },
};
use divan::{Bencher, counter::ItemsCount};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:41 UTC);
const REPOSITORY: &str = "registry.acorn.test/shop/web";

/// What is signed, by whom, and how it is looked at.
struct Case {
    name: &'static str,
    /// The image and its signature's manifest.
    image: &'static str,
    signature: &'static str,
    stores: &'static [&'static str],
    revocation: &'static str,
    ocsp_files: &'static [&'static str],
    /// Whether what is fetched is kept from one signature to the next.
    warm: bool,
}

const CRL: Case = Case {
    name: "cose",
    image: "28663f61b3d8d143472ca29490f31e205abb635ac7e07397c41c72554410624a",
    signature: "541607e40b1a69b181858183249a06d1a6a5d8e27fda66bc772f3974c50b7c32",
    stores: &["ca:rev"],
    revocation: "skip",
    ocsp_files: &[],
    warm: true,
};

const OCSP: Case = Case {
    name: "jws",
    image: "924599f73d47abd7d985104ee3a9f4552ee0e237073c34de15d7efa98d25f36b",
    signature: "e5ade134f50f23127884562f47eb5c75d4b464ec57f020711f2af4dd6686c6bc",
    ..CRL
};

const TIMESTAMP: Case = Case {
    name: "jws, no timestamp",
    image: "2120d475eb85dbc142473b6f31467fd4ec23f9771e2d3fb91aefeae3791aa342",
    signature: "047f3ed5e1e9d99c9cda3331e2f0c08f6f6fdea731e3a38b41617972acf976bb",
    stores: &["ca:main"],
    revocation: "enforce",
    ..CRL
};

const CASES: [Case; 7] = [
    OCSP,
    Case {
        name: "jws, ocsp at hand",
        revocation: "enforce",
        ocsp_files: &["trust/web/ocsp/16-leaf.der", "trust/web/ocsp/16-inter.der"],
        ..OCSP
    },
    CRL,
    Case { name: "cose, crl warm", revocation: "enforce", ..CRL },
    Case { name: "cose, crl cold", revocation: "enforce", warm: false, ..CRL },
    TIMESTAMP,
    Case { name: "jws, timestamp", stores: &["ca:main", "tsa:main"], ..TIMESTAMP },
];

fn main() {
    divan::main();
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("integration-tests/fixtures")
}

fn blob(hex: &str) -> Bytes {
    let path = fixtures().join("layouts/notation/blobs/sha256").join(hex);
    std::fs::read(path).expect("a blob").into()
}

/// Answers with the pages of the fixtures, and counts.
#[derive(Debug, Default)]
struct Pages(AtomicUsize);

#[async_trait]
impl RevocationClient for Pages {
    async fn fetch(&self, request: RevocationRequest) -> Result<Bytes, RevocationClientError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let path = request.url.strip_prefix("http://pki.acorn.test/").ok_or(RevocationClientError::Status(404))?;
        let read = std::fs::read(fixtures().join("trust/web").join(path));
        read.map(Bytes::from).map_err(|_| RevocationClientError::Status(404))
    }
}

/// A store with one blob.
#[derive(Debug)]
struct OneBlob(Bytes);

#[async_trait]
impl Store for OneBlob {
    async fn resolve(&self, _: &Reference, _: Deadline) -> Result<Descriptor, StoreError> {
        unreachable!("the subject is known")
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: Discovery, _: Deadline) -> Result<Listing, StoreError> {
        unreachable!("the signature is known")
    }

    async fn manifest(&self, _: &Repository, _: &Descriptor, _: Deadline) -> Result<Content, StoreError> {
        unreachable!("the signature's manifest is known")
    }

    async fn blob(&self, _: &Repository, layer: &Descriptor, _: u64, _: Deadline) -> Result<Content, StoreError> {
        Ok(Content::check(layer.clone(), self.0.clone()).expect("the layer"))
    }
}

/// A case, ready to be verified again and again.
struct Ready {
    case: &'static Case,
    runtime: Runtime,
    pages: Arc<Pages>,
    evidence: RevocationEvidence,
    subject: Subject,
    artifact: Artifact,
    store: OneBlob,
}

impl Ready {
    fn of(name: &str) -> Self {
        let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
        let image = Descriptor::of(media_type::IMAGE_MANIFEST, &blob(case.image));
        let subject = Subject::new(Repository::parse(REPOSITORY).expect("a repository"), image);
        let manifest = blob(case.signature);
        let descriptor = Descriptor::of(media_type::IMAGE_MANIFEST, &manifest);
        let read: Value = serde_json::from_slice(&manifest).expect("a manifest");
        let layer = Descriptor::read(read.pointer("/layers/0").expect("a layer")).expect("a layer");
        let content = Content::check(descriptor.clone(), manifest).expect("the manifest");
        let referrer = Referrer { descriptor, found: Found::Layout };
        Self {
            case,
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            pages: Arc::default(),
            evidence: RevocationEvidence::default(),
            artifact: Artifact::read(&subject, &referrer, &content).expect("an artifact"),
            subject,
            store: OneBlob(blob(layer.digest.hex())),
        }
    }

    fn verifier(&self) -> Notation {
        let Case { stores, revocation, ocsp_files, warm, .. } = self.case;
        let mode = if ocsp_files.is_empty() { "online" } else { "offline" };
        let config = json!({
            "trustPolicies": [{
                "name": "unit",
                "registryScopes": [REPOSITORY],
                "signatureVerification": { "level": "strict", "override": { "revocation": revocation } },
                "trustStores": stores,
                "trustedIdentities": ["*"],
            }],
            "trustStore": "trust/notation/truststore",
            "revocation": { "mode": mode, "ocspFiles": ocsp_files },
        });
        let config: Config = serde_json::from_value(config).expect("a configuration");
        let loaded = Notation::load("notary".into(), &config, &fixtures()).expect("a policy");
        let outside = RevocationOutside {
            client: Arc::<Pages>::clone(&self.pages),
            evidence: if *warm { self.evidence.clone() } else { RevocationEvidence::default() },
            runtime: self.runtime.handle().clone(),
            meter: None,
        };
        if ocsp_files.is_empty() { loaded.asking(&config, &fixtures(), outside).expect("a way out") } else { loaded }
    }

    fn verify(&self, notation: &Notation) {
        let Self { subject, artifact, store, .. } = self;
        let deadline = Instant::now() + Duration::from_mins(1);
        let request = VerifyRequest::new(subject, artifact, subject.repository(), NOW, store, deadline);
        let items = self.runtime.block_on(notation.verify(&request)).expect("it is looked at");
        assert!(items.iter().all(|item| item.outcome.is_ok()), "{items:?}");
    }
}

#[divan::bench(args = CASES.iter().map(|case| case.name))]
fn signature(bencher: Bencher<'_, '_>, name: &str) {
    let ready = Ready::of(name);
    let bencher = bencher.counter(ItemsCount::new(1_usize));
    // A verifier knows a chain again; so each signature has one of its own. Evidence is kept as long as one of them lives.
    let first = ready.verifier();
    ready.verify(&first);
    let asked = ready.pages.0.load(Ordering::Relaxed);
    bencher.with_inputs(|| ready.verifier()).bench_local_values(|notation| {
        ready.verify(&notation);
        notation
    });
    let again = ready.pages.0.load(Ordering::Relaxed) > asked;
    assert!(!again || !ready.case.warm, "what is warm is not asked for");
}
