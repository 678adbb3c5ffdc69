//! What an operator configures for a verifier of type `exec`, and for all of them together.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::program::ProgramFault;
use crate::{
    duration,
    oci::{Digest, DigestError},
};

/// Longest life of a run: past it nobody listens any more (Kubernetes allows webhook timeouts of at most 30 s).
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// Most runs at once that are configured.
const MAX_RUNNING: usize = 1024;
/// Most artifacts of one subject that are handed to one plugin.
const MAX_ARTIFACTS: usize = 1000;
/// Most variables that a plugin is given, and bytes of each.
const MAX_VARIABLES: usize = 64;
const MAX_VARIABLE_BYTES: usize = 4096;
/// Most bytes of `config` as JSON.
const MAX_CONFIG_BYTES: usize = 64 * 1024;
/// Longest file name of a plugin (PLG-02).
const MAX_COMMAND_BYTES: usize = 128;
/// Variables that are ours to set. `LD_` would run code that nobody pinned.
const OURS: [&str; 9] = [
    "DOCKER_CONFIG",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NO_PROXY",
    "TMPDIR",
];

/// Configuration of a verifier of type `exec`: a program of the operator's that looks at artifacts.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The program's file name in one of `plugins.directories`.
    pub command: String,
    /// SHA-256 of the program, 64 hex digits. Another program is never run.
    pub sha256: String,
    /// The artifact types that it verifies; `*`: any.
    pub artifact_types: Vec<String>,
    /// Artifact types of evidence on its artifacts; handed to the program as Ratify does.
    #[serde(default)]
    pub nested_references: Vec<String>,
    /// The version of the plugin protocol that the program speaks. Default: `1.0.0`.
    #[serde(default = "default_version")]
    pub version: String,
    /// The program's own settings, handed to it as `config`.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Variables that the program is given, with their values. Nothing else of our environment reaches it.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Longest life of one run. Default: 5 s; the question's own deadline ends it earlier.
    #[serde(default = "default_timeout", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    /// Runs of this program at once. Default: half of `limits.plugins.running`, so that one that hangs leaves places to others.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Artifacts of one subject that it is asked about. Default: 16.
    #[serde(default = "default_max_artifacts")]
    pub max_artifacts: usize,
    /// What one run may cost.
    #[serde(default)]
    pub limits: Limits,
    /// Ratify's dynamic download of plugins: refused.
    #[serde(default)]
    pub source: Option<Value>,
    /// Ratify's directories of one verifier: refused.
    #[serde(default)]
    pub plugin_bin_dirs: Option<Value>,
}

impl fmt::Debug for Config {
    /// Values of variables may be secrets, and so may the program's own settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("command", &self.command)
            .field("sha256", &self.sha256)
            .field("artifact_types", &self.artifact_types)
            .field("version", &self.version)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}

/// `limits` of a verifier of type `exec`: what one run may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes that it may write to standard output and standard error together (`threats.md` 1.2 has 8 MiB as the most).
    pub output_bytes: usize,
    /// Bytes of an artifact's blobs together.
    pub blob_bytes: u64,
    /// Seconds of processor time of each of its processes.
    pub cpu_seconds: u64,
    /// Bytes of private writable memory of each of its processes (`RLIMIT_DATA`).
    pub data_bytes: u64,
    /// Open descriptors of each of its processes.
    pub open_files: u64,
    /// Bytes of a file that it writes.
    pub file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A verdict has a few hundred bytes, a talkative plugin's log some kilobytes.
            output_bytes: 1 << 20,
            // A large SBOM has ten MiB.
            blob_bytes: 32 << 20,
            cpu_seconds: 10,
            // What a program in Go needs to parse such an SBOM.
            data_bytes: 512 << 20,
            open_files: 64,
            file_bytes: 64 << 20,
        }
    }
}

/// The section `plugins`: where programs are found and run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostConfig {
    /// Directories with programs; the first that has a file of the name wins. Relative to the configuration file.
    pub directories: Vec<PathBuf>,
    /// Where private copies of programs and the folders of their runs are made: writable, and not mounted `noexec`.
    /// Default: `/tmp`.
    pub work_directory: Option<PathBuf>,
    /// The program that starts plugins, where that is not this one: for other programs that use this library.
    pub launcher: Option<PathBuf>,
}

impl HostConfig {
    /// Where copies and folders are made.
    pub fn work_directory(&self) -> &Path {
        self.work_directory.as_deref().unwrap_or(Path::new("/tmp"))
    }
}

/// `limits.plugins`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostLimits {
    /// Runs at once, of all plugins together. Default: two for each processor.
    pub running: usize,
    /// Longest wait for a place; then the question stays open. Default: 1 s, half of the Provider's usual `timeout`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub wait: Duration,
}

