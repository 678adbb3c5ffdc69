//! Questions by many clients at once, each answer held against the truth.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    client::{Client, Keep, Lost, Target, write_request},
    random::Random,
    reply::{self, Malformed, Word},
    stall::Stall,
    tally::Tally,
    truth::{Image, Truth},
};

/// Of replies that look good, one of so many is read in depth all the same.
const READ_ONE_OF: u64 = 16;
/// How long after the deadline an answer is still waited for, to say how late it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked, by whom, how fast and for how long.
#[derive(Debug, Clone)]
pub struct Load {
    /// Who is asked.
    pub target: Target,
    /// Who is asked once more where no answer comes.
    pub second: Option<Target>,
    /// About what.
    pub images: Arc<[Image]>,
    /// In which order.
    pub pick: Pick,
    /// Keys of a request.
    pub keys: usize,
    /// How keys name images.
    pub name: Name,
    /// What goes before each key: `[namespace]`.
    pub prefix: String,
    /// Clients that ask, each one request at a time.
    pub clients: usize,
    /// What they do with their connections.
    pub keep: Keep,
    /// Requests a second, all together; `None`: as fast as answers come.
    pub pace: Option<f64>,
    /// When it ends.
    pub until: Until,
    /// After which nobody listens any more: the Provider's timeout.
    pub deadline: Duration,
    /// What chance is made from.
    pub seed: u64,
    /// Odd while nobody is trusted: then every yes is a false one. `None`: always trusted.
    pub era: Option<Arc<AtomicU64>>,
    /// How far this process itself was held up.
    pub stall: Stall,
}

/// Which images are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// In turn, again and again.
    Cycle,
    /// Each once, then it ends.
    Once,
    /// By chance.
    Random,
}

/// How keys name images, and what is asked about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Verify by digest.
    Digest,
    /// Verify by tag.
    Tag,
    /// Mutate, half of the keys by digest already.
    Mutate,
}

/// When a load ends.
#[derive(Debug, Clone)]
pub enum Until {
    /// After so long.
    For(Duration),
    /// After so long or so many requests, whatever comes first.
    Either(Duration, u64),
    /// After so many requests.
    Requests(u64),
    /// When it is told.
    Told(Arc<AtomicBool>),
}

struct Shared {
    load: Load,
    /// When all clients have connected.
    start: OnceLock<Instant>,
    connected: Barrier,
    issued: AtomicU64,
    cursor: AtomicUsize,
}

/// Asks until it ends, and gives what came.
pub async fn run(load: Load) -> Tally {
    let clients = load.clients;
    let shared = Arc::new(Shared {
        load,
        start: OnceLock::new(),
        connected: Barrier::new(clients),
        issued: AtomicU64::new(0),
        cursor: AtomicUsize::new(0),
    });
    let mut workers = JoinSet::new();
    for number in 0..clients {
        let stream = u64::try_from(number).unwrap_or_default();
        workers.spawn(work(Arc::clone(&shared), stream));
    }
    let mut all = Tally::default();
    while let Some(ended) = workers.join_next().await {
        all.add(ended.expect("a worker does not panic"));
    }
    all.wall = shared.start().elapsed();
    all
}

async fn work(shared: Arc<Shared>, number: u64) -> Tally {
    let load = &shared.load;
    let mut worker = Worker {
        client: Client::new(load.target.clone(), load.keep),
        second: load.second.clone().map(|target| Client::new(target, load.keep)),
        tally: Tally::default(),
        buffer: Vec::new(),
        random: Random::new(load.seed, number),
    };
    // Where requests come at a rate a connection could wait too long for its first one. One that cannot connect now does not hold up the
    // others for longer than anybody waits.
    if load.pace.is_none() {
        let _ = timeout(load.deadline, worker.client.open()).await;
    }
    shared.connected.wait().await;
    // The first who gets here; whoever asks later is told the same.
    let _ = shared.start();
    while let Some(planned) = shared.next().await {
        let picked = shared.pick(&mut worker.random);
        if picked.is_empty() {
            break;
        }
        worker.ask(load, &picked, planned).await;
    }
    worker.tally.connections = worker.client.connections;
    worker.tally.slowest_connection = worker.client.slowest_connection;
    worker.tally
}

impl Shared {
    fn start(&self) -> Instant {
        *self.start.get_or_init(Instant::now)
    }

    /// When the next request is to be sent; `None`: there is none.
    async fn next(&self) -> Option<Instant> {
        let place = self.issued.fetch_add(1, Ordering::Relaxed);
        let planned = match self.load.pace {
            None => Instant::now(),
            Some(a_second) => self.start() + Duration::from_secs_f64(super::tally::float(place) / a_second),
        };
        match &self.load.until {
            Until::For(length) | Until::Either(length, _)
                if planned.saturating_duration_since(self.start()) >= *length =>
            {
                return None;
            }
            Until::Requests(most) | Until::Either(_, most) if place >= *most => return None,
            Until::Told(told) if told.load(Ordering::Relaxed) => return None,
            Until::Either(..) | Until::For(_) | Until::Requests(_) | Until::Told(_) => {}
        }
        if self.load.pace.is_some() {
            sleep_until(planned.into()).await;
        }
        Some(planned)
    }

