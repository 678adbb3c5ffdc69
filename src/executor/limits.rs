//! What the engine may spend, and the places that bound it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use std::sync::{Mutex, PoisonError};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::tenant::{Namespace, Tenant};

/// Bounds of the engine; each has a safe default and none can be zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Verifications under way at once (`threats.md` 1.2: 256).
    pub in_flight: usize,
    /// Of these, one namespace's (`threats.md` 1.2: 64). Keys without a namespace may use all.
    pub in_flight_per_tenant: usize,
    /// Verifications that wait for a place. One more is refused at once: what waits costs memory, and an answer that waited
    /// past its deadline is none (REQ-36). Default: eight requests of 512 keys.
    pub queued: usize,
    /// Artifacts of one subject that are fetched and verified side by side: all signatures of a usual image at once.
    pub artifacts_at_once: usize,
    /// How many levels of evidence on evidence are looked at below an image: 1, the signature of an SBOM (`threats.md` 1.2: at
    /// most 3).
    pub nested_depth: usize,
    /// How long a flight may go on after its first caller's deadline, to fill the caches for the next question.
    pub finish: Duration,
    /// How long a yes is kept (`threats.md` 7.1: at most 10 s).
    pub verdict_ttl: Duration,
    /// How long a no is kept (`threats.md` 7.3: at most 5 s).
    pub negative_ttl: Duration,
    /// Most bytes of rendered verdicts that are kept.
    pub verdict_cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 256,
            in_flight_per_tenant: 64,
            queued: 4096,
            artifacts_at_once: 32,
            nested_depth: 1,
            finish: Duration::from_secs(5),
            verdict_ttl: Duration::from_secs(10),
            negative_ttl: Duration::from_secs(5),
            verdict_cache_bytes: 32 << 20,
        }
    }
}

/// Most levels of evidence on evidence that can be configured (`threats.md` 1.2).
pub const MAX_NESTED_DEPTH: usize = 3;
/// Most artifacts that are looked at below those of one image, on all levels together (`threats.md` 1.2).
pub(super) const MAX_NESTED_ARTIFACTS: usize = 256;

/// Places for verifications under way, overall and by namespace.
#[derive(Debug)]
pub(super) struct Places {
    total: Arc<Semaphore>,
    by_namespace: Mutex<HashMap<Namespace, Arc<Semaphore>>>,
    per_tenant: usize,
    queue: Arc<Semaphore>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _tenant: Option<OwnedSemaphorePermit>,
    _total: OwnedSemaphorePermit,
}

/// No place became free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Queue,
    Tenant,
    Total,
}

impl Full {
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Queue => "limits.queued verifications wait already",
            Self::Tenant => "limits.inFlightPerTenant verifications of this namespace are under way",
            Self::Total => "limits.inFlight verifications are under way",
        }
    }
}

/// Most namespaces whose semaphores are kept before the idle ones are let go.
const MAX_IDLE_NAMESPACES: usize = 1024;

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            total: Arc::new(Semaphore::new(limits.in_flight)),
            by_namespace: Mutex::default(),
            per_tenant: limits.in_flight_per_tenant,
            queue: Arc::new(Semaphore::new(limits.queued)),
        }
    }

    /// Waits for a place, at most until `deadline`. The tenant's place comes first: one that floods waits for its own.
    pub(super) async fn take(&self, tenant: &Tenant, deadline: Instant) -> Result<Place, Full> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| Full::Queue)?;
        let tenant = match tenant {
            Tenant::Cluster => None,
            Tenant::Namespace(namespace) => {
                let places = self.of(namespace);
                Some(acquire(places, deadline).await.ok_or(Full::Tenant)?)
            }
        };
        let total = acquire(Arc::clone(&self.total), deadline).await.ok_or(Full::Total)?;
        drop(queued);
        Ok(Place { _tenant: tenant, _total: total })
    }

    fn of(&self, namespace: &Namespace) -> Arc<Semaphore> {
        let mut all = self.by_namespace.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() > MAX_IDLE_NAMESPACES {
            // Whoever waits or holds a place keeps a second reference.
            all.retain(|_, places| Arc::strong_count(places) > 1);
        }
        Arc::clone(all.entry(namespace.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.per_tenant))))
    }
}

async fn acquire(places: Arc<Semaphore>, deadline: Instant) -> Option<OwnedSemaphorePermit> {
    timeout_at(deadline, places.acquire_owned()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(in_flight: usize, in_flight_per_tenant: usize) -> Limits {
        Limits { in_flight, in_flight_per_tenant, ..Limits::default() }
    }

    // TEN-08: a tenant that floods waits for its own places.
    #[tokio::test]
    async fn places_are_given_up_to_the_limit_and_not_one_more() {
        let places = Places::new(&limits(3, 2));
        let soon = Instant::now() + Duration::from_millis(10);
        let team = Tenant::Namespace(Namespace::parse("team").unwrap());
        let first = places.take(&team, soon).await.unwrap();
        let _second = places.take(&team, soon).await.unwrap();
        assert_eq!(places.take(&team, soon).await.unwrap_err(), Full::Tenant);
        let _third = places.take(&Tenant::Cluster, soon).await.unwrap();
        assert_eq!(places.take(&Tenant::Cluster, soon).await.unwrap_err(), Full::Total);
        drop(first);
        assert!(places.take(&Tenant::Cluster, soon).await.is_ok());
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_told_at_once() {
        let places = Places::new(&Limits { in_flight: 1, queued: 2, ..Limits::default() });
        let late = Instant::now() + Duration::from_secs(20);
        let held = places.take(&Tenant::Cluster, late).await.unwrap();
        let wait = || places.take(&Tenant::Cluster, late);
        let third = async {
            let refused = wait().await;
            drop(held);
            refused.unwrap_err()
        };
        let (first, second, third) =
            tokio::join!(async { wait().await.map(drop) }, async { wait().await.map(drop) }, third);
        assert_eq!((first, second, third), (Ok(()), Ok(()), Full::Queue));
    }
}
