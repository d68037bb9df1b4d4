//! Signing in with an OpenID Connect provider: authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect
//! Core 1.0).

pub mod attempt;
mod authorization;
pub(crate) mod bearer;
pub mod call;
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
