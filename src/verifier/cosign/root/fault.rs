//! Why there is no trusted root.

use std::{io, path::PathBuf};

use super::{parse::MAX_BYTES, tuf::TufFault};
use crate::{json::JsonError, reason::Code};

/// Why a trusted root cannot be used. `at` is a member, as `tlogs[0].publicKey`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootFault {
    /// Two keys under one log id (R95).
    #[error("{at}.logId is that of another log before it ({id})")]
    DuplicateLog {
        /// Which entry.
        at: String,
        /// In hex.
        id: String,
    },
    /// The end is before the start (R95).
    #[error("{at} ends before it starts")]
    InvertedWindow {
        /// Which window.
        at: String,
    },
    /// Not one strict JSON document.
    #[error("the trusted root is not readable")]
    Json(#[from] JsonError),
    /// Another kind of document.
    #[error("media type {found:?} is not that of a trusted root")]
    MediaType {
        /// What it says.
        found: String,
    },
    /// A member without which nothing can be decided; `validFor.start` among them (R95).
    #[error("{at} is missing")]
    Missing {
        /// Which.
        at: String,
    },
    /// Nothing that could vouch for anything (COS-35).
    #[error("the trusted root has no usable authority, log or timestamp authority")]
    Nothing,
    /// A directory, a FIFO, a device.
    #[error("{} is no regular file", file.display())]
    NoFile {
        /// Which.
        file: PathBuf,
    },
    /// Not RFC 3339.
    #[error("{at} is no RFC 3339 time")]
    Time {
        /// Which.
        at: String,
    },
    /// Larger than is read.
    #[error("the trusted root has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// What its TUF repository's cache says.
    #[error("the cached trusted root of {url} cannot be used")]
    Tuf {
        /// The repository.
        url: String,
        /// Why.
        #[source]
        source: TufFault,
    },
    /// A member of another JSON type.
    #[error("{at} is not {expected}")]
    Type {
        /// Which.
        at: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The file system says no.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RootFault {
    /// The stable reason.
    pub const fn code(&self) -> Code {
        Code::NoTrust
    }
}
