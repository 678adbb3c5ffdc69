//! One run of a plugin, for people and for machines.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use time::OffsetDateTime;

use super::attached::Attached;
use crate::{
    cli::tree::{Style, write_verdict},
    reason::printable,
    report::{About, Decision, Reason, Verdict, VerifierReport, Word, wire::Rendered},
    verifier::{
        Verifier as _, VerifyError,
        exec::{Examination, Exec, facade, run::Ended},
    },
};

/// What stands where a reply of the server has a trace.
const TRACE: &str = "00000000000000000000000000000000";
/// Lines of a plugin's output that people are shown, and bytes of each.
const MAX_LINES: usize = 100;
const MAX_LINE_BYTES: usize = 1000;

/// What there is to tell.
pub(super) struct Told<'a> {
    pub(super) exec: &'a Exec,
    pub(super) found: &'a Attached,
    pub(super) examination: &'a Examination,
    pub(super) now: OffsetDateTime,
}

/// For machines.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    plugin: Plugin,
    subject: String,
    artifact: Named,
    request: Request,
    pulls: Vec<Pull>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    verdict: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Plugin {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    digest: String,
    artifact_type: String,
}

#[derive(Debug, Serialize)]
struct Request {
    /// Names alone: a value may be a secret.
    environment: Vec<String>,
    stdin: Value,
}

#[derive(Debug, Serialize)]
struct Pull {
    request: String,
    status: u16,
}

impl From<&facade::Pull> for Pull {
    fn from(facade::Pull { request, status }: &facade::Pull) -> Self {
        Self { request: request.clone(), status: *status }
    }
}

#[derive(Debug, Serialize)]
struct Reply {
    ended: String,
    milliseconds: u128,
    stdout: String,
    stderr: String,
}

impl Told<'_> {
    /// For machines.
    pub(super) fn document(&self) -> anyhow::Result<Document> {
        let Self { exec, found, examination, now } = self;
        let verdict = self.verdict();
        let rendered = Rendered::of(&found.subject.to_string(), &verdict);
        let mut value = Vec::with_capacity(rendered.size_hint());
        rendered.write_value(&mut value, TRACE, *now);
        Ok(Document {
            plugin: Plugin { name: exec.program().name().to_owned(), sha256: exec.program().digest().hex().to_owned() },
            subject: found.subject.to_string(),
            artifact: Named {
                digest: found.artifact.descriptor().digest.to_string(),
                artifact_type: About::from(&found.artifact).artifact_type,
            },
            request: Request { environment: examination.environment.clone(), stdin: self.stdin() },
            pulls: examination.pulls.iter().map(Pull::from).collect(),
            reply: examination.ran.as_ref().ok().map(|ran| Reply {
                ended: ended(ran.ended),
                milliseconds: ran.took.as_millis(),
                stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&ran.stderr).into_owned(),
            }),
            verdict: RawValue::from_string(String::from_utf8(value)?)?,
        })
    }

    /// For people.
    pub(super) fn write(&self, out: &mut impl Write, is_coloured: bool) -> io::Result<()> {
        let Self { exec, found, examination, .. } = self;
        let about = About::from(&found.artifact);
        writeln!(out, "plugin    {} sha256 {}", exec.program().name(), exec.program().digest().hex())?;
        writeln!(out, "subject   {}", found.subject)?;
        writeln!(out, "artifact  {} ({})", about.digest, about.artifact_type)?;
        writeln!(out, "\nenvironment: {}", examination.environment.join(" "))?;
        writeln!(out, "standard input:")?;
        write_lines(out, &serde_json::to_string_pretty(&self.stdin())?)?;
        if !examination.pulls.is_empty() {
            writeln!(out, "\nasked of the loopback registry:")?;
            for facade::Pull { request, status } in &examination.pulls {
                writeln!(out, "  {status} {request}")?;
            }
        }
        if let Ok(ran) = &examination.ran {
            writeln!(out, "\n{} after {} ms", ended(ran.ended), ran.took.as_millis())?;
            for (name, text) in [("standard output", &ran.stdout), ("standard error", &ran.stderr)] {
                if !text.is_empty() {
                    writeln!(out, "{name}:")?;
                    write_lines(out, &String::from_utf8_lossy(text))?;
                }
            }
        }
        writeln!(out)?;
        write_verdict(out, Style::of(is_coloured), &found.subject.to_string(), &self.verdict())
    }

    fn stdin(&self) -> Value {
        // It is empty where the plugin was not started.
        serde_json::from_slice(&self.examination.request).unwrap_or_default()
    }

    /// As if this verifier's word alone decided.
    fn verdict(&self) -> Verdict {
        let (word, decision) = match &self.examination.outcome {
            Ok(verified) => (Word::Yes(Box::new(verified.clone())), Decision::allow(verified.valid_until())),
            Err(error) => {
                let reason = Reason::new(error.code(), error.reason());
                let decision = match error {
                    VerifyError::Rejected(_) => Decision::Deny(reason),
                    VerifyError::Undecided(_) => Decision::Undecided(reason),
                };
                (Word::Not(error.clone()), decision)
            }
        };
        let report = VerifierReport {
            verifier: self.exec.name().clone(),
            kind: self.exec.kind(),
            about: Some(About::from(&self.found.artifact)),
            word,
            nested: None,
        };
        Verdict { subject: Some(self.found.subject.clone()), decision, policy: String::new(), reports: vec![report] }
    }
}

fn ended(ended: Ended) -> String {
    match ended {
        Ended::Abandoned => "killed: nobody waited for it any more".to_owned(),
        Ended::Deadline => "killed at its deadline".to_owned(),
        Ended::Exited(status) => format!("exit status {status}"),
        Ended::Output => "killed: it wrote too much".to_owned(),
        Ended::Signal(signal) => format!("ended by signal {signal}"),
    }
}

/// Outside text, indented, escaped and bounded.
fn write_lines(out: &mut impl Write, text: &str) -> io::Result<()> {
    let count = text.lines().count();
    for line in text.lines().take(MAX_LINES) {
        writeln!(out, "  {}", printable(line, MAX_LINE_BYTES))?;
    }
    match count.checked_sub(MAX_LINES) {
        Some(more @ 1..) => writeln!(out, "  … {more} more lines"),
        Some(0) | None => Ok(()),
    }
}
