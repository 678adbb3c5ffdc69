//! Flags of `verify` for cosign's users: one trust policy, without a configuration file.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;

use super::{super::registries::absolute, pair};
use crate::{
    config::Config,
    crypto::scheme::HashAlgorithm,
    store::registry,
    verifier::cosign::{
        config::{self as cosign, AttestationConfig, KeyConfig, PemConfig, PolicyConfig, predicate_type},
        identity::IdentityConfig,
        root::source::{Instance, RootConfig},
    },
};

/// What stands in messages where a configuration's file would.
pub(super) const PLACE: &str = "<flags>";

/// One trust policy of the verifiers `cosign` and `attestation`. It flattens nothing: clap leaves the group of a struct that does
/// empty, and with it what the group conflicts with.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sigstore, instead of a configuration")]
#[group(id = "cosign", multiple = true, conflicts_with_all = ["config", "trust_policy", "trust_store", "user_metadata"])]
pub(super) struct Cosign {
    /// A public key (PEM) that must have signed; any of them (repeatable)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["identity", "issuer", "github_workflow", "ca_roots", "ca_intermediates", "insecure_ignore_sct"])]
    key: Vec<PathBuf>,
    /// The only hash that signatures by --key may use: sha256, sha384, sha512
    #[arg(long, value_name = "HASH", value_parser = hash, requires = "key")]
    signature_digest_algorithm: Option<HashAlgorithm>,
    /// The subject of the signer's certificate
    #[arg(long, value_name = "SUBJECT", group = "identity", requires = "issuer")]
    certificate_identity: Option<String>,
    /// A regular expression that matches the whole subject
    #[arg(long, value_name = "REGEXP", group = "identity", requires = "issuer")]
    certificate_identity_regexp: Option<String>,
    /// Who vouched for the signer
    #[arg(long, value_name = "URL", group = "issuer", requires = "identity")]
    certificate_oidc_issuer: Option<String>,
    /// A regular expression that matches the whole issuer
    #[arg(long, value_name = "REGEXP", group = "issuer", requires = "identity")]
    certificate_oidc_issuer_regexp: Option<String>,
    /// Whose authorities, logs and timestamps are believed: public-good, github, staging, or a `trusted_root.json`
    /// (default: public-good, if any is needed)
    #[arg(long, value_name = "ROOT")]
    trusted_root: Option<PathBuf>,
    /// Roots (PEM) of an own certificate authority, in the place of those of the trusted root
    #[arg(long, value_name = "FILE", requires = "identity")]
    ca_roots: Option<PathBuf>,
    /// Intermediates of --ca-roots (PEM)
    #[arg(long, value_name = "FILE", requires = "ca_roots")]
    ca_intermediates: Option<PathBuf>,
    /// Verify attestations of this predicate type, a URI or a short name such as vuln or spdxjson, instead of signatures
    #[arg(long = "type", value_name = "TYPE", value_parser = predicate, conflicts_with = "annotations")]
    predicate_type: Option<String>,
    /// An annotation that must be signed (repeatable)
    #[arg(long, short = 'a', value_name = "KEY=VALUE", value_parser = pair)]
    annotations: Vec<(String, String)>,
    /// Ask for no transparency log
    #[arg(long)]
    insecure_ignore_tlog: bool,
    /// Ask for no certificate transparency
    #[arg(long)]
    insecure_ignore_sct: bool,
}

/// Claims of a GitHub workflow's certificate.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sigstore, instead of a configuration")]
#[group(id = "github_workflow", multiple = true, requires = "identity", conflicts_with_all = ["config", "trust_policy"])]
pub(super) struct GithubWorkflow {
    /// The event that started the GitHub workflow
    #[arg(long = "certificate-github-workflow-trigger", value_name = "EVENT")]
    trigger: Option<String>,
    /// The commit that it ran on
    #[arg(long = "certificate-github-workflow-sha", value_name = "SHA")]
    sha: Option<String>,
    /// Its name
    #[arg(long = "certificate-github-workflow-name", value_name = "NAME")]
    name: Option<String>,
    /// Its repository, as `owner/name`
    #[arg(long = "certificate-github-workflow-repository", value_name = "REPOSITORY")]
    repository: Option<String>,
    /// The git ref that it ran on
    #[arg(long = "certificate-github-workflow-ref", value_name = "REF")]
    reference: Option<String>,
}