    fn pick(&self, random: &mut Random) -> Vec<&Image> {
        let Load { images, pick, keys, .. } = &self.load;
        let count = images.len();
        match pick {
            Pick::Random => (0..*keys).filter_map(|_| images.get(random.below(count))).collect(),
            Pick::Cycle => {
                let start = self.cursor.fetch_add(*keys, Ordering::Relaxed);
                (start..start.saturating_add(*keys)).filter_map(|place| images.get(place % count.max(1))).collect()
            }
            Pick::Once => {
                let start = self.cursor.fetch_add(*keys, Ordering::Relaxed);
                images.iter().skip(start).take(*keys).collect()
            }
        }
    }
}

struct Worker {
    client: Client,
    second: Option<Client>,
    tally: Tally,
    buffer: Vec<u8>,
    random: Random,
}

impl Worker {
    async fn ask(&mut self, load: &Load, images: &[&Image], planned: Instant) {
        let keys: Vec<String> = images.iter().map(|image| self.name(load, image)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let path = if load.name == Name::Mutate { &load.target.mutate } else { &load.target.verify };
        write_request(&mut self.buffer, path, keys.iter().copied());
        let Self { client, second, tally, buffer, random } = self;
        let era = |load: &Load| load.era.as_ref().map_or(0, |era| era.load(Ordering::SeqCst));
        let before = era(load);
        let sent = Instant::now();
        tally.requests += 1;
        tally.keys += u64::try_from(keys.len()).unwrap_or_default();
        let patience = load.deadline + PATIENCE;
        let answered = match (client.post(buffer, patience).await, second) {
            (Err(Lost::Broken(_) | Lost::Connect(_)), Some(second)) => second.post(buffer, patience).await,
            (answered, _) => answered,
        };
        let (status, body) = match answered {
            Ok(answer) => answer,
            Err(lost) => {
                tally.unanswered(&lost);
                return;
            }
        };
        let took = sent.elapsed();
        if took > load.deadline + load.stall.since(sent) {
            tally.late += 1;
            tally.example(&format!("{} ms for {}", took.as_millis(), keys.first().unwrap_or(&"")));
        }
        tally.latencies.push(planned.elapsed().max(took));
        if status != 200 {
            tally.refused += 1;
        }
        let after = era(load);
        let trusted = before == after && before % 2 == 0;
        let good = trusted && load.name != Name::Mutate && images.iter().all(|image| image.truth.is_good());
        if good && status == 200 && random.number() % READ_ONE_OF != 0 && reply::looks_good(body, &keys) {
            for image in images {
                tally.word(image, Word::Yes);
            }
            return;
        }
        match reply::read(body, &keys) {
            Err(malformed) => tally.malformed(&malformed),
            Ok(said) if load.name == Name::Mutate => mutated(tally, images, &keys, &said),
            Ok(said) if before != after => {
                // Both eras' words can be right, but what is bad is so in either.
                let bad = images.iter().zip(&said.words).filter(|(image, _)| !image.truth.is_good());
                bad.for_each(|(image, word)| tally.word(image, *word));
            }
            Ok(said) if !trusted => {
                let untrusted: Vec<Image> =
                    images.iter().map(|image| Image { truth: Truth::WrongSigner, ..(*image).clone() }).collect();
                tally.said(&untrusted.iter().collect::<Vec<_>>(), &said);
            }
            Ok(said) => tally.said(images, &said),
        }
    }

    fn name(&mut self, load: &Load, image: &Image) -> String {
        let by_digest = match load.name {
            Name::Digest => true,
            Name::Tag => false,
            Name::Mutate => self.random.happens(500),
        };
        let name = if by_digest { &image.digest } else { &image.tag };
        format!("{}{name}", load.prefix)
    }
}

/// Every key becomes its image's digest, whatever is attached to it.
fn mutated(tally: &mut Tally, images: &[&Image], keys: &[&str], said: &reply::Said) {
    if !said.code.is_empty() {
        *tally.system_errors.entry(said.code.clone()).or_default() += 1;
    } else if !said.idempotent {
        tally.malformed(&Malformed("not idempotent".to_owned()));
    }
    for ((image, key), word) in images.iter().zip(keys).zip(&said.words) {
        let name = match (word, said.texts.get(*key)) {
            (Word::Yes, Some(text)) if *text == image.digest => "yes",
            (Word::Undecided, _) => "undecided",
            (Word::No | Word::Yes, text) => {
                tally.malformed(&Malformed(format!("{key} became {text:?}")));
                "no"
            }
        };
        *tally.words.entry((name, image.truth)).or_default() += 1;
    }
}
