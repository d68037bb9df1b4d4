//! The keys of the file, and what this version does with each.

/// What becomes of a key that Pomerium has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It does what Pomerium's documentation says.
    Honoured,
    /// It has no effect here, and nothing is lost by that.
    Ignored(&'static str),
    /// It would change who gets in or what an upstream sees, and this version does not have it.
    Refused,
}

use Use::{Honoured, Ignored, Refused};

const OTHER_SERVICES: &str = "there is one process here, without Pomerium's other services";
const OWN_LOGS: &str = "logs are configured on the command line";
const OWN_METRICS: &str = "this version has no metrics listener";
const SHOWN_NOWHERE: &str = "this version has no routes portal";
const ALWAYS: &str = "paths and header names are always checked and brought into one form";

/// Keys at the top of the file.
pub(super) const GLOBAL: &[(&str, Use)] = &[
    ("address", Honoured),
    ("certificate_file", Honoured),
    ("certificate_key_file", Honoured),
    ("certificates", Honoured),
    ("cookie_expire", Honoured),
    ("cookie_name", Honoured),
    ("cookie_secret", Honoured),
    ("idp_client_id", Honoured),
    ("idp_client_secret", Honoured),
    ("idp_extra_origins", Honoured),
    ("idp_provider", Honoured),
    ("idp_provider_url", Honoured),
    ("idp_request_params", Honoured),
    ("idp_scopes", Honoured),
    ("insecure_server", Honoured),
    ("policy", Honoured),
    ("require_email_verified", Honoured),
    ("routes", Honoured),
    ("xff_num_trusted_hops", Honoured),
    ("access_log_fields", Ignored(OWN_LOGS)),
    (
        "authenticate_callback_path",
        Ignored("the callback is `/.pomerium/callback` on each route's own host"),
    ),
    (
        "authenticate_internal_service_url",
        Ignored("each route signs in on its own host"),
    ),
    (
        "authenticate_service_url",
        Ignored(
            "each route signs in on its own host: register `https://HOST/.pomerium/callback` with the provider",
        ),
    ),
    ("authorize_log_fields", Ignored(OWN_LOGS)),
    ("authorize_service_url", Ignored(OTHER_SERVICES)),
    (
        "cookie_http_only",
        Ignored("session cookies are always HttpOnly"),
    ),
    (
        "cookie_same_site",
        Ignored("session cookies are always SameSite=Lax"),
    ),
    ("databroker_service_url", Ignored(OTHER_SERVICES)),
    (
        "databroker_storage_connection_string",
        Ignored(OTHER_SERVICES),
    ),
    ("databroker_storage_type", Ignored(OTHER_SERVICES)),
    ("grpc_address", Ignored(OTHER_SERVICES)),
    ("grpc_insecure", Ignored(OTHER_SERVICES)),
    ("headers_with_underscores_action", Ignored(ALWAYS)),
    ("log_level", Ignored(OWN_LOGS)),
    ("merge_slashes", Ignored(ALWAYS)),
    ("metrics_address", Ignored(OWN_METRICS)),
    ("normalize_path", Ignored(ALWAYS)),
    ("path_with_escaped_slashes_action", Ignored(ALWAYS)),
    ("proxy_log_level", Ignored(OWN_LOGS)),
    ("services", Ignored(OTHER_SERVICES)),
    (
        "shared_secret",
        Ignored("`cookie_secret` seals everything here"),
    ),
    (
        "shared_secret_file",
        Ignored("`cookie_secret` seals everything here"),
    ),
    ("allow_upgrades", Refused),
    ("autocert", Refused),
    ("bearer_token_format", Refused),
    ("certificate", Refused),
    ("certificate_authority", Refused),
    ("certificate_authority_file", Refused),
    ("certificate_key", Refused),
    ("codec_type", Refused),
    ("cookie_domain", Refused),
    // Files are read before this: a module cannot.
    ("cookie_secret_file", Refused),
    ("default_upstream_timeout", Refused),
    ("downstream_mtls", Refused),
    ("http_redirect_addr", Refused),
    ("identity_providers", Refused),
    ("idp_access_token_allowed_audiences", Refused),
    ("idp_client_secret_file", Refused),
    ("jwt_claims_headers", Refused),
    ("jwt_issuer_format", Refused),
    ("pass_identity_headers", Refused),
    ("programmatic_redirect_domain_whitelist", Refused),
    ("runtime_flags", Refused),
    ("set_response_headers", Refused),
    ("signing_key", Refused),
    ("signing_key_file", Refused),
    ("signout_redirect_url", Refused),
    ("skip_xff_append", Refused),
    ("timeout_idle", Refused),
    ("timeout_read", Refused),
    ("timeout_write", Refused),
    ("use_proxy_protocol", Refused),
];

