//! The OCI distribution client: about six GETs, hardened.
//!
//! A pod's author names the registry; the registry names the token service, the redirect and the next page. None of them
//! is believed: hosts and addresses are checked before and at connect, credentials stay with their origin, every body is
//! bounded and hashed, and only a 404 means "none".

//!
//! ```text
//! Store call ──► Place (rule, origin, path) ──► Transport::send ──► Reply ──► hashed, judged, parsed
//!   deadline        │      ▲                      │  Rule::check, Gate, redirects, retries, Buffers
//!   mirror first    └─401─► Authorizer ──token────┘  Guard: the addresses, at connect
//! ```

mod address;
mod auth;
mod backoff;
mod body;
mod config;
mod failure;
mod gate;
mod limits;
mod link;
mod manifest;
mod metrics;
mod origin;
mod outbound;
mod pace;
mod pattern;
mod place;
mod referrers;
mod resolver;
mod rule;
mod tls;
mod transport;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use opentelemetry::metrics::Meter;
use tokio::time::{Instant, timeout_at};

use self::{
    auth::Authorizer,
    metrics::Metrics,
    origin::Origin,
    pattern::Pattern,
    place::Place,
    rule::{Common, Rule},
    transport::Transport,
};
pub use self::{
    auth::pull_secrets::{Known, ObjectName, PullSecret, PullSecrets, Snapshot, Wanted},
    config::{Config, Credentials, Fault, HostConfig, PullSecretName},
    limits::Limits,
    outbound::{Outbound, OutboundError, OutboundRequest},
    resolver::{Resolver, SystemResolver},
};
use super::{Deadline, Store, StoreError};
use crate::oci::{Content, Descriptor, Digest, Discovery, Listing, Reference, Registry as Name, Repository};

/// A store over the distribution API of the hosts that its configuration names.
#[derive(Debug)]
pub struct Registry {
    name: String,
    /// The most specific first.
    rules: Vec<Rule>,
    transport: Transport,
    authorizer: Authorizer,
}

/// What a store takes from outside; tests put their own in.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Where metrics go; none are kept without.
    pub meter: Option<Meter>,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolver>,
    /// What is known of pull Secrets.
    pub pull_secrets: PullSecrets,
}

impl Default for Outside {
    fn default() -> Self {
        Self { meter: None, resolver: Arc::new(SystemResolver), pull_secrets: PullSecrets::default() }
    }
}

impl Registry {
    /// Builds the store `name`. File names in `config` are relative to `base`.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, each with its path.
    pub fn build(
        name: &str,
        config: &Config,
        base: &Path,
        limits: Limits,
        outside: Outside,
    ) -> Result<Self, Vec<Fault>> {
        let Outside { meter, resolver, pull_secrets } = outside;
        let mut faults: Vec<_> = limits.faults().into_iter().map(|fault| Fault::new("limits", fault)).collect();
        if config.hosts.is_empty() {
            faults.push(Fault::new("hosts", "names no host, so the store would serve none"));
        }
        let common = Common { base, limits, public_roots: tls::public_roots(), resolver, pull_secrets };
        let mut rules: Vec<Rule> = Vec::new();
        for (pattern, host) in &config.hosts {
            match Rule::build(pattern, host, &common) {
                Ok(rule) => rules.push(rule),
                Err(found) => faults.extend(found),
            }
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.pattern.specificity()));
        faults.extend(mirror_faults(&rules));
        if !faults.is_empty() {
            return Err(faults);
        }
        let transport = Transport::new(limits, Metrics::new(meter.as_ref(), rules.iter().map(|rule| &rule.label)));
        Ok(Self { name: name.to_owned(), rules, transport, authorizer: Authorizer::new() })
    }

    /// The operator's name for this store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an entry of `hosts` is about `registry`. Whether its address is admitted shows at the first call.
    pub fn serves(&self, registry: &Name) -> bool {
        self.specificity(registry).is_some()
    }

    /// How specific the entry about `registry` is, to choose among stores: exact, then the longer suffix, then `*`.
    pub fn specificity(&self, registry: &Name) -> Option<usize> {
        self.rule(registry).map(|rule| rule.pattern.specificity())
    }

    /// What is known of the pull Secrets for `registry`, as an opaque name: content that was fetched with others is not found under
    /// it. Empty where there are none.
    pub fn credentials_id(&self, registry: &Name) -> String {
        self.rule(registry).map(|rule| rule.credentials.id()).unwrap_or_default()
    }

    fn rule(&self, registry: &Name) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.serves(registry))
    }

    fn place<'a>(&'a self, registry: &Name, path: &'a str, deadline: Deadline) -> Result<Place<'a>, StoreError> {
        let rule = self.rule(registry).ok_or_else(|| StoreError::HostDenied {
            host: registry.to_string(),
            rule: "no entry in hosts is about it".to_owned(),
        })?;
        let origin = Origin::of_registry(registry, rule.plain_http);
        Ok(Place { transport: &self.transport, authorizer: &self.authorizer, rule, origin, path, deadline })
    }

    /// Where to ask: the repository's registry, and before it its mirror, with half of the time.
    fn places<'a>(
        &'a self,
        repository: &'a Repository,
        deadline: Deadline,
    ) -> Result<(Option<Place<'a>>, Place<'a>), StoreError> {
        let home = self.place(repository.registry(), repository.path(), deadline)?;
        let mirror = match &home.rule.mirror {
            Some(mirror) => Some(self.place(mirror, repository.path(), half_way(deadline))?),
            None => None,
        };
        Ok((mirror, home))
    }
}

