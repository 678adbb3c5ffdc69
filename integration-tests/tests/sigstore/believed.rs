//! Whom and what a trust policy believes.

use integration_tests::sigstore::{
    Mini,
    bundle::{Bundle, Content, Material, Version},
    envelope::{COSIGN_SIGN, EntryKind, Envelope},
    rekor::Entry,
    sct::Sct,
    signer::Signer,
    storage::Storage as _,
    tsa::Token,
};
use serde_json::{Value, json};
use time::{Duration, format_description::well_known::Rfc3339};

use super::{
    ISSUER, NOW, Name, SIGNED, Scene, WORKFLOW, ask, cosign_statement, named, scans, signatures, told, with, words,
};

/// Name, the trust policy, the bundle, and what is said.
type Row = (&'static str, fn(&Scene) -> Value, fn(&Scene) -> Bundle, &'static str);

fn keyless(scene: &Scene) -> Value {
    scene.keyless()
}

/// Alice's key, and a log.
fn logged_key(scene: &Scene) -> Value {
    json!({
        "name": "key", "scopes": ["**"], "keys": [{ "pem": scene.keyed("alice").key.pem() }],
        "trustedRoot": { "inline": scene.mini.trusted_root_json() },
    })
}

/// Alice's key in a window; minutes from the signature on.
fn windowed(scene: &Scene, from: i64, until: i64) -> Value {
    let moment = |minutes| (SIGNED + Duration::minutes(minutes)).format(&Rfc3339).unwrap();
    let mut policy = logged_key(scene);
    policy["keys"][0]["validFor"] = json!({ "start": moment(from), "end": moment(until) });
    policy
}

fn alice(scene: &Scene) -> Bundle {
    scene.bundle(&scene.keyed("alice"))
}

fn unlogged(scene: &Scene, signer: &Signer) -> Bundle {
    Bundle { entries: Vec::new(), ..scene.bundle(signer) }
}

/// In Rekor v2 alone.
fn in_rekor2(scene: &Scene) -> Bundle {
    let signer = scene.signer();
    let bundle = unlogged(scene, &signer);
    Bundle { entries: vec![rekor2_entry(scene, &signer, &bundle)], ..bundle }
}

fn rekor2_entry(scene: &Scene, signer: &Signer, bundle: &Bundle) -> Entry {
    let Content::Envelope(envelope) = &bundle.content else { panic!("an envelope") };
    scene.mini.rekor2.log_signature(signer, &envelope.pae(), bundle.signature())
}

fn stamped(scene: &Scene, bundle: Bundle) -> Bundle {
    Bundle { timestamps: vec![scene.mini.timestamp(bundle.signature())], ..bundle }
}

/// Stamped so many minutes after the signature.
fn stamped_later(scene: &Scene, minutes: i64) -> Bundle {
    let bundle = scene.bundle(&scene.signer());
    let token = Token::new(bundle.signature(), SIGNED + Duration::minutes(minutes));
    Bundle { timestamps: vec![scene.mini.tsa.stamp(&token)], ..bundle }
}

fn without_promise(mut bundle: Bundle) -> Bundle {
    bundle.entries[0].promise = None;
    bundle
}

fn without_sct(scene: &Scene) -> Bundle {
    let mut leaf = scene.mini.base.leaf(Name::Uri(WORKFLOW.to_owned()), ISSUER).unwrap();
    leaf.scts.clear();
    scene.bundle(&scene.mini.base.issue(&leaf).unwrap())
}

fn two_logs(scene: &Scene) -> Value {
    with(keyless(scene), &json!({ "tlogThreshold": 2 }))
}

fn github(scene: &Scene) -> Value {
    let root = json!({ "inline": scene.mini.trusted_root_json(), "profile": "github" });
    with(keyless(scene), &json!({ "trustedRoot": root }))
}

/// Roots of two instances, of which the scene's is the first.
fn two_roots(scene: &Scene) -> Value {
    let roots = [&scene.mini, &another()].map(|mini| json!({ "inline": mini.trusted_root_json() }));
    with(keyless(scene), &json!({ "trustedRoot": roots }))
}

