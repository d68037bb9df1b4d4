//! The authorization endpoint: checks the request, shows the accounts, and sends a code to the client (RFC 6749 section
//! 4.1, RFC 7636, OpenID Connect Core section 3.1.2).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::account::Account;
use super::parameters::Parameters;
use super::{Asked, NoRandomness, Provider, SIGN_IN_LIFETIME, pages, reply, unguessable};

/// Path of the endpoint.
pub(super) const PATH: &str = "/authorize";
/// Binds the form to the browser that requested it; the name of the sign-in follows, so that several tabs do not replace each
/// other's cookies. Browsers send cookies to every port of a host; the path keeps this cookie from the application when both
/// have the same host.
const COOKIE: &str = "__Secure-jetway-demo-sign-in-";
/// Length of an S256 challenge and of [`unguessable`]: 32 bytes in base64url.
const DIGEST_CHARACTERS: usize = 43;

/// A sign-in whose page shows the accounts.
pub(super) struct Pending {
    browser: String,
    request: AuthorizationRequest,
}

/// The grant of a code.
pub(super) struct Grant {
    pub(super) account: &'static Account,
    pub(super) request: AuthorizationRequest,
}

/// An authorization request that passed every check.
pub(super) struct AuthorizationRequest {
    pub(super) redirect_uri: String,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: String,
    pub(super) code_challenge: String,
    state: String,
}

/// An error that is sent to the client by redirect (RFC 6749 section 4.1.2.1).
struct Refused {
    code: &'static str,
    description: &'static str,
}

impl Provider {
    /// Answers an authorization request with the sign-in page.
    pub(super) fn begin_sign_in(
        &mut self,
        asked: &Asked<'_>,
    ) -> Result<Response<Bytes>, NoRandomness> {
        let parameters = match Parameters::parse(asked.query.as_bytes()) {
            Ok(parameters) => parameters,
            Err(error) => return Ok(pages::problem(StatusCode::BAD_REQUEST, &error.to_string())),
        };
        // Until client and redirect URI are known to be registered, the browser is not redirected.
        if !parameters.is("client_id", self.client.id()) {
            return Ok(pages::problem(
                StatusCode::BAD_REQUEST,
                "the client is not registered",
            ));
        }
        if !parameters.is("redirect_uri", self.client.redirect_uri()) {
            return Ok(pages::problem(
                StatusCode::BAD_REQUEST,
                "the redirect URI is not registered for this client",
            ));
        }
        match check(&parameters, self.client.redirect_uri()) {
            Err(refused) => Ok(self.send_back_error(parameters.value("state"), &refused)),
            Ok(request) => self.show_accounts(request, asked.now),
        }
    }

    /// Answers the form of the sign-in page with a code for the client.
    pub(super) fn finish_sign_in(
        &mut self,
        asked: &Asked<'_>,
    ) -> Result<Response<Bytes>, NoRandomness> {
        let form = match Parameters::parse(asked.body) {
            Ok(form) => form,
            Err(error) => return Ok(pages::problem(StatusCode::BAD_REQUEST, &error.to_string())),
        };
        let name = form.value("request").unwrap_or_default();
        let browser = browser_of(asked.headers, name);
        let known = self.pending.find(name, asked.now);
        if known.is_none_or(|pending| Some(pending.browser.as_str()) != browser) {
            return Ok(pages::problem(
                StatusCode::BAD_REQUEST,
                "this sign-in has ended, or it was begun in another browser: open the application again",
            ));
        }
        let account = form.value("account").and_then(Account::named);
        let cancelled = form.value("cancel").is_some();
        if account.is_none() && !cancelled {
            return Ok(pages::problem(
                StatusCode::BAD_REQUEST,
                "there is no such demo account",
            ));
        }
        let Some(pending) = self.pending.take(name, asked.now) else {
            return Ok(pages::problem(
                StatusCode::BAD_REQUEST,
                "this sign-in has ended: open the application again",
            ));
        };
        let mut answer = match account {
            Some(account) if !cancelled => {
                self.send_back_code(account, pending.request, asked.now)?
            }
            _ => {
                let refused = Refused {
                    code: "access_denied",
                    description: "the user cancelled the sign-in",
                };
                self.send_back_error(Some(&pending.request.state), &refused)
            }
        };
        add_cookie(&mut answer, name, "", 0);
        Ok(answer)
    }

