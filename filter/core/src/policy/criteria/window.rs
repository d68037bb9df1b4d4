//! The common part of the criteria about time: a map with `after`, `before` and `timezone`.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Findings, KeyPath};
use crate::policy::criteria::Argument;
use crate::policy::facts::Facts;
use crate::policy::language::ConditionDoc;
use crate::policy::read::{each_once, report_unknown_condition};

/// The strings of a window, before a criterion reads its bounds.
pub(super) struct Window<'v> {
    after: Option<&'v str>,
    before: Option<&'v str>,
    pub(super) zone: Option<TimeZone>,
    /// Whether no problem has been reported about the map.
    pub(super) is_sound: bool,
    path: &'v KeyPath,
}

impl<'v> Window<'v> {
    /// Reads the map. `conditions` documents its keys.
    pub(super) fn read(
        argument: &Argument<'v>,
        conditions: &[ConditionDoc],
        findings: &mut Findings,
    ) -> Option<Self> {
        let Value::Object(map) = argument.value else {
            findings
                .problem(argument.path, "must be a map")
                .help("write `{after: …, before: …}`");
            return None;
        };
        let mut window = Self {
            after: None,
            before: None,
            zone: None,
            is_sound: true,
            path: argument.path,
        };
        let count = findings.problem_count();
        for (name, value) in each_once(map, argument.path, findings) {
            let path = argument.path.key(name);
            match (name.to_ascii_lowercase().as_str(), value.as_str()) {
                ("after", Some(string)) => window.after = Some(string),
                ("before", Some(string)) => window.before = Some(string),
                ("timezone", Some(string)) => window.zone = read_zone(string, &path, findings),
                ("after" | "before" | "timezone", None) => {
                    findings
                        .problem(&path, format!("`{name}` must be a string"))
                        .help("put the value in quotes");
                }
                _ => report_unknown_condition(name, &path, conditions, findings),
            }
        }
        window.is_sound = findings.problem_count() == count;
        Some(window)
    }

    /// Reads both bounds by `read`, and reports each that cannot be read. Returns `None` when there has been a problem.
    pub(super) fn read_bounds<T>(
        &self,
        read: impl Fn(&str) -> Option<T>,
        problem: &str,
        help: &str,
        findings: &mut Findings,
    ) -> Option<(Option<T>, Option<T>)> {
        let mut read = |name: &str, string: Option<&str>| match string.map(&read) {
            None => Some(None),
            Some(Some(bound)) => Some(Some(bound)),
            Some(None) => {
                findings.problem(&self.path.key(name), problem).help(help);
                None
            }
        };
        let (after, before) = (read("after", self.after), read("before", self.before));
        self.is_sound.then_some((after?, before?))
    }

    /// Returns a window in the policy language.
    pub(super) fn to_value(
        after: Option<String>,
        before: Option<String>,
        zone: Option<&str>,
    ) -> Value {
        let zone = zone.map(str::to_owned);
        let given = [("after", after), ("before", before), ("timezone", zone)];
        let members = given.into_iter().filter_map(|(name, value)| {
            let value = Value::String(value?);
            Some((name.to_owned(), value))
        });
        Value::Object(members.collect())
    }
}

fn read_zone(name: &str, path: &KeyPath, findings: &mut Findings) -> Option<TimeZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok();
    if zone.is_none() {
        findings
            .problem(path, format!("`{name}` is not a time zone"))
            .help("write a name from the IANA database, for example `Europe/Berlin` or `UTC`");
    }
    zone
}

/// Returns the JSON Schema of a window.
pub(super) fn window_schema(conditions: &[ConditionDoc], required: &[&str]) -> Value {
    let properties = conditions.iter().map(|condition| {
        let schema = json!({"type": "string", "description": condition.about});
        (condition.name.to_owned(), schema)
    });
    json!({
        "type": "object",
        "properties": properties.collect::<Map<_, _>>(),
        "required": required,
        "additionalProperties": false,
    })
}

/// Formats the time of the request.
pub(super) fn describe_time(facts: &Facts<'_>, zone: &TimeZone, format: &str) -> String {
    i64::try_from(facts.now.0)
        .ok()
        .and_then(|now| jiff::Timestamp::from_second(now).ok())
        .map_or_else(
            || "a time out of range".to_owned(),
            |now| zone.to_datetime(now).strftime(format).to_string(),
        )
}
