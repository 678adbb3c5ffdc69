//! `sigstore-conformance --entrypoint …`: see `integration_tests::conformance`. Exit code 0 only for what is verified.

use std::{env, process::ExitCode};

use countersign::time::Clock;
use integration_tests::conformance::{self, Refused};

fn main() -> ExitCode {
    match conformance::answer(env::args().skip(1), Clock::System.now()) {
        Ok(findings) => {
            println!("verified: {}", findings.message);
            ExitCode::SUCCESS
        }
        Err(Refused::Rejected(reason)) => {
            eprintln!("rejected: {reason}");
            ExitCode::from(1)
        }
        Err(Refused::Unusable(reason)) => {
            eprintln!("unusable: {reason}");
            ExitCode::from(2)
        }
    }
}
