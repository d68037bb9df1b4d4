//! Keys of the objects within the file and within a route, and the words that some keys take.

use crate::config::key::{Key, Kind, SupportedBy};

/// What `jwt_issuer_format` takes.
pub const ISSUER_FORMATS: &[&str] = &["IssuerHostOnly", "IssuerURI", "hostOnly", "uri"];

/// What `enforcement` of `downstream_mtls` takes.
pub const MTLS_ENFORCEMENTS: &[&str] = &["policy_with_default_deny", "policy", "reject_connection"];

/// An entry of `certificates`.
pub const CERTIFICATE: &[Key] = &[
    Key::honoured(
        "cert",
        Kind::Text,
        SupportedBy::BODIES,
        "File of a certificate chain, or the chain as PEM text in base64",
    ),
    Key::honoured(
        "key",
        Kind::Secret,
        SupportedBy::BODIES,
        "File of its private key, or the key as PEM text in base64",
    ),
];

/// `downstream_mtls`.
pub const DOWNSTREAM_MTLS: &[Key] = &[
    Key::honoured(
        "ca",
        Kind::Pem,
        SupportedBy::BODIES,
        "The authorities that sign clients' certificates",
    ),
    Key::honoured(
        "ca_file",
        Kind::File,
        SupportedBy::BODIES,
        "File of these authorities",
    ),
    Key::honoured(
        "crl",
        Kind::Pem,
        SupportedBy::BODIES,
        "The authorities' revocation lists",
    ),
    Key::honoured(
        "crl_file",
        Kind::File,
        SupportedBy::BODIES,
        "File of these lists",
    ),
    Key::honoured(
        "enforcement",
        Kind::Word(MTLS_ENFORCEMENTS),
        SupportedBy::ALL,
        "`policy_with_default_deny` (the default) refuses requests without a valid certificate on every route, `policy` leaves it to the policies, `reject_connection` ends such connections",
    ),
    Key::refused(
        "match_subject_alt_names",
        "names in certificates are judged by policies: write `client_certificate` with `san_dns`, `san_email` or `san_uri` there",
    ),
    Key::honoured(
        "max_verify_depth",
        Kind::Number,
        SupportedBy::BODIES,
        "1, the default and the only value: the authorities sign clients' certificates themselves",
    ),
];

/// `cockpit` of a route.
pub const COCKPIT: &[Key] = &[
    Key::honoured(
        "users",
        Kind::TextMap,
        SupportedBy::FILTER,
        "The Unix user of each person, by address (`alice@example.com: alice`) or by the provider's user id; looked at first",
    ),
    Key::honoured(
        "user_claim",
        Kind::Text,
        SupportedBy::FILTER,
        "The claim that names the Unix user of whom `users` does not list; its value never is root",
    ),
    Key::honoured(
        "local_part_of",
        Kind::Texts,
        SupportedBy::FILTER,
        "Domains in which the part of an address before the `@` is the Unix user of whom neither `users` nor `user_claim` names; never root",
    ),
    Key::honoured(
        "administrators",
        Kind::Policy,
        SupportedBy::FILTER,
        "Who gets administrative access while logging in, in the form of `policy`; nobody by default. The Unix user must be allowed to use sudo without a password",
    ),
    Key::honoured(
        "allow_root",
        Kind::Flag,
        SupportedBy::FILTER,
        "Lets `users` name root",
    ),
    Key::honoured(
        "allow_other_hosts",
        Kind::Flag,
        SupportedBy::FILTER,
        "Lets visitors log in to other hosts through this one, at `/=HOST` and `/cockpit+=HOST`",
    ),
];

/// `redirect` of a route.
pub const REDIRECT: &[Key] = &[
    Key::honoured(
        "https_redirect",
        Kind::Flag,
        SupportedBy::FILTER,
        "To `https`; wins over `scheme_redirect`",
    ),
    Key::honoured(
        "scheme_redirect",
        Kind::Text,
        SupportedBy::FILTER,
        "To another scheme",
    ),
    Key::honoured(
        "host_redirect",
        Kind::Text,
        SupportedBy::FILTER,
        "To another host",
    ),
    Key::honoured(
        "port_redirect",
        Kind::Number,
        SupportedBy::FILTER,
        "To another port",
    ),
    Key::honoured(
        "path_redirect",
        Kind::Text,
        SupportedBy::FILTER,
        "To another path; one with a query replaces that of the request; wins over `prefix_rewrite`",
    ),
    Key::honoured(
        "prefix_rewrite",
        Kind::Text,
        SupportedBy::FILTER,
        "What the route's `prefix` or `path` matched becomes this",
    ),
    Key::honoured(
        "response_code",
        Kind::Number,
        SupportedBy::FILTER,
        "301 (the default), 302, 303, 307 or 308",
    ),
    Key::honoured(
        "strip_query",
        Kind::Flag,
        SupportedBy::FILTER,
        "Drops the request's query",
    ),
];

/// `response` of a route.
pub const RESPONSE: &[Key] = &[
    Key::honoured(
        "status",
        Kind::Number,
        SupportedBy::FILTER,
        "The HTTP status, 200 to 599; 200 by default",
    ),
    Key::honoured(
        "body",
        Kind::Text,
        SupportedBy::FILTER,
        "The body, plain text",
    ),
];

/// An entry of `rewrite_response_headers`.
pub const HEADER_REWRITE: &[Key] = &[
    Key::honoured(
        "header",
        Kind::Text,
        SupportedBy::FILTER,
        "Name of the header",
    ),
    Key::honoured(
        "prefix",
        Kind::Text,
        SupportedBy::FILTER,
        "What its value must begin with",
    ),
    Key::honoured(
        "value",
        Kind::Text,
        SupportedBy::FILTER,
        "What stands there instead",
    ),
];
