//! From an element of `trustPolicies` to a trust policy: the rules of what goes with what.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use super::{ConfigFault, FaultKind, MatchRepository, PolicyConfig, authority, material};
use crate::{
    oci::scope::Scope,
    verifier::cosign::{
        evidence::{MAX_LOG_ENTRIES, MAX_TIMESTAMPS},
        identity::{Authorities, Identity},
        key::Key,
        policy::{Demands, Trust, TrustPolicy},
        root::TrustedRoot,
    },
};

/// Most keys, identities, certificate files and annotations of one trust policy: each is tried for each item.
const MAX_ELEMENTS: usize = 256;

/// What is found wrong, below one place.
struct Faults<'a> {
    at: &'a str,
    all: &'a mut Vec<ConfigFault>,
}

impl Faults<'_> {
    fn push(&mut self, member: &str, kind: FaultKind) {
        self.all.push(ConfigFault::new(format!("{}.{member}", self.at), kind));
    }

    /// Members that mean nothing beside `other`.
    fn beside(&mut self, other: &'static str, members: &[(&str, bool)]) {
        for (member, _) in members.iter().filter(|(_, is_written)| *is_written) {
            self.push(member, FaultKind::Beside { other });
        }
    }
}

/// Checks an element and reads its files. `scopes` have been read.
pub(super) fn compile(
    config: &PolicyConfig,
    scopes: Vec<Scope>,
    base: &Path,
    at: &str,
    all: &mut Vec<ConfigFault>,
) -> Option<TrustPolicy> {
    let before = all.len();
    let mut faults = Faults { at, all };
    check_sizes(config, &mut faults);
    let trust = match &config.keys {
        Some(_) => keys(config, base, &mut faults),
        None => certificates(config, base, &mut faults),
    };
    let demands = demands(config, &mut faults);
    if config.annotations.keys().any(String::is_empty) {
        faults.push("annotations", FaultKind::Empty { consequence: "an annotation has a name" });
    }
    let policy = TrustPolicy {
        name: config.name.clone(),
        scopes,
        trust: trust?,
        demands,
        annotations: config.annotations.clone(),
        match_repository: config.match_repository == MatchRepository::Strict,
    };
    (all.len() == before).then_some(policy)
}

fn check_sizes(config: &PolicyConfig, faults: &mut Faults<'_>) {
    let PolicyConfig { keys, identities, ca_roots, ca_intermediates, annotations, .. } = config;
    for (member, count, consequence) in [
        ("keys", keys.as_ref().map(Vec::len), "nobody would be believed"),
        ("identities", identities.as_ref().map(Vec::len), "nobody would be believed"),
        ("caRoots", ca_roots.as_ref().map(Vec::len), "nobody would be believed"),
        ("caIntermediates", ca_intermediates.as_ref().map(Vec::len), "leave it out"),
        ("annotations", Some(annotations.len()).filter(|count| *count > 0), ""),
    ] {
        match count {
            Some(0) => faults.push(member, FaultKind::Empty { consequence }),
            Some(count) if count > MAX_ELEMENTS => {
                faults.push(member, FaultKind::TooMany { count, limit: MAX_ELEMENTS });
            }
            Some(_) | None => {}
        }
    }
}

/// `keys`: any of them, under a trusted root's logs unless these are ignored.
fn keys(config: &PolicyConfig, base: &Path, faults: &mut Faults<'_>) -> Option<Trust> {
    faults.beside(
        "keys",
        &[
            ("identities", config.identities.is_some()),
            ("caRoots", config.ca_roots.is_some()),
            ("caIntermediates", config.ca_intermediates.is_some()),
            ("useCurrentTime", config.use_current_time),
            ("sctThreshold", config.sct_threshold.is_some()),
            ("ignoreSct", config.ignore_sct),
        ],
    );
    if config.trusted_root.is_none() {
        if !config.ignore_tlog {
            faults.push(
                "trustedRoot",
                FaultKind::Missing { what: "it, for the log that vouches for keys, or `ignoreTlog: true`," },
            );
        }
        timestamps_need_a_root(config, faults);
    }
    let roots = roots(config, base, faults);
    let mut read: Vec<Key> = Vec::new();
    for (index, key) in config.keys.iter().flatten().enumerate() {
        let at = format!("{}.keys[{index}]", faults.at);
        if key.valid_for.is_some() && config.trusted_root.is_none() {
            faults.push(
                &format!("keys[{index}].validFor"),
                FaultKind::Missing { what: "`trustedRoot`, for a verified time," },
            );
        }
        read.extend(material::key(key, base, &at, faults.all));
    }
    let whole = config.keys.as_ref().is_some_and(|keys| keys.len() == read.len());
    (whole && !read.is_empty()).then_some(Trust::Keys { keys: read, roots: roots? })
}

