//! Everything that one scenario needs: folders, certificates, a registry, the server under load, and the provider that does nothing.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, client::Resumption};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::sleep,
};

use super::{
    client::{Keep, Target},
    generator::{Load, Name, Pick, Until},
    measure::{Held, Measured},
    options::{Foreign, Options},
    registry::{Behaviour, Order, Registries, Start},
    server::Server,
    signers::{ISSUER, Signers, WORKFLOW, trust_policy},
    stall::Stall,
    truth::{Format, Image, Truth},
};
use crate::{
    pki::{Authority, Identity},
    provider::{MUTATE, VERIFY},
};

/// What Gatekeeper's certificate is called.
pub const CLIENT: &str = "gatekeeper-webhook-service.gatekeeper-system.svc";
/// How long everything may take to be idle again.
const COOLING: Duration = Duration::from_secs(40);
/// Longest that connections to a registry may wait in a pool.
const POOLED: u64 = 128;

/// How a lab differs from the usual one.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Hosts of the registry.
    pub hosts: usize,
    /// The section `limits`.
    pub limits: Value,
    /// Keys name namespaces.
    pub tenancy: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { hosts: 1, limits: json!({}), tenancy: false }
    }
}

/// A scenario's world. Its processes end with it.
#[derive(Debug)]
pub struct Lab {
    /// Which run this is part of.
    pub options: Options,
    /// Where images are.
    pub registries: Registries,
    /// What is measured: the server's process, or the foreign one.
    pub measured: Measured,
    /// The server, where it is ours.
    pub server: Option<Server>,
    /// The configuration in its file.
    pub configuration: Value,
    /// Issues certificates for both sides.
    pub authority: Authority,
    /// How far this process was held up.
    pub stall: Stall,
    folder: Folder,
    target: Target,
    idle: Held,
}

#[derive(Debug)]
enum Folder {
    Named(PathBuf),
    Temporary(TempDir),
}

/// The provider that does nothing.
#[derive(Debug)]
pub struct Null {
    // Dropping it kills the process.
    _process: Child,
    /// What is measured of it.
    pub measured: Measured,
    /// Where it is asked.
    pub target: Target,
}

impl Lab {
    /// Starts the registry and the server.
    ///
    /// # Errors
    /// A process cannot be started.
    pub async fn open(options: &Options, setup: &Setup) -> io::Result<Self> {
        let folder = match &options.folder {
            Some(folder) => Folder::Named(folder.clone()),
            None => Folder::Temporary(tempfile::tempdir()?),
        };
        let start = Start {
            program: &options.program,
            folder: folder.path(),
            hosts: setup.hosts,
            port: options.registry_port,
            seed: options.seed,
        };
        Signers::of(folder.path());
        let registries = Registries::start(start).await?;
        let authority = Authority::new("load");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        let pair = authority.server(&["127.0.0.1", "localhost"]);
        write("tls.crt", &pair.certificate_pem)?;
        write("tls.key", &pair.key_pem)?;
        write("ca.crt", &authority.pem())?;
        let configuration = configuration(options, setup, &registries.hosts);
        write("countersign.yaml", &configuration.to_string())?;
        let tls = Some(Arc::new(client_config(&authority, &authority.client(CLIENT))));
        let path = folder.path().join("countersign.yaml");
        let (server, measured, target) = match &options.foreign {
            None => {
                let server = Server::start(&options.server, &path).await?;
                let target =
                    Target { address: server.address, verify: VERIFY.to_owned(), mutate: MUTATE.to_owned(), tls };
                let measured = server.measured;
                (Some(server), measured, target)
            }
            Some(foreign) => (None, Measured { pid: foreign.pid }, foreign_target(foreign)?),
        };
        let idle = at_rest(measured).await;
        let options = options.clone();
        let stall = Stall::watch();
        Ok(Self { options, registries, measured, server, configuration, authority, stall, folder, target, idle })
    }

