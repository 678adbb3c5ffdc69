//! A plugin's program: found, checked against its pin, and copied, so that what runs is what was checked (PLG-03).

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::work::WorkFolder;
use crate::oci::Digest;

/// Largest program: plugins in Go have some 30 MiB, with symbols 100.
const MAX_PROGRAM_BYTES: u64 = 256 << 20;
/// Most bytes of a script's first line that the kernel reads.
const MAX_INTERPRETER_BYTES: usize = 255;
/// `\x7fELF`.
const ELF: &[u8] = b"\x7fELF";

/// A program whose bytes have the pinned digest, as a private copy that nobody else can change.
#[derive(Debug, Clone)]
pub struct Program {
    name: Arc<str>,
    digest: Digest,
    path: Arc<Path>,
    /// Keeps the copy.
    work: Arc<WorkFolder>,
}

/// Why a program is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramFault {
    /// It is not what was pinned.
    #[error("{file} has sha256 {actual}, it is pinned to {pinned}")]
    Digest {
        /// Which file.
        file: PathBuf,
        /// What is pinned, as hex.
        pinned: String,
        /// What it has, as hex.
        actual: String,
    },
    /// Neither a program of this machine nor a script.
    #[error("{file} {why}")]
    Format {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// A script whose interpreter is not there.
    #[error("{file} is a script, and its interpreter {interpreter:?} is no program here")]
    Interpreter {
        /// Which file.
        file: PathBuf,
        /// What its first line names.
        interpreter: String,
    },
    /// No directory has it.
    #[error("none of plugins.directories has {name:?}{}", if *is_empty { " (the list is empty)" } else { "" })]
    Missing {
        /// Its name.
        name: String,
        /// Whether there are no directories at all.
        is_empty: bool,
    },
    /// Nobody may execute it.
    #[error("{file} is not executable: its mode has no `x`")]
    NotExecutable {
        /// Which file.
        file: PathBuf,
    },
    /// Not a regular file.
    #[error("{file} is no regular file")]
    NotFile {
        /// Which file.
        file: PathBuf,
    },
    /// A link leads out of the directory.
    #[error("{file} leads out of its directory, to {target}")]
    Outside {
        /// Which file.
        file: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// More than is read.
    #[error("{file} has more than {MAX_PROGRAM_BYTES} bytes")]
    TooLarge {
        /// Which file.
        file: PathBuf,
    },
    /// The file system refuses.
    #[error("{file} cannot be read or copied")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The pin of a program as it is now: for whoever writes one.
///
/// # Errors
/// [`ProgramFault`].
pub fn pin(file: &Path) -> Result<Digest, ProgramFault> {
    let found = file.metadata().map_err(|source| ProgramFault::Unreadable { file: file.to_owned(), source })?;
    // A FIFO would be waited for.
    if found.is_file() {
        Ok(Digest::sha256(&read(file)?))
    } else {
        Err(ProgramFault::NotFile { file: file.to_owned() })
    }
}

impl Program {
    /// Finds `name` in the first of `directories` that has it, checks it against `pin` and copies it into `work`.
    ///
    /// Cost: reads the file once, whole.
    ///
    /// # Errors
    /// [`ProgramFault`].
    pub fn load(
        name: &str,
        pin: &Digest,
        directories: &[PathBuf],
        work: &Arc<WorkFolder>,
    ) -> Result<Self, ProgramFault> {
        let file = find(name, directories)?;
        let bytes = read(&file)?;
        let digest = Digest::sha256(&bytes);
        if digest != *pin {
            let (pinned, actual) = (pin.hex().to_owned(), digest.hex().to_owned());
            return Err(ProgramFault::Digest { file, pinned, actual });
        }
        check_format(&file, &bytes)?;
        let path = work.path().join(format!("{}-{name}", digest.hex()));
        copy(&path, &bytes).map_err(|source| ProgramFault::Unreadable { file: path.clone(), source })?;
        Ok(Self { name: Arc::from(name), digest, path: Arc::from(path), work: Arc::clone(work) })
    }

    /// Its file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its bytes hash to.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The copy that is run.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the copy lies and folders for runs are made.
    pub const fn work(&self) -> &Arc<WorkFolder> {
        &self.work
    }
}

/// The real path of the file, which lies below the real path of its directory.
fn find(name: &str, directories: &[PathBuf]) -> Result<PathBuf, ProgramFault> {
    let there = directories.iter().find(|directory| directory.join(name).symlink_metadata().is_ok());
    let missing = || ProgramFault::Missing { name: name.to_owned(), is_empty: directories.is_empty() };
    let directory = there.ok_or_else(missing)?;
    let file = directory.join(name);
    let unreadable = |source| ProgramFault::Unreadable { file: file.clone(), source };
    let real = file.canonicalize().map_err(unreadable)?;
    let home = directory.canonicalize().map_err(unreadable)?;
    if !real.starts_with(&home) {
        return Err(ProgramFault::Outside { file, target: real });
    }
    let metadata = real.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ProgramFault::NotFile { file });
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(ProgramFault::NotExecutable { file });
    }
    if metadata.len() > MAX_PROGRAM_BYTES {
        return Err(ProgramFault::TooLarge { file });
    }
    Ok(real)
}

