//! Store `routed`: which store serves which registry.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{Deadline, Store, StoreError};
use crate::oci::{Content, Descriptor, Digest, Discovery, Listing, Reference, Registry, Repository};

type Serves = dyn Fn(&Registry) -> bool + Send + Sync;

/// A store, and which registries it serves.
#[derive(Clone)]
pub struct Route {
    name: Arc<str>,
    serves: Arc<Serves>,
    store: Arc<dyn Store>,
}

impl Route {
    /// `name`: the operator's, for people. `serves`: cheap, no I/O, and about the canonical registry only.
    pub fn new(
        name: impl Into<Arc<str>>,
        serves: impl Fn(&Registry) -> bool + Send + Sync + 'static,
        store: Arc<dyn Store>,
    ) -> Self {
        Self { name: name.into(), serves: Arc::new(serves), store }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("name", &self.name).field("store", &self.store).finish_non_exhaustive()
    }
}

/// Stores by registry. The first route that serves a registry has it, and no other store is asked: a wildcard goes last.
#[derive(Debug, Clone)]
pub struct Routed {
    routes: Vec<Route>,
}

impl Routed {
    /// Routes in the order in which they are asked.
    pub const fn new(routes: Vec<Route>) -> Self {
        Self { routes }
    }

    /// The operator's name of the store that serves `registry`.
    pub fn name(&self, registry: &Registry) -> Option<&str> {
        self.find(registry).map(|route| &*route.name)
    }

    fn find(&self, registry: &Registry) -> Option<&Route> {
        self.routes.iter().find(|route| (route.serves)(registry))
    }

    fn store(&self, registry: &Registry) -> Result<&dyn Store, StoreError> {
        self.find(registry)
            .map(|route| &*route.store)
            .ok_or_else(|| StoreError::HostDenied { host: registry.to_string(), rule: "no store serves it".into() })
    }
}

#[async_trait]
impl Store for Routed {
    async fn resolve(&self, reference: &Reference, deadline: Deadline) -> Result<Descriptor, StoreError> {
        self.store(reference.repository().registry())?.resolve(reference, deadline).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        ways: Discovery,
        deadline: Deadline,
    ) -> Result<Listing, StoreError> {
        self.store(repository.registry())?.referrers(repository, subject, ways, deadline).await
    }

    async fn manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        self.store(repository.registry())?.manifest(repository, descriptor, deadline).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit_bytes: u64,
        deadline: Deadline,
    ) -> Result<Content, StoreError> {
        self.store(repository.registry())?.blob(repository, descriptor, limit_bytes, deadline).await
    }
}
