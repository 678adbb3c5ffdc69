//! A Secret that somebody broke: what is served stays, and the writer repairs it.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::*;

fn put(secret: &mut Value, field: &str, text: &str) {
    secret["data"][field] = json!(STANDARD.encode(text));
}

/// Another's authority, leaf and leaf's key, as PEM: valid from `from` for a year, for our names.
fn foreign(from: OffsetDateTime) -> [String; 3] {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "foreign");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = (from, from + Duration::days(365));
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let names = ["", ".countersign-system", ".countersign-system.svc", ".countersign-system.svc.cluster.local"];
    let names: Vec<String> = names.iter().map(|suffix| format!("countersign{suffix}")).collect();
    let mut leaf = CertificateParams::new(names).unwrap();
    (leaf.not_before, leaf.not_after) = (from, from + Duration::days(365));
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &Issuer::new(params, authority_key)).unwrap();
    [authority.pem(), certificate.pem(), key.serialize_pem()]
}

/// Breaks a whole Secret.
type Breakage = (&'static str, fn(&Scene));

pub(super) const BREAKAGES: [Breakage; 13] = [
    ("deleted", |scene| scene.cluster.remove("secrets", NAMESPACE, SECRET)),
    ("emptied", |scene| scene.edit_secret(|secret| secret["data"] = json!({}))),
    ("mark removed", |scene| scene.edit_secret(|secret| secret["metadata"]["annotations"] = json!({}))),
    ("leaf's key is another's", |scene| {
        let key = KeyPair::generate().unwrap().serialize_pem();
        scene.edit_secret(|secret| put(secret, "tls.key", &key));
    }),
    ("leaf half-written", |scene| {
        let half = scene.field("tls.crt");
        scene.edit_secret(|secret| put(secret, "tls.crt", &half[..half.len() / 2]));
    }),
    ("leaf's key missing", |scene| {
        scene.edit_secret(|secret| drop(secret["data"].as_object_mut().unwrap().remove("tls.key")));
    }),
    ("authority's key is another's", |scene| {
        let key = KeyPair::generate().unwrap().serialize_pem();
        scene.edit_secret(|secret| put(secret, "ca.key", &key));
    }),
    ("authority half-written", |scene| {
        let half = scene.field("ca.crt");
        scene.edit_secret(|secret| put(secret, "ca.crt", &half[..half.len() / 2]));
    }),
    ("garbage", |scene| {
        scene.edit_secret(|secret| {
            for field in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
                put(secret, field, "garbage");
            }
        });
    }),
    ("another's certificates", |scene| {
        let [authority, leaf, key] = foreign(scene.now);
        scene.edit_secret(|secret| {
            put(secret, "ca.crt", &authority);
            put(secret, "tls.crt", &leaf);
            put(secret, "tls.key", &key);
        });
    }),
    ("another's certificates, unmarked", |scene| {
        let [authority, leaf, key] = foreign(scene.now);
        scene.cluster.put_secret(
            NAMESPACE,
            SECRET,
            "Opaque",
            &[("ca.crt", &authority), ("tls.crt", &leaf), ("tls.key", &key)],
        );
    }),
    ("too large", |scene| scene.edit_secret(|secret| put(secret, "x", &"x".repeat(65_536)))),
    ("ended authority", |scene| {
        let [authority, leaf, key] = foreign(scene.now - Duration::days(500));
        scene.edit_secret(|secret| {
            put(secret, "ca.crt", &authority);
            put(secret, "tls.crt", &leaf);
            put(secret, "tls.key", &key);
        });
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_secret_is_repaired_and_nobody_notices() {
    let (mut scene, mut replicas) = Scene::running().await;
    let bundle = scene.bundle("countersign");
    for (name, breakage) in BREAKAGES {
        breakage(&scene);
        let [one, two] = &mut replicas;
        // Who hears of it first can only follow.
        two.keeper.follow(scene.now).await;
        for replica in [&*one, &*two] {
            assert_eq!(scene.ask(replica, &bundle).await, Ok(()), "{name}: before it is repaired");
        }
        assert_eq!(scene.bundle("countersign"), bundle, "{name}");
        scene.pass(Duration::seconds(15));
        scene.tick(one).await.unwrap();
        two.keeper.follow(scene.now).await;
        scene.ask_all(&replicas, name).await;
        assert_eq!(scene.bundle("countersign"), bundle, "{name}: the same authority");
        for replica in &replicas {
            assert_eq!(replica.readiness().await, 200, "{name}");
        }
    }
    assert_eq!(replicas[0].changes("restored"), 13);
    assert_eq!(replicas[0].changes("made"), 1, "the first one");
}

/// Breaks a whole Secret that nobody remembers.
type Forgotten = (&'static str, fn(&Scene), Goes);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// The same leaf is served.
    On,
    /// Another leaf of the same authority.
    Renewed,
    /// Another authority, at once; the one before stays listed beside it.
    Anew,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_remembers_is_saved_as_far_as_it_is_sound() {
    let rows: [Forgotten; 6] = [
        ("authority's key lost", |scene| scene.edit_secret(|s| put(s, "ca.key", "garbage")), Goes::On),
        ("leaf's key lost", |scene| scene.edit_secret(|s| put(s, "tls.key", "garbage")), Goes::Renewed),
        ("leaf lost", |scene| scene.edit_secret(|s| put(s, "tls.crt", "garbage")), Goes::Renewed),
        (
            "a moment lost",
            |scene| {
                scene.edit_secret(|s| {
                    s["metadata"]["annotations"]["countersign.dev/old-authorities-until"] = json!("?");
                });
            },
            Goes::On,
        ),
        ("authority lost", |scene| scene.edit_secret(|s| put(s, "ca.crt", "garbage")), Goes::Anew),
        ("deleted", |scene| scene.cluster.remove("secrets", NAMESPACE, SECRET), Goes::Anew),
    ];
    for (name, breakage, goes) in rows {
        let mut scene = Scene::set().await;
        let mut dead = scene.replica("dead").await;
        for _ in 0..2 {
            scene.tick(&mut dead).await.unwrap();
        }
        let (leaf, first) = (scene.field("tls.crt"), authorities(&scene.bundle("countersign")));
        dead.keeper.release().await;
        breakage(&scene);
        let mut replica = scene.replica("new").await;
        scene.tick(&mut replica).await.unwrap();
        for _ in 0..6 {
            let now = authorities(&scene.bundle("countersign"));
            assert!(now.contains(&first[0]), "{name}");
            assert!(goes != Goes::Anew || now[0] != first[0], "{name}: who signs is listed first");
            let served = replica.keeper.served().load_full().expect("a certificate");
            let is_same = leaf == pem_of(&served.cert[0]) || goes == Goes::On && is_rotated(&replica);
            assert_eq!(is_same, goes == Goes::On, "{name}");
            scene.ask_all(std::slice::from_ref(&replica), name).await;
            scene.pass(Duration::minutes(20));
            scene.tick(&mut replica).await.unwrap();
        }
        assert!(scene.field("ca.key").contains("PRIVATE KEY"), "{name}: it is whole again");
        if goes == Goes::Anew {
            scene.unlist_old();
            scene.tick(&mut replica).await.unwrap();
            let last = authorities(&scene.bundle("countersign"));
            assert!(last.len() == 1 && !last.contains(&first[0]), "{name}: an operator trusts it no more");
            scene.ask_all(std::slice::from_ref(&replica), name).await;
        }
    }
}

fn is_rotated(replica: &Replica) -> bool {
    replica.changes("authority_rotated") > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_by_an_authority_that_the_writer_never_saw_is_still_believed() {
    let (mut scene, mut replicas) = Scene::running().await;
    // One replica rotates, and is heard of no more; the other one hears of nothing.
    scene.edit_secret(|secret| secret["metadata"]["annotations"]["countersign.dev/rotate-authority"] = json!("now"));
    for _ in 0..4 {
        scene.tick(&mut replicas[0]).await.unwrap();
        scene.pass(Duration::minutes(30));
    }
    assert!(is_rotated(&replicas[0]));
    let listed = scene.bundle("countersign");
    let unread =
        |scene: &Scene| scene.secret()["metadata"]["annotations"].get("countersign.dev/providers-unread").is_some();
    scene.cluster.remove("secrets", NAMESPACE, SECRET);
    scene.cluster.script_always("* providers/countersign-mutation", Fault::status(403));
    scene.tick(&mut replicas[1]).await.unwrap();
    scene.pass(Duration::minutes(2));
    for (days, change) in [(0, "restored"), (70, "leaf_renewed")] {
        scene.pass(Duration::days(days));
        let error = scene.tick(&mut replicas[1]).await.unwrap_err();
        assert!(matches!(error, CertificatesError::Provider(_)), "{error}");
        assert_eq!(replicas[1].changes(change), 1, "it does not wait for the Provider");
        assert!(unread(&scene));
        scene.ask_all(&replicas, "while a Provider cannot be read").await;
    }
    scene.cluster.heal();
    scene.tick(&mut replicas[1]).await.unwrap();
    assert_eq!((replicas[1].changes("listed_adopted"), unread(&scene)), (1, false));
    for name in PROVIDERS {
        let now = authorities(&scene.bundle(name));
        assert!(authorities(&listed).iter().all(|authority| now.contains(authority)), "{name}");
    }
    scene.ask_all(&replicas, "once they were read").await;
    // Now it is known what there is: whatever else is listed goes, and what was adopted when its last leaf has ended.
    let [foreign, ..] = foreign(scene.now);
    let mut more = STANDARD.decode(scene.bundle("countersign")).unwrap();
    more.extend(foreign.as_bytes());
    let before = scene.bundle("countersign");
    scene.cluster.edit("providers", "", "countersign", |provider| {
        provider["spec"]["caBundle"] = json!(STANDARD.encode(&more));
    });
    scene.tick(&mut replicas[1]).await.unwrap();
    assert_eq!(scene.bundle("countersign"), before);
    scene.pass(Duration::days(90));
    for replica in replicas.iter_mut().rev() {
        scene.tick(replica).await.unwrap();
    }
    assert_eq!(authorities(&scene.bundle("countersign")).len(), 1);
    scene.ask_all(&replicas, "in the end").await;
}

fn pem_of(der: &CertificateDer<'_>) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_never_was_ours_is_left_alone() {
    let scene = Scene::set().await;
    let [authority, leaf, key] = foreign(scene.now);
    let theirs = [("ca.crt", authority.as_str()), ("tls.crt", &leaf), ("tls.key", &key)];
    scene.cluster.put_secret(NAMESPACE, SECRET, "kubernetes.io/tls", &theirs);
    let mut replica = scene.replica("one").await;
    for _ in 0..2 {
        let error = scene.tick(&mut replica).await.unwrap_err();
        assert!(matches!(error, CertificatesError::Foreign { .. }), "{error}");
    }
    assert!(replica.keeper.served().load().is_none(), "not even served");
    assert_eq!((scene.writes(), scene.cluster.calls_to("* providers").len()), (0, 0));
    assert_eq!(replica.readiness().await, 503);
    assert_eq!(replica.errors("secret"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_api_server_that_is_none_changes_nothing() {
    let (mut scene, mut replicas) = Scene::running().await;
    scene.cluster.forget_calls();
    let [one, _] = &mut replicas;
    for (name, fault) in [
        ("500", Fault::status(500)),
        ("403", Fault::status(403)),
        ("429", Fault::throttled(1)),
        ("half", Fault::Cut),
        ("nothing", Fault::Drop),
        ("reset", Fault::Reset),
        ("no JSON", Fault::Raw(200, "<html>".to_owned())),
        ("another object", Fault::Raw(200, r#"{"kind":"Secret","data":5}"#.to_owned())),
        ("too large", Fault::Raw(200, " ".repeat(2 * 1024 * 1024 + 1))),
    ] {
        scene.pass(Duration::seconds(15));
        scene.cluster.script_always("get secrets", fault);
        let error = scene.tick(one).await.unwrap_err();
        assert!(matches!(error, CertificatesError::Secret { .. }), "{name}: {error}");
        assert_eq!(scene.ask(one, &scene.bundle("countersign")).await, Ok(()), "{name}");
        scene.cluster.heal();
    }
    assert_eq!(scene.writes(), 0);
    assert_eq!(one.errors("secret"), 9);
    scene.tick(one).await.unwrap();
}
