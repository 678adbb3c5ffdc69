//! Signed certificate timestamps that are embedded in a signer's certificate: which certificate transparency logs saw it.
//!
//! A log signs the certificate as it was before the timestamps went in. That form is cut out of the certificate's own bytes; no
//! field is encoded again, so a log's word holds for exactly the bytes that are judged elsewhere.
//!
//! Rule: RFC 6962 §3.2, §3.3; `sigstore.md` §2.4.

use aws_lc_rs::digest;
use der::asn1::ObjectIdentifier;
use time::OffsetDateTime;

use self::list::SignedTimestamp;
use super::root::Log;
use crate::{
    crypto::{
        algorithm::KeyKind,
        scheme::{self, HashAlgorithm, SchemeError},
        x509::Certificate,
    },
    reason::{self, Code},
};

mod list;
mod precertificate;

/// `SignedCertificateTimestampList`.
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// Largest list that is read; real ones have about 120 bytes a timestamp.
pub const MAX_LIST_BYTES: usize = 16 * 1024;
/// Most timestamps of a certificate. The Web's certificates have 2 to 5, Fulcio's 1.
pub const MAX_TIMESTAMPS: usize = 16;

/// A log that saw a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SctLog {
    /// Where the log is, for people.
    pub base_url: String,
    /// SHA-256 of the log's `SubjectPublicKeyInfo`.
    pub id: [u8; 32],
    /// When the log says to have seen the certificate.
    pub timestamp: OffsetDateTime,
}

/// Why embedded timestamps are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SctFault {
    /// An algorithm that is not the log's.
    #[error("the SCT of log \"{log}\" names signature algorithm {hash}.{signature}, which does not fit its {key} key")]
    Algorithm {
        /// The log.
        log: String,
        /// `HashAlgorithm` of TLS 1.2.
        hash: u8,
        /// `SignatureAlgorithm` of TLS 1.2.
        signature: u8,
        /// The log's key.
        key: KeyKind,
    },
    /// The certificate from which timestamps are to be taken out cannot be taken apart.
    #[error("the certificate cannot be read as the one that was logged")]
    Certificate(#[source] der::Error),
    /// The list is malformed.
    #[error("the list of SCTs is malformed in its {part}")]
    Malformed {
        /// Where.
        part: &'static str,
    },
    /// The log did not sign this.
    #[error("the SCT of log \"{log}\" is not for this certificate and issuer")]
    Signature {
        /// The log.
        log: String,
        /// Why.
        source: SchemeError,
    },
    /// Too many bytes.
    #[error("the list of SCTs has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// How many.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many timestamps.
    #[error("the certificate has more than {limit} SCTs")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Not version 1.
    #[error("the certificate has an SCT of version {version}, which is not supported")]
    Version {
        /// Its version; 0 means 1.
        version: u8,
    },
    /// The log's key was not in use then.
    #[error("the key of log \"{log}\" was not in use at the SCT's time, {milliseconds} ms")]
    Window {
        /// The log.
        log: String,
        /// The SCT's time: milliseconds since 1970, as written.
        milliseconds: u64,
    },
}

impl SctFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::TooMany { .. } => Code::LimitExceeded,
            Self::Algorithm { .. }
            | Self::Certificate(_)
            | Self::Malformed { .. }
            | Self::Signature { .. }
            | Self::Version { .. }
            | Self::Window { .. } => Code::SctInvalid,
        }
    }
}

