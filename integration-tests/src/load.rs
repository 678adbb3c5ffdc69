//! Load, faults and hostile input against the product as it is run: a process of its own, over TLS, with a registry that is another.
//!
//! ```text
//!  load ──mTLS, ProviderRequests──► countersign serve ──HTTP──► load registry
//!    │ Truth of every image             │ /proc/PID                ▲ Behaviour, Counts
//!    └──────────────────────────────────┴──────────────────────────┘
//!    └──the same load──► load null: says yes and does nothing
//! ```
//!
//! The generator knows what is true of each image. One false accept, one malformed reply, one reply past the deadline, one lost answer,
//! one panic or one leak fails a run. Everything stays on loopback, is bounded in count and time, and ends with its parent.

use std::{
    env, io,
    path::Path,
    process,
    time::{Duration, Instant},
};

use countersign::time::Clock;

pub mod client;
pub mod generator;
pub mod lab;
pub mod measure;
pub mod null;
pub mod options;
mod parent;
mod pem;
pub mod random;
pub mod registry;
pub mod reply;
pub mod report;
pub mod scenarios;
pub mod server;
pub mod signers;
pub mod stall;
pub mod tally;
pub mod trial;
pub mod truth;

use self::{
    options::Options,
    report::{Outcome, Report, head, line},
    scenarios::{ALL, Scenario},
};

/// Longest that the smoke set may take in all.
const SMOKE: Duration = Duration::from_mins(5);

/// The program: a run, or one of the processes of a run. Whether everything holds.
///
/// # Errors
/// A process cannot be started, a file cannot be written, or a scenario is not known.
pub async fn run() -> io::Result<bool> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["registry", folder, hosts, port, seed] => {
            let wrong = |_| io::Error::from(io::ErrorKind::InvalidInput);
            let (hosts, port) = (hosts.parse().map_err(wrong)?, port.parse().map_err(wrong)?);
            registry::serve(Path::new(folder), hosts, port, seed.parse().map_err(wrong)?).await?;
            Ok(true)
        }
        ["null", folder] => {
            null::serve(Path::new(folder)).await?;
            Ok(true)
        }
        _ => run_scenarios(&Options::read(fresh_seed())?).await,
    }
}

/// Another one each time.
fn fresh_seed() -> u64 {
    let now = Clock::System.now();
    u64::from(process::id()) << 32 | u64::from(now.nanosecond())
}

async fn run_scenarios(options: &Options) -> io::Result<bool> {
    if options.list {
        for Scenario { name, what, smoke, foreign, .. } in ALL {
            println!(
                "{name:7} {} {} {what}",
                if *smoke { "smoke" } else { "     " },
                if *foreign { "any" } else { "own" }
            );
        }
        return Ok(true);
    }
    let chosen = chosen(options)?;
    if chosen.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "name scenarios, or --smoke; --list names them"));
    }
    println!("seed {}\n\n{}", options.seed, head(!options.smoke));
    let start = Instant::now();
    let mut report = Report { seed: options.seed, outcomes: Vec::new() };
    for scenario in chosen {
        let outcome = scenario.run(options).await?;
        tell(&outcome, options);
        report.outcomes.push(outcome);
    }
    let took = start.elapsed();
    if options.smoke && took > SMOKE {
        println!("\nthe smoke set took {} s; {} are meant", took.as_secs(), SMOKE.as_secs());
    }
    if let Some(file) = &options.json {
        report.store(file)?;
    }
    if let Some(file) = &options.compare {
        println!("\n{}", report.beside(&Report::read(file)?));
    }
    let failed: Vec<&str> =
        report.outcomes.iter().filter(|one| !one.faults.is_empty()).map(|one| one.scenario.as_str()).collect();
    if failed.is_empty() {
        println!("\n{} scenarios hold", report.outcomes.len());
    } else {
        println!("\nFAILED: {} (seed {})", failed.join(", "), options.seed);
    }
    Ok(report.holds())
}

fn chosen(options: &Options) -> io::Result<Vec<&'static Scenario>> {
    if options.scenarios.is_empty() {
        return Ok(ALL.iter().filter(|scenario| options.smoke && scenario.smoke).collect());
    }
    let find = |name: &String| {
        let found = ALL.iter().find(|scenario| scenario.name.eq_ignore_ascii_case(name));
        let unfit = || io::Error::new(io::ErrorKind::InvalidInput, format!("no scenario {name} for this target"));
        found.filter(|scenario| scenario.foreign || options.foreign.is_none()).ok_or_else(unfit)
    };
    options.scenarios.iter().map(find).collect()
}

fn tell(outcome: &Outcome, options: &Options) {
    for row in &outcome.rows {
        println!("{}", line(row, !options.smoke));
    }
    for fault in &outcome.faults {
        println!("  {} FAILED: {fault}", outcome.scenario);
    }
    if options.smoke {
        return;
    }
    for figure in &outcome.figures {
        println!("  {}: {:.2} ({})", figure.what, figure.is, if figure.reached { "reached" } else { "SHORT" });
    }
    if outcome.stalled_ms > 50.0 {
        println!("  the harness itself was held up for {:.0} ms", outcome.stalled_ms);
    }
}
