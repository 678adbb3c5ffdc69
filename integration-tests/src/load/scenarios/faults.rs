//! Registries and token services that fail: F1 to F5.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::sleep;

use crate::load::{
    generator::{self, Load, Pick, Until},
    lab::Setup,
    options::Options,
    registry::{Behaviour, Fault, TokenService},
    report::Outcome,
    tally::{Grace, float},
    trial::Trial,
    truth::{Format, Image},
};

/// New images a second while something fails.
const COLD: f64 = 20.0;
/// Longest that the first success after a fault may take on any machine; the figure is one second.
const RECOVERY: Duration = Duration::from_secs(20);

/// F1
pub(super) async fn down(options: &Options) -> io::Result<Outcome> {
    outage(options, "F1", Behaviour { down: true, ..Behaviour::default() }).await
}

/// F2
pub(super) async fn stalled(options: &Options) -> io::Result<Outcome> {
    outage(options, "F2", Behaviour { faults: vec![(1000, Fault::Stall)], ..Behaviour::default() }).await
}

/// Hot images are answered throughout, new ones are undecided in time and verified as soon as they can be.
async fn outage(options: &Options, name: &str, fault: Behaviour) -> io::Result<Outcome> {
    // What is hot stays so for the whole outage.
    let setup = Setup { limits: json!({ "verdictTtl": "4m", "listingTtl": "4m" }), ..Setup::default() };
    let mut trial = Trial::open(options, name, &setup).await?;
    let hot = trial.lab.stock("hot", Format::Notation, 50, 1).await;
    trial.warm(&hot, 16).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = trial.lab.load(&hot, 16, Until::Told(Arc::clone(&stop)));
    let load = Load { pace: Some(if options.smoke { 100.0 } else { 200.0 }), ..load };
    let beside = tokio::spawn(generator::run(load));
    let length = options.length(5, if name == "F1" { 30 } else { 60 });
    let most = usize::try_from(length.as_secs()).unwrap_or(60) * 20 + 20;
    let cold = trial.lab.stock("cold", Format::Notation, most, 1).await;
    trial.lab.behave(fault).await;
    let load = Load { pick: Pick::Once, pace: Some(COLD), ..trial.lab.load(&cold, 100, Until::For(length)) };
    let (tally, _) = trial.phase(&format!("{name} cold"), load, Grace::default()).await;
    let (yes, denied) = (tally.of("yes"), tally.of("no"));
    trial.outcome.check(yes + denied == 0, || format!("{yes} verified and {denied} denied without a registry"));
    let server = trial.lab.server();
    // A call that is never answered has failed when its verification ends: `limits.finish` after the question's own deadline.
    let opened = server.reaches("countersign_registry_breaker_opened_total", &[], 1.0, Duration::from_secs(15)).await;
    let ports = [server.address.port(), server.admin.port()];
    let sockets = server.measured.held().outbound(&ports);
    trial.outcome.check(opened, || "the breaker never opened".to_owned());
    trial.outcome.check(sockets <= 128, || format!("{sockets} sockets to the registry, the limit is 128"));
    trial.lab.behave(Behaviour::default()).await;
    recovered(&mut trial, &cold).await;
    stop.store(true, Ordering::Relaxed);
    let beside = beside.await.map_err(io::Error::other)?;
    trial.hold(&format!("{name} hot"), &beside, Grace::default());
    let (yes, keys) = (beside.of("yes"), beside.keys);
    trial.outcome.check(yes == keys, || format!("hot: {yes} of {keys}, {:?}", beside.system_errors));
    Ok(trial.close().await)
}

/// Asks until the first of these is verified, and then until all are.
async fn recovered(trial: &mut Trial, images: &Arc<[Image]>) {
    let start = Instant::now();
    let first: Arc<[Image]> = images.iter().take(1).cloned().collect();
    let mut found = None;
    while found.is_none() && start.elapsed() < RECOVERY {
        let tally = generator::run(trial.lab.load(&first, 1, Until::Requests(1))).await;
        trial.hold("recovery", &tally, Grace::default());
        if tally.of("yes") == 1 {
            found = Some(start.elapsed());
        } else {
            sleep(Duration::from_millis(20)).await;
        }
    }
    trial.outcome.check(found.is_some(), || "nothing was verified after the fault had ended".to_owned());
    if let Some(found) = found {
        trial.outcome.at_most("seconds to the first success", 1.0, found.as_secs_f64());
    }
    let mut left = u64::MAX;
    while left > 0 && start.elapsed() < RECOVERY {
        let load = Load { pick: Pick::Once, ..trial.lab.load(images, 16, Until::Requests(u64::MAX)) };
        let tally = generator::run(load).await;
        trial.hold("recovery", &tally, Grace::default());
        left = tally.keys - tally.of("yes");
    }
    trial.outcome.check(left == 0, || format!("{left} images stay undecided after the fault"));
    trial.outcome.at_most("seconds until nothing is undecided", 5.0, start.elapsed().as_secs_f64());
}

