//! Keys at the top of the file.

use super::nested::{CERTIFICATE, DOWNSTREAM_MTLS, ISSUER_FORMATS};
use super::route::ROUTE;
use crate::config::key::{Key, Kind, SupportedBy};
use crate::config::provider_kind::WORDS;
use crate::limits::BREAKER_NOTE;

/// What a program's token may be.
pub(super) const BEARER_FORMATS: &[&str] = &["default", "idp_access_token", "idp_identity_token"];
const AUTOCERT: &str = "it belongs to `autocert`, which is not there";
const ENVOYS_OWN: &str =
    "Jetway's own proxy has no such setting, and `jetway envoy-config` writes Envoy's";
const OTHER_SERVICES: &str = "there is one process here, without Pomerium's other services";
const OWN_LOGS: &str = "logs are configured on the command line";
const OWN_METRICS: &str = "there is no metrics listener";
const ONE_FORM: &str =
    "paths and header names are always brought into one form, and ambiguous ones are refused";
const ONE_HOST: &str = "there is one process here: register `https://HOST/oauth2/callback` of `authenticate_service_url` with the provider, or without that `https://HOST/.pomerium/callback` of each route";
const ONE_SECRET: &str =
    "`cookie_secret` seals everything here, and assertions are signed with `signing_key`";
const ONLY_WEB: &str = "only web applications are served here";
const REMOVED_CLIENT_CA: &str =
    "Pomerium has removed it: write `downstream_mtls` with `ca_file` or `ca` below it";
const REMOVED_DIRECTORY: &str = "Pomerium has removed it: policies see the claims of the sign-in, so write `groups` or `claim/NAME` in them";
const REMOVED_TRACING: &str = "Pomerium has removed it, and there is no tracing here: take it out";
const UPSTREAM_AUTHORITIES: &str = "authorities are trusted one purpose at a time: write `tls_custom_ca_file` on the routes whose upstreams need it, and install the provider's authority on the machine";

