//! countersign: the binary. Runs one command, prints an error as a chain, sets the exit code.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use countersign::{
    cli::{Cli, USAGE},
    config::Process,
    verifier::exec::launch,
};

/// Verifications ask for small pieces on one thread and give them back on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The first half of a plugin's process: nothing may run beside it.
    let arguments: Vec<_> = env::args_os().collect();
    if launch::is_wanted(&arguments) {
        return launch::main(&arguments);
    }
    // Before anything can make a TLS configuration; a second provider would be a fault of ours.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return fail("a cryptographic provider is already installed");
    }
    match Cli::parse().run(&Process::current()) {
        Ok(outcome) => outcome.into(),
        Err(error) => fail(&format!("{error:#}")),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nobody is left to be told where standard error is closed.
    let _ = writeln!(io::stderr(), "countersign: {message}");
    ExitCode::from(USAGE)
}
