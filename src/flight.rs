//! Single-flight: callers who ask the same share one task.
//!
//! The task belongs to the runtime it is spawned on, not to a caller: a caller that goes away, or panics, takes nothing
//! from the others (`threats.md` 7.5, rule 6). What lands is given to all who wait and then forgotten.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{runtime::Handle, sync::watch, task::AbortHandle};

/// How a flight ended.
#[derive(Debug, Clone)]
pub(crate) enum Landed<V> {
    /// The task panicked, or its runtime went away.
    Crashed,
    /// With its outcome.
    Safely(V),
}

type Board<K, V> = Arc<Mutex<HashMap<K, Flight<V>>>>;

struct Flight<V> {
    landing: watch::Receiver<Option<V>>,
    task: Option<AbortHandle>,
}

/// The flights under way. Those still in the air end with it: nobody waits for them any more.
pub(crate) struct Flights<K: Eq + Hash, V> {
    under_way: Board<K, V>,
}

impl<K: Eq + Hash, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

/// Forgets a flight when its task ends, however it ends.
struct Forget<K: Eq + Hash, V> {
    key: Option<K>,
    under_way: Board<K, V>,
}

impl<K: Eq + Hash, V> Drop for Forget<K, V> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            lock(&self.under_way).remove(&key);
        }
    }
}

impl<K: Eq + Hash, V> Drop for Flights<K, V> {
    fn drop(&mut self) {
        let tasks: Vec<_> = lock(&self.under_way).values().filter_map(|flight| flight.task.clone()).collect();
        for task in tasks {
            task.abort();
        }
    }
}

/// A poisoned map only means that a holder panicked between two map operations; the map itself is whole.
fn lock<K, V>(board: &Mutex<HashMap<K, Flight<V>>>) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the flight of `key`, or starts `flight` as one.
    pub(crate) async fn join<F>(&self, key: K, runtime: &Handle, flight: F) -> Landed<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut landing = self.board(&key, runtime, flight);
        match landing.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().map_or(Landed::Crashed, Landed::Safely),
            Err(_) => Landed::Crashed,
        }
    }

    fn board<F>(&self, key: &K, runtime: &Handle, flight: F) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(key) {
            return flight.landing.clone();
        }
        let (land, landing) = watch::channel(None);
        under_way.insert(key.clone(), Flight { landing: landing.clone(), task: None });
        let forget = Forget { key: Some(key.clone()), under_way: Arc::clone(&self.under_way) };
        let task = runtime.spawn(async move {
            let outcome = flight.await;
            // First forgotten, then announced: whoever asks after the landing starts anew or finds the cache.
            drop(forget);
            land.send_replace(Some(outcome));
        });
        if let Some(flight) = under_way.get_mut(key) {
            flight.task = Some(task.abort_handle());
        }
        landing
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn callers_of_one_key_share_one_flight_and_nothing_is_kept() {
        let flights: Flights<&str, usize> = Flights::default();
        let (count, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let runtime = Handle::current();
        let ask = || {
            let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
            flights.join("k", &runtime, async move {
                gate.notified().await;
                count.fetch_add(1, Ordering::SeqCst)
            })
        };
        let all = join_all((0..100).map(|_| ask()));
        let open = async { gate.notify_one() };
        let (landed, ()) = tokio::join!(all, open);
        assert!(landed.iter().all(|one| matches!(one, Landed::Safely(0))));
        gate.notify_one();
        assert!(matches!(ask().await, Landed::Safely(1)));
    }

    #[tokio::test]
    async fn a_flight_outlives_the_caller_that_started_it() {
        let flights: Flights<&str, u8> = Flights::default();
        let (gate, runtime) = (Arc::new(Notify::new()), Handle::current());
        let inside = Arc::clone(&gate);
        let first = flights.board(&"k", &runtime, async move {
            inside.notified().await;
            7
        });
        drop(first);
        let second = flights.join("k", &runtime, async { unreachable!("the first flight is under way") });
        gate.notify_one();
        assert!(matches!(second.await, Landed::Safely(7)));
    }

    #[tokio::test]
    async fn a_crash_is_told_to_all_and_forgotten() {
        let flights: Flights<&str, u8> = Flights::default();
        let runtime = Handle::current();
        let crash = flights.join("k", &runtime, async { panic!("on purpose") });
        assert!(matches!(crash.await, Landed::Crashed));
        assert!(matches!(flights.join("k", &runtime, async { 1 }).await, Landed::Safely(1)));
    }
}
