//! One run of a plugin: started, talked with, ended, reaped.
//!
//! ```text
//! run ──spawns──► supervise ── writes standard input ─┐
//!  │ dropped: ends ▲          ├ reads both outputs    ├─ until exit │ deadline │ too much output │ nobody waits any more
//!  └───────────────┘          └ waits for the exit ───┘        then: kill the process group, take what is in the pipe, reap
//! ```
//!
//! A task of its own sees to it that nothing is left when whoever asked has gone: no process, no zombie.

use std::{
    fmt, io,
    os::fd::AsFd,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::{config::Limits, launch::Launcher, program::Program};
use crate::store::Deadline;

/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long a killed process may take to be gone; one in an uninterruptible read takes longer and is left to the runtime.
const REAP: Duration = Duration::from_secs(5);

/// What is run.
#[derive(Debug)]
pub(super) struct Job {
    /// The program.
    pub(super) program: Program,
    /// Who starts it.
    pub(super) launcher: Launcher,
    /// All variables that it is given.
    pub(super) environment: Vec<(String, String)>,
    /// Its working directory.
    pub(super) home: PathBuf,
    /// What it reads.
    pub(super) input: Vec<u8>,
    /// What it may cost.
    pub(super) limits: Limits,
    /// When it is killed.
    pub(super) deadline: Deadline,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Killed, since nobody waited for it any more.
    Abandoned,
    /// Killed at its deadline.
    Deadline,
    /// By itself, with this status.
    Exited(i32),
    /// Killed, since it wrote more than it may.
    Output,
    /// By a signal: its own fault, or one of its limits.
    Signal(i32),
}

/// A run that came to its end.
#[derive(Clone)]
pub struct Ran {
    /// How.
    pub ended: Ended,
    /// What it wrote to standard output, as far as it may.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, as far as it may. Never parsed, never logged.
    pub stderr: Vec<u8>,
    /// From its start to its end.
    pub took: Duration,
}

impl fmt::Debug for Ran {
    /// A plugin's words stay out of logs: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ran")
            .field("ended", &self.ended)
            .field("stdout_bytes", &self.stdout.len())
            .field("stderr_bytes", &self.stderr.len())
            .field("took", &self.took)
            .finish()
    }
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The task that sees to it crashed.
    #[error("the run's own task ended early")]
    Crashed,
    /// No place became free in time.
    #[error("no place for a run became free in time")]
    Place,
    /// What stands beside it could not be set up.
    #[error("the folder or registry of the run cannot be made")]
    Surroundings(#[source] io::Error),
    /// No process.
    #[error("the plugin cannot be started")]
    Start(#[source] io::Error),
}

/// Runs to the end. `keep`: given back when nothing of the run is left, also where the caller has long gone.
pub(super) async fn run<K: Send + 'static>(job: Job, keep: K) -> Result<Ran, RunError> {
    let (waiting, gone) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let ran = supervise(job, gone).await;
        drop(keep);
        ran
    });
    let ran = task.await.map_err(|_| RunError::Crashed)?;
    drop(waiting);
    ran
}

/// A process group that is killed when it goes out of sight.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn kill(&self) {
        if let Some(leader) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// Takes its members that have become our children (where we are the first process of a container, those whose parent
    /// has ended), as soon as they are dead.
    async fn reap(&mut self) {
        // Its number may be another's from now on.
        let Some(leader) = self.0.take() else { return };
        let end = Instant::now() + REAP;
        let mut pause = Duration::from_millis(1);
        loop {
            match waitpgid(leader, WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) if Instant::now() < end => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(Duration::from_millis(100));
                }
                // None is ours, or it does not die.
                Ok(None) | Err(_) => return,
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What both outputs together may still hold.
#[derive(Debug)]
struct Budget(AtomicUsize);

/// More was written than may be.
#[derive(Debug)]
struct Overflow;

impl Budget {
    fn take(&self, bytes: usize) -> Result<(), Overflow> {
        let take = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map(drop).map_err(|_| Overflow)
    }
}

/// Why the talk stopped.
enum Stop {
    Abandoned,
    Deadline,
    Exit(io::Result<std::process::ExitStatus>),
    Output,
}

async fn supervise(job: Job, mut gone: oneshot::Receiver<()>) -> Result<Ran, RunError> {
    let started = Instant::now();
    let mut child = spawn(&job).map_err(RunError::Start)?;
    let mut group = Group::of(&child);
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let budget = Budget(AtomicUsize::new(job.limits.output_bytes));
    let stop = {
        let talk = async {
            let write = async {
                write(stdin.take(), &job.input).await;
                Ok(())
            };
            tokio::try_join!(write, read(stdout.as_mut(), &mut out, &budget), read(stderr.as_mut(), &mut err, &budget))
        };
        tokio::pin!(talk);
        let mut talking = true;
        loop {
            tokio::select! {
                biased;
                _ = &mut gone => break Stop::Abandoned,
                () = sleep_until(job.deadline) => break Stop::Deadline,
                said = &mut talk, if talking => match said {
                    Ok(_) => talking = false,
                    Err(Overflow) => break Stop::Output,
                },
                status = child.wait() => break Stop::Exit(status),
            }
        }
    };
    // Whatever it started goes with it: nobody waits for a grandchild that holds a pipe (PLG-04).
    group.kill();
    let mut ended = match stop {
        Stop::Abandoned => Ended::Abandoned,
        Stop::Deadline => Ended::Deadline,
        Stop::Exit(status) => exited(status.map_err(RunError::Start)?),
        Stop::Output => Ended::Output,
    };
    if matches!(ended, Ended::Exited(_) | Ended::Signal(_)) {
        let rest = drain(stdout.as_ref(), &mut out, &budget).and_then(|()| drain(stderr.as_ref(), &mut err, &budget));
        if rest.is_err() {
            ended = Ended::Output;
        }
    } else {
        // Where it does not die the runtime takes it later.
        let _ = timeout(REAP, child.wait()).await;
    }
    group.reap().await;
    Ok(Ran { ended, stdout: out, stderr: err, took: started.elapsed() })
}

fn exited(status: std::process::ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

fn spawn(job: &Job) -> io::Result<Child> {
    let mut command = job.launcher.command(job.program.path(), job.program.name(), &job.limits);
    command
        .env_clear()
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&job.home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut command = Command::from(command);
    command.kill_on_drop(true).spawn()
}

/// All that it takes: one that closes its standard input, or ends, has read enough (PLG-08).
async fn write(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
        let _ = stdin.shutdown().await;
    }
}

async fn read(
    pipe: Option<&mut (impl AsyncRead + Unpin)>,
    into: &mut Vec<u8>,
    budget: &Budget,
) -> Result<(), Overflow> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        budget.take(count)?;
        into.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    Ok(())
}

/// What is in the pipe now: the writer is dead, and what others may still write is nobody's word.
fn drain(pipe: Option<&impl AsFd>, into: &mut Vec<u8>, budget: &Budget) -> Result<(), Overflow> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        // It does not block: the runtime made it so.
        match rustix::io::read(pipe, chunk.as_mut_slice()) {
            Ok(count @ 1..) => {
                budget.take(count)?;
                into.extend_from_slice(chunk.get(..count).unwrap_or_default());
            }
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
