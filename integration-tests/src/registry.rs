//! An OCI registry in process, on loopback, that records every call and answers as its script says.
//!
//! Without a script it is faithful: the GETs of the OCI distribution specification 1.1, a token service at `/token`.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use countersign::oci::{Descriptor, Digest, Reference, Repository as Name};
use rustls::ServerConfig;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

pub use self::{
    call::Call,
    reply::{Body, Edit, Reply, Response, Rule},
    tokens::{Access, basic},
};
use self::{content::Content, tokens::Tokens, wire::End};
use crate::shelf::Shelf;

mod call;
mod content;
mod reply;
mod tokens;
mod wire;

/// A registry on `127.0.0.1`, on a port of its own, until it is dropped.
#[derive(Debug)]
pub struct FakeRegistry {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    task: AbortHandle,
}

/// What happens to a connection before any call on it.
#[derive(Debug, Clone, Default)]
pub enum Door {
    /// Bytes are sent at once, then the connection closes.
    Greeting(Bytes),
    /// It is accepted and served.
    #[default]
    Open,
    /// It is reset.
    Reset,
    /// It is accepted, and nothing is ever said.
    Silent,
}

struct State {
    content: Mutex<Content>,
    scripts: Mutex<Vec<Script>>,
    calls: Mutex<Vec<Call>>,
    arrived: watch::Sender<usize>,
    connections: AtomicUsize,
    /// Calls up to this one, counted by arrival, are answered.
    open: watch::Sender<usize>,
    access: Mutex<Access>,
    door: Mutex<Door>,
    latency: Mutex<Duration>,
    tokens: Tokens,
    rule: Mutex<Option<Rule>>,
    /// Whether nobody listens.
    down: watch::Sender<bool>,
    /// Calls under way, and the most there were.
    under_way: (AtomicUsize, AtomicUsize),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("calls", &self.calls).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Script {
    pattern: String,
    replies: Vec<Reply>,
    next: usize,
}

impl FakeRegistry {
    /// Starts one without TLS.
    pub async fn start() -> Self {
        Self::listen(0, None).await
    }

    /// Starts one without TLS on a port of the caller's choice; 0 takes any free one.
    pub async fn start_on(port: u16) -> Self {
        Self::listen(port, None).await
    }

    /// Starts one with TLS.
    pub async fn start_tls(config: ServerConfig) -> Self {
        Self::listen(0, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(port: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(State {
            content: Mutex::new(Content { referrers_api: true, ..Content::default() }),
            scripts: Mutex::default(),
            calls: Mutex::default(),
            arrived: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            open: watch::Sender::new(usize::MAX),
            access: Mutex::default(),
            door: Mutex::default(),
            latency: Mutex::default(),
            tokens: Tokens::default(),
            rule: Mutex::default(),
            down: watch::Sender::new(false),
            under_way: (AtomicUsize::new(0), AtomicUsize::new(0)),
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&state))).abort_handle();
        Self { address, scheme, state, task }
    }

    /// `127.0.0.1:port`, as references name it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL of it; `path` starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A repository of it, to put things in.
    pub fn repository(&self, name: &str) -> Repository<'_> {
        Repository { registry: self, name: name.to_owned() }
    }

    /// Answers calls whose path or target starts with, or is, `pattern` by `replies`, one each; the last one stays. Later
    /// scripts go before earlier ones.
    pub fn script(&self, pattern: &str, replies: impl IntoIterator<Item = Reply>) {
        let script = Script { pattern: pattern.to_owned(), replies: replies.into_iter().collect(), next: 0 };
        lock(&self.state.scripts).insert(0, script);
    }

    /// Asks `rule` about every call that no script answers. Calls are then not kept: the rule sees them, and counts what it wants.
    pub fn rule(&self, rule: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        *lock(&self.state.rule) = Some(Arc::new(rule));
    }

    /// The most calls that were under way at once since this was last asked.
    pub fn peak(&self) -> usize {
        let (now, peak) = &self.state.under_way;
        peak.swap(now.load(Ordering::SeqCst), Ordering::SeqCst)
    }

