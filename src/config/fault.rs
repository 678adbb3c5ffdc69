//! What is wrong with a configuration: all of it, each with its place.

use std::{fmt, io, path::PathBuf};

use super::document::Origin;
use crate::reason;

/// Longest message of one fault; values of the file are repeated in it.
const MAX_MESSAGE_BYTES: usize = 512;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, as `stores[0].hosts.example.com`; empty for the whole file.
    path: String,
    origin: Option<Origin>,
    message: String,
}

impl Fault {
    /// A fault at a field. `message` may repeat what the operator wrote, never a secret.
    pub(crate) fn new(path: impl Into<String>, message: impl AsRef<str>) -> Self {
        let message = reason::printable(message.as_ref(), MAX_MESSAGE_BYTES);
        Self { path: path.into(), origin: None, message }
    }

    /// The same fault, with where it was written.
    #[must_use]
    pub(crate) fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The field's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The line of the file, where known.
    pub const fn line(&self) -> Option<usize> {
        match &self.origin {
            Some(Origin::Line(line)) => Some(*line),
            Some(Origin::Environment(_)) | None => None,
        }
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(Origin::Line(line)) => write!(f, "line {line}: ")?,
            Some(Origin::Environment(name)) => write!(f, "environment variable {name}: ")?,
            None => {}
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file was read and is wrong: everything that is wrong with it.
    #[error("configuration {} is not valid{}", file.display(), listed(faults))]
    Invalid {
        /// Which file.
        file: PathBuf,
        /// At least one.
        faults: Vec<Fault>,
    },
    /// A directory, a FIFO, a device.
    #[error("configuration {} is no regular file", file.display())]
    NoFile {
        /// Which file.
        file: PathBuf,
    },
    /// Larger than is read.
    #[error("configuration {} is larger than {limit} bytes", file.display())]
    TooLarge {
        /// Which file.
        file: PathBuf,
        /// Most bytes.
        limit: u64,
    },
    /// The file system says no.
    #[error("configuration {} cannot be read", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// Each fault by itself; empty where the file could not be read at all.
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Invalid { faults, .. } => faults,
            Self::NoFile { .. } | Self::TooLarge { .. } | Self::Unreadable { .. } => &[],
        }
    }
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |text, fault| text + "\n  " + &fault.to_string())
}

/// `; did you mean …?`, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

/// The known word that `word` most likely stands for: at most a third of its letters away.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, over at most 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.chars().take(64).enumerate() {
        let mut next = vec![line.saturating_add(1)];
        for ((above, above_left), b) in row.iter().skip(1).zip(&row).zip(&right) {
            let beside = next.last().copied().unwrap_or_default();
            let replaced = above_left.saturating_add(usize::from(a != *b));
            next.push(replaced.min(above.saturating_add(1)).min(beside.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // CFG-04
    #[test]
    fn a_misspelt_key_finds_its_neighbour_and_a_strange_one_none() {
        let known = ["verificationLevel", "registryScopes", "ca", "plainHttp"];
        for (word, expected) in [
            ("verficationLevel", Some("verificationLevel")),
            ("plainHTTP", Some("plainHttp")),
            ("plain_http", Some("plainHttp")),
            ("cas", Some("ca")),
            ("somethingElse", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
