//! What the module and the proxy that hosts it agree on, beside the proxy-wasm ABI itself.

/// Request header in which the module names the route that it chose and permitted, by [`crate::config::Route::id`].
///
/// The body forwards by this header alone and removes it before the upstream sees the request; a request that comes out
/// of the module without it, or with an unknown id, is refused. The module drops whatever a client sent under this name.
pub const ROUTE_HEADER: &str = "x-jetway-route";

/// Environment variables from which the module takes secrets, by configuration key. A body passes them to the plugin's
/// environment (Envoy: `host_env_keys`), so that no secret has to stand in a configuration that an admin port shows.
pub const SECRET_VARIABLES: [(&str, &str); 5] = [
    ("cookie_secret", "COOKIE_SECRET"),
    ("cookie_secret_previous", "COOKIE_SECRET_PREVIOUS"),
    ("idp_client_secret", "IDP_CLIENT_SECRET"),
    ("idp_client_private_key", "IDP_CLIENT_PRIVATE_KEY"),
    ("signing_key", "SIGNING_KEY"),
];

/// Everything below this path, on each route's host, belongs to Jetway and never reaches an upstream.
pub const OWN_PREFIX: &str = "/.pomerium";

/// Where the provider sends the browser back to (OpenID Connect redirect URI), on the route's own host.
pub const CALLBACK_PATH: &str = "/.pomerium/callback";

/// Where the provider sends the browser after a sign-out (post-logout redirect URI), on the route's own host.
pub const SIGNED_OUT_PATH: &str = "/.pomerium/signed_out";

/// Where the provider sends the browser back to on the sign-in host (`authenticate_service_url`), as in Pomerium.
pub const SIGN_IN_HOST_CALLBACK: &str = "/oauth2/callback";

/// Request header in which a body tells the certificate that a client has shown, in Envoy's format with the member
/// `Cert` (URL-encoded PEM). Only the body writes it, and only when the certificate is valid; what a client sent under
/// this name is dropped before the module sees the request. The module removes it.
pub const CLIENT_CERTIFICATE_HEADER: &str = "x-forwarded-client-cert";

/// Request header in which a proxy tells the module the `Transfer-Encoding` of a request, where it takes that one away
/// before the module sees the request, as Envoy does. What a client sent under this name is dropped before.
pub const TRANSFER_ENCODING_HEADER: &str = "x-jetway-transfer-encoding";
