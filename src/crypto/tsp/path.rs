//! From a signer's certificate to a trusted authority.
//!
//! First the links, names and signatures; then what the certificates on each path may do, and whether they were valid.
//!
//! Rule: RFC 5280 §6.1; RFC 3161 §2.3 (the signer's extended key usage); `threats.md` 6.2.

use der::asn1::ObjectIdentifier;
use time::OffsetDateTime;

use super::{Embedded, MAX_CERTIFICATES, Profile, Trust, error::TspError, signer::brief};
use crate::crypto::{
    algorithm::SignatureAlgorithm,
    chain::{FORBIDDEN_LEAF_USAGES, Place, outside_validity},
    x509::{Certificate, KeyUsage},
};

const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// May be critical: what else a subject is called changes nothing about its timestamps.
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// Most signatures that are verified to find paths: certificates of one name could make more paths than anyone can try (X-30,
///
const MAX_LINKS: usize = 64;
/// Most paths that are judged.
const MAX_PATHS: usize = 8;

/// The paths from a signer to anchors, by names and signatures; at least one.
#[derive(Debug)]
pub(super) struct Paths<'a> {
    signer: &'a Certificate,
    /// Of each path, what comes after the signer: the anchor last.
    issuers: Vec<Vec<&'a Certificate>>,
}

/// Finds the paths from `signer` to an anchor.
pub(super) fn find<'a>(
    signer: &'a Certificate,
    embedded: &'a [Certificate],
    trust: &Trust<'a>,
) -> Result<Paths<'a>, TspError> {
    let embedded = match trust.embedded {
        Embedded::Ignore => &[],
        Embedded::Use => embedded,
    };
    let mut pool: Vec<&Certificate> = Vec::new();
    for certificate in trust.known.iter().chain(embedded) {
        if certificate != signer && !pool.contains(&certificate) && !trust.anchors.contains(certificate) {
            pool.push(certificate);
        }
    }
    let mut search = Search { anchors: trust.anchors, pool, links: MAX_LINKS, found: Vec::new() };
    search.extend(signer, &[]);
    match search {
        Search { found: issuers, .. } if !issuers.is_empty() => Ok(Paths { signer, issuers }),
        Search { links: 0, .. } => Err(TspError::PathBudget { limit: MAX_LINKS }),
        Search { .. } => Err(TspError::NoPath { signer: brief(signer) }),
    }
}

struct Search<'a> {
    anchors: &'a [Certificate],
    pool: Vec<&'a Certificate>,
    /// How many more signatures may be verified.
    links: usize,
    found: Vec<Vec<&'a Certificate>>,
}

