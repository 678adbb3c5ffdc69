//! One request, from its head to its reply.
//!
//! ```text
//! route ─► head in bounds? ─► a place ─► generation ─► body ─► ProviderRequest ─► verify | mutate ─► ProviderResponse
//!   └────────────┴───────────────┴───────────┴───────────┴────────────┴── refused: ProviderResponse with systemError
//! ```

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    dev::Payload,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderValue},
    },
    web,
};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use time::OffsetDateTime;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};
use tracing::Instrument as _;

mod body;
mod head;

use self::body::LastWord;
use super::{
    config::{Config, Limits, MARGIN},
    external_data::{self, ProviderRequest, ReplyTooLarge, RequestError},
    generation::{Generation, Generations},
    mutate,
    tls::Tls,
    verify,
};
use crate::{
    reason::{self, Code},
    telemetry::{Telemetry, metrics::ServerMetrics, trace::Parent},
    time::Clock,
};

/// How much earlier than the answer the engine must end, so that what it says at its deadline still gets in.
const ENGINE_MARGIN: Duration = Duration::from_millis(20);

/// What every request shares.
#[derive(Debug)]
pub(super) struct State {
    pub(super) generations: Arc<dyn Generations>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) metrics: Arc<ServerMetrics>,
    pub(super) draining: AtomicBool,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) clock: Clock,
    limits: Limits,
    places: Semaphore,
    verify_budget: Duration,
    mutate_budget: Duration,
}

/// What every key of a request shares.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) state: &'a State,
    pub(super) generation: &'a Generation,
    pub(super) trace_id: &'a str,
    pub(super) now: OffsetDateTime,
    /// When the answer leaves.
    pub(super) deadline: Instant,
    pub(super) reply_bytes: usize,
}

/// When a connection was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectedAt(pub(super) Instant);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Mutate,
    Verify,
}

impl Endpoint {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Verify => "verify",
        }
    }

    /// The whole routing table. Compared with the path as it came: nothing is decoded or normalised (REQ-26).
    fn of_path(path: &str) -> Option<Self> {
        match path {
            "/countersign/gatekeeper/v1/verify" | "/ratify/gatekeeper/v1/verify" | "/ratify/gatekeeper/v2/verify" => {
                Some(Self::Verify)
            }
            "/countersign/gatekeeper/v1/mutate" | "/ratify/gatekeeper/v1/mutate" | "/ratify/gatekeeper/v2/mutate" => {
                Some(Self::Mutate)
            }
            _ => None,
        }
    }
}

/// Why a request gets no answer.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: Code,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let status = match error {
            RequestError::TooManyKeys { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            RequestError::Field { .. }
            | RequestError::Json(_)
            | RequestError::LetterCase(_)
            | RequestError::Version => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.code(), reason::chain(&error))
    }
}

impl State {
    pub(super) fn new(
        config: &Config,
        limits: &Limits,
        generations: Arc<dyn Generations>,
        telemetry: Arc<Telemetry>,
        clock: Clock,
    ) -> Self {
        Self {
            generations,
            metrics: Arc::new(ServerMetrics::new(&telemetry.meter())),
            telemetry,
            draining: AtomicBool::new(false),
            tls: None,
            limits: *limits,
            clock,
            places: Semaphore::new(limits.in_flight.min(Semaphore::MAX_PERMITS)),
            verify_budget: config.provider_timeout.verify.saturating_sub(MARGIN),
            mutate_budget: config.provider_timeout.mutate.saturating_sub(MARGIN),
        }
    }

