//! The request: one certificate, no nonce, no signature.
//!
//! Without a nonce answers can be made beforehand and cached; yesterday's *good* is then accepted until its `nextUpdate`
//! (REV-05).
//!
//! Rule: RFC 6960 §4.1.1, Appendix A.1; `notation.md` 3.5.

use aws_lc_rs::digest::Digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use der::{
    Encode as _, Tag,
    asn1::{Any, Null, OctetString},
};
use url::Url;

use super::{
    cert_id::{SHA1, sha1},
    error::{OcspError, malformed},
};
use crate::crypto::x509::Certificate;

/// From this size on, a request in base64 is sent by POST (RFC 6960 A.1).
const MAX_GET_BYTES: usize = 255;

/// A request for the status of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    der: Vec<u8>,
}

impl Request {
    /// The request for `certificate`, which `issuer` issued.
    ///
    /// # Errors
    /// [`OcspError::Malformed`]: a serial number that cannot be written.
    pub fn new(certificate: &Certificate, issuer: &Certificate) -> Result<Self, OcspError> {
        encode(certificate, issuer).map(|der| Self { der }).map_err(malformed("request"))
    }

    /// The request's DER: what is sent by POST as [`super::REQUEST_MEDIA_TYPE`].
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Where to GET the answer of `responder`; `None`: the request must be sent by POST, because it is long or the responder's
    /// URL has a query.
    pub fn get_url(&self, responder: &Url) -> Option<Url> {
        let text = STANDARD.encode(&self.der);
        let escaped = text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        if text.len() >= MAX_GET_BYTES || escaped.len() >= MAX_GET_BYTES || responder.query().is_some() {
            return None;
        }
        let mut url = responder.clone();
        url.set_fragment(None);
        let path = format!("{}/{escaped}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Some(url)
    }
}

fn encode(certificate: &Certificate, issuer: &Certificate) -> der::Result<Vec<u8>> {
    let algorithm = sequence(&[SHA1.to_der()?, Null.to_der()?])?;
    let hashed = |digest: Digest| OctetString::new(digest.as_ref())?.to_der();
    let name = hashed(sha1(certificate.issuer().der()))?;
    let key = hashed(sha1(issuer.public_key().bytes()))?;
    let serial = Any::new(Tag::Integer, certificate.serial_number())?.to_der()?;
    let mut request = sequence(&[algorithm, name, key, serial])?;
    // Request, requestList, TBSRequest, OCSPRequest: each with this one thing in it.
    for _ in 0..4 {
        request = sequence(&[request])?;
    }
    Ok(request)
}

fn sequence(items: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    Any::new(Tag::Sequence, items.concat())?.to_der()
}
