//! Where `verify`, `discover` and `resolve` find images: a configuration's stores, a layout, or public registries.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use tokio::runtime::Handle;

use crate::{
    app::{self, Engine, Materials},
    config::{Config, ConfigError, Process},
    oci::Reference,
    server::config::duration,
    store::{
        Store,
        cached::ContentCache,
        layout::{self, Layout},
        registry::{self, Credentials, HostConfig, Outside},
    },
    verifier::notation::revocation::RevocationEvidence,
};

/// Flags about places.
#[derive(Debug, Args)]
pub(super) struct Places {
    /// Read this OCI image layout instead of registries, whatever registry the references name
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Reach `HOST[:PORT]` by plain HTTP (repeatable; not with --config)
    #[arg(long, value_name = "HOST", conflicts_with_all = ["layout", "config"])]
    plain_http: Vec<String>,
    /// Allow `HOST[:PORT]` at a loopback address, as `localhost` (repeatable; not with --config)
    #[arg(long, value_name = "HOST", conflicts_with_all = ["layout", "config"])]
    allow_loopback: Vec<String>,
    /// Allow `HOST[:PORT]` at a private address (repeatable; not with --config)
    #[arg(long, value_name = "HOST", conflicts_with_all = ["layout", "config"])]
    allow_private: Vec<String>,
}

impl Places {
    /// The hosts that references may name without a configuration: any public one anonymously, those of Docker's own
    /// configuration with their credentials, and those that flags name.
    pub(super) fn hosts(&self, references: &[Reference], process: &Process) -> registry::Config {
        let docker = process.docker_config();
        let mut hosts = registry::Config::default();
        hosts.hosts.insert("*".to_owned(), HostConfig::default());
        if let Some(file) = docker {
            // Credentials are looked up by host, so each host that is asked gets an entry of its own.
            for reference in references {
                let host = hosts.hosts.entry(reference.repository().registry().to_string()).or_default();
                host.credentials = Some(Credentials { docker_config: Some(file.clone()), ..Credentials::default() });
            }
        }
        let Self { layout: _, plain_http, allow_loopback, allow_private } = self;
        for name in plain_http {
            hosts.hosts.entry(name.to_lowercase()).or_default().plain_http = true;
        }
        for name in allow_loopback {
            hosts.hosts.entry(name.to_lowercase()).or_default().allow_loopback = true;
        }
        for name in allow_private {
            hosts.hosts.entry(name.to_lowercase()).or_default().allow_private = true;
        }
        hosts
    }

    /// Puts the layout in the place of all stores, if there is one.
    pub(super) fn take_layout(&self, mut config: Config) -> anyhow::Result<Config> {
        if let Some(layout) = &self.layout {
            config.take_layout(absolute(layout)?, "--layout");
        }
        Ok(config)
    }

    /// A store for commands that verify nothing.
    pub(super) async fn store(
        &self,
        config: Option<&Path>,
        reference: &Reference,
        process: &Process,
    ) -> anyhow::Result<Arc<dyn Store>> {
        if let Some(layout) = &self.layout {
            return Ok(Arc::new(Layout::open(layout, layout::Limits::default()).await?));
        }
        if let Some(file) = config {
            let config = Config::load(file, process)?;
            let stores = app::build_store(&config, &materials(&config)).await;
            return stores.map_err(|faults| ConfigError::Invalid { file: file.to_owned(), faults }.into());
        }
        let hosts = self.hosts(std::slice::from_ref(reference), process);
        let limits = registry::Limits::default();
        let store = registry::Registry::build("registries", &hosts, Path::new("."), limits, Outside::default());
        let store = store.map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("registries cannot be reached as the flags say: {}", faults.join("; "))
        })?;
        Ok(Arc::new(store))
    }
}

/// As seen from the working directory, so that no base of a configuration is put before it.
pub(super) fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

/// An engine for one run of a command.
pub(super) async fn engine(config: &Config, file: &Path) -> anyhow::Result<Engine> {
    let built = app::build(config, &materials(config)).await;
    built.map_err(|faults| ConfigError::Invalid { file: file.to_owned(), faults }.into())
}

pub(super) fn materials(config: &Config) -> Materials {
    Materials {
        content: ContentCache::new(config.limits.content()),
        outside: Outside::default(),
        evidence: RevocationEvidence::default(),
        runtime: Handle::current(),
    }
}

/// For `--timeout`: `60s`, more than nothing.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(duration) if duration.is_zero() => Err("must be more than 0".to_owned()),
        Ok(duration) if duration > Duration::from_hours(1) => Err("must be at most 1h".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}
