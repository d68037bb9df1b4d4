//! The endpoint to which Cockpit's login page sends a browser for a token (`[OAuth] URL` in cockpit.conf).

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::router::Destination;
use crate::gate::step::Step;
use crate::http::path::canonical;
use crate::http::reply::{Reply, redirect};
use crate::http::request::{Parsed, Request};
use crate::refusal::{BadRequest, Refusal};

/// The address, on each route's host.
pub(in crate::gate) const TOKEN_PATH: &str = "/.pomerium/cockpit/token";

/// The token that Cockpit's login page gets. It is meaningless: the proxy itself says at the login who logs in.
const DUMMY: &str = "access_token=sso";

impl Gate {
    /// Sends the browser back with a token, when a request for the page that it comes from would be forwarded to Cockpit.
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
                let reply: Reply =
                    redirect(format!("{path}#{DUMMY}"), "back to Cockpit".to_owned());
                Step::Reply(reply.with_cookies(forward.cookies().to_vec()))
            }
            other => other,
        }
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
