//! What strangers attach, and what fails half-way, through executor, registry client and verifier together.

use std::time::Duration;

use countersign::{
    oci::{Descriptor, media_type},
    time::Clock,
};
use integration_tests::{
    notation::SigningAuthority,
    provider::{Provider, Stage, configuration},
    registry::{FakeRegistry, Reply, Repository},
    shelf::{JWS, NOTARY_SIGNATURE, Shelf, bare, index, signature},
};
use serde_json::{Value, json};

const NAME: &str = "shop/web";

/// A registry with one image, which a test surrounds with evidence before it is asked about.
struct Exhibit {
    stage: Stage,
    registry: FakeRegistry,
    image: Descriptor,
    configuration: Value,
}

impl Exhibit {
    async fn new() -> Self {
        let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
        let image = registry.repository(NAME).put_image("image", Some("v1"));
        let configuration = configuration([registry.host().as_str()]);
        Self { stage, registry, image, configuration }
    }

    fn repository(&self) -> Repository<'_> {
        self.registry.repository(NAME)
    }

    fn key(&self) -> String {
        self.repository().digest(&self.image.digest).to_string()
    }

    fn sign(&self) -> Descriptor {
        self.repository().sign(&self.image, &self.stage.authority.signer("signer"))
    }

    fn junk(&self, count: usize) {
        for number in 0..count {
            self.repository().put_signature(&self.image, JWS, format!("junk {number}").as_bytes());
        }
    }

    /// Lists exactly these, whatever is there.
    fn list(&self, listed: &[Descriptor]) {
        let page = Reply::ok(media_type::IMAGE_INDEX, index(listed).to_string());
        self.registry.script(&self.repository().referrers_path(&self.image.digest), [page]);
    }

    async fn start(&self) -> Provider {
        self.stage.start(&self.configuration).await
    }

    /// Of a new server without any cache: the decision's code, or the system error.
    async fn code(&self) -> String {
        self.start().await.code(&self.key()).await
    }

    #[track_caller]
    fn asked_at_most(&self, row: &str, calls: usize) {
        let asked = self.registry.calls();
        assert!(asked.len() <= calls, "{row}: {asked:?}");
        assert_eq!(self.registry.calls_to("/referrers/"), 1, "{row}: one listing");
    }
}

fn listed(descriptor: &Descriptor, artifact_type: &str) -> Descriptor {
    Descriptor { artifact_type: Some(artifact_type.to_owned()), ..descriptor.clone() }
}

// REG-19: what an index lists is not walked; its own digest is what is signed
#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_one_subject_however_large_or_deep() {
    for (row, entries, code) in
        [("deep", 1, "VERIFIED"), ("10,000", 10_000, "VERIFIED"), ("10,001", 10_001, "LIMIT_EXCEEDED")]
    {
        let mut exhibit = Exhibit::new().await;
        let inner = exhibit.repository().put_index(&[bare(&exhibit.image)], None);
        let middle = exhibit.repository().put_index(&[inner], None);
        exhibit.image = exhibit.repository().put_index(&vec![middle; entries], None);
        exhibit.sign();
        assert_eq!(exhibit.code().await, code, "{row}");
        exhibit.asked_at_most(row, 4);
    }
}

// REG-24
#[tokio::test(flavor = "multi_thread")]
async fn junk_before_the_valid_signature_hides_it_only_past_a_limit_that_is_named() {
    for (row, junk, code) in
        [("50 before", 50, "VERIFIED"), ("99 before", 99, "VERIFIED"), ("100 before", 100, "LIMIT_EXCEEDED")]
    {
        let exhibit = Exhibit::new().await;
        exhibit.junk(junk);
        exhibit.sign();
        let provider = exhibit.start().await;
        let value = provider.value(&exhibit.key()).await;
        let named = value.to_string().contains("maxSignatureAttempts is 100");
        assert_eq!((value["code"].as_str(), named), (Some(code), code != "VERIFIED"), "{row}: {}", value["message"]);
    }
    // Other types count towards nothing.
    let exhibit = Exhibit::new().await;
    let other = |number: usize| {
        listed(&Descriptor::of(media_type::IMAGE_MANIFEST, number.to_string().as_bytes()), "application/spdx+json")
    };
    let valid = exhibit.sign();
    exhibit.list(&(0..500).map(other).chain([valid]).collect::<Vec<_>>());
    assert_eq!(exhibit.code().await, "VERIFIED");
    exhibit.asked_at_most("other types", 4);
    // Past what is listed at all nothing is said to be missing.
    let mut exhibit = Exhibit::new().await;
    exhibit.configuration["limits"] = json!({ "registry": { "descriptors": 20 } });
    let valid = exhibit.sign();
    exhibit.list(&(0..20).map(other).chain([valid]).collect::<Vec<_>>());
    assert_eq!(exhibit.code().await, "LIMIT_EXCEEDED");
}