fn hash(text: &str) -> Result<HashAlgorithm, String> {
    match text {
        "sha256" => Ok(HashAlgorithm::Sha256),
        "sha384" => Ok(HashAlgorithm::Sha384),
        "sha512" => Ok(HashAlgorithm::Sha512),
        _ => Err("none of sha256, sha384, sha512".to_owned()),
    }
}

fn predicate(text: &str) -> Result<String, String> {
    predicate_type(text).ok_or_else(|| "no URI, and no short name such as vuln, spdxjson, slsaprovenance1".to_owned())
}

impl Cosign {
    /// The configuration that the flags say. `max_signatures`: how many are tried.
    pub(super) fn into_config(
        self,
        workflow: GithubWorkflow,
        max_signatures: Option<usize>,
        registries: registry::Config,
        base: PathBuf,
    ) -> anyhow::Result<Config> {
        let (predicate_type, policy) = self.into_policy(workflow)?;
        Ok(match predicate_type {
            None => {
                let mut signature = cosign::Config::of_policy(policy);
                signature.max_signature_attempts = max_signatures.unwrap_or(signature.max_signature_attempts);
                Config::of_cosign(signature, registries, base)
            }
            Some(predicate_type) => {
                let mut attestation = AttestationConfig::of_policy(predicate_type, policy);
                attestation.max_signature_attempts = max_signatures.unwrap_or(attestation.max_signature_attempts);
                Config::of_attestation(attestation, registries, base)
            }
        })
    }

    fn into_policy(self, workflow: GithubWorkflow) -> anyhow::Result<(Option<String>, PolicyConfig)> {
        let Self {
            key,
            signature_digest_algorithm,
            certificate_identity,
            certificate_identity_regexp,
            certificate_oidc_issuer,
            certificate_oidc_issuer_regexp,
            trusted_root,
            ca_roots,
            ca_intermediates,
            predicate_type,
            annotations,
            insecure_ignore_tlog,
            insecure_ignore_sct,
        } = self;
        let keys = key.iter().map(|file| {
            let file = Some(absolute(file)?);
            Ok(KeyConfig { file, hash_algorithm: signature_digest_algorithm, ..KeyConfig::default() })
        });
        let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
        let is_keyed = !keys.is_empty();
        let identity = IdentityConfig {
            issuer: certificate_oidc_issuer,
            issuer_reg_exp: certificate_oidc_issuer_regexp,
            subject: certificate_identity,
            subject_reg_exp: certificate_identity_regexp,
            claims: workflow.claims(),
        };
        let own = certificates(ca_roots)?;
        // Nothing of an instance is needed where its log and its authorities do not count.
        let needs_root = !insecure_ignore_tlog || (!is_keyed && own.is_none());
        let trusted_root = match trusted_root {
            Some(written) => Some(root(&written)?),
            None => needs_root.then(|| RootConfig::of_instance(Instance::PublicGood)),
        };
        let policy = PolicyConfig {
            name: "flags".to_owned(),
            scopes: vec!["**".to_owned()],
            use_current_time: own.is_some() && trusted_root.is_none(),
            keys: is_keyed.then_some(keys),
            identities: (!is_keyed).then(|| vec![identity]),
            trusted_root,
            ca_roots: own,
            ca_intermediates: certificates(ca_intermediates)?,
            annotations: annotations.into_iter().collect(),
            ignore_tlog: insecure_ignore_tlog,
            ignore_sct: insecure_ignore_sct,
            ..PolicyConfig::default()
        };
        Ok((predicate_type, policy))
    }
}

fn certificates(file: Option<PathBuf>) -> anyhow::Result<Option<Vec<PemConfig>>> {
    let Some(file) = file else { return Ok(None) };
    Ok(Some(vec![PemConfig { file: Some(absolute(&file)?), pem: None }]))
}

/// An instance's name, else a file's.
fn root(written: &std::path::Path) -> anyhow::Result<RootConfig> {
    let known = Instance::ALL.into_iter().find(|instance| written.as_os_str() == instance.as_str());
    match known {
        Some(instance) => Ok(RootConfig::of_instance(instance)),
        None => Ok(RootConfig::of_file(absolute(written)?)),
    }
}

impl GithubWorkflow {
    /// By the claims' names in a configuration.
    fn claims(self) -> BTreeMap<String, String> {
        let Self { trigger, sha, name, repository, reference } = self;
        let all = [
            ("githubWorkflowTrigger", trigger),
            ("githubWorkflowSha", sha),
            ("githubWorkflowName", name),
            ("githubWorkflowRepository", repository),
            ("githubWorkflowRef", reference),
        ];
        all.into_iter().filter_map(|(claim, value)| Some((claim.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests;
