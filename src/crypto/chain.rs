//! The code-signing chain of the Notary Project: ordered, complete, nothing extra.
//!
//! No path is built and no name is looked up: in chains that are in use, leaf and root have the same subject. No time is
//! judged; that is another step, with another time.
//!
//! Rule: Notary Project signature specification v1.1, "Certificate Requirements".

use std::fmt;

use der::asn1::ObjectIdentifier;

use super::{
    algorithm::SignatureAlgorithm,
    x509::{Certificate, KeyUsage},
};

mod error;
mod validity;

use error::brief;
pub use error::{ChainError, Place};
pub use validity::{Bound, OutsideValidity, outside_validity};

/// Most certificates of a chain (`threats.md` 1.2; CVE-2026-32280 class).
pub const MAX_CERTIFICATES: usize = 10;
/// Most bytes of a chain's certificates together (`threats.md` 1.2).
pub const MAX_CHAIN_BYTES: usize = 256 * 1024;

/// What a leaf's keyUsage must not have. contentCommitment is tolerated.
pub(super) const FORBIDDEN_LEAF_USAGES: [(KeyUsage, &str); 7] = [
    (KeyUsage::KeyEncipherment, "keyEncipherment"),
    (KeyUsage::DataEncipherment, "dataEncipherment"),
    (KeyUsage::KeyAgreement, "keyAgreement"),
    (KeyUsage::KeyCertSign, "keyCertSign"),
    (KeyUsage::CRLSign, "cRLSign"),
    (KeyUsage::EncipherOnly, "encipherOnly"),
    (KeyUsage::DecipherOnly, "decipherOnly"),
];

/// What a leaf's extKeyUsage must not have (D6 adds the last two).
const FORBIDDEN_LEAF_PURPOSES: [(ObjectIdentifier, &str); 6] = [
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"), "serverAuth"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"), "clientAuth"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"), "emailProtection"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"), "timeStamping"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"), "OCSPSigning"),
    (ObjectIdentifier::new_unwrap("2.5.29.37.0"), "anyExtendedKeyUsage"),
];

/// What is accepted and worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainWarning {
    /// A CA whose `basicConstraints` is not critical (D5).
    BasicConstraintsNotCritical(Place),
}

impl fmt::Display for ChainWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BasicConstraintsNotCritical(at) => write!(f, "{at} has basicConstraints that are not critical"),
        }
    }
}

/// A chain that fits the code-signing profile: 1 to [`MAX_CERTIFICATES`] certificates, leaf first, complete to a
/// self-signed root. Says nothing about trust or time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeSigningChain {
    leaf: Certificate,
    certificates: Vec<Certificate>,
    warnings: Vec<ChainWarning>,
}

/// Parses each certificate of a chain, within its limits, in the order given.
///
/// # Errors
/// [`ChainError::Empty`], the limits (before anything is parsed), or the first certificate that cannot be read.
pub fn parse(chain: &[impl AsRef<[u8]>]) -> Result<Vec<Certificate>, ChainError> {
    let (count, limit) = (chain.len(), MAX_CERTIFICATES);
    if count == 0 {
        return Err(ChainError::Empty);
    }
    if count > limit {
        return Err(ChainError::TooMany { count, limit });
    }
    let size = chain.iter().fold(0_usize, |sum, der| sum.saturating_add(der.as_ref().len()));
    if size > MAX_CHAIN_BYTES {
        return Err(ChainError::TooLarge { size, limit: MAX_CHAIN_BYTES });
    }
    let parsed = chain.iter().enumerate().map(|(position, der)| {
        Certificate::parse(der.as_ref()).map_err(|source| ChainError::Certificate { position, source })
    });
    parsed.collect()
}

