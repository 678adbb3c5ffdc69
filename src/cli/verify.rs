//! `countersign verify`: the engine on the command line.

use std::{
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::Instant;

use super::{
    Outcome,
    registries::{self, Places, absolute, timeout},
    tree::{Style, write_verdict},
};
use crate::{
    app::Engine,
    config::{Config, Process, VerifierKind},
    executor::{Answer, Question},
    oci::Reference,
    reason::{self, Code},
    report::{Decision, Reason, wire::Rendered},
    tenant::Tenant,
    time::Clock,
    verifier::notation,
};

mod cosign;

/// References that are verified side by side.
const AT_ONCE: usize = 16;
/// What stands where a reply of the server has a trace.
const TRACE: &str = "00000000000000000000000000000000";

/// Verifies images and says why.
///
/// Exit code: 0 all are verified; 1 at least one is refused; 3 none is refused, but of at least one nothing could be found
/// out; 2 usage or configuration error.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign verify registry.example.com/app:1.2 --config countersign.yaml
  countersign verify app@sha256:… --trust-policy trustpolicy.json --trust-store ~/.config/notation/truststore
  countersign verify registry.example.com/app:1.2 --key cosign.pub
  countersign verify ghcr.io/acme/app:1.2 --certificate-oidc-issuer https://token.actions.githubusercontent.com \\
      --certificate-identity-regexp 'https://github.com/acme/app/.*'
  countersign verify registry.example.com/app:1.2 --type vuln --key cosign.pub --insecure-ignore-tlog
  countersign verify localhost:5000/app:dev --trust-policy p.json --trust-store truststore \\
      --plain-http localhost:5000 --allow-loopback localhost:5000
  countersign verify registry.example.com/app:1.2 --config c.yaml --layout ./images --at 2026-01-01T00:00:00Z --output json")]
pub(super) struct Verify {
    /// Images, as a Pod names them
    #[arg(required = true, value_name = "REF")]
    references: Vec<String>,
    /// The configuration that the server uses
    #[arg(long, value_name = "FILE", required_unless_present_any = ["trust_policy", "key", "identity"])]
    config: Option<PathBuf>,
    /// Instead of a configuration: Notation's trustpolicy.json
    #[arg(long, value_name = "FILE", requires = "trust_store", conflicts_with = "config")]
    trust_policy: Option<PathBuf>,
    /// Instead of a configuration: Notation's trust store directory
    #[arg(long, value_name = "DIR", requires = "trust_policy", conflicts_with = "config")]
    trust_store: Option<PathBuf>,
    /// Instead of a configuration: metadata that the signer must have signed, all of it (repeatable)
    #[arg(long, short = 'm', value_name = "KEY=VALUE", value_parser = pair, requires = "trust_policy")]
    user_metadata: Vec<(String, String)>,
    /// Instead of a configuration: how many signatures of an image are tried at most (default: 100)
    #[arg(long, value_name = "N", conflicts_with = "config")]
    max_signatures: Option<NonZeroUsize>,
    #[command(flatten)]
    places: Places,
    /// Ask OCSP responders and CRL servers through this HTTP forward proxy; its own address needs no permission
    #[arg(long, value_name = "URL")]
    revocation_proxy: Option<String>,
    /// Verify as of this moment (RFC 3339) instead of now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<OffsetDateTime>,
    /// How long it may take in all
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = timeout)]
    timeout: Duration,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Output::Tree)]
    output: Output,
    // Last: their heading would stand over what follows.
    #[command(flatten)]
    cosign: cosign::Cosign,
    #[command(flatten)]
    workflow: cosign::GithubWorkflow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON document, with the values that the server answers
    Json,
    /// For people
    Tree,
}

pub(super) fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("no RFC 3339 time: {error}"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not KEY=VALUE".to_owned()),
    }
}

/// What became of one reference.
enum Told {
    /// Boxed: an answer is much larger than a reason.
    Answered(Box<Answer>),
    /// No reference: a definite no without an answer of the engine.
    Malformed(Reason),
}

#[derive(Debug, Serialize)]
struct Document {
    items: Vec<Item>,
    undecided: Vec<Open>,
}

