//! The verifier `notation`: Notary Project signatures.
//!
//! ```text
//! Artifact ──manifest──► layer ──blob──► bytes ──envelope──► Envelope ──integrity──► Signed ──steps──► Findings
//!                                                          chains: known to fit ─┘     ▲
//!                                        trust_policy: Statement ── level, identity ───┤
//!                                        trust_store: TrustStores ─────────────────────┘
//! ```

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use time::OffsetDateTime;

use self::{
    chains::KnownChains,
    level::{Action, Validation},
    revocation::{Ask, Revocation, RevocationOutside},
    steps::{Steps, Terms},
    trust_policy::{Checked, Statement, StoreName, StoreType, TrustPolicyDocument, Verification},
    trust_store::{StoreFault, TrustStores},
};
use super::{Check, Item, Rejection, Verified, Verifier, VerifierName, VerifyError, VerifyRequest, Waiver};
use crate::{
    crypto::x509::Certificate,
    oci::{Referrer, Repository},
    reason::{self, Code},
};

pub mod chains;
pub mod config;
pub mod describe;
pub mod envelope;
pub mod identity;
pub mod integrity;
pub mod level;
mod manifest;
pub mod revocation;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
pub mod trust_policy;
pub mod trust_store;

pub use config::{Config, ConfigFault};

/// The configuration's `type`.
pub const KIND: &str = "notation";

/// A verifier of Notary Project signatures, under one trust policy and its trust stores.
#[derive(Debug)]
pub struct Notation {
    name: VerifierName,
    policy: TrustPolicyDocument,
    stores: TrustStores,
    chains: KnownChains,
    user_metadata: BTreeMap<String, String>,
    max_attempts: usize,
    max_envelope_bytes: u64,
    revocation: Revocation,
    /// What should be looked at in the evidence that the operator brings along.
    evidence_warnings: Vec<String>,
}

impl Notation {
    /// Loads the trust policy and the trust stores that it names. Paths in `config` are relative to `base`.
    ///
    /// A store that is missing, empty or bad is no error here: it fails authenticity for the statements that name it and
    /// no other, and [`Notation::store_faults`] lists it.
    ///
    /// Cost: file system reads, bounded.
    ///
    /// # Errors
    /// Every fault of the configuration and of the trust policy.
    pub fn load(name: VerifierName, config: &Config, base: &Path) -> Result<Self, Vec<ConfigFault>> {
        let config::Loaded { policy, stores, revocation, warnings: evidence_warnings } = config.load(base)?;
        let stores = TrustStores::load(&stores, policy.store_names());
        Ok(Self {
            name,
            policy,
            stores,
            chains: KnownChains::default(),
            user_metadata: config.user_metadata.clone(),
            max_attempts: config.max_signature_attempts,
            max_envelope_bytes: config.max_envelope_bytes,
            revocation,
            evidence_warnings,
        })
    }

    /// Lets OCSP responders and CRL servers be asked. Until then only evidence at hand counts.
    ///
    /// # Errors
    /// What is wrong with `revocation.cacheDir`.
    pub fn asking(mut self, config: &Config, base: &Path, outside: RevocationOutside) -> Result<Self, ConfigFault> {
        self.revocation = self.revocation.asking(&config.revocation, base, outside).map_err(ConfigFault::revocation)?;
        Ok(self)
    }

    /// What finds out about revocation, to be refreshed ahead of time.
    pub fn revocation(&self) -> Revocation {
        self.revocation.clone()
    }

    /// The trust stores that vouch for nobody, and why. To be said loudly: at load, in `check`, in a metric.
    pub fn store_faults(&self) -> impl Iterator<Item = (&StoreName, &StoreFault)> {
        self.stores.faults()
    }

    /// When the first anchor of each trust store ends.
    pub fn anchors(&self) -> impl Iterator<Item = (&StoreName, OffsetDateTime)> {
        self.stores
            .all()
            .filter_map(|(name, certificates)| Some((name, certificates.iter().map(Certificate::not_after).min()?)))
    }

