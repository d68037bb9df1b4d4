//! The provider's tokens in the place of a session.

use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::config::BearerFormat;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::address_limit::AddressLimit;
use crate::gate::forged::{TokenDigest, digest_of};
use crate::gate::sign_in::hold;
use crate::gate::step::Step;
use crate::gate::waiting::{BearerKeys, Flow, Waiting};
use crate::http::request::Parsed;
use crate::oidc::bearer::{self, BearerToken, Expected};
use crate::oidc::claims;
use crate::oidc::metadata::Metadata;
use crate::oidc::provider::NewKeys;
use crate::refusal::{Refusal, TokenProblem};
use crate::session::Session;
use crate::store::ExpiringTable;
use crate::store::slot_cache::SlotCache;
use crate::time::Timestamp;

/// How many tokens one module instance remembers: verifying one costs more than everything else about a request.
const REMEMBERED: usize = 512;
/// A token is verified anew after so many seconds: its key may be gone by then.
const REMEMBERED_FOR: u64 = 60;

/// How many tokens that no key has signed are verified for one client address: at one to three milliseconds for each key
/// that is tried, so that an address costs less than a second of a core within a minute. One that was refused a moment ago
/// is not verified again and does not count.
const FORGERIES: AddressLimit = AddressLimit {
    counts: ExpiringTable {
        kind: "forged tokens",
        count: 16,
        bytes: 8 * 1024,
    },
    most: 30,
    seconds: 60,
};

/// When tokens were first seen whose date was still to come: the provider's clock is ahead of ours.
///
/// By that date alone such a token would seem younger than a revocation that came after its first use. Only the provider
/// makes entries.
const EARLY: ExpiringTable = ExpiringTable {
    kind: "early tokens",
    count: 8,
    bytes: 8 * 1024,
};

/// Tokens that were verified a moment ago.
#[derive(Debug, Default)]
pub(in crate::gate) struct BearerTokens {
    verified: SlotCache<Verified, REMEMBERED>,
}

struct Verified {
    digest: TokenDigest,
    format: BearerFormat,
    at: Timestamp,
    session: Rc<Session>,
}

impl Verified {
    fn is_of(&self, digest: &TokenDigest, format: BearerFormat) -> bool {
        self.digest == *digest && self.format == format
    }
}

impl BearerTokens {
    fn remembered(
        &self,
        digest: &TokenDigest,
        format: BearerFormat,
        now: Timestamp,
    ) -> Option<Rc<Session>> {
        self.verified.find(digest, |known| {
            let is_usable = known.is_of(digest, format)
                && known.at.is_recent(now, REMEMBERED_FOR)
                && known.session.is_live(now);
            is_usable.then(|| Rc::clone(&known.session))
        })
    }

    /// Returns whether a token was valid when it was verified last, however long ago.
    fn knows(&self, digest: &TokenDigest, format: BearerFormat) -> bool {
        let known = self
            .verified
            .find(digest, |known| known.is_of(digest, format).then_some(()));
        known.is_some()
    }

    fn remember(&self, verified: Verified) {
        self.verified.insert(verified.digest, verified);
    }
}

impl Gate {
    /// The session that a token stands for.
    ///
    /// # Errors
    /// A step to take first, or the answer to a token that does not hold.
    pub(super) fn bearer_session(
        &self,
        request: &Parsed<'_>,
        token: &str,
        format: BearerFormat,
        env: &mut Env<'_>,
    ) -> Result<Rc<Session>, Box<Step>> {
        let digest = digest_of(token);
        let remembered = self.bearers.remembered(&digest, format, env.now);
        let session = match &remembered {
            Some(session) => Rc::clone(session),
            None => {
                let verified = self.verify_bearer(request, token, format, env)?;
                let Some(session) = self.session_from_token(verified, &digest, env) else {
                    return Err(self.refuse_token(request, "the configuration has no provider"));
                };
                Rc::new(session)
            }
        };
        if self.is_revoked(&session, env) {
            return Err(self.refuse_token(request, "its session was ended"));
        }
        if remembered.is_none() {
            self.bearers.remember(Verified {
                digest,
                format,
                at: env.now,
                session: Rc::clone(&session),
            });
        }
        Ok(session)
    }

