//! Room for what is fetched and not yet judged, of all requests together.
//!
//! Anybody may attach a hundred layers of the largest size; how many of them are in memory at once must not be theirs to say.
//! Small layers, which real signatures are, never wait.

use tokio::sync::{Semaphore, SemaphorePermit};

/// All of it: some attestations of the largest size.
const ROOM_KIB: u32 = 64 << 10;
/// What needs none.
const SMALL_BYTES: u64 = 64 << 10;

/// Bounds the bytes of large layers in memory.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::const_new(usize::try_from(ROOM_KIB).unwrap_or(usize::MAX)))
    }
}

impl Room {
    /// Waits until there is room for so many bytes; holds it until the permit is dropped.
    pub(super) async fn hold(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        if bytes <= SMALL_BYTES {
            return None;
        }
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(ROOM_KIB).min(ROOM_KIB);
        // Never closed, so that there is always a permit in the end.
        self.0.acquire_many(kib).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn large_layers_wait_for_room_and_small_ones_never() {
        let room = Room::default();
        let layer = 16 << 20;
        let held: Vec<_> = [room.hold(layer).await, room.hold(layer).await, room.hold(layer).await].into();
        let last = room.hold(layer).await;
        assert!(room.hold(layer).now_or_never().is_none());
        assert!(room.hold(SMALL_BYTES + 1).now_or_never().is_none());
        assert!(room.hold(SMALL_BYTES).now_or_never().is_some_and(|held| held.is_none()));
        drop(last);
        assert!(room.hold(layer).now_or_never().is_some_and(|held| held.is_some()));
        drop(held);
    }

    // More than all of it is all of it, never a wait for ever.
    #[tokio::test]
    async fn what_is_larger_than_the_room_takes_it_alone() {
        let room = Room::default();
        let all = room.hold(u64::MAX).now_or_never().expect("no wait");
        assert!(all.is_some());
        assert!(room.hold(1 << 20).now_or_never().is_none());
    }
}
