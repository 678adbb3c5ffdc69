//! The decision table: from what OCSP and CRLs say of each certificate to what that means for the chain.
//!
//! | OCSP | CRL | the certificate |
//! |---|---|---|
//! | revoked | not asked | revoked |
//! | good | not asked | good |
//! | unknown | good · revoked · else | good · revoked · unknown |
//! | unavailable | good · revoked · else | good · revoked · unavailable |
//! | unnamed | any | what the CRL says; unnamed too: it cannot be revoked |
//!
//! Of a chain: one revoked certificate is a no, then a definite unknown, then one of which nothing could be had is an
//! open question.
//!
//! Rule: `notation.md` 3.5, and "what counts as what": a rejection needs a fresh statement from an authorised signer.

use time::OffsetDateTime;

use super::config::NoMethod;
use crate::{
    reason::{Code, printable},
    verifier::Until,
};

/// What one source says of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Not revoked; until when that may be relied on.
    Good(OffsetDateTime),
    /// Revoked, or on hold.
    Revoked(String),
    /// No statement could be had.
    Unavailable(String),
    /// The responder says that it does not know the certificate.
    Unknown(String),
    /// There is nobody to ask.
    Unnamed,
}

/// What is known of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Good(OffsetDateTime),
    /// It names nobody to ask.
    NonRevokable,
    Revoked(String),
    Unavailable(String),
    Unknown(String),
}

/// Whether CRLs are to be asked after what OCSP said (item 91).
pub(super) const fn wants_crl(ocsp: &Word) -> bool {
    match ocsp {
        Word::Good(_) | Word::Revoked(_) => false,
        Word::Unavailable(_) | Word::Unknown(_) | Word::Unnamed => true,
    }
}

/// The table above. Returns also the note that CRLs stood in for OCSP.
pub(super) fn standing(ocsp: Word, crl: Word) -> (Standing, Option<String>) {
    match (ocsp, crl) {
        (Word::Revoked(how), _) | (Word::Unavailable(_) | Word::Unknown(_) | Word::Unnamed, Word::Revoked(how)) => {
            (Standing::Revoked(how), None)
        }
        (Word::Good(until), _) | (Word::Unnamed, Word::Good(until)) => (Standing::Good(until), None),
        (Word::Unavailable(why) | Word::Unknown(why), Word::Good(until)) => (Standing::Good(until), Some(why)),
        (Word::Unnamed, Word::Unnamed) => (Standing::NonRevokable, None),
        (Word::Unknown(why), Word::Unavailable(also)) => (Standing::Unknown(format!("{why}; {also}")), None),
        (Word::Unknown(why), Word::Unknown(_) | Word::Unnamed)
        | (Word::Unavailable(_) | Word::Unnamed, Word::Unknown(why)) => (Standing::Unknown(why), None),
        (Word::Unavailable(why), Word::Unavailable(also)) => (Standing::Unavailable(format!("{why}; {also}")), None),
        (Word::Unavailable(why), Word::Unnamed) | (Word::Unnamed, Word::Unavailable(why)) => {
            (Standing::Unavailable(why), None)
        }
    }
}

/// By what a certificate's standing is known: `ocsp`, `crl`, or `none`.
pub(super) const fn method(ocsp: &Word, crl: &Word) -> &'static str {
    match (ocsp, crl) {
        (Word::Unavailable(_) | Word::Unknown(_) | Word::Unnamed, Word::Good(_) | Word::Revoked(_)) => "crl",
        (Word::Good(_) | Word::Revoked(_) | Word::Unknown(_), _) => "ocsp",
        (Word::Unavailable(_) | Word::Unnamed, _) => "none",
    }
}

/// What is known of one certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct CertificateRevocation {
    /// From the leaf, which is 0.
    pub(super) position: usize,
    /// Its subject.
    pub(super) subject: String,
    pub(super) standing: Standing,
    /// By what that is known.
    pub(super) method: &'static str,
    /// Why CRLs stood in for OCSP.
    pub(super) fallback: Option<String>,
}

/// What is known of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct ChainRevocation {
    /// All but the root, leaf first.
    pub(super) certificates: Vec<CertificateRevocation>,
    /// When it would be asked again, where something may have changed by then.
    pub(super) again: Until,
    /// What becomes of certificates that name nobody to ask.
    pub(super) no_method: NoMethod,
}

/// Why a chain is not known to be good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Trouble {
    /// [`Code::Revoked`], [`Code::RevocationUnknown`], or, as an open question, [`Code::RevocationUnavailable`].
    pub(in super::super) code: Code,
    /// Which certificate and why.
    pub(in super::super) reason: String,
}

impl ChainRevocation {
    /// What it means. `Ok`: what a reader should know beside it.
    ///
    /// # Errors
    /// [`Trouble`]: the worst of what was found.
    pub(in super::super) fn judge(&self) -> Result<Vec<String>, Trouble> {
        let mut trouble: Option<Trouble> = None;
        let mut warnings = Vec::new();
        for certificate in &self.certificates {
            let CertificateRevocation { position, subject, standing, fallback, method: _ } = certificate;
            let who = format!("certificate {position} ({:?})", printable(subject, 128));
            let found = match standing {
                Standing::Good(_) => {
                    if let Some(why) = fallback {
                        warnings.push(format!("{who}: the CRL stood in for OCSP: {why}"));
                    }
                    continue;
                }
                Standing::NonRevokable => match self.no_method {
                    NoMethod::Allow => continue,
                    NoMethod::Deny => {
                        let reason = format!("{who} names no revocation server, which noMethod denies");
                        Trouble { code: Code::RevocationUnknown, reason }
                    }
                    NoMethod::Warn => {
                        warnings.push(format!("{who} names no revocation server: it cannot be revoked"));
                        continue;
                    }
                },
                Standing::Revoked(how) => Trouble { code: Code::Revoked, reason: format!("{who} is revoked: {how}") },
                Standing::Unknown(why) => {
                    let reason = format!("{who} is unknown to those who should know it: {why}");
                    Trouble { code: Code::RevocationUnknown, reason }
                }
                Standing::Unavailable(why) => {
                    let reason = format!("whether {who} is revoked could not be found out: {why}");
                    Trouble { code: Code::RevocationUnavailable, reason }
                }
            };
            if trouble.as_ref().is_none_or(|known| weight(found.code) > weight(known.code)) {
                trouble = Some(found);
            }
        }
        trouble.map_or(Ok(warnings), Err)
    }

    /// By what the standing of each is known, leaf first; for the report (REV-01).
    pub(in super::super) fn methods(&self) -> Vec<&'static str> {
        self.certificates.iter().map(|certificate| certificate.method).collect()
    }

    /// Until when it stays true: the evidence's own end, or when it would be asked again.
    pub(in super::super) fn valid_until(&self) -> Until {
        let ends = self.certificates.iter().filter_map(|certificate| match &certificate.standing {
            Standing::Good(until) => Some(*until),
            Standing::NonRevokable | Standing::Revoked(_) | Standing::Unavailable(_) | Standing::Unknown(_) => None,
        });
        ends.chain(self.again).min()
    }
}

fn weight(code: Code) -> u8 {
    if code == Code::Revoked { 2 } else { u8::from(code == Code::RevocationUnknown) }
}

#[cfg(test)]
mod tests;
