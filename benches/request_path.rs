//! The request path, measured: `cargo bench --bench request_path`.
//!
//! | bench | is |
//! |---|---|
//! | `hot` | a verdict from the cache, written as a reply's `value`: what a request by digest costs without its HTTP |
//! | `cold` | resolve, list, fetch, check and decide, from an image layout on disk; a new engine for each, so that nothing is cached. By form of signature |
//! | `integrity` | one envelope: parse, signature, certificate chain, payload |
//! | `integrity_of_a_known_chain` | the same of a signer whose chain was seen before |
//! | `scope` | the policy's scopes over a repository |
//! | `tag`, `bundle` | one Sigstore item: parse and judge |
//! | `bundle_pre_pass` | of that what `bare_bundle` has no like of: strict JSON, members and counts |
//! | `bare_bundle` | the same bundle by `sigstore-verify`: parse and verify. `bundle` without its pre-pass takes at most 1.3 times as long |
//!
//! Compare ratios within one run: machines differ, and one machine differs from hour to hour.

#![expect(clippy::expect_used, reason = "what a benchmark cannot set up ends it")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use countersign::{
    app::{self, Materials},
    config::{Config, Process},
    executor::{Executor, Question},
    oci::{Descriptor, Digest, Reference, Repository, scope::Scope},
    store::{cached::ContentCache, registry::Outside},
    tenant::Tenant,
    verifier::{
        cosign::{
            self, bundle as bundles,
            config::{KeyConfig, PolicyConfig},
            evidence::Shape,
            identity::IdentityConfig,
            judge::{self, Target, Want},
            legacy,
            policy::TrustPolicy,
            root::source::RootConfig,
        },
        notation::{
            chains::KnownChains,
            envelope::{Envelope, Limits},
            integrity,
            revocation::RevocationEvidence,
        },
    },
};
use divan::{Bencher, black_box, counter::ItemsCount};
use sigstore_verify::{
    VerificationPolicy, Verifier,
    trust_root::TrustedRoot,
    types::{Artifact, Bundle, Sha256Hash},
};
use time::{OffsetDateTime, macros::datetime};
use tokio::{runtime::Runtime, time::Instant};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:41 UTC);
const VECTORS: &str = "src/verifier/notation/vectors";

const ISSUER: &str = "https://accounts.acorn.test";
const SUBJECT: &str = "release@acorn.test";

/// A signed image of the fixtures, and how it is verified.
struct Image {
    name: &'static str,
    layout: &'static str,
    /// Of its manifest.
    hex: &'static str,
    /// Of the bundle, or of the tag's manifest.
    evidence: &'static str,
    verifier: &'static str,
}

const KEYLESS: &str = "{ name: it, type: cosign, trustPolicies: [{ name: keyless, scopes: ['**'], \
    trustedRoot: { file: trust/sigstore/trusted_root.json }, \
    identities: [{ issuer: 'https://accounts.acorn.test', subject: release@acorn.test }] }] }";

const IMAGES: [Image; 6] = [
    Image {
        name: "notation",
        layout: "layouts/notation",
        hex: "323195c77512c55e7d83c7f1f07eaed1b14ecf11e8d1878340eeb8847e09fa82",
        evidence: "",
        verifier: "{ name: it, type: notation, trustPolicy: trust/notation/policies/strict-any.json, trustStore: trust/notation/truststore }",
    },
    Image {
        name: "tag, keyed",
        layout: "layouts/cosign",
        hex: "c0bff86e0de0147fd1d745e647367594d47e3a37e43679f7a065a62afe0ada53",
        evidence: "1cd9dff5a9a840c55bc38ecb14ac5c9720750b40d1fc05888e5c984ea8c8ca89",
        verifier: "{ name: it, type: cosign, trustPolicies: [{ name: key, scopes: ['**'], ignoreTlog: true, \
            keys: [{ file: trust/cosign/keys/p256.pub }] }] }",
    },
    Image {
        name: "tag, keyless",
        layout: "layouts/cosign",
        hex: "a8acd2604561e0ac74b84417aa67aa4b055fa2ca0633ac41b0eaf35b6b7c8c45",
        evidence: "bc900190ab0c9c35e08bcfa3358ca41ba4db3731b979034cb08b46f7724bc255",
        verifier: KEYLESS,
    },
    Image {
        name: "bundle, Rekor v1",
        layout: "layouts/bundle",
        hex: "1486180609da104c2e579eb33aabb811c5594cdfc0e93180ff69febfe6ee5ad0",
        evidence: "5b7ee38f5b8c07973225aef65ad6875942c43d2b5080c399159572454d437a63",
        verifier: KEYLESS,
    },
    Image {
        name: "bundle, Rekor v1, timestamp",
        layout: "layouts/bundle",
        hex: "1a4a757561e4e50a4a8d539b9f78c15dba904acf11cea96cc72ab518b04dc017",
        evidence: "0adee93b3f8b6027dacec0adb14ecef95b4b89494aa0f697902f99c753b1dfa9",
        verifier: KEYLESS,
    },
    Image {
        name: "bundle, Rekor v2, timestamp",
        layout: "layouts/bundle",
        hex: "7c466b0b50bab0d76502905dcd0dc49e27288c78f39d1666f9fd57fa4fec5486",
        evidence: "b4f82d497ce1c6eff3169f01bce484c896606e93f4636b87e9a824391dfe4a1d",
        verifier: KEYLESS,
    },
];

