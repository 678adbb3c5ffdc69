//! How many plugins run at once: all together, and each.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::config::HostLimits;
use crate::store::Deadline;

/// Places for runs of all plugins of a configuration.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    all: Arc<Semaphore>,
    limits: HostLimits,
}

/// Places for runs of one plugin.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    wait: Duration,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// No place became free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    All,
    Own,
}

impl Full {
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::All => "limits.plugins.running plugins run already",
            Self::Own => "maxConcurrent runs of this plugin are under way",
        }
    }
}

impl Pool {
    pub(super) fn new(limits: HostLimits) -> Self {
        Self { all: Arc::new(Semaphore::new(limits.running)), limits }
    }

    /// `most`: runs of one plugin at once; default half of all, so that one that hangs leaves places to others.
    pub(super) fn places(&self, most: Option<usize>) -> Places {
        let HostLimits { running, wait } = self.limits;
        let most = most.unwrap_or_else(|| running.div_ceil(2)).min(running);
        Places { all: Arc::clone(&self.all), own: Arc::new(Semaphore::new(most)), wait }
    }
}

impl Places {
    /// Waits for a place, at most until `deadline`. Its own comes first: a plugin that is asked too often waits for itself.
    pub(super) async fn take(&self, deadline: Deadline) -> Result<Place, Full> {
        let deadline = deadline.min(Instant::now() + self.wait);
        let own = acquire(&self.own, deadline).await.ok_or(Full::Own)?;
        let all = acquire(&self.all, deadline).await.ok_or(Full::All)?;
        Ok(Place { _own: own, _all: all })
    }
}

async fn acquire(places: &Arc<Semaphore>, deadline: Deadline) -> Option<OwnedSemaphorePermit> {
    timeout_at(deadline, Arc::clone(places).acquire_owned()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // PLG-09
    #[tokio::test]
    async fn one_plugin_takes_its_own_places_and_leaves_the_others() {
        let pool = Pool::new(HostLimits { running: 3, wait: Duration::from_secs(20) });
        let (hog, other) = (pool.places(None), pool.places(Some(5)));
        let soon = Instant::now() + Duration::from_millis(10);
        let first = hog.take(soon).await.unwrap();
        let _second = hog.take(soon).await.unwrap();
        assert_eq!(hog.take(soon).await.unwrap_err(), Full::Own);
        let _third = other.take(soon).await.unwrap();
        assert_eq!(other.take(soon).await.unwrap_err(), Full::All);
        drop(first);
        assert!(other.take(soon).await.is_ok());
    }

    // PLG-09
    #[tokio::test]
    async fn nobody_waits_longer_than_the_limit_says() {
        let places = Pool::new(HostLimits { running: 1, wait: Duration::from_millis(10) }).places(None);
        let late = Instant::now() + Duration::from_mins(10);
        let _held = places.take(late).await.unwrap();
        assert_eq!(places.take(late).await.unwrap_err(), Full::Own);
        assert!(Instant::now() < late);
    }
}
