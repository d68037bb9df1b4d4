//! Keys of a route.

use super::global::BEARER_FORMATS;
use super::nested::{COCKPIT, HEADER_REWRITE, ISSUER_FORMATS, REDIRECT, RESPONSE};
use crate::config::key::{Key, Kind, SupportedBy};
use crate::limits::BREAKER_NOTE;

const BY_WEIGHT: &str = "requests are spread over the upstreams by weight";
const KUBERNETES: &str = "impersonation at Kubernetes' API is not there: put a proxy that has it behind this route, and read its assertion there";
const NO_PORTAL: &str = "there is no list of routes for visitors";
const ONLY_POLICIES: &str = "it is a rule in another language: write what it means in `policy`";
const ONE_CLIENT: &str =
    "every route signs in with the same client: take it out, or run a second Jetway for this route";
const CLIENT_AUTHORITY: &str = "clients' certificates are asked for before the route is known: write `downstream_mtls` at the top of the file, and `client_certificate` in this route's policy";
const REMOVED_GROUPS: &str = "Pomerium has removed it: write `policy` with `groups: {has: NAME}`";

/// Keys of a route.
pub const ROUTE: &[Key] = &[
    // What it is called.
    Key::supported(
        "name",
        Kind::String,
        SupportedBy::ALL,
        "What the route is called in logs and pages; by default the host of `from`",
    ),
    Key::ignored("description", NO_PORTAL),
    Key::ignored("logo_url", NO_PORTAL),
    // What it matches.
    Key::supported(
        "from",
        Kind::String,
        SupportedBy::FILTER,
        "The public address, such as `https://app.example.com`; a port in it must match, without one the port is 443 or that of `address`, and each `*` in the host stands for any text",
    ),
    Key::supported(
        "prefix",
        Kind::String,
        SupportedBy::FILTER,
        "Only paths that begin with this text, such as `/admin/`",
    ),
    Key::supported(
        "path",
        Kind::String,
        SupportedBy::FILTER,
        "Only this path; wins over `prefix`",
    ),
    Key::supported(
        "regex",
        Kind::String,
        SupportedBy::FILTER,
        "Only paths that a regular expression matches as a whole; wins over `path` and `prefix`",
    ),
    Key::ignored("regex_priority_order", "the order of the file counts"),
    // Where it leads.
    Key::supported(
        "to",
        Kind::Upstreams,
        SupportedBy::PROXIES,
        "The upstream, `http` or `https`, or a list of them with weights, such as `http://10.0.0.1:9090,3`; a path in it is a `prefix_rewrite`",
    ),
    Key::supported(
        "redirect",
        Kind::Map(REDIRECT),
        SupportedBy::FILTER,
        "Sends visitors whom the policy permits elsewhere; instead of `to`",
    ),
    Key::supported(
        "response",
        Kind::Map(RESPONSE),
        SupportedBy::FILTER,
        "Gives visitors whom the policy permits a fixed answer; instead of `to`",
    ),
    // What the upstream sees.
    Key::supported(
        "prefix_rewrite",
        Kind::String,
        SupportedBy::FILTER,
        "What `prefix` or `path` matched becomes this",
    ),
    Key::supported(
        "regex_rewrite_pattern",
        Kind::String,
        SupportedBy::FILTER,
        "Each match of this regular expression in the path becomes `regex_rewrite_substitution`",
    ),
    Key::supported(
        "regex_rewrite_substitution",
        Kind::String,
        SupportedBy::FILTER,
        "What stands for a match of `regex_rewrite_pattern`; `\\1` is its first group",
    ),
    Key::supported(
        "host_rewrite",
        Kind::String,
        SupportedBy::ALL,
        "The `Host` that the upstream sees; by default host and port of `to`",
    ),
    Key::supported(
        "host_rewrite_header",
        Kind::String,
        SupportedBy::ALL,
        "The request header whose value becomes the `Host` that the upstream sees",
    ),
    Key::supported(
        "host_path_regex_rewrite_pattern",
        Kind::String,
        SupportedBy::ALL,
        "The path, with matches of this regular expression replaced, becomes the `Host` that the upstream sees",
    ),
    Key::supported(
        "host_path_regex_rewrite_substitution",
        Kind::String,
        SupportedBy::ALL,
        "What stands for a match of `host_path_regex_rewrite_pattern`",
    ),
    Key::supported(
        "preserve_host_header",
        Kind::Flag,
        SupportedBy::ALL,
        "The upstream sees the public `Host`",
    ),
    Key::supported(
        "set_request_headers",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Headers that the upstream gets, with references such as `${pomerium.jwt}`",
    ),
    Key::supported(
        "remove_request_headers",
        Kind::StringList,
        SupportedBy::FILTER,
        "Headers that the upstream does not get",
    ),
    Key::supported(
        "pass_identity_headers",
        Kind::Flag,
        SupportedBy::FILTER,
        "Tells the upstream who the visitor is; by default as at the top of the file",
    ),
    Key::supported(
        "jwt_issuer_format",
        Kind::Word(ISSUER_FORMATS),
        SupportedBy::FILTER,
        "The issuer of assertions on this route; by default as at the top of the file",
    ),
    Key::refused(
        "jwt_groups_filter",
        "assertions name all groups of a visitor: let the provider name fewer",
    ),
    Key::refused("kubernetes_service_account_token", KUBERNETES),
    Key::refused("kubernetes_service_account_token_file", KUBERNETES),
    Key::refused(
        "enable_google_cloud_serverless_authentication",
        "no tokens are fetched from Google Cloud: let the upstream check the assertion of `pass_identity_headers`",
    ),
    Key::refused(
        "set_authorization_header",
        "Pomerium has removed it: write `set_request_headers: {Authorization: \"Bearer ${pomerium.jwt}\"}`",
    ),
    // What the visitor sees.
    Key::supported(
        "set_response_headers",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Headers of every answer, over those at the top of the file; `disable: true` clears all",
    ),
    Key::supported(
        "rewrite_response_headers",
        Kind::MapList(HEADER_REWRITE),
        SupportedBy::FILTER,
        "Replaces the beginning of headers' values, such as the address in `Location`",
    ),
    Key::supported(
        "show_error_details",
        Kind::Flag,
        SupportedBy::FILTER,
        "Tells who is refused which criteria did not hold",
    ),
    Key::supported(
        "allow_websockets",
        Kind::Flag,
        SupportedBy::ALL,
        "Lets `Upgrade: websocket` pass, and by default sets no `timeout` and no `idle_timeout`",
    ),
    Key::translated(
        "allow_upgrades",
        Kind::StringList,
        "`allow_websockets: true`",
        "A list of protocols of which only `websocket` can be allowed",
    ),
    Key::refused(
        "allow_spdy",
        "SPDY is not spoken: take it out; clients of Kubernetes use websockets since version 1.31",
    ),
    Key::supported(
        "cockpit",
        Kind::Map(COCKPIT),
        SupportedBy::ALL,
        "The upstream is Cockpit, and visitors are logged in to it as Unix users without a password; websockets are allowed, and the public `Host` is preserved unless `preserve_host_header: false`",
    ),
    // How the upstream is reached.
    Key::supported(
        "timeout",
        Kind::Duration,
        SupportedBy::PROXIES,
        "How long the upstream may take to begin its answer; by default `default_upstream_timeout`, 0 for ever",
    ),
    Key::supported(
        "idle_timeout",
        Kind::Duration,
        SupportedBy::PROXIES,
        "How long a request and its answer may be silent; five minutes by default, 0 for ever",
    ),
    Key::supported(
        "tls_skip_verify",
        Kind::Flag,
        SupportedBy::PROXIES,
        "Believes any certificate of the upstream",
    ),
    Key::supported(
        "tls_server_name",
        Kind::String,
        SupportedBy::PROXIES,
        "The name that the upstream is asked for and whose certificate it must have; by default the host of `to`",
    ),
    Key::supported(
        "tls_upstream_server_name",
        Kind::String,
        SupportedBy::PROXIES,
        "The same; wins over `tls_server_name`",
    ),
    Key::supported(
        "tls_custom_ca",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The only authorities that may sign the upstream's certificate",
    ),
    Key::supported(
        "tls_custom_ca_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of these authorities",
    ),
    Key::supported(
        "tls_client_cert",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The certificate chain that the upstream is shown",
    ),
    Key::supported(
        "tls_client_key",
        Kind::Secret,
        SupportedBy::PROXIES,
        "The private key of `tls_client_cert`, PEM text in base64",
    ),
    Key::supported(
        "tls_client_cert_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of the certificate chain that the upstream is shown",
    ),
    Key::supported(
        "tls_client_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of the private key of `tls_client_cert_file`",
    ),
    Key::refused(
        "tls_upstream_allow_renegotiation",
        "renegotiation is not spoken, because it is not safe: let the upstream ask for certificates in the handshake",
    ),
    Key::refused(
        "tls_downstream_server_name",
        "a route has one public name: write a second route with this name in `from`",
    ),
    Key::refused("tls_downstream_client_ca", CLIENT_AUTHORITY),
    Key::refused("tls_downstream_client_ca_file", CLIENT_AUTHORITY),
    Key::ignored("load_balancing_policy", BY_WEIGHT),
    Key::ignored("health_checks", BY_WEIGHT),
    Key::ignored("outlier_detection", BY_WEIGHT),
    Key::ignored("healthy_panic_threshold", BY_WEIGHT),
    Key::ignored("circuit_breaker_thresholds", BREAKER_NOTE),
    // Who may use it.
    Key::supported(
        "policy",
        Kind::Policy,
        SupportedBy::FILTER,
        "Who may use the route; without it and the keys below nobody may",
    ),
    Key::supported(
        "allow_public_unauthenticated_access",
        Kind::Flag,
        SupportedBy::FILTER,
        "Everybody may, without signing in",
    ),
    Key::supported(
        "allow_any_authenticated_user",
        Kind::Flag,
        SupportedBy::FILTER,
        "Everybody may who has signed in",
    ),
    Key::supported(
        "allowed_users",
        Kind::StringList,
        SupportedBy::FILTER,
        "Who has one of these addresses or user ids may",
    ),
    Key::supported(
        "allowed_domains",
        Kind::StringList,
        SupportedBy::FILTER,
        "Who has an address in one of these domains may",
    ),
    Key::supported(
        "allowed_idp_claims",
        Kind::Any,
        SupportedBy::FILTER,
        "Who has one of these claims may: names of claims with a value or a list of values",
    ),
    Key::supported(
        "cors_allow_preflight",
        Kind::Flag,
        SupportedBy::FILTER,
        "Preflight requests of browsers (CORS) pass without a session",
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
        "What `Authorization: Bearer` stands for on this route; as at the top of the file by default",
    ),
    Key::refused("identity_providers", ONE_CLIENT),
    Key::ignored(
        "depends_on",
        "each host signs in for itself, which takes no second password at the provider",
    ),
    // Other things than web applications.
    Key::refused(
        "mcp",
        "there is no authorization server for MCP: let the application be its own",
    ),
    Key::refused(
        "upstream_tunnel",
        "only web applications are served here: take the route out",
    ),
    Key::refused(
        "session_recording",
        "SSH sessions are not served here: take the route out",
    ),
];
