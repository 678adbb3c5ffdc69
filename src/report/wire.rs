//! The `value` of an item: Ratify's 0.2.0 report, its v2 report and our own members in one object.
//!
//! ```text
//! version isSuccess succeeded traceID timestamp │ code message … verifierReports[] artifactReports[]
//! └──────────── written per reply ────────────┘ └──────────── rendered once, kept with the verdict ──┘
//! ```
//!
//! Templates of either generation read it as they are: those of Ratify v1 want `isSuccess`, `timestamp`, `traceID` and
//! each report's deprecated `name` and `type`; those of v2 want `succeeded` and `artifactReports`. The shape is written
//! down in `wire/value.schema.json`, which a test holds against real replies.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use self::select::{Shown, select};
use super::{Decision, Nested, Reason, Verdict, VerifierReport, Word, below};
use crate::{
    reason::{self, Code},
    tenant::Tenant,
    verifier::{Outcome, Verified, VerifyError},
};

mod select;

/// The report version that templates read; Ratify's with its config policy.
pub const VERSION: &str = "0.2.0";
/// Most reports that one value carries on its first level, and as many below that. A value is kept per key in several
/// processes and copied at each review; what is left out is counted in `omittedReports`, never silently.
const MAX_REPORTS: usize = 50;

/// A verdict's `value`, rendered but for the members that change with every reply.
#[derive(Debug, Clone)]
pub struct Rendered {
    success: bool,
    code: Code,
    /// Members from `code` on, with the closing brace.
    tail: Box<str>,
}

impl Rendered {
    /// Renders a verdict for the cluster. `asked`: the key's canonical text, for verdicts without a subject.
    pub fn of(asked: &str, verdict: &Verdict) -> Self {
        Self::for_tenant(&Tenant::Cluster, asked, verdict)
    }

    /// Renders a verdict for whoever asked; a namespace is named in it.
    pub fn for_tenant(tenant: &Tenant, asked: &str, verdict: &Verdict) -> Self {
        let subject = verdict.subject.as_ref().map_or_else(|| asked.to_owned(), ToString::to_string);
        let told = Told::of(&verdict.decision);
        let (reports, omitted) = select(&verdict.reports);
        let body = Body {
            code: told.code,
            message: &told.message,
            remediation: told.code.remedy(),
            subject: &subject,
            digest: verdict.subject.as_ref().map(|subject| subject.digest().to_string()),
            namespace: tenant.namespace(),
            policy: &verdict.policy,
            valid_until: told.valid_until.as_deref(),
            warnings: warnings(&verdict.decision, &verdict.reports),
            omitted_reports: omitted,
            verifier_reports: verifier_reports(&subject, &told, &reports),
            artifact_reports: artifact_reports(&subject, &told, &reports),
        };
        match tail(&body) {
            Some(tail) => Self { success: told.success, code: told.code, tail },
            // These types always serialize. If one ever did not, a yes without its proof would be none.
            None => Self { success: false, code: Code::Internal, tail: "}".into() },
        }
    }

    /// Renders the refusal of a key that has no subject: no reference, no store, no policy.
    pub fn refusal(asked: &str, reason: &Reason) -> Self {
        let decision = Decision::Deny(reason.clone());
        Self::of(
            &reason::printable(asked, reason::MAX_OUTSIDE_TEXT_BYTES),
            &Verdict { subject: None, decision, policy: String::new(), reports: Vec::new() },
        )
    }

    /// Whether this is a yes.
    pub const fn is_success(&self) -> bool {
        self.success
    }

    /// The stable code of the decision.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Bytes that [`Self::write_value`] appends, about.
    pub fn size_hint(&self) -> usize {
        self.tail.len().saturating_add(160)
    }

