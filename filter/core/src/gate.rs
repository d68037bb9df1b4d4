//! The order of decisions about one request.

mod active_policies;
mod address_limit;
mod answer;
mod authenticate;
mod callback;
mod clear_cookies;
mod cockpit;
mod cross_host_sign_in;
mod endpoints;
mod explain;
mod forged;
mod forward;
mod header_rules;
mod key_lookup;
mod login_loop;
pub mod open_stream;
mod program;
mod provider_logout;
mod refresh;
mod revoked;
mod rewrite;
mod routes;
mod shrink;
mod sign_in;
mod sign_out;
pub mod step;
mod stream_recheck;
mod terms;
mod upgrade;
pub mod waiting;
mod who_am_i;

pub use answer::{AnswerEdits, refuse_status};
pub(crate) use callback::SignInResult;
pub(crate) use cockpit::CockpitIdentity;
pub use cockpit::cookie::Binding;
pub use refresh::refreshing::{Progress, Refreshing};
pub use rewrite::{upstream_host, upstream_target};

use std::cell::OnceCell;
use std::rc::Rc;

use crate::config::{BearerFormat, Config, ProviderKind, Route, RouteNumber, Target};
use crate::env::Env;
use crate::gate::active_policies::ActivePolicies;
use crate::gate::open_stream::OpenStream;
use crate::gate::step::{Forward, Step};
use crate::http::client_certificate::CertificateReader;
use crate::http::cookie::CookieNames;
use crate::http::forwarded::TrustedProxies;
use crate::http::head_size::is_too_large;
use crate::http::header::Reserved;
use crate::http::page::Theme;
use crate::http::path::without_parameters;
use crate::http::reply::{Audience, Extras, Reply, plain, refuse};
use crate::http::request::{Parsed, Request};
use crate::http::request_line::FORWARDED_METHODS;
use crate::http::websocket;
use crate::oidc::call::ProviderReply;
use crate::oidc::claims::Claims;
use crate::oidc::email;
use crate::oidc::metadata::Metadata;
use crate::oidc::provider::{Absorbed, Provider, ProviderDue};
use crate::policy::{Decision, Facts, Permit, Policy, Reason, Reasons};
use crate::refusal::{BadRequest, Refusal};
use crate::session::assertion::{Assertions, needed_claims};
use crate::session::claim_filter::ClaimFilter;
use crate::session::refresh::Queue;
use crate::session::refresh_state::RefreshCache;
use crate::session::revocation::Revocations;
use crate::session::seal::Sealer;
use crate::session::{Session, SessionReader};
use authenticate::Authentication;
use cockpit::cookie::Binder;
use forged::ForgedTokens;
use header_rules::HeaderRules;
use program::BearerTokens;
use refresh::Due;
use routes::{HTTPS, KnownOrigin, RouteIndex};
use upgrade::refused_upgrade;

/// A configuration at work: one per module instance.
#[derive(Debug)]
pub struct Gate {
    config: Config,
    index: RouteIndex,
    /// The header work of each route, in the order of `config.routes`.
    plans: Vec<HeaderRules>,
    reserved: Reserved,
    cookies: CookieNames,
    sealer: Option<Sealer>,
    /// Binds Cockpit's cookies; only where a route leads to it.
    binder: Option<Binder>,
    sessions: SessionReader,
    revocations: Revocations,
    forged: ForgedTokens,
    certificates: CertificateReader,
    /// Whose word about the client is passed on.
    proxies: TrustedProxies,
    assertions: Assertions,
    bearers: BearerTokens,
    provider: Option<Provider>,
    /// How sessions stand that were refreshed.
    refresh_cache: RefreshCache,
    /// Sessions whose refresh waits for the timer.
    refreshes: Queue,
    active_policies: OnceCell<ActivePolicies>,
    /// The claims that sessions keep.
    needs: ClaimFilter,
    /// Those of them that policies ask for.
    policy_needs: ClaimFilter,
    /// On what terms sessions are made.
    terms: String,
    asks_for_address: bool,
    /// Whether a route takes the provider's tokens.
    takes_tokens: bool,
    /// How pages look.
    look: Rc<Theme>,
}