    /// Verifies a token that is not remembered, with new keys if it names one that is not known.
    fn verify_bearer(
        &self,
        request: &Parsed<'_>,
        token: &str,
        format: BearerFormat,
        env: &mut Env<'_>,
    ) -> Result<BearerToken, Box<Step>> {
        let verified = match self.judge_bearer(request, token, format, env)? {
            Err(TokenProblem::UnknownKey) => match self.look_for_keys(request.source, env) {
                Ok(NewKeys::Call(call)) => {
                    let waiting = Waiting::on(Flow::BearerKeys(BearerKeys));
                    return Err(Box::new(Step::Call(call, waiting)));
                }
                Ok(NewKeys::Adopted) => self.judge_bearer(request, token, format, env)?,
                Ok(NewKeys::None) | Err(_) => Err(TokenProblem::UnknownKey),
            },
            verified => verified,
        };
        verified.map_err(|problem| self.refuse_token(request, problem.word()))
    }

    /// Verifies a token by the keys that are there, unless its client's address has sent too many that do not hold. One
    /// that was good before is verified in any case: it is no forgery of that address, at most one that has ended since.
    ///
    /// # Errors
    /// A step to take first.
    fn judge_bearer(
        &self,
        request: &Parsed<'_>,
        token: &str,
        format: BearerFormat,
        env: &Env<'_>,
    ) -> Result<Result<BearerToken, TokenProblem>, Box<Step>> {
        let Some((_, metadata)) = self.known_provider() else {
            return Err(Box::new(hold(env.now)));
        };
        let digest = digest_of(token);
        if self.forged.has(&digest, &metadata, env.now) {
            return Ok(Err(TokenProblem::Signature));
        }
        let wait = FORGERIES.wait(request.source, env);
        if let Some(seconds) = wait.filter(|_| !self.bearers.knows(&digest, format)) {
            return Err(Box::new(self.refuse_flood(request, seconds)));
        }
        let verified = self.verify_by(&metadata, token, format, env.now);
        if matches!(verified, Err(TokenProblem::Signature)) {
            self.forged.remember(digest, &metadata, env.now);
            FORGERIES.count(request.source, env);
        }
        Ok(verified)
    }

    fn verify_by(
        &self,
        metadata: &Metadata,
        token: &str,
        format: BearerFormat,
        now: Timestamp,
    ) -> Result<BearerToken, TokenProblem> {
        let settings = self.provider.as_ref().map(|provider| provider.settings());
        let settings = settings.ok_or(TokenProblem::UnknownKey)?;
        let expected = Expected {
            issuer: &metadata.discovered.issuer,
            format,
            audiences: match format {
                BearerFormat::AccessToken => &settings.access_token_audiences,
                BearerFormat::IdToken | BearerFormat::Session => {
                    std::slice::from_ref(&settings.client_id)
                }
            },
            now,
        };
        bearer::verify(token, &metadata.keys, &expected)
    }

    /// The answer to an address whose tokens do not hold.
    fn refuse_flood(&self, request: &Parsed<'_>, seconds: u64) -> Step {
        let mut step = self.refuse(request, Refusal::TooManyTokens);
        if let Step::Reply(reply) = &mut step {
            reply.add("retry-after", seconds.max(1).to_string());
        }
        step
    }

    /// A session that lasts as long as the token, and no longer than any. It is as old as the token, however late it comes
    /// here: what was revoked since then ends it in every worker.
    fn session_from_token(
        &self,
        token: BearerToken,
        digest: &TokenDigest,
        env: &Env<'_>,
    ) -> Option<Session> {
        let id = URL_SAFE_NO_PAD.encode(digest.get(..16)?);
        let begun = token.begun.min(first_seen(&id, &token, env));
        let lifetime = token.end.since(env.now);
        let claims = self.normalize_claims(token.claims);
        let trust = &self.provider.as_ref()?.settings().email_trust;
        let identity = claims::identity(&claims, trust, &self.needs).ok()?;
        let longest = self.config.session.lifetime.as_secs();
        let mut session =
            Session::new(id, identity, env.now, lifetime.min(longest)).begun_at(begun);
        session.provider_session = crate::oidc::logout_token::provider_session(&claims);
        Some(session.chosen_for(&self.terms))
    }
}

/// When a token was first seen in this process, if it was early then; now otherwise.
fn first_seen(id: &str, token: &BearerToken, env: &Env<'_>) -> Timestamp {
    let read = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes).map(Timestamp);
    let known = EARLY.find(env.shared, id, env.now);
    if let Some(at) = known.and_then(|bytes| read(&bytes)) {
        return at;
    }
    if token.begun > env.now {
        // Without an entry the token is as old as it says.
        let _ = EARLY.update(env.shared, id, env.now, |known| match known {
            Some(_) => Err(()),
            None => Ok((env.now.0.to_be_bytes().to_vec(), token.end, ())),
        });
    }
    env.now
}