    /// Answers any request whatever: every reply is a `ProviderResponse` (R1).
    pub(super) async fn dispatch(self: Arc<Self>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
        let arrived = Instant::now();
        let endpoint = Endpoint::of_path(request.uri().path());
        self.metrics.in_flight(1);
        let _in_flight = InFlight(&self.metrics);
        let mut payload = Box::new(payload.into_inner());
        let answering = self.answer(endpoint, &request, &mut payload, arrived);
        let answered = AssertUnwindSafe(answering).catch_unwind().await;
        let outcome = answered.unwrap_or_else(|_| {
            self.metrics.panic();
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, Code::Internal.meaning()))
        });
        let name = endpoint.map_or("none", Endpoint::as_str);
        match outcome {
            Ok(body) => {
                self.metrics.request(name, "OK", arrived.elapsed());
                self.reply(StatusCode::OK, BoxBody::new(body), &request, arrived)
            }
            Err(refusal) => {
                self.metrics.request(name, refusal.code.as_str(), arrived.elapsed());
                self.refuse(&refusal, payload, &request, arrived)
            }
        }
    }

    async fn answer(
        &self,
        endpoint: Option<Endpoint>,
        request: &HttpRequest,
        payload: &mut Payload,
        arrived: Instant,
    ) -> Result<Vec<u8>, Refusal> {
        let endpoint = head::check(endpoint, request, &self.limits)?;
        let _place = self.place()?;
        let generation = self
            .generations
            .current()
            .ok_or_else(|| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::NotReady, Code::NotReady.meaning()))?;
        let budget = match endpoint {
            Endpoint::Mutate => self.mutate_budget,
            Endpoint::Verify => self.verify_budget,
        };
        let deadline = arrived.checked_add(budget).unwrap_or(arrived);
        let body = body::read(request.headers(), payload, self.limits.request_bytes, deadline).await?;
        let question = ProviderRequest::parse(&body, self.limits.keys)?;
        let parent = head::parent(request.headers());
        let trace_id = parent.as_ref().map_or_else(|| uuid::Uuid::new_v4().to_string(), Parent::trace_id);
        let context = Context {
            state: self,
            generation: &generation,
            trace_id: &trace_id,
            now: self.clock.now(),
            deadline,
            reply_bytes: self.limits.reply_bytes,
        };
        let answered = self.traced(endpoint, parent.as_ref(), context.answer(endpoint, &question)).await;
        answered.map_err(|ReplyTooLarge| {
            let message = format!("the reply would have more than {} bytes", self.limits.reply_bytes);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooManyKeys, message)
        })
    }

    /// In a span of its own where spans go anywhere.
    async fn traced<T>(&self, endpoint: Endpoint, parent: Option<&Parent>, answer: impl Future<Output = T>) -> T {
        if !self.telemetry.exports_traces() {
            return answer.await;
        }
        let span = tracing::info_span!(target: "countersign", "provider_request", endpoint = endpoint.as_str());
        if let Some(parent) = parent {
            parent.adopt(&span);
        }
        answer.instrument(span).await
    }

    /// REQ-36: one too many is told so at once; nothing waits here.
    fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.places.try_acquire().map_err(|_| {
            let message = format!("{} requests are being answered (limits.requests)", self.limits.in_flight);
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Overloaded, message)
        })
    }

    fn refuse(&self, refusal: &Refusal, unread: Box<Payload>, request: &HttpRequest, arrived: Instant) -> HttpResponse {
        let code = refusal.code.as_str();
        tracing::warn!(target: "countersign", code, status = refusal.status.as_u16(), message = refusal.message, "request refused");
        let body = external_data::system_error(refusal.code, &refusal.message);
        let body = BoxBody::new(LastWord::new(body, unread));
        let mut response = self.reply(refusal.status, body, request, arrived);
        if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        // What follows on the connection may be the rest of a body that was not read.
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
        response
    }

    fn reply(&self, status: StatusCode, body: BoxBody, request: &HttpRequest, arrived: Instant) -> HttpResponse {
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        let old = request
            .conn_data::<ConnectedAt>()
            .is_some_and(|connected| arrived.saturating_duration_since(connected.0) >= self.limits.connection_age);
        if old || self.draining.load(Ordering::Relaxed) {
            response.force_close();
        }
        response.body(body)
    }
}

impl Context<'_> {
    async fn answer(&self, endpoint: Endpoint, question: &ProviderRequest) -> Result<Vec<u8>, ReplyTooLarge> {
        match endpoint {
            Endpoint::Mutate => mutate::answer(self, question).await,
            Endpoint::Verify => verify::answer(self, question).await,
        }
    }

    /// When the engine must have answered.
    pub(super) fn engine_deadline(&self) -> Instant {
        self.deadline.checked_sub(ENGINE_MARGIN).unwrap_or(self.deadline)
    }

    /// Runs what is left to do, all together, until the deadline. Gives each place its result, `None` where it ended in a
    /// panic; a place that is missing is late.
    pub(super) async fn gather<T, F: Future<Output = T>>(
        &self,
        tasks: impl IntoIterator<Item = (usize, F)>,
    ) -> Vec<(usize, Option<T>)> {
        let mut running: FuturesUnordered<_> = tasks
            .into_iter()
            .map(|(place, task)| AssertUnwindSafe(task).catch_unwind().map(move |ended| (place, ended.ok())))
            .collect();
        let mut ended = Vec::with_capacity(running.len());
        if running.is_empty() {
            return ended;
        }
        let mut late = std::pin::pin!(sleep_until(self.deadline));
        loop {
            tokio::select! {
                biased;
                next = running.next() => match next {
                    None => return ended,
                    Some(result) => {
                        if result.1.is_none() {
                            self.state.metrics.panic();
                        }
                        ended.push(result);
                    }
                },
                () = &mut late => return ended,
            }
        }
    }
}

/// Counts down, also where the client went away.
struct InFlight<'a>(&'a ServerMetrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight(-1);
    }
}
