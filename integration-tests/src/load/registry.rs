//! The registry of a load run: fake registries in a process of their own (this binary again), told over standard input what to hold and how to
//! misbehave. It ends when its input does.
//!
//! ```text
//! Registries ──a line of JSON: Command──► load registry ──► FakeRegistry, one a host
//!     ▲                                        │                  ▲ Behaviour, counts
//!     └────────a line of JSON: Answer──────────┘                  │ HTTP
//!                                                        server under load
//! ```

use std::{io, path::Path, process::Stdio};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command as Process},
};

use super::{
    parent,
    random::Random,
    signers::Signers,
    truth::{Format, Image, Truth},
};
use crate::{registry::FakeRegistry, shelf::Shelf as _};

mod behaviour;
mod counts;

use self::{behaviour::Conduct, counts::Counter};
pub use self::{
    behaviour::{Behaviour, Fault, TokenService},
    counts::Counts,
};

/// What a registry is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// How hosts answer from now on.
    Behave(Behaviour),
    /// What arrived since this was last asked.
    Counts,
    /// Hold images.
    Stock(Order),
}

/// Images to be held.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Last folder of their repositories but one.
    pub set: String,
    /// How they are signed.
    pub format: Format,
    /// How many.
    pub images: usize,
    /// Signatures of each.
    pub signatures: usize,
    /// What is true of all of them; absent: a mixture under the seed.
    pub truth: Option<Truth>,
}

/// A registry's process, as the run sees it.
#[derive(Debug)]
pub struct Registries {
    // Dropping it kills the process.
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// `127.0.0.1:port`, each.
    pub hosts: Vec<String>,
}

/// How a registry's process is started.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The binary.
    pub program: &'a Path,
    /// Signers and what is trusted.
    pub folder: &'a Path,
    /// Hosts, each on a port of its own.
    pub hosts: usize,
    /// The first host's port; 0 takes any free ones.
    pub port: u16,
    /// What chance is made from.
    pub seed: u64,
}

impl Registries {
    /// Starts the process.
    ///
    /// # Errors
    /// It cannot be started, or says nothing.
    pub async fn start(start: Start<'_>) -> io::Result<Self> {
        let Start { program, folder, hosts, port, seed } = start;
        let mut process = Process::new(program)
            .arg("registry")
            .arg(folder)
            .args([hosts.to_string(), port.to_string(), seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("the registry has no pipes"));
        };
        let mut registries = Self { process, input, output: BufReader::new(output).lines(), hosts: Vec::new() };
        registries.hosts = registries.hear().await?;
        Ok(registries)
    }

    /// Holds images, on all hosts in turn.
    pub async fn stock(&mut self, order: Order) -> Vec<Image> {
        self.ask(Command::Stock(order)).await
    }

    /// How it answers from now on.
    pub async fn behave(&mut self, behaviour: Behaviour) {
        self.ask::<()>(Command::Behave(behaviour)).await;
    }

    /// What arrived since this was last asked.
    pub async fn counts(&mut self) -> Counts {
        self.ask(Command::Counts).await
    }

    /// Ends the process, and waits until it has.
    pub async fn stop(self) {
        let Self { mut process, input, output, hosts: _ } = self;
        drop((input, output));
        // One that does not end is killed when it is dropped.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), process.wait()).await;
    }

    async fn ask<T: DeserializeOwned>(&mut self, command: Command) -> T {
        let line = serde_json::to_string(&command).expect("a command") + "\n";
        self.input.write_all(line.as_bytes()).await.expect("the registry lives");
        self.hear().await.expect("the registry answers")
    }

    async fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let line = self.output.next_line().await?.ok_or_else(|| io::Error::other("the registry ended"))?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// The process itself: `load registry FOLDER HOSTS PORT SEED`.
///
/// # Errors
/// Its output is closed.
pub async fn serve(folder: &Path, hosts: usize, port: u16, seed: u64) -> io::Result<()> {
    let signers = Signers::of(folder);
    let mut all = Vec::new();
    for place in 0..hosts {
        let offset = u16::try_from(place).expect("few hosts");
        let registry = FakeRegistry::start_on(if port == 0 { 0 } else { port.saturating_add(offset) }).await;
        let counter = Counter::default();
        let conduct = Conduct::new(seed, u64::from(offset));
        let (calls, decided) = (counter.clone(), conduct.clone());
        registry.rule(move |call| {
            let reply = decided.reply(call);
            calls.count(call, &reply);
            reply
        });
        all.push(Host { registry, counter, conduct });
    }
    let mut random = Random::new(seed, u64::MAX);
    say(&all.iter().map(|host| host.registry.host()).collect::<Vec<_>>())?;
    let mut lines = parent::lines();
    while let Some(line) = lines.recv().await {
        match serde_json::from_str(&line)? {
            Command::Behave(behaviour) => {
                let named = |place: &usize| behaviour.host.is_none_or(|host| host == *place);
                all.iter().enumerate().filter(|(place, _)| named(place)).for_each(|(_, host)| host.behave(&behaviour));
                say(&())?;
            }
            Command::Counts => {
                let counts = all.iter().map(|host| host.counter.take(host.registry.peak()));
                say(&counts.reduce(Counts::and).unwrap_or_default())?;
            }
            Command::Stock(order) => say(&stock(&all, &signers, &mut random, &order))?,
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Host {
    registry: FakeRegistry,
    counter: Counter,
    conduct: Conduct,
}

impl Host {
    fn behave(&self, behaviour: &Behaviour) {
        self.registry.latency(std::time::Duration::from_millis(behaviour.latency_ms));
        if behaviour.down {
            self.registry.take_down();
        } else {
            self.registry.bring_up();
        }
        if behaviour.tokens.is_some() {
            self.registry.require_token();
        }
        self.conduct.become_as(behaviour.clone());
    }
}

fn stock(hosts: &[Host], signers: &Signers, random: &mut Random, order: &Order) -> Vec<Image> {
    let Order { set, format, images, signatures, truth } = order;
    let image = |number: usize| {
        let host = hosts.get(number % hosts.len())?;
        let name = format!("{}/{set}/{number}", format.folder());
        let repository = host.registry.repository(&name);
        let truth = truth.unwrap_or_else(|| Truth::mixed(random));
        let image = repository.put_image(&name, Some("v1"));
        signers.attach(&repository, &image, *format, truth, *signatures);
        let (digest, tag) = (repository.digest(&image.digest).to_string(), repository.tag("v1").to_string());
        Some(Image { digest, tag, truth })
    };
    (0..*images).filter_map(image).collect()
}

fn say<T: Serialize>(answer: &T) -> io::Result<()> {
    parent::say(&serde_json::to_string(answer)?)
}
