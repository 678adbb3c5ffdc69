use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Notify;

use self::fakes::{
    FakeStore, FakeVerifier, NOW, SIGNATURE, ask, blob, code, contains, executor, executor_with, question,
};
use super::*;
use crate::{
    oci::{Digest, Found, Referrer, Repository, media_type},
    policy::threshold::{Config, Threshold},
    report::Word,
    telemetry::{DecisionLog, Telemetry},
    tenant::Namespace,
    verifier::{Rejection, Verified, VerifyError},
};

mod fakes;
mod kept;
mod nested;
mod ways;

#[tokio::test]
async fn a_good_signature_among_bad_ones_is_a_yes_at_the_least_cost() {
    let (store, image) = FakeStore::with(&["no", "yes", "no"]);
    let store = Arc::new(store);
    let executor = executor(store.clone());
    let answer = executor.verify(ask(&image)).await;
    assert_eq!(code(&answer), ('y', Code::Verified));
    assert_eq!(answer.verdict.reports.len(), 3);
    assert!(!answer.cached && executor.verify(ask(&image)).await.cached);
    let counts = [&store.resolves, &store.lists, &store.manifests].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counts, [1, 1, 3], "one resolution, one listing, each manifest once; nothing when warm");
}

// CCH-06
#[tokio::test]
async fn a_herd_for_one_image_is_one_flight() {
    let (mut store, image) = FakeStore::with(&["yes"]);
    let gate = Arc::new(Notify::new());
    store.gate = Some(gate.clone());
    let store = Arc::new(store);
    let executor = executor(store.clone());
    let herd = join_all((0..500).map(|_| executor.verify(ask(&image))));
    let (answers, ()) = tokio::join!(herd, async { gate.notify_one() });
    assert!(answers.iter().all(|answer| answer.rendered.is_success()));
    assert_eq!(store.lists.load(Ordering::SeqCst), 1);
    assert_eq!(store.manifests.load(Ordering::SeqCst), 1);
}

// CCH-03, R109
#[tokio::test]
async fn a_tag_is_resolved_anew_for_each_request_and_its_verdict_kept_by_digest() {
    let (store, image) = FakeStore::with(&["yes"]);
    let store = Arc::new(store);
    let executor = executor(store.clone());
    for _ in 0..3 {
        let answer = executor.verify(question("r.io/app:1")).await;
        assert_eq!(answer.verdict.subject.as_ref().unwrap().digest(), &image.digest);
    }
    assert_eq!(store.resolves.load(Ordering::SeqCst), 3);
    assert_eq!(store.lists.load(Ordering::SeqCst), 1);
}

// CFG-19: a verdict's life is counted on the monotonic clock; what evidence says, on the wall clock.
#[tokio::test]
async fn a_clock_that_jumps_neither_loses_nor_lengthens_a_verdict() {
    let (store, image) = FakeStore::with(&["brief"]);
    let executor = executor(Arc::new(store));
    let at = |now: OffsetDateTime| executor.verify(Question { now, ..ask(&image) });
    assert!(!at(NOW).await.cached);
    assert!(at(NOW - time::Duration::DAY).await.cached, "set back a day");
    assert!(at(NOW + time::Duration::minutes(59)).await.cached, "evidence still holds");
    let late = at(NOW + time::Duration::HOUR).await;
    assert!(!late.cached && !late.rendered.is_success(), "evidence has ended");
    let far = at(NOW + 365 * time::Duration::DAY).await;
    assert!(!far.rendered.is_success(), "set forward a year");
}

