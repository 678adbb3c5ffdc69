//! The engine that does what a repository's name says, the server around it, and a client that sends any bytes.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use super::super::{
    Decider, Generation, Generations, Handed, Parts, Server, ServerError, TagAfterMutation, Tenancy,
    config::{Config, Limits},
    tls::Tls,
};
use crate::{
    executor::{Answer, Question},
    oci::{Descriptor, Digest, Reference, Repository, Subject},
    reason::Code,
    report::{Decision, Reason, Verdict, wire::Rendered},
    telemetry::{DecisionLog, Telemetry},
    tenant::Tenant,
    time::Clock,
};

/// Answers by the last component of the repository.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) asked: AtomicUsize,
    pub(super) resolved: AtomicUsize,
    /// How many wait behind the gate.
    pub(super) waiting: watch::Sender<usize>,
    pub(super) gate: watch::Sender<bool>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            asked: AtomicUsize::new(0),
            resolved: AtomicUsize::new(0),
            waiting: watch::Sender::new(0),
            gate: watch::Sender::new(false),
        }
    }
}

pub(super) fn digest() -> Digest {
    Digest::sha256(b"manifest")
}

fn answer(question: &Question, decision: Decision, cached: bool) -> Answer {
    let descriptor = Descriptor::of("application/vnd.oci.image.manifest.v1+json", b"manifest");
    let subject = Some(Subject::new(question.reference.repository().clone(), descriptor));
    let verdict = Verdict { subject, decision, policy: "**".to_owned(), reports: Vec::new() };
    let rendered = Arc::new(Rendered::of(&question.reference.to_string(), &verdict));
    Answer { verdict: Arc::new(verdict), rendered, cached }
}

#[async_trait]
impl Decider for Fake {
    fn cached(&self, question: &Question) -> Option<Answer> {
        match question.reference.repository().path() {
            "app/cached" => Some(answer(question, Decision::allow(None), true)),
            "app/panic-at-once" => panic!("forced"),
            _ => None,
        }
    }

    fn has_policy(&self, repository: &Repository) -> bool {
        repository.path() != "app/no-policy"
    }

    async fn verify(&self, question: Question) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let decision = match question.reference.repository().path() {
            "app/good" => Decision::allow(None),
            "app/down" => {
                Decision::Undecided(Reason::new(Code::RegistryUnavailable, "connection <b>\u{1b}[31mrefused"))
            }
            "app/panic" => panic!("forced"),
            "app/slow" => std::future::pending().await,
            "app/gated" => {
                self.waiting.send_modify(|count| *count += 1);
                let _ = self.gate.subscribe().wait_for(|open| *open).await;
                Decision::allow(None)
            }
            _ => Decision::Deny(Reason::new(Code::NoSignature, "no signature")),
        };
        answer(&question, decision, false)
    }

    async fn resolve(&self, _: &Tenant, reference: &Reference, _: Instant) -> Result<Subject, Reason> {
        self.resolved.fetch_add(1, Ordering::SeqCst);
        match reference.repository().path() {
            "app/missing" => Err(Reason::new(Code::NotFound, "no such tag")),
            "app/foreign" => Err(Reason::new(Code::HostDenied, "no store")),
            "app/down" => Err(Reason::new(Code::RegistryUnavailable, "connection refused")),
            "app/panic" => panic!("forced"),
            "app/slow" => std::future::pending().await,
            _ => Ok(Subject::new(
                reference.repository().clone(),
                Descriptor::of("application/vnd.oci.image.index.v1+json", b"manifest"),
            )),
        }
    }
}

/// Generations that are there, or not.
#[derive(Debug)]
struct Fixed(Option<Arc<Generation>>);

impl Generations for Fixed {
    fn current(&self) -> Option<Arc<Generation>> {
        self.0.clone()
    }

    fn is_stale(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a server of a test is set up.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) limits: Limits,
    pub(super) tenancy: Tenancy,
    pub(super) tag: TagAfterMutation,
    pub(super) loaded: bool,
    pub(super) decision_log: DecisionLog,
}

