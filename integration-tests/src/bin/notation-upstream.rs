//! `notation-upstream DIR`: the vectors of a checkout of notation-go, judged by countersign (item 110).

use std::{path::Path, process::ExitCode};

use integration_tests::upstream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(checkout) = std::env::args_os().nth(1) else {
        eprintln!("usage: notation-upstream DIR, a checkout of notation-go");
        return ExitCode::from(2);
    };
    let (vectors, disagreements) = upstream::disagreements(Path::new(&checkout)).await;
    for disagreement in &disagreements {
        println!("{disagreement}");
    }
    println!("{} of {vectors} vectors agree", vectors - disagreements.len());
    ExitCode::from(u8::from(!disagreements.is_empty()))
}
