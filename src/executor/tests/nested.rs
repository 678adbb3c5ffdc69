//! Evidence that must be signed itself.

use super::*;
use crate::{
    executor::{
        limits::MAX_NESTED_ARTIFACTS,
        tests::fakes::{EVIDENCE, executor_of},
    },
    oci::{Completeness, Descriptor},
    report::{Evidence, VerifierReport},
};

/// An image with evidence, signatures of the evidence, and an engine that wants `e` signed by `s`.
struct Scene {
    store: Arc<FakeStore>,
    image: Descriptor,
}

impl Scene {
    /// `words`: what the verifier `e` says of each piece of evidence.
    fn new(words: &[&str]) -> (Self, Vec<Descriptor>) {
        let (store, image) = FakeStore::with(&[]);
        let evidence = words.iter().enumerate().map(|(index, word)| store.evidence(&image, word, index)).collect();
        (Self { store: Arc::new(store), image }, evidence)
    }

    fn sign(&self, evidence: &Descriptor, words: &[&str]) {
        for word in words {
            self.store.attach(evidence, SIGNATURE, word);
        }
    }

    fn engine(&self, signers: FakeVerifier) -> Arc<Executor> {
        self.engine_with(vec![FakeVerifier::of_evidence("e"), signers], &signed_by("s".into()), Limits::default())
    }

    fn engine_with(&self, verifiers: Vec<FakeVerifier>, require: &serde_json::Value, limits: Limits) -> Arc<Executor> {
        executor_of(&self.store, verifiers, require, limits)
    }

    async fn ask(&self) -> Answer {
        self.engine(FakeVerifier::named("s")).verify(ask(&self.image)).await
    }

