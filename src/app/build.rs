//! From a configuration to an engine: the only place that names every plugin.

use std::{error::Error, path::PathBuf, sync::Arc};

use time::OffsetDateTime;
use tokio::runtime::Handle;

use super::{
    files::{Fingerprint, fingerprint},
    revocation,
    roots::{self, RootInUse},
};
use crate::{
    config::{Config, Fault, LayoutConfig, StoreConfig, StoreKind, VerifierConfig, VerifierKind},
    executor::{Executor, Parts},
    oci::{Digest, Registry},
    policy::threshold::Threshold,
    reason,
    store::{
        Store,
        cached::{Cached, ContentCache, CredentialId},
        layout::Layout,
        registry::{self, Credentials, Outside},
        routed::{Route, Routed},
    },
    verifier::{
        Verifier, VerifierName,
        cosign::Cosign,
        exec::{self, Exec},
        notation::{
            Notation,
            revocation::{Revocation, RevocationEvidence},
        },
    },
};

/// What generations share.
#[derive(Debug, Clone)]
pub struct Materials {
    /// Content by digest: never stale.
    pub content: ContentCache,
    /// What registries take from outside.
    pub outside: Outside,
    /// What was learnt about revoked certificates.
    pub evidence: RevocationEvidence,
    /// Where verifications run.
    pub runtime: Handle,
}

/// A configuration, built.
#[derive(Debug)]
pub struct Engine {
    /// Answers.
    pub executor: Arc<Executor>,
    /// What works and yet should be looked at: trust stores that vouch for nobody, levels that only log.
    pub warnings: Vec<String>,
    /// How many trust stores vouch for nobody.
    pub store_faults: usize,
    /// The trusted roots in force.
    pub roots: Vec<RootInUse>,
    /// What finds out about revoked certificates.
    pub revocations: Vec<Revocation>,
    /// How many checks trust policies leave out by the operator's word.
    pub weakenings: usize,
    /// When trust anchors end, by trust store.
    pub anchors: Vec<Anchor>,
}

/// A trust store that vouches for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Whose.
    pub verifier: VerifierName,
    /// `ca:acme`, as trust policies name it; or `caRoots:` and the trust policy that has them.
    pub store: String,
    /// When the first of its certificates ends.
    pub until: OffsetDateTime,
}

/// Builds everything that `config` names.
///
/// # Errors
/// Everything that is wrong, of every store and verifier.
pub async fn build(config: &Config, materials: &Materials) -> Result<Engine, Vec<Fault>> {
    let mut faults = Vec::new();
    let store = build_stores(config, materials, &mut faults).await;
    let Verifiers { all: verifiers, warnings, store_faults, weakenings, revocations, anchors } =
        build_verifiers(config, materials, &mut faults);
    let names: Vec<VerifierName> = config.verifiers.iter().map(|verifier| Arc::clone(&verifier.name)).collect();
    let policy = Threshold::build(&config.policies, &names);
    if let Err(found) = &policy {
        faults.extend(found.iter().map(|fault| config.fault(fault.path.clone(), fault.fault.to_string())));
    }
    match policy {
        Ok(policy) if faults.is_empty() => {
            let parts = Parts {
                store: Arc::new(store),
                verifiers,
                policy: Arc::new(policy),
                limits: config.limits.engine(),
                runtime: materials.runtime.clone(),
                meter: materials.outside.meter.clone(),
            };
            let (executor, roots) = (Executor::new(parts), roots::in_use(config));
            Ok(Engine { executor, warnings, store_faults, roots, revocations, weakenings, anchors })
        }
        _ => Err(faults),
    }
}

/// Builds only the stores, for commands that verify nothing.
///
/// # Errors
/// Everything that is wrong, of every store.
pub async fn build_store(config: &Config, materials: &Materials) -> Result<Arc<dyn Store>, Vec<Fault>> {
    let mut faults = Vec::new();
    let store = build_stores(config, materials, &mut faults).await;
    if faults.is_empty() { Ok(Arc::new(store)) } else { Err(faults) }
}

/// Verifiers, and what is to be said of them.
#[derive(Debug, Default)]
struct Verifiers {
    all: Vec<Arc<dyn Verifier>>,
    warnings: Vec<String>,
    store_faults: usize,
    weakenings: usize,
    anchors: Vec<Anchor>,
    revocations: Vec<Revocation>,
}

