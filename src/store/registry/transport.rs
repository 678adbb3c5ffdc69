//! One request and its answer: host rules, places, redirects, retries, bounds.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use url::Url;

use super::{
    super::StoreError,
    Limits, backoff,
    body::{self, BodyError, Buffers},
    failure::{self, Failure},
    gate::{Admission, Gate, Watch},
    metrics::{Kind, Metrics},
    origin::Origin,
    resolver::Denied,
    rule::{Role, Rule},
};
use crate::{oci::ContentError, reason::printable};

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) rule: &'a Rule,
    /// On whose behalf.
    pub(super) registry: &'a Origin,
    pub(super) url: Url,
    /// Registry, or token service, which follows no redirects (REG-46).
    pub(super) role: Role,
    pub(super) kind: Kind,
    pub(super) accept: &'a str,
    pub(super) authorization: Option<HeaderValue>,
    /// A form to post; without one it is a GET.
    pub(super) form: Option<&'a SecretString>,
    /// Most bytes of the body.
    pub(super) limit: u64,
    /// The descriptor that the body must fit.
    pub(super) descriptor: Option<&'a crate::oci::Descriptor>,
    /// For errors.
    pub(super) what: &'a str,
    pub(super) deadline: Instant,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Whole for 200; for others what was short and quick to read.
    pub(super) body: Bytes,
    /// Another origin answered, after a redirect.
    pub(super) strayed: bool,
}

/// The HTTP side of a store.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    buffers: Buffers,
    gates: moka::sync::Cache<Origin, Arc<Gate>>,
}

/// Hosts whose state is kept; a stranger may name many.
const MAX_GATES: u64 = 4096;

impl Transport {
    pub(super) fn new(limits: Limits, metrics: Metrics) -> Self {
        let gates = moka::sync::Cache::builder().max_capacity(MAX_GATES).time_to_idle(Duration::from_mins(10)).build();
        Self { limits, metrics, buffers: Buffers::new(limits.buffered_bytes), gates }
    }

