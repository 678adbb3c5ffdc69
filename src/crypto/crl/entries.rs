//! `revokedCertificates`, one entry at a time: nothing is kept but what a caller takes.
//!
//! Rule: RFC 5280 §5.1.2.6, §5.3.

use der::{Reader as _, SliceReader, Tag, asn1::ObjectIdentifier};

use super::{
    error::{CrlError, malformed},
    revocation::{Reason, Revocation, invalidity_date},
};
use crate::crypto::read;

const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const HOLD_INSTRUCTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.23");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");
const CERTIFICATE_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");

/// An entry's serial number (the INTEGER's content) and what is said of it.
pub(super) struct Entry<'a> {
    pub(super) serial_number: &'a [u8],
    pub(super) revocation: Revocation,
}

/// Shows each entry of `list`, the content of `revokedCertificates`, in order.
pub(super) fn walk(list: &[u8], mut see: impl FnMut(&Entry<'_>)) -> Result<(), CrlError> {
    let broken = malformed("revoked certificates");
    let mut list = SliceReader::new(list).map_err(&broken)?;
    while !list.is_finished() {
        let mut fields = read::content(&mut list, Tag::Sequence).map_err(&broken)?;
        let serial_number = read::value(&mut fields, Tag::Integer).map_err(&broken)?;
        let date = read::time(&mut fields).map_err(&broken)?;
        let mut revocation = Revocation { date, reason: Reason::Unspecified, invalidity_date: None };
        let extensions = read::optional(&mut fields, Tag::Sequence).map_err(&broken)?;
        if let Some(extensions) = extensions {
            read_extensions(extensions, &mut revocation)?;
        }
        fields.finish(()).map_err(&broken)?;
        see(&Entry { serial_number, revocation });
    }
    Ok(())
}

fn read_extensions(mut list: SliceReader<'_>, revocation: &mut Revocation) -> Result<(), CrlError> {
    let broken = malformed("entry extensions");
    let (mut has_reason, mut has_date) = (false, false);
    let once = |seen: &mut bool, oid: ObjectIdentifier| {
        if std::mem::replace(seen, true) { Err(CrlError::DuplicateExtension { oid: oid.to_string() }) } else { Ok(()) }
    };
    while !list.is_finished() {
        let (oid, critical, value) = read::extension(&mut list).map_err(&broken)?;
        match ObjectIdentifier::from_bytes(oid) {
            Ok(REASON) => {
                once(&mut has_reason, REASON)?;
                revocation.reason = SliceReader::new(value).and_then(Reason::read).map_err(&broken)?;
            }
            Ok(INVALIDITY_DATE) => {
                once(&mut has_date, INVALIDITY_DATE)?;
                revocation.invalidity_date = Some(invalidity_date(value).map_err(&broken)?);
            }
            Ok(HOLD_INSTRUCTION) => {}
            // An entry of another authority: whose serial numbers these and the following are would have to be tracked.
            Ok(CERTIFICATE_ISSUER) => {
                return Err(CrlError::Scope { what: "it lists certificates of other authorities" });
            }
            Ok(_) | Err(_) if critical => {
                let oid = ObjectIdentifier::from_bytes(oid).map_or_else(|_| read::hex(oid), |oid| oid.to_string());
                return Err(CrlError::CriticalExtension { on: "entry", oid });
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
