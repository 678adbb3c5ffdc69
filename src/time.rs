//! The one reader of the wall clock.
//!
//! Everything else takes `now` as an argument; deadlines use [`tokio::time::Instant`], which no clock jump moves.

use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;

/// Where `now` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Always this moment (`--at`, tests).
    Fixed(OffsetDateTime),
    /// Wherever a test has moved the hand to.
    Hand(&'static Hand),
    /// The machine's clock.
    System,
}

/// The hand of a clock that somebody moves, forward and back.
#[derive(Debug)]
pub struct Hand(AtomicI64);

impl Clock {
    /// The moment, in UTC.
    pub fn now(self) -> OffsetDateTime {
        match self {
            Self::Fixed(moment) => moment,
            Self::Hand(hand) => hand.now(),
            #[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
            Self::System => OffsetDateTime::now_utc(),
        }
    }
}

impl Hand {
    /// A hand at `moment`, to the second; it lives as long as the process.
    pub fn at(moment: OffsetDateTime) -> &'static Self {
        Box::leak(Box::new(Self(AtomicI64::new(moment.unix_timestamp()))))
    }

    /// Moves it.
    pub fn set(&self, moment: OffsetDateTime) {
        self.0.store(moment.unix_timestamp(), Ordering::SeqCst);
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::SeqCst)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Two hands are the same hand or none.
impl PartialEq for Hand {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Hand {}