/// Where a request leads, before anybody asks who sent it.
#[derive(Debug)]
enum Found<'g> {
    /// To one of our own endpoints.
    Own,
    /// To a route.
    Route(Chosen<'g>),
    /// To nothing: no route has this host and path.
    Nothing,
    /// To nothing: routes have this host, but by other ports.
    OtherPort,
    /// To different places, depending on whether a server reads what follows a `;` as a parameter.
    Ambiguous,
}

impl Found<'_> {
    /// Whether both lead to the same place.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(one), Self::Route(other)) => one.number == other.number,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

/// The route of a request.
#[derive(Clone, Copy, Debug)]
struct Chosen<'g> {
    number: RouteNumber,
    route: &'g Route,
    plan: &'g HeaderRules,
}

impl Gate {
    /// Puts a configuration to work.
    #[must_use]
    pub fn new(mut config: Config) -> Self {
        let policies = || config.routes.iter().flat_map(Route::policies);
        let cockpits = || {
            config
                .routes
                .iter()
                .filter_map(|route| route.cockpit.as_ref())
        };
        let user_claims = || cockpits().filter_map(|cockpit| cockpit.user_claim.as_deref());
        let mut policy_needs = ClaimFilter::of(policies());
        policy_needs.keep_all(user_claims());
        let mut needs = ClaimFilter::of(policies());
        needs.keep_all(user_claims());
        let identity = &config.identity;
        if header_rules::tells_identity(&config) {
            needs.keep_all(needed_claims(identity));
        }
        let claim_headers = identity.claim_headers.iter().map(|(name, _)| name.as_str());
        let reserved_headers = identity.reserved_headers.iter().map(String::as_str);
        let plans = config
            .routes
            .iter()
            .map(|route| HeaderRules::of(route, identity));
        let secret = config.session.secret.as_ref();
        let provider = config.provider.as_ref();
        let email_trust = provider.map(|provider| &provider.email_trust);
        Self {
            index: RouteIndex::new(&config.routes, config.listener.port()),
            plans: plans.collect(),
            reserved: Reserved::new(claim_headers.chain(reserved_headers)),
            cookies: CookieNames::new(&config.session.cookie_name),
            sealer: secret.map(|secret| Sealer::new(secret, &config.session.previous_secrets)),
            binder: secret
                .filter(|_| cockpits().next().is_some())
                .map(|secret| Binder::new(secret, &config.session.previous_secrets)),
            sessions: SessionReader::default(),
            revocations: Revocations::default(),
            forged: ForgedTokens::default(),
            certificates: CertificateReader::new(config.listener.client_authority.is_some()),
            proxies: config.listener.trusted_proxies(),
            assertions: Assertions::default(),
            bearers: BearerTokens::default(),
            refresh_cache: RefreshCache::default(),
            refreshes: Queue::default(),
            active_policies: OnceCell::new(),
            needs,
            terms: terms::digest(&policy_needs, email_trust),
            policy_needs,
            asks_for_address: policies().any(Policy::asks_for_address)
                || cockpits().next().is_some(),
            takes_tokens: takes_tokens(&config),
            look: Rc::new(Theme::new(&config.branding)),
            provider: config.provider.take().map(Provider::new),
            config,
        }
    }

    /// Whether it matters where a request with these headers comes from, so that a proxy has to find out
    /// ([`Request::from`]): when any policy asks, and for what is limited for each client address.
    #[must_use]
    pub fn asks_for_address(&self, headers: &[(String, Vec<u8>)]) -> bool {
        self.asks_for_address
            || headers.iter().any(|(name, value)| match name.as_str() {
                "authorization" => self.takes_tokens,
                ":path" => value.starts_with(provider_logout::BACKCHANNEL_LOGOUT.as_bytes()),
                _ => false,
            })
    }

