use serde_json::Map;
use time::macros::datetime;

use super::*;
use crate::{
    oci::{Descriptor, Digest, Found, Referrer, Repository},
    report::{About, Evidence},
    verifier::{Check, Coverage, Findings, Rejection, Signer, Undecided, VerifyError, Waiver},
};

fn subject() -> Subject {
    let repository = Repository::parse("registry.example.com/app").unwrap();
    Subject::new(repository, descriptor("subject", None))
}

fn descriptor(content: &str, artifact_type: Option<&str>) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        digest: Digest::sha256(content.as_bytes()),
        size: 1,
        artifact_type: artifact_type.map(str::to_owned),
        annotations: std::collections::BTreeMap::default(),
    }
}

fn report(content: &str, word: Word) -> VerifierReport {
    let about = About {
        digest: Digest::sha256(content.as_bytes()).to_string(),
        artifact_type: "application/vnd.cncf.notary.signature".into(),
        layer: None,
        envelope: None,
    };
    VerifierReport { verifier: "notary".into(), kind: "notation", about: Some(about), word, nested: None }
}

fn yes() -> Word {
    let logged = Rejection::new(Check::Revocation, Code::RevocationUnavailable, "cannot be made");
    let findings = Findings {
        checks: vec![
            (Check::Integrity, Outcome::Passed),
            (Check::Authenticity, Outcome::Passed),
            (Check::Revocation, Outcome::Logged(logged)),
            (Check::Subject, Outcome::Passed),
            (Check::AuthenticTimestamp, Outcome::Skipped),
        ],
        signer: Some(Signer { identity: "ab".into(), display: "CN=build\u{1b}[31m".into() }),
        valid_until: None,
        signer_until: None,
        message: "signature is good".into(),
        extensions: Map::new(),
        warnings: vec![],
        attested: None,
    };
    Word::Yes(Box::new(Verified::conclude(findings, datetime!(2026-01-01 0:00 UTC)).unwrap()))
}

#[test]
fn a_verdict_names_each_artifact_check_signer_reason_and_remedy() {
    let rejection = Rejection::new(Check::Authenticity, Code::Untrusted, "no certificate is trusted");
    let waived = VerifierReport {
        verifier: "other".into(),
        kind: "notation",
        about: None,
        word: Word::Waived(Waiver::by_policy("dev")),
        nested: None,
    };
    let verdicts = [
        (
            "app:1",
            Decision::allow(Some(datetime!(2027-01-01 0:00 UTC))),
            vec![report("one", yes()), report("two", Word::Not(VerifyError::Rejected(rejection))), waived],
        ),
        (
            "app:2\n",
            Decision::Undecided(Reason::new(Code::Timeout, "late")),
            vec![report("one", Word::Not(VerifyError::Undecided(Undecided::new(Code::RateLimited, "429"))))],
        ),
        ("app:3", Decision::Deny(Reason::new(Code::NoSignature, "nothing was found")), vec![]),
    ];
    let mut out = Vec::new();
    for (key, decision, reports) in verdicts {
        let verdict = Verdict { subject: Some(subject()), decision, policy: "**".into(), reports };
        write_verdict(&mut out, Style::Plain, key, &verdict).unwrap();
    }
    write_refusal(&mut out, Style::Plain, "A/B", &Reason::new(Code::RefInvalid, "no reference")).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn what_is_attached_to_evidence_stands_below_it() {
    let over = |report: VerifierReport, reports| {
        let nested = Nested { subject: subject(), evidence: Evidence { reports, coverage: Coverage::Whole } };
        VerifierReport { nested: Some(Arc::new(nested)), ..report }
    };
    let evidence = |content, word| VerifierReport { verifier: "sbom".into(), kind: "exec", ..report(content, word) };
    let rejection =
        |reason: &str| Word::Not(VerifyError::Rejected(Rejection::new(Check::Authenticity, Code::Untrusted, reason)));
    let signed =
        over(evidence("one", yes()), vec![report("a", rejection("no certificate is trusted")), report("b", yes())]);
    // Items of one artifact share what is attached to it.
    let shared = over(evidence("two", rejection("a package is refused")), vec![report("c", yes())]);
    let unsigned =
        over(evidence("three", yes()), vec![VerifierReport { about: None, ..report("", rejection("nothing")) }]);
    let verdict = Verdict {
        subject: Some(subject()),
        decision: Decision::allow(None),
        policy: "**".into(),
        reports: vec![signed, shared.clone(), shared, unsigned],
    };
    let mut out = Vec::new();
    write_verdict(&mut out, Style::Plain, "app:1", &verdict).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("sbom holds, signed by notary").count(), 1, "{text}");
    assert_eq!(text.matches("sbom does not hold, signed by notary").count(), 1, "{text}");
    assert_eq!(text.matches("sbom holds, signed by nobody who was asked").count(), 1, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn an_image_that_is_admitted_without_evidence_is_not_called_verified() {
    let decision = Decision::Allow { valid_until: None, stated: Some("old images".to_owned()) };
    let verdict = Verdict { subject: Some(subject()), decision, policy: "**".into(), reports: Vec::new() };
    let mut out = Vec::new();
    write_verdict(&mut out, Style::Plain, "app:1", &verdict).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("✓ app:1: admitted without evidence\n"), "{text}");
    assert!(text.contains("reason   STATIC_PASS: old images"), "{text}");
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    assert!(Style::of(true).mark(Mark::No).contains('\u{1b}'));
    assert!(!Style::of(false).mark(Mark::No).contains('\u{1b}'));
}

#[test]
fn referrers_are_a_tree_by_artifact_type() {
    let referrer = |content, artifact_type| Referrer {
        descriptor: descriptor(content, artifact_type),
        found: Found::ReferrersApi,
    };
    let referrers = vec![
        referrer("a", Some("type/signature")),
        referrer("b", Some("type/sbom")),
        referrer("c", Some("type/signature")),
        referrer("d", None),
    ];
    let mut out = Vec::new();
    write_referrers(&mut out, &subject(), &Listing::new(referrers, Completeness::Whole)).unwrap();
    write_referrers(&mut out, &subject(), &Listing::new(vec![], Completeness::Whole)).unwrap();
    write_referrers(&mut out, &subject(), &Listing::new(vec![], Completeness::Cut)).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}