impl<'a> Search<'a> {
    /// Tries all that may have issued `last`, which `issuers` lead to.
    fn extend(&mut self, last: &Certificate, issuers: &[&'a Certificate]) {
        let anchors = self.anchors;
        for anchor in anchors {
            if anchor != last && self.found.len() < MAX_PATHS && self.is_issuer(anchor, last) {
                self.found.push([issuers, &[anchor]].concat());
            }
        }
        // With the signer, this one and an anchor.
        if issuers.len().saturating_add(3) > MAX_CERTIFICATES {
            return;
        }
        for at in 0..self.pool.len() {
            let Some(next) = self.pool.get(at).copied() else { return };
            if !issuers.contains(&next) && self.is_issuer(next, last) {
                self.extend(next, &[issuers, &[next]].concat());
            }
        }
    }

    fn is_issuer(&mut self, issuer: &Certificate, certificate: &Certificate) -> bool {
        if issuer.subject() != certificate.issuer() {
            return false;
        }
        let Some(left) = self.links.checked_sub(1) else { return false };
        self.links = left;
        certificate.verify_signed_by(issuer.public_key()).is_ok()
    }
}

impl Paths<'_> {
    /// The first path, leaf first, whose certificates may do what they do and were all valid at `moments`; else what is wrong
    /// with the first.
    pub(super) fn first_that_fits(
        self,
        profile: Profile,
        moments: &[OffsetDateTime],
    ) -> Result<Vec<Certificate>, TspError> {
        let Self { signer, issuers } = self;
        let mut refused = None;
        for issuers in issuers {
            let chain: Vec<Certificate> = std::iter::once(signer).chain(issuers.iter().copied()).cloned().collect();
            match check(signer, &issuers, profile).and_then(|()| check_validity(&chain, moments)) {
                Ok(()) => return Ok(chain),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(TspError::NoPath { signer: brief(signer) }))
    }
}

fn check(signer: &Certificate, issuers: &[&Certificate], profile: Profile) -> Result<(), TspError> {
    check_signer(signer, profile).map_err(|what| TspError::Signer { signer: brief(signer), what })?;
    for (below, issuer) in issuers.iter().enumerate() {
        check_issuer(issuer, below, profile).map_err(|what| {
            let at = Place { position: below.saturating_add(1), subject: brief(issuer) };
            TspError::Issuer { at, what }
        })?;
    }
    Ok(())
}

fn check_validity(chain: &[Certificate], moments: &[OffsetDateTime]) -> Result<(), TspError> {
    match moments.iter().find_map(|moment| outside_validity(chain, *moment)) {
        Some(outside) => Err(TspError::OutsideValidity(outside)),
        None => Ok(()),
    }
}

/// RFC 3161 §2.3: the purpose is timeStamping, it alone, and critical. Key usages as of `notation.md` 3.3.
pub(super) fn check_signer(signer: &Certificate, profile: Profile) -> Result<(), String> {
    let extensions = signer.extensions();
    let Some(usage) = extensions.extended_key_usage() else { return Err("has no extKeyUsage timeStamping".to_owned()) };
    if !usage.critical {
        return Err("has an extKeyUsage that is not critical".to_owned());
    }
    if usage.purposes != [TIME_STAMPING] {
        return Err("has another extKeyUsage than timeStamping alone".to_owned());
    }
    if signer.is_ca() {
        return Err("is a CA".to_owned());
    }
    let signs = extensions.has_key_usage(KeyUsage::DigitalSignature);
    match (extensions.key_usage_critical(), profile) {
        (None, Profile::Notary) => return Err("has no keyUsage".to_owned()),
        (Some(_), Profile::Notary) if !signs => return Err("has no keyUsage digitalSignature".to_owned()),
        (Some(_), Profile::Sigstore) if !signs && !extensions.has_key_usage(KeyUsage::NonRepudiation) => {
            return Err("has no keyUsage digitalSignature or contentCommitment".to_owned());
        }
        (None | Some(_), Profile::Notary | Profile::Sigstore) => {}
    }
    if let Some((_, name)) = FORBIDDEN_LEAF_USAGES.iter().find(|(bit, _)| extensions.has_key_usage(*bit)) {
        return Err(format!("has keyUsage {name}"));
    }
    if profile == Profile::Notary {
        SignatureAlgorithm::of_key(signer.public_key())
            .map_err(|error| format!("has a key that must not sign: {error}"))?;
    }
    understood(signer, profile)
}

/// `below`: how many certificates stand between it and the signer's.
fn check_issuer(issuer: &Certificate, below: usize, profile: Profile) -> Result<(), String> {
    let extensions = issuer.extensions();
    let Some(constraints) = extensions.basic_constraints().filter(|constraints| constraints.ca) else {
        return Err("issues certificates and is no CA".to_owned());
    };
    if let Some(allowed) = constraints.path_length.map(usize::from).filter(|allowed| *allowed < below) {
        return Err(format!("allows {allowed} intermediate certificates below it, there are {below}"));
    }
    match (extensions.key_usage_critical(), profile) {
        (None, Profile::Notary) => return Err("has no keyUsage".to_owned()),
        (Some(_), Profile::Notary | Profile::Sigstore) if !extensions.has_key_usage(KeyUsage::KeyCertSign) => {
            return Err("has no keyUsage keyCertSign".to_owned());
        }
        (None | Some(_), Profile::Notary | Profile::Sigstore) => {}
    }
    // Where an authority is confined to purposes, timestamps must be among them.
    let confined = |purpose: &ObjectIdentifier| [TIME_STAMPING, ANY_PURPOSE].contains(purpose);
    if extensions.extended_key_usage().is_some_and(|usage| !usage.purposes.iter().any(confined)) {
        return Err("is confined to other purposes than timeStamping".to_owned());
    }
    understood(issuer, profile)
}

/// name constraints, policy constraints and whatever else is critical and not understood.
fn understood(certificate: &Certificate, profile: Profile) -> Result<(), String> {
    match profile {
        Profile::Notary => Ok(()),
        Profile::Sigstore => match certificate.extensions().critical_beyond(&[SUBJECT_ALT_NAME]) {
            Some(oid) => Err(format!("has the critical extension {oid}, which is not understood")),
            None => Ok(()),
        },
    }
}
