//! How a fake cluster misbehaves.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::Call;

/// What happens to one call instead of the faithful answer.
#[derive(Clone)]
pub enum Fault {
    /// Half of the faithful answer, and then the connection closes.
    Cut,
    /// The connection closes without a byte; nothing is done.
    Drop,
    /// The faithful answer, changed: objects that are half written.
    Edited(Arc<dyn Fn(Value) -> Value + Send + Sync>),
    /// The faithful answer, once `FakeCluster::release` was called.
    Hold,
    /// A status and any bytes as a body.
    Raw(u16, String),
    /// The connection is reset; nothing is done.
    Reset,
    /// A refusal with its reason.
    Status(Refusal),
    /// What is asked for is done, and then the connection closes without a byte.
    Unheard,
}

/// A `Status` of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) retry_after: Option<u32>,
}

impl Fault {
    /// A refusal by status code, with the reason that an API server gives.
    pub fn status(code: u16) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden: User \"fake\" cannot do this in this namespace"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => (
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            410 => ("Expired", "The resourceVersion for the provided watch is too old."),
            429 => ("TooManyRequests", "too many requests, please try again later"),
            500 => ("InternalError", "Internal error occurred: etcdserver: leader changed"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("Unknown", "unknown"),
        };
        Self::Status(Refusal { code, reason: reason.to_owned(), message: message.to_owned(), retry_after: None })
    }

    /// `429`, with how many seconds to wait.
    pub fn throttled(seconds: u32) -> Self {
        Self::Status(Refusal {
            code: 429,
            reason: "TooManyRequests".to_owned(),
            message: "too many requests, please try again later".to_owned(),
            retry_after: Some(seconds),
        })
    }

    /// What a validating webhook or the API server's own checks refuse.
    pub fn denied(code: u16, message: &str) -> Self {
        Self::Status(Refusal { code, reason: "Invalid".to_owned(), message: message.to_owned(), retry_after: None })
    }

    /// The faithful answer, changed.
    pub fn edit(change: impl Fn(Value) -> Value + Send + Sync + 'static) -> Self {
        Self::Edited(Arc::new(change))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fault")
    }
}

/// Which calls meet which faults.
#[derive(Debug)]
pub(super) struct Script {
    pattern: String,
    faults: Vec<Fault>,
    next: usize,
    always: bool,
}

impl Script {
    pub(super) fn once(pattern: &str, faults: Vec<Fault>) -> Self {
        Self { pattern: pattern.to_owned(), faults, next: 0, always: false }
    }

    pub(super) fn always(pattern: &str, fault: Fault) -> Self {
        Self { pattern: pattern.to_owned(), faults: vec![fault], next: 0, always: true }
    }

    pub(super) fn next(&mut self, call: &Call) -> Option<Fault> {
        if !call.is(&self.pattern) {
            return None;
        }
        let fault = self.faults.get(self.next).cloned();
        if !self.always {
            self.next = self.next.saturating_add(1);
        }
        fault
    }
}
