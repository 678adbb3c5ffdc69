//! The whole of a verifier's configuration, checked.

use std::path::Path;

use super::{Config, ConfigFault, FaultKind, PolicyConfig, SignatureFormat, SourceConfig, policy};
use crate::{
    oci::{Repository, scope::Scope},
    verifier::cosign::{
        policy::{Trust, TrustPolicy},
        select::Freshness,
    },
};

/// Most trust policies; one for each of a company's teams is a tenth.
const MAX_POLICIES: usize = 1000;
/// What stays of a tag's 128 characters beside `sha256-<64>.sig`.
const MAX_TAG_PREFIX: usize = 53;

/// A configuration that was found whole, with the files that it names.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What is asked for.
    pub wanted: Wanted,
    /// Whom to believe where; see [`applicable`](crate::verifier::cosign::policy::applicable).
    pub policies: Vec<TrustPolicy>,
    /// Which shapes count and are looked for.
    pub format: SignatureFormat,
    /// Where to look.
    pub source: Source,
    /// Most artifacts that are tried for one image, and most items of one artifact.
    pub max_attempts: usize,
    /// Largest bundle, payload or envelope.
    pub max_bundle_bytes: u64,
    /// Each weakening and what else should be looked at, a sentence each (R111).
    pub warnings: Vec<String>,
}

/// What a verifier asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A statement about the image, of this type.
    Attestation {
        /// The predicate type, a URI.
        predicate_type: String,
        /// Which of several count.
        freshness: Freshness,
    },
    /// A signature of the image. An attestation is none (R40).
    Signature,
}

/// Where signatures and attestations are (R10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The repository; `None`: the image's.
    pub repository: Option<Repository>,
    /// What stands before `sha256-….sig` and `.att`; often empty.
    pub tag_prefix: String,
}

pub(super) fn compile(
    config: &Config,
    wanted: Wanted,
    mut faults: Vec<ConfigFault>,
    base: &Path,
) -> Result<Compiled, Vec<ConfigFault>> {
    let Config { trust_policies, signature_format, source, max_signature_attempts, max_bundle_bytes } = config;
    let least = "it must be at least 1";
    for (member, is_zero) in
        [("maxSignatureAttempts", *max_signature_attempts == 0), ("maxBundleBytes", *max_bundle_bytes == 0)]
    {
        if is_zero {
            faults.push(ConfigFault::new(member, FaultKind::Zero { instead: least }));
        }
    }
    let source = read_source(source.as_ref(), &mut faults);
    let (policies, warnings) = read_policies(trust_policies, &wanted, base, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Compiled {
        wanted,
        policies,
        format: *signature_format,
        source,
        max_attempts: *max_signature_attempts,
        max_bundle_bytes: *max_bundle_bytes,
        warnings,
    })
}

fn read_source(source: Option<&SourceConfig>, faults: &mut Vec<ConfigFault>) -> Source {
    let Some(SourceConfig { repository, tag_prefix }) = source else { return Source::default() };
    let repository = repository.as_ref().and_then(|written| {
        let read = Repository::parse(written).ok();
        if read.is_none() {
            let fault = FaultKind::Repository { written: written.clone() };
            faults.push(ConfigFault::new("source.repository", fault));
        }
        read
    });
    let tag_prefix = tag_prefix.clone().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if tag_prefix.len() > MAX_TAG_PREFIX || tag_prefix.starts_with(['.', '-']) || !tag_prefix.bytes().all(plain) {
        let fault = FaultKind::TagPrefix { written: tag_prefix.clone(), limit: MAX_TAG_PREFIX };
        faults.push(ConfigFault::new("source.tagPrefix", fault));
    }
    Source { repository, tag_prefix }
}

