//! The order of decisions about one request.
//!
//! [`Gate`] is a composition of parts. Each part owns its state, and answers with values: a session, an address, an edit, a
//! refusal. The gate puts the parts in order and turns their answers into a [`Step`].
//!
//! | part | what it owns |
//! | --- | --- |
//! | `Router` | the routes, their index and header rules, the sign-in host, the rules for reading a request |
//! | `Sessions` | the terms of sessions, the cache of opened sessions, revocations, the state and the queue of refreshes |
//! | `Attempts` | the sign-in attempts in a browser's cookies |
//! | `SignInCounter` | the recent sign-ins of a browser, by which login loops are found |
//! | `CrossHost` | what the sign-in host and the routes' hosts send each other |
//! | `ApiClients` | the hosts of API clients, and the provider's tokens that were verified recently |
//! | `CockpitSso` | the keys that bind Cockpit's cookies, and the logins in Cockpit |
//! | `UpstreamHeaders` | the identity settings, and what upstreams may see of a request |
//! | `Assertions` | the assertions that were signed recently |
//! | `ProviderAccess` | the identity provider, its metadata and keys, and the forged tokens |
//! | `Pages` | the theme, and how refusals are built |
//! | `ActivePolicies` | which policies are active in the process |
//!
//! Two parts share a value only by reference counting: the names and keys of cookies (`CookieVault`), the identity
//! settings, and the reserved headers.
//!
//! Everything that a decision on a route needs travels in one `RouteContext`. The other endpoints need only the request
//! and the [`Env`].

mod active_policies;
mod address_limit;
mod api_client;
mod attempts;
mod callback;
mod clear_cookies;
mod cockpit;
mod cookie_vault;
mod cross_host_sign_in;
mod decision;
mod endpoints;
mod explain;
mod forged_tokens;
mod header_rules;
mod login_loop;
pub mod open_stream;
mod pages;
mod provider_access;
mod provider_logout;
mod refresh;
mod response;
mod rewrite;
mod router;
mod sessions;
mod shrink;
mod sign_in;
mod sign_out;
pub mod step;
mod stream_recheck;
mod terms;
mod upgrade;
mod upstream_headers;
mod user_info;
pub mod waiting;

pub(crate) use callback::SignInResult;
pub use cockpit::cookie::Binding;
pub use refresh::refreshing::{Progress, Refreshing};
pub use response::{AnswerEdits, refuse_status, rewritten_location};
pub use rewrite::{upstream_host, upstream_target};

use std::cell::OnceCell;
use std::rc::Rc;

use crate::config::{BearerFormat, Config, IdentitySettings, Route};
use crate::env::Env;
use crate::gate::active_policies::ActivePolicies;
use crate::gate::api_client::ApiClients;
use crate::gate::attempts::Attempts;
use crate::gate::clear_cookies::is_about_cookies;
use crate::gate::cockpit::CockpitSso;
use crate::gate::cookie_vault::CookieVault;
use crate::gate::cross_host_sign_in::CrossHost;
use crate::gate::header_rules::HeaderRules;
use crate::gate::login_loop::SignInCounter;
use crate::gate::pages::{Pages, name_address, refusal_event};
use crate::gate::provider_access::ProviderAccess;
use crate::gate::refresh::Due;
use crate::gate::router::{Destination, MatchedRoute, Router};
use crate::gate::sessions::Sessions;
use crate::gate::step::Step;
use crate::gate::upstream_headers::UpstreamHeaders;
use crate::gate::waiting::Waiting;
use crate::http::head_size::is_too_large;
use crate::http::header::Reserved;
use crate::http::page::Theme;
use crate::http::reply::{Extras, Reply, refuse};
use crate::http::request::{KnownNames, Parsed, Request};
use crate::oidc::call::ProviderReply;
use crate::oidc::claim_source::ClaimSource;
use crate::oidc::metadata::Metadata;
use crate::oidc::provider::{Absorbed, Provider, ProviderDue};
use crate::policy::Policy;
use crate::refusal::{BadRequest, Refusal};
use crate::session::assertion::Assertions;
use crate::session::refresh_state::REFRESH_WAIT;

/// For how many seconds a request is held in all: for the provider's metadata, and then for the refresh of its session.
const LONGEST_HOLD: u64 = REFRESH_WAIT;