    /// Sends `ask` until there is an answer that repeating would not change, as far as retries and deadline go.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Reply, StoreError> {
        let target = Origin::of_url(&ask.url).ok_or_else(|| bad_http(ask, "its URL has no origin"))?;
        ask.rule.check(ask.registry, &target, ask.role).map_err(|rule| denied(ask, &target, ask.role, rule))?;
        let gate = self.gates.get_with_by_ref(&target, || {
            let breaker = self.metrics.breaker(&ask.rule.label);
            Arc::new(Gate::new(ask.rule.max_in_flight, breaker))
        });
        let mut tries = 0;
        loop {
            let waiting = self.metrics.waiting(&ask.rule.label);
            let admitted = admit(&gate, ask, tries > 0).await;
            drop(waiting);
            let held = (admitted?, self.metrics.in_flight(&ask.rule.label));
            let outcome = self.attempt(ask, &target, &gate).await;
            drop(held);
            let now = Instant::now();
            if outcome.as_ref().is_ok_and(|reply| reply.status != StatusCode::TOO_MANY_REQUESTS) {
                gate.kept_pace(now);
            }
            let Some(wait) = pause(&outcome, tries) else { return outcome };
            if let Ok(reply) = &outcome
                && reply.status == StatusCode::TOO_MANY_REQUESTS
            {
                gate.throttle(now, wait);
            }
            tries = tries.saturating_add(1);
            let again = now.checked_add(wait).filter(|again| *again < ask.deadline && tries <= self.limits.retries);
            let Some(again) = again else { return outcome };
            self.metrics.retry();
            sleep_until(again).await;
        }
    }

    async fn attempt(&self, ask: &Ask<'_>, first: &Origin, gate: &Gate) -> Result<Reply, StoreError> {
        let (mut url, mut target, mut role) = (ask.url.clone(), first.clone(), ask.role);
        let mut authorization = ask.authorization.clone();
        let mut watch = Some(Watch::new(gate, self.limits.connect_timeout()));
        let mut hops = 0;
        loop {
            let sent = self.hop(ask, &url, &target, authorization.as_ref()).await;
            let status = sent.as_ref().ok().map(|response| response.status().as_u16());
            self.metrics.request(ask.kind, &ask.rule.label, status);
            // What becomes of a redirect says nothing about the host that gave it.
            if let Some(watch) = watch.take() {
                note(watch, &sent);
            }
            let response = sent.map_err(|failure| unanswered(ask, &target, role, failure))?;
            if ask.role == Role::Realm || !is_redirect(response.status()) {
                return self.take(ask, response, target != *first).await;
            }
            if hops >= self.limits.redirects {
                return Err(redirect_denied(ask, &target, format!("more than {} redirects", self.limits.redirects)));
            }
            hops = hops.saturating_add(1);
            url = location(&response, &url).ok_or_else(|| bad_http(ask, "it redirects without a place to go"))?;
            // Its body is not read (REG-49).
            drop(response);
            let next = redirect_target(&url).map_err(|rule| redirect_denied_to(ask, &url, rule))?;
            // A connection that was secure stays so, whoever redirects (REG-48).
            if next.plain && !target.plain {
                return Err(redirect_denied(ask, &next, "from https to http".to_owned()));
            }
            role = Role::Redirect;
            ask.rule.check(ask.registry, &next, role).map_err(|rule| redirect_denied(ask, &next, rule))?;
            if next != target {
                // REG-47; never given back, also where a later redirect returns.
                authorization = None;
            }
            target = next;
        }
    }

    async fn hop(
        &self,
        ask: &Ask<'_>,
        url: &Url,
        target: &Origin,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Failure> {
        let client = ask.rule.client(ask.registry, target);
        let mut request = match ask.form {
            None => client.get(url.clone()),
            Some(form) => client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.expose_secret().to_owned()),
        };
        request = request.header(ACCEPT, ask.accept).header(ACCEPT_ENCODING, "identity");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let patience = self.limits.answer_timeout();
        match timeout(patience, request.send()).await {
            Ok(sent) => sent.map_err(|error| failure::classify(&error, target.plain)),
            Err(_) => Err(Failure::Unavailable(format!("no answer within {} ms", patience.as_millis()))),
        }
    }

    async fn take(&self, ask: &Ask<'_>, response: Response, strayed: bool) -> Result<Reply, StoreError> {
        let (status, headers) = (response.status(), response.headers().clone());
        if status != StatusCode::OK {
            let body = body::read_error(response, self.limits.error_bytes).await;
            return Ok(Reply { status, headers, body, strayed });
        }
        let size = ask.descriptor.map(|descriptor| descriptor.size);
        let held = |bytes| self.metrics.buffered(bytes);
        let body = self.buffers.read(response, ask.limit, size, ask.deadline, held).await;
        let body = body.map_err(|error| unread(ask, error))?;
        Ok(Reply { status, headers, body, strayed })
    }
}

fn note(watch: Watch<'_>, sent: &Result<Response, Failure>) {
    match sent {
        Ok(response) if response.status().is_server_error() => watch.failed(),
        Ok(_) => watch.succeeded(),
        Err(Failure::Unavailable(_)) => watch.failed(),
        Err(Failure::BadHttp(_) | Failure::Denied(_) | Failure::Tls(_)) => watch.ignored(),
    }
}

/// Waits for a place and for the end of a pause that fits the deadline. `again`: a call under way repeats itself also where the
/// breaker has opened meanwhile: a host that answers the second time has not failed.
async fn admit(gate: &Gate, ask: &Ask<'_>, again: bool) -> Result<OwnedSemaphorePermit, StoreError> {
    let Ok(Ok(held)) = timeout_at(ask.deadline, Arc::clone(&gate.places).acquire_owned()).await else {
        return Err(StoreError::Overloaded { registry: ask.registry_text() });
    };
    let mut has_turn = false;
    loop {
        match gate.admit(Instant::now(), ask.deadline, has_turn) {
            Admission::Go => return Ok(held),
            Admission::Open if again => return Ok(held),
            Admission::Open => {
                let detail = "it failed several times in a row; it is tried once a second".to_owned();
                let registry = ask.registry_text();
                return Err(StoreError::Unavailable { registry, what: ask.what.to_owned(), detail });
            }
            Admission::Throttled(until) if until < ask.deadline => {
                sleep_until(until).await;
                has_turn = false;
            }
            Admission::Turn(turn) => {
                sleep_until(turn).await;
                has_turn = true;
            }
            Admission::Throttled(_) => return Err(too_late(ask, "it asked to wait longer than the deadline")),
            Admission::Late => {
                return Err(too_late(ask, "it throttles, and calls that came before fill the time until the deadline"));
            }
        }
    }
}

