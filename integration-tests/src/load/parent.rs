//! A child's side of the pipes to the process that started it: what it is told line by line, until that process is gone.

use std::{
    io::{self, BufRead as _, Write as _},
    thread,
};

use tokio::sync::mpsc::{self, Receiver};

/// Lines of the standard input, read by a thread of their own; closed with it.
pub(super) fn lines() -> Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    thread::spawn(move || {
        let mut all = io::stdin().lock().lines();
        while let Some(Ok(line)) = all.next() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Answers with one line.
///
/// # Errors
/// Nobody reads any more.
pub(super) fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
