//! The command line of the public sigstore-conformance suite, answered by the product's own core.
//!
//! ```text
//! verify-bundle [--staging] --bundle FILE
//!     (--certificate-identity IDENTITY --certificate-oidc-issuer URL | --key PEM) [--trusted-root FILE] FILE_OR_DIGEST
//! ```
//!
//! Rule: `docs/cli_protocol.md` of sigstore/sigstore-conformance.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use countersign::{
    oci::Digest,
    verifier::{
        Findings,
        cosign::{
            config::{Config, KeyConfig, PolicyConfig},
            identity::IdentityConfig,
            judge::{self, Target, Want},
            policy::TrustPolicy,
            root::source::{Instance, RootConfig},
        },
    },
};
use time::OffsetDateTime;

/// Why there is no yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The evidence does not hold.
    Rejected(String),
    /// The command line, or a file that it names, is none.
    Unusable(String),
}

fn unusable(error: impl Display) -> Refused {
    Refused::Unusable(error.to_string())
}

/// One question of the suite.
#[derive(Debug, Default)]
struct Question {
    staging: bool,
    bundle: Option<PathBuf>,
    identity: Option<String>,
    issuer: Option<String>,
    key: Option<PathBuf>,
    trusted_root: Option<PathBuf>,
    artifact: Option<String>,
}

impl Question {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Refused> {
        let mut arguments = arguments.into_iter();
        match arguments.next() {
            Some(command) if command == "verify-bundle" => {}
            other => return Err(unusable(format_args!("{other:?} is not verify-bundle"))),
        }
        let mut question = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| unusable(format_args!("{argument} has no value")));
            match argument.as_str() {
                "--staging" => question.staging = true,
                "--bundle" => question.bundle = Some(value()?.into()),
                "--certificate-identity" => question.identity = Some(value()?),
                "--certificate-oidc-issuer" => question.issuer = Some(value()?),
                "--key" => question.key = Some(value()?.into()),
                "--trusted-root" => question.trusted_root = Some(value()?.into()),
                option if option.starts_with("--") => return Err(unusable(format_args!("unknown option {option}"))),
                _ if question.artifact.is_none() => question.artifact = Some(argument),
                _ => return Err(unusable(format_args!("a second artifact {argument}"))),
            }
        }
        Ok(question)
    }

    /// As an operator would write it: a log, and of a certificate an SCT and a time.
    fn policy(&self) -> Result<TrustPolicy, Refused> {
        let instance = if self.staging { Instance::Staging } else { Instance::PublicGood };
        let root = self.trusted_root.clone().map_or_else(|| RootConfig::of_instance(instance), RootConfig::of_file);
        let mut written = PolicyConfig {
            name: "conformance".to_owned(),
            scopes: vec!["**".to_owned()],
            trusted_root: Some(root),
            ..PolicyConfig::default()
        };
        match (&self.key, &self.identity, &self.issuer) {
            (Some(file), None, None) => {
                written.keys = Some(vec![KeyConfig { file: Some(file.clone()), ..KeyConfig::default() }]);
            }
            (None, Some(subject), Some(issuer)) => {
                written.identities = Some(vec![IdentityConfig {
                    issuer: Some(issuer.clone()),
                    subject: Some(subject.clone()),
                    ..IdentityConfig::default()
                }]);
            }
            _ => return Err(unusable("either a key, or an identity with its issuer")),
        }
        let compiled = Config::of_policy(written).compile(Path::new(".")).map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            unusable(faults.join("; "))
        })?;
        compiled.policies.into_iter().next().ok_or_else(|| unusable("no trust policy"))
    }

    /// The digest, and the bytes where there is a file. What is no digest of the right length, or is on disk, is a file.
    fn artifact(&self) -> Result<(Digest, Option<Vec<u8>>), Refused> {
        let named = self.artifact.as_deref().ok_or_else(|| unusable("no artifact"))?;
        if !Path::new(named).exists()
            && named.starts_with("sha256:")
            && let Ok(digest) = Digest::parse(named)
        {
            return Ok((digest, None));
        }
        let bytes = read(Path::new(named))?;
        Ok((Digest::sha256(&bytes), Some(bytes)))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Refused> {
    fs::read(file).map_err(|error| unusable(format_args!("{}: {error}", file.display())))
}

/// Answers one command line, without the program's name.
///
/// # Errors
/// [`Refused`].
pub fn answer(arguments: impl IntoIterator<Item = String>, now: OffsetDateTime) -> Result<Findings, Refused> {
    let question = Question::parse(arguments)?;
    let bundle = read(question.bundle.as_deref().ok_or_else(|| unusable("no bundle"))?)?;
    let policy = question.policy()?;
    let (digest, bytes) = question.artifact()?;
    let target = Target { digest: &digest, bytes: bytes.as_deref(), repository: None };
    judge::judge_bundle(&bundle, &target, &Want::Any, &policy, now).map_err(|rejection| {
        let (check, code, reason) = (rejection.check(), rejection.code(), rejection.reason());
        Refused::Rejected(format!("{check} ({code}): {reason}"))
    })
}
