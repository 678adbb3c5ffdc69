//! Durations as people write them: `2s`, `150ms`, `5m`, `1h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// Why text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a whole number and a unit: 150ms, 2s, 5m, 1h")]
pub struct DurationError;

/// Parses a whole number with its unit, without spaces.
///
/// # Errors
/// [`DurationError`]: no number, no unit, another unit, or more than fits.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
    let (number, unit) = text.split_at(unit_start);
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs).ok_or(DurationError);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        _ => Err(DurationError),
    }
}

/// For `#[serde(deserialize_with = …)]`.
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit_are_read() {
        for (text, expected) in [
            ("150ms", Duration::from_millis(150)),
            ("2s", Duration::from_secs(2)),
            ("5m", Duration::from_mins(5)),
            ("1h", Duration::from_hours(1)),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2",
            "s",
            "2 s",
            "-2s",
            "+2s",
            "2.5s",
            "2S",
            "2sec",
            "1h30m",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parse(text), Err(DurationError), "{text}");
        }
    }
}
