//! The private directory of one configuration: copies of programs, and a folder for each run. Gone when nobody uses it.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{StatVfsMountFlags, statvfs};
use uuid::Uuid;

/// How our directories begin: those that a crash left behind are recognised by it.
const PREFIX: &str = "countersign-plugins-";
/// The file whose lock says that a directory is in use.
const LOCK: &str = "lock";
/// Most entries of the work directory that are looked at for directories left behind.
const MAX_LEFT_BEHIND: usize = 1000;
/// Deepest nesting in which permissions are put right, so that what a plugin made can be removed.
const MAX_DEPTH: usize = 64;

/// The private directory of one configuration.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
    /// Held for as long as the directory is in use.
    _lock: File,
}

/// Why there is no such directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkFault {
    /// Nothing could be executed in it.
    #[error("{path} is mounted noexec: plugins run from private copies there")]
    NoExec {
        /// Where.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("no private directory can be made in {path}")]
    Unusable {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The folder of one run; removed with all that the plugin made in it.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl WorkFolder {
    /// Makes one, mode 0700, and removes those that a crash has left behind.
    ///
    /// # Errors
    /// [`WorkFault`].
    pub fn create(parent: &Path) -> Result<Self, WorkFault> {
        let unusable = |source| WorkFault::Unusable { path: parent.to_owned(), source };
        let mount = statvfs(parent).map_err(|error| unusable(error.into()))?;
        if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) {
            return Err(WorkFault::NoExec { path: parent.to_owned() });
        }
        remove_left_behind(parent);
        let path = parent.join(format!("{PREFIX}{}", Uuid::new_v4()));
        let made = || {
            private_folder(&path)?;
            // Under its name it is locked from the first moment on, so that nobody takes the directory for one left behind.
            let new = path.join("lock.new");
            let lock = File::create(&new)?;
            lock.try_lock().map_err(io::Error::from)?;
            fs::rename(&new, path.join(LOCK))?;
            Ok(lock)
        };
        let lock = made().map_err(unusable)?;
        // The plugin's program and folders are named by absolute paths.
        let path = path.canonicalize().map_err(unusable)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder of one run: `blobs`, `docker` without credentials, and `home`.
    ///
    /// # Errors
    /// The file system's.
    pub fn run_folder(&self) -> io::Result<RunFolder> {
        let folder = RunFolder { path: self.path.join(format!("run-{}", Uuid::new_v4())) };
        private_folder(&folder.path)?;
        for below in [folder.blobs(), folder.docker(), folder.home()] {
            private_folder(&below)?;
        }
        fs::write(folder.docker().join("config.json"), "{}")?;
        Ok(folder)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

impl RunFolder {
    /// Checked blobs.
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// Docker's configuration, which has no credentials.
    pub fn docker(&self) -> PathBuf {
        self.path.join("docker")
    }

    /// The plugin's working directory, home, and place for temporary files.
    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }
}

impl Drop for RunFolder {
    /// A plugin may have made it large: not on a worker that answers questions.
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(&path))),
            Err(_) => remove(&path),
        }
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Removes a folder and all below it. What remains, since somebody else owns it, is tried again at the next start.
fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_err() {
        open_up(path, MAX_DEPTH);
        // Left behind at worst: its name says whose it is.
        let _ = fs::remove_dir_all(path);
    }
}

/// Folders that a plugin made without permissions cannot be emptied.
fn open_up(path: &Path, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        open_up(&entry.path(), depth);
    }
}

/// Directories of ours that nobody holds.
fn remove_left_behind(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.take(MAX_LEFT_BEHIND).flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_ours && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            remove(&path);
        }
    }
}

#[cfg(test)]
mod tests;
