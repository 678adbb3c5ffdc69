//! Trusted roots out of TUF repositories: asked now and then, believed from disk.
//!
//! ```text
//! background:  repository ──Session::refresh──► verified, parsed ──Archive::write──► cacheDir/….tuf.json
//! generation:  cacheDir/….tuf.json ──load──► verified again from the initial root.json ──► TrustedRoot
//!              none yet: the instance's embedded root, or a fault for a repository of one's own
//! ```
//!
//! Expiry is the refresh's business: what has expired is never taken *anew*, so nobody can freeze us at an old answer without
//! being noticed. What was once verified stays trusted: the last good root is kept, and its age is shown (`maxAge` bounds it).
//! The cache is no authority: each read repeats signatures, thresholds, versions and hashes from the initial root on.
//!
//! Rule: The Update Framework specification v1.0, §5.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use futures_util::FutureExt as _;
use sigstore_tuf::{Repository, TrustedMetadataSet, Updater, UpdaterConfig};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use self::archive::Archive;
use self::archive::{Files, Offline};
pub use self::source::TufSource;
use super::{Origin, RootFault, TrustedRoot, file, instance::Instance};
use crate::{json::JsonError, oci::Digest, reason::Code};

mod archive;
mod source;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

/// Largest `root.json`; those of the public instances have 5 to 8 KB.
const MAX_ROOT_BYTES: u64 = 256 * 1024;
/// Largest timestamp metadata; they name one file.
const MAX_TIMESTAMP_BYTES: u64 = 16 * 1024;
/// Largest snapshot and targets metadata; those of the public instances have 10 KB.
const MAX_METADATA_BYTES: u64 = 512 * 1024;
/// Root rotations between the initial root and today's; the public instance had some 15 in five years.
const MAX_ROTATIONS: u32 = 128;
/// Delegated roles that are looked at for the target.
const MAX_DELEGATIONS: u32 = 16;

