//! What became of the questions, held against the truth.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    client::Lost,
    reply::{Malformed, Said, Word},
    truth::{Image, Truth},
};

/// Examples of a fault that are kept.
const EXAMPLES: usize = 5;

/// Counts of one phase.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests that were sent.
    pub requests: u64,
    /// Keys asked.
    pub keys: u64,
    /// Keys by word and truth.
    pub words: BTreeMap<(&'static str, Truth), u64>,
    /// Requests answered by a status other than 200.
    pub refused: u64,
    /// `systemError`s by code.
    pub system_errors: BTreeMap<String, u64>,
    /// Yes to what is bad.
    pub false_accepts: u64,
    /// No, for good, to what is good.
    pub false_denials: u64,
    /// Replies that Gatekeeper could misread.
    pub malformed: u64,
    /// Replies after the deadline, and questions without a reply then.
    pub late: u64,
    /// Questions whose connection broke without a reply.
    pub lost: u64,
    /// Connections that were refused, or whose handshake failed.
    pub unconnected: u64,
    /// Connections made.
    pub connections: u64,
    /// One example of each fault.
    pub examples: Vec<String>,
    /// Of each answered request.
    pub latencies: Vec<Duration>,
    /// Slowest connection, TLS included.
    pub slowest_connection: Duration,
    /// How long the phase took.
    pub wall: Duration,
}

/// What a run may do without having failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grace {
    /// Answers may be lost with the process that owed them.
    pub lost: bool,
    /// Good images may be refused for good: their evidence was damaged, or trust was taken away.
    pub denials: bool,
    /// Connections may be refused: nobody listens for a while.
    pub unconnected: bool,
}

