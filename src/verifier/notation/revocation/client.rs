//! The way out, as the verifier sees it: somebody who can send one request. Which hosts and addresses it may go to, and by
//! which proxy, is the client's own business.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

/// A request to a place that a certificate names.
#[derive(Debug, Clone)]
pub struct RevocationRequest {
    /// Plain `http`.
    pub url: String,
    /// An OCSP request to be posted; without one it is a GET.
    pub body: Option<Bytes>,
    /// What is asked for.
    pub accept: &'static str,
    /// Most bytes of the answer.
    pub limit_bytes: u64,
    /// When it is given up.
    pub deadline: Instant,
}

/// Sends requests. An answer is the body of a 200 and nothing else.
#[async_trait]
pub trait RevocationClient: Debug + Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    /// [`RevocationClientError`].
    async fn fetch(&self, request: RevocationRequest) -> Result<Bytes, RevocationClientError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationClientError {
    /// Host or address rules refuse the place, or where it redirects to.
    #[error("it is denied: {0}")]
    Denied(String),
    /// It answered with something else than 200.
    #[error("it answered with status {0}")]
    Status(u16),
    /// The answer has more bytes than are read.
    #[error("it answered with more than {0} bytes")]
    TooLarge(u64),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Timeout,
    /// No connection, or it broke, or no HTTP.
    #[error("{0}")]
    Unavailable(String),
}
