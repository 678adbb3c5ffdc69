//! One scenario under way: its lab, and what was found so far.

use std::{io, sync::Arc, time::Duration};

use super::{
    generator::{self, Load, Pick, Until},
    lab::{Lab, Setup},
    options::Options,
    registry::Counts,
    report::{Outcome, Row},
    tally::{Grace, Tally},
    truth::Image,
};

/// One scenario under way.
#[derive(Debug)]
pub struct Trial {
    /// Its world.
    pub lab: Lab,
    /// What was found.
    pub outcome: Outcome,
}

impl Trial {
    /// Opens a lab.
    ///
    /// # Errors
    /// A process cannot be started.
    pub async fn open(options: &Options, name: &str, setup: &Setup) -> io::Result<Self> {
        let lab = Lab::open(options, setup).await?;
        Ok(Self { lab, outcome: Outcome { scenario: name.to_owned(), ..Outcome::default() } })
    }

    /// Whether this is the smoke set.
    pub const fn smoke(&self) -> bool {
        self.lab.options.smoke
    }

    /// Asks about every image once, beside each other; each answer must be definite and right.
    pub async fn warm(&mut self, images: &Arc<[Image]>, clients: usize) {
        let load = Load { pick: Pick::Once, ..self.lab.load(images, clients, Until::Requests(u64::MAX)) };
        let tally = generator::run(load).await;
        self.hold("warming up", &tally, Grace::default());
        let (wrong, said) = (tally.of("undecided"), tally.system_errors);
        self.outcome.check(wrong == 0, || format!("warming up: {wrong} undecided ({said:?})"));
    }

    /// Runs a load, and takes it down as a row.
    pub async fn phase(&mut self, name: &str, load: Load, grace: Grace) -> (Tally, Counts) {
        self.lab.registries.counts().await;
        self.lab.measured.forget_peak();
        let before = self.lab.measured.cpu_ms();
        let tally = generator::run(load).await;
        let cpu = self.lab.measured.cpu_ms() - before;
        let counts = self.lab.registries.counts().await;
        self.hold(name, &tally, grace);
        self.outcome.rows.push(Row::new(name, &tally, cpu, self.lab.measured.peak_kib(), counts));
        (tally, counts)
    }

    /// The same load against the provider that does nothing; its ratio goes to the last row. The images must all be good.
    ///
    /// # Errors
    /// The provider cannot be started.
    pub async fn beside_null(&mut self, load: Load) -> io::Result<()> {
        if self.lab.options.foreign.as_ref().is_some_and(|foreign| foreign.tls.is_none()) {
            // The provider that does nothing speaks TLS: beside plain HTTP it says nothing.
            return Ok(());
        }
        let null = self.lab.null().await?;
        let before = null.measured.cpu_ms();
        let tally = generator::run(Load { target: null.target.clone(), second: None, ..load }).await;
        let cpu = null.measured.cpu_ms() - before;
        self.hold("the provider that does nothing", &tally, Grace::default());
        let row = Row::new("null", &tally, cpu, null.measured.peak_kib(), Counts::default());
        if let Some(last) = self.outcome.rows.last_mut() {
            last.beside(&row);
        }
        Ok(())
    }

    /// Takes what makes a run a failed one.
    pub fn hold(&mut self, phase: &str, tally: &Tally, grace: Grace) {
        let faults = tally.faults(grace).into_iter().map(|fault| format!("{phase}: {fault}"));
        self.outcome.faults.extend(faults);
    }

    /// Lets everything become idle, and ends it: what is then still held is a fault.
    pub async fn close(self) -> Outcome {
        let Self { lab, mut outcome } = self;
        let leaks = lab.cool_down().await;
        outcome.faults.extend(leaks.into_iter().map(|leak| format!("not idle again: {leak}")));
        outcome.check(lab.measured.lives(), || "the server is gone".to_owned());
        if let Some(server) = &lab.server {
            let panics = server.panics();
            outcome.check(panics == 0, || format!("{panics} panics: {}", server.last_words()));
            let counted = server.metric("countersign_panics_total", &[]).await;
            outcome.check(counted.abs() < 0.5, || format!("{counted} panics counted"));
        }
        outcome.stalled_ms = lab.stall.longest().as_secs_f64() * 1000.0;
        let Lab { registries, server, .. } = lab;
        if let Some(mut server) = server {
            server.terminate();
            let ended = server.ended(Duration::from_secs(30)).await;
            outcome.check(ended.is_some_and(|(_, orderly)| orderly), || "the server did not end in order".to_owned());
        }
        registries.stop().await;
        outcome
    }
}