// REG-25, REG-26, REG-27, REG-28: each alone is a no with its reason, and beside a valid signature it takes nothing away
#[tokio::test(flavor = "multi_thread")]
async fn a_referrer_that_is_not_what_it_should_be_fails_alone() {
    type Put = fn(&Exhibit) -> Descriptor;
    let rows: [(&str, Put, &str); 9] = [
        ("REG-25 no layer", |e| e.put(|document| document["layers"] = json!([])), "BAD_MANIFEST"),
        (
            "REG-25 two layers",
            |e| e.put(|document| document["layers"] = json!([document["layers"][0], document["layers"][0]])),
            "BAD_MANIFEST",
        ),
        (
            "REG-25 10,001 layers",
            |e| e.put(|document| document["layers"] = json!(vec![document["layers"][0].clone(); 10_001])),
            "LIMIT_EXCEEDED",
        ),
        ("REG-26 the image is listed as its own signature", |e| listed(&e.image, NOTARY_SIGNATURE), "SUBJECT_MISMATCH"),
        (
            "REG-26 a signature of a signature",
            |e| {
                let inner = e.put(|_| {});
                listed(&e.put(|document| document["subject"] = json!(bare(&inner))), NOTARY_SIGNATURE)
            },
            "SUBJECT_MISMATCH",
        ),
        (
            "REG-27 another type than listed",
            |e| e.put(|document| document["artifactType"] = json!("application/spdx+json")),
            "ARTIFACT_TYPE_MISMATCH",
        ),
        (
            "REG-27 another config type than listed",
            |e| e.put(|document| document["config"]["mediaType"] = json!("application/spdx+json")),
            "ARTIFACT_TYPE_MISMATCH",
        ),
        (
            "REG-28 no subject",
            |e| e.put(|document| drop(document.as_object_mut().unwrap().remove("subject"))),
            "SUBJECT_MISMATCH",
        ),
        (
            "REG-28 another image's",
            |e| {
                let other = e.repository().put_image("another", None);
                e.put(|document| document["subject"] = json!(bare(&other)))
            },
            "SUBJECT_MISMATCH",
        ),
    ];
    for (row, put, code) in rows {
        for tag_schema in [false, true] {
            let exhibit = Exhibit::new().await;
            let bad = put(&exhibit);
            exhibit.list_by(tag_schema, std::slice::from_ref(&bad));
            assert_eq!(exhibit.code().await, code, "{row}, tag schema {tag_schema}");
            let valid = exhibit.sign();
            exhibit.list_by(tag_schema, &[bad, valid]);
            exhibit.registry.forget_calls();
            assert_eq!(exhibit.code().await, "VERIFIED", "{row} beside a valid one, tag schema {tag_schema}");
            exhibit.asked_at_most(row, 6 + usize::from(tag_schema));
        }
    }
}

impl Exhibit {
    /// A good signature's manifest with one thing changed, listed as a signature.
    fn put(&self, change: impl FnOnce(&mut Value)) -> Descriptor {
        let signer = self.stage.authority.signer("signer");
        let envelope = signer.sign(&self.image.media_type, &self.image.digest.to_string(), self.image.size);
        self.repository().put_blob(&envelope);
        let mut document = signature(&self.image, JWS, &envelope);
        change(&mut document);
        listed(&self.repository().put_document(media_type::IMAGE_MANIFEST, &document, None), NOTARY_SIGNATURE)
    }

    /// By the referrers API, or by the referrers tag of a registry without one.
    fn list_by(&self, tag_schema: bool, referrers: &[Descriptor]) {
        if tag_schema {
            self.registry.without_referrers_api();
            let tag = self.image.digest.to_string().replace(':', "-");
            self.repository().put_index(referrers, Some(&tag));
        } else {
            self.list(referrers);
        }
    }
}

