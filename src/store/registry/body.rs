//! Reading a body: bounded by the caller's limit and by what all calls together may hold.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Response, header::CONTENT_ENCODING};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

/// Most bytes that are allocated before any has come.
const FIRST_BYTES: u64 = 64 << 10;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The buffers of all calls are in use, up to the deadline.
    Busy,
    /// It is encoded; nothing but `identity` was asked for (REG-12).
    Encoded,
    /// It has more than the caller would read.
    Limit,
    /// It has another size than its descriptor; as many bytes as were read.
    Size(u64),
    /// It ended early.
    Truncated,
}

/// The bytes that all calls of a store may hold together while they arrive, counted in KiB.
#[derive(Debug, Clone)]
pub(super) struct Buffers {
    places: Arc<Semaphore>,
    all: u32,
}

impl Buffers {
    pub(super) fn new(bytes: u64) -> Self {
        let all = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self { places: Arc::new(Semaphore::new(usize::try_from(all).unwrap_or(usize::MAX >> 4))), all }
    }

    /// Reads at most `limit` bytes, and exactly `size` of them where a descriptor says how many there are. `held`: is told how many
    /// bytes are set aside for that, and dropped with them.
    pub(super) async fn read<Held>(
        &self,
        response: Response,
        limit: u64,
        size: Option<u64>,
        deadline: Instant,
        held: impl FnOnce(u64) -> Held,
    ) -> Result<Bytes, BodyError> {
        if is_encoded(&response) {
            return Err(BodyError::Encoded);
        }
        let announced = response.content_length();
        if size.is_none() && announced.is_some_and(|length| length > limit) {
            return Err(BodyError::Limit);
        }
        let expected = size.or(announced).unwrap_or(limit);
        let share = u32::try_from(expected.div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, self.all);
        let Ok(Ok(_held)) = timeout_at(deadline, self.places.acquire_many(share)).await else {
            return Err(BodyError::Busy);
        };
        let _counted = held(u64::from(share) << 10);
        collect(response, limit, size).await
    }
}

/// Reads an error's body, as far as it is short and quick; enough to use the connection again.
pub(super) async fn read_error(response: Response, limit: u64) -> Bytes {
    if is_encoded(&response) || response.content_length().is_some_and(|length| length > limit) {
        return Bytes::new();
    }
    let read = timeout(Duration::from_millis(250), collect(response, limit, None)).await;
    read.ok().and_then(Result::ok).unwrap_or_default()
}

async fn collect(mut response: Response, limit: u64, size: Option<u64>) -> Result<Bytes, BodyError> {
    let most = size.unwrap_or(limit);
    // What is announced is believed for as much as a usual document has: more comes with its bytes.
    let announced = size.or(response.content_length()).unwrap_or_default().min(most).min(FIRST_BYTES);
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(_) => return Err(BodyError::Truncated),
        };
        let total = length(body.len()).saturating_add(length(chunk.len()));
        if total > most {
            return Err(if size.is_some() { BodyError::Size(total) } else { BodyError::Limit });
        }
        body.extend_from_slice(&chunk);
    }
    match size {
        Some(size) if length(body.len()) != size => Err(BodyError::Size(length(body.len()))),
        // What is kept has no room to spare.
        _ => Ok(body.into_boxed_slice().into()),
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn is_encoded(response: &Response) -> bool {
    let encodings = response.headers().get_all(CONTENT_ENCODING);
    encodings.iter().any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}
