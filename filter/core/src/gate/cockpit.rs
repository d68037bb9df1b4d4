//! Single sign-on into Cockpit, on routes with `cockpit`.
//!
//! Cockpit logs a browser in at `/cockpit/login`, by the `Authorization` header of that request. The proxy writes the
//! header: an assertion for this one login, which `jetway-cockpit-session` verifies on Cockpit's machine before it opens a
//! session as the Unix user. The browser gets no part of it. Cockpit's own login page brings the browser to that request:
//! `[OAuth]` in cockpit.conf makes the page fetch a token at [`token::TOKEN_PATH`]. The token that it gets is meaningless.

pub(super) mod close_problem;
pub(super) mod cookie;
pub(super) mod token;

use std::rc::Rc;

use crate::config::{
    CockpitSettings, FoundBy, IdentitySettings, LOGIN_HEADERS, Route, SessionSettings,
};
use crate::gate::Gate;
use crate::gate::cockpit::cookie::{Binder, Binding};
use crate::gate::decision::RouteContext;
use crate::gate::pages::{OTHER_ACCOUNT, refusal_event};
use crate::gate::step::Step;
use crate::http::edit::Edit;
use crate::http::header::is_alias;
use crate::http::reply::{Extras, redirect, refuse};
use crate::http::request::Parsed;
use crate::policy::{Decision, Facts};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::assertion::{Login, login_token};
use crate::session::unix_user::UnixUser;

/// A further header of a client by which Cockpit would act beyond what the proxy has authorized.
const SSH_HEADER: &str = "x-ssh-connect-unknown-hosts";
/// Cockpit's `ForwardedForHeader` accepts one address, not a list of proxies.
const CLIENT_HEADER: &str = "x-forwarded-for";
/// The path at which Cockpit logs a browser in, below its root.
const LOGIN: &str = "cockpit/login";
/// The scheme of answers to questions that a login asks, such as for a new password.
const CONVERSATION: &[u8] = b"x-conversation ";

/// Signs users on to Cockpit: authorizes their requests, logs them in, and binds Cockpit's cookies to their sessions.
#[derive(Debug)]
pub(super) struct CockpitSso {
    /// Binds Cockpit's cookies; only where a route leads to a Cockpit.
    binder: Option<Binder>,
    identity: Rc<IdentitySettings>,
}

/// A permitted request to Cockpit.
#[derive(Debug)]
pub(super) struct CockpitAccess<'a> {
    session: &'a Session,
    identity: CockpitIdentity,
    place: CockpitPlace,
    /// The binding of Cockpit's cookies to the user's session.
    pub(super) binding: Binding,
}

/// Why a permitted request does not reach Cockpit.
#[derive(Debug)]
pub(super) enum CockpitDenial {
    /// It is refused.
    Refused(Refusal),
    /// It is redirected to this path.
    Redirected(String),
    /// No Unix user is mapped to the user.
    Unmapped,
}

/// The identity of a user in Cockpit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CockpitIdentity {
    /// The Unix user.
    pub(crate) user: UnixUser,
    /// The key that names the user.
    pub(crate) by: FoundBy,
    /// Whether Cockpit gives administrative access at the login.
    pub(crate) administrator: bool,
}

impl CockpitIdentity {
    /// Returns the identity of the user of a request on a route; `None` when the route does not lead to a Cockpit.
    pub(super) fn on(route: &Route, facts: &Facts<'_>) -> Option<Self> {
        let cockpit = route.cockpit.as_ref()?;
        Self::of(cockpit, facts)
    }

    /// Returns the identity of the user of a request; `None` when no Unix user is mapped.
    ///
    /// Whether the user is an administrator is decided for the login, whatever is requested, because the login grants the
    /// access.
    pub(super) fn of(cockpit: &CockpitSettings, facts: &Facts<'_>) -> Option<Self> {
        let (user, by) = cockpit.user_of(facts.session?)?;
        let path = format!("{}/{LOGIN}", cockpit.url_root);
        let login = Facts {
            method: "GET",
            path: &path,
            preflight: false,
            ..*facts
        };
        let administrator = matches!(cockpit.administrators.decide(&login), Decision::Allow(_));
        Some(Self {
            user,
            by,
            administrator,
        })
    }
}

/// The meaning of a path to Cockpit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CockpitPlace {
    /// The login of this host.
    Login,
    /// Another host: `/=HOST/…` or `/cockpit+=HOST/…`.
    Elsewhere {
        /// Whether it is the login there, `/cockpit+=HOST/login`.
        login: bool,
    },
    /// Another application, `/cockpit+NAME/…`, which has a login of its own on this host.
    Application,
    /// Cockpit's root without the slash that it needs: some versions crash at such a request.
    Unslashed,
    /// Not below `UrlRoot`.
    Outside,
    /// Anything else of this host.
    Here,
}

