//! Configurations that change under load: F11, F6, L9.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use countersign::time::Clock;
use serde_json::json;

use crate::load::{
    generator::{self, Load, Pick, Until},
    lab::{Lab, Setup},
    options::Options,
    report::Outcome,
    tally::{Grace, float},
    trial::Trial,
    truth::Format,
};
use crate::notation::SigningAuthority;

/// How long a change may take to be seen: a second, and what a busy machine adds.
const SEEN: Duration = Duration::from_secs(20);
const GENERATION: &str = "countersign_config_generation";
const FAILURES: &str = "countersign_config_reload_failures_total";

/// F11
pub(super) async fn reloaded(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "F11", &Setup::default()).await?;
    let images = trial.lab.mixture("reload", Format::Notation, 50).await;
    let (stop, era) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = Load {
        era: Some(Arc::clone(&era)),
        pick: Pick::Random,
        pace: Some(if options.smoke { 100.0 } else { 300.0 }),
        ..trial.lab.load(&images, 16, Until::Told(Arc::clone(&stop)))
    };
    let clients = tokio::spawn(generator::run(load));
    let root = std::fs::read_to_string(trial.lab.path("root.pem"))?;
    // An authority by which nothing is signed; not the strangers'.
    let other = SigningAuthority::new("nobody", Clock::System.now()).pem();
    for round in 0..options.size(10, 100) {
        match round % 10 {
            // Two of ten are broken.
            3 | 7 => {
                let whole = trial.lab.configuration.to_string();
                let broken = if round % 10 == 3 {
                    whole.replace("policies", "polices")
                } else {
                    whole.chars().take(300).collect()
                };
                counts(&mut trial, FAILURES, |lab| lab.write("countersign.yaml", &broken)).await;
                counts(&mut trial, GENERATION, Lab::configure).await;
            }
            // One of ten takes the trust anchor away: what is in flight meanwhile may have seen either.
            5 => {
                counts(&mut trial, GENERATION, |lab| lab.write("root.pem", &other)).await;
                // It is in force: from now on nothing is believed.
                era.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(500)).await;
                era.fetch_add(1, Ordering::SeqCst);
                counts(&mut trial, GENERATION, |lab| lab.write("root.pem", &root)).await;
            }
            _ => {
                let age = format!("{}s", 5 + round % 5);
                trial.lab.configuration["limits"]["verdictTtl"] = json!(age);
                counts(&mut trial, GENERATION, Lab::configure).await;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let tally = clients.await.map_err(io::Error::other)?;
    // Between the writing of another anchor and the sight of it, a good image may rightly be refused.
    trial.hold("F11", &tally, Grace { denials: true, ..Grace::default() });
    let (untrusted, yes) = (tally.false_denials, tally.of("yes"));
    trial.outcome.check(yes > 0 && untrusted < yes, || format!("{yes} verified, {untrusted} refused"));
    let after = trial.lab.load(&images, 8, Until::Requests(200));
    trial.phase("F11 after", after, Grace::default()).await;
    Ok(trial.close().await)
}

/// Changes something, and waits until the metric that counts such changes has counted it.
async fn counts(trial: &mut Trial, metric: &str, change: impl FnOnce(&Lab)) {
    let before = trial.lab.server().metric(metric, &[]).await;
    change(&trial.lab);
    let reached = trial.lab.server().reaches(metric, &[], before + 1.0, SEEN).await;
    trial.outcome.check(reached, || format!("{metric} stayed at {before}"));
}

/// F6: a new generation has no verdicts, and content and listings live a moment only.
pub(super) async fn cold_caches(options: &Options) -> io::Result<Outcome> {
    let limits = json!({ "verdictTtl": "60s", "contentCacheBytes": 1, "listingTtl": "1s" });
    let mut trial = Trial::open(options, "F6", &Setup { limits, ..Setup::default() }).await?;
    let images = trial.lab.stock("hot", Format::Notation, 200, 1).await;
    trial.warm(&images, 16).await;
    let load = Load { pace: Some(200.0), ..trial.lab.load(&images, 32, Until::For(Duration::from_secs(5))) };
    trial.phase("F6 before", load.clone(), Grace::default()).await;
    trial.lab.configuration["limits"]["verdictTtl"] = json!("59s");
    trial.lab.configure();
    let (tally, counts) = trial.phase("F6", load.clone(), Grace::default()).await;
    let (yes, keys, peak) = (tally.of("yes"), tally.keys, counts.peak);
    trial.outcome.check(yes == keys, || format!("{yes} of {keys}, {:?}", tally.system_errors));
    trial.outcome.check(peak <= 128, || format!("{peak} calls in flight, the limit is 128"));
    let (after, _) = trial.phase("F6 after", load, Grace::default()).await;
    let rows = &trial.outcome.rows;
    let before = rows.first().map_or(0.0, |row| row.latency.p99);
    trial.outcome.at_most("p99 five seconds later, to what it was", 1.5, after.points().p99 / before);
    Ok(trial.close().await)
}

/// L9
pub(super) async fn soak(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L9", &Setup::default()).await?;
    let length = options.length(20, 1800);
    let hot = trial.lab.mixture("hot", Format::Notation, 200).await;
    let seconds = usize::try_from(length.as_secs()).unwrap_or(1800);
    let cold = trial.lab.mixture("cold", Format::Sig, seconds * 5 + 50).await;
    let stop = Arc::new(AtomicBool::new(false));
    let until = || Until::Told(Arc::clone(&stop));
    let steady = Load { pick: Pick::Random, pace: Some(2000.0), ..trial.lab.load(&hot, 32, until()) };
    let slow = Load { pick: Pick::Once, pace: Some(5.0), ..trial.lab.load(&cold, 8, until()) };
    let clients = [tokio::spawn(generator::run(steady)), tokio::spawn(generator::run(slow))];
    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < length {
        tokio::time::sleep(Duration::from_secs(30).min(length / 4)).await;
        let age = format!("{}s", 5 + samples.len() % 5);
        trial.lab.configuration["limits"]["verdictTtl"] = json!(age);
        trial.lab.configure();
        let held = trial.lab.measured.held();
        let mib = float(trial.lab.measured.resident_kib()) / 1024.0;
        samples.push((mib, held.files + held.connections.values().sum::<u64>()));
    }
    stop.store(true, Ordering::Relaxed);
    for (name, client) in ["L9 hot", "L9 cold"].into_iter().zip(clients) {
        let tally = client.await.map_err(io::Error::other)?;
        trial.hold(name, &tally, Grace::default());
        let undecided = tally.of("undecided");
        trial.outcome.check(undecided == 0, || format!("{name}: {undecided} undecided, {:?}", tally.system_errors));
    }
    // The first third is warming up.
    let later: Vec<_> = samples.iter().skip(samples.len() / 3).collect();
    if let (Some((first, files)), Some((last, files_then))) = (later.first(), later.last()) {
        let tens = (length.as_secs_f64() * 2.0 / 3.0 / 600.0).max(0.01);
        trial.outcome.at_most("MiB more in ten minutes", 1.0, (last - first) / tens);
        trial.outcome.check(*files_then <= files + 64, || format!("{files} descriptors became {files_then}"));
    }
    Ok(trial.close().await)
}
