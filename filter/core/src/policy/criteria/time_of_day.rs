//! `time_of_day`: the local time of the request.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::diagnostics::Findings;
use crate::policy::criteria::window::{Window, describe_time, window_schema};
use crate::policy::criteria::{Argument, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{ConditionDoc, CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::verdict::Verdict;
use crate::session::Session;
use crate::time::Timestamp;

/// Holds in a part of each day in one time zone; when `after` is later than `before`, the window spans midnight.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimeOfDayCriterion {
    zone: TimeZone,
    after: Option<Time>,
    before: Option<Time>,
}

/// The conditions of a time window.
pub(in crate::policy) const CONDITIONS: &[ConditionDoc] = &[
    ConditionDoc {
        name: "after",
        about: "The beginning of the window, inclusive: a time of day with 24 or 12 hours",
        example: "after: \"8:00\"",
    },
    ConditionDoc {
        name: "before",
        about: "The end of the window, exclusive, in the same form",
        example: "before: 5:30 PM",
    },
    ConditionDoc {
        name: "timezone",
        about: "The time zone, by its name in the IANA database",
        example: "timezone: Europe/Berlin",
    },
];

impl CriterionKind for TimeOfDayCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "time_of_day",
        topic: Topic::Time,
        about: "The local time of the request is within the window",
        argument: "a [time window](#time-windows)",
        example: "time_of_day: {after: \"8:00\", before: \"17:30\", timezone: Europe/Berlin}",
    };
    const HOLDS: Reason = Reason::TimeOfDayOk;
    const FAILS: Reason = Reason::TimeOfDayUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let window = Window::read(argument, CONDITIONS, findings)?;
        // A zone that cannot be read has a problem of its own.
        let lacks_zone = window.zone.is_none() && window.is_sound;
        if lacks_zone {
            findings
                .problem(argument.path, "`time_of_day` needs a `timezone`")
                .help("add for example `timezone: Europe/Berlin`");
        }
        let (after, before) = window.read_bounds(
            read_time,
            "not a time of day",
            "write for example `17:30` or `5:30 PM`",
            findings,
        )?;
        let zone = window.zone?;
        Some(Self {
            zone,
            after,
            before,
        })
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        verdict::<Self>(self.contains(facts.now))
    }

    fn to_argument(&self) -> Value {
        Window::to_value(
            self.after.map(|time| time.to_string()),
            self.before.map(|time| time.to_string()),
            Some(self.zone_name()),
        )
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        let time = describe_time(facts, &self.zone, "%H:%M:%S");
        format!("{time} ({})", self.zone_name())
    }

    fn schema() -> Value {
        window_schema(CONDITIONS, &["timezone"])
    }
}

impl TimeOfDayCriterion {
    fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    fn contains(&self, now: Timestamp) -> bool {
        let Some(now) = i64::try_from(now.0)
            .ok()
            .and_then(|now| jiff::Timestamp::from_second(now).ok())
        else {
            return false;
        };
        let time = self.zone.to_datetime(now).time();
        let has_begun = self.after.is_none_or(|after| after <= time);
        let is_open = self.before.is_none_or(|before| time < before);
        match (self.after, self.before) {
            (Some(after), Some(before)) if after > before => has_begun || is_open,
            _ => has_begun && is_open,
        }
    }
}

/// Reads a time of day: `15:04`, `15:04:05`, `15:04:05.5`, `3:04 PM`, `3:04PM`, `3 PM` or `3PM`.
fn read_time(string: &str) -> Option<Time> {
    let upper = string.trim().to_ascii_uppercase();
    let (clock, afternoon) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(clock), _) => (clock.trim_end(), Some(false)),
        (_, Some(clock)) => (clock.trim_end(), Some(true)),
        _ => (upper.as_str(), None),
    };
    let mut parts = clock.split(':');
    let hour = read_number(parts.next()?)?;
    let minute = match parts.next() {
        Some(minute) => read_number(minute).filter(|_| minute.len() == 2)?,
        // Only the twelve-hour form may lack minutes.
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

fn read_seconds(string: &str) -> Option<(i8, i32)> {
    let (seconds, fraction) = string.split_once('.').unwrap_or((string, "0"));
    if fraction.is_empty()
        || fraction.len() > 9
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Some((
        read_number(seconds).filter(|_| seconds.len() == 2)?,
        nanoseconds,
    ))
}

fn read_number(string: &str) -> Option<i8> {
    let digits =
        (1..=2).contains(&string.len()) && string.bytes().all(|byte| byte.is_ascii_digit());
    string.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day() {
        for (string, expected) in [
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
            let read = read_time(string).map(|time| (time.hour(), time.minute(), time.second()));
            assert_eq!(read, expected, "{string}");
        }
    }

    #[test]
    fn windows_begin_inclusive_end_exclusive_and_may_span_midnight() {
        let at = |hour: u64| Timestamp(hour * 3600);
        let time = |hour| Time::new(hour, 0, 0, 0).ok();
        let window = |after, before| TimeOfDayCriterion {
            zone: TimeZone::UTC,
            after: time(after),
            before: time(before),
        };
        let (day, night) = (window(8, 17), window(22, 6));
        assert!(day.contains(at(8)) && !day.contains(at(17)));
        assert!(night.contains(at(23)) && night.contains(at(5)) && !night.contains(at(6)));
    }
}
