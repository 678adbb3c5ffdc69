//! Certificate revocation lists: complete ones and deltas, of the authority that issued the certificates they list.
//!
//! ```text
//! Bytes ──parse──► Crl ──verify(issuer)──► VerifiedCrl ──lookup(question)──► Listing
//!                   └──────with_delta(delta)──┘
//! ```
//!
//! Parsing walks over all entries once, without keeping any; the bytes stay as they are, shared. What depends on time is
//! judged when a question is asked, so a verified list can be kept and asked again. A [`Listing`] is definite; a [`CrlError`]
//! says nothing about the certificate.
//!
//! Parsing and verifying 32 MiB take some tenths of a second: not for a thread that others wait for.
//!
//! Rule: RFC 5280 §5, §6.3.3; `notation.md` 3.5.

use bytes::Bytes;
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, asn1::BitStringRef};
use time::OffsetDateTime;
use url::Url;

use super::{
    read,
    x509::{Certificate, Name},
};

mod entries;
mod error;
mod extensions;
mod revocation;
mod scope;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod verified;

pub use error::CrlError;
use error::malformed;
use extensions::Extensions;
pub use extensions::Number;
pub(crate) use revocation::invalidity_date;
pub use revocation::{Question, Reason, Revocation};
pub use verified::{Listing, VerifiedCrl};

/// Largest CRL that is read (`notation.md` 3.6).
pub const MAX_CRL_BYTES: usize = 32 * 1024 * 1024;

/// A CRL that was read, not yet one that is believed. Clones share its bytes.
#[derive(Clone)]
pub struct Crl {
    /// `TBSCertList`, as transmitted.
    signed: Bytes,
    /// The DER `AlgorithmIdentifier`.
    algorithm: Bytes,
    signature: Bytes,
    issuer: Name,
    this_update: OffsetDateTime,
    next_update: Option<OffsetDateTime>,
    /// The content of `revokedCertificates`; empty where there is none.
    entries: Bytes,
    extensions: Extensions,
}

impl Crl {
    /// Parses exactly one DER CRL of version 2. Its bytes are shared, not copied.
    ///
    /// # Errors
    /// [`CrlError`]: more than [`MAX_CRL_BYTES`], BER, trailing bytes, another version, no `cRLNumber`, an extension twice, a
    /// critical one that is not understood, on the list or on any entry (RFC 5280 §5.3).
    pub fn parse(der: &Bytes) -> Result<Self, CrlError> {
        let (size, limit) = (der.len(), MAX_CRL_BYTES);
        if size > limit {
            return Err(CrlError::TooLarge { size, limit });
        }
        let (signed, algorithm, signature) = split(der).map_err(malformed("outer sequence"))?;
        let mut fields = read::only_sequence(signed).map_err(malformed("signed part"))?;
        // Version 1 has no version, and none of the extensions that are needed.
        let version = if fields.peek_tag().map_err(malformed("version"))? == Tag::Integer {
            u8::decode(&mut fields).map_err(malformed("version"))?
        } else {
            0
        };
        if version != 1 {
            return Err(CrlError::Version);
        }
        if fields.tlv_bytes().map_err(malformed("signature algorithm"))? != algorithm {
            return Err(CrlError::Algorithms);
        }
        let issuer = fields.tlv_bytes().and_then(Name::parse).map_err(malformed("issuer"))?;
        let this_update = read::time(&mut fields).map_err(malformed("thisUpdate"))?;
        let next_update = next_update(&mut fields).map_err(malformed("nextUpdate"))?;
        let entries = revoked(&mut fields).map_err(malformed("revoked certificates"))?;
        entries::walk(entries, |_| ())?;
        let extensions = Extensions::read(&mut fields)?;
        fields.finish(()).map_err(malformed("signed part"))?;
        let [signed, algorithm, signature, entries] =
            [signed, algorithm, signature, entries].map(|part| der.slice_ref(part));
        Ok(Self { signed, algorithm, signature, issuer, this_update, next_update, entries, extensions })
    }

    /// Who is said to have issued it.
    pub const fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// Since when it is true.
    pub const fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    /// Until when it can be used.
    pub const fn next_update(&self) -> Option<OffsetDateTime> {
        self.next_update
    }

    /// `cRLNumber`.
    pub const fn number(&self) -> &Number {
        &self.extensions.number
    }

    /// Whether it only says what has changed since another.
    pub const fn is_delta(&self) -> bool {
        self.extensions.delta_base.is_some()
    }

    /// Where the list says that its deltas are: alternatives, perhaps none that can be asked. `None`: it has no deltas.
    pub fn delta_urls(&self) -> Option<&[Url]> {
        self.extensions.freshest.as_deref()
    }

    /// Verifies that `issuer` issued this complete list. Nothing is said about time.
    ///
    /// # Errors
    /// [`CrlError`]: another name, no `cRLSign`, a wrong signature, a delta.
    pub fn verify(&self, issuer: &Certificate) -> Result<VerifiedCrl, CrlError> {
        VerifiedCrl::of(self, issuer)
    }
}

impl std::fmt::Debug for Crl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crl({:?}, {} bytes of entries)", self.issuer.to_text(), self.entries.len())
    }
}

/// What is signed (with its header), the algorithm (with its header), the signature.
fn split(der: &[u8]) -> der::Result<(&[u8], &[u8], &[u8])> {
    let mut outer = read::only_sequence(der)?;
    let signed = outer.tlv_bytes()?;
    let algorithm = outer.tlv_bytes()?;
    let signature = BitStringRef::decode(&mut outer)?;
    let signature = signature.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
    outer.finish((signed, algorithm, signature))
}

fn next_update(fields: &mut SliceReader<'_>) -> der::Result<Option<OffsetDateTime>> {
    if fields.is_finished() || !matches!(fields.peek_tag()?, Tag::UtcTime | Tag::GeneralizedTime) {
        return Ok(None);
    }
    read::time(fields).map(Some)
}

/// The content of `revokedCertificates`.
fn revoked<'a>(fields: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    if fields.is_finished() || fields.peek_tag()? != Tag::Sequence {
        return Ok(&[]);
    }
    read::value(fields, Tag::Sequence)
}

/// The content under `[0]`, where there is some: the extensions.
fn tagged_list<'a>(fields: &mut SliceReader<'a>) -> der::Result<Option<SliceReader<'a>>> {
    let Some(mut tagged) = read::optional(fields, read::context(TagNumber::N0))? else { return Ok(None) };
    let list = read::content(&mut tagged, Tag::Sequence)?;
    tagged.finish(Some(list))
}
