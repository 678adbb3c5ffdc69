//! A timestamp authority for tests, which writes tokens as well as broken ones.

use der::asn1::ObjectIdentifier;
use rcgen::{CertificateParams, KeyPair, SigningKey as _};

use crate::crypto::{
    scheme::HashAlgorithm,
    testing::{Chain, ca, chain, extension, leaf, tlv},
    x509::Certificate,
};

pub(crate) const SHA1: &str = "1.3.14.3.2.26";
pub(crate) const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub(crate) const SHA384: &str = "2.16.840.1.101.3.4.2.2";
pub(crate) const SHA512: &str = "2.16.840.1.101.3.4.2.3";
pub(crate) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
pub(crate) const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
pub(crate) const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
pub(crate) const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

/// A good signer of timestamps.
pub(crate) fn signer(common_name: &str) -> CertificateParams {
    let mut params = leaf(common_name);
    params.extended_key_usages.clear();
    params.custom_extensions = vec![purposes(&[TIME_STAMPING], true)];
    params
}

/// `extKeyUsage`.
pub(crate) fn purposes(purposes: &[&str], critical: bool) -> rcgen::CustomExtension {
    let list: Vec<u8> = purposes.iter().flat_map(|purpose| oid(purpose)).collect();
    extension(&[2, 5, 29, 37], &tlv(0x30, &list), critical)
}

/// Signer, intermediate and root of a good authority.
pub(crate) fn authority() -> Chain {
    chain(&[signer("tsa"), ca("tsa intermediate", Some(0)), ca("tsa root", None)])
}

/// A chain's certificates.
pub(crate) fn certificates(chain: &Chain) -> Vec<Certificate> {
    chain.der.iter().map(|der| Certificate::parse(der).unwrap()).collect()
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    tlv(6, ObjectIdentifier::new_unwrap(text).as_bytes())
}

pub(crate) fn algorithm(text: &str) -> Vec<u8> {
    tlv(0x30, &[oid(text), tlv(5, &[])].concat())
}

/// An attribute with its values.
pub(crate) fn attribute(kind: &str, values: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &[oid(kind), tlv(0x31, &values.concat())].concat())
}

pub(crate) fn hash(name: &str, bytes: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest;
    match name {
        SHA1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec(),
        SHA384 => HashAlgorithm::Sha384.digest(bytes).as_ref().to_vec(),
        SHA512 => HashAlgorithm::Sha512.digest(bytes).as_ref().to_vec(),
        _ => HashAlgorithm::Sha256.digest(bytes).as_ref().to_vec(),
    }
}

/// `SigningCertificateV2` by SHA-256, with the issuer's name and the serial number.
pub(crate) fn certificate_id(certificate: &Certificate) -> Vec<u8> {
    let digest = tlv(4, &hash(SHA256, certificate.der()));
    certificate_id_of(&[digest, issuer_serial(certificate)].concat())
}

/// `SigningCertificateV2` with one `ESSCertIDv2` of this content.
pub(crate) fn certificate_id_of(content: &[u8]) -> Vec<u8> {
    attribute("1.2.840.113549.1.9.16.2.47", &[tlv(0x30, &tlv(0x30, &tlv(0x30, content)))])
}

pub(crate) fn issuer_serial(certificate: &Certificate) -> Vec<u8> {
    let names = tlv(0x30, &tlv(0xa4, certificate.issuer().der()));
    tlv(0x30, &[names, tlv(2, certificate.serial_number())].concat())
}

/// A token in its parts, good until one is changed.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) status: Vec<u8>,
    pub(crate) outer_type: &'static str,
    pub(crate) version: u8,
    pub(crate) content_type: &'static str,
    pub(crate) info_version: u8,
    pub(crate) policy: &'static str,
    pub(crate) imprint: (&'static str, Vec<u8>),
    pub(crate) time: String,
    /// `accuracy` and what follows it, DER.
    pub(crate) trailer: Vec<u8>,
    pub(crate) digest_algorithms: Vec<u8>,
    /// The content of the certificate set.
    pub(crate) certificates: Vec<u8>,
    pub(crate) signer_version: u8,
    pub(crate) signer_id: Vec<u8>,
    pub(crate) digest: &'static str,
    /// contentType and messageDigest are added in front of these, where `core` says so.
    pub(crate) attributes: Vec<Vec<u8>>,
    pub(crate) core: bool,
    /// Whether there are signed attributes; without them the content itself is signed.
    pub(crate) attributed: bool,
    /// What is sent is sorted as DER asks; and what is signed.
    pub(crate) sorted: (bool, bool),
    pub(crate) signature_algorithm: Vec<u8>,
    pub(crate) unsigned: Vec<u8>,
    pub(crate) more_signers: Vec<u8>,
}

