//! What a run found: rows of figures, what failed, what fell short; as a table, as JSON, and beside a run that was stored.

use std::{collections::BTreeMap, fmt::Write as _, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    registry::Counts,
    tally::{Points, Tally, float},
};

/// One phase of a scenario.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The scenario, and the phase where it has several.
    pub name: String,
    /// Requests sent.
    pub requests: u64,
    /// Keys asked.
    pub keys: u64,
    /// Requests a second.
    pub rate: f64,
    /// Keys a second.
    pub key_rate: f64,
    /// Milliseconds to an answer.
    pub latency: Points,
    /// Most memory that was resident, in MiB.
    pub peak_mib: f64,
    /// CPU milliseconds of the server, a request.
    pub cpu_ms: f64,
    /// Calls that the registry saw, a key.
    pub calls: f64,
    /// Keys by word: yes, no, undecided.
    pub words: BTreeMap<String, u64>,
    /// `systemError`s by code.
    pub system_errors: BTreeMap<String, u64>,
    /// Beside the provider that does nothing, in the same run.
    pub null: Option<Ratio>,
}

/// A phase beside the same one of the provider that does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Ratio {
    /// Requests a second: 1 is as good as nothing.
    pub rate: f64,
    /// CPU a request: 1 is as little as nothing.
    pub cpu: f64,
}

/// A figure that was to be reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// What, and how much is wanted.
    pub what: String,
    /// What it is.
    pub is: f64,
    /// Whether it was reached.
    pub reached: bool,
}

/// What one scenario found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name.
    pub scenario: String,
    /// Its phases.
    pub rows: Vec<Row>,
    /// What makes it a failure; empty: it holds.
    pub faults: Vec<String>,
    /// Figures.
    pub figures: Vec<Figure>,
    /// Longest that the harness itself was held up, in milliseconds.
    pub stalled_ms: f64,
}

/// A whole run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// What chance was made from.
    pub seed: u64,
    /// What was run.
    pub outcomes: Vec<Outcome>,
}

impl Row {
    /// A phase from what was counted.
    pub fn new(name: &str, tally: &Tally, cpu_ms: f64, peak_kib: u64, counts: Counts) -> Self {
        let words = ["yes", "no", "undecided"].map(|word| (word.to_owned(), tally.of(word)));
        Self {
            name: name.to_owned(),
            requests: tally.requests,
            keys: tally.keys,
            rate: tally.rate(),
            key_rate: tally.key_rate(),
            latency: tally.points(),
            peak_mib: float(peak_kib) / 1024.0,
            cpu_ms: cpu_ms / float(tally.requests.max(1)),
            calls: float(counts.reads()) / float(tally.keys.max(1)),
            words: words.into_iter().collect(),
            system_errors: tally.system_errors.clone(),
            null: None,
        }
    }

    /// Beside the same phase of the provider that does nothing.
    pub fn beside(&mut self, null: &Self) {
        let over = |ours: f64, theirs: f64| if theirs > 0.0 { ours / theirs } else { 0.0 };
        self.null = Some(Ratio { rate: over(self.rate, null.rate), cpu: over(self.cpu_ms, null.cpu_ms) });
    }

    fn said(&self) -> String {
        let words = self.words.iter().filter(|(_, count)| **count > 0).map(|(word, count)| format!("{count} {word}"));
        let errors = self.system_errors.iter().map(|(code, count)| format!("{count} {code}"));
        words.chain(errors).collect::<Vec<_>>().join(", ")
    }
}

impl Outcome {
    /// Notes a fault unless something holds.
    pub fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(otherwise());
        }
    }

    /// A figure that must be at least so much.
    pub fn at_least(&mut self, what: &str, wanted: f64, is: f64) {
        self.figures.push(Figure { what: format!("{what} ≥ {wanted}"), is, reached: is >= wanted });
    }

    /// A figure that may be at most so much.
    pub fn at_most(&mut self, what: &str, wanted: f64, is: f64) {
        self.figures.push(Figure { what: format!("{what} ≤ {wanted}"), is, reached: is <= wanted });
    }
}

