//! Builds what the upstream sees of a permitted request.

use std::borrow::Cow;
use std::rc::Rc;

use crate::config::IdentitySettings;
use crate::contract::ROUTE_HEADER;
use crate::gate::api_client::is_own_authorization;
use crate::gate::cockpit::cookie::{Binding, has_released, without_released};
use crate::gate::cockpit::{CockpitAccess, CockpitSso};
use crate::gate::decision::RouteContext;
use crate::gate::header_rules::{HeaderRules, HeaderValue};
use crate::gate::rewrite;
use crate::http::client_certificate::{Certificate, ClientCertificate};
use crate::http::cookie::CookieLine;
use crate::http::edit::Edit;
use crate::http::forwarded::{FORWARDED_FOR, FORWARDED_PROTO, TrustedProxies};
use crate::http::header::{Reserved, comma_list};
use crate::http::request::Parsed;
use crate::http::template::{Reference, Template};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::assertion::{
    ASSERTION_HEADER, Assertion, INCOMPLETE_HEADER, IssuedAssertion, Party,
};

/// A header that names the public host to an upstream that gets another `Host`.
const PUBLIC_HOST_HEADER: &str = "x-forwarded-host";

/// Edits the headers of permitted requests.
#[derive(Debug)]
pub(super) struct UpstreamHeaders {
    reserved: Rc<Reserved>,
    /// The proxies in front that may be believed about the client.
    proxies: TrustedProxies,
    identity: Rc<IdentitySettings>,
}

/// The changes of a permitted request on its way to the upstream.
#[derive(Debug)]
pub(super) struct RequestEdits {
    /// Header edits, in their order.
    pub(super) edits: Vec<Edit<'static>>,
    /// A warning for the log, one line without secrets.
    pub(super) warning: Option<String>,
}

impl UpstreamHeaders {
    pub(super) fn new(
        proxies: TrustedProxies,
        reserved: Rc<Reserved>,
        identity: Rc<IdentitySettings>,
    ) -> Self {
        Self {
            reserved,
            proxies,
            identity,
        }
    }

    /// Returns the edits of a permitted request.
    ///
    /// The route's own edits come in the order of Pomerium: the user's identity, the removed headers, the set headers. Then
    /// follow the path and the host, which may depend on the headers.
    ///
    /// # Errors
    /// When the request cannot be forwarded as the route promises.
    pub(super) fn edits(
        &self,
        context: &mut RouteContext<'_, '_>,
        access: Option<&CockpitAccess<'_>>,
        cockpit: &CockpitSso,
    ) -> Result<RequestEdits, Refusal> {
        let (request, matched) = (context.request, context.matched);
        let mut edits = self.client_edits(context)?;
        let binding = access.map(|access| &access.binding);
        edits.extend(self.cookie_edit(request, binding, cockpit.is_configured()));
        let issued = self.issue_assertion(context)?;
        let session = context.facts.session;
        let warning = issued
            .as_ref()
            .zip(session)
            .and_then(|(issued, session)| incomplete_warning(issued, session));
        let sources = Sources {
            headers: self,
            request,
            assertion: issued.as_ref().map(|issued| &*issued.assertion),
            certificate: context.facts.certificate,
        };
        sources.add_route_edits(matched.rules, &mut edits);
        if let Some(access) = access {
            cockpit.edit_request(context, access, &mut edits)?;
        }
        let header = |name: &str| sources.upstream_header(matched.rules, name);
        if let Some(host) = rewrite::upstream_host(matched.route, request.path(), header)? {
            let public = request.authority.to_string();
            edits.push(Edit::set(PUBLIC_HOST_HEADER, public.into_bytes()));
            edits.push(Edit::set(":authority", host));
        }
        // This comes last: no header of the configuration can choose another upstream.
        let route = matched.route.id.clone();
        edits.push(Edit::set(ROUTE_HEADER, route.into_bytes()));
        Ok(RequestEdits { edits, warning })
    }

