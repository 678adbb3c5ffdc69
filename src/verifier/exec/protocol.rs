//! What a plugin is told: Ratify's external verifier protocol, and the artifact's checked bytes beside it.
//!
//! Standard input is one JSON object, then its end:
//!
//! ```text
//! { "config":        { … the operator's …, "name", "type", "artifactTypes": "a,b", "nestedReferences": "c,d" },
//!   "storeConfig":   { "version", "pluginBinDirs": [], "store": { "name": "oras", "useHttp": true, "localCachePath" } },
//!   "referenceDesc": { "mediaType", "digest", "size", "artifactType", "annotations" },
//!   "artifact":      { "manifest": { … }, "blobs": [ { "descriptor": { … }, "path": "/…" } ],
//!                     "nestedReports": [ { "verifierName", "verifierType", "isSuccess", "outcome", "code", … } ] } }   ← ours alone
//! ```

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{config::Config, evidence::Evidence, nested::NestedReport};
use crate::{oci::Descriptor, verifier::VerifierName};

/// What does not change from run to run.
#[derive(Debug, Clone)]
pub(super) struct Told {
    config: Map<String, Value>,
    version: String,
    environment: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    config: &'a Map<String, Value>,
    store_config: &'a Value,
    reference_desc: Descriptor,
    artifact: Artifact<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'a> {
    manifest: &'a RawValue,
    blobs: Vec<Blob<'a>>,
    nested_reports: &'a [NestedReport],
}

#[derive(Serialize)]
struct Blob<'a> {
    descriptor: &'a Descriptor,
    path: PathBuf,
}

/// A blob's file in the folder of blobs: `sha256-<hex>`.
pub(super) fn blob_path(folder: &Path, descriptor: &Descriptor) -> PathBuf {
    folder.join(descriptor.digest.to_string().replace(':', "-"))
}

impl Told {
    pub(super) fn new(name: &VerifierName, config: &Config) -> Self {
        let mut settings = config.config.clone();
        settings.insert("name".to_owned(), Value::from(&**name));
        settings.insert("type".to_owned(), Value::from(config.command.as_str()));
        settings.insert("artifactTypes".to_owned(), Value::from(config.artifact_types.join(",")));
        if !config.nested_references.is_empty() {
            settings.insert("nestedReferences".to_owned(), Value::from(config.nested_references.join(",")));
        }
        let environment = config.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { config: settings, version: config.version.clone(), environment }
    }

    /// What the plugin reads. `store_config`: Ratify's; `blobs`: where the blobs lie.
    ///
    /// # Errors
    /// Where the manifest is no JSON, which [`crate::oci::Artifact::read`] has excluded.
    pub(super) fn request(
        &self,
        evidence: &Evidence,
        store_config: &Value,
        blobs: &Path,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let manifest: &RawValue = serde_json::from_slice(evidence.artifact_manifest().bytes())?;
        let blob = |descriptor| Blob { descriptor, path: blob_path(blobs, descriptor) };
        serde_json::to_vec(&Request {
            config: &self.config,
            store_config,
            reference_desc: evidence.listed(),
            artifact: Artifact {
                manifest,
                blobs: evidence.layers().iter().map(blob).collect(),
                nested_reports: evidence.nested(),
            },
        })
    }

    /// All variables of the plugin. `more`: what stands beside the run adds; ours come last and win.
    pub(super) fn environment(&self, subject: &str, home: &Path, more: &[(String, String)]) -> Vec<(String, String)> {
        let home = home.to_string_lossy().into_owned();
        let ours = [
            ("HOME", home.as_str()),
            ("TMPDIR", home.as_str()),
            ("RATIFY_VERIFIER_COMMAND", "VERIFY"),
            ("RATIFY_VERIFIER_SUBJECT", subject),
            ("RATIFY_VERIFIER_VERSION", self.version.as_str()),
        ];
        let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.environment.iter().chain(more).cloned().chain(ours).collect()
    }

    /// The version of the protocol that is asked for.
    pub(super) fn version(&self) -> &str {
        &self.version
    }
}
