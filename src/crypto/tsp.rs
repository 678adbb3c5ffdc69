//! RFC 3161 timestamp tokens: CMS signed data over a `TSTInfo`.
//!
//! ```text
//! TimeStampResp ─from_response─┐                       ┌─ named by the SignerInfo, on a path to an anchor
//! ContentInfo ───from_token────┴─► Timestamp ──verify──┼─ its key signed, its hash is the signed one (ESSCertID)      ─► VerifiedTime
//!                                                      └─ profile of all, validity of all at genTime, imprint
//! ```
//!
//! Certificates of the token are a stranger's: they help to find a path and are never trusted (COS-16). What a token says is
//! used only after its signature was verified, over the bytes as transmitted.
//!
//! Rule: RFC 3161 §2.4.2, RFC 5816, RFC 5652 §5, RFC 5035 §5.4.

use std::time::Duration;

use der::asn1::{AnyRef, ObjectIdentifier};
use time::OffsetDateTime;

use super::{scheme::HashAlgorithm, x509::Certificate};

mod attributes;
mod cms;
mod error;
mod info;
mod path;
mod signer;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use cms::SignerId;
use cms::{SignedData, SignerInfo};
pub use error::TspError;
pub use info::Imprint;
use info::TstInfo;

/// Largest token or response that is read. Real ones have 1 to 8 KiB.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// Most certificates in a token, and in a path (`threats.md` 1.2).
pub const MAX_CERTIFICATES: usize = 10;

/// A timestamp token that was read, not yet one that is believed.
#[derive(Debug, Clone)]
pub struct Timestamp {
    data: SignedData,
    info: TstInfo,
}

/// By whose rules a token is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The Notary Project's: the signer is named by issuer and serial number, the token must name its certificate by
    /// `SigningCertificateV2`, `keyUsage` must be there, extensions that are not understood are ignored, and of several
    /// signers one that holds is enough (`notation.md` 3.3, 3.4).
    Notary,
    /// RFC 5280 path validation; a certificate that the token names must be the signer's, of which there is one.
    Sigstore,
}

/// What becomes of the certificates in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embedded {
    /// They are left aside: signer and path are known.
    Ignore,
    /// They may be the signer's, or help to build a path.
    Use,
}

/// What a token is verified against.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// Authorities that are trusted: where a path ends.
    pub anchors: &'a [Certificate],
    /// Other certificates that may be the signer's, or help to build a path.
    pub known: &'a [Certificate],
    /// Whether the token's own certificates may, too.
    pub embedded: Embedded,
    /// The rules.
    pub profile: Profile,
}

/// A time that a trusted authority signed for a message. [`Timestamp::verify`] is the only constructor.
#[derive(Debug, Clone)]
pub struct VerifiedTime {
    time: OffsetDateTime,
    accuracy: Duration,
    chain: Vec<Certificate>,
}

impl VerifiedTime {
    /// `genTime`.
    pub const fn time(&self) -> OffsetDateTime {
        self.time
    }

    /// How far the time may be off, either way.
    pub const fn accuracy(&self) -> Duration {
        self.accuracy
    }

    /// The authority's certificates: the signer's first, the anchor last; at least two.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }
}

impl Timestamp {
    /// Parses a DER `TimeStampResp` whose status is granted, or granted with modifications.
    ///
    /// # Errors
    /// [`TspError`]: more than [`MAX_TOKEN_BYTES`] or [`MAX_CERTIFICATES`], BER, trailing bytes, another status, no token.
    ///
    /// Rule: RFC 3161 §2.4.2.
    pub fn from_response(der: &[u8]) -> Result<Self, TspError> {
        bounded(der)?;
        Self::read(cms::token_of_response(der)?)
    }

    /// Parses a bare DER token (`ContentInfo`).
    ///
    /// # Errors
    /// [`TspError`], as of [`Self::from_response`].
    pub fn from_token(der: &[u8]) -> Result<Self, TspError> {
        bounded(der)?;
        Self::read(der)
    }

    fn read(token: &[u8]) -> Result<Self, TspError> {
        let data = SignedData::read(token)?;
        let info = TstInfo::read(&data.content)?;
        Ok(Self { data, info })
    }

    /// `genTime`, with its fraction of a second.
    pub const fn time(&self) -> OffsetDateTime {
        self.info.time
    }

    /// How far the time may be off, either way: what the token says; a second where it says nothing under ETSI's policy for
    /// best practice; else nothing.
    ///
    /// Rule: RFC 3161 §2.4.2; ETSI EN 319 421; `notation.md` 3.4 step 4.
    pub const fn accuracy(&self) -> Duration {
        self.info.accuracy
    }

