//! A sign-in that waits for the provider's reply to a call of its token flow.

use crate::env::Env;
use crate::gate::pages::SignInFailure;
use crate::gate::step::Step;
use crate::gate::waiting::{Flow, Waiting};
use crate::gate::{Gate, SignInResult};
use crate::http::reply::Audience;
use crate::http::request::Request;
use crate::oidc::attempt::Attempt;
use crate::oidc::call::ProviderReply;
use crate::oidc::clock;
use crate::oidc::token_flow::{FlowFailure, FlowStep, TokenFlow};
use crate::refusal::{SignInProblem, TokenProblem};

/// A sign-in that waits for the provider.
pub(crate) struct SignIn {
    attempt: Attempt,
    host: String,
    audience: Audience,
    /// By how many seconds the provider's clock is ahead of this machine's, when that matters.
    skew: Option<i64>,
    flow: TokenFlow,
}

impl SignIn {
    /// Creates a sign-in whose code is being redeemed.
    pub(crate) const fn new(
        attempt: Attempt,
        host: String,
        audience: Audience,
        flow: TokenFlow,
    ) -> Self {
        Self {
            attempt,
            host,
            audience,
            skew: None,
            flow,
        }
    }

    /// Whether the reply that the sign-in waits for is the provider's keys.
    pub(super) const fn is_awaiting_keys(&self) -> bool {
        self.flow.is_awaiting_keys()
    }

    /// Goes on with the provider's reply.
    pub(super) fn resume(
        self,
        gate: &Gate,
        request: &Request<'_>,
        reply: &ProviderReply<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        let Self {
            attempt,
            host,
            audience,
            skew,
            flow,
        } = self;
        let skew = clock::measure_skew(reply.date, env.now).or(skew);
        let result = SignInResult {
            attempt: &attempt,
            host: &host,
            audience: &audience,
        };
        let Some(source) = gate.claim_source() else {
            let failure = SignInProblem::ProviderAnswer.into();
            return Step::Reply(gate.sign_in_failed(&attempt, &audience, &failure));
        };
        match flow.resume(reply, source, env) {
            FlowStep::Call(call, flow) => {
                let waiting = Self {
                    attempt,
                    host,
                    audience,
                    skew,
                    flow,
                };
                Step::Call(call, Waiting::on(Flow::SignIn(Box::new(waiting))))
            }
            FlowStep::Done(verified) => {
                Step::Reply(gate.complete_sign_in(request, &result, &verified, env))
            }
            FlowStep::Failed(failure) => fail(gate, &result, failure, skew),
        }
    }
}

/// Ends a sign-in with a page. When a clock may be the reason, the page tells by how much the clocks differ.
fn fail(gate: &Gate, result: &SignInResult<'_>, failed: FlowFailure, skew: Option<i64>) -> Step {
    let problem = SignInProblem::from(failed.problem);
    let is_about_time = matches!(
        problem,
        SignInProblem::Token(TokenProblem::Expired | TokenProblem::IssuedAt)
    );
    let note = skew.filter(|_| is_about_time).map(clock::describe_skew);
    let failure = SignInFailure::from(problem)
        .with_note(note.unwrap_or_default())
        .with_cause(failed.cause);
    Step::Reply(gate.sign_in_failed(result.attempt, result.audience, &failure))
}
