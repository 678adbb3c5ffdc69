//! What a plugin is shown: checked bytes, gathered before it is started.

use std::collections::HashSet;

use super::{config::Limits, nested::NestedReport};
use crate::{
    oci::{Artifact, Content, Descriptor, Manifest, Subject},
    reason::Code,
    verifier::{Check, Rejection, VerifyError, VerifyRequest},
};

/// Most blobs of an artifact: a plugin's artifact has one or two.
const MAX_BLOBS: usize = 64;

/// An artifact with its subject and its blobs, every byte checked against its descriptor.
#[derive(Debug, Clone)]
pub struct Evidence {
    subject: Subject,
    subject_manifest: Content,
    artifact: Artifact,
    artifact_manifest: Content,
    blobs: Vec<Content>,
    nested: Vec<NestedReport>,
}

impl Evidence {
    /// Fetches what the request's artifact consists of.
    ///
    /// # Errors
    /// The store's, or a [`Rejection`] where the artifact has more than `limits` allow.
    pub async fn gather(request: &VerifyRequest<'_>, limits: &Limits) -> Result<Self, VerifyError> {
        let layers = layers(request.artifact());
        let refuse = |reason: String| Rejection::new(Check::Limits, Code::LimitExceeded, reason);
        if layers.len() > MAX_BLOBS {
            return Err(refuse(format!("the artifact has {} blobs, a plugin takes {MAX_BLOBS}", layers.len())).into());
        }
        let mut seen = HashSet::new();
        let distinct: Vec<&Descriptor> = layers.iter().filter(|layer| seen.insert(&layer.digest)).collect();
        let mut left = limits.blob_bytes;
        for layer in &distinct {
            let too_many = || {
                let limit = limits.blob_bytes;
                refuse(format!("the artifact's blobs have more than {limit} bytes (limits.blobBytes of the verifier)"))
            };
            left = left.checked_sub(layer.size).ok_or_else(too_many)?;
        }
        let unfetched = |error| VerifyError::from_store(Check::Content, &error);
        let subject_manifest = request.subject_manifest().await.map_err(unfetched)?;
        let artifact_manifest = request.artifact_manifest().await.map_err(unfetched)?;
        let mut blobs = Vec::with_capacity(distinct.len());
        for layer in distinct {
            blobs.push(request.blob(layer, limits.blob_bytes).await.map_err(unfetched)?);
        }
        let (subject, artifact) = (request.subject().clone(), request.artifact().clone());
        let nested = request.nested().iter().map(NestedReport::from).collect();
        Ok(Self { subject, subject_manifest, artifact, artifact_manifest, blobs, nested })
    }

    /// What is being verified.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The subject's own manifest.
    pub const fn subject_manifest(&self) -> &Content {
        &self.subject_manifest
    }

    /// The artifact, bound to the subject.
    pub const fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// The artifact's manifest as it was fetched.
    pub const fn artifact_manifest(&self) -> &Content {
        &self.artifact_manifest
    }

    /// The artifact's blobs, each once: the layers of its manifest. An index has none.
    pub fn blobs(&self) -> &[Content] {
        &self.blobs
    }

    /// What others said of what is attached to the artifact; empty unless a policy wants the artifact signed.
    pub fn nested(&self) -> &[NestedReport] {
        &self.nested
    }

    /// The artifact as a list of referrers shows it: with its type, and the annotations of the checked manifest. Those of a list
    /// are whatever a registry says, and plugins read dates there.
    pub fn listed(&self) -> Descriptor {
        let Descriptor { media_type, digest, size, .. } = self.artifact.descriptor().clone();
        let artifact_type = Some(self.artifact.artifact_type().to_owned()).filter(|kind| !kind.is_empty());
        let annotations = self.artifact.manifest().annotations().clone();
        Descriptor { media_type, digest, size, artifact_type, annotations }
    }

    /// The descriptors of the artifact's blobs as its manifest lists them.
    pub fn layers(&self) -> &[Descriptor] {
        layers(&self.artifact)
    }
}

fn layers(artifact: &Artifact) -> &[Descriptor] {
    match artifact.manifest() {
        Manifest::Image(image) => &image.layers,
        Manifest::Index(_) => &[],
    }
}