    /// The server; a scenario that needs it is not run against a foreign one.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("a server of ours")
    }

    /// A file of the server.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the server, so that it is never seen half written.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!(".{name}.new"));
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.path(name)).expect("a file");
    }

    /// Writes the configuration.
    pub fn configure(&self) {
        self.write("countersign.yaml", &self.configuration.to_string());
    }

    /// Where questions go.
    pub fn target(&self) -> Target {
        self.target.clone()
    }

    /// Where questions to another server of ours go.
    pub fn target_of(&self, server: &Server) -> Target {
        Target { address: server.address, ..self.target() }
    }

    /// Starts the server anew, on the port that it had.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.server = None;
        let server = Server::start(&self.options.server, &self.path("countersign.yaml")).await?;
        (self.measured, self.target.address) = (server.measured, server.address);
        self.idle = at_rest(self.measured).await;
        self.server = Some(server);
        Ok(())
    }

    /// Starts one more server, with the same configuration on other ports.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn replica(&self) -> io::Result<Server> {
        let mut configuration = self.configuration.clone();
        configuration["server"]["address"] = json!("127.0.0.1:0");
        configuration["server"]["admin"] = json!("127.0.0.1:0");
        self.write("replica.yaml", &configuration.to_string());
        Server::start(&self.options.server, &self.path("replica.yaml")).await
    }

    /// Images of one truth.
    pub async fn stock(&mut self, set: &str, format: Format, images: usize, signatures: usize) -> Arc<[Image]> {
        self.order(set, format, images, signatures, Some(Truth::Good)).await
    }

    /// Images of all truths.
    pub async fn mixture(&mut self, set: &str, format: Format, images: usize) -> Arc<[Image]> {
        self.order(set, format, images, 1, None).await
    }

    async fn order(
        &mut self,
        set: &str,
        format: Format,
        images: usize,
        signatures: usize,
        truth: Option<Truth>,
    ) -> Arc<[Image]> {
        let order = Order { set: set.to_owned(), format, images, signatures, truth };
        self.registries.stock(order).await.into()
    }

    /// How the registry behaves from now on.
    pub async fn behave(&mut self, behaviour: Behaviour) {
        self.registries.behave(behaviour).await;
    }

    /// A load of kept connections that asks for one image by digest, as fast as answers come, for so long.
    pub fn load(&self, images: &Arc<[Image]>, clients: usize, until: Until) -> Load {
        Load {
            target: self.target(),
            second: None,
            images: Arc::clone(images),
            pick: Pick::Cycle,
            keys: 1,
            name: Name::Digest,
            prefix: String::new(),
            clients,
            keep: Keep::Open,
            pace: None,
            until,
            deadline: self.options.deadline(),
            seed: self.options.seed,
            era: None,
            stall: self.stall.clone(),
        }
    }

    /// Starts the provider that does nothing, with the same certificates.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn null(&self) -> io::Result<Null> {
        let mut process = Command::new(&self.options.program)
            .arg("null")
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let line = BufReader::new(output).lines().next_line().await?.unwrap_or_default();
        let address: SocketAddr = line.trim().parse().map_err(io::Error::other)?;
        let measured = Measured { pid: process.id().unwrap_or_default() };
        let tls = Some(Arc::new(client_config(&self.authority, &self.authority.client(CLIENT))));
        let target = Target { address, verify: VERIFY.to_owned(), mutate: MUTATE.to_owned(), tls };
        Ok(Null { _process: process, measured, target })
    }

    /// Waits until the server is idle: what is then still held, and should not be, is a leak. To be called when all clients are gone.
    pub async fn cool_down(&self) -> Vec<String> {
        let start = Instant::now();
        loop {
            let leaks = self.leaks().await;
            if leaks.is_empty() || start.elapsed() > COOLING {
                return leaks;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until no verification is under way, and what was found out is forgotten, where that lives a second.
    pub async fn settle(&self) {
        let start = Instant::now();
        while let Some(server) = &self.server
            && server.metric("countersign_verifications_in_flight", &[]).await > 0.0
            && start.elapsed() < COOLING
        {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(1500)).await;
    }

    async fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        let held = self.measured.held();
        let ports: Vec<u16> = self.server.as_ref().map_or_else(
            || vec![self.target.address.port()],
            |server| vec![server.address.port(), server.admin.port()],
        );
        let mut more = |what: &str, now: u64, most: u64| {
            if now > most {
                leaks.push(format!("{now} {what} where at most {most} may be"));
            }
        };
        more("connections of clients", held.clients(self.target.address.port()), 0);
        if let Some(server) = &self.server {
            let hosts = u64::try_from(self.registries.hosts.len()).unwrap_or_default();
            more("connections to registries", held.outbound(&ports), POOLED * hosts);
            // Workers that had nothing to do yet have what they poll with to come.
            more("file descriptors", held.files, self.idle.files + 16);
            // The runtime's threads for blocking work go after ten seconds without any.
            more("threads", held.threads, self.idle.threads + 8);
            for gauge in [
                "countersign_requests_in_flight",
                "countersign_registry_requests_in_flight",
                "countersign_verifications_in_flight",
                "countersign_places_in_use",
            ] {
                let now = server.metric(gauge, &[]).await;
                if now.abs() > 0.0 {
                    leaks.push(format!("{gauge} is {now}"));
                }
            }
        }
        leaks
    }
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// What a process holds when it has started: the same for a while.
async fn at_rest(measured: Measured) -> Held {
    let mut held = measured.held();
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        let now = measured.held();
        if now.files == held.files && now.threads == held.threads {
            break;
        }
        held = now;
    }
    held
}

/// Where a foreign provider is asked; `ca.crt`, `tls.crt` and `tls.key` of its folder are for TLS.
fn foreign_target(foreign: &Foreign) -> io::Result<Target> {
    let Foreign { address, path, tls, .. } = foreign;
    let tls = match tls {
        None => None,
        Some(folder) => Some(Arc::new(super::options::client_config(folder)?)),
    };
    Ok(Target { address: *address, verify: path.clone(), mutate: path.clone(), tls })
}

/// A TLS client that shows a certificate and never resumes, as Gatekeeper's does not.
pub fn client_config(authority: &Authority, identity: &Identity) -> ClientConfig {
    let mut config = authority.client_config(Some(identity));
    config.resumption = Resumption::disabled();
    config
}

fn configuration(options: &Options, setup: &Setup, hosts: &[String]) -> Value {
    let host = json!({ "plainHttp": true, "allowLoopback": true });
    let hosts: Map<String, Value> = hosts.iter().map(|name| (name.clone(), host.clone())).collect();
    let timeout = format!("{}ms", options.provider_timeout().as_millis());
    let policy = |format: Format, verifier: &str| json!({ "scopes": [format!("*/{}/**", format.folder())], "require": verifier });
    json!({
        "server": {
            "address": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "tls": { "certificate": "tls.crt", "key": "tls.key", "clientCa": "ca.crt", "clientName": CLIENT },
            "providerTimeout": { "verify": timeout, "mutate": timeout },
        },
        "tenancy": { "enabled": setup.tenancy },
        "stores": [{ "name": "registries", "type": "registry", "hosts": hosts }],
        "verifiers": [
            {
                "name": "notary",
                "type": "notation",
                "trustPolicies": [trust_policy()],
                "trustStores": { "ca": { "load": ["root.pem"] } },
            },
            {
                "name": "cosign",
                "type": "cosign",
                "signatureFormat": "legacy",
                "trustPolicies": [{ "name": "keyed", "scopes": ["**"], "keys": [{ "file": "cosign.pub" }], "ignoreTlog": true }],
            },
            {
                "name": "keyless",
                "type": "cosign",
                "signatureFormat": "bundle",
                "trustPolicies": [{
                    "name": "keyless",
                    "scopes": ["**"],
                    "trustedRoot": { "file": "trusted_root.json" },
                    "identities": [{ "issuer": ISSUER, "subject": WORKFLOW }],
                }],
            },
        ],
        "policies": [
            policy(Format::Notation, "notary"), policy(Format::Sig, "cosign"), policy(Format::Bundle, "keyless"),
        ],
        "limits": setup.limits,
        "decisionLog": options.decision_log,
    })
}