impl Default for HostLimits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { running: processors.saturating_mul(2).min(MAX_RUNNING), wait: Duration::from_secs(1) }
    }
}

impl HostLimits {
    /// Each field out of range, with what is allowed.
    pub fn faults(self) -> Vec<(&'static str, &'static str)> {
        let wait = !self.wait.is_zero() && self.wait <= MAX_TIMEOUT;
        [
            ("running", (1..=MAX_RUNNING).contains(&self.running), "1 to 1024"),
            ("wait", wait, "more than 0 and at most 30s"),
        ]
        .into_iter()
        .filter(|(_, holds, _)| !holds)
        .map(|(field, _, allowed)| (field, allowed))
        .collect()
    }
}

fn default_version() -> String {
    "1.0.0".to_owned()
}

const fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

const fn default_max_artifacts() -> usize {
    16
}

/// What is wrong with a configuration of this verifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// No artifact type, or one that cannot stand in the protocol's list.
    #[error("names no artifact type, or one that is empty or has a comma or a control character")]
    ArtifactTypes {
        /// Which field.
        field: &'static str,
    },
    /// No file name.
    #[error("is no file name: a letter or digit, then at most 127 letters, digits, `.`, `_` or `-`; no path")]
    Command,
    /// The pin is no digest.
    #[error("is no SHA-256: 64 lower-case hex digits")]
    Digest(#[source] DigestError),
    /// The member of `config` is ours to set.
    #[error("is set by countersign: to the verifier's own name, type and artifact types")]
    Given {
        /// Which member.
        member: &'static str,
    },
    /// The program cannot be taken.
    #[error("the plugin is refused")]
    Program(#[source] ProgramFault),
    /// A number out of range.
    #[error("must be {allowed}")]
    Range {
        /// Which field.
        field: &'static str,
        /// What may be.
        allowed: &'static str,
    },
    /// Something of Ratify's that there is not.
    #[error("{why}")]
    Unsupported {
        /// Which field.
        field: &'static str,
        /// A sentence.
        why: &'static str,
    },
    /// A variable that no program may be given.
    #[error("{name:?} cannot be given: {why}")]
    Variable {
        /// Its name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// No version.
    #[error("is no version of the plugin protocol: as `1.0.0` or `2.0.0-alpha.1`")]
    Version,
}

impl ConfigFault {
    /// The field, below the verifier's.
    pub const fn path(&self) -> &'static str {
        match self {
            Self::ArtifactTypes { field } | Self::Range { field, .. } | Self::Unsupported { field, .. } => field,
            Self::Command | Self::Program(_) => "command",
            Self::Digest(_) => "sha256",
            Self::Given { member } => member,
            Self::Variable { .. } => "environment",
            Self::Version => "version",
        }
    }
}

impl Config {
    /// A program with its pin, for any artifact, and otherwise the defaults.
    pub fn of_command(command: &str, sha256: &Digest) -> Self {
        Self {
            command: command.to_owned(),
            sha256: sha256.hex().to_owned(),
            artifact_types: vec!["*".to_owned()],
            nested_references: Vec::new(),
            version: default_version(),
            config: Map::new(),
            environment: BTreeMap::new(),
            timeout: default_timeout(),
            max_concurrent: None,
            max_artifacts: default_max_artifacts(),
            limits: Limits::default(),
            source: None,
            plugin_bin_dirs: None,
        }
    }

    /// The pin as a digest.
    ///
    /// # Errors
    /// [`ConfigFault::Digest`].
    pub fn pin(&self) -> Result<Digest, ConfigFault> {
        let hex = self.sha256.strip_prefix("sha256:").unwrap_or(&self.sha256);
        Digest::parse(&format!("sha256:{hex}")).map_err(ConfigFault::Digest)
    }

    /// Everything that is wrong with what is written; the program has not been looked at.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if !is_file_name(&self.command) {
            faults.push(ConfigFault::Command);
        }
        faults.extend(self.pin().err());
        if self.artifact_types.is_empty() || !self.artifact_types.iter().all(|one| is_listable(one)) {
            faults.push(ConfigFault::ArtifactTypes { field: "artifactTypes" });
        }
        if !self.nested_references.iter().all(|one| is_listable(one)) {
            faults.push(ConfigFault::ArtifactTypes { field: "nestedReferences" });
        }
        if !is_version(&self.version) {
            faults.push(ConfigFault::Version);
        }
        faults.extend(self.environment.iter().filter_map(|(name, value)| variable_fault(name, value)));
        faults.extend(self.unsupported());
        faults.extend(self.ranges());
        faults
    }

    fn unsupported(&self) -> Vec<ConfigFault> {
        let download =
            "plugins are not downloaded: put the program into one of `plugins.directories` and pin its sha256";
        let directories = "plugins are found in `plugins.directories` only, which is a section of its own";
        let store = "external stores are not supported: the program gets the artifact's blobs, and Ratify's oras store";
        let mut faults = Vec::new();
        let mut refuse = |is_there: bool, field, why| {
            if is_there {
                faults.push(ConfigFault::Unsupported { field, why });
            }
        };
        refuse(self.source.is_some(), "source", download);
        refuse(self.config.contains_key("source"), "config.source", download);
        refuse(self.plugin_bin_dirs.is_some(), "pluginBinDirs", directories);
        refuse(self.config.contains_key("pluginBinDirs"), "config.pluginBinDirs", directories);
        refuse(self.config.contains_key("storeConfig"), "config.storeConfig", store);
        for (member, path) in [
            ("name", "config.name"),
            ("type", "config.type"),
            ("artifactTypes", "config.artifactTypes"),
            ("nestedReferences", "config.nestedReferences"),
        ] {
            if self.config.contains_key(member) {
                faults.push(ConfigFault::Given { member: path });
            }
        }
        faults
    }

    fn ranges(&self) -> Vec<ConfigFault> {
        let Limits { output_bytes, blob_bytes, cpu_seconds, data_bytes, open_files, file_bytes } = self.limits;
        let config_bytes = serde_json::to_vec(&self.config).map_or(usize::MAX, |json| json.len());
        let timeout = self.timeout;
        [
            ("timeout", !timeout.is_zero() && timeout <= MAX_TIMEOUT, "more than 0 and at most 30s"),
            ("maxConcurrent", self.max_concurrent.is_none_or(|most| (1..=MAX_RUNNING).contains(&most)), "1 to 1024"),
            ("maxArtifacts", (1..=MAX_ARTIFACTS).contains(&self.max_artifacts), "1 to 1000"),
            ("environment", self.environment.len() <= MAX_VARIABLES, "at most 64 variables"),
            ("config", config_bytes <= MAX_CONFIG_BYTES, "at most 65536 bytes as JSON"),
            ("limits.outputBytes", (1..=8 << 20).contains(&output_bytes), "1 to 8388608"),
            ("limits.blobBytes", (1..=1 << 30).contains(&blob_bytes), "1 to 1073741824"),
            ("limits.cpuSeconds", (1..=300).contains(&cpu_seconds), "1 to 300"),
            ("limits.dataBytes", (16 << 20..=16 << 30).contains(&data_bytes), "16777216 to 17179869184"),
            ("limits.openFiles", (16..=4096).contains(&open_files), "16 to 4096"),
            ("limits.fileBytes", (1..=4 << 30).contains(&file_bytes), "1 to 4294967296"),
        ]
        .into_iter()
        .filter(|(_, holds, _)| !holds)
        .map(|(field, _, allowed)| ConfigFault::Range { field, allowed })
        .collect()
    }
}

