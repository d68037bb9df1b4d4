//! Single sign-on into Cockpit, on routes with `cockpit`.
//!
//! Cockpit logs a browser in at `/cockpit/login`, by the `Authorization` header of that request. The proxy writes it: an
//! assertion for this one login, which `jetway-cockpit-session` verifies on Cockpit's machine before it opens a session
//! as the Unix user. The browser gets no part of it. What brings the browser to that request is Cockpit's own login page,
//! which is told by `[OAuth]` in cockpit.conf to fetch a token at [`token::TOKEN_PATH`]; the one that it gets means nothing.

pub(super) mod cookie;
pub(super) mod token;

use super::{Chosen, Gate, Route, line};
use crate::config::{CockpitSettings, FoundBy, LOGIN_HEADERS};
use crate::env::Env;
use crate::gate::step::Step;
use crate::http::edit::Edit;
use crate::http::header::is_alias;
use crate::http::reply::{Extras, redirect, refuse};
use crate::http::request::Parsed;
use crate::policy::{Decision, Facts, Reason, Reasons};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::assertion::login_token;
use crate::session::unix_user::UnixUser;

/// Further headers of a client by which Cockpit would do other things than the proxy has judged.
const SSH_HEADER: &str = "x-ssh-connect-unknown-hosts";
/// Cockpit's `ForwardedForHeader` takes one address, not a list of proxies.
const CLIENT_HEADER: &str = "x-forwarded-for";
/// The path at which Cockpit logs a browser in, below its root.
const LOGIN: &str = "cockpit/login";
/// The scheme of answers to questions that a login asks, such as for a new password.
const CONVERSATION: &[u8] = b"x-conversation ";

/// A permitted request to Cockpit.
#[derive(Debug)]
pub(super) struct CockpitAccess<'a> {
    /// Who sends it.
    session: &'a Session,
    /// As whom they are there.
    standing: CockpitIdentity,
    place: Place,
}

impl CockpitAccess<'_> {
    /// Whether the answer may begin a session of Cockpit's, on this host or on another.
    const fn logs_in(&self) -> bool {
        matches!(self.place, Place::Login | Place::Elsewhere { login: true })
    }
}

/// As whom somebody is in Cockpit.
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
    /// As whom the visitor of a request is there; `None` when nothing names a Unix user.
    ///
    /// Whether they are an administrator is asked as of the login, whatever is requested: it is the login that decides.
    pub(crate) fn of(cockpit: &CockpitSettings, facts: &Facts<'_>) -> Option<Self> {
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

/// What a path means to Cockpit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The login of this host.
    Login,
    /// Another host: `/=HOST/…` or `/cockpit+=HOST/…`.
    Elsewhere {
        /// Whether it is the login there, `/cockpit+=HOST/login`.
        login: bool,
    },
    /// An application of its own, `/cockpit+NAME/…`, whose login is one of this host beside ours.
    Application,
    /// Cockpit's root without the slash that it needs: some versions end themselves at such a request.
    Unslashed,
    /// Not below `UrlRoot`.
    Outside,
    /// Anything else of this host.
    Here,
}

impl Gate {
    /// What the policy of a route says, and that nobody reaches Cockpit without a session, which names the Unix user.
    pub(super) fn judge(route: &Route, facts: &Facts<'_>) -> Decision {
        match route.policy.decide(facts) {
            Decision::Allow(_) if route.cockpit.is_some() && facts.session.is_none() => {
                Decision::SignIn(Reasons::one(Reason::UserUnauthenticated))
            }
            decision => decision,
        }
    }

