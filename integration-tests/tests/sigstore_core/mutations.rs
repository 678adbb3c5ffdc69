//! R117: a good bundle with any one thing changed is refused, but for what nobody signs.

use std::collections::BTreeSet;

use integration_tests::sigstore::{
    bundle::{Bundle, Version},
    key::Key,
    mutate::{Change, Mutation, mutations},
    signer::Signer,
};

use super::{MANIFEST, cosign_bundle, judge_bytes, keyed, keyless, mini, signer, times::modern};

/// What may be otherwise, by the row's start and the pointer's end, and why.
const UNAUTHENTICATED: [(&str, &str, &[Change], &str); 13] = [
    ("", "/signatures/0/keyid", ANY, "a hint, which selects nothing"),
    ("key", "/publicKey", &[Change::Emptied], "as no hint"),
    ("key", "/publicKey/hint", ANY, "a hint, which selects nothing: the policy's keys are all tried"),
    ("", "/tlogEntries/0", &[Change::Repeated], "R88: it counts once"),
    ("", "/rfc3161Timestamps/0", &[Change::Repeated], "R88: it counts once"),
    (
        "",
        "/rfc3161Timestamps/0/signedTimestamp",
        &[Change::Flipped],
        "in the token's certificate: the trusted root's is taken",
    ),
    ("logged and stamped", "/timestampVerificationData", GONE, "the log's time is enough"),
    ("logged and stamped", "/rfc3161Timestamps", GONE, "the log's time is enough"),
    ("logged and stamped", "/rfc3161Timestamps/0", &[Change::Dropped], "the log's time is enough"),
    ("logged and stamped", "/inclusionPromise", &[Change::Dropped], "proof and signed timestamp are enough"),
    ("key", "/inclusionPromise", &[Change::Dropped], "the proof is enough: keys demand no time"),
    ("v0.1", "/inclusionProof", &[Change::Dropped], "the promise is enough in that version"),
    (
        "v0",
        "/x509CertificateChain/certificates/0",
        &[Change::Repeated],
        "others help to find a path, and are not trusted",
    ),
];
const ANY: &[Change] = &[Change::Dropped, Change::Emptied, Change::Flipped, Change::Foreign];
const GONE: &[Change] = &[Change::Dropped, Change::Emptied];

#[test]
fn bundle_with_any_one_thing_changed_is_refused() {
    let mini = mini();
    let who = signer(&mini);
    let key = Key::p256("core", "signer").unwrap();
    let owner = Signer::of_key(key.clone());
    let message = |version| mini.base.message_bundle(&who, version, MANIFEST).unwrap();
    let stamped = || {
        let mut bundle = cosign_bundle(&mini, &who);
        bundle.timestamps = vec![mini.timestamp(bundle.signature())];
        bundle
    };
    let rows: [(&str, _, Bundle, Bundle); 6] = [
        ("v0.3, statement", keyless(&mini), cosign_bundle(&mini, &who), cosign_bundle(&mini, &signer(&mini))),
        ("logged and stamped", keyless(&mini), stamped(), stamped()),
        ("v0.2, message", keyless(&mini), message(Version::V02), message(Version::V02)),
        ("v0.1, message", keyless(&mini), message(Version::V01), message(Version::V01)),
        ("Rekor v2", keyless(&mini), modern(&mini, |_| ()), modern(&mini, |_| ())),
        ("key", keyed(&mini, &key), cosign_bundle(&mini, &owner), cosign_bundle(&mini, &owner)),
    ];
    let (mut passed, mut used) = (Vec::new(), BTreeSet::new());
    for (name, policy, bundle, other) in rows {
        judge_bytes(&policy, &bundle.bytes()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let all = mutations(&bundle.json(), &other.json());
        assert!(all.len() > 60, "{name}: {}", all.len());
        for Mutation { pointer, change, document } in all {
            let accepted = judge_bytes(&policy, document.to_string().as_bytes()).is_ok();
            let known = UNAUTHENTICATED.iter().position(|(row, end, changes, _)| {
                name.starts_with(row) && pointer.ends_with(end) && changes.contains(&change)
            });
            used.extend(known.filter(|_| accepted));
            if accepted && known.is_none() {
                passed.push(format!("{name}: {pointer} {change:?}"));
            }
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
    assert_eq!(used.len(), UNAUTHENTICATED.len(), "one of the list is refused: {used:?}");
}
