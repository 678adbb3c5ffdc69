//! R93, R97, R99: trusted roots in the running server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use countersign::{app::Look, time::Clock};
use integration_tests::{
    registry::FakeRegistry,
    shelf::Shelf,
    sigstore::{
        Mini,
        bundle::{Bundle, Content},
        certificate::Name,
        envelope::EntryKind,
        sct::Sct,
        storage::Storage,
    },
};
use serde_json::json;

use super::{ISSUER, SUBJECT, Shop, by_identity, by_key, cosign};

const FAILURES: &str = "countersign_config_reload_failures_total";

impl Shop {
    fn keyless(&mut self) {
        self.verifiers(&[cosign("keyless", &by_identity())], &json!("keyless"));
    }
}

// R97
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_root_that_is_replaced_takes_every_cached_yes_along() {
    let mut shop = Shop::open().await;
    shop.keyless();
    shop.put_keyless(SUBJECT);
    let (trusted, stranger) = (shop.mini.trusted_root_json(), Mini::new("stranger", Clock::System.now()));
    let provider = shop.start().await;
    let keys = [shop.by_digest(), shop.by_tag(), format!("[team-a]{}", shop.by_digest())];
    for key in &keys {
        assert_eq!(provider.code(key).await, "VERIFIED", "R97 before");
    }
    shop.stage.write("trusted_root.json", &stranger.trusted_root_json());
    assert_eq!(provider.app.look().await, Look::Renewed, "R97");
    shop.registry.forget_calls();
    for key in &keys {
        let code = provider.code(key).await;
        assert!(["TLOG_MISSING", "UNTRUSTED", "CERT_INVALID"].contains(&code.as_str()), "R97 replaced: {code}");
    }
    assert_eq!(shop.registry.calls_to("/blobs/"), 0, "R97: content is never stale");
    // A file that is broken leaves the last good root, and is counted; none of it is served.
    let mut failures = 0.0;
    let no_start = trusted.replace("\"start\"", "\"begin\"");
    for (row, text) in [
        ("empty", ""),
        ("half", &trusted[..trusted.len() / 2]),
        ("another document", "{\"signed\":{}}"),
        ("not JSON", "root"),
        ("R95 no start", &no_start),
    ] {
        shop.stage.write("trusted_root.json", &trusted);
        assert_eq!(provider.app.look().await, Look::Renewed, "R97 before {row}");
        assert_eq!(provider.code(&keys[0]).await, "VERIFIED", "R97 before {row}");
        shop.stage.write("trusted_root.json", text);
        assert_eq!(provider.app.look().await, Look::Broken, "R97 {row}");
        failures += 1.0;
        assert_eq!(provider.metric(FAILURES), Some(failures), "R97 {row}");
        for key in &keys {
            assert_eq!(provider.code(key).await, "VERIFIED", "R97 {row}: the last good root");
        }
        // The nearest no: it is the last good one that is asked, not none.
        shop.stage.write("trusted_root.json", &stranger.trusted_root_json());
        assert_eq!(provider.app.look().await, Look::Renewed, "R97 after {row}");
        assert_ne!(provider.code(&keys[0]).await, "VERIFIED", "R97 after {row}");
    }
}

// R97 under load
#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_give_only_verdicts_of_a_root_that_was_in_force() {
    let mut shop = Shop::open().await;
    shop.keyless();
    shop.put_keyless(SUBJECT);
    let (trusted, stranger) = (shop.mini.trusted_root_json(), Mini::new("stranger", Clock::System.now()));
    let stranger = stranger.trusted_root_json();
    let (provider, key) = (Arc::new(shop.start().await), shop.by_digest());
    let ended = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (provider, key, ended) = (Arc::clone(&provider), key.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                let mut said = Vec::new();
                while !ended.load(Ordering::Relaxed) {
                    said.push(provider.code(&key).await);
                }
                said
            })
        })
        .collect();
    let mut in_force = true;
    let mut refused = String::new();
    for round in 0..30 {
        let (text, look) = match round % 3 {
            0 => ("{", Look::Broken),
            1 => (stranger.as_str(), Look::Renewed),
            _ => (trusted.as_str(), Look::Renewed),
        };
        shop.stage.write("trusted_root.json", text);
        assert_eq!(provider.app.look().await, look, "R97 round {round}");
        if look == Look::Renewed {
            in_force = round % 3 == 2;
        }
        let code = provider.code(&key).await;
        assert_eq!(code == "VERIFIED", in_force, "R97 round {round}: {code}");
        if !in_force {
            refused = code;
        }
    }
    ended.store(true, Ordering::Relaxed);
    for said in asking {
        for code in said.await.unwrap() {
            assert!(code == "VERIFIED" || code == refused, "R97: {code}");
        }
    }
    assert_eq!(provider.metric(FAILURES), Some(10.0), "R97");
}