impl Report {
    /// Whether nothing failed.
    pub fn holds(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.faults.is_empty())
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn store(&self, file: &Path) -> io::Result<()> {
        fs::write(file, serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads one that was stored.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn read(file: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }

    /// A table of its phases beside those of a run that was stored: the ratios to the provider that does nothing, each of its own
    /// run, since the machine's speed differs from hour to hour.
    pub fn beside(&self, stored: &Self) -> String {
        let before: BTreeMap<&str, &Row> =
            stored.outcomes.iter().flat_map(|outcome| &outcome.rows).map(|row| (row.name.as_str(), row)).collect();
        let mut text = "| phase | rate to null | before | change | CPU to null | before | change |\n|---|---|---|---|---|---|---|\n".to_owned();
        for row in self.outcomes.iter().flat_map(|outcome| &outcome.rows) {
            let (Some(now), Some(then)) = (row.null, before.get(row.name.as_str()).and_then(|row| row.null)) else {
                continue;
            };
            let change = |now: f64, then: f64| if then > 0.0 { (now / then - 1.0) * 100.0 } else { 0.0 };
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| {} | {:.3} | {:.3} | {:+.0} % | {:.2} | {:.2} | {:+.0} % |",
                row.name,
                now.rate,
                then.rate,
                change(now.rate, then.rate),
                now.cpu,
                then.cpu,
                change(now.cpu, then.cpu)
            );
        }
        text
    }
}

/// The head of a table of phases. Without times: ratios alone.
pub const fn head(times: bool) -> &'static str {
    if times {
        "| phase | requests | req/s | keys/s | p50 ms | p90 | p99 | max | peak MiB | CPU ms/req | calls/key | rate to null | CPU to null | said |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    } else {
        "| phase | requests | calls/key | rate to null | CPU to null | said |\n|---|---|---|---|---|---|"
    }
}

/// One phase as a line of the table.
pub fn line(row: &Row, times: bool) -> String {
    let null = row.null.map_or_else(
        || ["–".to_owned(), "–".to_owned()],
        |null| [format!("{:.3}", null.rate), format!("{:.2}", null.cpu)],
    );
    let [rate, cpu] = null;
    let Row { name, requests, calls, .. } = row;
    if !times {
        return format!("| {name} | {requests} | {calls:.2} | {rate} | {cpu} | {} |", row.said());
    }
    let Points { p50, p90, p99, max } = row.latency;
    format!(
        "| {name} | {requests} | {:.0} | {:.0} | {p50:.2} | {p90:.2} | {p99:.1} | {max:.0} | {:.0} | {:.3} | {calls:.2} | {rate} | {cpu} | {} |",
        row.rate,
        row.key_rate,
        row.peak_mib,
        row.cpu_ms,
        row.said()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rate: f64) -> Report {
        let row = Row { name: "L1".to_owned(), null: Some(Ratio { rate, cpu: 2.0 }), ..Row::default() };
        Report { seed: 1, outcomes: vec![Outcome { rows: vec![row], ..Outcome::default() }] }
    }

    #[test]
    fn runs_are_compared_by_their_own_ratios() {
        let text = report(0.6).beside(&report(0.5));
        assert!(text.contains("| L1 | 0.600 | 0.500 | +20 % | 2.00 | 2.00 | +0 % |"), "{text}");
        assert_eq!(report(0.6).beside(&Report::default()).lines().count(), 2, "nothing to compare with");
    }

    #[test]
    fn one_fault_fails_a_run() {
        let mut report = report(1.0);
        assert!(report.holds());
        report.outcomes[0].check(true, || "no".to_owned());
        report.outcomes[0].at_least("a figure", 1.0, 0.0);
        assert!(report.holds(), "what falls short is told, and fails nothing");
        report.outcomes[0].check(false, || "leak".to_owned());
        assert!(!report.holds());
    }
}
