//! What the operator wrote, checked once and then valid by construction.

mod branding;
mod duration;
mod email_trust;
mod error;
mod file_map;
mod header_name;
pub mod key;
pub mod keys;
mod origin;
mod pem;
mod provider_kind;
mod reader;
mod route;
mod variables;

pub use branding::{Branding, Contact, MAX_IMAGE, Shades};
pub use email_trust::{EmailProof, EmailTrust, EmailVerification};
pub use error::{ConfigError, Loaded};
pub use origin::Origin;
pub use pem::Pem;
pub use provider_kind::ProviderKind;
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
    /// Where the bundled host listens; Envoy's generator uses it too.
    pub listener: Listener,
    /// The routes, in the order of the file: the first that matches is used.
    pub routes: Vec<Route>,
    /// The identity provider. Absent only when no route needs a session.
    pub provider: Option<ProviderSettings>,
    /// How sessions are kept.
    pub session: SessionSettings,
    /// How upstreams are told who the visitor is.
    pub identity: IdentitySettings,
    /// How the pages look.
    pub branding: Branding,
}

/// What upstreams are told about the visitor, on routes with `pass_identity_headers`.
#[derive(Debug)]
#[non_exhaustive]
pub struct IdentitySettings {
    /// Signs assertions (`signing_key`, else derived from `cookie_secret`). Absent only when no route needs it.
    pub signing_key: Option<AssertionKey>,
    /// The text of `signing_key`, for the body that hands it to the module.
    pub signing_key_text: Option<Secret>,
    /// Lower-case header names and the claims that they carry (`jwt_claims_headers`).
    pub claim_headers: Vec<(String, String)>,
    /// Further headers that no client may send, in lower case; one that ends with `*` stands for every name with that
    /// beginning (`reserved_request_headers`).
    pub reserved_headers: Vec<String>,
    /// The claim that names a visitor's groups (`idp_groups_claim`, default `groups`).
    pub groups_claim: String,
    /// What stands as `iss` (`jwt_issuer_format`).
    pub issuer_format: IssuerFormat,
}

/// The issuer of assertions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerFormat {
    /// The public host (`IssuerHostOnly`).
    #[default]
    HostOnly,
    /// `https://HOST/` (`IssuerURI`).
    Uri,
}

/// Listening address and certificates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// `host:port` or `:port`, as in Go; default `:443`.
    pub address: String,
    /// Plain HTTP instead of TLS, for a listener behind something that terminates TLS (`insecure_server`).
    pub insecure: bool,
    /// Certificate chains and keys, the first is the default for names that fit none.
    pub certificates: Vec<ServerCertificate>,
    /// How many proxies in front may be believed about `X-Forwarded-For` and `X-Forwarded-Proto` (`xff_num_trusted_hops`).
    pub trusted_hops: u32,
    /// Whether each connection begins with a PROXY protocol header, version 1 or 2 (`use_proxy_protocol`).
    pub proxy_protocol: bool,
    /// How long a connection without a request is kept (`timeout_idle`, default five minutes).
    pub idle_timeout: Duration,
    /// Whether and how clients' certificates are asked for (`downstream_mtls`).
    pub client_authority: Option<ClientAuthority>,
}

impl Listener {
    /// The port of [`Listener::address`].
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.address.rsplit_once(':').map(|(_, port)| port);
        port.and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    /// Returns the proxies in front of this listener that may be believed about the client.
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

/// Client certificates (`downstream_mtls`): they are asked for, and one that these authorities did not sign ends the
/// handshake. Whether one is needed is the policies' business, unless `required`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClientAuthority {
    /// Certificates of the authorities (`ca`, `ca_file`).
    pub authorities: Pem,
    /// Revocation lists (`crl`, `crl_file`).
    pub revoked: Option<Pem>,
    /// Whether a connection without a certificate is refused (`enforcement: reject_connection`).
    pub required: bool,
}

