//! The proxy's own endpoints on every route's host. Nothing below `/.pomerium` ever reaches an upstream.

use crate::contract::{CALLBACK_PATH, OWN_PREFIX, SIGN_IN_HOST_CALLBACK};
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::api_client::PROGRAMMATIC_LOGIN;
use crate::gate::clear_cookies::CLEAR_COOKIES;
use crate::gate::cockpit::token::TOKEN_PATH;
use crate::gate::provider_logout::{BACKCHANNEL_LOGOUT, FRONTCHANNEL_LOGOUT};
use crate::gate::sign_in::SIGN_IN;
use crate::gate::sign_out::{SIGN_OUT, SIGNED_OUT};
use crate::gate::step::Step;
use crate::http::reply::{Reply, plain, public};
use crate::http::request::Parsed;
use crate::refusal::Refusal;

/// The endpoints with a fixed list of methods.
const ENDPOINTS: &[(&str, &str)] = &[
    ("/ping", "GET, HEAD"),
    ("/healthz", "GET, HEAD"),
    ("/.pomerium", "GET, HEAD"),
    (SESSION_PAGE, "GET, HEAD"),
    (USER, "GET, HEAD"),
    (SIGN_IN, "GET"),
    (PROGRAMMATIC_LOGIN, "GET, POST"),
    (SIGN_OUT, "GET, POST"),
    (SIGNED_OUT, "GET"),
    (CLEAR_COOKIES, "GET, POST"),
    (BACKCHANNEL_LOGOUT, "POST"),
    (FRONTCHANNEL_LOGOUT, "GET"),
    (TOKEN_PATH, "GET"),
    (WELL_KNOWN, "GET, HEAD"),
    ("/.well-known/pomerium/", "GET, HEAD"),
    (KEY_SET, "GET, HEAD"),
];

/// Where users see their session.
pub(super) const SESSION_PAGE: &str = "/.pomerium/";
/// Where an application asks who the user is.
const USER: &str = "/.pomerium/user";
/// Where an application finds the addresses for verifying assertions.
const WELL_KNOWN: &str = "/.well-known/pomerium";
/// The public keys of assertions (RFC 7517 section 5).
const KEY_SET: &str = "/.well-known/pomerium/jwks.json";

/// Returns whether a path is a health check's. Health checks do not know a public name, so they are answered for every host,
/// including addresses.
pub(super) fn is_health_path(path: &str) -> bool {
    matches!(path, "/ping" | "/healthz")
}

/// Returns whether a path belongs to the proxy itself on every host, whatever the routes say.
pub(super) fn is_own_path(path: &str, is_sign_in_host: bool) -> bool {
    let below = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(OWN_PREFIX) || below(WELL_KNOWN) || (is_sign_in_host && path == SIGN_IN_HOST_CALLBACK)
}

impl Gate {
    /// Answers a request for one of the proxy's own endpoints.
    pub(super) fn answer_own_endpoint(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        match (request.path(), request.method) {
            (path, "GET" | "HEAD") if is_health_path(path) => {
                Step::Reply(plain(200, "OK\n", "health"))
            }
            (CALLBACK_PATH, "GET") if self.router.signs_in_elsewhere(request) => {
                self.redeem_ticket(request, env)
            }
            (CALLBACK_PATH | SIGN_IN_HOST_CALLBACK, "GET") => self.answer_callback(request, env),
            (CALLBACK_PATH | SIGN_IN_HOST_CALLBACK, "POST") => {
                self.answer_form_callback(request, env)
            }
            ("/.pomerium" | SESSION_PAGE, "GET" | "HEAD") => {
                Step::Reply(self.describe_session(request, env))
            }
            (USER, "GET" | "HEAD") => self.describe_user(request, env),
            (SIGN_IN, "GET") => self.answer_sign_in(request, env),
            (PROGRAMMATIC_LOGIN, "GET") => self.begin_programmatic_login(request, env),
            (PROGRAMMATIC_LOGIN, "POST") => self.hand_over_session(request, env),
            (SIGN_OUT, "GET") => match self.cross_host_sign_out(request, env) {
                Some(step) => step,
                None => Step::Reply(self.confirm_sign_out(request, env)),
            },
            (CLEAR_COOKIES, "GET") => Step::Reply(self.confirm_clear_cookies(request)),
            (CLEAR_COOKIES, "POST") => self.clear_cookies(request),
            (SIGN_OUT, "POST") => self.sign_out(request, env),
            (BACKCHANNEL_LOGOUT, "POST") => self.backchannel_logout(request, env),
            (FRONTCHANNEL_LOGOUT, "GET") => self.frontchannel_logout(request, env),
            (SIGNED_OUT, "GET") => Step::Reply(self.confirm_signed_out(request, env)),
            (TOKEN_PATH, "GET") => self.answer_cockpit_token(request, env),
            (WELL_KNOWN | "/.well-known/pomerium/", "GET" | "HEAD") => {
                Step::Reply(self.describe_endpoints(request))
            }
            (KEY_SET, "GET" | "HEAD") => Step::Reply(public(self.key_set(), "key set")),
            (path, _) if self.pages.methods(path).is_some() => {
                self.pages.refuse(request, Refusal::MethodNotAllowed)
            }
            _ => self.pages.refuse(request, Refusal::NotFound),
        }
    }

    /// Describes the endpoints of this host, for applications.
    fn describe_endpoints(&self, request: &Parsed<'_>) -> Reply {
        let origin = request.authority.origin();
        let description = serde_json::json!({
            "issuer": format!("https://{}/", request.authority.host),
            "authentication_callback_endpoint": self.registered_callback(request),
            "jwks_uri": format!("{origin}{KEY_SET}"),
            "frontchannel_logout_uri": format!("{origin}{FRONTCHANNEL_LOGOUT}"),
            "backchannel_logout_uri": format!("{origin}{BACKCHANNEL_LOGOUT}"),
        });
        public(description.to_string(), "description")
    }

    /// Returns the public keys of assertions; none when no route forwards an identity.
    fn key_set(&self) -> String {
        match &self.identity.signing_key {
            Some(key) => key.key_set(),
            None => r#"{"keys":[]}"#.to_owned(),
        }
    }
}

/// Returns the methods of one of the proxy's own endpoints; `None` where there is no endpoint.
pub(super) fn allowed_methods(path: &str, accepts_form_post: bool) -> Option<&'static str> {
    if matches!(path, CALLBACK_PATH | SIGN_IN_HOST_CALLBACK) {
        return Some(if accepts_form_post {
            "GET, POST"
        } else {
            "GET"
        });
    }
    let known = ENDPOINTS.iter().find(|(known, _)| *known == path);
    known.map(|(_, methods)| *methods)
}
