//! Manifests and indexes: one reading only.
//!
//! A document that two clients could read as two things (both `manifests` and `layers`; a `mediaType` that differs from
//! what was asked for; duplicate members) is refused: CVE-2021-41190, REG-13 to REG-17.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Descriptor, DescriptorError};
use crate::{
    json::{self, JsonError},
    reason::Code,
};

use self::media_type as known;

/// Media types of the documents that we read.
pub mod media_type {
    /// OCI image manifest.
    pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI artifact manifest of release candidates; verified, never written.
    pub const ARTIFACT_MANIFEST: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The empty JSON descriptor's media type.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// Whatever a subject's manifest may be, in the order in which a registry is asked for it.
    pub const SUBJECTS: [&str; 4] = [IMAGE_INDEX, IMAGE_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];
}

/// A parsed manifest or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// An image manifest (OCI, Docker schema 2, or the legacy OCI artifact manifest, whose `blobs` are its layers).
    Image(ImageManifest),
    /// An index (OCI or Docker list).
    Index(Index),
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// `artifactType`, if written.
    pub artifact_type: Option<String>,
    /// `config`; absent in a legacy artifact manifest.
    pub config: Option<Descriptor>,
    /// `layers`, or `blobs` of a legacy artifact manifest.
    pub layers: Vec<Descriptor>,
    /// `subject`.
    pub subject: Option<Descriptor>,
    /// Annotations, unsigned.
    pub annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    /// The type that a referrers list shows: `artifactType`, else the config's media type.
    ///
    /// Rule: OCI distribution specification v1.1, "Listing Referrers".
    pub fn effective_artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref().or_else(|| self.config.as_ref().map(|config| config.media_type.as_str()))
    }
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// `artifactType`, if written.
    pub artifact_type: Option<String>,
    /// What it lists.
    pub manifests: Vec<Descriptor>,
    /// `subject`.
    pub subject: Option<Descriptor>,
    /// Annotations, unsigned.
    pub annotations: BTreeMap<String, String>,
}

/// Why a document is no manifest.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Both an index and an image manifest.
    #[error("manifest has both `manifests` and `config`, `layers` or `blobs`")]
    Ambiguous,
    /// A descriptor in it is malformed.
    #[error("{member} of the manifest is malformed")]
    Descriptor {
        /// Which member.
        member: &'static str,
        /// What is wrong.
        #[source]
        source: DescriptorError,
    },
    /// Not strict JSON.
    #[error("manifest is not readable")]
    Json(#[source] JsonError),
    /// A member is missing or has another type.
    #[error("member {member} of the manifest is missing or malformed")]
    Member {
        /// Which member.
        member: &'static str,
    },
    /// The body names another media type.
    #[error("manifest says it is {body:?}, it was announced as {announced:?}")]
    MediaType {
        /// What the body says.
        body: String,
        /// What the descriptor or `Content-Type` says.
        announced: String,
    },
    /// More entries than allowed.
    #[error("{member} of the manifest has {count} entries, the limit is {limit}")]
    TooMany {
        /// Which member.
        member: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// Not a manifest type that we know.
    #[error("media type {0:?} is no manifest's")]
    Unsupported(String),
}

impl ManifestError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Ambiguous => Code::AmbiguousManifest,
            Self::Descriptor { .. } | Self::Json(_) | Self::Member { .. } => Code::BadManifest,
            Self::MediaType { .. } => Code::MediaTypeMismatch,
            Self::TooMany { .. } => Code::LimitExceeded,
            Self::Unsupported(_) => Code::UnsupportedMediaType,
        }
    }
}

/// Most layers, blobs or listed manifests in one document. Counted before any of them is read (REG-25, CVE-2024-29903).
const MAX_ENTRIES: usize = 10_000;