// REF-27, R109
#[tokio::test]
async fn one_digest_in_two_places_is_two_questions() {
    let (store, image) = FakeStore::with(&["yes"]);
    let store = Arc::new(store);
    let configs = json!([{"scopes": ["r.io/**"], "require": "v"}, {"scopes": ["mirror.io/**"], "require": "w"}]);
    let configs: Vec<Config> = serde_json::from_value(configs).unwrap();
    let policy = Threshold::build(&configs, &["v".into(), "w".into()]).unwrap();
    let mute = FakeVerifier { covers: false, ..FakeVerifier::named("w") };
    let executor = Executor::new(Parts {
        store: store.clone(),
        verifiers: vec![Arc::new(FakeVerifier::named("v")), Arc::new(mute)],
        policy: Arc::new(policy),
        limits: Limits::default(),
        runtime: Handle::current(),
        meter: None,
    });
    for (place, expected) in [
        ("r.io/app", ('y', Code::Verified)),
        ("mirror.io/app", ('n', Code::TrustPolicyMissing)),
        ("r.io/other", ('y', Code::Verified)),
        ("mirror.example/app", ('n', Code::NoPolicy)),
    ] {
        let answer = executor.verify(question(&format!("{place}@{}", image.digest))).await;
        assert_eq!((code(&answer), answer.cached), (expected, false), "{place}");
    }
    assert_eq!(store.lists.load(Ordering::SeqCst), 2, "each repository's own listing");
}

// REG-24: what is not a signature is dropped before anything is counted, and junk that is one counts against its limit only.
#[tokio::test]
async fn junk_before_the_valid_signature_does_not_hide_it() {
    let mut words = vec!["no"; 50];
    words.push("yes");
    let (store, image) = FakeStore::with(&words);
    let other = |n: u32| {
        let artifact_type = Some("application/vnd.example.sbom".to_owned());
        let descriptor = Descriptor { artifact_type, ..Descriptor::of(media_type::IMAGE_MANIFEST, &n.to_be_bytes()) };
        Referrer { descriptor, found: Found::ReferrersApi }
    };
    store.referrers.lock().unwrap().splice(0..0, (0..1_900).map(other));
    let store = Arc::new(store);
    let verifier = FakeVerifier { attempts: 52, ..FakeVerifier::named("v") };
    let answer = executor_with(store.clone(), verifier, Limits::default()).verify(ask(&image)).await;
    assert_eq!(code(&answer), ('y', Code::Verified));
    assert!(store.manifests.load(Ordering::SeqCst) <= 51, "of the others not one was fetched");
}

// REG-26: referrers are not walked: one listing for a subject, whatever refers to what.
#[tokio::test]
async fn referrers_in_a_circle_are_listed_once() {
    let (store, image) = FakeStore::with(&["no"]);
    let signature = store.referrers.lock().unwrap()[0].descriptor.clone();
    // A signature of the signature, which the registry lists as the image's; and the image as its own referrer.
    store.sign(&signature, "yes", 1);
    let itself = Descriptor { artifact_type: Some(SIGNATURE.into()), ..image.clone() };
    store.referrers.lock().unwrap().push(Referrer { descriptor: itself, found: Found::ReferrersApi });
    let store = Arc::new(store);
    let answer = executor(store.clone()).verify(ask(&image)).await;
    assert!(matches!(answer.verdict.decision, Decision::Deny(_)), "{:?}", answer.verdict.decision);
    assert_eq!(store.lists.load(Ordering::SeqCst), 1);
    assert!(store.manifests.load(Ordering::SeqCst) <= 3);
}

// Item 68, item 73
#[tokio::test]
async fn the_order_of_referrers_changes_no_verdict() {
    let rows = [["yes", "no", "no"], ["no", "yes", "no"], ["no", "no", "yes"]];
    for (words, broken) in rows.into_iter().flat_map(|words| [(words, false), (words, true)]) {
        let (store, image) = FakeStore::with(&words);
        if broken {
            // What is listed is no manifest at all.
            let mut junk = store.put(media_type::IMAGE_MANIFEST, &json!({"schemaVersion": 1}));
            junk.artifact_type = Some(SIGNATURE.into());
            store.referrers.lock().unwrap().insert(0, Referrer { descriptor: junk, found: Found::ReferrersApi });
        }
        let answer = executor(Arc::new(store)).verify(ask(&image)).await;
        assert_eq!(code(&answer), ('y', Code::Verified), "{words:?} {broken}");
    }
}

