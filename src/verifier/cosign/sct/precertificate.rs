//! The `TBSCertificate` that a log signed: a certificate's own, without the timestamps.

use der::{
    Decode as _, Encode as _, Header, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
    asn1::{AnyRef, ObjectIdentifier},
};

use super::SCT_LIST;
use crate::crypto::read;

/// Marks the precertificate; critical, so that nobody takes one for a certificate. No certificate has it.
const POISON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3");

/// `tbs` without the extensions that the log did not see. All other bytes are copied; only the lengths of the three items around
/// what was taken out are written anew. Rule: RFC 6962 §3.2.
pub(super) fn signed_part(tbs: &[u8]) -> der::Result<Vec<u8>> {
    let explicit = Tag::ContextSpecific { constructed: true, number: TagNumber::N3 };
    let mut fields = read::only_sequence(tbs)?;
    let mut content = Vec::with_capacity(tbs.len());
    while !fields.is_finished() {
        if fields.peek_tag()? == explicit {
            let mut outer = read::content(&mut fields, explicit)?;
            let list = read::content(&mut outer, Tag::Sequence)?;
            outer.finish(())?;
            fields.finish(())?;
            let kept = item(Tag::Sequence, &kept_extensions(list)?)?;
            content.extend(item(explicit, &kept)?);
            return item(Tag::Sequence, &content);
        }
        content.extend_from_slice(fields.tlv_bytes()?);
    }
    Err(explicit.value_error())
}

fn kept_extensions(mut list: SliceReader<'_>) -> der::Result<Vec<u8>> {
    let mut kept = Vec::new();
    while !list.is_finished() {
        let extension = list.tlv_bytes()?;
        let oid = AnyRef::decode(&mut read::only_sequence(extension)?)?;
        oid.tag().assert_eq(Tag::ObjectIdentifier)?;
        if ![SCT_LIST, POISON].iter().any(|cut| cut.as_bytes() == oid.value()) {
            kept.extend_from_slice(extension);
        }
    }
    Ok(kept)
}

fn item(tag: Tag, content: &[u8]) -> der::Result<Vec<u8>> {
    let mut out = Header::new(tag, content.len())?.to_der()?;
    out.extend_from_slice(content);
    Ok(out)
}
