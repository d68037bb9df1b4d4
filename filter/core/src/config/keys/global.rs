//! The top-level keys of the file.

use super::nested::{CERTIFICATE, DOWNSTREAM_MTLS, ISSUER_FORMATS};
use super::route::ROUTE;
use crate::config::key::{Key, Kind, SupportedBy};
use crate::config::provider_kind::WORDS;
use crate::limits::BREAKER_NOTE;

/// The values of `bearer_token_format`.
pub(super) const BEARER_FORMATS: &[&str] = &["default", "idp_access_token", "idp_identity_token"];
const AUTOCERT: &str = "it belongs to `autocert`, which Jetway does not have";
const ENVOYS_OWN: &str = "Jetway's own proxy has no such setting, and `jetway envoy-config` generates Envoy's configuration";
const OTHER_SERVICES: &str = "Jetway is one process, without Pomerium's other services";
const OWN_LOGS: &str = "logging is configured on the command line";
const ONE_FORM: &str = "paths and header names are always normalized, ambiguous ones are refused, and another value is an error: remove the key";
const ESCAPED_SLASHES: &str = "paths with an escaped slash are always refused, and a value other than `REJECT_REQUEST` is an error: remove the key";
const ONE_HOST: &str = "Jetway is one process: register `https://HOST/oauth2/callback` of `authenticate_service_url` with the provider, or, without that key, `https://HOST/.pomerium/callback` of each route";
const ONE_SECRET: &str =
    "Jetway seals everything with `cookie_secret` and signs assertions with `signing_key`";
const ONLY_WEB: &str = "Jetway serves web applications only";
const REMOVED_CLIENT_CA: &str =
    "Pomerium has removed it: use `ca_file` or `ca` of `downstream_mtls`";
const REMOVED_DIRECTORY: &str = "Pomerium has removed it: policies see the claims of the sign-in, so use `groups` or `claim/NAME` in them";
const REMOVED_TRACING: &str = "Pomerium has removed it, and Jetway has no tracing: remove it";
const UPSTREAM_AUTHORITIES: &str = "Jetway trusts an authority for one purpose only: set `tls_custom_ca_file` on the routes whose upstreams need it, and install the identity provider's authority on the machine";

