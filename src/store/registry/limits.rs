//! What a registry may cost.

use std::time::Duration;

use serde::Deserialize;

/// Bounds on everything that a registry sends or makes us wait for. No value means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Milliseconds until an answer begins. Whoever takes longer is not waited for: the place is another call's, and the host has
    /// failed. Three calls in a row, as an image takes, fit into the time that a verification has.
    pub answer_timeout_ms: u64,
    /// Bytes of blobs and manifests that one store holds while they arrive, all calls together (128 MiB: 32 blobs of
    /// 32 MiB at once would break the memory figure).
    pub buffered_bytes: u64,
    /// Milliseconds for name resolution, TCP and TLS together.
    pub connect_timeout_ms: u64,
    /// Entries of a referrers list, all pages together; past it the list is cut.
    pub descriptors: usize,
    /// Bytes of an error body that are read.
    pub error_bytes: u64,
    /// Calls in flight towards one host, unless the host has a `maxInFlight` of its own.
    pub in_flight_per_host: usize,
    /// Bytes of a manifest or index (the distribution specification asks for at least 4 MiB).
    pub manifest_bytes: u64,
    /// Pages of a referrers list; past it the list is cut.
    pub pages: usize,
    /// Redirects that one request follows.
    pub redirects: usize,
    /// Repetitions of a failed call.
    pub retries: u32,
    /// Bytes of a token service's answer.
    pub token_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer_timeout_ms: 2500,
            buffered_bytes: 128 << 20,
            connect_timeout_ms: 1000,
            descriptors: 2000,
            error_bytes: 8 << 10,
            in_flight_per_host: 128,
            manifest_bytes: 4 << 20,
            pages: 20,
            redirects: 5,
            retries: 2,
            token_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// What is wrong with the numbers: each must be at least one, but retries and redirects may be none.
    pub fn faults(&self) -> Vec<&'static str> {
        let Self {
            answer_timeout_ms,
            buffered_bytes,
            connect_timeout_ms,
            descriptors,
            error_bytes,
            in_flight_per_host,
            manifest_bytes,
            pages,
            redirects: _,
            retries: _,
            token_bytes,
        } = *self;
        [
            ("answerTimeoutMs must be at least 1", answer_timeout_ms > 0),
            ("bufferedBytes must be at least manifestBytes", buffered_bytes >= manifest_bytes),
            ("connectTimeoutMs must be at least 1", connect_timeout_ms > 0),
            ("descriptors must be at least 1", descriptors > 0),
            ("errorBytes must be at least 1", error_bytes > 0),
            ("inFlightPerHost must be from 1 to 65536", (1..=65_536).contains(&in_flight_per_host)),
            ("manifestBytes must be at least 1", manifest_bytes > 0),
            ("pages must be at least 1", pages > 0),
            ("tokenBytes must be at least 1", token_bytes > 0),
        ]
        .into_iter()
        .filter_map(|(fault, holds)| (!holds).then_some(fault))
        .collect()
    }

    /// Until an answer begins.
    pub(super) const fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    /// Name resolution, TCP and TLS together.
    pub(super) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_fault_and_never_unlimited() {
        assert!(Limits::default().faults().is_empty());
        assert_eq!(Limits { pages: 0, ..Limits::default() }.faults(), ["pages must be at least 1"]);
        assert!(Limits { in_flight_per_host: 65_536, ..Limits::default() }.faults().is_empty());
        assert_eq!(Limits { in_flight_per_host: 65_537, ..Limits::default() }.faults().len(), 1);
        assert_eq!(Limits { buffered_bytes: (4 << 20) - 1, ..Limits::default() }.faults().len(), 1);
    }
}
