//! Templates written for Ratify decide from our replies as they decide from Ratify's.
//!
//! Rego of the same shape as the published templates: the same rules read the same fields, in our words. Each is asked
//! about a reply of ours and the reply that Ratify gives in that place, and must decide alike, and as expected.

use std::sync::Arc;

use countersign::{
    oci::{Descriptor, Repository, Subject},
    reason::Code,
    report::{About, Decision, Evidence, Nested, Reason, Verdict, VerifierReport, Word, wire::Rendered},
    verifier::{Check, Coverage, Findings, Outcome, Rejection, Verified},
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::engine::{Answer, Template, pod};

const IMAGE: &str = "registry.example.com/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const ISSUER: &str = "CN=Example CA,O=Example,L=Bern,ST=BE,C=CH";

/// Every template's images and request, as the published ones write them (Rego v0, three lists of a Pod).
const HEAD: &str = r#"
asked := external_data({"provider": "ratify-provider", "keys": keys})
keys := [key | key := names[_]]
names[name] { name := input.review.object.spec.containers[_].image }
names[name] { name := input.review.object.spec.initContainers[_].image }
names[name] { name := input.review.object.spec.ephemeralContainers[_].image }
violation[{"msg": msg}] {
  asked.system_error != ""
  msg := sprintf("provider: %s", [asked.system_error])
}
"#;

const ITEM_ERRORS: &str = r#"
violation[{"msg": msg}] {
  count(asked.errors) > 0
  msg := sprintf("items: %v", [asked.errors])
}
"#;

/// default: reads `errors`, and `isSuccess == false`; prints `timestamp` and `traceID`.
const DEFAULT: &str = r#"
violation[{"msg": msg}] {
  item := asked.responses[_]
  item[1].isSuccess == false
  msg := sprintf("Time=%s, refused: %s, trace: %s", [item[1].timestamp, item[0], item[1].traceID])
}
"#;

/// multi-tenancy: the same over keys with the object's namespace.
const MULTI_TENANCY_HEAD: &str = r#"
asked := external_data({"provider": "ratify-provider", "keys": keys})
keys := [key | name := input.review.object.spec.containers[_].image; key := sprintf("[%s]%s", [input.review.object.metadata.namespace, name])]
violation[{"msg": msg}] {
  asked.system_error != ""
  msg := sprintf("provider: %s", [asked.system_error])
}
"#;

/// notation-issuer: at least one Notation report of the issuer, and none of those failed.
const NOTATION_ISSUER: &str = r#"
violation[{"msg": msg}] {
  item := asked.responses[_]
  item[1].isSuccess == false
  msg := sprintf("refused: %s", [item[0]])
}
violation[{"msg": msg}] {
  item := asked.responses[_]
  item[1].isSuccess == true
  not signed_by_issuer(item[1])
  msg := sprintf("no signature of the issuer: %s", [item[0]])
}
of_issuer(value) = found {
  found := [report | report := value.verifierReports[_]; report.type == "notation"; report.extensions.Issuer == input.parameters.issuer]
}
signed_by_issuer(value) {
  found := of_issuer(value)
  count(found) > 0
  count([report | report := found[_]; report.isSuccess == false; report.message != ""]) == 0
}
"#;

/// notation: at least one successful Notation report, from the responses alone.
const NOTATION: &str = r#"
violation[{"msg": msg}] {
  item := asked.responses[_]
  count([1 | report := item[1].verifierReports[_]; report.type == "notation"; report.isSuccess == true]) == 0
  msg := sprintf("no valid notation signature: %s", [item[0]])
}
"#;

/// notation-nested: walks `nestedResults`, and wants a successful Notary signature at every level that has reports.
const NOTATION_NESTED: &str = r#"
violation[{"msg": msg}] {
  item := asked.responses[_]
  unsigned_level(item[1].verifierReports)
  msg := sprintf("unsigned: %s", [item[0]])
}
violation[{"msg": msg}] {
  item := asked.responses[_]
  level := levels(item[1].verifierReports)[_]
  count(level) > 0
  unsigned_level(level)
  msg := sprintf("unsigned below: %s %v", [item[0], level[0].subject])
}
levels(reports) = found {
  first := [report.nestedResults | report := reports[_]]
  second := [report.nestedResults | report := reports[_].nestedResults[_]]
  found := array.concat(first, second)
}
unsigned_level(reports) {
  count([1 | report := reports[_]; report.artifactType == "application/vnd.cncf.notary.signature"; report.isSuccess == true]) == 0
}
"#;

/// sbom: the first report of that type succeeded.
const SBOM: &str = r#"
violation[{"msg": msg}] {
  item := asked.responses[_]
  not has_sbom(item[1])
  msg := sprintf("no sbom: %s", [item[0]])
}
has_sbom(value) {
  found := [report | report := value.verifierReports[_]; report.type == "sbom"]
  found[0].isSuccess == true
  signed(found[0])
}
signed(report) { not input.parameters.require_signature }
signed(report) {
  nested := report.nestedResults[_]
  nested.artifactType == "application/vnd.cncf.notary.signature"
  nested.isSuccess == true
}
"#;

/// vulnerability report: the newest (`extensions.createdAt`) of that type succeeded.
const VULNERABILITY: &str = r#"
violation[{"msg": msg}] {
  item := asked.responses[_]
  not newest_is_good(item[1])
  msg := sprintf("vulnerabilities: %s", [item[0]])
}
newest_is_good(value) {
  times := [time.parse_rfc3339_ns(r.extensions.createdAt) | r := value.verifierReports[_]; r.type == "vulnerabilityreport"]
  report := value.verifierReports[_]
  report.type == "vulnerabilityreport"
  time.parse_rfc3339_ns(report.extensions.createdAt) == max(times)
  report.isSuccess == true
}
"#;

/// v2: `succeeded == false`; prints the whole value.
const V2: &str = r#"
violation[{"msg": msg}] {
  item := asked.responses[_]
  item[1].succeeded == false
  msg := sprintf("refused: %s: %v", [item[0], item[1]])
}
"#;

/// One verifier's word, which both replies tell in their own way.
struct Told {
    success: bool,
    kind: &'static str,
    artifact_type: &'static str,
    extensions: Value,
}

fn told(success: bool, kind: &'static str, artifact_type: &'static str, extensions: Value) -> Told {
    Told { success, kind, artifact_type, extensions }
}

fn notation(success: bool, issuer: &str) -> Told {
    let extensions = json!({ "Issuer": issuer, "SN": "CN=app" });
    told(success, "notation", "application/vnd.cncf.notary.signature", extensions)
}

fn theirs_of(told: &Told) -> Value {
    let Told { success, kind, artifact_type, extensions } = told;
    let mut report = json!({ "subject": IMAGE, "isSuccess": success, "name": "notary", "verifierName": "notary", "type": kind,
        "verifierType": kind, "referenceDigest": "sha256:bb", "artifactType": artifact_type, "message": "words" });
    if *success {
        report["extensions"] = extensions.clone();
    } else {
        report["errorReason"] = json!("words");
    }
    report
}

/// What Ratify answers (0.2.0, and v2's members beside it, so that one reply serves both).
fn theirs(success: bool, told: &[Told]) -> Value {
    let mut reports: Vec<Value> = told.iter().map(theirs_of).collect();
    if reports.is_empty() {
        // A report without verifier and type, where there is nothing.
        reports.push(json!({ "subject": IMAGE, "isSuccess": false, "message": "failed", "errorReason": "no results" }));
    }
    json!({ "version": "0.2.0", "isSuccess": success, "succeeded": success, "traceID": "t", "timestamp": "2026-01-02T03:04:05Z",
        "verifierReports": reports, "artifactReports": null })
}

fn word(told: &Told) -> Word {
    if !told.success {
        return Word::Not(Rejection::new(Check::Authenticity, Code::Untrusted, "words").into());
    }
    let checks = [Check::Integrity, Check::Subject, Check::Authenticity].map(|check| (check, Outcome::Passed));
    let findings = Findings {
        checks: checks.into(),
        signer: None,
        valid_until: None,
        signer_until: None,
        message: "words".to_owned(),
        extensions: told.extensions.as_object().unwrap().clone(),
        warnings: Vec::new(),
        attested: None,
    };
    Word::Yes(Box::new(Verified::conclude(findings, OffsetDateTime::UNIX_EPOCH).unwrap()))
}

/// What we answer in that place.
fn ours(success: bool, told: &[Told]) -> Value {
    ours_below(success, told, None)
}

/// The same, with words on what is attached to each artifact.
fn ours_below(success: bool, told: &[Told], below: Option<&[Told]>) -> Value {
    let about = |told: &Told| About {
        digest: "sha256:bb".to_owned(),
        artifact_type: told.artifact_type.to_owned(),
        layer: None,
        envelope: None,
    };
    let decision =
        if success { Decision::allow(None) } else { Decision::Deny(Reason::new(Code::PolicyUnsatisfied, "words")) };
    let report = |told: &Told, nested| VerifierReport {
        verifier: "notary".into(),
        kind: told.kind,
        about: Some(about(told)),
        word: word(told),
        nested,
    };
    let nested = below.map(|below| {
        let reports = below.iter().map(|told| report(told, None)).collect();
        let subject =
            Subject::new(Repository::parse("registry.example.com/app").unwrap(), Descriptor::of("t", b"sbom"));
        Arc::new(Nested { subject, evidence: Evidence { reports, coverage: Coverage::Whole } })
    });
    let reports = told.iter().map(|told| report(told, nested.clone()));
    let verdict = Verdict { subject: None, decision, policy: "**".to_owned(), reports: reports.collect() };
    let mut bytes = Vec::new();
    Rendered::of(IMAGE, &verdict).write_value(&mut bytes, "t", OffsetDateTime::UNIX_EPOCH);
    serde_json::from_slice(&bytes).unwrap()
}

/// name, our reply, Ratify's reply.
fn replies() -> Vec<(&'static str, Value, Value)> {
    let both = |name, success, told: &[Told]| (name, ours(success, told), theirs(success, told));
    vec![
        both("signed", true, &[notation(true, ISSUER)]),
        both("signed by another issuer", true, &[notation(true, "CN=Other,O=Other,ST=BE,C=CH")]),
        both("refused signature", false, &[notation(false, ISSUER)]),
        both("good beside refused", true, &[notation(false, ISSUER), notation(true, ISSUER)]),
        both("unsigned", false, &[]),
    ]
}

fn template(head: &str, errors: &str, body: &str) -> Template {
    Template::v0("published", &format!("package published\n{head}{errors}{body}"))
}

/// Whether it admits a Pod with the image, given the value under its key.
fn admits(template: &Template, key: &str, value: &Value) -> bool {
    admits_where(template, key, value, &json!({ "issuer": ISSUER }))
}

fn admits_where(template: &Template, key: &str, value: &Value, parameters: &Value) -> bool {
    let reply = json!({ "responses": [[key, value]], "errors": [], "status_code": 200, "system_error": "" });
    let reviewed = template.review(&pod(&[IMAGE]), parameters, Answer::Is(reply));
    assert_eq!(reviewed.requests[0]["keys"], json!([key]));
    reviewed.violations.is_empty()
}

#[test]
fn templates_of_the_published_shapes_decide_alike_from_both_replies() {
    // In the order of `replies`.
    let rows = [
        ("default", template(HEAD, ITEM_ERRORS, DEFAULT), [true, true, false, true, false]),
        ("multi-tenancy", template(MULTI_TENANCY_HEAD, ITEM_ERRORS, DEFAULT), [true, true, false, true, false]),
        ("notation-issuer", template(HEAD, ITEM_ERRORS, NOTATION_ISSUER), [true, false, false, true, false]),
        ("notation", template(HEAD, "", NOTATION), [true, true, false, true, false]),
        ("notation-nested", template(HEAD, ITEM_ERRORS, NOTATION_NESTED), [true, true, false, true, false]),
        ("sbom", template(HEAD, ITEM_ERRORS, SBOM), [false; 5]),
        ("vulnerability report", template(HEAD, ITEM_ERRORS, VULNERABILITY), [false; 5]),
        ("v2", template(HEAD, ITEM_ERRORS, V2), [true, true, false, true, false]),
    ];
    for (name, template, expected) in rows {
        let key = if name == "multi-tenancy" { format!("[payments]{IMAGE}") } else { IMAGE.to_owned() };
        for ((case, ours, theirs), expected) in replies().iter().zip(expected) {
            assert_eq!(admits(&template, &key, theirs), expected, "{name}: {case}: Ratify's reply");
            assert_eq!(admits(&template, &key, ours), expected, "{name}: {case}: our reply");
        }
    }
}

/// Not vacuous: reports of the types that these shapes look for are found in our replies.
#[test]
fn templates_for_attestations_admit_where_the_reports_say_so() {
    let scan = |good, at: &str| told(good, "vulnerabilityreport", "application/sarif+json", json!({ "createdAt": at }));
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    let sbom = |good| told(good, "sbom", "application/spdx+json", json!({}));
    let rows = [
        ("sbom", SBOM, vec![sbom(true)], true),
        ("failed sbom", SBOM, vec![sbom(false), sbom(true)], false),
        ("newest scan good", VULNERABILITY, vec![scan(true, old), scan(true, new)], true),
        ("scan of another type", VULNERABILITY, vec![notation(true, ISSUER)], false),
    ];
    for (name, body, reports, expected) in rows {
        assert_eq!(admits(&template(HEAD, ITEM_ERRORS, body), IMAGE, &ours(true, &reports)), expected, "{name}");
    }
}

#[test]
fn unsigned_level_below_a_signature_is_refused_by_the_nested_shape() {
    let nested = template(HEAD, ITEM_ERRORS, NOTATION_NESTED);
    let sbom = theirs_of(&told(true, "sbom", "application/spdx+json", json!({})));
    let mut value = ours(true, &[notation(true, ISSUER)]);
    value["verifierReports"][0]["nestedResults"] = json!([sbom]);
    assert!(!admits(&nested, IMAGE, &value));
    value["verifierReports"][0]["nestedResults"] = json!([sbom, theirs_of(&notation(true, ISSUER))]);
    assert!(admits(&nested, IMAGE, &value));
}

/// Templates that want an SBOM signed find what is attached to it under `nestedResults`, as in Ratify's replies.
#[test]
fn templates_for_nested_evidence_decide_by_what_is_attached_to_it() {
    let sbom = || vec![told(true, "sbom", "application/spdx+json", json!({}))];
    let wanted = json!({ "require_signature": true });
    let rows = [
        ("signed", Some(vec![notation(true, ISSUER)]), true),
        ("signed among others", Some(vec![notation(false, ISSUER), notation(true, ISSUER)]), true),
        ("badly signed", Some(vec![notation(false, ISSUER)]), false),
        ("unsigned", Some(vec![]), false),
        ("not looked at", None, false),
    ];
    for (name, below, expected) in rows {
        let ours = ours_below(true, &sbom(), below.as_deref());
        let mut theirs = theirs(true, &sbom());
        let alone = below.is_none() || expected;
        if let Some(below) = below {
            // A nested failure makes the report one.
            theirs["verifierReports"][0]["isSuccess"] = json!(expected);
            theirs["verifierReports"][0]["nestedResults"] = below.iter().map(theirs_of).collect();
        }
        for (whose, value) in [("Ratify's", theirs), ("our", ours)] {
            let admitted = admits_where(&template(HEAD, ITEM_ERRORS, SBOM), IMAGE, &value, &wanted);
            assert_eq!(admitted, expected, "{name}: {whose} reply: {value:#}");
            let admitted = admits_where(&template(HEAD, ITEM_ERRORS, SBOM), IMAGE, &value, &json!({}));
            assert_eq!(admitted, alone, "{name}: the template asks for no signature: {whose} reply");
        }
    }
    // The walk over all levels: the image's signature, and below it an unsigned one.
    let signature = || vec![notation(true, ISSUER)];
    for (below, expected) in [(vec![notation(true, ISSUER)], true), (vec![notation(false, ISSUER)], false)] {
        let value = ours_below(true, &signature(), Some(&below));
        assert_eq!(admits(&template(HEAD, ITEM_ERRORS, NOTATION_NESTED), IMAGE, &value), expected, "{value:#}");
    }
}