impl CodeSigningChain {
    /// Checks an ordered chain. The only constructor.
    ///
    /// # Errors
    /// [`ChainError`] names the first certificate that does not fit and what about it.
    pub fn check(certificates: Vec<Certificate>) -> Result<Self, ChainError> {
        let (count, limit) = (certificates.len(), MAX_CERTIFICATES);
        if count > limit {
            return Err(ChainError::TooMany { count, limit });
        }
        let Some(leaf) = certificates.first().cloned() else { return Err(ChainError::Empty) };
        check_leaf(&leaf)?;
        check_links(&certificates)?;
        let mut warnings = Vec::new();
        for (position, certificate) in certificates.iter().enumerate().skip(1) {
            warnings.extend(check_ca(position, certificate)?);
        }
        Ok(Self { leaf, certificates, warnings })
    }

    /// The certificate whose key signed.
    pub const fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The last certificate; of a chain of one, the leaf.
    pub fn root(&self) -> &Certificate {
        self.certificates.last().unwrap_or(&self.leaf)
    }

    /// All, leaf first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// What is accepted and worth knowing.
    pub fn warnings(&self) -> &[ChainWarning] {
        &self.warnings
    }
}

/// Each certificate is issued and signed by the next, the last one by itself, and no other by itself.
fn check_links(certificates: &[Certificate]) -> Result<(), ChainError> {
    for (position, pair) in certificates.windows(2).enumerate() {
        let [certificate, next] = pair else { continue };
        let at = || Place::of(position, certificate);
        if certificate.is_self_signed() {
            return Err(ChainError::SelfSignedNotLast { at: at() });
        }
        if certificate.issuer() != next.subject() {
            let (issuer, next) = (brief(certificate.issuer()), brief(next.subject()));
            return Err(ChainError::IssuerName { at: at(), issuer, next });
        }
        if let Err(source) = certificate.verify_signed_by(next.public_key()) {
            return Err(ChainError::IssuerSignature { at: at(), next: brief(next.subject()), source });
        }
    }
    let Some((root, below)) = certificates.split_last() else { return Err(ChainError::Empty) };
    let at = || Place::of(below.len(), root);
    if !root.is_self_issued() {
        return Err(ChainError::RootIssuer { at: at(), issuer: brief(root.issuer()) });
    }
    root.verify_signed_by(root.public_key()).map_err(|source| ChainError::RootSignature { at: at(), source })
}

fn check_leaf(leaf: &Certificate) -> Result<(), ChainError> {
    let at = || Place::of(0, leaf);
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa { at: at() });
    }
    let extensions = leaf.extensions();
    check_key_usage(0, leaf, KeyUsage::DigitalSignature, "digitalSignature")?;
    for (bit, name) in FORBIDDEN_LEAF_USAGES {
        if extensions.has_key_usage(bit) {
            return Err(ChainError::KeyUsageForbidden { at: at(), bit: name });
        }
    }
    if let Some(usage) = extensions.extended_key_usage() {
        for (oid, purpose) in FORBIDDEN_LEAF_PURPOSES {
            if usage.purposes.contains(&oid) {
                return Err(ChainError::ExtendedKeyUsage { at: at(), purpose });
            }
        }
    }
    match SignatureAlgorithm::of_key(leaf.public_key()) {
        Ok(_) => Ok(()),
        Err(source) => Err(ChainError::LeafKey { at: at(), source }),
    }
}

fn check_ca(position: usize, certificate: &Certificate) -> Result<Option<ChainWarning>, ChainError> {
    let at = || Place::of(position, certificate);
    let Some(constraints) = certificate.extensions().basic_constraints().filter(|constraints| constraints.ca) else {
        return Err(ChainError::CaFlag { at: at() });
    };
    // Certificates between this one and the leaf.
    let found = position.saturating_sub(1);
    if let Some(allowed) = constraints.path_length.map(usize::from).filter(|allowed| *allowed < found) {
        return Err(ChainError::PathLength { at: at(), allowed, found });
    }
    check_key_usage(position, certificate, KeyUsage::KeyCertSign, "keyCertSign")?;
    Ok((!constraints.critical).then(|| ChainWarning::BasicConstraintsNotCritical(at())))
}

