//! Whether the certificates of a chain were revoked: OCSP first, CRLs as fallback.
//!
//! ```text
//! chain ──each but the root, together──► preloaded ──► OCSP ──unknown, unavailable──► CRLs ──► Standing
//!                                                        │                             │          │
//!                                                     evidence: memory, disk, one flight a place  decide: ChainRevocation
//!                                                                                │
//!                                                                      RevocationClient (handed in)
//! ```
//!
//! Nothing is asked about a chain that is not trusted; who calls `Revocation::check` has made sure of that (item 101).

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use futures_util::future::join_all;
use opentelemetry::metrics::Meter;
use time::OffsetDateTime;
use tokio::{runtime::Handle, time::Instant};

use self::{
    decide::{CertificateRevocation, Standing},
    folder::Folder,
    inquiry::Found,
    metrics::Metrics,
    preloaded::{Fault, Preloaded},
    shelf::{Shelf, Way},
    source::{CrlSource, OcspSource},
};
use super::envelope::SigningScheme;
use crate::{crypto::x509::Certificate, verifier::VerifyRequest};

mod client;
mod config;
mod decide;
mod folder;
mod inquiry;
mod metrics;
mod preloaded;
mod shelf;
mod source;
#[cfg(test)]
pub(crate) mod testing;

pub use client::{RevocationClient, RevocationClientError, RevocationRequest};
pub use config::{Mode, NoMethod, RevocationConfig};
pub(super) use decide::ChainRevocation;

/// For when and how long a chain is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// The moment that counts.
    pub(super) now: OffsetDateTime,
    /// When it was signed, where a signing authority vouches for that (D10).
    pub(super) signing_time: Option<OffsetDateTime>,
    /// When the answer must be there.
    pub(super) deadline: Instant,
}

impl Ask {
    /// About a signer's chain.
    pub(super) const fn of(request: &VerifyRequest<'_>, scheme: SigningScheme) -> Self {
        let signing_time = match scheme {
            SigningScheme::SigningAuthority { authentic_signing_time } => Some(authentic_signing_time),
            SigningScheme::X509 { .. } => None,
        };
        Self { now: request.now(), signing_time, deadline: request.deadline() }
    }

    /// About a timestamp authority's chain: no signing time spares it.
    pub(super) const fn of_authority(request: &VerifyRequest<'_>) -> Self {
        Self { now: request.now(), signing_time: None, deadline: request.deadline() }
    }
}

/// Evidence that is kept in memory: of one way out, for as many verifiers and generations as use it.
#[derive(Debug, Default)]
struct Evidence {
    ocsp: Arc<Shelf<OcspSource>>,
    crls: Arc<Shelf<CrlSource>>,
}

/// Evidence of all ways out. What was learnt under one configuration is not lost with it, as long as the next one asks in
/// the same way.
#[derive(Debug, Clone, Default)]
pub struct RevocationEvidence(Arc<Mutex<HashMap<String, Weak<Evidence>>>>);

impl RevocationEvidence {
    fn of(&self, config: &RevocationConfig) -> Arc<Evidence> {
        let RevocationConfig { allow_hosts, proxy, cache_dir, .. } = config;
        let way = format!("{allow_hosts:?} {proxy:?} {cache_dir:?}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, evidence| evidence.strong_count() > 0);
        all.get(&way).and_then(Weak::upgrade).unwrap_or_else(|| {
            let evidence = Arc::default();
            all.insert(way, Arc::downgrade(&evidence));
            evidence
        })
    }
}

/// What asking takes from outside.
#[derive(Debug, Clone)]
pub struct RevocationOutside {
    /// The way out.
    pub client: Arc<dyn RevocationClient>,
    /// What is kept.
    pub evidence: RevocationEvidence,
    /// Where fetches run.
    pub runtime: Handle,
    /// Where metrics go; none are kept without.
    pub meter: Option<Meter>,
}

/// Finds out whether certificates were revoked.
#[derive(Debug, Clone, Default)]
pub struct Revocation {
    preloaded: Arc<Preloaded>,
    no_method: NoMethod,
    /// `None`: nobody is asked.
    online: Option<Arc<Online>>,
}

#[derive(Debug)]
struct Online {
    way: Way,
    evidence: Arc<Evidence>,
}

impl Revocation {
    /// With what is at hand; nobody is asked until [`Revocation::asking`]. Also what should be looked at.
    ///
    /// Cost: reads the files, bounded.
    ///
    /// # Errors
    /// Each fault, with the member of `revocation` that has it.
    pub(super) fn load(config: &RevocationConfig, base: &Path) -> Result<(Self, Vec<String>), Vec<Fault>> {
        if let Some((member, why)) = config.fault() {
            return Err(vec![(member.to_owned(), why)]);
        }
        let (preloaded, warnings) = Preloaded::load(config, base)?;
        Ok((Self { preloaded: Arc::new(preloaded), no_method: config.no_method, online: None }, warnings))
    }

