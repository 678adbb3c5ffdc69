//! What all plugins of a configuration share: where programs are found, where they run, and how many at once.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use opentelemetry::metrics::Meter;

use super::{
    config::{HostConfig, HostLimits},
    launch::Launcher,
    metrics::Metrics,
    pool::Pool,
    work::{WorkFault, WorkFolder},
};

/// Where plugins live. One for each generation: its private directory goes with the last run of it.
#[derive(Debug, Clone)]
pub struct Host {
    pub(super) directories: Vec<PathBuf>,
    pub(super) work: Arc<WorkFolder>,
    pub(super) launcher: Launcher,
    pub(super) pool: Pool,
    pub(super) metrics: Metrics,
}

impl Host {
    /// Makes the private directory. Paths in `config` are relative to `base`.
    ///
    /// This process can no longer be traced, nor its memory read, by others of its own user: plugins are such.
    ///
    /// # Errors
    /// [`WorkFault`]: about `plugins.workDirectory`.
    pub fn open(
        config: &HostConfig,
        limits: HostLimits,
        base: &Path,
        meter: Option<&Meter>,
    ) -> Result<Self, WorkFault> {
        let work = Arc::new(WorkFolder::create(&base.join(config.work_directory()))?);
        // An old kernel that refuses takes nothing away that was promised.
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        let launcher = config.launcher.as_ref().map(|program| Launcher::of(base.join(program)));
        Ok(Self {
            directories: config.directories.iter().map(|directory| base.join(directory)).collect(),
            work,
            launcher: launcher.unwrap_or_default(),
            pool: Pool::new(limits),
            metrics: Metrics::new(meter),
        })
    }
}
