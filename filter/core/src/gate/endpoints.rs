//! Our own endpoints on every route's host. Nothing below `/.pomerium` ever reaches an upstream.

use super::clear_cookies::CLEAR_COOKIES;
use super::cockpit::token::TOKEN_PATH;
use super::program::PROGRAM_LOGIN;
use super::provider_logout::{BACKCHANNEL_LOGOUT, FRONTCHANNEL_LOGOUT};
use super::sign_in::SIGN_IN;
use super::sign_out::{SIGN_OUT, SIGNED_OUT};
use super::{Gate, line};
use crate::contract::{CALLBACK_PATH, OWN_PREFIX, SIGN_IN_HOST_CALLBACK};
use crate::env::Env;
use crate::gate::step::Step;
use crate::http::reply::{Audience, Extras, Reply, plain, public, refuse};
use crate::http::request::Parsed;
use crate::refusal::Refusal;

/// Endpoints that exist, each with its methods.
const ENDPOINTS: &[(&str, &str)] = &[
    ("/ping", "GET, HEAD"),
    ("/healthz", "GET, HEAD"),
    ("/.pomerium", "GET, HEAD"),
    ("/.pomerium/", "GET, HEAD"),
    (USER, "GET, HEAD"),
    (SIGN_IN, "GET"),
    (PROGRAM_LOGIN, "GET, POST"),
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

/// Who the visitor is, as an application is told.
const USER: &str = "/.pomerium/user";
/// Where an application finds what it needs to verify assertions.
const WELL_KNOWN: &str = "/.well-known/pomerium";
/// The public keys of assertions (RFC 7517 section 5).
const KEY_SET: &str = "/.well-known/pomerium/jwks.json";

/// Whether a path is a health check's. Those do not send a public name: they are answered for every host, addresses included.
pub(super) fn is_health(path: &str) -> bool {
    matches!(path, "/ping" | "/healthz")
}

/// Whether a path is ours on every host, whatever the routes say.
pub(super) fn is_own(path: &str, is_sign_in_host: bool) -> bool {
    let below = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(OWN_PREFIX) || below(WELL_KNOWN) || (is_sign_in_host && path == SIGN_IN_HOST_CALLBACK)
}

impl Gate {
    pub(super) fn answer_own(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        match (request.path(), request.method) {
            ("/ping" | "/healthz", "GET" | "HEAD") => Step::Reply(plain(200, "OK\n", "health")),
            (CALLBACK_PATH, "GET") if self.signs_in_elsewhere(request) => {
                self.take_ticket(request, env)
            }
            (CALLBACK_PATH | SIGN_IN_HOST_CALLBACK, "GET") => self.answer_callback(request, env),
            (CALLBACK_PATH | SIGN_IN_HOST_CALLBACK, "POST") => self.answer_form(request, env),
            ("/.pomerium" | "/.pomerium/", "GET" | "HEAD") => {
                Step::Reply(self.who_am_i(request, env))
            }
            (USER, "GET" | "HEAD") => self.user(request, env),
            (SIGN_IN, "GET") => self.answer_sign_in(request, env),
            (PROGRAM_LOGIN, "GET") => self.begin_program_login(request, env),
            (PROGRAM_LOGIN, "POST") => self.hand_over(request, env),
            (SIGN_OUT, "GET") => match self.cross_host_sign_out(request, env) {
                Some(step) => step,
                None => Step::Reply(self.confirm_sign_out(request)),
            },
            (CLEAR_COOKIES, "GET") => Step::Reply(self.confirm_clear_cookies(request)),
            (CLEAR_COOKIES, "POST") => self.clear_cookies(request),
            (SIGN_OUT, "POST") => self.sign_out(request, env),
            (BACKCHANNEL_LOGOUT, "POST") => self.backchannel_logout(request, env),
            (FRONTCHANNEL_LOGOUT, "GET") => self.frontchannel_logout(request, env),
            (SIGNED_OUT, "GET") => Step::Reply(self.signed_out(request, env)),
            (TOKEN_PATH, "GET") => self.answer_cockpit_token(request, env),
            (WELL_KNOWN | "/.well-known/pomerium/", "GET" | "HEAD") => {
                Step::Reply(self.describe(request))
            }
            (KEY_SET, "GET" | "HEAD") => Step::Reply(public(self.key_set(), "key set")),
            (path, _) if self.methods(path).is_some() => {
                self.refuse(request, Refusal::MethodNotAllowed)
            }
            _ => self.refuse(request, Refusal::NotFound),
        }
    }

    /// Where things are on this host, for applications.
    fn describe(&self, request: &Parsed<'_>) -> Reply {
        let origin = request.authority.origin();
        let description = serde_json::json!({
            "issuer": format!("https://{}/", request.authority.host),
            "authentication_callback_endpoint": self.described_callback(request),
            "jwks_uri": format!("{origin}{KEY_SET}"),
            "frontchannel_logout_uri": format!("{origin}{FRONTCHANNEL_LOGOUT}"),
            "backchannel_logout_uri": format!("{origin}{BACKCHANNEL_LOGOUT}"),
        });
        public(description.to_string(), "description")
    }

    /// The public keys of assertions; none when no route tells anybody's identity.
    fn key_set(&self) -> String {
        match &self.config.identity.signing_key {
            Some(key) => key.key_set(),
            None => r#"{"keys":[]}"#.to_owned(),
        }
    }

    /// The methods of one of our own endpoints; `None` where there is none.
    pub(super) fn methods(&self, path: &str) -> Option<&'static str> {
        if matches!(path, CALLBACK_PATH | SIGN_IN_HOST_CALLBACK) {
            let provider = self.provider.as_ref();
            let posts = provider.is_some_and(|provider| provider.settings().form_post);
            return Some(if posts { "GET, POST" } else { "GET" });
        }
        let known = ENDPOINTS.iter().find(|(known, _)| *known == path);
        known.map(|(_, methods)| *methods)
    }

    /// A refusal of a sign-in that offers to begin again.
    pub(super) fn refuse_sign_in(
        &self,
        refusal: Refusal,
        note: Option<&str>,
        audience: &Audience,
    ) -> Reply {
        let extras = Extras {
            link: Some(("/.pomerium/sign_in", "Sign in again")),
            note,
            ..Extras::default()
        };
        let event = match note {
            Some(note) => format!("{} ({note})", line(refusal)),
            None => line(refusal),
        };
        refuse(refusal, extras, audience, event)
    }
}
