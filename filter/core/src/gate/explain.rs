//! Explains what would become of a request: the same decision as [`Gate::begin`], criterion by criterion.

use crate::config::{EmailTrust, Route, Target};
use crate::env::Env;
use crate::explain::{
    ExplainedCockpit, ExplainedCriterion, ExplainedDecision, ExplainedRoute, ExplainedTerm,
    Explanation, Question,
};
use crate::gate::Gate;
use crate::gate::cockpit::CockpitIdentity;
use crate::gate::decision::{RouteContext, decide};
use crate::gate::router::{Destination, MatchedRoute};
use crate::gate::step::Step;
use crate::http::request::{Parsed, Request};
use crate::oidc::claims::read_identity;
use crate::oidc::email::add_provider_proof;
use crate::policy::{CriterionTrace, Decision, Facts, Reason, Reasons, TermTrace};
use crate::refusal::{BadRequest, Refusal};
use crate::session::Session;
use crate::session::assertion::Assertions;
use crate::session::claim_filter::ClaimFilter;
use crate::store::LocalShared;

/// Status of a redirect to the provider.
const TO_PROVIDER: u16 = 303;

/// The outcome of a request on a route.
struct Outcome {
    decision: ExplainedDecision,
    status: u16,
    reasons: Reasons,
    summary: String,
}

impl Gate {
    /// Explains what would become of a request. The user comes from the question, not from a cookie in the request.
    #[must_use]
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        let request = Request::new(question.headers).from(question.source);
        let request = match self.router.read(&request) {
            Ok(request) => request,
            Err(refusal) => return Explanation::before_any_route(refusal),
        };
        match self.router.find(&request) {
            Destination::Route(matched) => self.explain_route(question, &request, matched),
            Destination::OwnEndpoint => {
                let mut env = Env {
                    now: question.now,
                    random: &mut |_| Ok(()),
                    shared: &LocalShared::default(),
                };
                Explanation::own_page(&self.answer_own_endpoint(&request, &mut env))
            }
            Destination::Nothing => Explanation::before_any_route(Refusal::NotFound),
            Destination::OtherPort => Explanation::before_any_route(Refusal::Misdirected),
            Destination::Ambiguous => {
                Explanation::before_any_route(Refusal::BadRequest(BadRequest::Path))
            }
        }
    }

    fn explain_route(
        &self,
        question: &Question<'_>,
        request: &Parsed<'_>,
        matched: MatchedRoute<'_>,
    ) -> Explanation {
        let kept = &self.sessions.terms.kept_claims;
        let decisive = self.hypothetical_session(question, kept);
        let shown = self.hypothetical_session(question, &ClaimFilter::everything());
        let path = request.decoded_path();
        let facts = Facts {
            session: decisive.as_ref(),
            certificate: question.certificate,
            ..Facts::of(request, &path, question.now)
        };
        let trace = matched.route.policy.trace(&facts, shown.as_ref());
        // Nothing of this is sent: it needs no randomness, and nothing may be remembered.
        let mut context = RouteContext {
            request,
            matched,
            facts,
            assertions: &Assertions::default(),
            env: &mut Env {
                now: question.now,
                random: &mut |_| Ok(()),
                shared: &LocalShared::default(),
            },
        };
        let outcome = self.predict_outcome(&mut context, trace.reasons);
        Explanation {
            route: Some(describe_route(matched)),
            decision: outcome.decision,
            status: outcome.status,
            reasons: outcome.reasons.iter().map(Reason::word).collect(),
            summary: outcome.summary,
            allow: trace.allow.into_iter().map(explain_term).collect(),
            deny: trace.deny.into_iter().map(explain_term).collect(),
            cockpit: explain_cockpit(matched, &facts),
        }
    }

    /// Returns the session that a sign-in with these claims would make, with the claims that `filter` names. In the question,
    /// `email_verified` stands for whatever this kind of provider says about a verified address.
    fn hypothetical_session(
        &self,
        question: &Question<'_>,
        filter: &ClaimFilter,
    ) -> Option<Session> {
        const LIFETIME: u64 = 60;
        let none = EmailTrust::default();
        let settings = self.provider.settings();
        let trust = settings.map_or(&none, |settings| &settings.email_trust);
        let claims = add_provider_proof(question.claims?, trust);
        let identity = read_identity(&claims, trust, filter).ok()?;
        let now = question.now;
        Some(Session::new(String::new(), identity, now, LIFETIME))
    }

    /// Returns the outcome of a request. `allowing` are the reasons for which the policy allows it, if it does.
    fn predict_outcome(&self, context: &mut RouteContext<'_, '_>, allowing: Reasons) -> Outcome {
        let route = context.matched.route;
        match decide(route, &context.facts) {
            Decision::Allow(permit) => {
                let step = self.fulfil(context, permit);
                describe_permitted(route, step, allowing)
            }
            Decision::Deny(reasons) => {
                let status = self.forbid(context, reasons).status;
                Outcome {
                    decision: ExplainedDecision::Deny,
                    status,
                    reasons,
                    summary: format!("the policy refuses it with status {status}"),
                }
            }
            Decision::SignIn(reasons) => describe_sign_in(context.request, reasons),
        }
    }
}

