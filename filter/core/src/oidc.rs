//! The client of an OpenID Connect provider: authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect
//! Core 1.0), session refresh, bearer tokens and logout tokens.

pub mod attempt;
mod authorization;
pub(crate) mod bearer;
pub mod call;
pub(crate) mod cause;
pub(crate) mod claim_source;
pub mod claims;
mod client_auth;
pub(crate) mod clock;
pub mod compact;
pub(crate) mod email;
pub(crate) mod github;
pub(crate) mod key_lookup;
pub mod keys;
pub mod logout_token;
pub mod metadata;
pub mod provider;
pub mod token;
pub(crate) mod token_flow;

pub use authorization::authorization_url;
