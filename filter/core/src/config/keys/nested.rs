//! The keys of nested maps, and the words that some keys take.

use crate::config::key::{Key, Kind, SupportedBy};

/// The values of `jwt_issuer_format`.
pub const ISSUER_FORMATS: &[&str] = &["IssuerHostOnly", "IssuerURI", "hostOnly", "uri"];

/// The values of `enforcement` of `downstream_mtls`.
pub const MTLS_ENFORCEMENTS: &[&str] = &["policy_with_default_deny", "policy", "reject_connection"];

/// The keys of an item of `certificates`.
pub const CERTIFICATE: &[Key] = &[
    Key::supported(
        "cert",
        Kind::String,
        SupportedBy::PROXIES,
        "The path of a file with the certificate chain, or the chain itself as PEM in base64",
    ),
    Key::supported(
        "key",
        Kind::Secret,
        SupportedBy::PROXIES,
        "The path of a file with the private key, or the key itself as PEM in base64",
    ),
];

/// The keys of `downstream_mtls`.
pub const DOWNSTREAM_MTLS: &[Key] = &[
    Key::supported(
        "ca",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The authorities whose signature on client certificates is accepted",
    ),
    Key::supported(
        "ca_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `ca`",
    ),
    Key::supported(
        "crl",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The authorities' certificate revocation lists",
    ),
    Key::supported(
        "crl_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `crl`",
    ),
    Key::supported(
        "enforcement",
        Kind::Word(MTLS_ENFORCEMENTS),
        SupportedBy::ALL,
        "`policy_with_default_deny`, the default, refuses requests without a valid certificate on every route; `policy` leaves the decision to the routes' policies; `reject_connection` closes such connections",
    ),
    Key::refused(
        "match_subject_alt_names",
        "policies judge the names in certificates: use `client_certificate` with `san_dns`, `san_email` or `san_uri` in them",
    ),
    Key::supported(
        "max_verify_depth",
        Kind::Integer,
        SupportedBy::PROXIES,
        "The maximum length of a certificate chain; only 1 is supported: the authorities sign client certificates themselves",
    ),
];

/// The keys of `cockpit`.
pub const COCKPIT: &[Key] = &[
    Key::supported(
        "users",
        Kind::StringMap,
        SupportedBy::FILTER,
        "A map from email addresses (`alice@example.com: alice`) or user ids to Unix users; takes precedence over the other two mappings",
    ),
    Key::supported(
        "user_claim",
        Kind::String,
        SupportedBy::FILTER,
        "The claim that names the Unix user, for users whom `users` does not list; root is refused",
    ),
    Key::supported(
        "local_part_of",
        Kind::StringList,
        SupportedBy::FILTER,
        "For users whom neither `users` nor `user_claim` maps: the email domains in which the local part of an address is the Unix user; root is refused",
    ),
    Key::supported(
        "administrators",
        Kind::Policy,
        SupportedBy::FILTER,
        "A policy that says who gets administrative access at login; by default, no user does. The Unix user must be allowed to use sudo without a password; where Cockpit uses polkit instead, the setup writes the rule",
    ),
    Key::supported(
        "allow_root",
        Kind::Flag,
        SupportedBy::FILTER,
        "Allows `users` to map to root",
    ),
    Key::supported(
        "allow_other_hosts",
        Kind::Flag,
        SupportedBy::FILTER,
        "Allows users to log in to other hosts through this one, at `/=HOST` and `/cockpit+=HOST`",
    ),
];

/// The keys of `redirect`.
pub const REDIRECT: &[Key] = &[
    Key::supported(
        "https_redirect",
        Kind::Flag,
        SupportedBy::FILTER,
        "Redirects to `https`; takes precedence over `scheme_redirect`",
    ),
    Key::supported(
        "scheme_redirect",
        Kind::String,
        SupportedBy::FILTER,
        "The scheme to redirect to",
    ),
    Key::supported(
        "host_redirect",
        Kind::String,
        SupportedBy::FILTER,
        "The host to redirect to",
    ),
    Key::supported(
        "port_redirect",
        Kind::Integer,
        SupportedBy::FILTER,
        "The port to redirect to",
    ),
    Key::supported(
        "path_redirect",
        Kind::String,
        SupportedBy::FILTER,
        "The path to redirect to; a query in it replaces the request's. Takes precedence over `prefix_rewrite`",
    ),
    Key::supported(
        "prefix_rewrite",
        Kind::String,
        SupportedBy::FILTER,
        "Replaces the part of the path that the route's `prefix` or `path` matched",
    ),
    Key::supported(
        "response_code",
        Kind::Integer,
        SupportedBy::FILTER,
        "The status: 301 (the default), 302, 303, 307 or 308",
    ),
    Key::supported(
        "strip_query",
        Kind::Flag,
        SupportedBy::FILTER,
        "Removes the request's query",
    ),
];

/// The keys of `response`.
pub const RESPONSE: &[Key] = &[
    Key::supported(
        "status",
        Kind::Integer,
        SupportedBy::FILTER,
        "The HTTP status, 200 to 599; the default is 200",
    ),
    Key::supported(
        "body",
        Kind::String,
        SupportedBy::FILTER,
        "The HTTP body, in plain text",
    ),
];

/// The keys of an item of `rewrite_response_headers`.
pub const HEADER_REWRITE: &[Key] = &[
    Key::supported(
        "header",
        Kind::String,
        SupportedBy::FILTER,
        "The name of the header",
    ),
    Key::supported(
        "prefix",
        Kind::String,
        SupportedBy::FILTER,
        "The string that the value must begin with",
    ),
    Key::supported(
        "value",
        Kind::String,
        SupportedBy::FILTER,
        "The string that replaces `prefix`",
    ),
];