fn build_verifiers(config: &Config, materials: &Materials, faults: &mut Vec<Fault>) -> Verifiers {
    let mut built = Verifiers::default();
    let mut host = PluginHost::Unopened;
    for VerifierConfig { name, kind, at } in &config.verifiers {
        let own = Arc::clone(name);
        let mut report = |path: &str, fault: &(dyn Error + 'static)| {
            faults.push(config.fault(format!("{at}.{path}"), reason::chain(fault)));
        };
        match kind {
            VerifierKind::Attestation(attestation) => match Cosign::load_attestation(own, attestation, &config.base) {
                Ok(attestation) => built.add_cosign(attestation),
                Err(found) => found.iter().for_each(|fault| report(fault.path(), fault)),
            },
            VerifierKind::Cosign(cosign) => match Cosign::load(own, cosign, &config.base) {
                Ok(cosign) => built.add_cosign(cosign),
                Err(found) => found.iter().for_each(|fault| report(fault.path(), fault)),
            },
            VerifierKind::Exec(exec) => match host.open(config, materials) {
                Ok(host) => match Exec::load(own, exec, host) {
                    Ok(exec) => built.all.push(Arc::new(exec)),
                    Err(found) => found.iter().for_each(|fault| report(fault.path(), fault)),
                },
                Err(Some(fault)) => faults.push(fault),
                Err(None) => {}
            },
            VerifierKind::Notation(notation) => {
                let loaded = Notation::load(own, notation, &config.base);
                let asking = loaded.and_then(|loaded| revocation::connect(loaded, notation, &config.base, materials));
                match asking {
                    Ok(notation) => built.add_notation(notation),
                    Err(found) => found.iter().for_each(|fault| report(&fault.path(), fault)),
                }
            }
        }
    }
    built
}

/// Opened by the first verifier that needs it; where that fails it is said once.
enum PluginHost {
    Failed,
    Opened(exec::Host),
    Unopened,
}

impl PluginHost {
    fn open(&mut self, config: &Config, materials: &Materials) -> Result<&exec::Host, Option<Fault>> {
        if matches!(self, Self::Unopened) {
            let meter = materials.outside.meter.as_ref();
            match exec::Host::open(&config.plugins, config.limits.plugins, &config.base, meter) {
                Ok(host) => *self = Self::Opened(host),
                Err(fault) => {
                    *self = Self::Failed;
                    return Err(Some(config.fault("plugins.workDirectory", reason::chain(&fault))));
                }
            }
        }
        match self {
            Self::Opened(host) => Ok(host),
            Self::Failed | Self::Unopened => Err(None),
        }
    }
}

impl Verifiers {
    fn add_cosign(&mut self, cosign: Cosign) {
        let name = cosign.name();
        self.weakenings = self.weakenings.saturating_add(cosign.warnings().len());
        for (policy, until) in cosign.anchors() {
            let store = format!("caRoots:{policy}");
            self.anchors.push(Anchor { verifier: Arc::clone(name), store, until });
        }
        self.warnings.extend(cosign.warnings().iter().map(|warning| format!("verifier {name}: {warning}")));
        self.all.push(Arc::new(cosign));
    }

    fn add_notation(&mut self, notation: Notation) {
        let name = notation.name();
        for (store, fault) in notation.store_faults() {
            let why = reason::chain(fault);
            self.store_faults = self.store_faults.saturating_add(1);
            self.warnings.push(format!("verifier {name}: trust store {store} vouches for nobody: {why}"));
        }
        for (store, until) in notation.anchors() {
            self.anchors.push(Anchor { verifier: Arc::clone(name), store: store.to_string(), until });
        }
        self.warnings.extend(notation.warnings().iter().map(|warning| format!("verifier {name}: {warning}")));
        self.revocations.push(notation.revocation());
        self.all.push(Arc::new(notation));
    }
}

fn into_dyn(store: Arc<registry::Registry>) -> Arc<dyn Store> {
    store
}

/// A store that was built, and which registries it is for.
#[derive(Debug)]
enum Served {
    Layout { hosts: Vec<Registry>, any: bool },
    Registry(Arc<registry::Registry>),
}

impl Served {
    /// How well it fits: an exact host above a suffix above `*`. `None`: not at all.
    fn specificity(&self, registry: &Registry) -> Option<usize> {
        match self {
            Self::Layout { hosts, any } => {
                if hosts.contains(registry) {
                    Some(usize::MAX)
                } else {
                    any.then_some(0)
                }
            }
            Self::Registry(store) => store.specificity(registry),
        }
    }
}