/// Keys of a route.
pub(super) const ROUTE: &[(&str, Use)] = &[
    ("allow_any_authenticated_user", Honoured),
    ("allow_public_unauthenticated_access", Honoured),
    ("allow_websockets", Honoured),
    ("allowed_domains", Honoured),
    ("allowed_idp_claims", Honoured),
    ("allowed_users", Honoured),
    ("cors_allow_preflight", Honoured),
    ("from", Honoured),
    ("name", Honoured),
    ("path", Honoured),
    ("policy", Honoured),
    ("prefix", Honoured),
    ("preserve_host_header", Honoured),
    ("timeout", Honoured),
    ("tls_custom_ca_file", Honoured),
    ("tls_skip_verify", Honoured),
    ("to", Honoured),
    ("description", Ignored(SHOWN_NOWHERE)),
    ("logo_url", Ignored(SHOWN_NOWHERE)),
    ("allow_spdy", Refused),
    ("allow_upgrades", Refused),
    ("bearer_token_format", Refused),
    ("circuit_breaker_thresholds", Refused),
    ("depends_on", Refused),
    ("enable_google_cloud_serverless_authentication", Refused),
    ("health_checks", Refused),
    ("healthy_panic_threshold", Refused),
    ("host_path_regex_rewrite_pattern", Refused),
    ("host_path_regex_rewrite_substitution", Refused),
    ("host_rewrite", Refused),
    ("host_rewrite_header", Refused),
    ("identity_providers", Refused),
    ("idle_timeout", Refused),
    ("idp_access_token_allowed_audiences", Refused),
    ("idp_client_id", Refused),
    ("idp_client_secret", Refused),
    ("jwt_groups_filter", Refused),
    ("jwt_issuer_format", Refused),
    ("kubernetes_service_account_token", Refused),
    ("kubernetes_service_account_token_file", Refused),
    ("load_balancing_policy", Refused),
    ("mcp", Refused),
    ("outlier_detection", Refused),
    ("pass_identity_headers", Refused),
    ("prefix_rewrite", Refused),
    ("redirect", Refused),
    ("regex", Refused),
    ("regex_priority_order", Refused),
    ("regex_rewrite_pattern", Refused),
    ("regex_rewrite_substitution", Refused),
    ("rego", Refused),
    ("remove_request_headers", Refused),
    ("response", Refused),
    ("rewrite_response_headers", Refused),
    ("set_request_headers", Refused),
    ("set_response_headers", Refused),
    ("show_error_details", Refused),
    ("sub_policies", Refused),
    ("tls_client_cert", Refused),
    ("tls_client_cert_file", Refused),
    ("tls_client_key", Refused),
    ("tls_client_key_file", Refused),
    ("tls_custom_ca", Refused),
    ("tls_downstream_client_ca", Refused),
    ("tls_downstream_client_ca_file", Refused),
    ("tls_downstream_server_name", Refused),
    ("tls_server_name", Refused),
    ("tls_upstream_allow_renegotiation", Refused),
    ("tls_upstream_server_name", Refused),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice() {
        for table in [GLOBAL, ROUTE] {
            for (place, (key, _)) in table.iter().enumerate() {
                assert!(
                    table.iter().skip(place + 1).all(|(other, _)| other != key),
                    "{key}"
                );
                assert_eq!(*key, key.to_ascii_lowercase());
            }
        }
    }
}
