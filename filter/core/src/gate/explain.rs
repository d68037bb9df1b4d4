//! Telling what would become of a request: the same decision as [`Gate::begin`], criterion by criterion.

use super::cockpit::CockpitIdentity;
use super::{Chosen, Found, Gate};
use crate::config::{EmailTrust, Route, Target};
use crate::env::Env;
use crate::explain::{
    ExplainedCockpit, ExplainedCriterion, ExplainedDecision, ExplainedRoute, ExplainedTerm,
    Explanation, Question,
};
use crate::gate::step::Step;
use crate::http::request::{Parsed, Request};
use crate::oidc::claims::identity;
use crate::oidc::email::vouched;
use crate::policy::{CriterionTrace, Decision, Facts, Reason, Reasons, TermTrace};
use crate::refusal::{BadRequest, Refusal};
use crate::session::Session;
use crate::session::assertion::Assertions;
use crate::session::claim_filter::ClaimFilter;
use crate::store::LocalShared;

/// Status of a redirect to the provider.
const TO_PROVIDER: u16 = 303;

/// What becomes of a request that reached a route.
struct Outcome {
    decision: ExplainedDecision,
    status: u16,
    reasons: Reasons,
    summary: String,
}

impl Gate {
    /// Tells what would become of a request, with the question's visitor in the place of the one whose cookie the request
    /// has.
    #[must_use]
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        let request = Request::new(question.headers).from(question.source);
        let request = match self.read(&request) {
            Ok(request) => request,
            Err(refusal) => return Explanation::before_any_route(refusal),
        };
        match self.find(&request) {
            Found::Route(chosen) => self.explain_route(question, &request, &chosen),
            Found::Own => {
                let mut env = Env {
                    now: question.now,
                    random: &mut |_| Ok(()),
                    shared: &LocalShared::default(),
                };
                Explanation::own_page(&self.answer_own(&request, &mut env))
            }
            Found::Nothing => Explanation::before_any_route(Refusal::NotFound),
            Found::OtherPort => Explanation::before_any_route(Refusal::Misdirected),
            Found::Ambiguous => {
                Explanation::before_any_route(Refusal::BadRequest(BadRequest::Path))
            }
        }
    }

    fn explain_route(
        &self,
        question: &Question<'_>,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
    ) -> Explanation {
        let decisive = self.hypothetical_session(question, &self.needs);
        let shown = self.hypothetical_session(question, &ClaimFilter::everything());
        let path = request.decoded_path();
        let facts = Facts {
            session: decisive.as_ref(),
            certificate: question.certificate,
            ..Facts::of(request, &path, question.now)
        };
        let trace = chosen.route.policy.trace(&facts, shown.as_ref());
        let outcome = self.outcome(request, chosen, &facts, trace.reasons);
        Explanation {
            route: Some(name(chosen)),
            decision: outcome.decision,
            status: outcome.status,
            reasons: outcome.reasons.iter().map(Reason::word).collect(),
            summary: outcome.summary,
            allow: trace.allow.into_iter().map(term).collect(),
            deny: trace.deny.into_iter().map(term).collect(),
            cockpit: explain_cockpit(chosen, &facts),
        }
    }

    /// The session that a sign-in with these claims makes; `email_verified` stands for whatever this kind of provider says
    /// about an address that it vouches for.
    fn hypothetical_session(
        &self,
        question: &Question<'_>,
        needs: &ClaimFilter,
    ) -> Option<Session> {
        const LIFETIME: u64 = 60;
        let trust = self
            .provider
            .as_ref()
            .map_or_else(EmailTrust::default, |provider| {
                provider.settings().email_trust.clone()
            });
        let claims = vouched(question.claims?, &trust);
        let identity = identity(&claims, &trust, needs).ok()?;
        Some(Session::new(
            String::new(),
            identity,
            question.now,
            LIFETIME,
        ))
    }

    fn outcome(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        facts: &Facts<'_>,
        allowing: Reasons,
    ) -> Outcome {
        match Self::judge(chosen.route, facts) {
            Decision::Allow(permit) => {
                // Nothing of this is sent: neither does it need randomness, nor may it be remembered.
                let told = Assertions::default();
                let mut env = Env {
                    now: facts.now,
                    random: &mut |_| Ok(()),
                    shared: &LocalShared::default(),
                };
                let step = self.fulfil(request, chosen, facts, permit, &told, &mut env);
                permitted(chosen.route, step, allowing)
            }
            Decision::Deny(reasons) => {
                let status = self.forbid(request, chosen, facts.session, reasons).status;
                Outcome {
                    decision: ExplainedDecision::Deny,
                    status,
                    reasons,
                    summary: format!("the policy refuses it with status {status}"),
                }
            }
            Decision::SignIn(reasons) => to_sign_in(request, reasons),
        }
    }
}

fn name(chosen: &Chosen<'_>) -> ExplainedRoute {
    let route = chosen.route;
    ExplainedRoute {
        name: route.name.clone(),
        id: route.id.clone(),
        from: format!("https://{}", route.from.authority()),
        index: chosen.number.0,
    }
}

fn explain_cockpit(chosen: &Chosen<'_>, facts: &Facts<'_>) -> Option<ExplainedCockpit> {
    let cockpit = chosen.route.cockpit.as_ref()?;
    facts.session?;
    let standing = CockpitIdentity::of(cockpit, facts);
    Some(ExplainedCockpit {
        user: standing.as_ref().map(|standing| standing.user.to_string()),
        by: standing.as_ref().map(|standing| standing.by.key()),
        administrator: standing.is_some_and(|standing| standing.administrator),
    })
}

fn permitted(route: &Route, step: Step, reasons: Reasons) -> Outcome {
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
            let summary = format!("the policy permits it, and the visitor is sent to {location}");
            (ExplainedDecision::Allow, reply.status, summary)
        }
        (Target::Response(_), Step::Reply(reply)) => {
            let summary = "the policy permits it, and the visitor gets the fixed response";
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

fn to_sign_in(request: &Parsed<'_>, reasons: Reasons) -> Outcome {
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
    /// The request does not reach any route.
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

    /// One of our own endpoints answers.
    fn own_page(step: &Step) -> Self {
        let (decision, status) = match step {
            // A sign-in: what it waits for is the provider.
            Step::Call(..) | Step::Hold { .. } => (ExplainedDecision::Login, TO_PROVIDER),
            // What it is for stands in the body, which nobody has asked about.
            Step::ReadBody { .. } => (ExplainedDecision::Allow, 200),
            Step::Reply(reply) if reply.status == Refusal::Unauthenticated.status() => {
                (ExplainedDecision::Login, reply.status)
            }
            Step::Reply(reply) if reply.status < 400 => (ExplainedDecision::Allow, reply.status),
            Step::Reply(reply) => (ExplainedDecision::Deny, reply.status),
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

fn term(trace: TermTrace) -> ExplainedTerm {
    ExplainedTerm {
        operator: trace.operator,
        holds: trace.holds,
        criteria: trace.criteria.into_iter().map(criterion).collect(),
    }
}

fn criterion(trace: CriterionTrace) -> ExplainedCriterion {
    ExplainedCriterion {
        criterion: trace.criterion,
        holds: trace.holds,
        reason: trace.reasons.to_string(),
        looked_at: trace.looked_at,
    }
}
