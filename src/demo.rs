//! `countersign demo`: the main job on one machine, with nothing faked between Gatekeeper's question and the answer.
//!
//! ```text
//!  pki ─► signers ─► images ────┬─push──► registry (in process, loopback)
//!  sigstore ───────► cosigned ──┘         ▲
//!  gatekeeper ──HTTPS, mTLS──► provider ──┘ the real server, from a real configuration file
//!  (the bundled template)
//! ```
//!
//! With a plugin there are images beside these whose licences it must judge.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::{
    gatekeeper::{Endpoint, Gatekeeper, Violation},
    images::{Expected, Image, Pusher, Signers},
    licensed::{Approvers, Plugin},
    pki::{Authority, GATEKEEPER_NAME, Validity},
    pods::Sample,
    provider::{Files, Provider, Trust},
    registry::Registry,
    table::{Check, Decision, Report, Row},
};
use crate::{reason, time::Clock};

mod cosigned;
mod gatekeeper;
mod images;
mod licensed;
mod pki;
mod pods;
mod provider;
mod registry;
mod signers;
pub mod sigstore;
mod table;

pub use self::table::Colour;

/// What to do with what was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// Leave it running until interrupted, and say how to reach it.
    Keep,
    /// Stop.
    Stop,
}

/// How the result is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// JSON, for machines.
    Json,
    /// Tables, for people.
    Table(Colour),
}

/// How to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Afterwards.
    pub afterwards: Afterwards,
    /// A verifier of licence approvals that is shown beside the others.
    pub plugin: Option<PathBuf>,
    /// Output, on standard output.
    pub output: Output,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Each decision was the expected one, and strangers were refused.
    AsExpected,
    /// Something was not.
    Otherwise,
}

/// Runs the demo and prints what was seen.
///
/// # Errors
/// Whatever kept it from being run; a wrong decision is [`Outcome::Otherwise`].
pub async fn run(options: Options) -> anyhow::Result<Outcome> {
    let Options { afterwards, plugin, output } = options;
    let stage = Stage::set(plugin.as_deref()).await?;
    let shown = match stage.play().await.map(Report::conclude) {
        Ok(report) => stage.show(&report, output).map(|()| report.as_expected),
        Err(error) => Err(error),
    };
    if let (Ok(_), Afterwards::Keep) = (&shown, afterwards) {
        say(&format!("\n{}", stage.provider.directions(&stage.files, &stage.registry.host(), &stage.images)))?;
        tokio::signal::ctrl_c().await.context("no interrupt can be waited for")?;
    }
    let Stage { provider, registry, .. } = stage;
    provider.stop().await?;
    registry.stop().await?;
    Ok(if shown? { Outcome::AsExpected } else { Outcome::Otherwise })
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output cannot be written")
}

/// Everything that runs.
struct Stage {
    files: Files,
    registry: Registry,
    provider: Provider,
    images: Vec<Image>,
    gatekeeper: Gatekeeper,
    /// Clients that must be refused.
    strangers: Vec<(&'static str, Gatekeeper)>,
}

impl Stage {
    async fn set(plugin: Option<&Path>) -> anyhow::Result<Self> {
        let now = Clock::System.now();
        let valid = Validity::current(now);
        let root = Authority::new("Demo code signing root", valid)?;
        let namesake = Authority::new("Demo code signing root", valid)?;
        let serving = Authority::new("Demo serving CA", valid)?;
        let clients = Authority::new("Demo Gatekeeper CA", valid)?;

        let registry = Registry::start().await?;
        let unreachable = unreachable_host().await?;
        let signers = Signers::new(&root, &namesake, now)?;
        let cosigners = cosigned::Signers::new(now)?;
        let mut images = Pusher { registry: &registry, signers: &signers, now }.push_all().await?;
        images.extend(cosigned::Pusher { registry: &registry, signers: &cosigners }.push_all().await?);
        let plugin = match plugin {
            Some(path) => Some((Plugin::pin(path)?, Approvers::new()?)),
            None => None,
        };
        if let Some((_, approvers)) = &plugin {
            images.extend(licensed::Pusher { registry: &registry, approvers }.push_all().await?);
        }
        images.extend(images::absent(&unreachable));

        let identity = clients.client(GATEKEEPER_NAME, valid)?;
        let trust =
            Trust { root: &root, serving: &serving, clients: &clients, cosigners: &cosigners, plugin: plugin.as_ref() };
        let files = Files::write(&trust, &identity, &[&registry.host(), &unreachable], valid)?;
        let provider = Provider::start(&files).await?;
        let client = |pair| Gatekeeper::new(provider.address(), &serving.pem(), pair);
        let (other, alien) =
            (clients.client("someone-else.default.svc", valid)?, namesake.client(GATEKEEPER_NAME, valid)?);
        let strangers = vec![
            ("client without a certificate", client(None)?),
            ("client with a certificate of another CA", client(Some(&alien))?),
            ("client with another name", client(Some(&other))?),
        ];
        let gatekeeper = client(Some(&identity))?;
        Ok(Self { files, registry, provider, images, gatekeeper, strangers })
    }