    /// Appends the JSON object. `trace_id` is text of ours; `now` becomes `timestamp`.
    pub fn write_value(&self, out: &mut Vec<u8>, trace_id: &str, now: OffsetDateTime) {
        let flag = if self.success { "true" } else { "false" };
        for part in [r#"{"version":""#, VERSION, r#"","isSuccess":"#, flag, r#","succeeded":"#, flag, r#","traceID":"#]
        {
            out.extend_from_slice(part.as_bytes());
        }
        // Writing to a Vec does not fail.
        let _ = serde_json::to_writer(&mut *out, trace_id);
        out.extend_from_slice(br#","timestamp":"#);
        let _ = serde_json::to_writer(&mut *out, &rfc3339(now));
        out.extend_from_slice(self.tail.as_bytes());
    }
}

/// A moment as reports and logs write it.
pub fn rfc3339(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

/// A decision in the report's words.
struct Told {
    success: bool,
    code: Code,
    message: String,
    valid_until: Option<String>,
}

impl Told {
    fn of(decision: &Decision) -> Self {
        let (success, valid_until) = match decision {
            Decision::Allow { valid_until, stated: _ } => (true, valid_until.map(rfc3339)),
            Decision::Deny(_) | Decision::Undecided(_) => (false, None),
        };
        Self { success, code: decision.code(), message: decision.message().to_owned(), valid_until }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    code: Code,
    message: &'a str,
    remediation: &'a str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    omitted_reports: usize,
    verifier_reports: Vec<WireReport<'a>>,
    artifact_reports: Vec<WireArtifact>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Ratify's report 0.2.0, and from `code` on ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireReport<'a> {
    subject: Cow<'a, str>,
    is_success: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    verifier_name: &'a str,
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    verifier_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reference_digest: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    artifact_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer_digest: Option<&'a str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extensions: Map<String, Value>,
    /// Ratify's name for it in this version; what is attached to the artifact itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nested_results: Vec<Self>,
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<WireCheck>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct WireCheck {
    check: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Ratify v2's artifact report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireArtifact {
    subject: String,
    artifact: String,
    results: Vec<WireResult>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artifact_reports: Vec<Self>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireResult {
    verifier_name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_reason: Option<String>,
}

/// The object's members: its own opening brace becomes the comma after `timestamp`.
fn tail(body: &Body<'_>) -> Option<Box<str>> {
    let text = serde_json::to_string(body).ok()?;
    text.strip_prefix('{').map(|members| format!(",{members}").into())
}

fn verifier_reports<'a>(subject: &'a str, told: &Told, reports: &[Shown<'a>]) -> Vec<WireReport<'a>> {
    let mut wire: Vec<_> = reports.iter().map(|shown| WireReport::of(subject.into(), shown)).collect();
    // A refusal never has an empty list: templates of Ratify's shape print the first report's message.
    if wire.is_empty() && !told.success {
        wire.push(WireReport::of_subject(subject, told));
    }
    wire
}

impl<'a> WireReport<'a> {
    fn of_subject(subject: &'a str, told: &Told) -> Self {
        Self {
            subject: subject.into(),
            is_success: false,
            name: "",
            verifier_name: "",
            kind: "",
            verifier_type: "",
            reference_digest: "",
            artifact_type: "",
            layer_digest: None,
            message: format!("verification failed: {}", told.message),
            error_reason: Some(format!("{}: {}", told.code, told.message)),
            remediation: Some(told.code.remedy()),
            extensions: Map::new(),
            nested_results: Vec::new(),
            code: told.code,
            signer: None,
            valid_until: None,
            checks: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// With what is attached to the artifact, where a policy asked for that.
    fn of(subject: Cow<'a, str>, shown: &Shown<'a>) -> Self {
        let Shown { report, below } = shown;
        let told = Self::alone(subject, report);
        let Some(nested) = report.nested.as_deref() else { return told };
        let subject = nested.subject.to_string();
        let nested_results = below.iter().map(|shown| Self::of(subject.clone().into(), shown)).collect();
        match unsigned(nested) {
            Some(reason) if told.is_success => Self {
                is_success: false,
                message: format!("verification failed: {}", reason.message),
                error_reason: Some(format!("{}: {}", reason.code, reason.message)),
                remediation: Some(reason.code.remedy()),
                code: reason.code,
                nested_results,
                ..told
            },
            Some(_) | None => Self { nested_results, ..told },
        }
    }

    fn alone(subject: Cow<'a, str>, report: &'a VerifierReport) -> Self {
        let (digest, artifact_type) =
            report.about.as_ref().map_or(("", ""), |about| (about.digest.as_str(), about.artifact_type.as_str()));
        let blank = Self {
            subject,
            is_success: false,
            name: &report.verifier,
            verifier_name: &report.verifier,
            kind: report.kind,
            verifier_type: report.kind,
            reference_digest: digest,
            artifact_type,
            layer_digest: report.about.as_ref().and_then(|about| about.layer.as_deref()),
            message: String::new(),
            error_reason: None,
            remediation: None,
            extensions: Map::new(),
            nested_results: Vec::new(),
            code: Code::Internal,
            signer: None,
            valid_until: None,
            checks: Vec::new(),
            warnings: Vec::new(),
        };
        match &report.word {
            Word::Yes(verified) => Self {
                is_success: true,
                message: verified.message().to_owned(),
                extensions: verified.extensions().clone(),
                code: verified.code(),
                signer: verified.signer().map(|signer| signer.display.clone()),
                valid_until: verified.valid_until().map(rfc3339),
                checks: checks(verified),
                warnings: verified.warnings().collect(),
                ..blank
            },
            Word::Waived(waiver) => Self {
                is_success: true,
                message: format!("verification skipped by trust policy {:?}", waiver.policy()),
                code: Code::Waived,
                warnings: vec![Code::Waived.meaning().to_owned()],
                ..blank
            },
            Word::Not(error) => Self {
                message: format!("verification failed: {}", said(error)),
                error_reason: Some(format!("{}: {}", error.code(), said(error))),
                remediation: Some(remedy(error)),
                extensions: error.told().map(|told| told.extensions.clone()).unwrap_or_default(),
                code: error.code(),
                ..blank
            },
        }
    }
}

/// Why a yes to an artifact that must be signed itself is told as a failure, as Ratify tells it: templates that look at this
/// report alone must not take it for more. `None`: somebody has signed the artifact; whether that is enough the policy says.
fn unsigned(nested: &Nested) -> Option<Reason> {
    let mut open = None;
    for VerifierReport { verifier, word, .. } in &nested.evidence.reports {
        match word {
            Word::Yes(_) => return None,
            Word::Not(VerifyError::Undecided(undecided)) => open = open.or(Some((verifier, undecided))),
            Word::Not(VerifyError::Rejected(_)) | Word::Waived(_) => {}
        }
    }
    Some(match open {
        None => Reason::new(Code::EvidenceUnsigned, "nobody whom the policy asks has signed the artifact itself"),
        Some((verifier, undecided)) => {
            let message = format!("{verifier}: whether the artifact itself is signed: {}", undecided.reason());
            Reason::new(undecided.code(), message)
        }
    })
}

/// Our reason, and what a plugin says of it.
fn said(error: &VerifyError) -> String {
    match error.told().and_then(|told| told.message.as_deref()) {
        None => error.reason().to_owned(),
        Some(message) => format!("{}: {message}", error.reason()),
    }
}

/// What the reader can do, in the plugin's words where it has any.
fn remedy(error: &VerifyError) -> &str {
    error.told().and_then(|told| told.remediation.as_deref()).unwrap_or_else(|| error.code().remedy())
}

fn checks(verified: &Verified) -> Vec<WireCheck> {
    let wire = |(check, outcome): &(crate::verifier::Check, Outcome)| match outcome {
        Outcome::Passed => WireCheck { check: check.as_str(), outcome: "passed", code: None, reason: None },
        Outcome::Skipped => WireCheck { check: check.as_str(), outcome: "skipped", code: None, reason: None },
        Outcome::Logged(rejection) => WireCheck {
            check: check.as_str(),
            outcome: "logged",
            code: Some(rejection.code()),
            reason: Some(rejection.reason().to_owned()),
        },
    };
    verified.checks().iter().map(wire).collect()
}

fn warnings(decision: &Decision, reports: &[VerifierReport]) -> Vec<String> {
    let mut all = Vec::new();
    if let Decision::Allow { stated: Some(message), .. } = decision {
        all.push(format!("admitted without evidence by the policy: {message}"));
    }
    add_warnings(reports, &mut all);
    all.sort();
    all.dedup();
    all.truncate(MAX_REPORTS);
    all
}

fn add_warnings(reports: &[VerifierReport], all: &mut Vec<String>) {
    for nested in below(reports) {
        add_warnings(&nested.evidence.reports, all);
    }
    for report in reports {
        match &report.word {
            Word::Yes(verified) => all.extend(verified.warnings()),
            Word::Waived(waiver) => all.push(format!(
                "{}: verification skipped by trust policy {:?}; no evidence was looked for",
                report.verifier,
                waiver.policy()
            )),
            Word::Not(_) => {}
        }
    }
}

fn artifact_reports(subject: &str, told: &Told, reports: &[Shown<'_>]) -> Vec<WireArtifact> {
    if reports.is_empty() && !told.success {
        let result = WireResult {
            verifier_name: String::new(),
            description: told.message.clone(),
            detail: None,
            error_reason: Some(format!("{}: {}", told.code, told.message)),
        };
        return vec![WireArtifact {
            subject: subject.to_owned(),
            artifact: String::new(),
            results: vec![result],
            artifact_reports: Vec::new(),
        }];
    }
    by_artifact(subject, reports)
}

/// Reports by artifact, in the order in which each is first spoken of; with its first report goes what is attached to it.
fn by_artifact(subject: &str, reports: &[Shown<'_>]) -> Vec<WireArtifact> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut artifacts: Vec<WireArtifact> = Vec::new();
    for Shown { report, below } in reports {
        let artifact = report.about.as_ref().map_or("", |about| about.digest.as_str());
        let place = *places.entry(artifact).or_insert(artifacts.len());
        if place == artifacts.len() {
            let (subject, artifact) = (subject.to_owned(), artifact.to_owned());
            artifacts.push(WireArtifact { subject, artifact, results: Vec::new(), artifact_reports: Vec::new() });
        }
        let Some(known) = artifacts.get_mut(place) else { continue };
        known.results.push(WireResult::of(report));
        if let Some(nested) = &report.nested
            && known.artifact_reports.is_empty()
        {
            known.artifact_reports = by_artifact(&nested.subject.to_string(), below);
        }
    }
    artifacts
}

impl WireResult {
    fn of(report: &VerifierReport) -> Self {
        let (description, detail, error_reason) = match &report.word {
            Word::Yes(verified) => {
                let detail = serde_json::to_string(verified.extensions()).ok();
                (verified.message().to_owned(), detail, None)
            }
            Word::Waived(waiver) => (format!("verification skipped by trust policy {:?}", waiver.policy()), None, None),
            Word::Not(error) => (
                format!("verification failed: {}", said(error)),
                error.told().and_then(|told| serde_json::to_string(&told.extensions).ok()),
                Some(format!("{}: {}", error.code(), said(error))),
            ),
        };
        Self { verifier_name: report.verifier.to_string(), description, detail, error_reason }
    }
}