fn half_way(deadline: Deadline) -> Deadline {
    let now = Instant::now();
    now.checked_add(deadline.saturating_duration_since(now).div_f32(2.0)).unwrap_or(now)
}

/// A mirror must have an entry of its own, and end there: its address rules and credentials are its own.
fn mirror_faults(rules: &[Rule]) -> Vec<Fault> {
    let fault = |rule: &Rule| {
        let mirror = rule.mirror.as_ref()?;
        let path = format!("hosts[{:?}].mirror", rule.pattern.to_string());
        match rules.iter().find(|other| other.serves(mirror)) {
            Some(other) if other.pattern == Pattern::Any => Some(Fault::new(path, "has no entry of its own in hosts")),
            Some(other) if other.mirror.is_some() => Some(Fault::new(path, "has a mirror itself")),
            Some(_) => None,
            None => Some(Fault::new(path, "has no entry of its own in hosts")),
        }
    };
    rules.iter().filter_map(fault).collect()
}

/// Ends `call` at `deadline`, whatever it waits for.
async fn within<T>(
    deadline: Deadline,
    what: impl FnOnce() -> String,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout_at(deadline, call).await.unwrap_or_else(|_| Err(StoreError::Deadline { what: what() }))
}

/// Asks the mirror, if there is one, then the registry. The mirror's errors are not the answer: the registry's are.
async fn either<T>(
    mirror: Option<(Deadline, impl Future<Output = Result<T, StoreError>>)>,
    registry: impl Future<Output = Result<T, StoreError>>,
    suffices: fn(&T) -> bool,
) -> Result<T, StoreError> {
    if let Some((deadline, mirror)) = mirror
        && let Ok(answer) = within(deadline, || "the mirror's answer".to_owned(), mirror).await
        && suffices(&answer)
    {
        return Ok(answer);
    }
    registry.await
}

#[async_trait]
impl Store for Registry {
    async fn resolve(&self, reference: &Reference, deadline: Deadline) -> Result<Descriptor, StoreError> {
        let (mirror, home) = self.places(reference.repository(), deadline)?;
        let digest = reference.digest();
        let name = match (digest, reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_string(),
            // `Reference::parse` puts `latest` where neither is written.
            (None, None) => return Err(StoreError::NotFound { what: reference.to_string() }),
        };
        let first = mirror.as_ref().map(|place| (place.deadline, Box::pin(manifest::resolve(place, &name, digest))));
        let call = either(first, manifest::resolve(&home, &name, digest), |_| true);
        within(deadline, || reference.to_string(), call).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        ways: Discovery,
        deadline: Deadline,
    ) -> Result<Listing, StoreError> {
        let (mirror, home) = self.places(repository, deadline)?;
        let first = mirror.as_ref().map(|place| (place.deadline, Box::pin(referrers::list(place, subject, &ways))));
        // A mirror often has images and not what refers to them: only the registry can say "none".
        let call = either(first, referrers::list(&home, subject, &ways), |listing| !listing.referrers.is_empty());
        within(deadline, || format!("referrers of {repository}@{subject}"), call).await
    }

    async fn manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        let (mirror, home) = self.places(repository, deadline)?;
        let first = mirror.as_ref().map(|place| (place.deadline, Box::pin(manifest::described(place, descriptor))));
        let call = either(first, manifest::described(&home, descriptor), |_| true);
        within(deadline, || format!("{repository}@{}", descriptor.digest), call).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit_bytes: u64,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        let (mirror, home) = self.places(repository, deadline)?;
        let first =
            mirror.as_ref().map(|place| (place.deadline, Box::pin(manifest::blob(place, descriptor, limit_bytes))));
        let call = either(first, manifest::blob(&home, descriptor, limit_bytes), |_| true);
        within(deadline, || format!("{repository}@{}", descriptor.digest), call).await
    }
}

#[cfg(test)]
mod tests;
