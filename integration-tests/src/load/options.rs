//! What is asked for on the command line.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use rustls::{ClientConfig, client::Resumption, crypto::aws_lc_rs};

use super::pem;

/// The Provider's timeout in the smoke set: what nobody waits longer for.
const DEADLINE: Duration = Duration::from_secs(3);
/// What the server is told there instead, so that a slow machine's noise is no late answer.
const SMOKE_TIMEOUT: Duration = Duration::from_secs(2);

/// Load, faults and hostile input against `countersign serve` as a process of its own, over TLS on loopback.
///
/// A run fails on one false accept, one malformed reply, one reply past the deadline, one lost answer, one panic or one
/// leaked connection. Everything it starts ends with it.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Arguments {
    /// Scenarios, as `--list` names them
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// What every change must pass: pass or fail and ratios, no absolute times
    #[arg(long)]
    smoke: bool,
    /// Names the scenarios
    #[arg(long)]
    list: bool,
    /// Another provider's URL, as `http://127.0.0.1:6001`, instead of our server
    #[arg(long, value_name = "URL", requires = "pid")]
    target: Option<String>,
    /// The process of that provider
    #[arg(long, requires = "target")]
    pid: Option<u32>,
    /// The path where that provider verifies
    #[arg(long, default_value = "/ratify/gatekeeper/v1/verify")]
    path: String,
    /// A folder with ca.crt, and tls.crt and tls.key of a client, for a provider with TLS
    #[arg(long, value_name = "FOLDER")]
    tls: Option<PathBuf>,
    /// Where signers and what trusts them are kept (root.pem, cosign.pub, …); made where it is empty
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The registry's first port; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    registry_port: u16,
    /// The server's binary [default: `countersign` beside this one]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Writes the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compares with results that were stored: ratios to the provider that does nothing, each of its own run
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// What chance is made from; printed, so that a run can be had again
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds that a scenario's load lasts, where it lasts a time
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Verdicts of the oracle run
    #[arg(long, value_name = "COUNT")]
    verdicts: Option<u64>,
    /// Which keys the server writes a record of: all, denials or none
    #[arg(long, default_value = "denials")]
    decision_log: String,
}

/// What a run is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Scenarios by name; empty: those of the set.
    pub scenarios: Vec<String>,
    /// Whether this is the smoke set.
    pub smoke: bool,
    /// Whether scenarios are only named.
    pub list: bool,
    /// A provider that is not ours.
    pub foreign: Option<Foreign>,
    /// Where signers are kept.
    pub folder: Option<PathBuf>,
    /// The registry's first port.
    pub registry_port: u16,
    /// This binary.
    pub program: PathBuf,
    /// The server's binary.
    pub server: PathBuf,
    /// Where results go.
    pub json: Option<PathBuf>,
    /// What they are compared with.
    pub compare: Option<PathBuf>,
    /// What chance is made from.
    pub seed: u64,
    /// `decisionLog`
    pub decision_log: String,
    duration: Option<Duration>,
    verdicts: Option<u64>,
}

/// A provider that is not ours.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// Where it listens.
    pub address: SocketAddr,
    /// The path that verifies.
    pub path: String,
    /// Its process.
    pub pid: u32,
    /// Certificates, where it speaks TLS.
    pub tls: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; ends the process where it asks for help or is wrong.
    ///
    /// # Errors
    /// What is asked for contradicts itself.
    pub fn read(fresh_seed: u64) -> io::Result<Self> {
        let Arguments {
            scenarios,
            smoke,
            list,
            target,
            pid,
            path,
            tls,
            folder,
            registry_port,
            server,
            json,
            compare,
            seed,
            duration,
            verdicts,
            decision_log,
        } = Arguments::parse();
        let program = env::current_exe()?;
        let beside = program.parent().unwrap_or(Path::new(".")).join("countersign");
        let foreign = match (target, pid) {
            (Some(url), Some(pid)) => Some(Foreign { address: address_of(&url, tls.is_some())?, path, pid, tls }),
            (None, _) | (_, None) => None,
        };
        if let Some(folder) = &folder {
            fs::create_dir_all(folder)?;
        }
        Ok(Self {
            scenarios,
            smoke,
            list,
            foreign,
            folder,
            registry_port,
            program,
            server: server.unwrap_or(beside),
            json,
            compare,
            seed: seed.unwrap_or(fresh_seed),
            decision_log,
            duration: duration.map(Duration::from_secs),
            verdicts,
        })
    }

    /// How long a load lasts: in the smoke set, by hand, unless it is said.
    pub fn length(&self, smoke: u64, by_hand: u64) -> Duration {
        self.duration.unwrap_or(Duration::from_secs(if self.smoke { smoke } else { by_hand }))
    }

    /// One number in the smoke set, another by hand.
    pub const fn size(&self, smoke: usize, by_hand: usize) -> usize {
        if self.smoke { smoke } else { by_hand }
    }

    /// Verdicts of the oracle run.
    pub fn verdicts(&self) -> u64 {
        self.verdicts.unwrap_or(if self.smoke { 10_000 } else { 1_000_000 })
    }

    /// After which an answer is late.
    pub const fn deadline(&self) -> Duration {
        DEADLINE
    }

    /// `providerTimeout`.
    pub const fn provider_timeout(&self) -> Duration {
        if self.smoke { SMOKE_TIMEOUT } else { DEADLINE }
    }
}

/// The address of a loopback URL: nothing else is ever loaded.
fn address_of(url: &str, tls: bool) -> io::Result<SocketAddr> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("--target {url}: {what}"));
    let rest = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) if tls => rest,
        (None, Some(rest)) if !tls => rest,
        (Some(_), _) => return Err(wrong("https needs --tls FOLDER")),
        (None, _) => return Err(wrong("must be a http:// URL, or https:// with --tls FOLDER")),
    };
    let host = rest.trim_end_matches('/').replace("localhost", "127.0.0.1");
    let address: SocketAddr = host.parse().map_err(|_| wrong("must name an address and a port, and no path"))?;
    if address.ip().is_loopback() { Ok(address) } else { Err(wrong("must be on loopback")) }
}

/// The client of a foreign provider.
///
/// # Errors
/// A file is missing, or is no certificate or key.
pub fn client_config(folder: &Path) -> io::Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pem::wrong)?
        .with_root_certificates(pem::roots(&folder.join("ca.crt"))?)
        .with_client_auth_cert(pem::certificates(&folder.join("tls.crt"))?, pem::key(&folder.join("tls.key"))?)
        .map_err(pem::wrong)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_ever_loaded() {
        for (url, tls, expected) in [
            ("http://127.0.0.1:6001", false, Some("127.0.0.1:6001")),
            ("http://localhost:6001/", false, Some("127.0.0.1:6001")),
            ("https://127.0.0.1:6001", true, Some("127.0.0.1:6001")),
            ("https://127.0.0.1:6001", false, None),
            ("http://127.0.0.1:6001", true, None),
            ("http://192.0.2.1:6001", false, None),
            ("http://example.com:6001", false, None),
            ("http://127.0.0.1:6001/verify", false, None),
            ("127.0.0.1:6001", false, None),
        ] {
            let found = address_of(url, tls).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{url}");
        }
    }
}
