//! Certificates of signers for tests: a small authority, and extensions by hand.

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use time::OffsetDateTime;

use crate::{
    crypto::{
        testing::{self, chain, extension, tlv},
        x509::{Certificate, certificates_from_file_bytes},
    },
    verifier::cosign::root::{Authority, Window},
};

pub(in crate::verifier::cosign) const ISSUER: &str = "https://accounts.acorn.test";

/// Certificates of the vectors, which another tool made.
pub(in crate::verifier::cosign) fn made(name: &str) -> Vec<Certificate> {
    let pem: &[u8] = match name {
        "authority" => include_bytes!("../vectors/authority.pem"),
        "leaf" => include_bytes!("../vectors/leaf.pem"),
        "leaf-sct-flipped" => include_bytes!("../vectors/leaf-sct-flipped.pem"),
        "leaf-sct-other-issuer" => include_bytes!("../vectors/leaf-sct-other-issuer.pem"),
        "leaf-workflow" => include_bytes!("../vectors/leaf-workflow.pem"),
        _ => panic!("no vector {name}"),
    };
    certificates_from_file_bytes(pem).unwrap()
}

/// `1.3.6.1.4.1.57264.1.N` with a raw value.
pub(in crate::verifier::cosign) fn fulcio(number: u64, value: &[u8]) -> CustomExtension {
    extension(&[1, 3, 6, 1, 4, 1, 57264, 1, number], value, false)
}

/// A `UTF8String`.
pub(in crate::verifier::cosign) fn utf8(text: impl AsRef<[u8]>) -> Vec<u8> {
    tlv(0x0c, text.as_ref())
}

pub(in crate::verifier::cosign) fn email(text: impl AsRef<[u8]>) -> Vec<u8> {
    tlv(0x81, text.as_ref())
}

pub(in crate::verifier::cosign) fn uri(text: impl AsRef<[u8]>) -> Vec<u8> {
    tlv(0x86, text.as_ref())
}

pub(in crate::verifier::cosign) fn alternative_names(names: &[Vec<u8>]) -> CustomExtension {
    extension(&[2, 5, 29, 17], &tlv(0x30, &names.concat()), true)
}

/// A signer's certificate with these extensions beside usage and purpose; its subject is empty.
pub(in crate::verifier::cosign) fn signer_with(extensions: Vec<CustomExtension>) -> CertificateParams {
    let mut params = testing::leaf("");
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::NoCa;
    params.custom_extensions = extensions;
    params
}

/// A good signer.
pub(in crate::verifier::cosign) fn signer() -> CertificateParams {
    signer_with(vec![alternative_names(&[email("release@acorn.test")]), fulcio(8, &utf8(ISSUER))])
}

/// A good intermediate, for code signing alone.
pub(in crate::verifier::cosign) fn intermediate(common_name: &str) -> CertificateParams {
    let mut params = testing::ca(common_name, Some(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

/// Valid from, and until.
pub(in crate::verifier::cosign) fn during(
    mut params: CertificateParams,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> CertificateParams {
    (params.not_before, params.not_after) = (from, until);
    params
}

/// Issues a chain, leaf first.
pub(in crate::verifier::cosign) fn issue(params: &[CertificateParams]) -> Vec<Certificate> {
    parse(&chain(params).der)
}

pub(in crate::verifier::cosign) fn parse(der: &[Vec<u8>]) -> Vec<Certificate> {
    der.iter().map(|der| Certificate::parse(der).unwrap()).collect()
}

/// An authority that has been in use for all of its time.
pub(in crate::verifier::cosign) fn authority(chain: &[Certificate]) -> Authority {
    let window = Window { start: OffsetDateTime::UNIX_EPOCH, end: None };
    Authority { uri: "https://fulcio.acorn.test".to_owned(), chain: chain.to_vec(), window }
}
