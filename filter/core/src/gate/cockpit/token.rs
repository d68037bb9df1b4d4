//! The endpoint to which Cockpit's login page sends a browser for a token (`[OAuth] URL` in cockpit.conf).

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::router::Destination;
use crate::gate::step::Step;
use crate::http::page::Script;
use crate::http::path::canonical;
use crate::http::reply::{Extras, Reply, SIGN_OUT_BUTTON, redirect, render_page};
use crate::http::request::{Parsed, Request};
use crate::refusal::{BadRequest, Refusal};
use crate::session::Session;

/// The address, on each route's host.
pub(in crate::gate) const TOKEN_PATH: &str = "/.pomerium/cockpit/token";

/// The token that Cockpit's login page gets. It is meaningless: the proxy itself says at the login who logs in.
const DUMMY: &str = "access_token=sso";

/// The script on the page of [`Gate::ask_to_continue`].
///
/// Firefox states a click also for what Cockpit's login page does by itself, when a click had opened that page. Before the
/// login page goes on by itself, it stores the address that it wants (`login-wanted`), and Cockpit's log-out removes it. When
/// it is there, the user has not logged out, and the script goes on at once.
///
/// Otherwise a click on the link goes back to the login page, whose address still has its fragment, instead of to the address
/// of the link: only where the previous page is of this origin, and once, because a browser may restore that page as it was.
/// Cockpit's log-out removes the note of it.
const CONTINUE_SCRIPT: &str = include_str!("../../../templates/continue.js");

impl Gate {
    /// Sends the browser back with a token, when a request for the page that it comes from would be forwarded to Cockpit. A
    /// user who has clicked on "Login again" is asked first.
    pub(in crate::gate) fn answer_cockpit_token(
        &self,
        request: &Parsed<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        let Some(path) = return_path(request) else {
            return self
                .pages
                .refuse(request, Refusal::BadRequest(BadRequest::RedirectUri));
        };
        let headers = headers_for(request, &path);
        let there = Request::new(&headers).from(request.source);
        let there = match self.router.read(&there) {
            Ok(there) => there,
            Err(refusal) => return self.pages.refuse(request, refusal),
        };
        let matched = match self.router.find(&there) {
            Destination::Route(matched) if matched.route.cockpit.is_some() => matched,
            _ => return self.pages.refuse(request, Refusal::NotFound),
        };
        let authentication = self.sessions.authenticate(&there, env);
        match self.decide(&there, matched, &authentication, env) {
            Step::Forward(forward) => {
                let target = format!("{path}#{DUMMY}");
                let reply = if request.is_opened_by_user() {
                    self.ask_to_continue(request, &target, authentication.session.as_deref())
                } else {
                    redirect(target, "back to Cockpit".to_owned())
                };
                Step::Reply(reply.with_cookies(forward.cookies().to_vec()))
            }
            other => other,
        }
    }

    /// Asks a user who has logged out of Cockpit, and is still signed in here, whether to continue to `target`.
    ///
    /// The link has no token, so that Cockpit's login page begins as on a first visit: it keeps its address with the fragment,
    /// requests the token by itself, and returns to the address. After "Login again" it would keep nothing, and leave the
    /// token in the address bar.
    fn ask_to_continue(
        &self,
        request: &Parsed<'_>,
        target: &str,
        session: Option<&Session>,
    ) -> Reply {
        let (path, _) = target.split_once('#').unwrap_or((target, ""));
        let form_target = self.sign_out_targets();
        let extras = Extras {
            account: session.map(Session::account),
            link: Some((path, "Continue to Cockpit")),
            script: Some(Script {
                source: CONTINUE_SCRIPT,
                argument: target,
            }),
            sign_out: Some(SIGN_OUT_BUTTON),
            form_target: form_target.as_deref(),
            ..Extras::default()
        };
        let mut reply = render_page(
            "You are still signed in",
            "Logging out of Cockpit ends the session there, not this one. Sign out as well if others use this browser.",
            extras,
            &self.pages.audience(request),
        );
        reply.event = "asked whether to continue to Cockpit".into();
        reply
    }
}

/// Returns the path in `redirect_uri`, which must be an address of the same origin. The query is left out, because the
/// login page reads the fragment only where there is no query; it has kept the whole address itself.
///
/// The redirect names no host, so that no `redirect_uri` can lead elsewhere.
fn return_path(request: &Parsed<'_>) -> Option<String> {
    let mut given = url::form_urlencoded::parse(request.query().as_bytes())
        .filter(|(name, _)| name == "redirect_uri")
        .map(|(_, value)| value);
    let (address, second) = (given.next()?, given.next());
    let target = address.strip_prefix(&request.authority.origin())?;
    if second.is_some() || !target.starts_with('/') {
        return None;
    }
    let path = target.split('?').next()?;
    let path = canonical(path).ok()?.into_owned();
    let plain = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    plain.then_some(path)
}

/// Returns the headers of the request that the browser will come back with.
fn headers_for(request: &Parsed<'_>, path: &str) -> Vec<(String, Vec<u8>)> {
    let mut headers = request.headers.to_vec();
    for (name, value) in &mut headers {
        if name == ":path" {
            *value = path.as_bytes().to_vec();
        }
    }
    headers
}
