//! A Kubernetes API server in process, on loopback with TLS, that keeps what it is given, records every call, and misbehaves when told to.
//!
//! ```text
//! call ──Call::parse──► script? ──fault──► held, refused, cut, dropped
//!                          └─no──► Kinds (what is served) ──► World (objects, owners, history) ──► watches
//!                                                                └── Gatekeeper, where it is installed, looks at each change
//! ```
//! Served are some kinds of the core and whatever a `CustomResourceDefinition` defines; everything else is a 404. Objects are plain JSON.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Client, Config};
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use self::{
    answer::Answer,
    fault::Script,
    wire::End,
    world::{Key, World},
};
pub use self::{
    call::{Call, Verb},
    fault::{Fault, Refusal},
    gatekeeper::Gatekeeper,
    watch_stream::Interruption,
};
use crate::pki::Authority;

mod answer;
mod call;
mod fault;
mod fields;
mod gatekeeper;
mod kinds;
mod selector;
mod watch_stream;
mod wire;
mod world;
mod writes;

/// What its clients show, and what may never stand in a log.
pub const TOKEN: &str = "canary-bearer-c7d1";

/// An API server on `127.0.0.1`, on a port of its own, until it is dropped.
#[derive(Debug)]
pub struct FakeCluster {
    address: SocketAddr,
    authority: Authority,
    state: Arc<State>,
    task: AbortHandle,
}

#[derive(Debug)]
struct State {
    world: Mutex<World>,
    scripts: Mutex<Vec<Script>>,
    calls: Mutex<Vec<Call>>,
    /// Changes when a call arrives, and when it is answered.
    turns: watch::Sender<usize>,
    /// Whether calls that meet [`Fault::Hold`] may go on.
    gate: watch::Sender<bool>,
    /// What its clock says, as it stands in `Date`.
    date: Mutex<Option<String>>,
}

