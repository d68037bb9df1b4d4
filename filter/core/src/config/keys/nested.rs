//! Keys of the objects within the file and within a route, and the words that some keys take.

use crate::config::key::{Key, Kind, SupportedBy};

/// What `jwt_issuer_format` takes.
pub const ISSUER_FORMATS: &[&str] = &["IssuerHostOnly", "IssuerURI", "hostOnly", "uri"];

/// What `enforcement` of `downstream_mtls` takes.
pub const MTLS_ENFORCEMENTS: &[&str] = &["policy_with_default_deny", "policy", "reject_connection"];

/// An entry of `certificates`.
pub const CERTIFICATE: &[Key] = &[
    Key::supported(
        "cert",
        Kind::String,
        SupportedBy::PROXIES,
        "File of a certificate chain, or the chain as PEM text in base64",
    ),
    Key::supported(
        "key",
        Kind::Secret,
        SupportedBy::PROXIES,
        "File of its private key, or the key as PEM text in base64",
    ),
];

/// `downstream_mtls`.
pub const DOWNSTREAM_MTLS: &[Key] = &[
    Key::supported(
        "ca",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The authorities that sign clients' certificates",
    ),
    Key::supported(
        "ca_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of these authorities",
    ),
    Key::supported(
        "crl",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The authorities' revocation lists",
    ),
    Key::supported(
        "crl_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of these lists",
    ),
    Key::supported(
        "enforcement",
        Kind::Word(MTLS_ENFORCEMENTS),
        SupportedBy::ALL,
        "`policy_with_default_deny` (the default) refuses requests without a valid certificate on every route, `policy` leaves it to the policies, `reject_connection` ends such connections",
    ),
    Key::refused(
        "match_subject_alt_names",
        "names in certificates are judged by policies: write `client_certificate` with `san_dns`, `san_email` or `san_uri` there",
    ),
    Key::supported(
        "max_verify_depth",
        Kind::Integer,
        SupportedBy::PROXIES,
        "1, the default and the only value: the authorities sign clients' certificates themselves",
    ),
];

/// `cockpit` of a route.
pub const COCKPIT: &[Key] = &[
    Key::supported(
        "users",
        Kind::StringMap,
        SupportedBy::FILTER,
        "The Unix user of each person, by address (`alice@example.com: alice`) or by the provider's user id; looked at first",
    ),
    Key::supported(
        "user_claim",
        Kind::String,
        SupportedBy::FILTER,
        "The claim that names the Unix user of whom `users` does not list; its value never is root",
    ),
    Key::supported(
        "local_part_of",
        Kind::StringList,
        SupportedBy::FILTER,
        "Domains in which the part of an address before the `@` is the Unix user of whom neither `users` nor `user_claim` names; never root",
    ),
    Key::supported(
        "administrators",
        Kind::Policy,
        SupportedBy::FILTER,
        "Who gets administrative access while logging in, in the form of `policy`; nobody by default. The Unix user must be allowed to use sudo without a password",
    ),
    Key::supported(
        "allow_root",
        Kind::Flag,
        SupportedBy::FILTER,
        "Lets `users` name root",
    ),
    Key::supported(
        "allow_other_hosts",
        Kind::Flag,
        SupportedBy::FILTER,
        "Lets visitors log in to other hosts through this one, at `/=HOST` and `/cockpit+=HOST`",
    ),
];

/// `redirect` of a route.
pub const REDIRECT: &[Key] = &[
    Key::supported(
        "https_redirect",
        Kind::Flag,
        SupportedBy::FILTER,
        "To `https`; wins over `scheme_redirect`",
    ),
    Key::supported(
        "scheme_redirect",
        Kind::String,
        SupportedBy::FILTER,
        "To another scheme",
    ),
    Key::supported(
        "host_redirect",
        Kind::String,
        SupportedBy::FILTER,
        "To another host",
    ),
    Key::supported(
        "port_redirect",
        Kind::Integer,
        SupportedBy::FILTER,
        "To another port",
    ),
    Key::supported(
        "path_redirect",
        Kind::String,
        SupportedBy::FILTER,
        "To another path; one with a query replaces that of the request; wins over `prefix_rewrite`",
    ),
    Key::supported(
        "prefix_rewrite",
        Kind::String,
        SupportedBy::FILTER,
        "What the route's `prefix` or `path` matched becomes this",
    ),
    Key::supported(
        "response_code",
        Kind::Integer,
        SupportedBy::FILTER,
        "301 (the default), 302, 303, 307 or 308",
    ),
    Key::supported(
        "strip_query",
        Kind::Flag,
        SupportedBy::FILTER,
        "Drops the request's query",
    ),
];

/// `response` of a route.
pub const RESPONSE: &[Key] = &[
    Key::supported(
        "status",
        Kind::Integer,
        SupportedBy::FILTER,
        "The HTTP status, 200 to 599; 200 by default",
    ),
    Key::supported(
        "body",
        Kind::String,
        SupportedBy::FILTER,
        "The body, plain text",
    ),
];

/// An entry of `rewrite_response_headers`.
pub const HEADER_REWRITE: &[Key] = &[
    Key::supported(
        "header",
        Kind::String,
        SupportedBy::FILTER,
        "Name of the header",
    ),
    Key::supported(
        "prefix",
        Kind::String,
        SupportedBy::FILTER,
        "What its value must begin with",
    ),
    Key::supported(
        "value",
        Kind::String,
        SupportedBy::FILTER,
        "What stands there instead",
    ),
];
