//! The bundle's messages, under both of their names.
//!
//! Rule: Sigstore protobuf-specs `sigstore_bundle.proto`, `sigstore_common.proto`, `sigstore_rekor.proto`; `envelope.proto` of DSSE.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use crate::{
    crypto::scheme::HashAlgorithm,
    verifier::cosign::{
        evidence::{MAX_CHAIN, MAX_LOG_ENTRIES, MAX_TIMESTAMPS},
        wire::{Count, Few, ProtoBase64, message},
    },
};

/// A tree of 2^64 leaves is no deeper.
const MAX_PROOF_HASHES: usize = 64;

message! { Bundle, refuse {
    media_type: String = "mediaType" | "media_type",
    verification_material: VerificationMaterial = "verificationMaterial" | "verification_material",
    message_signature: MessageSignature = "messageSignature" | "message_signature",
    dsse_envelope: Envelope = "dsseEnvelope" | "dsse_envelope",
} }

message! { VerificationMaterial, refuse {
    public_key: PublicKeyIdentifier = "publicKey" | "public_key",
    x509_certificate_chain: X509CertificateChain = "x509CertificateChain" | "x509_certificate_chain",
    certificate: X509Certificate = "certificate",
    tlog_entries: Few<TransparencyLogEntry, MAX_LOG_ENTRIES> = "tlogEntries" | "tlog_entries",
    timestamp_verification_data: TimestampVerificationData = "timestampVerificationData" | "timestamp_verification_data",
} }

message! { PublicKeyIdentifier, refuse { hint: String = "hint" } }

message! { X509CertificateChain, refuse { certificates: Few<X509Certificate, MAX_CHAIN> = "certificates" } }

message! { X509Certificate, refuse { raw_bytes: ProtoBase64 = "rawBytes" | "raw_bytes" } }

message! { TransparencyLogEntry, refuse {
    log_index: Count = "logIndex" | "log_index",
    log_id: LogId = "logId" | "log_id",
    kind_version: KindVersion = "kindVersion" | "kind_version",
    integrated_time: Count = "integratedTime" | "integrated_time",
    inclusion_promise: InclusionPromise = "inclusionPromise" | "inclusion_promise",
    inclusion_proof: InclusionProof = "inclusionProof" | "inclusion_proof",
    canonicalized_body: ProtoBase64 = "canonicalizedBody" | "canonicalized_body",
} }

message! { LogId, refuse { key_id: ProtoBase64 = "keyId" | "key_id" } }

message! { KindVersion, refuse { kind: String = "kind", version: String = "version" } }

message! { InclusionPromise, refuse {
    signed_entry_timestamp: ProtoBase64 = "signedEntryTimestamp" | "signed_entry_timestamp",
} }

message! { InclusionProof, refuse {
    log_index: Count = "logIndex" | "log_index",
    root_hash: ProtoBase64 = "rootHash" | "root_hash",
    tree_size: Count = "treeSize" | "tree_size",
    hashes: Few<ProtoBase64, MAX_PROOF_HASHES> = "hashes",
    checkpoint: Checkpoint = "checkpoint",
} }

message! { Checkpoint, refuse { envelope: String = "envelope" } }

message! { TimestampVerificationData, refuse {
    rfc3161_timestamps: Few<SignedTimestamp, MAX_TIMESTAMPS> = "rfc3161Timestamps" | "rfc3161_timestamps",
} }

message! { SignedTimestamp, refuse { signed_timestamp: ProtoBase64 = "signedTimestamp" | "signed_timestamp" } }

message! { MessageSignature, refuse {
    message_digest: HashOutput = "messageDigest" | "message_digest",
    signature: ProtoBase64 = "signature",
} }

message! { HashOutput, refuse { algorithm: HashName = "algorithm", digest: ProtoBase64 = "digest" } }

message! { Envelope, refuse {
    payload: ProtoBase64 = "payload",
    payload_type: String = "payloadType" | "payload_type",
    signatures: Few<Signature, 1> = "signatures",
} }

message! {
    /// `keyid` is nobody's word.
    Signature, refuse { sig: ProtoBase64 = "sig", keyid: String = "keyid" }
}

/// `HashAlgorithm` of `sigstore_common.proto`, by name or number; `None` is one that nothing is verified with.
#[derive(Debug)]
pub(super) struct HashName(pub(super) Option<HashAlgorithm>);

impl<'de> Deserialize<'de> for HashName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = HashName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or number of a hash algorithm")
            }

            fn visit_str<E>(self, name: &str) -> Result<HashName, E> {
                Ok(HashName(match name {
                    "SHA2_256" => Some(HashAlgorithm::Sha256),
                    "SHA2_384" => Some(HashAlgorithm::Sha384),
                    "SHA2_512" => Some(HashAlgorithm::Sha512),
                    _ => None,
                }))
            }

            fn visit_u64<E>(self, number: u64) -> Result<HashName, E> {
                Ok(HashName(match number {
                    1 => Some(HashAlgorithm::Sha256),
                    2 => Some(HashAlgorithm::Sha384),
                    3 => Some(HashAlgorithm::Sha512),
                    _ => None,
                }))
            }
        }

        deserializer.deserialize_any(Name)
    }
}
