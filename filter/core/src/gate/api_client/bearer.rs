//! Accepts the provider's tokens in the place of a session.

use std::net::IpAddr;
use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::config::{BearerFormat, ProviderSettings};
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::address_limit::AddressLimit;
use crate::gate::forged_tokens::{TokenDigest, digest_of};
use crate::gate::sessions::Sessions;
use crate::gate::sign_in::hold;
use crate::gate::step::Step;
use crate::gate::waiting::{BearerKeys, Flow, Waiting};
use crate::http::request::Parsed;
use crate::oidc::bearer::{self, BearerToken, ExpectedBearer};
use crate::oidc::call::ProviderCall;
use crate::oidc::claim_source::ClaimSource;
use crate::oidc::email::TenantSource;
use crate::oidc::key_lookup::{KeyProblem, LookedUp, verify_with_new_keys};
use crate::oidc::logout_token::read_provider_session;
use crate::refusal::{Refusal, TokenProblem};
use crate::session::Session;
use crate::store::ExpiringTable;
use crate::store::slot_cache::SlotCache;
use crate::time::Timestamp;

/// How many tokens one module instance remembers: verifying one costs more than everything else about a request.
const REMEMBERED: usize = 512;
/// A token is verified again after so many seconds, because its key may be gone by then.
const REMEMBERED_FOR: u64 = 60;

/// How many forged tokens are verified for one client address. A verification takes one to three milliseconds for each key
/// that is tried, so that an address costs less than a second of a core within a minute. A token that was refused a moment
/// ago is not verified again and does not count.
const FORGERIES: AddressLimit = AddressLimit {
    counts: ExpiringTable {
        key: "jetway forged tokens",
        count: 16,
        bytes: 8 * 1024,
    },
    most: 30,
    seconds: 60,
};

/// When tokens with an issue date in the future were first seen: the provider's clock is ahead of this machine's.
///
/// By its date alone such a token would seem younger than a revocation that came after its first use. Only the provider's
/// tokens get into this table.
const EARLY: ExpiringTable = ExpiringTable {
    key: "jetway early tokens",
    count: 8,
    bytes: 8 * 1024,
};

/// Tokens that were verified recently.
#[derive(Debug, Default)]
pub(super) struct BearerTokens {
    verified: SlotCache<VerifiedToken, REMEMBERED>,
}

/// A token with its session.
struct VerifiedToken {
    digest: TokenDigest,
    format: BearerFormat,
    at: Timestamp,
    session: Rc<Session>,
}

impl VerifiedToken {
    fn is_of(&self, digest: &TokenDigest, format: BearerFormat) -> bool {
        self.digest == *digest && self.format == format
    }
}

impl BearerTokens {
    /// Returns the session of a token that was verified recently.
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
    fn is_known(&self, digest: &TokenDigest, format: BearerFormat) -> bool {
        let known = self
            .verified
            .find(digest, |known| known.is_of(digest, format).then_some(()));
        known.is_some()
    }

    fn remember(&self, verified: VerifiedToken) {
        self.verified.insert(verified.digest, verified);
    }
}

/// Returns the audiences that a token of this format may have.
fn accepted_audiences(settings: &ProviderSettings, format: BearerFormat) -> &[String] {
    match format {
        BearerFormat::AccessToken => &settings.access_token_audiences,
        BearerFormat::IdToken | BearerFormat::Session => std::slice::from_ref(&settings.client_id),
    }
}

impl Sessions {
    /// Returns the session of a token, which lasts as long as the token, and no longer than any session.
    ///
    /// The session is as old as the token, however late the token comes here, so that a revocation since then ends it in
    /// every worker.
    fn session_from_token(
        &self,
        token: BearerToken,
        digest: &TokenDigest,
        source: ClaimSource<'_>,
        env: &Env<'_>,
    ) -> Option<Session> {
        let id = URL_SAFE_NO_PAD.encode(digest.get(..16)?);
        let begun = token.begun.min(first_seen(&id, &token, env));
        let lifetime = token.end.since(env.now).min(self.lifetime.as_secs());
        let claims = source.normalize_claims(token.claims);
        let identity = source.read_identity(&claims, TenantSource::Claims).ok()?;
        let mut session = Session::new(id, identity, env.now, lifetime).begun_at(begun);
        session.provider_session = read_provider_session(&claims);
        Some(self.terms.mark(session))
    }
}

/// A token of the provider as a request presents it.
struct PresentedToken<'a> {
    token: &'a str,
    digest: TokenDigest,
    format: BearerFormat,
    client: Option<IpAddr>,
}

