//! What the upstream sees of a permitted request.

use super::cockpit::CockpitAccess;
use super::cockpit::cookie::{has_released, without_released};
use super::header_rules::{HeaderRules, Value};
use super::program::is_own_authorization;
use super::{Binding, Chosen, Gate, rewrite};
use crate::contract::ROUTE_HEADER;
use crate::env::Env;
use crate::http::client_certificate::{Certificate, ClientCertificate};
use crate::http::cookie::Stripped;
use crate::http::edit::Edit;
use crate::http::forwarded::{FORWARDED_FOR, FORWARDED_PROTO};
use crate::http::header::comma_list;
use crate::http::request::Parsed;
use crate::http::template::{Reference, Template};
use crate::policy::Facts;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::assertion::{
    ASSERTION_HEADER, Assertion, Assertions, INCOMPLETE_HEADER, IssuedAssertion, Party,
};

/// Changes of a permitted request on its way to the upstream.
#[derive(Debug)]
pub(super) struct RequestEdits {
    /// Header edits, in their order.
    pub(super) edits: Vec<Edit<'static>>,
    /// A warning for the log, one line without secrets.
    pub(super) warning: Option<String>,
}

/// Header that tells an upstream the public host when it sees another one.
const PUBLIC_HOST_HEADER: &str = "x-forwarded-host";

