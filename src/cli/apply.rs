//! `countersign apply`: makes Gatekeeper ask us.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use tokio::time::Instant;

use super::Outcome;
use crate::{
    duration,
    kubernetes::{
        self,
        apply::{
            ApplyError, Bundle, CaBundle, EnforcementAction, Manifest, OthersFields, Part, Run, Said, Settings, Terms,
            apply, to_list,
        },
    },
    reason,
};

/// How long between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest time that Gatekeeper may be told to wait for us: Kubernetes allows a webhook no more.
const MAX_PROVIDER_TIMEOUT: Duration = Duration::from_secs(30);

/// Puts Providers, `ConstraintTemplate`, constraint, mutators and expansion into a cluster, and waits until Gatekeeper acts on them.
///
/// Server-side apply as field manager `countersign`: what others own stays theirs, and a second run changes nothing. What is
/// waited for is said on standard error. The cluster is the one of the kubeconfig (KUBECONFIG, ~/.kube/config), or the one that
/// this runs in.
///
/// Exit code: 0 Gatekeeper acts on everything; 1 something is refused, by the API server, by Gatekeeper or since its fields are
/// somebody else's; 2 usage, or no way to a cluster; 3 not everything was active in time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign apply --namespace gatekeeper-system --ca-secret countersign-tls --wait 60s
  countersign apply --ca-bundle ca.pem --enforcement-action dryrun --exempt-namespaces kube-system,gatekeeper-system
  countersign apply --manifests ./gatekeeper --only verify,constraint --ca-bundle ca.pem --dry-run
  countersign apply --ca-bundle ca.pem --print > countersign.json")]
pub(super) struct Apply {
    /// Apply the *.yaml, *.yml and *.json files of this folder, not the manifests of this binary (repeatable)
    #[arg(long, value_name = "DIR")]
    manifests: Vec<PathBuf>,
    /// Only these parts: verify (its Provider), mutation (its Provider and the mutators), expansion, constraint (with its template)
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// The namespace that countersign runs in; never judged, nor mutated [default: as in the manifests, countersign-system]
    #[arg(long, value_name = "NAMESPACE", value_parser = label)]
    namespace: Option<String>,
    /// The Service in it [default: as in the manifests, countersign]
    #[arg(long, value_name = "NAME", value_parser = label)]
    service: Option<String>,
    /// PEM file of the authorities of countersign's serving certificate
    #[arg(long, value_name = "FILE", conflicts_with = "ca_secret")]
    ca_bundle: Option<PathBuf>,
    /// Secret in --namespace whose ca.crt has them: waited for, and left to its keeper where one keeps the Provider's
    #[arg(long, value_name = "NAME", requires = "namespace", value_parser = subdomain)]
    ca_secret: Option<String>,
    /// What the constraint does: deny, warn or dryrun [default: as in the manifests, deny]
    #[arg(long, value_name = "ACTION")]
    enforcement_action: Option<EnforcementAction>,
    /// Namespaces that are not judged, nor mutated, beside --namespace [default: as in the manifests]
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',', value_parser = pattern)]
    exempt_namespaces: Vec<String>,
    /// How long Gatekeeper waits for a verification, in whole seconds; below its webhook's own [default: as in the manifests, 2s]
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    provider_timeout_verify: Option<Duration>,
    /// How long Gatekeeper waits for a mutation, in whole seconds; below its webhook's own [default: as in the manifests, 1s]
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    provider_timeout_mutate: Option<Duration>,
    /// Take fields over that another field manager owns
    #[arg(long)]
    force_conflicts: bool,
    /// How long everything may take together; `0s`: look once
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = patience)]
    wait: Duration,
    /// Let the API server check each object, and keep none
    #[arg(long)]
    dry_run: bool,
    /// Print the objects as one JSON list, and contact nobody
    #[arg(long, conflicts_with_all = ["dry_run", "ca_secret", "force_conflicts"])]
    print: bool,
}

