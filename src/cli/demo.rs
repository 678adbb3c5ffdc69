//! `countersign demo`: the main job on one machine, in a few seconds.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::Args;

use super::Outcome;
use crate::{
    config::Process,
    demo::{self, Afterwards, Colour, Options, Output},
};

/// Shows the main job: a registry, signed and unsigned images, the real server over mTLS, and the bundled template.
///
/// Everything is made for the occasion and stays on this machine. Exit code 0: each decision was the expected one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign demo
  countersign demo --json | jq .asExpected
  countersign demo --keep
  countersign demo --plugin examples/plugins/licence-approval.sh")]
pub(super) struct Demo {
    /// Leave everything running until Ctrl-C, and say how to reach it
    #[arg(long)]
    keep: bool,
    /// Print JSON instead of tables
    #[arg(long, conflicts_with = "keep")]
    json: bool,
    /// Show this program, too: a verifier of licence approvals, as `examples/plugins` has them
    #[arg(long, value_name = "PATH")]
    plugin: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { keep, json, plugin } = self;
        let coloured = io::stdout().is_terminal() && !process.no_color();
        let colour = if coloured { Colour::Ansi } else { Colour::Never };
        let options = Options {
            afterwards: if keep { Afterwards::Keep } else { Afterwards::Stop },
            plugin,
            output: if json { Output::Json } else { Output::Table(colour) },
        };
        Ok(match demo::run(options).await? {
            demo::Outcome::AsExpected => Outcome::Done,
            demo::Outcome::Otherwise => Outcome::Refused,
        })
    }
}
