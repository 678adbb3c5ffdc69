//! The product as a process of its own: the `countersign` binary, run as `serve` is run.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    time::{sleep, timeout},
};

use super::measure::Measured;

/// How long it may take to listen; a debug build on a busy machine takes a second.
const STARTING: Duration = Duration::from_mins(1);
/// Lines that are kept of what it says, other than decisions.
const KEPT_LINES: usize = 40;

/// A server's process.
#[derive(Debug)]
pub struct Server {
    // Dropping it kills the process.
    process: Child,
    /// What is measured of it.
    pub measured: Measured,
    /// Where Gatekeeper asks.
    pub address: SocketAddr,
    /// Where health and metrics are.
    pub admin: SocketAddr,
    said: Arc<Mutex<Said>>,
    asking: reqwest::Client,
}

/// What it said.
#[derive(Debug, Default)]
struct Said {
    lines: VecDeque<String>,
    panics: usize,
}

impl Server {
    /// Starts it with a configuration, and waits until it listens.
    ///
    /// # Errors
    /// It cannot be started, or ends.
    pub async fn start(program: &Path, configuration: &Path) -> io::Result<Self> {
        let mut process = Command::new(program)
            .arg("serve")
            .arg("--config")
            .arg(configuration)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}; build it first", program.display())))?;
        let said = Arc::new(Mutex::new(Said::default()));
        let (listens, mut listening) = watch::channel(None);
        let (Some(output), Some(errors)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        tokio::spawn(listen(output, Arc::clone(&said), Some(listens)));
        tokio::spawn(listen(errors, Arc::clone(&said), None));
        let pid = process.id().unwrap_or_default();
        let waited = timeout(STARTING, listening.wait_for(Option::is_some)).await;
        let addresses = waited.ok().and_then(|found| found.ok().and_then(|found| *found));
        let Some((address, admin)) = addresses else {
            return Err(io::Error::other(format!("the server does not listen: {}", tail(&said))));
        };
        // No connection stays behind to be counted.
        let asking =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().map_err(io::Error::other)?;
        Ok(Self { process, measured: Measured { pid }, address, admin, said, asking })
    }

    /// Tells it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills it without a word.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends it what ends a process that does not listen to it (OPS-05).
    pub fn disturb(&self) {
        for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::PIPE] {
            self.signal(signal);
        }
    }

    /// Changes how many descriptors it may have; gives what it was.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn limit_files(&self, most: Option<u64>) -> io::Result<u64> {
        let pid = i32::try_from(self.measured.pid).ok().and_then(Pid::from_raw);
        let now = prlimit(pid, Resource::Nofile, getrlimit(Resource::Nofile))?;
        let before = now.current.unwrap_or(u64::MAX);
        let wanted = Rlimit { current: Some(most.unwrap_or(before)), maximum: now.maximum };
        prlimit(pid, Resource::Nofile, wanted)?;
        Ok(before)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.measured.pid).ok().and_then(Pid::from_raw) {
            // It may have ended by itself; whoever waits for it sees that.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end: how long it took, and whether it ended in order. `None`: it did not.
    pub async fn ended(&mut self, patience: Duration) -> Option<(Duration, bool)> {
        let start = Instant::now();
        let status = timeout(patience, self.process.wait()).await.ok()?.ok()?;
        Some((start.elapsed(), status.success()))
    }

    /// Status and text of a path on its admin port.
    ///
    /// # Errors
    /// No answer.
    pub async fn admin(&self, path: &str) -> Result<(u16, String), reqwest::Error> {
        let answer =
            self.asking.get(format!("http://{}{path}", self.admin)).timeout(Duration::from_secs(10)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// The sum of a metric's samples; `labels` are parts of the line that must be there.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("/metrics").await.map(|(_, text)| text).unwrap_or_default();
        sum(&text, name, labels)
    }

    /// Waits until a metric is at least `least`; whether it was in time.
    pub async fn reaches(&self, name: &str, labels: &[&str], least: f64, patience: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < patience {
            if self.metric(name, labels).await >= least {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Panics so far.
    pub fn panics(&self) -> usize {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).panics
    }

    /// What it said last.
    pub fn last_words(&self) -> String {
        tail(&self.said)
    }
}

fn tail(said: &Mutex<Said>) -> String {
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    said.lines.iter().cloned().collect::<Vec<_>>().join("\n")
}

/// The sum of a metric's samples in Prometheus' text.
fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let fits = rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label));
        if fits { rest.rsplit(' ').next()?.parse::<f64>().ok() } else { None }
    });
    samples.fold(0.0, |sum, sample| sum + sample)
}

/// Reads what it says for as long as it does, so that no pipe is ever full.
async fn listen(
    output: impl AsyncRead + Unpin,
    said: Arc<Mutex<Said>>,
    listens: Option<watch::Sender<Option<(SocketAddr, SocketAddr)>>>,
) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(listens) = &listens
            && listens.borrow().is_none()
            && line.contains("\"answering\"")
            && let Some(found) = addresses(&line)
        {
            listens.send_replace(Some(found));
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if line.contains("panicked at") || line.contains("a fault of ours: panic") {
            said.panics += 1;
        }
        if line.contains("\"level\":\"WARN\"") || line.contains("\"decision\"") {
            continue;
        }
        if said.lines.len() >= KEPT_LINES {
            said.lines.pop_front();
        }
        said.lines.push_back(line.chars().take(400).collect());
    }
}

/// Both addresses of the line that tells them.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let at = |name: &str| {
        let found = line["fields"].get(name).or_else(|| line.get(name))?;
        found.as_str()?.parse().ok()
    };
    Some((at("address")?, at("admin")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_samples() {
        let text = "# HELP a b\na_total{kind=\"x\",status=\"2xx\"} 3\na_total{kind=\"y\",status=\"2xx\"} 4\na_total_more 9\nb 1.5\n";
        for (name, labels, expected) in
            [("a_total", &[][..], "7"), ("a_total", &["kind=\"y\""], "4"), ("b", &[], "1.5"), ("c", &[], "0")]
        {
            assert_eq!(sum(text, name, labels).to_string(), expected, "{name} {labels:?}");
        }
    }
}
