//! A refresh on its way (OpenID Connect Core 1.0 section 12).

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::Value;

use crate::env::Env;
use crate::gate::Gate;
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::oidc::claims::{self, Claims, Expected, Nonce};
use crate::oidc::email;
use crate::oidc::keys::KeyLookup;
use crate::oidc::provider::NewKeys;
use crate::oidc::token::{self, NotRefreshed, RefreshAnswer};
use crate::refusal::TokenProblem;
use crate::session::{RefreshGrant, Session};

/// A session whose refresh waits for the provider. It is used up by the answer.
#[must_use]
pub struct Refreshing {
    session: Rc<Session>,
    refresh: RefreshGrant,
    stage: Stage,
}

enum Stage {
    /// The refresh token is being used.
    Refreshing,
    /// The ID token names a key that we do not have; the keys are being fetched again.
    FetchingKeys(RefreshAnswer),
    /// UserInfo is asked for what the ID token lacks, if there is one.
    AskingUserInfo(Option<Claims>, RefreshAnswer),
}

/// How far a refresh is.
#[must_use]
#[derive(Debug)]
pub enum Progress {
    /// The next call.
    Call(ProviderCall, Box<Refreshing>),
    /// It is over: requests that waited for it may begin again. One line for the log, without secrets.
    Over(Cow<'static, str>),
}

/// What a refresh came to.
#[derive(Debug)]
pub(crate) enum End {
    /// There is a newer session.
    Refreshed(Box<Session>),
    /// The provider gave a new refresh token and nothing else that could be used: the session goes on with that.
    Rotated(Box<Session>, &'static str),
    /// Nothing: the session goes on as it is, and is tried again after a pause.
    Later(&'static str),
    /// The session is over.
    Over(&'static str),
}

impl std::fmt::Debug for Refreshing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refreshing(..)")
    }
}

impl Refreshing {
    /// Begins the refresh of a session that has something to refresh it with; `None` when that cannot be.
    pub(crate) fn begin(
        session: Rc<Session>,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Option<(ProviderCall, Box<Self>)> {
        let refresh = session.refresh.clone()?;
        let (provider, metadata) = gate.known_provider()?;
        let (settings, discovered) = (provider.settings(), &metadata.discovered);
        let call = token::refresh(settings, discovered, refresh.refresh_token.as_deref()?, env)?;
        let begun = Self {
            session,
            refresh,
            stage: Stage::Refreshing,
        };
        Some((call, Box::new(begun)))
    }

    /// Goes on with the provider's answer.
    pub fn resume(self, gate: &Gate, reply: &ProviderReply<'_>, env: &mut Env<'_>) -> Progress {
        let rest = Remaining {
            session: self.session,
            refresh: self.refresh,
        };
        match self.stage {
            Stage::Refreshing => match token::read_refreshed(reply) {
                Ok(refreshed) => rest.verify(refreshed, KeyLookup::First, gate, env),
                Err(NotRefreshed::Refused) => {
                    rest.end(End::Over("the provider refuses to refresh it"), gate, env)
                }
                Err(NotRefreshed::NoAnswer) => {
                    rest.end(End::Later("the provider gave no usable answer"), gate, env)
                }
            },
            Stage::FetchingKeys(refreshed) => {
                gate.absorb_keys(reply, env);
                rest.verify(refreshed, KeyLookup::Again, gate, env)
            }
            Stage::AskingUserInfo(claims, refreshed) => {
                rest.merge(claims, &refreshed, reply, gate, env)
            }
        }
    }
}

/// A refresh between two stages.
struct Remaining {
    session: Rc<Session>,
    refresh: RefreshGrant,
}

impl Remaining {
    fn verify(
        self,
        refreshed: RefreshAnswer,
        lookup: KeyLookup,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Progress {
        let Some((provider, metadata)) = gate.known_provider() else {
            return self.rotate(&refreshed, "the provider is not known", gate, env);
        };
        let claims = match &refreshed.id_token {
            None => None,
            Some(id_token) => {
                let expected = Expected {
                    issuer: &metadata.discovered.issuer,
                    client_id: &provider.settings().client_id,
                    nonce: Nonce::AtMost(&self.refresh.nonce),
                    access_token: refreshed.access_token.as_deref(),
                    now: env.now,
                };
                match claims::verify(id_token, &metadata.keys, &expected) {
                    Ok(claims) => Some(gate.normalize_claims(claims)),
                    Err(TokenProblem::UnknownKey) if lookup == KeyLookup::First => {
                        return match provider.refetch_keys(env) {
                            NewKeys::Adopted => self.verify(refreshed, KeyLookup::Again, gate, env),
                            NewKeys::Call(call) => {
                                Progress::Call(call, self.at(Stage::FetchingKeys(refreshed)))
                            }
                            NewKeys::None => {
                                self.rotate(&refreshed, "token-unknown-key", gate, env)
                            }
                        };
                    }
                    Err(problem) => return self.distrust(problem, &refreshed, gate, env),
                }
            }
        };
        if claims.as_ref().is_some_and(|claims| !self.is_about(claims)) {
            return self.end(End::Over(IDENTITY_CHANGED), gate, env);
        }
        let lacks = claims
            .as_ref()
            .is_none_or(|claims| gate.is_missing_claims(claims));
        match (
            &metadata.discovered.userinfo_endpoint,
            &refreshed.access_token,
        ) {
            (Some(endpoint), Some(access_token)) if lacks => Progress::Call(
                token::ask_userinfo(endpoint, access_token),
                self.at(Stage::AskingUserInfo(claims, refreshed)),
            ),
            _ => self.finish(claims.as_ref(), &refreshed, gate, env),
        }
    }

    /// UserInfo fills in what the ID token lacks; it must be about the same person (OpenID Connect Core 1.0 section 5.3.2).
    fn merge(
        self,
        claims: Option<Claims>,
        refreshed: &RefreshAnswer,
        reply: &ProviderReply<'_>,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Progress {
        let answer = reply
            .success()
            .and_then(|body| crate::json::parse(body).ok());
        let Some(Value::Object(more)) = answer else {
            return self.rotate(refreshed, "UserInfo gave no usable answer", gate, env);
        };
        if !self.is_about(&more) {
            return self.end(End::Over(IDENTITY_CHANGED), gate, env);
        }
        let mut claims = claims.unwrap_or_default();
        email::add_userinfo(&mut claims, gate.normalize_claims(more));
        self.finish(Some(&claims), refreshed, gate, env)
    }

    fn is_about(&self, claims: &Claims) -> bool {
        claims
            .get("sub")
            .is_some_and(|subject| *subject == *self.session.subject)
    }

    /// A token for somebody else, or by somebody else, must never become this session's; one that does not hold for
    /// another reason says nothing.
    fn distrust(
        self,
        problem: TokenProblem,
        refreshed: &RefreshAnswer,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Progress {
        match problem {
            TokenProblem::Issuer
            | TokenProblem::Audience
            | TokenProblem::Nonce
            | TokenProblem::Subject
            | TokenProblem::Tenant => self.end(End::Over(IDENTITY_CHANGED), gate, env),
            other => self.rotate(refreshed, other.word(), gate, env),
        }
    }

    /// The session with what the provider says now; with what it said before when it says nothing.
    fn finish(
        self,
        claims: Option<&Claims>,
        answer: &RefreshAnswer,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Progress {
        let refreshed = match claims {
            None => Ok((*self.session).clone()),
            Some(claims) => gate.sessions.with_new_claims(&self.session, claims),
        };
        let mut session = match refreshed {
            Ok(session) => session,
            Err(problem) => return self.distrust(problem, answer, gate, env),
        };
        let Ok(next) = self.refresh.next(&answer.grant, env) else {
            return self.rotate(answer, "internal", gate, env);
        };
        session.refresh = Some(next);
        if let Some(id_token) = &answer.id_token {
            session.keep_hint(id_token);
        }
        self.end(End::Refreshed(Box::new(session)), gate, env)
    }

    /// Keeps a new refresh token, since the old one may be good no more, and nothing else.
    fn rotate(
        self,
        answer: &RefreshAnswer,
        why: &'static str,
        gate: &Gate,
        env: &mut Env<'_>,
    ) -> Progress {
        if answer.grant.refresh_token.is_none() {
            return self.end(End::Later(why), gate, env);
        }
        let mut session = (*self.session).clone();
        session.refresh = Some(self.refresh.rotated_only(&answer.grant, env.now));
        self.end(End::Rotated(Box::new(session), why), gate, env)
    }

    fn end(self, end: End, gate: &Gate, env: &mut Env<'_>) -> Progress {
        Progress::Over(gate.sessions.conclude(&self.session, end, env))
    }

    fn at(self, stage: Stage) -> Box<Refreshing> {
        Box::new(Refreshing {
            session: self.session,
            refresh: self.refresh,
            stage,
        })
    }
}

/// The word for the log when a refresh is about somebody else.
const IDENTITY_CHANGED: &str = "identity_changed";
