//! Verdicts that are cached: L1, L1b, L2, L6, L10.

use std::{io, time::Duration};

use serde_json::json;

use crate::load::{
    client::Keep,
    generator::{Load, Name, Pick, Until},
    lab::Setup,
    options::Options,
    report::Outcome,
    tally::{Grace, float},
    trial::Trial,
    truth::Format,
};

/// Clients of hot scenarios.
const CLIENTS: usize = 32;
/// Images that are asked about again and again.
const IMAGES: usize = 100;

/// L1
pub(super) async fn kept(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L1", &Setup::default()).await?;
    let images = trial.lab.stock("hot", Format::Notation, IMAGES, 1).await;
    trial.warm(&images, 16).await;
    let load = trial.lab.load(&images, CLIENTS, Until::For(options.length(5, 30)));
    let (tally, counts) = trial.phase("L1", load.clone(), Grace::default()).await;
    trial.beside_null(load).await?;
    all_yes(&mut trial, tally.of("yes"), tally.keys);
    // Verdicts and listings live ten seconds, and are found out anew then: content is not fetched again.
    let lives = tally.wall.as_secs() / 10 + 2;
    let most = float(lives) * float(u64::try_from(IMAGES).unwrap_or_default()) * 2.0;
    let seen = float(counts.reads());
    trial.outcome.check(options.foreign.is_some() || seen <= most, || format!("{seen} calls for {IMAGES} hot images"));
    trial.outcome.at_least("requests a second", 20_000.0, tally.rate());
    trial.outcome.at_most("p99 in ms", 20.0, tally.points().p99);
    Ok(trial.close().await)
}

/// L1b
pub(super) async fn many_keys(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L1b", &Setup::default()).await?;
    let images = trial.lab.stock("hot", Format::Notation, IMAGES, 5).await;
    trial.warm(&images, 16).await;
    let load = Load { keys: 10, ..trial.lab.load(&images, CLIENTS, Until::For(options.length(5, 30))) };
    let (tally, _) = trial.phase("L1b", load.clone(), Grace::default()).await;
    trial.beside_null(load).await?;
    all_yes(&mut trial, tally.of("yes"), tally.keys);
    trial.outcome.at_least("requests a second", 6_000.0, tally.rate());
    trial.outcome.at_most("p99 in ms", 40.0, tally.points().p99);
    Ok(trial.close().await)
}

/// L2
pub(super) async fn fresh(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L2", &Setup::default()).await?;
    let images = trial.lab.stock("hot", Format::Notation, IMAGES, 1).await;
    trial.warm(&images, 16).await;
    let load = trial.lab.load(&images, CLIENTS, Until::For(options.length(5, 30)));
    let load = Load { keep: Keep::Close, ..load };
    let (tally, _) = trial.phase("L2", load.clone(), Grace::default()).await;
    trial.beside_null(load).await?;
    all_yes(&mut trial, tally.of("yes"), tally.keys);
    let (connections, requests) = (tally.connections, tally.requests);
    trial.outcome.check(connections == requests, || format!("{connections} connections for {requests} requests"));
    trial.outcome.at_least("requests a second", 900.0, tally.rate());
    if let Some(cpu) = trial.outcome.rows.last().map(|row| row.cpu_ms) {
        trial.outcome.at_most("CPU ms a request", 0.35, cpu);
    }
    Ok(trial.close().await)
}

/// L6
pub(super) async fn mutate(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L6", &Setup::default()).await?;
    let images = trial.lab.mixture("mutate", Format::Notation, IMAGES).await;
    let load = trial.lab.load(&images, CLIENTS, Until::For(options.length(5, 30)));
    let load = Load { name: Name::Mutate, pick: Pick::Random, pace: Some(200.0), ..load };
    let (tally, counts) = trial.phase("L6", load, Grace::default()).await;
    all_yes(&mut trial, tally.of("yes"), tally.keys);
    // What has a digest is answered without a call, and verification is nobody's business here.
    let (tags, other) = (counts.tags, counts.blobs + counts.referrers + counts.manifests);
    let half = tally.keys * 3 / 4;
    trial.outcome.check(tags <= half && other == 0, || format!("{tags} tags asked for {half}, {other} other calls"));
    trial.outcome.at_most("p99 in ms", 100.0, tally.points().p99);
    Ok(trial.close().await)
}

/// L10
pub(super) async fn overload(options: &Options) -> io::Result<Outcome> {
    const PLACES: usize = 64;
    let setup = Setup { limits: json!({ "requests": PLACES }), ..Setup::default() };
    let mut trial = Trial::open(options, "L10", &setup).await?;
    let images = trial.lab.stock("hot", Format::Notation, IMAGES, 1).await;
    trial.warm(&images, 16).await;
    let length = options.length(5, 60);
    let load = Load { keys: 10, ..trial.lab.load(&images, PLACES, Until::For(Duration::from_secs(5))) };
    let (capacity, _) = trial.phase("L10 capacity", load.clone(), Grace::default()).await;
    let (tally, _) = trial
        .phase("L10", Load { clients: 5 * PLACES, until: Until::For(length), ..load.clone() }, Grace::default())
        .await;
    let goodput = float(tally.of("yes")) / tally.wall.as_secs_f64();
    trial.outcome.at_least("goodput to capacity", 0.8, goodput / capacity.key_rate());
    let others = tally.system_errors.keys().filter(|code| *code != "OVERLOADED").count();
    trial.outcome.check(others == 0, || format!("other errors than OVERLOADED: {:?}", tally.system_errors));
    let counted = trial.lab.server().metric("countersign_requests_total", &["OVERLOADED"]).await;
    let told = float(tally.system_errors.get("OVERLOADED").copied().unwrap_or_default());
    trial.outcome.check((counted - told).abs() < 0.5, || format!("{told} were told OVERLOADED, {counted} counted"));
    let (after, _) = trial.phase("L10 after", load, Grace::default()).await;
    all_yes(&mut trial, after.of("yes"), after.keys);
    Ok(trial.close().await)
}

fn all_yes(trial: &mut Trial, yes: u64, keys: u64) {
    trial.outcome.check(yes == keys && keys > 0, || format!("{yes} of {keys} keys answered as they should be"));
}