    /// What an operator should know about a policy that is valid: levels that admit what `strict` refuses
    /// (CVE-2024-23332), and scopes that no image can match.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for statement in self.policy.statements() {
            let name = &statement.name;
            match &statement.verification {
                Verification::Checked(checked) if checked.actions.is_strict() => {}
                Verification::Checked(_) => {
                    warnings.push(format!("trust policy {name:?} is not strict: checks that fail may only be logged"));
                }
                Verification::Skip => warnings.push(format!("trust policy {name:?} verifies nothing (level skip)")),
            }
        }
        for scope in self.policy.exact_scopes() {
            match Repository::parse(scope) {
                Ok(repository) if repository.to_string() != scope => {
                    warnings.push(format!("scope {scope:?} matches no image: its canonical name is {repository}"));
                }
                Ok(_) => {}
                Err(_) => warnings.push(format!("scope {scope:?} matches no image: it is no repository")),
            }
        }
        warnings.sort();
        warnings.extend(self.evidence_warnings.iter().cloned());
        warnings
    }

    fn statement(&self, repository: &Repository) -> Result<&Statement, Rejection> {
        self.policy.select(repository).ok_or_else(|| {
            let reason = format!("no trust policy of verifier {:?} covers {repository}", self.name);
            Rejection::new(Check::Policy, Code::TrustPolicyMissing, reason)
        })
    }

    /// Whether some signature could be authentic. Where authenticity is enforced and each type of store that the
    /// statement names has a fault, none could.
    fn could_trust(&self, name: &str, checked: &Checked) -> Result<(), Rejection> {
        if checked.actions.action(Validation::Authenticity) != Action::Enforce {
            return Ok(());
        }
        let mut fault = None;
        for store_type in [StoreType::Ca, StoreType::SigningAuthority] {
            let mut stores = checked.stores_of(store_type).peekable();
            if stores.peek().is_none() {
                continue;
            }
            match stores.find_map(|store| self.stores.certificates(store).err().map(|fault| (store, fault))) {
                None => return Ok(()),
                Some(found) => fault = fault.or(Some(found)),
            }
        }
        let (code, reason) = match fault {
            Some((store, fault)) => {
                (Code::NoTrust, format!("trust store {store} vouches for nobody: {}", reason::chain(fault)))
            }
            None => (Code::Untrusted, "it names no trust store of type ca or signingAuthority".to_owned()),
        };
        Err(Rejection::new(
            Check::Authenticity,
            code,
            format!("{reason} (trust policy {name:?}: enforce authenticity)"),
        ))
    }
}

#[async_trait]
impl Verifier for Notation {
    fn name(&self) -> &VerifierName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    fn can_verify(&self, referrer: &Referrer) -> bool {
        referrer.descriptor.artifact_type.as_deref() == Some(manifest::ARTIFACT_TYPE)
    }

    fn max_attempts(&self) -> usize {
        self.max_attempts
    }

    fn waives(&self, repository: &Repository) -> Option<Waiver> {
        let statement = self.policy.select(repository)?;
        match statement.verification {
            Verification::Checked(_) => None,
            Verification::Skip => Some(Waiver::by_policy(&statement.name)),
        }
    }

    fn covers(&self, repository: &Repository) -> Result<(), Rejection> {
        let statement = self.statement(repository)?;
        match &statement.verification {
            Verification::Checked(checked) => self.could_trust(&statement.name, checked),
            Verification::Skip => Ok(()),
        }
    }

    fn may_log(&self) -> &'static [Check] {
        &[Check::Authenticity, Check::AuthenticTimestamp, Check::Expiry, Check::Revocation]
    }

    async fn verify(&self, request: &VerifyRequest<'_>) -> Result<Vec<Item>, VerifyError> {
        let subject = request.subject();
        let statement = self.statement(subject.repository())?;
        let checked = match &statement.verification {
            Verification::Checked(checked) => checked,
            // Waived: no signature is looked at, so none can be a yes.
            Verification::Skip => {
                let reason = format!("trust policy {:?} verifies nothing (level skip)", statement.name);
                return Err(Rejection::new(Check::Policy, Code::PolicyError, reason).into());
            }
        };
        let layer = manifest::envelope(request.artifact(), self.max_envelope_bytes)?;
        let content = request
            .blob(layer, self.max_envelope_bytes)
            .await
            .map_err(|error| VerifyError::from_store(Check::Content, &error))?;
        let terms = Terms {
            statement: &statement.name,
            checked,
            stores: &self.stores,
            chains: &self.chains,
            user_metadata: &self.user_metadata,
            limits: envelope::Limits { envelope_bytes: usize::try_from(self.max_envelope_bytes).unwrap_or(usize::MAX) },
            now: request.now(),
        };
        let signed = steps::check_integrity(&layer.media_type, content.bytes(), &terms)?;
        let mut steps = Steps::make(&signed, &terms)?;
        let dated = steps.date();
        let authority = match dated.authority() {
            Some(chain) => Some(self.revocation.check(chain, Ask::of_authority(request)).await),
            None => None,
        };
        steps.authentic_timestamp(dated, authority.as_ref())?;
        let chain = signed.chain().certificates();
        let found = if steps.wants_revocation() {
            self.revocation.check(chain, Ask::of(request, signed.scheme())).await
        } else {
            self.revocation.unasked(chain)
        };
        steps.revocation(&found)?;
        let findings = steps.conclude(subject.descriptor())?;
        Ok(vec![Item::only(Ok(Verified::conclude(findings, request.now())?))])
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
