//! The signed entry timestamp (SET): the log's promise to include a body at an index, and the one thing that signs a time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use time::OffsetDateTime;

use super::{super::evidence::Entry, super::root::Log, LogFault};
use crate::crypto::{hex, scheme};

/// The largest integer that RFC 8785 writes as it is (§3.2.2.3: numbers are IEEE 754 doubles).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Verifies `promise` over the entry as received; returns the time that it vouches for.
///
/// # Errors
/// [`LogFault::Promise`], [`LogFault::Time`], [`LogFault::Index`]. The time is believed only after the signature was checked.
///
/// Rule: `sigstore.md` §1.5; RFC 8785 (members in the order of their names, no white space).
pub(super) fn verify(entry: &Entry, promise: &[u8], log: &Log) -> Result<OffsetDateTime, LogFault> {
    let index = entry.log_index;
    if index > MAX_INTEGER {
        return Err(LogFault::Index { index });
    }
    let seconds = entry.integrated_time.ok_or(LogFault::Time)?;
    let integrated_at = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| LogFault::Time)?;
    let (body, log_id) = (STANDARD.encode(&entry.body), hex(&entry.log_id));
    // Base64 and hex have nothing that JSON escapes.
    let signed = format!(r#"{{"body":"{body}","integratedTime":{seconds},"logID":"{log_id}","logIndex":{index}}}"#);
    scheme::verify(&log.key, None, signed.as_bytes(), promise).map_err(LogFault::Promise)?;
    Ok(integrated_at)
}
