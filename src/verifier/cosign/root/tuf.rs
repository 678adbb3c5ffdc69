//! Trusted roots out of TUF repositories.

use std::path::{Path, PathBuf};

use super::{RootFault, TrustedRoot, source::TufSource};

/// Why a TUF repository or its cache gives no trusted root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TufFault {
    /// Nothing was ever fetched, and nothing is compiled in for it.
    #[error("nothing is cached in {} yet; start with access to the repository once, or use `file:`", dir.display())]
    NoCache {
        /// `cacheDir`.
        dir: PathBuf,
    },
}

/// Where what `source` said is kept, relative to the configuration.
pub(super) fn archive_path(source: &TufSource) -> PathBuf {
    source.cache_dir.join("trusted-root.tuf.json")
}

pub(super) fn load(source: &TufSource, base: &Path) -> Result<TrustedRoot, RootFault> {
    match source.instance {
        Some(instance) if !base.join(archive_path(source)).exists() => instance.embedded(),
        _ => Err(RootFault::Tuf {
            url: source.url.to_string(),
            source: TufFault::NoCache { dir: source.cache_dir.clone() },
        }),
    }
}
