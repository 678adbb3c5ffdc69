//! Sigstore evidence from registry to verdict: what is found where, whom it convinces, and what is told about it. All of it is made by
//! the mini Sigstore.

use std::{sync::Arc, time::Duration};

use countersign::{
    app::{self, Materials},
    config::{Config, Process},
    executor::{Answer, Executor, Question},
    oci::{Descriptor, Reference},
    report::{Decision, Word},
    store::{cached::ContentCache, registry::Outside},
    tenant::Tenant,
    verifier::VerifyError,
    verifier::notation::revocation::RevocationEvidence,
};
use integration_tests::{
    provider::configuration,
    registry::{FakeRegistry, Repository},
    shelf::Shelf as _,
    sigstore::{
        Mini,
        bundle::{Bundle, Version},
        certificate::Name,
        envelope::{EntryKind, VULN, cosign_statement, simple_signing, statement, vuln_statement},
        legacy::Layer,
        signer::Signer,
    },
};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};
use tokio::{runtime::Handle, time::Instant};

mod believed;
mod found;
mod told;

const SIGNED: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
const NOW: OffsetDateTime = datetime!(2026-11-21 13:00 UTC);
const NAME: &str = "shop/web";
const ISSUER: &str = "https://issuer.example.com";
const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";

/// A registry with one image, and an instance whose signers sign it.
struct Scene {
    registry: FakeRegistry,
    mini: Mini,
    image: Descriptor,
}

impl Scene {
    async fn new() -> Self {
        let registry = FakeRegistry::start().await;
        let image = registry.repository(NAME).put_image("image", Some("v1"));
        Self { registry, mini: Mini::new("scene", SIGNED), image }
    }

    fn repository(&self) -> Repository<'_> {
        self.registry.repository(NAME)
    }

    fn digest(&self) -> String {
        self.image.digest.to_string()
    }

    /// Who is believed by [`Scene::keyless`].
    fn signer(&self) -> Signer {
        self.named(WORKFLOW)
    }

    fn named(&self, workflow: &str) -> Signer {
        self.mini.base.signer(Name::Uri(workflow.to_owned()), ISSUER).unwrap()
    }

    fn keyed(&self, name: &str) -> Signer {
        Signer { key: self.mini.base.key(name).unwrap(), certificate: None, chain: Vec::new() }
    }

    /// A: a signature of the image, logged.
    fn layer(&self, signer: &Signer) -> Layer {
        self.layer_about(signer, &self.digest())
    }

    fn layer_about(&self, signer: &Signer, digest: &str) -> Layer {
        self.mini.base.sign(signer, simple_signing("registry.example.com/shop/web", digest, &Value::Null)).unwrap()
    }

    /// B: a scan of the image, logged.
    fn scan_layer(&self, signer: &Signer) -> Layer {
        self.mini.base.attest(signer, &self.scan("2026-11-21T11:00:00Z"), EntryKind::Dsse).unwrap()
    }

    fn scan(&self, finished: &str) -> Value {
        vuln_statement(&self.digest(), finished)
    }

    fn provenance(&self) -> Value {
        statement(&self.digest(), "https://slsa.dev/provenance/v1", &json!({}))
    }

    /// F: a signature of the image, logged.
    fn bundle(&self, signer: &Signer) -> Bundle {
        self.bundle_of(signer, &cosign_statement(&self.digest()))
    }

    fn bundle_of(&self, signer: &Signer, statement: &Value) -> Bundle {
        self.mini.base.bundle(signer, Version::V03New, statement, EntryKind::Dsse).unwrap()
    }

    /// A trust policy that believes [`Scene::signer`].
    fn keyless(&self) -> Value {
        json!({
            "name": "keyless",
            "scopes": ["**"],
            "trustedRoot": { "inline": self.mini.trusted_root_json() },
            "identities": [{ "issuer": ISSUER, "subject": WORKFLOW }],
        })
    }

    /// A trust policy that believes these keys, and asks no log.
    fn keys(&self, names: &[&str]) -> Value {
        let keys: Vec<_> = names.iter().map(|name| json!({ "pem": self.keyed(name).key.pem() })).collect();
        json!({ "name": "keys", "scopes": ["**"], "keys": keys, "ignoreTlog": true })
    }

    async fn engine(&self, verifiers: &[Value], require: Value) -> Result<Arc<Executor>, Vec<String>> {
        self.engine_with(verifiers, require, json!({})).await
    }

    async fn engine_with(
        &self,
        verifiers: &[Value],
        require: Value,
        limits: Value,
    ) -> Result<Arc<Executor>, Vec<String>> {
        let mut text = configuration([self.registry.host().as_str()]);
        text["verifiers"] = json!(verifiers);
        text["policies"] = json!([{ "scopes": ["**"], "require": require }]);
        text["limits"] = limits;
        let faults = |faults: Vec<countersign::config::Fault>| -> Vec<String> {
            faults.iter().map(ToString::to_string).collect()
        };
        let config =
            Config::parse(&text.to_string(), std::path::Path::new("."), &Process::default()).map_err(faults)?;
        let materials = Materials {
            content: ContentCache::new(config.limits.content()),
            outside: Outside::default(),
            evidence: RevocationEvidence::default(),
            runtime: Handle::current(),
        };
        app::build(&config, &materials).await.map(|engine| engine.executor).map_err(faults)
    }

    fn reference(&self) -> Reference {
        self.repository().digest(&self.image.digest)
    }

    /// What a new engine of one verifier says about the image.
    async fn verdict(&self, verifier: &Value) -> String {
        let engine = self.engine(&[named("it", verifier)], json!("it")).await.unwrap();
        told(&ask(&engine, self.reference()).await)
    }
}

/// A verifier of signatures under a trust policy.
fn signatures(policy: &Value) -> Value {
    json!({ "type": "cosign", "trustPolicies": [policy] })
}

/// A verifier of scans under a trust policy.
fn scans(policy: &Value) -> Value {
    json!({ "type": "attestation", "predicateType": VULN, "trustPolicies": [policy] })
}

/// With members beside its own.
fn with(mut value: Value, members: &Value) -> Value {
    let more = members.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(more);
    value
}

fn named(name: &str, verifier: &Value) -> Value {
    with(verifier.clone(), &json!({ "name": name }))
}

async fn ask(engine: &Arc<Executor>, reference: Reference) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(20);
    engine.verify(Question { tenant: Tenant::Cluster, reference, now: NOW, deadline }).await
}

/// The decision: `yes`, or a letter for no and unknown with its code.
fn told(answer: &Answer) -> String {
    match &answer.verdict.decision {
        Decision::Allow { .. } => "yes".to_owned(),
        Decision::Deny(reason) => format!("no {}", reason.code),
        Decision::Undecided(reason) => format!("? {}", reason.code),
    }
}

/// Each word about an item: `yes`, or the check and code that said no.
fn words(answer: &Answer) -> Vec<String> {
    let word = |word: &Word| match word {
        Word::Yes(_) => "yes".to_owned(),
        Word::Waived(_) => "waived".to_owned(),
        Word::Not(VerifyError::Rejected(no)) => format!("{} {}", no.check(), no.code()),
        Word::Not(VerifyError::Undecided(why)) => format!("? {}", why.code()),
    };
    answer.verdict.reports.iter().map(|report| word(&report.word)).collect()
}
