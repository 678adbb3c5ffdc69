//! Making authorities and leaves: ECDSA P-256, valid from yesterday on so that a clock that is behind believes them too.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
    string::Ia5String,
};
use rustls::crypto::CryptoProvider;
use time::{Duration, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::material::{self, Anchor, Authority, Leaf, MaterialError};

/// How far back a new certificate begins: more than any clock that still speaks TLS with anybody is behind.
pub(super) const BACKDATE: Duration = Duration::DAY;

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Why nothing could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MakeError {
    #[error("what was made does not pass our own checks")]
    Check(#[from] MaterialError),
    #[error("a key or certificate could not be made")]
    Make(#[from] rcgen::Error),
    #[error("a date is out of range")]
    Date(#[from] time::error::Format),
}

/// Who is certified, and for how long.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// The service's DNS names, the shortest first.
    pub(super) names: Vec<String>,
    pub(super) leaf: Duration,
    pub(super) authority: Duration,
    pub(super) provider: Arc<CryptoProvider>,
}

impl Profile {
    /// A new authority for this service's names and no others. One more level, or any address, it cannot certify.
    pub(super) fn authority(&self, now: OffsetDateTime) -> Result<Authority, MakeError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let service = self.names.get(1).or(self.names.first()).map_or("", String::as_str);
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&format!("{service} authority of {}", now.format(DAY)?));
        params.not_before = now.saturating_sub(BACKDATE);
        params.not_after = now.saturating_add(self.authority);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: self.names.iter().cloned().map(GeneralSubtree::DnsName).collect(),
            excluded_subtrees: vec![
                GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
                GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
            ],
        });
        let certificate = params.self_signed(&key)?;
        let anchor = Anchor::parse(certificate.der().clone())?;
        Ok(Authority::find(&[anchor], &key.serialize_pem())?)
    }

    /// A new leaf under `authority`, which it does not outlive.
    pub(super) fn leaf(&self, authority: &Authority, now: OffsetDateTime) -> Result<Leaf, MakeError> {
        let issuer = Issuer::from_ca_cert_der(authority.anchor.der(), material::key(authority.key_pem())?)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(self.names.get(2).or(self.names.first()).map_or("", String::as_str));
        params.subject_alt_names = self
            .names
            .iter()
            .map(|name| Ok(SanType::DnsName(Ia5String::try_from(name.as_str())?)))
            .collect::<Result<_, rcgen::Error>>()?;
        params.not_before = now.saturating_sub(BACKDATE);
        params.not_after = now.saturating_add(self.leaf).min(authority.anchor.life.until);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?;
        let anchors = std::slice::from_ref(&authority.anchor);
        let pem = key.serialize_pem();
        Ok(Leaf::check(certificate.der().clone(), &pem, anchors, &self.names, &self.provider)?)
    }
}

/// The four forms in which a URL can name the service.
pub(super) fn names(service: &str, namespace: &str) -> Vec<String> {
    ["", ".svc", ".svc.cluster.local"].iter().map(|suffix| format!("{service}.{namespace}{suffix}")).fold(
        vec![service.to_owned()],
        |mut all, name| {
            all.push(name);
            all
        },
    )
}

fn subject(name: &str) -> DistinguishedName {
    // RFC 5280 Appendix A, ub-common-name: 64.
    let short: String = name.chars().take(64).collect();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "countersign");
    subject.push(DnType::CommonName, short);
    subject
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::{super::testing, *};

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    #[test]
    fn names_are_all_that_a_url_can_say() {
        let expected = ["cs", "cs.ns", "cs.ns.svc", "cs.ns.svc.cluster.local"];
        assert_eq!(names("cs", "ns"), expected);
    }

    #[test]
    fn a_leaf_is_believed_for_every_name_and_ends_with_its_authority() {
        let profile = testing::profile();
        let authority = profile.authority(NOW).unwrap();
        let leaf = profile.leaf(&authority, NOW).unwrap();
        assert_eq!(leaf.life.from, NOW - BACKDATE);
        assert_eq!(leaf.life.until, NOW + profile.leaf);
        let late = authority.anchor.life.until - Duration::DAY;
        assert_eq!(profile.leaf(&authority, late).unwrap().life.until, authority.anchor.life.until);
    }

    #[test]
    fn an_authority_certifies_its_own_service_and_nothing_else() {
        let profile = testing::profile();
        let authority = profile.authority(NOW).unwrap();
        for foreign in ["kubernetes.default.svc", "other.countersign-system.svc", "svc", "countersign-system"] {
            let other = Profile { names: vec![foreign.to_owned()], ..profile.clone() };
            let refused = other.leaf(&authority, NOW);
            assert!(matches!(refused, Err(MakeError::Check(MaterialError::Unvouched))), "{foreign}: {refused:?}");
        }
    }

    #[test]
    fn a_leaf_of_another_authority_or_with_another_key_is_none() {
        let profile = testing::profile();
        let (ours, other) = (profile.authority(NOW).unwrap(), profile.authority(NOW).unwrap());
        let leaf = profile.leaf(&ours, NOW).unwrap();
        let check = |key: &str, anchor: &Authority| {
            let anchors = std::slice::from_ref(&anchor.anchor);
            Leaf::check(leaf.der().clone(), key, anchors, &profile.names, &profile.provider)
        };
        assert_eq!(check(leaf.key_pem(), &ours).unwrap(), leaf);
        assert_eq!(check(leaf.key_pem(), &other).unwrap_err(), MaterialError::Unvouched);
        assert_eq!(check(other.key_pem(), &ours).unwrap_err(), MaterialError::Mismatch);
        assert_eq!(check("-----BEGIN PRIVATE KEY-----", &ours).unwrap_err(), MaterialError::Key);
        assert_eq!(Authority::find(std::slice::from_ref(&ours.anchor), other.key_pem()), Err(MaterialError::Mismatch));
        assert_eq!(Anchor::parse(leaf.der().clone()), Err(MaterialError::NoAuthority));
    }

    #[test]
    fn an_authority_with_one_bit_changed_is_none() {
        let authority = testing::profile().authority(NOW).unwrap();
        let der = authority.anchor.der().to_vec();
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 1;
            assert!(Anchor::parse(changed.into()).is_err(), "byte {at}");
        }
    }

    // OPS-14
    #[test]
    fn keys_are_not_shown() {
        let profile = testing::profile();
        let authority = profile.authority(NOW).unwrap();
        let leaf = profile.leaf(&authority, NOW).unwrap();
        let said = format!("{authority:?} {leaf:?} {profile:?}");
        for secret in [authority.key_pem(), leaf.key_pem()] {
            let line = secret.lines().nth(1).unwrap();
            assert!(!said.contains(line) && !said.contains("PRIVATE"));
        }
    }
}