impl Gate {
    /// The edits of a permitted request. The route's own come in the order of Pomerium: what identifies the visitor, what
    /// is removed, what is set; and then the path and the host, which may look at the headers.
    pub(super) fn edits(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        facts: &Facts<'_>,
        cockpit: Option<(&CockpitAccess<'_>, &Binding)>,
        told: &Assertions,
        env: &mut Env<'_>,
    ) -> Result<RequestEdits, Refusal> {
        let plan = chosen.plan;
        let mut edits = Vec::with_capacity(3);
        if request.spoofed {
            let spoofed = request
                .headers
                .iter()
                .filter(|(name, _)| self.reserved.covers(name));
            edits.extend(spoofed.map(|(name, _)| Edit::Remove(name.clone().into())));
        }
        edits.extend(self.forwarded_edits(request));
        let target = rewrite::upstream_target(chosen.route, &request.target)?;
        if brings_own_authorization(request) {
            edits.push(Edit::Remove("authorization".into()));
        }
        if request.rewritten || chosen.route.rewrite.is_some() {
            edits.push(Edit::set(":path", target.into_owned().into_bytes()));
        }
        let binding = cockpit.map(|(_, binding)| binding);
        edits.extend(self.cookie_edit(request.cookies(), binding));
        let mut warning = None;
        // Without a session there is nothing to tell, and what a client says in these headers is removed all the same.
        let assertion = match facts.session.filter(|_| plan.needs_assertion) {
            Some(session) => {
                let party = Party {
                    host: &request.authority.host,
                    issuer_format: chosen.route.issuer_format,
                };
                let issued = told.about(session, party, &self.config.identity, env);
                // Fail closed: nothing is forwarded without the assertion that the route promises.
                let issued = issued.ok_or(Refusal::Internal)?;
                warning = incomplete_warning(&issued, session);
                Some(issued.assertion)
            }
            None => None,
        };
        if let Some(assertion) = &assertion {
            tell_identity(plan, assertion, &mut edits);
        }
        let present = |name: &&String| request.headers.iter().any(|(other, _)| other == *name);
        let removed = plan.remove.iter().filter(present);
        edits.extend(removed.map(|name| Edit::Remove(name.clone().into())));
        let sources = Sources {
            gate: self,
            request,
            assertion: assertion.as_deref(),
            certificate: facts.certificate,
        };
        for (name, value) in &plan.set {
            edits.push(Edit::set(name.clone(), sources.value(value)));
        }
        if let Some((access, _)) = cockpit {
            self.cockpit_edits(request, access, env, &mut edits)?;
        }
        let header = |name: &str| sources.upstream_header(plan, name);
        if let Some(host) = rewrite::upstream_host(chosen.route, request.path(), header)? {
            let public = request.authority.to_string();
            edits.push(Edit::set(PUBLIC_HOST_HEADER, public.into_bytes()));
            edits.push(Edit::set(":authority", host));
        }
        // The last word: no header of the file can choose another upstream.
        let route = chosen.route.id.clone();
        edits.push(Edit::set(ROUTE_HEADER, route.into_bytes()));
        Ok(RequestEdits { edits, warning })
    }

    /// What trusted proxies said about the client, when it is not all that came under these names.
    fn forwarded_edits(&self, request: &Parsed<'_>) -> Vec<Edit<'static>> {
        let mut edits = Vec::new();
        let chain = self.forwarded_for(request);
        if !request.forwarded_for.is_empty() && request.forwarded_for != [chain.as_bytes()] {
            edits.push(if chain.is_empty() {
                Edit::Remove(FORWARDED_FOR.into())
            } else {
                Edit::set(FORWARDED_FOR, chain.into_bytes())
            });
        }
        let scheme = self.proxies.scheme(request.forwarded_proto);
        let stated = request.forwarded_proto;
        if stated.is_some_and(|stated| stated != scheme.as_bytes()) {
            edits.push(Edit::set(FORWARDED_PROTO, scheme.as_bytes()));
        }
        edits
    }

    fn forwarded_for(&self, request: &Parsed<'_>) -> String {
        self.proxies.chain(request.forwarded_for.iter().copied())
    }

    /// The cookies that the upstream may see, when they are not all that came. `binding` tells which of Cockpit's are.
    fn cookie_edit(&self, headers: &[&[u8]], binding: Option<&Binding>) -> Option<Edit<'static>> {
        let stripped: Vec<Stripped> = headers
            .iter()
            .map(|header| self.cookies.strip(header))
            .collect();
        let untouched = stripped.iter().all(|stripped| *stripped == Stripped::Keep);
        // Those of a Cockpit that is on the same host come along everywhere.
        let beside_cockpit = self.binder.is_some() && headers.iter().any(|line| has_released(line));
        if headers.is_empty() || (untouched && binding.is_none() && !beside_cockpit) {
            return None;
        }
        let joined = joined_cookies(headers, &stripped);
        let kept = match binding {
            Some(binding) => binding.admit(&joined),
            None if beside_cockpit => without_released(&joined),
            None => joined,
        };
        Some(if kept.is_empty() {
            Edit::Remove("cookie".into())
        } else {
            Edit::set("cookie", kept)
        })
    }
}

/// All cookies but ours, as one header.
fn joined_cookies(headers: &[&[u8]], stripped: &[Stripped]) -> Vec<u8> {
    let mut kept = Vec::new();
    for (header, stripped) in headers.iter().zip(stripped) {
        let rest = match stripped {
            Stripped::Keep => header,
            Stripped::Replace(rest) => rest.as_slice(),
            Stripped::Remove => continue,
        };
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(rest);
    }
    kept
}

fn tell_identity(plan: &HeaderRules, assertion: &Assertion, edits: &mut Vec<Edit<'static>>) {
    if plan.asserts {
        let token = assertion.token.clone().into_bytes();
        edits.push(Edit::set(ASSERTION_HEADER, token));
    }
    for (name, place) in &plan.claim_headers {
        let value = assertion.claim_values.get(*place);
        edits.push(Edit::set(name.clone(), value.cloned().unwrap_or_default()));
    }
    let tells = plan.asserts || !plan.claim_headers.is_empty();
    if tells && !assertion.incomplete.is_empty() {
        let names = comma_list(assertion.incomplete.iter().map(String::as_str));
        edits.push(Edit::set(INCOMPLETE_HEADER, names));
    }
}

/// Returns the log's line about claims that do not reach an upstream in full, once for each assertion.
fn incomplete_warning(issued: &IssuedAssertion, session: &Session) -> Option<String> {
    let incomplete = &issued.assertion.incomplete;
    (issued.is_new && !incomplete.is_empty()).then(|| {
        format!(
            "incomplete claims: {incomplete:?} account={:?}",
            session.account()
        )
    })
}

/// Whether a request has a credential for this proxy in an `Authorization` line, among others or not.
fn brings_own_authorization(request: &Parsed<'_>) -> bool {
    request.authorization.is_some()
        && request
            .headers
            .iter()
            .any(|(name, line)| name == "authorization" && is_own_authorization(line))
}

/// What templates may refer to.
struct Sources<'a> {
    gate: &'a Gate,
    request: &'a Parsed<'a>,
    assertion: Option<&'a Assertion>,
    certificate: ClientCertificate<'a>,
}

