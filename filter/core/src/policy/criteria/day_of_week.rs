//! `day_of_week`: the day of the request.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::policy::criteria::window::describe_time;
use crate::policy::criteria::{Argument, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::verdict::Verdict;
use crate::session::Session;
use crate::time::Timestamp;

/// Holds on some days of the week, in UTC: one bit for each day, Monday being the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayOfWeekCriterion(u8);

impl CriterionKind for DayOfWeekCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "day_of_week",
        topic: Topic::Time,
        about: "The day of the request, in UTC, is one of the days",
        argument: "`*`, or days and ranges of days separated by commas; English names, in full or with three letters",
        example: "day_of_week: mon-fri",
    };
    const HOLDS: Reason = Reason::DayOfWeekOk;
    const FAILS: Reason = Reason::DayOfWeekUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let days = argument.value.as_str().and_then(Self::parse);
        if days.is_none() {
            findings
                .problem(argument.path, "not days of the week")
                .help("write `*`, `mon,wed` or `mon-fri`; days begin at midnight UTC");
        }
        days
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        verdict::<Self>(self.contains(facts.now))
    }

    fn to_argument(&self) -> Value {
        json!(self.to_string())
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        describe_time(facts, &TimeZone::UTC, "%A (UTC)")
    }

    fn schema() -> Value {
        json!({"type": "string"})
    }
}

/// The bits of all days, Monday being the lowest.
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

impl DayOfWeekCriterion {
    /// Reads `*`, `mon,wed` or `mon-fri`; names are English, in full or with three letters. A range may span Sunday.
    fn parse(string: &str) -> Option<Self> {
        if string.trim() == "*" {
            return Some(Self(ALL_DAYS));
        }
        let mut days = 0;
        for part in string.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day_number(first)?, day_number(last)?);
            let count = (last + 7 - first) % 7;
            for step in 0..=count {
                days |= 1 << ((first + step) % 7);
            }
        }
        Some(Self(days))
    }

    fn contains(self, now: Timestamp) -> bool {
        // 1970-01-01 was a Thursday, the day with the number 3.
        let today = (now.0 / 86_400 + 3) % 7;
        self.0 & (1 << today) != 0
    }
}

impl std::fmt::Display for DayOfWeekCriterion {
    /// Writes the days as [`DayOfWeekCriterion::parse`] reads them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == ALL_DAYS {
            return f.write_str("*");
        }
        let mut separator = "";
        for (index, (name, _)) in DAYS.iter().enumerate() {
            if self.0 & (1 << index) != 0 {
                write!(f, "{separator}{}", name.get(..3).unwrap_or(name))?;
                separator = ",";
            }
        }
        Ok(())
    }
}

/// Returns the number of a day, Monday being 0.
fn day_number(name: &str) -> Option<u8> {
    let name = name.trim().to_ascii_lowercase();
    let known = |full: &str| full == name || (name.len() == 3 && full.starts_with(&name));
    let (_, day) = DAYS.iter().find(|(full, _)| known(full))?;
    u8::try_from(day.to_monday_zero_offset()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        let thursday = Timestamp(0);
        for (string, holds) in [
            ("*", true),
            ("thu", true),
            ("Thursday", true),
            ("mon-fri", true),
            ("fri-wed", false),
            ("mon, wed", false),
        ] {
            assert_eq!(
                DayOfWeekCriterion::parse(string)
                    .unwrap()
                    .contains(thursday),
                holds,
                "{string}"
            );
        }
        for string in ["", "someday", "mon-", "m", "mon;tue"] {
            assert_eq!(DayOfWeekCriterion::parse(string), None, "{string}");
        }
    }
}
