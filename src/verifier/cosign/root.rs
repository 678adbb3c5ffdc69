//! Trusted roots: the authorities, logs and timestamp authorities of one Sigstore instance, each with the window in which it was
//! in use.
//!
//! Evidence is judged by one root whole: an authority of one root never goes with a log of another (R99). A window says when a
//! key was valid *for signing*; old signatures keep verifying, so nothing is ever dropped by today's date.
//!
//! Rule: Sigstore protobuf-specs, `sigstore_trustroot.proto`; `sigstore.md` §2.7.

use std::{fmt, path::PathBuf};

use time::{Date, OffsetDateTime};

pub use self::fault::RootFault;
use crate::crypto::{algorithm::PublicKey, x509::Certificate};

mod fault;
mod file;
mod instance;
mod log_key;
pub mod parse;
pub mod source;
pub mod tuf;

/// One Sigstore instance, as far as we trust it.
#[derive(Debug, Clone)]
pub struct TrustedRoot {
    /// What the operator calls it: `public-good`, a file's name, …
    pub name: String,
    /// What its items must have.
    pub profile: Profile,
    /// Fulcio and its like.
    pub certificate_authorities: Vec<Authority>,
    /// Rekor and its like.
    pub logs: Vec<Log>,
    /// CT logs.
    pub ct_logs: Vec<Log>,
    /// RFC 3161 authorities.
    pub timestamp_authorities: Vec<Authority>,
    /// Where it was read, and how old it is.
    pub origin: Origin,
    /// What was left out, and why (R96): one sentence each.
    pub warnings: Vec<String>,
}

impl TrustedRoot {
    /// The same, read elsewhere.
    #[must_use]
    pub fn from_origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }
}

/// Where a trusted root was read, and how old it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Compiled in.
    Embedded {
        /// It is no newer than this.
        date: Date,
    },
    /// A file.
    File(PathBuf),
    /// The configuration itself.
    Inline,
    /// Certificates that the operator named.
    OwnAuthority,
    /// A TUF repository, by way of its cache.
    Tuf {
        /// The repository.
        url: String,
        /// When it last answered.
        refreshed_at: OffsetDateTime,
        /// Until when it vouches for what it answered.
        expires: OffsetDateTime,
    },
}

impl Origin {
    /// How long ago it was last known to be current; `None`: only the operator knows.
    pub fn age(&self, now: OffsetDateTime) -> Option<time::Duration> {
        match self {
            Self::Embedded { date } => Some(now - date.midnight().assume_utc()),
            Self::Tuf { refreshed_at, .. } => Some(now - *refreshed_at),
            Self::File(_) | Self::Inline | Self::OwnAuthority => None,
        }
    }

    /// One of a few words.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Embedded { .. } => "embedded",
            Self::File(_) => "file",
            Self::Inline => "inline",
            Self::OwnAuthority => "own",
            Self::Tuf { .. } => "tuf",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded { date } => write!(f, "compiled in, as of {date}"),
            Self::File(file) => write!(f, "file {}", file.display()),
            Self::Inline => f.write_str("in the configuration"),
            Self::OwnAuthority => f.write_str("the configured authorities"),
            Self::Tuf { url, refreshed_at, expires } => {
                write!(f, "{url}, fetched {}, vouched for until {}", refreshed_at.date(), expires.date())
            }
        }
    }
}

/// What the items of an instance must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// GitHub's own instance: no log entry, no SCT, one signed timestamp (R98).
    GitHub,
    /// What the trust policy says.
    Sigstore,
}

/// A certificate authority or a timestamp authority.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Where it is; for people.
    pub uri: String,
    /// Its certificates, the issuing one first, the root last; at least one.
    pub chain: Vec<Certificate>,
    /// When it was in use.
    pub window: Window,
}

/// A log that signs with a key.
#[derive(Debug, Clone)]
pub struct Log {
    /// Where it is. A Rekor v2 checkpoint's name is its host.
    pub base_url: String,
    /// `logId.keyId`: 32 bytes.
    pub id: Vec<u8>,
    /// Its key.
    pub key: PublicKey,
    /// When the key was in use.
    pub window: Window,
}

/// A closed interval; without an end it is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First moment.
    pub start: OffsetDateTime,
    /// Last moment.
    pub end: Option<OffsetDateTime>,
}

impl Window {
    /// Whether `moment` is in it; both ends are.
    pub fn contains(&self, moment: OffsetDateTime) -> bool {
        self.start <= moment && self.end.is_none_or(|end| moment <= end)
    }
}
