//! The signature manifest: which forms are a Notary Project signature, and where its envelope is.

use super::envelope::{COSE_MEDIA_TYPE, JWS_MEDIA_TYPE};
use crate::{
    oci::{Artifact, Binding, Descriptor, ImageManifest, Manifest, media_type},
    reason::{self, Code},
    verifier::{Check, Rejection},
};

/// The artifact type of Notary Project signatures.
pub(super) const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";

/// The layer that is the envelope, of a size that may be fetched.
///
/// # Errors
/// Another form of manifest, more or fewer layers than one, a media type that is no envelope's, too large an envelope.
///
/// Rule: Notary Project signature specification v1.1.0, "OCI signatures" (D18, D19; item 71).
pub(super) fn envelope(artifact: &Artifact, limit_bytes: u64) -> Result<&Descriptor, Rejection> {
    let rejected = |check, code, reason: String| Err(Rejection::new(check, code, reason));
    if artifact.binding() != Binding::Subject {
        let reason = "the signature manifest does not name the image as its subject".to_owned();
        return rejected(Check::Content, Code::SubjectMismatch, reason);
    }
    let image = match artifact.manifest() {
        Manifest::Image(image) => image,
        Manifest::Index(_) => {
            return rejected(Check::Content, Code::BadManifest, "an index is no signature manifest".to_owned());
        }
    };
    if !is_signature(&artifact.descriptor().media_type, image) {
        let reason = format!(
            "the manifest is no Notary Project signature: artifactType {}, config {}",
            quoted(image.artifact_type.as_deref()),
            quoted(image.config.as_ref().map(|config| config.media_type.as_str()))
        );
        return rejected(Check::Content, Code::ArtifactTypeMismatch, reason);
    }
    let [layer] = image.layers.as_slice() else {
        let reason = format!("the signature manifest has {} layers, it must have one", image.layers.len());
        return rejected(Check::Integrity, Code::BadManifest, reason);
    };
    if !matches!(layer.media_type.as_str(), JWS_MEDIA_TYPE | COSE_MEDIA_TYPE) {
        let reason =
            format!("envelope has media type {}, which is none of an envelope", quoted(Some(&layer.media_type)));
        return rejected(Check::Integrity, Code::UnsupportedMediaType, reason);
    }
    if layer.size > limit_bytes {
        let reason = format!("envelope has {} bytes, the limit maxEnvelopeBytes is {limit_bytes}", layer.size);
        return rejected(Check::Limits, Code::LimitExceeded, reason);
    }
    Ok(layer)
}

/// The new form (`artifactType`, with the empty config), the form of every released tool (config's media type, without
/// `artifactType`), and the OCI artifact manifest of old ones. No mixture.
fn is_signature(manifest_type: &str, image: &ImageManifest) -> bool {
    let config = image.config.as_ref().map(|config| config.media_type.as_str());
    match (manifest_type, image.artifact_type.as_deref(), config) {
        (media_type::IMAGE_MANIFEST, Some(artifact_type), Some(config)) => {
            artifact_type == ARTIFACT_TYPE && config == media_type::EMPTY
        }
        (media_type::IMAGE_MANIFEST, None, Some(config)) => config == ARTIFACT_TYPE,
        (media_type::ARTIFACT_MANIFEST, Some(artifact_type), None) => artifact_type == ARTIFACT_TYPE,
        _ => false,
    }
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "absent".to_owned(), |text| format!("\"{}\"", reason::printable(text, 128)))
}
