//! Which logs, which evidence, which times.

use time::macros::datetime;

use super::super::{
    super::{
        evidence::{BundleVersion, Shape},
        root::Window,
    },
    LogFault, Logged, distinct,
    testing::{Fixture, Kind, LOGGED, NOW, OwnSigner, Secret, TestLog, judge, root_of, seconds},
};
use crate::reason::Code;

const V01: Shape = Shape::Bundle(BundleVersion::V01);
const V02: Shape = Shape::Bundle(BundleVersion::V02);

#[test]
fn every_kind_of_entry_vouches_for_certificates_and_keys() {
    for kind in Kind::ALL {
        for signer in [OwnSigner::certificate(), OwnSigner::Key(Secret::p256().public())] {
            let fixture = Fixture::new(kind, signer);
            let logged = fixture.verify().unwrap_or_else(|fault| panic!("{kind:?}: {fault:?}")).unwrap();
            let is_v2 = kind == Kind::RecordV2;
            assert_eq!(logged.index, fixture.entry.log_index, "{kind:?}");
            assert_eq!(logged.integrated_at, (!is_v2).then_some(LOGGED), "{kind:?}");
            assert_eq!(logged.promised, !is_v2, "{kind:?}");
            assert_eq!(logged.proven, fixture.shape.is_bundle(), "{kind:?}");
            assert_eq!(logged.log.len(), 64);
            assert_eq!(logged.log_name, "https://rekor.example.test");
        }
    }
}

// R89, and the ruling on entries of unknown logs
#[test]
fn entry_of_an_unknown_log_neither_counts_nor_hurts() {
    let mut fixture = Fixture::keyless(Kind::Dsse);
    fixture.root = root_of([&TestLog::v1(Secret::p256()).known]);
    assert_eq!(fixture.verify().unwrap(), None);
    fixture.entry.body = b"junk".to_vec();
    fixture.entry.promise = Some(b"junk".to_vec());
    assert_eq!(fixture.verify().unwrap(), None, "whatever it holds");
    fixture.root.logs.clear();
    assert_eq!(fixture.verify().unwrap(), None, "a root without logs");

    let mut fixture = Fixture::keyless(Kind::Dsse);
    fixture.entry.log_id.clear();
    assert_eq!(fixture.verify().unwrap(), None, "an entry without a log");
    let mut fixture = Fixture::keyless(Kind::Dsse);
    fixture.entry.body = b"junk".to_vec();
    assert!(matches!(fixture.verify(), Err(LogFault::Body(_))), "the same of a known log");
}

// R46, R87, COS-05
#[test]
fn each_shape_demands_its_evidence() {
    judge(
        || Fixture::keyless(Kind::Dsse),
        &[
            ("v0.1 with both", None, &|f| f.shape = V01),
            ("v0.1 with a promise", None, &|f| (f.shape, f.entry.proof) = (V01, None)),
            ("R46 v0.1 without a promise", Some("log entry of a sigstore bundle v0.1 has no signed"), &|f| {
                (f.shape, f.entry.promise) = (V01, None);
            }),
            ("v0.1 proof is checked", Some("inclusion proof does not hold"), &|f| {
                f.shape = V01;
                f.proof().hashes[0][0] ^= 1;
            }),
            ("v0.1 proof without checkpoint", Some("inclusion proof has no checkpoint"), &|f| {
                f.shape = V01;
                f.proof().checkpoint.clear();
            }),
            ("v0.2 with both", None, &|f| f.shape = V02),
            ("v0.2 without a promise", None, &|f| (f.shape, f.entry.promise) = (V02, None)),
            ("R46 v0.2 without a proof", Some("log entry of a sigstore bundle v0.2 has no inclusion"), &|f| {
                (f.shape, f.entry.proof) = (V02, None);
            }),
            ("R46 v0.3 without a proof", Some("log entry of a sigstore bundle v0.3 has no inclusion"), &|f| {
                f.entry.proof = None;
            }),
            ("v0.3 proof without checkpoint", Some("inclusion proof has no checkpoint"), &|f| {
                f.proof().checkpoint.clear();
            }),
            ("v0.3 promise is checked", Some("signed entry timestamp does not verify"), &|f| {
                f.entry.promise.as_mut().unwrap()[12] ^= 1;
            }),
            ("v0.3 with neither", Some("log entry of a sigstore bundle v0.3 has no inclusion"), &|f| {
                (f.entry.promise, f.entry.proof) = (None, None);
            }),
        ],
    );
}

