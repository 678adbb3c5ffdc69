//! Stores: where manifests, referrers and blobs come from.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    oci::{Content, ContentError, Descriptor, Digest, Discovery, Listing, ManifestError, Reference, Repository},
    reason::Code,
};

pub mod cached;
pub mod layout;
pub mod registry;
pub mod routed;

/// The moment by which a store must have answered. Retries, back-off and waiting for a place all end here.
pub type Deadline = Instant;

/// Resolves, lists and fetches. What it returns as [`Content`] is proven; what it lists is a claim.
///
/// Every call ends at its deadline with [`StoreError::Deadline`] at the latest. Errors are never empty lists.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Resolves a reference to the descriptor of its manifest. The manifest is fetched and hashed, by tag or by digest, so
    /// that media type, digest and size are facts (REG-15 of the client's requirements: HEAD proves nothing).
    async fn resolve(&self, reference: &Reference, deadline: Deadline) -> Result<Descriptor, StoreError>;

    /// Lists the referrers of a digest: all pages, or says that the list is cut.
    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        ways: Discovery,
        deadline: Deadline,
    ) -> Result<Listing, StoreError>;

    /// Fetches a manifest by the descriptor's digest.
    async fn manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        deadline: Deadline,
    ) -> Result<Content, StoreError>;

    /// Fetches a blob by the descriptor's digest. `limit_bytes`: the most that the caller will read.
    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit_bytes: u64,
        deadline: Deadline,
    ) -> Result<Content, StoreError>;
}

/// Why a store has no answer. Registry texts in it are escaped and bounded when they are printed.
///
/// Cheap to clone: all who wait for one flight are given the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Credentials were refused, or anonymous access was; or the token service failed.
    #[error("{registry} refuses access to {repository}: {detail}")]
    Auth {
        /// Which registry.
        registry: String,
        /// Which repository.
        repository: String,
        /// What it said, or which step failed.
        detail: String,
    },
    /// Bytes are not what their descriptor says.
    #[error("{what} is not what was asked for")]
    Content {
        /// What was fetched.
        what: String,
        /// How it differs.
        #[source]
        source: ContentError,
    },
    /// The deadline passed first.
    #[error("{what} did not arrive before the deadline")]
    Deadline {
        /// What was asked for.
        what: String,
    },
    /// The registry announces content with a digest that is none (REG-03).
    #[error("{what} is announced with the malformed digest {header:?}")]
    DigestHeader {
        /// What was fetched.
        what: String,
        /// `Docker-Content-Digest`, cut.
        header: String,
    },
    /// Host rules refuse the registry or the address that its name resolves to.
    #[error("host {host} is denied: {rule}")]
    HostDenied {
        /// Which host.
        host: String,
        /// Which rule.
        rule: String,
    },
    /// The answer is not HTTP that we accept.
    #[error("{registry} answers {what} with unacceptable HTTP: {detail}")]
    Http {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// What is wrong.
        detail: String,
    },
    /// A fault of ours.
    #[error("fetching {what} ended without an outcome")]
    Internal {
        /// What was asked for.
        what: String,
    },
    /// A limit bit.
    #[error("{what} exceeds the limit of {limit} {unit}")]
    Limit {
        /// What is too large.
        what: String,
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A manifest or index is malformed.
    #[error("{what} is malformed")]
    Manifest {
        /// Which document.
        what: String,
        /// What is wrong.
        #[source]
        source: ManifestError,
    },
    /// There is no such thing: a 404 of the registry, or an entry missing in the layout.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Too much is under way towards this host.
    #[error("too many calls to {registry} are under way")]
    Overloaded {
        /// Which registry.
        registry: String,
    },
    /// 429.
    #[error("{registry} throttles: {detail}")]
    RateLimited {
        /// Which registry.
        registry: String,
        /// `Retry-After`, if it gave one.
        detail: String,
    },
    /// A token realm that is not allowed.
    #[error("{registry} names token realm {realm}, which is not allowed for it: {rule}")]
    RealmDenied {
        /// Which registry.
        registry: String,
        /// Which realm.
        realm: String,
        /// Which rule.
        rule: String,
    },
    /// A redirect or a page link that is not allowed.
    #[error("{registry} redirects to {target}, which is not allowed: {rule}")]
    RedirectDenied {
        /// Which registry.
        registry: String,
        /// Where to.
        target: String,
        /// Which rule.
        rule: String,
    },
    /// The list of referrers is not an index.
    #[error("referrers of {subject} are malformed: {detail}")]
    Referrers {
        /// Of which digest.
        subject: String,
        /// What is wrong.
        detail: String,
    },
    /// No TLS connection that can be trusted.
    #[error("no trusted TLS connection to {registry}: {detail}")]
    Tls {
        /// Which registry.
        registry: String,
        /// What is wrong; names `plainHttp` where that would have helped.
        detail: String,
    },
    /// The body ended early.
    #[error("{what} from {registry} ended early")]
    Truncated {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// Connection, name resolution or a 5xx.
    #[error("{registry} cannot answer {what}: {detail}")]
    Unavailable {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// Status or cause.
        detail: String,
    },
    /// The layout on disk cannot be read.
    #[error("image layout cannot be read: {what}")]
    Unreadable {
        /// Which file.
        what: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
}

impl StoreError {
    /// The stable code; its class says whether this is a no or not an answer.
    pub const fn code(&self) -> Code {
        match self {
            Self::Auth { .. } => Code::Auth,
            Self::Content { source, .. } => source.code(),
            Self::Deadline { .. } => Code::Timeout,
            Self::DigestHeader { .. } => Code::DigestMismatch,
            Self::HostDenied { .. } => Code::HostDenied,
            Self::Http { .. } => Code::BadHttp,
            Self::Internal { .. } => Code::Internal,
            Self::Limit { .. } => Code::LimitExceeded,
            Self::Manifest { source, .. } => source.code(),
            Self::NotFound { .. } => Code::NotFound,
            Self::Overloaded { .. } => Code::Overloaded,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::RealmDenied { .. } => Code::RealmDenied,
            Self::RedirectDenied { .. } => Code::RedirectDenied,
            Self::Referrers { .. } => Code::BadReferrers,
            Self::Tls { .. } => Code::Tls,
            Self::Truncated { .. } => Code::Truncated,
            Self::Unavailable { .. } => Code::RegistryUnavailable,
            Self::Unreadable { .. } => Code::StoreUnreadable,
        }
    }
}
