//! Who writes, and what is written where: the Lease, conflicts, clocks, Providers; and that everybody follows.

use integration_tests::cluster::Interruption;
use tokio::sync::oneshot;

use super::*;

fn take_lease(scene: &Scene, holder: &str) {
    scene.cluster.edit("leases", NAMESPACE, "countersign-certificates", |lease| {
        lease["spec"]["holderIdentity"] = json!(holder);
        lease["spec"]["leaseTransitions"] = json!(9);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_the_lease_writes_no_more_and_another_does() {
    let (mut scene, mut replicas) = Scene::running().await;
    let [one, two] = &mut replicas;
    assert_eq!(one.metric("countersign_certificates_lease_held"), Some(1.0));
    assert_eq!(two.metric("countersign_certificates_lease_held"), Some(0.0));
    // A leaf is due, and the Lease is somebody else's.
    scene.pass(Duration::days(61));
    take_lease(&scene, "somebody");
    let before = scene.writes();
    scene.tick(one).await.unwrap();
    scene.tick(two).await.unwrap();
    assert_eq!(scene.writes(), before, "nobody writes while somebody may");
    assert_eq!(one.metric("countersign_certificates_lease_held"), Some(0.0));
    scene.pass(Duration::seconds(59));
    scene.tick(two).await.unwrap();
    assert_eq!(scene.writes(), before);
    scene.pass(Duration::seconds(1));
    scene.tick(two).await.unwrap();
    assert_eq!(
        (two.changes("leaf_renewed"), scene.writes()),
        (1, before + 1),
        "somebody was silent for its whole duration"
    );
    one.keeper.follow(scene.now).await;
    scene.ask_all(&replicas, "after the change").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_let_go_is_taken_at_once() {
    let (mut scene, [one, mut two]) = Scene::running().await;
    scene.pass(Duration::days(61));
    one.keeper.release().await;
    scene.tick(&mut two).await.unwrap();
    assert_eq!(two.changes("leaf_renewed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_cannot_undo_each_other() {
    let (mut scene, mut replicas) = Scene::running().await;
    let [one, _] = &mut replicas;
    scene.pass(Duration::days(61));
    // Somebody writes between our read and our write: the version that we name is not the latest.
    let version = scene.secret()["metadata"]["resourceVersion"].clone();
    scene.cluster.script("update secrets", [Fault::status(409), Fault::status(409)]);
    scene.tick(one).await.unwrap();
    let writes = scene.cluster.calls_to("update secrets");
    let named: Vec<_> =
        writes.iter().rev().take(3).map(|call| &call.body.as_ref().unwrap()["metadata"]["resourceVersion"]).collect();
    assert_eq!(named, [&version; 3], "each write names what it was made from");
    assert_eq!(one.changes("leaf_renewed"), 1, "and the refused ones were none");
    // What was written, and the answer lost, is seen by the next look.
    scene.pass(Duration::days(61));
    scene.cluster.script("update secrets", [Fault::Unheard]);
    scene.tick(one).await.unwrap_err();
    let served = scene.field("tls.crt");
    scene.tick(one).await.unwrap();
    assert_eq!(scene.field("tls.crt"), served, "it is not made twice");
    replicas[1].keeper.follow(scene.now).await;
    scene.ask_all(&replicas, "after all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_far_off_writes_nothing_and_takes_nothing_down() {
    for (name, off, writes) in [
        ("an hour ahead", Duration::HOUR, true),
        ("an hour behind", -Duration::HOUR, true),
        ("more than an hour ahead", Duration::HOUR + Duration::SECOND, false),
        ("more than an hour behind", -Duration::HOUR - Duration::SECOND, false),
        ("a year ahead", Duration::days(365), false),
        ("a year behind", Duration::days(-365), false),
    ] {
        let (mut scene, mut replicas) = Scene::running().await;
        let [one, two] = &mut replicas;
        scene.pass(Duration::days(61));
        let before = scene.writes();
        let ticked = one.keeper.tick(scene.now + off, scene.at).await;
        assert_eq!(scene.writes() > before, writes, "{name}");
        match ticked {
            Ok(()) => assert!(writes, "{name}"),
            Err(error) => {
                assert!(!writes && matches!(error, CertificatesError::Clock { .. }), "{name}: {error}");
                assert_eq!(one.errors("clock"), 1, "{name}");
                // Its clock is its own trouble: the other one, whose clock is right, has the Lease now.
                scene.tick(two).await.unwrap();
                assert_eq!(two.changes("leaf_renewed"), 1, "{name}");
            }
        }
        two.keeper.follow(scene.now).await;
        one.keeper.follow(scene.now + off).await;
        // Whoever made it, a client with the right time believes it.
        scene.ask_all(&replicas, name).await;
        assert!(scene.cluster.get("leases", NAMESPACE, "countersign-certificates").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_providers_are_touched_and_only_their_bundle() {
    let mut scene = Scene::set().await;
    scene.cluster.put(provider_object("countersign-mutation", "evil.example"));
    scene.cluster.put(provider_object("other", HOST));
    let foreign = scene.bundle("countersign-mutation");
    let mut replica = scene.replica("one").await;
    let error = scene.tick(&mut replica).await.unwrap_err().to_string();
    assert!(error.contains("countersign-mutation asks another host"), "{error}");
    assert_eq!(scene.bundle("countersign-mutation"), foreign);
    assert_eq!(scene.cluster.calls_to("* providers/other").len(), 0);
    let patches = scene.cluster.calls_to("patch providers");
    assert_eq!(patches.len(), 1, "one write, though the bundle was looked at again");
    assert_eq!(patches[0].manager(), "countersign-certificates");
    let body = patches[0].body.clone().unwrap();
    let spec: Vec<&String> = body["spec"].as_object().unwrap().keys().collect();
    assert_eq!((spec, body["metadata"].as_object().unwrap().len()), (vec![&"caBundle".to_owned()], 1));
    // One that comes later, and one that somebody resets.
    scene.cluster.put(provider_object("countersign-mutation", HOST));
    scene.cluster.put(provider_object("countersign", HOST));
    scene.pass(Duration::seconds(15));
    scene.tick(&mut replica).await.unwrap();
    scene.ask_all(std::slice::from_ref(&replica), "all are ours now").await;
    // One that is gone is skipped.
    scene.cluster.remove("providers", "", "countersign-mutation");
    scene.pass(Duration::seconds(15));
    scene.tick(&mut replica).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_reset_or_cannot_be_written_holds_the_successor_back() {
    let (mut scene, mut replicas) = Scene::running().await;
    let rotated = |replicas: &[Replica; 2]| replicas[0].changes("authority_rotated");
    scene.edit_secret(|secret| secret["metadata"]["annotations"]["countersign.dev/rotate-authority"] = json!("now"));
    let first = scene.bundle("countersign");
    for _ in 0..2 {
        scene.tick(&mut replicas[0]).await.unwrap();
    }
    assert_eq!(replicas[0].changes("successor_published"), 1);
    scene.pass(Duration::minutes(50));
    scene.cluster.edit("providers", "", "countersign", |provider| provider["spec"]["caBundle"] = json!(first));
    scene.tick(&mut replicas[0]).await.unwrap();
    scene.pass(Duration::minutes(50));
    scene.tick(&mut replicas[0]).await.unwrap();
    assert_eq!((rotated(&replicas), replicas[0].changes("successor_unpublished")), (0, 1), "the overlap began anew");
    // A Provider that cannot be read may list anything.
    scene.cluster.script_always("* providers/countersign-mutation", Fault::status(403));
    scene.pass(Duration::minutes(50));
    scene.tick(&mut replicas[0]).await.unwrap_err();
    assert_eq!((rotated(&replicas), replicas[0].errors("provider")), (0, 1));
    scene.ask_all(&replicas, "while it waits").await;
    scene.cluster.heal();
    scene.tick(&mut replicas[0]).await.unwrap();
    scene.pass(Duration::minutes(60));
    scene.tick(&mut replicas[0]).await.unwrap();
    assert_eq!(rotated(&replicas), 1);
    scene.tick(&mut replicas[1]).await.unwrap();
    scene.ask_all(&replicas, "in the end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_hear_of_a_change_by_watch_whatever_becomes_of_the_watch() {
    let (mut scene, [mut one, two]) = Scene::running().await;
    let served = two.keeper.served();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(two.keeper.run_until(Clock::Hand(scene.hand), async {
        let _ = stopped.await;
    }));
    for how in
        [None, Some(Interruption::End), Some(Interruption::Gone), Some(Interruption::Half), Some(Interruption::Reset)]
    {
        while scene.cluster.watches() == 0 {
            tokio::task::yield_now().await;
        }
        if let Some(how) = how {
            scene.cluster.interrupt_watches(how);
        }
        scene.pass(Duration::days(61));
        let before = served.load_full().expect("a certificate");
        scene.tick(&mut one).await.unwrap();
        // Well below the next look, which would find it too.
        let heard = tokio::time::timeout(Span::from_secs(14), async {
            while Arc::ptr_eq(&served.load_full().unwrap(), &before) {
                tokio::task::yield_now().await;
            }
        });
        heard.await.unwrap_or_else(|_| panic!("{how:?}"));
    }
    let watched = scene.cluster.calls_to("watch secrets");
    assert!(watched.iter().all(|call| call.metadata_only && call.name == SECRET), "by name, and no content");
    stop.send(()).unwrap();
    running.await.unwrap();
}
