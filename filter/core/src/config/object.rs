//! Taking typed values out of one object of the file.

use std::time::Duration;

use serde_json::{Map, Value};

use super::findings::{Findings, Place, nearest};
use super::keys::Use;

/// One object, its keys matched without regard to ASCII case.
pub(super) struct Object<'v> {
    place: Place,
    fields: Vec<(String, &'v str, &'v Value)>,
}

impl<'v> Object<'v> {
    /// Opens an object, and reports keys that are unknown, not supported, without effect, or there twice.
    pub(super) fn open(
        map: &'v Map<String, Value>,
        place: Place,
        known: &'static [(&'static str, Use)],
        findings: &mut Findings,
    ) -> Self {
        let mut fields: Vec<(String, &'v str, &'v Value)> = Vec::with_capacity(map.len());
        for (key, value) in map {
            let lower = key.to_ascii_lowercase();
            let here = place.key(key);
            if fields.iter().any(|(other, ..)| *other == lower) {
                findings
                    .problem(
                        &here,
                        format!("`{key}` stands twice, in different spellings"),
                    )
                    .help("keep one of them");
                continue;
            }
            report(key, &lower, &here, known, findings);
            fields.push((lower, key, value));
        }
        Self { place, fields }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Where a key stands, or would stand.
    pub(super) fn place_of(&self, key: &str) -> Place {
        match self.field(key) {
            Some((_, written, _)) => self.place.key(written),
            None => self.place.key(key),
        }
    }

    /// A key's value; a null counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<&'v Value> {
        self.field(key)
            .map(|(.., value)| *value)
            .filter(|value| !value.is_null())
    }

    fn field(&self, key: &str) -> Option<&(String, &'v str, &'v Value)> {
        self.fields.iter().find(|(lower, ..)| lower == key)
    }

    pub(super) fn text(&self, key: &str, findings: &mut Findings) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                findings
                    .problem(&self.place_of(key), format!("`{key}` takes a text"))
                    .help("put the value in quotes");
                None
            }
        }
    }

    pub(super) fn flag(&self, key: &str, findings: &mut Findings) -> bool {
        match self.value(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
            Some(_) => {
                findings.problem(
                    &self.place_of(key),
                    format!("`{key}` takes `true` or `false`"),
                );
                false
            }
        }
    }

    /// A whole number from 0 to `most`.
    pub(super) fn number(&self, key: &str, most: u32, findings: &mut Findings) -> Option<u32> {
        let value = self.value(key)?;
        let number = value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| *number <= most);
        if number.is_none() {
            findings.problem(
                &self.place_of(key),
                format!("`{key}` takes a whole number from 0 to {most}"),
            );
        }
        number
    }

    /// A list of texts; a single text is split at commas, as Pomerium does.
    pub(super) fn texts(&self, key: &str, findings: &mut Findings) -> Option<Vec<String>> {
        let texts = match self.value(key)? {
            Value::String(text) => {
                Some(text.split(',').map(|part| part.trim().to_owned()).collect())
            }
            Value::Array(list) => list
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => None,
        };
        if texts.is_none() {
            findings
                .problem(
                    &self.place_of(key),
                    format!("`{key}` takes a list of texts"),
                )
                .help("write `[first, second]`");
        }
        texts
    }

    /// A duration as Go writes it, such as `30s` or `1h30m`.
    pub(super) fn duration(&self, key: &str, findings: &mut Findings) -> Option<Duration> {
        let value = self.value(key)?;
        let duration = value.as_str().and_then(parse_duration);
        if duration.is_none() {
            findings
                .problem(
                    &self.place_of(key),
                    format!("`{key}` takes a duration with a unit"),
                )
                .help("write for example `30s`, `5m` or `1h30m`");
        }
        duration
    }
}

fn report(
    key: &str,
    lower: &str,
    here: &Place,
    known: &'static [(&'static str, Use)],
    findings: &mut Findings,
) {
    match known.iter().find(|(name, _)| *name == lower) {
        Some((_, Use::Honoured)) => {}
        Some((_, Use::Ignored(why))) => findings
            .warning(here, format!("`{key}` has no effect"))
            .help(*why),
        Some((_, Use::Refused)) => findings
            .problem(here, format!("`{key}` is not supported by this version"))
            .help("take it out if the route is right without it"),
        None => {
            let note = findings.warning(here, format!("unknown key `{key}`"));
            if let Some(close) = nearest(lower, known.iter().map(|(name, _)| *name)) {
                note.help(format!("did you mean `{close}`?"));
            }
        }
    }
}

/// Go's duration syntax (`time.ParseDuration`), without signs.
fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(unit_end)?;
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = next;
    }
    if text.is_empty() {
        None
    } else {
        Duration::try_from_secs_f64(total).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_in_go() {
        for (text, seconds) in [
            ("30s", 30.0),
            ("1h30m", 5400.0),
            ("1.5m", 90.0),
            ("250ms", 0.25),
            ("0", 0.0),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for text in ["", "30", "s", "-1s", "1d", "1e99h", "1.2.3s", "30 s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
