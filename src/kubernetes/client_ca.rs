//! Gatekeeper's client CA, from the Secret that Gatekeeper keeps it in: followed when it is rotated, without a restart.
//!
//! What the Secret says is accepted, and for ten minutes more what it said before: Gatekeeper's Pods see their own new
//! certificate only when the kubelet has synchronised it (a minute or two), and show the old one until then; a refused Gatekeeper
//! is one that admits whatever its `failurePolicy` says. The pinned name (`server.tls.clientName`) holds for both.
//!
//! A Secret that is deleted, empty or half-written changes nothing: the last good authorities stay.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::{Duration, Instant, sleep};

use super::{
    CallError, Cluster,
    bell::{self, Ring},
};
use crate::reason;

/// How long after a change what was there before is still accepted.
pub const OVERLAP: Duration = Duration::from_mins(10);
/// How often the Secret is looked at without being rung for.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// The same while there are none.
const LOOK_FIRST: Duration = Duration::from_secs(2);
/// Most authorities of a Secret, and most that are still accepted after they left it.
const MAX_AUTHORITIES: usize = 16;
/// Longest `ca.crt`.
const MAX_BYTES: usize = 256 * 1024;
/// The one field that is read; the Secret's keys are not looked at.
const FIELD: &str = "ca.crt";

/// Why the authorities of client certificates could not be renewed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCaError {
    /// The Secret is not there.
    #[error("there is no Secret {name}")]
    Absent {
        /// Its name.
        name: String,
    },
    /// The API server.
    #[error("Secret {name}")]
    Call {
        /// Its name.
        name: String,
        /// Why.
        source: CallError,
    },
    /// What it holds cannot be used.
    #[error("ca.crt of Secret {name} {fault}")]
    Content {
        /// Its name.
        name: String,
        /// What is wrong.
        fault: &'static str,
    },
}

/// Follows one Secret.
#[derive(Debug)]
pub struct Follower {
    cluster: Cluster,
    secret: String,
    current: Vec<CertificateDer<'static>>,
    /// Authorities that left the Secret, and until when they are accepted.
    former: Vec<(CertificateDer<'static>, Instant)>,
    accepted: Arc<ArcSwapOption<RootCertStore>>,
    last_error: Option<String>,
    failures: Counter<u64>,
}

impl Follower {
    /// `secret`: its name, in the cluster's namespace. Contacts nobody yet.
    pub fn new(cluster: Cluster, secret: String, meter: &Meter) -> Self {
        let (accepted, failures) = (Arc::default(), failures(meter));
        Self { cluster, secret, current: Vec::new(), former: Vec::new(), accepted, last_error: None, failures }
    }

    /// Whom a client's certificate may come from: follows each change. Empty until the Secret was read once.
    pub fn accepted(&self) -> Arc<ArcSwapOption<RootCertStore>> {
        Arc::clone(&self.accepted)
    }

    /// Follows the Secret until `stop` ends.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut bell = std::pin::pin!(bell::secret(&self.cluster, &self.secret));
        loop {
            // Told by the look itself.
            let _ = self.look(Instant::now()).await;
            let mut pause = std::pin::pin!(sleep(if self.current.is_empty() { LOOK_FIRST } else { LOOK_EVERY }));
            loop {
                tokio::select! {
                    () = &mut stop => return,
                    () = &mut pause => break,
                    Some(ring) = bell.next() => match ring {
                        Ring::Changed => break,
                        Ring::Lost => self.failures.add(1, &[KeyValue::new("what", "watch")]),
                    },
                }
            }
        }
    }

    /// Reads the Secret once, and takes what it says into use. `at`: the monotonic clock.
    ///
    /// # Errors
    /// [`ClientCaError`]: what was accepted is accepted still, but for former authorities whose time is over.
    pub async fn look(&mut self, at: Instant) -> Result<(), ClientCaError> {
        let outcome = self.read().await.map(|authorities| self.take(authorities, at));
        self.expire(at);
        let said = outcome.as_ref().err().map(|error| reason::chain(error));
        if outcome.is_err() {
            self.failures.add(1, &[KeyValue::new("what", "secret")]);
        }
        if let Some(error) = said.as_ref().filter(|said| self.last_error.as_ref() != Some(said)) {
            tracing::error!(target: "countersign", %error, "the client CA cannot be followed; the last good one stays");
        }
        self.last_error = said;
        outcome
    }