/// The OpenID Connect provider and this proxy's registration with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderSettings {
    /// What is particular about the provider.
    pub kind: ProviderKind,
    /// Issuer identifier exactly as configured.
    pub issuer: String,
    /// Origin of the issuer: discovery is fetched there.
    pub origin: Origin,
    /// Further origins on which the provider's endpoints may be (`idp_extra_origins`); endpoints elsewhere are refused.
    pub extra_origins: Vec<Origin>,
    /// Client identifier.
    pub client_id: String,
    /// Client secret; empty for a public client.
    pub client_secret: Secret,
    /// How this proxy proves that it is the client.
    pub client_auth: ClientAuth,
    /// The text of `idp_client_private_key`, for the body that hands it to the module.
    pub client_private_key_text: Option<Secret>,
    /// Scopes of the authorization request.
    pub scopes: Vec<String>,
    /// Extra parameters of the authorization request.
    pub request_params: Vec<(String, String)>,
    /// Whether the provider answers by a form that the browser posts (OAuth 2.0 Form Post Response Mode), instead of by
    /// the callback's query (`idp_response_mode`).
    pub form_post: bool,
    /// When policies may rely on an address, and whose users may sign in.
    pub email_trust: EmailTrust,
    /// For whom an access token has to be that a program sends (`idp_access_token_allowed_audiences`).
    pub access_token_audiences: Vec<String>,
}

impl ProviderSettings {
    /// Every origin that the module may call, the issuer's first. A body gives each a cluster (Envoy) or an allow-list
    /// entry (host) under the name that [`Origin`] prints, e.g. `https://idp.example.com`.
    #[must_use]
    pub fn origins(&self) -> Vec<&Origin> {
        std::iter::once(&self.origin)
            .chain(&self.extra_origins)
            .collect()
    }
}

/// How a client proves who it is at the token endpoint (`idp_token_endpoint_auth_method`).
#[derive(Debug)]
pub enum ClientAuth {
    /// By its secret, in the way that the provider offers: in a header if it takes that, otherwise in the form.
    AsOffered,
    /// By its secret in an `Authorization` header (RFC 6749 section 2.3.1).
    Basic,
    /// By its secret in the form.
    Post,
    /// By a token that its private key signs (RFC 7523 section 2.2).
    PrivateKey(AssertionKey),
    /// Not at all: a public client (RFC 6749 section 2.1).
    None,
}

/// How sessions are sealed and how long they last.
#[derive(Debug)]
#[non_exhaustive]
pub struct SessionSettings {
    /// Name of the session cookie, with its `__Host-` prefix.
    pub cookie_name: String,
    /// 32 bytes; every sealing key derives from it. Absent only when no route needs a session.
    pub secret: Option<Secret>,
    /// Earlier secrets (`cookie_secret_previous`): what they sealed is still good.
    pub previous_secrets: Vec<Secret>,
    /// Absolute lifetime of a session (`cookie_expire`), default 14 hours.
    pub lifetime: Duration,
    /// Hosts on which programs may be handed a session (`programmatic_redirect_domain_whitelist`).
    pub program_hosts: Vec<String>,
    /// The host on which everybody signs in (`authenticate_service_url`); without it each route's host does that for itself.
    pub sign_in_host: Option<SignInHost>,
    /// How long a session lasts without a request (`cookie_idle_expire`); `None` for as long as its lifetime.
    pub idle: Option<Duration>,
    /// Where browsers go after a sign-out (`signout_redirect_url`), instead of our own page.
    pub signed_out_url: Option<url::Url>,
}

/// What an `Authorization: Bearer` header stands for (`bearer_token_format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BearerFormat {
    /// Nothing here, but for a session that was handed to a program: it is the upstream's business (`default`).
    #[default]
    Session,
    /// An ID token of the provider (`idp_identity_token`).
    IdToken,
    /// An access token of the provider that is a JWT (`idp_access_token`).
    AccessToken,
}

/// A host for signing in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInHost {
    /// Host in lower case, without port.
    pub host: String,
    /// Its origin, `https://host[:port]`.
    pub origin: String,
}
