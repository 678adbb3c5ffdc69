//! Which TUF repository, and where what it said is kept.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::super::{Profile, instance::Instance};

/// `tuf`: a repository of The Update Framework, and where what it said is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TufSource {
    /// Whose repository, if it is one that everybody knows: gives `url` and `root`, and what to trust before the first refresh.
    pub instance: Option<Instance>,
    /// Where it is; no slash at the end.
    pub url: Url,
    /// The initial `root.json`, relative to the configuration; the instance's own where there is none.
    pub root: Option<PathBuf>,
    /// The target's name.
    pub target: String,
    /// Where verified answers are kept, relative to the configuration.
    pub cache_dir: PathBuf,
    /// How often the repository is asked.
    pub refresh: Duration,
    /// Without a successful refresh for longer than this we are not ready.
    pub max_age: Option<Duration>,
    /// Certificates (PEM) that the repository's TLS may chain to instead of the public ones.
    pub ca: Option<PathBuf>,
    /// What its items must have.
    pub profile: Profile,
}

impl TufSource {
    /// What it is called in reports, logs and metrics.
    pub fn name(&self) -> String {
        match self.instance {
            Some(instance) => instance.as_str().to_owned(),
            None => self.url.as_str().trim_end_matches('/').to_owned(),
        }
    }

    /// Where what it said is kept, relative to the configuration.
    pub fn cache_file(&self) -> PathBuf {
        super::archive_path(self)
    }
}