// CFG-06, R103
#[tokio::test]
async fn what_no_policy_covers_is_refused_without_any_call() {
    let (store, image) = FakeStore::with(&["yes"]);
    let store = Arc::new(store);
    let executor = executor(store.clone());
    let answer = executor.verify(question(&format!("other.io/app@{}", image.digest))).await;
    assert_eq!(code(&answer), ('n', Code::NoPolicy));
    assert_eq!(store.resolves.load(Ordering::SeqCst) + store.lists.load(Ordering::SeqCst), 0);
}

// R109
#[tokio::test]
async fn an_error_is_never_an_empty_list_and_never_kept() {
    let (mut store, image) = FakeStore::with(&["yes"]);
    store.list_fails = Some(StoreError::RateLimited { registry: "r.io".into(), detail: "429".into() });
    let store = Arc::new(store);
    let executor = executor(store.clone());
    for _ in 0..2 {
        let answer = executor.verify(ask(&image)).await;
        assert_eq!(code(&answer), ('?', Code::RateLimited));
        assert!(!answer.cached);
    }
    assert_eq!(store.lists.load(Ordering::SeqCst), 2);
}

// REG-34 and REG-33: 503 beside an invalid one, 404 beside a valid one.
#[tokio::test]
async fn one_unreadable_referrer_neither_hides_a_yes_nor_makes_a_no() {
    let unavailable =
        StoreError::Unavailable { registry: "r.io".into(), what: "manifest".into(), detail: "503".into() };
    let missing = StoreError::NotFound { what: "manifest".into() };
    for (words, error, expected) in [
        (["no", "no"], unavailable.clone(), ('?', Code::RegistryUnavailable)),
        (["no", "yes"], unavailable, ('y', Code::Verified)),
        (["no", "yes"], missing.clone(), ('y', Code::Verified)),
        (["no", "no"], missing, ('n', Code::SignatureInvalid)),
    ] {
        let (store, image) = FakeStore::with(&words);
        let first = store.referrers.lock().unwrap()[0].descriptor.digest.clone();
        store.manifest_fails.lock().unwrap().insert(first, error.clone());
        let answer = executor(Arc::new(store)).verify(ask(&image)).await;
        assert_eq!(code(&answer), expected, "{words:?} {error}");
    }
}

// Item 74
#[tokio::test]
async fn nothing_attached_is_a_no_that_says_so() {
    let (store, image) = FakeStore::with(&[]);
    let answer = executor(Arc::new(store)).verify(ask(&image)).await;
    assert_eq!(code(&answer), ('n', Code::NoSignature));
}

// Item 69
#[tokio::test]
async fn attempts_end_at_their_limit_in_listing_order() {
    for (words, attempts, expected) in [
        (vec!["no", "no", "yes"], 3, ('y', Code::Verified)),
        (vec!["no", "no", "yes"], 2, ('n', Code::LimitExceeded)),
        (vec!["no", "no"], 2, ('n', Code::LimitExceeded)),
        (vec!["no", "no"], 3, ('n', Code::SignatureInvalid)),
    ] {
        let (store, image) = FakeStore::with(&words);
        let verifier = FakeVerifier { attempts, ..FakeVerifier::named("v") };
        let answer = executor_with(Arc::new(store), verifier, Limits::default()).verify(ask(&image)).await;
        assert_eq!(code(&answer), expected, "{words:?} {attempts}");
    }
}

// REG-20
#[tokio::test]
async fn a_cut_list_without_a_yes_is_refused_by_its_limit() {
    for (words, expected) in [(["no"], ('n', Code::LimitExceeded)), (["yes"], ('y', Code::Verified))] {
        let (mut store, image) = FakeStore::with(&words);
        store.cut = true;
        let answer = executor(Arc::new(store)).verify(ask(&image)).await;
        assert_eq!(code(&answer), expected);
    }
}

