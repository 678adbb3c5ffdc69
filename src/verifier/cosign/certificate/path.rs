//! From a signer's certificate to an authority that is trusted, at each time at which it is known to have signed.
//!
//! The hybrid model: every certificate of the path, intermediates and anchor too, must be valid at *every* verified time, and the
//! authority must have been in use at each (R67 to R71; CVE-2026-24122). A path that merely exists is nothing.
//!
//! Rule: `sigstore.md` §2.2, §2.4; RFC 5280 §6.1.

use der::asn1::ObjectIdentifier;
use time::OffsetDateTime;

use super::CODE_SIGNING;
use crate::{
    crypto::{
        chain::{OutsideValidity, outside_validity},
        x509::{Certificate, KeyUsage, Name},
    },
    reason::{self, Code},
    verifier::cosign::{evidence::MAX_CHAIN, root::Authority},
};

const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Most signatures that are verified for one leaf. Certificates with one name and key would otherwise make as many paths as they
/// have orders (CVE-2026-32280 class); a real root has at most 7 authorities with 3 certificates each.
const MAX_SIGNATURES: usize = 100;

/// Where the certificates between a leaf and an anchor may come from.
#[derive(Debug, Clone, Copy)]
pub enum Intermediates<'a> {
    /// From the authority and, as with cosign's `--ca-roots`, from the item: for an operator's own authority. None of them is
    /// trusted; each must be signed by the next.
    AlsoFromItem(&'a [Certificate]),
    /// From the authority alone: for a trusted root of Sigstore, whatever chain an item brings.
    FromAuthority,
}

/// A path that holds at all times asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The `SubjectPublicKeyInfo` of the certificate that issued the leaf, as transmitted.
    pub issuer_spki: Vec<u8>,
    /// From the leaf to the anchor.
    pub certificates: Vec<Certificate>,
    /// The authority's place, for people.
    pub authority: String,
    /// SHA-256 of the anchor's `SubjectPublicKeyInfo`, as lower-case hex.
    pub anchor_spki_sha256: String,
}

/// Why no path holds: the fault of the one that came furthest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// An issuer that is no CA, or must not sign certificates for this.
    #[error("\"{subject}\" issued a certificate of the path and {fault}")]
    Ca {
        /// Its subject, escaped and bounded.
        subject: String,
        /// What about it.
        fault: CaFault,
    },
    /// No time at which to judge (R71). Never the present instead.
    #[error("no trusted time is known at which the certificate could have signed")]
    NoTime,
    /// The authority was not in use.
    #[error("authority \"{authority}\" was not in use at {moment}")]
    Retired {
        /// The authority.
        authority: String,
        /// The time.
        moment: OffsetDateTime,
    },
    /// More certificates than are looked at.
    #[error("the item has {count} certificates, the limit is {limit}")]
    TooMany {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// More signatures would have to be verified than anything genuine needs.
    #[error("finding a path takes more than {limit} signature checks")]
    TooMuchWork {
        /// The limit.
        limit: usize,
    },
    /// No authority issued it.
    #[error("no trusted authority issued the certificate, whose issuer is \"{issuer}\"")]
    Untrusted {
        /// The leaf's issuer, escaped and bounded.
        issuer: String,
    },
    /// A certificate that was not valid at one of the times.
    #[error("{0}")]
    Validity(OutsideValidity),
}

/// What an issuer lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaFault {
    /// A critical extension that is not understood.
    #[error("has critical extension {0}, which is not understood")]
    CriticalExtension(String),
    /// Purposes without codeSigning.
    #[error("has an extKeyUsage without codeSigning")]
    ExtendedKeyUsage,
    /// No keyCertSign.
    #[error("has no keyUsage keyCertSign")]
    KeyUsage,
    /// Constraints on names, which are not evaluated here.
    #[error("has nameConstraints, which are not supported")]
    NameConstraints,
    /// No cA.
    #[error("is no CA")]
    NoCa,
    /// More CAs below it than it allows.
    #[error("allows {allowed} CAs below it, the path has {found}")]
    PathLength {
        /// What `pathLenConstraint` says.
        allowed: usize,
        /// What the path has.
        found: usize,
    },
}

impl ChainFault {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Ca { .. } => Code::CertificateInvalid,
            Self::NoTime => Code::TimestampMissing,
            Self::Retired { .. } | Self::Untrusted { .. } => Code::Untrusted,
            Self::TooMany { .. } | Self::TooMuchWork { .. } => Code::LimitExceeded,
            Self::Validity(_) => Code::CertificateExpired,
        }
    }

    /// How far a path came. The furthest says most about what is wrong.
    const fn progress(&self) -> u8 {
        match self {
            Self::NoTime | Self::TooMany { .. } | Self::TooMuchWork { .. } => 0,
            Self::Untrusted { .. } => 1,
            Self::Ca { .. } => 2,
            Self::Retired { .. } => 3,
            Self::Validity(_) => 4,
        }
    }
}

