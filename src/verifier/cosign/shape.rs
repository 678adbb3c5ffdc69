//! Which referrers may carry an item, and where in their manifests it is. The list only selects work; the manifest decides (R6).

use super::{
    evidence::{BundleVersion, Shape},
    legacy,
};
use crate::{
    oci::{Artifact, CosignKind, Descriptor, Found, ImageManifest, Manifest, Referrer, media_type},
    reason::Code,
    verifier::{
        Check, Rejection,
        cosign::config::{SignatureFormat, Wanted},
    },
};

/// D: simple signing layers as a referrer.
const SIGNATURE_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// E: DSSE layers as a referrer.
const ATTESTATION_ARTIFACT: &str = "application/vnd.in-toto+json";
/// F: what every version's media type begins with.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// Whether a listed referrer is worth opening. What nobody could use stays unopened.
pub(super) fn may_carry(referrer: &Referrer, wanted: &Wanted, format: SignatureFormat) -> bool {
    let wants_signature = matches!(wanted, Wanted::Signature);
    let wants_kind = |is_signature: bool| format.wants_legacy() && is_signature == wants_signature;
    match referrer.found {
        Found::CosignTag(kind) => wants_kind(kind == CosignKind::Signatures),
        Found::Layout | Found::ReferrersApi | Found::ReferrersTag => {
            match referrer.descriptor.artifact_type.as_deref() {
                Some(SIGNATURE_ARTIFACT) => wants_kind(true),
                Some(ATTESTATION_ARTIFACT) => wants_kind(false),
                None | Some(media_type::EMPTY) => true,
                Some(other) => format.wants_bundles() && other.starts_with(BUNDLE),
            }
        }
    }
}

/// The items of an artifact: each a layer, with the shape that it has. None: the artifact carries nothing of this kind (R9).
///
/// # Errors
/// [`Rejection`]: it is one, and malformed (R8).
pub(super) fn layers<'a>(
    artifact: &'a Artifact,
    wanted: &Wanted,
    format: SignatureFormat,
) -> Result<Vec<(Shape, &'a Descriptor)>, Rejection> {
    let image = image(artifact)?;
    let Some(shape) = legacy_shape(artifact) else {
        return if format.wants_bundles() { bundle(artifact.artifact_type(), &image.layers) } else { Ok(Vec::new()) };
    };
    let is_signature = matches!(shape, Shape::SignatureReferrer | Shape::SignatureTag);
    if !format.wants_legacy() || is_signature != matches!(wanted, Wanted::Signature) {
        return Ok(Vec::new());
    }
    Ok(image.layers.iter().map(|layer| (shape, layer)).collect())
}

/// The same whatever is asked for: for descriptions.
///
/// # Errors
/// As of [`layers`].
pub(super) fn all_layers(artifact: &Artifact) -> Result<Vec<(Shape, &Descriptor)>, Rejection> {
    let image = image(artifact)?;
    match legacy_shape(artifact) {
        Some(shape) => Ok(image.layers.iter().map(|layer| (shape, layer)).collect()),
        None => bundle(artifact.artifact_type(), &image.layers),
    }
}

fn image(artifact: &Artifact) -> Result<&ImageManifest, Rejection> {
    match artifact.manifest() {
        Manifest::Image(image) => Ok(image),
        Manifest::Index(_) => {
            let reason = "an index carries no signature";
            Err(Rejection::new(Check::Content, Code::BadManifest, reason))
        }
    }
}

/// The shape of all its layers; `None`: if it carries anything, then a bundle.
fn legacy_shape(artifact: &Artifact) -> Option<Shape> {
    match (artifact.found(), artifact.artifact_type()) {
        (Found::CosignTag(CosignKind::Signatures), _) => Some(Shape::SignatureTag),
        (Found::CosignTag(CosignKind::Attestations), _) => Some(Shape::AttestationTag),
        (_, SIGNATURE_ARTIFACT) => Some(Shape::SignatureReferrer),
        (_, ATTESTATION_ARTIFACT) => Some(Shape::AttestationReferrer),
        _ => None,
    }
}

/// Exactly one layer, of a bundle's type. The version is the bundle's own word. What neither is of that type nor has such a layer
/// is something else.
fn bundle<'a>(artifact_type: &str, layers: &'a [Descriptor]) -> Result<Vec<(Shape, &'a Descriptor)>, Rejection> {
    let is_bundle = |layer: &Descriptor| layer.media_type.starts_with(BUNDLE);
    if !(artifact_type.starts_with(BUNDLE) || layers.iter().any(is_bundle)) {
        return Ok(Vec::new());
    }
    let reason = match layers {
        [layer] if is_bundle(layer) => return Ok(vec![(Shape::Bundle(BundleVersion::V03), layer)]),
        [layer] => format!("the bundle's layer has the media type {:?}", layer.media_type),
        _ => format!("the bundle's manifest has {} layers, it must have one", layers.len()),
    };
    Err(Rejection::new(Check::Content, Code::BadManifest, reason))
}

/// The media type that a layer of this shape has; `None`: any that begins as a bundle's does.
pub(super) const fn layer_type(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::AttestationReferrer | Shape::AttestationTag => Some(legacy::DSSE_ENVELOPE),
        Shape::Bundle(_) => None,
        Shape::SignatureReferrer | Shape::SignatureTag => Some(legacy::SIMPLE_SIGNING),
    }
}
