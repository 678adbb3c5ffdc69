//! The verifiers `cosign` and `attestation` in the real server: what is looked for and where, what counts, what is told of it,
//! and what the registry is asked. The evidence is the mini Sigstore's.

use countersign::{
    oci::{Descriptor, Digest},
    time::Clock,
};
use integration_tests::{
    provider::{Provider, Stage, client, configuration},
    registry::{FakeRegistry, Repository},
    shelf::Shelf,
    sigstore::{
        Care, Mini,
        bundle::{Bundle, Content, Version},
        certificate::Name,
        envelope::{EntryKind, cosign_statement, simple_signing, vuln_statement},
        legacy::Layer,
        signer::Signer,
        storage::Storage,
    },
};
use serde_json::{Value, json};

mod calls;
mod coexistence;
mod discovery;
mod isolation;
mod limits;
mod lookup;
mod payloads;
mod reports;
mod roots;
mod selection;
mod signers;

/// Where the image is.
const NAME: &str = "shop/web";
/// Who issues identities.
const ISSUER: &str = "https://accounts.example.com";
/// Who signs without a key of its own.
const SUBJECT: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";

/// A registry with one image, tagged `v1`, a Sigstore instance, and a configuration whose verifier `cosign` must say yes: by the
/// key `cosign.pub`, logged. A test adds evidence, or changes something, and asks.
struct Shop {
    stage: Stage,
    registry: FakeRegistry,
    mini: Mini,
    /// Whose key is `cosign.pub`.
    signer: Signer,
    image: Descriptor,
    configuration: Value,
}

/// A trust policy for everything: the key `cosign.pub`, logged.
fn by_key() -> Value {
    json!({ "name": "release", "scopes": ["**"], "keys": [{ "file": "cosign.pub" }],
        "trustedRoot": { "file": "trusted_root.json" } })
}

/// A trust policy for everything: a certificate of [`SUBJECT`].
fn by_identity() -> Value {
    json!({ "name": "keyless", "scopes": ["**"], "identities": [{ "issuer": ISSUER, "subject": SUBJECT }],
        "trustedRoot": { "file": "trusted_root.json" } })
}

/// A verifier of signatures.
fn cosign(name: &str, trust_policy: &Value) -> Value {
    json!({ "name": name, "type": "cosign", "trustPolicies": [trust_policy] })
}

/// A verifier of vulnerability scans.
fn scanned(name: &str, trust_policy: &Value) -> Value {
    json!({ "name": name, "type": "attestation", "predicateType": "vuln", "trustPolicies": [trust_policy] })
}

impl Shop {
    async fn open() -> Self {
        let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
        let mini = Mini::new("shop", Clock::System.now());
        stage.write("trusted_root.json", &mini.trusted_root_json());
        let signer = Signer::of_key(mini.base.key("release").unwrap());
        stage.write("cosign.pub", &signer.key.pem());
        let image = registry.repository(NAME).put_image("image", Some("v1"));
        let mut configuration = configuration([registry.host().as_str()]);
        // What is asked twice is asked because of what a test does, never because of what failed.
        configuration["limits"] = json!({ "registry": { "retries": 0 } });
        let mut shop = Self { stage, registry, mini, signer, image, configuration };
        shop.verifiers(&[cosign("cosign", &by_key())], &json!("cosign"));
        shop
    }

    /// Other verifiers, and what is required of them everywhere.
    fn verifiers(&mut self, verifiers: &[Value], require: &Value) {
        self.configuration["verifiers"] = json!(verifiers);
        self.configuration["policies"] = json!([{ "scopes": ["**"], "require": require }]);
    }

    /// Only scans count.
    fn wants_scans(&mut self) {
        self.verifiers(&[scanned("scanned", &by_key())], &json!("scanned"));
    }