/// `identities`, under a trusted root or an own authority.
fn certificates(config: &PolicyConfig, base: &Path, faults: &mut Faults<'_>) -> Option<Trust> {
    if config.identities.is_none() {
        let what = if config.trusted_root.is_none() && config.ca_roots.is_none() {
            "`keys`, or this with `trustedRoot` or `caRoots`,"
        } else {
            "it, to say whose certificates are believed,"
        };
        faults.push("identities", FaultKind::Missing { what });
    } else if config.trusted_root.is_none() && config.ca_roots.is_none() {
        faults.push(
            "trustedRoot",
            FaultKind::Missing { what: "it, or `caRoots`, to say whose certificates are believed," },
        );
    }
    if config.ca_roots.is_none() {
        if config.ca_intermediates.is_some() {
            faults.push("caRoots", FaultKind::Missing { what: "it, beside `caIntermediates`," });
        }
        if config.use_current_time {
            faults.push("useCurrentTime", FaultKind::Present);
        }
    } else if config.trusted_root.is_none() {
        if !config.ignore_tlog {
            faults.push("trustedRoot", FaultKind::Missing { what: "it, for its log, or `ignoreTlog: true`," });
        }
        if !config.ignore_sct {
            faults.push("trustedRoot", FaultKind::Missing { what: "it, for its CT log, or `ignoreSct: true`," });
        }
        timestamps_need_a_root(config, faults);
    }
    let identities = identities(config, faults);
    let instances = roots(config, base, faults);
    let Some(ca_roots) = &config.ca_roots else {
        return Some(Trust::Certificates {
            roots: instances?,
            identities: identities?,
            authorities: Authorities::Instance,
        });
    };
    let before = faults.all.len();
    let mut read = |member: &str, files: &[super::PemConfig]| {
        let mut all = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let at = format!("{}.{member}[{index}]", faults.at);
            all.extend(material::certificates(file, base, &at, faults.all).into_iter().flatten());
        }
        all
    };
    let own = read("caRoots", ca_roots);
    let intermediates = read("caIntermediates", config.ca_intermediates.as_deref().unwrap_or_default());
    if faults.all.len() > before {
        return None;
    }
    let roots = authority::roots(&instances?, &own, &intermediates, faults.at, faults.all);
    Some(Trust::Certificates { roots, identities: identities?, authorities: Authorities::Own })
}

/// Without a trusted root there is no timestamp authority.
fn timestamps_need_a_root(config: &PolicyConfig, faults: &mut Faults<'_>) {
    let demanded = [
        ("signedTimestampThreshold", config.signed_timestamp_threshold),
        ("observerTimestampThreshold", config.observer_timestamp_threshold),
    ];
    for (member, threshold) in demanded {
        if threshold.is_some_and(|threshold| threshold > 0) {
            faults.push(member, FaultKind::Missing { what: "`trustedRoot`, for the authorities of timestamps," });
        }
    }
}

fn roots(config: &PolicyConfig, base: &Path, faults: &mut Faults<'_>) -> Option<Vec<Arc<TrustedRoot>>> {
    let Some(root) = &config.trusted_root else { return Some(Vec::new()) };
    match root.load(base) {
        Ok(roots) => Some(roots),
        Err(found) => {
            for (place, fault) in found {
                faults.push(&format!("trustedRoot{place}"), FaultKind::Root(fault));
            }
            None
        }
    }
}

fn identities(config: &PolicyConfig, faults: &mut Faults<'_>) -> Option<Vec<Identity>> {
    let written = config.identities.as_ref()?;
    let mut read = Vec::new();
    for (index, identity) in written.iter().enumerate() {
        match Identity::compile(identity) {
            Ok(identity) => read.push(identity),
            Err(found) => {
                for (member, fault) in found {
                    faults.push(&format!("identities[{index}].{member}"), FaultKind::Identity(fault));
                }
            }
        }
    }
    (read.len() == written.len() && !read.is_empty()).then_some(read)
}

fn demands(config: &PolicyConfig, faults: &mut Faults<'_>) -> Demands {
    let is_keyed = config.keys.is_some();
    let own = config.ca_roots.is_some();
    let logs = threshold(
        "tlogThreshold",
        config.tlog_threshold,
        ("ignoreTlog", config.ignore_tlog, "write `ignoreTlog: true` to ask for none"),
        faults,
    );
    let scts = threshold(
        "sctThreshold",
        config.sct_threshold,
        ("ignoreSct", config.ignore_sct, "write `ignoreSct: true` to ask for none"),
        faults,
    );
    let default_times = usize::from(!(is_keyed || config.use_current_time));
    let demands = Demands {
        logs,
        scts: scts.filter(|_| !is_keyed),
        signed_timestamps: config.signed_timestamp_threshold.unwrap_or(0),
        observer_timestamps: config.observer_timestamp_threshold.unwrap_or(default_times),
        current_time: config.use_current_time,
    };
    for (member, value, limit) in [
        ("signedTimestampThreshold", demands.signed_timestamps, MAX_TIMESTAMPS),
        ("observerTimestampThreshold", demands.observer_timestamps, MAX_TIMESTAMPS.saturating_add(MAX_LOG_ENTRIES)),
    ] {
        if value > limit {
            faults.push(member, FaultKind::Large { value, limit });
        }
    }
    let timeless = demands.signed_timestamps == 0 && demands.observer_timestamps == 0 && !demands.current_time;
    if !is_keyed && timeless {
        faults.push("observerTimestampThreshold", FaultKind::Timeless { own });
    }
    demands
}

/// A threshold that only its own switch makes nothing.
fn threshold(
    member: &'static str,
    written: Option<usize>,
    (switch, is_ignored, instead): (&'static str, bool, &'static str),
    faults: &mut Faults<'_>,
) -> Option<NonZeroUsize> {
    match written {
        Some(0) => faults.push(member, FaultKind::Zero { instead }),
        Some(_) if is_ignored => faults.push(member, FaultKind::Beside { other: switch }),
        Some(value) if value > MAX_LOG_ENTRIES => {
            faults.push(member, FaultKind::Large { value, limit: MAX_LOG_ENTRIES });
        }
        Some(_) | None => {}
    }
    if is_ignored { None } else { NonZeroUsize::new(written.unwrap_or(1)) }
}