fn read_policies(
    configs: &[PolicyConfig],
    wanted: &Wanted,
    base: &Path,
    faults: &mut Vec<ConfigFault>,
) -> (Vec<TrustPolicy>, Vec<String>) {
    let (mut policies, mut warnings) = (Vec::new(), Vec::new());
    if configs.is_empty() {
        faults.push(ConfigFault::new("trustPolicies", FaultKind::Empty { consequence: "nobody would be believed" }));
    }
    if configs.len() > MAX_POLICIES {
        let fault = FaultKind::TooMany { count: configs.len(), limit: MAX_POLICIES };
        faults.push(ConfigFault::new("trustPolicies", fault));
        return (policies, warnings);
    }
    let mut scopes_seen: Vec<(Scope, String)> = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        let at = format!("trustPolicies[{index}]");
        check_name(config, configs.get(..index).unwrap_or_default(), &at, faults);
        if matches!(wanted, Wanted::Attestation { .. }) {
            check_attestation(config, &at, faults);
        }
        let scopes = read_scopes(&config.scopes, &at, &mut scopes_seen, faults);
        if let Some(policy) = policy::compile(config, scopes, base, &at, faults) {
            warnings.extend(weakenings(&policy));
            policies.push(policy);
        }
    }
    (policies, warnings)
}

fn check_name(config: &PolicyConfig, earlier: &[PolicyConfig], at: &str, faults: &mut Vec<ConfigFault>) {
    let PolicyConfig { name, .. } = config;
    let at = format!("{at}.name");
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        faults.push(ConfigFault::new(at, FaultKind::Name));
    } else if earlier.iter().any(|other| other.name == *name) {
        faults.push(ConfigFault::new(at, FaultKind::NameRepeated { name: name.clone() }));
    }
}

/// What only cosign's signatures have.
fn check_attestation(config: &PolicyConfig, at: &str, faults: &mut Vec<ConfigFault>) {
    let members = [
        ("annotations", !config.annotations.is_empty()),
        ("matchRepository", config.match_repository != super::MatchRepository::Ignore),
    ];
    for (member, _) in members.into_iter().filter(|(_, is_written)| *is_written) {
        faults.push(ConfigFault::new(format!("{at}.{member}"), FaultKind::Beside { other: "type: attestation" }));
    }
}

fn read_scopes(
    texts: &[String],
    at: &str,
    seen: &mut Vec<(Scope, String)>,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Scope> {
    if texts.is_empty() {
        let consequence = "it would hold nowhere";
        faults.push(ConfigFault::new(format!("{at}.scopes"), FaultKind::Empty { consequence }));
    }
    let mut scopes = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let here = format!("{at}.scopes[{index}]");
        match Scope::parse(text) {
            Err(error) => faults.push(ConfigFault::new(here, FaultKind::Scope(error))),
            Ok(scope) => {
                if let Some((_, first)) = seen.iter().find(|(other, _)| other.is_same(&scope)) {
                    let fault = FaultKind::ScopeRepeated { scope: text.clone(), first: first.clone() };
                    faults.push(ConfigFault::new(here, fault));
                } else {
                    seen.push((scope.clone(), here));
                    scopes.push(scope);
                }
            }
        }
    }
    scopes
}

/// What a trust policy leaves out, and what its roots leave out.
fn weakenings(policy: &TrustPolicy) -> Vec<String> {
    let TrustPolicy { name, trust, demands, .. } = policy;
    let mut said = Vec::new();
    if demands.logs.is_none() {
        said.push("asks for no transparency log (ignoreTlog)".to_owned());
    }
    let roots = match trust {
        Trust::Keys { roots, .. } => roots,
        Trust::Certificates { roots, identities, .. } => {
            if demands.scts.is_none() {
                said.push("asks for no certificate transparency (ignoreSct)".to_owned());
            }
            if demands.current_time {
                said.push(
                    "judges certificates at the present (useCurrentTime): when they end, so does the yes".to_owned(),
                );
            }
            for (index, identity) in identities.iter().enumerate() {
                for member in identity.open_members() {
                    said.push(format!("matches anything by identities[{index}].{member}"));
                }
            }
            roots
        }
    };
    let of_roots = roots.iter().flat_map(|root| {
        root.warnings.iter().map(|warning| format!("trust policy {name:?}: trusted root {}: {warning}", root.name))
    });
    let mut all: Vec<String> = said.iter().map(|said| format!("trust policy {name:?} {said}")).collect();
    all.extend(of_roots);
    all
}