impl Default for Setup {
    fn default() -> Self {
        let config = json!({
            "address": "127.0.0.1:0", "admin": "127.0.0.1:0", "plainHttp": true,
            "providerTimeout": {"verify": "400ms", "mutate": "400ms"},
        });
        Self {
            config: serde_json::from_value(config).unwrap(),
            limits: Limits::default(),
            tenancy: Tenancy::On,
            tag: TagAfterMutation::Drop,
            loaded: true,
            decision_log: DecisionLog::All,
        }
    }
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) address: std::net::SocketAddr,
    pub(super) admin: std::net::SocketAddr,
    pub(super) fake: Arc<Fake>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) telemetry: Arc<Telemetry>,
    sink: Sink,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Setup {
    pub(super) fn start(self) -> Running {
        self.try_start().unwrap()
    }

    pub(super) fn try_start(self) -> Result<Running, ServerError> {
        let fake = Arc::new(Fake::default());
        let decider: Arc<dyn Decider> = Arc::<Fake>::clone(&fake);
        let generation = Generation { decider, number: 7, tenancy: self.tenancy, tag_after_mutation: self.tag };
        let sink = Sink::default();
        let telemetry = Arc::new(Telemetry::detached(self.decision_log, sink.clone()).unwrap());
        let server = Server::bind(Parts {
            config: self.config,
            limits: self.limits,
            generations: Arc::new(Fixed(self.loaded.then(|| Arc::new(generation)))),
            handed: Handed::default(),
            telemetry: Arc::clone(&telemetry),
            clock: Clock::Fixed(datetime!(2026-01-02 03:04:05 UTC)),
        })?;
        let (shutdown, stopped) = oneshot::channel();
        Ok(Running {
            address: server.address(),
            admin: server.admin_address(),
            tls: server.tls.clone(),
            fake,
            telemetry,
            sink,
            shutdown: Some(shutdown),
            task: tokio::spawn(server.run_until(async {
                let _ = stopped.await;
            })),
        })
    }
}

impl Running {
    pub(super) fn begin_shutdown(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    /// Waits until the server has ended by itself.
    pub(super) async fn ended(self) {
        self.task.await.unwrap().unwrap();
    }

    pub(super) async fn stop(mut self) {
        self.begin_shutdown();
        self.ended().await;
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        exchange(self.address, &post(path, "", body.as_bytes())).await
    }

    /// Asks about keys; the reply's `response`.
    pub(super) async fn ask(&self, endpoint: &str, keys: &[&str]) -> Value {
        let reply = self.post(&format!("/countersign/gatekeeper/v1/{endpoint}"), &request(keys)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["response"].clone()
    }

    /// A metric of the server, as Prometheus would read it.
    pub(super) fn metrics(&self) -> String {
        self.telemetry.prometheus_text().unwrap()
    }

    /// All decision records. Ends the log.
    pub(super) fn records(&self) -> Vec<Value> {
        self.telemetry.flush();
        let lines = self.sink.0.lock().unwrap();
        lines.split_inclusive(|b| *b == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

pub(super) fn request(keys: &[&str]) -> String {
    json!({"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": {"keys": keys}})
        .to_string()
}

/// The bytes of a POST. `headers`: whole lines.
pub(super) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let size = body.len();
    let mut bytes = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// R1: a `ProviderResponse` that answers nothing and says why.
    pub(super) fn system_error(&self) -> String {
        let json = self.json();
        assert_eq!(json["apiVersion"], "externaldata.gatekeeper.sh/v1beta1", "{self:?}");
        assert_eq!(json["kind"], "ProviderResponse", "{self:?}");
        assert_eq!(json["response"]["items"], json!([]), "{self:?}");
        let text = json["response"]["systemError"].as_str().unwrap_or_default().to_owned();
        assert!(!text.is_empty() && text.len() <= 512, "{self:?}");
        text
    }
}

/// Sends bytes on a new connection and reads one reply.
pub(super) async fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read all.
    let _ = stream.write_all(bytes).await;
    read_reply(&mut stream).await.unwrap()
}

pub(super) async fn get(address: std::net::SocketAddr, path: &str) -> Reply {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await
}

/// One reply; `None` where the connection ends before any.
pub(super) async fn read_reply(stream: &mut TcpStream) -> Option<Reply> {
    tokio::time::timeout(Duration::from_secs(10), async {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let size = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |size| size.parse().unwrap());
        while bytes.len() < head_end + size {
            if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                break;
            }
        }
        assert_eq!(bytes.len(), head_end + size, "more than one reply: {}", String::from_utf8_lossy(&bytes));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Reply { status, head, body: bytes[head_end..].to_vec() })
    })
    .await
    .expect("a reply in time")
}
