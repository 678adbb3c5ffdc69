//! The command line. Each subcommand is a file, thin; exit codes are for scripts.

use std::{io, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Process;

mod apply;
mod check;
#[cfg(feature = "demo")]
mod demo;
mod discover;
mod inspect;
mod plugin;
mod registries;
mod resolve;
mod serve;
mod tree;
mod verify;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 0: what was asked for is so.
    Done,
    /// 1: at least one image was refused, or something does not exist.
    Refused,
    /// 3: nothing was refused, but of at least one image nothing could be found out.
    Undecided,
}

/// Usage and configuration errors end with this code, as clap's own do.
pub const USAGE: u8 = 2;

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Refused => 1,
            Outcome::Undecided => 3,
        })
    }
}

/// Verifies what is attached to images, and answers Gatekeeper with proof.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    // Boxed: it has many flags.
    Verify(Box<verify::Verify>),
    Discover(discover::Discover),
    Inspect(inspect::Inspect),
    Resolve(resolve::Resolve),
    Check(check::Check),
    // Boxed: it has many flags.
    Apply(Box<apply::Apply>),
    Plugin(plugin::Plugin),
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    Completions(Completions),
}

/// Prints a completion script for a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign completions bash > /etc/bash_completion.d/countersign\n  source <(countersign completions zsh)"
)]
struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Cli {
    /// Runs the command. Blocks until it is done.
    ///
    /// # Errors
    /// Usage and configuration errors, and what kept the command from running at all.
    pub fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { command } = self;
        match command {
            Command::Serve(serve) => runtime()?.block_on(serve.run(process)),
            Command::Verify(verify) => runtime()?.block_on(verify.run(process)),
            Command::Discover(discover) => runtime()?.block_on(discover.run(process)),
            Command::Inspect(inspect) => runtime()?.block_on(inspect.run(process)),
            Command::Resolve(resolve) => runtime()?.block_on(resolve.run(process)),
            Command::Check(check) => runtime()?.block_on(check.run(process)),
            Command::Apply(apply) => runtime()?.block_on(apply.run()),
            Command::Plugin(plugin) => runtime()?.block_on(plugin.run(process)),
            #[cfg(feature = "demo")]
            Command::Demo(demo) => runtime()?.block_on(demo.run(process)),
            Command::Completions(Completions { shell }) => {
                clap_complete::generate(shell, &mut Self::command(), "countersign", &mut io::stdout());
                Ok(Outcome::Done)
            }
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

#[cfg(test)]
mod tests;