impl FakeCluster {
    /// Starts one without Gatekeeper.
    pub async fn start() -> Self {
        let authority = Authority::new("cluster");
        let tls = authority.server(&["127.0.0.1"]).server_config(None);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            world: Mutex::default(),
            scripts: Mutex::default(),
            calls: Mutex::default(),
            turns: watch::Sender::new(0),
            gate: watch::Sender::new(false),
            date: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&state))).abort_handle();
        Self { address, authority, state, task }
    }

    /// Starts one where Gatekeeper is installed and works.
    pub async fn with_gatekeeper() -> Self {
        let cluster = Self::start().await;
        cluster.gatekeeper(Gatekeeper::Working);
        cluster
    }

    /// What a client needs to reach it: its address, its authority, a token. Nothing is retried below the caller's eyes.
    pub fn config(&self) -> Config {
        let mut config = Config::new(self.url().parse().expect("a URL"));
        config.root_cert = Some(vec![self.authority.der().to_vec()]);
        config.auth_info.token = Some(TOKEN.to_owned().into());
        config.default_retry = false;
        config
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::try_from(self.config()).expect("a client")
    }

    /// The text of a kubeconfig file, with `namespace` as the context's.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{ "name": "fake", "cluster": {
                "server": self.url(),
                "certificate-authority-data": STANDARD.encode(self.authority.pem()),
            } }],
            "users": [{ "name": "fake", "user": { "token": TOKEN } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake", "namespace": namespace } }],
        })
        .to_string()
    }

    /// `https://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What Gatekeeper does from now on, with what is already there too.
    pub fn gatekeeper(&self, gatekeeper: Gatekeeper) {
        self.world().set_gatekeeper(gatekeeper);
    }

    /// Puts an object there, or another in its place, as somebody else's `kubectl replace` would; nothing of it is checked but that its kind
    /// is served. Returns it as it is kept.
    pub fn put(&self, object: Value) -> Value {
        self.world().put(object)
    }

    /// Puts a Secret there. `entries`: keys and their plain values.
    pub fn put_secret(&self, namespace: &str, name: &str, kind: &str, entries: &[(&str, &str)]) -> Value {
        let strings: serde_json::Map<String, Value> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.put(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "namespace": namespace, "name": name },
            "type": kind,
            "stringData": strings,
        }))
    }

    /// An object, by its resource's plural name (`secrets`), its namespace (`""`: it has none) and its name.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.world().get(&Key::new(plural, namespace, name)).cloned()
    }

    /// All objects of a resource, in the order of their namespaces and names.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        self.world().all(plural)
    }

    /// Changes an object that is there.
    pub fn edit(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut world = self.world();
        let mut object = world.get(&Key::new(plural, namespace, name)).expect("the object is there").clone();
        change(&mut object);
        world.put(object)
    }

    /// Takes an object away.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) {
        assert!(self.world().remove(&Key::new(plural, namespace, name)), "{plural} {namespace}/{name} is there");
    }

    /// Answers calls that `pattern` is about by `faults`, one each; then faithfully again. A pattern is a verb and a resource, as RBAC has
    /// them: `get secrets/regcred`, `watch secrets`, `* leases`. Later scripts go before earlier ones.
    pub fn script(&self, pattern: &str, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.state.scripts).insert(0, Script::once(pattern, faults.into_iter().collect()));
    }

    /// Answers calls that `pattern` is about by `fault`, all of them, until [`FakeCluster::heal`].
    pub fn script_always(&self, pattern: &str, fault: Fault) {
        lock(&self.state.scripts).insert(0, Script::always(pattern, fault));
    }

    /// Forgets all scripts.
    pub fn heal(&self) {
        lock(&self.state.scripts).clear();
    }

    /// Lets go what [`Fault::Hold`] holds, and what it would hold.
    pub fn release(&self) {
        self.state.gate.send_replace(true);
    }

    /// Holds again.
    pub fn hold(&self) {
        self.state.gate.send_replace(false);
    }

    /// What its clock says from now on; without this its answers have no `Date`.
    pub fn clock(&self, now: OffsetDateTime) {
        let format =
            format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        *lock(&self.state.date) = Some(now.to_offset(UtcOffset::UTC).format(format).expect("a date"));
    }

    /// Forgets what happened: a watch from before now is told `410 Gone`.
    pub fn compact(&self) {
        self.world().compact();
    }

    /// Interrupts all watches that are open.
    pub fn interrupt_watches(&self, how: Interruption) {
        self.world().interrupt(how);
    }

    /// How many watches are open.
    pub fn watches(&self) -> usize {
        self.world().open_watches()
    }

    /// Everything that arrived, in order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).clone()
    }

    /// Calls that `pattern` is about.
    pub fn calls_to(&self, pattern: &str) -> Vec<Call> {
        lock(&self.state.calls).iter().filter(|call| call.is(pattern)).cloned().collect()
    }

    /// Forgets the calls.
    pub fn forget_calls(&self) {
        lock(&self.state.calls).clear();
    }

    /// Waits until `count` calls that `pattern` is about have arrived and are remembered.
    pub async fn arrived(&self, pattern: &str, count: usize) {
        let mut turns = self.state.turns.subscribe();
        while self.calls_to(pattern).len() < count {
            turns.changed().await.expect("the cluster is there");
        }
    }

    /// Waits until `count` watches are open.
    pub async fn watched(&self, count: usize) {
        let mut turns = self.state.turns.subscribe();
        while self.watches() < count {
            turns.changed().await.expect("the cluster is there");
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.state.world)
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// Records a call and answers it, as its script says.
    async fn answer(&self, call: Call) -> Answer {
        let fault = lock(&self.scripts).iter_mut().find_map(|script| script.next(&call));
        lock(&self.calls).push(call.clone());
        self.turns.send_modify(|turn| *turn = turn.wrapping_add(1));
        let answer = self.answer_with(fault, &call).await;
        self.turns.send_modify(|turn| *turn = turn.wrapping_add(1));
        answer
    }

    async fn answer_with(&self, fault: Option<Fault>, call: &Call) -> Answer {
        match fault {
            None => self.faithful(call),
            Some(Fault::Cut) => self.faithful(call).cut(),
            Some(Fault::Drop) => Answer::Drop,
            Some(Fault::Edited(change)) => self.faithful(call).edited(|value| change(value)),
            Some(Fault::Hold) => {
                let mut gate = self.gate.subscribe();
                let _ = gate.wait_for(|open| *open).await;
                self.faithful(call)
            }
            Some(Fault::Raw(status, body)) => Answer::Raw(status, body),
            Some(Fault::Reset) => Answer::Reset,
            Some(Fault::Status(status)) => Answer::status(&status),
            Some(Fault::Unheard) => {
                // What was asked for happens, and nobody is told.
                let _ = self.faithful(call);
                Answer::Drop
            }
        }
    }

    fn faithful(&self, call: &Call) -> Answer {
        if call.authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) {
            return Answer::failure(401, "Unauthorized", "Unauthorized");
        }
        lock(&self.world).answer(call)
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>) {
    // Connections end with the cluster.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, state: Arc<State>) {
    // A client that goes away ends its connection, and nothing else.
    let Ok(mut stream) = tls.accept(stream).await else { return };
    match wire::serve(&mut stream, &state).await {
        Ok(End::Close) => drop(stream.shutdown().await),
        Ok(End::Reset) => drop(stream.get_ref().0.set_zero_linger()),
        Err(_) => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