/// Why a token gives no session.
enum NotAuthenticated {
    /// The provider's metadata are not known yet.
    ProviderUnknown,
    /// The keys have to be fetched again.
    KeysNeeded(Box<ProviderCall>),
    /// The client's address has sent too many forgeries: for so many seconds more.
    TooManyForgeries(u64),
    /// It is invalid.
    Problem(TokenProblem),
    /// It is valid, and refused for another reason.
    Refused(&'static str),
}

impl KeyProblem for NotAuthenticated {
    fn is_unknown_key(&self) -> bool {
        matches!(self, Self::Problem(TokenProblem::UnknownKey))
    }
}

impl Gate {
    /// Returns the session of a token.
    ///
    /// # Errors
    /// A step to take first, or the refusal of an invalid token.
    pub(super) fn bearer_session(
        &self,
        request: &Parsed<'_>,
        token: &str,
        format: BearerFormat,
        env: &mut Env<'_>,
    ) -> Result<Rc<Session>, Box<Step>> {
        let presented = PresentedToken {
            token,
            digest: digest_of(token),
            format,
            client: request.source,
        };
        self.authenticate_token(&presented, env).map_err(|why| {
            Box::new(match why {
                NotAuthenticated::ProviderUnknown => hold(env.now),
                NotAuthenticated::KeysNeeded(call) => {
                    Step::Call(*call, Waiting::on(Flow::BearerKeys(BearerKeys)))
                }
                NotAuthenticated::TooManyForgeries(seconds) => self.refuse_flood(request, seconds),
                NotAuthenticated::Problem(problem) => {
                    return self.refuse_token(request, problem.word());
                }
                NotAuthenticated::Refused(why) => return self.refuse_token(request, why),
            })
        })
    }

    fn authenticate_token(
        &self,
        presented: &PresentedToken<'_>,
        env: &Env<'_>,
    ) -> Result<Rc<Session>, NotAuthenticated> {
        let tokens = &self.api_clients.tokens;
        let (digest, format) = (&presented.digest, presented.format);
        let remembered = tokens.remembered(digest, format, env.now);
        let is_remembered = remembered.is_some();
        let session = match remembered {
            Some(session) => session,
            None => {
                let verified = self.verify_presented(presented, env)?;
                let session = self.claim_source().and_then(|source| {
                    self.sessions
                        .session_from_token(verified, digest, source, env)
                });
                let none = NotAuthenticated::Refused("the configuration has no provider");
                Rc::new(session.ok_or(none)?)
            }
        };
        if self.sessions.is_revoked(&session, env) {
            return Err(NotAuthenticated::Refused("its session was ended"));
        }
        if !is_remembered {
            tokens.remember(VerifiedToken {
                digest: *digest,
                format,
                at: env.now,
                session: Rc::clone(&session),
            });
        }
        Ok(session)
    }

    /// Verifies a token that is not remembered, with new keys if it names an unknown one.
    fn verify_presented(
        &self,
        presented: &PresentedToken<'_>,
        env: &Env<'_>,
    ) -> Result<BearerToken, NotAuthenticated> {
        let unknown = |_| NotAuthenticated::Problem(TokenProblem::UnknownKey);
        let look = || self.provider.look_for_keys(presented.client, env);
        let verified = verify_with_new_keys(
            || self.verify_within_limit(presented, env),
            || look().map_err(unknown),
        );
        match verified {
            LookedUp::Verified(verified) => verified,
            LookedUp::Call(call) => Err(NotAuthenticated::KeysNeeded(Box::new(call))),
        }
    }

    /// Verifies a token by the known keys, unless its client's address has sent too many forgeries. A token that was valid
    /// before is verified in any case: it is no forgery of that address, and may have expired since.
    fn verify_within_limit(
        &self,
        presented: &PresentedToken<'_>,
        env: &Env<'_>,
    ) -> Result<BearerToken, NotAuthenticated> {
        let Some((provider, metadata)) = self.provider.known() else {
            return Err(NotAuthenticated::ProviderUnknown);
        };
        let (digest, format) = (&presented.digest, presented.format);
        let forged = &self.provider.forged;
        if forged.has(digest, &metadata, env.now) {
            return Err(NotAuthenticated::Problem(TokenProblem::Signature));
        }
        let tokens = &self.api_clients.tokens;
        let wait = FORGERIES.wait(presented.client, env);
        if let Some(seconds) = wait.filter(|_| !tokens.is_known(digest, format)) {
            return Err(NotAuthenticated::TooManyForgeries(seconds));
        }
        let expected = ExpectedBearer {
            issuer: &metadata.discovered.issuer,
            format,
            audiences: accepted_audiences(provider.settings(), format),
            now: env.now,
        };
        let verified = bearer::verify(presented.token, &metadata.keys, &expected);
        if matches!(verified, Err(TokenProblem::Signature)) {
            forged.remember(*digest, &metadata, env.now);
            FORGERIES.count(presented.client, env);
        }
        verified.map_err(NotAuthenticated::Problem)
    }

    /// Refuses a client whose address has sent too many forgeries.
    fn refuse_flood(&self, request: &Parsed<'_>, seconds: u64) -> Step {
        let mut step = self.pages.refuse(request, Refusal::TooManyTokens);
        if let Step::Reply(reply) = &mut step {
            reply.add("retry-after", seconds.max(1).to_string());
        }
        step
    }
}

/// Returns when a token was first seen in this process, if its issue date was in the future then, and now otherwise.
fn first_seen(id: &str, token: &BearerToken, env: &Env<'_>) -> Timestamp {
    let read = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes).map(Timestamp);
    let known = EARLY.find(env.shared, id, env.now);
    if let Some(at) = known.and_then(|bytes| read(&bytes)) {
        return at;
    }
    if token.begun > env.now {
        // Without an entry, the token counts as being as old as its date says.
        let _ = EARLY.update(env.shared, id, env.now, |known| match known {
            Some(_) => Err(()),
            None => Ok((env.now.0.to_be_bytes().to_vec(), token.end, ())),
        });
    }
    env.now
}
