//! What an operator says about the objects: each word changes one field of the kind that it is about.

use std::{fmt, time::Duration};

use serde_json::{Map, Value, json};
use url::Url;

use super::manifest::{Kind, Manifest, Part};

/// Where the manifests that this binary brings expect us.
pub const NAMESPACE: &str = "countersign-system";

/// What a constraint does with what it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnforcementAction {
    /// Refuses it.
    Deny,
    /// Admits it, and reports it in the audit.
    Dryrun,
    /// Admits it, with a warning to whoever asks.
    Warn,
}

impl EnforcementAction {
    const ALL: [Self; 3] = [Self::Deny, Self::Dryrun, Self::Warn];
}

impl fmt::Display for EnforcementAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Dryrun => "dryrun",
            Self::Warn => "warn",
        })
    }
}

impl std::str::FromStr for EnforcementAction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|action| action.to_string() == text);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(|action| action.to_string()).join(", ")))
    }
}

/// What is to differ from the manifests. Absent: as they have it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The namespace that we run in: part of the Providers' URLs, and never judged.
    pub namespace: Option<String>,
    /// The Service in it.
    pub service: Option<String>,
    /// How long Gatekeeper waits for `/verify`; whole seconds.
    pub verify_timeout: Option<Duration>,
    /// How long Gatekeeper waits for `/mutate`; whole seconds.
    pub mutate_timeout: Option<Duration>,
    /// What the constraints do.
    pub enforcement_action: Option<EnforcementAction>,
    /// The namespaces that constraints and mutators leave alone, beside our own.
    pub exempt_namespaces: Option<Vec<String>>,
}

/// Why a setting cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{object}: {fault}")]
pub struct SettingsError {
    object: String,
    fault: &'static str,
}

impl Settings {
    /// Makes the settings in every manifest that they are about.
    ///
    /// # Errors
    /// [`SettingsError`]: a manifest does not have the shape that a setting needs.
    pub fn make(&self, manifests: &mut [Manifest]) -> Result<(), SettingsError> {
        for manifest in manifests {
            self.make_one(manifest).map_err(|fault| SettingsError { object: manifest.to_string(), fault })?;
        }
        Ok(())
    }

    fn make_one(&self, manifest: &mut Manifest) -> Result<(), &'static str> {
        let Self { namespace: _, service: _, verify_timeout, mutate_timeout, enforcement_action, exempt_namespaces: _ } =
            self;
        match manifest.kind {
            Kind::ConstraintTemplate | Kind::ExpansionTemplate => {}
            Kind::Provider => {
                self.move_url(&mut manifest.spec)?;
                let timeout = if manifest.part == Part::Mutation { mutate_timeout } else { verify_timeout };
                if let Some(timeout) = timeout {
                    manifest.spec.insert("timeout".to_owned(), json!(timeout.as_secs()));
                }
            }
            Kind::Mutator => self.exempt(&mut manifest.spec)?,
            Kind::Constraint => {
                self.exempt(&mut manifest.spec)?;
                if let Some(action) = enforcement_action {
                    manifest.spec.insert("enforcementAction".to_owned(), json!(action.to_string()));
                }
            }
        }
        Ok(())
    }

    /// `https://SERVICE.NAMESPACE.svc…`: the two words are replaced, and nothing else.
    fn move_url(&self, spec: &mut Map<String, Value>) -> Result<(), &'static str> {
        if self.namespace.is_none() && self.service.is_none() {
            return Ok(());
        }
        let no_service = "spec.url is not that of a Service (https://SERVICE.NAMESPACE.svc…), so namespace and service cannot be set";
        let url = spec.get("url").and_then(Value::as_str).and_then(|text| Url::parse(text).ok());
        let mut url = url.ok_or(no_service)?;
        let host = url.host_str().ok_or(no_service)?.to_owned();
        let mut labels = host.split('.');
        let (service, namespace) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
        let rest: Vec<&str> = labels.collect();
        if service.is_empty() || namespace.is_empty() || rest.first() != Some(&"svc") {
            return Err(no_service);
        }
        let service = self.service.as_deref().unwrap_or(service);
        let namespace = self.namespace.as_deref().unwrap_or(namespace);
        let host = format!("{service}.{namespace}.{}", rest.join("."));
        url.set_host(Some(&host)).map_err(|_| no_service)?;
        spec.insert("url".to_owned(), json!(url.as_str()));
        Ok(())
    }

    /// The namespaces that are left alone: as said, or as the manifest has it; our own always, in the place of the one that
    /// published manifests name. A namespace that nobody has made would be a way around for whoever may make it.
    fn exempt(&self, spec: &mut Map<String, Value>) -> Result<(), &'static str> {
        let Self { namespace, exempt_namespaces, .. } = self;
        if namespace.is_none() && exempt_namespaces.is_none() {
            return Ok(());
        }
        let object = "spec.match is no object";
        let matches = spec.entry("match").or_insert_with(|| json!({})).as_object_mut().ok_or(object)?;
        let written = match matches.get("excludedNamespaces") {
            None => Vec::new(),
            Some(list) => {
                let texts = list.as_array().ok_or("spec.match.excludedNamespaces is no list")?;
                texts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
        };
        let mut exempt = exempt_namespaces.clone().unwrap_or(written);
        if let Some(own) = namespace {
            exempt.retain(|name| name != NAMESPACE || own == NAMESPACE);
            exempt.push(own.clone());
        }
        let mut seen = std::collections::BTreeSet::new();
        exempt.retain(|name| seen.insert(name.clone()));
        matches.insert("excludedNamespaces".to_owned(), json!(exempt));
        Ok(())
    }
}
