//! Our own certificates in a cluster whose clock is moved by months: two replicas of the real server, each with its keeper, and a client that
//! trusts what the Provider lists, as Gatekeeper does.

use std::{sync::Arc, time::Duration as Span};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    kubernetes::{
        Cluster,
        certificates::{CertificatesError, Keeper},
        config,
    },
    server::Handed,
    telemetry::{DecisionLog, Telemetry},
    time::{Clock, Hand},
};
use integration_tests::{
    cluster::{FakeCluster, Fault},
    provider::{Provider, Stage, VERIFY, client, configuration, request},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    time_provider::TimeProvider,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::TlsConnector;

mod canary;
mod client_ca;
mod faults;
mod life;
mod writer;

const START: OffsetDateTime = datetime!(2027-01-01 00:00 UTC);
const NAMESPACE: &str = "countersign-system";
const SECRET: &str = "countersign-tls";
const HOST: &str = "countersign.countersign-system.svc";
const PROVIDERS: [&str; 2] = ["countersign", "countersign-mutation"];

/// A cluster with both Providers, a clock that moves, and what a late client still knows.
struct Scene {
    cluster: FakeCluster,
    hand: &'static Hand,
    now: OffsetDateTime,
    at: Instant,
}

/// A server and the keeper of its certificate.
struct Replica {
    /// Whose folder the configuration is in.
    _stage: Stage,
    keeper: Keeper,
    provider: Provider,
    telemetry: Arc<Telemetry>,
}

#[derive(Debug)]
struct Moved(Clock);

impl TimeProvider for Moved {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Span::from_secs(seconds)))
    }
}

fn provider_object(name: &str, host: &str) -> Value {
    json!({
        "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
        "kind": "Provider",
        "metadata": { "name": name },
        "spec": { "url": format!("https://{host}:6001/x"), "timeout": 2, "caBundle": "UExBQ0VIT0xERVI=" },
    })
}

impl Scene {
    async fn set() -> Self {
        let cluster = FakeCluster::with_gatekeeper().await;
        for name in PROVIDERS {
            cluster.put(provider_object(name, HOST));
        }
        cluster.clock(START);
        Self { cluster, hand: Hand::at(START), now: START, at: Instant::now() }
    }

    /// Moves every clock on.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.at += Span::try_from(time).unwrap();
        self.hand.set(self.now);
        self.cluster.clock(self.now);
    }

    fn keeper(&self, name: &str, telemetry: &Telemetry) -> Keeper {
        let cluster = Cluster::new(self.cluster.client(), Some(NAMESPACE));
        Keeper::new(cluster, config::Certificates::default(), name.to_owned(), &telemetry.meter())
    }

    async fn replica(&self, name: &str) -> Replica {
        let telemetry = Arc::new(Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap());
        let keeper = self.keeper(name, &telemetry);
        let stage = Stage::set();
        let mut configuration = configuration(["127.0.0.1:1"]);
        let server = configuration["server"].as_object_mut().unwrap();
        server.remove("plainHttp");
        server.insert("tls".to_owned(), json!({ "insecureSkipClientCertificate": true }));
        configuration["kubernetes"] = json!({ "certificates": {} });
        stage.configure(&configuration);
        let handed = Handed { certificate: Some(keeper.served()), client_ca: None };
        let provider = stage.start_handed(client(), handed, Clock::Hand(self.hand)).await.unwrap();
        Replica { _stage: stage, keeper, provider, telemetry }
    }

    /// Both replicas, of which the first has the Lease, with a certificate that every Provider trusts.
    async fn running() -> (Self, [Replica; 2]) {
        let mut scene = Self::set().await;
        let mut replicas = [scene.replica("one").await, scene.replica("two").await];
        for _ in 0..2 {
            for replica in &mut replicas {
                scene.tick(replica).await.unwrap();
            }
            scene.pass(Duration::minutes(45));
        }
        (scene, replicas)
    }

    async fn tick(&self, replica: &mut Replica) -> Result<(), CertificatesError> {
        replica.keeper.tick(self.now, self.at).await
    }

    fn secret(&self) -> Value {
        self.cluster.get("secrets", NAMESPACE, SECRET).unwrap()
    }

    /// A field of the Secret.
    fn field(&self, name: &str) -> String {
        let field = STANDARD.decode(self.secret()["data"][name].as_str().unwrap()).unwrap();
        String::from_utf8(field).unwrap()
    }

    fn edit_secret(&self, change: impl FnOnce(&mut Value)) {
        self.cluster.edit("secrets", NAMESPACE, SECRET, change);
    }

    /// As the README says that an operator stops trusting them.
    fn unlist_old(&self) {
        self.edit_secret(|secret| {
            secret["metadata"]["annotations"]["countersign.dev/old-authorities-until"] = json!("1970-01-01T00:00:00Z");
        });
    }

    fn bundle(&self, provider: &str) -> String {
        let provider = self.cluster.get("providers", "", provider).unwrap();
        provider["spec"]["caBundle"].as_str().unwrap_or_default().to_owned()
    }

    /// Asks a replica as Gatekeeper does: trusting `bundle` alone, and at the clock's time.
    async fn ask(&self, replica: &Replica, bundle: &str) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        for certificate in authorities(bundle) {
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        let time = Arc::new(Moved(Clock::Hand(self.hand)));
        let config = ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        talk(replica.provider.address(), config).await
    }

    /// Asks every replica with what each Provider lists now.
    async fn ask_all(&self, replicas: &[Replica], when: &str) {
        for replica in replicas {
            for name in PROVIDERS {
                let asked = self.ask(replica, &self.bundle(name)).await;
                assert_eq!(asked, Ok(()), "{when}, {name}, at {}", self.now);
            }
        }
    }

    fn writes(&self) -> usize {
        ["create", "update"].iter().map(|verb| self.cluster.calls_to(&format!("{verb} secrets")).len()).sum()
    }
}

impl Replica {
    /// A sample of the keeper's metrics, by name and labels as they are written.
    fn metric(&self, name: &str) -> Option<f64> {
        let text = self.telemetry.prometheus_text().unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    fn count(&self, name: &str) -> u64 {
        let text = self.telemetry.prometheus_text().unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
    }

    fn changes(&self, change: &str) -> u64 {
        self.count(&format!("countersign_certificates_changes_total{{change=\"{change}\"}}"))
    }

    fn errors(&self, what: &str) -> u64 {
        self.count(&format!("countersign_certificates_errors_total{{what=\"{what}\"}}"))
    }

    async fn readiness(&self) -> u16 {
        self.provider.admin("/readyz").await.0
    }
}

/// The certificates of a `caBundle`.
fn authorities(bundle: &str) -> Vec<CertificateDer<'static>> {
    let pem = STANDARD.decode(bundle).unwrap();
    CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
}

/// One request over TLS; `Err`: why there is no answer.
async fn talk(address: std::net::SocketAddr, config: ClientConfig) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(HOST).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| e.to_string())?;
    let body = request(&["registry.example/app:1"]).to_string();
    let head = format!(
        "POST {VERIFY} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.map_err(|error| error.to_string())?;
    let mut reply = Vec::new();
    // The end without a goodbye is still the end.
    let _ = stream.read_to_end(&mut reply).await;
    if reply.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(String::from_utf8_lossy(&reply).into_owned()) }
}
