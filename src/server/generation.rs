//! What the server asks: the engine of the moment, behind two small traits, so that `app` may swap it and tests may fake
//! it.

use std::{fmt::Debug, sync::Arc};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::time::Instant;

use super::{key::Tenancy, mutate::TagAfterMutation};
use crate::{
    app::App,
    executor::{Answer, Executor, Question},
    oci::{Reference, Repository, Subject},
    report::Reason,
    tenant::Tenant,
};

/// Answers questions about references.
#[async_trait]
pub trait Decider: Debug + Send + Sync {
    /// An answer that is already there. No I/O: asked on the request's own worker.
    fn cached(&self, question: &Question) -> Option<Answer>;

    /// Whether any policy is about this repository. No I/O.
    fn has_policy(&self, repository: &Repository) -> bool;

    /// The answer, by the question's deadline.
    async fn verify(&self, question: Question) -> Answer;

    /// What a reference stands for now, by the deadline.
    async fn resolve(&self, tenant: &Tenant, reference: &Reference, deadline: Instant) -> Result<Subject, Reason>;
}

#[async_trait]
impl Decider for Arc<Executor> {
    fn cached(&self, question: &Question) -> Option<Answer> {
        Executor::cached(self, question)
    }

    fn has_policy(&self, repository: &Repository) -> bool {
        Executor::has_policy(self, repository)
    }

    async fn verify(&self, question: Question) -> Answer {
        Executor::verify(self, question).await
    }

    async fn resolve(&self, tenant: &Tenant, reference: &Reference, deadline: Instant) -> Result<Subject, Reason> {
        Executor::resolve(self, tenant, reference, deadline).await
    }
}

/// One configuration in force. A request keeps the one that it started with.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Its engine.
    pub decider: Arc<dyn Decider>,
    /// Counts up from 1.
    pub number: u64,
    /// Whether keys may name a namespace.
    pub tenancy: Tenancy,
    /// What mutation does with the tag that it resolved.
    pub tag_after_mutation: TagAfterMutation,
}

/// Where generations come from.
pub trait Generations: Debug + Send + Sync {
    /// The one in force; `None` before the first.
    fn current(&self) -> Option<Arc<Generation>>;

    /// Whether the one in force could not be renewed for longer than is allowed; readiness then fails.
    fn is_stale(&self) -> bool;

    /// Whether the credentials that a cluster keeps have been looked at; before that there is no readiness.
    fn knows_pull_secrets(&self) -> bool {
        true
    }
}

/// The app's generation as the server wants it; made once for each.
#[derive(Debug)]
pub struct OfApp {
    app: Arc<App>,
    last: ArcSwapOption<Generation>,
}

impl OfApp {
    /// Whatever generation `app` has.
    pub const fn new(app: Arc<App>) -> Self {
        Self { app, last: ArcSwapOption::const_empty() }
    }
}

impl Generations for OfApp {
    fn current(&self) -> Option<Arc<Generation>> {
        let current = self.app.current();
        if let Some(last) = &*self.last.load()
            && last.number == current.number
        {
            return Some(Arc::clone(last));
        }
        let keep_tag = current.config.mutation.keep_tag;
        let generation = Arc::new(Generation {
            decider: Arc::new(Arc::clone(&current.engine.executor)),
            number: current.number,
            tenancy: if current.config.tenancy.enabled { Tenancy::On } else { Tenancy::Off },
            tag_after_mutation: if keep_tag { TagAfterMutation::Keep } else { TagAfterMutation::Drop },
        });
        self.last.store(Some(Arc::clone(&generation)));
        Some(generation)
    }

    fn is_stale(&self) -> bool {
        self.app.is_stale(Instant::now())
    }

    fn knows_pull_secrets(&self) -> bool {
        self.app.knows_pull_secrets()
    }
}
