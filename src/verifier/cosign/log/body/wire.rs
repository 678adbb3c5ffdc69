//! Bodies as JSON: members, encodings, names of algorithms.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    super::{
        super::pem::{self, Block},
        LogFault,
    },
    Digest, Dsse, Intoto, MAX_NAME_BYTES, Record, Verifier,
};
use crate::{
    crypto::{hex, scheme::HashAlgorithm},
    reason::printable,
};

#[derive(Deserialize)]
pub(super) struct Document {
    pub(super) kind: String,
    #[serde(rename = "apiVersion")]
    pub(super) version: String,
    pub(super) spec: Value,
}

#[derive(Deserialize)]
struct RecordSpec {
    data: RecordData,
    signature: RecordSignature,
}

#[derive(Deserialize)]
struct RecordData {
    hash: HashText,
}

#[derive(Deserialize)]
struct HashText {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordSignature {
    content: String,
    public_key: Content,
}

#[derive(Deserialize)]
struct Content {
    content: String,
}

#[derive(Deserialize)]
struct RecordV2Spec {
    #[serde(rename = "hashedRekordV002")]
    record: RecordV2,
}

#[derive(Deserialize)]
struct RecordV2 {
    data: RecordV2Data,
    signature: RecordV2Signature,
}

#[derive(Deserialize)]
struct RecordV2Data {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
struct RecordV2Signature {
    content: String,
    verifier: RecordV2Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordV2Verifier {
    key_details: String,
    x509_certificate: Option<RawBytes>,
    public_key: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseSpec {
    envelope_hash: HashText,
    payload_hash: HashText,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: String,
    verifier: String,
}

#[derive(Deserialize)]
struct IntotoV2Spec {
    content: IntotoV2Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV2Content {
    envelope: IntotoV2Envelope,
    hash: HashText,
    payload_hash: HashText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV2Envelope {
    payload_type: String,
    signatures: Vec<IntotoV2Signature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV2Signature {
    sig: String,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoSpec {
    content: IntotoContent,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoContent {
    hash: HashText,
    payload_hash: Option<HashText>,
}

pub(super) fn record(spec: Value) -> Result<Record, LogFault> {
    let RecordSpec { data, signature } = read(spec)?;
    Ok(Record {
        hash: digest(&data.hash, "artifact", "spec.data.hash.value")?,
        signature: base64(&signature.content, "spec.signature.content")?,
        verifier: verifier(&signature.public_key.content, "spec.signature.publicKey.content")?,
    })
}

pub(super) fn record_v2(spec: Value) -> Result<Record, LogFault> {
    let RecordV2Spec { record: RecordV2 { data, signature } } = read(spec)?;
    let algorithm = match data.algorithm.as_str() {
        "SHA2_256" => HashAlgorithm::Sha256,
        "SHA2_384" => HashAlgorithm::Sha384,
        "SHA2_512" => HashAlgorithm::Sha512,
        _ => return Err(of_hash("artifact", &data.algorithm)),
    };
    if hash_of(&signature.verifier.key_details) != Some(algorithm) {
        return Err(of_hash("artifact beside keyDetails", &data.algorithm));
    }
    let bytes = base64(&data.digest, "data.digest")?;
    let raw = |raw: RawBytes, member| base64(&raw.raw_bytes, member);
    let verifier = match (signature.verifier.x509_certificate, signature.verifier.public_key) {
        (Some(certificate), None) => Verifier::Certificate(raw(certificate, "verifier.x509Certificate")?),
        (None, Some(key)) => Verifier::Key(raw(key, "verifier.publicKey")?),
        (Some(_), Some(_)) | (None, None) => return Err(LogFault::Field { member: "verifier" }),
    };
    Ok(Record {
        hash: sized(Digest { algorithm, bytes }, "data.digest")?,
        signature: base64(&signature.content, "signature.content")?,
        verifier,
    })
}

pub(super) fn dsse(spec: Value) -> Result<Dsse, LogFault> {
    let DsseSpec { envelope_hash, payload_hash, signatures } = read(spec)?;
    let signature = |one: DsseSignature| {
        Ok((base64(&one.signature, "signatures.signature")?, verifier(&one.verifier, "signatures.verifier")?))
    };
    Ok(Dsse {
        envelope_sha256: sha256(&envelope_hash, "envelope", "spec.envelopeHash.value")?,
        payload_sha256: sha256(&payload_hash, "payload", "spec.payloadHash.value")?,
        payload_type: None,
        signatures: signatures.into_iter().map(signature).collect::<Result<_, LogFault>>()?,
    })
}

pub(super) fn intoto_v2(spec: Value) -> Result<Dsse, LogFault> {
    let IntotoV2Spec { content: IntotoV2Content { envelope, hash, payload_hash } } = read(spec)?;
    let signature = |one: IntotoV2Signature| {
        // Base64 of the envelope's `sig`, which is base64 itself.
        let sig = String::from_utf8(base64(&one.sig, "envelope.signatures.sig")?);
        let sig = sig.map_err(|_| LogFault::Field { member: "envelope.signatures.sig" })?;
        Ok((base64(&sig, "envelope.signatures.sig")?, verifier(&one.public_key, "envelope.signatures.publicKey")?))
    };
    Ok(Dsse {
        envelope_sha256: sha256(&hash, "envelope", "spec.content.hash.value")?,
        payload_sha256: sha256(&payload_hash, "payload", "spec.content.payloadHash.value")?,
        payload_type: Some(envelope.payload_type),
        signatures: envelope.signatures.into_iter().map(signature).collect::<Result<_, LogFault>>()?,
    })
}

pub(super) fn intoto(spec: Value) -> Result<Intoto, LogFault> {
    let IntotoSpec { content, public_key } = read(spec)?;
    let payload = content.payload_hash.map(|hash| sha256(&hash, "payload", "spec.content.payloadHash.value"));
    Ok(Intoto {
        envelope_sha256: sha256(&content.hash, "envelope", "spec.content.hash.value")?,
        payload_sha256: payload.transpose()?,
        verifier: verifier(&public_key, "spec.publicKey")?,
    })
}

/// Duplicate members are gone: the document was parsed strictly.
fn read<T: DeserializeOwned>(spec: Value) -> Result<T, LogFault> {
    serde_json::from_value(spec).map_err(|error| LogFault::Body(error.into()))
}

fn base64(text: &str, member: &'static str) -> Result<Vec<u8>, LogFault> {
    STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty()).ok_or(LogFault::Field { member })
}

fn of_hash(what: &'static str, algorithm: &str) -> LogFault {
    LogFault::Hash { what, algorithm: printable(algorithm, MAX_NAME_BYTES) }
}

fn digest(hash: &HashText, what: &'static str, member: &'static str) -> Result<Digest, LogFault> {
    let algorithm = match hash.algorithm.as_str() {
        "sha256" => HashAlgorithm::Sha256,
        "sha384" => HashAlgorithm::Sha384,
        "sha512" => HashAlgorithm::Sha512,
        _ => return Err(of_hash(what, &hash.algorithm)),
    };
    let bytes = unhex(&hash.value).ok_or(LogFault::Field { member })?;
    sized(Digest { algorithm, bytes }, member)
}

/// Rekor hashes envelopes and payloads with SHA-256 only.
fn sha256(hash: &HashText, what: &'static str, member: &'static str) -> Result<Vec<u8>, LogFault> {
    let Digest { algorithm, bytes } = digest(hash, what, member)?;
    if algorithm == HashAlgorithm::Sha256 { Ok(bytes) } else { Err(of_hash(what, &hash.algorithm)) }
}

fn sized(digest: Digest, member: &'static str) -> Result<Digest, LogFault> {
    let fits = digest.bytes.len() == digest.algorithm.primitive().output_len();
    if fits { Ok(digest) } else { Err(LogFault::Field { member }) }
}

/// Lower case, as the log writes it.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let pair = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = rest.is_empty().then(|| pairs.iter().map(pair).collect()).flatten()?;
    // Also refuses the signs that `from_str_radix` takes.
    (hex(&bytes) == text).then_some(bytes)
}

/// The hash that goes with a `PublicKeyDetails`; `None`: nothing that signs a hash, or is not supported.
fn hash_of(key_details: &str) -> Option<HashAlgorithm> {
    match key_details {
        "PKIX_ECDSA_P256_SHA_256"
        | "PKIX_ECDSA_P384_SHA_256"
        | "PKIX_ECDSA_P521_SHA_256"
        | "PKIX_RSA_PKCS1V15_2048_SHA256"
        | "PKIX_RSA_PKCS1V15_3072_SHA256"
        | "PKIX_RSA_PKCS1V15_4096_SHA256" => Some(HashAlgorithm::Sha256),
        "PKIX_ECDSA_P384_SHA_384" => Some(HashAlgorithm::Sha384),
        "PKIX_ECDSA_P521_SHA_512" => Some(HashAlgorithm::Sha512),
        _ => None,
    }
}

/// Base64 of exactly one PEM block, `CERTIFICATE` or `PUBLIC KEY`.
fn verifier(encoded: &str, member: &'static str) -> Result<Verifier, LogFault> {
    let text = String::from_utf8(base64(encoded, member)?).map_err(|_| LogFault::Field { member })?;
    let block = pem::blocks(&text).ok().and_then(|blocks| <[Block<'_>; 1]>::try_from(blocks).ok());
    match block {
        Some([Block { label: "CERTIFICATE", der }]) => Ok(Verifier::Certificate(der)),
        Some([Block { label: "PUBLIC KEY", der }]) => Ok(Verifier::Key(der)),
        Some(_) | None => Err(LogFault::Field { member }),
    }
}
