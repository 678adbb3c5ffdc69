//! What an operator configures for a verifier of type `notation`.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::{
    revocation::{Revocation, RevocationConfig},
    trust_policy::{MAX_DOCUMENT_BYTES, PolicyFault, StoreName, StoreType, TrustPolicyDocument},
    trust_store::TrustStoreSource,
};

/// Configuration of a verifier of type `notation`. Paths are relative to the configuration file.
///
/// Exactly one of `trustPolicy` and `trustPolicies`, and one of `trustStore` and `trustStores`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Notation's `trustpolicy.json`, unchanged.
    #[serde(default)]
    pub trust_policy: Option<PathBuf>,
    /// The statements of such a document, inline: what stands there under `trustPolicies`.
    #[serde(default)]
    pub trust_policies: Option<Vec<Value>>,
    /// Notation's trust store directory: `x509/{ca,signingAuthority,tsa}/NAME/*` below it.
    #[serde(default)]
    pub trust_store: Option<PathBuf>,
    /// Certificate files by type and name of the store.
    #[serde(default)]
    pub trust_stores: Option<InlineTrustStores>,
    /// User metadata that every signature must carry. Default: none.
    #[serde(default)]
    pub user_metadata: BTreeMap<String, String>,
    /// Most signatures that are tried for one image, in listing order. Default: 100, as notation has it.
    #[serde(default = "default_max_signature_attempts")]
    pub max_signature_attempts: usize,
    /// Largest envelope in bytes. Default: 1 MiB; the largest known one has 10 KiB.
    #[serde(default = "default_max_envelope_bytes")]
    pub max_envelope_bytes: u64,
    /// How it is found out whether certificates were revoked. Default: those are asked whom the certificates name.
    #[serde(default)]
    pub revocation: RevocationConfig,
}

impl Config {
    /// Notation's own files, and otherwise the defaults.
    pub fn of_files(trust_policy: PathBuf, trust_store: PathBuf) -> Self {
        Self {
            trust_policy: Some(trust_policy),
            trust_policies: None,
            trust_store: Some(trust_store),
            trust_stores: None,
            user_metadata: BTreeMap::new(),
            max_signature_attempts: default_max_signature_attempts(),
            max_envelope_bytes: default_max_envelope_bytes(),
            revocation: RevocationConfig::default(),
        }
    }
}

/// Notation's own default, and its tools' `--max-signatures`.
const fn default_max_signature_attempts() -> usize {
    100
}

/// `notation.md` 3.6: the tools allow 32 MiB, real envelopes have a hundredth of one.
const fn default_max_envelope_bytes() -> u64 {
    1024 * 1024
}

/// Certificate files by name of the store.
type Files = BTreeMap<String, Vec<PathBuf>>;

/// Certificate files by type and name of the store.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InlineTrustStores {
    /// For the scheme `notary.x509`.
    #[serde(default)]
    pub ca: Files,
    /// For the scheme `notary.x509.signingAuthority`.
    #[serde(default)]
    pub signing_authority: Files,
    /// For timestamp authorities.
    #[serde(default)]
    pub tsa: Files,
}

/// What is wrong with a configuration of this verifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Two members that say the same.
    #[error("{first} and {second} exclude each other")]
    Both {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Neither of two members.
    #[error("one of {first} and {second} is needed")]
    Neither {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A fault of the trust policy.
    #[error("{}", place(file.as_deref(), &fault.path))]
    Policy {
        /// The file, where it is not inline.
        file: Option<PathBuf>,
        /// Where and what.
        #[source]
        fault: Box<PolicyFault>,
    },
    /// The trust policy's file is too large.
    #[error("{file} has more than {MAX_DOCUMENT_BYTES} bytes")]
    PolicyTooLarge {
        /// Which file.
        file: PathBuf,
    },
    /// The trust policy's file cannot be read.
    #[error("{file} cannot be read")]
    PolicyUnreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is configured about revocation, or a file that it names.
    #[error("{why}")]
    Revocation {
        /// The member of `revocation`.
        member: String,
        /// What is wrong.
        why: String,
    },
    /// A store whose name no trust policy can write.
    #[error("{name:?} is no name of a trust store: letters, digits, '_', '.' and '-' only")]
    StoreName {
        /// Its type.
        store_type: StoreType,
        /// Its name.
        name: String,
    },
    /// A limit of nothing.
    #[error("{member} is 0; it must be at least 1")]
    Zero {
        /// Which member.
        member: &'static str,
    },
}

/// `trustpolicy.json: trustPolicies[0].name`, as far as there is something to say.
fn place(file: Option<&Path>, path: &str) -> String {
    match file {
        Some(file) if path.is_empty() => file.display().to_string(),
        Some(file) => format!("{}: {path}", file.display()),
        None => path.to_owned(),
    }
}

impl ConfigFault {
    pub(super) fn revocation((member, why): (String, String)) -> Self {
        Self::Revocation { member, why }
    }

    /// The member of the configuration that is at fault, relative to the verifier's own.
    pub fn path(&self) -> String {
        match self {
            Self::Both { second: member, .. } | Self::Neither { first: member, .. } | Self::Zero { member } => {
                (*member).to_owned()
            }
            Self::Policy { file: None, fault } => fault.path.clone(),
            Self::Policy { file: Some(_), .. } | Self::PolicyTooLarge { .. } | Self::PolicyUnreadable { .. } => {
                "trustPolicy".to_owned()
            }
            Self::Revocation { member, .. } => format!("revocation.{member}"),
            Self::StoreName { store_type, name } => format!("trustStores.{}.{name}", store_type.as_str()),
        }
    }
}

/// A configuration that was read and found whole.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) policy: TrustPolicyDocument,
    pub(super) stores: TrustStoreSource,
    pub(super) revocation: Revocation,
    /// What should be looked at.
    pub(super) warnings: Vec<String>,
}

