//! The one reader of the wall clock.
//!
//! Everything else takes `now` as an argument; deadlines use [`tokio::time::Instant`], which no clock jump moves.

use time::OffsetDateTime;

/// Where `now` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Always this moment (`--at`, tests).
    Fixed(OffsetDateTime),
    /// The machine's clock.
    System,
}

impl Clock {
    /// The moment, in UTC.
    pub fn now(self) -> OffsetDateTime {
        match self {
            Self::Fixed(moment) => moment,
            #[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
            Self::System => OffsetDateTime::now_utc(),
        }
    }
}