    /// Nobody listens: connections end, new ones are refused. The port stays its own.
    pub fn take_down(&self) {
        self.state.down.send_replace(true);
    }

    /// Listens again.
    pub fn bring_up(&self) {
        self.state.down.send_replace(false);
    }

    /// Everything that arrived, in order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).clone()
    }

    /// Calls whose path contains `part`.
    pub fn calls_to(&self, part: &str) -> usize {
        lock(&self.state.calls).iter().filter(|call| call.target.contains(part)).count()
    }

    /// Forgets the calls.
    pub fn forget_calls(&self) {
        lock(&self.state.calls).clear();
    }

    /// TCP connections accepted.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many calls have arrived since the start, forgotten ones too.
    pub fn arrivals(&self) -> usize {
        *self.state.arrived.borrow()
    }

    /// Waits until `count` calls have arrived since the start.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.state.arrived.subscribe();
        let _ = arrived.wait_for(|now| *now >= count).await;
    }

    /// Answers nothing that arrives from now on until [`FakeRegistry::release`] or [`FakeRegistry::step`].
    pub fn hold(&self) {
        self.step();
    }

    /// Answers what was held, and holds what arrives from now on: one round trip.
    pub fn step(&self) {
        self.state.open.send_replace(*self.state.arrived.borrow());
    }

    /// Answers what was held.
    pub fn release(&self) {
        self.state.open.send_replace(usize::MAX);
    }

    /// What it demands before it answers.
    pub fn require(&self, access: Access) {
        *lock(&self.state.access) = access;
    }

    /// Demands tokens of its own service.
    pub fn require_token(&self) {
        self.require(Access::Token { realm: self.url("/token") });
    }

    /// Whom the token service gives tokens to; anyone without this.
    pub fn token_user(&self, user: &str, password: &str) {
        self.state.tokens.demand(user, password);
    }

    /// Lets all tokens expire.
    pub fn forget_tokens(&self) {
        self.state.tokens.forget();
    }

    /// Makes a token good for pulling from a repository, whoever gave it out.
    pub fn accept_token(&self, token: &str, repository: &str) {
        self.state.tokens.accept(token, &format!("repository:{repository}:pull"));
    }

    /// What happens to new connections.
    pub fn door(&self, door: Door) {
        *lock(&self.state.door) = door;
    }

    /// Delays every answer.
    pub fn latency(&self, latency: Duration) {
        *lock(&self.state.latency) = latency;
    }

    /// Takes the referrers API away; the referrers tag is what is then asked for.
    pub fn without_referrers_api(&self) {
        lock(&self.state.content).referrers_api = false;
    }

    /// Lists referrers in pages of so many.
    pub fn page(&self, size: usize) {
        lock(&self.state.content).page = Some(size);
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A repository of a fake registry.
#[derive(Debug)]
pub struct Repository<'a> {
    registry: &'a FakeRegistry,
    name: String,
}

impl Repository<'_> {
    /// Its parsed name.
    pub fn name(&self) -> Name {
        Name::parse(&format!("{}/{}", self.registry.host(), self.name)).expect("a repository's name")
    }

    /// A reference to a digest in it.
    pub fn digest(&self, digest: &Digest) -> Reference {
        Reference::to_digest(self.name(), digest.clone())
    }

    /// A reference to a tag in it.
    pub fn tag(&self, tag: &str) -> Reference {
        Reference::parse(&format!("{}:{tag}", self.name())).expect("a tag")
    }

    /// Where a manifest is, by digest or tag.
    pub fn manifest_path(&self, reference: &impl ToString) -> String {
        format!("/v2/{}/manifests/{}", self.name, reference.to_string())
    }

    /// Where a blob is.
    pub fn blob_path(&self, digest: &Digest) -> String {
        format!("/v2/{}/blobs/{digest}", self.name)
    }

    /// Where the referrers of a digest are.
    pub fn referrers_path(&self, digest: &Digest) -> String {
        format!("/v2/{}/referrers/{digest}", self.name)
    }

    /// Takes a tag away.
    pub fn remove_tag(&self, tag: &str) {
        lock(&self.registry.state.content).remove_tag(&self.name, tag);
    }
}

