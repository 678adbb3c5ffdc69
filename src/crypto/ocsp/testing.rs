//! A responder for tests, which writes responses as well as broken ones.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SigningKey as _};
use time::{OffsetDateTime, macros::datetime};

use super::cert_id::{SHA1, sha1};
use crate::crypto::{
    crl::Question,
    testing::{Chain, ca, chain, extension, leaf, tlv},
    tsp::testing::{ECDSA_SHA256, algorithm, certificates, hash, oid},
    x509::Certificate,
};

/// When tests ask.
pub(crate) const NOW: OffsetDateTime = datetime!(2030-06-01 12:00 UTC);

/// An authority, a certificate of it, and a delegated responder, with their keys.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) root: Certificate,
    pub(crate) leaf: Certificate,
    pub(crate) delegate: Certificate,
    pub(crate) root_key: KeyPair,
    pub(crate) leaf_key: KeyPair,
    pub(crate) delegate_key: KeyPair,
}

/// A good delegate's parameters.
pub(crate) fn delegate() -> CertificateParams {
    let mut params = leaf("responder");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    params.custom_extensions = vec![no_check()];
    params
}

/// `id-pkix-ocsp-nocheck`.
pub(crate) fn no_check() -> rcgen::CustomExtension {
    extension(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], &tlv(5, &[]), false)
}

/// An authority whose certificates have these parameters.
pub(crate) fn authority_of(
    signer: CertificateParams,
    root: CertificateParams,
    delegate: &CertificateParams,
) -> Authority {
    let root_params = root.clone();
    let made = chain(&[signer, root]);
    let [leaf, root] = <[_; 2]>::try_from(certificates(&made)).unwrap();
    let Chain { keys, .. } = made;
    let [leaf_key, root_key] = <[_; 2]>::try_from(keys).unwrap();
    let delegate_key = crate::crypto::testing::key();
    let issued = delegate.signed_by(&delegate_key, &rcgen::Issuer::from_params(&root_params, &root_key)).unwrap();
    let delegate = Certificate::parse(issued.der()).unwrap();
    Authority { root, leaf, delegate, root_key, leaf_key, delegate_key }
}

/// A good authority.
pub(crate) fn authority() -> Authority {
    authority_of(leaf("signer"), ca("root", None), &delegate())
}

impl Authority {
    /// The question about the leaf, now.
    pub(crate) fn question(&self) -> Question<'_> {
        Question { certificate: &self.leaf, issuer: &self.root, now: NOW, signing_time: None }
    }

    /// A good response in which the root says that the leaf is good.
    pub(crate) fn good(&self) -> Draft {
        Draft {
            status: 0,
            kind: "1.3.6.1.5.5.7.48.1.1",
            version: Vec::new(),
            responder: by_name(&self.root),
            produced_at: "20300601110000Z",
            answers: vec![Answer::good(&self.leaf, &self.root)],
            extensions: Vec::new(),
            algorithm: tlv(0x30, &oid(ECDSA_SHA256)),
            certificates: Vec::new(),
        }
    }
}

/// `responderID` by name.
pub(crate) fn by_name(certificate: &Certificate) -> Vec<u8> {
    tlv(0xa1, certificate.subject().der())
}

/// `responderID` by key.
pub(crate) fn by_key(certificate: &Certificate) -> Vec<u8> {
    tlv(0xa2, &tlv(4, sha1(certificate.public_key().bytes()).as_ref()))
}

/// A `CertID` with the hash of this OID.
pub(crate) fn cert_id(hash_oid: &str, certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let parts = [
        algorithm(hash_oid),
        tlv(4, &hash(hash_oid, certificate.issuer().der())),
        tlv(4, &hash(hash_oid, issuer.public_key().bytes())),
        tlv(2, certificate.serial_number()),
    ];
    tlv(0x30, &parts.concat())
}

/// An answer for one certificate in its parts.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) id: Vec<u8>,
    pub(crate) status: Vec<u8>,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Answer {
    /// Good, for an hour before and after [`NOW`].
    pub(crate) fn good(certificate: &Certificate, issuer: &Certificate) -> Self {
        Self {
            id: cert_id(&SHA1.to_string(), certificate, issuer),
            status: tlv(0x80, &[]),
            this_update: "20300601110000Z",
            next_update: Some("20300601130000Z"),
            extensions: Vec::new(),
        }
    }

    fn der(&self) -> Vec<u8> {
        let next = self.next_update.map_or(Vec::new(), |time| tlv(0xa0, &tlv(0x18, time.as_bytes())));
        let parts = [
            self.id.clone(),
            self.status.clone(),
            tlv(0x18, self.this_update.as_bytes()),
            next,
            listed(&self.extensions),
        ];
        tlv(0x30, &parts.concat())
    }
}

/// `revoked`, with a reason where there is one.
pub(crate) fn revoked(date: &str, reason: Option<u8>) -> Vec<u8> {
    let reason = reason.map_or(Vec::new(), |reason| tlv(0xa0, &tlv(10, &[reason])));
    tlv(0xa1, &[tlv(0x18, date.as_bytes()), reason].concat())
}

/// An `Extension`.
pub(crate) fn plain_extension(oid_text: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(1, &[0xff]) } else { Vec::new() };
    tlv(0x30, &[oid(oid_text), critical, tlv(4, value)].concat())
}

fn listed(extensions: &[Vec<u8>]) -> Vec<u8> {
    if extensions.is_empty() { Vec::new() } else { tlv(0xa1, &tlv(0x30, &extensions.concat())) }
}

/// A response in its parts, good until one is changed.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) status: u8,
    pub(crate) kind: &'static str,
    /// `[0] version`, DER.
    pub(crate) version: Vec<u8>,
    pub(crate) responder: Vec<u8>,
    pub(crate) produced_at: &'static str,
    pub(crate) answers: Vec<Answer>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Draft {
    /// The draft with something changed.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// The response, signed with `key`.
    pub(crate) fn response(&self, key: &KeyPair) -> Vec<u8> {
        let answers: Vec<u8> = self.answers.iter().flat_map(Answer::der).collect();
        let data = [
            self.version.clone(),
            self.responder.clone(),
            tlv(0x18, self.produced_at.as_bytes()),
            tlv(0x30, &answers),
            listed(&self.extensions),
        ];
        let data = tlv(0x30, &data.concat());
        let signature = tlv(3, &[vec![0], key.sign(&data).unwrap()].concat());
        let certificates = match self.certificates.concat() {
            none if none.is_empty() => none,
            some => tlv(0xa0, &tlv(0x30, &some)),
        };
        let basic = tlv(0x30, &[data, self.algorithm.clone(), signature, certificates].concat());
        let typed = tlv(0xa0, &tlv(0x30, &[oid(self.kind), tlv(4, &basic)].concat()));
        tlv(0x30, &[tlv(10, &[self.status]), typed].concat())
    }
}
