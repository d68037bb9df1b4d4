//! From a token endpoint's answer to verified claims: the steps that a sign-in and a session refresh have in common.
//!
//! A flow begins with the call that redeems a code or a refresh token. It takes each reply of the provider and returns
//! the next call, the verified claims, or the problem. It verifies the ID token, fetches the provider's keys once more
//! when the ID token names an unknown one, and asks UserInfo when claims are missing. GitHub has no ID token: its API is
//! asked instead.

use serde_json::Value;

use crate::env::Env;
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::oidc::cause::{describe_reply, describe_token};
use crate::oidc::claim_source::ClaimSource;
use crate::oidc::claims::{self, Claims, ExpectedIdToken, Nonce};
use crate::oidc::email::{self, TenantSource};
use crate::oidc::github::{self, GithubResource};
use crate::oidc::key_lookup::{KeyProblem, LookedUp, verify_with_new_keys};
use crate::oidc::metadata::Metadata;
use crate::oidc::token::{self, CodeGrant, Grant, OAuthClient, TokenEndpointProblem, Tokens};
use crate::refusal::{SignInProblem, TokenProblem};
use crate::session::RefreshGrant;

/// A flow that waits for the provider's reply. The reply consumes it.
pub(crate) struct TokenFlow {
    expectation: Expectation,
    stage: Stage,
}

/// The values that the tokens of a flow have to agree with.
enum Expectation {
    /// A sign-in with this nonce.
    SignIn { nonce: String },
    /// A refresh of a session of this subject. The nonce is the beginning of the sign-in's.
    Refresh { nonce: String, subject: String },
}

enum Stage {
    /// This code or refresh token is being redeemed.
    Redeeming(String),
    /// The ID token names an unknown key, and the keys are being fetched again.
    FetchingKeys(Tokens),
    /// UserInfo is asked for the claims that are missing. There are none yet when there is no ID token.
    AskingUserInfo(Option<Claims>, Tokens),
    /// GitHub's API is asked for one resource after the other.
    AskingGithub(GithubResource, Claims, Tokens),
}

/// The answer of a flow to a reply of the provider.
#[must_use]
pub(crate) enum FlowStep {
    /// The next call. Its reply goes to [`TokenFlow::resume`].
    Call(ProviderCall, TokenFlow),
    /// The tokens are verified.
    Done(VerifiedTokens),
    /// The flow has failed.
    Failed(FlowFailure),
}

/// A flow that has failed.
pub(crate) struct FlowFailure {
    /// Why it has failed.
    pub(crate) problem: FlowProblem,
    /// The values expected and received, for the log: one line without secrets, empty when the problem says everything.
    pub(crate) cause: String,
    /// The grant of the answer, which is good nevertheless; it is empty when there was no answer.
    pub(crate) grant: Grant,
}

/// Verified tokens and what they say.
pub(crate) struct VerifiedTokens {
    /// The claims. `None` when a refresh gave neither an ID token nor UserInfo.
    pub(crate) claims: Option<Claims>,
    /// The claims of the ID token alone and those of UserInfo, when UserInfo was asked for more.
    parts: Option<(Claims, Claims)>,
    /// The tokens.
    pub(crate) tokens: Tokens,
}

/// Why a flow has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowProblem {
    /// The token endpoint gave no tokens, or a sign-in no ID token.
    Endpoint(TokenEndpointProblem),
    /// The provider's metadata is not known any more.
    UnknownProvider,
    /// UserInfo or GitHub's API gave no usable answer.
    UserInfo,
    /// A token is not valid, or UserInfo is about another user.
    Token(TokenProblem),
}

impl From<TokenProblem> for FlowProblem {
    fn from(problem: TokenProblem) -> Self {
        Self::Token(problem)
    }
}

impl From<FlowProblem> for SignInProblem {
    fn from(problem: FlowProblem) -> Self {
        match problem {
            FlowProblem::Endpoint(TokenEndpointProblem::Refused) => Self::CodeRefused,
            FlowProblem::Endpoint(TokenEndpointProblem::TokenType) => Self::TokenType,
            FlowProblem::Endpoint(TokenEndpointProblem::NoAnswer)
            | FlowProblem::UnknownProvider
            | FlowProblem::UserInfo => Self::ProviderAnswer,
            FlowProblem::Token(problem) => Self::Token(problem),
        }
    }
}

