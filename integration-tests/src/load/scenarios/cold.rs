//! Images that nobody has asked about: L3, L3c, L4, L5, L7, L8.

use std::{
    io,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::load::{
    generator::{self, Load, Name, Pick, Until},
    lab::Setup,
    options::Options,
    registry::Behaviour,
    report::Outcome,
    tally::{Grace, float},
    trial::Trial,
    truth::Format,
};

/// How far away registries of cold scenarios are.
const AWAY: u64 = 20;
/// Signatures of an image there.
const SIGNATURES: usize = 5;

/// L3
pub(super) async fn notation(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L3", &Setup::default()).await?;
    // The image, the listing, and a manifest and an envelope for each signature.
    cold(&mut trial, "L3", Format::Notation, options.size(200, 5000), 12.0, Some(400.0)).await?;
    Ok(trial.close().await)
}

/// L3c
pub(super) async fn cosign(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L3c", &Setup::default()).await?;
    // The image, the listing, where signatures of OCI 1.1 would be, the tag's manifest, and a payload for each signature.
    cold(&mut trial, "L3c .sig", Format::Sig, options.size(200, 5000), 8.0, Some(400.0)).await?;
    cold(&mut trial, "L3c bundles", Format::Bundle, options.size(100, 2000), 12.0, None).await?;
    Ok(trial.close().await)
}

async fn cold(
    trial: &mut Trial,
    name: &str,
    format: Format,
    images: usize,
    minimum: f64,
    rate: Option<f64>,
) -> io::Result<()> {
    let images = trial.lab.stock("cold", format, images, SIGNATURES).await;
    trial.lab.behave(Behaviour { latency_ms: AWAY, ..Behaviour::default() }).await;
    let load = Load { pick: Pick::Once, ..trial.lab.load(&images, 50, Until::Requests(u64::MAX)) };
    let (tally, counts) = trial.phase(name, load, Grace::default()).await;
    let (yes, keys) = (tally.of("yes"), tally.keys);
    trial.outcome.check(yes == keys, || format!("{yes} of {keys} verified"));
    let calls = float(counts.reads()) / float(keys.max(1));
    let foreign = trial.lab.options.foreign.is_some();
    trial.outcome.check(foreign || calls <= minimum, || format!("{calls} calls an image, {minimum} are enough"));
    if let Some(rate) = rate {
        trial.outcome.at_least("images a second", rate, tally.key_rate());
        trial.outcome.at_most("p99 in ms", 1000.0, tally.points().p99);
    }
    Ok(())
}

/// L4
pub(super) async fn herd(options: &Options) -> io::Result<Outcome> {
    const CLIENTS: usize = 500;
    let setup = Setup { limits: json!({ "requests": 1024 }), ..Setup::default() };
    let mut trial = Trial::open(options, "L4", &setup).await?;
    trial.lab.behave(Behaviour { latency_ms: 100, ..Behaviour::default() }).await;
    for (format, manifests, blobs) in [(Format::Notation, 6, 5), (Format::Sig, 1, 5), (Format::Bundle, 6, 5)] {
        let images = trial.lab.stock("herd", format, 1, SIGNATURES).await;
        let load = trial.lab.load(&images, CLIENTS, Until::Requests(500));
        let name = format!("L4 {}", format.folder());
        let (tally, counts) = trial.phase(&name, load, Grace::default()).await;
        let yes = tally.of("yes");
        trial.outcome.check(yes == 500, || format!("{name}: {yes} of 500 verified, {:?}", tally.system_errors));
        let listed = if format == Format::Sig { counts.tags } else { counts.referrers };
        let once = counts.most_of_one == 1 && listed == 1 && counts.manifests == manifests && counts.blobs == blobs;
        trial.outcome.check(once, || format!("{name}: asked more than once: {counts:?}"));
    }
    // By tag each question resolves anew, and those that wait together once.
    let images = trial.lab.stock("tagged", Format::Notation, 1, 1).await;
    let load = Load { name: Name::Tag, ..trial.lab.load(&images, CLIENTS, Until::Requests(500)) };
    let (tally, counts) = trial.phase("L4 by tag", load, Grace::default()).await;
    let yes = tally.of("yes");
    let once = counts.referrers == 1 && counts.blobs == 1 && counts.tags < 100;
    trial.outcome.check(yes == 500 && once, || format!("by tag: {yes} of 500 verified, {counts:?}"));
    Ok(trial.close().await)
}

/// L5
pub(super) async fn batch(options: &Options) -> io::Result<Outcome> {
    const KEYS: usize = 512;
    let mut trial = Trial::open(options, "L5", &Setup { hosts: 8, ..Setup::default() }).await?;
    let images = trial.lab.stock("batch", Format::Notation, KEYS, 1).await;
    trial.lab.behave(Behaviour { latency_ms: AWAY, ..Behaviour::default() }).await;
    let load = Load { keys: KEYS, pick: Pick::Once, ..trial.lab.load(&images, 1, Until::Requests(1)) };
    let (tally, counts) = trial.phase("L5", load, Grace::default()).await;
    let (yes, peak) = (tally.of("yes"), counts.peak);
    trial.outcome.at_least("keys verified in one request", float(512), float(yes));
    trial.outcome.check(peak <= 128, || format!("{peak} calls in flight on one host"));
    Ok(trial.close().await)
}

/// L7: the shape that Ratify published.
pub(super) async fn pods(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L7", &Setup::default()).await?;
    let images = trial.lab.stock("pods", Format::Notation, 10, SIGNATURES).await;
    let requests = u64::try_from(options.size(1000, 10_000)).unwrap_or_default();
    let load = Load { keys: 10, ..trial.lab.load(&images, 200, Until::Requests(requests)) };
    let (tally, _) = trial.phase("L7", load.clone(), Grace::default()).await;
    trial.beside_null(load).await?;
    let (yes, keys) = (tally.of("yes"), tally.keys);
    trial.outcome.check(yes == keys, || format!("{yes} of {keys} verified, {:?}", tally.system_errors));
    if let Some(peak) = trial.outcome.rows.last().map(|row| row.peak_mib) {
        trial.outcome.at_most("peak MiB", 80.0, peak);
    }
    Ok(trial.close().await)
}

/// L8
pub(super) async fn small_registry(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "L8", &Setup::default()).await?;
    let images = trial.lab.stock("small", Format::Notation, options.size(20, 200), SIGNATURES).await;
    trial.lab.behave(Behaviour { rate_limit: Some(50), ..Behaviour::default() }).await;
    let requests = u64::try_from(options.size(200, 10_000)).unwrap_or_default();
    let load = Load { pick: Pick::Random, ..trial.lab.load(&images, 200, Until::Requests(requests)) };
    let (tally, counts) = trial.phase("L8", load, Grace::default()).await;
    trial.outcome.at_most("calls a second", 60.0, float(counts.most_in_a_second));
    let denied = tally.of("no");
    trial.outcome.check(denied == 0, || format!("{denied} denied for a registry's haste"));
    let start = Instant::now();
    let mut left = u64::MAX;
    while left > 0 && start.elapsed() < Duration::from_mins(2) {
        let load = Load { pick: Pick::Once, ..trial.lab.load(&images, 8, Until::Requests(u64::MAX)) };
        let again = generator::run(load).await;
        trial.hold("L8 afterwards", &again, Grace::default());
        left = again.of("undecided");
    }
    trial.outcome.check(left == 0, || format!("{left} images never verified"));
    trial.outcome.at_most("seconds until all are verified", 60.0, start.elapsed().as_secs_f64());
    Ok(trial.close().await)
}