fn describe_route(matched: MatchedRoute<'_>) -> ExplainedRoute {
    let route = matched.route;
    ExplainedRoute {
        name: route.name.clone(),
        id: route.id.clone(),
        from: format!("https://{}", route.from.authority()),
        index: matched.number.0,
    }
}

fn explain_cockpit(matched: MatchedRoute<'_>, facts: &Facts<'_>) -> Option<ExplainedCockpit> {
    let cockpit = matched.route.cockpit.as_ref()?;
    facts.session?;
    let identity = CockpitIdentity::of(cockpit, facts);
    Some(ExplainedCockpit {
        user: identity.as_ref().map(|identity| identity.user.to_string()),
        by: identity.as_ref().map(|identity| identity.by.key()),
        administrator: identity.is_some_and(|identity| identity.administrator),
    })
}

fn describe_permitted(route: &Route, step: Step, reasons: Reasons) -> Outcome {
    let (decision, status, summary) = match (&route.target, step) {
        (Target::Upstreams(upstreams), Step::Forward(_)) => {
            let addresses: Vec<String> = upstreams
                .endpoints
                .iter()
                .map(|endpoint| endpoint.origin.to_string())
                .collect();
            let summary = format!(
                "the policy permits it, and it goes to {}",
                addresses.join(" or ")
            );
            (ExplainedDecision::Allow, 200, summary)
        }
        (Target::Redirect(_), Step::Reply(reply)) => {
            let location = reply.header("location").unwrap_or_default();
            let summary = format!("the policy permits it, and the client is sent to {location}");
            (ExplainedDecision::Allow, reply.status, summary)
        }
        (Target::Response(_), Step::Reply(reply)) => {
            let summary = "the policy permits it, and the client gets the fixed response";
            (ExplainedDecision::Allow, reply.status, summary.to_owned())
        }
        (_, Step::Reply(reply)) => {
            let summary = format!("the policy permits it, but it is {}", reply.event);
            (ExplainedDecision::Deny, reply.status, summary)
        }
        (_, Step::Forward(_) | Step::Call(..) | Step::Hold { .. } | Step::ReadBody { .. }) => {
            let refusal = Refusal::Internal;
            (
                ExplainedDecision::Deny,
                refusal.status(),
                refusal.word().to_owned(),
            )
        }
    };
    Outcome {
        decision,
        status,
        reasons,
        summary,
    }
}

fn describe_sign_in(request: &Parsed<'_>, reasons: Reasons) -> Outcome {
    let (status, summary) = if request.is_navigation() {
        (
            TO_PROVIDER,
            "the browser is sent to the provider to sign in, and the policy is asked again"
                .to_owned(),
        )
    } else {
        let status = Refusal::Unauthenticated.status();
        let summary =
            format!("it needs a session, and what is no page in a browser gets status {status}");
        (status, summary)
    };
    Outcome {
        decision: ExplainedDecision::Login,
        status,
        reasons,
        summary,
    }
}

impl Explanation {
    /// Explains a request that does not reach any route.
    fn before_any_route(refusal: Refusal) -> Self {
        let summary = match refusal {
            Refusal::NotFound => "no route serves this address".to_owned(),
            Refusal::Misdirected => "routes serve this host, but not by this port: without one in `from` it is 443 or that of `address`".to_owned(),
            Refusal::BadRequest(what) => format!("refused before any route: {}", what.words()),
            refusal => format!("refused before any route: {}", refusal.word()),
        };
        Self {
            reasons: vec![refusal.word()],
            ..Self::without_route(ExplainedDecision::Deny, refusal.status(), summary)
        }
    }

    /// Explains a request that one of the proxy's own endpoints answers.
    fn own_page(step: &Step) -> Self {
        let (decision, status) = match step {
            // A sign-in, which waits for the provider.
            Step::Call(..) | Step::Hold { .. } => (ExplainedDecision::Login, TO_PROVIDER),
            // The result depends on the body, which is not part of the question.
            Step::ReadBody { .. } => (ExplainedDecision::Allow, 200),
            Step::Reply(reply) => (reply.decision, reply.status),
            Step::Forward(_) => (ExplainedDecision::Deny, Refusal::Internal.status()),
        };
        let summary = format!(
            "the proxy answers this address itself with status {status}, without asking a policy"
        );
        Self::without_route(decision, status, summary)
    }

    fn without_route(decision: ExplainedDecision, status: u16, summary: String) -> Self {
        Self {
            route: None,
            decision,
            status,
            reasons: Vec::new(),
            summary,
            allow: Vec::new(),
            deny: Vec::new(),
            cockpit: None,
        }
    }
}

fn explain_term(trace: TermTrace) -> ExplainedTerm {
    ExplainedTerm {
        operator: trace.operator,
        holds: trace.holds,
        criteria: trace.criteria.into_iter().map(explain_criterion).collect(),
    }
}

fn explain_criterion(trace: CriterionTrace) -> ExplainedCriterion {
    ExplainedCriterion {
        criterion: trace.criterion,
        holds: trace.holds,
        reason: trace.reasons.to_string(),
        looked_at: trace.looked_at,
    }
}
