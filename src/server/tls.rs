//! TLS towards Gatekeeper: 1.3 only, a client certificate demanded, certificates renewed without a restart.
//!
//! ```text
//! files ──read──► Pair, Clients ──swap──► the two slots ◄──each handshake── rustls
//!   ▲                  │ broken: the last good stays, counted
//!   └──── content compared at each tick ────┘
//! ```
//!
//! Content is compared, not times or events: that sees the `..data` symlink of a Secret volume swapped, a file written in
//! place and one renamed over, and a half-written pair is just another content that does not work yet.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::TLS13,
};

use super::config;
use crate::{reason, telemetry::metrics::ServerMetrics};

mod client;
mod material;

use self::{client::Clients, material::Pair};
pub use material::TlsError;

/// The certificate of the moment.
#[derive(Debug)]
struct Identity(Arc<ArcSwap<CertifiedKey>>);

impl ResolvesServerCert for Identity {
    // TLS-09: whatever name is asked for, there is one certificate.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// What TLS is made of, and how to renew it.
#[derive(Debug)]
pub(super) struct Tls {
    files: config::Tls,
    provider: Arc<CryptoProvider>,
    identity: Arc<ArcSwap<CertifiedKey>>,
    clients: Option<Arc<Clients>>,
    metrics: Arc<ServerMetrics>,
    seen: Mutex<Seen>,
}

/// Fingerprints of the contents last looked at, good or bad, so that a bad one is counted once.
#[derive(Debug, Default)]
struct Seen {
    pair: Option<digest::Digest>,
    clients: Option<digest::Digest>,
}

impl Tls {
    /// Loads everything; whole or not at all.
    pub(super) fn load(files: &config::Tls, metrics: &Arc<ServerMetrics>) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let (certificate, key) = (material::read(&files.certificate)?, material::read(&files.key)?);
        let pair = Pair::parse(&certificate, &key, &provider)?;
        metrics.certificate_expiry(pair.not_after);
        let mut seen = Seen { pair: Some(fingerprint(&[&certificate, &key])), clients: None };
        let clients = match &files.client_ca {
            None => None,
            Some(path) => {
                let bundle = material::read(path)?;
                seen.clients = Some(fingerprint(&[&bundle]));
                let clients = Clients::new(&bundle, files.client_name.as_deref(), &provider, metrics)?;
                Some(Arc::new(clients))
            }
        };
        Ok(Self {
            files: files.clone(),
            identity: Arc::new(ArcSwap::from_pointee(pair.certified)),
            clients,
            metrics: Arc::clone(metrics),
            provider,
            seen: Mutex::new(seen),
        })
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
        Ok(config)
    }

    /// Looks at the files, and takes what changed and works into use. Reads a few small files; blocks.
    pub(super) fn renew(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = self.read_pair().and_then(|(certificate, key)| {
            let print = fingerprint(&[&certificate, &key]);
            if is_same(seen.pair.as_ref(), &print) {
                return Ok(false);
            }
            seen.pair = Some(print);
            let pair = Pair::parse(&certificate, &key, &self.provider)?;
            self.metrics.certificate_expiry(pair.not_after);
            self.identity.store(Arc::new(pair.certified));
            Ok(true)
        });
        self.tell("certificate", pair);
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

    fn read_pair(&self) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
        let read = |path: &PathBuf| material::read(path);
        Ok((read(&self.files.certificate)?, read(&self.files.key)?))
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