/// A configuration in use: one per module instance.
#[derive(Debug)]
pub struct Gate {
    router: Router,
    sessions: Sessions,
    attempts: Attempts,
    sign_in_counter: SignInCounter,
    cross_host: CrossHost,
    api_clients: ApiClients,
    cockpit: CockpitSso,
    upstream_headers: UpstreamHeaders,
    assertions: Assertions,
    provider: ProviderAccess,
    pages: Pages,
    /// Absent until the policies are published.
    active_policies: OnceCell<ActivePolicies>,
    identity: Rc<IdentitySettings>,
    /// Where browsers go after a sign-out, instead of the proxy's own page.
    signed_out_url: Option<url::Url>,
    address_use: AddressUse,
}

/// Whether a request may wait for the refresh of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Allowed,
    /// It has waited, or there is no room for it. It is decided about with what is known: one client that fills the room
    /// must not lock out the others.
    Over,
}

/// For which requests the client's address matters.
#[derive(Debug)]
struct AddressUse {
    /// Whether a policy or Cockpit uses it.
    by_routes: bool,
    /// Whether a route accepts the provider's tokens, which are limited for each address.
    by_tokens: bool,
}

impl AddressUse {
    fn new(routes: &[Route]) -> Self {
        let mut policies = routes.iter().flat_map(Route::policies);
        let mut all = routes.iter();
        Self {
            by_routes: policies.any(Policy::asks_for_address)
                || routes.iter().any(|route| route.cockpit.is_some()),
            by_tokens: all.any(|route| route.bearer != BearerFormat::Session),
        }
    }
}