    fn show(&self, report: &Report, output: Output) -> anyhow::Result<()> {
        let colour = match output {
            Output::Json => return say(&format!("{}\n", serde_json::to_string_pretty(report)?)),
            Output::Table(colour) => colour,
        };
        let (registry, provider) = (self.registry.host(), self.provider.address());
        say(&format!(
            "A registry at {registry}, the provider at https://{provider}, a PKI made a moment ago. Each row is a Pod,\n\
             reviewed with the bundled ConstraintTemplate, which asks the provider over mTLS.\n\n{}",
            report.text(colour)
        ))
    }

    async fn play(&self) -> anyhow::Result<Report> {
        self.registry.take_calls();
        let mut report = Report::default();
        for image in &self.images {
            let sample = Sample::of_image(image);
            report.images.push(self.review(&sample).await?);
        }
        for sample in Sample::pods(&self.images)? {
            report.pods.push(self.review(&sample).await?);
        }
        for (name, client) in &self.strangers {
            report.checks.push(self.refused(name, client).await);
        }
        // Last, since it shows that the server still answers who may ask.
        report.checks.push(self.mutation().await?);
        Ok(report)
    }

    /// Reviews one Pod as the webhook would.
    async fn review(&self, sample: &Sample) -> anyhow::Result<Row> {
        let started = Instant::now();
        let violations = self.gatekeeper.review(sample.pod.clone()).await?;
        let (elapsed, calls) = (started.elapsed(), self.registry.take_calls());
        let codes: BTreeSet<String> = violations.iter().map(|violation| violation.code.clone()).collect();
        let decision = if violations.is_empty() { Decision::Admitted } else { Decision::Refused };
        Ok(Row {
            name: sample.name.to_owned(),
            story: sample.story.to_owned(),
            images: sample.images.clone(),
            decision,
            as_expected: as_expected(sample, &violations),
            codes: codes.into_iter().collect(),
            reason: violations.first().map(|violation| violation.reason.clone()).unwrap_or_default(),
            violations: violations.into_iter().map(|violation| violation.message).collect(),
            registry_calls: calls.count(),
            calls: calls.to_string(),
            milliseconds: milliseconds(elapsed),
        })
    }

    /// Tags become digests; what is none of our business stays as it is.
    async fn mutation(&self) -> anyhow::Result<Check> {
        let tags = self.images.iter().filter(|image| image.tagged != image.reference);
        let mut pairs: Vec<(String, String)> =
            tags.map(|image| (image.tagged.clone(), image.reference.clone())).collect();
        let pinned = pairs.len();
        let digests: Vec<String> =
            pairs.iter().map(|(_, digest)| digest.clone()).take(1).chain([String::new()]).collect();
        pairs.extend(digests.into_iter().map(|same| (same.clone(), same)));
        let keys: Vec<&String> = pairs.iter().map(|(key, _)| key).collect();
        let reply = self.gatekeeper.ask(Endpoint::Mutate, &json!(keys)).await?;
        self.registry.take_calls();
        let values: Vec<(String, Value)> = reply.items.into_iter().map(|item| (item.key, item.value)).collect();
        let wanted: Vec<(String, Value)> = pairs.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let right = reply.idempotent && reply.system_error.is_empty() && values == wanted && pinned > 0;
        let found = if right { format!("{pinned} tags pinned in one batch") } else { format!("{values:?}") };
        Ok(Check { name: "mutation from tag to digest".to_owned(), found, as_expected: right })
    }