impl Shelf for Repository<'_> {
    fn put_blob(&self, bytes: &[u8]) -> Digest {
        lock(&self.registry.state.content).put_blob(&self.name, bytes)
    }

    fn put_manifest(&self, media_type: &str, bytes: &[u8], tag: Option<&str>) -> Descriptor {
        lock(&self.registry.state.content).put_manifest(&self.name, media_type, bytes, tag)
    }
}

/// Counts a call down, also where the connection went away.
struct UnderWay<'a>(&'a State);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    /// Records a call, waits while answers are held, and says how it is to be answered.
    async fn receive(&self, call: Call) -> (Reply, Duration) {
        let rule = lock(&self.rule).clone();
        let reply = match (self.scripted(&call), rule) {
            (Reply::Faithful, Some(rule)) => rule(&call),
            (reply, None) => {
                lock(&self.calls).push(call);
                reply
            }
            (reply, Some(_)) => reply,
        };
        let mut place = 0;
        self.arrived.send_modify(|count| {
            *count = count.saturating_add(1);
            place = *count;
        });
        let mut open = self.open.subscribe();
        let _ = open.wait_for(|open| *open >= place).await;
        (reply, *lock(&self.latency))
    }

    /// A call is under way until it is answered or given up.
    fn begin(&self) -> UnderWay<'_> {
        let (now, peak) = &self.under_way;
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst).saturating_add(1), Ordering::SeqCst);
        UnderWay(self)
    }

    fn scripted(&self, call: &Call) -> Reply {
        let mut scripts = lock(&self.scripts);
        let Some(script) = scripts.iter_mut().find(|script| call.target.starts_with(&script.pattern)) else {
            return Reply::Faithful;
        };
        let reply = script.replies.get(script.next).or(script.replies.last()).cloned();
        script.next = script.next.saturating_add(1);
        reply.unwrap_or(Reply::Faithful)
    }

    fn faithful(&self, call: &Call) -> Response {
        if call.path() == "/token" {
            return self.tokens.answer(call);
        }
        let access = lock(&self.access).clone();
        self.tokens.refuse(&access, call).unwrap_or_else(|| lock(&self.content).answer(call))
    }
}

async fn accept(mut listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    // Connections end with the registry.
    let mut connections = JoinSet::new();
    let mut down = state.down.subscribe();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of file descriptors: the next one may find one.
                let Ok((stream, _)) = accepted else { continue };
                state.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(connection(stream, tls.clone(), Arc::clone(&state)));
                while connections.try_join_next().is_some() {}
            }
            () = until(&mut down, true) => {
                connections.shutdown().await;
                listener = absent(listener, &mut down).await;
            }
        }
    }
}

/// Waits until it is down, or is not. Its state ends with the registry, which aborts whoever waits.
async fn until(down: &mut watch::Receiver<bool>, wanted: bool) {
    let _ = down.wait_for(|down| *down == wanted).await;
}

/// Closes a port until it is wanted again: bound, so that it stays ours, and not listened on, so that callers are refused.
async fn absent(listener: TcpListener, down: &mut watch::Receiver<bool>) -> TcpListener {
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("the port that was ours");
    until(down, false).await;
    socket.listen(1024).expect("a listener")
}

async fn connection(mut stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let door = lock(&state.door).clone();
    match door {
        Door::Greeting(bytes) => {
            let _ = stream.write_all(&bytes).await;
            return;
        }
        Door::Open => {}
        Door::Reset => {
            let _ = stream.set_zero_linger();
            return;
        }
        Door::Silent => std::future::pending().await,
    }
    // A client that goes away ends its connection, and nothing else.
    if let Some(acceptor) = tls {
        if let Ok(mut stream) = acceptor.accept(stream).await
            && let Ok(end) = wire::serve(&mut stream, &state).await
        {
            match end {
                End::Close => drop(stream.shutdown().await),
                End::Reset => drop(stream.get_ref().0.set_zero_linger()),
            }
        }
    } else if let Ok(End::Reset) = wire::serve(&mut stream, &state).await {
        let _ = stream.set_zero_linger();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
