//! Items, weighing, and where evidence is looked for.

use super::*;

#[tokio::test]
async fn each_item_of_an_artifact_has_a_word_of_its_own() {
    let (store, image) = FakeStore::with(&["two"]);
    let answer = executor(store.into()).verify(ask(&image)).await;
    assert_eq!(code(&answer), ('y', Code::Verified));
    let layers: Vec<_> = answer.verdict.reports.iter().map(|report| report.about.clone().unwrap().layer).collect();
    assert_eq!(layers, ["one", "two"].map(|text| Some(Digest::sha256(text.as_bytes()).to_string())));
}

#[tokio::test]
async fn an_artifact_that_is_nothing_of_the_verifier_s_is_not_spoken_of() {
    let (store, image) = FakeStore::with(&["nothing"]);
    let answer = executor(store.into()).verify(ask(&image)).await;
    assert_eq!(code(&answer), ('n', Code::NoSignature), "R9");
    assert!(answer.verdict.reports.iter().all(|report| report.about.is_none()));
}

#[tokio::test]
async fn weighing_takes_a_yes_away_or_shortens_it_and_never_makes_one() {
    for (words, expected) in [
        (["bad", "yes"].as_slice(), ('y', Code::Verified)),
        (["yes", "yes"].as_slice(), ('y', Code::Verified)),
        (["bad", "bad"].as_slice(), ('n', Code::SignatureInvalid)),
        // What could not be found out might have been the last one.
        (["yes", "late"].as_slice(), ('?', Code::RegistryUnavailable)),
    ] {
        let (store, image) = FakeStore::with(words);
        let weighing = FakeVerifier { only_last: true, ..FakeVerifier::named("v") };
        let answer = executor_with(store.into(), weighing, Limits::default()).verify(ask(&image)).await;
        assert_eq!(code(&answer), expected, "{words:?}");
        let yes = answer.verdict.reports.iter().filter(|report| matches!(report.word, Word::Yes(_)));
        assert!(yes.count() <= 1, "{words:?}: only the last");
        if expected.0 == 'y' {
            let until = Some(NOW + Duration::from_hours(1));
            assert_eq!(answer.verdict.decision, Decision::allow(until), "{words:?}");
        }
    }
    // Beyond the limit of attempts there may be more: nothing is proven to be the last.
    let (store, image) = FakeStore::with(&["yes", "yes", "yes"]);
    let weighing = FakeVerifier { only_last: true, attempts: 2, ..FakeVerifier::named("v") };
    let answer = executor_with(store.into(), weighing, Limits::default()).verify(ask(&image)).await;
    assert_eq!(code(&answer).0, 'n');
}

#[tokio::test]
async fn evidence_is_looked_for_where_the_verifier_says_each_way_once() {
    let (store, image) = FakeStore::with(&["yes"]);
    let store = Arc::new(store);
    let elsewhere = FakeVerifier { elsewhere: true, ..FakeVerifier::named("v") };
    let answer = executor_with(Arc::clone(&store), elsewhere, Limits::default()).verify(ask(&image)).await;
    assert_eq!(code(&answer), ('y', Code::Verified), "R10");
    assert_eq!(store.lists.load(Ordering::SeqCst), 3, "referrers, .att, .sig");
    let asked = store.asked.lock().unwrap();
    assert!(asked.iter().all(|(repository, _)| repository.to_string() == "r.io/signatures"), "{asked:?}");
    assert!(asked.iter().all(|(_, ways)| usize::from(ways.referrers) + ways.cosign_tags.len() == 1), "{asked:?}");
}

#[tokio::test]
async fn one_way_that_fails_leaves_what_another_found() {
    for (word, expected) in [("yes", ('y', Code::Verified)), ("bad", ('?', Code::RegistryUnavailable))] {
        let (mut store, image) = FakeStore::with(&[word]);
        let down = StoreError::Unavailable { registry: "r.io".into(), what: "tag".into(), detail: "503".into() };
        store.tags_fail = Some(down);
        let elsewhere = FakeVerifier { elsewhere: true, ..FakeVerifier::named("v") };
        let answer = executor_with(store.into(), elsewhere, Limits::default()).verify(ask(&image)).await;
        assert_eq!(code(&answer), expected, "R14: {word}");
    }
}
