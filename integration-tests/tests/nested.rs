//! Evidence that must be signed itself, in the real server: an SBOM, attested by the mini Sigstore, signed by a Notary signer.

use std::{fs, path::Path};

use countersign::{
    oci::{Descriptor, media_type},
    time::Clock,
};
use integration_tests::{
    notation::SigningAuthority,
    provider::{Provider, Stage, client, configuration, trust_policy},
    registry::{FakeRegistry, Reply, Repository},
    shelf::{JWS, Shelf, bare, index},
    sigstore::{
        Mini,
        bundle::Version,
        envelope::{EntryKind, statement},
        signer::Signer,
        storage::Storage,
    },
};
use serde_json::{Value, json};

const NAME: &str = "shop/web";
const SPDX: &str = "https://spdx.dev/Document";

/// A registry with an image that the authority has signed; verifiers `notary`, of the image, `compliance`, of SBOMs, and
/// `sbom`; and a policy that wants all three. A test attaches SBOMs and their signatures, and asks.
struct Shop {
    stage: Stage,
    registry: FakeRegistry,
    mini: Mini,
    image: Descriptor,
    configuration: Value,
}

fn signed_by(by: &Value) -> Value {
    json!({ "all": ["notary", { "evidence": "sbom", "signedBy": by }] })
}

/// A verifier of Notary signatures by the stage's authority under that common name.
fn signer(name: &str, common_name: &str, verification: &Value) -> Value {
    let mut policy = trust_policy("all", &["*"], verification);
    if verification["level"] != "skip" {
        let identity = format!("x509.subject: C=CH, ST=Bern, O=Tests, CN={common_name}");
        policy["trustedIdentities"] = json!([identity]);
    }
    json!({ "name": name, "type": "notation", "trustPolicies": [policy], "trustStores": { "ca": { "test": ["root.pem"] } } })
}

/// Another authority, under the name of the right one.
fn stranger() -> SigningAuthority {
    SigningAuthority::new("root", Clock::System.now())
}

impl Shop {
    async fn open() -> Self {
        let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
        let mini = Mini::new("shop", Clock::System.now());
        stage.write("trusted_root.json", &mini.trusted_root_json());
        stage.write("build.pub", &mini.base.key("build").unwrap().pem());
        let image = registry.repository(NAME).put_image("image", Some("v1"));
        registry.repository(NAME).sign(&image, &stage.authority.signer("release"));
        let strict = json!({ "level": "strict" });
        let build = json!({ "name": "build", "scopes": ["**"], "keys": [{ "file": "build.pub" }],
            "trustedRoot": { "file": "trusted_root.json" } });
        let mut configuration = configuration([registry.host().as_str()]);
        configuration["limits"] = json!({ "registry": { "retries": 0 } });
        configuration["verifiers"] = json!([
            signer("notary", "release", &strict),
            signer("compliance", "compliance", &strict),
            { "name": "sbom", "type": "attestation", "predicateType": "spdx", "trustPolicies": [build] },
        ]);
        let mut shop = Self { stage, registry, mini, image, configuration };
        shop.require(&signed_by(&json!("compliance")));
        shop
    }

    fn require(&mut self, require: &Value) {
        self.configuration["policies"] = json!([{ "scopes": ["**"], "require": require }]);
    }

