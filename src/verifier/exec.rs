//! The verifier `exec`: a program of the operator's own, run once for each artifact.
//!
//! ```text
//! Artifact ──blobs──► Evidence ──protocol──► standard input ─► launch ─► the program, from a private copy of its pinned bytes
//!                        │                                                    │ standard output, exit status
//!                        └── files in a folder of the run                     ▼
//!                                                        run ──► Ran ──reply──► yes │ no │ don't know
//! ```
//!
//! Its yes is the program's word, under the operator's pin: it never names a signer, and holds for this verifier's name alone.
//! Whatever is not exactly one verdict (a crash, a deadline, too much output, another form) is *don't know*.

use std::{fs, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::time::Instant;

use self::{
    escort::Escort,
    evidence::Evidence,
    facade::{Pull, Pulls},
    launch::Launcher,
    metrics::Metrics,
    pool::Places,
    program::Program,
    protocol::Told as Request,
    reply::{Asked, Reply},
    run::{Ended, Job, Ran, RunError},
    words::Words,
    work::RunFolder,
};
use super::{
    Check, Findings, Item, Outcome, Rejection, Undecided, Verified, Verifier, VerifierName, VerifyError, VerifyRequest,
    Waiver,
};
use crate::{
    oci::{Binding, Referrer, Repository},
    reason::{self, Code},
    store::Deadline,
};

pub mod config;
pub mod escort;
pub mod evidence;
pub mod facade;
pub mod host;
pub mod launch;
mod metrics;
pub mod nested;
mod pool;
pub mod program;
mod protocol;
mod reply;
pub mod run;
mod words;
pub mod work;

pub use config::{Config, ConfigFault};
pub use host::Host;

/// The configuration's `type`.
pub const KIND: &str = "exec";
/// How much earlier than the question's deadline a run ends, so that what became of it can still be told.
const MARGIN: Duration = Duration::from_millis(30);

/// A verifier that asks a program.
#[derive(Debug)]
pub struct Exec {
    name: VerifierName,
    program: Program,
    artifact_types: Vec<String>,
    max_artifacts: usize,
    timeout: Duration,
    limits: config::Limits,
    launcher: Launcher,
    places: Places,
    metrics: Metrics,
    request: Request,
    words: Words,
}

/// One question to a program, and what became of it: what `plugin test` shows.
#[derive(Debug)]
pub struct Examination {
    /// What it was given on standard input; empty where it was not started.
    pub request: Vec<u8>,
    /// Names of the variables that it was given.
    pub environment: Vec<String>,
    /// What it asked of the loopback registry.
    pub pulls: Vec<Pull>,
    /// The run.
    pub ran: Result<Ran, RunError>,
    /// What is made of it.
    pub outcome: Result<Verified, VerifyError>,
}

/// What a program is given.
#[derive(Debug, Default)]
struct Given {
    request: Vec<u8>,
    environment: Vec<String>,
    pulls: Pulls,
}

impl Exec {
    /// Finds the program, checks it against its pin, and copies it.
    ///
    /// Cost: reads the program whole.
    ///
    /// # Errors
    /// Every fault of the configuration; then what is wrong with the program.
    pub fn load(name: VerifierName, config: &Config, host: &Host) -> Result<Self, Vec<ConfigFault>> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let pin = config.pin().map_err(|fault| vec![fault])?;
        let program = Program::load(&config.command, &pin, &host.directories, &host.work)
            .map_err(|fault| vec![ConfigFault::Program(fault)])?;
        host.metrics.expect(&name);
        Ok(Self {
            request: Request::new(&name, config),
            words: Words::new(config, &program),
            name,
            program,
            artifact_types: config.artifact_types.clone(),
            max_artifacts: config.max_artifacts,
            timeout: config.timeout,
            limits: config.limits,
            launcher: host.launcher.clone(),
            places: host.pool.places(config.max_concurrent),
            metrics: host.metrics.clone(),
        })
    }

    /// The program.
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// What one run may cost.
    pub const fn limits(&self) -> &config::Limits {
        &self.limits
    }

    /// Asks the program about this evidence. It is over before `deadline`.
    pub async fn examine(&self, evidence: &Arc<Evidence>, now: OffsetDateTime, deadline: Deadline) -> Examination {
        let place = match self.places.take(deadline).await {
            Ok(place) => place,
            Err(full) => {
                let undecided = Undecided::new(Code::Overloaded, full.what()).with_told(self.words.mark(None));
                return self.concluded(Given::default(), Err(RunError::Place), Err(undecided.into()));
            }
        };
        let running = self.metrics.running(&self.name);
        let deadline = deadline.min(Instant::now() + self.timeout);
        let (folder, escort, request) = match self.prepare(evidence).await {
            Ok(prepared) => prepared,
            Err(error) => return self.unstarted(Given::default(), RunError::Surroundings(error)),
        };
        let subject = evidence.subject().to_string();
        let environment = self.request.environment(&subject, &folder.home(), escort.environment());
        let names = environment.iter().map(|(name, _)| name.clone()).collect();
        let given = Given { request: request.clone(), environment: names, pulls: escort.pulls() };
        let job = Job {
            program: self.program.clone(),
            launcher: self.launcher.clone(),
            environment,
            home: folder.home(),
            input: request,
            limits: self.limits,
            deadline,
        };
        match run::run(job, (folder, escort, running, place)).await {
            Ok(ran) => {
                self.metrics.ran(&self.name, &ran);
                let outcome = self.judge(&ran, evidence, now);
                self.concluded(given, Ok(ran), outcome)
            }
            Err(error) => self.unstarted(given, error),
        }
    }

    fn takes(&self, artifact_type: &str) -> bool {
        self.artifact_types.iter().any(|wanted| wanted == "*" || wanted == artifact_type)
    }

    fn unstarted(&self, given: Given, error: RunError) -> Examination {
        let undecided = Undecided::new(Code::PluginFailed, reason::chain(&error)).with_told(self.words.mark(None));
        self.concluded(given, Err(error), Err(undecided.into()))
    }

    fn concluded(
        &self,
        given: Given,
        ran: Result<Ran, RunError>,
        outcome: Result<Verified, VerifyError>,
    ) -> Examination {
        let code = outcome.as_ref().map_or_else(VerifyError::code, Verified::code);
        self.metrics.ended(&self.name, code);
        let Given { request, environment, pulls } = given;
        Examination { request, environment, pulls: pulls.take(), ran, outcome }
    }

    /// The folder of the run with the blobs in it, what stands beside it, and what the program reads.
    async fn prepare(&self, evidence: &Arc<Evidence>) -> io::Result<(RunFolder, Escort, Vec<u8>)> {
        let (work, shown) = (Arc::clone(self.program.work()), Arc::clone(evidence));
        let made = tokio::task::spawn_blocking(move || {
            let folder = work.run_folder()?;
            for blob in shown.blobs() {
                fs::write(protocol::blob_path(&folder.blobs(), blob.descriptor()), blob.bytes())?;
            }
            Ok::<_, io::Error>(folder)
        });
        let folder = made.await.map_err(io::Error::other)??;
        let escort = Escort::start(evidence, &folder).await?;
        let request = self.request.request(evidence, escort.store_config(), &folder.blobs())?;
        Ok((folder, escort, request))
    }

    /// What a run says: exit status 0 and one verdict, or nothing.
    fn judge(&self, ran: &Ran, evidence: &Evidence, now: OffsetDateTime) -> Result<Verified, VerifyError> {
        let undecided = |code, reason: String, message: Option<&str>| {
            VerifyError::from(Undecided::new(code, reason).with_told(self.words.mark(message)))
        };
        match ran.ended {
            Ended::Exited(0) => {}
            Ended::Exited(status) => {
                let failure = reply::failure(&ran.stdout);
                let (reason, message) = match &failure {
                    Some((6, message)) => {
                        let version = self.request.version();
                        (
                            format!(
                                "the plugin does not speak version {version} of the protocol (exit status {status})"
                            ),
                            message.as_str(),
                        )
                    }
                    Some((code, message)) => {
                        (format!("the plugin failed: exit status {status}, error {code}"), message.as_str())
                    }
                    None if status == i32::from(launch::FAILED) => {
                        ("the plugin could not be started (exit status 125)".to_owned(), "")
                    }
                    None => (format!("the plugin failed: exit status {status}"), ""),
                };
                return Err(undecided(Code::PluginFailed, reason, Some(message)));
            }
            Ended::Signal(signal) => {
                return Err(undecided(Code::PluginFailed, format!("the plugin was killed by signal {signal}"), None));
            }
            Ended::Deadline | Ended::Abandoned => {
                let reason = format!("the plugin did not end within {} ms", ran.took.as_millis());
                return Err(undecided(Code::PluginTimeout, reason, None));
            }
            Ended::Output => {
                let limit = self.limits.output_bytes;
                let reason = format!("the plugin wrote more than {limit} bytes (limits.outputBytes of the verifier)");
                return Err(undecided(Code::PluginOutput, reason, None));
            }
        }
        let (subject, artifact) = (evidence.subject().to_string(), evidence.artifact().descriptor().digest.to_string());
        let asked = Asked { verifier: &self.name, subject: &subject, artifact: &artifact };
        match Reply::read(&ran.stdout, &asked) {
            Err(error) => Err(undecided(Code::PluginProtocol, reason::chain(&error), None)),
            Ok(reply) if reply.is_success => Ok(self.accept(&reply, now)?),
            Ok(reply) => {
                let rejection = Rejection::new(Check::Plugin, Code::PluginRejected, "the plugin refuses the artifact");
                Err(rejection.with_told(self.words.of(&reply)).into())
            }
        }
    }

    fn accept(&self, reply: &Reply, now: OffsetDateTime) -> Result<Verified, Rejection> {
        let told = self.words.of(reply);
        let mut extensions = told.extensions;
        if let Some(message) = told.message {
            extensions.insert("message".to_owned(), message.into());
        }
        let findings = Findings {
            // The artifact names this subject: there is no evidence otherwise.
            checks: vec![(Check::Plugin, Outcome::Passed), (Check::Subject, Outcome::Passed)],
            signer: None,
            valid_until: None,
            signer_until: None,
            message: "the plugin accepts the artifact".to_owned(),
            extensions,
            warnings: Vec::new(),
            attested: None,
        };
        Verified::conclude(findings, now)
    }
}

