//! A problem or warning with its place.

use jetway_core::diagnostics::{sentence_without_userinfo, without_userinfo};
use serde_json::Value;

use crate::document::Place;

/// Longest name of a route in a message, in characters.
const MAX_NAME: usize = 100;

/// Whether a finding makes the file unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The file cannot be used.
    Problem,
    /// The file can be used, and is probably not what was meant.
    Warning,
}

/// A problem or warning.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// Keys joined by dots; empty for the file as a whole.
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The index of one of the report's sources.
    pub(crate) source: usize,
    pub(crate) place: Option<Place>,
    pub(crate) route: Option<RouteName>,
}

impl Finding {
    /// Creates a finding about the file as a whole.
    pub(crate) fn of_file(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            path: String::new(),
            message: message.into(),
            help: None,
            source: 0,
            place: None,
            route: None,
        }
    }

    /// Removes passwords of addresses from everything that is shown except the path, by which findings are selected.
    pub(super) fn without_passwords(mut self) -> Self {
        self.message = sentence_without_userinfo(&self.message);
        self.help = self.help.as_deref().map(sentence_without_userinfo);
        self
    }

    /// Returns the sort key, which orders findings by place.
    pub(super) fn order(&self) -> (usize, u32) {
        let offset = self.place.map_or(u32::MAX, |place| place.offset);
        (self.source, offset)
    }
}

/// The name and address by which reports name a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteName {
    pub(super) name: Option<String>,
    pub(super) from: Option<String>,
}

impl RouteName {
    /// Returns the name of the route that contains a path, such as `routes[3].policy[0]`.
    pub(crate) fn of(path: &str, file: &Value) -> Option<Self> {
        let (list, rest) = path.split_once('[')?;
        let known = ["routes", "policy"];
        if !known.iter().any(|known| list.eq_ignore_ascii_case(known)) {
            return None;
        }
        let number: usize = rest.split_once(']')?.0.parse().ok()?;
        let route = find_field(file, list)?.as_array()?.get(number)?;
        let text = |key| {
            let text = find_field(route, key)?.as_str()?;
            let text = without_userinfo(text);
            (!text.is_empty()).then(|| text.chars().take(MAX_NAME).collect())
        };
        let found = Self {
            name: text("name"),
            from: text("from"),
        };
        (found.name.is_some() || found.from.is_some()).then_some(found)
    }

    /// Returns the route's name, else its `from`.
    pub(super) fn short(&self) -> &str {
        let name = self.name.as_deref().or(self.from.as_deref());
        name.unwrap_or_default()
    }
}

impl std::fmt::Display for RouteName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.name, &self.from) {
            (Some(name), Some(from)) => write!(f, "route `{name}` ({from})"),
            _ => write!(f, "route `{}`", self.short()),
        }
    }
}

fn find_field<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    map.get(key).or_else(|| {
        let mut fields = map.iter();
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_route_is_named_by_its_name_and_address() {
        let file = json!({"Routes": [
            {"From": "https://a.example.com", "name": "wiki"}, {"from": "https://b.example.com"}, {}
        ]});
        let called = |path| RouteName::of(path, &file).map(|name| name.to_string());
        let wiki = "route `wiki` (https://a.example.com)";
        assert_eq!(called("routes[0].to").as_deref(), Some(wiki));
        let other = "route `https://b.example.com`";
        assert_eq!(called("routes[1]").as_deref(), Some(other));
        let secret = json!({"routes": [{"from": format!("https://u:{}@c", "p".repeat(200))}]});
        let name = RouteName::of("routes[0]", &secret).map(|name| name.to_string());
        assert_eq!(name.as_deref(), Some("route `https://***@c`"));
        assert_eq!(called("routes[2].to"), None);
        assert_eq!(called("routes[9].to"), None);
        assert_eq!(called("certificates[0].key"), None);
        assert_eq!(called("routes"), None);
    }
}
