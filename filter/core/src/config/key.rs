//! The description of one key of the file. Reading, reports, the reference and the schema all use it.

use serde_json::Value;

/// Keys without effect that are errors with another value than these, which mean what Jetway always does.
const FIXED: &[(&str, &[&str])] = &[
    ("cookie_same_site", &["lax"]),
    ("headers_with_underscores_action", &["reject_request"]),
    ("merge_slashes", &["true"]),
    ("normalize_path", &["true"]),
    ("path_with_escaped_slashes_action", &["reject_request"]),
];

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name, in lower case. One that ends with `*` covers every name with that beginning.
    pub name: &'static str,
    /// The kind of value.
    pub kind: Kind,
    /// How Jetway supports the key.
    pub support: Support,
    /// The effect of the key, without a final period; empty for keys that are ignored or refused.
    pub about: &'static str,
}

impl Key {
    /// Returns a key that does what its description says.
    pub(super) const fn supported(
        name: &'static str,
        kind: Kind,
        by: SupportedBy,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            support: Support::Supported(by),
            about,
        }
    }

    /// Returns a key that means the same as `to`, in every part of Jetway.
    pub(super) const fn translated(
        name: &'static str,
        kind: Kind,
        to: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            support: Support::Translated(SupportedBy::ALL, to),
            about,
        }
    }

    /// Returns a key without effect.
    pub(super) const fn ignored(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Any,
            support: Support::Ignored(why),
            about: "",
        }
    }

    /// Returns a key that is an error.
    pub(super) const fn refused(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Any,
            support: Support::Refused(why),
            about: "",
        }
    }

    /// Returns whether a value of an ignored key asks for another behaviour than the one that Jetway always has.
    #[must_use]
    pub(super) fn is_contradicted_by(&self, value: &Value) -> bool {
        let Some((_, same)) = FIXED.iter().find(|(name, _)| *name == self.name) else {
            return false;
        };
        let word = match value {
            Value::Bool(flag) => flag.to_string(),
            Value::String(word) => word.to_ascii_lowercase(),
            _ => return false,
        };
        !word.is_empty() && !same.contains(&word.as_str())
    }

    /// Returns the key of a table for a name in lower case. An exact name takes precedence over a `*`.
    #[must_use]
    pub fn find(table: &'static [Self], name: &str) -> Option<&'static Self> {
        let has_prefix = |key: &&Self| {
            let prefix = key.name.strip_suffix('*');
            prefix.is_some_and(|prefix| name.starts_with(prefix))
        };
        table
            .iter()
            .find(|key| key.name == name)
            .or_else(|| table.iter().find(has_prefix))
    }
}

/// The kind of value that a key takes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A string.
    String,
    /// A string that must not be shown.
    Secret,
    /// The path of a file.
    File,
    /// Certificates or a private key: PEM in base64.
    Pem,
    /// `true` or `false`.
    Flag,
    /// An integer.
    Integer,
    /// A duration in Go's syntax, such as `1h30m`.
    Duration,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of strings, or one string with commas.
    StringList,
    /// A map of strings.
    StringMap,
    /// A map of strings, or a list of names that stand for themselves.
    StringMapOrList,
    /// A map with these keys.
    Map(&'static [Key]),
    /// A list of maps with these keys.
    MapList(&'static [Key]),
    /// Upstream URLs; several of them may each have a weight after a comma.
    Upstreams,
    /// A policy (PPL).
    Policy,
    /// Any value: keys that are not supported.
    Any,
}

/// How Jetway supports a key of Pomerium or one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The key does what its description says.
    Supported(SupportedBy),
    /// The key means the same as something else, which the string names.
    Translated(SupportedBy, &'static str),
    /// The key has no effect, and nothing is lost by that; the string says why.
    Ignored(&'static str),
    /// The key would change who may use a route or what an upstream sees, and Jetway does not support it; the string says
    /// why and what to write instead.
    Refused(&'static str),
}

/// The parts of Jetway that support a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedBy {
    /// The module, in every proxy.
    pub filter: bool,
    /// Jetway's own proxy.
    pub host: bool,
    /// The generator of Envoy's configuration.
    pub envoy: bool,
}

impl SupportedBy {
    /// The module alone: the key means the same in every proxy.
    pub const FILTER: Self = Self {
        filter: true,
        host: false,
        envoy: false,
    };
    /// Both proxies, each in its own way.
    pub const PROXIES: Self = Self {
        filter: false,
        host: true,
        envoy: true,
    };
    /// Jetway's own proxy alone: Envoy has its own way to do the same.
    pub const HOST: Self = Self {
        filter: false,
        host: true,
        envoy: false,
    };
    /// The module and both proxies.
    pub const ALL: Self = Self {
        filter: true,
        host: true,
        envoy: true,
    };
}
