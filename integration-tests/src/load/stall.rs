//! How far this process itself is held up: on a machine with other work an answer may be there in time and be seen late.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::time::sleep;

/// How often it looks.
const TICK: Duration = Duration::from_millis(5);
/// What is shorter is no delay.
const NOISE: Duration = Duration::from_millis(3);
/// Most stalls that are remembered; the oldest go first.
const MOST: usize = 4096;

/// Watches for stalls, until it is dropped. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stall(Arc<Mutex<Vec<(Instant, Duration)>>>);

impl Stall {
    /// Begins to watch, beside the clients: on the runtime that they share.
    pub fn watch() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(look(Arc::downgrade(&seen)));
        Self(seen)
    }

    /// All that was lost to stalls since a moment, twice over: once for this process, and once for the other.
    pub fn since(&self, moment: Instant) -> Duration {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost: Duration = seen.iter().rev().take_while(|(at, _)| *at >= moment).map(|(_, lost)| *lost).sum();
        lost.saturating_mul(2)
    }

    /// The longest stall.
    pub fn longest(&self) -> Duration {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|(_, lost)| *lost).max().unwrap_or_default()
    }
}

async fn look(seen: Weak<Mutex<Vec<(Instant, Duration)>>>) {
    loop {
        let before = Instant::now();
        sleep(TICK).await;
        let lost = before.elapsed().saturating_sub(TICK);
        let Some(seen) = seen.upgrade() else { return };
        if lost > NOISE {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= MOST {
                seen.remove(0);
            }
            seen.push((Instant::now(), lost));
        }
    }
}
