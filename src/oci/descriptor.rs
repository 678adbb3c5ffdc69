//! Descriptors: a claim about bytes, until [`super::Content::check`] has seen them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, DigestError};
use crate::json::JsonError;

/// An OCI content descriptor. `urls` and `data` are read past: neither is ever followed or believed (REG-18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type that the content must have.
    pub media_type: String,
    /// The digest that the content must have.
    pub digest: Digest,
    /// The size in bytes that the content must have.
    pub size: u64,
    /// The artifact type, where an index or a referrers list claims one.
    pub artifact_type: Option<String>,
    /// Annotations, unsigned.
    pub annotations: BTreeMap<String, String>,
}

/// Why JSON is no descriptor.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The digest is malformed.
    #[error("descriptor has a malformed digest")]
    Digest(#[source] DigestError),
    /// A member is missing, has the wrong type or is out of range.
    #[error("descriptor is malformed")]
    Malformed(#[source] JsonError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    digest: String,
    /// Negative, fractional and quoted sizes do not parse (REG-09).
    size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// A descriptor of `bytes`, for what we make ourselves.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::sha256(bytes),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads a descriptor from JSON that [`crate::json`] has parsed.
    ///
    /// # Errors
    /// [`DescriptorError`].
    pub fn read(value: &serde_json::Value) -> Result<Self, DescriptorError> {
        let wire = Wire::deserialize(value).map_err(|error| DescriptorError::Malformed(error.into()))?;
        Ok(Self {
            media_type: wire.media_type,
            digest: Digest::parse(&wire.digest).map_err(DescriptorError::Digest)?,
            size: wire.size,
            artifact_type: wire.artifact_type.filter(|text| !text.is_empty()),
            annotations: wire.annotations.unwrap_or_default(),
        })
    }
}

impl Serialize for Descriptor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mediaType", &self.media_type)?;
        map.serialize_entry("digest", &self.digest.to_string())?;
        map.serialize_entry("size", &self.size)?;
        if let Some(artifact_type) = &self.artifact_type {
            map.serialize_entry("artifactType", artifact_type)?;
        }
        if !self.annotations.is_empty() {
            map.serialize_entry("annotations", &self.annotations)?;
        }
        map.end()
    }
}
