//! The decision record: one line of JSON a key, for people who ask later why an image was refused.

use std::time::Duration;

use time::OffsetDateTime;

use super::external_data::write_string;
use crate::{
    executor::Answer,
    reason::{Code, printable},
    report::{Decision, VerifierReport, Word, below, wire},
    telemetry::DecisionLog,
};

/// Longest line (`threats.md` 1.2).
const MAX_LINE_BYTES: usize = 4096;
/// Longest text of one field from outside; escaping for JSON at most doubles it.
const MAX_TEXT_BYTES: usize = 512;
const MAX_REPORT_TEXT_BYTES: usize = 200;
/// Most reports that are told below one: a line has room for eight or so in all.
const MAX_NESTED_REPORTS: usize = 3;
/// What closes a line: the count of reports left out, brackets, line feed.
const CLOSING_BYTES: usize = 64;

/// What a record says.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) key: &'a str,
    pub(super) decision: &'a Decision,
    /// `None` where the engine did not answer.
    pub(super) answer: Option<&'a Answer>,
    pub(super) took: Duration,
    pub(super) trace_id: &'a str,
    pub(super) generation: u64,
    pub(super) now: OffsetDateTime,
}

impl Record<'_> {
    pub(super) const fn is_wanted(&self, log: DecisionLog) -> bool {
        match log {
            DecisionLog::All => true,
            DecisionLog::Denials => !matches!(self.decision, Decision::Allow { .. }),
            DecisionLog::None => false,
        }
    }

    /// The line: every text from outside escaped and bounded, at most [`MAX_LINE_BYTES`], ending in a line feed.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let level = match self.decision {
            Decision::Allow { .. } if self.has_logged() => "WARN",
            Decision::Allow { .. } | Decision::Deny(_) => "INFO",
            Decision::Undecided(_) => "WARN",
        };
        out.extend_from_slice(br#"{"timestamp":"#);
        write_string(&mut out, &wire::rfc3339(self.now));
        member(&mut out, "level", level);
        member(&mut out, "target", "countersign::decision");
        member(&mut out, "subject", &printable(self.key, MAX_TEXT_BYTES));
        let success = matches!(self.decision, Decision::Allow { .. });
        raw(&mut out, "isSuccess", if success { "true" } else { "false" });
        raw(&mut out, "isUndecided", if matches!(self.decision, Decision::Undecided(_)) { "true" } else { "false" });
        member(&mut out, "code", self.decision.code().as_str());
        member(&mut out, "message", &printable(self.decision.message(), MAX_TEXT_BYTES));
        if let Some(subject) = self.answer.and_then(|answer| answer.verdict.subject.as_ref()) {
            member(&mut out, "digest", &subject.digest().to_string());
        }
        raw(&mut out, "durationMs", &format!("{:.3}", self.took.as_secs_f64() * 1000.0));
        raw(&mut out, "cacheHit", if self.answer.is_some_and(|answer| answer.cached) { "true" } else { "false" });
        raw(&mut out, "generation", &self.generation.to_string());
        member(&mut out, "traceId", self.trace_id);
        self.reports(&mut out);
        out.extend_from_slice(b"}\n");
        out
    }

    /// Whether a yes among the reports has a failed check that is only logged.
    fn has_logged(&self) -> bool {
        self.answer.is_some_and(|answer| any_logged(&answer.verdict.reports))
    }

    /// As many reports as fit; how many did not is said.
    fn reports(&self, out: &mut Vec<u8>) {
        let reports = self.answer.map_or(&[][..], |answer| &answer.verdict.reports);
        out.extend_from_slice(br#","verifierReports":["#);
        let mut written: usize = 0;
        for report in reports {
            let fits = out.len();
            if written > 0 {
                out.push(b',');
            }
            write_report(out, report);
            if out.len().saturating_add(CLOSING_BYTES) > MAX_LINE_BYTES {
                out.truncate(fits);
                break;
            }
            written = written.saturating_add(1);
        }
        out.push(b']');
        let omitted = reports.len().saturating_sub(written);
        if omitted > 0 {
            raw(out, "omittedReports", &omitted.to_string());
        }
    }
}

fn any_logged(reports: &[VerifierReport]) -> bool {
    let is_logged = |report: &VerifierReport| match &report.word {
        Word::Yes(verified) => verified.code() == Code::Logged,
        Word::Not(_) | Word::Waived(_) => false,
    };
    reports.iter().any(is_logged) || below(reports).any(|nested| any_logged(&nested.evidence.reports))
}