// R99
#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_two_instances_is_never_mixed() {
    let shop = Shop::open().await;
    let other = Mini::new("other", shop.mini.base.at);
    let (ours, theirs) = (shop.mini.trusted_root(), other.trusted_root());
    let mut one_root = ours.clone();
    one_root.tlogs.extend(theirs.tlogs.clone());
    one_root.ctlogs.extend(theirs.ctlogs.clone());
    one_root.timestamp_authorities.extend(theirs.timestamp_authorities.clone());
    shop.stage.write("other_root.json", &other.trusted_root_json());
    shop.stage.write("one_root.json", &one_root.json().unwrap().to_string());
    let signed = |by: &Mini, logged: &Mini, promised: &Mini| -> Bundle {
        let mut leaf = by.base.leaf(Name::Uri(SUBJECT.to_owned()), ISSUER).unwrap();
        leaf.scts = vec![Sct::new(&promised.base.ct.key, by.base.at)];
        let signer = by.base.issue(&leaf).unwrap();
        let mut bundle = shop.bundle_by(&signer, &shop.image.digest);
        if let Content::Envelope(envelope) = &bundle.content {
            let body = envelope.body(EntryKind::Dsse, &signer.verifier_pem());
            bundle.entries = vec![logged.base.log(&body).unwrap()];
        }
        bundle
    };
    let two = json!([{ "file": "trusted_root.json" }, { "file": "other_root.json" }]);
    let reversed = json!([{ "file": "other_root.json" }, { "file": "trusted_root.json" }]);
    let mine = &shop.mini;
    let rows = [
        ("all of the first", signed(mine, mine, mine), true, true),
        ("all of the second", signed(&other, &other, &other), true, false),
        // That of one document would do: so it is the mixing alone that is refused.
        ("logged by the other", signed(mine, &other, mine), false, true),
        ("promised by the other", signed(mine, mine, &other), false, true),
        ("logged and promised by the other", signed(mine, &other, &other), false, true),
    ];
    for (row, bundle, in_two, in_one) in rows {
        for (roots, good) in
            [(two.clone(), in_two), (reversed.clone(), in_two), (json!({ "file": "one_root.json" }), in_one)]
        {
            let mut scene = Shop::open().await;
            let mut trust_policy = by_identity();
            trust_policy["trustedRoot"] = roots.clone();
            scene.verifiers(&[cosign("keyless", &trust_policy)], &json!("keyless"));
            for name in ["trusted_root.json", "other_root.json", "one_root.json"] {
                scene.stage.write(name, &std::fs::read_to_string(shop.stage.path(name)).unwrap());
            }
            scene.repository().put_bundle(&scene.image, &bundle);
            let code = scene.code().await;
            assert_eq!(code == "VERIFIED", good, "R99 {row}, {roots}: {code}");
            assert!(!code.contains("INTERNAL"), "R99 {row}: {code}");
        }
    }
}

// R93
#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_registry_is_asked() {
    let mut shop = Shop::open().await;
    // Whoever follows a URL of the evidence or of the trusted root comes here.
    let canary = FakeRegistry::start().await;
    let base = &mut shop.mini.base;
    base.rekor.log.base_url = canary.url("");
    base.ct.base_url = canary.url("/ct");
    base.authority.uri = canary.url("/fulcio");
    shop.mini.tsa.uri = canary.url("/tsa");
    shop.mini.rekor2.log.base_url = canary.url("/rekor2");
    shop.stage.write("trusted_root.json", &shop.mini.trusted_root_json());
    let mut by_both = by_identity();
    by_both["identities"] = json!([{ "issuerRegExp": ".*", "subjectRegExp": ".*" }]);
    shop.verifiers(
        &[cosign("keyless", &by_both), cosign("cosign", &by_key())],
        &json!({ "all": ["keyless", "cosign"] }),
    );
    let signer = shop.mini.base.signer(Name::Uri(canary.url("/workflow")), &canary.url("/issuer")).unwrap();
    let mut bundle = shop.bundle_by(&signer, &shop.image.digest);
    bundle.timestamps = vec![shop.mini.timestamp(bundle.signature())];
    shop.repository().put_bundle(&shop.image, &bundle);
    shop.repository().put_sig_tag(&shop.image, &[shop.layer()]);
    let provider = shop.start().await;
    let value = provider.value(&shop.by_digest()).await;
    assert_eq!(value["code"], "VERIFIED", "R93: {value}");
    assert_eq!(canary.connections(), 0, "R93: {:?}", canary.calls());
    // Nor where something is missing that could be asked for.
    let mut unlogged = bundle;
    unlogged.entries.clear();
    let image = shop.registry.repository("shop/other").put_image("other", None);
    shop.registry.repository("shop/other").put_bundle(&image, &unlogged);
    let key = shop.registry.repository("shop/other").digest(&image.digest).to_string();
    assert_ne!(provider.code(&key).await, "VERIFIED", "R93: nothing is looked up");
    assert_eq!(canary.connections(), 0, "R93: {:?}", canary.calls());
}
