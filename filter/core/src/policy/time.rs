//! Questions about the time: `date`, `day_of_week` and `time_of_day`.

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// A span of time: from `after`, which belongs to it, to `before`, which does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateWindow {
    pub(super) after: Option<i64>,
    pub(super) before: Option<i64>,
}

impl DateWindow {
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        let now = i64::try_from(now.0).unwrap_or(i64::MAX);
        self.after.is_none_or(|after| after <= now) && self.before.is_none_or(|before| now < before)
    }
}

/// A date as a person writes it, in Unix seconds: ISO 8601 with an offset, or without one in `zone`.
pub(super) fn read_instant(text: &str, zone: &TimeZone) -> Option<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_second());
    }
    let local: DateTime = text.parse().ok()?;
    Some(zone.to_timestamp(local).ok()?.as_second())
}

/// Days of the week, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(u8);

/// A bit for each day.
const ALL_DAYS: u8 = 0x7f;

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl Weekdays {
    /// Reads `*`, `mon,wed` or `mon-fri`; names are English, in full or with three letters. A range may wrap.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self(ALL_DAYS));
        }
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            let count = (last + 7 - first) % 7;
            for step in 0..=count {
                days |= 1 << ((first + step) % 7);
            }
        }
        Some(Self(days))
    }

    pub(super) fn holds(self, now: Timestamp) -> bool {
        // 1970-01-01 was a Thursday, the day with the number 3.
        let today = (now.0 / 86_400 + 3) % 7;
        self.0 & (1 << today) != 0
    }
}

impl std::fmt::Display for Weekdays {
    /// As `Weekdays::read` reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == ALL_DAYS {
            return f.write_str("*");
        }
        let mut separator = "";
        for (place, (name, _)) in DAYS.iter().enumerate() {
            if self.0 & (1 << place) != 0 {
                write!(f, "{separator}{}", name.get(..3).unwrap_or(name))?;
                separator = ",";
            }
        }
        Ok(())
    }
}

/// Number of a day, Monday being 0.
fn day(name: &str) -> Option<u8> {
    let name = name.trim().to_ascii_lowercase();
    let known = |full: &str| full == name || (name.len() == 3 && full.starts_with(&name));
    let (_, day) = DAYS.iter().find(|(full, _)| known(full))?;
    u8::try_from(day.to_monday_zero_offset()).ok()
}

/// A part of each day in one time zone; when `after` is later than `before` it spans midnight.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeWindow {
    pub(super) zone: TimeZone,
    pub(super) after: Option<Time>,
    pub(super) before: Option<Time>,
}

impl TimeWindow {
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        let Some(now) = i64::try_from(now.0)
            .ok()
            .and_then(|now| jiff::Timestamp::from_second(now).ok())
        else {
            return false;
        };
        let time = self.zone.to_datetime(now).time();
        let begun = self.after.is_none_or(|after| after <= time);
        let open = self.before.is_none_or(|before| time < before);
        match (self.after, self.before) {
            (Some(after), Some(before)) if after > before => begun || open,
            _ => begun && open,
        }
    }
}

/// A time of day: `15:04`, `15:04:05`, `15:04:05.5`, `3:04 PM`, `3:04PM`, `3 PM` or `3PM`.
pub(super) fn read_time(text: &str) -> Option<Time> {
    let upper = text.trim().to_ascii_uppercase();
    let (clock, afternoon) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(clock), _) => (clock.trim_end(), Some(false)),
        (_, Some(clock)) => (clock.trim_end(), Some(true)),
        _ => (upper.as_str(), None),
    };
    let mut parts = clock.split(':');
    let hour = number(parts.next()?)?;
    let minute = match parts.next() {
        Some(minute) => number(minute).filter(|_| minute.len() == 2)?,
        // Only the twelve-hour form goes without minutes.
        None => afternoon.map(|_| 0)?,
    };
    let (second, nanosecond) = parts.next().map_or(Some((0, 0)), read_seconds)?;
    let hour = match afternoon {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, nanosecond).ok()
}

fn read_seconds(text: &str) -> Option<(i8, i32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty()
        || fraction.len() > 9
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Some((number(seconds).filter(|_| seconds.len() == 2)?, nanoseconds))
}

fn number(text: &str) -> Option<i8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day() {
        for (text, expected) in [
            ("15:04", Some((15, 4, 0))),
            ("8:00", Some((8, 0, 0))),
            ("2:20:00", Some((2, 20, 0))),
            ("15:04:05.25", Some((15, 4, 5))),
            ("4:30PM", Some((16, 30, 0))),
            ("3:04 PM", Some((15, 4, 0))),
            ("12 am", Some((0, 0, 0))),
            ("12PM", Some((12, 0, 0))),
            ("24:00", None),
            ("13 PM", None),
            ("0 AM", None),
            ("15", None),
            ("15:4", None),
            ("1:2:3:4", None),
            ("", None),
        ] {
            let read = read_time(text).map(|time| (time.hour(), time.minute(), time.second()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn days() {
        let thursday = Timestamp(0);
        for (text, holds) in [
            ("*", true),
            ("thu", true),
            ("Thursday", true),
            ("mon-fri", true),
            ("fri-wed", false),
            ("mon, wed", false),
        ] {
            assert_eq!(
                Weekdays::read(text).unwrap().holds(thursday),
                holds,
                "{text}"
            );
        }
        for text in ["", "someday", "mon-", "m", "mon;tue"] {
            assert_eq!(Weekdays::read(text), None, "{text}");
        }
    }

    #[test]
    fn windows_begin_inclusive_end_exclusive_and_may_span_midnight() {
        let at = |hour: u64| Timestamp(hour * 3600);
        let time = |hour| Time::new(hour, 0, 0, 0).ok();
        let window = |after, before| TimeWindow {
            zone: TimeZone::UTC,
            after: time(after),
            before: time(before),
        };
        assert!(window(8, 17).holds(at(8)) && !window(8, 17).holds(at(17)));
        assert!(
            window(22, 6).holds(at(23))
                && window(22, 6).holds(at(5))
                && !window(22, 6).holds(at(6))
        );
        let span = DateWindow {
            after: Some(10),
            before: Some(20),
        };
        assert!(
            span.holds(Timestamp(10)) && !span.holds(Timestamp(20)) && !span.holds(Timestamp(9))
        );
    }

    #[test]
    fn instants() {
        let read = |text| read_instant(text, &TimeZone::UTC);
        assert_eq!(read("1970-01-02"), Some(86_400));
        assert_eq!(read("1970-01-01T01:00:00"), Some(3600));
        assert_eq!(read("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(read("1970-01-02T00:00:00Z"), Some(86_400));
        assert_eq!(read("yesterday"), None);
    }
}
