//! `countersign plugin`: what whoever writes a verifier needs.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};
use tokio::time::Instant;

use self::{attached::Attached, told::Told};
use super::{Outcome, registries::timeout, resolve::fail};
use crate::{
    config::Process,
    json,
    oci::{Digest, Reference},
    reason,
    store::layout::{self, Layout},
    time::Clock,
    verifier::{
        VerifyError,
        exec::{self, Exec, Host, config::HostConfig, config::HostLimits, evidence::Evidence},
    },
};

mod attached;
mod told;

/// Largest file that `--config` may name: a verifier's own settings have at most 64 KiB.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// How long what is around a run may take: reading the program and the artifact.
const AROUND: Duration = Duration::from_mins(1);

/// Helps to write verifier plugins.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign plugin test ./licence-approval.sh --layout approved --artifact app:approval --config approved/config.json")]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // Boxed: it has many flags.
    Test(Box<Test>),
}

impl Plugin {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        match self.command {
            Command::Test(test) => test.run(process).await,
        }
    }
}

/// Runs one plugin on one artifact, as the server would, and shows what it was given, what it answered, and what is made of it.
///
/// Exit code: 0 it says yes; 1 it says no, or there is no such artifact of the image; 3 nothing could be found out; 2 usage
/// error, or no plugin.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign plugin test ./licence-approval.sh --layout approved --artifact app:approval --config approved/config.json
  countersign plugin test ./sbom --layout images --artifact sha256:… --subject registry.example.com/app:1.2 --output json
  countersign plugin test ./sbom --layout images --artifact sha256:… --config sbom.json --sha256 …")]
struct Test {
    /// The program: an executable, or a script with `#!`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// What is attached to an image: a digest, or a reference
    #[arg(long, value_name = "DIGEST|REF")]
    artifact: String,
    /// The image that it is attached to (default: the one that it names itself)
    #[arg(long, value_name = "REF")]
    subject: Option<Reference>,
    /// The OCI image layout that both are in, whatever registry they are said to be of
    #[arg(long, value_name = "DIR")]
    layout: PathBuf,
    /// The plugin's own settings, as `config` of its verifier has them: a JSON object
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The verifier's name (default: the program's file name)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The version of the plugin protocol
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    protocol: String,
    /// Run it only if this is its SHA-256
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// How long it may run, at most 30s
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    timeout: Duration,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON document
    Json,
    /// For people
    Table,
}

impl Test {
    async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { path, artifact, subject, layout, config, name, protocol, sha256, timeout, output } = self;
        let program = Program::at(&path, sha256)?;
        let mut settings = exec::Config::of_command(&program.command, &program.sha256);
        settings.config = config.map(|file| object(&file)).transpose()?.unwrap_or_default();
        settings.version = protocol;
        settings.timeout = timeout;
        let host = HostConfig { directories: vec![program.directory.clone()], ..HostConfig::default() };
        let host = Host::open(&host, HostLimits::default(), Path::new("."), None)
            .map_err(|fault| anyhow::anyhow!(reason::chain(&fault)))?;
        let exec = Exec::load(Arc::from(name.unwrap_or(program.command)), &settings, &host).map_err(|faults| {
            let faults: Vec<_> =
                faults.iter().map(|fault| format!("{}: {}", fault.path(), reason::chain(fault))).collect();
            anyhow::anyhow!("{} cannot be run: {}", path.display(), faults.join("; "))
        })?;
        let wanted = attached::Wanted::parse(&artifact, subject)?;
        let store = match Layout::open(&layout, layout::Limits::default()).await {
            Ok(store) => store,
            Err(error) => return fail(&error),
        };
        let deadline = Instant::now() + AROUND + timeout;
        let found = match Attached::find(&store, &wanted, deadline).await {
            Ok(found) => found,
            Err(attached::NotAttached::Store(error)) => return fail(&error),
            Err(attached::NotAttached::Artifact(why)) => {
                writeln!(io::stderr(), "{why}")?;
                return Ok(Outcome::Refused);
            }
        };
        let now = Clock::System.now();
        let request = found.request(&store, now, deadline);
        let evidence = match Evidence::gather(&request, exec.limits()).await {
            Ok(evidence) => Arc::new(evidence),
            Err(error) => return refuse(&error),
        };
        let examination = exec.examine(&evidence, now, deadline).await;
        let told = Told { exec: &exec, found: &found, examination: &examination, now };
        let mut out = io::stdout().lock();
        match output {
            Output::Json => {
                serde_json::to_writer_pretty(&mut out, &told.document()?)?;
                writeln!(out)?;
            }
            Output::Table => told.write(&mut out, io::stdout().is_terminal() && !process.no_color())?,
        }
        Ok(match &examination.outcome {
            Ok(_) => Outcome::Done,
            Err(error) => ending(error),
        })
    }
}

const fn ending(error: &VerifyError) -> Outcome {
    match error {
        VerifyError::Rejected(_) => Outcome::Refused,
        VerifyError::Undecided(_) => Outcome::Undecided,
    }
}

/// Says why the artifact could not even be handed over.
fn refuse(error: &VerifyError) -> anyhow::Result<Outcome> {
    let mut out = io::stderr().lock();
    writeln!(out, "{}: {}", error.code(), error.reason())?;
    writeln!(out, "remedy: {}", error.code().remedy())?;
    Ok(ending(error))
}

/// A program, where it really is.
struct Program {
    directory: PathBuf,
    command: String,
    sha256: Digest,
}

impl Program {
    /// Pins it: as it is now, or as `pin` says.
    fn at(path: &Path, pin: Option<String>) -> anyhow::Result<Self> {
        let real = path.canonicalize().with_context(|| format!("plugin {} cannot be found", path.display()))?;
        let (directory, command) = (real.parent(), real.file_name().and_then(|name| name.to_str()));
        let (directory, command) = directory.zip(command).with_context(|| format!("{} is no file", path.display()))?;
        let sha256 = match pin {
            Some(pin) => {
                let hex = pin.strip_prefix("sha256:").unwrap_or(&pin);
                Digest::parse(&format!("sha256:{hex}")).context("--sha256")?
            }
            None => exec::program::pin(&real).map_err(|fault| anyhow::anyhow!(reason::chain(&fault)))?,
        };
        Ok(Self { directory: directory.to_owned(), command: command.to_owned(), sha256 })
    }
}

/// A JSON object in a file.
fn object(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let what = || format!("--config {}", file.display());
    let mut bytes = Vec::new();
    let open = fs::File::open(file).with_context(what)?;
    open.take(MAX_CONFIG_BYTES.saturating_add(1)).read_to_end(&mut bytes).with_context(what)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > MAX_CONFIG_BYTES) {
        bail!("{} has more than {MAX_CONFIG_BYTES} bytes", what());
    }
    let Value::Object(members) = json::parse(&bytes, json::DOCUMENT_DEPTH).with_context(what)? else {
        bail!("{} is no JSON object", what());
    };
    Ok(members)
}

#[cfg(test)]
mod tests;
