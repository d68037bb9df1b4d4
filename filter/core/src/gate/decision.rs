//! Decides about a request on a route: the policy first, then what the route does with a permitted request.

use crate::config::{Route, Target};
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::cockpit::CockpitIdentity;
use crate::gate::open_stream::OpenStream;
use crate::gate::pages::{OTHER_ACCOUNT, refusal_event};
use crate::gate::response::fixed_response;
use crate::gate::router::MatchedRoute;
use crate::gate::sessions::Authentication;
use crate::gate::step::{Forward, Step};
use crate::gate::upgrade::refused_upgrade;
use crate::http::reply::{Extras, Reply, plain, refuse};
use crate::http::request::Parsed;
use crate::policy::{Decision, Facts, Permit, Reason, Reasons};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::assertion::Assertions;

/// The reply to a robot that would be refused or redirected to the provider (RFC 9309).
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The sentence for a user whose address is not verified, when the policy denies a request.
const UNVERIFIED_EMAIL: &str = "Your identity provider has not verified your email address, so that no rule about addresses matches it.";

/// The values that every step of a decision about a request on a route needs.
pub(super) struct RouteContext<'c, 'e> {
    pub(super) request: &'c Parsed<'c>,
    pub(super) matched: MatchedRoute<'c>,
    /// The facts for which the policy was evaluated.
    pub(super) facts: Facts<'c>,
    /// Where recently signed assertions are kept.
    pub(super) assertions: &'c Assertions,
    pub(super) env: &'c mut Env<'e>,
}

/// Evaluates the policy of a route. No request reaches Cockpit without a session, which names the Unix user.
pub(super) fn decide(route: &Route, facts: &Facts<'_>) -> Decision {
    match route.policy.decide(facts) {
        Decision::Allow(_) if route.cockpit.is_some() && facts.session.is_none() => {
            Decision::SignIn(Reasons::one(Reason::UserUnauthenticated))
        }
        decision => decision,
    }
}

impl Gate {
    /// Decides about a request on a route.
    pub(super) fn decide(
        &self,
        request: &Parsed<'_>,
        matched: MatchedRoute<'_>,
        authentication: &Authentication,
        env: &mut Env<'_>,
    ) -> Step {
        let certificate = self.router.read_certificate(request);
        let path = request.decoded_path();
        let facts = Facts {
            session: authentication.session.as_deref(),
            certificate: certificate.as_fact(),
            ..Facts::of(request, &path, env.now)
        };
        let cookies = self.sessions.cookies_after(request, authentication, env);
        let mut context = RouteContext {
            request,
            matched,
            facts,
            assertions: &self.assertions,
            env,
        };
        let step = match decide(matched.route, &facts) {
            Decision::Allow(permit) => {
                let step = self.fulfil(&mut context, permit);
                let session = authentication.session.clone();
                step.with_open_stream(|| {
                    OpenStream::new(matched.number, &facts, session, &certificate)
                        .in_cockpit(CockpitIdentity::on(matched.route, &facts))
                })
            }
            Decision::Deny(_) | Decision::SignIn(_) if is_for_robots(request) => {
                Step::Reply(plain(200, ROBOTS, "robots kept out"))
            }
            Decision::Deny(reasons) => Step::Reply(self.forbid(&context, reasons)),
            Decision::SignIn(_) if authentication.is_by_header => {
                self.pages.refuse(request, Refusal::BearerToken)
            }
            Decision::SignIn(_) => self.sign_in(request, request.target.as_ref(), context.env),
        };
        let account = authentication.session.as_deref().map(Session::account);
        step.with_cookies(cookies).for_account(account)
    }

    /// Turns a permitted request into a step.
    pub(super) fn fulfil(&self, context: &mut RouteContext<'_, '_>, permit: Permit) -> Step {
        let (request, route) = (context.request, context.matched.route);
        if let Some(refusal) = refused_upgrade(request, route) {
            return self.pages.refuse(request, refusal);
        }
        let access = match self.cockpit.authorize(context) {
            Ok(access) => access,
            Err(denial) => return self.deny_cockpit(context, denial),
        };
        match &route.target {
            Target::Upstreams(_) => {
                let edits = self
                    .upstream_headers
                    .edits(context, access.as_ref(), &self.cockpit);
                match edits {
                    Ok(edits) => Step::Forward(
                        Forward::new(permit, context.matched.number, edits.edits)
                            .switching(request.upgrade.is_some())
                            .bound(access.map(|access| access.binding))
                            .warned(edits.warning),
                    ),
                    Err(refusal) => self.pages.refuse(request, refusal),
                }
            }
            Target::Redirect(to) => self.redirect_away(context, to, &permit),
            Target::Response(response) => fixed_response(context.matched, response, &permit),
        }
    }

    /// Refuses a request that the policy denies.
    pub(super) fn forbid(&self, context: &RouteContext<'_, '_>, reasons: Reasons) -> Reply {
        let (route, session) = (context.matched.route, context.facts.session);
        let account = session.map(Session::account);
        let refusal = refusal_for(reasons);
        let is_unverified = session.is_some_and(Session::has_unverified_email);
        let event = format!(
            "{} route={:?} reasons={reasons}{}",
            refusal_event(refusal),
            route.name,
            if is_unverified {
                " email_verified=false"
            } else {
                ""
            },
        );
        let target = self.sign_out_targets();
        let extras = Extras {
            account,
            sign_out: session.map(|_| OTHER_ACCOUNT),
            form_target: target.as_deref(),
            note: Some(UNVERIFIED_EMAIL).filter(|_| is_unverified && is_about_email(reasons)),
            reasons: if route.show_error_details {
                reasons
            } else {
                Reasons::NONE
            },
            ..Extras::default()
        };
        let audience = self.pages.audience(context.request);
        refuse(refusal, extras, &audience, event).because(reasons.to_string())
    }
}

/// Returns whether a verified address could have changed the decision.
fn is_about_email(reasons: Reasons) -> bool {
    [Reason::EmailUnauthorized, Reason::DomainUnauthorized]
        .into_iter()
        .any(|reason| reasons.contains(reason))
}

fn is_for_robots(request: &Parsed<'_>) -> bool {
    request.path() == "/robots.txt" && matches!(request.method, "GET" | "HEAD")
}

/// Returns the refusal of a request that a policy denies for these reasons.
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
