//! `date`: the date and time of the request.

use jiff::civil::DateTime;
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

/// Holds from `after`, inclusive, to `before`, exclusive. Both are in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DateCriterion {
    after: Option<i64>,
    before: Option<i64>,
}

/// The conditions of a date window.
pub(in crate::policy) const CONDITIONS: &[ConditionDoc] = &[
    ConditionDoc {
        name: "after",
        about: "The beginning of the window, inclusive: a date or a date and time in ISO 8601, with or without an offset",
        example: "after: 2026-01-31T16:20:00+01:00",
    },
    ConditionDoc {
        name: "before",
        about: "The end of the window, exclusive, in the same form",
        example: "before: 2026-12-31",
    },
    ConditionDoc {
        name: "timezone",
        about: "The time zone of dates without an offset, by its name in the IANA database; `UTC` by default",
        example: "timezone: Europe/Berlin",
    },
];

impl CriterionKind for DateCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "date",
        topic: Topic::Time,
        about: "The time of the request is within the window",
        argument: "a [date window](#date-windows)",
        example: "date: {after: 2026-01-31, before: 2026-12-31, timezone: Europe/Berlin}",
    };
    const HOLDS: Reason = Reason::DateOk;
    const FAILS: Reason = Reason::DateUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let window = Window::read(argument, CONDITIONS, findings)?;
        let zone = window.zone.clone().unwrap_or(TimeZone::UTC);
        let (after, before) = window.read_bounds(
            |string| read_instant(string, &zone),
            "not a date",
            "write for example `2026-01-31T16:20:00` or `2026-01-31T16:20:00+01:00`",
            findings,
        )?;
        Some(Self { after, before })
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        verdict::<Self>(self.contains(facts.now))
    }

    fn to_argument(&self) -> Value {
        let format = |seconds| {
            jiff::Timestamp::from_second(seconds)
                .ok()
                .map(|instant| instant.to_string())
        };
        Window::to_value(
            self.after.and_then(format),
            self.before.and_then(format),
            None,
        )
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        describe_time(facts, &TimeZone::UTC, "%Y-%m-%dT%H:%M:%SZ")
    }

    fn schema() -> Value {
        window_schema(CONDITIONS, &[])
    }
}

impl DateCriterion {
    fn contains(&self, now: Timestamp) -> bool {
        let now = i64::try_from(now.0).unwrap_or(i64::MAX);
        self.after.is_none_or(|after| after <= now) && self.before.is_none_or(|before| now < before)
    }
}

/// Reads a date in ISO 8601, with an offset or in `zone`, and returns Unix seconds.
fn read_instant(string: &str, zone: &TimeZone) -> Option<i64> {
    if let Ok(instant) = string.parse::<jiff::Timestamp>() {
        return Some(instant.as_second());
    }
    let local: DateTime = string.parse().ok()?;
    Some(zone.to_timestamp(local).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        let read = |text| read_instant(text, &TimeZone::UTC);
        assert_eq!(read("1970-01-02"), Some(86_400));
        assert_eq!(read("1970-01-01T01:00:00"), Some(3600));
        assert_eq!(read("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(read("1970-01-02T00:00:00Z"), Some(86_400));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn a_window_begins_inclusive_and_ends_exclusive() {
        let window = DateCriterion {
            after: Some(10),
            before: Some(20),
        };
        assert!(window.contains(Timestamp(10)));
        assert!(!window.contains(Timestamp(20)) && !window.contains(Timestamp(9)));
    }
}