    /// Decides about a request.
    pub fn begin(&self, request: &Request<'_>, env: &mut Env<'_>) -> Step {
        let request = match self.read(request) {
            Ok(request) => request,
            Err(refusal) => return Step::Reply(self.refuse_unreadable(request, refusal)),
        };
        if is_too_large(request.headers) && !Self::is_about_cookies(&request) {
            return Step::Reply(self.refuse_head(&request));
        }
        let chosen = match self.find(&request) {
            Found::Route(chosen) => chosen,
            Found::Own => return self.answer_own(&request, env),
            Found::Nothing => return self.refuse(&request, Refusal::NotFound),
            Found::OtherPort => return self.refuse(&request, Refusal::Misdirected),
            Found::Ambiguous => {
                return self.refuse(&request, Refusal::BadRequest(BadRequest::Path));
            }
        };
        let mut visit = self.visit(&request, env);
        if visit.session.is_none() {
            match self.program(&request, chosen.route.bearer, env) {
                Ok(Some(program)) => visit = program,
                Ok(None) => {}
                Err(step) => return *step,
            }
        }
        let due = visit.session.as_ref();
        let due = due.map_or(Due::No, |session| self.refresh_when_due(session, env));
        if let Due::Overdue { until } = due {
            return Step::Hold { until };
        }
        self.decide(&request, &chosen, &visit, env)
    }

    /// Decides about a request that was held ([`Step::Hold`]) until its time was over, or that cannot be held: what it
    /// waited for does not come, and it is not held again.
    pub fn begin_without(&self, request: &Request<'_>, env: &mut Env<'_>) -> Step {
        match self.begin(request, env) {
            Step::Hold { .. } => Step::Reply(self.unavailable(request)),
            step => step,
        }
    }

    /// Asks the route's policy about a visit.
    fn decide(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        visit: &Authentication,
        env: &mut Env<'_>,
    ) -> Step {
        let certificate = self.certificates.read(request.certificate);
        let path = request.decoded_path();
        let session = visit.session.as_deref();
        let facts = Facts {
            session,
            certificate: certificate.as_fact(),
            ..Facts::of(request, &path, env.now)
        };
        let cookies = self.visit_cookies(request, visit, env);
        match Self::judge(chosen.route, &facts) {
            Decision::Allow(permit) => {
                let told = &self.assertions;
                match self.fulfil(request, chosen, &facts, permit, told, env) {
                    Step::Forward(forward) => {
                        let session = visit.session.clone();
                        let cockpit = chosen.route.cockpit.as_ref();
                        let standing =
                            cockpit.and_then(|cockpit| CockpitIdentity::of(cockpit, &facts));
                        let watched = OpenStream::new(chosen.number, &facts, session, &certificate);
                        let watched = watched.in_cockpit(standing);
                        Step::Forward(forward.with_cookies(cookies).watched(watched))
                    }
                    Step::Reply(reply) => Step::Reply(reply.with_cookies(cookies)),
                    other => other,
                }
            }
            Decision::Deny(_) | Decision::SignIn(_) if is_for_robots(request) => {
                Step::Reply(plain(200, ROBOTS, "robots kept out").with_cookies(cookies))
            }
            Decision::Deny(reasons) => {
                let reply = self.forbid(request, chosen, facts.session, reasons);
                Step::Reply(reply.with_cookies(cookies))
            }
            Decision::SignIn(_) if visit.by_header => self.refuse(request, Refusal::BearerToken),
            Decision::SignIn(_) => match self.sign_in(request, request.target.as_ref(), env) {
                Step::Reply(reply) => Step::Reply(reply.with_cookies(cookies)),
                other => other,
            },
        }
    }

