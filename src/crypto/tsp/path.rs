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
    chain::{Place, outside_validity},
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

type Path<'a> = Vec<&'a Certificate>;

/// All paths from `signer` to an anchor, by names and signatures; at least one.
pub(super) fn find<'a>(
    signer: &'a Certificate,
    embedded: &'a [Certificate],
    trust: &Trust<'a>,
) -> Result<Vec<Path<'a>>, TspError> {
    let embedded = match trust.embedded {
        Embedded::Ignore => &[],
        Embedded::Use => embedded,
    };
    let mut pool: Vec<&Certificate> = Vec::new();
    for certificate in trust.known.iter().chain(embedded) {
        if !pool.contains(&certificate) && !trust.anchors.contains(certificate) {
            pool.push(certificate);
        }
    }
    let mut search = Search { anchors: trust.anchors, pool, links: MAX_LINKS, found: Vec::new() };
    search.extend(&vec![signer]);
    match search {
        Search { found, .. } if !found.is_empty() => Ok(found),
        Search { links: 0, .. } => Err(TspError::PathBudget { limit: MAX_LINKS }),
        Search { .. } => Err(TspError::NoPath { signer: brief(signer) }),
    }
}

struct Search<'a> {
    anchors: &'a [Certificate],
    pool: Vec<&'a Certificate>,
    /// How many more signatures may be verified.
    links: usize,
    found: Vec<Path<'a>>,
}

impl<'a> Search<'a> {
    fn extend(&mut self, path: &Path<'a>) {
        let Some(last) = path.last() else { return };
        let anchors = self.anchors;
        for anchor in anchors {
            if self.is_issuer(anchor, last) && !path.contains(&anchor) && self.found.len() < MAX_PATHS {
                self.found.push([path.as_slice(), &[anchor]].concat());
            }
        }
        // With this one and an anchor.
        if path.len().saturating_add(2) > MAX_CERTIFICATES {
            return;
        }
        for at in 0..self.pool.len() {
            let Some(next) = self.pool.get(at).copied() else { return };
            if !path.contains(&next) && self.is_issuer(next, last) {
                self.extend(&[path.as_slice(), &[next]].concat());
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

/// The first path whose certificates may do what they do, and were all valid at `time` (and when the signer says to have
/// signed, where it does); else what is wrong with the first.
pub(super) fn first_that_fits(
    paths: Vec<Path<'_>>,
    profile: Profile,
    time: OffsetDateTime,
    signing_time: Option<OffsetDateTime>,
) -> Result<Vec<Certificate>, TspError> {
    let mut refused = None;
    for path in paths {
        let path: Vec<Certificate> = path.into_iter().cloned().collect();
        match check(&path, profile, time, signing_time) {
            Ok(()) => return Ok(path),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(TspError::NoPath { signer: String::new() }))
}

fn check(
    path: &[Certificate],
    profile: Profile,
    time: OffsetDateTime,
    signing_time: Option<OffsetDateTime>,
) -> Result<(), TspError> {
    let Some((signer, issuers)) = path.split_first() else { return Err(TspError::NoPath { signer: String::new() }) };
    check_signer(signer, profile).map_err(|what| TspError::Signer { signer: brief(signer), what })?;
    for (below, issuer) in issuers.iter().enumerate() {
        check_issuer(issuer, below, profile).map_err(|what| {
            let at = Place { position: below.saturating_add(1), subject: brief(issuer) };
            TspError::Issuer { at, what }
        })?;
    }
    for moment in [Some(time), signing_time].into_iter().flatten() {
        if let Some(outside) = outside_validity(path, moment) {
            return Err(TspError::OutsideValidity(outside));
        }
    }
    Ok(())
}

const FORBIDDEN_SIGNER_USAGES: [(KeyUsage, &str); 7] = [
    (KeyUsage::KeyEncipherment, "keyEncipherment"),
    (KeyUsage::DataEncipherment, "dataEncipherment"),
    (KeyUsage::KeyAgreement, "keyAgreement"),
    (KeyUsage::KeyCertSign, "keyCertSign"),
    (KeyUsage::CRLSign, "cRLSign"),
    (KeyUsage::EncipherOnly, "encipherOnly"),
    (KeyUsage::DecipherOnly, "decipherOnly"),
];

/// RFC 3161 §2.3: the purpose is timeStamping, it alone, and critical. Key usages as of `notation.md` 3.3.
fn check_signer(signer: &Certificate, profile: Profile) -> Result<(), String> {
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
    if let Some((_, name)) = FORBIDDEN_SIGNER_USAGES.iter().find(|(bit, _)| extensions.has_key_usage(*bit)) {
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
