//! What is large, deep, endless or numberless: M1, M2.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::load::{
    client::{Client, Keep},
    generator::{self, Load, Pick, Until},
    lab::Setup,
    options::Options,
    registry::{Behaviour, Fault, Order},
    reply,
    report::Outcome,
    tally::{Grace, Tally, float},
    trial::Trial,
    truth::{Format, Image, Truth},
};

/// Requests that are bombs, at once; and as many that lead to bombs.
const AT_ONCE: usize = 16;
/// Most memory under any of it, in MiB.
const MOST_MIB: f64 = 256.0;
/// What no run may pass. The pages of a debug build's own code, which is ten times as large, count as well.
const BOUND_MIB: f64 = if cfg!(debug_assertions) { 384.0 } else { MOST_MIB };

/// M1
pub(super) async fn bombs(options: &Options) -> io::Result<Outcome> {
    let limits = json!({ "verdictTtl": "1s", "negativeTtl": "1s", "listingTtl": "1s", "emptyListingTtl": "1s" });
    let mut trial = Trial::open(options, "M1", &Setup { limits, ..Setup::default() }).await?;
    let mut images: Vec<Image> = Vec::new();
    for format in Format::ALL {
        let order = |set: &str, images, truth| Order { set: set.to_owned(), format, images, signatures: 2, truth };
        images.extend(trial.lab.registries.stock(order("bombs", 20, Some(Truth::Bomb))).await);
        images.extend(trial.lab.registries.stock(order("others", 20, None)).await);
    }
    let images: Arc<[Image]> = images.into();
    let length = options.length(20, 300);
    let requests = tokio::spawn(requests(trial.lab.load(&images, AT_ONCE, Until::For(length))));
    let rounds: [&[(u16, Fault)]; 3] = [
        &[],
        &[(150, Fault::Endless), (150, Fault::Page), (150, Fault::Deep)],
        &[(100, Fault::Endless), (100, Fault::Truncate), (100, Fault::Corrupt), (100, Fault::Page), (50, Fault::Stall)],
    ];
    for (place, faults) in rounds.into_iter().enumerate() {
        trial.lab.behave(Behaviour { faults: faults.to_vec(), ..Behaviour::default() }).await;
        let load = trial.lab.load(&images, AT_ONCE, Until::For(length / 3));
        let load = Load { pick: Pick::Random, keys: 4, ..load };
        // What is damaged on its way is refused for good.
        trial.phase(&format!("M1 round {}", place + 1), load, Grace { denials: true, ..Grace::default() }).await;
    }
    let sent = requests.await.map_err(io::Error::other)?;
    trial.hold("M1 requests", &sent, Grace::default());
    let (answered, all) = (sent.refused, sent.requests);
    trial.outcome.check(all > 0 && answered == all, || format!("{answered} of {all} bombs refused"));
    trial.lab.behave(Behaviour::default()).await;
    let peak = trial.outcome.rows.iter().map(|row| row.peak_mib).fold(0.0, f64::max);
    trial.outcome.check(peak <= BOUND_MIB, || format!("{peak:.0} MiB at the peak, {BOUND_MIB} are the limit"));
    trial.outcome.at_most("peak MiB", MOST_MIB, peak);
    Ok(trial.close().await)
}

/// Bodies that must be refused (REQ-16, 18, 20, 22, 23), again and again.
async fn requests(load: Load) -> Tally {
    let Until::For(length) = load.until else { return Tally::default() };
    let keys: Vec<String> =
        (0..10_000).map(|place| format!("host.example.com/many/{place}:{}", "v".repeat(40))).collect();
    let many = json!({ "apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": { "keys": keys } });
    let start = r#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["#;
    let bodies: Arc<[Vec<u8>]> = [
        many.to_string().into_bytes(),
        format!("{start}{}", "[".repeat(200_000)).into_bytes(),
        format!("{start}{}", r#"{"a":"#.repeat(100_000)).into_bytes(),
        vec![b' '; (1 << 20) + 1],
        format!("{start}\"{}\"", "x".repeat(1 << 19)).into_bytes(),
    ]
    .into();
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for number in 0..load.clients {
        let (load, bodies) = (load.clone(), Arc::clone(&bodies));
        senders.spawn(async move {
            let (mut client, mut tally) = (Client::new(load.target.clone(), Keep::Close), Tally::default());
            for body in bodies.iter().cycle().skip(number) {
                if began.elapsed() > length {
                    break;
                }
                bomb(&load, &mut client, &mut tally, body).await;
            }
            tally
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = senders.join_next().await {
        all.add(tally.expect("a sender does not panic"));
    }
    all
}

async fn bomb(load: &Load, client: &mut Client, tally: &mut Tally, body: &[u8]) {
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: countersign\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        load.target.verify,
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    tally.requests += 1;
    match client.post(&request, load.deadline + Duration::from_secs(3)).await {
        Err(lost) => tally.unanswered(&lost),
        Ok((status, answer)) => match reply::read(answer, &[]) {
            Ok(said) if !said.code.is_empty() && status >= 400 => {
                tally.refused += 1;
                *tally.system_errors.entry(said.code).or_default() += 1;
            }
            Ok(_) => tally.malformed(&reply::Malformed(format!("status {status} without a systemError"))),
            Err(malformed) => tally.malformed(&malformed),
        },
    }
}

/// M2: keys of which each is new to the caches, or has left them.
pub(super) async fn distinct(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "M2", &Setup::default()).await?;
    let host = trial.lab.registries.hosts.first().cloned().unwrap_or_default();
    let image = |place: usize| {
        let name = format!("{host}/notation/nobody/{place}");
        let digest = countersign::oci::Digest::sha256(name.as_bytes());
        Image { digest: format!("{name}@{digest}"), tag: format!("{name}:v1"), truth: Truth::Unsigned }
    };
    let images: Arc<[Image]> = (0..options.size(20_000, 200_000)).map(image).collect();
    let length = options.length(10, 600);
    let load = Load { keys: 100, ..trial.lab.load(&images, 16, Until::For(length)) };
    trial.phase("M2 first tenth", Load { until: Until::For(length / 10), ..load.clone() }, Grace::default()).await;
    let early = float(trial.lab.measured.resident_kib());
    let tally = generator::run(load).await;
    trial.hold("M2", &tally, Grace::default());
    let late = float(trial.lab.measured.resident_kib());
    trial.outcome.at_most("memory at the end, to that after a tenth", 1.1, late / early);
    Ok(trial.close().await)
}
