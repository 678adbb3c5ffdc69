//! Every Notation case of the fixtures: what the specifications ask for is what comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use countersign::{
    app::{self, Materials},
    config::Config,
    executor::{Executor, Question},
    oci::Reference,
    reason::Code,
    report::{Decision, Verdict, Word},
    store::{
        cached::ContentCache,
        registry::{self, Outside},
    },
    tenant::Tenant,
    verifier::{Check, Outcome, VerifyError, notation},
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{runtime::Handle, task::JoinSet, time::Instant};

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    kind: String,
    pub(crate) layout: PathBuf,
    subject: CaseSubject,
    pub(crate) signatures: Vec<String>,
    policy: serde_json::Value,
    now: String,
    pub(crate) expected: String,
    check: Option<String>,
    #[serde(default)]
    logged: BTreeSet<String>,
    why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseSubject {
    reference: String,
    digest: String,
    media_type: String,
}

/// What came out for a case.
#[derive(Debug)]
enum Said {
    /// With the checks that were only logged.
    Allow(BTreeSet<String>),
    /// The configuration is refused, with everything that is wrong with it.
    Broken(Vec<String>),
    /// With the decision's code, and each refusal in order.
    Deny(Code, Vec<(Check, Code, String)>),
    /// Without an answer.
    Undecided,
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

pub(crate) fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(fixtures().join("notation.json")).unwrap();
    let Cases { cases } = serde_json::from_str(&text).unwrap();
    cases
}

/// Asks about cases of one policy and moment as `countersign verify --trust-policy --trust-store --layout --at` does: a
/// configuration, its engine, a question for each reference.
async fn ask_all(cases: Vec<Case>) -> Vec<(Case, Said)> {
    let policy: notation::Config = serde_json::from_value(cases[0].policy.clone()).unwrap();
    let mut config = Config::of_notation(policy, registry::Config::default(), fixtures());
    config.take_layout(fixtures().join(&cases[0].layout), "--layout");
    let materials = Materials {
        content: ContentCache::new(config.limits.content_cache_bytes),
        outside: Outside::default(),
        runtime: Handle::current(),
    };
    let engine = app::build(&config, &materials).await;
    let mut answers = Vec::new();
    for case in cases {
        let said = match &engine {
            Ok(engine) => ask(&case, &engine.executor).await,
            Err(faults) => Said::Broken(faults.iter().map(ToString::to_string).collect()),
        };
        answers.push((case, said));
    }
    answers
}

async fn ask(case: &Case, executor: &Arc<Executor>) -> Said {
    let question = Question {
        tenant: Tenant::Cluster,
        reference: Reference::parse(&case.subject.reference).unwrap(),
        now: OffsetDateTime::parse(&case.now, &Rfc3339).unwrap(),
        deadline: Instant::now() + Duration::from_mins(5),
    };
    let answer = executor.verify(question).await;
    let Verdict { subject, decision, reports, .. } = &*answer.verdict;
    let descriptor = subject.as_ref().unwrap_or_else(|| panic!("{}: {decision:?}", case.id)).descriptor();
    assert_eq!(
        (descriptor.digest.to_string(), &descriptor.media_type),
        (case.subject.digest.clone(), &case.subject.media_type),
        "{}",
        case.id
    );
    assert_eq!(answer.rendered.is_success(), matches!(decision, Decision::Allow { .. }), "{}", case.id);
    let mut refusals = Vec::new();
    let mut logged = BTreeSet::new();
    for report in reports {
        match &report.word {
            Word::Not(VerifyError::Rejected(no)) => refusals.push((no.check(), no.code(), no.reason().to_owned())),
            // The decision tells.
            Word::Not(VerifyError::Undecided(_)) | Word::Waived(_) => {}
            Word::Yes(yes) => {
                let only = yes.checks().iter().filter(|(_, outcome)| matches!(outcome, Outcome::Logged(_)));
                logged.extend(only.map(|(check, _)| check.to_string()));
            }
        }
    }
    match decision {
        Decision::Allow { .. } => Said::Allow(logged),
        Decision::Deny(reason) => Said::Deny(reason.code, refusals),
        Decision::Undecided(_) => Said::Undecided,
    }
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
    let cases = cases();
    assert_eq!(cases.len(), 414);
    let mut calls: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for case in cases {
        calls.entry((case.layout.clone(), case.policy.to_string(), case.now.clone())).or_default().push(case);
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