// R46, R87, COS-05
#[test]
fn layers_demand_a_promise_and_rekor_v2_a_proof() {
    judge(
        || Fixture::keyless(Kind::Payload),
        &[
            ("layer of a referrer", None, &|f| f.shape = Shape::SignatureReferrer),
            ("§2.1 layer without a promise", Some("log entry of a cosign .sig tag has no signed"), &|f| {
                f.entry.promise = None;
            }),
            ("§2.1 layer of a referrer without a promise", Some("log entry of a cosign signature referrer"), &|f| {
                (f.shape, f.entry.promise) = (Shape::SignatureReferrer, None);
            }),
        ],
    );
    judge(
        || Fixture::keyless(Kind::RecordV2),
        &[
            ("R87 COS-05 Rekor v2 without a proof", Some("log entry of a sigstore bundle v0.3 has no incl"), &|f| {
                f.entry.proof = None;
            }),
            ("R87 Rekor v2 with a promise", Some("log entry of Rekor v2 has a signed entry"), &|f| {
                f.entry.integrated_time = Some(LOGGED.unix_timestamp());
                f.promise();
            }),
            ("Rekor v2 where a promise is demanded", Some("log entry of a sigstore bundle v0.1 has no signed"), &|f| {
                f.shape = V01;
            }),
            ("Rekor v2 in a layer", Some("log entry of a cosign .att tag has no signed"), &|f| {
                f.shape = Shape::AttestationTag;
            }),
        ],
    );
}

// R81, COS-03
#[test]
fn promise_covers_body_index_time_and_log() {
    let invalid = Some("signed entry timestamp does not verify with the log's key");
    judge(
        || Fixture::keyless(Kind::Payload),
        &[
            ("R81 flipped", invalid, &|f| f.entry.promise.as_mut().unwrap()[12] ^= 1),
            ("empty", invalid, &|f| f.entry.promise = Some(Vec::new())),
            ("COS-03 index", invalid, &|f| f.entry.log_index += 1),
            ("COS-03 time", invalid, &|f| *f.entry.integrated_time.as_mut().unwrap() -= 1),
            ("COS-03 body, an equal document", invalid, &|f| f.entry.body.push(b' ')),
            ("COS-03 another known log", invalid, &|f| {
                let other = TestLog::v1(Secret::p256()).known;
                f.entry.log_id.clone_from(&other.id);
                f.root.logs.push(other);
            }),
            ("R81 promise by another key", invalid, &|f| {
                f.entry.promise = Some(TestLog::v1(Secret::p256()).promise(&f.entry));
            }),
            ("no time", Some("log entry with a signed entry timestamp has no integrated time"), &|f| {
                f.entry.integrated_time = None;
                f.promise();
            }),
            ("a time past every calendar", Some("log entry with a signed entry timestamp has no"), &|f| {
                f.entry.integrated_time = Some(i64::MAX);
                f.promise();
            }),
            ("a negative time", Some("log entry is of 1969-12-31 23:59:59"), &|f| {
                f.entry.integrated_time = Some(-1);
                f.promise();
            }),
            ("index 0", None, &|f| {
                f.entry.log_index = 0;
                f.promise();
            }),
            ("index 2^53 - 1", None, &|f| {
                f.entry.log_index = (1 << 53) - 1;
                f.promise();
            }),
            ("index 2^53", Some("log index 9007199254740992 is past"), &|f| {
                f.entry.log_index = 1 << 53;
                f.promise();
            }),
        ],
    );
}

#[test]
fn logs_sign_with_any_scheme_of_their_key() {
    for secret in [Secret::p256(), Secret::p384(), Secret::ed25519()] {
        let mut fixture = Fixture::keyless(Kind::Dsse);
        fixture.log = TestLog::v1(secret);
        fixture.root = root_of([&fixture.log.known]);
        let body = fixture.body();
        fixture.log(&body);
        assert!(fixture.verify().unwrap().is_some());
    }
}