impl KeyProblem for FlowProblem {
    fn is_unknown_key(&self) -> bool {
        *self == Self::Token(TokenProblem::UnknownKey)
    }
}

impl VerifiedTokens {
    /// Returns where the user's tenant is known from. An ID token names it, UserInfo alone need not.
    pub(crate) const fn tenant_source(&self) -> TenantSource {
        if self.tokens.id_token.is_some() {
            TenantSource::Claims
        } else {
            TenantSource::SignIn
        }
    }

    /// Returns the claims of the ID token, without those that only UserInfo has; `None` without an ID token.
    pub(crate) fn id_token_claims(&self) -> Option<&Claims> {
        self.tokens.id_token.as_ref()?;
        let parts = self.parts.as_ref();
        parts.map(|(id_token, _)| id_token).or(self.claims.as_ref())
    }

    /// Returns the claims that UserInfo has stated beside an ID token.
    pub(crate) fn userinfo(&self) -> Option<&Claims> {
        self.parts.as_ref().map(|(_, userinfo)| userinfo)
    }
}

impl TokenFlow {
    /// Begins a sign-in by redeeming a code. `None` without randomness.
    pub(crate) fn redeem(
        client: OAuthClient<'_>,
        grant: &CodeGrant<'_>,
        env: &mut Env<'_>,
    ) -> Option<(ProviderCall, Self)> {
        let nonce = grant.attempt.nonce();
        let flow = Self {
            expectation: Expectation::SignIn { nonce },
            stage: Stage::Redeeming(grant.code.to_owned()),
        };
        Some((client.redeem(grant, env)?, flow))
    }

    /// Begins a refresh of a session of this subject. `None` without a refresh token or randomness.
    pub(crate) fn refresh(
        client: OAuthClient<'_>,
        grant: &RefreshGrant,
        subject: &str,
        env: &mut Env<'_>,
    ) -> Option<(ProviderCall, Self)> {
        let refresh_token = grant.refresh_token.as_deref()?;
        let call = client.refresh(refresh_token, env)?;
        let flow = Self {
            expectation: Expectation::Refresh {
                nonce: grant.nonce.clone(),
                subject: subject.to_owned(),
            },
            stage: Stage::Redeeming(refresh_token.to_owned()),
        };
        Some((call, flow))
    }

    /// Whether the reply that the flow waits for is the provider's keys.
    pub(crate) const fn is_awaiting_keys(&self) -> bool {
        matches!(self.stage, Stage::FetchingKeys(_))
    }

    /// Goes on with the provider's reply.
    pub(crate) fn resume(
        self,
        reply: &ProviderReply<'_>,
        source: ClaimSource<'_>,
        env: &Env<'_>,
    ) -> FlowStep {
        let flow = RunningFlow {
            expectation: self.expectation,
            source,
            env,
        };
        match self.stage {
            Stage::Redeeming(sent) => flow.read_tokens(reply, &sent),
            Stage::FetchingKeys(tokens) => {
                source.provider.absorb_keys(reply, env);
                let verified = flow.verify_id_token(&tokens);
                flow.complete_claims(verified, tokens)
            }
            Stage::AskingUserInfo(claims, tokens) => flow.add_userinfo(claims, tokens, reply),
            Stage::AskingGithub(resource, claims, tokens) => {
                flow.add_github(resource, claims, tokens, reply)
            }
        }
    }
}

/// A flow between two stages.
struct RunningFlow<'f, 'e> {
    expectation: Expectation,
    source: ClaimSource<'f>,
    env: &'f Env<'e>,
}