#[derive(Debug, Serialize)]
struct Item {
    key: String,
    value: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Open {
    key: String,
    code: Code,
    message: String,
}

impl Verify {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self {
            references,
            config,
            trust_policy,
            trust_store,
            user_metadata,
            max_signatures,
            cosign,
            workflow,
            places,
            revocation_proxy,
            at,
            timeout,
            output,
        } = self;
        let hosts = || {
            let parsed: Vec<Reference> = references.iter().filter_map(|text| Reference::parse(text).ok()).collect();
            places.hosts(&parsed, process)
        };
        let base = Path::new(".").to_owned();
        let (config, file) = match (config, trust_policy, trust_store) {
            (Some(file), _, _) => (Config::load(&file, process)?, file),
            (None, Some(policy), Some(store)) => {
                let mut notation = notation::Config::of_files(absolute(&policy)?, absolute(&store)?);
                notation.user_metadata = user_metadata.into_iter().collect();
                if let Some(most) = max_signatures {
                    notation.max_signature_attempts = most.get();
                }
                (Config::of_notation(notation, hosts(), base), policy)
            }
            (None, _, _) => {
                let most = max_signatures.map(NonZeroUsize::get);
                (cosign.into_config(workflow, most, hosts(), base)?, PathBuf::from(cosign::PLACE))
            }
        };
        let mut config = places.take_layout(config)?;
        ask_by(&mut config, revocation_proxy.as_deref(), at.is_some());
        let engine = registries::engine(&config, &file).await?;
        for warning in &engine.warnings {
            writeln!(io::stderr(), "warning: {}", reason::printable(warning, reason::MAX_OUTSIDE_TEXT_BYTES))?;
        }
        let now = at.map_or(Clock::System, Clock::Fixed).now();
        let told = ask_all(&engine, &references, now, timeout).await;
        print(&told, output, now, process)?;
        Ok(conclude(told.iter().map(|(_, told)| told)))
    }
}

fn print(told: &[(String, Told)], output: Output, now: OffsetDateTime, process: &Process) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => {
            serde_json::to_writer(&mut out, &document(told, now)?)?;
            writeln!(out)?;
        }
        Output::Tree => {
            let style = Style::of(io::stdout().is_terminal() && !process.no_color());
            for (key, told) in told {
                match told {
                    Told::Answered(answer) => write_verdict(&mut out, style, key, &answer.verdict)?,
                    Told::Malformed(reason) => super::tree::write_refusal(&mut out, style, key, reason)?,
                }
            }
        }
    }
    Ok(())
}

/// How revocation is asked about. At another moment than now nothing that is kept across runs is read, and nothing is left.
fn ask_by(config: &mut Config, proxy: Option<&str>, at_another_moment: bool) {
    for verifier in &mut config.verifiers {
        match &mut verifier.kind {
            VerifierKind::Notation(notation) => {
                if let Some(proxy) = proxy {
                    notation.revocation.proxy = Some(proxy.to_owned());
                }
                if at_another_moment {
                    notation.revocation.cache_dir = None;
                }
            }
            VerifierKind::Attestation(_) | VerifierKind::Cosign(_) | VerifierKind::Exec(_) => {}
        }
    }
}