impl Config {
    /// Reads the trust policy and resolves paths against `base`. Trust stores are not read here: one that is bad does
    /// not make the configuration bad.
    ///
    /// # Errors
    /// Every fault.
    pub(super) fn load(&self, base: &Path) -> Result<Loaded, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        if self.max_signature_attempts == 0 {
            faults.push(ConfigFault::Zero { member: "maxSignatureAttempts" });
        }
        if self.max_envelope_bytes == 0 {
            faults.push(ConfigFault::Zero { member: "maxEnvelopeBytes" });
        }
        let policy = self.policy(base).map_err(|found| faults.extend(found)).ok();
        let names_stores = policy.as_ref().is_none_or(|policy| policy.store_names().next().is_some());
        let stores = self.stores(base, names_stores).map_err(|found| faults.extend(found)).ok();
        let revocation = Revocation::load(&self.revocation, base);
        let revocation = revocation.map_err(|found| faults.extend(found.into_iter().map(ConfigFault::revocation))).ok();
        match (policy, stores, revocation) {
            (Some(policy), Some(stores), Some((revocation, warnings))) if faults.is_empty() => {
                Ok(Loaded { policy, stores, revocation, warnings })
            }
            _ => Err(faults),
        }
    }

    fn policy(&self, base: &Path) -> Result<TrustPolicyDocument, Vec<ConfigFault>> {
        let (first, second) = ("trustPolicy", "trustPolicies");
        match (&self.trust_policy, &self.trust_policies) {
            (Some(_), Some(_)) => Err(vec![ConfigFault::Both { first, second }]),
            (None, None) => Err(vec![ConfigFault::Neither { first, second }]),
            (None, Some(statements)) => {
                let fault = |fault| ConfigFault::Policy { file: None, fault: Box::new(fault) };
                TrustPolicyDocument::from_statements(statements)
                    .map_err(|faults| faults.into_iter().map(fault).collect())
            }
            (Some(file), None) => {
                let file = base.join(file);
                let bytes = read_policy(&file).map_err(|fault| vec![fault])?;
                let fault = |fault| ConfigFault::Policy { file: Some(file.clone()), fault: Box::new(fault) };
                TrustPolicyDocument::parse(&bytes).map_err(|faults| faults.into_iter().map(fault).collect())
            }
        }
    }

    fn stores(&self, base: &Path, needed: bool) -> Result<TrustStoreSource, Vec<ConfigFault>> {
        let (first, second) = ("trustStore", "trustStores");
        match (&self.trust_store, &self.trust_stores) {
            (Some(_), Some(_)) => Err(vec![ConfigFault::Both { first, second }]),
            (None, None) if needed => Err(vec![ConfigFault::Neither { first, second }]),
            (None, None) => Ok(TrustStoreSource::Files(BTreeMap::new())),
            (None, Some(stores)) => stores.resolve(base).map(TrustStoreSource::Files),
            (Some(directory), None) => Ok(TrustStoreSource::Directory(base.join(directory))),
        }
    }
}

impl InlineTrustStores {
    fn resolve(&self, base: &Path) -> Result<BTreeMap<StoreName, Vec<PathBuf>>, Vec<ConfigFault>> {
        let Self { ca, signing_authority, tsa } = self;
        let mut found = BTreeMap::new();
        let mut faults = Vec::new();
        let types = [(StoreType::Ca, ca), (StoreType::SigningAuthority, signing_authority), (StoreType::Tsa, tsa)];
        for (store_type, stores) in types {
            for (name, files) in stores {
                let name = name.clone();
                if StoreName::is_name(&name) {
                    let files = files.iter().map(|file| base.join(file)).collect();
                    found.insert(StoreName { store_type, name }, files);
                } else {
                    faults.push(ConfigFault::StoreName { store_type, name });
                }
            }
        }
        if faults.is_empty() { Ok(found) } else { Err(faults) }
    }
}

/// Bounded before it is read; a symbolic link is followed, as Kubernetes mounts have them.
fn read_policy(file: &Path) -> Result<Vec<u8>, ConfigFault> {
    let unreadable = |source| ConfigFault::PolicyUnreadable { file: file.to_owned(), source };
    let metadata = fs::metadata(file).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(unreadable)?;
    opened.take(MAX_DOCUMENT_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= MAX_DOCUMENT_BYTES) {
        Ok(bytes)
    } else {
        Err(ConfigFault::PolicyTooLarge { file: file.to_owned() })
    }
}

#[cfg(test)]
mod tests;
