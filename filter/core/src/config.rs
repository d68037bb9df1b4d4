//! The configuration: checked once when the file is read, and valid by construction.

mod branding;
mod duration;
mod email_trust;
mod error;
mod file_map;
mod header_name;
pub mod key;
pub mod keys;
mod monitoring;
mod origin;
mod pem;
mod placeholder;
mod provider_kind;
mod reader;
mod route;
mod variables;

pub use branding::{Branding, Contact, MAX_IMAGE, Shades};
pub use email_trust::{EmailProof, EmailTrust, EmailVerification};
pub use error::{ConfigError, Loaded};
pub use monitoring::{AdminAddress, MetricsListener, Monitoring};
pub use origin::Origin;
pub use pem::Pem;
pub use provider_kind::{ProviderKind, needs_provider_url};
pub use route::{
    CockpitSettings, Endpoint, FixedResponse, FoundBy, From, HeaderRewrite, HostHeader, PathMatch,
    PathPattern, PathRewrite, Redirect, RedirectPath, RequestHeaders, ResponseHeaders, Route,
    RouteNumber, Substitution, Target, UpstreamTls, Upstreams,
};
pub use variables::{Overridden, override_by_variables};

pub(crate) use route::LOGIN_HEADERS;

use std::time::Duration;

use crate::http::forwarded::TrustedProxies;
use crate::secret::Secret;

use crate::session::signing_key::AssertionKey;

/// A whole configuration file.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// The listener of Jetway's own proxy and of the generated Envoy configuration.
    pub listener: Listener,
    /// The routes, in the order of the file. A request uses the first that matches.
    pub routes: Vec<Route>,
    /// The identity provider. Absent only when no route needs a session.
    pub provider: Option<ProviderSettings>,
    /// How sessions are kept.
    pub session: SessionSettings,
    /// How upstreams learn the user's identity.
    pub identity: IdentitySettings,
    /// How Jetway's pages look.
    pub branding: Branding,
    /// Where Jetway's own proxy shows its metrics and its health.
    pub monitoring: Monitoring,
}

/// How upstreams learn the user's identity on routes with `pass_identity_headers`.
#[derive(Debug)]
#[non_exhaustive]
pub struct IdentitySettings {
    /// The key that signs assertions (`signing_key`, else derived from `cookie_secret`). Absent only when no route needs it.
    pub signing_key: Option<AssertionKey>,
    /// The PEM of `signing_key`, which the proxy passes to the module.
    pub signing_key_text: Option<Secret>,
    /// The headers for claims, by lower-case name, each with its claim (`jwt_claims_headers`).
    pub claim_headers: Vec<(String, String)>,
    /// Additional headers that no client may send, in lower case; a `*` at the end stands for the rest of a name
    /// (`reserved_request_headers`).
    pub reserved_headers: Vec<String>,
    /// The claim that lists a user's groups (`idp_groups_claim`, default `groups`).
    pub groups_claim: String,
    /// The issuer of assertions (`jwt_issuer_format`).
    pub issuer_format: IssuerFormat,
}

/// The form of the issuer (`iss`) of assertions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerFormat {
    /// The public host (`IssuerHostOnly`).
    #[default]
    HostOnly,
    /// `https://HOST/` (`IssuerURI`).
    Uri,
}

/// The listening address and its certificates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// `host:port` or `:port`, as in Go; default `:443`.
    pub address: String,
    /// Whether to use plain HTTP, behind a proxy that terminates TLS (`insecure_server`).
    pub insecure: bool,
    /// The certificate chains with their keys. The first is the default for names that none of them has.
    pub certificates: Vec<ServerCertificate>,
    /// The number of proxies in front whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted (`xff_num_trusted_hops`).
    pub trusted_hops: u32,
    /// Whether each connection begins with a PROXY protocol header, version 1 or 2 (`use_proxy_protocol`).
    pub proxy_protocol: bool,
    /// How long a connection without a request stays open (`timeout_idle`, default five minutes).
    pub idle_timeout: Duration,
    /// The authorities for client certificates; `None` when none are requested (`downstream_mtls`).
    pub client_authority: Option<ClientAuthority>,
}

impl Listener {
    /// Returns the port of [`Listener::address`].
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.address.rsplit_once(':').map(|(_, port)| port);
        port.and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    /// Returns the proxies in front of this listener that are trusted about the client.
    #[must_use]
    pub fn trusted_proxies(&self) -> TrustedProxies {
        let hops = usize::try_from(self.trusted_hops).unwrap_or(usize::MAX);
        TrustedProxies::new(hops, !self.insecure)
    }
}

/// One certificate chain and its private key.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerCertificate {
    /// The chain.
    pub certificate: Pem,
    /// The key.
    pub key: Pem,
}

