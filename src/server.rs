//! The server: Gatekeeper's questions over HTTPS, health and metrics on a port of their own.
//!
//! The only module that knows Gatekeeper and HTTP statuses. Every reply is a `ProviderResponse`, and leaves before the
//! Provider's own `timeout`: a denial that comes late is an admission.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpServer,
    dev::{Extensions, Server as ActixServer},
    web,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::{
    config::{Config, Limits},
    http::{ConnectedAt, State},
    tls::Tls,
};
use crate::{
    telemetry::{Telemetry, metrics::ServerMetrics},
    time::Clock,
};

mod admin;
pub mod config;
mod decision;
mod external_data;
mod generation;
mod http;
mod key;
mod mutate;
mod tls;
mod verify;

pub use self::{
    generation::{Decider, Generation, Generations, OfApp},
    key::Tenancy,
    mutate::TagAfterMutation,
    tls::{Handed, TlsError},
};

/// How often TLS files are looked at.
const TLS_TICK: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 2048;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration contradicts itself.
    #[error("server.{field}: {message}")]
    Configuration {
        /// The field.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It stopped by itself.
    #[error("the server ended")]
    Ended(#[source] io::Error),
    /// It stopped by itself, and does not say why.
    #[error("the server ended without a reason")]
    EndedSilently,
    /// TLS cannot be served.
    #[error("TLS cannot be served")]
    Tls(#[source] TlsError),
}

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// Addresses, TLS, times.
    pub config: Config,
    /// Bounds.
    pub limits: Limits,
    /// Where answers come from.
    pub generations: Arc<dyn Generations>,
    /// TLS that does not come from files.
    pub handed: Handed,
    /// Metrics, decision records, traces.
    pub telemetry: Arc<Telemetry>,
    /// Where `now` comes from.
    pub clock: Clock,
}

/// A server that listens on both ports.
pub struct Server {
    state: Arc<State>,
    tls: Option<Arc<Tls>>,
    address: SocketAddr,
    admin_address: SocketAddr,
    main: ActixServer,
    admin: ActixServer,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("admin_address", &self.admin_address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on both ports and answers from then on, on as many workers as there are cores. Called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ServerError`]: nothing is listened on then.
    pub fn bind(parts: Parts) -> Result<Self, ServerError> {
        let Parts { config, limits, generations, handed, telemetry, clock } = parts;
        if let Some(fault) = config.faults(handed.origins()).into_iter().chain(limits.faults()).next() {
            return Err(ServerError::Configuration { field: fault.field, message: fault.message });
        }
        let mut state = State::new(&config, &limits, generations, telemetry, clock);
        if let Some(files) = &config.tls {
            let tls = Tls::load(files, &handed, &state.metrics, clock).map_err(ServerError::Tls)?;
            state.tls = Some(Arc::new(tls));
        }
        let tls = state.tls.clone();
        let state = Arc::new(state);
        let (admin_address, admin) = listen_admin(&config, &state)?;
        let (address, main) = listen_main(&config, &limits, &state, tls.as_deref())?;
        Ok(Self { state, tls, address, admin_address, main, admin })
    }

    /// Where Gatekeeper may ask.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Answers until `shutdown` ends; then readiness is off, what is in flight is answered, and both ports are closed.
    ///
    /// # Errors
    /// [`ServerError`] where a port closes by itself.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { state, tls, mut main, mut admin, .. } = self;
        let (main_handle, admin_handle) = (main.handle(), admin.handle());
        let ended = tokio::select! {
            () = shutdown => None,
            ended = &mut main => Some(ended),
            ended = &mut admin => Some(ended),
            () = renew(tls) => None,
        };
        state.draining.store(true, Ordering::Relaxed);
        if let Some(ended) = ended {
            // Dropping a server closes its port.
            return Err(ended.map_or_else(ServerError::Ended, |()| ServerError::EndedSilently));
        }
        // Health is answered until the last request is.
        let (stopped, ()) = tokio::join!(&mut main, main_handle.stop(true));
        stopped.map_err(ServerError::Ended)?;
        let (stopped, ()) = tokio::join!(&mut admin, admin_handle.stop(false));
        stopped.map_err(ServerError::Ended)
    }
}

/// Loads what `server.tls` names and forgets it again: whether it could be served.
///
/// # Errors
/// [`TlsError`].
pub fn check_tls(config: &Config, telemetry: &Telemetry) -> Result<(), TlsError> {
    let Some(files) = &config.tls else { return Ok(()) };
    let metrics = Arc::new(ServerMetrics::new(&telemetry.meter()));
    // What the cluster provides is not there to be checked.
    let handed = Handed { certificate: files.certificate.is_none().then(Arc::default), client_ca: None };
    Tls::load(files, &handed, &metrics, Clock::System).and_then(|tls| tls.server_config()).map(|_| ())
}

/// Looks at the TLS files at each tick, for ever.
async fn renew(tls: Option<Arc<Tls>>) {
    let Some(tls) = tls else { return std::future::pending().await };
    let mut ticks = interval(TLS_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looking = Arc::clone(&tls);
        if let Err(error) = tokio::task::spawn_blocking(move || looking.renew()).await {
            tracing::error!(target: "countersign", %error, "TLS files could not be looked at");
        }
    }
}

fn listen_main(
    config: &Config,
    limits: &Limits,
    state: &Arc<State>,
    tls: Option<&Tls>,
) -> Result<(SocketAddr, ActixServer), ServerError> {
    let shared = Arc::clone(state);
    let server = HttpServer::new(move || {
        let state = Arc::clone(&shared);
        App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            Arc::clone(&state).dispatch(request, payload)
        }))
    })
    .on_connect(|_, data: &mut Extensions| {
        data.insert(ConnectedAt(Instant::now()));
    })
    .workers(std::thread::available_parallelism().map_or(1, usize::from))
    .backlog(BACKLOG)
    .max_connections(limits.connections)
    // Handshakes under way, a worker: 256 clients that say nothing would keep everybody else out until they are told to go.
    .max_connection_rate(limits.connections)
    .keep_alive(limits.idle_timeout)
    .client_request_timeout(limits.head_timeout)
    // REQ-34: who closed the connection does not wait for an answer.
    .h1_allow_half_closed(false)
    .tls_handshake_timeout(limits.head_timeout)
    .shutdown_timeout(config.shutdown_timeout.as_secs().max(1))
    .disable_signals();
    let listened = match tls {
        Some(tls) => server.bind_rustls_0_23(config.address, tls.server_config().map_err(ServerError::Tls)?),
        None => server.bind(config.address),
    };
    let server = listened.map_err(|source| ServerError::Listen { address: config.address, source })?;
    Ok((first_address(&server.addrs(), config.address), server.run()))
}

fn listen_admin(config: &Config, state: &Arc<State>) -> Result<(SocketAddr, ActixServer), ServerError> {
    let shared = Arc::clone(state);
    let server = HttpServer::new(move || App::new().configure(|service| admin::routes(&shared, service)))
        .workers(1)
        .max_connections(256)
        .client_request_timeout(Duration::from_secs(5))
        .disable_signals()
        .bind(config.admin)
        .map_err(|source| ServerError::Listen { address: config.admin, source })?;
    Ok((first_address(&server.addrs(), config.admin), server.run()))
}

/// The address with the port that was given where 0 was asked for.
fn first_address(bound: &[SocketAddr], asked: SocketAddr) -> SocketAddr {
    bound.first().copied().unwrap_or(asked)
}

#[cfg(test)]
mod tests;
