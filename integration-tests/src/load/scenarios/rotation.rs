//! Certificates that change while clients come and go: F10.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    load::{
        client::{Client, Keep, Lost, Target, write_request},
        generator::{self, Load, Until},
        lab::{CLIENT, Setup, client_config},
        options::Options,
        report::Outcome,
        tally::Grace,
        trial::Trial,
        truth::{Format, Image},
    },
    pki::{Authority, Identity},
};

/// How long a change may take to be seen: a second, and what a busy machine adds.
const SEEN: Duration = Duration::from_secs(20);

/// F10
pub(super) async fn rotated(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "F10", &Setup::default()).await?;
    let images = trial.lab.stock("hot", Format::Notation, 20, 1).await;
    trial.warm(&images, 8).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = trial.lab.load(&images, 32, Until::Told(Arc::clone(&stop)));
    let pace = Some(if options.smoke { 50.0 } else { 200.0 });
    let clients = tokio::spawn(generator::run(Load { keep: Keep::Close, pace, ..load }));
    let rounds = options.size(6, 20);
    for round in 0..rounds {
        let pair = trial.lab.authority.server(&["127.0.0.1"]);
        if round % 2 == 0 {
            // The key first, as a mount that is not atomic shows it: no pair for a moment.
            trial.lab.write("tls.key", &pair.key_pem);
            trial.lab.write("tls.crt", &pair.certificate_pem);
        } else {
            trial.lab.write("tls.crt", &pair.certificate_pem);
            trial.lab.write("tls.key", &pair.key_pem);
        }
        seen(&mut trial, "countersign_reloads_total", "certificate", round + 1).await;
    }
    broken(&mut trial).await;
    client_authorities(&mut trial, &images).await?;
    stop.store(true, Ordering::Relaxed);
    let tally = clients.await.map_err(io::Error::other)?;
    trial.hold("F10", &tally, Grace::default());
    let (yes, keys) = (tally.of("yes"), tally.keys);
    trial.outcome.check(yes == keys && keys > 0, || format!("{yes} of {keys} while certificates changed"));
    Ok(trial.close().await)
}

/// Pairs that are none: the last good one serves on, and the failure is counted.
async fn broken(trial: &mut Trial) {
    let (good, other) = (trial.lab.authority.server(&["127.0.0.1"]), trial.lab.authority.server(&["127.0.0.1"]));
    let half: String = good.certificate_pem.chars().take(200).collect();
    let before = trial.lab.server().metric("countersign_reload_failures_total", &["certificate"]).await;
    let pairs = [(&good.certificate_pem, &other.key_pem), (&half, &good.key_pem), (&String::new(), &good.key_pem)];
    for (place, (certificate, key)) in pairs.into_iter().enumerate() {
        trial.lab.write("tls.key", key);
        trial.lab.write("tls.crt", certificate);
        let wanted = before + f64::from(u8::try_from(place + 1).unwrap_or(u8::MAX));
        let server = trial.lab.server();
        let counted = server.reaches("countersign_reload_failures_total", &["certificate"], wanted, SEEN).await;
        trial.outcome.check(counted, || format!("broken pair {place} was not counted"));
    }
    trial.lab.write("tls.key", &good.key_pem);
    trial.lab.write("tls.crt", &good.certificate_pem);
}

/// Two authorities of clients for a while, then only the new one: both are let in, then the old one is not.
async fn client_authorities(trial: &mut Trial, images: &Arc<[Image]>) -> io::Result<()> {
    let new = Authority::new("new clients");
    let (old_pem, new_pem) = (trial.lab.authority.pem(), new.pem());
    let newcomer = target(trial, &new.client(CLIENT));
    let refused = |lost: Option<Lost>| matches!(lost, Some(Lost::Broken(_) | Lost::Connect(_)));
    let before = ask(&newcomer, images).await;
    trial.outcome.check(refused(before), || "an authority that is not there was believed".to_owned());
    trial.lab.write("ca.crt", &format!("{old_pem}{new_pem}"));
    seen(trial, "countersign_reloads_total", "client_ca", 1).await;
    let both = ask(&newcomer, images).await;
    trial.outcome.check(both.is_none(), || format!("the new authority is not believed: {both:?}"));
    // The load's own clients are of the old one: an authority that is only another's takes them out, so it is tried with a third.
    let third = Authority::new("third");
    let stranger = target(trial, &third.client(CLIENT));
    trial.lab.write("ca.crt", &format!("{old_pem}{}", third.pem()));
    seen(trial, "countersign_reloads_total", "client_ca", 2).await;
    let (gone, come) = (ask(&newcomer, images).await, ask(&stranger, images).await);
    trial.outcome.check(refused(gone), || "an authority that was taken away is still believed".to_owned());
    trial.outcome.check(come.is_none(), || format!("the third authority is not believed: {come:?}"));
    let somebody = target(trial, &third.client("somebody-else"));
    let other = ask(&somebody, images).await;
    trial.outcome.check(refused(other), || "another name than Gatekeeper's was let in".to_owned());
    Ok(())
}

fn target(trial: &Trial, identity: &Identity) -> Target {
    Target { tls: Some(Arc::new(client_config(&trial.lab.authority, identity))), ..trial.lab.target() }
}

/// Asks once on a new connection; what there is instead of an answer.
async fn ask(target: &Target, images: &Arc<[Image]>) -> Option<Lost> {
    let mut request = Vec::new();
    write_request(&mut request, &target.verify, images.iter().take(1).map(|image| image.digest.as_str()));
    Client::new(target.clone(), Keep::Close).post(&request, Duration::from_secs(10)).await.err()
}

/// Waits until a change is taken into use.
async fn seen(trial: &mut Trial, metric: &str, what: &str, times: usize) {
    let wanted = f64::from(u16::try_from(times).unwrap_or(u16::MAX));
    let taken = trial.lab.server().reaches(metric, &[what], wanted, SEEN).await;
    trial.outcome.check(taken, || format!("change {times} of {what} was not taken into use"));
}