    /// Returns the edits of what the client has sent: reserved headers, statements about the client, credentials for the
    /// proxy, and the path.
    fn client_edits(&self, context: &RouteContext<'_, '_>) -> Result<Vec<Edit<'static>>, Refusal> {
        let (request, route) = (context.request, context.matched.route);
        let mut edits = Vec::with_capacity(3);
        if request.spoofed {
            let headers = request.headers.iter();
            let spoofed = headers.filter(|(name, _)| self.reserved.covers(name));
            edits.extend(spoofed.map(|(name, _)| Edit::Remove(name.clone().into())));
        }
        edits.extend(self.forwarded_edits(request));
        let target = rewrite::upstream_target(route, &request.target)?;
        if has_own_authorization(request) {
            edits.push(Edit::Remove("authorization".into()));
        }
        if request.rewritten || route.rewrite.is_some() {
            edits.push(Edit::set(":path", target.into_owned().into_bytes()));
        }
        Ok(edits)
    }

    /// Issues the assertion for a request, when the route's header rules use it and there is a session. Without a session
    /// there is nothing to assert, and the client's own statements are removed in any case.
    fn issue_assertion(
        &self,
        context: &mut RouteContext<'_, '_>,
    ) -> Result<Option<IssuedAssertion>, Refusal> {
        let matched = context.matched;
        let session = context.facts.session;
        let Some(session) = session.filter(|_| matched.rules.needs_assertion) else {
            return Ok(None);
        };
        let party = Party {
            host: &context.request.authority.host,
            issuer_format: matched.route.issuer_format,
        };
        let issued = context
            .assertions
            .about(session, party, &self.identity, context.env);
        // Fail closed: never forward without the assertion that the route promises.
        issued.map(Some).ok_or(Refusal::Internal)
    }

    /// Returns the edits that reduce statements about the client to what trusted proxies said.
    fn forwarded_edits(&self, request: &Parsed<'_>) -> Vec<Edit<'static>> {
        let mut edits = Vec::new();
        let chain = self.forwarded_for(request);
        if !request.forwarded_for.is_empty() && request.forwarded_for != [chain.as_bytes()] {
            edits.push(if chain.is_empty() {
                Edit::Remove(FORWARDED_FOR.into())
            } else {
                Edit::set(FORWARDED_FOR, chain.into_owned().into_bytes())
            });
        }
        let scheme = self.proxies.scheme(request.forwarded_proto);
        let stated = request.forwarded_proto;
        if stated.is_some_and(|stated| stated != scheme.as_bytes()) {
            edits.push(Edit::set(FORWARDED_PROTO, scheme.as_bytes()));
        }
        edits
    }

    fn forwarded_for<'r>(&self, request: &Parsed<'r>) -> Cow<'r, str> {
        self.proxies.chain_of_lines(&request.forwarded_for)
    }

    /// Returns the edit that leaves the cookies that the upstream may see, when these are not all. `binding` tells which
    /// cookies of Cockpit's belong to the session.
    fn cookie_edit(
        &self,
        request: &Parsed<'_>,
        binding: Option<&Binding>,
        has_cockpit: bool,
    ) -> Option<Edit<'static>> {
        let lines = request.cookies();
        let is_untouched = !lines.iter().any(CookieLine::has_own);
        // The cookies of a Cockpit on the same host are sent with every request.
        let is_beside_cockpit = has_cockpit && lines.iter().any(|line| has_released(line.header()));
        if lines.is_empty() || (is_untouched && binding.is_none() && !is_beside_cockpit) {
            return None;
        }
        let joined = join_others(lines);
        let kept = match binding {
            Some(binding) => binding.admit(&joined),
            None if is_beside_cockpit => without_released(&joined),
            None => joined,
        };
        Some(if kept.is_empty() {
            Edit::Remove("cookie".into())
        } else {
            Edit::set("cookie", kept)
        })
    }
}

/// Joins all cookies but the proxy's own into one header.
fn join_others(lines: &[CookieLine<'_>]) -> Vec<u8> {
    let mut others = Vec::with_capacity(lines.iter().map(CookieLine::others_len).sum());
    for line in lines {
        line.append_others(&mut others);
    }
    others
}

/// Adds the headers that identify the user.
fn add_identity(rules: &HeaderRules, assertion: &Assertion, edits: &mut Vec<Edit<'static>>) {
    if rules.asserts {
        let token = assertion.token.clone().into_bytes();
        edits.push(Edit::set(ASSERTION_HEADER, token));
    }
    for (name, place) in &rules.claim_headers {
        let value = assertion.claim_values.get(*place);
        edits.push(Edit::set(name.clone(), value.cloned().unwrap_or_default()));
    }
    let has_identity = rules.asserts || !rules.claim_headers.is_empty();
    if has_identity && !assertion.incomplete.is_empty() {
        let names = comma_list(assertion.incomplete.iter().map(String::as_str));
        edits.push(Edit::set(INCOMPLETE_HEADER, names));
    }
}

/// Returns a warning about claims that do not reach the upstream in full, once for each assertion.
fn incomplete_warning(issued: &IssuedAssertion, session: &Session) -> Option<String> {
    let incomplete = &issued.assertion.incomplete;
    (issued.is_new && !incomplete.is_empty()).then(|| {
        format!(
            "incomplete claims: {incomplete:?} account={:?}",
            session.account()
        )
    })
}

/// Returns whether a request has a credential for this proxy in an `Authorization` line, alone or among others.
fn has_own_authorization(request: &Parsed<'_>) -> bool {
    request.authorization.is_some()
        && request
            .headers
            .iter()
            .any(|(name, line)| name == "authorization" && is_own_authorization(line))
}

/// The values to which header values and templates may refer.
struct Sources<'a> {
    headers: &'a UpstreamHeaders,
    request: &'a Parsed<'a>,
    assertion: Option<&'a Assertion>,
    certificate: ClientCertificate<'a>,
}