async fn build_stores(config: &Config, materials: &Materials, faults: &mut Vec<Fault>) -> Routed {
    let mut all = Vec::new();
    for StoreConfig { name, kind, at } in &config.stores {
        let built = match kind {
            StoreKind::Layout(layout) => open_layout(layout, config).await.map_err(|fault| vec![fault]),
            StoreKind::Registry(hosts) => {
                let outside = materials.outside.clone();
                registry::Registry::build(name, hosts, &config.base, config.limits.registry, outside)
                    .map(|store| {
                        let store = Arc::new(store);
                        (Served::Registry(Arc::clone(&store)), into_dyn(store))
                    })
                    .map_err(|found| found.into_iter().map(|fault| (fault.path, fault.message)).collect())
            }
        };
        match built {
            Ok((served, store)) => {
                let cached = Cached::new(
                    store,
                    materials.content.clone(),
                    credential_id(name, kind, config, &served),
                    config.limits.cached(config.server.provider_timeout.verify),
                    &materials.runtime,
                );
                let cached = match &materials.outside.meter {
                    Some(meter) => cached.counted(meter),
                    None => cached,
                };
                all.push((name.clone(), served, Arc::new(cached)));
            }
            Err(found) => {
                faults.extend(found.into_iter().map(|(path, message)| config.fault(format!("{at}.{path}"), message)));
            }
        }
    }
    route(all)
}

async fn open_layout(layout: &LayoutConfig, config: &Config) -> Result<(Served, Arc<dyn Store>), (String, String)> {
    let opened = Layout::open(&config.base.join(&layout.path), config.limits.layout()).await;
    let store = opened.map_err(|error| ("path".to_owned(), reason::chain(&error)))?;
    let any = layout.hosts.iter().any(|host| host == LayoutConfig::ANY);
    let hosts = layout.hosts.iter().filter_map(|host| Registry::parse(host).ok()).collect();
    Ok((Served::Layout { hosts, any }, Arc::new(store)))
}

/// The store that fits best serves; among equals the first (a configuration names each host once).
fn route(stores: Vec<(String, Served, Arc<Cached>)>) -> Routed {
    let (served, routes): (Vec<Served>, Vec<_>) =
        stores.into_iter().map(|(name, served, store)| (served, (name, store))).unzip();
    let served = Arc::new(served);
    let routes = routes.into_iter().enumerate().map(|(index, (name, store))| {
        let served = Arc::clone(&served);
        let wins = move |registry: &Registry| {
            let mut best: Option<(usize, usize)> = None;
            for (at, candidate) in served.iter().enumerate() {
                if let Some(fits) = candidate.specificity(registry)
                    && best.is_none_or(|(_, most)| fits > most)
                {
                    best = Some((at, fits));
                }
            }
            best.is_some_and(|(at, _)| at == index)
        };
        Route::new(name, wins, store)
    });
    Routed::new(routes.collect())
}

/// Names the credentials of a store without being one: content that was fetched with others is not found under it.
fn credential_id(name: &str, kind: &StoreKind, config: &Config, served: &Served) -> CredentialId {
    let mut parts = vec![name.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    match kind {
        StoreKind::Layout(layout) => parts.push(layout.path.display().to_string()),
        StoreKind::Registry(registry) => {
            for (host, settings) in &registry.hosts {
                let Some(credentials) = &settings.credentials else { continue };
                let Credentials { pull_secrets, service_account, username, helpers, .. } = credentials;
                parts.push(format!("{host} {username:?} {helpers:?} {pull_secrets:?} {service_account:?}"));
                let named = [&credentials.docker_config, &credentials.password_file];
                files.extend(named.into_iter().flatten().map(|file| config.base.join(file)));
            }
        }
    }
    let print: Fingerprint = fingerprint(&files);
    let id: Arc<str> = Arc::from(Digest::sha256(format!("{parts:?} {print:?}").as_bytes()).hex());
    match served {
        Served::Layout { .. } => Arc::new(move |_| Arc::clone(&id)),
        Served::Registry(store) => {
            let store = Arc::clone(store);
            Arc::new(move |registry| match store.credentials_id(registry).as_str() {
                "" => Arc::clone(&id),
                known => Arc::from(format!("{id} {known}")),
            })
        }
    }
}

#[cfg(test)]
pub(super) async fn routes_for_tests(config: &Config) -> Routed {
    let materials = Materials {
        content: ContentCache::new(1),
        outside: Outside::default(),
        evidence: RevocationEvidence::default(),
        runtime: Handle::current(),
    };
    let mut faults = Vec::new();
    let routed = build_stores(config, &materials, &mut faults).await;
    assert!(faults.is_empty(), "{faults:?}");
    routed
}
