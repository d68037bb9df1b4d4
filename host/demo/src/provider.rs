//! A small OpenID provider, so that `jetway-demo` shows a real sign-in without any external account.
//!
//! It checks all that a real provider checks (client, redirect URI, PKCE S256, nonce, single-use codes, client
//! authentication). It is a toy in its users: anyone can sign in as any of its accounts, without a password.

mod account;
mod authorize;
mod client;
mod discovery;
mod end_session;
mod expiring;
mod key;
mod owner;
mod pages;
mod parameters;
mod reply;
mod server;
mod token;
mod userinfo;

pub(crate) use account::{ACCOUNTS, Account, Rights};
pub(crate) use client::Client;
pub(crate) use owner::Owners;
pub(crate) use server::Listening;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};

use authorize::{Grant, Pending};
use expiring::Expiring;
use key::SigningKey;

/// Lifetime of a sign-in whose page is open, in seconds.
const SIGN_IN_LIFETIME: u64 = 600;
/// Lifetime of an authorization code, in seconds; RFC 6749 section 4.1.2 allows ten minutes at most.
const CODE_LIFETIME: u64 = 60;
/// Lifetime of an access token, in seconds: it is only used at the userinfo endpoint, right after the sign-in.
const ACCESS_TOKEN_LIFETIME: u64 = 300;
/// Most sign-ins, codes and access tokens that are kept. A new one replaces the oldest: a demo has a handful of users,
/// and its memory is bounded.
const MAX_KEPT: usize = 256;

/// The provider: its name, its one client, its key, and the sign-ins in progress.
pub(crate) struct Provider {
    issuer: String,
    client: Client,
    owners: Owners,
    rights: Rights,
    key: SigningKey,
    pending: Expiring<Pending>,
    grants: Expiring<Grant>,
    access: Expiring<Access>,
}

/// The grant of an access token.
struct Access {
    account: &'static Account,
    scopes: Vec<String>,
}

/// One request as the endpoints see it.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
    /// Seconds since 1970.
    now: u64,
}

/// The system has no random bytes to give, so no unguessable value can be made.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes from the system: {0}")]
pub(crate) struct NoRandomness(#[from] getrandom::Error);

impl Provider {
    /// Creates a provider with a new signing key that knows one client. `issuer` is its public origin, such as
    /// `https://idp.localhost:8444`; only connections of `owners` are answered.
    pub(crate) fn new(issuer: String, client: Client, owners: Owners, rights: Rights) -> Self {
        Self {
            issuer,
            client,
            owners,
            rights,
            key: SigningKey::generate(),
            pending: Expiring::new(MAX_KEPT, SIGN_IN_LIFETIME),
            grants: Expiring::new(MAX_KEPT, CODE_LIFETIME),
            access: Expiring::new(MAX_KEPT, ACCESS_TOKEN_LIFETIME),
        }
    }

    /// Answers one request. Invalid requests get a 4xx response.
    fn answer(&mut self, asked: &Asked<'_>) -> Response<Bytes> {
        let method = asked.method.as_str();
        let answer = match (asked.path, method) {
            (discovery::PATH, "GET") => Ok(reply::json(StatusCode::OK, &self.metadata())),
            (key::PATH, "GET") => Ok(reply::json(StatusCode::OK, &self.key.set())),
            (authorize::PATH, "GET") => self.begin_sign_in(asked),
            (authorize::PATH, "POST") => self.finish_sign_in(asked),
            (token::PATH, "POST") => self.redeem(asked),
            (userinfo::PATH, "GET" | "POST") => Ok(self.userinfo(asked)),
            (end_session::PATH, "GET" | "POST") => Ok(self.end_session(asked)),
            (pages::STYLE_PATH, "GET") => Ok(pages::style()),
            ("/", "GET") => Ok(pages::front(&self.client.origin())),
            _ => Ok(pages::problem(
                StatusCode::NOT_FOUND,
                "there is nothing at this address",
            )),
        };
        answer.unwrap_or_else(|NoRandomness(_)| {
            pages::problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "the system has no random bytes to give",
            )
        })
    }
}

/// Returns 32 random bytes as 43 characters of base64url, which cannot be guessed.
fn unguessable() -> Result<String, NoRandomness> {
    use base64::Engine as _;
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;
