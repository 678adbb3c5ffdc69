//! A registry for one run: what plugins see that pull for themselves.
//!
//! Plugins written for Ratify build its ORAS store from standard input, with `useHttp: true`, and pull. `HTTP_PROXY` points
//! them here. Nothing is forwarded: this answers for the subject's registry, whichever it is, from bytes that were fetched and
//! checked before the plugin was started, and has no way out of its own.
//!
//! ```text
//!   plugin ── GET http://registry.example.com/v2/app/blobs/sha256:… ──► 127.0.0.1:port ──► answer(…, &Served)
//!             Proxy-Authorization: Basic run:<word of this run>          404 for all that is not this artifact
//! ```
//!
//! Go's `ProxyFromEnvironment` uses no proxy for `localhost` and loopback addresses, whatever the environment says: a plugin
//! that pulls for itself asks a registry of such a name directly, without a credential. Only plugins that read
//! `artifact` from standard input are of use for images of one.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, PROXY_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

use self::{
    answer::{answer, refusal},
    token::Token,
};
use super::evidence::Evidence;
use crate::{
    oci::{Content, Descriptor, Subject},
    reason,
};

mod answer;
#[cfg(test)]
mod testing;
mod token;

/// Connections at a time; more wait to be accepted. ORAS opens one or two for each blob.
const MAX_CONNECTIONS: usize = 16;
/// Requests of one run. An artifact of a hundred layers, each asked for by `HEAD` and `GET` and tried again, has fewer.
const MAX_REQUESTS: usize = 1000;
/// Of a request's head; ORAS sends less than one KiB.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// For a whole head, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that are remembered, for whoever tries a plugin out.
const MAX_REMEMBERED: usize = 100;
/// Of a target that is remembered.
const MAX_TARGET_BYTES: usize = 512;

/// What one run may pull. All of it was checked against its descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// Whose artifact it is: its registry and repository are the ones that are served.
    pub(crate) subject: Subject,
    /// The subject's own manifest.
    pub(crate) subject_manifest: Content,
    /// The artifact as the list of referrers shows it, with its type.
    pub(crate) listed: Descriptor,
    /// The artifact's manifest.
    pub(crate) manifest: Content,
    /// The artifact's blobs, as many as were fetched.
    pub(crate) blobs: Vec<Content>,
}

impl From<&Evidence> for Served {
    fn from(evidence: &Evidence) -> Self {
        Self {
            subject: evidence.subject().clone(),
            subject_manifest: evidence.subject_manifest().clone(),
            listed: evidence.listed(),
            manifest: evidence.artifact_manifest().clone(),
            blobs: evidence.blobs().to_vec(),
        }
    }
}

/// One request, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The method and the target, escaped and bounded: a plugin wrote them.
    pub request: String,
    /// The status that it was answered with.
    pub status: u16,
}

/// Why there is no facade.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FacadeError {
    /// No loopback port.
    #[error("the plugin's loopback registry has no port")]
    Bind(#[source] io::Error),
    /// No unguessable word.
    #[error("the system gives no randomness")]
    Randomness,
}

/// A running facade. It ends with this value.
#[derive(Debug)]
pub(crate) struct Facade {
    address: SocketAddr,
    desk: Arc<Desk>,
    /// One task that accepts; it owns those of the connections, and dropping the set ends it.
    _task: JoinSet<()>,
}

/// What connections share.
#[derive(Debug)]
struct Desk {
    served: Served,
    token: Token,
    pulls: Pulls,
}

/// What a run has asked for, also when it has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulls(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    /// Requests of whoever was let in.
    count: usize,
    /// All, as far as they are remembered.
    pulls: Vec<Pull>,
}

impl Pulls {
    /// In order, as far as they are remembered.
    pub(crate) fn take(&self) -> Vec<Pull> {
        std::mem::take(&mut self.lock().pulls)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// The number of this request. Those of strangers are not counted: they cannot use the run's number up.
    fn count(&mut self) -> usize {
        self.count = self.count.saturating_add(1);
        self.count
    }

    fn remember(&mut self, pull: Pull) {
        if self.pulls.len() < MAX_REMEMBERED {
            self.pulls.push(pull);
        }
    }
}

impl Facade {
    /// Opens one on a loopback port of its own.
    ///
    /// # Errors
    /// [`FacadeError`].
    pub(crate) async fn open(served: Served) -> Result<Self, FacadeError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(FacadeError::Bind)?;
        let address = listener.local_addr().map_err(FacadeError::Bind)?;
        let token = Token::new().ok_or(FacadeError::Randomness)?;
        let desk = Arc::new(Desk { served, token, pulls: Pulls::default() });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&desk)));
        Ok(Self { address, desk, _task: task })
    }

    /// The value of `HTTP_PROXY`, with the word that lets the plugin in.
    pub(crate) fn proxy(&self) -> SecretString {
        format!("http://{}@{}", self.desk.token.user_info(), self.address).into()
    }

    /// What is asked of it.
    pub(crate) fn pulls(&self) -> Pulls {
        self.desk.pulls.clone()
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            // No more descriptors, say: the plugin finds nobody, and nothing is decided.
            Err(_) => return,
        };
        while connections.try_join_next().is_some() {}
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answered = desk.answer(&request);
                async { Ok::<_, Infallible>(answered) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_header_size(MAX_HEADER_BYTES)
                .max_headers(MAX_HEADERS)
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            // A plugin that goes away, or does not speak HTTP, has ended its own connection and nothing else.
            drop(served);
            drop(place);
        });
    }
}

impl Desk {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let mut answered = if self.token.is_shown(headers) {
            self.answer_run(request)
        } else {
            let mut refused =
                refusal(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "UNAUTHORIZED", "not this run's proxy");
            refused.headers_mut().insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"run\""));
            refused
        };
        if !answered.status().is_success() {
            answered.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let request = reason::printable(&format!("{method} {uri}"), MAX_TARGET_BYTES);
        self.pulls.lock().remember(Pull { request, status: answered.status().as_u16() });
        answered.map(Full::new)
    }

    /// Whoever asks is the run.
    fn answer_run(&self, request: &Request<Incoming>) -> Response<Bytes> {
        if self.pulls.lock().count() > MAX_REQUESTS {
            return refusal(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many requests of one run");
        }
        answer(request.method(), request.uri(), request.headers(), &self.served)
    }
}

#[cfg(test)]
mod tests;
