//! Our own endpoints on every route's host. Nothing below `/.pomerium` ever reaches an upstream.

use super::{Gate, line};
use crate::config::Origin;
use crate::contract::{CALLBACK_PATH, OWN_PREFIX};
use crate::env::Env;
use crate::refusal::Refusal;
use crate::reply::{Audience, Extras, page, plain, public, redirect, refuse};
use crate::request::Parsed;
use crate::step::{Reply, Step};

/// Endpoints that exist, for telling a wrong method from a wrong address.
const ENDPOINTS: [&str; 11] = [
    "/ping",
    "/healthz",
    CALLBACK_PATH,
    "/.pomerium",
    "/.pomerium/",
    "/.pomerium/sign_in",
    "/.pomerium/sign_out",
    "/.pomerium/signed_out",
    WELL_KNOWN,
    "/.well-known/pomerium/",
    KEY_SET,
];

/// Where an application finds what it needs to verify assertions.
const WELL_KNOWN: &str = "/.well-known/pomerium";
/// The public keys of assertions (RFC 7517 section 5).
const KEY_SET: &str = "/.well-known/pomerium/jwks.json";

/// Whether a path is ours on every host, whatever the routes say.
pub(super) fn is_own(path: &str) -> bool {
    let below = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(OWN_PREFIX) || below(WELL_KNOWN) || matches!(path, "/ping" | "/healthz")
}

impl Gate {
    pub(super) fn answer_own(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        match (request.path(), request.method) {
            ("/ping" | "/healthz", "GET" | "HEAD") => Step::Reply(plain(200, "OK\n", "health")),
            (CALLBACK_PATH, "GET") => self.answer_callback(request, env),
            (CALLBACK_PATH, "POST") => self.answer_form(request, env),
            ("/.pomerium" | "/.pomerium/", "GET") => Step::Reply(self.who_am_i(request, env)),
            ("/.pomerium/sign_in", "GET") => self.sign_in(request, "/", env),
            ("/.pomerium/sign_out", "GET") => Step::Reply(self.confirm_sign_out(request)),
            ("/.pomerium/sign_out", "POST") => self.sign_out(request),
            ("/.pomerium/signed_out", "GET") => Step::Reply(signed_out(request)),
            (WELL_KNOWN | "/.well-known/pomerium/", "GET" | "HEAD") => {
                Step::Reply(self.describe(request))
            }
            (KEY_SET, "GET" | "HEAD") => Step::Reply(public(self.key_set(), "key set")),
            (path, _) if ENDPOINTS.contains(&path) => {
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
            "authentication_callback_endpoint": format!("{origin}{CALLBACK_PATH}"),
            "jwks_uri": format!("{origin}{KEY_SET}"),
            "frontchannel_logout_uri": format!("{origin}/.pomerium/sign_out"),
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

    fn who_am_i(&self, request: &Parsed<'_>, env: &Env<'_>) -> Reply {
        let audience = Audience::of(request);
        match self.visit(request, env).session {
            Some(session) => {
                let target = self.end_session_origin();
                let extras = Extras {
                    account: Some(session.account()),
                    sign_out: true,
                    form_target: target.as_deref(),
                    ..Extras::default()
                };
                page(
                    200,
                    "Your session",
                    "This is who you are for the applications on this host.",
                    extras,
                    &audience,
                )
            }
            None => {
                let extras = Extras {
                    link: Some(("/.pomerium/sign_in", "Sign in")),
                    ..Extras::default()
                };
                page(
                    200,
                    "Nobody is signed in",
                    "Sign in to use the applications on this host.",
                    extras,
                    &audience,
                )
            }
        }
    }

    /// A link cannot sign anybody out: it only leads to this question.
    fn confirm_sign_out(&self, request: &Parsed<'_>) -> Reply {
        let target = self.end_session_origin();
        let extras = Extras {
            sign_out: true,
            form_target: target.as_deref(),
            ..Extras::default()
        };
        page(
            200,
            "Sign out?",
            "You can sign in again at any time.",
            extras,
            &Audience::of(request),
        )
    }

    /// Ends the session here and, where the provider offers it, there (OpenID Connect RP-Initiated Logout 1.0).
    fn sign_out(&self, request: &Parsed<'_>) -> Step {
        if !is_from_here(request) {
            return self.refuse(request, Refusal::ForeignOrigin);
        }
        let home = format!("{}/.pomerium/signed_out", request.authority.origin());
        let location = self.end_session_address(&home).unwrap_or(home);
        let reply = redirect(location, "signed out".to_owned());
        let own = request.own_cookies(&self.cookies);
        Step::Reply(reply.with_cookies(self.cookies.clear_session(&own)))
    }

    fn end_session_address(&self, home: &str) -> Option<String> {
        let (provider, metadata) = self.known_provider()?;
        let mut address = metadata.discovered.end_session_endpoint.clone()?;
        address
            .query_pairs_mut()
            .append_pair("client_id", &provider.settings().client_id)
            .append_pair("post_logout_redirect_uri", home);
        Some(address.into())
    }

    /// For the pages' Content-Security-Policy.
    pub(super) fn end_session_origin(&self) -> Option<String> {
        let (_, metadata) = self.known_provider()?;
        let address = metadata.discovered.end_session_endpoint.as_ref()?;
        Origin::of(address).map(|origin| origin.to_string())
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

fn signed_out(request: &Parsed<'_>) -> Reply {
    let extras = Extras {
        link: Some(("/", "Sign in again")),
        ..Extras::default()
    };
    page(
        200,
        "You are signed out",
        "Close the browser on a shared computer.",
        extras,
        &Audience::of(request),
    )
}

/// Browsers tell where a form came from, in `Origin` and `Sec-Fetch-Site`; whoever tells neither is refused.
fn is_from_here(request: &Parsed<'_>) -> bool {
    match request.origin {
        // A page with `Referrer-Policy: no-referrer`, as ours are, sends `null` and leaves it to `Sec-Fetch-Site`.
        Some(origin) if origin != b"null" => origin == request.authority.origin().as_bytes(),
        _ => request.client.is_same_site() == Some(true),
    }
}
