//! Connections that say nothing, or not all, and descriptors that run out: S1, OPS-02.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::load::{
    client::{Keep, Target},
    generator::{self, Load, Pick, Until},
    lab::Setup,
    options::Options,
    report::Outcome,
    tally::{Grace, Tally},
    trial::Trial,
    truth::Format,
};

/// How long a head may take, as configured here.
const HEAD: &str = "5s";
/// In which all of them must be gone, on any machine.
const GONE: Duration = Duration::from_secs(30);

/// A connection that goes no further; open for as long as it is kept.
#[derive(Debug)]
enum Slow {
    /// No TLS hello.
    Idle(TcpStream),
    /// TLS, and half a head.
    Half(Box<TlsStream<TcpStream>>),
}

/// S1
pub(super) async fn slow(options: &Options) -> io::Result<Outcome> {
    let setup = Setup { limits: json!({ "headTimeout": HEAD, "idleTimeout": "10s" }), ..Setup::default() };
    let mut trial = Trial::open(options, "S1", &setup).await?;
    let images = trial.lab.stock("hot", Format::Notation, 20, 1).await;
    trial.warm(&images, 8).await;
    // In the smoke set more that say nothing than two workers would shake hands with by default.
    let count = options.size(1400, 5000);
    let mut slow = Vec::new();
    for number in 0..count {
        slow.push(connect(&trial.lab.target(), number).await?);
    }
    let load =
        Load { keep: Keep::Close, pace: Some(50.0), ..trial.lab.load(&images, 8, Until::For(options.length(5, 20))) };
    let (tally, _) = trial.phase("S1", load, Grace::default()).await;
    let (yes, keys) = (tally.of("yes"), tally.keys);
    trial.outcome.check(yes == keys && keys > 0, || format!("{yes} of {keys} of the good client"));
    trial.outcome.at_most("p99 of the good client in ms", 1000.0, tally.points().p99);
    let start = Instant::now();
    let port = trial.lab.target().address.port();
    while trial.lab.measured.held().clients(port) > 0 && start.elapsed() < GONE {
        sleep(Duration::from_millis(100)).await;
    }
    let left = trial.lab.measured.held().clients(port);
    trial.outcome.check(left == 0, || format!("{left} of {count} slow connections are still held"));
    let mut ended = 0;
    for one in slow {
        ended += usize::from(has_ended(one).await);
    }
    trial.outcome.check(ended == count, || format!("{ended} of {count} slow clients were told to go"));
    Ok(trial.close().await)
}

/// OPS-02: the process has no descriptors left for a while. Whoever is connected is answered as if nothing were, or told that nothing can
/// be found out; afterwards everybody is.
pub(super) async fn descriptors(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "fds", &Setup::default()).await?;
    let hot = trial.lab.stock("hot", Format::Notation, 20, 1).await;
    let cold = trial.lab.stock("cold", Format::Notation, 60, 1).await;
    trial.warm(&hot, 4).await;
    let before = trial.lab.server().limit_files(None)?;
    let held = trial.lab.measured.held();
    // Room for the clients, and hardly for a connection to the registry.
    let few = held.files + held.connections.values().sum::<u64>() + 24;
    trial.lab.server().limit_files(Some(few))?;
    let load = Load { pace: Some(50.0), ..trial.lab.load(&hot, 4, Until::For(Duration::from_secs(3))) };
    let (tally, _) = trial.phase("fds hot", load, Grace::default()).await;
    let (yes, keys) = (tally.of("yes"), tally.keys);
    trial.outcome.check(yes == keys, || format!("hot: {yes} of {keys}, {:?}", tally.system_errors));
    // More clients than there are descriptors: some are not let in, and nobody is told anything wrong.
    let load = Load { pick: Pick::Once, keep: Keep::Close, ..trial.lab.load(&cold, 60, Until::Requests(60)) };
    let tally = generator::run(load).await;
    let grace = Grace { lost: true, unconnected: true, denials: false };
    trial.hold("fds crowded", &Tally { late: 0, ..tally }, grace);
    trial.lab.server().limit_files(Some(before))?;
    let start = Instant::now();
    let mut left = u64::MAX;
    while left > 0 && start.elapsed() < GONE {
        let load = Load { pick: Pick::Once, ..trial.lab.load(&cold, 8, Until::Requests(u64::MAX)) };
        let tally = generator::run(load).await;
        trial.hold("fds afterwards", &tally, Grace { lost: true, unconnected: true, denials: false });
        left = tally.keys - tally.of("yes");
    }
    trial.outcome.check(left == 0, || format!("{left} images stay undecided"));
    Ok(trial.close().await)
}

async fn connect(target: &Target, number: usize) -> io::Result<Slow> {
    let stream = TcpStream::connect(target.address).await?;
    let Some(config) = target.tls.as_ref().filter(|_| number % 2 == 1) else { return Ok(Slow::Idle(stream)) };
    let name = rustls::pki_types::ServerName::IpAddress(target.address.ip().into());
    let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
    stream.write_all(format!("POST {} HTTP/1.1\r\nHost: countersign\r\nContent-", target.verify).as_bytes()).await?;
    stream.flush().await?;
    Ok(Slow::Half(Box::new(stream)))
}

/// Whether the other side has closed it, with or without a last word.
async fn has_ended(slow: Slow) -> bool {
    let mut said = Vec::new();
    let patience = Duration::from_secs(5);
    match slow {
        Slow::Idle(mut stream) => timeout(patience, stream.read_to_end(&mut said)).await.is_ok(),
        Slow::Half(mut stream) => timeout(patience, stream.read_to_end(&mut said)).await.is_ok(),
    }
}
