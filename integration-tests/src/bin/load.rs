//! `load SCENARIO…`, `load --smoke`, `load --list`: see `integration_tests::load`. Exit code 0 only where everything holds.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match integration_tests::load::run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}
