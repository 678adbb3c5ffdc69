//! The operator's words about registries.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::Deserialize;

/// A store of type `registry`: which hosts it serves, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// By host pattern: `host`, `host:port`, `*.example.com` (one label or more), or `*`: any other public host,
    /// anonymous, or with the pull Secrets that name it. A pattern without a port means the default port. The most specific pattern rules.
    pub hosts: BTreeMap<String, HostConfig>,
}

/// How one host, or the hosts of one pattern, are reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "one flag an address class: none implies another")]
pub struct HostConfig {
    /// Admits link-local addresses (`169.254.0.0/16`, `fe80::/10`) but never those of metadata services.
    pub allow_link_local: bool,
    /// Admits loopback addresses and `localhost`.
    pub allow_loopback: bool,
    /// Admits private addresses (RFC 1918, `fc00::/7`): registries inside a cluster or company.
    pub allow_private: bool,
    /// Admits shared addresses (`100.64.0.0/10`, RFC 6598).
    pub allow_shared: bool,
    /// PEM file of the only authorities trusted for this host. Default: Mozilla's list, as compiled in.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate and its chain; with `clientKey`. Only this host gets to see it.
    pub client_certificate: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    pub client_key: Option<PathBuf>,
    /// What identifies us. Default: anonymous.
    pub credentials: Option<Credentials>,
    /// Calls in flight towards each host of the pattern. Default: `limits.registry.inFlightPerHost`.
    pub max_in_flight: Option<usize>,
    /// `host[:port]` asked first; it must have an entry of its own in `hosts`. Where it has no answer, or lists no
    /// referrers, this host is asked.
    pub mirror: Option<String>,
    /// Plain HTTP: nothing on the way is protected but by digests, so credentials travel in the clear.
    pub plain_http: bool,
    /// URL of an HTTP proxy. With one, it and not we resolve names. The environment's proxies are never used.
    pub proxy: Option<String>,
    /// Token services that may see the credentials, as host patterns, beside the host itself.
    pub realms: Vec<String>,
    /// The only hosts that redirects may lead to, beside the host itself, as host patterns. Default: any public host.
    /// Credentials follow no redirect to another origin.
    pub redirects: Option<Vec<String>>,
}

/// Where credentials come from: `dockerConfig`, or `username` with `passwordFile`, or, in a cluster, `pullSecrets` and
/// `serviceAccount`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Credentials {
    /// A Docker `config.json`: `auths`, `credHelpers`, `credsStore`.
    pub docker_config: Option<PathBuf>,
    /// The directory with `docker-credential-NAME`, needed where `dockerConfig` names a helper. The search path is not used.
    pub helpers: Option<PathBuf>,
    /// The identity of the node's cloud, by name. None is built in yet.
    pub identity: Option<String>,
    /// A file with the password; one line break at its end is not part of it.
    pub password_file: Option<PathBuf>,
    /// Image pull Secrets: of all their entries the one with the longest path that leads to the repository counts, of equal ones
    /// the first. Followed: a changed Secret is used at once.
    pub pull_secrets: Vec<PullSecretName>,
    /// A ServiceAccount in our namespace, whose `imagePullSecrets` are meant; after those of `pullSecrets`.
    pub service_account: Option<String>,
    /// The user's name.
    pub username: Option<String>,
}

impl Credentials {
    /// Whether an API server has to be asked for them.
    pub fn is_of_cluster(&self) -> bool {
        !self.pull_secrets.is_empty() || self.service_account.is_some()
    }
}

/// An element of `pullSecrets`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullSecretName {
    /// The Secret's name.
    pub name: String,
    /// Its namespace. Default: ours.
    #[serde(default)]
    pub namespace: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Fault {
    /// The field's path below the store, for example `hosts["localhost:5000"].ca`.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Fault {
    pub(super) fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { path: path.into(), message: message.to_string() }
    }
}
