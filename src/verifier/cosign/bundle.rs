//! Sigstore bundles, v0.1 to v0.3.
//!
//! Read as protobuf JSON: members in lowerCamelCase or under their original names, integers as strings or numbers, base64 of
//! either alphabet. Unknown members are refused, as Go's reader does (issue ruling); counts are bounded before anything is decoded
//! (R21, R22, R25, COS-31 to 33). What an entry needs in which version is decided where entries are checked.
//!
//! Rule: Sigstore protobuf-specs, `sigstore_bundle.proto`; `sigstore.md` §1.4, R34 and R45 to R51.

use bytes::Bytes;

use super::{
    evidence::{BundleVersion, Entry, Envelope, Item, Material, Proof, Shape, Signed},
    wire::{self, ProtoBase64},
};
use crate::crypto::x509::Certificate;

mod fault;
mod message;

pub use fault::BundleFault;
use fault::{missing, too_many};

/// Largest bundle that is read: an attestation inside a bundle may have as much (`threats.md` 1.2).
pub const MAX_BUNDLE_BYTES: usize = 32 * 1024 * 1024;

/// Parses a bundle. Nothing in it is verified.
///
/// # Errors
/// [`BundleFault`].
pub fn parse(bytes: &[u8]) -> Result<Item, BundleFault> {
    if bytes.len() > MAX_BUNDLE_BYTES {
        return Err(BundleFault::TooLarge { size: bytes.len(), limit: MAX_BUNDLE_BYTES });
    }
    let message::Bundle { media_type, verification_material, message_signature, dsse_envelope } =
        wire::read(bytes).map_err(BundleFault::Malformed)?;
    let version = version(&media_type.unwrap_or_default())?;
    let message::VerificationMaterial {
        public_key,
        x509_certificate_chain,
        certificate,
        tlog_entries,
        timestamp_verification_data,
    } = verification_material.ok_or(missing("verificationMaterial"))?;
    let entries = tlog_entries.unwrap_or_default().all().map_err(too_many("tlogEntries"))?;
    let timestamps = timestamp_verification_data.and_then(|data| data.rfc3161_timestamps).unwrap_or_default();
    let timestamps = timestamps.all().map_err(too_many("rfc3161Timestamps"))?;
    let signed = match (dsse_envelope, message_signature) {
        (Some(envelope), None) => Signed::Envelope(read_envelope(envelope)?),
        (None, Some(message)) => read_message(message)?,
        (None, None) | (Some(_), Some(_)) => return Err(BundleFault::Content),
    };
    let material = match (certificate, x509_certificate_chain, public_key) {
        (Some(certificate), None, None) => single(version, certificate)?,
        (None, Some(chain), None) => chained(version, chain)?,
        (None, None, Some(key)) => Material::Key { hint: key.hint.filter(|hint| !hint.is_empty()) },
        _ => return Err(BundleFault::Material),
    };
    Ok(Item {
        shape: Shape::Bundle(version),
        signed,
        material,
        entries: entries.into_iter().map(read_entry).collect::<Result<_, _>>()?,
        timestamps: timestamps
            .into_iter()
            .map(|timestamp| required(timestamp.signed_timestamp, "signedTimestamp"))
            .collect::<Result<_, _>>()?,
    })
}

/// R45: exactly these four.
fn version(media_type: &str) -> Result<BundleVersion, BundleFault> {
    match media_type {
        "application/vnd.dev.sigstore.bundle+json;version=0.1" => Ok(BundleVersion::V01),
        "application/vnd.dev.sigstore.bundle+json;version=0.2" => Ok(BundleVersion::V02),
        "application/vnd.dev.sigstore.bundle+json;version=0.3" | "application/vnd.dev.sigstore.bundle.v0.3+json" => {
            Ok(BundleVersion::V03)
        }
        "" => Err(missing("mediaType")),
        other => Err(BundleFault::MediaType { found: other.to_owned() }),
    }
}

/// Bytes that must be there: protobuf cannot tell absent from empty.
fn required(bytes: Option<ProtoBase64>, member: &'static str) -> Result<Vec<u8>, BundleFault> {
    match bytes {
        Some(ProtoBase64(bytes)) if !bytes.is_empty() => Ok(bytes),
        Some(_) | None => Err(missing(member)),
    }
}

fn required_text(text: Option<String>, member: &'static str) -> Result<String, BundleFault> {
    text.filter(|text| !text.is_empty()).ok_or(missing(member))
}

/// R34, COS-24: exactly one signature.
fn read_envelope(envelope: message::Envelope) -> Result<Envelope, BundleFault> {
    let message::Envelope { payload, payload_type, signatures } = envelope;
    let signatures = signatures.unwrap_or_default().all();
    let signature = match signatures.map(<[message::Signature; 1]>::try_from) {
        Ok(Ok([signature])) => required(signature.sig, "dsseEnvelope.signatures[0].sig")?,
        Ok(Err(none)) => return Err(BundleFault::Signatures { count: none.len() }),
        Err(several) => return Err(BundleFault::Signatures { count: several.count }),
    };
    Ok(Envelope {
        payload_type: required_text(payload_type, "dsseEnvelope.payloadType")?,
        payload: Bytes::from(required(payload, "dsseEnvelope.payload")?),
        signatures: vec![signature],
        raw: None,
    })
}

