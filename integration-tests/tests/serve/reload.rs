//! A changed configuration, and what it names, decides from the next question on; a broken one changes nothing.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use countersign::{app::Look, time::Clock};
use integration_tests::{
    notation::SigningAuthority,
    provider::{Provider, Stage, client, configuration, trust_policy},
    registry::{Access, FakeRegistry, basic},
    shelf::Shelf,
};
use serde_json::json;

use super::Scene;

const FAILURES: &str = "countersign_config_reload_failures_total";
const WARNINGS: &str = "countersign_config_warnings";

fn another_root() -> String {
    SigningAuthority::new("root", Clock::System.now()).pem()
}

// CFG-18: the generation is part of every verdict's place, so nothing cached survives its trust
#[tokio::test(flavor = "multi_thread")]
async fn a_trust_anchor_that_is_gone_takes_every_cached_yes_along() {
    let scene = Scene::signed_by(1).await;
    let trusted = scene.stage.authority.pem();
    let keys = [scene.by_digest(), scene.by_tag(), format!("[team-a]{}", scene.by_digest())];
    for (row, root, code) in [
        ("replaced", Some(another_root()), "UNTRUSTED"),
        ("removed", None, "NO_TRUST"),
        ("no certificate", Some("not a certificate".to_owned()), "NO_TRUST"),
        ("empty", Some(String::new()), "NO_TRUST"),
    ] {
        for key in &keys {
            assert_eq!(scene.provider.code(key).await, "VERIFIED", "before {row}");
        }
        match root {
            Some(root) => scene.stage.write("root.pem", &root),
            None => fs::remove_file(scene.stage.path("root.pem")).unwrap(),
        }
        assert_eq!(scene.provider.code(&keys[0]).await, "VERIFIED", "{row}: nobody has looked yet");
        assert_eq!(scene.provider.app.look().await, Look::Renewed, "{row}");
        scene.registry.forget_calls();
        for key in &keys {
            assert_eq!(scene.provider.code(key).await, code, "{row}: {key}");
        }
        // Content is never stale: nothing is fetched again.
        assert_eq!(scene.registry.calls_to("/blobs/"), 0, "{row}");
        // and it can be alarmed on
        let warnings = if code == "NO_TRUST" { 1.0 } else { 0.0 };
        assert_eq!(scene.provider.metric(WARNINGS), Some(warnings), "{row}");
        scene.stage.write("root.pem", &trusted);
        assert_eq!(scene.provider.app.look().await, Look::Renewed, "mended after {row}");
    }
    assert_eq!(scene.provider.code(&keys[0]).await, "VERIFIED");
    assert_eq!(scene.provider.metric(FAILURES), Some(0.0), "a missing store is its policy's fault alone");
}

