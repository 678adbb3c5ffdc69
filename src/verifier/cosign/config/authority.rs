//! An own certificate authority as a trusted root.
//!
//! `caRoots` and `caIntermediates` stand in the place of a trusted root's own authorities; its logs and timestamp authorities
//! stay. That is the operator's own word, so no evidence of two instances is mixed behind his back (R99).

use std::sync::Arc;

use time::OffsetDateTime;

use super::{ConfigFault, FaultKind};
use crate::{
    crypto::x509::Certificate,
    verifier::cosign::root::{Authority, Origin, Profile, TrustedRoot, Window},
};

/// Longest path of intermediates; certificates of signers come with fewer than ten (R25).
const MAX_INTERMEDIATES: usize = 8;
/// Most paths that are looked for from one intermediate: more is a mesh of cross-signatures, and the shortest decide.
const MAX_PATHS: usize = 64;
/// What it is called in reports.
const NAME: &str = "caRoots";

/// The roots of trust with these authorities: one for each of `instances`, without any one that has no logs at all.
pub(super) fn roots(
    instances: &[Arc<TrustedRoot>],
    roots: &[Certificate],
    intermediates: &[Certificate],
    at: &str,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Arc<TrustedRoot>> {
    let authorities = authorities(roots, intermediates, at, faults);
    if instances.is_empty() {
        return vec![Arc::new(TrustedRoot {
            name: NAME.to_owned(),
            // A profile waives demands; only what the policy says is waived here.
            profile: Profile::Sigstore,
            certificate_authorities: authorities,
            logs: Vec::new(),
            ct_logs: Vec::new(),
            timestamp_authorities: Vec::new(),
            origin: Origin::OwnAuthority,
            warnings: Vec::new(),
        })];
    }
    let own = |instance: &Arc<TrustedRoot>| {
        Arc::new(TrustedRoot {
            name: format!("{NAME} with {}", instance.name),
            profile: Profile::Sigstore,
            certificate_authorities: authorities.clone(),
            ..TrustedRoot::clone(instance)
        })
    };
    instances.iter().map(own).collect()
}

/// A chain for each certificate: the roots alone, and each intermediate up to its root.
fn authorities(
    roots: &[Certificate],
    intermediates: &[Certificate],
    at: &str,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Authority> {
    let mut all: Vec<Authority> = roots.iter().map(|root| authority(vec![root.clone()])).collect();
    for intermediate in intermediates {
        let chains = chains(intermediate, roots, intermediates);
        if chains.is_empty() {
            let subject = intermediate.subject().to_text();
            faults.push(ConfigFault::new(format!("{at}.caIntermediates"), FaultKind::AuthorityLost { subject }));
        }
        all.extend(chains.into_iter().map(authority));
    }
    all
}

fn authority(chain: Vec<Certificate>) -> Authority {
    let uri = chain.first().map(|issuer| issuer.subject().to_text()).unwrap_or_default();
    // Its certificates say themselves when they are valid; there is no further window.
    Authority { uri, chain, window: Window { start: OffsetDateTime::UNIX_EPOCH, end: None } }
}

/// Every path from `first` to a root, shortest first; none has a certificate twice.
fn chains(first: &Certificate, roots: &[Certificate], intermediates: &[Certificate]) -> Vec<Vec<Certificate>> {
    let mut open = vec![vec![first.clone()]];
    let mut found = Vec::new();
    for _ in 0..MAX_INTERMEDIATES {
        let mut longer = Vec::new();
        for chain in open {
            let Some(last) = chain.last() else { continue };
            let issued = |issuer: &&Certificate| {
                last.issuer() == issuer.subject() && last.verify_signed_by(issuer.public_key()).is_ok()
            };
            let extended = |issuer: &Certificate| chain.iter().cloned().chain([issuer.clone()]).collect::<Vec<_>>();
            found.extend(roots.iter().filter(issued).map(extended));
            let unused = |issuer: &&Certificate| chain.iter().all(|used| used.der() != issuer.der());
            longer.extend(intermediates.iter().filter(unused).filter(issued).map(extended));
        }
        longer.truncate(MAX_PATHS);
        open = longer;
    }
    found.truncate(MAX_PATHS);
    found
}