/// Points of a distribution, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Points {
    /// The median.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// Ninety-nine of a hundred.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Tally {
    /// Takes a reply that was read.
    pub fn said(&mut self, images: &[&Image], said: &Said) {
        if !said.code.is_empty() {
            *self.system_errors.entry(said.code.clone()).or_default() += 1;
        }
        for (image, word) in images.iter().zip(&said.words) {
            self.word(image, *word);
        }
    }

    /// Takes one word on an image.
    pub fn word(&mut self, image: &Image, word: Word) {
        let name = match word {
            Word::No => "no",
            Word::Undecided => "undecided",
            Word::Yes => "yes",
        };
        *self.words.entry((name, image.truth)).or_default() += 1;
        match (word, image.truth.is_good()) {
            (Word::Yes, false) => {
                self.false_accepts += 1;
                // Before all others: nothing else is as bad.
                self.examples.insert(0, format!("FALSE ACCEPT of {} ({:?})", image.digest, image.truth));
            }
            (Word::No, true) => {
                self.false_denials += 1;
                self.example(&format!("false denial of {}", image.digest));
            }
            (Word::No, false) | (Word::Undecided, _) | (Word::Yes, true) => {}
        }
    }

    /// Takes a reply that could be misread.
    pub fn malformed(&mut self, malformed: &Malformed) {
        self.malformed += 1;
        self.example(&format!("malformed: {}", malformed.0));
    }

    /// Takes a question without an answer.
    pub fn unanswered(&mut self, lost: &Lost) {
        match lost {
            Lost::Broken(_) => self.lost += 1,
            Lost::Connect(_) => self.unconnected += 1,
            Lost::Late => self.late += 1,
        }
        self.example(&format!("no answer: {lost:?}"));
    }

    /// Keeps an example of a fault.
    pub fn example(&mut self, text: &str) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text.to_owned());
        }
    }

    /// Adds another worker's counts.
    pub fn add(&mut self, other: Self) {
        let Self { requests, keys, words, refused, system_errors, .. } = &other;
        self.requests += requests;
        self.keys += keys;
        self.refused += refused;
        for (word, count) in words {
            *self.words.entry(*word).or_default() += count;
        }
        for (code, count) in system_errors {
            *self.system_errors.entry(code.clone()).or_default() += count;
        }
        self.false_accepts += other.false_accepts;
        self.false_denials += other.false_denials;
        self.malformed += other.malformed;
        self.late += other.late;
        self.lost += other.lost;
        self.unconnected += other.unconnected;
        self.connections += other.connections;
        for example in &other.examples {
            self.example(example);
        }
        self.latencies.extend(other.latencies);
        self.slowest_connection = self.slowest_connection.max(other.slowest_connection);
        self.wall = self.wall.max(other.wall);
    }

    /// Keys of a word, whatever their truth.
    pub fn of(&self, word: &str) -> u64 {
        self.words.iter().filter(|((said, _), _)| *said == word).map(|(_, count)| count).sum()
    }

    /// Keys of a word and a truth.
    pub fn of_truth(&self, word: &'static str, truth: Truth) -> u64 {
        self.words.get(&(word, truth)).copied().unwrap_or_default()
    }

    /// Requests that have an answer, whatever it says.
    pub const fn answered(&self) -> u64 {
        self.requests.saturating_sub(self.lost).saturating_sub(self.unconnected).saturating_sub(self.late)
    }

    /// What makes the run a failed one.
    pub fn faults(&self, grace: Grace) -> Vec<String> {
        let count = |name: &str, count: u64, allowed: bool| {
            (count > 0 && !allowed).then(|| format!("{count} {name} ({})", self.examples.join("; ")))
        };
        [
            count("false accepts", self.false_accepts, false),
            count("malformed replies", self.malformed, false),
            count("replies past the deadline", self.late, false),
            count("false denials", self.false_denials, grace.denials),
            count("answers lost", self.lost, grace.lost),
            count("connections refused", self.unconnected, grace.unconnected),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        ratio(self.requests, self.wall)
    }

    /// Keys a second.
    pub fn key_rate(&self) -> f64 {
        ratio(self.keys, self.wall)
    }

    /// How long answers took.
    pub fn points(&self) -> Points {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = |per_mille: usize| {
            let place = sorted.len().saturating_mul(per_mille) / 1000;
            let found = sorted.get(place).or(sorted.last());
            found.map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        Points { p50: at(500), p90: at(900), p99: at(990), max: at(1000) }
    }
}

/// So many a second.
fn ratio(count: u64, wall: Duration) -> f64 {
    let seconds = wall.as_secs_f64();
    if seconds > 0.0 { float(count) / seconds } else { 0.0 }
}

/// A count as a number to calculate with; exact below 2^53.
pub fn float(count: u64) -> f64 {
    let [low, high] = [count & 0xFFFF_FFFF, count >> 32].map(|part| u32::try_from(part).map_or(0.0, f64::from));
    high.mul_add(4_294_967_296.0, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(truth: Truth) -> Image {
        Image { digest: "host/image@sha256:0".to_owned(), tag: String::new(), truth }
    }

    #[test]
    fn one_false_accept_fails_a_run_whatever_is_forgiven() {
        let grace = Grace { lost: true, denials: true, unconnected: true };
        for truth in Truth::BAD {
            let mut tally = Tally::default();
            tally.word(&image(truth), Word::No);
            tally.word(&image(truth), Word::Undecided);
            assert!(tally.faults(Grace::default()).is_empty());
            tally.word(&image(truth), Word::Yes);
            assert_eq!((tally.false_accepts, tally.faults(grace).len()), (1, 1), "{truth:?}");
        }
    }

    #[test]
    fn a_good_image_may_be_undecided_and_never_refused_without_a_reason() {
        let mut tally = Tally::default();
        tally.word(&image(Truth::Good), Word::Yes);
        tally.word(&image(Truth::Good), Word::Undecided);
        assert!(tally.faults(Grace::default()).is_empty());
        tally.word(&image(Truth::Good), Word::No);
        assert_eq!(tally.faults(Grace::default()).len(), 1);
        assert!(tally.faults(Grace { denials: true, ..Grace::default() }).is_empty());
    }

    #[test]
    fn what_is_not_answered_fails_a_run_unless_it_is_forgiven() {
        for (lost, grace) in [
            (Lost::Late, None),
            (Lost::Broken(std::io::ErrorKind::ConnectionReset.into()), Some(Grace { lost: true, ..Grace::default() })),
            (
                Lost::Connect(std::io::ErrorKind::ConnectionRefused.into()),
                Some(Grace { unconnected: true, ..Grace::default() }),
            ),
        ] {
            let mut tally = Tally::default();
            tally.unanswered(&lost);
            assert_eq!(tally.faults(Grace::default()).len(), 1, "{lost:?}");
            if let Some(grace) = grace {
                assert!(tally.faults(grace).is_empty(), "{lost:?}");
            }
        }
        let mut tally = Tally::default();
        tally.malformed(&Malformed("nothing".to_owned()));
        assert_eq!(tally.faults(Grace { lost: true, denials: true, unconnected: true }).len(), 1);
    }

    #[test]
    fn points_are_those_of_the_sorted_latencies() {
        let latencies = (1..=1000).rev().map(Duration::from_millis).collect();
        let points = Tally { latencies, ..Tally::default() }.points();
        assert_eq!(points, Points { p50: 501.0, p90: 901.0, p99: 991.0, max: 1000.0 });
        assert_eq!(float(1 << 40).to_string(), "1099511627776");
    }
}
