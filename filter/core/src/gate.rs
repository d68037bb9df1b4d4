//! The order of decisions about one request.

mod callback;
mod endpoints;
mod explain;
mod sign_in;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::config::{Config, Route};
use crate::contract::{OWN_PREFIX, ROUTE_HEADER};
use crate::cookie::{CookieNames, Stripped};
use crate::env::{Env, Timestamp};
use crate::needs::ClaimNeeds;
use crate::oidc::metadata::Metadata;
use crate::oidc::provider::{Absorbed, Provider};
use crate::policy::{ClientCertificate, Decision, Facts, Permit, Policy, Reason, Reasons};
use crate::refusal::Refusal;
use crate::reply::{Audience, Extras, refuse};
use crate::request::{Parsed, Request};
use crate::seal::Sealer;
use crate::session::{Session, SessionReader};
use crate::step::{Edit, Forward, ProviderCall, ProviderReply, Reply, Step};
use crate::used::UsedAttempts;

/// A configuration at work: one per module instance.
#[derive(Debug)]
pub struct Gate {
    config: Config,
    /// Places in `config.routes` by host, so that no request's work grows with the number of hosts.
    routes_by_host: HashMap<String, Vec<usize>>,
    cookies: CookieNames,
    sealer: Option<Sealer>,
    sessions: SessionReader,
    provider: Option<Provider>,
    used: RefCell<UsedAttempts>,
    needs: ClaimNeeds,
    asks_for_address: bool,
}