impl RunningFlow<'_, '_> {
    /// Reads the token endpoint's answer to the code or refresh token `sent`.
    fn read_tokens(self, reply: &ProviderReply<'_>, sent: &str) -> FlowStep {
        let cause = || self.describe_reply("the token endpoint", reply, sent);
        let is_sign_in = matches!(self.expectation, Expectation::SignIn { .. });
        if is_sign_in && self.source.provider.is_github() {
            return match github::read_tokens(reply) {
                Ok(tokens) => self.ask_github(GithubResource::User, Claims::new(), tokens),
                Err(problem) => fail(FlowProblem::Endpoint(problem), cause(), Tokens::default()),
            };
        }
        match token::read_tokens(reply) {
            Ok(tokens) if is_sign_in && tokens.id_token.is_none() => fail(
                FlowProblem::Endpoint(TokenEndpointProblem::NoAnswer),
                "the token endpoint sent no ID token; the scope `openid` may be missing".to_owned(),
                tokens,
            ),
            Ok(tokens) => self.verify(tokens),
            Err(problem) => fail(FlowProblem::Endpoint(problem), cause(), Tokens::default()),
        }
    }

    /// Verifies the ID token, if there is one, with new keys if it names an unknown one.
    fn verify(self, tokens: Tokens) -> FlowStep {
        let verified = verify_with_new_keys(
            || self.verify_id_token(&tokens),
            || Ok(self.source.provider.refetch_keys(self.env)),
        );
        match verified {
            LookedUp::Verified(verified) => self.complete_claims(verified, tokens),
            LookedUp::Call(call) => self.wait(call, Stage::FetchingKeys(tokens)),
        }
    }

    /// Verifies the ID token, if there is one, with the keys that are known.
    fn verify_id_token(&self, tokens: &Tokens) -> Result<Option<Claims>, FlowProblem> {
        let provider = self.source.provider;
        let metadata = provider.metadata().ok_or(FlowProblem::UnknownProvider)?;
        let Some(id_token) = &tokens.id_token else {
            return Ok(None);
        };
        let expected = self.expected_token(&metadata, tokens);
        let claims = claims::verify(id_token, &metadata.keys, &expected)?;
        if !self.is_about_user(None, &claims) {
            return Err(TokenProblem::Subject.into());
        }
        Ok(Some(self.source.normalize_claims(claims)))
    }