// ENV-65
#[tokio::test]
async fn a_manifest_that_is_listed_twice_is_looked_at_once() {
    let (store, image) = FakeStore::with(&["yes"]);
    let again = store.referrers.lock().unwrap()[0].clone();
    store.referrers.lock().unwrap().push(again);
    let store = Arc::new(store);
    let answer = executor(store.clone()).verify(ask(&image)).await;
    assert_eq!(answer.verdict.reports.len(), 1);
    assert_eq!(store.manifests.load(Ordering::SeqCst), 1);
}

// REG-28
#[tokio::test]
async fn a_referrer_that_names_another_subject_is_no_evidence() {
    let (store, _) = FakeStore::with(&["yes"]);
    let other = store.put(media_type::IMAGE_MANIFEST, &json!({"schemaVersion": 2, "config": blob("d"), "layers": []}));
    let answer = executor(Arc::new(store)).verify(ask(&other)).await;
    assert_eq!(code(&answer), ('n', Code::SubjectMismatch));
}

#[tokio::test]
async fn a_waiver_allows_without_looking_for_evidence_and_says_so() {
    let (store, image) = FakeStore::with(&["no"]);
    let store = Arc::new(store);
    let verifier = FakeVerifier { waives: true, ..FakeVerifier::named("v") };
    let answer = executor_with(store.clone(), verifier, Limits::default()).verify(ask(&image)).await;
    assert_eq!(code(&answer), ('y', Code::Verified));
    assert!(matches!(answer.verdict.reports[0].word, Word::Waived(_)));
    assert_eq!(store.lists.load(Ordering::SeqCst), 0);
}

// Item 45
#[tokio::test]
async fn a_verifier_without_a_trust_policy_here_refuses_without_looking() {
    let (store, image) = FakeStore::with(&["yes"]);
    let store = Arc::new(store);
    let verifier = FakeVerifier { covers: false, ..FakeVerifier::named("v") };
    let answer = executor_with(store.clone(), verifier, Limits::default()).verify(ask(&image)).await;
    assert_eq!(code(&answer), ('n', Code::TrustPolicyMissing));
    assert_eq!(store.lists.load(Ordering::SeqCst), 0);
}

// OPS-01, R102
#[tokio::test]
async fn a_panic_is_one_question_s_fault() {
    let (store, image) = FakeStore::with(&["panic"]);
    let executor = executor(Arc::new(store));
    assert_eq!(code(&executor.verify(ask(&image)).await), ('?', Code::Internal));
    assert_eq!(code(&executor.verify(question("other.io/x:1")).await), ('n', Code::NoPolicy));
}

#[tokio::test]
async fn a_late_verdict_is_undecided_now_and_warm_for_the_next_question() {
    let (mut store, image) = FakeStore::with(&["yes"]);
    let gate = Arc::new(Notify::new());
    store.gate = Some(gate.clone());
    let executor = executor(Arc::new(store));
    let hurried = Question { deadline: Instant::now() + Duration::from_millis(20), ..ask(&image) };
    assert_eq!(code(&executor.verify(hurried).await), ('?', Code::Timeout));
    gate.notify_one();
    assert_eq!(code(&executor.verify(ask(&image)).await), ('y', Code::Verified));
}

