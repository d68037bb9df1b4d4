//! A sign-in that waits for the provider. It is used up by the answer: a second answer has nothing to resume.

use crate::env::Env;
use crate::gate::Gate;
use crate::oidc::attempt::Attempt;
use crate::oidc::claims::{self, Claims, Expected};
use crate::oidc::token::{self, Tokens};
use crate::refusal::{Refusal, SignInProblem, TokenProblem};
use crate::reply::Audience;
use crate::step::{ProviderReply, Step};

/// What to do when the provider has answered.
#[must_use]
pub struct Waiting(Box<SignIn>);

struct SignIn {
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
    AskingUserInfo(Claims),
}

impl Waiting {
    pub(crate) fn redeeming(attempt: Attempt, host: String, audience: Audience) -> Self {
        Self(Box::new(SignIn {
            attempt,
            host,
            audience,
            stage: Stage::Redeeming,
        }))
    }

    /// Goes on with the provider's answer.
    pub fn resume(self, gate: &Gate, reply: &ProviderReply<'_>, env: &mut Env<'_>) -> Step {
        let SignIn {
            attempt,
            host,
            audience,
            stage,
        } = *self.0;
        let sign_in = Remaining {
            attempt,
            host,
            audience,
        };
        match stage {
            Stage::Redeeming => match token::read_answer(reply) {
                Ok(tokens) => sign_in.verify(tokens, KeyLookup::First, gate, env),
                Err(problem) => sign_in.fail(problem, gate),
            },
            Stage::FetchingKeys(tokens) => {
                gate.absorb_keys(reply);
                sign_in.verify(tokens, KeyLookup::Again, gate, env)
            }
            Stage::AskingUserInfo(claims) => sign_in.merge(claims, reply, gate, env),
        }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting(..)")
    }
}

#[derive(PartialEq, Eq)]
enum KeyLookup {
    First,
    Again,
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
            nonce: &nonce,
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
                self.at(Stage::AskingUserInfo(claims)),
            ),
            _ => self.finish(&claims, gate, env),
        }
    }

    /// UserInfo fills in what the ID token lacks; it must be about the same person (OpenID Connect Core 1.0 section 5.3.2).
    fn merge(
        self,
        mut claims: Claims,
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
        self.finish(&claims, gate, env)
    }

    fn at(self, stage: Stage) -> Waiting {
        Waiting(Box::new(SignIn {
            attempt: self.attempt,
            host: self.host,
            audience: self.audience,
            stage,
        }))
    }

    fn finish(self, claims: &Claims, gate: &Gate, env: &mut Env<'_>) -> Step {
        Step::Reply(gate.signed_in(&self.attempt, &self.host, &self.audience, claims, env))
    }

    fn fail(self, problem: SignInProblem, gate: &Gate) -> Step {
        Step::Reply(gate.sign_in_failed(&self.attempt, &self.audience, Refusal::SignIn(problem)))
    }
}