impl CockpitPlace {
    /// Returns whether the response may begin a session of Cockpit's, on this host or on another.
    const fn is_login(self) -> bool {
        matches!(self, Self::Login | Self::Elsewhere { login: true })
    }
}

impl CockpitSso {
    pub(super) fn new(
        routes: &[Route],
        session: &SessionSettings,
        identity: Rc<IdentitySettings>,
    ) -> Self {
        let has_cockpit = routes.iter().any(|route| route.cockpit.is_some());
        let secret = session.secret.as_ref().filter(|_| has_cockpit);
        Self {
            binder: secret.map(|secret| Binder::new(secret, &session.previous_secrets)),
            identity,
        }
    }

    /// Returns whether a route leads to a Cockpit.
    pub(super) const fn is_configured(&self) -> bool {
        self.binder.is_some()
    }

    /// Authorizes a permitted request to Cockpit; `None` on other routes.
    ///
    /// # Errors
    /// Why the request does not get there.
    pub(super) fn authorize<'c>(
        &self,
        context: &RouteContext<'c, '_>,
    ) -> Result<Option<CockpitAccess<'c>>, CockpitDenial> {
        let Some(cockpit) = &context.matched.route.cockpit else {
            return Ok(None);
        };
        let internal = CockpitDenial::Refused(Refusal::Internal);
        let Some(session) = context.facts.session else {
            return Err(internal);
        };
        let place = place_of(context.facts.path, cockpit);
        match place {
            CockpitPlace::Elsewhere { .. } if !cockpit.allow_other_hosts => {
                return Err(CockpitDenial::Refused(Refusal::OtherHost));
            }
            CockpitPlace::Outside | CockpitPlace::Application => {
                return Err(CockpitDenial::Refused(Refusal::NotFound));
            }
            CockpitPlace::Unslashed => {
                return Err(CockpitDenial::Redirected(format!("{}/", cockpit.url_root)));
            }
            CockpitPlace::Login | CockpitPlace::Elsewhere { .. } | CockpitPlace::Here => {}
        }
        let identity =
            CockpitIdentity::of(cockpit, &context.facts).ok_or(CockpitDenial::Unmapped)?;
        let host = &context.request.authority.host;
        let binder = self.binder.as_ref().ok_or(internal)?;
        let binding = binder.bind(host, session, &identity);
        Ok(Some(CockpitAccess {
            session,
            binding: binding.of_login(place.is_login()),
            identity,
            place,
        }))
    }

    /// Adds the edits by which Cockpit learns who logs in, and removes everything else that says so.
    pub(super) fn edit_request(
        &self,
        context: &mut RouteContext<'_, '_>,
        access: &CockpitAccess<'_>,
        edits: &mut Vec<Edit<'static>>,
    ) -> Result<(), Refusal> {
        let request = context.request;
        edits.push(match request.source {
            Some(address) => {
                let address = address.to_canonical().to_string();
                Edit::set(CLIENT_HEADER, address.into_bytes())
            }
            None => Edit::Remove(CLIENT_HEADER.into()),
        });
        // A login to another host is between the user and that host.
        if matches!(access.place, CockpitPlace::Elsewhere { .. }) {
            return Ok(());
        }
        let named = request.headers.iter();
        let named = named.filter(|(name, _)| is_about_login(name));
        edits.extend(named.map(|(name, _)| Edit::Remove(name.clone().into())));
        if access.place != CockpitPlace::Login {
            return Ok(());
        }
        if let Some(answer) = conversation_answer(request) {
            edits.push(Edit::set(LOGIN_HEADERS[0], answer.to_vec()));
        } else if request.method == "GET" {
            let token = self.sign_login(context, access)?;
            let value = format!("Bearer {token}").into_bytes();
            edits.push(Edit::set(LOGIN_HEADERS[0], value));
        }
        if access.identity.administrator {
            edits.push(Edit::set(LOGIN_HEADERS[1], &b"any"[..]));
        }
        Ok(())
    }

    /// Signs the assertion for one login.
    fn sign_login(
        &self,
        context: &mut RouteContext<'_, '_>,
        access: &CockpitAccess<'_>,
    ) -> Result<String, Refusal> {
        let key = self.identity.signing_key.as_ref();
        let key = key.ok_or(Refusal::Internal)?;
        let id = context.env.bytes().map_err(|_| Refusal::Internal)?;
        let claims = Login {
            host: &context.request.authority.host,
            session: access.session,
            user: &access.identity.user,
            administrator: access.identity.administrator,
            client: context.request.source,
        };
        login_token(key, &claims, id, context.env.now).ok_or(Refusal::Internal)
    }
}