fn too_late(ask: &Ask<'_>, detail: &str) -> StoreError {
    StoreError::RateLimited { registry: ask.registry_text(), detail: detail.to_owned() }
}

/// How long to wait before the same is asked again; `None` where that would not help.
fn pause(outcome: &Result<Reply, StoreError>, tries: u32) -> Option<Duration> {
    let pause = || {
        let mut jitter = [128_u8];
        // Without randomness the pause is merely not spread.
        let _ = aws_lc_rs::rand::fill(&mut jitter);
        let [jitter] = jitter;
        backoff::pause(tries, jitter)
    };
    match outcome {
        Ok(reply) if is_transient(reply.status) => {
            let date = reply.headers.get(DATE).map(HeaderValue::as_bytes);
            let asked = reply.headers.get(RETRY_AFTER).and_then(|after| backoff::retry_after(after.as_bytes(), date));
            Some(asked.unwrap_or_default().max(pause()))
        }
        Err(StoreError::Unavailable { .. } | StoreError::Truncated { .. }) => Some(pause()),
        Ok(_) | Err(_) => None,
    }
}

/// Rule: `threats.md` 4, "Transient means S".
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500..=599)
}

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(response: &Response, url: &Url) -> Option<Url> {
    let mut values = response.headers().get_all(LOCATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    url.join(value.to_str().ok()?).ok()
}

/// Rules for a place that a registry names: a redirect's, or a next page's.
pub(super) fn redirect_target(url: &Url) -> Result<Origin, &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with credentials");
    }
    Origin::of_url(url).ok_or("neither http nor https")
}

impl Ask<'_> {
    pub(super) fn registry_text(&self) -> String {
        self.registry.to_string()
    }
}

fn bad_http(ask: &Ask<'_>, detail: &str) -> StoreError {
    StoreError::Http { registry: ask.registry_text(), what: ask.what.to_owned(), detail: detail.to_owned() }
}

fn redirect_denied(ask: &Ask<'_>, target: &Origin, rule: String) -> StoreError {
    StoreError::RedirectDenied { registry: ask.registry_text(), target: target.to_string(), rule }
}

/// A URL may carry a signature: only its scheme and host are repeated.
fn redirect_denied_to(ask: &Ask<'_>, url: &Url, rule: &str) -> StoreError {
    let target = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    StoreError::RedirectDenied { registry: ask.registry_text(), target: printable(&target, 200), rule: rule.to_owned() }
}

fn denied(ask: &Ask<'_>, target: &Origin, part: Role, rule: String) -> StoreError {
    match part {
        Role::Registry => StoreError::HostDenied { host: target.to_string(), rule },
        Role::Realm => StoreError::RealmDenied { registry: ask.registry_text(), realm: target.to_string(), rule },
        Role::Redirect => redirect_denied(ask, target, rule),
    }
}

fn unanswered(ask: &Ask<'_>, target: &Origin, role: Role, failure: Failure) -> StoreError {
    let (registry, what) = (target.to_string(), ask.what.to_owned());
    match failure {
        Failure::BadHttp(detail) => StoreError::Http { registry, what, detail },
        Failure::Denied(Denied { rule, .. }) => denied(ask, target, role, rule),
        Failure::Tls(detail) => StoreError::Tls { registry, detail },
        Failure::Unavailable(detail) => StoreError::Unavailable { registry, what, detail },
    }
}

fn unread(ask: &Ask<'_>, error: BodyError) -> StoreError {
    let (registry, what) = (ask.registry_text(), ask.what.to_owned());
    match (error, ask.descriptor) {
        (BodyError::Busy, _) => StoreError::Overloaded { registry },
        (BodyError::Encoded, _) => bad_http(ask, "its body is encoded, although only identity was asked for"),
        (BodyError::Size(actual), Some(descriptor)) => {
            StoreError::Content { what, source: ContentError::Size { expected: descriptor.size, actual } }
        }
        (BodyError::Limit | BodyError::Size(_), _) => StoreError::Limit { what, limit: ask.limit, unit: "bytes" },
        (BodyError::Truncated, _) => StoreError::Truncated { registry, what },
    }
}