    /// What was timestamped.
    pub const fn imprint(&self) -> &Imprint {
        &self.info.imprint
    }

    /// The certificates in the token, in its order. A stranger's.
    pub fn certificates(&self) -> &[Certificate] {
        &self.data.certificates
    }

    /// Whom the token names as its signers: one, as a rule.
    pub fn signers(&self) -> impl Iterator<Item = &SignerId> {
        self.data.signers.iter().map(|signer| &signer.id)
    }

    /// Checks that the imprint is one of `message`, by SHA-256, SHA-384 or SHA-512.
    ///
    /// # Errors
    /// [`TspError::ImprintAlgorithm`] (SHA-1 and all others), [`TspError::Imprint`].
    pub fn check_imprint(&self, message: &[u8]) -> Result<(), TspError> {
        let Imprint { algorithm, hash, digest } = &self.info.imprint;
        let Some(hash) = hash else { return Err(TspError::ImprintAlgorithm { algorithm: *algorithm }) };
        if hash.digest(message).as_ref() == digest.as_slice() { Ok(()) } else { Err(TspError::Imprint { hash: *hash }) }
    }

    /// Checks that `certificate` is the one that the token names as its only signer's, that its key signed the token, and
    /// that it is the one whose hash is signed, where one is. Says nothing about trust or time.
    ///
    /// # Errors
    /// [`TspError`].
    pub fn check_signed_by(&self, certificate: &Certificate) -> Result<(), TspError> {
        signer::check(&self.data, self.data.only_signer()?, certificate, Profile::Sigstore)
    }

    /// Verifies that an authority of `trust` signed a time for `message`.
    ///
    /// The signer is the certificate that the token names, wherever it stands; its path to an anchor, the signature, the signed
    /// certificate hash, the certificates' profile, their validity at `genTime` (both ends count) and the imprint must all
    /// hold. Bounded: at most 64 signatures are verified to find paths.
    ///
    /// # Errors
    /// [`TspError`]. [`TspError::SignerUnknown`] and [`TspError::NoPath`] say that the token is of an authority that is not
    /// trusted; all others that it is of one and does not fit.
    pub fn verify(&self, message: &[u8], trust: &Trust<'_>) -> Result<VerifiedTime, TspError> {
        let signers = match trust.profile {
            Profile::Notary => self.data.signers.as_slice(),
            Profile::Sigstore => std::slice::from_ref(self.data.only_signer()?),
        };
        let mut refused = None;
        for signer in signers {
            for certificate in signer::candidates(&self.data, signer, trust) {
                let error = match self.judge(signer, certificate, message, trust) {
                    Ok(verified) => return Ok(verified),
                    Err(error) => error,
                };
                // What is wrong with a signer on a path to an anchor says more than that another has none.
                if matches!(refused, None | Some(TspError::SignerUnknown { .. } | TspError::NoPath { .. })) {
                    refused = Some(error);
                }
            }
            refused.get_or_insert_with(|| TspError::SignerUnknown { signer: signer.id.to_string() });
        }
        Err(refused.unwrap_or(TspError::Signers { count: 0 }))
    }

    fn judge(
        &self,
        signer: &SignerInfo,
        certificate: &Certificate,
        message: &[u8],
        trust: &Trust<'_>,
    ) -> Result<VerifiedTime, TspError> {
        let paths = path::find(certificate, self.certificates(), trust)?;
        signer::check(&self.data, signer, certificate, trust.profile)?;
        let chain = paths.first_that_fits(trust.profile, &self.moments(signer))?;
        self.check_imprint(message)?;
        Ok(VerifiedTime { time: self.time(), accuracy: self.accuracy(), chain })
    }

    /// When the certificates must be valid: at `genTime`, and when the signer says to have signed, where it does.
    fn moments(&self, signer: &SignerInfo) -> Vec<OffsetDateTime> {
        [Some(self.time()), signer.attributes.signing_time].into_iter().flatten().collect()
    }
}

fn bounded(der: &[u8]) -> Result<(), TspError> {
    let (size, limit) = (der.len(), MAX_TOKEN_BYTES);
    if size > limit { Err(TspError::TooLarge { size, limit }) } else { Ok(()) }
}

/// SHA-256, SHA-384 or SHA-512 by its OID, with parameters that are NULL or absent.
fn hash_of(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>) -> Option<HashAlgorithm> {
    const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
    const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
    const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
    match oid {
        _ if !parameters.is_none_or(AnyRef::is_null) => None,
        SHA256 => Some(HashAlgorithm::Sha256),
        SHA384 => Some(HashAlgorithm::Sha384),
        SHA512 => Some(HashAlgorithm::Sha512),
        _ => None,
    }
}
