//! Verdicts and referrers, for people.

use std::{
    io::{self, Write},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    oci::{Completeness, Listing, Subject},
    reason::{self, Code},
    report::{Decision, Nested, Reason, Verdict, VerifierReport, Word, wire::rfc3339},
    verifier::{Outcome, Told, Verified},
};

/// Longest text from outside on one line.
const MAX_TEXT_BYTES: usize = 512;

/// Whether colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Colour,
    Plain,
}

impl Style {
    /// `colour`: the output is a terminal, and nobody objects.
    pub(super) const fn of(colour: bool) -> Self {
        if colour { Self::Colour } else { Self::Plain }
    }

    fn mark(self, mark: Mark) -> &'static str {
        match (self, mark) {
            (Self::Colour, Mark::Yes) => "\u{1b}[32m✓\u{1b}[0m",
            (Self::Colour, Mark::No) => "\u{1b}[31m✗\u{1b}[0m",
            (Self::Colour, Mark::Open) => "\u{1b}[33m?\u{1b}[0m",
            (Self::Plain, Mark::Yes) => "✓",
            (Self::Plain, Mark::No) => "✗",
            (Self::Plain, Mark::Open) => "?",
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    No,
    Open,
    Yes,
}

fn mark_of(code: Code) -> Mark {
    match code.class() {
        reason::Class::No => Mark::No,
        reason::Class::Broken | reason::Class::Undecided => Mark::Open,
        reason::Class::Yes => Mark::Yes,
    }
}

fn plain(text: &str) -> String {
    reason::printable(text, MAX_TEXT_BYTES)
}

/// A key that is no reference.
pub(super) fn write_refusal(out: &mut impl Write, style: Style, key: &str, reason: &Reason) -> io::Result<()> {
    writeln!(out, "{} {}: refused", style.mark(Mark::No), plain(key))?;
    write_reason(out, "", reason)
}

/// The decision, then each artifact, each verifier and each check that led to it.
pub(super) fn write_verdict(out: &mut impl Write, style: Style, key: &str, verdict: &Verdict) -> io::Result<()> {
    let Verdict { subject, decision, policy, reports } = verdict;
    let (mark, word) = match decision {
        Decision::Allow { stated: None, .. } => (Mark::Yes, "verified"),
        Decision::Allow { stated: Some(_), .. } => (Mark::Yes, "admitted without evidence"),
        Decision::Deny(_) => (Mark::No, "refused"),
        Decision::Undecided(_) => (Mark::Open, "undecided"),
    };
    writeln!(out, "{} {}: {word}", style.mark(mark), plain(key))?;
    if let Some(subject) = subject {
        writeln!(out, "  subject  {subject}")?;
    }
    if !policy.is_empty() {
        writeln!(out, "  policy   {}", plain(policy))?;
    }
    match decision {
        Decision::Allow { stated: Some(message), .. } => {
            let code = decision.code();
            write_reason(out, "  ", &Reason::new(code, message))?;
        }
        Decision::Allow { valid_until: Some(until), stated: None } => writeln!(out, "  until    {}", rfc3339(*until))?,
        Decision::Allow { valid_until: None, stated: None } => {}
        Decision::Deny(reason) | Decision::Undecided(reason) => write_reason(out, "  ", reason)?,
    }
    write_reports(out, style, "  ", "the image itself", reports)
}

/// Reports by artifact. `indent`: what stands before each line; `itself`: what a word is about that is about no artifact.
fn write_reports(
    out: &mut impl Write,
    style: Style,
    indent: &str,
    itself: &str,
    reports: &[VerifierReport],
) -> io::Result<()> {
    let mut last = None;
    let bar = format!("{indent}│  ");
    for (index, report) in reports.iter().enumerate() {
        let digest = report.about.as_ref().map(|about| &about.digest);
        if index == 0 || last != Some(digest) {
            match &report.about {
                Some(about) => writeln!(out, "{indent}├─ {} ({})", about.digest, plain(&about.artifact_type))?,
                None => writeln!(out, "{indent}├─ ({itself})")?,
            }
        }
        last = Some(digest);
        write_report(out, style, &bar, report)?;
        let again = index.checked_sub(1).and_then(|before| reports.get(before)?.nested.as_ref());
        match &report.nested {
            Some(nested) if !again.is_some_and(|again| Arc::ptr_eq(again, nested)) => {
                write_nested(out, style, &format!("{bar}    "), report, nested)?;
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// What is attached to the artifact of a report.
fn write_nested(
    out: &mut impl Write,
    style: Style,
    indent: &str,
    report: &VerifierReport,
    nested: &Nested,
) -> io::Result<()> {
    let reports = &nested.evidence.reports;
    let mut signers: Vec<String> = Vec::new();
    for report in reports.iter().filter(|report| matches!(report.word, Word::Yes(_))) {
        let signer = plain(&report.verifier);
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    let by = if signers.is_empty() { "nobody who was asked".to_owned() } else { signers.join(", ") };
    let holds = if matches!(report.word, Word::Yes(_)) { "holds" } else { "does not hold" };
    writeln!(out, "{indent}nested   {} {holds}, signed by {by}", plain(&report.verifier))?;
    write_reports(out, style, indent, "the artifact itself", reports)
}

fn write_reason(out: &mut impl Write, indent: &str, reason: &Reason) -> io::Result<()> {
    writeln!(out, "{indent}reason   {}: {}", reason.code, plain(&reason.message))?;
    writeln!(out, "{indent}remedy   {}", reason.code.remedy())
}

fn write_report(out: &mut impl Write, style: Style, bar: &str, report: &VerifierReport) -> io::Result<()> {
    let VerifierReport { verifier, kind, about, word, nested: _ } = report;
    let layer = about.as_ref().and_then(|about| about.layer.as_ref());
    let layer = layer.map(|digest| format!(", layer {digest}")).unwrap_or_default();
    let said = |mark: Mark| format!("{bar}{} {} ({kind}){layer}", style.mark(mark), plain(verifier));
    match word {
        Word::Yes(verified) => {
            writeln!(out, "{}: {}", said(Mark::Yes), plain(verified.message()))?;
            write_proof(out, bar, verified)
        }
        Word::Waived(waiver) => {
            writeln!(out, "{}: not verified, waived by trust policy {:?}", said(Mark::Yes), plain(waiver.policy()))
        }
        Word::Not(error) => {
            let (code, reason) = (error.code(), plain(error.reason()));
            match error {
                crate::verifier::VerifyError::Rejected(rejection) => {
                    writeln!(out, "{}: {} failed", said(mark_of(code)), rejection.check())?;
                }
                crate::verifier::VerifyError::Undecided(_) => {
                    writeln!(out, "{}: no answer", said(mark_of(code)))?;
                }
            }
            writeln!(out, "{bar}    reason   {code}: {reason}")?;
            writeln!(out, "{bar}    remedy   {}", code.remedy())?;
            error.told().map_or(Ok(()), |told| write_told(out, bar, told))
        }
    }
}

fn write_proof(out: &mut impl Write, bar: &str, verified: &Verified) -> io::Result<()> {
    if let Some(signer) = verified.signer() {
        writeln!(out, "{bar}    signer   {}", plain(&signer.display))?;
    }
    for (name, value) in verified.extensions() {
        write_fact(out, bar, name, value)?;
    }
    for (check, outcome) in verified.checks() {
        match outcome {
            Outcome::Passed => writeln!(out, "{bar}    passed   {check}")?,
            Outcome::Skipped => writeln!(out, "{bar}    skipped  {check}")?,
            Outcome::Logged(rejection) => {
                writeln!(out, "{bar}    logged   {check}: {}: {}", rejection.code(), plain(rejection.reason()))?;
            }
        }
    }
    for warning in verified.warnings() {
        writeln!(out, "{bar}    warning  {}", plain(&warning))?;
    }
    Ok(())
}

/// What a program that is not ours says of its no.
fn write_told(out: &mut impl Write, bar: &str, told: &Told) -> io::Result<()> {
    let Told { message, remediation, extensions } = told;
    for text in [message, remediation].into_iter().flatten() {
        writeln!(out, "{bar}    said     {}", plain(text))?;
    }
    extensions.iter().try_for_each(|(name, value)| write_fact(out, bar, name, value))
}

/// A fact of the verifier's own; of several one a line.
fn write_fact(out: &mut impl Write, bar: &str, name: &str, value: &Value) -> io::Result<()> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| write_fact(out, bar, name, value)),
        Value::Object(members) => {
            members.iter().try_for_each(|(inner, value)| write_fact(out, bar, &format!("{name}.{inner}"), value))
        }
        Value::String(text) => writeln!(out, "{bar}    fact     {}: {}", plain(name), plain(text)),
        Value::Bool(_) | Value::Null | Value::Number(_) => writeln!(out, "{bar}    fact     {}: {value}", plain(name)),
    }
}

/// What is attached to a subject, by artifact type.
pub(super) fn write_referrers(out: &mut impl Write, subject: &Subject, listing: &Listing) -> io::Result<()> {
    writeln!(out, "{subject}")?;
    let mut types: Vec<String> = Vec::new();
    let type_of = |referrer: &crate::oci::Referrer| {
        let listed = referrer.descriptor.artifact_type.as_deref().filter(|text| !text.is_empty());
        plain(listed.unwrap_or("(no artifact type)"))
    };
    for referrer in &listing.referrers {
        let artifact_type = type_of(referrer);
        if !types.contains(&artifact_type) {
            types.push(artifact_type);
        }
    }
    for (index, artifact_type) in types.iter().enumerate() {
        let (branch, bar) = if index + 1 == types.len() { ("└──", "   ") } else { ("├──", "│  ") };
        writeln!(out, "{branch} {artifact_type}")?;
        let of_type: Vec<_> = listing.referrers.iter().filter(|referrer| type_of(referrer) == *artifact_type).collect();
        for (index, referrer) in of_type.iter().enumerate() {
            let branch = if index + 1 == of_type.len() { "└──" } else { "├──" };
            writeln!(out, "{bar} {branch} {}", referrer.descriptor.digest)?;
        }
    }
    match (listing.completeness, listing.referrers.is_empty()) {
        (Completeness::Cut, _) => writeln!(out, "(the list was cut at a limit: there may be more)"),
        (Completeness::Whole, true) => writeln!(out, "(nothing is attached)"),
        (Completeness::Whole, false) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
