//! A small PKI for tests.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A key on P-256.
pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "WA"),
        (DnType::LocalityName, "Seattle"),
        (DnType::OrganizationName, "Bench"),
        (DnType::CommonName, common_name),
    ] {
        params.distinguished_name.push(kind, value);
    }
    params.not_before = time::macros::datetime!(2025-01-01 0:00 UTC);
    params.not_after = time::macros::datetime!(2035-01-01 0:00 UTC);
    params
}

/// A good CA.
pub(crate) fn ca(common_name: &str, path_length: Option<u8>) -> CertificateParams {
    let mut params = named(common_name);
    params.is_ca = IsCa::Ca(path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A good code-signing leaf.
pub(crate) fn leaf(common_name: &str) -> CertificateParams {
    let mut params = named(common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

/// An extension by OID and DER value.
pub(crate) fn extension(oid: &[u64], value: &[u8], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value.to_vec());
    extension.set_criticality(critical);
    extension
}

/// A chain's certificates and keys, leaf first.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) der: Vec<Vec<u8>>,
    pub(crate) keys: Vec<KeyPair>,
}

/// Issues a chain from parameters given leaf first; the last is self-signed.
pub(crate) fn chain(params: &[CertificateParams]) -> Chain {
    chain_with(params, params.iter().map(|_| key()).collect())
}

/// [`chain`] with these keys.
pub(crate) fn chain_with(params: &[CertificateParams], keys: Vec<KeyPair>) -> Chain {
    let issue = |at: usize| match params.get(at + 1) {
        None => params[at].self_signed(&keys[at]).unwrap(),
        Some(issuer) => params[at].signed_by(&keys[at], &Issuer::from_params(issuer, &keys[at + 1])).unwrap(),
    };
    Chain { der: (0..params.len()).map(|at| issue(at).der().to_vec()).collect(), keys }
}

/// Leaf, intermediate, root.
pub(crate) fn good_chain() -> Chain {
    chain(&[leaf("signer"), ca("intermediate", Some(0)), ca("bench root", None)])
}

/// One DER item.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(u8::try_from(length).unwrap()),
        0x80..=0xff => out.extend([0x81, u8::try_from(length).unwrap()]),
        0x100..=0xffff => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            out.push(0x84);
            out.extend(u32::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend(content);
    out
}
