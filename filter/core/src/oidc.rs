//! Signing in with an OpenID Connect provider: authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect
//! Core 1.0).

pub mod attempt;
mod authorization;
pub(crate) mod bearer;
pub mod claims;
mod client_auth;
pub(crate) mod clock;
pub mod compact;
pub(crate) mod email;
pub(crate) mod github;
pub mod keys;
pub mod logout_token;
pub mod metadata;
pub mod provider;
pub mod token;

pub use authorization::authorization_url;

/// Tolerated difference between our clock and the provider's, in seconds.
pub const LEEWAY: u64 = 60;

/// How many sign-ins one browser may have open: one per tab, the oldest gives way.
pub const MAX_ATTEMPTS: usize = 5;

/// How long a person may take at the provider, in seconds.
pub const ATTEMPT_LIFETIME: u64 = 600;

/// How long a browser keeps an attempt, in seconds: one that took too long still knows where to begin again. An hour covers
/// a forgotten tab; what is kept longer only weighs on each request.
pub const ATTEMPT_KEPT: u64 = 3600;

/// How long one call to the provider may take, in milliseconds.
pub const CALL_TIMEOUT_MS: u32 = 10_000;