    fn repository(&self) -> Repository<'_> {
        self.registry.repository(NAME)
    }

    fn by_digest(&self) -> String {
        self.repository().digest(&self.image.digest).to_string()
    }

    fn by_tag(&self) -> String {
        self.repository().tag("v1").to_string()
    }

    async fn start(&self) -> Provider {
        self.stage.start(&self.configuration).await
    }

    /// Of a new server: the code, or the system error.
    async fn code(&self) -> String {
        self.start().await.code(&self.by_digest()).await
    }

    /// Of a new server: the value, and a `systemError` fails the test.
    async fn value(&self) -> Value {
        self.start().await.value(&self.by_digest()).await
    }

    /// What makes the configuration unusable.
    async fn fault(&self) -> String {
        self.stage.configure(&self.configuration);
        self.stage.start_with(client()).await.unwrap_err().to_string()
    }

    /// A: a signature of the image by a signer, logged, with `optional` beside the image.
    fn layer_of(&self, signer: &Signer, optional: &Value) -> Layer {
        let payload = simple_signing("old.example.com/copied", &self.image.digest.to_string(), optional);
        self.mini.base.sign(signer, payload).unwrap()
    }

    /// The same, by the key that is trusted.
    fn layer_with(&self, optional: &Value) -> Layer {
        self.layer_of(&self.signer, optional)
    }

    /// A: a signature of an image by a signer, logged.
    fn layer_by(&self, signer: &Signer, digest: &Digest) -> Layer {
        let payload = simple_signing("old.example.com/copied", &digest.to_string(), &json!(null));
        self.mini.base.sign(signer, payload).unwrap()
    }

    /// A: a good signature.
    fn layer(&self) -> Layer {
        self.layer_by(&self.signer, &self.image.digest)
    }

    /// F: a signature of an image by a signer, logged.
    fn bundle_by(&self, signer: &Signer, digest: &Digest) -> Bundle {
        let statement = cosign_statement(&digest.to_string());
        self.mini.base.bundle(signer, Version::V03New, &statement, EntryKind::Dsse).unwrap()
    }

    /// F: a good signature.
    fn bundle(&self) -> Bundle {
        self.bundle_by(&self.signer, &self.image.digest)
    }

    /// F: attaches the image's signature by a workflow.
    fn put_keyless(&self, subject: &str) {
        let bundle = self.bundle_by(&self.workflow(subject), &self.image.digest);
        self.repository().put_bundle(&self.image, &bundle);
    }

    /// The statement of a scan of the image that ended now.
    fn scan(&self) -> Value {
        vuln_statement(&self.image.digest.to_string(), &countersign::report::wire::rfc3339(self.mini.base.at))
    }

    /// B: a statement, signed and logged.
    fn attested(&self, statement: &Value) -> Layer {
        self.mini.base.attest(&self.signer, statement, EntryKind::Dsse).unwrap()
    }

    /// F: a statement, signed and logged.
    fn attested_bundle(&self, statement: &Value) -> Bundle {
        self.mini.base.bundle(&self.signer, Version::V03New, statement, EntryKind::Dsse).unwrap()
    }

    /// Somebody whose key nobody trusts.
    fn stranger(&self) -> Signer {
        Signer::of_key(self.mini.base.key("stranger").unwrap())
    }

    /// A workflow with a certificate.
    fn workflow(&self, subject: &str) -> Signer {
        self.mini.base.signer(Name::Uri(subject.to_owned()), ISSUER).unwrap()
    }
}

/// With one bit of the signature flipped.
fn broken(mut layer: Layer) -> Layer {
    layer.signature = layer.signature.map(|signature| Care::Tampered.apply(signature));
    layer
}

/// With one bit of the signature flipped.
fn broken_bundle(mut bundle: Bundle) -> Bundle {
    match &mut bundle.content {
        Content::Envelope(envelope) => {
            envelope.signatures =
                envelope.signatures.drain(..).map(|signature| Care::Tampered.apply(signature)).collect();
        }
        Content::Message { signature, .. } => *signature = Care::Tampered.apply(std::mem::take(signature)),
    }
    bundle
}

/// As a referrers list has it, with a word of its own on the type.
fn listed(descriptor: &Descriptor, artifact_type: Option<&str>) -> Descriptor {
    Descriptor { artifact_type: artifact_type.map(str::to_owned), ..descriptor.clone() }
}

/// Of each report of a value: its code.
fn codes(value: &Value) -> Vec<&str> {
    let reports = value["verifierReports"].as_array().unwrap();
    reports.iter().map(|report| report["code"].as_str().unwrap()).collect()
}