/// The authorities for client certificates (`downstream_mtls`). The handshake fails with a certificate that none of them
/// has signed. The policies decide whether a certificate is needed, unless it is `required`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClientAuthority {
    /// The certificates of the authorities (`ca`, `ca_file`).
    pub authorities: Pem,
    /// The revocation lists (`crl`, `crl_file`).
    pub revoked: Option<Pem>,
    /// Whether a connection without a certificate is refused (`enforcement: reject_connection`).
    pub required: bool,
}

/// The identity provider and the registration with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderSettings {
    /// The provider preset.
    pub kind: ProviderKind,
    /// The issuer, exactly as configured.
    pub issuer: String,
    /// The origin of the issuer, from which the discovery document is fetched.
    pub origin: Origin,
    /// Additional origins of the provider's endpoints (`idp_extra_origins`); endpoints on other origins are refused.
    pub extra_origins: Vec<Origin>,
    /// The client id.
    pub client_id: String,
    /// The client secret; empty for a public client.
    pub client_secret: Secret,
    /// How Jetway authenticates to the provider.
    pub client_auth: ClientAuth,
    /// The PEM of `idp_client_private_key`, which the proxy passes to the module.
    pub client_private_key_text: Option<Secret>,
    /// The scopes of the authorization request.
    pub scopes: Vec<String>,
    /// Additional parameters of the authorization request.
    pub request_params: Vec<(String, String)>,
    /// Whether the provider responds with a form that the browser posts (OAuth 2.0 Form Post Response Mode) instead of in
    /// the callback's query (`idp_response_mode`).
    pub form_post: bool,
    /// Which email addresses policies may use, and whose users may sign in.
    pub email_trust: EmailTrust,
    /// The accepted audiences of API clients' access tokens (`idp_access_token_allowed_audiences`).
    pub access_token_audiences: Vec<String>,
}

impl ProviderSettings {
    /// Returns every origin that the module may call, the issuer's first. The proxy has a cluster (Envoy) or an allow-list
    /// entry (host) for each, named as [`Origin`] is displayed, for example `https://idp.example.com`.
    #[must_use]
    pub fn origins(&self) -> Vec<&Origin> {
        std::iter::once(&self.origin)
            .chain(&self.extra_origins)
            .collect()
    }
}

/// How the client authenticates at the token endpoint (`idp_token_endpoint_auth_method`).
#[derive(Debug)]
pub enum ClientAuth {
    /// By its secret, in a header if the provider supports that, otherwise in the form.
    AsOffered,
    /// By its secret in an `Authorization` header (RFC 6749 section 2.3.1).
    Basic,
    /// By its secret in the form.
    Post,
    /// By a JWT that its private key signs (RFC 7523 section 2.2).
    PrivateKey(AssertionKey),
    /// Not at all: a public client (RFC 6749 section 2.1).
    None,
}

/// How sessions are sealed and how long they last.
#[derive(Debug)]
#[non_exhaustive]
pub struct SessionSettings {
    /// The name of the session cookie, with its `__Host-` prefix.
    pub cookie_name: String,
    /// The 32 bytes from which every sealing key is derived. Absent only when no route needs a session.
    pub secret: Option<Secret>,
    /// Earlier secrets, with which sealed data is still valid (`cookie_secret_previous`).
    pub previous_secrets: Vec<Secret>,
    /// The absolute lifetime of a session (`cookie_expire`, default 14 hours).
    pub lifetime: Duration,
    /// The hosts to which a session may be sent after a programmatic login (`programmatic_redirect_domain_whitelist`).
    pub api_client_hosts: Vec<String>,
    /// The host on which users sign in for all routes (`authenticate_service_url`); without it, users sign in on each
    /// route's own host.
    pub sign_in_host: Option<SignInHost>,
    /// How long a session lasts without a request (`cookie_idle_expire`); `None` means its whole lifetime.
    pub idle: Option<Duration>,
    /// The page to which browsers are sent after sign-out, instead of Jetway's own (`signout_redirect_url`).
    pub signed_out_url: Option<url::Url>,
}

/// How a token in `Authorization: Bearer` is treated (`bearer_token_format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BearerFormat {
    /// Passed to the upstream, unless it is the session of an API client (`default`).
    #[default]
    Session,
    /// Accepted as an ID token of the provider (`idp_identity_token`).
    IdToken,
    /// Accepted as an access token of the provider, which must be a JWT (`idp_access_token`).
    AccessToken,
}

/// The host on which users sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInHost {
    /// The host in lower case, without port.
    pub host: String,
    /// The origin, `https://host[:port]`.
    pub origin: String,
}