/// The top-level keys of the file.
pub const GLOBAL: &[Key] = &[
    // Routes.
    Key::supported(
        "routes",
        Kind::MapList(ROUTE),
        SupportedBy::ALL,
        "The routes. A request uses the first route that matches it; exact hosts take precedence over wildcards",
    ),
    Key::translated(
        "policy",
        Kind::MapList(ROUTE),
        "`routes`",
        "Older name of `routes`; when both are set, its entries come first",
    ),
    // Listening.
    Key::supported(
        "address",
        Kind::String,
        SupportedBy::ALL,
        "The address to listen on, such as `127.0.0.1:8443`; the default is `:443`",
    ),
    Key::supported(
        "insecure_server",
        Kind::Flag,
        SupportedBy::ALL,
        "Listens with plain HTTP. Use it only behind a proxy that terminates TLS",
    ),
    Key::supported(
        "certificate",
        Kind::Pem,
        SupportedBy::PROXIES,
        "The server's certificate chain",
    ),
    Key::supported(
        "certificate_key",
        Kind::Secret,
        SupportedBy::PROXIES,
        "The private key of `certificate`, PEM in base64",
    ),
    Key::supported(
        "certificate_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `certificate`, in PEM",
    ),
    Key::supported(
        "certificate_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with the private key of `certificate_file`, in PEM",
    ),
    Key::supported(
        "certificates",
        Kind::MapList(CERTIFICATE),
        SupportedBy::PROXIES,
        "More certificates. The server name that a client requests (SNI) selects one",
    ),
    Key::supported(
        "downstream_mtls",
        Kind::Map(DOWNSTREAM_MTLS),
        SupportedBy::ALL,
        "Requests certificates from clients",
    ),
    Key::supported(
        "xff_num_trusted_hops",
        Kind::Integer,
        SupportedBy::ALL,
        "The number of proxies in front whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted; the default is 0",
    ),
    Key::supported(
        "use_proxy_protocol",
        Kind::Flag,
        SupportedBy::PROXIES,
        "Expects a PROXY protocol header, version 1 or 2, with the client's address at the beginning of each connection",
    ),
    Key::supported(
        "timeout_idle",
        Kind::Duration,
        SupportedBy::PROXIES,
        "How long a connection without a request stays open; the default is five minutes",
    ),
    Key::ignored(
        "timeout_read",
        "`timeout` and `idle_timeout` of the routes limit requests, so that long uploads are possible",
    ),
    Key::ignored(
        "timeout_write",
        "`timeout` and `idle_timeout` of the routes limit responses",
    ),
    Key::ignored(
        "http_redirect_addr",
        "Jetway does not listen there: let a proxy in front redirect to https, or publish https addresses only",
    ),
    Key::ignored(
        "codec_type",
        "Jetway speaks HTTP/1.1 and HTTP/2, as the client chooses",
    ),
    Key::refused(
        "skip_xff_append",
        "the proxy always sends the client's address to upstreams: write `remove_request_headers: [x-forwarded-for]` on routes whose upstreams must not get it",
    ),
    Key::translated(
        "allow_upgrades",
        Kind::StringList,
        "`allow_websockets: true` on routes that do not set it",
        "The protocols to which a connection may be upgraded; only `websocket` is supported",
    ),
    Key::refused(
        "autocert",
        "Jetway does not obtain certificates: use an ACME client, and name its files in `certificate_file` and `certificate_key_file`",
    ),
    Key::ignored("autocert_ca", AUTOCERT),
    Key::ignored("autocert_email", AUTOCERT),
    Key::ignored("autocert_use_staging", AUTOCERT),
    Key::ignored("autocert_eab_key_id", AUTOCERT),
    Key::ignored("autocert_eab_mac_key", AUTOCERT),
    Key::ignored("autocert_must_staple", AUTOCERT),
    Key::ignored("autocert_dir", AUTOCERT),
    Key::ignored("autocert_trusted_ca", AUTOCERT),
    Key::ignored("autocert_trusted_ca_file", AUTOCERT),
    Key::refused("client_ca", REMOVED_CLIENT_CA),
    Key::refused("client_ca_file", REMOVED_CLIENT_CA),
    // Identity provider.
    Key::supported(
        "idp_provider",
        Kind::Word(WORDS),
        SupportedBy::FILTER,
        "The identity provider: `oidc` for any OpenID Connect provider; each other value is a preset that handles the quirks of one provider",
    ),
    Key::supported(
        "idp_provider_url",
        Kind::String,
        SupportedBy::ALL,
        "The identity provider's issuer URL, exactly as in its discovery document",
    ),
    Key::supported(
        "idp_client_id",
        Kind::String,
        SupportedBy::FILTER,
        "The client id of the registration with the identity provider",
    ),
    Key::supported(
        "idp_client_secret",
        Kind::Secret,
        SupportedBy::FILTER,
        "The client secret of the registration; leave it out for a public client",
    ),
    Key::supported(
        "idp_client_secret_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `idp_client_secret`; a line break at its end is ignored",
    ),
    Key::supported(
        "idp_token_endpoint_auth_method",
        Kind::Word(&[
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "none",
        ]),
        SupportedBy::FILTER,
        "Jetway's own: how Jetway authenticates to the identity provider (RFC 6749 section 2.3). The default is `private_key_jwt` when `idp_client_private_key` is set, otherwise the method for the client secret that the provider offers",
    ),
    Key::supported(
        "idp_client_private_key",
        Kind::Secret,
        SupportedBy::FILTER,
        "Jetway's own: the private key for `private_key_jwt`, in PEM",
    ),
    Key::supported(
        "idp_client_private_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `idp_client_private_key`",
    ),
    Key::supported(
        "idp_client_private_key_id",
        Kind::String,
        SupportedBy::FILTER,
        "Jetway's own: the key id (`kid`) of the public key at the identity provider",
    ),
    Key::supported(
        "idp_scopes",
        Kind::StringList,
        SupportedBy::FILTER,
        "The scopes to request; the default is `openid`, `profile`, `email` and `offline_access`, or what the provider preset needs",
    ),
    Key::supported(
        "idp_response_mode",
        Kind::Word(&["query", "form_post"]),
        SupportedBy::FILTER,
        "Jetway's own: how the identity provider returns the result of a sign-in; the default is `query`, or `form_post` for Apple",
    ),
    Key::supported(
        "idp_request_params",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Additional parameters of the authorization request, such as `prompt`",
    ),
    Key::supported(
        "idp_extra_origins",
        Kind::StringList,
        SupportedBy::ALL,
        "Jetway's own: additional origins of the identity provider's endpoints. Endpoints must be on one of these origins or on the issuer's",
    ),
    Key::supported(
        "idp_groups_claim",
        Kind::String,
        SupportedBy::FILTER,
        "Jetway's own: the claim that lists a user's groups; the default is `groups`",
    ),
    Key::supported(
        "require_email_verified",
        Kind::Word(&["strict", "off"]),
        SupportedBy::FILTER,
        "Jetway's own: `strict` uses an email address only when the identity provider states that it is verified (`email_verified`, or `xms_edov` for `azure`); `off` uses every address. The default depends on the provider preset, see docs/signing-in.md",
    ),
    Key::supported(
        "idp_allowed_tenants",
        Kind::StringList,
        SupportedBy::FILTER,
        "Jetway's own: restricts sign-in to users of these tenants: tenant ids (`tid`) for `azure`, Workspace domains (`hd`) for `google`. An email address from a listed `azure` tenant counts as verified unless the token denies it",
    ),
    Key::supported(
        "idp_access_token_allowed_audiences",
        Kind::StringList,
        SupportedBy::FILTER,
        "The accepted audiences (`aud`) of access tokens that API clients send, see `bearer_token_format`",
    ),
    Key::supported(
        "bearer_token_format",
        Kind::Word(BEARER_FORMATS),
        SupportedBy::FILTER,
        "How to treat a token in `Authorization: Bearer`. `idp_identity_token` and `idp_access_token` accept a token of the identity provider instead of a session; access tokens must be JWTs. `default` passes the token to the upstream. Routes can override it",
    ),
    Key::refused(
        "identity_providers",
        "Jetway supports one identity provider: set `idp_provider`, `idp_provider_url` and `idp_client_id`",
    ),
    Key::refused("idp_service_account", REMOVED_DIRECTORY),
    Key::refused("idp_refresh_directory_*", REMOVED_DIRECTORY),
    Key::refused("idp_qps", REMOVED_DIRECTORY),
    // Sign-in and sessions.
    Key::supported(
        "cookie_secret",
        Kind::Secret,
        SupportedBy::FILTER,
        "The secret that encrypts sessions: 32 random bytes in base64, as `jetway keygen` prints them",
    ),
    Key::supported(
        "cookie_secret_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `cookie_secret`",
    ),
    Key::supported(
        "cookie_secret_previous",
        Kind::Secret,
        SupportedBy::FILTER,
        "Earlier values of `cookie_secret`, separated by commas. Sessions encrypted with them remain valid and are encrypted again with the current secret",
    ),
    Key::supported(
        "cookie_secret_previous_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `cookie_secret_previous`",
    ),
    Key::supported(
        "cookie_idle_expire",
        Kind::Duration,
        SupportedBy::FILTER,
        "How long a session lasts without a request; the default is `cookie_expire`",
    ),
    Key::supported(
        "cookie_name",
        Kind::String,
        SupportedBy::FILTER,
        "The name of the session cookie, after the prefix `__Host-`; the default is `_pomerium`",
    ),
    Key::supported(
        "cookie_expire",
        Kind::Duration,
        SupportedBy::FILTER,
        "How long a session lasts after sign-in; the default is 14 hours",
    ),
    Key::refused(
        "cookie_domain",
        "a session is valid for one host only, so that no other application can use it: remove the key, and users sign in once per host",
    ),
    Key::ignored(
        "cookie_same_site",
        "session cookies are always SameSite=Lax, and another value is an error: remove the key",
    ),
    Key::ignored("cookie_http_only", "session cookies are always HttpOnly"),
    Key::ignored("shared_secret", ONE_SECRET),
    Key::ignored("shared_secret_file", ONE_SECRET),
    Key::supported(
        "authenticate_service_url",
        Kind::String,
        SupportedBy::FILTER,
        "The host on which users sign in once for all routes. Register its `/oauth2/callback` with the identity provider. Without this key, users sign in on each route's own host",
    ),
    Key::ignored("authenticate_internal_service_url", ONE_HOST),
    Key::ignored("authenticate_callback_path", ONE_HOST),
    Key::supported(
        "signout_redirect_url",
        Kind::String,
        SupportedBy::FILTER,
        "The page to which browsers are sent after sign-out; register it with the identity provider. The default is `https://HOST/.pomerium/signed_out`",
    ),
    Key::supported(
        "programmatic_redirect_domain_whitelist",
        Kind::StringList,
        SupportedBy::FILTER,
        "The hosts to which a session may be sent after a programmatic login; the default is `localhost`",
    ),
    // Identity for upstreams.
    Key::supported(
        "pass_identity_headers",
        Kind::Flag,
        SupportedBy::FILTER,
        "Sends the user's identity to upstreams: a signed assertion and the headers of `jwt_claims_headers`. Routes can override it",
    ),
    Key::supported(
        "signing_key",
        Kind::Secret,
        SupportedBy::FILTER,
        "The private key that signs assertions (P-256, Ed25519 or RSA), in PEM or PEM in base64; by default it is derived from `cookie_secret`",
    ),
    Key::supported(
        "signing_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File with `signing_key`",
    ),
    Key::supported(
        "reserved_request_headers",
        Kind::StringList,
        SupportedBy::FILTER,
        "Additional headers to remove from every client's request, in any spelling, because upstreams trust them. A `*` at the end stands for the rest of a name",
    ),
    Key::supported(
        "jwt_claims_headers",
        Kind::StringMapOrList,
        SupportedBy::FILTER,
        "Headers that send claims to upstreams: a map from header names to claim names, or a list of claims for headers `x-pomerium-claim-NAME`",
    ),
    Key::supported(
        "jwt_issuer_format",
        Kind::Word(ISSUER_FORMATS),
        SupportedBy::FILTER,
        "The issuer (`iss`) of assertions: the route's host (`IssuerHostOnly`, the default) or `https://HOST/` (`IssuerURI`)",
    ),
    Key::refused(
        "jwt_groups_filter",
        "assertions list all of a user's groups: let the identity provider send fewer",
    ),
    // Upstreams and responses.
    Key::supported(
        "default_upstream_timeout",
        Kind::Duration,
        SupportedBy::PROXIES,
        "The `timeout` of routes that do not set it; the default is 30 seconds, and 0 means no limit",
    ),
    Key::supported(
        "set_response_headers",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Headers to set on every response. They replace the defaults, X-Frame-Options and Strict-Transport-Security; `disable: true` sets none. (X-XSS-Protection, which browsers no longer support, is not a default.)",
    ),
    Key::refused("certificate_authority", UPSTREAM_AUTHORITIES),
    Key::refused("certificate_authority_file", UPSTREAM_AUTHORITIES),
    Key::ignored("circuit_breaker_thresholds", BREAKER_NOTE),
    Key::ignored(
        "dns_*",
        "names are resolved as the machine does, or as Envoy does by default",
    ),
    Key::ignored("merge_slashes", ONE_FORM),
    Key::ignored("normalize_path", ONE_FORM),
    Key::ignored("path_with_escaped_slashes_action", ESCAPED_SLASHES),
    Key::ignored("headers_with_underscores_action", ONE_FORM),
    // Operation.
    Key::ignored("log_level", OWN_LOGS),
    Key::ignored("proxy_log_level", OWN_LOGS),
    Key::ignored("access_log_fields", OWN_LOGS),
    Key::ignored("authorize_log_fields", OWN_LOGS),
    Key::supported(
        "metrics_address",
        Kind::String,
        SupportedBy::HOST,
        "The address of a listener that serves metrics at `/metrics`, such as `127.0.0.1:9902`; by default there is none. docs/metrics.md lists the metrics. Envoy has its own listener for them",
    ),
    Key::supported(
        "metrics_basic_auth",
        Kind::Secret,
        SupportedBy::HOST,
        "The user and password that the metrics listener asks for: `USER:PASSWORD` in base64",
    ),
    Key::supported(
        "metrics_certificate",
        Kind::Pem,
        SupportedBy::HOST,
        "The certificate chain of the metrics listener; by default it speaks plain HTTP",
    ),
    Key::supported(
        "metrics_certificate_file",
        Kind::File,
        SupportedBy::HOST,
        "The certificate chain of the metrics listener, as a file",
    ),
    Key::supported(
        "metrics_certificate_key",
        Kind::Secret,
        SupportedBy::HOST,
        "The private key of `metrics_certificate`, PEM in base64",
    ),
    Key::supported(
        "metrics_certificate_key_file",
        Kind::File,
        SupportedBy::HOST,
        "The private key of `metrics_certificate`, as a file",
    ),
    Key::supported(
        "metrics_client_ca",
        Kind::Pem,
        SupportedBy::HOST,
        "The authorities that sign the certificates of the metrics listener's clients; each client has to show one then",
    ),
    Key::supported(
        "metrics_client_ca_file",
        Kind::File,
        SupportedBy::HOST,
        "`metrics_client_ca`, as a file",
    ),
    Key::supported(
        "admin_address",
        Kind::String,
        SupportedBy::HOST,
        "Jetway's own: the address of a listener for operators, with `/healthz`, `/readyz`, `/status` and `/metrics`: a loopback address such as `127.0.0.1:9901`, or a Unix socket such as `unix:/run/jetway/admin.sock`; by default there is none",
    ),
    Key::ignored("otel_*", "Jetway has no tracing"),
    Key::refused("tracing_*", REMOVED_TRACING),
    Key::ignored("debug_address", "Jetway has no listener for debugging"),
    Key::supported(
        "health_check_addr",
        Kind::String,
        SupportedBy::HOST,
        "The address of a listener for probes, with `/healthz`, `/startupz`, `/readyz` and `/status`, such as `127.0.0.1:28080`; by default there is none. `/ping` and `/healthz` of the main listener answer for every host name and address",
    ),
    Key::ignored(
        "health_check_systemd_disabled",
        "Jetway does not report its health to systemd",
    ),
    // Pages.
    Key::supported(
        "page_name",
        Kind::String,
        SupportedBy::ALL,
        "Jetway's own: the name of the site, shown at the top of Jetway's pages; the default is the host of the request",
    ),
    Key::supported(
        "page_contact",
        Kind::String,
        SupportedBy::ALL,
        "Jetway's own: the email address or https URL for help, shown on Jetway's pages",
    ),
    Key::supported(
        "primary_color",
        Kind::String,
        SupportedBy::ALL,
        "The colour of buttons on Jetway's pages, such as `#0b57d0`; their labels are black or white, whichever is readable",
    ),
    Key::supported(
        "secondary_color",
        Kind::String,
        SupportedBy::ALL,
        "The colour of the stripe at the top of Jetway's pages; the default is `primary_color`",
    ),
    Key::supported(
        "darkmode_primary_color",
        Kind::String,
        SupportedBy::ALL,
        "`primary_color` for users who prefer a dark colour scheme",
    ),
    Key::supported(
        "darkmode_secondary_color",
        Kind::String,
        SupportedBy::ALL,
        "`secondary_color` for users who prefer a dark colour scheme",
    ),
    Key::supported(
        "logo_url",
        Kind::String,
        SupportedBy::ALL,
        "The logo at the top of Jetway's pages, as a `data:` URL of at most 64 KiB: pages load nothing from other hosts",
    ),
    Key::supported(
        "logo_file",
        Kind::File,
        SupportedBy::PROXIES,
        "Jetway's own: file with the logo: PNG, SVG, JPEG, WebP, GIF or ICO, at most 48 KiB",
    ),
    Key::supported(
        "favicon_url",
        Kind::String,
        SupportedBy::ALL,
        "The icon in the browser's tab, in the form of `logo_url`",
    ),
    Key::supported(
        "favicon_file",
        Kind::File,
        SupportedBy::PROXIES,
        "Jetway's own: file with the icon in the browser's tab, in the form of `logo_file`",
    ),
    Key::supported(
        "error_message_first_paragraph",
        Kind::String,
        SupportedBy::ALL,
        "Plain text to show on every error page",
    ),
    Key::ignored(
        "runtime_flags",
        "they switch internals of Pomerium; write the port in `from` of a route that must not serve every port",
    ),
    Key::ignored("installation_id", OTHER_SERVICES),
    Key::ignored("services", OTHER_SERVICES),
    Key::ignored("databroker_*", OTHER_SERVICES),
    Key::ignored("grpc_client_timeout", OTHER_SERVICES),
    Key::ignored("grpc_*", OTHER_SERVICES),
    Key::ignored("authorize_*", OTHER_SERVICES),
    Key::ignored("tls_derive", OTHER_SERVICES),
    Key::ignored("override_certificate_name", OTHER_SERVICES),
    Key::ignored("envoy_*", ENVOYS_OWN),
    Key::ignored("ssh_*", ONLY_WEB),
    Key::ignored("blob_storage", ONLY_WEB),
    Key::ignored("mcp_*", ONLY_WEB),
    Key::ignored(
        "google_cloud_serverless_*",
        "it belongs to `enable_google_cloud_serverless_authentication`, which Jetway does not have",
    ),
];
