//! Programs instead of browsers: a session that a person hands to one, and the provider's own tokens.

mod handed;
mod tokens;

pub(super) use handed::STRANDED;
pub(super) use tokens::BearerTokens;

use serde::{Deserialize, Serialize};
use url::Url;

use super::Gate;
use super::authenticate::{Authentication, Cookies};
use super::sign_in::SIGN_IN;
use crate::config::BearerFormat;
use crate::env::Env;
use crate::gate::step::Step;
use crate::http::reply::plain;
use crate::http::request::Parsed;
use crate::limits::ATTEMPT_LIFETIME;
use crate::refusal::{BadRequest, Refusal};
use crate::session::seal::Purpose;
use crate::time::Timestamp;

/// Where a program gets the address at which a person signs in for it, as in Pomerium.
pub(super) const PROGRAM_LOGIN: &str = "/.pomerium/api/v1/login";
/// The parameter in which the program says where it listens.
const REDIRECT_URI: &str = "pomerium_redirect_uri";
/// Longest address of a program.
const MAX_ADDRESS: usize = 1024;

/// A program that waits for a person.
#[derive(Serialize, Deserialize)]
struct Request {
    #[serde(rename = "r")]
    redirect_uri: String,
    #[serde(rename = "t")]
    asked_at: Timestamp,
}

/// What a request brings instead of a cookie.
enum Credential<'a> {
    /// A session of ours.
    Own(&'a [u8]),
    /// A token of the provider.
    Provider(&'a str),
}

impl Gate {
    /// Tells a program where its person signs in.
    pub(super) fn begin_program_login(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        let Some(address) = request.parameter(REDIRECT_URI) else {
            return self.refuse(request, Refusal::NotFound);
        };
        if self.program_at(&address).is_none() {
            return self.refuse(request, Refusal::BadRequest(BadRequest::RedirectUri));
        }
        let waiting = Request {
            redirect_uri: address,
            asked_at: env.now,
        };
        let host = &request.authority.host;
        let sealed = serde_json::to_vec(&waiting).ok().and_then(|plaintext| {
            let sealer = self.sealer.as_ref()?;
            sealer
                .seal(Purpose::CrossHostRequest, host, &plaintext, env)
                .ok()
        });
        match sealed {
            Some(sealed) => {
                let origin = request.authority.origin();
                let address = format!("{origin}{SIGN_IN}?program={sealed}");
                Step::Reply(plain(200, &address, "a program asks for a person"))
            }
            None => self.refuse(request, Refusal::Internal),
        }
    }

    /// A person signs in for a program, and is asked whether it may have a session.
    pub(super) fn sign_in_for_program(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        env: &mut Env<'_>,
    ) -> Step {
        let Some(waiting) = self.waiting_program(request, sealed, env.now) else {
            return self.refuse(request, Refusal::BadRequest(BadRequest::RedirectUri));
        };
        let visit = self.visit(request, env);
        match visit.session {
            Some(session) => self.ask_for_program(request, &waiting.redirect_uri, &session, env),
            None => self.sign_in(request, &request.target, env),
        }
    }

    fn waiting_program(
        &self,
        request: &Parsed<'_>,
        sealed: &str,
        now: Timestamp,
    ) -> Option<Request> {
        let sealer = self.sealer.as_ref()?;
        let host = &request.authority.host;
        let opened = sealer.open(Purpose::CrossHostRequest, host, sealed.as_bytes())?;
        let waiting: Request = serde_json::from_slice(&opened.plaintext).ok()?;
        let is_good = now.since(waiting.asked_at) < ATTEMPT_LIFETIME
            && self.program_at(&waiting.redirect_uri).is_some();
        is_good.then_some(waiting)
    }

    /// The address of a program, when a session may be sent there: on a host that the operator has named.
    fn program_at(&self, address: &str) -> Option<Url> {
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
        let mut programs = self.config.session.program_hosts.iter();
        let is_known = programs.any(|known| known.eq_ignore_ascii_case(host));
        is_known.then_some(url)
    }

    /// Who a program is, by what it brings instead of a cookie; `None` when it brings nothing that is for us.
    ///
    /// # Errors
    /// A step to take first, or the answer to a token that does not hold.
    pub(super) fn program(
        &self,
        request: &Parsed<'_>,
        format: BearerFormat,
        env: &mut Env<'_>,
    ) -> Result<Option<Authentication>, Box<Step>> {
        let session = match credential(request) {
            None => return Ok(None),
            Some(Credential::Own(sealed)) => self
                .handed_session(request, sealed, env)
                .map_err(|why| self.refuse_token(request, why))?,
            Some(Credential::Provider(_)) if format == BearerFormat::Session => return Ok(None),
            Some(Credential::Provider(token)) => {
                self.bearer_session(request, token, format, env)?
            }
        };
        Ok(Some(Authentication {
            session: Some(session),
            cookies: Cookies::Keep,
            by_header: true,
        }))
    }

    /// The answer to a token that does not hold.
    fn refuse_token(&self, request: &Parsed<'_>, why: &str) -> Box<Step> {
        Box::new(self.refuse_because(request, Refusal::BearerToken, why))
    }
}

/// What stands in the headers that programs use, as in Pomerium.
fn credential<'a>(request: &Parsed<'a>) -> Option<Credential<'a>> {
    if let Some(sealed) = request.pomerium_authorization {
        return Some(Credential::Own(sealed));
    }
    let (scheme, rest) = split(request.authorization?)?;
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

/// Whether an `Authorization` header has a credential for us in it, so that the upstream does not see it. Proxies join
/// several lines by commas: each part is looked at.
pub(super) fn is_own_authorization(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|part| {
        split(part.trim_ascii()).is_some_and(|(scheme, rest)| {
            scheme.eq_ignore_ascii_case(b"pomerium")
                || (scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b"Pomerium-"))
        })
    })
}

fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = value.iter().position(u8::is_ascii_whitespace)?;
    let (scheme, rest) = value.split_at_checked(space)?;
    Some((scheme, rest.trim_ascii()))
}