impl Apply {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let manifests = self.prepare()?;
        let bundle = self.bundle()?;
        if self.print {
            let given = match &bundle {
                Bundle::Given(bundle) => Some(bundle),
                Bundle::Kept | Bundle::Secret { .. } => None,
            };
            let list = serde_json::to_string_pretty(&to_list(&manifests, given))?;
            writeln!(io::stdout().lock(), "{list}")?;
            return Ok(Outcome::Done);
        }
        let terms = Terms {
            bundle,
            others: if self.force_conflicts { OthersFields::Take } else { OthersFields::Keep },
            run: if self.dry_run { Run::Dry } else { Run::Real },
            until: Instant::now() + self.wait,
            every: LOOK_EVERY,
        };
        let config = kube::Config::infer().await.context("no kubeconfig, and not in a Pod")?;
        let client = kubernetes::connect(config)?;
        match apply(&client, &manifests, &terms, &mut say).await {
            Ok(()) => Ok(Outcome::Done),
            Err(error) => fail(&error),
        }
    }

    fn prepare(&self) -> anyhow::Result<Vec<Manifest>> {
        let mut manifests =
            if self.manifests.is_empty() { Manifest::built_in()? } else { Manifest::of_folders(&self.manifests)? };
        if !self.only.is_empty() {
            manifests.retain(|manifest| self.only.contains(&manifest.part()));
            anyhow::ensure!(!manifests.is_empty(), "no manifest belongs to what --only names");
        }
        let exempt = &self.exempt_namespaces;
        let settings = Settings {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            verify_timeout: self.provider_timeout_verify,
            mutate_timeout: self.provider_timeout_mutate,
            enforcement_action: self.enforcement_action,
            exempt_namespaces: (!exempt.is_empty()).then(|| exempt.clone()),
        };
        settings.make(&mut manifests)?;
        Ok(manifests)
    }

    fn bundle(&self) -> anyhow::Result<Bundle> {
        match (&self.ca_bundle, &self.ca_secret, &self.namespace) {
            (Some(file), _, _) => {
                let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
                let bundle = CaBundle::parse(&bytes).with_context(|| format!("{} is no CA bundle", file.display()))?;
                Ok(Bundle::Given(bundle))
            }
            (None, Some(name), Some(namespace)) => {
                Ok(Bundle::Secret { namespace: namespace.clone(), name: name.clone() })
            }
            (None, None, _) | (None, Some(_), None) => Ok(Bundle::Kept),
        }
    }
}

/// What is done goes to standard output, what is waited for to standard error. Nobody may be left to read either.
fn say(said: Said) {
    let _ = match said {
        Said::Active(object) => writeln!(io::stdout().lock(), "{object}: active"),
        Said::Applied(object, change) => writeln!(io::stdout().lock(), "{object}: {change}"),
        Said::Skipped(object, why) => writeln!(io::stdout().lock(), "{object}: not checked: {why}"),
        Said::Waiting(object, why) => writeln!(io::stderr().lock(), "{object}: waiting: {why}"),
    };
}

fn fail(error: &ApplyError) -> anyhow::Result<Outcome> {
    writeln!(io::stderr().lock(), "countersign: {}", reason::printable(&error.to_string(), reason::MAX_REASON_BYTES))?;
    Ok(if error.may_pass() { Outcome::Undecided } else { Outcome::Refused })
}

/// RFC 1123, DNS label.
fn label(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.to_owned()) } else { Err("no name of a namespace or Service".to_owned()) }
}

/// RFC 1123, DNS subdomain.
fn subdomain(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    if is_name { Ok(text.to_owned()) } else { Err("no name of an object".to_owned()) }
}

/// A namespace, or with one `*` at its end or start those that begin or end so, as Gatekeeper has it. Not all of them.
fn pattern(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('*').or_else(|| text.strip_prefix('*')).unwrap_or(text);
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) {
        Ok(text.to_owned())
    } else {
        Err("no name of a namespace, with at most one `*` at an end".to_owned())
    }
}

fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text).map_err(|error| error.to_string())?;
    let is_whole = duration.subsec_nanos() == 0;
    if is_whole && (Duration::from_secs(1)..=MAX_PROVIDER_TIMEOUT).contains(&duration) {
        Ok(duration)
    } else {
        Err("whole seconds, from 1s to 30s".to_owned())
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text).map_err(|error| error.to_string())?;
    if duration <= Duration::from_hours(1) { Ok(duration) } else { Err("must be at most 1h".to_owned()) }
}
