//! `countersign inspect`: what is attached to an image, and what it says of itself.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    Outcome,
    registries::{Places, timeout},
    resolve::fail,
    verify::moment,
};
use crate::{config::Process, oci::Reference, time::Clock};

mod document;
mod gather;
mod tree;

/// Prints what is attached to an image and what it says: signatures with their signers, times and certificates, attestations,
/// SBOMs. Nothing of it is verified.
///
/// Warns of what has expired or will within 30 days.
///
/// Exit code: 0 it is shown, whatever it is; 1 there is no such image; 3 that, or something that is attached, could not be
/// found out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign inspect registry.example.com/app:1.2
  countersign inspect app:1.2 --layout ./images --output json
  countersign inspect registry.example.com/app:1.2 --at 2027-01-01T00:00:00Z
  countersign inspect localhost:5000/app:dev \\
      --plain-http localhost:5000 --allow-loopback localhost:5000")]
pub(super) struct Inspect {
    /// The image
    #[arg(value_name = "REF")]
    reference: Reference,
    /// A configuration whose stores are used
    #[arg(long, value_name = "FILE", conflicts_with = "layout")]
    config: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
    /// Warn as of this moment (RFC 3339) instead of now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<OffsetDateTime>,
    /// How long it may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = timeout)]
    timeout: Duration,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Output::Tree)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON document
    Json,
    /// For people
    Tree,
}

impl Inspect {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { reference, config, places, at, timeout, output } = self;
        let deadline = Instant::now() + timeout;
        let store = places.store(config.as_deref(), &reference, process).await?;
        let now = at.map_or(Clock::System, Clock::Fixed).now();
        let inspection = match gather::inspect(&*store, &reference, now, deadline).await {
            Ok(inspection) => inspection,
            Err(error) => return fail(&error),
        };
        let mut out = io::stdout().lock();
        match output {
            Output::Json => {
                serde_json::to_writer_pretty(&mut out, &inspection.document)?;
                writeln!(out)?;
            }
            Output::Tree => tree::write(&mut out, &inspection.document)?,
        }
        Ok(if inspection.is_open { Outcome::Undecided } else { Outcome::Done })
    }
}

#[cfg(test)]
mod tests;