/// F3
pub(super) async fn every_second(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "F3", &Setup::default()).await?;
    let length = options.length(6, 60);
    let most = usize::try_from(length.as_secs()).unwrap_or(60) * 20 + 20;
    let cold = trial.lab.stock("cold", Format::Notation, most, 1).await;
    trial.lab.behave(Behaviour { every_second_fails: true, ..Behaviour::default() }).await;
    let load = Load { pick: Pick::Once, pace: Some(COLD), ..trial.lab.load(&cold, 64, Until::For(length)) };
    let (tally, counts) = trial.phase("F3", load, Grace::default()).await;
    let (yes, keys) = (tally.of("yes"), tally.keys);
    trial.outcome.check(yes > 0, || format!("{yes} of {keys} verified, {:?}", tally.system_errors));
    trial.outcome.at_least("share that is verified", 0.85, float(yes) / float(keys.max(1)));
    // Four calls an image, and at most two more for each.
    let calls = counts.reads();
    trial.outcome.check(calls <= keys * 12, || format!("{calls} calls for {keys} images: more than two retries each"));
    Ok(trial.close().await)
}

/// F4
pub(super) async fn far(options: &Options) -> io::Result<Outcome> {
    let setup = Setup { hosts: 2, limits: json!({ "verdictTtl": "1s", "negativeTtl": "1s" }), ..Setup::default() };
    let mut trial = Trial::open(options, "F4", &setup).await?;
    let length = options.length(6, 60);
    let most = usize::try_from(length.as_secs()).unwrap_or(60) * 80 + 80;
    let images = trial.lab.stock("cold", Format::Notation, most, 1).await;
    // Images go to the hosts in turn.
    let of =
        |host: usize, half: usize| -> Arc<[Image]> { images.iter().skip(host + half).step_by(4).cloned().collect() };
    let load = |images: &Arc<[Image]>| Load {
        pick: Pick::Once,
        pace: Some(COLD),
        ..trial.lab.load(images, 100, Until::For(length))
    };
    let (alone, near, distant) = (load(&of(1, 0)), load(&of(1, 2)), load(&of(0, 0)));
    let (alone, _) = trial.phase("F4 alone", alone, Grace::default()).await;
    trial.lab.behave(Behaviour { host: Some(0), latency_ms: 2000, ..Behaviour::default() }).await;
    let distant = tokio::spawn(generator::run(distant));
    let (near, _) = trial.phase("F4 beside", near, Grace::default()).await;
    let distant = distant.await.map_err(io::Error::other)?;
    trial.hold("F4 far", &distant, Grace::default());
    let denied = distant.of("no");
    trial.outcome.check(denied == 0, || format!("{denied} denied for a registry's distance"));
    let (yes, keys) = (near.of("yes"), near.keys);
    trial.outcome.check(yes == keys, || format!("near: {yes} of {keys}, {:?}", near.system_errors));
    trial.outcome.at_most("p99 of the near host, beside and alone", 1.2, near.points().p99 / alone.points().p99);
    Ok(trial.close().await)
}

/// F5
pub(super) async fn tokens(options: &Options) -> io::Result<Outcome> {
    let limits = json!({ "verdictTtl": "1s", "listingTtl": "1s", "emptyListingTtl": "1s" });
    let mut trial = Trial::open(options, "F5", &Setup { limits, ..Setup::default() }).await?;
    let known = trial.lab.stock("known", Format::Notation, 20, 1).await;
    let new = trial.lab.stock("new", Format::Notation, 100, 1).await;
    trial.lab.behave(Behaviour { tokens: Some(TokenService::Works), ..Behaviour::default() }).await;
    trial.warm(&known, 8).await;
    trial.lab.behave(Behaviour { tokens: Some(TokenService::Fails), ..Behaviour::default() }).await;
    let length = options.length(5, 30);
    let load = Load { pace: Some(COLD), ..trial.lab.load(&known, 8, Until::For(length)) };
    let (tally, counts) = trial.phase("F5 known", load, Grace::default()).await;
    let (yes, keys, asked) = (tally.of("yes"), tally.keys, counts.reads());
    trial.outcome.check(yes == keys && asked > 0, || format!("{yes} of {keys} by tokens that are kept, {asked} calls"));
    let load = Load { pick: Pick::Once, pace: Some(COLD), ..trial.lab.load(&new, 16, Until::For(length)) };
    let (tally, _) = trial.phase("F5 new", load, Grace::default()).await;
    let undecided = float(tally.of("undecided"));
    trial.outcome.check((undecided - float(tally.keys)).abs() < 0.5, || format!("{:?} without tokens", tally.words));
    trial.lab.behave(Behaviour { tokens: Some(TokenService::Works), ..Behaviour::default() }).await;
    recovered(&mut trial, &new).await;
    Ok(trial.close().await)
}