    /// Reads a request.
    fn read<'r>(&self, request: &Request<'r>) -> Result<Parsed<'r>, Refusal> {
        Parsed::read(request, &self.reserved)
    }

    /// Finds where a request leads. Applications disagree about what follows a `;` in a path: where that would lead to
    /// another place, the request leads nowhere.
    fn find(&self, request: &Parsed<'_>) -> Found<'_> {
        let found = self.find_path(request, request.path());
        match without_parameters(request.path()) {
            Some(path) if !found.is_same(&self.find_path(request, &path)) => Found::Ambiguous,
            _ => found,
        }
    }

    /// Finds where a request leads by the letters of this path.
    fn find_path(&self, request: &Parsed<'_>, path: &str) -> Found<'_> {
        if endpoints::is_health(path) {
            return Found::Own;
        }
        let (routes, host) = (&self.config.routes, &*request.authority.host);
        let is_sign_in_host = self.is_sign_in_host(request);
        let known = self.index.origin(routes, &request.authority);
        let is_by_other_port = known == KnownOrigin::OtherPort
            || (known == KnownOrigin::No && self.is_host_of_sign_in(request));
        if is_by_other_port && !is_sign_in_host {
            return Found::OtherPort;
        }
        if endpoints::is_own(path, is_sign_in_host) {
            return if is_sign_in_host || known == KnownOrigin::Yes {
                Found::Own
            } else {
                Found::Nothing
            };
        }
        let port = request.authority.port.unwrap_or(HTTPS);
        let place = self.index.find(routes, host, port, path);
        let chosen = place.and_then(|place| {
            Some(Chosen {
                number: RouteNumber(place),
                route: routes.get(place)?,
                plan: self.plans.get(place)?,
            })
        });
        chosen.map_or(Found::Nothing, Found::Route)
    }

    /// What becomes of a request that the policy has permitted. `told` is what upstreams were told a moment ago.
    fn fulfil(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        facts: &Facts<'_>,
        permit: Permit,
        told: &Assertions,
        env: &mut Env<'_>,
    ) -> Step {
        if let Some(refusal) = refused_upgrade(request, chosen.route) {
            return self.refuse(request, refusal);
        }
        let access = match self.authorize_cockpit(request, chosen, facts) {
            Ok(access) => access,
            Err(step) => return *step,
        };
        match &chosen.route.target {
            Target::Upstreams(_) => {
                let binding = access.as_ref().map(|access| self.bind(request, access));
                let binding = match binding.transpose() {
                    Ok(binding) => binding,
                    Err(refusal) => return self.refuse(request, refusal),
                };
                let access = access.as_ref().zip(binding.as_ref());
                match self.edits(request, chosen, facts, access, told, env) {
                    Ok(edits) => {
                        let forward = Forward::new(permit, chosen.number, edits.edits);
                        let forward = forward.switching(request.upgrade.is_some());
                        Step::Forward(forward.bound(binding).warned(edits.warning))
                    }
                    Err(refusal) => self.refuse(request, refusal),
                }
            }
            Target::Redirect(to) => self.redirect_away(request, chosen, to, &permit),
            Target::Response(response) => answer::fixed_answer(chosen, response, &permit),
        }
    }

    /// The answer for a request that cannot be decided about without the provider.
    fn unavailable(&self, request: &Request<'_>) -> Reply {
        let refusal = Refusal::ProviderUnavailable;
        match self.read(request) {
            Ok(request) => {
                if let Some(reply) = self.sign_out_alone(&request) {
                    return reply;
                }
                let extras = Extras {
                    link: Some((&request.target, "Try again")),
                    ..Extras::default()
                };
                refuse(refusal, extras, &self.audience(&request), line(refusal))
            }
            Err(_) => self.refuse_unreadable(request, refusal),
        }
    }

    /// What there is to do about the provider. The answer to a call goes to [`Gate::absorb`].
    pub fn due(&self, env: &Env<'_>) -> ProviderDue {
        self.provider
            .as_ref()
            .map_or(ProviderDue::Nothing, |provider| provider.due(env))
    }

    /// Takes in the answer to a call of [`Gate::due`].
    pub fn absorb(&self, reply: &ProviderReply<'_>, env: &Env<'_>) -> Absorbed {
        match &self.provider {
            Some(provider) => provider.absorb(reply, env),
            None => Absorbed::Failed("there is no provider".to_owned()),
        }
    }

    /// What the operator has to know about the provider, once; for the log.
    pub fn take_provider_warning(&self) -> Option<String> {
        self.provider.as_ref().and_then(Provider::take_warning)
    }

    pub(crate) fn absorb_keys(&self, reply: &ProviderReply<'_>, env: &Env<'_>) {
        if let Some(provider) = &self.provider {
            provider.absorb_keys(reply, env);
        }
    }

    pub(crate) fn is_github(&self) -> bool {
        let provider = self.provider.as_ref();
        provider.is_some_and(|provider| provider.settings().kind == ProviderKind::Github)
    }

    /// Claims under the names that they have everywhere: Ping tells the address as `mail`.
    pub(crate) fn normalize_claims(&self, mut claims: Claims) -> Claims {
        let kind = self
            .provider
            .as_ref()
            .map(|provider| provider.settings().kind);
        if kind == Some(ProviderKind::Ping)
            && !claims.contains_key("email")
            && let Some(mail) = claims.get("mail").cloned()
        {
            claims.insert("email".to_owned(), mail);
        }
        claims
    }

    /// Whether the file's policies or headers want to know what these claims do not say, so that UserInfo is worth a call.
    pub(crate) fn is_missing_claims(&self, claims: &Claims) -> bool {
        let trust = self
            .provider
            .as_ref()
            .map(|provider| &provider.settings().email_trust);
        !claims.contains_key("email")
            || self.needs.is_missing_any(claims)
            || trust.is_some_and(|trust| email::is_unproven(claims, trust))
    }

    pub(crate) fn known_provider(&self) -> Option<(&Provider, Rc<Metadata>)> {
        let provider = self.provider.as_ref()?;
        provider.metadata().map(|metadata| (provider, metadata))
    }

    fn forbid(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        session: Option<&Session>,
        reasons: Reasons,
    ) -> Reply {
        let account = session.map(Session::account);
        let refusal = refusal_for(reasons);
        let event = format!(
            "refused: {} route={:?} account={:?} reasons={reasons}",
            refusal.word(),
            chosen.route.name,
            account.unwrap_or_default(),
        );
        let target = self.sign_out_targets();
        let extras = Extras {
            account,
            sign_out: session.is_some(),
            form_target: target.as_deref(),
            reasons: if chosen.route.show_error_details {
                reasons
            } else {
                Reasons::NONE
            },
            ..Extras::default()
        };
        refuse(refusal, extras, &self.audience(request), event)
    }

    /// For whom an answer to a request is made.
    fn audience(&self, request: &Parsed<'_>) -> Audience {
        Audience::of(request, &self.look)
    }

    fn refuse(&self, request: &Parsed<'_>, refusal: Refusal) -> Step {
        let audience = self.audience(request);
        let mut reply = refuse(refusal, Extras::default(), &audience, line(refusal));
        if refusal == Refusal::MethodNotAllowed {
            let methods = self.methods(request.path()).unwrap_or(FORWARDED_METHODS);
            reply.add("allow", methods.to_owned());
        }
        if refusal == Refusal::WebsocketVersion {
            reply.add("sec-websocket-version", websocket::VERSION.to_owned());
        }
        Step::Reply(reply)
    }

    /// The same, with a reason that the log tells and the client does not learn.
    fn refuse_because(&self, request: &Parsed<'_>, refusal: Refusal, why: &str) -> Step {
        let mut step = self.refuse(request, refusal);
        if let Step::Reply(reply) = &mut step {
            reply.event = format!("{} ({why})", line(refusal)).into();
        }
        step
    }

    fn refuse_unreadable(&self, request: &Request<'_>, refusal: Refusal) -> Reply {
        let audience = Audience::of_unreadable(request, &self.look);
        let mut reply = refuse(refusal, Extras::default(), &audience, line(refusal));
        if refusal == Refusal::MethodNotAllowed {
            reply.add("allow", FORWARDED_METHODS.to_owned());
        }
        reply
    }
}

/// Whether a route takes the provider's tokens in the place of a session.
fn takes_tokens(config: &Config) -> bool {
    let is_one = |route: &Route| route.bearer != BearerFormat::Session;
    config.routes.iter().any(is_one)
}

/// What robots are told where they would be refused or sent to the provider (RFC 9309).
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

fn is_for_robots(request: &Parsed<'_>) -> bool {
    request.path() == "/robots.txt" && matches!(request.method, "GET" | "HEAD")
}

/// What a visitor is told when a policy says no for these reasons.
fn refusal_for(reasons: Reasons) -> Refusal {
    let certificate = [
        Reason::ClientCertificateRequired,
        Reason::InvalidClientCertificate,
    ];
    if certificate
        .into_iter()
        .any(|reason| reasons.contains(reason))
    {
        Refusal::ClientCertificate
    } else {
        Refusal::Forbidden
    }
}

/// The log line of a refusal.
fn line(refusal: Refusal) -> String {
    format!("refused: {}", refusal.word())
}

#[cfg(test)]
mod tests;
