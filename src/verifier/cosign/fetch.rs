//! From an artifact to its items: fetch each layer, and parse it as what it is stored as.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{
    bundle,
    evidence::{Item, Shape},
    legacy, shape,
};
use crate::{
    oci::{Descriptor, Digest},
    reason::Code,
    verifier::{Check, Rejection, VerifyError, VerifyRequest, cosign::config::Compiled},
};

/// Layers of one artifact that are fetched side by side.
const AT_ONCE: usize = 8;

/// An item, or why there is none.
pub(super) struct Fetched {
    /// The layer's digest, where the artifact may have several.
    pub(super) layer: Option<Digest>,
    /// What names the signature itself.
    pub(super) envelope: Option<Digest>,
    /// What names the item beyond its content: annotations hold a legacy item's signature.
    pub(super) print: Digest,
    pub(super) item: Result<Item, VerifyError>,
}

/// Fetches the items of the request's artifact, in order, at most as many as are tried. `Err`: the artifact as a whole.
pub(super) async fn items(request: &VerifyRequest<'_>, rules: &Compiled) -> Result<Vec<Fetched>, VerifyError> {
    let layers = shape::layers(request.artifact(), &rules.wanted, rules.format)?;
    let mut looks = Vec::new();
    for (shape, layer) in layers.iter().take(rules.max_attempts) {
        looks.push(item(request, rules, *shape, layer));
    }
    let mut items: Vec<Fetched> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    if layers.len() > rules.max_attempts {
        let (count, limit) = (layers.len(), rules.max_attempts);
        let reason = format!("the manifest has {count} layers, the first {limit} are tried (maxSignatureAttempts)");
        let item = Err(Rejection::new(Check::Limits, Code::LimitExceeded, reason).into());
        items.push(Fetched { layer: None, envelope: None, print: Digest::sha256(b""), item });
    }
    Ok(items)
}

async fn item(request: &VerifyRequest<'_>, rules: &Compiled, shape: Shape, layer: &Descriptor) -> Fetched {
    let alone = shape.is_bundle();
    let print = print(shape, layer);
    let item = read(request, rules, shape, layer).await;
    let envelope = Some(envelope(layer));
    Fetched { layer: (!alone).then(|| layer.digest.clone()), envelope, print, item }
}

async fn read(
    request: &VerifyRequest<'_>,
    rules: &Compiled,
    shape: Shape,
    layer: &Descriptor,
) -> Result<Item, VerifyError> {
    check_type(shape, layer)?;
    let fetched = request.blob(layer, rules.max_bundle_bytes).await;
    let content = fetched.map_err(|error| VerifyError::from_store(Check::Content, &error))?;
    Ok(parse(shape, layer, content.bytes().clone())?)
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
fn envelope(layer: &Descriptor) -> Digest {
    let signature = layer.annotations.get(legacy::SIGNATURE).map(String::as_str).unwrap_or_default();
    Digest::sha256(format!("{} {signature}", layer.digest).as_bytes())
}

/// A digest over everything that an item is made of. Each part has its length before it.
fn print(shape: Shape, layer: &Descriptor) -> Digest {
    let mut bytes = Vec::new();
    let digest = layer.digest.to_string();
    let annotations = layer.annotations.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for part in [shape.as_str(), digest.as_str(), &layer.media_type].into_iter().chain(annotations) {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::sha256(&bytes)
}
