//! What is being verified, and what a store lists for it.

use std::{collections::BTreeSet, fmt, sync::Arc};

use tokio::time::Instant;

use super::{Content, Descriptor, Digest, Repository};

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
    /// Under one of cosign's tags: only the tag binds it, and then its signed payload must.
    CosignTag(CosignKind),
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
    /// Manifests that had to be read to list them: cosign's tags. Nobody needs to fetch them again.
    pub manifests: Vec<Content>,
}

impl Listing {
    /// A list made now.
    pub fn new(referrers: Vec<Referrer>, completeness: Completeness) -> Self {
        Self { referrers, completeness, listed_at: Instant::now(), manifests: Vec::new() }
    }

    /// A whole list made now.
    pub fn whole(referrers: Vec<Referrer>) -> Self {
        Self::new(referrers, Completeness::Whole)
    }
}

/// What one of cosign's tags holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CosignKind {
    /// `.att`
    Attestations,
    /// `.sig`
    Signatures,
}

impl CosignKind {
    /// The tag's ending.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Attestations => ".att",
            Self::Signatures => ".sig",
        }
    }
}

/// One of cosign's tags: `<prefix>sha256-<hex>.sig` or `.att`. It is derived from the verified digest, never read (COS-38).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CosignTag {
    /// What it holds.
    pub kind: CosignKind,
    /// Cosign's `COSIGN_REPOSITORY`-like tag prefix; usually empty.
    pub prefix: Arc<str>,
}

impl CosignTag {
    /// The tag of `subject`.
    pub fn name(&self, subject: &Digest) -> String {
        format!("{}{}{}", self.prefix, subject.referrers_tag(), self.kind.suffix())
    }
}

/// Where to look for referrers: only what a policy could use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Discovery {
    /// The referrers API, and the referrers tag after a 404.
    pub referrers: bool,
    /// Cosign's tags.
    pub cosign_tags: BTreeSet<CosignTag>,
}

impl Discovery {
    /// Only the ways of the distribution specification.
    pub const REFERRERS: Self = Self { referrers: true, cosign_tags: BTreeSet::new() };

    /// Everywhere: for people who ask what there is.
    pub fn everywhere() -> Self {
        let tag = |kind| CosignTag { kind, prefix: "".into() };
        Self { referrers: true, cosign_tags: [CosignKind::Attestations, CosignKind::Signatures].map(tag).into() }
    }

    /// Adds another's ways.
    pub fn join(&mut self, other: Self) {
        self.referrers |= other.referrers;
        self.cosign_tags.extend(other.cosign_tags);
    }
}
