//! A server that is stopped, and one that is killed: F9.

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
    registry::Behaviour,
    report::Outcome,
    tally::{Grace, float},
    trial::Trial,
    truth::Format,
};

/// Requests in flight when the server is told to stop.
const IN_FLIGHT: usize = 100;

/// F9
pub(super) async fn killed(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "F9", &Setup::default()).await?;
    // From now on it is found where it was.
    trial.lab.configuration["server"]["address"] = json!(trial.lab.server().address.to_string());
    trial.lab.configure();
    let mut caught = 0;
    for round in 0..options.size(2, 10) {
        caught += usize::from(terminated(&mut trial, round).await?);
    }
    trial.outcome.check(caught > 0, || "no request was in flight when the server was told to stop".to_owned());
    beside_a_replica(&mut trial).await?;
    Ok(trial.close().await)
}

/// SIGTERM with requests in flight: each of them is answered, and rightly. Whether most were in flight by then.
async fn terminated(trial: &mut Trial, round: usize) -> io::Result<bool> {
    let images = trial.lab.stock(&format!("in-flight-{round}"), Format::Notation, IN_FLIGHT, 1).await;
    trial.lab.behave(Behaviour { latency_ms: 300, ..Behaviour::default() }).await;
    let load = Load { pick: Pick::Once, ..trial.lab.load(&images, IN_FLIGHT, Until::Requests(u64::MAX)) };
    let clients = tokio::spawn(generator::run(load));
    // They are in flight when the server says so.
    let server = trial.lab.server();
    let gauge = "countersign_requests_in_flight";
    server.reaches(gauge, &[], 100.0, Duration::from_millis(600)).await;
    let flying = server.metric(gauge, &[]).await;
    server.terminate();
    let patience = trial.lab.options.deadline() + Duration::from_secs(10);
    let ended = match &mut trial.lab.server {
        Some(server) => server.ended(patience).await,
        None => None,
    };
    let tally = clients.await.map_err(io::Error::other)?;
    // Whose request was not read yet finds nobody, and asks another replica.
    trial.hold("F9 SIGTERM", &tally, Grace { unconnected: true, ..Grace::default() });
    let (answered, yes) = (tally.answered(), tally.of("yes"));
    // Three calls of 300 ms leave time enough, but not on every machine.
    let late = tally.system_errors.get("TIMEOUT").copied().unwrap_or_default();
    trial.outcome.check(float(answered) >= flying && yes + late == answered, || {
        format!("SIGTERM: {flying} in flight, {answered} answered, {yes} verified, {:?}", tally.system_errors)
    });
    trial.outcome.check(ended.is_some_and(|(_, orderly)| orderly), || format!("SIGTERM: it ended as {ended:?}"));
    trial.lab.behave(Behaviour::default()).await;
    let start = Instant::now();
    trial.lab.restart().await?;
    trial.outcome.at_most("seconds until it listens again", 2.0, start.elapsed().as_secs_f64());
    Ok(flying >= 50.0)
}

/// Clients that try a second replica once notice neither SIGTERM nor SIGKILL.
async fn beside_a_replica(trial: &mut Trial) -> io::Result<()> {
    let images = trial.lab.mixture("steady", Format::Notation, 50).await;
    let replica = trial.lab.replica().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = Load {
        second: Some(trial.lab.target_of(&replica)),
        pace: Some(if trial.smoke() { 100.0 } else { 300.0 }),
        ..trial.lab.load(&images, 32, Until::Told(Arc::clone(&stop)))
    };
    let clients = tokio::spawn(generator::run(load));
    for round in 0..trial.lab.options.size(4, 20) {
        sleep(Duration::from_millis(250)).await;
        let server = trial.lab.server();
        server.disturb();
        sleep(Duration::from_millis(250)).await;
        let lives = server.measured.lives() && server.admin("/readyz").await.is_ok_and(|(status, _)| status == 200);
        trial.outcome.check(lives, || "SIGHUP, SIGUSR1, SIGUSR2 or SIGPIPE ended it".to_owned());
        let server = trial.lab.server();
        if round % 2 == 0 {
            server.kill();
        } else {
            server.terminate();
        }
        let ended = match &mut trial.lab.server {
            Some(server) => server.ended(Duration::from_secs(20)).await,
            None => None,
        };
        trial.outcome.check(ended.is_some(), || "it does not end".to_owned());
        trial.lab.restart().await?;
    }
    sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let tally = clients.await.map_err(io::Error::other)?;
    trial.hold("F9 with a replica", &tally, Grace::default());
    let undecided = tally.of("undecided");
    trial.outcome.check(undecided == 0, || format!("{undecided} undecided, {:?}", tally.system_errors));
    drop(replica);
    Ok(())
}
