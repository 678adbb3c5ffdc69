//! Keys are in the Secret and nowhere else.

use super::{faults::BREAKAGES, *};
use crate::captured;

/// What tells a key from every other, of its PEM: past what all keys of the curve begin with.
fn word(pem: &str) -> Option<String> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    body.get(60..90).map(ToOwned::to_owned)
}

#[tokio::test]
async fn no_key_is_logged_whatever_becomes_of_the_secret() {
    let (log, _guard) = captured::log();
    let (mut scene, mut replicas) = Scene::running().await;
    let mut words = Vec::new();
    let mut look = |scene: &Scene| {
        for name in ["ca.key", "next-ca.key", "tls.key"] {
            let held = scene.secret()["data"][name].as_str().and_then(|text| STANDARD.decode(text).ok());
            words.extend(held.and_then(|pem| word(&String::from_utf8(pem).ok()?)));
        }
    };
    scene.edit_secret(|secret| secret["metadata"]["annotations"]["countersign.dev/rotate-authority"] = json!("now"));
    for _ in 0..6 {
        scene.pass(Duration::minutes(20));
        for replica in &mut replicas {
            scene.tick(replica).await.unwrap();
        }
        look(&scene);
    }
    for (_, breakage) in BREAKAGES {
        breakage(&scene);
        scene.pass(Duration::minutes(20));
        for replica in &mut replicas {
            let kept = scene.tick(replica).await;
            assert!(kept.is_ok(), "{kept:?}");
        }
        look(&scene);
    }
    scene.cluster.script_always("* *", Fault::status(503));
    scene.pass(Duration::days(80));
    let failed = scene.tick(&mut replicas[0]).await.unwrap_err();
    let shown = format!("{failed:?} {failed} {:?}", replicas[0].keeper);
    let metrics = replicas[0].telemetry.prometheus_text().unwrap();
    let written = log.text();
    for said in ["the Secret of the own certificates is repaired", "the own certificates were changed"] {
        assert!(written.contains(said), "{said} is not in {written}");
    }
    words.sort();
    words.dedup();
    assert!(words.len() >= 4, "{}", words.len());
    for text in [&written, &metrics, &shown] {
        assert!(words.iter().all(|word| !text.contains(word)), "{text}");
    }
}