/// The distinct logs of `logs` whose timestamps in `leaf` verify, in the order of the certificate; none where it has no
/// timestamps. A log is its key: two timestamps of one log count once (COS-12), under whatever names the root lists it.
///
/// A timestamp of an unknown log does not count and does not hurt. One of a known log must verify.
///
/// # Errors
/// [`SctFault`]: a malformed list, or a timestamp of a known log that does not verify or lies outside its window.
pub fn verify(leaf: &Certificate, issuer_spki: &[u8], logs: &[Log]) -> Result<Vec<SctLog>, SctFault> {
    let Some(value) = leaf.extensions().value(SCT_LIST) else { return Ok(Vec::new()) };
    let timestamps = list::parse(value)?;
    let logged = precertificate::signed_part(leaf.tbs()).map_err(SctFault::Certificate)?;
    let issuer_key_hash = sha256(issuer_spki);
    let mut found: Vec<SctLog> = Vec::new();
    for timestamp in timestamps {
        let keyed: Vec<_> = logs.iter().filter(|log| sha256(log.key.spki()) == timestamp.log_id).collect();
        let Some(known) = keyed.first() else { continue };
        let time = timestamp.time();
        let in_use = |log: &&&Log| time.is_some_and(|time| log.window.contains(time));
        let (Some(log), Some(time)) = (keyed.iter().find(in_use), time) else {
            return Err(SctFault::Window { log: said(known), milliseconds: timestamp.milliseconds });
        };
        check(&timestamp, log, &issuer_key_hash, &logged)?;
        if found.iter().all(|other| other.id != timestamp.log_id) {
            found.push(SctLog { base_url: log.base_url.clone(), id: timestamp.log_id, timestamp: time });
        }
    }
    Ok(found)
}

fn check(
    timestamp: &SignedTimestamp<'_>,
    log: &Log,
    issuer_key_hash: &[u8; 32],
    logged: &[u8],
) -> Result<(), SctFault> {
    let Some(hash) = hash_for(timestamp, log.key.kind()) else {
        let [hash, signature] = timestamp.algorithm;
        return Err(SctFault::Algorithm { log: said(log), hash, signature, key: log.key.kind().clone() });
    };
    let signed = signed_bytes(timestamp, issuer_key_hash, logged)?;
    scheme::verify(&log.key, Some(hash), &signed, timestamp.signature)
        .map_err(|source| SctFault::Signature { log: said(log), source })
}

/// `SignatureAndHashAlgorithm`, RFC 5246 §7.4.1.4.1, as far as it is the key's. RFC 6962 §2.1.4 names SHA-256 alone; private logs
/// with a P-384 key sign with its own hash.
fn hash_for(timestamp: &SignedTimestamp<'_>, key: &KeyKind) -> Option<HashAlgorithm> {
    const RSA: u8 = 1;
    const ECDSA: u8 = 3;
    let [hash, signature] = timestamp.algorithm;
    let fits = match key {
        KeyKind::Ec(_) => signature == ECDSA,
        KeyKind::Rsa { .. } => signature == RSA,
        KeyKind::Ed25519 | KeyKind::Other(_) => false,
    };
    let hash = match hash {
        4 => HashAlgorithm::Sha256,
        5 => HashAlgorithm::Sha384,
        6 => HashAlgorithm::Sha512,
        _ => return None,
    };
    fits.then_some(hash)
}

/// What the log signed: `digitally-signed struct` with a `PreCert` entry, RFC 6962 §3.2.
fn signed_bytes(
    timestamp: &SignedTimestamp<'_>,
    issuer_key_hash: &[u8; 32],
    logged: &[u8],
) -> Result<Vec<u8>, SctFault> {
    const VERSION_1: u8 = 0;
    const CERTIFICATE_TIMESTAMP: u8 = 0;
    const PRECERT_ENTRY: [u8; 2] = [0, 1];
    let too_large = || SctFault::TooLarge { size: logged.len(), limit: 0x00ff_ffff };
    let [0, length @ ..] = u32::try_from(logged.len()).map_err(|_| too_large())?.to_be_bytes() else {
        return Err(too_large());
    };
    Ok([
        &[VERSION_1, CERTIFICATE_TIMESTAMP][..],
        &timestamp.milliseconds.to_be_bytes(),
        &PRECERT_ENTRY,
        issuer_key_hash,
        &length,
        logged,
        timestamp.extensions,
    ]
    .concat())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

fn said(log: &Log) -> String {
    reason::printable(&log.base_url, 128)
}

#[cfg(test)]
mod tests;