impl Gate {
    /// Answers a permitted request that does not reach Cockpit.
    pub(super) fn deny_cockpit(
        &self,
        context: &RouteContext<'_, '_>,
        denial: CockpitDenial,
    ) -> Step {
        match denial {
            CockpitDenial::Refused(refusal) => self.pages.refuse(context.request, refusal),
            CockpitDenial::Redirected(path) => {
                Step::Reply(redirect(path, "to Cockpit's root".to_owned()))
            }
            CockpitDenial::Unmapped => self.refuse_unmapped(context),
        }
    }

    fn refuse_unmapped(&self, context: &RouteContext<'_, '_>) -> Step {
        let refusal = Refusal::NoUnixUser;
        let account = context.facts.session.map(Session::account);
        let target = self.sign_out_targets();
        let extras = Extras {
            account,
            sign_out: Some(OTHER_ACCOUNT),
            form_target: target.as_deref(),
            ..Extras::default()
        };
        let event = format!(
            "{} route={:?}",
            refusal_event(refusal),
            context.matched.route.name,
        );
        let audience = self.pages.audience(context.request);
        Step::Reply(refuse(refusal, extras, &audience, event))
    }
}

/// Returns whether a header says who logs in to Cockpit, or how; in any spelling.
fn is_about_login(name: &str) -> bool {
    LOGIN_HEADERS
        .into_iter()
        .chain([SSH_HEADER])
        .any(|known| is_alias(name, known))
}

/// Returns the answer to a question of the login, when the client says nothing else about its identity.
fn conversation_answer<'r>(request: &Parsed<'r>) -> Option<&'r [u8]> {
    let mut lines = request
        .headers
        .iter()
        .filter(|(name, _)| is_alias(name, LOGIN_HEADERS[0]));
    let (name, value) = lines.next()?;
    let begins = value
        .get(..CONVERSATION.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(CONVERSATION));
    (name == LOGIN_HEADERS[0] && begins && lines.next().is_none()).then_some(value.as_slice())
}

/// Returns what a decoded path means to a Cockpit with this `UrlRoot`.
fn place_of(path: &str, cockpit: &CockpitSettings) -> CockpitPlace {
    let root = cockpit.url_root.as_str();
    let Some(below) = path.strip_prefix(root) else {
        return CockpitPlace::Outside;
    };
    if below.is_empty() {
        return CockpitPlace::Unslashed;
    }
    let Some(below) = below.strip_prefix('/') else {
        return CockpitPlace::Outside;
    };
    let (first, rest) = below.split_once('/').unwrap_or((below, ""));
    if first.starts_with('=') || first.starts_with("cockpit+=") {
        let login = rest == "login";
        CockpitPlace::Elsewhere { login }
    } else if first.starts_with("cockpit+") {
        CockpitPlace::Application
    } else if below == LOGIN {
        CockpitPlace::Login
    } else {
        CockpitPlace::Here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let at = |root: &str, path: &str| {
            let settings = CockpitSettings {
                url_root: root.to_owned(),
                ..CockpitSettings::default()
            };
            place_of(path, &settings)
        };
        for (root, path, place) in [
            ("", "/", CockpitPlace::Here),
            ("", "/cockpit/login", CockpitPlace::Login),
            ("", "/cockpit/login/", CockpitPlace::Here),
            ("", "/cockpit/loginx", CockpitPlace::Here),
            ("", "/system/cockpit/login", CockpitPlace::Here),
            ("", "/=10.0.0.1", CockpitPlace::Elsewhere { login: false }),
            (
                "",
                "/=10.0.0.1/system",
                CockpitPlace::Elsewhere { login: false },
            ),
            (
                "",
                "/cockpit+=10.0.0.1/login",
                CockpitPlace::Elsewhere { login: true },
            ),
            (
                "",
                "/cockpit+=10.0.0.1/@x/login",
                CockpitPlace::Elsewhere { login: false },
            ),
            ("", "/cockpit+app/login", CockpitPlace::Application),
            ("", "/cockpit+", CockpitPlace::Application),
            ("", "/cockpit/@localhost/=x", CockpitPlace::Here),
            ("/admin", "/admin", CockpitPlace::Unslashed),
            ("/admin", "/admin/", CockpitPlace::Here),
            ("/admin", "/administrator", CockpitPlace::Outside),
            ("/admin", "/cockpit/login", CockpitPlace::Outside),
            ("/admin", "/admin/cockpit/login", CockpitPlace::Login),
            (
                "/admin",
                "/admin/=x/",
                CockpitPlace::Elsewhere { login: false },
            ),
        ] {
            assert_eq!(at(root, path), place, "{root} {path}");
        }
    }
}