// CFG-11
#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_keeps_the_last_good_generation_and_is_counted() {
    let scene = Scene::signed_by(1).await;
    let mut good = configuration([scene.registry.host().as_str()]);
    good["verifiers"][0].as_object_mut().unwrap().remove("trustPolicies");
    good["verifiers"][0]["trustPolicy"] = json!("trustpolicy.json");
    let policy = json!({
        "version": "1.0",
        "trustPolicies": [trust_policy("all", &["*"], &json!({ "level": "strict" }))],
    })
    .to_string();
    scene.stage.write("trustpolicy.json", &policy);
    scene.stage.configure(&good);
    assert_eq!(scene.provider.app.look().await, Look::Renewed);
    assert_eq!(scene.provider.code(&scene.by_digest()).await, "VERIFIED");
    let whole = good.to_string();
    let half = &whole[..whole.len() / 2];
    let rows = [
        ("half a file", "countersign.yaml", half.to_owned()),
        ("an empty file", "countersign.yaml", String::new()),
        ("an unknown field", "countersign.yaml", whole.replacen("\"policies\"", "\"polices\"", 1)),
        ("an unknown verifier", "countersign.yaml", whole.replacen("\"any\":[\"notary\"]", "\"any\":[\"nobody\"]", 1)),
        ("half a trust policy", "trustpolicy.json", policy[..policy.len() / 2].to_owned()),
        ("a trust policy of another version", "trustpolicy.json", policy.replace("\"1.0\"", "\"9.0\"")),
        ("a level that is none", "trustpolicy.json", policy.replace("strict", "lenient")),
    ];
    let mut failures = 0.0;
    for (row, file, text) in rows {
        scene.stage.write(file, &text);
        assert_eq!(scene.provider.app.look().await, Look::Broken, "{row}");
        failures += 1.0;
        assert_eq!(scene.provider.app.look().await, Look::Unchanged, "{row}: said once");
        assert_eq!(scene.provider.metric(FAILURES), Some(failures), "{row}");
        assert_eq!(scene.provider.code(&scene.by_digest()).await, "VERIFIED", "{row}");
        assert_eq!(scene.provider.admin("/readyz").await.0, 200, "{row}");
        scene.stage.write("trustpolicy.json", &policy);
        scene.stage.write("countersign.yaml", &whole);
        assert_ne!(scene.provider.app.look().await, Look::Broken, "mended after {row}");
        assert_eq!(scene.provider.code(&scene.by_digest()).await, "VERIFIED", "mended after {row}");
    }
    let metrics = scene.provider.admin("/metrics").await.1;
    let generation = format!("countersign_config_generation {}", scene.provider.app.current().number);
    assert!(metrics.lines().any(|line| line == generation), "{generation}:\n{metrics}");
}

/// A mounted `ConfigMap`: files are links to `..data/…`, and `..data` a link that is renamed over.
fn mount(stage: &Stage, version: &str, files: &[(&str, &str)]) {
    for (name, text) in files {
        stage.write(&format!("..{version}/{name}"), text);
        let link = stage.path(name);
        if link.symlink_metadata().is_err() {
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
    symlink(format!("..{version}"), stage.path("..data_tmp")).unwrap();
    fs::rename(stage.path("..data_tmp"), stage.path("..data")).unwrap();
}

// CFG-12
#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_volume_that_swaps_its_link_is_one_change() {
    let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
    let repository = registry.repository("shop/web");
    let image = repository.put_image("image", Some("v1"));
    repository.sign(&image, &stage.authority.signer("signer"));
    fs::remove_file(stage.path("root.pem")).unwrap();
    let (host, root) = (registry.host(), stage.authority.pem());
    let text = configuration([host.as_str()]).to_string();
    mount(&stage, "2026_1", &[("countersign.yaml", &text), ("root.pem", &root)]);
    let provider = stage.start_with(client()).await.unwrap();
    let key = repository.tag("v1").to_string();
    assert_eq!(provider.code(&key).await, "VERIFIED");
    // The same content in a new folder is no change.
    mount(&stage, "2026_2", &[("countersign.yaml", &text), ("root.pem", &root)]);
    assert_eq!(provider.app.look().await, Look::Unchanged);
    mount(&stage, "2026_3", &[("countersign.yaml", &text), ("root.pem", &another_root())]);
    assert_eq!(provider.app.look().await, Look::Renewed);
    assert_eq!(provider.code(&key).await, "UNTRUSTED");
    let elsewhere = text.replace("\"**\"", "\"elsewhere.invalid/**\"");
    mount(&stage, "2026_4", &[("countersign.yaml", &elsewhere), ("root.pem", &root)]);
    assert_eq!(provider.app.look().await, Look::Renewed);
    assert_eq!(provider.code(&key).await, "NO_POLICY");
    mount(&stage, "2026_5", &[("countersign.yaml", &text), ("root.pem", &root)]);
    assert_eq!(provider.app.look().await, Look::Renewed);
    assert_eq!((provider.code(&key).await.as_str(), provider.app.current().number), ("VERIFIED", 4));
}

// Credentials are read anew when their file changes; the old ones are not sent any more
#[tokio::test(flavor = "multi_thread")]
async fn credentials_follow_their_file() {
    let docker = |host: &str, password: &str| {
        let auth = basic("robot", password).replace("Basic ", "");
        json!({ "auths": { host: { "auth": auth } } }).to_string()
    };
    for (row, file, credentials) in [
        ("password file", "password", json!({ "username": "robot", "passwordFile": "password" })),
        ("docker configuration", "config.json", json!({ "dockerConfig": "config.json" })),
    ] {
        let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
        let host = registry.host();
        let text = |password: &str| if file == "password" { password.to_owned() } else { docker(&host, password) };
        let repository = registry.repository("shop/web");
        let image = repository.put_image("image", Some("v1"));
        repository.sign(&image, &stage.authority.signer("signer"));
        registry.require(Access::Basic("robot".to_owned(), "first-canary".to_owned()));
        stage.write(file, &text("first-canary"));
        let mut configuration = configuration([host.as_str()]);
        configuration["stores"][0]["hosts"][&host]["credentials"] = credentials;
        let provider = stage.start(&configuration).await;
        let key = repository.tag("v1").to_string();
        assert_eq!(provider.code(&key).await, "VERIFIED", "{row}");
        registry.require(Access::Basic("robot".to_owned(), "second-canary".to_owned()));
        let refused = provider.code(&key).await;
        assert!(refused.starts_with("AUTH"), "{row}: {refused}");
        stage.write(file, &text("second-canary"));
        assert_eq!(provider.app.look().await, Look::Renewed, "{row}");
        registry.forget_calls();
        assert_eq!(provider.code(&key).await, "VERIFIED", "{row}");
        let old = basic("robot", "first-canary");
        assert!(registry.calls().iter().all(|call| call.authorization() != Some(old.as_str())), "{row}");
    }
}

/// Asks until told to stop; everything that was said.
async fn ask_on(provider: Arc<Provider>, keys: Vec<String>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut said = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for key in &keys {
            said.push(provider.code(key).await);
        }
    }
    said
}

