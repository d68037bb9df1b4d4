//! What is changed about a request and its answer on the way. The module does it, the same in every body.

use regex_lite::Regex;

use crate::template::Template;

/// The `Host` that an upstream sees.
#[derive(Clone, Debug, Default)]
pub enum HostHeader {
    /// Host and port of the upstream that was chosen; the body writes it and tells the public one as `X-Forwarded-Host`.
    #[default]
    Upstream,
    /// The public host (`preserve_host_header`).
    Preserve,
    /// This text (`host_rewrite`).
    Literal(String),
    /// The value of this request header, when there is one (`host_rewrite_header`).
    Header(String),
    /// The path with each match of a pattern replaced (`host_path_regex_rewrite_pattern`, `…_substitution`).
    PathRegex(Substitution),
}

/// How the path changes on its way to the upstream; the query stays.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// What the route's `prefix` or `path` matched becomes this (`prefix_rewrite`, or a path in the first `to`).
    Prefix(String),
    /// Each match of a pattern is replaced (`regex_rewrite_pattern`, `regex_rewrite_substitution`).
    Regex(Substitution),
}

/// A regular expression and what stands for each of its matches, RE2's `\\1` being the first group.
#[derive(Clone, Debug)]
pub struct Substitution {
    /// The pattern.
    pub pattern: Regex,
    /// The replacement, in the syntax of [`Regex::replace_all`].
    pub replacement: String,
}

/// Changes of the headers that the upstream sees.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestHeaders {
    /// Set, in lower-case names; wins over `remove` (`set_request_headers`).
    pub set: Vec<(String, Template)>,
    /// Removed, in lower-case names (`remove_request_headers`).
    pub remove: Vec<String>,
}

/// Changes of the headers of the upstream's answer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResponseHeaders {
    /// Set, in lower-case names (`set_response_headers`, the route's over the file's).
    pub set: Vec<(String, String)>,
    /// Set when the upstream did not, in lower-case names: Pomerium's defaults when the file says nothing.
    pub defaults: Vec<(String, String)>,
    /// Beginnings of values that are replaced (`rewrite_response_headers`).
    pub rewrite: Vec<HeaderRewrite>,
}

/// If a header's value begins with a text, that part of it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRewrite {
    /// Lower-case name.
    pub header: String,
    /// The beginning.
    pub prefix: String,
    /// What stands there instead.
    pub value: String,
}
