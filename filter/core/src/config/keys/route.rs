//! The keys of a route.

use super::global::BEARER_FORMATS;
use super::nested::{COCKPIT, HEADER_REWRITE, ISSUER_FORMATS, REDIRECT, RESPONSE};
use crate::config::key::{Key, Kind, SupportedBy};
use crate::limits::BREAKER_NOTE;

const BY_WEIGHT: &str = "Jetway distributes requests over the upstreams by weight";
const KUBERNETES: &str = "Jetway does not impersonate users at Kubernetes' API: put a proxy that does behind this route, and let it read the assertion";
const NO_PORTAL: &str = "Jetway has no list of routes for users";
const ONLY_POLICIES: &str = "it is a rule in another language: write the same rule in `policy`";
const ONE_CLIENT: &str =
    "all routes sign in with the same client: remove it, or run a second Jetway for this route";
const CLIENT_AUTHORITY: &str = "client certificates are requested before the route is known: set the top-level key `downstream_mtls`, and use `client_certificate` in this route's policy";
const REMOVED_GROUPS: &str = "Pomerium has removed it: use `groups: {has: NAME}` in `policy`";

/// The keys of a route.
pub const ROUTE: &[Key] = &[
    // Name.
    Key::supported(
        "name",
        Kind::String,
        SupportedBy::ALL,
        "The name of the route in logs and on pages; the default is the host of `from`",
    ),
    Key::ignored("description", NO_PORTAL),
    Key::ignored("logo_url", NO_PORTAL),
    // Matching.
    Key::supported(
        "from",
        Kind::String,
        SupportedBy::FILTER,
        "The public address, such as `https://app.example.com`. Without a port, the route serves 443 and the port of `address`. Each `*` in the host stands for any characters",
    ),
    Key::supported(
        "prefix",
        Kind::String,
        SupportedBy::FILTER,
        "Restricts the route to paths that begin with this string, such as `/admin/`",
    ),
    Key::supported(
        "path",
        Kind::String,
        SupportedBy::FILTER,
        "Restricts the route to this path; takes precedence over `prefix`",
    ),
    Key::supported(
        "regex",
        Kind::String,
        SupportedBy::FILTER,
        "Restricts the route to paths that this regular expression matches as a whole; takes precedence over `path` and `prefix`",
    ),
    Key::ignored(
        "regex_priority_order",
        "routes are tried in the order of the file",
    ),
    // Target.
    Key::supported(
        "to",
        Kind::Upstreams,
        SupportedBy::PROXIES,
        "The upstream's URL, with `http` or `https`, or a list of URLs with optional weights, such as `http://10.0.0.1:9090,3`. A path in the URL acts as `prefix_rewrite`",
    ),
    Key::supported(
        "redirect",
        Kind::Map(REDIRECT),
        SupportedBy::FILTER,
        "Redirects requests that the policy allows; used instead of `to`",
    ),
    Key::supported(
        "response",
        Kind::Map(RESPONSE),
        SupportedBy::FILTER,
        "Answers requests that the policy allows with a fixed response; used instead of `to`",
    ),
    // The request to the upstream.
    Key::supported(
        "prefix_rewrite",
        Kind::String,
        SupportedBy::FILTER,
        "Replaces the part of the path that `prefix` or `path` matched",
    ),
    Key::supported(
        "regex_rewrite_pattern",
        Kind::String,
        SupportedBy::FILTER,
        "Replaces each match of this regular expression in the path by `regex_rewrite_substitution`",
    ),
    Key::supported(
        "regex_rewrite_substitution",
        Kind::String,
        SupportedBy::FILTER,
        "The replacement for a match of `regex_rewrite_pattern`; `\\1` is its first group",
    ),
    Key::supported(
        "host_rewrite",
        Kind::String,
        SupportedBy::ALL,
        "The `Host` that the upstream gets; the default is the host and port of `to`",
    ),
    Key::supported(
        "host_rewrite_header",
        Kind::String,
        SupportedBy::ALL,
        "The request header whose value the upstream gets as `Host`",
    ),
    Key::supported(
        "host_path_regex_rewrite_pattern",
        Kind::String,
        SupportedBy::ALL,
        "The upstream gets the path, with each match of this regular expression replaced, as `Host`",
    ),
    Key::supported(
        "host_path_regex_rewrite_substitution",
        Kind::String,
        SupportedBy::ALL,
        "The replacement for a match of `host_path_regex_rewrite_pattern`",
    ),
    Key::supported(
        "preserve_host_header",
        Kind::Flag,
        SupportedBy::ALL,
        "Sends the public `Host` to the upstream",
    ),
    Key::supported(
        "set_request_headers",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Headers to set on requests to the upstream; values may have references such as `${pomerium.jwt}`",
    ),
    Key::supported(
        "remove_request_headers",
        Kind::StringList,
        SupportedBy::FILTER,
        "Headers to remove from requests to the upstream",
    ),
    Key::supported(
        "pass_identity_headers",
        Kind::Flag,
        SupportedBy::FILTER,
        "Sends the user's identity to the upstream; the default is the top-level key",
    ),
    Key::supported(
        "jwt_issuer_format",
        Kind::Word(ISSUER_FORMATS),
        SupportedBy::FILTER,
        "The issuer of assertions on this route; the default is the top-level key",
    ),
    Key::refused(
        "jwt_groups_filter",
        "assertions list all of a user's groups: let the identity provider send fewer",
    ),
    Key::refused("kubernetes_service_account_token", KUBERNETES),
    Key::refused("kubernetes_service_account_token_file", KUBERNETES),
    Key::refused(
        "enable_google_cloud_serverless_authentication",
        "Jetway does not fetch tokens from Google Cloud: let the upstream verify the assertion of `pass_identity_headers`",
    ),
    Key::refused(
        "set_authorization_header",
        "Pomerium has removed it: write `set_request_headers: {Authorization: \"Bearer ${pomerium.jwt}\"}`",
    ),
    // Keys about responses.
    Key::supported(
        "set_response_headers",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Headers to set on every response, in addition to those of the top-level key; `disable: true` sets none",
    ),
    Key::supported(
        "rewrite_response_headers",
        Kind::MapList(HEADER_REWRITE),
        SupportedBy::FILTER,
        "Replaces the beginning of the values of response headers, such as the address in `Location`",
    ),
    Key::supported(
        "show_error_details",
        Kind::Flag,
        SupportedBy::FILTER,
        "Shows a refused user which criteria did not hold",
    ),
    Key::supported(
        "allow_websockets",
        Kind::Flag,
        SupportedBy::ALL,
        "Allows WebSockets, and removes the default limits of `timeout` and `idle_timeout`",
    ),
    Key::translated(
        "allow_upgrades",
        Kind::StringList,
        "`allow_websockets: true`",
        "The protocols to which a connection may be upgraded; only `websocket` is supported",
    ),
    Key::refused(
        "allow_spdy",
        "Jetway does not speak SPDY: remove it; Kubernetes clients use WebSockets since version 1.31",
    ),
    Key::supported(
        "cockpit",
        Kind::Map(COCKPIT),
        SupportedBy::ALL,
        "Logs users in to Cockpit, the upstream, as Unix users without a password. WebSockets are allowed, and the public `Host` is preserved unless `preserve_host_header` is `false`",
    ),
    // The connection to the upstream.
    Key::supported(
        "timeout",
        Kind::Duration,
        SupportedBy::PROXIES,
        "How long the upstream may take to begin its response; the default is `default_upstream_timeout`, and 0 means no limit",
    ),
    Key::supported(
        "idle_timeout",
        Kind::Duration,
        SupportedBy::PROXIES,
        "How long a request and its response may be idle; the default is five minutes, and 0 means no limit",
    ),
    Key::supported(
        "tls_skip_verify",
        Kind::Flag,
        SupportedBy::PROXIES,
        "Accepts any certificate of the upstream, without verification",
    ),
    Key::supported(
        "tls_server_name",
        Kind::String,
        SupportedBy::PROXIES,
        "The server name to request from the upstream (SNI) and to verify in its certificate; the default is the host of `to`",
    ),
    Key::supported(
        "tls_upstream_server_name",
        Kind::String,
        SupportedBy::PROXIES,
        "Same as `tls_server_name`, over which it takes precedence",
    ),
    Key::supported(
        "tls_custom_ca",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The only authorities whose signature on the upstream's certificate is accepted. A certificate of this list is also accepted as the upstream's own, even if it is self-signed and says `CA:TRUE`. Name, dates and purpose are checked in both cases",
    ),
    Key::supported(
        "tls_custom_ca_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `tls_custom_ca`",
    ),
    Key::supported(
        "tls_client_cert",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The client certificate chain for the upstream",
    ),
    Key::supported(
        "tls_client_key",
        Kind::Secret,
        SupportedBy::PROXIES,
        "The private key of `tls_client_cert`, PEM in base64",
    ),
    Key::supported(
        "tls_client_cert_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `tls_client_cert`",
    ),
    Key::supported(
        "tls_client_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with the private key of `tls_client_cert_file`",
    ),
    Key::refused(
        "tls_upstream_allow_renegotiation",
        "renegotiation is not secure, and Jetway does not support it: let the upstream request certificates in the handshake",
    ),
    Key::refused(
        "tls_downstream_server_name",
        "a route has one public name: add a second route with this name in `from`",
    ),
    Key::refused("tls_downstream_client_ca", CLIENT_AUTHORITY),
    Key::refused("tls_downstream_client_ca_file", CLIENT_AUTHORITY),
    Key::ignored("load_balancing_policy", BY_WEIGHT),
    Key::ignored("health_checks", BY_WEIGHT),
    Key::ignored("outlier_detection", BY_WEIGHT),
    Key::ignored("healthy_panic_threshold", BY_WEIGHT),
    Key::ignored("circuit_breaker_thresholds", BREAKER_NOTE),
    // Access.
    Key::supported(
        "policy",
        Kind::Policy,
        SupportedBy::FILTER,
        "The policy that says who may use the route. A route without a policy and without the keys below refuses every request",
    ),
    Key::supported(
        "allow_public_unauthenticated_access",
        Kind::Flag,
        SupportedBy::FILTER,
        "Allows every request, without sign-in",
    ),
    Key::supported(
        "allow_any_authenticated_user",
        Kind::Flag,
        SupportedBy::FILTER,
        "Allows every user who has signed in",
    ),
    Key::supported(
        "allowed_users",
        Kind::StringList,
        SupportedBy::FILTER,
        "Allows the users with these email addresses or user ids",
    ),
    Key::supported(
        "allowed_domains",
        Kind::StringList,
        SupportedBy::FILTER,
        "Allows the users whose email address is in one of these domains",
    ),
    Key::supported(
        "allowed_idp_claims",
        Kind::Any,
        SupportedBy::FILTER,
        "Allows the users who have one of these claims: a map from claim names to a value or a list of values",
    ),
    Key::supported(
        "cors_allow_preflight",
        Kind::Flag,
        SupportedBy::FILTER,
        "Allows CORS preflight requests without a session",
    ),
    Key::refused("allowed_groups", REMOVED_GROUPS),
    Key::refused("sub_policies", ONLY_POLICIES),
    Key::refused("rego", ONLY_POLICIES),
    Key::refused("idp_client_id", ONE_CLIENT),
    Key::refused("idp_client_secret", ONE_CLIENT),
    Key::refused("idp_access_token_allowed_audiences", ONE_CLIENT),
    Key::supported(
        "bearer_token_format",
        Kind::Word(BEARER_FORMATS),
        SupportedBy::FILTER,
        "How to treat a token in `Authorization: Bearer` on this route; the default is the top-level key",
    ),
    Key::refused("identity_providers", ONE_CLIENT),
    Key::ignored(
        "depends_on",
        "each host signs in by itself, and the identity provider does not ask for the password again",
    ),
    // Other things than web applications.
    Key::refused(
        "mcp",
        "Jetway is no authorization server for MCP: let the application be its own",
    ),
    Key::refused(
        "upstream_tunnel",
        "Jetway serves web applications only: remove the route",
    ),
    Key::refused(
        "session_recording",
        "Jetway serves no SSH sessions: remove the route",
    ),
];