// TEN-04
#[tokio::test]
async fn tenants_share_neither_flights_nor_verdicts() {
    let (store, image) = FakeStore::with(&["yes"]);
    let store = Arc::new(store);
    let executor = executor(store.clone());
    for namespace in ["a", "b"] {
        let tenant = Tenant::Namespace(Namespace::parse(namespace).unwrap());
        let answer = executor.verify(Question { tenant, ..ask(&image) }).await;
        assert!(!answer.cached);
        let mut value = Vec::new();
        answer.rendered.write_value(&mut value, "t", NOW);
        assert!(contains(&value, format!(r#""namespace":"{namespace}""#).as_bytes()));
    }
    assert_eq!(store.lists.load(Ordering::SeqCst), 2);
}

// REQ-36
#[tokio::test]
async fn too_many_verifications_are_said_to_be_too_many() {
    let (mut store, image) = FakeStore::with(&["yes"]);
    let gate = Arc::new(Notify::new());
    store.gate = Some(gate.clone());
    let limits = Limits { in_flight: 1, finish: Duration::ZERO, ..Limits::default() };
    let executor = executor_with(Arc::new(store), FakeVerifier::named("v"), limits);
    let first = executor.verify(ask(&image));
    let second = async {
        let other = question(&format!("r.io/other@{}", image.digest));
        let hurried = Question { deadline: Instant::now() + Duration::from_millis(20), ..other };
        let answer = executor.verify(hurried).await;
        gate.notify_one();
        answer
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(code(&first), ('y', Code::Verified));
    assert!(matches!(code(&second), ('?', Code::Overloaded | Code::Timeout)));
}

// OPS-12
#[tokio::test]
async fn verifications_are_counted_and_answers_from_the_cache_are_not() {
    let (store, image) = FakeStore::with(&["no", "yes"]);
    let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
    let mut executor = executor(Arc::new(store));
    Arc::get_mut(&mut executor).unwrap().metrics = Metrics::new(Some(&telemetry.meter()), &[]);
    for _ in 0..3 {
        executor.verify(ask(&image)).await;
    }
    executor.verify(question(&format!("r.io/app@sha256:{}", "0".repeat(64)))).await;
    executor.observe(NOW);
    let text = telemetry.prometheus_text().unwrap();
    for line in [
        "countersign_verdict_cache_misses_total 2",
        "countersign_verdict_cache_entries 2",
        "countersign_verifications_in_flight 0",
        "countersign_places_in_use 0",
        r#"countersign_places_refused_total{limit="inFlight"} 0"#,
        r#"countersign_verification_duration_seconds_count{code="VERIFIED"} 1"#,
        r#"countersign_verification_duration_seconds_count{code="NOT_FOUND"} 1"#,
        r#"countersign_verifier_outcomes_total{code="SIG_INVALID",verifier="v"} 1"#,
        r#"countersign_verifier_outcomes_total{code="VERIFIED",verifier="v"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

// A failed check that is only logged: in the report, in its code, and counted by verifier and check.
#[tokio::test]
async fn checks_that_are_only_logged_are_counted_and_the_next_signer_to_end_is_told() {
    let (store, image) = FakeStore::with(&["logged", "yes"]);
    let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
    let mut executor = executor(Arc::new(store));
    let metrics = Metrics::new(Some(&telemetry.meter()), executor.verifiers());
    Arc::get_mut(&mut executor).unwrap().metrics = metrics;
    let holds = |lines: [&str; 3]| {
        let text = telemetry.prometheus_text().unwrap();
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    };
    let never = r#"countersign_logged_checks_total{check="expiry",verifier="v"} 0"#;
    let logged =
        |count: u8| format!(r#"countersign_logged_checks_total{{check="authenticTimestamp",verifier="v"}} {count}"#);
    holds([never, &logged(0), "countersign_signer_expiry_timestamp_seconds 0"]);
    let answer = executor.verify(ask(&image)).await;
    executor.verify(ask(&image)).await;
    executor.observe(NOW);
    let week = (NOW + time::Duration::WEEK).unix_timestamp();
    holds([never, &logged(1), &format!("countersign_signer_expiry_timestamp_seconds {week}")]);
    let text = telemetry.prometheus_text().unwrap();
    for code in ["LOGGED_ONLY", "VERIFIED"] {
        let line = format!(r#"countersign_verifier_outcomes_total{{code="{code}",verifier="v"}} 1"#);
        assert!(text.contains(&line), "{line}\n{text}");
    }
    let mut value = Vec::new();
    answer.rendered.write_value(&mut value, "t", NOW);
    let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
    assert_eq!(value["verifierReports"][0]["code"], "LOGGED_ONLY");
    assert!(value["warnings"][0].as_str().unwrap().contains("authenticTimestamp failed and is only logged: ended"));
    executor.observe(NOW + time::Duration::DAY);
    holds([never, &logged(1), "countersign_signer_expiry_timestamp_seconds 0"]);
}
