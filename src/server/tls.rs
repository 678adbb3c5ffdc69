//! TLS towards Gatekeeper: 1.3 only, a client certificate demanded, certificates renewed without a restart.
//!
//! ```text
//! files ──read──► Pair, Clients ──swap──► the two slots ◄──each handshake── rustls
//!   ▲                  │ broken: the last good stays, counted          ▲
//!   └──── content compared at each tick ────┘       handed over by somebody else, in the place of either
//! ```
//!
//! Content is compared, not times or events: that sees the `..data` symlink of a Secret volume swapped, a file written in
//! place and one renamed over, and a half-written pair is just another content that does not work yet.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    pki_types::UnixTime,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::TLS13,
};
use time::{Duration, OffsetDateTime};

use super::config::{self, Origin, Origins};
use crate::{reason, telemetry::metrics::ServerMetrics, time::Clock};

mod client;
mod material;

use self::{client::Clients, material::Pair};
pub use material::TlsError;

/// So long before its end a certificate that was handed over is told to end soon.
const ENDS_SOON: Duration = Duration::DAY;
/// So long before its end readiness fails: whoever asks then is better sent to another replica.
const ABOUT_TO_END: Duration = Duration::MINUTE;

/// TLS that comes from elsewhere than files: followed at each handshake, and absent until somebody hands it over.
#[derive(Debug, Clone, Default)]
pub struct Handed {
    /// The serving certificate and its key.
    pub certificate: Option<Arc<ArcSwapOption<CertifiedKey>>>,
    /// The authorities of client certificates.
    pub client_ca: Option<Arc<ArcSwapOption<RootCertStore>>>,
}

impl Handed {
    /// What is handed over, and what must be files.
    pub(super) const fn origins(&self) -> Origins {
        const fn origin(handed: bool) -> Origin {
            if handed { Origin::Cluster } else { Origin::File }
        }
        Origins { certificate: origin(self.certificate.is_some()), client_ca: origin(self.client_ca.is_some()) }
    }
}

/// Whether what was handed over can be served now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It ended, or is about to, or begins later.
    CertificateEnded,
    /// Nobody has handed a certificate over yet.
    NoCertificate,
    /// Nobody has handed authorities of clients over yet.
    NoClientCa,
    /// It can.
    Ready,
    /// It can, for less than a day.
    ReadyButEnding,
}

/// Judges clients' certificates by our clock.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// The certificate of the moment.
#[derive(Debug)]
struct Identity(Arc<ArcSwapOption<CertifiedKey>>);

impl ResolvesServerCert for Identity {
    // TLS-09: whatever name is asked for, there is one certificate.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// What TLS is made of, and how to renew it.
#[derive(Debug)]
pub(super) struct Tls {
    files: config::Tls,
    handed: Handed,
    clock: Clock,
    provider: Arc<CryptoProvider>,
    identity: Arc<ArcSwapOption<CertifiedKey>>,
    clients: Option<Arc<Clients>>,
    metrics: Arc<ServerMetrics>,
    seen: Mutex<Seen>,
}

/// Fingerprints of the contents last looked at, good or bad, so that a bad one is counted once.
#[derive(Debug, Default)]
struct Seen {
    pair: Option<digest::Digest>,
    clients: Option<digest::Digest>,
    handed: Option<Arc<CertifiedKey>>,
}

impl Tls {
    /// Loads everything that comes from files; whole or not at all.
    pub(super) fn load(
        files: &config::Tls,
        handed: &Handed,
        metrics: &Arc<ServerMetrics>,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let mut seen = Seen::default();
        let identity = match (&handed.certificate, &files.certificate, &files.key) {
            (Some(slot), _, _) => Arc::clone(slot),
            (None, Some(certificate), Some(key)) => {
                let (certificate, key) = (material::read(certificate)?, material::read(key)?);
                let pair = Pair::parse(&certificate, &key, &provider)?;
                metrics.certificate_expiry(pair.not_after);
                seen.pair = Some(fingerprint(&[&certificate, &key]));
                Arc::new(ArcSwapOption::from_pointee(pair.certified))
            }
            (None, _, _) => return Err(TlsError::Unnamed),
        };
        let name = files.client_name.as_deref();
        let clients = match (&handed.client_ca, &files.client_ca) {
            (Some(slot), _) => Some(Arc::new(Clients::handed(slot, name, &provider, metrics))),
            (None, Some(path)) => {
                let bundle = material::read(path)?;
                seen.clients = Some(fingerprint(&[&bundle]));
                Some(Arc::new(Clients::new(&bundle, name, &provider, metrics)?))
            }
            (None, None) => None,
        };
        Ok(Self {
            files: files.clone(),
            handed: handed.clone(),
            clock,
            identity,
            clients,
            metrics: Arc::clone(metrics),
            provider,
            seen: Mutex::new(seen),
        })
    }