fn main() {
    divan::main();
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("integration-tests/fixtures")
}

fn image(name: &str) -> &'static Image {
    IMAGES.iter().find(|image| image.name == name).expect("an image of this name")
}

fn names(of: &str) -> impl Iterator<Item = &'static str> {
    IMAGES.iter().map(|image| image.name).filter(move |name| name.starts_with(of))
}

impl Image {
    fn engine(&self, runtime: &Runtime) -> Arc<Executor> {
        let Self { layout, verifier, .. } = self;
        let text = format!(
            r#"
            server: {{ plainHttp: true, address: "127.0.0.1:0", admin: "127.0.0.1:0" }}
            stores: [{{ name: disk, type: layout, path: {layout}, hosts: ["*"] }}]
            verifiers: [{verifier}]
            policies: [{{ scopes: ["**"], require: it }}]
        "#
        );
        let config = Config::parse(&text, &fixtures(), &Process::default()).expect("the configuration is valid");
        let materials = Materials {
            content: ContentCache::new(1),
            outside: Outside::default(),
            evidence: RevocationEvidence::default(),
            runtime: runtime.handle().clone(),
        };
        runtime.block_on(app::build(&config, &materials)).expect("the engine is built").executor
    }

    fn ask(&self) -> Question {
        let reference = format!("registry.acorn.test/shop/web@sha256:{}", self.hex);
        Question {
            tenant: Tenant::Cluster,
            reference: Reference::parse(&reference).expect("a reference"),
            now: NOW,
            deadline: Instant::now() + Duration::from_secs(20),
        }
    }

    fn blob(&self, hex: &str) -> Vec<u8> {
        std::fs::read(fixtures().join(self.layout).join("blobs/sha256").join(hex)).expect("a blob")
    }

    fn digest(&self) -> Digest {
        Digest::parse(&format!("sha256:{}", self.hex)).expect("a digest")
    }

    /// What its verifier's configuration says.
    fn policy(&self) -> TrustPolicy {
        let mut policy =
            PolicyConfig { name: "it".to_owned(), scopes: vec!["**".to_owned()], ..PolicyConfig::default() };
        if self.name == "tag, keyed" {
            let file = Some("trust/cosign/keys/p256.pub".into());
            policy.keys = Some(vec![KeyConfig { file, ..KeyConfig::default() }]);
            policy.ignore_tlog = true;
        } else {
            policy.trusted_root = Some(RootConfig::of_file("trust/sigstore/trusted_root.json".into()));
            let (issuer, subject) = (Some(ISSUER.to_owned()), Some(SUBJECT.to_owned()));
            policy.identities = Some(vec![IdentityConfig { issuer, subject, ..IdentityConfig::default() }]);
        }
        let compiled = cosign::config::Config::of_policy(policy).compile(&fixtures()).expect("the policy is valid");
        compiled.policies.into_iter().next().expect("one policy")
    }
}

#[divan::bench(args = IMAGES.iter().map(|image| image.name))]
fn hot(bencher: Bencher<'_, '_>, name: &str) {
    let runtime = Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let executor = image(name).engine(&runtime);
    let mut question = image(name).ask();
    // The verdict's life is of this process; the bench may outlast it.
    let mut out = Vec::with_capacity(4096);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let answer = executor.cached(&question).unwrap_or_else(|| {
            question = image(name).ask();
            runtime.block_on(executor.verify(question.clone()))
        });
        assert!(answer.rendered.is_success());
        out.clear();
        answer.rendered.write_value(&mut out, "0af7651916cd43dd8448eb211c80319c", NOW);
        black_box(out.len())
    });
}