    fn counts(&self) -> [usize; 2] {
        [&self.store.lists, &self.store.manifests].map(|count| count.load(Ordering::SeqCst))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in tables")]
fn signed_by(by: serde_json::Value) -> serde_json::Value {
    json!({ "evidence": "e", "signedBy": by })
}

fn below(report: &VerifierReport) -> &Evidence {
    &report.nested.as_ref().unwrap().evidence
}

// ART-03
#[tokio::test]
async fn evidence_counts_only_where_its_own_artifact_is_signed() {
    let unsigned = ('n', Code::EvidenceUnsigned);
    for (name, evidence, signatures, expected) in [
        ("signed", vec!["yes"], vec![vec!["yes"]], ('y', Code::Verified)),
        ("signed among bad ones", vec!["yes"], vec![vec!["no", "nothing", "yes"]], ('y', Code::Verified)),
        ("unsigned", vec!["yes"], vec![vec![]], unsigned),
        ("signed by a stranger", vec!["yes"], vec![vec!["no"]], unsigned),
        ("yes of one, signature of another", vec!["yes", "no"], vec![vec![], vec!["yes"]], unsigned),
        ("the second is good and signed", vec!["no", "yes"], vec![vec!["yes"], vec!["yes"]], ('y', Code::Verified)),
        ("signed, and it says no", vec!["no"], vec![vec!["yes"]], ('n', Code::SignatureInvalid)),
        ("nothing", vec![], vec![], ('n', Code::NoSignature)),
        ("the signature is open", vec!["yes"], vec![vec!["late"]], ('?', Code::RegistryUnavailable)),
        ("the evidence is open", vec!["late"], vec![vec!["yes"]], ('?', Code::RegistryUnavailable)),
        ("several items, signed as one", vec!["two"], vec![vec!["yes"]], ('y', Code::Verified)),
    ] {
        let (scene, artifacts) = Scene::new(&evidence);
        for (artifact, words) in artifacts.iter().zip(&signatures) {
            scene.sign(artifact, words);
        }
        let answer = scene.ask().await;
        assert_eq!(code(&answer), expected, "{name}: {:?}", answer.verdict.decision);
        assert!(answer.verdict.reports.iter().all(|report| &*report.verifier == "e"), "{name}: below stays below");
    }
}

#[tokio::test]
async fn a_signature_of_the_image_is_none_of_its_evidence() {
    let (scene, artifacts) = Scene::new(&["yes"]);
    scene.store.sign(&scene.image, "yes", 9);
    assert_eq!(code(&scene.ask().await), ('n', Code::EvidenceUnsigned));
    // And a lying list does not make it one.
    let signature = scene.store.referrers.lock().unwrap().last().unwrap().clone();
    scene.store.relist(&artifacts[0], |listing| listing.referrers.push(signature));
    let answer = scene.ask().await;
    assert_eq!(code(&answer), ('n', Code::EvidenceUnsigned));
    assert!(answer.verdict.decision.message().contains("as its subject"), "{:?}", answer.verdict.decision);
}

#[tokio::test]
async fn a_signature_of_other_evidence_is_none_of_this() {
    let (scene, artifacts) = Scene::new(&["yes", "no"]);
    let other = scene.store.attach(&artifacts[1], SIGNATURE, "yes");
    let listed = Referrer { descriptor: other, found: Found::ReferrersApi };
    scene.store.relist(&artifacts[0], |listing| listing.referrers.push(listed));
    assert_eq!(code(&scene.ask().await), ('n', Code::EvidenceUnsigned));
}

#[tokio::test]
async fn signers_are_asked_with_the_evidence_as_their_subject_and_evidence_is_told_what_they_say() {
    let (scene, artifacts) = Scene::new(&["if signed", "if signed"]);
    scene.sign(&artifacts[0], &["no", "yes"]);
    let evidence = FakeVerifier::of_evidence("e");
    let seen = evidence.nested.clone();
    let verifiers = vec![evidence, FakeVerifier::named("s")];
    let executor = scene.engine_with(verifiers, &signed_by("s".into()), Limits::default());
    let answer = executor.verify(ask(&scene.image)).await;
    assert_eq!(code(&answer), ('y', Code::Verified));
    let [first, second] = &answer.verdict.reports[..] else { panic!("{:?}", answer.verdict.reports) };
    let subject = &first.nested.as_ref().unwrap().subject;
    assert_eq!(subject.to_string(), format!("r.io/app@{}", artifacts[0].digest));
    let words =
        |report| below(report).reports.iter().map(|report| matches!(report.word, Word::Yes(_))).collect::<Vec<_>>();
    assert_eq!((words(first), words(second)), (vec![false, true], vec![false]));
    assert!(matches!(second.word, Word::Not(_)), "it was told that nothing is signed");
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_by_key(Vec::len);
    let [unsigned, signed] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(unsigned[0].artifact, None, "nothing was found");
    assert_eq!(unsigned[0].outcome.as_ref().unwrap_err().code(), Code::NoSignature);
    let told: Vec<_> = signed.iter().map(|one| (&*one.verifier, one.kind, one.outcome.is_ok())).collect();
    assert_eq!(told, [("s", "fake", false), ("s", "fake", true)]);
    assert!(signed.iter().all(|one| one.artifact_type == SIGNATURE && one.artifact.is_some()));
}

#[tokio::test]
async fn nobody_looks_below_what_no_policy_wants_signed() {
    let (scene, artifacts) = Scene::new(&["yes"]);
    scene.sign(&artifacts[0], &["yes"]);
    let both = || vec![FakeVerifier::of_evidence("e"), FakeVerifier::named("s")];
    for (require, expected, lists) in [(json!("e"), 'y', 1), (json!({"all": ["e", "s"]}), 'n', 2)] {
        let answer = scene.engine_with(both(), &require, Limits::default()).verify(ask(&scene.image)).await;
        assert_eq!(code(&answer).0, expected, "{require}");
        assert!(answer.verdict.reports.iter().all(|report| report.nested.is_none()));
        assert_eq!(scene.counts()[0], lists, "one listing of the image each time");
    }
    // What cannot be evidence is not looked below either: neither another type, nor what is attached and refused.
    let (scene, _) = Scene::new(&[]);
    scene.store.sign(&scene.image, "yes", 0);
    assert_eq!(code(&scene.ask().await), ('n', Code::NoSignature));
    assert_eq!(scene.counts(), [1, 0]);
}

#[tokio::test]
async fn a_waiver_or_a_missing_trust_policy_is_no_signature() {
    let (scene, artifacts) = Scene::new(&["yes"]);
    scene.sign(&artifacts[0], &["yes"]);
    let named = FakeVerifier::named;
    for (name, signers) in [
        ("waived", FakeVerifier { waives: true, ..named("s") }),
        ("not covered", FakeVerifier { covers: false, ..named("s") }),
    ] {
        let answer = scene.engine(signers).verify(ask(&scene.image)).await;
        assert_eq!(code(&answer), ('n', Code::EvidenceUnsigned), "{name}");
    }
    let waived = FakeVerifier { waives: true, ..FakeVerifier::of_evidence("e") };
    let executor = scene.engine_with(vec![waived, named("s")], &signed_by("s".into()), Limits::default());
    assert_eq!(code(&executor.verify(ask(&scene.image)).await), ('n', Code::EvidenceUnsigned), "waived evidence");
}

#[tokio::test]
async fn a_list_below_that_fails_leaves_the_question_open_and_one_that_is_cut_does_not_say_yes() {
    let down = || StoreError::Unavailable { registry: "r.io".into(), what: "referrers".into(), detail: "503".into() };
    let (scene, artifacts) = Scene::new(&["yes", "yes"]);
    scene.store.below.lock().unwrap().insert(artifacts[0].digest.clone(), Err(down()));
    let answer = scene.ask().await;
    assert_eq!(code(&answer), ('?', Code::RegistryUnavailable), "never an empty list");
    assert!(!scene.ask().await.cached);
    scene.sign(&artifacts[1], &["yes"]);
    assert_eq!(code(&scene.ask().await), ('y', Code::Verified), "another artifact is signed");
    for (words, expected) in [(vec!["no"], ('n', Code::LimitExceeded)), (vec!["no", "yes"], ('y', Code::Verified))] {
        let (scene, artifacts) = Scene::new(&["yes"]);
        scene.sign(&artifacts[0], &words);
        scene.store.relist(&artifacts[0], |listing| listing.completeness = Completeness::Cut);
        let answer = scene.ask().await;
        assert_eq!(code(&answer), expected, "REG-20 {words:?}: {:?}", answer.verdict.decision);
    }
}

#[tokio::test]
async fn weighing_and_attempts_hold_below_as_above() {
    let (scene, artifacts) = Scene::new(&["yes"]);
    scene.sign(&artifacts[0], &["yes", "late"]);
    let weighing = FakeVerifier { only_last: true, ..FakeVerifier::named("s") };
    let answer = scene.engine(weighing).verify(ask(&scene.image)).await;
    assert_eq!(code(&answer), ('?', Code::RegistryUnavailable), "what is open might have been the last");
    let (scene, artifacts) = Scene::new(&["yes"]);
    scene.sign(&artifacts[0], &["no", "no", "yes"]);
    for (attempts, expected) in [(3, ('y', Code::Verified)), (2, ('n', Code::LimitExceeded))] {
        let answer =
            scene.engine(FakeVerifier { attempts, ..FakeVerifier::named("s") }).verify(ask(&scene.image)).await;
        assert_eq!(code(&answer), expected, "{attempts}");
        let says = answer.verdict.decision.message().contains("maxSignatureAttempts is 2");
        assert_eq!(says, attempts == 2, "{:?}", answer.verdict.decision);
    }
}

#[tokio::test]
async fn a_verdict_ends_with_the_signature_of_its_evidence_and_is_as_old_as_its_oldest_list() {
    let (scene, artifacts) = Scene::new(&["yes"]);
    scene.sign(&artifacts[0], &["brief"]);
    let executor = scene.engine(FakeVerifier::named("s"));
    let answer = executor.verify(ask(&scene.image)).await;
    let hour = NOW + Duration::from_hours(1);
    assert_eq!(answer.verdict.decision, Decision::allow(Some(hour)));
    let Word::Yes(evidence) = &answer.verdict.reports[0].word else { panic!("{:?}", answer.verdict.reports) };
    assert_eq!(evidence.valid_until(), Some(hour), "it was told of a signature that ends then");
    assert!(executor.verify(ask(&scene.image)).await.cached);
    assert!(!executor.verify(Question { now: hour, ..ask(&scene.image) }).await.cached, "the signature has ended");
    // A list below that is older than a verdict may be: nothing is kept.
    scene.store.relist(&artifacts[0], |listing| {
        listing.listed_at = listing.listed_at.checked_sub(Duration::from_secs(11)).unwrap();
    });
    let executor = scene.engine(FakeVerifier::named("s"));
    for _ in 0..2 {
        assert!(!executor.verify(ask(&scene.image)).await.cached);
    }
}

#[tokio::test]
async fn evidence_is_followed_as_deep_as_the_limit_says() {
    let (scene, artifacts) = Scene::new(&["yes"]);
    let signature = scene.store.attach(&artifacts[0], SIGNATURE, "yes");
    scene.store.attach(&signature, EVIDENCE, "yes");
    let require = signed_by(json!({ "evidence": "s", "signedBy": "t" }));
    for (nested_depth, expected, lists) in
        [(1, ('n', Code::LimitExceeded), 2), (2, ('y', Code::Verified), 3), (3, ('y', Code::Verified), 3)]
    {
        let verifiers = ["e", "s", "t"].map(|name| match name {
            "s" => FakeVerifier::named(name),
            _ => FakeVerifier::of_evidence(name),
        });
        let before = scene.counts()[0];
        let limits = Limits { nested_depth, ..Limits::default() };
        let answer = scene.engine_with(verifiers.into(), &require, limits).verify(ask(&scene.image)).await;
        assert_eq!(code(&answer), expected, "{nested_depth}: {:?}", answer.verdict.decision);
        assert_eq!(scene.counts()[0] - before, lists, "{nested_depth}");
    }
}

// REG-26: a tree however wide costs no more than its bound, and no branch takes another's share.
#[tokio::test]
async fn a_wide_tree_is_looked_at_in_equal_shares_up_to_a_bound() {
    for (width, junk, expected) in [
        (128, 1, ('y', Code::Verified)),
        (128, 2, ('n', Code::LimitExceeded)),
        (256, 0, ('y', Code::Verified)),
        (257, 0, ('n', Code::LimitExceeded)),
    ] {
        let (scene, artifacts) = Scene::new(&vec!["yes"; width]);
        for artifact in &artifacts[1..] {
            scene.sign(artifact, &["no", "no", "no"]);
        }
        scene.sign(&artifacts[0], &vec!["no"; junk]);
        scene.sign(&artifacts[0], &["yes"]);
        let evidence = FakeVerifier { attempts: 300, ..FakeVerifier::of_evidence("e") };
        let verifiers = vec![evidence, FakeVerifier::named("s")];
        let executor = scene.engine_with(verifiers, &signed_by("s".into()), Limits::default());
        let answer = executor.verify(ask(&scene.image)).await;
        assert_eq!(code(&answer), expected, "{width} {junk}: {:?}", answer.verdict.decision);
        let [lists, manifests] = scene.counts();
        assert!(lists <= 1 + MAX_NESTED_ARTIFACTS && manifests <= width + MAX_NESTED_ARTIFACTS, "{lists} {manifests}");
    }
}

#[tokio::test]
async fn words_below_are_counted_apart_and_what_is_only_logged_there_is_told() {
    let (scene, artifacts) = Scene::new(&["two"]);
    scene.sign(&artifacts[0], &["logged", "no"]);
    let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
    let mut executor = scene.engine(FakeVerifier::named("s"));
    Arc::get_mut(&mut executor).unwrap().metrics = Metrics::new(Some(&telemetry.meter()), &[]);
    let answer = executor.verify(ask(&scene.image)).await;
    assert_eq!(code(&answer), ('y', Code::Verified));
    executor.observe(NOW);
    let text = telemetry.prometheus_text().unwrap();
    let week = (NOW + time::Duration::WEEK).unix_timestamp();
    for line in [
        r#"countersign_verifier_outcomes_total{code="VERIFIED",verifier="e"} 2"#,
        r#"countersign_nested_verifier_outcomes_total{code="LOGGED_ONLY",verifier="s"} 1"#,
        r#"countersign_nested_verifier_outcomes_total{code="SIG_INVALID",verifier="s"} 1"#,
        r#"countersign_logged_checks_total{check="authenticTimestamp",verifier="s"} 1"#,
        &format!("countersign_signer_expiry_timestamp_seconds {week}"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains(r#"countersign_verifier_outcomes_total{code="LOGGED_ONLY""#), "{text}");
    let mut value = Vec::new();
    answer.rendered.write_value(&mut value, "t", NOW);
    let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
    let nested = &value["verifierReports"][0]["nestedResults"];
    assert_eq!((&nested[0]["code"], &nested[1]["code"]), (&"LOGGED_ONLY".into(), &"SIG_INVALID".into()));
    assert_eq!(nested[0]["subject"], format!("r.io/app@{}", artifacts[0].digest));
    assert!(value["warnings"][0].as_str().unwrap().contains("authenticTimestamp failed and is only logged"));
}