/// `[A-Za-z0-9][A-Za-z0-9._-]{0,127}` (PLG-02).
fn is_file_name(name: &str) -> bool {
    name.len() <= MAX_COMMAND_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Whether it can stand in a list with commas.
fn is_listable(artifact_type: &str) -> bool {
    !artifact_type.is_empty()
        && artifact_type.len() <= 255
        && artifact_type.chars().all(|c| c != ',' && !c.is_control() && !c.is_whitespace())
}

/// `1.0.0`, `2.0.0-alpha.1`.
fn is_version(version: &str) -> bool {
    let (numbers, suffix) =
        version.split_once('-').map_or((version, None), |(numbers, suffix)| (numbers, Some(suffix)));
    let number = |part: &str| (1..=5).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let plain = |part: &str| {
        (1..=32).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
    };
    numbers.split('.').count() == 3 && numbers.split('.').all(number) && suffix.is_none_or(plain)
}

fn variable_fault(name: &str, value: &str) -> Option<ConfigFault> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.len() <= 128;
    let why = if !is_name {
        "a name is letters, digits and `_`"
    } else if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) || name.to_uppercase().starts_with("RATIFY_") {
        "countersign sets it, or it would load code that is not pinned"
    } else if value.contains('\0') || value.len() > MAX_VARIABLE_BYTES {
        "its value has a NUL or more than 4096 bytes"
    } else {
        return None;
    };
    Some(ConfigFault::Variable { name: name.to_owned(), why })
}

#[cfg(test)]
mod tests;
