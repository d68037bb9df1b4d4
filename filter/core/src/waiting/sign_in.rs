//! A sign-in between its callback and its end.

use super::{Flow, Waiting};
use crate::env::Env;
use crate::gate::{Gate, KeyLookup};
use crate::oidc::attempt::Attempt;
use crate::oidc::claims::{self, Claims, Expected, Nonce};
use crate::oidc::token::{self, Tokens};
use crate::refusal::{Refusal, SignInProblem, TokenProblem};
use crate::reply::Audience;
use crate::step::{ProviderReply, Step};

/// A sign-in that waits for the provider.
pub(crate) struct SignIn {
    attempt: Attempt,
    host: String,
    audience: Audience,
    stage: Stage,
}

enum Stage {
    /// The code is being redeemed.
    Redeeming,
    /// The token names a key that we do not have; the keys are being fetched again.
    FetchingKeys(Tokens),
    /// The ID token holds; UserInfo is asked for the address.
    AskingUserInfo(Claims, Tokens),
}

impl SignIn {
    /// A sign-in whose code is being redeemed.
    pub(crate) const fn redeeming(attempt: Attempt, host: String, audience: Audience) -> Self {
        Self {
            attempt,
            host,
            audience,
            stage: Stage::Redeeming,
        }
    }

    /// Goes on with the provider's answer.
    pub(super) fn resume(self, gate: &Gate, reply: &ProviderReply<'_>, env: &mut Env<'_>) -> Step {
        let sign_in = Remaining {
            attempt: self.attempt,
            host: self.host,
            audience: self.audience,
        };
        match self.stage {
            Stage::Redeeming => match token::read_answer(reply) {
                Ok(tokens) => sign_in.verify(tokens, KeyLookup::First, gate, env),
                Err(problem) => sign_in.fail(problem, gate),
            },
            Stage::FetchingKeys(tokens) => {
                gate.absorb_keys(reply);
                sign_in.verify(tokens, KeyLookup::Again, gate, env)
            }
            Stage::AskingUserInfo(claims, tokens) => {
                sign_in.merge(claims, &tokens, reply, gate, env)
            }
        }
    }
}

/// A sign-in between two stages.
struct Remaining {
    attempt: Attempt,
    host: String,
    audience: Audience,
}

impl Remaining {
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
            Ok(claims) => claims,
            Err(TokenProblem::UnknownKey) if lookup == KeyLookup::First => {
                return match provider.refetch_keys(env.now) {
                    Some(call) => Step::Call(call, self.at(Stage::FetchingKeys(tokens))),
                    None => self.fail(TokenProblem::UnknownKey.into(), gate),
                };
            }
            Err(problem) => return self.fail(problem.into(), gate),
        };
        match (
            claims.get("email"),
            &metadata.discovered.userinfo_endpoint,
            &tokens.access_token,
        ) {
            (None, Some(endpoint), Some(access_token)) => Step::Call(
                token::ask_userinfo(endpoint, access_token),
                self.at(Stage::AskingUserInfo(claims, tokens)),
            ),
            _ => self.finish(&claims, &tokens, gate, env),
        }
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
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
        self.finish(&claims, tokens, gate, env)
    }

    fn at(self, stage: Stage) -> Waiting {
        Waiting::on(Flow::SignIn(SignIn {
            attempt: self.attempt,
            host: self.host,
            audience: self.audience,
            stage,
        }))
    }

    fn finish(self, claims: &Claims, tokens: &Tokens, gate: &Gate, env: &mut Env<'_>) -> Step {
        Step::Reply(gate.signed_in(
            &self.attempt,
            &self.host,
            &self.audience,
            claims,
            tokens,
            env,
        ))
    }

    fn fail(self, problem: SignInProblem, gate: &Gate) -> Step {
        Step::Reply(gate.sign_in_failed(&self.attempt, &self.audience, Refusal::SignIn(problem)))
    }
}