impl Sources<'_> {
    fn value(&self, value: &Value) -> Vec<u8> {
        match value {
            Value::Fixed(value) => value.clone(),
            Value::Template(template) => self.render(template),
        }
    }

    fn render(&self, template: &Template) -> Vec<u8> {
        template.render(|reference, into| match reference {
            Reference::Jwt => {
                let token = self.assertion.map(|assertion| assertion.token.as_bytes());
                into.extend_from_slice(token.unwrap_or_default());
            }
            Reference::CertificateFingerprint => {
                self.certificate(
                    |certificate| certificate.fingerprint.clone().into_bytes(),
                    into,
                );
            }
            Reference::CertificateDns => {
                self.certificate(|certificate| list(&certificate.san_dns), into);
            }
            Reference::CertificateEmail => {
                self.certificate(|certificate| list(&certificate.san_email), into);
            }
            Reference::RequestHeader(name) => self.request_header(name, into),
            Reference::Unknown(_) => {}
        })
    }

    fn certificate(&self, what: impl Fn(&Certificate) -> Vec<u8>, into: &mut Vec<u8>) {
        if let ClientCertificate::Valid(certificate) = self.certificate {
            into.extend(what(certificate));
        }
    }

    /// A header of the client's, several lines joined by commas. What the upstream may not see of it is not in it: our
    /// cookies, credentials for us, and headers that only a proxy may make.
    fn request_header(&self, name: &str, into: &mut Vec<u8>) {
        if name == "cookie" {
            let headers = self.request.cookies();
            let strip = |header: &&[u8]| self.gate.cookies.strip(header);
            let stripped: Vec<Stripped> = headers.iter().map(strip).collect();
            into.extend(without_released(&joined_cookies(headers, &stripped)));
            return;
        }
        let gate = self.gate;
        if name == FORWARDED_FOR {
            into.extend_from_slice(gate.forwarded_for(self.request).as_bytes());
            return;
        }
        if name == FORWARDED_PROTO {
            let scheme = gate.proxies.scheme(self.request.forwarded_proto);
            into.extend_from_slice(scheme.as_bytes());
            return;
        }
        let is_ours = name == "authorization" && brings_own_authorization(self.request);
        if is_ours || name.starts_with(':') || gate.reserved.covers(name) {
            return;
        }
        let lines = self
            .request
            .headers
            .iter()
            .filter(|(known, _)| known == name);
        for (place, (_, line)) in lines.enumerate() {
            if place > 0 {
                into.push(b',');
            }
            into.extend_from_slice(line);
        }
    }

    /// A header as the upstream will see it.
    fn upstream_header(&self, plan: &HeaderRules, name: &str) -> Option<Vec<u8>> {
        if let Some((_, value)) = plan.set.iter().find(|(known, _)| known == name) {
            return Some(self.value(value));
        }
        if plan.remove.iter().any(|removed| removed == name) {
            return None;
        }
        let mut value = Vec::new();
        self.request_header(name, &mut value);
        Some(value)
    }
}

fn list(names: &[String]) -> Vec<u8> {
    comma_list(names.iter().map(String::as_str))
}