    /// Lets those be asked whom certificates name.
    ///
    /// # Errors
    /// `cacheDir` cannot be made or read.
    pub(super) fn asking(
        self,
        config: &RevocationConfig,
        base: &Path,
        outside: RevocationOutside,
    ) -> Result<Self, Fault> {
        let RevocationOutside { client, evidence, runtime, meter } = outside;
        let folder = match &config.cache_dir {
            Some(path) => Some(
                Folder::open(&base.join(path))
                    .map_err(|error| ("cacheDir".to_owned(), format!("{} cannot be used: {error}", path.display())))?,
            ),
            None => None,
        };
        let metrics = Metrics::new(meter.as_ref());
        let way = Way { client, runtime, interval: config.refresh_interval, folder, metrics };
        Ok(Self { online: Some(Arc::new(Online { way, evidence: evidence.of(config) })), ..self })
    }

    /// What is known of a chain: leaf first, complete to the root, which is never asked about (item 89). All certificates
    /// are looked at together, until the deadline.
    pub(super) async fn check(&self, chain: &[Certificate], ask: Ask) -> ChainRevocation {
        let issued = chain.windows(2).filter_map(|pair| match pair {
            [certificate, issuer] => Some((certificate, issuer)),
            _ => None,
        });
        let asked = issued.enumerate().map(async |(position, (certificate, issuer))| {
            let Found { standing, method, fallback, again } = self.inquire(certificate, issuer, ask).await;
            let subject = certificate.subject().to_text();
            (CertificateRevocation { position, subject, standing, method, fallback }, again)
        });
        let (certificates, again): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().unzip();
        let again = again.into_iter().flatten().min().map(|wait| ask.now.saturating_add(later(wait)));
        ChainRevocation { certificates, again, no_method: self.no_method }
    }

    /// What is known of a chain that nobody may be asked about, because it is not trusted (item 101, SSRF).
    pub(super) fn unasked(&self, chain: &[Certificate]) -> ChainRevocation {
        ChainRevocation { no_method: self.no_method, ..unasked(chain) }
    }

    /// Fetches ahead of time what is in use and will soon be old. Ends when all of it has been asked for.
    pub async fn refresh(&self, now: OffsetDateTime) {
        if let Some(Online { way, evidence }) = self.online.as_deref() {
            tokio::join!(evidence.ocsp.refresh(way, now), evidence.crls.refresh(way, now));
        }
    }
}

/// [`Revocation::unasked`] where a certificate that names nobody is worth a warning.
pub(super) fn unasked(chain: &[Certificate]) -> ChainRevocation {
    let issued = chain.len().saturating_sub(1);
    let certificates = chain.iter().take(issued).enumerate().map(|(position, certificate)| {
        let standing = if certificate.extensions().has_revocation_address() {
            Standing::Unavailable("nobody is asked about a chain that is not trusted".to_owned())
        } else {
            Standing::NonRevokable
        };
        let subject = certificate.subject().to_text();
        CertificateRevocation { position, subject, standing, method: "none", fallback: None }
    });
    ChainRevocation { certificates: certificates.collect(), again: None, no_method: NoMethod::Warn }
}

fn later(wait: std::time::Duration) -> time::Duration {
    time::Duration::try_from(wait).unwrap_or(time::Duration::MAX)
}

#[cfg(test)]
mod tests;
