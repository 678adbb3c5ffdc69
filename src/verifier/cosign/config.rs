//! What an operator writes for verifiers of type `cosign` and `attestation`.
//!
//! ```text
//! YAML ──serde──► Config, AttestationConfig ──compile──┬──► Compiled ── policies: TrustPolicy, …
//!                  (shape)                  (rules, files) │       └────── warnings: every weakening, a sentence each (R111)
//!                                                       └──► ConfigFault: all that is wrong, each with its path
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use time::OffsetDateTime;

pub use self::{
    compile::{Compiled, Source, Wanted},
    fault::{ConfigFault, FaultKind},
    predicate::predicate_type,
};
use super::{
    identity::IdentityConfig,
    root::source::RootConfig,
    select::{Freshness, Select},
};
use crate::crypto::scheme::HashAlgorithm;

mod age;
mod authority;
mod compile;
mod fault;
mod material;
mod policy;
mod predicate;

/// Configuration of a verifier of type `cosign`: signatures. Paths are relative to the configuration file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Whom to believe where. At least one.
    pub trust_policies: Vec<PolicyConfig>,
    /// Which shapes count and are looked for. Default: any.
    #[serde(default)]
    pub signature_format: SignatureFormat,
    /// Where signatures are, if not beside the image.
    #[serde(default)]
    pub source: Option<SourceConfig>,
    /// Most artifacts that are tried for one image, and most signatures of one artifact, in their order. Default: 100.
    #[serde(default = "default_max_signature_attempts")]
    pub max_signature_attempts: usize,
    /// Largest bundle or signed payload in bytes. Default: 1 MiB; those of cosign have some 10 KiB.
    #[serde(default = "default_max_signature_bytes")]
    pub max_bundle_bytes: u64,
}

/// Configuration of a verifier of type `attestation`: signed statements about an image.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationConfig {
    /// The statement's predicate type: a URI, or a short name of cosign's (`vuln`, `spdxjson`, …).
    pub predicate_type: String,
    /// Which of several verified attestations of this type count. Default: any.
    #[serde(default)]
    pub select: Select,
    /// How old an attestation may be. Default: any age.
    #[serde(default, deserialize_with = "age::deserialize")]
    pub max_age: Option<Duration>,
    /// Where the statement says its time, as `/predicate/metadata/scanFinishedOn`. Default: the signature's verified time.
    #[serde(default)]
    pub time_field: Option<String>,
    /// Whom to believe where. At least one.
    pub trust_policies: Vec<PolicyConfig>,
    /// Which shapes count and are looked for. Default: any.
    #[serde(default)]
    pub signature_format: SignatureFormat,
    /// Where attestations are, if not beside the image.
    #[serde(default)]
    pub source: Option<SourceConfig>,
    /// Most artifacts that are tried for one image, and most attestations of one artifact, in their order. Default: 100.
    #[serde(default = "default_max_signature_attempts")]
    pub max_signature_attempts: usize,
    /// Largest bundle or envelope in bytes. Default: 16 MiB; an SBOM of a large image has some 5 MiB.
    #[serde(default = "default_max_attestation_bytes")]
    pub max_bundle_bytes: u64,
}

/// As for `notation`, whose tools' default it is.
const fn default_max_signature_attempts() -> usize {
    100
}

/// `sigstore.md` §1.1: cosign reads up to 128 MiB, real ones have a hundredth of one (R17).
const fn default_max_signature_bytes() -> u64 {
    1 << 20
}

/// As above; statements hold whole SBOMs.
const fn default_max_attestation_bytes() -> u64 {
    16 << 20
}

/// Which shapes count and are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureFormat {
    /// All.
    #[default]
    Any,
    /// Sigstore bundles.
    Bundle,
    /// cosign's own: `.sig` and `.att` tags, and referrers of the same shape.
    Legacy,
}

impl SignatureFormat {
    /// Whether Sigstore bundles count.
    pub const fn wants_bundles(self) -> bool {
        matches!(self, Self::Any | Self::Bundle)
    }

    /// Whether cosign's own shapes count.
    pub const fn wants_legacy(self) -> bool {
        matches!(self, Self::Any | Self::Legacy)
    }
}

/// Another place for signatures (R10). What they sign is still the image's digest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceConfig {
    /// The repository that holds them, as `COSIGN_REPOSITORY` names it. Default: the image's.
    #[serde(default)]
    pub repository: Option<String>,
    /// What stands before `sha256-….sig`. Default: nothing.
    #[serde(default)]
    pub tag_prefix: Option<String>,
}