impl Gate {
    /// Puts a configuration to work.
    #[must_use]
    pub fn new(mut config: Config) -> Self {
        let mut routes_by_host: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, route) in config.routes.iter().enumerate() {
            routes_by_host
                .entry(route.from.host.clone())
                .or_default()
                .push(place);
        }
        Self {
            routes_by_host,
            cookies: CookieNames::new(&config.session.cookie_name),
            sealer: config.session.secret.as_ref().map(Sealer::new),
            sessions: SessionReader::default(),
            provider: config.provider.take().map(Provider::new),
            used: RefCell::default(),
            needs: ClaimNeeds::of(config.routes.iter().map(|route| &route.policy)),
            asks_for_address: config
                .routes
                .iter()
                .map(|route| &route.policy)
                .any(Policy::asks_for_address),
            config,
        }
    }

    /// Whether any policy asks where a client comes from, so that a body has to find out ([`Request::from`]).
    #[must_use]
    pub const fn asks_for_address(&self) -> bool {
        self.asks_for_address
    }

    /// Decides about a request.
    pub fn begin(&self, request: &Request<'_>, env: &mut Env<'_>) -> Step {
        let request = match Parsed::read(request) {
            Ok(request) => request,
            Err(refusal) => {
                let audience = Audience::of_unreadable(request);
                return Step::Reply(refuse(refusal, Extras::default(), &audience, line(refusal)));
            }
        };
        if !self.serves(&request) {
            return self.refuse(&request, Refusal::NotFound);
        }
        if is_own(request.path()) {
            return self.answer_own(&request, env);
        }
        let Some(route) = self.route(&request) else {
            return self.refuse(&request, Refusal::NotFound);
        };
        let session = self.session(&request, env.now);
        let path = request.decoded_path();
        let facts = Facts {
            session: session.as_deref(),
            method: request.method,
            path: &path,
            preflight: request.preflight,
            source: request.source,
            now: env.now,
            certificate: ClientCertificate::NotAsked,
        };
        match route.policy.decide(&facts) {
            Decision::Allow(permit) => self.forward(&request, route, permit),
            Decision::Deny(reasons) => {
                Step::Reply(self.forbid(&request, route, session.as_deref(), reasons))
            }
            Decision::SignIn(_) => self.sign_in(&request, request.target.as_ref(), env),
        }
    }

    /// The answer for a request that was held ([`Step::Hold`]) until its time was over.
    #[must_use]
    pub fn unavailable(&self, request: &Request<'_>) -> Reply {
        let refusal = Refusal::ProviderUnavailable;
        match Parsed::read(request) {
            Ok(request) => {
                let extras = Extras {
                    link: Some((&request.target, "Try again")),
                    ..Extras::default()
                };
                refuse(refusal, extras, &Audience::of(&request), line(refusal))
            }
            Err(_) => refuse(
                refusal,
                Extras::default(),
                &Audience::of_unreadable(request),
                line(refusal),
            ),
        }
    }

    /// Whether a `Set-Cookie` header of an upstream would set one of our cookies; such a line is removed.
    #[must_use]
    pub fn owns_cookie(&self, set_cookie: &[u8]) -> bool {
        self.cookies.sets_own(set_cookie)
    }

    /// The call to the provider that is due, if one is. The answer goes to [`Gate::absorb`].
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<ProviderCall> {
        self.provider.as_ref()?.due(now)
    }

    /// Takes in the answer to a call of [`Gate::due`].
    pub fn absorb(&self, reply: &ProviderReply<'_>, now: Timestamp) -> Absorbed {
        match &self.provider {
            Some(provider) => provider.absorb(reply, now),
            None => Absorbed::Failed("there is no provider".to_owned()),
        }
    }

    pub(crate) fn absorb_keys(&self, reply: &ProviderReply<'_>) {
        if let Some(provider) = &self.provider {
            provider.absorb_keys(reply);
        }
    }

    pub(crate) fn known_provider(&self) -> Option<(&Provider, Rc<Metadata>)> {
        let provider = self.provider.as_ref()?;
        provider.metadata().map(|metadata| (provider, metadata))
    }

    /// Whether any route has the request's host.
    fn serves(&self, request: &Parsed<'_>) -> bool {
        self.routes_by_host.contains_key(&*request.authority.host)
    }

    fn route(&self, request: &Parsed<'_>) -> Option<&Route> {
        let port = request.authority.port.unwrap_or(443);
        let places = self.routes_by_host.get(&*request.authority.host)?;
        places
            .iter()
            .filter_map(|&place| self.config.routes.get(place))
            .find(|route| {
                route.from.serves(&request.authority.host, port)
                    && route.path.serves(request.path())
            })
    }

    fn session(&self, request: &Parsed<'_>, now: Timestamp) -> Option<Rc<Session>> {
        let sealer = self.sealer.as_ref()?;
        let own = request.own_cookies(&self.cookies);
        own.sessions.iter().find_map(|sealed| {
            self.sessions
                .open(sealer, &request.authority.host, sealed, now)
        })
    }

    fn forward(&self, request: &Parsed<'_>, route: &Route, permit: Permit) -> Step {
        if let Some(upgrade) = request.upgrade {
            if !route.allow_websockets || !upgrade.eq_ignore_ascii_case(b"websocket") {
                return self.refuse(request, Refusal::UpgradeNotAllowed);
            }
            // Browsers let any page open a websocket with this site's cookies (RFC 6455 section 10.2).
            if request
                .origin
                .is_some_and(|origin| origin != request.authority.origin().as_bytes())
            {
                return self.refuse(request, Refusal::ForeignOrigin);
            }
        }
        Step::Forward(Forward::new(permit, self.edits(request, route)))
    }

    fn edits(&self, request: &Parsed<'_>, route: &Route) -> Vec<Edit> {
        let mut edits = Vec::with_capacity(3);
        if request.spoofed {
            let spoofed = request
                .headers
                .iter()
                .filter(|(name, _)| crate::header::is_spoofable(name));
            edits.extend(spoofed.map(|(name, _)| Edit::Remove(name.clone())));
        }
        if request.rewritten {
            edits.push(Edit::Set(":path", request.target.as_bytes().to_vec()));
        }
        edits.extend(self.cookie_edit(request.cookies()));
        edits.push(Edit::Set(ROUTE_HEADER, route.id.clone().into_bytes()));
        edits
    }

    fn cookie_edit(&self, headers: &[&[u8]]) -> Option<Edit> {
        let stripped: Vec<Stripped> = headers
            .iter()
            .map(|header| self.cookies.strip(header))
            .collect();
        if stripped.iter().all(|stripped| *stripped == Stripped::Keep) {
            return None;
        }
        let mut kept = Vec::new();
        for (header, stripped) in headers.iter().zip(&stripped) {
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
        Some(if kept.is_empty() {
            Edit::Remove("cookie".to_owned())
        } else {
            Edit::Set("cookie", kept)
        })
    }

    fn forbid(
        &self,
        request: &Parsed<'_>,
        route: &Route,
        session: Option<&Session>,
        reasons: Reasons,
    ) -> Reply {
        let account = session.map(Session::account);
        let certificate = [
            Reason::ClientCertificateRequired,
            Reason::InvalidClientCertificate,
        ];
        let refusal = if certificate
            .into_iter()
            .any(|reason| reasons.contains(reason))
        {
            Refusal::ClientCertificate
        } else {
            Refusal::Forbidden
        };
        let event = format!(
            "refused: {} route={:?} account={:?} reasons={reasons}",
            refusal.word(),
            route.name,
            account.unwrap_or_default(),
        );
        let target = self.end_session_origin();
        let extras = Extras {
            account,
            sign_out: session.is_some(),
            form_target: target.as_deref(),
            ..Extras::default()
        };
        refuse(refusal, extras, &Audience::of(request), event)
    }

    fn refuse(&self, request: &Parsed<'_>, refusal: Refusal) -> Step {
        Step::Reply(refuse(
            refusal,
            Extras::default(),
            &Audience::of(request),
            line(refusal),
        ))
    }
}

fn is_own(path: &str) -> bool {
    let below = path.strip_prefix(OWN_PREFIX);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || matches!(path, "/ping" | "/healthz")
}

/// The log line of a refusal.
fn line(refusal: Refusal) -> String {
    format!("refused: {}", refusal.word())
}

#[cfg(test)]
mod tests;