/// COS-23: a digest of a known hash, as long as that hash makes it.
fn read_message(message: message::MessageSignature) -> Result<Signed, BundleFault> {
    let message::MessageSignature { message_digest, signature } = message;
    let output = message_digest.ok_or(missing("messageSignature.messageDigest"))?;
    let algorithm = output.algorithm.and_then(|hash| hash.0).ok_or(BundleFault::DigestAlgorithm)?;
    let digest = required(output.digest, "messageSignature.messageDigest.digest")?;
    if digest.len() != algorithm.primitive().output_len() {
        return Err(BundleFault::DigestLength { algorithm, length: digest.len() });
    }
    Ok(Signed::Message { algorithm, digest, signature: required(signature, "messageSignature.signature")? })
}

/// The single certificate came with v0.3.
fn single(version: BundleVersion, certificate: message::X509Certificate) -> Result<Material, BundleFault> {
    match version {
        BundleVersion::V01 | BundleVersion::V02 => Err(BundleFault::SingleCertificate),
        BundleVersion::V03 => {
            Ok(Material::Certificate { leaf: required(certificate.raw_bytes, "certificate.rawBytes")?, chain: vec![] })
        }
    }
}

/// R47, R48, R49: in v0.1 and v0.2, not empty, and without a root.
fn chained(version: BundleVersion, chain: message::X509CertificateChain) -> Result<Material, BundleFault> {
    match version {
        BundleVersion::V01 | BundleVersion::V02 => {}
        BundleVersion::V03 => return Err(BundleFault::Chain),
    }
    let certificates = chain.certificates.unwrap_or_default().all().map_err(too_many("certificates"))?;
    let mut certificates = certificates
        .into_iter()
        .map(|certificate| required(certificate.raw_bytes, "x509CertificateChain.certificates[].rawBytes"));
    let leaf = certificates.next().ok_or(BundleFault::EmptyChain)??;
    let chain: Vec<Vec<u8>> = certificates.collect::<Result<_, _>>()?;
    for (position, der) in (1..).zip(&chain) {
        let certificate =
            Certificate::parse(der).map_err(|source| BundleFault::ChainCertificate { position, source })?;
        if certificate.is_self_issued() {
            return Err(BundleFault::RootInChain { position });
        }
    }
    Ok(Material::Certificate { leaf, chain })
}

fn read_entry(entry: message::TransparencyLogEntry) -> Result<Entry, BundleFault> {
    let message::TransparencyLogEntry {
        log_index,
        log_id,
        kind_version,
        integrated_time,
        inclusion_promise,
        inclusion_proof,
        canonicalized_body,
    } = entry;
    let kind = kind_version.ok_or(missing("tlogEntries[].kindVersion"))?;
    let promise = inclusion_promise
        .map(|promise| required(promise.signed_entry_timestamp, "inclusionPromise.signedEntryTimestamp"))
        .transpose()?;
    Ok(Entry {
        log_id: required(log_id.and_then(|id| id.key_id), "tlogEntries[].logId.keyId")?,
        log_index: log_index.map_or(0, wire::Count::as_u64),
        kind: Some((
            required_text(kind.kind, "tlogEntries[].kindVersion.kind")?,
            required_text(kind.version, "tlogEntries[].kindVersion.version")?,
        )),
        // Protobuf cannot tell 0 from absent, and Rekor v2 writes either.
        integrated_time: integrated_time.map(wire::Count::as_i64).filter(|seconds| *seconds != 0),
        promise,
        proof: inclusion_proof.map(read_proof).transpose()?,
        body: required(canonicalized_body, "tlogEntries[].canonicalizedBody")?,
    })
}

/// A proof without a root hash or a checkpoint is handed on: that it proves nothing is said where proofs are checked.
fn read_proof(proof: message::InclusionProof) -> Result<Proof, BundleFault> {
    let message::InclusionProof { log_index, root_hash, tree_size, hashes, checkpoint } = proof;
    let hashes = hashes.unwrap_or_default().all().map_err(too_many("inclusionProof.hashes"))?;
    let hashes = hashes.into_iter().map(|ProtoBase64(hash)| <[u8; 32]>::try_from(hash));
    Ok(Proof {
        log_index: log_index.map_or(0, wire::Count::as_u64),
        root_hash: root_hash.map(|ProtoBase64(hash)| hash).unwrap_or_default(),
        tree_size: tree_size.map_or(0, wire::Count::as_u64),
        hashes: hashes.collect::<Result<_, _>>().map_err(|hash| BundleFault::HashLength { length: hash.len() })?,
        checkpoint: checkpoint.and_then(|checkpoint| checkpoint.envelope).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