#[divan::bench(sample_count = 20, sample_size = 1, args = IMAGES.iter().map(|image| image.name))]
fn cold(bencher: Bencher<'_, '_>, name: &str) {
    let runtime = Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let bencher = bencher.counter(ItemsCount::new(1_usize));
    bencher.with_inputs(|| image(name).engine(&runtime)).bench_local_values(|executor| {
        let answer = runtime.block_on(executor.verify(image(name).ask()));
        assert!(answer.rendered.is_success() && !answer.cached);
        answer
    });
}

#[divan::bench(args = names("tag"))]
fn tag(bencher: Bencher<'_, '_>, name: &str) {
    let image = image(name);
    let manifest: serde_json::Value = serde_json::from_slice(&image.blob(image.evidence)).expect("a manifest");
    let layer = manifest.pointer("/layers/0").expect("a layer");
    let layer = Descriptor::read(layer).expect("a descriptor");
    let bytes = Bytes::from(image.blob(layer.digest.hex()));
    let (digest, policy) = (image.digest(), image.policy());
    let target = Target { digest: &digest, bytes: None, repository: None };
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let item = legacy::signature(Shape::SignatureTag, black_box(&layer), bytes.clone()).expect("a layer");
        judge::judge(&item, &target, &Want::Signature, &policy, NOW).expect("it holds")
    });
}

#[divan::bench(args = names("bundle"))]
fn bundle(bencher: Bencher<'_, '_>, name: &str) {
    let image = image(name);
    let (bytes, digest, policy) = (image.blob(image.evidence), image.digest(), image.policy());
    let target = Target { digest: &digest, bytes: None, repository: None };
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        judge::judge_bundle(black_box(&bytes), &target, &Want::Signature, &policy, NOW).expect("it holds")
    });
}

#[divan::bench(args = names("bundle"))]
fn bundle_pre_pass(bencher: Bencher<'_, '_>, name: &str) {
    let image = image(name);
    let bytes = image.blob(image.evidence);
    bencher.bench_local(|| bundles::parse(black_box(&bytes)).expect("a bundle"));
}

#[divan::bench(args = names("bundle"))]
fn bare_bundle(bencher: Bencher<'_, '_>, name: &str) {
    let image = image(name);
    let text = String::from_utf8(image.blob(image.evidence)).expect("text");
    let root = std::fs::read_to_string(fixtures().join("trust/sigstore/trusted_root.json")).expect("a root");
    let verifier = Verifier::new(&TrustedRoot::from_json(&root).expect("a root")).expect("a verifier");
    let policy = VerificationPolicy::new(SUBJECT, ISSUER);
    let artifact = Artifact::from(Sha256Hash::from_hex(image.hex).expect("a digest"));
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let bundle = Bundle::from_json(black_box(&text)).expect("a bundle");
        verifier.verify(artifact.clone(), &bundle, &policy).expect("it holds")
    });
}

#[divan::bench(args = ["ps256-chain2.jws", "es256-chain2.jws", "es384-chain3.cose", "ps512-chain3.cose"])]
fn integrity(bencher: Bencher<'_, '_>, name: &str) {
    let (media_type, bytes) = vector(name);
    bencher.bench_local(|| {
        let envelope = Envelope::parse(media_type, black_box(&bytes), Limits::default()).expect("an envelope");
        integrity::check(envelope, &KnownChains::default()).expect("it is whole")
    });
}

/// The signer's chain was seen before: what each further signature costs.
#[divan::bench(args = ["ps256-chain2.jws", "es256-chain2.jws", "es384-chain3.cose", "ps512-chain3.cose"])]
fn integrity_of_a_known_chain(bencher: Bencher<'_, '_>, name: &str) {
    let (media_type, bytes) = vector(name);
    let known = KnownChains::default();
    bencher.bench_local(|| {
        let envelope = Envelope::parse(media_type, black_box(&bytes), Limits::default()).expect("an envelope");
        integrity::check(envelope, &known).expect("it is whole")
    });
}

fn vector(name: &str) -> (&'static str, Vec<u8>) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(VECTORS).join(name);
    let bytes = std::fs::read(&file).expect("a vector");
    let jws = file.extension().is_some_and(|extension| extension == "jws");
    (if jws { "application/jose+json" } else { "application/cose" }, bytes)
}

#[divan::bench]
fn scope(bencher: Bencher<'_, '_>) {
    let scope = Scope::parse("*.example.com/team-*/**/web").expect("a scope");
    let repository = Repository::parse("eu.registry.example.com/team-a/shop/front/web").expect("a repository");
    bencher.bench_local(|| assert!(scope.has(black_box(&repository))));
}