/// An element of `trustPolicies`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyConfig {
    /// Unique in the verifier.
    pub name: String,
    /// Where it holds; the grammar of `policies[].scopes`.
    pub scopes: Vec<String>,
    /// Public keys, any of them.
    #[serde(default)]
    pub keys: Option<Vec<KeyConfig>>,
    /// The Sigstore instances whose authorities, logs and timestamps are believed; each is judged whole.
    #[serde(default)]
    pub trusted_root: Option<RootConfig>,
    /// Who may have signed with a certificate, any of them.
    #[serde(default)]
    pub identities: Option<Vec<IdentityConfig>>,
    /// Roots of an own certificate authority, in the place of those of `trustedRoot`.
    #[serde(default)]
    pub ca_roots: Option<Vec<PemConfig>>,
    /// Its intermediates.
    #[serde(default)]
    pub ca_intermediates: Option<Vec<PemConfig>>,
    /// Own authority only: the present counts as a time, so that certificates must be valid now.
    #[serde(default)]
    pub use_current_time: bool,
    /// Annotations that must be signed.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Asks for no transparency log. Whoever has the key, or got a certificate, need not have shown it to anybody.
    #[serde(default)]
    pub ignore_tlog: bool,
    /// Asks for no certificate transparency.
    #[serde(default)]
    pub ignore_sct: bool,
    /// Distinct transparency logs that must vouch. Default: 1.
    #[serde(default)]
    pub tlog_threshold: Option<usize>,
    /// Distinct certificate transparency logs that must vouch. Default: 1; keys have none.
    #[serde(default)]
    pub sct_threshold: Option<usize>,
    /// Signed timestamps of distinct authorities. Default: 0.
    #[serde(default)]
    pub signed_timestamp_threshold: Option<usize>,
    /// Log times and signed timestamps together. Default: 1; with keys or `useCurrentTime` 0.
    #[serde(default)]
    pub observer_timestamp_threshold: Option<usize>,
    /// What a payload's `docker-reference` is worth. Default: nothing, since copied images keep the old one.
    #[serde(default)]
    pub match_repository: MatchRepository,
}

/// What a simple signing payload's `docker-reference` is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchRepository {
    /// Nothing.
    #[default]
    Ignore,
    /// It must name the image's repository.
    Strict,
}

/// A PEM text: in a file, or here. Exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PemConfig {
    /// The file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The text.
    #[serde(default)]
    pub pem: Option<String>,
}

/// An element of `keys`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyConfig {
    /// A file with a PEM public key.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The same, here.
    #[serde(default)]
    pub pem: Option<String>,
    /// The only hash that signatures may use. Default: the curve's own or SHA-256.
    #[serde(default)]
    pub hash_algorithm: Option<HashAlgorithm>,
    /// When it was in use. A signature then needs a verified time inside.
    #[serde(default)]
    pub valid_for: Option<ValidFor>,
}

/// When a key was in use; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidFor {
    /// First moment (RFC 3339).
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    /// Last moment. Default: it is still in use.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub end: Option<OffsetDateTime>,
}

impl Config {
    /// A configuration of one trust policy, and otherwise the defaults.
    pub fn of_policy(policy: PolicyConfig) -> Self {
        Self {
            trust_policies: vec![policy],
            signature_format: SignatureFormat::default(),
            source: None,
            max_signature_attempts: default_max_signature_attempts(),
            max_bundle_bytes: default_max_signature_bytes(),
        }
    }

    /// Checks everything, and reads the files that it names. `base`: the folder that file names are relative to.
    ///
    /// Cost: file system reads, bounded.
    ///
    /// # Errors
    /// Every fault.
    pub fn compile(&self, base: &Path) -> Result<Compiled, Vec<ConfigFault>> {
        compile::compile(self, Wanted::Signature, Vec::new(), base)
    }

    /// Every `trustedRoot` of a trust policy; one may come more than once.
    pub fn roots(&self) -> impl Iterator<Item = &RootConfig> {
        self.trust_policies.iter().filter_map(|policy| policy.trusted_root.as_ref())
    }

    /// The files that it is made of, relative to the configuration: when one changes, so does what is trusted.
    pub fn files(&self) -> Vec<PathBuf> {
        material::files(&self.trust_policies)
    }
}

impl AttestationConfig {
    /// A configuration of one trust policy, and otherwise the defaults.
    pub fn of_policy(predicate_type: String, policy: PolicyConfig) -> Self {
        Self {
            predicate_type,
            select: Select::default(),
            max_age: None,
            time_field: None,
            trust_policies: vec![policy],
            signature_format: SignatureFormat::default(),
            source: None,
            max_signature_attempts: default_max_signature_attempts(),
            max_bundle_bytes: default_max_attestation_bytes(),
        }
    }

    /// As [`Config::compile`].
    ///
    /// # Errors
    /// Every fault.
    pub fn compile(&self, base: &Path) -> Result<Compiled, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let predicate_type = predicate::check(&self.predicate_type, &mut faults);
        let freshness = Freshness { select: self.select, max_age: self.max_age, time_field: self.time_field.clone() };
        predicate::check_times(&freshness, &self.trust_policies, &mut faults);
        let shared = Config {
            trust_policies: self.trust_policies.clone(),
            signature_format: self.signature_format,
            source: self.source.clone(),
            max_signature_attempts: self.max_signature_attempts,
            max_bundle_bytes: self.max_bundle_bytes,
        };
        compile::compile(&shared, Wanted::Attestation { predicate_type, freshness }, faults, base)
    }

    /// As [`Config::roots`].
    pub fn roots(&self) -> impl Iterator<Item = &RootConfig> {
        self.trust_policies.iter().filter_map(|policy| policy.trusted_root.as_ref())
    }

    /// As [`Config::files`].
    pub fn files(&self) -> Vec<PathBuf> {
        material::files(&self.trust_policies)
    }
}

#[cfg(test)]
mod tests;
