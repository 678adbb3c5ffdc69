//! Verdicts and referrers, for people.

use std::io::{self, Write};

use serde_json::Value;

use crate::{
    oci::{Completeness, Listing, Subject},
    reason::{self, Code},
    report::{Decision, Reason, Verdict, VerifierReport, Word, wire::rfc3339},
    verifier::{Outcome, Verified},
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
    let mut last = None;
    for (index, report) in reports.iter().enumerate() {
        let digest = report.about.as_ref().map(|about| &about.digest);
        if index == 0 || last != Some(digest) {
            match &report.about {
                Some(about) => writeln!(out, "  ├─ {} ({})", about.digest, plain(&about.artifact_type))?,
                None => writeln!(out, "  ├─ (the image itself)")?,
            }
        }
        last = Some(digest);
        write_report(out, style, report)?;
    }
    Ok(())
}

fn write_reason(out: &mut impl Write, indent: &str, reason: &Reason) -> io::Result<()> {
    writeln!(out, "{indent}reason   {}: {}", reason.code, plain(&reason.message))?;
    writeln!(out, "{indent}remedy   {}", reason.code.remedy())
}

fn write_report(out: &mut impl Write, style: Style, report: &VerifierReport) -> io::Result<()> {
    let VerifierReport { verifier, kind, about, word } = report;
    let layer = about.as_ref().and_then(|about| about.layer.as_ref());
    let layer = layer.map(|digest| format!(", layer {digest}")).unwrap_or_default();
    let said = |mark: Mark| format!("  │  {} {} ({kind}){layer}", style.mark(mark), plain(verifier));
    match word {
        Word::Yes(verified) => {
            writeln!(out, "{}: {}", said(Mark::Yes), plain(verified.message()))?;
            write_proof(out, verified)
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
            writeln!(out, "  │      reason   {code}: {reason}")?;
            writeln!(out, "  │      remedy   {}", code.remedy())
        }
    }
}

fn write_proof(out: &mut impl Write, verified: &Verified) -> io::Result<()> {
    if let Some(signer) = verified.signer() {
        writeln!(out, "  │      signer   {}", plain(&signer.display))?;
    }
    for (name, value) in verified.extensions() {
        write_fact(out, name, value)?;
    }
    for (check, outcome) in verified.checks() {
        match outcome {
            Outcome::Passed => writeln!(out, "  │      passed   {check}")?,
            Outcome::Skipped => writeln!(out, "  │      skipped  {check}")?,
            Outcome::Logged(rejection) => {
                writeln!(out, "  │      logged   {check}: {}: {}", rejection.code(), plain(rejection.reason()))?;
            }
        }
    }
    for warning in verified.warnings() {
        writeln!(out, "  │      warning  {}", plain(&warning))?;
    }
    Ok(())
}

/// A fact of the verifier's own; of several one a line.
fn write_fact(out: &mut impl Write, name: &str, value: &Value) -> io::Result<()> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| write_fact(out, name, value)),
        Value::Object(members) => {
            members.iter().try_for_each(|(inner, value)| write_fact(out, &format!("{name}.{inner}"), value))
        }
        Value::String(text) => writeln!(out, "  │      fact     {}: {}", plain(name), plain(text)),
        Value::Bool(_) | Value::Null | Value::Number(_) => writeln!(out, "  │      fact     {}: {value}", plain(name)),
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