fn another() -> Mini {
    Mini::new("another", SIGNED)
}

/// One root with the authority of one instance and the logs of another.
fn mixed_root(scene: &Scene) -> Value {
    let mut root = scene.mini.trusted_root();
    root.tlogs = another().trusted_root().tlogs;
    with(keyless(scene), &json!({ "trustedRoot": { "inline": root.json().unwrap().to_string() } }))
}

/// A certificate of the scene's instance, and an entry of another.
fn of_two_instances(scene: &Scene) -> Bundle {
    let signer = scene.signer();
    let bundle = unlogged(scene, &signer);
    let Content::Envelope(envelope) = &bundle.content else { panic!("an envelope") };
    let entry = another().base.log(&envelope.body(EntryKind::Dsse, &signer.verifier_pem())).unwrap();
    Bundle { entries: vec![entry], ..bundle }
}

const ROWS: [Row; 41] = [
    ("R59 a key with a log", logged_key, alice, "yes"),
    (
        "R59 a key without the log that is asked for",
        logged_key,
        |scene| unlogged(scene, &scene.keyed("alice")),
        "no TLOG_MISSING",
    ),
    (
        "R59 a key without a log, and none is asked for",
        |scene| scene.keys(&["alice"]),
        |scene| unlogged(scene, &scene.keyed("alice")),
        "yes",
    ),
    (
        "R61 logged with another key",
        logged_key,
        |scene| {
            let bundle = alice(scene);
            let Content::Envelope(envelope) = &bundle.content else { panic!("an envelope") };
            let body = envelope.body(EntryKind::Dsse, &scene.keyed("bob").verifier_pem());
            Bundle { entries: vec![scene.mini.base.log(&body).unwrap()], ..bundle }
        },
        "no TLOG_INVALID",
    ),
    ("R58 any of two keys", |scene| scene.keys(&["bob", "alice"]), alice, "yes"),
    ("R58 neither", |scene| scene.keys(&["bob", "carol"]), alice, "no SIG_INVALID"),
    (
        "R63 a hint that names another key",
        |scene| scene.keys(&["alice", "bob"]),
        |scene| Bundle { material: Material::hint(&scene.keyed("bob").key), ..alice(scene) },
        "yes",
    ),
    (
        "R63 a hint that names a believed key, by another",
        |scene| scene.keys(&["alice"]),
        |scene| Bundle { material: Material::hint(&scene.keyed("alice").key), ..scene.bundle(&scene.keyed("bob")) },
        "no SIG_INVALID",
    ),
    ("R62 COS-13 a key in its window", |scene| windowed(scene, -1, 1), alice, "yes"),
    ("R62 COS-13 from this moment on", |scene| windowed(scene, 0, 1), alice, "yes"),
    ("R62 COS-13 up to this moment", |scene| windowed(scene, -1, 0), alice, "yes"),
    ("R62 COS-13 before its window", |scene| windowed(scene, 1, 9), alice, "no UNTRUSTED"),
    ("R62 COS-13 after its window", |scene| windowed(scene, -9, -1), alice, "no UNTRUSTED"),
    (
        "R62 COS-13 at a time that nobody vouches for",
        |scene| windowed(scene, -1, 1),
        |scene| without_promise(alice(scene)),
        "no TIMESTAMP_MISSING",
    ),
    (
        "a certificate where a key is asked for",
        |scene| scene.keys(&["alice"]),
        |scene| scene.bundle(&scene.signer()),
        "no UNTRUSTED",
    ),
    ("a key where a certificate is asked for", keyless, alice, "no UNTRUSTED"),
    ("R67 a certificate that expired since", keyless, |scene| scene.bundle(&scene.signer()), "yes"),
    ("R70 a timestamp beside the entry", keyless, |scene| stamped_later(scene, 5), "yes"),
    ("R70 one of two times is outside", keyless, |scene| stamped_later(scene, 11), "no CERT_EXPIRED"),
    ("R90 a timestamp from the future", keyless, |scene| stamped_later(scene, 62), "no TIMESTAMP_INVALID"),
    (
        "R71 COS-08 a proof is no time",
        keyless,
        |scene| without_promise(scene.bundle(&scene.signer())),
        "no TIMESTAMP_MISSING",
    ),
    (
        "R71 nor is the present",
        |scene| with(keyless(scene), &json!({ "ignoreTlog": true })),
        |scene| unlogged(scene, &scene.signer()),
        "no TIMESTAMP_MISSING",
    ),
    (
        "COS-07 nor the time of a log that is not asked",
        |scene| with(keyless(scene), &json!({ "ignoreTlog": true })),
        |scene| scene.bundle(&scene.signer()),
        "no TIMESTAMP_MISSING",
    ),
    (
        "a timestamp is, without any log",
        |scene| with(keyless(scene), &json!({ "ignoreTlog": true })),
        |scene| stamped(scene, unlogged(scene, &scene.signer())),
        "yes",
    ),
    ("R73 no SCT", keyless, without_sct, "no SCT_MISSING"),
    (
        "R73 no SCT, and none is asked for",
        |scene| with(keyless(scene), &json!({ "ignoreSct": true })),
        without_sct,
        "yes",
    ),
    ("R87 Rekor v2 with a timestamp", keyless, |scene| stamped(scene, in_rekor2(scene)), "yes"),
    ("R87 Rekor v2 without", keyless, in_rekor2, "no TIMESTAMP_MISSING"),
    (
        "R89 COS-12 two logs",
        two_logs,
        |scene| {
            let signer = scene.signer();
            let mut bundle = stamped(scene, scene.bundle(&signer));
            bundle.entries.push(rekor2_entry(scene, &signer, &bundle));
            bundle
        },
        "yes",
    ),
    (
        "R88 COS-12 one log twice",
        two_logs,
        |scene| {
            let mut bundle = scene.bundle(&scene.signer());
            bundle.entries.push(bundle.entries[0].clone());
            bundle
        },
        "no TLOG_MISSING",
    ),
    (
        "R89 an unknown log beside a known one",
        keyless,
        |scene| {
            let mut bundle = scene.bundle(&scene.signer());
            bundle.entries.extend(of_two_instances(scene).entries);
            bundle
        },
        "yes",
    ),
    (
        "R98 GitHub's profile: a timestamp alone",
        github,
        |scene| stamped(scene, Bundle { entries: Vec::new(), ..without_sct(scene) }),
        "yes",
    ),
    ("R98 not even that", github, |scene| Bundle { entries: Vec::new(), ..without_sct(scene) }, "no TIMESTAMP_MISSING"),
    (
        "R98 a timestamp alone, elsewhere",
        keyless,
        |scene| stamped(scene, Bundle { entries: Vec::new(), ..without_sct(scene) }),
        "no TLOG_MISSING",
    ),
    ("R99 one of two instances", two_roots, |scene| scene.bundle(&scene.signer()), "yes"),
    ("R99 the authority of one, the log of the other", two_roots, of_two_instances, "no UNTRUSTED"),
    (
        "R99 which one root may say",
        |scene| {
            let mut policy = mixed_root(scene);
            policy["observerTimestampThreshold"] = json!(1);
            policy
        },
        of_two_instances,
        "yes",
    ),
    (
        "R32 COS-36 annotations",
        |scene| with(keyless(scene), &json!({ "annotations": { "build": "42" } })),
        annotated,
        "yes",
    ),
    (
        "R32 COS-36 another value",
        |scene| with(keyless(scene), &json!({ "annotations": { "build": "43" } })),
        annotated,
        "no ANNOTATION_MISMATCH",
    ),
    (
        "R32 COS-36 none",
        |scene| with(keyless(scene), &json!({ "annotations": { "build": "42" } })),
        |scene| scene.bundle(&scene.signer()),
        "no ANNOTATION_MISMATCH",
    ),
    (
        "R34 COS-24 two signatures",
        keyless,
        |scene| {
            let mut bundle = scene.bundle(&scene.signer());
            if let Content::Envelope(Envelope { signatures, .. }) = &mut bundle.content {
                signatures.push(signatures[0].clone());
            }
            bundle
        },
        "no BUNDLE_MALFORMED",
    ),
];