    fn show_accounts(
        &mut self,
        request: AuthorizationRequest,
        now: u64,
    ) -> Result<Response<Bytes>, NoRandomness> {
        let browser = unguessable()?;
        let pending = Pending {
            browser: browser.clone(),
            request,
        };
        let name = self.pending.keep(pending, now)?;
        let mut answer = pages::sign_in(&self.client.origin(), &name, self.rights);
        add_cookie(&mut answer, &name, &browser, SIGN_IN_LIFETIME);
        Ok(answer)
    }

    fn send_back_code(
        &mut self,
        account: &'static Account,
        request: AuthorizationRequest,
        now: u64,
    ) -> Result<Response<Bytes>, NoRandomness> {
        let state = request.state.clone();
        let code = self.grants.keep(Grant { account, request }, now)?;
        Ok(self.send_back(&[("code", &code), ("state", &state)]))
    }

    fn send_back_error(&self, state: Option<&str>, refused: &Refused) -> Response<Bytes> {
        let mut parameters = vec![
            ("error", refused.code),
            ("error_description", refused.description),
        ];
        parameters.extend(state.map(|state| ("state", state)));
        self.send_back(&parameters)
    }

    /// Redirects to the client and names the issuer (RFC 9207).
    fn send_back(&self, parameters: &[(&str, &str)]) -> Response<Bytes> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .append_pair("iss", &self.issuer)
            .finish();
        reply::see_other(&format!("{}?{query}", self.client.redirect_uri()))
    }
}

/// Checks all parts of the request except its client.
fn check(parameters: &Parameters, redirect_uri: &str) -> Result<AuthorizationRequest, Refused> {
    let refuse = |code, description| Err(Refused { code, description });
    if !parameters.is("response_type", "code") {
        return refuse(
            "unsupported_response_type",
            "only response_type=code is offered",
        );
    }
    if parameters
        .value("response_mode")
        .is_some_and(|mode| mode != "query")
    {
        return refuse("invalid_request", "only response_mode=query is offered");
    }
    if parameters.value("request").is_some() || parameters.value("request_uri").is_some() {
        return refuse("request_not_supported", "request objects are not offered");
    }
    if parameters.is("prompt", "none") {
        return refuse("login_required", "the user has to choose an account");
    }
    let scopes: Vec<String> = parameters
        .value("scope")
        .unwrap_or_default()
        .split(' ')
        .map(ToOwned::to_owned)
        .collect();
    if !scopes.iter().any(|scope| scope == "openid") {
        return refuse("invalid_scope", "the scope has to contain openid");
    }
    let Some(state) = parameters.value("state") else {
        return refuse("invalid_request", "a state is required");
    };
    let Some(nonce) = parameters.value("nonce") else {
        return refuse("invalid_request", "a nonce is required");
    };
    let challenge = parameters
        .value("code_challenge")
        .filter(|challenge| is_digest(challenge));
    let Some(code_challenge) = challenge.filter(|_| parameters.is("code_challenge_method", "S256"))
    else {
        return refuse(
            "invalid_request",
            "a code_challenge with code_challenge_method=S256 is required",
        );
    };
    Ok(AuthorizationRequest {
        redirect_uri: redirect_uri.to_owned(),
        scopes,
        nonce: nonce.to_owned(),
        code_challenge: code_challenge.to_owned(),
        state: state.to_owned(),
    })
}

/// Returns whether the value has the form of 32 bytes in base64url.
fn is_digest(text: &str) -> bool {
    text.len() == DIGEST_CHARACTERS
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Sets the cookie of a sign-in. With a lifetime of 0 the browser removes it.
fn add_cookie(answer: &mut Response<Bytes>, sign_in: &str, value: &str, lifetime: u64) {
    let cookie = format!(
        "{COOKIE}{sign_in}={value}; Path={PATH}; Max-Age={lifetime}; Secure; HttpOnly; SameSite=Lax"
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Returns the value of the cookie of a sign-in; the first one if there are several.
fn browser_of<'a>(headers: &'a HeaderMap, sign_in: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.strip_prefix(COOKIE) == Some(sign_in))
        .map(|(_, value)| value)
}
