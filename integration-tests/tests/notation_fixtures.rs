//! Every Notation case of the fixtures: what the specifications ask for is what comes out.

use std::collections::{BTreeMap, BTreeSet};

use countersign::{config::Config, reason::Code, store::registry, verifier::notation};
use tokio::task::JoinSet;

use crate::cases::{self, Case, Said, cases, fixtures};

/// Asks about cases of one policy and moment as `countersign verify --trust-policy --trust-store --layout --at` does: a
/// configuration, its engine, a question for each reference.
async fn ask_all(cases: Vec<Case>) -> Vec<(Case, Said)> {
    let policy: notation::Config = serde_json::from_value(cases[0].policy.clone()).unwrap();
    let mut config = Config::of_notation(policy, registry::Config::default(), fixtures());
    config.take_layout(fixtures().join(&cases[0].layout), "--layout");
    cases::ask_all(cases, Ok(config)).await
}

/// Accepted cases that need revocation or timestamps, and what is said until then.
const NOT_YET: [(&str, Code); 12] = [
    ("notation-ts-expired-cert-jws", Code::TimestampUnsupported),
    ("notation-ts-expired-cert-cose", Code::TimestampUnsupported),
    ("notation-ts-sha512-imprint-jws", Code::TimestampUnsupported),
    ("notation-ts-sha512-imprint-cose", Code::TimestampUnsupported),
    ("notation-ts-real-jws", Code::TimestampUnsupported),
    ("notation-ts-real-cose", Code::TimestampUnsupported),
    ("notation-ts-fraction-jws", Code::TimestampUnsupported),
    ("notation-tsa-expired-now-jws", Code::TimestampUnsupported),
    ("notation-rev-crl-good-cose", Code::RevocationUnsupported),
    ("notation-rev-ocsp-good-jws", Code::RevocationUnsupported),
    ("notation-rev-ocsp-delegated-jws", Code::RevocationUnsupported),
    ("notation-rev-fallback-good-cose", Code::RevocationUnsupported),
];

/// Kinds of rejected cases in which another check than theirs says no, and which.
const OTHER_CHECK: [(&str, &str, &str); 7] = [
    // The store holds a self-signed certificate that SHA-1 signs, and so vouches for nobody.
    ("leaf-sha1-self-signed", "integrity", "authenticity"),
    ("leaf-sha1-signed", "integrity", "authenticity"),
    // The store compares size and digest before there is an envelope.
    ("manifest-layer-size", "integrity", "content"),
    // It is found by its type, and its manifest is read before it is one.
    ("manifest-config-type", "presence", "content"),
    // The payload is read with the envelope.
    ("payload-duplicate-digest", "subject", "integrity"),
    ("payload-no-target", "subject", "integrity"),
    ("payload-not-json", "subject", "integrity"),
];

/// Whether that is what the case asks for. `Err`: a refusal, by other checks than the case's own.
fn judge(case: &Case, said: &Said) -> Result<bool, String> {
    let Case { id, expected, check, .. } = case;
    let deferred = NOT_YET.iter().find(|(named, _)| named == id);
    let wanted = check.as_deref();
    Ok(match (said, expected.as_str(), deferred) {
        (Said::Allow(logged), "accept", None) => *logged == case.logged,
        (Said::Deny(code, refusals), "accept", Some((_, expected))) => {
            code == expected && matches!(refusals.as_slice(), [(_, found, _)] if found == expected)
        }
        (Said::Broken(faults), "reject", None) => wanted == Some("policy") && !faults.is_empty(),
        (Said::Undecided, "reject", None) => wanted == Some("revocation"),
        (Said::Deny(_, refusals), "reject", None) => {
            let Some(wanted) = wanted else { return Ok(false) };
            let mut named: BTreeSet<_> = refusals.iter().map(|(check, _, _)| check.as_str()).collect();
            if refusals.iter().any(|(_, code, _)| *code == Code::NoSignature) {
                named.insert("presence");
            }
            if !named.contains(wanted) {
                return Err(named.into_iter().collect::<Vec<_>>().join(" "));
            }
            true
        }
        _ => false,
    })
}

// Items 1 to 74 and 104 to 106, by cases that other tools signed; item 108: without network and clock; ENV-25, ENV-27 to
// ENV-36, ENV-40, ENV-66, X-14, X-16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_gets_the_verdict_of_the_specifications() {
    let cases = cases("notation.json");
    assert_eq!(cases.len(), 414);
    let mut calls: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for case in cases {
        calls.entry(case.call()).or_default().push(case);
    }
    let asked: JoinSet<_> = calls.into_values().map(ask_all).collect();
    let answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    assert_eq!(answers.len(), 414);
    let mut wrong = Vec::new();
    let mut not_yet = BTreeSet::new();
    let mut other_check = BTreeSet::new();
    for (case, said) in &answers {
        let Case { id, kind, expected, logged, why, signatures, check, .. } = case;
        match judge(case, said) {
            Ok(true) => not_yet.extend(NOT_YET.iter().map(|(named, _)| *named).filter(|named| named == id)),
            Ok(false) => {
                let signatures = signatures.len();
                wrong.push(format!("{id}: {expected} {check:?} {logged:?} ({why}; {signatures} signatures): {said:?}"));
            }
            Err(named) => {
                other_check.insert((check.clone().unwrap(), named, kind.clone()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), answers.len(), wrong.join("\n"));
    assert_eq!(not_yet, NOT_YET.iter().map(|(id, _)| *id).collect());
    let expected = OTHER_CHECK.map(|(kind, wanted, named)| (wanted.to_owned(), named.to_owned(), kind.to_owned()));
    assert_eq!(other_check, BTreeSet::from(expected));
}