// REG-33, REG-34: what cannot be fetched is no yes, hides none, and is no reason to say no
#[tokio::test(flavor = "multi_thread")]
async fn one_signature_that_cannot_be_fetched_decides_nothing_for_the_others() {
    // Alone; and whether it is a definite no, so also beside an invalid one.
    for (row, status, alone, is_no) in [
        ("REG-33 missing", 404, "NOT_FOUND", true),
        ("REG-34 down", 503, "REG_UNAVAILABLE", false),
        ("REG-34 throttled", 429, "RATE_LIMITED", false),
        ("REG-34 forbidden", 403, "AUTH", false),
    ] {
        let exhibit = Exhibit::new().await;
        let gone = exhibit.sign();
        exhibit.registry.script(&exhibit.repository().manifest_path(&gone.digest), [Reply::status(status)]);
        let said = exhibit.code().await;
        assert!(said.starts_with(alone), "{row}: {said}");
        let stranger = SigningAuthority::new("root", Clock::System.now());
        exhibit.repository().sign(&exhibit.image, &stranger.signer("stranger"));
        let said = exhibit.code().await;
        // A system error has text behind its code.
        assert!(if is_no { !said.contains(':') } else { said.starts_with(&format!("{alone}: ")) }, "{row}: {said}");
        exhibit.sign();
        assert_eq!(exhibit.code().await, "VERIFIED", "{row}");

        let exhibit = Exhibit::new().await;
        exhibit.sign();
        exhibit.registry.script(&format!("/v2/{NAME}/blobs/"), [Reply::status(status)]);
        let said = exhibit.code().await;
        assert!(said.starts_with(alone), "{row}, its envelope: {said}");
    }
}

// REG-33: all of two verifiers, and the evidence for one of them is gone
#[tokio::test(flavor = "multi_thread")]
async fn all_of_two_needs_the_evidence_of_both() {
    let mut exhibit = Exhibit::new().await;
    let other = SigningAuthority::new("other", Clock::System.now());
    exhibit.stage.write("other.pem", &other.pem());
    let mut second = exhibit.configuration["verifiers"][0].clone();
    second["name"] = json!("second");
    second["trustStores"] = json!({ "ca": { "test": ["other.pem"] } });
    exhibit.configuration["verifiers"].as_array_mut().unwrap().push(second);
    exhibit.configuration["policies"][0]["require"] = json!({ "all": ["notary", "second"] });
    exhibit.sign();
    let others = exhibit.repository().sign(&exhibit.image, &other.signer("other"));
    assert_eq!(exhibit.code().await, "VERIFIED");
    for (status, expected) in [(404, "no"), (503, "REG_UNAVAILABLE")] {
        exhibit.registry.script(&exhibit.repository().manifest_path(&others.digest), [Reply::status(status)]);
        let said = exhibit.code().await;
        let is_no = !said.contains(':') && said != "VERIFIED";
        assert!(if expected == "no" { is_no } else { said.starts_with(expected) }, "{status}: {said}");
    }
    exhibit.configuration["policies"][0]["require"] = json!({ "any": ["notary", "second"] });
    assert_eq!(exhibit.code().await, "VERIFIED");
}

// REG-60
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_goes_while_it_is_judged_is_judged_by_its_digest() {
    let exhibit = Exhibit::new().await;
    exhibit.sign();
    let provider = exhibit.start().await;
    let key = exhibit.repository().tag("v1").to_string();
    exhibit.registry.hold();
    let before = exhibit.registry.arrivals();
    let (said, ()) = tokio::join!(provider.value(&key), async {
        exhibit.registry.arrived(before + 1).await;
        exhibit.registry.step();
        exhibit.registry.arrived(before + 2).await;
        exhibit.repository().remove_tag("v1");
        exhibit.registry.release();
    });
    assert_eq!((&said["code"], &said["digest"]), (&json!("VERIFIED"), &json!(exhibit.image.digest.to_string())));
    assert_eq!(provider.code(&key).await, "NOT_FOUND", "and anew for each request");
}

// REG-61
#[tokio::test(flavor = "multi_thread")]
async fn many_slow_calls_run_side_by_side_or_end_as_a_system_error() {
    let mut exhibit = Exhibit::new().await;
    exhibit.junk(29);
    exhibit.sign();
    exhibit.registry.latency(Duration::from_millis(40));
    exhibit.configuration["server"]["providerTimeout"]["verify"] = json!("2s");
    assert_eq!(exhibit.code().await, "VERIFIED", "60 calls of 40 ms in four round trips");
    // One after the other they take 2.4 s.
    exhibit.configuration["limits"] = json!({ "artifactsAtOnce": 1 });
    exhibit.configuration["server"]["providerTimeout"]["verify"] = json!("1s");
    let said = exhibit.code().await;
    assert!(said.starts_with("TIMEOUT"), "{said}");
}