/// Finds a path from `leaf` to one of `authorities` that holds at each of `times`. The leaf's own profile is
/// [`super::SigningCertificate`]'s.
///
/// An authority's anchor is the last certificate of its chain; how *it* was signed does not matter. The others, and those that
/// `intermediates` adds, are tried in any order.
///
/// # Errors
/// [`ChainFault`]; also where `times` is empty.
pub fn build_path(
    leaf: &Certificate,
    intermediates: Intermediates<'_>,
    authorities: &[Authority],
    times: &[OffsetDateTime],
) -> Result<Path, ChainFault> {
    if times.is_empty() {
        return Err(ChainFault::NoTime);
    }
    let from_item = match intermediates {
        Intermediates::AlsoFromItem(certificates) => certificates,
        Intermediates::FromAuthority => &[],
    };
    let (count, limit) = (from_item.len(), MAX_CHAIN);
    if count > limit {
        return Err(ChainFault::TooMany { count, limit });
    }
    let mut signatures_left = MAX_SIGNATURES;
    let mut furthest = ChainFault::Untrusted { issuer: brief(leaf.issuer()) };
    for authority in authorities {
        let Some((anchor, own)) = authority.chain.split_last() else { continue };
        let pool = own.iter().chain(from_item).collect();
        let mut search = Search { authority, anchor, pool, times, signatures_left: &mut signatures_left };
        match search.extend(&mut vec![leaf]) {
            Ok(path) => return Ok(path),
            Err(fault @ ChainFault::TooMuchWork { .. }) => return Err(fault),
            Err(fault) if fault.progress() > furthest.progress() => furthest = fault,
            Err(_) => {}
        }
    }
    Err(furthest)
}

/// The search below one authority: depth first, within a budget of signatures.
struct Search<'a, 'b> {
    authority: &'a Authority,
    anchor: &'a Certificate,
    pool: Vec<&'a Certificate>,
    times: &'a [OffsetDateTime],
    signatures_left: &'b mut usize,
}

impl<'a> Search<'a, '_> {
    /// Continues `path`, of which all but the last certificate are known to be signed by the next.
    fn extend(&mut self, path: &mut Vec<&'a Certificate>) -> Result<Path, ChainFault> {
        let Some(last) = path.last().copied() else { return Err(ChainFault::NoTime) };
        let mut furthest = ChainFault::Untrusted { issuer: brief(last.issuer()) };
        let above: Vec<_> = std::iter::once(self.anchor).chain(self.pool.iter().copied()).collect();
        for issuer in above {
            // A certificate stands in a path once, so a path is never longer than the pool.
            if path.contains(&issuer) || !self.issued(last, issuer)? {
                continue;
            }
            path.push(issuer);
            let found = if issuer == self.anchor { self.check(path) } else { self.extend(path) };
            path.pop();
            match found {
                Ok(path) => return Ok(path),
                Err(fault @ ChainFault::TooMuchWork { .. }) => return Err(fault),
                Err(fault) if fault.progress() > furthest.progress() => furthest = fault,
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    fn issued(&mut self, certificate: &Certificate, issuer: &Certificate) -> Result<bool, ChainFault> {
        if certificate.issuer() != issuer.subject() {
            return Ok(false);
        }
        let Some(left) = self.signatures_left.checked_sub(1) else {
            return Err(ChainFault::TooMuchWork { limit: MAX_SIGNATURES });
        };
        *self.signatures_left = left;
        Ok(certificate.verify_signed_by(issuer.public_key()).is_ok())
    }

    /// Judges a path whose names and signatures fit: what its CAs may do, then each time.
    fn check(&self, path: &[&Certificate]) -> Result<Path, ChainFault> {
        let [_, issuer, ..] = path else { return Err(ChainFault::NoTime) };
        for (below, ca) in path.iter().skip(1).enumerate() {
            check_ca(ca, below).map_err(|fault| ChainFault::Ca { subject: brief(ca.subject()), fault })?;
        }
        let certificates: Vec<Certificate> = path.iter().copied().cloned().collect();
        for moment in self.times {
            if !self.authority.window.contains(*moment) {
                let authority = reason::printable(&self.authority.uri, MAX_NAME_BYTES);
                return Err(ChainFault::Retired { authority, moment: *moment });
            }
            if let Some(outside) = outside_validity(&certificates, *moment) {
                return Err(ChainFault::Validity(outside));
            }
        }
        Ok(Path {
            issuer_spki: issuer.public_key().spki().to_vec(),
            certificates,
            authority: self.authority.uri.clone(),
            anchor_spki_sha256: self.anchor.spki_sha256(),
        })
    }
}

/// R66. `below`: the CAs between this one and the leaf.
fn check_ca(ca: &Certificate, below: usize) -> Result<(), CaFault> {
    let extensions = ca.extensions();
    if let Some(oid) = extensions.critical_beyond(&[]) {
        return Err(CaFault::CriticalExtension(oid));
    }
    // RFC 5280 §4.2.1.10 wants them critical, which the check above refuses; some are not, and are meant all the same.
    if extensions.value(NAME_CONSTRAINTS).is_some() {
        return Err(CaFault::NameConstraints);
    }
    let Some(constraints) = extensions.basic_constraints().filter(|constraints| constraints.ca) else {
        return Err(CaFault::NoCa);
    };
    if !extensions.has_key_usage(KeyUsage::KeyCertSign) {
        return Err(CaFault::KeyUsage);
    }
    if let Some(allowed) = constraints.path_length.map(usize::from).filter(|allowed| *allowed < below) {
        return Err(CaFault::PathLength { allowed, found: below });
    }
    match extensions.extended_key_usage() {
        Some(usage) if !usage.purposes.iter().any(|purpose| [CODE_SIGNING, ANY_PURPOSE].contains(purpose)) => {
            Err(CaFault::ExtendedKeyUsage)
        }
        Some(_) | None => Ok(()),
    }
}

/// Longest name in a message, so that it cannot push the fact out of a report.
const MAX_NAME_BYTES: usize = 128;

fn brief(name: &Name) -> String {
    reason::printable(&name.to_text(), MAX_NAME_BYTES)
}

#[cfg(test)]
mod tests;