    /// A client that must get no answer.
    async fn refused(&self, name: &str, client: &Gatekeeper) -> Check {
        let keys: Vec<&String> = self.images.iter().map(|image| &image.reference).take(1).collect();
        let (found, as_expected) = match client.ask(Endpoint::Verify, &json!(keys)).await {
            Ok(_) => ("was answered".to_owned(), false),
            Err(error) => {
                let text = reason::chain(&*error.into_boxed_dyn_error());
                let alert = text.rsplit(": ").next().unwrap_or_default().to_owned();
                // A refusal is TLS's own alert, or the connection's end where that came first; no answer in time is none.
                (format!("refused ({alert})"), !text.contains("timed out"))
            }
        };
        self.registry.take_calls();
        Check { name: name.to_owned(), found, as_expected }
    }
}

/// A refusal is expected for one image and one reason; nothing else may be refused beside it.
fn as_expected(sample: &Sample, violations: &[Violation]) -> bool {
    match (&sample.expected, violations) {
        (Expected::Admitted, []) => true,
        (Expected::Refused(code), [one]) => one.code == *code && sample.culprit.as_ref() == Some(&one.image),
        (Expected::Admitted | Expected::Refused(_), _) => false,
    }
}

fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1000.0
}

/// A loopback host where nothing listens: a port that was free a moment ago.
async fn unreachable_host() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        kubernetes,
        telemetry::{DecisionLog, Telemetry},
    };

    const README: &str = include_str!("../README.md");

    /// The README's table, from what Prometheus would read: name, labels of all series, help.
    fn metrics_table(text: &str) -> String {
        let mut rows: BTreeMap<&str, (&str, BTreeSet<&str>)> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with("# TYPE ")) {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
                rows.insert(name, (help, BTreeSet::new()));
                continue;
            }
            let (series, _) = line.rsplit_once(' ').unwrap();
            let Some((name, labels)) = series.trim_end_matches('}').split_once('{') else { continue };
            let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            let row = of_histogram.filter(|name| rows.contains_key(name)).unwrap_or(name);
            let labels = labels.split("\",").map(|label| label.split_once('=').unwrap().0);
            rows.get_mut(row).unwrap().1.extend(labels.filter(|label| *label != "le"));
        }
        let row = |(name, (help, labels)): (&str, (&str, BTreeSet<&str>))| {
            let labels: Vec<_> = labels.into_iter().map(|label| format!("`{label}`")).collect();
            format!("| `{name}` | {} | {help} |\n", labels.join(" ")).replace("|  |", "| |")
        };
        rows.into_iter().map(row).collect()
    }

    /// The rows of both tables, without what differs from run to run: times, and the widths of columns.
    fn rows(text: &str) -> Vec<String> {
        let without_time = |line: &str| -> Option<String> {
            let (before, after) = line.split_once(" ms ")?;
            let (before, _) = before.rsplit_once(' ')?;
            let words: Vec<&str> = before.split_whitespace().chain(after.split_whitespace()).collect();
            Some(words.join(" "))
        };
        text.lines().filter(|line| line.starts_with(['✓', '•'])).filter_map(without_time).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_decision_is_the_expected_one_and_strangers_are_refused() {
        let stage = Stage::set(None).await.unwrap();
        let report = stage.play().await.unwrap().conclude();
        assert!(report.as_expected, "\n{}\n{:#?}", report.text(Colour::Never), report.images);
        assert_eq!((report.images.len(), report.pods.len(), report.checks.len()), (19, 7, 4));
        let shown = report.text(Colour::Never);
        assert_eq!(rows(README), rows(&shown), "README.md's tables should be:\n\n{shown}");
        let directions = stage.provider.directions(&stage.files, &stage.registry.host(), &stage.images);
        for needed in ["curl --cacert ", "/gatekeeper.key ", "https://127.0.0.1:"] {
            assert!(directions.contains(needed), "{directions}");
        }
        let cluster = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
        kubernetes::certificates::show_metrics(&cluster.meter());
        kubernetes::client_ca::show_metrics(&cluster.meter());
        kubernetes::pull_secrets::show_metrics(&cluster.meter());
        let shown = stage.provider.metrics().await + &cluster.prometheus_text().unwrap();
        let documented = metrics_table(&shown);
        let table: String = README.split_inclusive('\n').filter(|line| line.starts_with("| `countersign_")).collect();
        assert_eq!(table, documented, "README.md's table of metrics should be:\n\n{documented}");
        let Stage { provider, registry, .. } = stage;
        provider.stop().await.unwrap();
        registry.stop().await.unwrap();
    }
}
