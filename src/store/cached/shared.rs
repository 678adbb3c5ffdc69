//! One call to the store for all who want the same.

use std::{fmt, hash::Hash};

use tokio::{
    runtime::Handle,
    time::{Duration, Instant, timeout_at},
};

use crate::{
    flight::{Flights, Landed},
    store::{Deadline, StoreError},
};

/// What landed, and when its flight had to end.
type Outcome<V> = (Result<V, StoreError>, Deadline);

/// Calls under way, by what they fetch. A call ends with its answer or at its own deadline, whoever of those that wait
/// goes away.
pub(super) struct Shared<K: Eq + Hash, V> {
    flights: Flights<K, Outcome<V>>,
    least: Duration,
    runtime: Handle,
}

impl<K, V> Shared<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// `least`: how long a call may take, also where who started it cannot wait as long; the next caller has its answer.
    pub(super) fn new(runtime: Handle, least: Duration) -> Self {
        Self { flights: Flights::default(), least, runtime }
    }

    /// Waits for the call for `key`, and starts it where there is none.
    ///
    /// # Errors
    /// The call's own; [`StoreError::Deadline`] at `deadline`.
    pub(super) async fn join<F>(
        &self,
        key: K,
        what: &str,
        deadline: Deadline,
        call: impl Fn(Deadline) -> F,
    ) -> Result<V, StoreError>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let late = || StoreError::Deadline { what: what.to_owned() };
        loop {
            let ends = Instant::now().checked_add(self.least).map_or(deadline, |least| least.max(deadline));
            let (call, error) = (call(ends), late());
            let flight = async move { (timeout_at(ends, call).await.unwrap_or(Err(error)), ends) };
            match timeout_at(deadline, self.flights.join(key.clone(), &self.runtime, flight)).await {
                Err(_) => return Err(late()),
                // It was another's, who had less time: board the next one.
                Ok(Landed::Safely((Err(StoreError::Deadline { .. }), ended))) if ended < deadline => {}
                Ok(Landed::Safely((outcome, _))) => return outcome,
                Ok(Landed::Crashed) => return Err(StoreError::Internal { what: what.to_owned() }),
            }
        }
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Shared<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("flights", &self.flights).finish_non_exhaustive()
    }
}