impl Manifest {
    /// Parses `bytes` announced as `media_type` (a descriptor's, or the `Content-Type` without parameters).
    ///
    /// # Errors
    /// [`ManifestError`]. The body may leave `mediaType` out; if it has one it must be the announced one.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        let is_index = matches!(media_type, known::IMAGE_INDEX | known::DOCKER_LIST);
        let is_image = matches!(media_type, known::IMAGE_MANIFEST | known::DOCKER_MANIFEST | known::ARTIFACT_MANIFEST);
        if !is_index && !is_image {
            return Err(ManifestError::Unsupported(media_type.to_owned()));
        }
        let Value::Object(document) = json::parse(bytes, json::DOCUMENT_DEPTH).map_err(ManifestError::Json)? else {
            return Err(ManifestError::Member { member: "mediaType" });
        };
        if let Some(body) = text(&document, "mediaType")?
            && body != media_type
        {
            return Err(ManifestError::MediaType { body, announced: media_type.to_owned() });
        }
        let has = |member| document.contains_key(member);
        if has("manifests") && (has("layers") || has("config") || has("blobs")) {
            return Err(ManifestError::Ambiguous);
        }
        // The legacy artifact manifest has no `schemaVersion`.
        if media_type != known::ARTIFACT_MANIFEST && document.get("schemaVersion") != Some(&Value::from(2)) {
            return Err(ManifestError::Member { member: "schemaVersion" });
        }
        if is_index { Self::read_index(&document) } else { Self::read_image(&document, media_type) }
    }

    fn read_index(document: &Map<String, Value>) -> Result<Self, ManifestError> {
        Ok(Self::Index(Index {
            artifact_type: text(document, "artifactType")?,
            manifests: descriptors(document, "manifests")?.ok_or(ManifestError::Member { member: "manifests" })?,
            subject: descriptor(document, "subject")?,
            annotations: annotations(document)?,
        }))
    }

    fn read_image(document: &Map<String, Value>, media_type: &str) -> Result<Self, ManifestError> {
        let legacy = media_type == media_type::ARTIFACT_MANIFEST;
        let config = descriptor(document, "config")?;
        if config.is_none() && !legacy {
            return Err(ManifestError::Member { member: "config" });
        }
        let member = if legacy { "blobs" } else { "layers" };
        let layers = descriptors(document, member)?;
        if layers.is_none() && !legacy {
            return Err(ManifestError::Member { member });
        }
        Ok(Self::Image(ImageManifest {
            artifact_type: text(document, "artifactType")?,
            config,
            layers: layers.unwrap_or_default(),
            subject: descriptor(document, "subject")?,
            annotations: annotations(document)?,
        }))
    }

    /// `subject`, whichever kind it is.
    pub const fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }

    /// The type that a referrers list shows.
    pub fn effective_artifact_type(&self) -> Option<&str> {
        match self {
            Self::Image(image) => image.effective_artifact_type(),
            Self::Index(index) => index.artifact_type.as_deref(),
        }
    }

    /// Annotations, whichever kind it is.
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Image(image) => &image.annotations,
            Self::Index(index) => &index.annotations,
        }
    }
}

fn text(document: &Map<String, Value>, member: &'static str) -> Result<Option<String>, ManifestError> {
    match document.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ManifestError::Member { member }),
    }
}

fn descriptor(document: &Map<String, Value>, member: &'static str) -> Result<Option<Descriptor>, ManifestError> {
    match document.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Descriptor::read(value).map(Some).map_err(|source| ManifestError::Descriptor { member, source }),
    }
}

fn descriptors(document: &Map<String, Value>, member: &'static str) -> Result<Option<Vec<Descriptor>>, ManifestError> {
    match document.get(member) {
        None => Ok(None),
        Some(Value::Array(items)) if items.len() > MAX_ENTRIES => {
            Err(ManifestError::TooMany { member, count: items.len(), limit: MAX_ENTRIES })
        }
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| Descriptor::read(item).map_err(|source| ManifestError::Descriptor { member, source }))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(ManifestError::Member { member }),
    }
}

fn annotations(document: &Map<String, Value>) -> Result<BTreeMap<String, String>, ManifestError> {
    let malformed = ManifestError::Member { member: "annotations" };
    match document.get("annotations") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(members)) => members
            .iter()
            .map(|(name, value)| value.as_str().map(|text| (name.clone(), text.to_owned())))
            .collect::<Option<_>>()
            .ok_or(malformed),
        Some(_) => Err(malformed),
    }
}
