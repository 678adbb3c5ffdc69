//! Layers of cosign's classic format: what is signed is the layer, everything else stands in its descriptor's annotations.
//!
//! Rule: `sigstore.md` §1.1 and §1.2; cosign `specs/SIGNATURE_SPEC.md`, where signers and it differ the signers (they write
//! `dev.sigstore.cosign/certificate`). An annotation that is empty is absent, as for cosign.

use bytes::Bytes;

use super::{
    evidence::{Entry, Envelope, Item, MAX_CHAIN, Material, Shape, Signed},
    payload::MAX_PAYLOAD_BYTES,
    pem,
    wire::{self, decode_standard},
};
use crate::oci::Descriptor;

mod fault;
mod message;

pub use fault::LegacyFault;

/// Largest DSSE envelope that is read as a layer (`threats.md` 1.2: attestation).
pub const MAX_ENVELOPE_BYTES: usize = 32 * 1024 * 1024;

/// The media type of a signature's layer.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The media type of an attestation's layer.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// The annotation with the signature over the layer, in base64.
pub(super) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// Reads a signature (shapes A, D): `bytes` is the layer, of which `layer` is the descriptor. Nothing in it is verified.
///
/// # Errors
/// [`LegacyFault`].
pub fn signature(shape: Shape, layer: &Descriptor, bytes: Bytes) -> Result<Item, LegacyFault> {
    check_layer(layer, SIMPLE_SIGNING, &bytes, MAX_PAYLOAD_BYTES)?;
    let text = annotation(layer, SIGNATURE).ok_or(LegacyFault::NoSignature)?;
    let signature = decode_standard(text).ok_or(LegacyFault::Base64 { annotation: SIGNATURE })?;
    item(shape, layer, Signed::Payload { bytes, signature })
}

/// Reads an attestation (shapes B, E): `bytes` is the layer, of which `layer` is the descriptor. Nothing in it is verified.
///
/// Members of the envelope that DSSE does not know are ignored, as DSSE demands; how many of several signatures must be good
/// is decided where they are verified.
///
/// # Errors
/// [`LegacyFault`].
pub fn attestation(shape: Shape, layer: &Descriptor, bytes: Bytes) -> Result<Item, LegacyFault> {
    check_layer(layer, DSSE_ENVELOPE, &bytes, MAX_ENVELOPE_BYTES)?;
    // A signature over the layer would be a second thing that could be verified (R83 binds the envelope's own).
    if annotation(layer, SIGNATURE).is_some() {
        return Err(LegacyFault::SignatureBesideEnvelope);
    }
    let envelope = read_envelope(bytes)?;
    item(shape, layer, Signed::Envelope(envelope))
}

fn check_layer(layer: &Descriptor, expected: &'static str, bytes: &[u8], limit: usize) -> Result<(), LegacyFault> {
    if layer.media_type != expected {
        return Err(LegacyFault::MediaType { found: layer.media_type.clone(), expected });
    }
    if bytes.len() > limit {
        return Err(LegacyFault::TooLarge { size: bytes.len(), limit });
    }
    Ok(())
}

fn annotation<'a>(layer: &'a Descriptor, name: &str) -> Option<&'a str> {
    layer.annotations.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

fn item(shape: Shape, layer: &Descriptor, signed: Signed) -> Result<Item, LegacyFault> {
    Ok(Item {
        shape,
        signed,
        material: material(layer)?,
        entries: annotation(layer, BUNDLE).map(read_entry).transpose()?.into_iter().collect(),
        timestamps: annotation(layer, TIMESTAMP).map(read_timestamp).transpose()?.into_iter().collect(),
    })
}

fn material(layer: &Descriptor) -> Result<Material, LegacyFault> {
    let Some(certificate) = annotation(layer, CERTIFICATE) else {
        return match annotation(layer, CHAIN) {
            Some(_) => Err(LegacyFault::ChainWithoutCertificate),
            None => Ok(Material::Key { hint: None }),
        };
    };
    let mut leaf = certificates(CERTIFICATE, certificate, 1)?;
    let leaf = leaf.pop().ok_or(LegacyFault::NoCertificate { annotation: CERTIFICATE })?;
    let chain = match annotation(layer, CHAIN) {
        Some(chain) => certificates(CHAIN, chain, MAX_CHAIN)?,
        None => Vec::new(),
    };
    Ok(Material::Certificate { leaf, chain })
}