// F11, CFG-13: 100 reloads under load, 20 of them broken, 10 of them without the anchor
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_give_only_explainable_verdicts() {
    let scene = Scene::signed_by(1).await;
    let keys = vec![scene.by_digest(), scene.by_tag()];
    let (trusted, stranger) = (scene.stage.authority.pem(), another_root());
    let good = configuration([scene.registry.host().as_str()]);
    let Scene { stage, registry, provider, .. } = scene;
    assert_eq!(provider.code(&keys[0]).await, "VERIFIED");
    registry.forget_calls();
    let (provider, stop) = (Arc::new(provider), Arc::new(AtomicBool::new(false)));
    let asking: Vec<_> =
        (0..3).map(|_| tokio::spawn(ask_on(Arc::clone(&provider), keys.clone(), Arc::clone(&stop)))).collect();
    for round in 0..100_u64 {
        let (removed, broken) = (round % 10 == 9, round % 5 == 3);
        stage.write("root.pem", if removed { &stranger } else { &trusted });
        let mut next = good.clone();
        next["limits"]["verdictTtl"] = json!(format!("{}s", 10 + round));
        stage.configure(&if broken { json!({ "policies": 1 }) } else { next });
        let look = if broken { Look::Broken } else { Look::Renewed };
        let code = if removed { "UNTRUSTED" } else { "VERIFIED" };
        assert_eq!(provider.app.look().await, look, "round {round}");
        for key in &keys {
            assert_eq!(provider.code(key).await, code, "round {round}: what was told is in force");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut said = Vec::new();
    for asked in asking {
        said.extend(asked.await.unwrap());
    }
    assert!(said.iter().all(|code| code == "VERIFIED" || code == "UNTRUSTED"), "{said:?}");
    assert_eq!(provider.metric(FAILURES), Some(20.0));
    assert_eq!(provider.app.current().number, 81);
    // All generations share one cache of content.
    assert_eq!(registry.calls_to("/blobs/"), 0);
}
