//! A YAML document as a tree that remembers where each value stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::{Location, Spanned};

/// Nesting of a document; a policy nests about ten levels.
const MAX_DEPTH: usize = 64;
/// Values in a document after aliases are replaced: bounds the work that a small file of aliases can ask for.
const MAX_NODES: usize = 500_000;
/// Parse events that aliases may replay.
const MAX_REPLAYED: usize = 100_000;

/// A parsed file.
pub(super) struct Document {
    root: Node,
}

/// A file that is not the YAML that it should be.
pub(super) struct SyntaxFault {
    pub(super) message: String,
    pub(super) place: Option<Place>,
}

/// A stretch of the text: line and column count from one, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    /// Length in characters; at least one.
    pub(super) length: usize,
}

impl Place {
    fn of(location: Location) -> Option<Self> {
        let number = |value: u64| usize::try_from(value).ok();
        let (line, column) = (number(location.line())?, number(location.column())?);
        (line > 0 && column > 0).then(|| Self {
            line,
            column,
            length: number(location.span().len()).unwrap_or(1).max(1),
        })
    }
}

struct Node {
    place: Option<Place>,
    kind: Kind,
}

enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

struct Entry {
    key: String,
    key_place: Option<Place>,
    node: Node,
}

impl Document {
    /// Parses YAML (JSON included, which is a subset).
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxFault> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: MAX_NODES, max_documents: 1 },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
            strict_booleans: true,
            with_snippet: false,
        };
        match serde_saphyr::from_str_with_options::<Node>(text, options) {
            Ok(root) => Ok(Self { root }),
            Err(error) => Err(SyntaxFault::of(&error)),
        }
    }

    /// The document as JSON; an empty one is an empty object.
    pub(super) fn value(&self) -> Value {
        match self.root.kind {
            Kind::Null => Value::Object(serde_json::Map::new()),
            _ => self.root.value(),
        }
    }

    /// Where a path such as `routes[0].policy[0].allow.or[1].email` leads, or its longest part that exists.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        let mut node = &self.root;
        let mut rest = path;
        let mut found = None;
        while !rest.is_empty() {
            let Some(step) = node.step(rest) else { break };
            found = step.place.or(found);
            (node, rest) = (step.node, step.rest);
        }
        found
    }
}

impl SyntaxFault {
    fn of(error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let rendered = error.render();
        // The library ends its messages with the position, which is shown apart.
        let message = rendered.split(" at line ").next().unwrap_or(&rendered);
        let message = message
            .lines()
            .next()
            .unwrap_or(message)
            .trim_end_matches(['.', ':', ' '])
            .to_owned();
        Self {
            message,
            place: error.location().and_then(Place::of),
        }
    }
}

/// One step along a path.
struct Step<'a, 'p> {
    node: &'a Node,
    rest: &'p str,
    place: Option<Place>,
}

impl Node {
    fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.value()))
                    .collect(),
            ),
        }
    }

    fn is_scalar(&self) -> bool {
        !matches!(self.kind, Kind::List(_) | Kind::Map(_))
    }

    /// Takes one `key` or `[number]` from the front of a path.
    fn step<'a, 'p>(&'a self, path: &'p str) -> Option<Step<'a, 'p>> {
        match &self.kind {
            Kind::List(items) => {
                let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
                let node = items.get(number.parse::<usize>().ok()?)?;
                Some(Step {
                    node,
                    rest: rest.strip_prefix('.').unwrap_or(rest),
                    place: node.place,
                })
            }
            Kind::Map(entries) => {
                // Keys may themselves contain dots and brackets (`claim/https://a.b/c`): the longest that fits is meant.
                let fits = entries
                    .iter()
                    .filter_map(|entry| Some((entry, after_key(path, &entry.key)?)));
                let (entry, rest) = fits.max_by_key(|(entry, _)| entry.key.len())?;
                let place = if entry.node.is_scalar() {
                    entry.node.place.or(entry.key_place)
                } else {
                    entry.key_place
                };
                Some(Step {
                    node: &entry.node,
                    rest,
                    place,
                })
            }
            _ => None,
        }
    }
}

/// What follows `key` in a path, if the path begins with it as a whole step. Keys are case-insensitive, as in Pomerium.
fn after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let (head, rest) = path.split_at_checked(key.len())?;
    if !head.eq_ignore_ascii_case(key) {
        return None;
    }
    match rest.strip_prefix('.') {
        Some(rest) => Some(rest),
        None => (rest.is_empty() || rest.starts_with('[')).then_some(rest),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self {
            place: Place::of(spanned.referenced),
            kind: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Kind, E> {
        Number::from_f64(value)
            .map(Kind::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let key_place = Place::of(key.referenced);
            map.push(Entry {
                key: key.value,
                key_place,
                node: entries.next_value()?,
            });
        }
        Ok(Kind::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
routes:
  - from: https://a.example.com
    policy:
      - allow:
          or:
            - email: alice@example.com
            - claim/https://x.y/z[0]: [ä, b]
  - from: https://b.example.com
    timeout: 30
";

    fn line_and_column(path: &str) -> Option<(usize, usize)> {
        Document::parse(TEXT)
            .ok()
            .unwrap()
            .place(path)
            .map(|place| (place.line, place.column))
    }

    #[test]
    fn paths_lead_to_lines() {
        assert_eq!(line_and_column("routes[0].from"), Some((2, 11)));
        assert_eq!(
            line_and_column("routes[0].policy[0].allow.or[0].email"),
            Some((6, 22))
        );
        assert_eq!(
            line_and_column("routes[0].policy[0].allow.or[1].claim/https://x.y/z[0][1]"),
            Some((7, 43))
        );
        assert_eq!(line_and_column("routes[1].TIMEOUT"), Some((9, 14)));
    }

    #[test]
    fn a_missing_key_leads_to_where_it_should_be() {
        assert_eq!(line_and_column("routes[1].to"), Some((8, 5)));
        assert_eq!(line_and_column("cookie_secret"), None);
        assert_eq!(line_and_column(""), None);
    }

    #[test]
    fn values_keep_their_types() {
        let text = "a: 1\nb: -2\nc: 1.5\nd: yes\ne: true\nf: ~\ng: '7'\nh: [x]\n";
        let value = Document::parse(text).ok().unwrap().value();
        let expected = serde_json::json!(
            {"a": 1, "b": -2, "c": 1.5, "d": "yes", "e": true, "f": null, "g": "7", "h": ["x"]}
        );
        assert_eq!(value, expected);
        assert_eq!(
            Document::parse("").ok().unwrap().value(),
            serde_json::json!({})
        );
    }

    #[test]
    fn a_duplicate_key_is_refused_with_its_place() {
        let fault = Document::parse("a: 1\nb: 2\na: 3\n").err().unwrap();
        assert_eq!(
            fault.place.map(|place| place.line),
            Some(3),
            "{}",
            fault.message
        );
        assert!(!fault.message.contains("line"), "{}", fault.message);
    }

    #[test]
    fn many_aliases_are_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(Document::parse(&text).is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = "[".repeat(10_000);
        assert!(Document::parse(&text).is_err());
    }
}
