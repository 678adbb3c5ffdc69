//! What is being verified, and what a store lists for it.

use std::fmt;

use tokio::time::Instant;

use super::{Descriptor, Digest, Repository};

/// A repository and the descriptor that a reference resolved to: what is being verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    repository: Repository,
    descriptor: Descriptor,
}

impl Subject {
    /// A subject of what a store resolved.
    pub const fn new(repository: Repository, descriptor: Descriptor) -> Self {
        Self { repository, descriptor }
    }

    /// The repository it was asked for in.
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Media type, digest and size of its manifest: facts.
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Its digest.
    pub const fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.descriptor.digest)
    }
}

/// How a referrer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Found {
    /// Under cosign's tag `sha256-<hex>.sig` or `.att`: only the tag binds it, and then its signed payload must.
    CosignTag,
    /// By reading every manifest of an OCI image layout.
    Layout,
    /// By the referrers API.
    ReferrersApi,
    /// In the index under the referrers tag.
    ReferrersTag,
}

/// A claim of a store: this descriptor refers to the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The descriptor as listed.
    pub descriptor: Descriptor,
    /// How it was found.
    pub found: Found,
}

/// Whether a list holds all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// A bound bit; what lies beyond is not known, so nothing is proven absent.
    Cut,
    /// All of it.
    Whole,
}

/// What a store lists for a subject.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The claims, in the store's order.
    pub referrers: Vec<Referrer>,
    /// Whether there may be more.
    pub completeness: Completeness,
    /// When it was listed; what is concluded from it is no younger.
    pub listed_at: Instant,
}

impl Listing {
    /// A list made now.
    pub fn new(referrers: Vec<Referrer>, completeness: Completeness) -> Self {
        Self { referrers, completeness, listed_at: Instant::now() }
    }

    /// A whole list made now.
    pub fn whole(referrers: Vec<Referrer>) -> Self {
        Self::new(referrers, Completeness::Whole)
    }
}

/// Where to look for referrers: only what a policy could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Discovery {
    /// The referrers API, and the referrers tag after a 404.
    pub referrers: bool,
    /// Cosign's `.sig` and `.att` tags.
    pub cosign_tags: bool,
}

impl Discovery {
    /// Only the ways of the distribution specification.
    pub const REFERRERS: Self = Self { referrers: true, cosign_tags: false };
}
