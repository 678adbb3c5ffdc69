//! When to ask again.

use std::time::Duration;

use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// RFC 9110 §5.6.7, the preferred form; the obsolete ones count as no date.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Reads `Retry-After`. A date is compared with the answer's own `Date`, so that a registry's wrong clock does not matter
/// (REG-58) and ours is not asked. `None` where it says nothing that can be used (REG-50).
pub(super) fn retry_after(value: &[u8], date: Option<&[u8]>) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let wait = http_date(value)?.checked_sub_date(http_date(date?)?);
    Some(Duration::try_from(wait).unwrap_or_default())
}

trait Since {
    fn checked_sub_date(self, earlier: Self) -> time::Duration;
}

impl Since for OffsetDateTime {
    fn checked_sub_date(self, earlier: Self) -> time::Duration {
        time::Duration::seconds(self.unix_timestamp().saturating_sub(earlier.unix_timestamp()))
    }
}

fn http_date(value: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(value).ok()?.trim();
    PrimitiveDateTime::parse(text, HTTP_DATE).ok().map(PrimitiveDateTime::assume_utc)
}

/// 100 ms, 200 ms, 400 ms, …, each times 0.5 to 1.5. `jitter`: any byte.
pub(super) fn pause(tries: u32, jitter: u8) -> Duration {
    let base = 100_u64.saturating_mul(1 << tries.min(5));
    let percent = u64::from(jitter).saturating_mul(100).saturating_div(255).saturating_add(50);
    Duration::from_millis(base.saturating_mul(percent).saturating_div(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sat, 21 Nov 2026 10:00:00 GMT";

    // REG-50
    #[test]
    fn retry_after_is_seconds_or_a_date_or_nothing() {
        for (value, date, expected) in [
            ("1", None, Some(1)),
            ("0", None, Some(0)),
            ("3600", None, Some(3600)),
            ("1000000000", None, Some(1_000_000_000)),
            ("99999999999", None, None),
            ("-1", None, None),
            ("1e9", None, None),
            ("1.5", None, None),
            ("soon", None, None),
            ("", None, None),
            ("Sat, 21 Nov 2026 10:00:07 GMT", Some(DATE), Some(7)),
            ("Sat, 21 Nov 2026 09:00:00 GMT", Some(DATE), Some(0)),
            ("Sat, 21 Nov 2026 10:00:07 GMT", None, None),
            ("Sat, 21 Nov 2026 10:00:07 GMT", Some("garbage"), None),
            ("Wed, 21 Nov 2026 10:00:07 CET", Some(DATE), None),
        ] {
            let found = retry_after(value.as_bytes(), date.map(str::as_bytes));
            assert_eq!(found, expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn pauses_double_and_are_spread() {
        assert_eq!([pause(0, 0), pause(0, 255)], [Duration::from_millis(50), Duration::from_millis(150)]);
        assert_eq!([pause(2, 0), pause(2, 255)], [Duration::from_millis(200), Duration::from_millis(600)]);
        assert_eq!(pause(u32::MAX, 255), Duration::from_millis(4800));
    }
}
