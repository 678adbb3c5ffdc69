//! The launcher: this program once more, as the first half of a plugin's process. It takes limits upon itself, lets go of
//! whatever it inherited, and becomes the plugin.
//!
//! ```text
//! serve ──spawn, own process group, clean environment──► countersign __launch DATA CPU FILES SIZE NAME PATH
//!                                                            └── rlimits, no new privileges, no descriptors ── exec ──► plugin
//! ```
//!
//! Limits that a parent set after the start would come late, and what runs between fork and exec would be unsafe code: so a
//! program of our own stands between. What it writes to standard error is never parsed.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
    thread::set_no_new_privs,
};

use super::config::Limits;

/// The first argument that makes a program the launcher.
pub const ARGUMENT: &str = "__launch";
/// How the launcher ends when it could not become the plugin.
pub const FAILED: u8 = 125;
/// Close-on-exec in `/proc/self/fdinfo` (`O_CLOEXEC`).
const CLOSE_ON_EXEC: u64 = 0o2_000_000;
/// How long is waited while the program is "text file busy" (PLG-11).
const BUSY_PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(100)];
/// Standard input, output and error.
const STANDARD: u64 = 3;

/// The program that starts plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher(PathBuf);

impl Default for Launcher {
    /// The running program, also where its file has been replaced meanwhile.
    fn default() -> Self {
        Self(PathBuf::from("/proc/self/exe"))
    }
}

impl Launcher {
    /// Another program that answers to [`ARGUMENT`].
    pub const fn of(program: PathBuf) -> Self {
        Self(program)
    }

    /// A command that becomes `program` under `limits`, called `name`.
    pub(super) fn command(&self, program: &Path, name: &str, limits: &Limits) -> Command {
        let mut command = Command::new(&self.0);
        command.arg0("countersign").arg(ARGUMENT);
        for limit in [limits.data_bytes, limits.cpu_seconds, limits.open_files, limits.file_bytes] {
            command.arg(limit.to_string());
        }
        command.arg(name).arg(program);
        command
    }
}

/// Why the launcher did not become the plugin.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("a descriptor of this process cannot be closed")]
    Descriptors,
    #[error("the plugin cannot be executed")]
    Exec(#[source] io::Error),
    #[error("a limit cannot be set")]
    Limit(#[source] io::Error),
    #[error("it is started by countersign only")]
    Usage,
}

/// Whether these are a launcher's arguments: the program's own name, then [`ARGUMENT`].
pub fn is_wanted(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|first| first == ARGUMENT)
}

/// Becomes the plugin that the arguments name. Returns only when that failed.
///
/// To be called before anything else is started: it has one thread and no open files.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let Err(error) = launch(arguments);
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let _ = writeln!(io::stderr(), "countersign {ARGUMENT}: {error}{cause}");
    ExitCode::from(FAILED)
}

fn launch(arguments: &[OsString]) -> Result<std::convert::Infallible, LaunchError> {
    let [_, _, data, cpu, files, size, name, program] = arguments else { return Err(LaunchError::Usage) };
    let number = |text: &OsStr| text.to_str().and_then(|text| text.parse::<u64>().ok()).ok_or(LaunchError::Usage);
    umask(Mode::from_raw_mode(0o077));
    let seconds = number(cpu)?;
    limit(Resource::Data, number(data)?, number(data)?)?;
    // First a signal that can be caught, a second later one that cannot.
    limit(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    limit(Resource::Nofile, number(files)?, number(files)?)?;
    limit(Resource::Fsize, number(size)?, number(size)?)?;
    limit(Resource::Core, 0, 0)?;
    // No program that it starts is more than it is.
    set_no_new_privs(true).map_err(|error| LaunchError::Limit(error.into()))?;
    // Ours are all close-on-exec; what our own parent left open is not.
    close_fds::set_fds_cloexec(3, &[]);
    if !inherits_nothing() {
        return Err(LaunchError::Descriptors);
    }
    Err(LaunchError::Exec(become_plugin(name, program)))
}

/// A copy that was just made may still be open for writing in a child that another thread is starting at this moment.
fn become_plugin(name: &OsStr, program: &OsStr) -> io::Error {
    for pause in BUSY_PAUSES {
        let error = Command::new(program).arg0(name).exec();
        if error.kind() != io::ErrorKind::ExecutableFileBusy {
            return error;
        }
        std::thread::sleep(pause);
    }
    Command::new(program).arg0(name).exec()
}

fn limit(resource: Resource, current: u64, maximum: u64) -> Result<(), LaunchError> {
    // Nobody may raise what the pod's own limit is.
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) };
    setrlimit(resource, limit).map_err(|error| LaunchError::Limit(error.into()))
}

/// Whether every descriptor but the standard ones closes on exec. What cannot be read counts as one that does not.
fn inherits_nothing() -> bool {
    let Ok(open) = fs::read_dir("/proc/self/fdinfo") else { return false };
    open.flatten().all(|entry| {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        number.is_some_and(|number| number < STANDARD) || closes(&entry.path())
    })
}

fn closes(info: &Path) -> bool {
    match fs::read_to_string(info) {
        Ok(text) => text
            .lines()
            .find_map(|line| u64::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok())
            .is_some_and(|flags| flags & CLOSE_ON_EXEC != 0),
        // The one that the directory was read through.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