    /// Returns what the ID token among these tokens has to agree with.
    fn expected_token<'t>(
        &'t self,
        metadata: &'t Metadata,
        tokens: &'t Tokens,
    ) -> ExpectedIdToken<'t> {
        ExpectedIdToken {
            issuer: &metadata.discovered.issuer,
            client_id: &self.source.provider.settings().client_id,
            nonce: match &self.expectation {
                Expectation::SignIn { nonce } => Nonce::Is(nonce),
                Expectation::Refresh { nonce, .. } => Nonce::AtMost(nonce),
            },
            access_token: tokens.access_token.as_deref(),
            now: self.env.now,
        }
    }

    /// Describes for the log what in the ID token caused a problem; empty when there is nothing to add.
    fn describe_token(&self, problem: FlowProblem, tokens: &Tokens) -> String {
        let FlowProblem::Token(problem) = problem else {
            return String::new();
        };
        let metadata = self.source.provider.metadata();
        let Some((metadata, id_token)) = metadata.zip(tokens.id_token.as_deref()) else {
            return String::new();
        };
        let expected = self.expected_token(&metadata, tokens);
        describe_token(id_token, &metadata.keys, problem, &expected)
    }

    /// Describes for the log a reply that could not be used, without `sent` and the client's secret.
    fn describe_reply(&self, what: &str, reply: &ProviderReply<'_>, sent: &str) -> String {
        let settings = self.source.provider.settings();
        let client_secret = String::from_utf8_lossy(settings.client_secret.expose());
        describe_reply(what, reply, &[sent, &client_secret])
    }

    /// Whether `claims` are about the user of the flow: the one of the session that is refreshed, or the one of the ID
    /// token.
    fn is_about_user(&self, id_token: Option<&Claims>, claims: &Claims) -> bool {
        let subject = claims.get("sub");
        match (&self.expectation, id_token) {
            (Expectation::Refresh { subject: known, .. }, _) => {
                subject.is_some_and(|subject| subject == known.as_str())
            }
            (Expectation::SignIn { .. }, Some(id_token)) => subject == id_token.get("sub"),
            (Expectation::SignIn { .. }, None) => true,
        }
    }

    /// Asks UserInfo when claims are missing, and there is a UserInfo that can be asked.
    fn complete_claims(
        self,
        verified: Result<Option<Claims>, FlowProblem>,
        tokens: Tokens,
    ) -> FlowStep {
        let claims = match verified {
            Ok(claims) => claims,
            Err(problem) => return fail(problem, self.describe_token(problem, &tokens), tokens),
        };
        let is_incomplete = claims
            .as_ref()
            .is_none_or(|claims| self.source.is_missing_claims(claims));
        let metadata = self.source.provider.metadata();
        let endpoint = metadata
            .as_ref()
            .and_then(|metadata| metadata.discovered.userinfo_endpoint.as_ref());
        match endpoint.zip(tokens.access_token.as_deref()) {
            Some((endpoint, access_token)) if is_incomplete => {
                let call = token::ask_userinfo(endpoint, access_token);
                self.wait(call, Stage::AskingUserInfo(claims, tokens))
            }
            _ => done(claims, None, tokens),
        }
    }

    /// Adds the claims of UserInfo, which has to be about the same user (OpenID Connect Core 1.0 section 5.3.2).
    fn add_userinfo(
        self,
        claims: Option<Claims>,
        tokens: Tokens,
        reply: &ProviderReply<'_>,
    ) -> FlowStep {
        let answer = reply
            .success()
            .and_then(|body| crate::json::parse(body).ok());
        let Some(Value::Object(userinfo)) = answer else {
            let sent = tokens.access_token.as_deref().unwrap_or_default();
            let cause = self.describe_reply("UserInfo", reply, sent);
            return fail(FlowProblem::UserInfo, cause, tokens);
        };
        if !self.is_about_user(claims.as_ref(), &userinfo) {
            let cause = "UserInfo is about another `sub`".to_owned();
            return fail(TokenProblem::Subject.into(), cause, tokens);
        }
        let userinfo = self.source.normalize_claims(userinfo);
        let parts = claims.clone().map(|claims| (claims, userinfo.clone()));
        let mut claims = claims.unwrap_or_default();
        email::add_userinfo(&mut claims, userinfo);
        done(Some(claims), parts, tokens)
    }

    fn ask_github(self, resource: GithubResource, claims: Claims, tokens: Tokens) -> FlowStep {
        let Some(access_token) = tokens.access_token.as_deref() else {
            let cause = "the token endpoint sent no access token".to_owned();
            return fail(FlowProblem::UserInfo, cause, tokens);
        };
        let call = github::ask(resource, self.source.provider.settings(), access_token);
        self.wait(call, Stage::AskingGithub(resource, claims, tokens))
    }

    /// Adds the claims of GitHub's answer to those that are known, and asks for the next resource.
    fn add_github(
        self,
        resource: GithubResource,
        mut claims: Claims,
        tokens: Tokens,
        reply: &ProviderReply<'_>,
    ) -> FlowStep {
        if github::absorb(resource, reply, &mut claims).is_none() {
            let sent = tokens.access_token.as_deref().unwrap_or_default();
            let cause = self.describe_reply("GitHub's API", reply, sent);
            return fail(FlowProblem::UserInfo, cause, tokens);
        }
        match resource.next() {
            Some(next) => self.ask_github(next, claims, tokens),
            None => done(Some(claims), None, tokens),
        }
    }

    fn wait(self, call: ProviderCall, stage: Stage) -> FlowStep {
        let expectation = self.expectation;
        FlowStep::Call(call, TokenFlow { expectation, stage })
    }
}

fn done(claims: Option<Claims>, parts: Option<(Claims, Claims)>, tokens: Tokens) -> FlowStep {
    FlowStep::Done(VerifiedTokens {
        claims,
        parts,
        tokens,
    })
}

fn fail(problem: FlowProblem, cause: String, tokens: Tokens) -> FlowStep {
    FlowStep::Failed(FlowFailure {
        problem,
        cause,
        grant: tokens.grant,
    })
}

#[cfg(test)]
mod tests;