/// Keys at the top of the file.
pub const GLOBAL: &[Key] = &[
    // Routes.
    Key::supported(
        "routes",
        Kind::MapList(ROUTE),
        SupportedBy::ALL,
        "The routes: the first that matches a request is used, one with an exact host before one with a wildcard",
    ),
    Key::translated(
        "policy",
        Kind::MapList(ROUTE),
        "`routes`",
        "An older name of `routes`; if both are there, its entries come first",
    ),
    // Listening.
    Key::supported(
        "address",
        Kind::String,
        SupportedBy::ALL,
        "Where to listen, such as `:443` (the default) or `127.0.0.1:8443`",
    ),
    Key::supported(
        "insecure_server",
        Kind::Flag,
        SupportedBy::ALL,
        "Speaks plain HTTP, for a listener behind something that terminates TLS",
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
        "The private key of `certificate`, PEM text in base64",
    ),
    Key::supported(
        "certificate_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of the server's certificate chain",
    ),
    Key::supported(
        "certificate_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of the private key of `certificate_file`",
    ),
    Key::supported(
        "certificates",
        Kind::MapList(CERTIFICATE),
        SupportedBy::PROXIES,
        "Further certificates, chosen by the name that a client asks for",
    ),
    Key::supported(
        "downstream_mtls",
        Kind::Map(DOWNSTREAM_MTLS),
        SupportedBy::ALL,
        "Asks clients for certificates",
    ),
    Key::supported(
        "xff_num_trusted_hops",
        Kind::Integer,
        SupportedBy::ALL,
        "How many proxies in front are believed about the client's address and scheme; 0 by default",
    ),
    Key::supported(
        "use_proxy_protocol",
        Kind::Flag,
        SupportedBy::PROXIES,
        "Each connection begins with a PROXY protocol header, version 1 or 2, that names the client's address",
    ),
    Key::supported(
        "timeout_idle",
        Kind::Duration,
        SupportedBy::PROXIES,
        "How long a connection without a request is kept; five minutes by default",
    ),
    Key::ignored(
        "timeout_read",
        "requests are bounded by the routes' `timeout` and `idle_timeout`, so that long uploads pass",
    ),
    Key::ignored(
        "timeout_write",
        "answers are bounded by the routes' `timeout` and `idle_timeout`",
    ),
    Key::ignored(
        "http_redirect_addr",
        "nothing listens there: let what is in front redirect to https, or publish https addresses only",
    ),
    Key::ignored(
        "codec_type",
        "HTTP/1.1 and HTTP/2 are spoken, as the client asks",
    ),
    Key::refused(
        "skip_xff_append",
        "upstreams are always told the client's address: write `remove_request_headers: [x-forwarded-for]` on routes where they must not be",
    ),
    Key::translated(
        "allow_upgrades",
        Kind::StringList,
        "`allow_websockets: true` on routes that do not say otherwise",
        "A list of protocols of which only `websocket` can be allowed",
    ),
    Key::refused(
        "autocert",
        "certificates are not fetched here: let an ACME client do it and name its files in `certificate_file` and `certificate_key_file`",
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
        "The kind of identity provider: `oidc` for any that speaks OpenID Connect, others know what is particular about one",
    ),
    Key::supported(
        "idp_provider_url",
        Kind::String,
        SupportedBy::ALL,
        "The provider's issuer, as in its discovery document",
    ),
    Key::supported(
        "idp_client_id",
        Kind::String,
        SupportedBy::FILTER,
        "The client id that the provider gave this proxy",
    ),
    Key::supported(
        "idp_client_secret",
        Kind::Secret,
        SupportedBy::FILTER,
        "The client secret that the provider gave this proxy; none for a public client",
    ),
    Key::supported(
        "idp_client_secret_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of the client secret; a line break at its end does not count",
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
        "Jetway's own: how this proxy proves who it is to the provider; by default with its private key if there is one, else with its secret as the provider offers",
    ),
    Key::supported(
        "idp_client_private_key",
        Kind::Secret,
        SupportedBy::FILTER,
        "Jetway's own: private key in PEM for `private_key_jwt`",
    ),
    Key::supported(
        "idp_client_private_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of `idp_client_private_key`",
    ),
    Key::supported(
        "idp_client_private_key_id",
        Kind::String,
        SupportedBy::FILTER,
        "Jetway's own: the name (`kid`) under which the provider knows the public key",
    ),
    Key::supported(
        "idp_scopes",
        Kind::StringList,
        SupportedBy::FILTER,
        "Scopes of the sign-in; `openid`, `profile`, `email` and `offline_access` by default, or what the kind of provider needs",
    ),
    Key::supported(
        "idp_response_mode",
        Kind::Word(&["query", "form_post"]),
        SupportedBy::FILTER,
        "Jetway's own: how the provider answers; `query` by default, and `form_post` for Apple",
    ),
    Key::supported(
        "idp_request_params",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Further parameters of the sign-in, such as `prompt`",
    ),
    Key::supported(
        "idp_extra_origins",
        Kind::StringList,
        SupportedBy::ALL,
        "Jetway's own: further origins on which the provider's endpoints may be; endpoints elsewhere than at the issuer or there are refused",
    ),
    Key::supported(
        "idp_groups_claim",
        Kind::String,
        SupportedBy::FILTER,
        "Jetway's own: name of the claim in which the provider tells a visitor's groups; `groups` unless it is said",
    ),
    Key::supported(
        "require_email_verified",
        Kind::Word(&["strict", "off"]),
        SupportedBy::FILTER,
        "Jetway's own: `strict` relies only on email addresses that the provider states to be verified (`email_verified`, or `xms_edov` at `azure`), `off` on all; by default it depends on the kind of provider, see docs/signing-in.md",
    ),
    Key::supported(
        "idp_allowed_tenants",
        Kind::StringList,
        SupportedBy::FILTER,
        "Jetway's own: only users of these tenants sign in: tenant ids (`tid`) at `azure`, Workspace domains (`hd`) at `google`. An email address of a named `azure` tenant counts as verified unless the token denies it",
    ),
    Key::supported(
        "idp_access_token_allowed_audiences",
        Kind::StringList,
        SupportedBy::FILTER,
        "For whom an access token has to be that a program sends, see `bearer_token_format`",
    ),
    Key::supported(
        "bearer_token_format",
        Kind::Word(BEARER_FORMATS),
        SupportedBy::FILTER,
        "What `Authorization: Bearer` stands for: `idp_identity_token` or `idp_access_token` of the provider in the place of a session, access tokens as JWTs alone; `default` leaves it to the upstream. Each route may say otherwise",
    ),
    Key::refused(
        "identity_providers",
        "there is one provider: name it in `idp_provider`, `idp_provider_url` and `idp_client_id`",
    ),
    Key::refused("idp_service_account", REMOVED_DIRECTORY),
    Key::refused("idp_refresh_directory_*", REMOVED_DIRECTORY),
    Key::refused("idp_qps", REMOVED_DIRECTORY),
    // Sign-in and sessions.
    Key::supported(
        "cookie_secret",
        Kind::Secret,
        SupportedBy::FILTER,
        "32 random bytes in base64 that seal sessions, as `jetway keygen` prints them",
    ),
    Key::supported(
        "cookie_secret_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of `cookie_secret`",
    ),
    Key::supported(
        "cookie_secret_previous",
        Kind::Secret,
        SupportedBy::FILTER,
        "Earlier values of `cookie_secret`, separated by commas: sessions that they sealed stay good, and are sealed anew",
    ),
    Key::supported(
        "cookie_secret_previous_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of `cookie_secret_previous`",
    ),
    Key::supported(
        "cookie_idle_expire",
        Kind::Duration,
        SupportedBy::FILTER,
        "How long a session lasts without a request; as long as `cookie_expire` by default",
    ),
    Key::supported(
        "cookie_name",
        Kind::String,
        SupportedBy::FILTER,
        "Name of the session cookie, to which `__Host-` is prefixed; `_pomerium` by default",
    ),
    Key::supported(
        "cookie_expire",
        Kind::Duration,
        SupportedBy::FILTER,
        "How long a session lasts after the sign-in; 14 hours by default",
    ),
    Key::refused(
        "cookie_domain",
        "a session is good for one host only, so that no other application can use it: take it out, and visitors sign in once per host",
    ),
    Key::ignored(
        "cookie_same_site",
        "session cookies are always SameSite=Lax",
    ),
    Key::ignored("cookie_http_only", "session cookies are always HttpOnly"),
    Key::ignored("shared_secret", ONE_SECRET),
    Key::ignored("shared_secret_file", ONE_SECRET),
    Key::supported(
        "authenticate_service_url",
        Kind::String,
        SupportedBy::FILTER,
        "The host on which everybody signs in, once for all routes: register its `/oauth2/callback` with the provider. Without it each route signs in on its own host",
    ),
    Key::ignored("authenticate_internal_service_url", ONE_HOST),
    Key::ignored("authenticate_callback_path", ONE_HOST),
    Key::supported(
        "signout_redirect_url",
        Kind::String,
        SupportedBy::FILTER,
        "Where browsers go after a sign-out, registered with the provider; `https://HOST/.pomerium/signed_out` without it",
    ),
    Key::supported(
        "programmatic_redirect_domain_whitelist",
        Kind::StringList,
        SupportedBy::FILTER,
        "Hosts on which a program may listen for the session that a person hands to it; `localhost` by default",
    ),
    // What upstreams are told.
    Key::supported(
        "pass_identity_headers",
        Kind::Flag,
        SupportedBy::FILTER,
        "Tells upstreams who the visitor is: a signed assertion and the headers of `jwt_claims_headers`; each route may say otherwise",
    ),
    Key::supported(
        "signing_key",
        Kind::Secret,
        SupportedBy::FILTER,
        "The private key that signs assertions (P-256, Ed25519 or RSA), as PEM text or as that in base64; by default one is derived from `cookie_secret`",
    ),
    Key::supported(
        "signing_key_file",
        Kind::File,
        SupportedBy::PROXIES,
        "File of `signing_key`",
    ),
    Key::supported(
        "reserved_request_headers",
        Kind::StringList,
        SupportedBy::FILTER,
        "Further headers that are removed from every client's request, in any spelling, because upstreams take them for a proxy's word; a `*` at the end stands for every name with that beginning",
    ),
    Key::supported(
        "jwt_claims_headers",
        Kind::StringMapOrList,
        SupportedBy::FILTER,
        "Headers that carry claims: names of headers with names of claims, or a list of claims for `x-pomerium-claim-NAME`",
    ),
    Key::supported(
        "jwt_issuer_format",
        Kind::Word(ISSUER_FORMATS),
        SupportedBy::FILTER,
        "The issuer of assertions: the route's host (`IssuerHostOnly`, the default) or `https://HOST/` (`IssuerURI`)",
    ),
    Key::refused(
        "jwt_groups_filter",
        "assertions name all groups of a visitor: let the provider name fewer",
    ),
    // Upstreams and answers.
    Key::supported(
        "default_upstream_timeout",
        Kind::Duration,
        SupportedBy::PROXIES,
        "The `timeout` of routes that have none; 30 seconds by default, 0 for none",
    ),
    Key::supported(
        "set_response_headers",
        Kind::StringMap,
        SupportedBy::FILTER,
        "Headers of every answer; replaces the defaults X-Frame-Options and Strict-Transport-Security (X-XSS-Protection, which browsers have dropped, is not sent); `disable: true` clears all",
    ),
    Key::refused("certificate_authority", UPSTREAM_AUTHORITIES),
    Key::refused("certificate_authority_file", UPSTREAM_AUTHORITIES),
    Key::ignored("circuit_breaker_thresholds", BREAKER_NOTE),
    Key::ignored(
        "dns_*",
        "names are looked up as the machine does, or as Envoy does by default",
    ),
    Key::ignored("merge_slashes", ONE_FORM),
    Key::ignored("normalize_path", ONE_FORM),
    Key::ignored("path_with_escaped_slashes_action", ONE_FORM),
    Key::ignored("headers_with_underscores_action", ONE_FORM),
    // Operation.
    Key::ignored("log_level", OWN_LOGS),
    Key::ignored("proxy_log_level", OWN_LOGS),
    Key::ignored("access_log_fields", OWN_LOGS),
    Key::ignored("authorize_log_fields", OWN_LOGS),
    Key::ignored("metrics_address", OWN_METRICS),
    Key::ignored("metrics_basic_auth", OWN_METRICS),
    Key::ignored("metrics_certificate", OWN_METRICS),
    Key::ignored("metrics_certificate_key", OWN_METRICS),
    Key::ignored("metrics_certificate_file", OWN_METRICS),
    Key::ignored("metrics_certificate_key_file", OWN_METRICS),
    Key::ignored("metrics_client_ca", OWN_METRICS),
    Key::ignored("metrics_client_ca_file", OWN_METRICS),
    Key::ignored("otel_*", "there is no tracing here"),
    Key::refused("tracing_*", REMOVED_TRACING),
    Key::ignored("debug_address", "there is no listener for debugging"),
    Key::ignored(
        "health_check_addr",
        "there is no listener for probes: `/ping` and `/healthz` answer on each route's host",
    ),
    Key::ignored(
        "health_check_systemd_disabled",
        "systemd is not told anything",
    ),
    // Pages.
    Key::supported(
        "page_name",
        Kind::String,
        SupportedBy::ALL,
        "Jetway's own: name of the site, on top of every page of the proxy's own",
    ),
    Key::supported(
        "page_contact",
        Kind::String,
        SupportedBy::ALL,
        "Jetway's own: mail address or https address of whoever helps, on every page of the proxy's own",
    ),
    Key::supported(
        "primary_color",
        Kind::String,
        SupportedBy::ALL,
        "Colour of the pages' buttons, such as `#0b57d0`; what is written on them is black or white, whichever can be read",
    ),
    Key::supported(
        "secondary_color",
        Kind::String,
        SupportedBy::ALL,
        "Colour of the stripe on top of the pages; as `primary_color` by default",
    ),
    Key::supported(
        "darkmode_primary_color",
        Kind::String,
        SupportedBy::ALL,
        "`primary_color` where the visitor prefers dark pages",
    ),
    Key::supported(
        "darkmode_secondary_color",
        Kind::String,
        SupportedBy::ALL,
        "`secondary_color` where the visitor prefers dark pages",
    ),
    Key::supported(
        "logo_url",
        Kind::String,
        SupportedBy::ALL,
        "Picture on top of the pages, as a `data:` address of at most 64 KiB: pages load nothing from anywhere else",
    ),
    Key::supported(
        "logo_file",
        Kind::File,
        SupportedBy::PROXIES,
        "Jetway's own: file of the picture on top of the pages: PNG, SVG, JPEG, WebP, GIF or ICO, at most 48 KiB",
    ),
    Key::supported(
        "favicon_url",
        Kind::String,
        SupportedBy::ALL,
        "Picture in the browser's tab, as `logo_url`",
    ),
    Key::supported(
        "favicon_file",
        Kind::File,
        SupportedBy::PROXIES,
        "Jetway's own: file of the picture in the browser's tab, as `logo_file`",
    ),
    Key::supported(
        "error_message_first_paragraph",
        Kind::String,
        SupportedBy::ALL,
        "Plain text on every page that says no",
    ),
    Key::ignored(
        "runtime_flags",
        "they switch Pomerium's inner parts; write the port in `from` where a route must not serve every port",
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
        "it belongs to `enable_google_cloud_serverless_authentication`, which is not there",
    ),
];