/// The DER of the certificates of an annotation: at least one, at most `limit`, counted before any is decoded (R25).
fn certificates(annotation: &'static str, text: &str, limit: usize) -> Result<Vec<Vec<u8>>, LegacyFault> {
    let count = pem::labels(text).count();
    if count > limit {
        return Err(LegacyFault::TooManyCertificates { annotation, count, limit });
    }
    let blocks = pem::blocks(text).map_err(|source| LegacyFault::Pem { annotation, source })?;
    if blocks.is_empty() || blocks.iter().any(|block| block.label != "CERTIFICATE") {
        return Err(LegacyFault::NoCertificate { annotation });
    }
    Ok(blocks.into_iter().map(|block| block.der).collect())
}

/// The log entry with its promise: what Rekor v1 answered when the signature was uploaded.
fn read_entry(text: &str) -> Result<Entry, LegacyFault> {
    let malformed = |source| LegacyFault::Annotation { annotation: BUNDLE, source };
    let missing = |member| LegacyFault::Missing { annotation: BUNDLE, member };
    let bundle: message::RekorBundle = wire::read(text.as_bytes()).map_err(malformed)?;
    let promise = bundle.signed_entry_timestamp.filter(|promise| !promise.0.is_empty());
    let promise = promise.ok_or(missing("SignedEntryTimestamp"))?.0;
    let payload = bundle.payload.ok_or(missing("Payload"))?;
    let body = payload.body.filter(|body| !body.0.is_empty()).ok_or(missing("Payload.body"))?.0;
    Ok(Entry {
        log_id: payload.log_id.ok_or(missing("Payload.logID"))?.0,
        log_index: payload.log_index.ok_or(missing("Payload.logIndex"))?.0.as_u64(),
        kind: None,
        integrated_time: Some(payload.integrated_time.ok_or(missing("Payload.integratedTime"))?.0.as_i64()),
        promise: Some(promise),
        proof: None,
        body,
    })
}

fn read_timestamp(text: &str) -> Result<Vec<u8>, LegacyFault> {
    let malformed = |source| LegacyFault::Annotation { annotation: TIMESTAMP, source };
    let timestamp: message::Timestamp = wire::read(text.as_bytes()).map_err(malformed)?;
    let response = timestamp.signed_rfc3161_timestamp.filter(|response| !response.0.is_empty());
    let missing = LegacyFault::Missing { annotation: TIMESTAMP, member: "SignedRFC3161Timestamp" };
    Ok(response.ok_or(missing)?.0)
}

fn read_envelope(bytes: Bytes) -> Result<Envelope, LegacyFault> {
    let envelope: message::Envelope = wire::read(&bytes).map_err(LegacyFault::Envelope)?;
    let missing = |member| LegacyFault::EnvelopeMember { member };
    let signatures = envelope.signatures.ok_or(missing("signatures"))?.all();
    let signatures =
        signatures.map_err(|beyond| LegacyFault::TooManySignatures { count: beyond.count, limit: beyond.limit })?;
    if signatures.is_empty() {
        return Err(missing("signatures"));
    }
    let signatures = signatures.into_iter().map(|signature| signature.sig.filter(|sig| !sig.0.is_empty()));
    Ok(Envelope {
        payload_type: envelope.payload_type.ok_or(missing("payloadType"))?,
        payload: Bytes::from(envelope.payload.ok_or(missing("payload"))?.0),
        signatures: signatures
            .map(|sig| sig.map(|sig| sig.0).ok_or(missing("signatures[].sig")))
            .collect::<Result<_, _>>()?,
        raw: Some(bytes),
    })
}

#[cfg(test)]
mod tests;
