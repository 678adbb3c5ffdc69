//! The request path, measured: `cargo bench --bench request_path`.
//!
//! | bench | is |
//! |---|---|
//! | `hot` | a verdict from the cache, written as a reply's `value`: what a request by digest costs without its HTTP |
//! | `cold` | resolve, list, fetch, check and decide, from an image layout on disk; a new engine for each, so that nothing is cached |
//! | `integrity` | one envelope: parse, signature, certificate chain, payload |
//! | `scope` | the policy's scopes over a repository |
//!
//! Compare ratios within one run: machines differ, and one machine differs from hour to hour.

#![expect(clippy::expect_used, reason = "what a benchmark cannot set up ends it")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use countersign::{
    app::{self, Materials},
    config::{Config, Process},
    executor::{Executor, Question},
    oci::{Reference, Repository, scope::Scope},
    store::{cached::ContentCache, registry::Outside},
    tenant::Tenant,
    verifier::notation::{
        envelope::{Envelope, Limits},
        integrity,
    },
};
use divan::{Bencher, black_box};
use time::{OffsetDateTime, macros::datetime};
use tokio::{runtime::Runtime, time::Instant};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:41 UTC);
const IMAGE: &str =
    "registry.acorn.test/shop/web@sha256:323195c77512c55e7d83c7f1f07eaed1b14ecf11e8d1878340eeb8847e09fa82";
const VECTORS: &str = "src/verifier/notation/vectors";

fn main() {
    divan::main();
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("integration-tests/fixtures")
}

fn engine(runtime: &Runtime) -> Arc<Executor> {
    let text = r#"
        server: { plainHttp: true, address: "127.0.0.1:0", admin: "127.0.0.1:0" }
        stores: [{ name: disk, type: layout, path: layouts/notation, hosts: ["*"] }]
        verifiers:
          - { name: notary, type: notation, trustPolicy: trust/notation/policies/strict-any.json, trustStore: trust/notation/truststore }
        policies: [{ scopes: ["**"], require: notary }]
    "#;
    let config = Config::parse(text, &fixtures(), &Process::default()).expect("the configuration is valid");
    let materials =
        Materials { content: ContentCache::new(1), outside: Outside::default(), runtime: runtime.handle().clone() };
    runtime.block_on(app::build(&config, &materials)).expect("the engine is built").executor
}

fn ask() -> Question {
    Question {
        tenant: Tenant::Cluster,
        reference: Reference::parse(IMAGE).expect("a reference"),
        now: NOW,
        deadline: Instant::now() + Duration::from_secs(20),
    }
}

#[divan::bench]
fn hot(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let executor = engine(&runtime);
    let mut question = ask();
    // The verdict's life is of this process; the bench may outlast it.
    let mut out = Vec::with_capacity(4096);
    bencher.bench_local(|| {
        let answer = executor.cached(&question).unwrap_or_else(|| {
            question = ask();
            runtime.block_on(executor.verify(question.clone()))
        });
        assert!(answer.rendered.is_success());
        out.clear();
        answer.rendered.write_value(&mut out, "0af7651916cd43dd8448eb211c80319c", NOW);
        black_box(out.len())
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn cold(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    bencher.with_inputs(|| engine(&runtime)).bench_local_values(|executor| {
        let answer = runtime.block_on(executor.verify(ask()));
        assert!(answer.rendered.is_success() && !answer.cached);
        answer
    });
}

#[divan::bench(args = ["ps256-chain2.jws", "es256-chain2.jws", "es384-chain3.cose", "ps512-chain3.cose"])]
fn integrity(bencher: Bencher<'_, '_>, name: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(VECTORS).join(name);
    let bytes = std::fs::read(&file).expect("a vector");
    let jws = file.extension().is_some_and(|extension| extension == "jws");
    let media_type = if jws { "application/jose+json" } else { "application/cose" };
    bencher.bench_local(|| {
        let envelope = Envelope::parse(media_type, black_box(&bytes), Limits::default()).expect("an envelope");
        integrity::check(envelope).expect("it is whole")
    });
}

#[divan::bench]
fn scope(bencher: Bencher<'_, '_>) {
    let scope = Scope::parse("*.example.com/team-*/**/web").expect("a scope");
    let repository = Repository::parse("eu.registry.example.com/team-a/shop/front/web").expect("a repository");
    bencher.bench_local(|| assert!(scope.has(black_box(&repository))));
}
