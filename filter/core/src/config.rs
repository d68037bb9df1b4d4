//! What the operator wrote, checked once and then valid by construction.

mod error;
mod findings;
mod keys;
mod object;
mod origin;
mod reader;
mod route;

pub use error::{ConfigError, Loaded, Problem, Warning};
pub use origin::Origin;
pub use route::{From, PathMatch, Route, Upstream};

pub(crate) use findings::{Findings, Place, nearest};

use std::time::Duration;

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
}

/// Listening address and certificates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// `host:port` or `:port`, as in Go; default `:443`.
    pub address: String,
    /// Plain HTTP instead of TLS, for a listener behind something that terminates TLS (`insecure_server`).
    pub insecure: bool,
    /// Certificate chains and keys (PEM files), the first is the default for names that fit none.
    pub certificates: Vec<CertificateFiles>,
    /// How many proxies in front may be believed about `X-Forwarded-For` and `X-Forwarded-Proto` (`xff_num_trusted_hops`).
    pub trusted_hops: u32,
}

/// One certificate chain and its private key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Path of the chain.
    pub certificate: String,
    /// Path of the key.
    pub key: String,
}

/// The OpenID Connect provider and this proxy's registration with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderSettings {
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
    /// Scopes of the authorization request.
    pub scopes: Vec<String>,
    /// Extra parameters of the authorization request.
    pub request_params: Vec<(String, String)>,
    /// What `email_verified` must say before policies rely on an address (`require_email_verified`).
    pub email_verification: EmailVerification,
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

/// When policies may rely on an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmailVerification {
    /// `email_verified` is absent, true or the text `true`.
    #[default]
    UnlessDenied,
    /// `email_verified` is JSON true (`strict`).
    Strict,
    /// Whatever `email_verified` says (`off`).
    Off,
}

/// How sessions are sealed and how long they last.
#[derive(Debug)]
#[non_exhaustive]
pub struct SessionSettings {
    /// Name of the session cookie, with its `__Host-` prefix.
    pub cookie_name: String,
    /// 32 bytes; every sealing key derives from it. Absent only when no route needs a session.
    pub secret: Option<Secret>,
    /// Absolute lifetime of a session (`cookie_expire`), default 14 hours.
    pub lifetime: Duration,
}

/// Bytes that never appear in a log, a page or `Debug` output, and are wiped when dropped.
#[derive(Clone, Default, zeroize::ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves, for the one place that uses them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}
