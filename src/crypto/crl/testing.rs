//! Lists for tests, good as well as broken.

use rcgen::{KeyPair, SigningKey as _};

use super::Crl;
use crate::crypto::{
    ocsp::testing::plain_extension,
    testing::tlv,
    tsp::testing::{ECDSA_SHA256, oid},
    x509::Certificate,
};

/// `cRLNumber`'s OID.
pub(crate) const NUMBER: &str = "2.5.29.20";
/// `deltaCRLIndicator`'s.
pub(crate) const DELTA: &str = "2.5.29.27";
/// `issuingDistributionPoint`'s.
pub(crate) const SCOPE: &str = "2.5.29.28";
/// `freshestCRL`'s.
pub(crate) const FRESHEST: &str = "2.5.29.46";
/// `reasonCode`'s.
pub(crate) const REASON: &str = "2.5.29.21";
/// `invalidityDate`'s.
pub(crate) const INVALIDITY_DATE: &str = "2.5.29.24";

/// A list in its parts, good until one is changed.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// `version`, DER.
    pub(crate) version: Vec<u8>,
    /// The algorithm in what is signed; the one beside it is always that of the key.
    pub(crate) algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Draft {
    /// Number 10 of `issuer`, for an hour before and after [`crate::crypto::ocsp::testing::NOW`], listing nothing.
    pub(crate) fn good(issuer: &Certificate) -> Self {
        Self {
            version: tlv(2, &[1]),
            algorithm: tlv(0x30, &oid(ECDSA_SHA256)),
            issuer: issuer.subject().der().to_vec(),
            this_update: "300601110000Z",
            next_update: Some("300601130000Z"),
            entries: Vec::new(),
            extensions: vec![number(NUMBER, 10)],
        }
    }

    /// Number 12 of `issuer`, a delta from number 10.
    pub(crate) fn delta(issuer: &Certificate) -> Self {
        Self::good(issuer).with(|draft| draft.extensions = vec![number(NUMBER, 12), number(DELTA, 10)])
    }

    /// The draft with something changed.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// The list's DER, signed with `key`.
    pub(crate) fn der(&self, key: &KeyPair) -> Vec<u8> {
        let entries = self.entries.concat();
        let list = if entries.is_empty() { Vec::new() } else { tlv(0x30, &entries) };
        let extensions = match self.extensions.concat() {
            none if none.is_empty() => none,
            some => tlv(0xa0, &tlv(0x30, &some)),
        };
        let signed = [
            self.version.clone(),
            self.algorithm.clone(),
            self.issuer.clone(),
            time(self.this_update),
            self.next_update.map_or(Vec::new(), time),
            list,
            extensions,
        ];
        let signed = tlv(0x30, &signed.concat());
        let signature = tlv(3, &[vec![0], key.sign(&signed).unwrap()].concat());
        tlv(0x30, &[signed, tlv(0x30, &oid(ECDSA_SHA256)), signature].concat())
    }

    /// The list, signed with `key`.
    pub(crate) fn crl(&self, key: &KeyPair) -> Crl {
        Crl::parse(&self.der(key).into()).unwrap()
    }
}

/// A `Time`, by its length.
fn time(text: &str) -> Vec<u8> {
    tlv(if text.len() == 13 { 0x17 } else { 0x18 }, text.as_bytes())
}

/// An extension that is an INTEGER; a delta indicator is critical.
pub(crate) fn number(oid_text: &str, number: u8) -> Vec<u8> {
    plain_extension(oid_text, oid_text == DELTA, &tlv(2, &[number]))
}

/// An entry for `certificate`.
pub(crate) fn entry(certificate: &Certificate, date: &str, extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = if extensions.is_empty() { Vec::new() } else { tlv(0x30, &extensions.concat()) };
    tlv(0x30, &[tlv(2, certificate.serial_number()), time(date), extensions].concat())
}

/// A `reasonCode`.
pub(crate) fn reason(number: u8) -> Vec<u8> {
    plain_extension(REASON, false, &tlv(10, &[number]))
}

/// An `invalidityDate`.
pub(crate) fn invalidity_date(date: &str) -> Vec<u8> {
    plain_extension(INVALIDITY_DATE, false, &tlv(0x18, date.as_bytes()))
}

/// `DistributionPointName` with these URLs.
pub(crate) fn point_name(urls: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = urls.iter().flat_map(|url| tlv(0x86, url.as_bytes())).collect();
    tlv(0xa0, &tlv(0xa0, &names))
}

/// `CRLDistributionPoints` of points with this content.
pub(crate) fn points(contents: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &contents.iter().flat_map(|content| tlv(0x30, content)).collect::<Vec<_>>())
}
