//! A session refresh that waits for the provider (OpenID Connect Core 1.0 section 12).

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use crate::env::Env;
use crate::gate::Gate;
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::oidc::token::{Grant, TokenEndpointProblem};
use crate::oidc::token_flow::{FlowFailure, FlowProblem, FlowStep, TokenFlow, VerifiedTokens};
use crate::refusal::TokenProblem;
use crate::session::Session;
use crate::time::Timestamp;

/// The reason in the log when a refresh is about another user.
const IDENTITY_CHANGED: &str = "identity_changed";
/// The reason in the log when the provider's metadata has become too old meanwhile.
const UNKNOWN_PROVIDER: &str = "the provider is not known";

/// A session whose refresh waits for the provider. The reply consumes it.
#[must_use]
pub struct Refreshing {
    session: Rc<Session>,
    flow: TokenFlow,
}

/// How far a refresh is.
#[must_use]
#[derive(Debug)]
pub enum Progress {
    /// The next call. Its reply goes to [`Refreshing::resume`].
    Call(ProviderCall, Box<Refreshing>),
    /// The refresh has ended: requests that are held for it may begin again. This is one line for the log, without
    /// secrets.
    Over(Cow<'static, str>),
}

/// Why a refresh has failed, for the log.
#[derive(Debug)]
pub(crate) struct RefreshFailure {
    reason: &'static str,
    /// The expected and the received values, as for a failed sign-in: one line without secrets, empty when the reason says
    /// everything.
    cause: String,
}

impl fmt::Display for RefreshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)?;
        if !self.cause.is_empty() {
            write!(f, ": {}", self.cause)?;
        }
        Ok(())
    }
}

impl From<&FlowFailure> for RefreshFailure {
    fn from(failed: &FlowFailure) -> Self {
        let cause = failed.cause.clone();
        let reason = match failed.problem {
            FlowProblem::Endpoint(TokenEndpointProblem::Refused) => {
                "the provider refuses to refresh it"
            }
            FlowProblem::Endpoint(
                TokenEndpointProblem::TokenType | TokenEndpointProblem::NoAnswer,
            ) => "the provider gave no usable answer",
            FlowProblem::Token(problem) if is_about_identity(problem) && cause.is_empty() => {
                let cause = problem.word().to_owned();
                let reason = IDENTITY_CHANGED;
                return Self { reason, cause };
            }
            FlowProblem::Token(problem) if is_about_identity(problem) => IDENTITY_CHANGED,
            FlowProblem::Token(problem) => problem.word(),
            FlowProblem::UnknownProvider => UNKNOWN_PROVIDER,
            FlowProblem::UserInfo => "UserInfo gave no usable answer",
        };
        Self { reason, cause }
    }
}

impl From<&'static str> for RefreshFailure {
    fn from(reason: &'static str) -> Self {
        let cause = String::new();
        Self { reason, cause }
    }
}

/// The result of a refresh.
#[derive(Debug)]
pub(crate) enum RefreshEnd {
    /// There is a newer session.
    Refreshed(Box<Session>),
    /// The provider gave a new refresh token and nothing else that could be used, for this reason. The session stays as
    /// it is but for the refresh token.
    Rotated(Box<Session>, RefreshFailure),
    /// The provider gave nothing, for this reason. The session stays as it is, and is refreshed after a pause.
    Postponed(RefreshFailure),
    /// The session has ended, for this reason.
    Ended(RefreshFailure),
}

impl fmt::Debug for Refreshing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refreshing(..)")
    }
}

impl Refreshing {
    /// Begins the refresh of a session. `None` without a refresh token, when the provider is not known, or without
    /// randomness.
    pub(crate) fn begin(
        session: Rc<Session>,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Option<(ProviderCall, Box<Self>)> {
        let (provider, metadata) = gate.known_provider()?;
        let client = provider.client(&metadata);
        let grant = session.refresh.as_ref()?;
        let (call, flow) = TokenFlow::refresh(client, grant, &session.subject, env)?;
        Some((call, Box::new(Self { session, flow })))
    }

    /// Goes on with the provider's reply.
    pub fn resume(self, gate: &Gate, reply: &ProviderReply<'_>, env: &mut Env<'_>) -> Progress {
        let Self { session, flow } = self;
        let end = match gate.claim_source() {
            None => RefreshEnd::Postponed(UNKNOWN_PROVIDER.into()),
            Some(source) => match flow.resume(reply, source, env) {
                FlowStep::Call(call, flow) => {
                    return Progress::Call(call, Box::new(Self { session, flow }));
                }
                FlowStep::Done(verified) => finish(&session, verified, gate, env),
                FlowStep::Failed(failure) => fail(&session, failure, env.now),
            },
        };
        Progress::Over(gate.sessions.conclude(&session, end, env))
    }
}

/// Ends a refresh with a session of what the provider says now, or of what it said before when it says nothing.
fn finish(
    session: &Session,
    verified: VerifiedTokens,
    gate: &Gate,
    env: &mut Env<'_>,
) -> RefreshEnd {
    let mut refreshed = match gate.apply_refresh(session, &verified) {
        Ok(refreshed) => refreshed,
        Err(problem) => {
            let failure = FlowFailure {
                problem: problem.into(),
                cause: gate.describe_refused_claims(problem, &verified),
                grant: verified.tokens.grant,
            };
            return fail(session, failure, env.now);
        }
    };
    let tokens = &verified.tokens;
    let next = session.refresh.as_ref();
    let Some(Ok(next)) = next.map(|grant| grant.next(&tokens.grant, env)) else {
        return rotate(session, &tokens.grant, "internal".into(), env.now);
    };
    refreshed.refresh = Some(next);
    if let Some(id_token) = &tokens.id_token {
        refreshed.keep_hint(id_token);
    }
    RefreshEnd::Refreshed(Box::new(refreshed))
}

/// Ends a refresh that has failed. A token of another user or another issuer must never become this session's, and ends
/// it. A token that is not valid for another reason changes nothing.
fn fail(session: &Session, failed: FlowFailure, now: Timestamp) -> RefreshEnd {
    let failure = RefreshFailure::from(&failed);
    match failed.problem {
        FlowProblem::Endpoint(TokenEndpointProblem::Refused) => RefreshEnd::Ended(failure),
        FlowProblem::Token(problem) if is_about_identity(problem) => RefreshEnd::Ended(failure),
        FlowProblem::Endpoint(TokenEndpointProblem::TokenType | TokenEndpointProblem::NoAnswer) => {
            RefreshEnd::Postponed(failure)
        }
        FlowProblem::Token(_) | FlowProblem::UnknownProvider | FlowProblem::UserInfo => {
            rotate(session, &failed.grant, failure, now)
        }
    }
}

/// Whether a token has this problem because it is not about the session's user.
const fn is_about_identity(problem: TokenProblem) -> bool {
    matches!(
        problem,
        TokenProblem::Issuer
            | TokenProblem::Audience
            | TokenProblem::Nonce
            | TokenProblem::Subject
            | TokenProblem::Tenant
    )
}

/// Ends a refresh with nothing but a new refresh token, if there is one: the old one may not be valid any more.
fn rotate(session: &Session, grant: &Grant, failure: RefreshFailure, now: Timestamp) -> RefreshEnd {
    match &session.refresh {
        Some(known) if grant.refresh_token.is_some() => {
            let mut rotated = session.clone();
            rotated.refresh = Some(known.rotated_only(grant, now));
            RefreshEnd::Rotated(Box::new(rotated), failure)
        }
        _ => RefreshEnd::Postponed(failure),
    }
}
