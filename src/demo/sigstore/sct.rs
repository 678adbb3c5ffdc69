//! The certificate transparency log: promises for precertificates (RFC 6962 §3).

use der::asn1::ObjectIdentifier;
use time::OffsetDateTime;

use super::{
    Care,
    certificate::Extension,
    der as write,
    key::{Key, sha256},
};

/// The extension that holds the list.
pub const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// `sha256`, `ecdsa` (RFC 5246 §7.4.1.4.1).
const ECDSA_SHA256: [u8; 2] = [4, 3];
const PRECERT_ENTRY: [u8; 2] = [0, 1];

/// A signed certificate timestamp that a certificate shall hold.
#[derive(Debug, Clone)]
pub struct Sct {
    /// The log's key.
    pub key: Key,
    /// The log's id.
    pub log_id: [u8; 32],
    /// When.
    pub at: OffsetDateTime,
    /// Extensions: static CT logs write some.
    pub extensions: Vec<u8>,
    /// The hash of the issuer's key that is signed; none is the right one.
    pub issuer_key_hash: Option<[u8; 32]>,
    /// What becomes of the signature.
    pub care: Care,
}

impl Sct {
    /// As a log with this key makes one.
    pub fn new(key: &Key, at: OffsetDateTime) -> Self {
        let (key, log_id) = (key.clone(), key.id());
        Self { key, log_id, at, extensions: Vec::new(), issuer_key_hash: None, care: Care::Intact }
    }

    /// Signs for a `TBSCertificate` without the list.
    fn sign(&self, precertificate: &[u8], issuer_spki: &[u8]) -> anyhow::Result<Vec<u8>> {
        let Self { key, log_id, at, extensions, issuer_key_hash, care } = self;
        let milliseconds = u64::try_from(at.unix_timestamp_nanos() / 1_000_000)?.to_be_bytes();
        let extensions = short(extensions)?;
        let issuer = issuer_key_hash.unwrap_or_else(|| sha256(issuer_spki));
        let length = u32::try_from(precertificate.len())?.to_be_bytes();
        let length = length.get(1..).unwrap_or_default();
        let signed =
            [&[0, 0], &milliseconds[..], &PRECERT_ENTRY, &issuer, length, precertificate, &extensions].concat();
        let signature = short(&care.apply(key.sign(&signed)?))?;
        Ok([&[0], &log_id[..], &milliseconds, &extensions, &ECDSA_SHA256, &signature].concat())
    }
}

/// The list of promises for a `TBSCertificate` without it, as the last extension.
///
/// # Errors
/// A key that does not sign, a moment before 1970.
pub fn list(scts: &[Sct], precertificate: &[u8], issuer_spki: &[u8]) -> anyhow::Result<Extension> {
    let mut list = Vec::new();
    for sct in scts {
        list.extend(short(&sct.sign(precertificate, issuer_spki)?)?);
    }
    Ok(Extension::ordinary(SCT_LIST, write::octets(&short(&list)?)))
}

/// With a length of two bytes before it.
fn short(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok([&u16::try_from(bytes.len())?.to_be_bytes(), bytes].concat())
}
