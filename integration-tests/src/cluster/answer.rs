//! What a fake cluster answers.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{fault::Refusal, watch_stream::Frame};

/// An answer, as it will go over the wire.
#[derive(Debug)]
pub(super) enum Answer {
    /// The first half of a body that was announced whole; then the connection closes.
    Cut(Bytes),
    /// The connection closes without a byte.
    Drop,
    /// A document.
    Json(u16, Value),
    /// Any bytes as a body.
    Raw(u16, String),
    /// A status with a time to wait.
    RetryAfter(u16, u32, Value),
    /// The connection is reset.
    Reset,
    /// What happens, as it happens.
    Watch(UnboundedReceiver<Frame>),
}

impl Answer {
    /// `200` with an object.
    pub(super) fn ok(value: Value) -> Self {
        Self::Json(200, value)
    }

    /// A `Status` of failure.
    pub(super) fn failure(code: u16, reason: &str, message: &str) -> Self {
        Self::Json(code, failure(code, reason, message))
    }

    pub(super) fn status(refusal: &Refusal) -> Self {
        let Refusal { code, reason, message, retry_after } = refusal;
        let mut body = failure(*code, reason, message);
        match retry_after {
            Some(seconds) => {
                body["details"] = json!({ "retryAfterSeconds": seconds });
                Self::RetryAfter(*code, *seconds, body)
            }
            None => Self::Json(*code, body),
        }
    }

    /// The same, broken off in the middle.
    pub(super) fn cut(self) -> Self {
        match self {
            Self::Json(_, value) => Self::Cut(value.to_string().into()),
            other @ (Self::Cut(_)
            | Self::Drop
            | Self::Raw(..)
            | Self::RetryAfter(..)
            | Self::Reset
            | Self::Watch(_)) => other,
        }
    }

    /// The same with its document changed.
    pub(super) fn edited(self, change: impl FnOnce(Value) -> Value) -> Self {
        match self {
            Self::Json(status, value) => Self::Json(status, change(value)),
            other @ (Self::Cut(_)
            | Self::Drop
            | Self::Raw(..)
            | Self::RetryAfter(..)
            | Self::Reset
            | Self::Watch(_)) => other,
        }
    }
}

/// A `Status` that says what went wrong.
pub(super) fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    })
}
