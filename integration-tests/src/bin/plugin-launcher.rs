//! What starts plugins in tests: the product's launcher, since `/proc/self/exe` of a test is the test.

use std::{env, process::ExitCode};

use countersign::verifier::exec::launch;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    if launch::is_wanted(&arguments) { launch::main(&arguments) } else { ExitCode::from(2) }
}
