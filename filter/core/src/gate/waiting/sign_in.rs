//! A sign-in between its callback and its end.

use super::{Flow, Waiting};
use crate::env::Env;
use crate::gate::sessions::ProviderStatement;
use crate::gate::step::Step;
use crate::gate::{Gate, SignInResult};
use crate::http::reply::Audience;
use crate::http::request::Request;
use crate::oidc::attempt::Attempt;
use crate::oidc::call::ProviderReply;
use crate::oidc::claims::{self, Claims, Expected, Nonce};
use crate::oidc::keys::KeyLookup;
use crate::oidc::provider::NewKeys;
use crate::oidc::token::{self, Tokens};
use crate::oidc::{clock, email, github};
use crate::refusal::{Refusal, SignInProblem, TokenProblem};

/// A sign-in that waits for the provider.
pub(crate) struct SignIn {
    attempt: Attempt,
    host: String,
    audience: Audience,
    /// By how much the provider's clock is ahead of ours, when that matters.
    skew: Option<i64>,
    stage: Stage,
}

enum Stage {
    /// The code is being redeemed.
    Redeeming,
    /// The token names a key that we do not have; the keys are being fetched again.
    FetchingKeys(Tokens),
    /// The ID token holds; UserInfo is asked for the address.
    AskingUserInfo(Claims, Tokens),
    /// GitHub has given a token and is asked who it is about.
    AskingGithub(github::Question, Claims, Tokens),
}

impl SignIn {
    /// A sign-in whose code is being redeemed.
    pub(crate) const fn redeeming(attempt: Attempt, host: String, audience: Audience) -> Self {
        Self {
            attempt,
            host,
            audience,
            skew: None,
            stage: Stage::Redeeming,
        }
    }

    /// Whether it is the provider's keys that are waited for.
    pub(super) const fn is_for_keys(&self) -> bool {
        matches!(self.stage, Stage::FetchingKeys(_))
    }

    /// Goes on with the provider's answer.
    pub(super) fn resume(
        self,
        gate: &Gate,
        request: &Request<'_>,
        reply: &ProviderReply<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        let sign_in = Remaining {
            request,
            attempt: self.attempt,
            host: self.host,
            audience: self.audience,
            skew: clock::skew(reply.date, env.now).or(self.skew),
        };
        match self.stage {
            Stage::Redeeming if gate.is_github() => match github::read_access_token(reply) {
                Ok(token) => sign_in.ask_github(
                    github::Question::User,
                    Claims::new(),
                    Tokens::without_id(token),
                    gate,
                ),
                Err(problem) => sign_in.fail(problem, gate),
            },
            Stage::Redeeming => match token::read_answer(reply) {
                Ok(tokens) => sign_in.verify(tokens, KeyLookup::First, gate, env),
                Err(problem) => sign_in.fail(problem, gate),
            },
            Stage::FetchingKeys(tokens) => {
                gate.absorb_keys(reply, env);
                sign_in.verify(tokens, KeyLookup::Again, gate, env)
            }
            Stage::AskingUserInfo(claims, tokens) => {
                sign_in.merge(claims, &tokens, reply, gate, env)
            }
            Stage::AskingGithub(question, mut claims, tokens) => {
                match (
                    github::absorb(question, reply, &mut claims),
                    question.next(),
                ) {
                    (Err(problem), _) => sign_in.fail(problem, gate),
                    (Ok(()), Some(next)) => sign_in.ask_github(next, claims, tokens, gate),
                    (Ok(()), None) => sign_in.finish(&claims, &tokens, gate, env),
                }
            }
        }
    }
}

/// A sign-in between two stages.
struct Remaining<'r> {
    request: &'r Request<'r>,
    attempt: Attempt,
    host: String,
    audience: Audience,
    skew: Option<i64>,
}

