//! Where Cockpit's login page sends a browser for a token (`[OAuth] URL` in cockpit.conf).

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::http::path::canonical;
use crate::http::reply::{Reply, redirect};
use crate::http::request::{Parsed, Request};
use crate::refusal::{BadRequest, Refusal};

/// The address, on each route's host.
pub(in crate::gate) const TOKEN_PATH: &str = "/.pomerium/cockpit/token";

/// What Cockpit's login page gets for a token. It means nothing: the proxy itself says at the login who logs in.
const DUMMY: &str = "access_token=sso";

impl Gate {
    /// Sends the browser back with a token, when the request for where it comes from would be let through to Cockpit.
    pub(in crate::gate) fn answer_cockpit_token(
        &self,
        request: &Parsed<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        let Some(path) = return_path(request) else {
            return self.refuse(request, Refusal::BadRequest(BadRequest::RedirectUri));
        };
        let headers = elsewhere(request, &path);
        let there = Request::new(&headers).from(request.source);
        let there = match self.read(&there) {
            Ok(there) => there,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let chosen = match self.find(&there) {
            crate::gate::Found::Route(chosen) if chosen.route.cockpit.is_some() => chosen,
            _ => return self.refuse(request, Refusal::NotFound),
        };
        let visit = self.visit(&there, env);
        match self.decide(&there, &chosen, &visit, env) {
            Step::Forward(forward) => {
                let reply: Reply =
                    redirect(format!("{path}#{DUMMY}"), "back to Cockpit".to_owned());
                Step::Reply(reply.with_cookies(forward.cookies().to_vec()))
            }
            other => other,
        }
    }
}

/// The path in `redirect_uri`, which must be an address of the very origin that was asked; without its query, because the
/// login page looks into the fragment only where there is none. It has kept the whole address for itself.
///
/// The answer names no host: nothing that is written here can lead elsewhere.
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

/// The headers of the request that the browser will come back with.
fn elsewhere(request: &Parsed<'_>, path: &str) -> Vec<(String, Vec<u8>)> {
    let mut headers = request.headers.to_vec();
    for (name, value) in &mut headers {
        if name == ":path" {
            *value = path.as_bytes().to_vec();
        }
    }
    headers
}
