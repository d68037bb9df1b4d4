//! Lists how the keys of a file are supported, for migrations from Pomerium.

use std::fmt::Write as _;

use jetway_core::config::key::{Support, SupportedBy};
use jetway_core::diagnostics::without_userinfo;
use serde::Serialize;

use jetway_config_file::terminal::printable;
use jetway_config_file::{KeyUsage, UsedKey};

/// Widest column of keys; longer keys push the rest of their line.
const MAX_WIDTH: usize = 44;

/// A key as JSON.
#[derive(Serialize)]
pub(super) struct JsonKey {
    key: String,
    /// The path of its first use.
    path: String,
    line: Option<u32>,
    count: usize,
    treatment: &'static str,
    by: Vec<&'static str>,
    reason: Option<&'static str>,
}

impl JsonKey {
    pub(super) fn of(key: &UsedKey) -> Self {
        Self {
            key: without_userinfo(key.name()),
            path: without_userinfo(&key.path),
            line: key.lines.first().copied(),
            count: key.count,
            treatment: Group::of(key).word(),
            by: supporters(key.treatment, ["filter", "host", "envoy"]),
            reason: reason_of(key.treatment),
        }
    }
}

/// How a key is supported, without the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Honoured,
    Translated,
    Ignored,
    Refused,
    Unknown,
}

impl Group {
    const ALL: [Self; 5] = [
        Self::Honoured,
        Self::Translated,
        Self::Ignored,
        Self::Refused,
        Self::Unknown,
    ];

    const fn of(key: &UsedKey) -> Self {
        match key.treatment {
            Some(Support::Supported(_)) => Self::Honoured,
            Some(Support::Translated(..)) => Self::Translated,
            Some(Support::Ignored(_)) => Self::Ignored,
            Some(Support::Refused(_)) => Self::Refused,
            None => Self::Unknown,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Translated => "translated",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns the parts that support a key, by these names of the module, the host and the Envoy generator.
fn supporters(treatment: Option<Support>, names: [&'static str; 3]) -> Vec<&'static str> {
    let (Some(Support::Supported(by)) | Some(Support::Translated(by, _))) = treatment else {
        return Vec::new();
    };
    let SupportedBy {
        filter,
        host,
        envoy,
    } = by;
    let parts = names.into_iter().zip([filter, host, envoy]);
    parts
        .filter(|(_, here)| *here)
        .map(|(name, _)| name)
        .collect()
}

const fn reason_of(treatment: Option<Support>) -> Option<&'static str> {
    match treatment {
        Some(Support::Translated(_, text) | Support::Ignored(text) | Support::Refused(text)) => {
            Some(text)
        }
        Some(Support::Supported(_)) | None => None,
    }
}

/// Renders the keys in groups, one line each; empty for a file without keys.
pub(super) fn render_keys(usage: &KeyUsage) -> String {
    let keys = usage.keys();
    let width = |text: &dyn Fn(&UsedKey) -> usize| {
        let widths = keys.iter().map(text).filter(|width| *width <= MAX_WIDTH);
        widths.max().unwrap_or_default()
    };
    let name_width = width(&|key| key.general.chars().count());
    let place_width = width(&|key| describe_lines(key).chars().count());
    let mut text = String::new();
    for group in Group::ALL {
        let mut lines = keys.iter().filter(|key| Group::of(key) == group).peekable();
        if lines.peek().is_none() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", group.word());
        for key in lines {
            let (name, place) = (sanitize(&key.general), describe_lines(key));
            let line = format!(
                "  {name:name_width$}  {place:place_width$}  {}",
                describe_support(key)
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    match usage.left_out() {
        0 => {}
        count => {
            let _ = writeln!(text, "  and {count} more");
        }
    }
    text
}

/// Renders the lines of a key: `line 3`, or `lines 3, 9, 15 and 2 more`.
fn describe_lines(key: &UsedKey) -> String {
    let lines: Vec<String> = key.lines.iter().map(u32::to_string).collect();
    let noun = if key.count == 1 { "line" } else { "lines" };
    let more = match key.count.saturating_sub(lines.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    if lines.is_empty() {
        String::new()
    } else {
        format!("{noun} {}{more}", lines.join(", "))
    }
}

/// Describes which parts support the key, what it means, or why it has no effect.
fn describe_support(key: &UsedKey) -> String {
    let by = supporters(key.treatment, ["module", "host", "Envoy"]).join(", ");
    match reason_of(key.treatment) {
        None => by,
        Some(reason) if by.is_empty() => reason.to_owned(),
        Some(reason) => format!("{by}: means {reason}"),
    }
}

/// Shortens a key and removes passwords and terminal controls: an unknown key may contain anything.
fn sanitize(key: &str) -> String {
    const LONGEST: usize = 80;
    let key: String = without_userinfo(key).chars().take(LONGEST).collect();
    printable(&key)
}
