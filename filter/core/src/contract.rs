//! The contract between the module and the proxy that runs it, beyond the proxy-wasm ABI.

/// Request header in which the module states the permitted route, by [`crate::config::Route::id`].
///
/// The proxy routes by this header alone and removes it before the upstream gets the request. A request that leaves the module
/// without it, or with an unknown id, is refused. The module removes what a client sent with this name.
pub const ROUTE_HEADER: &str = "x-jetway-route";

/// Property of the stream (`proxy_set_property`) in which the module states the account of a signed-in user, for the access log
/// of the proxy. Its value is escaped and bounded.
pub const ACCOUNT_PROPERTY: &str = "jetway.account";

/// Property in which the module states the decision about a request that it answers itself: `allow`, `deny` or `login`. A request
/// that the module permits has none, so that most requests cost nothing: [`ROUTE_HEADER`] states it.
pub const DECISION_PROPERTY: &str = "jetway.decision";

/// Property in which the module states the reasons of a decision, separated by commas.
pub const REASONS_PROPERTY: &str = "jetway.reasons";

/// Environment variables from which the module reads secrets, by configuration key. A proxy passes them to the plugin (Envoy:
/// `host_env_keys`), so that no secret needs to be in a configuration that an admin port shows.
pub const SECRET_VARIABLES: [(&str, &str); 5] = [
    ("cookie_secret", "COOKIE_SECRET"),
    ("cookie_secret_previous", "COOKIE_SECRET_PREVIOUS"),
    ("idp_client_secret", "IDP_CLIENT_SECRET"),
    ("idp_client_private_key", "IDP_CLIENT_PRIVATE_KEY"),
    ("signing_key", "SIGNING_KEY"),
];

/// The path of the proxy's own endpoints on each host. Requests below it never reach an upstream.
pub const OWN_PREFIX: &str = "/.pomerium";

/// Path to which the provider redirects the browser (OpenID Connect redirect URI), on the host of the route.
pub const CALLBACK_PATH: &str = "/.pomerium/callback";

/// Path to which the provider redirects the browser after a sign-out (post-logout redirect URI), on the host of the route.
pub const SIGNED_OUT_PATH: &str = "/.pomerium/signed_out";

/// Path to which the provider redirects the browser on the sign-in host (`authenticate_service_url`), as in Pomerium.
pub const SIGN_IN_HOST_CALLBACK: &str = "/oauth2/callback";

/// Request header in which a proxy states the certificate that a client has presented, in Envoy's format with the member `Cert`
/// (URL-encoded PEM). The proxy writes it only for a valid certificate, and removes what a client sent with this name before the
/// module sees the request. The module removes it.
pub const CLIENT_CERTIFICATE_HEADER: &str = "x-forwarded-client-cert";

/// Request header in which a proxy states the `Transfer-Encoding` of a request, if it removes that header before the module sees
/// the request, as Envoy does. The proxy removes what a client sent with this name.
pub const TRANSFER_ENCODING_HEADER: &str = "x-jetway-transfer-encoding";

/// Property that the module attaches to a stream before it resets the stream: a last text message for a client that speaks
/// [`COCKPIT_SUBPROTOCOL`]. The bundled host sends it before its close frame. Envoy has no way to send it and ignores it.
pub const LAST_MESSAGE_PROPERTY: &str = "jetway.last_message";

/// The WebSocket subprotocol of Cockpit's pages.
pub const COCKPIT_SUBPROTOCOL: &str = "cockpit1";
