//! Reads the log lines of decisions again, as an event and its fields.

use std::borrow::Cow;

use super::CUT;

/// The longest line that is read. The lines of decisions are shorter; the rest of a longer one is unknown.
const MAX_LINE: usize = 16 * 1024;

/// The names of the fields that a line may end with.
const NAMES: [&str; 10] = [
    "route",
    "reasons",
    "email_verified",
    "account",
    "status",
    "request_id",
    "client",
    "method",
    "host",
    "path",
];

/// A log line, split into its event and the fields at its end. A line of another kind is an event without fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFields<'a> {
    /// The beginning of the line.
    pub event: &'a str,
    fields: Vec<Field<'a>>,
}

/// A field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field<'a> {
    /// Where it begins in the line.
    start: usize,
    name: &'static str,
    value: Cow<'a, str>,
}

impl<'a> LogFields<'a> {
    /// Reads a line. The fields are the longest end of the line that consists of known fields, each at most once.
    ///
    /// Values from outside are quoted in an event as well, and quoted strings are passed over as a whole: a client can
    /// neither add a field nor replace one.
    #[must_use]
    pub fn read(line: &'a str) -> Self {
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut rest = if line.len() > MAX_LINE { "" } else { line };
        while !rest.is_empty() {
            let start = line.len() - rest.len();
            if let Some((name, value, after)) = read_field(rest) {
                // The earlier one belongs to the event, with all before it.
                if let Some(earlier) = fields.iter().position(|field| field.name == name) {
                    fields.drain(..=earlier);
                }
                fields.push(Field { start, name, value });
                rest = after;
            } else {
                fields.clear();
                rest = skip(rest);
            }
        }
        let end = fields.first().map_or(line.len(), |field| field.start);
        Self {
            event: line.get(..end).unwrap_or(line),
            fields,
        }
    }

    /// Returns the value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|field| field.name == name);
        found.map(|field| &*field.value)
    }

    /// Returns whether the line has no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// Reads ` name=value` at the beginning of a string, and returns the rest.
fn read_field(string: &str) -> Option<(&'static str, Cow<'_, str>, &str)> {
    let (name, rest) = string.strip_prefix(' ')?.split_once('=')?;
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let (value, rest) = if rest.starts_with('"') {
        let (inner, after) = split_quoted(rest)?;
        let value = unescape(inner)?;
        match after.strip_prefix(CUT) {
            Some(after) => (Cow::Owned(format!("{value}{CUT}")), after),
            None => (value, after),
        }
    } else {
        let end = rest.find(' ').unwrap_or(rest.len());
        let (value, after) = rest.split_at(end);
        if value.is_empty() || value.contains('"') {
            return None;
        }
        (Cow::Borrowed(value), after)
    };
    (rest.is_empty() || rest.starts_with(' ')).then_some((name, value, rest))
}

/// Returns a string without its first character, or without the quoted string that it begins with.
fn skip(string: &str) -> &str {
    if let Some((_, after)) = split_quoted(string) {
        return after;
    }
    let mut rest = string.chars();
    rest.next();
    rest.as_str()
}

/// Splits a quoted string into what is between its quotes and what follows.
fn split_quoted(string: &str) -> Option<(&str, &str)> {
    let inner = string.strip_prefix('"')?;
    let mut is_escaped = false;
    let is_end = |letter: char| {
        let ends = letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends
    };
    let end = inner.find(is_end)?;
    Some((inner.get(..end)?, inner.get(end + 1..)?))
}