/// R42: where cosign v3 writes annotations.
fn annotated(scene: &Scene) -> Bundle {
    let mut statement = cosign_statement(&scene.digest());
    assert_eq!(statement["predicateType"], COSIGN_SIGN);
    statement["subject"][0]["annotations"] = json!({ "build": "42", "by": "hand" });
    scene.bundle_of(&scene.signer(), &statement)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_policy_believes_what_it_says_and_nothing_near_it() {
    let mut wrong = Vec::new();
    for (name, policy, bundle, expected) in ROWS {
        let scene = Scene::new().await;
        scene.repository().put_bundle(&scene.image, &bundle(&scene));
        let said = scene.verdict(&signatures(&policy(&scene))).await;
        if said != expected {
            wrong.push(format!("{name}: {said}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// R65: connaisseur's image of three signers. The names in a policy are verifiers; what counts are signers.
#[tokio::test(flavor = "multi_thread")]
async fn distinct_signers_are_counted() {
    let scene = Scene::new().await;
    let layers = ["alice", "bob"].map(|name| {
        let mut layer = scene.layer(&scene.keyed(name));
        layer.entry = None;
        layer
    });
    scene.repository().put_sig_tag(&scene.image, &layers);
    let by = |name: &str, keys: &[&str]| named(name, &signatures(&scene.keys(keys)));
    let all = [
        by("a", &["alice"]),
        by("b", &["bob"]),
        by("c", &["carol"]),
        by("a2", &["alice"]),
        by("ab", &["alice", "bob"]),
    ];
    for (least, of, expected) in [
        (2, &["a", "b", "c"][..], "yes"),
        (3, &["a", "b", "c"], "no"),
        (2, &["a", "a2"], "no"),
        (2, &["a", "c"], "no"),
        (2, &["a", "ab"], "yes"),
        (1, &["c", "b"], "yes"),
    ] {
        let engine = scene.engine(&all, json!({ "atLeast": least, "of": of })).await.unwrap();
        let answer = ask(&engine, scene.reference()).await;
        let said = told(&answer);
        assert!(said.starts_with(expected), "{least} of {of:?}: {said} {:?}", words(&answer));
    }
    let faults = scene.engine(&all, json!({ "atLeast": 4, "of": ["a", "b", "c"] })).await.unwrap_err();
    assert!(faults.iter().any(|fault| fault.contains("atLeast")), "{faults:?}");
}

// R104: where two trust policies tie, both must hold; inside one any key does.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_trust_policies_for_a_scope_both_must_hold() {
    for (keys, expected) in [(["alice", "alice"], "yes"), (["alice", "bob"], "no SIG_INVALID")] {
        let scene = Scene::new().await;
        scene.repository().put_bundle(&scene.image, &alice(&scene));
        let host = scene.registry.host();
        let twin = |index: usize, scope: &str| {
            with(scene.keys(&[keys[index]]), &json!({ "name": format!("p{index}"), "scopes": [scope] }))
        };
        let verifier = json!({ "type": "cosign", "trustPolicies": [
            twin(0, &format!("{host}/*/web")), twin(1, &format!("{host}/shop/*")) ] });
        assert_eq!(scene.verdict(&verifier).await, expected, "{keys:?}");
    }
}

// R44: any, latest and all of the verified scans; R119's one named exception.
#[tokio::test(flavor = "multi_thread")]
async fn scans_are_selected_among_those_that_verify() {
    let (old, new) = ("2026-11-01T00:00:00Z", "2026-11-21T11:00:00Z");
    let future = (NOW + Duration::minutes(2)).format(&Rfc3339).unwrap();
    for (select, scans_of, expected) in [
        ("any", &[new][..], "yes"),
        ("any", &[old], "no ATTESTATION_STALE"),
        ("any", &[old, new], "yes"),
        ("latest", &[old, new], "yes"),
        ("latest", &[new, old], "yes"),
        ("latest", &[old], "no ATTESTATION_STALE"),
        ("all", &[new, new], "yes"),
        ("all", &[old, new], "no ATTESTATION_STALE"),
        ("any", &[&future], "no ATTESTATION_FUTURE"),
        ("any", &["yesterday"], "no ATTESTATION_FUTURE"),
    ] {
        let scene = Scene::new().await;
        for finished in scans_of {
            scene.repository().put_bundle(&scene.image, &scene.bundle_of(&scene.signer(), &scene.scan(finished)));
        }
        // A stranger's newer scan is nobody's.
        let stranger = scene.named("https://github.com/evil/app");
        scene.repository().put_bundle(&scene.image, &scene.bundle_of(&stranger, &scene.scan("2026-11-21T12:30:00Z")));
        let rules = json!({ "select": select, "maxAge": "168h", "timeField": "/predicate/metadata/scanFinishedOn" });
        let said = scene.verdict(&with(scans(&keyless(&scene)), &rules)).await;
        assert!(
            said == expected || said.starts_with("no ATTESTATION") && expected.starts_with("no ATTESTATION"),
            "{select} of {scans_of:?}: {said}, not {expected}"
        );
    }
}

// R119: whatever is added, a yes stays a yes; trust in others makes none.
#[tokio::test(flavor = "multi_thread")]
async fn more_evidence_takes_no_yes_away_and_more_trust_in_others_gives_none() {
    type Piece = (&'static str, fn(&Scene) -> Bundle);
    let pieces: [Piece; 7] = [
        ("good", |scene| scene.bundle(&scene.signer())),
        ("stranger", |scene| scene.bundle(&scene.named("https://github.com/evil/app"))),
        ("keyed", alice),
        ("without time", |scene| without_promise(scene.bundle(&scene.signer()))),
        ("without SCT", without_sct),
        ("of two instances", of_two_instances),
        ("scan", |scene| scene.bundle_of(&scene.signer(), &scene.scan("2026-11-21T11:00:00Z"))),
    ];
    for subset in 0..1_usize << pieces.len() {
        // Every subset of up to three, in one order and the other (R108).
        if subset.count_ones() > 3 || subset == 0 {
            continue;
        }
        let mut chosen: Vec<Piece> =
            pieces.iter().enumerate().filter(|(at, _)| subset & (1 << at) != 0).map(|(_, piece)| *piece).collect();
        let has_good = chosen.iter().any(|(name, _)| *name == "good");
        for _ in 0..2 {
            let scene = Scene::new().await;
            for (_, make) in &chosen {
                scene.repository().put_bundle(&scene.image, &make(&scene));
            }
            for policy in [keyless(&scene), two_roots(&scene)] {
                let said = scene.verdict(&signatures(&policy)).await;
                let names: Vec<_> = chosen.iter().map(|(name, _)| *name).collect();
                assert_eq!(said == "yes", has_good, "{names:?}: {said}");
            }
            chosen.reverse();
        }
    }
}

// R45: each version of the bundle that there is.
#[tokio::test(flavor = "multi_thread")]
async fn each_version_of_the_bundle_is_read() {
    for version in Version::ALL {
        let scene = Scene::new().await;
        let statement = cosign_statement(&scene.digest());
        let bundle = scene.mini.base.bundle(&scene.signer(), version, &statement, EntryKind::InToto002).unwrap();
        scene.repository().put_bundle(&scene.image, &bundle);
        assert_eq!(scene.verdict(&signatures(&keyless(&scene))).await, "yes", "{version:?}");
    }
}

// R72, COS-12: two SCTs of one log are one.
#[tokio::test(flavor = "multi_thread")]
async fn two_scts_of_one_log_are_one() {
    let scene = Scene::new().await;
    let mut leaf = scene.mini.base.leaf(Name::Uri(WORKFLOW.to_owned()), ISSUER).unwrap();
    leaf.scts.push(Sct::new(&scene.mini.base.ct.key, SIGNED));
    let bundle = scene.bundle(&scene.mini.base.issue(&leaf).unwrap());
    scene.repository().put_bundle(&scene.image, &bundle);
    for (threshold, expected) in [(1, "yes"), (2, "no SCT_MISSING")] {
        let policy = with(keyless(&scene), &json!({ "sctThreshold": threshold }));
        assert_eq!(scene.verdict(&signatures(&policy)).await, expected);
    }
}