    async fn read(&self) -> Result<Vec<CertificateDer<'static>>, ClientCaError> {
        let name = || self.secret.clone();
        let path = self.cluster.path("/api/v1", "secrets");
        let found: Option<Secret> = self
            .cluster
            .get(&path, &self.secret)
            .await
            .map_err(|source| ClientCaError::Call { name: name(), source })?;
        let secret = found.ok_or_else(|| ClientCaError::Absent { name: name() })?;
        let pem = secret.data.as_ref().and_then(|data| data.get(FIELD)).map_or(&[][..], |value| &value.0);
        parse(pem).map_err(|fault| ClientCaError::Content { name: name(), fault })
    }

    fn take(&mut self, authorities: Vec<CertificateDer<'static>>, at: Instant) {
        if authorities == self.current {
            return;
        }
        let until = at.checked_add(OVERLAP).unwrap_or(at);
        self.former.extend(self.current.drain(..).map(|authority| (authority, until)));
        self.former.retain(|(authority, _)| !authorities.contains(authority));
        let surplus = self.former.len().saturating_sub(MAX_AUTHORITIES);
        self.former.drain(..surplus);
        self.current = authorities;
        tracing::info!(target: "countersign", authorities = self.current.len(), former = self.former.len(), "the client CA was renewed");
        self.publish();
    }

    fn expire(&mut self, at: Instant) {
        let before = self.former.len();
        self.former.retain(|(_, until)| at < *until);
        if self.former.len() < before {
            tracing::info!(target: "countersign", former = self.former.len(), "a former client CA is not accepted any more");
            self.publish();
        }
    }

    fn publish(&self) {
        let former = self.former.iter().map(|(authority, _)| authority);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.current.iter().chain(former).cloned());
        self.accepted.store(Some(Arc::new(roots)));
    }
}

fn failures(meter: &Meter) -> Counter<u64> {
    let failures = meter
        .u64_counter("countersign_client_ca_errors")
        .with_description("Failures to follow the Secret of the client CA, by what failed")
        .build();
    for what in ["secret", "watch"] {
        failures.add(0, &[KeyValue::new("what", what)]);
    }
    failures
}

/// All instruments, each with a value: what the README's table is made from.
#[cfg(test)]
pub(crate) fn show_metrics(meter: &Meter) {
    failures(meter);
}

/// At least one authority, all of which can be used.
fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    if pem.len() > MAX_BYTES {
        return Err("is too large");
    }
    let mut authorities: Vec<CertificateDer<'static>> = Vec::new();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is no PEM")?;
        if authorities.contains(&certificate) {
            continue;
        }
        if authorities.len() >= MAX_AUTHORITIES {
            return Err("has too many authorities");
        }
        roots.add(certificate.clone()).map_err(|_| "has a malformed certificate")?;
        authorities.push(certificate);
    }
    if authorities.is_empty() { Err("has no certificate") } else { Ok(authorities) }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn authority() -> String {
        CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn only_a_whole_bundle_of_authorities_is_taken() {
        let (one, two) = (authority(), authority());
        assert_eq!(parse(format!("{one}{two}").as_bytes()).unwrap().len(), 2);
        assert_eq!(parse(format!("{one}{one}").as_bytes()).unwrap().len(), 1, "the same twice is one");
        let half = two.get(..two.len() / 2).unwrap();
        let mut many = String::new();
        for _ in 0..=MAX_AUTHORITIES {
            let _ = write!(many, "{}", authority());
        }
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (name, pem, fault) in [
            ("empty", String::new(), "has no certificate"),
            ("no PEM at all", "ca".to_owned(), "has no certificate"),
            ("half-written", format!("{one}{half}"), "is no PEM"),
            ("no certificate inside", format!("{one}{garbage}"), "has a malformed certificate"),
            ("too many", many, "has too many authorities"),
            ("too large", " ".repeat(MAX_BYTES + 1), "is too large"),
        ] {
            assert_eq!(parse(pem.as_bytes()), Err(fault), "{name}");
        }
    }
}