    /// As whom a permitted visitor enters Cockpit; `None` on other routes.
    ///
    /// # Errors
    /// The answer, when the request does not get there.
    pub(super) fn authorize_cockpit<'a>(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        facts: &Facts<'a>,
    ) -> Result<Option<CockpitAccess<'a>>, Box<Step>> {
        let Some(cockpit) = &chosen.route.cockpit else {
            return Ok(None);
        };
        let Some(session) = facts.session else {
            return Err(self.refuse(request, Refusal::Internal).into());
        };
        let place = place_of(&request.decoded_path(), cockpit);
        match place {
            Place::Elsewhere { .. } if !cockpit.allow_other_hosts => {
                return Err(self.refuse(request, Refusal::OtherHost).into());
            }
            Place::Outside | Place::Application => {
                return Err(self.refuse(request, Refusal::NotFound).into());
            }
            Place::Unslashed => {
                let location = format!("{}/", cockpit.url_root);
                return Err(Box::new(Step::Reply(redirect(
                    location,
                    "to Cockpit's root".to_owned(),
                ))));
            }
            Place::Login | Place::Elsewhere { .. } | Place::Here => {}
        }
        let Some(standing) = CockpitIdentity::of(cockpit, facts) else {
            return Err(self.refuse_unmapped(request, chosen, session).into());
        };
        Ok(Some(CockpitAccess {
            session,
            standing,
            place,
        }))
    }

    fn refuse_unmapped(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        session: &Session,
    ) -> Step {
        let refusal = Refusal::NoUnixUser;
        let target = self.sign_out_targets();
        let extras = Extras {
            account: Some(session.account()),
            sign_out: true,
            form_target: target.as_deref(),
            ..Extras::default()
        };
        let event = format!(
            "{} route={:?} account={:?}",
            line(refusal),
            chosen.route.name,
            session.account()
        );
        Step::Reply(refuse(refusal, extras, &self.audience(request), event))
    }

    /// The edits by which Cockpit learns who logs in, and nothing else about it.
    pub(super) fn cockpit_edits(
        &self,
        request: &Parsed<'_>,
        access: &CockpitAccess<'_>,
        env: &mut Env<'_>,
        edits: &mut Vec<Edit<'static>>,
    ) -> Result<(), Refusal> {
        edits.push(match request.source {
            Some(address) => Edit::set(
                CLIENT_HEADER,
                address.to_canonical().to_string().into_bytes(),
            ),
            None => Edit::Remove(CLIENT_HEADER.into()),
        });
        // A login to another host is between the person and that host.
        if matches!(access.place, Place::Elsewhere { .. }) {
            return Ok(());
        }
        let conversation = conversation(request).filter(|_| access.place == Place::Login);
        let told = request.headers.iter().filter(|(name, _)| tells_login(name));
        edits.extend(told.map(|(name, _)| Edit::Remove(name.clone().into())));
        if access.place != Place::Login {
            return Ok(());
        }
        if let Some(answer) = conversation {
            edits.push(Edit::set(LOGIN_HEADERS[0], answer.to_vec()));
        } else if request.method == "GET" {
            let token = self.login_token(request, access, env)?;
            edits.push(Edit::set(
                LOGIN_HEADERS[0],
                format!("Bearer {token}").into_bytes(),
            ));
        }
        if access.standing.administrator {
            edits.push(Edit::set(LOGIN_HEADERS[1], &b"any"[..]));
        }
        Ok(())
    }

    fn login_token(
        &self,
        request: &Parsed<'_>,
        access: &CockpitAccess<'_>,
        env: &mut Env<'_>,
    ) -> Result<String, Refusal> {
        let key = self.config.identity.signing_key.as_ref();
        let key = key.ok_or(Refusal::Internal)?;
        let id = env.bytes().map_err(|_| Refusal::Internal)?;
        let claims = crate::session::assertion::Login {
            host: &request.authority.host,
            session: access.session,
            user: &access.standing.user,
            client: request.source,
        };
        login_token(key, &claims, id, env.now).ok_or(Refusal::Internal)
    }

    /// What binds Cockpit's cookies to the visitor of a request.
    ///
    /// # Errors
    /// Without a secret, which every file with such a route has.
    pub(super) fn bind(
        &self,
        request: &Parsed<'_>,
        access: &CockpitAccess<'_>,
    ) -> Result<cookie::Binding, Refusal> {
        let binder = self.binder.as_ref().ok_or(Refusal::Internal)?;
        let host = &request.authority.host;
        let binding = binder.bind(host, access.session, &access.standing);
        Ok(binding.of_login(access.logs_in()))
    }
}

/// Whether a header says who logs in to Cockpit, or how; in any spelling.
fn tells_login(name: &str) -> bool {
    LOGIN_HEADERS
        .into_iter()
        .chain([SSH_HEADER])
        .any(|known| is_alias(name, known))
}

/// The answer to a question of the login, when that is all that the client says about who it is.
fn conversation<'r>(request: &Parsed<'r>) -> Option<&'r [u8]> {
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

/// What a decoded path means to a Cockpit with this `UrlRoot`.
fn place_of(path: &str, cockpit: &CockpitSettings) -> Place {
    let root = cockpit.url_root.as_str();
    let Some(below) = path.strip_prefix(root) else {
        return Place::Outside;
    };
    if below.is_empty() {
        return Place::Unslashed;
    }
    let Some(below) = below.strip_prefix('/') else {
        return Place::Outside;
    };
    let (first, rest) = below.split_once('/').unwrap_or((below, ""));
    if first.starts_with('=') || first.starts_with("cockpit+=") {
        let login = rest == "login";
        Place::Elsewhere { login }
    } else if first.starts_with("cockpit+") {
        Place::Application
    } else if below == LOGIN {
        Place::Login
    } else {
        Place::Here
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
            ("", "/", Place::Here),
            ("", "/cockpit/login", Place::Login),
            ("", "/cockpit/login/", Place::Here),
            ("", "/cockpit/loginx", Place::Here),
            ("", "/system/cockpit/login", Place::Here),
            ("", "/=10.0.0.1", Place::Elsewhere { login: false }),
            ("", "/=10.0.0.1/system", Place::Elsewhere { login: false }),
            (
                "",
                "/cockpit+=10.0.0.1/login",
                Place::Elsewhere { login: true },
            ),
            (
                "",
                "/cockpit+=10.0.0.1/@x/login",
                Place::Elsewhere { login: false },
            ),
            ("", "/cockpit+app/login", Place::Application),
            ("", "/cockpit+", Place::Application),
            ("", "/cockpit/@localhost/=x", Place::Here),
            ("/admin", "/admin", Place::Unslashed),
            ("/admin", "/admin/", Place::Here),
            ("/admin", "/administrator", Place::Outside),
            ("/admin", "/cockpit/login", Place::Outside),
            ("/admin", "/admin/cockpit/login", Place::Login),
            ("/admin", "/admin/=x/", Place::Elsewhere { login: false }),
        ] {
            assert_eq!(at(root, path), place, "{root} {path}");
        }
    }
}
