//! Signed timestamps of an item, each judged by the authorities of one trusted root.
//!
//! An authority is judged whole: its certificates, its window, its token (COS-15, TOB-SIGSTORE-11). What comes with a token
//! proves nothing: the signer is the certificate that the root has, whatever else lies in the token (COS-16).
//!
//! Rule: `sigstore.md` §2.4, R22, R90–R92; RFC 3161.

use time::OffsetDateTime;

use super::root::{Authority, TrustedRoot, Window};
use crate::{
    crypto::{
        tsp::{Embedded, Profile, Timestamp, Trust, TspError},
        x509::Certificate,
    },
    reason::{self, Code},
};

/// A time that a timestamp authority of the trusted root signed for a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTime {
    /// `genTime`, with its fraction of a second.
    pub time: OffsetDateTime,
    /// The authority, for people: where it is, or whose its certificate is.
    pub authority: String,
    /// SHA-256 of the signer's `SubjectPublicKeyInfo`, hex: thresholds count distinct ones.
    pub authority_id: String,
}

/// Why a timestamp refuses its item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampFault {
    /// It cannot be read.
    #[error("signed timestamp cannot be read")]
    Malformed(#[source] TspError),
    /// It is by an authority of the root, at a time when that was not in use.
    #[error("signed timestamp of {time} is outside the time in which \"{authority}\" was in use")]
    OutsideWindow {
        /// The authority.
        authority: String,
        /// `genTime`.
        time: OffsetDateTime,
        /// When the authority was in use.
        window: Window,
    },
    /// It names an authority of the root, and does not verify.
    #[error("signed timestamp of \"{authority}\" does not verify")]
    Refused {
        /// The authority.
        authority: String,
        /// Why.
        source: TspError,
    },
}

impl TimestampFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed(source) | Self::Refused { source, .. } => source.code(),
            Self::OutsideWindow { .. } => Code::TimestampInvalid,
        }
    }
}

/// Verifies a DER `TimeStampResp` over the bytes of `signature`. `None`: it is of an authority that `root` does not have, and
/// so neither counts nor hurts.
///
/// # Errors
/// [`TimestampFault`]: it cannot be read, or it is of an authority of `root` and does not fit.
pub fn verify(response: &[u8], signature: &[u8], root: &TrustedRoot) -> Result<Option<SignedTime>, TimestampFault> {
    let timestamp = Timestamp::from_response(response).map_err(TimestampFault::Malformed)?;
    let mut fault = None;
    // An authority may stand more than once, with other windows: one that fits whole is enough.
    for authority in &root.timestamp_authorities {
        match verify_by(&timestamp, signature, authority) {
            Ok(Some(time)) => return Ok(Some(time)),
            Ok(None) => {}
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map_or(Ok(None), Err)
}

fn verify_by(
    timestamp: &Timestamp,
    signature: &[u8],
    authority: &Authority,
) -> Result<Option<SignedTime>, TimestampFault> {
    let Some((anchor, below)) = authority.chain.split_last() else { return Ok(None) };
    // Where the root has the signer itself, no other will do; where it has only authorities, the token brings the signer.
    let signer = below.first().filter(|first| !first.is_ca());
    let embedded = if signer.is_some() { Embedded::Ignore } else { Embedded::Use };
    let trust = Trust { anchors: std::slice::from_ref(anchor), known: below, embedded, profile: Profile::Sigstore };
    let verified = match timestamp.verify(signature, &trust) {
        Ok(verified) => verified,
        Err(TspError::SignerUnknown { .. }) => return Ok(None),
        Err(TspError::NoPath { .. }) if signer.is_none() => return Ok(None),
        Err(_) if signer.is_some_and(|signer| is_of_a_namesake(timestamp, signer)) => return Ok(None),
        Err(source) => return Err(TimestampFault::Refused { authority: name(authority, signer), source }),
    };
    let (time, signer) = (verified.time(), verified.chain().first());
    if !authority.window.contains(time) {
        let (authority, window) = (name(authority, signer), authority.window);
        return Err(TimestampFault::OutsideWindow { authority, time, window });
    }
    let Some(authority_id) = signer.map(Certificate::spki_sha256) else { return Ok(None) };
    Ok(Some(SignedTime { time, authority: name(authority, signer), authority_id }))
}

/// Whether another authority signed, whose certificate has the issuer's name and the serial number of `ours`.
fn is_of_a_namesake(timestamp: &Timestamp, ours: &Certificate) -> bool {
    timestamp.check_signed_by(ours).is_err()
        && timestamp.certificates().iter().any(|other| other != ours && timestamp.check_signed_by(other).is_ok())
}

fn name(authority: &Authority, signer: Option<&Certificate>) -> String {
    let of = |certificate: &Certificate| certificate.subject().to_text();
    let name = match authority.uri.as_str() {
        "" => signer.or(authority.chain.first()).map(of).unwrap_or_default(),
        uri => uri.to_owned(),
    };
    reason::printable(&name, 128)
}

#[cfg(test)]
mod tests;
