//! `BasicOCSPResponse`.
//!
//! Rule: RFC 6960 §4.2.1.

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{BitStringRef, ObjectIdentifier},
};
use time::OffsetDateTime;

use super::{
    Status,
    cert_id::CertId,
    error::{OcspError, malformed},
};
use crate::crypto::{
    crl::{Reason, Revocation, invalidity_date},
    read,
};

const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");

/// Most certificates that a response may bring; real ones bring none, one or two.
const MAX_CERTIFICATES: usize = 10;

/// A `BasicOCSPResponse`, as far as it is used.
#[derive(Debug, Clone)]
pub(super) struct Basic {
    /// `ResponseData`, as transmitted.
    pub(super) signed: Vec<u8>,
    pub(super) responder: ResponderId,
    pub(super) produced_at: OffsetDateTime,
    pub(super) answers: Vec<Single>,
    /// The DER `AlgorithmIdentifier`.
    pub(super) algorithm: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// The response's certificates, unread: most are never needed.
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Whom the response names as its signer.
#[derive(Debug, Clone)]
pub(super) enum ResponderId {
    /// The SHA-1 of its key.
    Key(Vec<u8>),
    /// Its subject, as DER.
    Name(Vec<u8>),
}

/// An answer for one certificate.
#[derive(Debug, Clone)]
pub(super) struct Single {
    pub(super) id: CertId,
    pub(super) status: Status,
    pub(super) this_update: OffsetDateTime,
    pub(super) next_update: Option<OffsetDateTime>,
}

impl Basic {
    pub(super) fn read(response: &[u8]) -> Result<Self, OcspError> {
        let bytes = basic_of_response(response)?;
        let broken = malformed("basic response");
        let mut fields = read::only_sequence(bytes).map_err(&broken)?;
        let signed = fields.tlv_bytes().map_err(&broken)?;
        let algorithm = fields.tlv_bytes().map_err(&broken)?.to_vec();
        let signature = BitStringRef::decode(&mut fields).map_err(&broken)?;
        let signature = signature.as_bytes().ok_or_else(|| broken(Tag::BitString.value_error()))?.to_vec();
        let certificates = certificates(&mut fields).map_err(malformed("certificates"))?;
        fields.finish(()).map_err(&broken)?;
        let (responder, produced_at, answers) = data(signed)?;
        Ok(Self { signed: signed.to_vec(), responder, produced_at, answers, algorithm, signature, certificates })
    }
}

fn basic_of_response(response: &[u8]) -> Result<&[u8], OcspError> {
    let broken = malformed("outer sequence");
    let mut outer = read::only_sequence(response).map_err(&broken)?;
    match read::value(&mut outer, Tag::Enumerated).map_err(&broken)? {
        [0] => {}
        [status] => return Err(OcspError::Status { status: *status }),
        _ => return Err(broken(Tag::Enumerated.length_error())),
    }
    let mut tagged = read::content(&mut outer, read::context(TagNumber::N0)).map_err(&broken)?;
    let mut inner = read::content(&mut tagged, Tag::Sequence).map_err(&broken)?;
    tagged.finish(()).map_err(&broken)?;
    let kind = read::value(&mut inner, Tag::ObjectIdentifier).map_err(&broken)?;
    if kind != BASIC.as_bytes() {
        return Err(OcspError::Type);
    }
    let bytes = read::value(&mut inner, Tag::OctetString).map_err(&broken)?;
    inner.finish(()).map_err(&broken)?;
    outer.finish(bytes).map_err(&broken)
}

fn certificates(fields: &mut SliceReader<'_>) -> der::Result<Vec<Vec<u8>>> {
    let Some(mut tagged) = read::optional(fields, read::context(TagNumber::N0))? else { return Ok(Vec::new()) };
    let mut list = read::content(&mut tagged, Tag::Sequence)?;
    tagged.finish(())?;
    let mut found = Vec::new();
    while !list.is_finished() {
        if found.len() == MAX_CERTIFICATES {
            return Err(Tag::Sequence.length_error());
        }
        found.push(list.tlv_bytes()?.to_vec());
    }
    Ok(found)
}

fn data(signed: &[u8]) -> Result<(ResponderId, OffsetDateTime, Vec<Single>), OcspError> {
    let broken = malformed("response data");
    let mut fields = read::only_sequence(signed).map_err(&broken)?;
    if let Some(mut version) = read::optional(&mut fields, read::context(TagNumber::N0)).map_err(&broken)? {
        // v1 is the default and the only one; some write it all the same.
        match u8::decode(&mut version).and_then(|number| version.finish(number)).map_err(&broken)? {
            0 => {}
            _ => return Err(broken(Tag::Integer.value_error())),
        }
    }
    let responder = responder_id(&mut fields).map_err(malformed("responder ID"))?;
    let produced_at = read::generalized_time(&mut fields).map_err(malformed("producedAt"))?;
    let mut list = read::content(&mut fields, Tag::Sequence).map_err(&broken)?;
    let mut answers = Vec::new();
    while !list.is_finished() {
        answers.push(Single::read(&mut list)?);
    }
    extensions(&mut fields, |_, _| Ok(false))?;
    fields.finish((responder, produced_at, answers)).map_err(&broken)
}

fn responder_id(fields: &mut SliceReader<'_>) -> der::Result<ResponderId> {
    let (by_name, by_key) = (read::context(TagNumber::N1), read::context(TagNumber::N2));
    if let Some(mut inner) = read::optional(fields, by_name)? {
        let name = inner.tlv_bytes()?.to_vec();
        return inner.finish(ResponderId::Name(name));
    }
    let mut inner = read::content(fields, by_key)?;
    let key = read::value(&mut inner, Tag::OctetString)?.to_vec();
    inner.finish(ResponderId::Key(key))
}

impl Single {
    fn read(list: &mut SliceReader<'_>) -> Result<Self, OcspError> {
        let broken = malformed("single response");
        let mut fields = read::content(list, Tag::Sequence).map_err(&broken)?;
        let id = CertId::read(&mut fields).map_err(malformed("CertID"))?;
        let mut status = status(&mut fields).map_err(malformed("certificate status"))?;
        let this_update = read::generalized_time(&mut fields).map_err(malformed("thisUpdate"))?;
        let next_update = match read::optional(&mut fields, read::context(TagNumber::N0)).map_err(&broken)? {
            Some(mut inner) => {
                let time = read::generalized_time(&mut inner).and_then(|time| inner.finish(time));
                Some(time.map_err(malformed("nextUpdate"))?)
            }
            None => None,
        };
        extensions(&mut fields, |oid, value| {
            if oid != INVALIDITY_DATE.as_bytes() {
                return Ok(false);
            }
            let date = invalidity_date(value)?;
            if let Status::Revoked(revocation) = &mut status {
                revocation.invalidity_date = Some(date);
            }
            Ok(true)
        })?;
        fields.finish(Self { id, status, this_update, next_update }).map_err(&broken)
    }
}

fn status(fields: &mut SliceReader<'_>) -> der::Result<Status> {
    if let Some(mut inner) = read::optional(fields, read::context(TagNumber::N1))? {
        let date = read::generalized_time(&mut inner)?;
        let reason = match read::optional(&mut inner, read::context(TagNumber::N0))? {
            Some(reason) => Reason::read(reason)?,
            None => Reason::Unspecified,
        };
        return inner.finish(Status::Revoked(Revocation { date, reason, invalidity_date: None }));
    }
    let plain = |number| Tag::ContextSpecific { constructed: false, number };
    let tag = fields.peek_tag()?;
    let status = if tag == plain(TagNumber::N0) {
        Status::Good
    } else if tag == plain(TagNumber::N2) {
        Status::Unknown
    } else {
        return Err(tag.value_error());
    };
    if read::value(fields, tag)?.is_empty() { Ok(status) } else { Err(tag.length_error()) }
}

/// Reads the extensions under `[1]`. `understand` is shown each and says whether it is understood; a critical one must be,
/// and none may stand twice.
fn extensions(
    fields: &mut SliceReader<'_>,
    mut understand: impl FnMut(&[u8], &[u8]) -> der::Result<bool>,
) -> Result<(), OcspError> {
    let broken = malformed("extensions");
    let Some(mut tagged) = read::optional(fields, read::context(TagNumber::N1)).map_err(&broken)? else {
        return Ok(());
    };
    let mut list = read::content(&mut tagged, Tag::Sequence).map_err(&broken)?;
    tagged.finish(()).map_err(&broken)?;
    let mut seen = Vec::new();
    while !list.is_finished() {
        let (oid, critical, value) = read::extension(&mut list).map_err(&broken)?;
        if seen.contains(&oid) {
            return Err(broken(Tag::Sequence.value_error()));
        }
        seen.push(oid);
        if !understand(oid, value).map_err(&broken)? && critical {
            let oid = ObjectIdentifier::from_bytes(oid).map_or_else(|_| read::hex(oid), |oid| oid.to_string());
            return Err(OcspError::CriticalExtension { oid });
        }
    }
    Ok(())
}
