//! `issuingDistributionPoint`: which certificates a list is about.
//!
//! Lists that are about some reasons only, about attribute certificates, or about certificates of other authorities are
//! supported in no case (D12). A list of another distribution point than the certificate's says nothing, else one part of a
//! divided list could be served for another (RUSTSEC-2026-0049).
//!
//! Rule: RFC 5280 §5.2.5, §6.3.3 (b)(2).

use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, asn1::AnyRef};

use super::error::CrlError;
use crate::crypto::{
    read,
    x509::{self, Certificate, DistributionPoint},
};

/// An `IssuingDistributionPoint`.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// As transmitted: a delta's must be the same.
    bytes: Vec<u8>,
    names: Option<Vec<Vec<u8>>>,
    only_users: bool,
    only_authorities: bool,
    /// Why it covers no certificate that is asked for here.
    never: Option<&'static str>,
}

impl Scope {
    pub(super) fn read(value: &[u8]) -> der::Result<Self> {
        let mut fields = read::only_sequence(value)?;
        let names = match read::optional(&mut fields, read::context(TagNumber::N0))? {
            Some(mut name) => Some(point_names(&mut name).and_then(|names| name.finish(names))?),
            None => None,
        };
        let only_users = flag(&mut fields, TagNumber::N1)?;
        let only_authorities = flag(&mut fields, TagNumber::N2)?;
        let some_reasons = next_is(&fields, TagNumber::N3)?;
        if some_reasons {
            AnyRef::decode(&mut fields)?;
        }
        let indirect = flag(&mut fields, TagNumber::N4)?;
        let only_attributes = flag(&mut fields, TagNumber::N5)?;
        fields.finish(())?;
        let never = if indirect {
            Some("it lists certificates of other authorities")
        } else if some_reasons {
            Some("it is for some reasons only")
        } else if only_attributes {
            Some("it is for attribute certificates only")
        } else {
            None
        };
        Ok(Self { bytes: value.to_vec(), names, only_users, only_authorities, never })
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Checks that a list with `scope` covers `certificate`, as far as its distribution point `point` is concerned. `None`: the
/// list did not come from a point of the certificate.
pub(super) fn check(
    scope: Option<&Scope>,
    certificate: &Certificate,
    point: Option<&DistributionPoint>,
) -> Result<(), CrlError> {
    let refused = |what| Err(CrlError::Scope { what });
    match point {
        Some(point) if point.partial => return refused("the distribution point is for some reasons only"),
        Some(point) if point.indirect => return refused("the distribution point is of another authority"),
        Some(_) | None => {}
    }
    let Some(scope) = scope else { return Ok(()) };
    if let Some(what) = scope.never {
        return refused(what);
    }
    if scope.only_users && certificate.is_ca() {
        return refused("it is for end entities only");
    }
    if scope.only_authorities && !certificate.is_ca() {
        return refused("it is for authorities only");
    }
    let Some(names) = &scope.names else { return Ok(()) };
    if point.is_some_and(|point| point.names.iter().any(|name| names.contains(name))) {
        return Ok(());
    }
    refused("it is of another distribution point")
}

/// A name relative to the issuer matches nothing.
fn point_names(name: &mut SliceReader<'_>) -> der::Result<Vec<Vec<u8>>> {
    if let Some(names) = read::optional(name, read::context(TagNumber::N0))? {
        return x509::general_names(names)?.iter().map(der::Encode::to_der).collect();
    }
    read::content(name, read::context(TagNumber::N1))?;
    Ok(Vec::new())
}

/// A BOOLEAN that is FALSE where it is absent. One that says FALSE is not DER, and harmless.
fn flag(fields: &mut SliceReader<'_>, number: TagNumber) -> der::Result<bool> {
    if !next_is(fields, number)? {
        return Ok(false);
    }
    match AnyRef::decode(fields)?.value() {
        [0] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(Tag::Boolean.value_error()),
    }
}

fn next_is(fields: &SliceReader<'_>, number: TagNumber) -> der::Result<bool> {
    Ok(!fields.is_finished() && fields.peek_tag()? == Tag::ContextSpecific { constructed: false, number })
}
