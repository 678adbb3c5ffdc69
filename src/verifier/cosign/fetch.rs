//! From a layer to its item: fetch it, and parse it as what it is stored as.

use bytes::Bytes;

use super::{
    bundle,
    evidence::{Item, Shape},
    legacy, shape,
};
use crate::{
    oci::{Descriptor, Digest},
    reason::Code,
    verifier::{Check, Rejection, VerifyError, VerifyRequest},
};

/// Fetches a layer: what its descriptor says, and no more than `limit_bytes`.
///
/// # Errors
/// [`VerifyError`] of the check `content`.
pub(super) async fn layer(
    request: &VerifyRequest<'_>,
    shape: Shape,
    layer: &Descriptor,
    limit_bytes: u64,
) -> Result<Bytes, VerifyError> {
    check_type(shape, layer)?;
    let fetched = request.blob(layer, limit_bytes).await;
    let content = fetched.map_err(|error| VerifyError::from_store(Check::Content, &error))?;
    Ok(content.bytes().clone())
}

fn check_type(shape: Shape, layer: &Descriptor) -> Result<(), Rejection> {
    match shape::layer_type(shape).filter(|wanted| *wanted != layer.media_type) {
        None => Ok(()),
        Some(wanted) => {
            let reason = format!("the layer's media type is {:?}, it must be {wanted}", layer.media_type);
            Err(Rejection::new(Check::Content, Code::UnsupportedMediaType, reason))
        }
    }
}

/// Parses a layer as what it is stored as.
///
/// # Errors
/// [`Rejection`] of the check `content`.
pub(super) fn parse(shape: Shape, layer: &Descriptor, bytes: Bytes) -> Result<Item, Rejection> {
    check_type(shape, layer)?;
    let refused = |code, fault: &(dyn std::error::Error + 'static)| Rejection::because(Check::Content, code, fault);
    match shape {
        Shape::AttestationReferrer | Shape::AttestationTag => {
            legacy::attestation(shape, layer, bytes).map_err(|fault| refused(fault.code(), &fault))
        }
        Shape::Bundle(_) => bundle::parse(&bytes).map_err(|fault| refused(fault.code(), &fault)),
        Shape::SignatureReferrer | Shape::SignatureTag => {
            legacy::signature(shape, layer, bytes).map_err(|fault| refused(fault.code(), &fault))
        }
    }
}

/// Names a signature: what is signed is the layer, and cosign writes the signature over it into an annotation. Everybody who signs
/// an image signs the same payload, so that the layer alone names none. Annotations that nobody signs do not count: with them one
/// signature could be made to look like two.
pub(super) fn envelope(layer: &Descriptor) -> Digest {
    let signature = layer.annotations.get(legacy::SIGNATURE).map(String::as_str).unwrap_or_default();
    Digest::sha256(format!("{} {signature}", layer.digest).as_bytes())
}

/// A digest over everything that an item is made of: its content, as its descriptor claims it, and the annotations that hold a
/// legacy item's signature. Each part has its length before it.
pub(super) fn print(shape: Shape, layer: &Descriptor) -> Digest {
    let mut bytes = Vec::new();
    let (digest, size) = (layer.digest.to_string(), layer.size.to_string());
    let annotations = layer.annotations.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for part in [shape.as_str(), &digest, &size, &layer.media_type].into_iter().chain(annotations) {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::sha256(&bytes)
}