impl Draft {
    /// A good token over `message` by the first of `chain`, with all certificates but the last.
    pub(crate) fn of(message: &[u8], chain: &Chain) -> Self {
        let signer = Certificate::parse(&chain.der[0]).unwrap();
        let id = [signer.issuer().der().to_vec(), tlv(2, signer.serial_number())].concat();
        Self {
            status: tlv(0x30, &tlv(2, &[0])),
            outer_type: SIGNED_DATA,
            version: 3,
            content_type: TST_INFO,
            info_version: 1,
            policy: "1.2.3.4.1",
            imprint: (SHA256, hash(SHA256, message)),
            time: "20260922124100Z".to_owned(),
            trailer: [tlv(0x30, &tlv(2, &[1])), tlv(2, &[0x55; 8])].concat(),
            digest_algorithms: algorithm(SHA256),
            certificates: chain.der[..chain.der.len() - 1].concat(),
            signer_version: 1,
            signer_id: tlv(0x30, &id),
            digest: SHA256,
            attributes: vec![certificate_id(&signer)],
            core: true,
            attributed: true,
            sorted: (true, true),
            signature_algorithm: tlv(0x30, &oid(ECDSA_SHA256)),
            unsigned: Vec::new(),
            more_signers: Vec::new(),
        }
    }

    /// The same with one thing changed.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    pub(crate) fn info(&self) -> Vec<u8> {
        let (imprint_hash, digest) = &self.imprint;
        let imprint = tlv(0x30, &[algorithm(imprint_hash), tlv(4, digest)].concat());
        let parts = [
            tlv(2, &[self.info_version]),
            oid(self.policy),
            imprint,
            tlv(2, &[7]),
            tlv(0x18, self.time.as_bytes()),
            self.trailer.clone(),
        ];
        tlv(0x30, &parts.concat())
    }

    /// The token, signed with `key`.
    pub(crate) fn token(&self, key: &KeyPair) -> Vec<u8> {
        self.token_of(&[self.signer_info(key), self.more_signers.clone()].concat())
    }

    /// The `SignerInfo`, signed with `key`.
    pub(crate) fn signer_info(&self, key: &KeyPair) -> Vec<u8> {
        let info = self.info();
        let mut attributes = self.attributes.clone();
        if self.core {
            let digest = hash(self.digest, &info);
            attributes.insert(0, attribute("1.2.840.113549.1.9.4", &[tlv(4, &digest)]));
            attributes.insert(0, attribute("1.2.840.113549.1.9.3", &[oid(self.content_type)]));
        }
        let in_order = |sort: bool| {
            let mut list = attributes.clone();
            list.sort();
            if !sort {
                list.reverse();
            }
            list.concat()
        };
        let message = if self.attributed { tlv(0x31, &in_order(self.sorted.1)) } else { info };
        let signature = key.sign(&message).unwrap();
        let signer = [
            tlv(2, &[self.signer_version]),
            self.signer_id.clone(),
            algorithm(self.digest),
            if self.attributed { tlv(0xa0, &in_order(self.sorted.0)) } else { Vec::new() },
            self.signature_algorithm.clone(),
            tlv(4, &signature),
            self.unsigned.clone(),
        ];
        tlv(0x30, &signer.concat())
    }

    /// The token with these signers.
    pub(crate) fn token_of(&self, signers: &[u8]) -> Vec<u8> {
        let info = self.info();
        let data = [
            tlv(2, &[self.version]),
            tlv(0x31, &self.digest_algorithms),
            tlv(0x30, &[oid(self.content_type), tlv(0xa0, &tlv(4, &info))].concat()),
            if self.certificates.is_empty() { Vec::new() } else { tlv(0xa0, &self.certificates) },
            tlv(0x31, signers),
        ];
        tlv(0x30, &[oid(self.outer_type), tlv(0xa0, &tlv(0x30, &data.concat()))].concat())
    }

    /// A response with the token.
    pub(crate) fn response(&self, key: &KeyPair) -> Vec<u8> {
        tlv(0x30, &[self.status.clone(), self.token(key)].concat())
    }
}