fn write_report(out: &mut Vec<u8>, report: &VerifierReport) {
    let (success, code, message) = match &report.word {
        Word::Not(error) => ("false", error.code(), error.reason()),
        Word::Waived(waiver) => ("true", Code::Waived, waiver.policy()),
        Word::Yes(verified) => ("true", verified.code(), verified.message()),
    };
    out.extend_from_slice(br#"{"name":"#);
    write_string(out, &printable(&report.verifier, MAX_REPORT_TEXT_BYTES));
    member(out, "type", report.kind);
    raw(out, "isSuccess", success);
    member(out, "code", code.as_str());
    member(out, "message", &printable(message, MAX_REPORT_TEXT_BYTES));
    if let Some(about) = &report.about {
        member(out, "referenceDigest", &printable(&about.digest, MAX_REPORT_TEXT_BYTES));
    }
    if let Word::Yes(verified) = &report.word
        && verified.code() == Code::Logged
    {
        // Names and codes are ours.
        let failed = verified.logged();
        let failed: Vec<String> =
            failed.map(|failed| format!(r#"{{"check":"{}","code":"{}"}}"#, failed.check(), failed.code())).collect();
        raw(out, "loggedChecks", &format!("[{}]", failed.join(",")));
    }
    if let Some(nested) = &report.nested {
        write_nested(out, &nested.evidence.reports);
    }
    out.push(b'}');
}

/// What lies below a report: a yes first, at most [`MAX_NESTED_REPORTS`]; how many are left out is said.
fn write_nested(out: &mut Vec<u8>, reports: &[VerifierReport]) {
    let (yes, rest): (Vec<_>, Vec<_>) = reports.iter().partition(|report| !matches!(report.word, Word::Not(_)));
    begin(out, "nestedResults");
    for (index, report) in yes.into_iter().chain(rest).take(MAX_NESTED_REPORTS).enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        write_report(out, report);
    }
    out.extend_from_slice(if reports.is_empty() { b"[]" } else { b"]" });
    let omitted = reports.len().saturating_sub(MAX_NESTED_REPORTS);
    if omitted > 0 {
        raw(out, "omittedResults", &omitted.to_string());
    }
}

/// `,"name":"value"`. `name` is ours.
fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    begin(out, name);
    write_string(out, value);
}

/// `,"name":value`, of a value that is JSON already.
fn raw(out: &mut Vec<u8>, name: &str, value: &str) {
    begin(out, name);
    out.extend_from_slice(value.as_bytes());
}

fn begin(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(br#",""#);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(br#"":"#);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, Value};
    use time::macros::datetime;

    use super::*;
    use crate::{
        oci::{Descriptor, Repository, Subject},
        report::{Evidence, Nested, Verdict, wire::Rendered},
        verifier::{Check, Coverage, Findings, Outcome, Rejection, Verified},
    };

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn record(expiry: Outcome) -> Value {
        record_of(vec![report(expiry)])
    }

    fn report(expiry: Outcome) -> VerifierReport {
        let mut checks: Vec<_> =
            [Check::Integrity, Check::Authenticity, Check::Subject].map(|check| (check, Outcome::Passed)).into();
        checks.push((Check::Expiry, expiry));
        let findings = Findings {
            checks,
            signer: None,
            valid_until: None,
            signer_until: None,
            message: "m".to_owned(),
            extensions: Map::new(),
            warnings: Vec::new(),
            attested: None,
        };
        let word = Word::Yes(Box::new(Verified::conclude(findings, NOW).unwrap()));
        VerifierReport { verifier: "notary".into(), kind: "notation", about: None, word, nested: None }
    }

    fn record_of(reports: Vec<VerifierReport>) -> Value {
        let decision = Decision::Allow { valid_until: None, stated: None };
        let verdict = Verdict { subject: None, decision: decision.clone(), policy: String::new(), reports };
        let rendered = Arc::new(Rendered::of("image", &verdict));
        let answer = Answer { verdict: Arc::new(verdict), rendered, cached: false };
        let record = Record {
            key: "image",
            decision: &decision,
            answer: Some(&answer),
            took: Duration::ZERO,
            trace_id: "t",
            generation: 1,
            now: NOW,
        };
        serde_json::from_slice(&record.line()).unwrap()
    }

    #[test]
    fn a_check_that_is_only_logged_is_a_warning_in_the_record() {
        let logged = record(Outcome::Logged(Rejection::new(Check::Expiry, Code::Expired, "ended \"yesterday\"")));
        assert_eq!((&logged["level"], &logged["isSuccess"]), (&Value::from("WARN"), &Value::from(true)));
        let report = &logged["verifierReports"][0];
        assert_eq!(report["code"], "LOGGED_ONLY");
        assert_eq!(report["loggedChecks"], serde_json::json!([{ "check": "expiry", "code": "EXPIRED" }]));
        let passed = record(Outcome::Passed);
        assert_eq!((&passed["level"], &passed["verifierReports"][0]["code"]), (&"INFO".into(), &"VERIFIED".into()));
        assert!(passed["verifierReports"][0].get("loggedChecks").is_none(), "{passed}");
    }

    #[test]
    fn what_is_attached_to_evidence_is_told_below_it_as_far_as_there_is_room() {
        let logged = || Outcome::Logged(Rejection::new(Check::Expiry, Code::Expired, "ended"));
        let refused = || VerifierReport {
            word: Word::Not(Rejection::new(Check::Integrity, Code::SignatureInvalid, "bad").into()),
            ..report(Outcome::Passed)
        };
        let over = |reports: Vec<VerifierReport>| {
            let subject = Subject::new(Repository::parse("r.io/app").unwrap(), Descriptor::of("t", b"artifact"));
            let nested = Nested { subject, evidence: Evidence { reports, coverage: Coverage::Whole } };
            VerifierReport { nested: Some(Arc::new(nested)), ..report(Outcome::Passed) }
        };
        let told = record_of(vec![over(vec![refused(), refused(), refused(), refused(), report(logged())])]);
        assert_eq!(told["level"], "WARN", "what is only logged below is a warning too");
        let told = &told["verifierReports"][0];
        let codes: Vec<_> =
            told["nestedResults"].as_array().unwrap().iter().map(|below| below["code"].clone()).collect();
        assert_eq!(codes, ["LOGGED_ONLY", "SIG_INVALID", "SIG_INVALID"], "a yes first");
        assert_eq!(told["omittedResults"], 2);
        assert_eq!(record_of(vec![over(vec![])])["verifierReports"][0]["nestedResults"], serde_json::json!([]));
        let many = record_of((0..20).map(|_| over(vec![refused(), refused(), refused()])).collect());
        assert!(many["omittedReports"].as_u64().unwrap() > 0 && many.to_string().len() <= MAX_LINE_BYTES, "{many}");
    }
}
