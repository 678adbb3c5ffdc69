//! Verdicts under faults that chance chooses: none may be a false yes, none may be lost.

use std::{io, sync::Arc, time::Duration};

use serde_json::json;

use crate::load::{
    client::Keep,
    generator::{Load, Name, Pick, Until},
    lab::Setup,
    options::Options,
    random::Random,
    registry::{Behaviour, Fault},
    report::Outcome,
    tally::Grace,
    trial::Trial,
    truth::{Format, Image, Truth},
};

/// Faults that chance may choose.
const FAULTS: [Fault; 8] = [
    Fault::Corrupt,
    Fault::Deep,
    Fault::NotFound,
    Fault::Reset,
    Fault::Stall,
    Fault::Throttle,
    Fault::Truncate,
    Fault::Unavailable,
];
/// Longest that the registry behaves in one way.
const ROUND: Duration = Duration::from_secs(3);
/// Most clients of a round.
const CLIENTS: usize = 32;

/// The oracle run.
pub(super) async fn run(options: &Options) -> io::Result<Outcome> {
    // Short lives, so that verdicts are found out again and again.
    let limits = json!({
        "verdictTtl": "1s", "negativeTtl": "1s", "listingTtl": "1s", "emptyListingTtl": "1s", "contentCacheBytes": 65536,
    });
    let mut trial = Trial::open(options, "oracle", &Setup { hosts: 3, limits, ..Setup::default() }).await?;
    let mut images: Vec<Image> = Vec::new();
    for format in Format::ALL {
        images.extend(trial.lab.mixture("oracle", format, 150).await.iter().cloned());
    }
    let images: Arc<[Image]> = images.into();
    let mut random = Random::new(options.seed, 0x0AC1E);
    let (mut verdicts, mut rounds, mut good, mut bad) = (0, 0, 0, 0);
    while verdicts < options.verdicts() {
        let behaviour = behaviour(&mut random);
        trial.lab.behave(behaviour).await;
        let load = load(&trial, &images, &mut random);
        let name = format!("oracle round {rounds}");
        let (tally, _) = trial.phase(&name, load, Grace { denials: true, ..Grace::default() }).await;
        verdicts += tally.of("yes") + tally.of("no") + tally.of("undecided");
        good += tally.of_truth("yes", Truth::Good);
        bad += tally.of("no") - tally.of_truth("no", Truth::Good);
        rounds += 1;
    }
    trial.lab.behave(Behaviour::default()).await;
    trial
        .outcome
        .check(good > 0 && bad > 0, || format!("{good} rightly accepted, {bad} rightly refused: no test of anything"));
    sum_up(&mut trial);
    Ok(trial.close().await)
}

/// A quarter of the rounds are faithful, in the others up to three faults happen now and then.
fn behaviour(random: &mut Random) -> Behaviour {
    if random.happens(250) {
        return Behaviour::default();
    }
    let fault = |random: &mut Random| {
        let share = u16::try_from(10 + random.below(150)).unwrap_or(10);
        (share, FAULTS.get(random.below(FAULTS.len())).copied().unwrap_or(Fault::Unavailable))
    };
    let faults = (0..=random.below(3)).map(|_| fault(random)).collect();
    Behaviour { faults, latency_ms: u64::try_from(random.below(20)).unwrap_or_default(), ..Behaviour::default() }
}

fn load(trial: &Trial, images: &Arc<[Image]>, random: &mut Random) -> Load {
    let keys = 1 + random.below(10);
    // A tenth of the smoke run at most, so that there are many rounds: a faithful registry is soon asked about everything.
    let most = u64::try_from(trial.lab.options.size(1000, 20_000) / keys).unwrap_or(1000);
    Load {
        pick: Pick::Random,
        keys,
        name: if random.happens(300) { Name::Tag } else { Name::Digest },
        keep: if random.happens(300) { Keep::Close } else { Keep::Open },
        seed: random.number(),
        ..trial.lab.load(images, 1 + random.below(CLIENTS), Until::Either(ROUND, most))
    }
}

/// One row for all rounds.
fn sum_up(trial: &mut Trial) {
    let rows = std::mem::take(&mut trial.outcome.rows);
    let mut all = rows.into_iter();
    let Some(mut sum) = all.next() else { return };
    "oracle".clone_into(&mut sum.name);
    for row in all {
        sum.requests += row.requests;
        sum.keys += row.keys;
        sum.peak_mib = sum.peak_mib.max(row.peak_mib);
        sum.latency.max = sum.latency.max.max(row.latency.max);
        for (word, count) in row.words {
            *sum.words.entry(word).or_default() += count;
        }
        for (code, count) in row.system_errors {
            *sum.system_errors.entry(code).or_default() += count;
        }
    }
    trial.outcome.rows.push(sum);
}