fn check_key_usage(
    position: usize,
    certificate: &Certificate,
    bit: KeyUsage,
    name: &'static str,
) -> Result<(), ChainError> {
    let at = || Place::of(position, certificate);
    match certificate.extensions().key_usage_critical() {
        None => Err(ChainError::KeyUsageAbsent { at: at() }),
        Some(false) => Err(ChainError::KeyUsageNotCritical { at: at() }),
        Some(true) if !certificate.extensions().has_key_usage(bit) => {
            Err(ChainError::KeyUsageMissing { at: at(), bit: name })
        }
        Some(true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer, KeyUsagePurpose as Usage,
    };

    use super::*;
    use crate::crypto::testing::{self, ca, chain, chain_with, extension, good_chain, key, leaf};
    use crate::reason::Code;

    fn check(chain: &[Vec<u8>]) -> Result<CodeSigningChain, ChainError> {
        parse(chain).and_then(CodeSigningChain::check)
    }

    fn leaf_with(change: impl FnOnce(&mut CertificateParams)) -> Vec<CertificateParams> {
        let mut params = leaf("signer");
        change(&mut params);
        vec![params, ca("bench root", None)]
    }

    fn ca_with(change: impl FnOnce(&mut CertificateParams)) -> Vec<CertificateParams> {
        let mut params = ca("intermediate", None);
        change(&mut params);
        vec![leaf("signer"), params, ca("bench root", None)]
    }

    const KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
    const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];

    // Item 1, item 30, item 31, item 36; X-08
    #[test]
    fn ordered_chains_of_one_to_ten_fit() {
        for length in 1..=10 {
            let mut params = vec![leaf("signer")];
            params.extend((1..length).map(|at| ca(&format!("ca {at}"), None)));
            let checked = check(&chain(&params).der).unwrap();
            assert_eq!(checked.certificates().len(), length);
            assert_eq!(checked.leaf().subject().to_text(), "CN=signer,O=Bench,L=Seattle,ST=WA,C=US");
            assert!(checked.warnings().is_empty());
        }
        let twins = chain(&[leaf("one name"), ca("one name", None)]);
        assert!(check(&twins.der).is_ok(), "item 31: leaf and root of one name");
    }

    // Item 41
    #[test]
    fn limits_hold_before_anything_is_parsed() {
        let one = good_chain().der.remove(0);
        let many = |count: usize| vec![one.clone(); count];
        assert!(matches!(parse(&many(11)), Err(ChainError::TooMany { count: 11, limit: 10 })));
        assert!(matches!(parse(&many(100)), Err(ChainError::TooMany { .. })));
        assert!(matches!(parse(&many(0)), Err(ChainError::Empty)));
        let large = vec![vec![0_u8; 64 * 1024]; 5];
        assert!(matches!(parse(&large), Err(ChainError::TooLarge { .. })));
        assert!(matches!(parse(&[vec![0_u8; 64 * 1024 + 1]]), Err(error) if error.code() == Code::LimitExceeded));
        assert!(matches!(parse(&[b"junk".to_vec()]), Err(ChainError::Certificate { position: 0, .. })));
        assert!(matches!(CodeSigningChain::check(Vec::new()), Err(ChainError::Empty)));
    }

    // Item 30, item 38, ENV-20
    #[test]
    fn whatever_is_not_the_chain_in_its_order_is_refused() {
        let good = good_chain().der;
        let [leaf_der, middle, root] = &good[..] else { panic!() };
        let other = good_chain().der;
        let of = |items: &[&Vec<u8>]| check(&items.iter().map(|item| (*item).clone()).collect::<Vec<_>>()).unwrap_err();
        assert!(matches!(of(&[root, middle, leaf_der]), ChainError::LeafIsCa { .. }), "reversed");
        assert!(matches!(of(&[leaf_der, root, middle]), ChainError::IssuerName { .. }), "order");
        assert!(matches!(of(&[leaf_der, middle]), ChainError::RootIssuer { .. }), "no root");
        assert!(matches!(of(&[leaf_der]), ChainError::RootIssuer { .. }), "only a leaf");
        assert!(matches!(of(&[leaf_der, middle, root, root]), ChainError::SelfSignedNotLast { .. }), "two roots");
        assert!(matches!(of(&[leaf_der, middle, middle, root]), ChainError::IssuerName { .. }), "duplicate");
        assert!(matches!(of(&[leaf_der, leaf_der, middle, root]), ChainError::IssuerName { .. }), "two leaves");
        assert!(matches!(of(&[leaf_der, middle, &other[2]]), ChainError::IssuerSignature { .. }), "X-11 name only");
        assert!(matches!(of(&[leaf_der, &other[1], root]), ChainError::IssuerSignature { .. }), "other intermediate");
        assert!(matches!(of(&[root]), ChainError::LeafIsCa { .. }), "X-07");

        let keys = || vec![key(), key()];
        let shared = keys();
        let [leaf_key, root_key] = <[_; 2]>::try_from(shared).unwrap();
        let renamed = ca("other name", None).self_signed(&root_key).unwrap().der().to_vec();
        let signed = chain_with(&[leaf("signer"), ca("bench root", None)], vec![leaf_key, root_key]);
        let error = check(&[signed.der[0].clone(), renamed]).unwrap_err();
        assert!(matches!(error, ChainError::IssuerName { .. }), "X-11 signature only");
        let by_leaf = chain(&[leaf("signer"), leaf("another leaf"), ca("bench root", None)]);
        assert!(matches!(check(&by_leaf.der), Err(ChainError::CaFlag { .. })), "item 38");
    }

    //
    #[test]
    fn among_cas_of_one_name_the_key_decides_and_none_is_looked_for() {
        let (root, keys) = (ca("bench root", None), [key(), key(), key()]);
        let [first, second, root_key] = &keys;
        let issuer = Issuer::from_params(&root, root_key);
        let twin = |key| ca("intermediate", None).signed_by(key, &issuer).unwrap().der().to_vec();
        let (one, other) = (twin(first), twin(second));
        let top = root.self_signed(root_key).unwrap().der().to_vec();
        let named = ca("intermediate", None);
        let leaf_der = leaf("signer").signed_by(&key(), &Issuer::from_params(&named, second)).unwrap().der().to_vec();
        let of = |items: &[&Vec<u8>]| check(&items.iter().map(|item| (*item).clone()).collect::<Vec<_>>());
        assert!(of(&[&leaf_der, &other, &top]).is_ok());
        assert!(matches!(of(&[&leaf_der, &one, &top]), Err(ChainError::IssuerSignature { .. })));
        assert!(matches!(of(&[&leaf_der, &one, &other, &top]), Err(ChainError::IssuerSignature { .. })));
        assert!(matches!(of(&[&leaf_der, &other, &one, &top]), Err(ChainError::IssuerName { .. })));
    }

    // Item 34, item 35, item 39
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn leaf_profile() {
        let usage = |usages: &[Usage]| {
            let usages = usages.to_vec();
            leaf_with(move |params| params.key_usages = usages)
        };
        let purposes = |purposes: &[Purpose]| {
            let purposes = purposes.to_vec();
            leaf_with(move |params| params.extended_key_usages = purposes)
        };
        let code = Purpose::CodeSigning;
        let not_critical = extension(&KEY_USAGE, &[3, 2, 7, 0x80], false);
        for (name, params, expected) in [
            ("content commitment", usage(&[Usage::DigitalSignature, Usage::ContentCommitment]), None),
            ("no digitalSignature", usage(&[Usage::ContentCommitment]), Some("has no keyUsage digitalSignature")),
            ("no keyUsage", usage(&[]), Some("has no keyUsage")),
            (
                "keyEncipherment",
                usage(&[Usage::DigitalSignature, Usage::KeyEncipherment]),
                Some("keyUsage keyEncipherment"),
            ),
            (
                "dataEncipherment",
                usage(&[Usage::DigitalSignature, Usage::DataEncipherment]),
                Some("keyUsage dataEncipherment"),
            ),
            ("keyAgreement", usage(&[Usage::DigitalSignature, Usage::KeyAgreement]), Some("keyUsage keyAgreement")),
            ("keyCertSign", usage(&[Usage::DigitalSignature, Usage::KeyCertSign]), Some("keyUsage keyCertSign")),
            ("cRLSign", usage(&[Usage::DigitalSignature, Usage::CrlSign]), Some("keyUsage cRLSign")),
            ("encipherOnly", usage(&[Usage::DigitalSignature, Usage::EncipherOnly]), Some("keyUsage encipherOnly")),
            ("decipherOnly", usage(&[Usage::DigitalSignature, Usage::DecipherOnly]), Some("keyUsage decipherOnly")),
            (
                "CA",
                leaf_with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
                Some("is the leaf and a CA"),
            ),
            ("no basicConstraints", leaf_with(|params| params.is_ca = IsCa::NoCa), None),
            ("no extKeyUsage", purposes(&[]), None),
            ("unknown purpose", purposes(&[Purpose::Other(vec![1, 3, 6, 1, 4, 1, 311, 10, 3, 13])]), None),
            ("serverAuth", purposes(&[Purpose::ServerAuth]), Some("extKeyUsage serverAuth")),
            ("clientAuth", purposes(&[Purpose::ClientAuth]), Some("extKeyUsage clientAuth")),
            ("emailProtection", purposes(&[code, Purpose::EmailProtection]), Some("extKeyUsage emailProtection")),
            ("timeStamping", purposes(&[Purpose::TimeStamping]), Some("extKeyUsage timeStamping")),
            ("OCSPSigning", purposes(&[Purpose::OcspSigning]), Some("extKeyUsage OCSPSigning")),
            ("any", purposes(&[Purpose::Any]), Some("extKeyUsage anyExtendedKeyUsage")),
            (
                "not critical",
                leaf_with(|params| {
                    params.key_usages = vec![];
                    params.custom_extensions = vec![not_critical];
                }),
                Some("not critical"),
            ),
            (
                "unknown critical",
                leaf_with(|params| params.custom_extensions = vec![extension(&[1, 2, 3], &[5, 0], true)]),
                None,
            ),
            (
                "name constraints",
                leaf_with(|params| params.custom_extensions = vec![extension(&[2, 5, 29, 30], &[0x30, 0], true)]),
                None,
            ),
            (
                "empty extKeyUsage",
                leaf_with(|params| {
                    params.extended_key_usages = vec![];
                    params.custom_extensions = vec![extension(&[2, 5, 29, 37], &[0x30, 0], false)];
                }),
                Some("certificate 0 of the chain cannot be used: certificate has a malformed extKeyUsage"),
            ),
            (
                "duplicate extension",
                leaf_with(|params| params.custom_extensions = vec![extension(&KEY_USAGE, &[3, 2, 7, 0x80], true)]),
                Some("extension 2.5.29.15 twice"),
            ),
        ] {
            match (check(&chain(&params).der), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(part)) => {
                    let text = crate::reason::chain(&error);
                    assert!(text.contains(part), "{name}: {text}");
                    assert_eq!(error.code(), Code::CertificateInvalid, "{name}");
                }
                (result, expected) => panic!("{name}: {result:?}, expected {expected:?}"),
            }
        }
    }

    // Item 32, item 33, item 39
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn ca_profile() {
        let usage = |usages: &[Usage]| {
            let usages = usages.to_vec();
            ca_with(move |params| params.key_usages = usages)
        };
        let long = |lengths: [Option<u8>; 3]| {
            vec![leaf("signer"), ca("ca 1", lengths[0]), ca("ca 2", lengths[1]), ca("bench root", lengths[2])]
        };
        let own = |value: &[u8], critical| {
            let custom = extension(&BASIC_CONSTRAINTS, value, critical);
            ca_with(|params| {
                params.is_ca = IsCa::NoCa;
                params.custom_extensions = vec![custom];
            })
        };
        for (name, params, expected) in [
            ("cA false", ca_with(|params| params.is_ca = IsCa::ExplicitNoCa), Some("is no CA")),
            ("no basicConstraints", ca_with(|params| params.is_ca = IsCa::NoCa), Some("is no CA")),
            ("no keyCertSign", usage(&[Usage::CrlSign, Usage::DigitalSignature]), Some("has no keyUsage keyCertSign")),
            (
                "no keyUsage",
                usage(&[]),
                Some("certificate 1 (\"CN=intermediate,O=Bench,L=Seattle,ST=WA,C=US\") has no keyUsage"),
            ),
            (
                "not critical",
                ca_with(|params| {
                    params.key_usages = vec![];
                    params.custom_extensions = vec![extension(&KEY_USAGE, &[3, 2, 2, 4], false)];
                }),
                Some("not critical"),
            ),
            ("exact", long([Some(0), Some(1), Some(2)]), None),
            ("more than needed", long([Some(0), Some(9), Some(200)]), None),
            (
                "below the second",
                long([None, Some(0), None]),
                Some("allows 0 intermediate certificates below it, the chain has 1"),
            ),
            (
                "below the root",
                long([None, None, Some(1)]),
                Some("allows 1 intermediate certificates below it, the chain has 2"),
            ),
            ("negative", own(&[0x30, 6, 1, 1, 0xff, 2, 1, 0xff], true), Some("malformed basicConstraints")),
            (
                "huge",
                own(&[0x30, 9, 1, 1, 0xff, 2, 4, 0x7f, 0xff, 0xff, 0xff], true),
                Some("malformed basicConstraints"),
            ),
            (
                "name constraints",
                ca_with(|params| params.custom_extensions = vec![extension(&[2, 5, 29, 30], &[0x30, 0], true)]),
                None,
            ),
        ] {
            match (check(&chain(&params).der), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(part)) => {
                    let text = crate::reason::chain(&error);
                    assert!(text.contains(part), "{name}: {text}");
                }
                (result, expected) => panic!("{name}: {result:?}, expected {expected:?}"),
            }
        }
        // D5
        let tolerated = check(&chain(&own(&[0x30, 3, 1, 1, 0xff], false)).der).unwrap();
        assert!(matches!(tolerated.warnings(), [ChainWarning::BasicConstraintsNotCritical(at)] if at.position == 1));
    }

    //
    #[test]
    fn validity_is_inclusive_and_asked_of_every_certificate() {
        use time::{Duration, macros::datetime};
        let mut root = ca("bench root", None);
        root.not_after = datetime!(2030-01-01 0:00 UTC);
        let certificates = parse(&chain(&[leaf("signer"), root]).der).unwrap();
        let outside =
            |moment| outside_validity(&certificates, moment).map(|outside| (outside.at.position, outside.bound));
        let (first, last, tick) =
            (datetime!(2025-01-01 0:00 UTC), datetime!(2030-01-01 0:00 UTC), Duration::NANOSECOND);
        assert_eq!(outside(first), None);
        assert_eq!(outside(first - tick), Some((0, Bound::NotBefore)));
        assert_eq!(outside(last), None);
        assert_eq!(outside(last + tick), Some((1, Bound::NotAfter)));
        assert_eq!(outside(datetime!(2036-01-01 0:00 UTC)), Some((0, Bound::NotAfter)));
        let said = outside_validity(&certificates, last + Duration::DAY).unwrap().to_string();
        assert!(said.contains("bench root") && said.contains("was valid until 2030-01-01"), "{said}");
    }

    // the intermediate's life has ended when the leaf, which is still valid, signs (CVE-2026-24122).
    #[test]
    fn an_intermediate_that_has_ended_is_outside_though_the_leaf_is_not() {
        use time::macros::datetime;
        let during = |mut params: CertificateParams, (from, until)| {
            (params.not_before, params.not_after) = (from, until);
            params
        };
        let day = |hour: i64, minute| datetime!(2026-01-01 0:00 UTC) + time::Duration::minutes(hour * 60 + minute);
        let certificates = parse(
            &chain(&[
                during(leaf("signer"), (day(13, 0), day(15, 0))),
                during(ca("intermediate", None), (day(12, 30), day(13, 30))),
                during(ca("bench root", None), (day(12, 0), day(14, 0))),
            ])
            .der,
        )
        .unwrap();
        let outside =
            |moment| outside_validity(&certificates, moment).map(|outside| (outside.at.position, outside.bound));
        assert_eq!(outside(day(13, 15)), None);
        assert_eq!(outside(day(14, 30)), Some((1, Bound::NotAfter)));
        assert_eq!(outside(day(13, 45)), Some((1, Bound::NotAfter)));
    }

    // names cost their bytes, and bytes have a limit; constraints are not evaluated at all.
    #[test]
    fn many_names_and_constraints_are_read_past_or_refused_by_size() {
        let names = |count: usize, oid: &[u64], wrap: &dyn Fn(&[u8]) -> Vec<u8>| {
            let name = testing::tlv(0x82, b"a.b");
            extension(oid, &wrap(&name.repeat(count)), false)
        };
        let alternative = |count| names(count, &[2, 5, 29, 17], &|names| testing::tlv(0x30, names));
        let constraints = |count| {
            names(count, &[2, 5, 29, 30], &|names| {
                let subtrees: Vec<u8> = names.chunks(5).flat_map(|name| testing::tlv(0x30, name)).collect();
                testing::tlv(0x30, &testing::tlv(0xa1, &subtrees))
            })
        };
        for (row, extension, fits) in [
            ("X-36 10,000 names", alternative(10_000), true),
            ("X-36 100,000 names", alternative(100_000), false),
            ("X-32 5,000 constraints", constraints(5_000), true),
            ("X-32 20,000 constraints", constraints(20_000), false),
        ] {
            let params = ca_with(|params| params.custom_extensions = vec![extension]);
            let begun = std::time::Instant::now();
            let found = check(&chain(&params).der).map(drop);
            assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{row}");
            match found {
                Ok(()) => assert!(fits, "{row}"),
                Err(error) => assert!(!fits && error.code() == Code::LimitExceeded, "{row}: {error}"),
            }
        }
    }

    #[test]
    fn a_long_name_does_not_hide_what_is_wrong() {
        let name = "\u{202e}a".repeat(2_000);
        let error = check(&chain(&[ca(&name, None)]).der).unwrap_err();
        let text = crate::reason::chain(&error);
        assert!(text.ends_with("is the leaf and a CA") && text.contains("\\u{202e}") && text.len() < 256, "{text}");
    }

    #[test]
    fn revocation_addresses_are_noticed() {
        let mut with = leaf("signer");
        let access = testing::tlv(
            0x30,
            &testing::tlv(0x30, &[&[6, 8][..], &[0x2b, 6, 1, 5, 5, 7, 0x30, 1], &[0x86, 0]].concat()),
        );
        with.custom_extensions = vec![extension(&[1, 3, 6, 1, 5, 5, 7, 1, 1], &access, false)];
        let certificates = parse(&chain(&[with, ca("bench root", None)]).der).unwrap();
        assert!(certificates[0].extensions().has_revocation_address());
        assert!(!certificates[1].extensions().has_revocation_address());
    }
}