impl Gate {
    /// Builds a gate from a configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let vault = Rc::new(CookieVault::new(&config.session));
        let sessions = Sessions::new(&config, Rc::clone(&vault));
        let reserved = Rc::new(reserved_headers(&config.identity));
        let rules = config.routes.iter();
        let rules = rules.map(|route| HeaderRules::of(route, &config.identity));
        let rules = rules.collect();
        let identity = Rc::new(config.identity);
        let cockpit = CockpitSso::new(&config.routes, &config.session, Rc::clone(&identity));
        let upstream_headers = UpstreamHeaders::new(
            config.listener.trusted_proxies(),
            Rc::clone(&reserved),
            Rc::clone(&identity),
        );
        let known = KnownNames {
            reserved,
            cookies: vault.names.clone(),
        };
        let provider = ProviderAccess::new(config.provider);
        let answers_by_form = provider.answers_by_form();
        let session = config.session;
        let sign_in_host = session.sign_in_host;
        Self {
            address_use: AddressUse::new(&config.routes),
            router: Router::new(config.routes, rules, &config.listener, known)
                .with_sign_in_host(sign_in_host.clone()),
            sessions,
            attempts: Attempts::new(Rc::clone(&vault), answers_by_form),
            sign_in_counter: SignInCounter::new(Rc::clone(&vault)),
            cross_host: CrossHost::new(Rc::clone(&vault), sign_in_host),
            api_clients: ApiClients::new(vault, session.api_client_hosts),
            cockpit,
            upstream_headers,
            assertions: Assertions::default(),
            provider,
            pages: Pages::new(Theme::new(&config.branding), answers_by_form),
            active_policies: OnceCell::new(),
            identity,
            signed_out_url: session.signed_out_url,
        }
    }

    /// Returns whether the client's address of a request with these headers matters, so that a proxy has to find it out
    /// ([`Request::from`]): when any policy uses it, and for what is limited for each client address.
    #[must_use]
    pub fn asks_for_address(&self, headers: &[(String, Vec<u8>)]) -> bool {
        let logout = provider_logout::BACKCHANNEL_LOGOUT.as_bytes();
        self.address_use.by_routes
            || headers.iter().any(|(name, value)| match name.as_str() {
                "authorization" => self.address_use.by_tokens,
                ":path" => value.starts_with(logout),
                _ => false,
            })
    }

    /// Decides about a request. All its waits together have one deadline, however often it begins again.
    pub fn begin(&self, request: &Request<'_>, env: &mut Env<'_>) -> Step {
        let step = self.begin_with(request, Waits::Allowed, env);
        let (Step::Hold { until }, Some(deadline)) = (&step, request.hold_ends_at(LONGEST_HOLD))
        else {
            return step;
        };
        if deadline <= env.now {
            return self.begin_without(request, env);
        }
        Step::Hold {
            until: deadline.min(*until),
        }
    }

    fn begin_with(&self, request: &Request<'_>, waits: Waits, env: &mut Env<'_>) -> Step {
        let request = match self.router.read(request) {
            Ok(request) => request,
            Err(refusal) => return Step::Reply(self.pages.refuse_unreadable(request, refusal)),
        };
        if is_too_large(request.headers) && !is_about_cookies(&request) {
            return Step::Reply(self.refuse_large_head(&request));
        }
        match self.router.find(&request) {
            Destination::Route(matched) => {
                self.authenticate_and_decide(&request, matched, waits, env)
            }
            Destination::OwnEndpoint => self.answer_own_endpoint(&request, env),
            Destination::Nothing => self.pages.refuse(&request, Refusal::NotFound),
            Destination::OtherPort => self.pages.refuse(&request, Refusal::Misdirected),
            Destination::Ambiguous => {
                let refusal = Refusal::BadRequest(BadRequest::Path);
                self.pages.refuse(&request, refusal)
            }
        }
    }

    /// Finds out who sends a request on a route, refreshes the session when it is overdue, and decides.
    fn authenticate_and_decide(
        &self,
        request: &Parsed<'_>,
        matched: MatchedRoute<'_>,
        waits: Waits,
        env: &mut Env<'_>,
    ) -> Step {
        let mut authentication = self.sessions.authenticate(request, env);
        if authentication.session.is_none() {
            match self.authenticate_api_client(request, matched.route.bearer, env) {
                Ok(Some(api_client)) => authentication = api_client,
                Ok(None) => {}
                Err(step) => return *step,
            }
        }
        let session = authentication.session.as_ref();
        let due = session.map_or(Due::No, |session| {
            self.sessions.refresh_when_due(session, &self.provider, env)
        });
        let can_wait = waits == Waits::Allowed || self.provider.known().is_none();
        if let Due::Overdue { until } = due
            && can_wait
        {
            return Step::Hold { until };
        }
        self.decide(request, matched, &authentication, env)
    }

    /// Decides about a request that was held ([`Step::Hold`]) until its time was over, or that cannot be held. The news that it
    /// waited for does not come, and it is not held again.
    pub fn begin_without(&self, request: &Request<'_>, env: &mut Env<'_>) -> Step {
        match self.begin_with(request, Waits::Over, env) {
            Step::Hold { .. } => Step::Reply(self.refuse_without_provider(request)),
            step => step,
        }
    }

    /// Answers a request that cannot be decided about without the provider.
    fn refuse_without_provider(&self, request: &Request<'_>) -> Reply {
        let refusal = Refusal::ProviderUnavailable;
        match self.router.read(request) {
            Ok(request) => {
                if let Some(reply) = self.sign_out_without_provider(&request) {
                    return reply;
                }
                let facts = [name_address(&request)];
                let extras = Extras {
                    facts: &facts,
                    link: Some((&request.target, "Try again")),
                    ..Extras::default()
                };
                let audience = self.pages.audience(&request);
                refuse(refusal, extras, &audience, refusal_event(refusal))
            }
            Err(_) => self.pages.refuse_unreadable(request, refusal),
        }
    }

    /// Returns what is due with the provider. The answer to a call goes to [`Gate::absorb`].
    pub fn due(&self, env: &Env<'_>) -> ProviderDue {
        self.provider.due(env)
    }

    /// Takes in the answer to a call of [`Gate::due`].
    pub fn absorb(&self, reply: &ProviderReply<'_>, env: &Env<'_>) -> Absorbed {
        self.provider.absorb(reply, env)
    }

    /// Returns what the operator has to know about the provider, once; for the log.
    pub fn take_provider_warning(&self) -> Option<String> {
        self.provider.take_warning()
    }

    /// Tells the gate that a waiting request is gone and its answer is not coming. Keys that it was to fetch are fetched
    /// without it, because other requests need them.
    pub fn abandon(&self, waiting: &Waiting) {
        if waiting.is_awaiting_keys() {
            self.provider.miss_keys();
        }
    }

    pub(crate) fn absorb_keys(&self, reply: &ProviderReply<'_>, env: &Env<'_>) {
        self.provider.absorb_keys(reply, env);
    }

    /// Returns the provider as the source of the claims that sessions keep.
    pub(crate) fn claim_source(&self) -> Option<ClaimSource<'_>> {
        self.provider.claim_source(&self.sessions.terms.kept_claims)
    }

    pub(crate) fn known_provider(&self) -> Option<(&Provider, Rc<Metadata>)> {
        self.provider.known()
    }
}

/// Returns the headers that no client may send.
fn reserved_headers(identity: &IdentitySettings) -> Reserved {
    let claim_headers = identity.claim_headers.iter().map(|(name, _)| name.as_str());
    let configured = identity.reserved_headers.iter().map(String::as_str);
    Reserved::new(claim_headers.chain(configured))
}

#[cfg(test)]
mod tests;
