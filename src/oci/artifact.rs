//! A referrer whose manifest was read and is bound to the subject.

use super::{Content, Descriptor, Digest, Found, Manifest, ManifestError, Referrer, Subject, media_type};
use crate::reason::Code;

/// How an artifact is bound to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Its manifest's `subject` names the subject's digest.
    Subject,
    /// Only a tag derived from the subject's digest names it; the signed payload must still bind it.
    Tag,
}

/// A referrer whose manifest was read and is bound to the subject. One of the places that can say yes.
#[derive(Debug, Clone)]
pub struct Artifact {
    descriptor: Descriptor,
    found: Found,
    binding: Binding,
    manifest: Manifest,
    kind: String,
}

/// Why a referrer is not an artifact of the subject.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The list claims one artifact type, the manifest has another (REG-27).
    #[error("referrer is listed as {listed:?}, its manifest is {manifest:?}")]
    ArtifactType {
        /// What the list says.
        listed: String,
        /// What the manifest says.
        manifest: String,
    },
    /// The manifest cannot be read.
    #[error("referrer's manifest is refused")]
    Manifest(#[source] ManifestError),
    /// The content handed over is not the referrer's.
    #[error("content of {actual} was read for referrer {expected}")]
    OtherContent {
        /// The referrer's digest.
        expected: Digest,
        /// The content's digest.
        actual: Digest,
    },
    /// It names another subject, or none (REG-28, CVE-2023-33959).
    #[error("referrer's manifest names {named} as its subject, not {subject}")]
    Subject {
        /// What it names: a digest, or `nothing`.
        named: String,
        /// What it was listed for.
        subject: Digest,
    },
}

impl ArtifactError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::ArtifactType { .. } => Code::ArtifactTypeMismatch,
            Self::Manifest(error) => error.code(),
            Self::OtherContent { .. } => Code::DigestMismatch,
            Self::Subject { .. } => Code::SubjectMismatch,
        }
    }
}

impl Artifact {
    /// Reads `content` as `referrer`'s manifest and checks that it is bound to `subject`. The only constructor.
    ///
    /// # Errors
    /// [`ArtifactError`].
    ///
    /// Rule: OCI image specification v1.1, "Image Manifest", `subject`.
    pub fn read(subject: &Subject, referrer: &Referrer, content: &Content) -> Result<Self, ArtifactError> {
        let descriptor = &referrer.descriptor;
        if content.descriptor().digest != descriptor.digest {
            return Err(ArtifactError::OtherContent {
                expected: descriptor.digest.clone(),
                actual: content.descriptor().digest.clone(),
            });
        }
        let manifest = Manifest::parse(&descriptor.media_type, content.bytes()).map_err(ArtifactError::Manifest)?;
        let binding = bind(subject, referrer, &manifest)?;
        let kind = manifest.effective_artifact_type().unwrap_or_default().to_owned();
        if let Some(listed) = &descriptor.artifact_type
            && *listed != kind
            && !lists_config(listed, &manifest)
        {
            return Err(ArtifactError::ArtifactType { listed: listed.clone(), manifest: kind });
        }
        Ok(Self { descriptor: descriptor.clone(), found: referrer.found, binding, manifest, kind })
    }

    /// The artifact's own manifest descriptor.
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// How it was found.
    pub const fn found(&self) -> Found {
        self.found
    }

    /// How it is bound.
    pub const fn binding(&self) -> Binding {
        self.binding
    }

    /// Its manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `artifactType`, else the config's media type; empty where there is neither.
    pub fn artifact_type(&self) -> &str {
        &self.kind
    }
}

/// Some registries list the config's media type where a manifest has an artifact type of its own. The empty config's says
/// nothing, so it contradicts nothing (R6).
fn lists_config(listed: &str, manifest: &Manifest) -> bool {
    match manifest {
        Manifest::Image(image) => {
            let config = image.config.as_ref().map(|config| config.media_type.as_str());
            listed == media_type::EMPTY && config == Some(listed)
        }
        Manifest::Index(_) => false,
    }
}

fn bind(subject: &Subject, referrer: &Referrer, manifest: &Manifest) -> Result<Binding, ArtifactError> {
    let wanted = subject.descriptor();
    match (referrer.found, manifest.subject()) {
        (Found::CosignTag(_), None) => Ok(Binding::Tag),
        // The digest decides: size and media type of an unsigned claim add nothing to it, and signed payloads repeat all three.
        (_, Some(named)) if named.digest == wanted.digest => Ok(Binding::Subject),
        (_, named) => Err(ArtifactError::Subject {
            named: named.map_or_else(|| "nothing".to_owned(), |named| named.digest.to_string()),
            subject: wanted.digest.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
