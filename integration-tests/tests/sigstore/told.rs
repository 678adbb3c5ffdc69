//! What reports tell of Sigstore evidence.

use countersign::report::Word;
use integration_tests::sigstore::{bundle::Bundle, storage::Storage as _};
use serde_json::{Value, json};

use super::{ISSUER, Scene, WORKFLOW, ask, named, signatures, told, with};

/// What the one yes in the answer shows, and its warnings.
async fn shown(scene: &Scene, policy: &Value) -> (Value, Vec<String>) {
    let engine = scene.engine(&[named("it", &signatures(policy))], json!("it")).await.unwrap();
    let answer = ask(&engine, scene.reference()).await;
    assert_eq!(told(&answer), "yes", "{:?}", answer.verdict);
    let Some(Word::Yes(yes)) = answer.verdict.reports.first().map(|report| &report.word) else { panic!("no yes") };
    (Value::Object(yes.extensions().clone()), yes.warnings().collect())
}

// R110: shape, signer, issuer, log index and times, checks.
#[tokio::test(flavor = "multi_thread")]
async fn a_yes_tells_shape_signer_logs_and_times() {
    let scene = Scene::new().await;
    let bundle = scene.bundle(&scene.signer());
    let timestamps = vec![scene.mini.timestamp(bundle.signature())];
    scene.repository().put_bundle(&scene.image, &Bundle { timestamps, ..bundle });
    let (shown, warnings) = shown(&scene, &scene.keyless()).await;
    assert_eq!(shown["shape"], "sigstore bundle v0.3");
    assert_eq!(shown["subject"], WORKFLOW);
    assert_eq!(shown["issuer"], ISSUER);
    assert_eq!(shown["logEntries"][0]["integratedTime"], "2026-11-21T12:00:00Z");
    assert!(shown["logEntries"][0]["logIndex"].is_u64(), "{shown}");
    assert_eq!(shown["timestamps"][0]["time"], "2026-11-21T12:00:00Z");
    assert!(warnings.is_empty(), "{warnings:?}");
}

// R73, R111: each weakening, in each report.
#[tokio::test(flavor = "multi_thread")]
async fn a_yes_tells_what_was_not_asked() {
    let scene = Scene::new().await;
    let bundle = scene.bundle(&scene.signer());
    let timestamps = vec![scene.mini.timestamp(bundle.signature())];
    scene.repository().put_bundle(&scene.image, &Bundle { timestamps, ..bundle });
    for (members, expected) in [
        (json!({ "ignoreTlog": true }), &["ignoreTlog"][..]),
        (json!({ "ignoreSct": true }), &["ignoreSct"]),
        (json!({ "ignoreTlog": true, "ignoreSct": true }), &["ignoreTlog", "ignoreSct"]),
    ] {
        let (_, warnings) = shown(&scene, &with(scene.keyless(), &members)).await;
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for word in expected {
            assert!(warnings.iter().any(|warning| warning.contains(word)), "{word}: {warnings:?}");
        }
    }
}

// R110: on a near miss what differed.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_tells_who_signed_and_who_was_expected() {
    let scene = Scene::new().await;
    let other = "https://github.com/acme/other/.github/workflows/release.yml@refs/heads/main";
    scene.repository().put_bundle(&scene.image, &scene.bundle(&scene.named(other)));
    let engine = scene.engine(&[named("it", &signatures(&scene.keyless()))], json!("it")).await.unwrap();
    let answer = ask(&engine, scene.reference()).await;
    let reasons: Vec<_> = answer
        .verdict
        .reports
        .iter()
        .filter_map(|report| match &report.word {
            Word::Not(no) => Some(no.reason().to_owned()),
            Word::Waived(_) | Word::Yes(_) => None,
        })
        .collect();
    let [reason] = reasons.as_slice() else { panic!("{reasons:?}") };
    assert!(reason.contains(other) && reason.contains(WORKFLOW), "{reason}");
}
