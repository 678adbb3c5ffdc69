//! Whether a chain's certificates are valid at a moment: a step of its own, since its moment differs by scheme.

use std::fmt;

use time::OffsetDateTime;

use super::Place;
use crate::crypto::x509::Certificate;

/// Which end of a validity period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Valid until.
    NotAfter,
    /// Valid from.
    NotBefore,
}

/// A certificate that is not valid at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideValidity {
    /// Which certificate.
    pub at: Place,
    /// Which of its bounds.
    pub bound: Bound,
    /// The bound.
    pub instant: OffsetDateTime,
    /// The moment that lies outside.
    pub moment: OffsetDateTime,
}

impl fmt::Display for OutsideValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, bound, instant, moment } = self;
        let said = match bound {
            Bound::NotAfter => "was valid until",
            Bound::NotBefore => "is valid from",
        };
        write!(f, "{at} {said} {instant}, not at {moment}")
    }
}

/// The first certificate, leaf first, that is not valid at `moment`; both ends of a validity period count as valid. The
/// root is judged like all others, and periods need not be nested.
pub fn outside_validity(certificates: &[Certificate], moment: OffsetDateTime) -> Option<OutsideValidity> {
    certificates.iter().enumerate().find_map(|(position, certificate)| {
        let (bound, instant) = if moment < certificate.not_before() {
            (Bound::NotBefore, certificate.not_before())
        } else if moment > certificate.not_after() {
            (Bound::NotAfter, certificate.not_after())
        } else {
            return None;
        };
        Some(OutsideValidity { at: Place::of(position, certificate), bound, instant, moment })
    })
}
