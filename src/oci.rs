//! The OCI specifications' nouns, parsed: nothing in here does I/O, and nothing in here believes what it was told.
//!
//! ```text
//! text ──parse──► Reference ──resolve──► Subject ◄──subject── Artifact ◄──read── Content ◄──check── bytes
//!                                          │                                       ▲
//!                                          └──list──► Listing of Referrers ──fetch─┘
//! ```

mod artifact;
mod content;
mod descriptor;
mod digest;
mod manifest;
mod reference;
mod registry;
pub mod scope;
mod subject;

pub use artifact::{Artifact, ArtifactError, Binding};
pub use content::{Content, ContentError};
pub use descriptor::{Descriptor, DescriptorError};
pub use digest::{Algorithm, Digest, DigestError};
pub use manifest::{ImageManifest, Index, Manifest, ManifestError, media_type};
pub use reference::{MAX_REFERENCE_BYTES, Reference, ReferenceError, Repository, Tag};
pub use registry::{Host, Registry};
pub use subject::{Completeness, CosignKind, CosignTag, Discovery, Found, Listing, Referrer, Subject};
