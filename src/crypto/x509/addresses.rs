//! Where a certificate says to ask whether it was revoked.
//!
//! The addresses are a stranger's until the certificate is trusted (REV-09), and few are read of each list. Only `http` URLs are
//! kept, in the characters of RFC 3986 and without user or password: `https` and `ldap` are not supported (D14).
//!
//! Rule: RFC 5280 §4.2.1.13, §4.2.1.15, §4.2.2.1; `notation.md` 3.5.

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
    asn1::{AnyRef, ObjectIdentifier},
};
use url::Url;

use super::{
    Certificate,
    extensions::{AUTHORITY_INFORMATION_ACCESS, CRL_DISTRIBUTION_POINTS, OCSP},
};
use crate::{crypto::read, reason::Code};

/// Most URLs that are kept of an OCSP list or a distribution point.
pub const MAX_URLS_PER_LIST: usize = 3;
/// Most URLs that are kept of a certificate; also the most distribution points, each of which needs one.
pub const MAX_URLS_PER_CERTIFICATE: usize = 8;
/// Longest URL that is kept; real ones have about 60 bytes.
const MAX_URL_BYTES: usize = 1024;

const FRESHEST_CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.46");
/// `uniformResourceIdentifier [6]`.
const URI: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber::N6 };

/// Where to ask whether a certificate was revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationAddresses {
    /// OCSP responders, in the certificate's order; `None` where it names none. May be empty: it names some, and none can be
    /// asked.
    pub ocsp: Option<Vec<Url>>,
    /// The CRL distribution points, in the certificate's order. All must answer (D9).
    pub points: Vec<DistributionPoint>,
    /// Whether the certificate itself says where delta CRLs are.
    pub names_freshest_crl: bool,
}

impl RevocationAddresses {
    /// Whether the certificate has no way to be revoked.
    pub const fn is_empty(&self) -> bool {
        self.ocsp.is_none() && self.points.is_empty()
    }
}

/// A place where a CRL is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionPoint {
    /// Its URLs, in the certificate's order: alternatives (D9). Empty where none can be asked.
    pub urls: Vec<Url>,
    /// Its full names, each as the DER of a `GeneralName`.
    pub(crate) names: Vec<Vec<u8>>,
    /// Whether its CRL covers some reasons only.
    pub(crate) partial: bool,
    /// Whether it names who issues the CRL, which is then not the certificate's issuer.
    pub(crate) indirect: bool,
}

/// Why a certificate's revocation addresses cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// An extension that cannot be read.
    #[error("certificate has malformed {name}")]
    Malformed {
        /// Which.
        name: &'static str,
        /// Why.
        source: der::Error,
    },
    /// Too many distribution points, all of which would have to answer.
    #[error("certificate has {count} CRL distribution points, the limit is {limit}")]
    TooMany {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

impl AddressError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } | Self::TooMany { .. } => Code::RevocationUnavailable,
        }
    }
}

impl Certificate {
    /// Where the certificate says to ask whether it was revoked.
    ///
    /// At most [`MAX_URLS_PER_LIST`] URLs of the OCSP list and of each distribution point, and [`MAX_URLS_PER_CERTIFICATE`] of
    /// all; what is beyond is left out, so that a point may be left without any.
    ///
    /// # Errors
    /// [`AddressError`]: there may be addresses, and they cannot be read.
    pub fn revocation_addresses(&self) -> Result<RevocationAddresses, AddressError> {
        let broken = |name| move |source| AddressError::Malformed { name, source };
        let extensions = self.extensions();
        let mut left = MAX_URLS_PER_CERTIFICATE;
        let ocsp = match extensions.value(AUTHORITY_INFORMATION_ACCESS) {
            Some(value) => ocsp_urls(value, &mut left).map_err(broken("authority information access"))?,
            None => None,
        };
        let points = match extensions.value(CRL_DISTRIBUTION_POINTS) {
            Some(value) => distribution_points(value, &mut left).map_err(broken("CRL distribution points"))?,
            None => Vec::new(),
        };
        let (count, limit) = (points.len(), MAX_URLS_PER_CERTIFICATE);
        if count > limit {
            return Err(AddressError::TooMany { count, limit });
        }
        Ok(RevocationAddresses { ocsp, points, names_freshest_crl: self.names_freshest_crl() })
    }

