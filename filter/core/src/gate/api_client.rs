//! API clients: programmatic login, by which a user hands a session to one, and the provider's own tokens.

mod bearer;
mod handover;

pub(super) use handover::STRANDED;

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::BearerFormat;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::api_client::bearer::BearerTokens;
use crate::gate::cookie_vault::CookieVault;
use crate::gate::sessions::Authentication;
use crate::gate::sign_in::SIGN_IN;
use crate::gate::step::Step;
use crate::http::reply::plain;
use crate::http::request::Parsed;
use crate::limits::ATTEMPT_LIFETIME;
use crate::refusal::{BadRequest, Refusal};
use crate::session::seal::Purpose;
use crate::time::Timestamp;

/// Where an API client gets the address at which its user signs in, as in Pomerium.
pub(super) const PROGRAMMATIC_LOGIN: &str = "/.pomerium/api/v1/login";
/// The parameter with the address at which the API client listens.
const REDIRECT_URI: &str = "pomerium_redirect_uri";
/// The longest address of an API client.
const MAX_ADDRESS: usize = 1024;

/// The part of the gate for API clients.
#[derive(Debug)]
pub(super) struct ApiClients {
    vault: Rc<CookieVault>,
    /// The hosts on which API clients may listen for a session.
    hosts: Vec<String>,
    /// Tokens of the provider that were verified recently.
    tokens: BearerTokens,
}

/// A programmatic login that waits for its user.
#[derive(Serialize, Deserialize)]
struct PendingLogin {
    #[serde(rename = "r")]
    redirect_uri: String,
    #[serde(rename = "t")]
    asked_at: Timestamp,
}

/// The credentials of a request that has no cookie.
enum Credential<'a> {
    /// A session of this deployment.
    Own(&'a [u8]),
    /// A token of the provider.
    Provider(&'a str),
}

impl ApiClients {
    pub(super) fn new(vault: Rc<CookieVault>, hosts: Vec<String>) -> Self {
        Self {
            vault,
            hosts,
            tokens: BearerTokens::default(),
        }
    }

    /// Returns the address of an API client, when a session may be sent there: on a host that the operator has named.
    fn check_address(&self, address: &str) -> Option<Url> {
        if address.len() > MAX_ADDRESS {
            return None;
        }
        let url = Url::parse(address).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        })?;
        let host = url.host_str()?;
        let is_known = self
            .hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(host));
        is_known.then_some(url)
    }

    /// Opens a pending login of this host, unless it has expired.
    fn open_login(&self, host: &str, sealed: &str, now: Timestamp) -> Option<PendingLogin> {
        let pending: PendingLogin =
            self.vault
                .open(Purpose::CrossHostRequest, host, sealed.as_bytes())?;
        let is_valid = now.since(pending.asked_at) < ATTEMPT_LIFETIME
            && self.check_address(&pending.redirect_uri).is_some();
        is_valid.then_some(pending)
    }
}

impl Gate {
    /// Tells an API client where its user signs in.
    pub(super) fn begin_programmatic_login(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let Some(address) = request.parameter(REDIRECT_URI) else {
            return self.pages.refuse(request, Refusal::NotFound);
        };
        if self.api_clients.check_address(&address).is_none() {
            let refusal = Refusal::BadRequest(BadRequest::RedirectUri);
            return self.pages.refuse(request, refusal);
        }
        let pending = PendingLogin {
            redirect_uri: address,
            asked_at: env.now,
        };
        let (host, vault) = (&request.authority.host, &self.api_clients.vault);
        match vault.seal(Purpose::CrossHostRequest, host, &pending, env) {
            Some(sealed) => {
                let origin = request.authority.origin();
                let address = format!("{origin}{SIGN_IN}?api_client={sealed}");
                Step::Reply(plain(200, &address, "programmatic login begun"))
            }
            None => self.pages.refuse(request, Refusal::Internal),
        }
    }

    /// Signs a user in for an API client, and asks whether the API client may have a session.
    pub(super) fn sign_in_for_api_client(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        env: &mut Env<'_>,
    ) -> Step {
        let host = &request.authority.host;
        let Some(pending) = self.api_clients.open_login(host, sealed, env.now) else {
            let refusal = Refusal::BadRequest(BadRequest::RedirectUri);
            return self.pages.refuse(request, refusal);
        };
        match self.sessions.authenticate(request, env).session {
            Some(session) => self.ask_for_handover(request, &pending.redirect_uri, &session, env),
            None => self.sign_in(request, &request.target, env),
        }
    }

    /// Authenticates an API client by what its request has instead of a cookie; `None` when there is nothing for the proxy.
    ///
    /// # Errors
    /// A step to take first, or the refusal of an invalid token.
    pub(super) fn authenticate_api_client(
        &self,
        request: &Parsed<'_>,
        format: BearerFormat,
        env: &mut Env<'_>,
    ) -> Result<Option<Authentication>, Box<Step>> {
        let session = match read_credential(request) {
            None => return Ok(None),
            Some(Credential::Own(sealed)) => self
                .handed_over_session(request, sealed, env)
                .map_err(|why| self.refuse_token(request, why))?,
            Some(Credential::Provider(_)) if format == BearerFormat::Session => return Ok(None),
            Some(Credential::Provider(token)) => {
                self.bearer_session(request, token, format, env)?
            }
        };
        Ok(Some(Authentication::by_header(session)))
    }

    /// Refuses an invalid token.
    fn refuse_token(&self, request: &Parsed<'_>, why: &str) -> Box<Step> {
        Box::new(
            self.pages
                .refuse_because(request, Refusal::BearerToken, why),
        )
    }
}

/// Returns the credential in the headers that API clients use, as in Pomerium.
fn read_credential<'a>(request: &Parsed<'a>) -> Option<Credential<'a>> {
    if let Some(sealed) = request.pomerium_authorization {
        return Some(Credential::Own(sealed));
    }
    let (scheme, rest) = split_scheme(request.authorization?)?;
    if scheme.eq_ignore_ascii_case(b"pomerium") {
        return Some(Credential::Own(rest));
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    match rest.strip_prefix(b"Pomerium-") {
        Some(sealed) => Some(Credential::Own(sealed)),
        None => std::str::from_utf8(rest).ok().map(Credential::Provider),
    }
}

/// Returns whether an `Authorization` header has a credential for the proxy, which the upstream must not see. Proxies join
/// several lines by commas, so that each part is checked.
pub(super) fn is_own_authorization(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|part| {
        split_scheme(part.trim_ascii()).is_some_and(|(scheme, rest)| {
            scheme.eq_ignore_ascii_case(b"pomerium")
                || (scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b"Pomerium-"))
        })
    })
}

fn split_scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = value.iter().position(u8::is_ascii_whitespace)?;
    let (scheme, rest) = value.split_at_checked(space)?;
    Some((scheme, rest.trim_ascii()))
}
