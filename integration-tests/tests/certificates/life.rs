//! The life of a certificate: two years, hour by hour where something happens.

use super::*;

/// How late a client may hear of what a Provider lists: half of the overlap.
const LATE: Duration = Duration::minutes(30);

/// What the first Provider listed, since when.
#[derive(Default)]
struct Listed(Vec<(OffsetDateTime, String)>);

impl Listed {
    fn look(&mut self, now: OffsetDateTime, bundle: String) {
        if self.0.last().is_none_or(|(_, last)| *last != bundle) {
            self.0.push((now, bundle));
        }
    }

    /// What was listed so long ago.
    fn late(&self, now: OffsetDateTime) -> &str {
        let before = self.0.iter().rev().find(|(since, _)| *since <= now - LATE);
        &before.or(self.0.first()).unwrap().1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_made_renewed_and_rotated_under_a_client_that_never_fails() {
    let (mut scene, mut replicas) = Scene::running().await;
    let mut listed = Listed::default();
    let (first, mut most_listed, mut soon) = (authorities(&scene.bundle("countersign")), 0, 0_u32);
    let mut version = Value::Null;
    let mut step = 0_usize;
    while scene.now < START + Duration::days(700) {
        let now = scene.secret()["metadata"]["resourceVersion"].clone();
        if now != version {
            (version, soon) = (now, 6);
        }
        scene.pass(if soon > 0 { Duration::minutes(20) } else { Duration::hours(70) });
        soon = soon.saturating_sub(1);
        step += 1;
        // The Lease moves to and fro: who writes dies, now and then.
        let silent = (step / 30) % 2;
        for (number, replica) in replicas.iter_mut().enumerate() {
            if number != silent || step % 30 > 4 {
                scene.tick(replica).await.unwrap();
            } else {
                replica.keeper.follow(scene.now).await;
            }
        }
        listed.look(scene.now, scene.bundle("countersign"));
        most_listed = most_listed.max(authorities(&scene.bundle("countersign")).len());
        scene.ask_all(&replicas, "a client of today").await;
        for replica in &replicas {
            assert_eq!(scene.ask(replica, listed.late(scene.now)).await, Ok(()), "a late client, at {}", scene.now);
            assert_eq!(replica.readiness().await, 200);
        }
    }
    let changed = |change: &str| replicas.iter().map(|replica| replica.changes(change)).sum::<u64>();
    assert_eq!((changed("made"), changed("successor_made"), changed("authority_rotated")), (1, 1, 1));
    assert_eq!(changed("old_dropped"), 1);
    assert!(changed("leaf_renewed") >= 9, "{}", changed("leaf_renewed"));
    assert!(replicas.iter().all(|replica| replica.changes("leaf_renewed") > 0), "both were writers");
    assert_eq!(most_listed, 2, "old and new overlapped");
    let last = authorities(&scene.bundle("countersign"));
    assert_eq!(last.len(), 1);
    assert_ne!(first, last);
    assert_eq!(last, authorities(&scene.bundle("countersign-mutation")));
    // The end of what began it all: the key of the first authority is nowhere any more.
    assert!(scene.secret()["data"].get("next-ca.key").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ready_before_there_is_a_certificate() {
    let scene = Scene::set().await;
    let mut replica = scene.replica("one").await;
    assert_eq!(replica.provider.admin("/readyz").await, (503, "there is no serving certificate yet\n".to_owned()));
    assert!(scene.ask(&replica, "").await.is_err());
    scene.cluster.script_always("* *", Fault::status(503));
    let away = scene.tick(&mut replica).await.unwrap_err();
    assert!(matches!(away, CertificatesError::Secret { .. } | CertificatesError::Lease { .. }), "{away}");
    assert_eq!(replica.readiness().await, 503);
    scene.cluster.heal();
    scene.tick(&mut replica).await.unwrap();
    assert_eq!(replica.provider.admin("/readyz").await, (200, "ready\n".to_owned()));
    scene.ask_all(&[replica], "the first answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_have_another_authority() {
    let (mut scene, mut replicas) = Scene::running().await;
    let before = authorities(&scene.bundle("countersign"));
    scene.edit_secret(|secret| secret["metadata"]["annotations"]["countersign.dev/rotate-authority"] = json!("now"));
    for _ in 0..6 {
        scene.pass(Duration::minutes(20));
        for replica in &mut replicas {
            scene.tick(replica).await.unwrap();
        }
        scene.ask_all(&replicas, "while it is rotated").await;
    }
    assert_eq!(replicas[0].changes("authority_rotated"), 1);
    let after = authorities(&scene.bundle("countersign"));
    assert!(after.len() == 2 && after.contains(&before[0]), "the new one signs, the old one is still listed");
    scene.unlist_old();
    for replica in &mut replicas {
        scene.tick(replica).await.unwrap();
    }
    let last = authorities(&scene.bundle("countersign"));
    assert!(last.len() == 1 && !last.contains(&before[0]), "a wish, and it is trusted no more");
    scene.ask_all(&replicas, "without the old one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_leaves_what_is_served_until_it_ends() {
    let (mut scene, mut replicas) = Scene::running().await;
    let bundle = scene.bundle("countersign");
    scene.cluster.script_always("* *", Fault::Drop);
    let leaf = "countersign_certificates_remaining_seconds{which=\"leaf\"}";
    let mut left = replicas[0].metric(leaf).unwrap();
    for (days, ready, text) in [
        (30, 200, "ready\n"),
        (58, 200, "ready\n"),
        (1, 200, "ready, but the serving certificate ends within a day and is not renewed\n"),
        (1, 503, "the serving certificate is not valid, or ends within a minute\n"),
    ] {
        scene.pass(Duration::days(days));
        for replica in &mut replicas {
            scene.tick(replica).await.unwrap_err();
            assert_eq!(replica.provider.admin("/readyz").await, (ready, text.to_owned()), "at {}", scene.now);
            let believed = scene.ask(replica, &bundle).await;
            assert_eq!(believed.is_ok(), ready == 200, "{believed:?}");
        }
        let now = replicas[0].metric(leaf).unwrap();
        assert!(
            (left - now - Duration::days(days).as_seconds_f64()).abs() < 5.0 * 3600.0,
            "it counts down: {left} {now}"
        );
        left = now;
    }
    assert!(left < 0.0, "also past zero");
    assert!(replicas[0].errors("lease") + replicas[0].errors("secret") >= 4);
    scene.cluster.heal();
    scene.pass(Duration::minutes(2));
    for replica in &mut replicas {
        scene.tick(replica).await.unwrap();
        assert_eq!(replica.readiness().await, 200);
    }
    scene.ask_all(&replicas, "once it is back").await;
}