impl Sources<'_> {
    /// Adds the edits that the route asks for: identity, removed headers, set headers.
    fn add_route_edits(&self, rules: &HeaderRules, edits: &mut Vec<Edit<'static>>) {
        if let Some(assertion) = self.assertion {
            add_identity(rules, assertion, edits);
        }
        let headers = self.request.headers;
        let is_present = |name: &&String| headers.iter().any(|(other, _)| other == *name);
        let removed = rules.remove.iter().filter(is_present);
        edits.extend(removed.map(|name| Edit::Remove(name.clone().into())));
        for (name, value) in &rules.set {
            edits.push(Edit::set(name.clone(), self.evaluate(value)));
        }
    }

    fn evaluate(&self, value: &HeaderValue) -> Vec<u8> {
        match value {
            HeaderValue::Fixed(value) => value.clone(),
            HeaderValue::Template(template) => self.render(template),
        }
    }

    fn render(&self, template: &Template) -> Vec<u8> {
        template.render(|reference, into| match reference {
            Reference::Jwt => {
                let token = self.assertion.map(|assertion| assertion.token.as_bytes());
                into.extend_from_slice(token.unwrap_or_default());
            }
            Reference::CertificateFingerprint => {
                let read = |certificate: &Certificate| certificate.fingerprint.clone().into_bytes();
                self.add_of_certificate(read, into);
            }
            Reference::CertificateDns => {
                self.add_of_certificate(|certificate| join(&certificate.san_dns), into);
            }
            Reference::CertificateEmail => {
                self.add_of_certificate(|certificate| join(&certificate.san_email), into);
            }
            Reference::RequestHeader(name) => self.add_request_header(name, into),
            Reference::Unknown(_) => {}
        })
    }

    fn add_of_certificate(&self, read: impl Fn(&Certificate) -> Vec<u8>, into: &mut Vec<u8>) {
        if let ClientCertificate::Valid(certificate) = self.certificate {
            into.extend(read(certificate));
        }
    }

    /// Adds a header of the client's, with several lines joined by commas. It leaves out what the upstream may not see: the
    /// proxy's own cookies, credentials for the proxy, and headers that only a proxy may write.
    fn add_request_header(&self, name: &str, into: &mut Vec<u8>) {
        if name == "cookie" {
            let lines = self.request.cookies();
            into.extend(without_released(&join_others(lines)));
            return;
        }
        if name == FORWARDED_FOR {
            into.extend_from_slice(self.headers.forwarded_for(self.request).as_bytes());
            return;
        }
        if name == FORWARDED_PROTO {
            let scheme = self.headers.proxies.scheme(self.request.forwarded_proto);
            into.extend_from_slice(scheme.as_bytes());
            return;
        }
        let is_own = name == "authorization" && has_own_authorization(self.request);
        if is_own || name.starts_with(':') || self.headers.reserved.covers(name) {
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

    /// Returns a header as the upstream will see it.
    fn upstream_header(&self, rules: &HeaderRules, name: &str) -> Option<Vec<u8>> {
        if let Some((_, value)) = rules.set.iter().find(|(known, _)| known == name) {
            return Some(self.evaluate(value));
        }
        if rules.remove.iter().any(|removed| removed == name) {
            return None;
        }
        let mut value = Vec::new();
        self.add_request_header(name, &mut value);
        Some(value)
    }
}

fn join(names: &[String]) -> Vec<u8> {
    comma_list(names.iter().map(String::as_str))
}