#[async_trait]
impl Verifier for Exec {
    fn name(&self) -> &VerifierName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    fn can_verify(&self, referrer: &Referrer) -> bool {
        self.takes(referrer.descriptor.artifact_type.as_deref().unwrap_or_default())
    }

    fn max_attempts(&self) -> usize {
        self.max_artifacts
    }

    fn missing(&self) -> Rejection {
        let reason = format!("no artifact of type {} was found", self.artifact_types.join(" or "));
        Rejection::new(Check::Content, Code::NoArtifact, reason)
    }

    fn waives(&self, _repository: &Repository) -> Option<Waiver> {
        None
    }

    fn covers(&self, _repository: &Repository) -> Result<(), Rejection> {
        Ok(())
    }

    async fn verify(&self, request: &VerifyRequest<'_>) -> Result<Vec<Item>, VerifyError> {
        let artifact = request.artifact();
        // Listed as one type, it may be another.
        if !self.takes(artifact.artifact_type()) {
            return Ok(Vec::new());
        }
        if artifact.binding() != Binding::Subject {
            let reason = "the artifact does not name its subject, and a plugin signs nothing";
            return Err(Rejection::new(Check::Subject, Code::SubjectMismatch, reason).into());
        }
        let deadline = request.deadline().checked_sub(MARGIN).unwrap_or_else(|| request.deadline());
        let evidence = Arc::new(Evidence::gather(request, &self.limits).await?);
        let examination = self.examine(&evidence, request.now(), deadline).await;
        Ok(vec![Item::only(Ok(examination.outcome?))])
    }
}
