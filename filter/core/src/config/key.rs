//! What is known of each key of the file: the one table from which reading, reports, the reference and the schema come.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, lower-case. One that ends with `*` stands for every name with that beginning.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What becomes of it.
    pub treatment: Support,
    /// What it does, in one sentence without final period; empty for keys that are ignored or refused.
    pub about: &'static str,
}

impl Key {
    /// A key that does what Pomerium's documentation says.
    pub(super) const fn honoured(
        name: &'static str,
        kind: Kind,
        by: SupportedBy,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            treatment: Support::Supported(by),
            about,
        }
    }

    /// A key that means the same as something else here.
    pub(super) const fn translated(
        name: &'static str,
        kind: Kind,
        by: SupportedBy,
        to: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            treatment: Support::Translated(by, to),
            about,
        }
    }

    /// A key without effect.
    pub(super) const fn ignored(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Any,
            treatment: Support::Ignored(why),
            about: "",
        }
    }

    /// A key that is an error.
    pub(super) const fn refused(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Any,
            treatment: Support::Refused(why),
            about: "",
        }
    }

    /// The key of a table that a name in lower case means: an exact one before a beginning.
    #[must_use]
    pub fn find(table: &'static [Self], name: &str) -> Option<&'static Self> {
        let beginning = |key: &&Self| {
            let beginning = key.name.strip_suffix('*');
            beginning.is_some_and(|beginning| name.starts_with(beginning))
        };
        table
            .iter()
            .find(|key| key.name == name)
            .or_else(|| table.iter().find(beginning))
    }
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A text.
    Text,
    /// A text that must not be shown.
    Secret,
    /// Path of a file.
    File,
    /// Certificates or a key: PEM text in base64.
    Pem,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// A duration as in Go, such as `1h30m`.
    Duration,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts, or one text with commas.
    Texts,
    /// Names and texts.
    TextMap,
    /// Names and texts, or a list of texts that are names and texts at once.
    TextMapOrTexts,
    /// An object with these keys.
    Object(&'static [Key]),
    /// A list of objects with these keys.
    Objects(&'static [Key]),
    /// Upstream addresses, each with a weight after a comma if they are several.
    Upstreams,
    /// A policy (PPL).
    Policy,
    /// Anything: keys that are not honoured.
    Any,
}

/// What becomes of a key that Pomerium has or that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what Pomerium's documentation says.
    Supported(SupportedBy),
    /// It means the same as something else here, which this text names.
    Translated(SupportedBy, &'static str),
    /// It has no effect here, and nothing is lost by that; the text says why.
    Ignored(&'static str),
    /// It would change who gets in or what an upstream sees, and it is not there; the text says why and what to write instead.
    Refused(&'static str),
}

/// Which parts honour a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedBy {
    /// The module, in every body.
    pub filter: bool,
    /// The bundled host.
    pub host: bool,
    /// The generator of Envoy's configuration.
    pub envoy: bool,
}

impl SupportedBy {
    /// The module alone: so it is the same in every body.
    pub const FILTER: Self = Self {
        filter: true,
        host: false,
        envoy: false,
    };
    /// Both bodies, each in its own way.
    pub const BODIES: Self = Self {
        filter: false,
        host: true,
        envoy: true,
    };
    /// The module and both bodies.
    pub const ALL: Self = Self {
        filter: true,
        host: true,
        envoy: true,
    };
}