impl Remaining<'_> {
    fn verify(self, tokens: Tokens, lookup: KeyLookup, gate: &Gate, env: &mut Env<'_>) -> Step {
        let Some((provider, metadata)) = gate.known_provider() else {
            return self.fail(SignInProblem::ProviderAnswer, gate);
        };
        let nonce = self.attempt.nonce();
        let expected = Expected {
            issuer: &metadata.discovered.issuer,
            client_id: &provider.settings().client_id,
            nonce: Nonce::Is(&nonce),
            access_token: tokens.access_token.as_deref(),
            now: env.now,
        };
        let claims = match claims::verify(&tokens.id_token, &metadata.keys, &expected) {
            Ok(claims) => gate.normalize_claims(claims),
            Err(TokenProblem::UnknownKey) if lookup == KeyLookup::First => {
                return match provider.refetch_keys(env) {
                    NewKeys::Adopted => self.verify(tokens, KeyLookup::Again, gate, env),
                    NewKeys::Call(call) => Step::Call(call, self.at(Stage::FetchingKeys(tokens))),
                    NewKeys::None => self.fail(TokenProblem::UnknownKey.into(), gate),
                };
            }
            Err(problem) => return self.fail(problem.into(), gate),
        };
        let endpoint = metadata.discovered.userinfo_endpoint.as_ref();
        match endpoint.zip(tokens.access_token.as_deref()) {
            Some((endpoint, access_token)) if gate.is_missing_claims(&claims) => Step::Call(
                token::ask_userinfo(endpoint, access_token),
                self.at(Stage::AskingUserInfo(claims, tokens)),
            ),
            _ => self.finish(&claims, &tokens, gate, env),
        }
    }

    fn ask_github(
        self,
        question: github::Question,
        claims: Claims,
        tokens: Tokens,
        gate: &Gate,
    ) -> Step {
        let settings = gate
            .known_provider()
            .map(|(provider, _)| provider.settings());
        let Some((settings, token)) = settings.zip(tokens.access_token.as_deref()) else {
            return self.fail(SignInProblem::ProviderAnswer, gate);
        };
        let call = github::ask(question, settings, token);
        Step::Call(call, self.at(Stage::AskingGithub(question, claims, tokens)))
    }

    /// UserInfo fills in what the ID token lacks; it must be about the same person (OpenID Connect Core 1.0 section 5.3.2).
    fn merge(
        self,
        mut claims: Claims,
        tokens: &Tokens,
        reply: &ProviderReply<'_>,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Step {
        let answer = reply
            .success()
            .and_then(|body| crate::json::parse(body).ok());
        let Some(serde_json::Value::Object(more)) = answer else {
            return self.fail(SignInProblem::ProviderAnswer, gate);
        };
        if more.get("sub") != claims.get("sub") {
            return self.fail(TokenProblem::Subject.into(), gate);
        }
        email::add_userinfo(&mut claims, gate.normalize_claims(more));
        self.finish(&claims, tokens, gate, env)
    }

    fn at(self, stage: Stage) -> Waiting {
        Waiting::on(Flow::SignIn(Box::new(SignIn {
            attempt: self.attempt,
            host: self.host,
            audience: self.audience,
            skew: self.skew,
            stage,
        })))
    }

    fn finish(self, claims: &Claims, tokens: &Tokens, gate: &Gate, env: &mut Env<'_>) -> Step {
        let landing = SignInResult {
            attempt: &self.attempt,
            host: &self.host,
            audience: &self.audience,
        };
        let statement = ProviderStatement { claims, tokens };
        Step::Reply(gate.signed_in(self.request, &landing, statement, env))
    }

    fn fail(self, problem: SignInProblem, gate: &Gate) -> Step {
        let by_clock = matches!(
            problem,
            SignInProblem::Token(TokenProblem::Expired | TokenProblem::IssuedAt)
        );
        let note = self.skew.filter(|_| by_clock).map(clock::sentence);
        let refusal = Refusal::SignIn(problem);
        Step::Reply(gate.sign_in_failed_because(
            &self.attempt,
            &self.audience,
            refusal,
            note.as_deref(),
        ))
    }
}
