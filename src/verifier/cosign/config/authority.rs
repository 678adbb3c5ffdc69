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

/// Each root with the intermediates that lead to it, nearest last.
fn authorities(
    roots: &[Certificate],
    intermediates: &[Certificate],
    at: &str,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Authority> {
    let chains: Vec<Vec<Certificate>> = roots.iter().map(|root| chain(root, intermediates)).collect();
    for lost in intermediates.iter().filter(|one| !chains.iter().any(|chain| chain.contains(one))) {
        let subject = lost.subject().to_text();
        faults.push(ConfigFault::new(format!("{at}.caIntermediates"), FaultKind::AuthorityLost { subject }));
    }
    let authority = |(root, chain): (&Certificate, _)| Authority {
        uri: root.subject().to_text(),
        chain,
        // Its certificates say themselves when they are valid; there is no further window.
        window: Window { start: OffsetDateTime::UNIX_EPOCH, end: None },
    };
    roots.iter().zip(chains).map(authority).collect()
}

/// The intermediates that `root` issued, itself or by way of others, and the root.
fn chain(root: &Certificate, intermediates: &[Certificate]) -> Vec<Certificate> {
    let mut found = vec![root.clone()];
    let mut looked_at = 0;
    while let Some(issuer) = found.get(looked_at).cloned() {
        looked_at = looked_at.saturating_add(1);
        for one in intermediates {
            let issued = one.issuer() == issuer.subject() && one.verify_signed_by(issuer.public_key()).is_ok();
            if issued && !found.contains(one) {
                found.push(one.clone());
            }
        }
    }
    found.reverse();
    found
}