async fn ask_all(
    engine: &Engine,
    references: &[String],
    now: OffsetDateTime,
    timeout: Duration,
) -> Vec<(String, Told)> {
    let deadline = Instant::now() + timeout;
    stream::iter(references.to_vec())
        .map(|key| async move {
            let told = match Reference::parse(&key) {
                Ok(reference) => {
                    let question = Question { tenant: Tenant::Cluster, reference, now, deadline };
                    Told::Answered(Box::new(engine.executor.verify(question).await))
                }
                Err(error) => Told::Malformed(Reason::new(error.code(), reason::chain(&error))),
            };
            (key, told)
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

fn conclude<'a>(all: impl Iterator<Item = &'a Told>) -> Outcome {
    let mut outcome = Outcome::Done;
    for told in all {
        match told {
            Told::Malformed(_) => return Outcome::Refused,
            Told::Answered(answer) => match answer.verdict.decision {
                Decision::Allow { .. } => {}
                Decision::Deny(_) => return Outcome::Refused,
                Decision::Undecided(_) => outcome = Outcome::Undecided,
            },
        }
    }
    outcome
}

fn document(told: &[(String, Told)], now: OffsetDateTime) -> anyhow::Result<Document> {
    let mut document = Document { items: Vec::new(), undecided: Vec::new() };
    for (key, told) in told {
        let refusal;
        let rendered: &Rendered = match told {
            Told::Answered(answer) => {
                if let Decision::Undecided(reason) = &answer.verdict.decision {
                    let Reason { code, message } = reason.clone();
                    document.undecided.push(Open { key: key.clone(), code, message });
                    continue;
                }
                &answer.rendered
            }
            Told::Malformed(reason) => {
                refusal = Rendered::refusal(key, reason);
                &refusal
            }
        };
        let mut value = Vec::with_capacity(rendered.size_hint());
        rendered.write_value(&mut value, TRACE, now);
        let value = RawValue::from_string(String::from_utf8(value)?)?;
        document.items.push(Item { key: key.clone(), value });
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::report::Verdict;

    fn answered(decision: Decision) -> Told {
        let verdict = Verdict { subject: None, decision, policy: String::new(), reports: vec![] };
        let rendered = Arc::new(Rendered::of("app", &verdict));
        Told::Answered(Box::new(Answer { verdict: Arc::new(verdict), rendered, cached: false }))
    }

    #[test]
    fn one_refusal_outweighs_what_is_open_and_that_outweighs_every_yes() {
        let yes = || answered(Decision::allow(None));
        let no = || answered(Decision::Deny(Reason::new(Code::NoSignature, "none")));
        let open = || answered(Decision::Undecided(Reason::new(Code::Timeout, "late")));
        let malformed = || Told::Malformed(Reason::new(Code::RefInvalid, "no reference"));
        for (told, expected) in [
            (vec![yes()], Outcome::Done),
            (vec![yes(), yes()], Outcome::Done),
            (vec![yes(), open()], Outcome::Undecided),
            (vec![open(), no()], Outcome::Refused),
            (vec![no(), open(), yes()], Outcome::Refused),
            (vec![yes(), malformed()], Outcome::Refused),
        ] {
            assert_eq!(conclude(told.iter()), expected);
        }
    }

    #[test]
    fn another_moment_leaves_what_is_kept_across_runs_alone() {
        let kept = || {
            let mut notation = notation::Config::of_files("p".into(), "s".into());
            notation.revocation.cache_dir = Some("kept".into());
            Config::of_notation(notation, crate::store::registry::Config::default(), ".".into())
        };
        let asked = |at_another_moment| {
            let mut config = kept();
            ask_by(&mut config, Some("http://127.0.0.1:3128"), at_another_moment);
            let VerifierKind::Notation(notation) = &config.verifiers[0].kind else { panic!("it is notation") };
            (notation.revocation.proxy.clone(), notation.revocation.cache_dir.is_some())
        };
        let proxy = Some("http://127.0.0.1:3128".to_owned());
        assert_eq!(asked(false), (proxy.clone(), true));
        assert_eq!(asked(true), (proxy, false));
    }

    #[test]
    fn json_has_each_key_once_as_an_item_or_as_undecided() {
        let told = [
            ("a".to_owned(), answered(Decision::allow(None))),
            ("b".to_owned(), answered(Decision::Undecided(Reason::new(Code::Timeout, "late")))),
            ("C".to_owned(), Told::Malformed(Reason::new(Code::RefInvalid, "no reference"))),
        ];
        let document = serde_json::to_value(document(&told, OffsetDateTime::UNIX_EPOCH).unwrap()).unwrap();
        assert_eq!(document["items"][0]["key"], "a");
        assert_eq!(document["items"][0]["value"]["isSuccess"], true);
        assert_eq!(document["items"][1]["key"], "C");
        assert_eq!(document["items"][1]["value"]["isSuccess"], false);
        assert_eq!(document["items"].as_array().unwrap().len(), 2);
        assert_eq!(document["undecided"], serde_json::json!([{"key": "b", "code": "TIMEOUT", "message": "late"}]));
    }
}
