//! What an operator configures about revocation.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::duration;

/// Whether anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Nobody: only what `crlFiles`, `ocspFiles` and `preload` hold counts.
    Offline,
    /// OCSP responders and CRL servers that certificates of trusted chains name.
    #[default]
    Online,
}

/// What becomes of a certificate that names nobody who could revoke it: no OCSP responder, no CRL (REV-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoMethod {
    /// It counts as not revoked, and nothing is said.
    Allow,
    /// It fails revocation.
    Deny,
    /// It counts as not revoked, as the Notary Project has it, with a warning.
    #[default]
    Warn,
}

/// `revocation` of a verifier of type `notation`. Paths are relative to the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RevocationConfig {
    /// Whether anybody is asked. Default: `online`.
    pub mode: Mode,
    /// What becomes of a certificate that names nobody to ask. Default: `warn`.
    pub no_method: NoMethod,
    /// The only hosts that are asked, as host patterns; one that is named may have a private or loopback address, `*` is any
    /// other public host. Default: any public host, at port 80.
    pub allow_hosts: Vec<String>,
    /// URL of an HTTP forward proxy. With one, it and not we resolve names. The environment's proxies are never used.
    pub proxy: Option<String>,
    /// CRLs, DER or PEM.
    pub crl_files: Vec<PathBuf>,
    /// OCSP responses, DER.
    pub ocsp_files: Vec<PathBuf>,
    /// Notation's CRL cache directory; only read.
    pub preload: Option<PathBuf>,
    /// Where answers are kept across restarts. Default: nowhere.
    pub cache_dir: Option<PathBuf>,
    /// After how long an answer is asked for again. Default: 10 minutes.
    #[serde(deserialize_with = "duration::deserialize")]
    pub refresh_interval: Duration,
}

impl Default for RevocationConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Online,
            no_method: NoMethod::Warn,
            allow_hosts: Vec::new(),
            proxy: None,
            crl_files: Vec::new(),
            ocsp_files: Vec::new(),
            preload: None,
            cache_dir: None,
            refresh_interval: default_refresh_interval(),
        }
    }
}

/// The staleness that users are promised; CRLs are published by the hour or day.
const fn default_refresh_interval() -> Duration {
    Duration::from_mins(10)
}

/// Past it, a revocation would be noticed the next day.
const MAX_REFRESH_INTERVAL: Duration = Duration::from_hours(24);

impl RevocationConfig {
    /// Nobody is asked.
    pub fn offline() -> Self {
        Self { mode: Mode::Offline, ..Self::default() }
    }

    /// The files whose content is a part of the configuration.
    pub fn files(&self) -> Vec<&Path> {
        let lists = self.crl_files.iter().chain(&self.ocsp_files).chain(&self.preload);
        lists.map(PathBuf::as_path).collect()
    }

    /// What is wrong with the values themselves, by member.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let interval = self.refresh_interval;
        (interval.is_zero() || interval > MAX_REFRESH_INTERVAL)
            .then(|| ("refreshInterval", "must be more than 0 and at most 24h".to_owned()))
    }
}
