//! The cluster that we run in: its API server, asked for the few objects that the configuration's section `kubernetes` names.
//! Without that section no API server is ever contacted.
//!
//! ```text
//!   config ──► Cluster ──bounded, timed, never logged──► API server
//!                │
//!                ├── certificates   makes and rotates our serving certificate; keeps the Providers' caBundle
//!                ├── client_ca      follows Gatekeeper's client CA
//!                └── pull_secrets   follows the registries' credentials
//!   cli ─────► apply   puts the objects there that make Gatekeeper ask us
//! ```
//!
//! # What the ServiceAccount must be allowed
//!
//! | what | where | verbs | by name | for |
//! |---|---|---|---|---|
//! | `secrets` | own namespace | `get`, `list`, `watch`, `update` | `certificates.secret` | `certificates` |
//! | `secrets` | own namespace | `create` | (cannot be by name; not needed where the Secret exists, empty) | `certificates` |
//! | `leases` (`coordination.k8s.io`) | own namespace | `get`, `update` | `certificates.lease` | `certificates` |
//! | `leases` | own namespace | `create` | (cannot be by name; not needed where the Lease exists) | `certificates` |
//! | `providers` (`externaldata.gatekeeper.sh`) | cluster | `get`, `patch` | `certificates.providers` | `certificates` |
//! | `secrets` | own namespace | `get`, `list`, `watch` | `clientCaSecret` | `client_ca` |
//!
//! | `secrets` | each Secret's namespace | `get`, `list`, `watch` | `pullSecrets`, and those that `serviceAccount` lists | `pull_secrets` |
//! | `serviceaccounts` | own namespace | `get`, `list`, `watch` | `serviceAccount` | `pull_secrets` |
//! | Gatekeeper's kinds and its constraints | cluster | `get`, `create`, `patch` | | `apply`, under an identity of its own |
//! | `secrets` | own namespace | `get` | `--ca-secret` | `apply` |
//!
//! `list` and `watch` by name are enough, since both are asked with `metadata.name` as field selector. Only metadata are watched:
//! a watch rings, and what a Secret holds is then read by `get`.

use std::time::Duration;

use kube::Client;

pub mod apply;
mod bell;
pub mod certificates;
pub mod client_ca;
mod cluster;
pub mod config;
pub mod pull_secrets;

pub use self::cluster::{CallError, Cluster};

/// Longest wait for a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubernetesError {
    /// The client cannot be set up with what was found.
    #[error("a client for the API server cannot be set up")]
    Client(#[source] kube::Error),
    /// Not in a Pod, or without a ServiceAccount's token.
    #[error("the section `kubernetes` needs a Pod with its ServiceAccount's token mounted")]
    NotInCluster(#[source] kube::config::InClusterError),
}

/// A client for the API server of the cluster that this process runs in, as its ServiceAccount. Reads a few mounted files;
/// contacts nobody.
///
/// # Errors
/// [`KubernetesError`].
pub fn in_cluster() -> Result<Client, KubernetesError> {
    connect(kube::Config::incluster().map_err(KubernetesError::NotInCluster)?)
}

/// A client as `config` says, with our times: whoever calls again later needs no hidden retries. Contacts nobody. Called inside
/// a tokio runtime.
///
/// # Errors
/// [`KubernetesError::Client`].
pub fn connect(mut config: kube::Config) -> Result<Client, KubernetesError> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.default_retry = false;
    Client::try_from(config).map_err(KubernetesError::Client)
}