/// Reverts the escapes of Rust's `Debug` of a string. `None` if there is another escape.
fn unescape(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut value = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, escape)) = rest.split_once('\\') {
        value.push_str(before);
        let mut letters = escape.chars();
        value.push(match letters.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            letter @ ('\\' | '"' | '\'') => letter,
            'u' => {
                let (code, after) = letters.as_str().strip_prefix('{')?.split_once('}')?;
                letters = after.chars();
                char::from_u32(u32::from_str_radix(code, 16).ok()?)?
            }
            _ => return None,
        });
        rest = letters.as_str();
    }
    value.push_str(rest);
    Some(Cow::Owned(value))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::http::log_line::{DecisionLine, MAX_VALUE, RequestSummary, quote};
    use crate::http::request::Request;

    #[test]
    fn a_line_without_fields_is_an_event() {
        for line in [
            "",
            "the proxy is ready",
            "status=403",
            "a path=",
            "a path=\"/",
            "a path=\"/\\x\"",
            "a status=1 of 2",
            "a colour=red",
        ] {
            let fields = LogFields::read(line);
            assert!(fields.is_empty() && fields.event == line, "{fields:?}");
        }
    }

    #[test]
    fn an_event_may_end_with_fields_and_the_last_value_counts() {
        let line =
            r#"stream closed: it has ended route="a b" account="x" account="y" path="/a b"..."#;
        let fields = LogFields::read(line);
        assert_eq!(
            fields.event,
            r#"stream closed: it has ended route="a b" account="x""#
        );
        assert_eq!(fields.get("account"), Some("y"));
        assert_eq!(fields.get("path"), Some("/a b..."));
        assert_eq!(fields.get("route"), None);
        let line = r#"answered status=401 error="x" status=502 client=::1"#;
        let fields = LogFields::read(line);
        assert_eq!(fields.event, r#"answered status=401 error="x""#);
        assert_eq!(fields.get("status"), Some("502"));
        assert_eq!(fields.get("client"), Some("::1"));
    }

    fn shown(value: &[u8]) -> String {
        let value = String::from_utf8_lossy(value);
        let mut kept: String = value.chars().take(MAX_VALUE).collect();
        if value.chars().count() > MAX_VALUE {
            kept.push_str(CUT);
        }
        kept
    }

    /// Values that try to end a quoted string or to look like fields.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"\" status=200 account=\"root".to_vec()),
            Just(b" path=\"".to_vec()),
            Just(b"\\".to_vec()),
            Just(b"...".to_vec()),
            "\\PC{0,9}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..9),
            Just(vec![b'a'; 190]),
        ];
        prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
    }

    /// Events with quoted values.
    fn event() -> impl Strategy<Value = String> {
        (value(), value()).prop_map(|(first, last)| {
            let quoted = |value: &[u8]| quote(&String::from_utf8_lossy(value));
            format!(
                "refused: x error={} status=401 word={}",
                quoted(&first),
                quoted(&last)
            )
        })
    }

    proptest! {
        #[test]
        fn reading_is_the_inverse_of_writing(
            event in event(),
            account in prop::option::of(value()),
            [method, host, path] in [value(), value(), value()],
            status in prop::option::of(100_u16..600),
            client in prop::option::of(any::<IpAddr>()),
        ) {
            let path: Vec<u8> = path.into_iter().filter(|byte| *byte != b'?').collect();
            let headers = [
                (":method".to_owned(), method.clone()),
                (":authority".to_owned(), host.clone()),
                (":path".to_owned(), path.clone()),
                ("x-request-id".to_owned(), b"id-1".to_vec()),
            ];
            let account = account.map(|account| String::from_utf8_lossy(&account).into_owned());
            let line = DecisionLine {
                event: &event,
                status,
                account: account.as_deref(),
                request: &RequestSummary::of(&Request::new(&headers)),
                client,
            };
            let line = line.to_string();
            let fields = LogFields::read(&line);
            prop_assert_eq!(fields.event, event.as_str());
            let account = account.map(|account| shown(account.as_bytes()));
            prop_assert_eq!(fields.get("account"), account.as_deref());
            prop_assert_eq!(fields.get("method"), Some(&*shown(&method)));
            prop_assert_eq!(fields.get("host"), Some(&*shown(&host)));
            prop_assert_eq!(fields.get("path"), Some(&*shown(&path)));
            prop_assert_eq!(fields.get("request_id"), Some("id-1"));
            let status = status.map(|status| status.to_string());
            prop_assert_eq!(fields.get("status"), status.as_deref());
            let client = client.map(|client| client.to_string());
            prop_assert_eq!(fields.get("client"), client.as_deref());
        }

        #[test]
        fn reading_any_line_does_not_crash(line in "( (status|path|x)=(\"|\\\\|\\.|\\PC){0,6}){0,6}|\\PC{0,40}") {
            let fields = LogFields::read(&line);
            prop_assert!(line.starts_with(fields.event));
        }
    }
}