    /// Whether what was handed over can be served. What comes from files was there when the server began, and is served
    /// whatever it says (TLS-03).
    pub(super) fn readiness(&self, now: OffsetDateTime) -> Readiness {
        if self.handed.client_ca.as_ref().is_some_and(|slot| slot.load().is_none()) {
            return Readiness::NoClientCa;
        }
        let Some(slot) = &self.handed.certificate else { return Readiness::Ready };
        let Some(certified) = slot.load_full() else { return Readiness::NoCertificate };
        let Some((from, until)) = material::life(&certified) else { return Readiness::CertificateEnded };
        let left = until.saturating_sub(now.unix_timestamp());
        if from > now.unix_timestamp() || left < ABOUT_TO_END.whole_seconds() {
            Readiness::CertificateEnded
        } else if left < ENDS_SOON.whole_seconds() {
            Readiness::ReadyButEnding
        } else {
            Readiness::Ready
        }
    }

    /// The configuration that listens; it follows what [`Tls::renew`] takes into use.
    pub(super) fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Configuration)?;
        let builder = match &self.clients {
            Some(clients) => {
                let verifier: Arc<dyn ClientCertVerifier> = Arc::<Clients>::clone(clients);
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Identity(Arc::clone(&self.identity))));
        // TLS-11: a resumed session would skip the client's certificate; Gatekeeper does not resume anyway.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // TLS-07: no early data.
        config.max_early_data_size = 0;
        config.time_provider = Arc::new(Time(self.clock));
        Ok(config)
    }

    /// Looks at the files, and takes what changed and works into use. Reads a few small files; blocks. What is handed over is
    /// in use already, and only counted here.
    pub(super) fn renew(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = &mut *seen;
        if let Some(slot) = &self.handed.certificate {
            self.count_certificate(slot, &mut seen.handed);
        } else {
            let renewed = self.renew_pair(&mut seen.pair);
            self.tell("certificate", renewed);
        }
        if let (Some(clients), Some(path)) = (&self.clients, &self.files.client_ca) {
            let renewed = material::read(path).and_then(|bundle| {
                let print = fingerprint(&[&bundle]);
                if is_same(seen.clients.as_ref(), &print) {
                    return Ok(false);
                }
                seen.clients = Some(print);
                clients.replace(&bundle, &self.provider)?;
                Ok(true)
            });
            self.tell("client_ca", renewed);
        }
    }

    fn renew_pair(&self, seen: &mut Option<digest::Digest>) -> Result<bool, TlsError> {
        let (Some(certificate), Some(key)) = (&self.files.certificate, &self.files.key) else { return Ok(false) };
        let (certificate, key) = (material::read(certificate)?, material::read(key)?);
        let print = fingerprint(&[&certificate, &key]);
        if is_same(seen.as_ref(), &print) {
            return Ok(false);
        }
        *seen = Some(print);
        let pair = Pair::parse(&certificate, &key, &self.provider)?;
        self.metrics.certificate_expiry(pair.not_after);
        self.identity.store(Some(Arc::new(pair.certified)));
        Ok(true)
    }

    fn count_certificate(&self, slot: &ArcSwapOption<CertifiedKey>, seen: &mut Option<Arc<CertifiedKey>>) {
        let Some(now) = slot.load_full() else { return };
        if seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &now)) {
            return;
        }
        if let Some((_, until)) = material::life(&now) {
            self.metrics.certificate_expiry(until);
        }
        if seen.replace(now).is_some() {
            self.metrics.reload("certificate");
        }
    }

    fn tell(&self, what: &'static str, outcome: Result<bool, TlsError>) {
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                self.metrics.reload(what);
                tracing::info!(target: "countersign", what, "TLS files changed and are in use");
            }
            Err(error) => {
                self.metrics.reload_failure(what);
                tracing::error!(target: "countersign", what, error = reason::chain(&error), "changed TLS files cannot be used; the last good stay");
            }
        }
    }
}

/// SHA-256 over the contents, each with its length before it.
fn fingerprint(contents: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for content in contents {
        context.update(&content.len().to_be_bytes());
        context.update(content);
    }
    context.finish()
}

fn is_same(seen: Option<&digest::Digest>, now: &digest::Digest) -> bool {
    seen.is_some_and(|seen| seen.as_ref() == now.as_ref())
}
