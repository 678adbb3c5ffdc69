//! Every Notation case of the fixtures: what the specifications ask for is what comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    config::Config,
    oci::Digest,
    reason::Code,
    store::registry,
    verifier::{
        Check,
        notation::{self, revocation::RevocationConfig},
    },
};
use integration_tests::web::{self, Arrived, Page, Web};
use serde_json::json;
use tokio::task::JoinSet;

use crate::cases::{self, Case, Said, cases, fixtures};

/// Asks about cases of one policy and moment as `countersign verify --trust-policy --trust-store --layout --at` does: a
/// configuration, its engine, a question for each reference.
///
/// `proxy`: of the web that has the cases' CRLs and OCSP responders.
async fn ask_all(cases: Vec<Case>, proxy: String) -> Vec<(Case, Said)> {
    let mut policy: notation::Config = serde_json::from_value(cases[0].policy.clone()).unwrap();
    policy.revocation.proxy = Some(proxy);
    let mut config = Config::of_notation(policy, registry::Config::default(), fixtures());
    config.take_layout(fixtures().join(&cases[0].layout), "--layout");
    cases::ask_all(cases, Ok(config)).await
}

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
    let Case { expected, check, .. } = case;
    let wanted = check.as_deref();
    Ok(match (said, expected.as_str()) {
        (Said::Allow(logged), "accept") => *logged == case.logged,
        (Said::Broken(faults), "reject") => wanted == Some("policy") && !faults.is_empty(),
        (Said::Undecided, "reject") => wanted == Some("revocation"),
        (Said::Deny(_, refusals), "reject") => {
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

// Items 1 to 88 and 104 to 106, by cases that other tools signed; item 108: without network and clock; item 110; ENV-25, ENV-27 to
// ENV-36, ENV-40, ENV-66, X-14, X-16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_gets_the_verdict_of_the_specifications() {
    let cases = cases("notation.json");
    assert_eq!(cases.len(), 414);
    let mut calls: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for case in cases {
        calls.entry(case.call()).or_default().push(case);
    }
    let web = Web::start(web::pages(&fixtures())).await;
    let asked: JoinSet<_> = calls.into_values().map(|cases| ask_all(cases, web.url().to_owned())).collect();
    let answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    assert_eq!(answers.len(), 414);
    let mut wrong = Vec::new();
    let mut other_check = BTreeSet::new();
    for (case, said) in &answers {
        let Case { id, kind, expected, logged, why, signatures, check, .. } = case;
        match judge(case, said) {
            Ok(true) => {}
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
    let expected = OTHER_CHECK.map(|(kind, wanted, named)| (wanted.to_owned(), named.to_owned(), kind.to_owned()));
    assert_eq!(other_check, BTreeSet::from(expected));
}

fn revocation_cases() -> Vec<Case> {
    let cases: Vec<Case> = cases("notation.json").into_iter().filter(|case| case.kind.starts_with("rev-")).collect();
    assert_eq!(cases.len(), 31);
    cases
}

/// The definite no that a case asks for; `None`: an open question.
fn definite(kind: &str) -> Option<Code> {
    match kind {
        "rev-ocsp-unknown" => Some(Code::RevocationUnknown),
        kind if kind.contains("revoke") || kind.contains("hold") => Some(Code::Revoked),
        _ => None,
    }
}

/// Whether what is refused for revocation is refused as it should be, and the rest as it is asked for.
fn wrong_about_revocation(answers: &[(Case, Said)]) -> Vec<String> {
    let as_it_should = |case: &Case, said: &Said| match (case.check.as_deref(), said, definite(&case.kind)) {
        (Some("revocation"), Said::Undecided, None) => true,
        (Some("revocation"), Said::Deny(_, refusals), Some(code)) => {
            matches!(refusals.as_slice(), [(Check::Revocation, found, _)] if *found == code)
        }
        (Some("revocation"), _, _) => false,
        _ => judge(case, said) == Ok(true),
    };
    let wrong = answers.iter().filter(|(case, said)| !as_it_should(case, said));
    wrong.map(|(case, said)| format!("{}: {} ({}): {said:?}", case.id, case.expected, case.why)).collect()
}

// Item 88, item 89, item 90, item 91, item 92, item 94, item 95, item 96, item 100, item 101; REV-02, REV-03, REV-04, REV-06, REV-07,
// REV-10, REV-11, REV-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definite_no_is_told_from_an_open_question() {
    let web = Web::start(web::pages(&fixtures())).await;
    let mut answers = Vec::new();
    for case in revocation_cases() {
        answers.extend(ask_all(vec![case], web.url().to_owned()).await);
    }
    let wrong = wrong_about_revocation(&answers);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let arrived = web.arrived();
    let is_get = |request: &&Arrived| request.method == "GET" && request.body.is_empty();
    assert!(arrived.len() > 40 && arrived.iter().all(|request| is_get(&request)), "short requests are GETs");
    assert!(arrived.iter().all(|request| request.url.starts_with("http://pki.acorn.test/")), "in absolute form");
}

/// Notation's CRL cache with all lists of `pages`, and a file for each OCSP response.
fn brought_along(pages: &[Page], dir: &Path) -> RevocationConfig {
    let mut config = RevocationConfig { preload: Some(dir.join("crl")), ..RevocationConfig::offline() };
    fs::create_dir(dir.join("crl")).unwrap();
    let text = |page: &Page| STANDARD.encode(&page.body);
    for (index, page) in pages.iter().enumerate() {
        if page.responder {
            let file = dir.join(format!("{index}.ocsp"));
            fs::write(&file, &page.body).unwrap();
            config.ocsp_files.push(file);
        } else {
            let delta = page.url.replace(".crl", "-delta.crl");
            let delta = pages.iter().find(|page| page.url == delta).map(text);
            let entry = json!({"baseCRL": text(page), "deltaCRL": delta}).to_string();
            fs::write(dir.join("crl").join(Digest::sha256(page.url.as_bytes()).hex()), entry).unwrap();
        }
    }
    config
}

// Item 108, item 102
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offline_with_everything_brought_along_verification_is_complete_and_connects_to_nobody() {
    let (pages, dir) = (web::pages(&fixtures()), tempfile::tempdir().unwrap());
    let brought = brought_along(&pages, dir.path());
    let web = Web::start(pages).await;
    let mut answers = Vec::new();
    for case in revocation_cases() {
        let mut policy: notation::Config = serde_json::from_value(case.policy.clone()).unwrap();
        policy.revocation = RevocationConfig { proxy: Some(web.url().to_owned()), ..brought.clone() };
        let mut config = Config::of_notation(policy, registry::Config::default(), fixtures());
        config.take_layout(fixtures().join(&case.layout), "--layout");
        answers.extend(cases::ask_all(vec![case], Ok(config)).await);
    }
    let wrong = wrong_about_revocation(&answers);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(web.arrived(), []);
}