/// Why a TUF repository or its cache gives no trusted root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TufFault {
    /// What is cached is no cache.
    #[error("{} is damaged; remove it", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        source: JsonError,
    },
    /// The target is genuine and is no trusted root.
    #[error("what the repository publishes cannot be used")]
    Document(#[source] Box<RootFault>),
    /// The initial root.json cannot be read.
    #[error("the initial root metadata cannot be read")]
    InitialRoot(#[source] Box<RootFault>),
    /// The metadata do not verify, or could not be had.
    #[error("TUF metadata cannot be had or do not verify")]
    Metadata(#[source] Box<sigstore_tuf::Error>),
    /// Nothing was ever fetched, and nothing is compiled in for it.
    #[error(
        "nothing is cached in {} yet, and the repository did not answer; give it access once, or copy the cache there, or use `file:`",
        dir.display()
    )]
    NoCache {
        /// `cacheDir`.
        dir: PathBuf,
    },
    /// One key under two ids, which would count twice where two must sign (GHSA-3633-5h82-39pq).
    #[error("{name} has one key under two ids")]
    SameKey {
        /// Which metadata.
        name: String,
    },
    /// Metadata that two readers could read differently.
    #[error("{name} is no strict JSON")]
    Json {
        /// Which metadata.
        name: String,
        /// Why.
        #[source]
        source: JsonError,
    },
    /// The moment is no time that TUF knows.
    #[error("the clock shows no time that can be used")]
    Time,
    /// The cache would be larger than is read.
    #[error("all metadata together have more than {} bytes", archive::MAX_BYTES)]
    TooLarge,
    /// The file system says no.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file system says no.
    #[error("{} cannot be written", file.display())]
    Unwritable {
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl TufFault {
    /// The stable reason.
    pub const fn code(&self) -> Code {
        Code::NoTrust
    }
}

impl From<sigstore_tuf::Error> for TufFault {
    fn from(error: sigstore_tuf::Error) -> Self {
        Self::Metadata(Box::new(error))
    }
}

/// Where what `source` said is kept, relative to the configuration. Two repositories, initial roots or targets never share a file.
pub(super) fn archive_path(source: &TufSource) -> PathBuf {
    let identity = format!("{}\n{}\n{:?}", source.url, source.target, source.root);
    let hex = Digest::sha256(identity.as_bytes()).hex().to_owned();
    let short: String = hex.chars().take(16).collect();
    source.cache_dir.join(format!(
        "{}-{short}.tuf.json",
        source.url.host_str().unwrap_or("repository").replace([':', '[', ']'], "_")
    ))
}

/// Reads what was last fetched, and verifies it from the initial root on. Without a cache, and where the release is newer than
/// it: the instance's embedded root.
pub(super) fn load(source: &TufSource, base: &Path) -> Result<TrustedRoot, RootFault> {
    let fault = |fault| RootFault::Tuf { url: source.url.to_string(), source: fault };
    let archive = Archive::read(&base.join(archive_path(source))).map_err(fault)?;
    match (archive, source.instance) {
        (Some(archive), Some(instance)) if archive.refreshed_at.date() < Instance::EMBEDDED => instance.embedded(),
        (Some(archive), _) => verify(source, base, archive).map_err(fault),
        (None, Some(instance)) => instance.embedded(),
        (None, None) => Err(fault(TufFault::NoCache { dir: source.cache_dir.clone() })),
    }
}

/// Whether `source` gives a trusted root without asking anybody, and if it was fetched, when that was.
///
/// # Errors
/// As in [`RootConfig::load`](super::source::RootConfig::load).
pub fn look(source: &TufSource, base: &Path) -> Result<Option<OffsetDateTime>, RootFault> {
    Ok(match load(source, base)?.origin {
        Origin::Tuf { refreshed_at, .. } => Some(refreshed_at),
        Origin::Embedded { .. } | Origin::File(_) | Origin::Inline | Origin::OwnAuthority => None,
    })
}

/// The initial root metadata: the operator's, else the instance's own.
fn initial_root(source: &TufSource, base: &Path) -> Result<Vec<u8>, TufFault> {
    match (&source.root, source.instance) {
        (Some(root), _) => file::read(&base.join(root)).map_err(|fault| TufFault::InitialRoot(Box::new(fault))),
        (None, Some(instance)) => Ok(instance.initial_tuf_root().to_vec()),
        (None, None) => {
            let file = PathBuf::from("root");
            let source = io::Error::from(io::ErrorKind::NotFound);
            Err(TufFault::InitialRoot(Box::new(RootFault::Unreadable { file, source })))
        }
    }
}

/// Verifies an archive without any look outside.
fn verify(source: &TufSource, base: &Path, archive: Archive) -> Result<TrustedRoot, TufFault> {
    let files = Files::new(archive.files);
    let updater = updater(Offline(files.clone()), &initial_root(source, base)?)?.with_store(files.clone());
    // Expiry was judged when it was fetched: at this moment nothing has expired.
    let then = OffsetDateTime::UNIX_EPOCH;
    // Nothing in it waits: what it asks for is in memory.
    let checked = target(updater, source, then).now_or_never().ok_or(TufFault::Time)??;
    archive::distinct_keys(&files.to_map())?;
    document(source, &checked, archive.refreshed_at)
}

fn updater(repository: impl Repository + 'static, root: &[u8]) -> Result<Updater, TufFault> {
    let mut limits = UpdaterConfig::default();
    limits.root_max_length = MAX_ROOT_BYTES;
    limits.timestamp_max_length = MAX_TIMESTAMP_BYTES;
    limits.snapshot_max_length = MAX_METADATA_BYTES;
    limits.targets_max_length = MAX_METADATA_BYTES;
    limits.target_max_length = u64::try_from(super::parse::MAX_BYTES).unwrap_or(u64::MAX);
    limits.max_root_rotations = MAX_ROTATIONS;
    limits.max_delegations = MAX_DELEGATIONS;
    Ok(Updater::new(repository, root)?.with_config(limits))
}

/// A verified target, and until when all that vouches for it is valid.
struct Checked {
    target: Vec<u8>,
    expires: OffsetDateTime,
}

/// All of the client workflow: root, timestamp, snapshot, targets, the target itself.
async fn target(mut updater: Updater, source: &TufSource, now: OffsetDateTime) -> Result<Checked, TufFault> {
    updater.refresh(moment(now)?).await?;
    let target = updater.get_target(&source.target, moment(now)?).await?;
    Ok(Checked { target, expires: expires(updater.trusted())? })
}

fn document(source: &TufSource, checked: &Checked, refreshed_at: OffsetDateTime) -> Result<TrustedRoot, TufFault> {
    let root = TrustedRoot::parse(&source.name(), &checked.target, source.profile);
    let root = root.map_err(|fault| TufFault::Document(Box::new(fault)))?;
    let url = source.url.to_string();
    Ok(root.from_origin(Origin::Tuf { url, refreshed_at, expires: checked.expires }))
}

/// The earliest end among the four roles.
fn expires(trusted: &TrustedMetadataSet) -> Result<OffsetDateTime, TufFault> {
    let ends = [
        Some(trusted.root().expires),
        trusted.timestamp().map(|role| role.expires),
        trusted.snapshot().map(|role| role.expires),
        trusted.targets_role("targets").map(|role| role.expires),
    ];
    let first = ends.into_iter().flatten().min().ok_or(TufFault::Time)?;
    OffsetDateTime::from_unix_timestamp(first.as_second()).map_err(|_| TufFault::Time)
}

/// `now` in the family's own type of time.
fn moment<T: FromStr>(now: OffsetDateTime) -> Result<T, TufFault> {
    let text = now.format(&Rfc3339).map_err(|_| TufFault::Time)?;
    text.parse().map_err(|_| TufFault::Time)
}

/// One refresh: opened from disk, fed from the repository, written to disk.
pub struct Session {
    source: TufSource,
    root: Vec<u8>,
    files: Files,
    path: PathBuf,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("source", &self.source.name()).finish_non_exhaustive()
    }
}

impl Session {
    /// Reads the initial root and what was fetched before, which no answer may fall behind. A cache that cannot be read is as
    /// good as none: the next answer replaces it.
    ///
    /// # Errors
    /// The initial root cannot be read.
    pub fn open(source: TufSource, base: &Path) -> Result<Self, TufFault> {
        let path = base.join(archive_path(&source));
        let before = Archive::read(&path).ok().flatten().map(|archive| archive.files).unwrap_or_default();
        let root = initial_root(&source, base)?;
        Ok(Self { source, root, files: Files::new(before), path })
    }

    /// Asks the repository. The answer is verified, not expired at `now`, and a trusted root that can be used.
    ///
    /// # Errors
    /// [`TufFault`]; nothing has been written then.
    pub async fn refresh(
        &self,
        repository: impl Repository + 'static,
        now: OffsetDateTime,
    ) -> Result<(Archive, TrustedRoot), TufFault> {
        let updater = updater(repository, &self.root)?.with_store(self.files.clone());
        let checked = target(updater, &self.source, now).await?;
        let files = self.files.to_map();
        archive::distinct_keys(&files)?;
        let root = document(&self.source, &checked, now)?;
        Ok((Archive { refreshed_at: now, files }, root))
    }

    /// Puts `archive` in the place of what was fetched before, whole or not at all.
    ///
    /// # Errors
    /// [`TufFault::Unwritable`], [`TufFault::TooLarge`].
    pub fn write(&self, archive: &Archive) -> Result<(), TufFault> {
        let unwritable = |source| TufFault::Unwritable { file: self.path.clone(), source };
        let bytes = archive.to_bytes()?;
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(unwritable)?;
        }
        archive::replace(&self.path, &bytes).map_err(unwritable)
    }
}
