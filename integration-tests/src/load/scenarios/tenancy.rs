//! One tenant's flood, and another's peace: T1.

use std::{io, sync::Arc};

use crate::load::{
    generator::{self, Load, Pick, Until},
    lab::Setup,
    options::Options,
    registry::Behaviour,
    report::Outcome,
    tally::Grace,
    trial::Trial,
    truth::{Format, Image},
};

/// T1
pub(super) async fn flood(options: &Options) -> io::Result<Outcome> {
    let mut trial = Trial::open(options, "T1", &Setup { hosts: 2, tenancy: true, ..Setup::default() }).await?;
    let length = options.length(6, 60);
    let seconds = usize::try_from(length.as_secs()).unwrap_or(60);
    let images = trial.lab.stock("tenants", Format::Notation, seconds * 200 + 400, 1).await;
    // Images go to the hosts in turn: the first is far, the second is near.
    let far: Arc<[Image]> = images.iter().step_by(2).cloned().collect();
    let near: Arc<[Image]> = images.iter().skip(1).step_by(2).cloned().collect();
    trial.lab.behave(Behaviour { host: Some(0), latency_ms: 30_000, ..Behaviour::default() }).await;
    let quiet =
        Load { prefix: "[team-b]".to_owned(), pace: Some(100.0), ..trial.lab.load(&near, 32, Until::For(length)) };
    let (alone, _) = trial.phase("T1 alone", quiet.clone(), Grace::default()).await;
    let flood = Load {
        prefix: "[team-a]".to_owned(),
        pick: Pick::Once,
        pace: Some(50.0),
        ..trial.lab.load(&far, 200, Until::For(length))
    };
    let flood = tokio::spawn(generator::run(flood));
    let (beside, _) = trial.phase("T1 beside", quiet, Grace::default()).await;
    let flood = flood.await.map_err(io::Error::other)?;
    trial.hold("T1 flood", &flood, Grace::default());
    for (name, tally) in [("alone", &alone), ("beside", &beside)] {
        let (yes, keys) = (tally.of("yes"), tally.keys);
        trial.outcome.check(yes == keys, || format!("{name}: {yes} of {keys}, {:?}", tally.system_errors));
    }
    let p99 = beside.points().p99 / alone.points().p99;
    trial.outcome.at_most("p99 beside a flood, to that alone", 1.2, p99);
    trial.lab.behave(Behaviour::default()).await;
    Ok(trial.close().await)
}
