//! Parses and formats times.

use std::time::{SystemTime, UNIX_EPOCH};

use jetway_core::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Parses a date with a time, such as `2026-11-24T08:00` (in UTC) or `2026-11-24T08:00:00+01:00` (RFC 3339).
pub(crate) fn read_timestamp(text: &str) -> Result<Timestamp, String> {
    let seconds = match text.parse::<jiff::Timestamp>() {
        Ok(instant) => Some(instant.as_second()),
        Err(_) => text
            .parse::<DateTime>()
            .and_then(|local| TimeZone::UTC.to_timestamp(local))
            .ok()
            .map(|instant| instant.as_second()),
    };
    let Some(seconds) = seconds else {
        return Err(format!(
            "`{text}` is not a date with a time: write `2026-11-24T08:00` for UTC, or `2026-11-24T08:00:00+01:00`"
        ));
    };
    u64::try_from(seconds)
        .map(Timestamp)
        .map_err(|_| format!("`{text}` is before 1970"))
}

/// Formats a time as `2026-11-24T08:00:00Z`.
pub(crate) fn format_timestamp(time: Timestamp) -> String {
    i64::try_from(time.0)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(
            || format!("{} seconds after 1970", time.0),
            |instant| instant.to_string(),
        )
}

/// Returns the time of the system's clock.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(elapsed.map_or(0, |elapsed| elapsed.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_an_offset() {
        for text in [
            "2026-11-24T08:00",
            "2026-11-24 08:00",
            "2026-11-24T08:00:00Z",
            "2026-11-24T09:00:00+01:00",
            "2026-11-24T09:00+01:00",
        ] {
            assert_eq!(read_timestamp(text), Ok(Timestamp(1_795_507_200)), "{text}");
        }
        assert_eq!(
            format_timestamp(Timestamp(1_795_507_200)),
            "2026-11-24T08:00:00Z"
        );
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in [
            "",
            "tomorrow",
            "08:00",
            "2026-13-01T00:00",
            "1969-12-31T23:59:59Z",
            "9999999",
        ] {
            let error = read_timestamp(text).unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
