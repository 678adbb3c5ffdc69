//! A request's body, read within bounds; and what is said when it was not read.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{self, Poll},
};

use actix_web::{
    body::{BodySize, MessageBody},
    dev::Payload,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, HeaderMap},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::Refusal;
use crate::reason::Code;

/// Reads the body, at most `limit` bytes, by the deadline of the whole answer.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    limit: usize,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("the body has more than {limit} bytes (limits.requestBytes)");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooManyKeys, message)
    };
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|size| size > limit) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    let read = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    Code::BadRequest,
                    "the body is not acceptable HTTP, or ended early",
                )
            })?;
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    timeout_at(deadline, read).await.unwrap_or_else(|_| {
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::Timeout, "the body did not arrive before the deadline"))
    })?;
    Ok(body.freeze())
}

/// The body of a refusal. Holds on to a request's body that was not read to its end: actix reads what a handler dropped
/// for as long as it comes (REQ-20), but closes where it is still held when the answer has been given.
pub(super) struct LastWord {
    body: Option<Bytes>,
    _unread: Box<Payload>,
}

impl LastWord {
    pub(super) fn new(body: Vec<u8>, unread: Box<Payload>) -> Self {
        Self { body: Some(body.into()), _unread: unread }
    }
}

impl MessageBody for LastWord {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        let size = self.body.as_ref().map_or(0, Bytes::len);
        BodySize::Sized(u64::try_from(size).unwrap_or(u64::MAX))
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().body.take().map(Ok))
    }
}
