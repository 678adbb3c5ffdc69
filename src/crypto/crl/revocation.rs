//! What a revocation says: when, why, since when the key was in doubt. OCSP responses say it in the same words.

use std::fmt;

use der::{Reader as _, SliceReader, Tag};
use time::OffsetDateTime;

use crate::crypto::{read, x509::Certificate};

/// `CRLReason`.
///
/// Rule: RFC 5280 §5.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// None is given, or 0.
    Unspecified,
    /// 1.
    KeyCompromise,
    /// 2.
    CaCompromise,
    /// 3.
    AffiliationChanged,
    /// 4.
    Superseded,
    /// 5.
    CessationOfOperation,
    /// 6: may be taken back.
    CertificateHold,
    /// 8: takes a hold back.
    RemoveFromCrl,
    /// 9.
    PrivilegeWithdrawn,
    /// 10.
    AaCompromise,
    /// A number that the standard does not have; revoked all the same.
    Other(u8),
}

impl Reason {
    pub(crate) const fn of(number: u8) -> Self {
        match number {
            0 => Self::Unspecified,
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            8 => Self::RemoveFromCrl,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            other => Self::Other(other),
        }
    }

    /// Reads the ENUMERATED that is all of `reader`.
    pub(crate) fn read(mut reader: SliceReader<'_>) -> der::Result<Self> {
        match read::value(&mut reader, Tag::Enumerated)? {
            [number @ 0..=0x7f] => reader.finish(Self::of(*number)),
            _ => Err(Tag::Enumerated.value_error()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
            Self::Other(number) => return write!(f, "reason {number}"),
        })
    }
}

/// That a certificate was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Since when.
    pub date: OffsetDateTime,
    /// Why.
    pub reason: Reason,
    /// Since when the key is known or suspected to be in other hands.
    pub invalidity_date: Option<OffsetDateTime>,
}

impl Revocation {
    /// Whether the revocation does not concern what was signed at `signing_time`, an authentic one (`signingAuthority`): it was
    /// before `invalidityDate`.
    pub(crate) fn spares(&self, signing_time: Option<OffsetDateTime>) -> bool {
        matches!((signing_time, self.invalidity_date), (Some(signed), Some(invalid)) if signed < invalid)
    }
}

impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revoked at {} ({})", self.date, self.reason)
    }
}

/// The value of an `invalidityDate` extension.
pub(crate) fn invalidity_date(value: &[u8]) -> der::Result<OffsetDateTime> {
    let mut reader = SliceReader::new(value)?;
    let date = read::generalized_time(&mut reader)?;
    reader.finish(date)
}

/// Of whom and for when a question is asked. The caller has checked that `issuer` issued `certificate`.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Whose revocation.
    pub certificate: &'a Certificate,
    /// The certificate of the authority that issued it.
    pub issuer: &'a Certificate,
    /// When.
    pub now: OffsetDateTime,
    /// The authentic signing time of scheme `signingAuthority`; never a claimed one (D10, item 98).
    pub signing_time: Option<OffsetDateTime>,
}