    fn repository(&self) -> Repository<'_> {
        self.registry.repository(NAME)
    }

    /// Attaches an SBOM by the build, or by somebody else, to the image.
    fn attach(&self, key: &str, packages: &str) -> Descriptor {
        let signer = Signer::of_key(self.mini.base.key(key).unwrap());
        let statement = statement(&self.image.digest.to_string(), SPDX, &json!({ "packages": [packages] }));
        let bundle = self.mini.base.bundle(&signer, Version::V03New, &statement, EntryKind::Dsse).unwrap();
        bare(&self.repository().put_bundle(&self.image, &bundle))
    }

    fn sbom(&self) -> Descriptor {
        self.attach("build", "one")
    }

    fn sign(&self, artifact: &Descriptor, common_name: &str) -> Descriptor {
        self.repository().sign(artifact, &self.stage.authority.signer(common_name))
    }

    /// What the registry answers when it is asked what is attached to an artifact.
    fn script(&self, artifact: &Descriptor, replies: impl IntoIterator<Item = Reply>) {
        self.registry.script(&self.repository().referrers_path(&artifact.digest), replies);
    }

    fn key(&self) -> String {
        self.repository().digest(&self.image.digest).to_string()
    }

    async fn start(&self) -> Provider {
        self.stage.start(&self.configuration).await
    }

    /// Of a new server without any cache: the code, or the system error.
    async fn code(&self) -> String {
        self.start().await.code(&self.key()).await
    }

    /// What makes the configuration unusable.
    async fn fault(&self) -> String {
        self.stage.configure(&self.configuration);
        self.stage.start_with(client()).await.unwrap_err().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_sbom_is_accepted_and_every_report_shows_who_signed_it() {
    let shop = Shop::open().await;
    let sbom = shop.sbom();
    shop.sign(&sbom, "compliance");
    let provider = shop.start().await;
    let value = provider.value(&shop.key()).await;
    assert_eq!(value["code"], "VERIFIED", "{value:#}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/report/wire/value.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()).unwrap();
    let faults: Vec<String> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}\n{value:#}");
    let reports = value["verifierReports"].as_array().unwrap();
    let of = |name: &str| reports.iter().find(|report| report["name"] == name).unwrap();
    let nested = &of("sbom")["nestedResults"];
    assert_eq!(nested[0]["subject"], format!("{}@{}", shop.repository().name(), sbom.digest));
    assert_eq!((&nested[0]["name"], &nested[0]["isSuccess"]), (&json!("compliance"), &json!(true)));
    assert_eq!(nested[0]["artifactType"], "application/vnd.cncf.notary.signature");
    assert!(nested[0]["signer"].as_str().unwrap().contains("CN=compliance"), "{nested}");
    assert!(of("notary").get("nestedResults").is_none());
    assert!(!reports.iter().any(|report| report["name"] == "compliance"), "it was not asked about the image");
    let artifacts = value["artifactReports"].as_array().unwrap();
    let artifact = artifacts.iter().find(|artifact| artifact["artifact"] == sbom.digest.to_string()).unwrap();
    assert_eq!(artifact["artifactReports"][0]["results"][0]["verifierName"], "compliance");
    let counted =
        |name: &str, verifier: &str| provider.metric(&format!("{name}{{code=\"VERIFIED\",verifier=\"{verifier}\"}}"));
    assert_eq!(counted("countersign_nested_verifier_outcomes_total", "compliance"), Some(1.0));
    assert_eq!(counted("countersign_verifier_outcomes_total", "compliance"), None);
    let records = provider.stop().await;
    let record: Value = records
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|record: &Value| record["target"] == "countersign::decision")
        .unwrap();
    let told = record["verifierReports"].as_array().unwrap().iter().find(|report| report["name"] == "sbom").unwrap();
    assert_eq!(told["nestedResults"][0]["name"], "compliance", "{record:#}");
}

/// Name, what is attached, and the code.
type Row = (&'static str, fn(&Shop), &'static str);

const ROWS: [Row; 13] = [
    ("no SBOM", |_| (), "NO_ATTESTATION"),
    ("ART-03 an SBOM that nobody signed", |shop| drop(shop.sbom()), "EVIDENCE_UNSIGNED"),
    (
        "signed by somebody who may sign images only",
        |shop| drop(shop.sign(&shop.sbom(), "release")),
        "EVIDENCE_UNSIGNED",
    ),
    (
        "signed under a root of the same name",
        |shop| drop(shop.repository().sign(&shop.sbom(), &stranger().signer("compliance"))),
        "EVIDENCE_UNSIGNED",
    ),
    (
        "ART-03 the image is signed in its place",
        |shop| {
            shop.sbom();
            shop.sign(&shop.image, "compliance");
        },
        "EVIDENCE_UNSIGNED",
    ),
    (
        "a signature over the image, attached to the SBOM",
        |shop| {
            let (sbom, image) = (shop.sbom(), &shop.image);
            let signer = shop.stage.authority.signer("compliance");
            let envelope = signer.sign(&image.media_type, &image.digest.to_string(), image.size);
            shop.repository().put_signature(&sbom, JWS, &envelope);
        },
        "EVIDENCE_UNSIGNED",
    ),
    (
        "a signature over another SBOM, attached to this",
        |shop| {
            let (sbom, other) = (shop.sbom(), shop.attach("stranger", "other"));
            let signer = shop.stage.authority.signer("compliance");
            let envelope = signer.sign(&other.media_type, &other.digest.to_string(), other.size);
            shop.repository().put_signature(&sbom, JWS, &envelope);
        },
        "EVIDENCE_UNSIGNED",
    ),
    (
        "a signature that names the SBOM, attached to the image",
        |shop| {
            let sbom = shop.sbom();
            let signer = shop.stage.authority.signer("compliance");
            let envelope = signer.sign(&sbom.media_type, &sbom.digest.to_string(), sbom.size);
            shop.repository().put_signature(&shop.image, JWS, &envelope);
        },
        "EVIDENCE_UNSIGNED",
    ),
    (
        "another's signature, listed for this SBOM by a lying registry",
        |shop| {
            let (sbom, other) = (shop.sbom(), shop.attach("stranger", "other"));
            let signature = shop.sign(&other, "compliance");
            shop.script(&sbom, [Reply::ok(media_type::IMAGE_INDEX, index(&[signature]).to_string())]);
        },
        "EVIDENCE_UNSIGNED",
    ),
    (
        "one SBOM holds, and another one is signed",
        |shop| {
            shop.sbom();
            shop.sign(&shop.attach("stranger", "other"), "compliance");
        },
        "EVIDENCE_UNSIGNED",
    ),
    (
        "a signed SBOM that somebody else attested",
        |shop| drop(shop.sign(&shop.attach("stranger", "one"), "compliance")),
        "SIG_INVALID",
    ),
    (
        "a signed one beside an unsigned one",
        |shop| {
            shop.sbom();
            shop.sign(&shop.attach("build", "two"), "compliance");
        },
        "VERIFIED",
    ),
    (
        "signed by several, one of them right",
        |shop| {
            let sbom = shop.sbom();
            for name in ["release", "compliance", "nobody"] {
                shop.sign(&sbom, name);
            }
        },
        "VERIFIED",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn only_a_signature_of_that_very_sbom_makes_it_evidence() {
    for (row, attach, expected) in ROWS {
        let shop = Shop::open().await;
        attach(&shop);
        let value = shop.start().await.value(&shop.key()).await;
        assert_eq!(value["code"], expected, "{row}: {value:#}");
        assert_eq!(value["isSuccess"], expected == "VERIFIED", "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiver_of_the_signer_is_no_signature_and_one_for_another_place_changes_nothing() {
    for (here, expected) in [(true, "EVIDENCE_UNSIGNED"), (false, "VERIFIED")] {
        let mut shop = Shop::open().await;
        shop.sign(&shop.sbom(), "compliance");
        let scope = if here { shop.repository().name().to_string() } else { "registry.example.com/other".to_owned() };
        let skip = trust_policy("skip", &[&scope], &json!({ "level": "skip" }));
        shop.configuration["verifiers"][1]["trustPolicies"].as_array_mut().unwrap().push(skip);
        let value = shop.start().await.value(&shop.key()).await;
        assert_eq!(value["code"], expected, "{scope}: {value:#}");
        let told = value.to_string().contains("verification skipped by trust policy");
        assert_eq!(told, here, "{scope}: {value:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_say_what_is_attached_to_the_sbom_leaves_the_question_open() {
    for (row, reply) in [("503", Reply::status(503)), ("429", Reply::status(429)), ("closed", Reply::Close)] {
        let shop = Shop::open().await;
        let sbom = shop.sbom();
        shop.sign(&sbom, "compliance");
        shop.script(&sbom, vec![reply; 8]);
        let code = shop.code().await;
        assert!(!["VERIFIED", "EVIDENCE_UNSIGNED"].contains(&code.as_str()), "{row}: {code}");
        let answer = shop.start().await.ask(integration_tests::provider::VERIFY, &[&shop.key()]).await;
        assert!(answer["systemError"].as_str().is_some_and(|error| !error.is_empty()), "{row}: {answer:#}");
        assert!(!answer["items"].as_array().is_some_and(|items| items.iter().any(|item| item.get("value").is_some())));
    }
}

// REG-20, REG-24
#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_lists_and_attempts_hold_below_as_above() {
    for (row, limits, junk, expected) in [
        ("cut before the signature", json!({ "registry": { "descriptors": 5, "retries": 0 } }), 5, "LIMIT_EXCEEDED"),
        ("not cut", json!({ "registry": { "descriptors": 6, "retries": 0 } }), 5, "VERIFIED"),
    ] {
        let mut shop = Shop::open().await;
        shop.configuration["limits"] = limits;
        let sbom = shop.sbom();
        let junk: Vec<Descriptor> = (0..junk)
            .map(|number: u8| shop.repository().put_signature(&sbom, JWS, format!("junk {number}").as_bytes()))
            .collect();
        let signature = shop.sign(&sbom, "compliance");
        let listed: Vec<Descriptor> = junk.into_iter().chain([signature]).collect();
        shop.script(&sbom, [Reply::ok(media_type::IMAGE_INDEX, index(&listed).to_string())]);
        assert_eq!(shop.code().await, expected, "{row}");
    }
    for (attempts, expected) in [(3, "VERIFIED"), (2, "LIMIT_EXCEEDED")] {
        let mut shop = Shop::open().await;
        shop.configuration["verifiers"][1]["maxSignatureAttempts"] = json!(attempts);
        let sbom = shop.sbom();
        let junk: Vec<Descriptor> = (0..2_u8)
            .map(|number| shop.repository().put_signature(&sbom, JWS, format!("junk {number}").as_bytes()))
            .collect();
        let signature = shop.sign(&sbom, "compliance");
        let listed: Vec<Descriptor> = junk.into_iter().chain([signature]).collect();
        shop.script(&sbom, [Reply::ok(media_type::IMAGE_INDEX, index(&listed).to_string())]);
        assert_eq!(shop.code().await, expected, "{attempts}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_the_signature_is_wanted_as_deep_as_the_limit_allows_to_ask() {
    let mut shop = Shop::open().await;
    shop.require(&signed_by(&json!({ "evidence": "compliance", "signedBy": "notary" })));
    let fault = shop.fault().await;
    assert!(fault.contains("signedBy") || fault.contains("limits.nestedDepth"), "{fault}");
    shop.configuration["limits"]["nestedDepth"] = json!(2);
    let signature = shop.sign(&shop.sbom(), "compliance");
    assert_eq!(shop.code().await, "EVIDENCE_UNSIGNED", "nobody signed the signature");
    shop.sign(&bare(&signature), "release");
    assert_eq!(shop.code().await, "VERIFIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_below_is_asked_for_unless_a_policy_wants_it() {
    let mut shop = Shop::open().await;
    let sbom = shop.sbom();
    shop.sign(&sbom, "compliance");
    shop.require(&json!({ "all": ["notary", "sbom"] }));
    assert_eq!(shop.code().await, "VERIFIED");
    assert_eq!(shop.registry.calls_to("/referrers/"), 1);
    shop.registry.forget_calls();
    shop.require(&signed_by(&json!("compliance")));
    let provider = shop.start().await;
    assert_eq!(provider.code(&shop.key()).await, "VERIFIED");
    assert_eq!(shop.registry.calls_to("/referrers/"), 2, "the image's, and that of its SBOM; none of signatures");
    shop.registry.forget_calls();
    assert_eq!(provider.code(&shop.key()).await, "VERIFIED");
    assert_eq!(shop.registry.calls_to("/"), 0, "a verdict is kept with all that it rests on");
}

// ART-03: by many signers, all of whom must have signed one and the same
#[tokio::test(flavor = "multi_thread")]
async fn signers_of_different_sboms_are_not_counted_together() {
    let both = json!({ "atLeast": 2, "of": ["compliance", "notary"] });
    let mut shop = Shop::open().await;
    shop.require(&signed_by(&both));
    let (one, two) = (shop.sbom(), shop.attach("build", "two"));
    shop.sign(&one, "compliance");
    shop.sign(&two, "release");
    assert_eq!(shop.code().await, "EVIDENCE_UNSIGNED");
    shop.sign(&one, "release");
    assert_eq!(shop.code().await, "VERIFIED");
}