    /// Whether the certificate itself says where delta CRLs are.
    pub(crate) fn names_freshest_crl(&self) -> bool {
        self.extensions().value(FRESHEST_CRL).is_some()
    }
}

/// The URLs in the value of a CRL's `freshestCRL`: alternatives.
pub(crate) fn freshest_urls(value: &[u8]) -> der::Result<Vec<Url>> {
    let mut left = MAX_URLS_PER_LIST;
    Ok(distribution_points(value, &mut left)?.into_iter().flat_map(|point| point.urls).collect())
}

fn ocsp_urls(value: &[u8], left: &mut usize) -> der::Result<Option<Vec<Url>>> {
    let mut list = read::only_sequence(value)?;
    let mut urls = None;
    while !list.is_finished() {
        let mut description = read::content(&mut list, Tag::Sequence)?;
        let method = read::value(&mut description, Tag::ObjectIdentifier)?;
        let location = AnyRef::decode(&mut description)?;
        description.finish(())?;
        if method == OCSP.as_bytes() {
            keep(urls.get_or_insert_default(), location, left);
        }
    }
    Ok(urls)
}

fn distribution_points(value: &[u8], left: &mut usize) -> der::Result<Vec<DistributionPoint>> {
    let mut list = read::only_sequence(value)?;
    let mut points = Vec::new();
    // RFC 5280 §4.2.1.13: SIZE (1..MAX).
    loop {
        points.push(distribution_point(read::content(&mut list, Tag::Sequence)?, left)?);
        if list.is_finished() {
            return Ok(points);
        }
    }
}

fn distribution_point(mut fields: SliceReader<'_>, left: &mut usize) -> der::Result<DistributionPoint> {
    let mut point = DistributionPoint { urls: Vec::new(), names: Vec::new(), partial: false, indirect: false };
    if let Some(mut name) = read::optional(&mut fields, read::context(TagNumber::N0))? {
        // A name relative to the issuer is no address, and no CRL's scope is compared with it: the point stays nameless.
        if let Some(names) = read::optional(&mut name, read::context(TagNumber::N0))? {
            for location in general_names(names)? {
                keep(&mut point.urls, location, left);
                point.names.push(der::Encode::to_der(&location)?);
            }
        } else {
            read::content(&mut name, read::context(TagNumber::N1))?;
        }
        name.finish(())?;
    }
    let reasons = Tag::ContextSpecific { constructed: false, number: TagNumber::N1 };
    if !fields.is_finished() && fields.peek_tag()? == reasons {
        read::value(&mut fields, reasons)?;
        point.partial = true;
    }
    point.indirect = read::optional(&mut fields, read::context(TagNumber::N2))?.is_some();
    fields.finish(point)
}

/// The names of a `GeneralNames` whose content `list` is; at least one.
pub(crate) fn general_names(mut list: SliceReader<'_>) -> der::Result<Vec<AnyRef<'_>>> {
    let mut names = vec![AnyRef::decode(&mut list)?];
    while !list.is_finished() {
        names.push(AnyRef::decode(&mut list)?);
    }
    Ok(names)
}

fn keep(urls: &mut Vec<Url>, location: AnyRef<'_>, left: &mut usize) {
    if urls.len() >= MAX_URLS_PER_LIST || location.tag() != URI {
        return;
    }
    let Some(remaining) = left.checked_sub(1) else { return };
    if let Some(url) = http_url(location.value()) {
        urls.push(url);
        *left = remaining;
    }
}

/// `None`: another scheme, relative, with a user, too long, or with characters that no URL has. The last is judged before
/// parsing, which would drop line breaks and read `\` as `/`.
fn http_url(bytes: &[u8]) -> Option<Url> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(byte);
    if bytes.len() > MAX_URL_BYTES || !bytes.iter().all(allowed) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (scheme, _) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    plain.then_some(url)
}

#[cfg(test)]
mod tests;
