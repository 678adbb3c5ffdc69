//! `countersign check`: everything that is wrong with a configuration.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;

use super::{Outcome, registries};
use crate::{
    app,
    config::{Config, ConfigError, Process},
    reason, server,
    telemetry::{DecisionLog, Telemetry},
    time::Clock,
};

/// Validates a configuration with all that it names, and says everything that is wrong with it. Reaches no network.
///
/// Exit code: 0 it works (warnings included), 2 it does not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign check --config countersign.yaml
  COUNTERSIGN__SERVER__ADDRESS=0.0.0.0:7001 countersign check --config countersign.yaml")]
pub(super) struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Check {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { config: file } = self;
        let config = Config::load(&file, process)?;
        let telemetry = Telemetry::detached(DecisionLog::None, io::sink())?;
        let mut faults = Vec::new();
        if let Err(error) = server::check_tls(&config.server, &telemetry) {
            faults.push(config.fault("server.tls", reason::chain(&error)));
        }
        let engine = app::build(&config, &registries::materials(&config)).await;
        let engine = match engine {
            Ok(engine) if faults.is_empty() => engine,
            other => {
                faults.extend(other.err().into_iter().flatten());
                return Err(ConfigError::Invalid { file, faults }.into());
            }
        };
        let mut out = io::stdout().lock();
        for warning in &engine.warnings {
            writeln!(out, "warning: {}", reason::printable(warning, reason::MAX_OUTSIDE_TEXT_BYTES))?;
        }
        for root in &engine.roots {
            let line = format!("trusted root {}: {}", root.name, root.origin);
            writeln!(out, "{}", reason::printable(&line, reason::MAX_OUTSIDE_TEXT_BYTES))?;
            if let Some(concern) = root.concern(Clock::System.now()) {
                writeln!(out, "warning: {}", reason::printable(&concern, reason::MAX_OUTSIDE_TEXT_BYTES))?;
            }
        }
        let (stores, verifiers, policies) = (config.stores.len(), config.verifiers.len(), config.policies.len());
        writeln!(out, "{} is valid: stores {stores}, verifiers {verifiers}, policies {policies}", file.display())?;
        Ok(Outcome::Done)
    }
}