fn read(file: &Path) -> Result<Vec<u8>, ProgramFault> {
    let mut bytes = Vec::new();
    let limit = MAX_PROGRAM_BYTES.saturating_add(1);
    let read = File::open(file).and_then(|open| open.take(limit).read_to_end(&mut bytes));
    let size = read.map_err(|source| ProgramFault::Unreadable { file: file.to_owned(), source })?;
    if u64::try_from(size).is_ok_and(|size| size <= MAX_PROGRAM_BYTES) {
        Ok(bytes)
    } else {
        Err(ProgramFault::TooLarge { file: file.to_owned() })
    }
}

/// What the kernel would run without help. Anything else the C library would hand to a shell.
fn check_format(file: &Path, bytes: &[u8]) -> Result<(), ProgramFault> {
    if bytes.starts_with(ELF) {
        if header(bytes).is_some() && header(bytes) == own_header() {
            return Ok(());
        }
        return Err(ProgramFault::Format { file: file.to_owned(), why: "is a program for another machine" });
    }
    let Some(line) = bytes.strip_prefix(b"#!") else {
        return Err(ProgramFault::Format {
            file: file.to_owned(),
            why: "is neither an ELF program nor a script with `#!`",
        });
    };
    let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.get(..MAX_INTERPRETER_BYTES).unwrap_or(line)).into_owned();
    let interpreter = line.split_ascii_whitespace().next().unwrap_or_default().to_owned();
    let is_program = Path::new(&interpreter).is_absolute()
        && fs::metadata(&interpreter).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if is_program { Ok(()) } else { Err(ProgramFault::Interpreter { file: file.to_owned(), interpreter }) }
}

/// Word size, byte order and machine of an ELF file.
fn header(bytes: &[u8]) -> Option<([u8; 2], [u8; 2])> {
    Some((*bytes.get(4..)?.first_chunk()?, *bytes.get(18..)?.first_chunk()?))
}

/// Those of the program that is running.
fn own_header() -> Option<([u8; 2], [u8; 2])> {
    let mut bytes = [0; 20];
    File::open("/proc/self/exe").and_then(|mut own| own.read_exact(&mut bytes)).ok()?;
    header(&bytes)
}

/// Written, synced and closed before it is ever run: a file that somebody writes is "text file busy" (PLG-11).
fn copy(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.exists() {
        // The same bytes, by another verifier of this configuration.
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    // Whatever the umask took away.
    fs::set_permissions(path, Permissions::from_mode(0o500))
}

#[cfg(test)]
mod tests;