// R81, COS-09, COS-11
#[test]
fn integrated_time_lies_in_the_keys_window_and_not_in_the_future() {
    let at = |f: &mut Fixture, moment: time::OffsetDateTime| {
        f.entry.integrated_time = Some(moment.unix_timestamp());
        f.promise();
    };
    let open = |f: &mut Fixture| f.root.logs[0].window.end = None;
    judge(
        || Fixture::keyless(Kind::Payload),
        &[
            ("COS-11 first second", None, &|f| at(f, f.root.logs[0].window.start)),
            ("COS-11 a second before", Some("log entry is of 2025-12-31 23:59:59.0 +00:00:00, the log's key"), &|f| {
                at(f, seconds(f.root.logs[0].window.start, -1));
            }),
            ("COS-11 last second", None, &|f| f.root.logs[0].window.end = Some(LOGGED)),
            ("COS-11 a second after", Some("log entry is of 2026-10-01 12:00:00.0 +00:00:00, the log's key"), &|f| {
                f.root.logs[0].window.end = Some(seconds(LOGGED, -1));
            }),
            ("retired since", None, &|f| f.now = datetime!(2030-01-01 0:00 UTC)),
            ("COS-09 60 s ahead", None, &|f| at(f, seconds(NOW, 60))),
            ("COS-09 61 s ahead", Some("log entry says to be of 2026-11-01 12:01:01"), &|f| at(f, seconds(NOW, 61))),
            ("COS-09 61 s ahead, open window", Some("log entry says to be of"), &|f| {
                open(f);
                at(f, seconds(NOW, 61));
            }),
            ("one id, two windows", None, &|f| {
                let mut later = f.root.logs[0].clone();
                later.window = Window { start: seconds(LOGGED, 1), end: None };
                f.root.logs.insert(0, later);
            }),
        ],
    );
}

// COS-07, COS-08, R87, R92
#[test]
fn only_a_promise_vouches_for_a_time() {
    let mut fixture = Fixture::keyless(Kind::Dsse);
    fixture.entry.promise = None;
    assert_eq!(fixture.verify().unwrap().unwrap().integrated_at, None, "COS-08 proof only");
    fixture.entry.integrated_time = Some(seconds(NOW, 1000).unix_timestamp());
    let logged = fixture.verify().unwrap().unwrap();
    assert_eq!((logged.integrated_at, logged.promised, logged.proven), (None, false, true), "COS-07 any time at all");

    let mut fixture = Fixture::keyless(Kind::RecordV2);
    fixture.entry.integrated_time = Some(LOGGED.unix_timestamp());
    assert_eq!(fixture.verify().unwrap().unwrap().integrated_at, None, "R87 Rekor v2");
}

// COS-11: without a promise the log's key must have been in use before now
#[test]
fn proof_alone_needs_a_key_that_is_in_use() {
    let proof_only = || {
        let mut fixture = Fixture::keyless(Kind::RecordV2);
        fixture.root.logs[0].window = Window { start: NOW, end: None };
        fixture
    };
    judge(
        proof_only,
        &[
            ("since now", None, &|_| {}),
            ("since a second from now", Some("log's key is in use since 2026-11-01 12:00:00"), &|f| {
                f.now = seconds(NOW, -1);
            }),
            ("retired since", None, &|f| (f.root.logs[0].window.end, f.now) = (Some(NOW), seconds(NOW, 1_000_000))),
        ],
    );
}

// COS-12, R88; CVE-2026-49834
#[test]
fn logs_are_counted_not_entries() {
    let of = |log: &str, index| Logged {
        log: log.to_owned(),
        log_name: "https://rekor.example.test".to_owned(),
        index,
        integrated_at: None,
        promised: false,
        proven: true,
    };
    assert_eq!(distinct(&[]), 0);
    assert_eq!(distinct(&[of("a", 1)]), 1);
    assert_eq!(distinct(&[of("a", 1), of("a", 1)]), 1, "one entry twice");
    assert_eq!(distinct(&[of("a", 1), of("a", 2)]), 1, "two entries of one log");
    assert_eq!(distinct(&[of("a", 1), of("b", 1), of("a", 3)]), 2);
}

#[test]
fn codes_tell_limits_from_the_rest() {
    let mut fixture = Fixture::keyless(Kind::Dsse);
    fixture.entry.body = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(fixture.verify().unwrap_err().code(), Code::LimitExceeded);
    fixture.entry.body.pop();
    assert_eq!(fixture.verify().unwrap_err().code(), Code::TlogInvalid);
}
