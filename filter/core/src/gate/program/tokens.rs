//! The provider's tokens in the place of a session.

use std::cell::RefCell;
use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::super::Gate;
use super::super::sign_in::hold;
use crate::config::BearerFormat;
use crate::env::{Env, Timestamp};
use crate::oidc::bearer::{self, Expected};
use crate::oidc::claims::{self, Claims};
use crate::oidc::provider::NewKeys;
use crate::refusal::{Refusal, TokenProblem};
use crate::request::Parsed;
use crate::session::Session;
use crate::step::Step;
use crate::waiting::{BearerKeys, Flow, Waiting};

/// How many tokens one module instance remembers: verifying one costs more than everything else about a request.
const REMEMBERED: usize = 512;
/// A token is verified anew after so many seconds: its key may be gone by then.
const REMEMBERED_FOR: u64 = 60;

/// Tokens that were verified a moment ago.
#[derive(Debug, Default)]
pub(in super::super) struct BearerTokens {
    slots: RefCell<Vec<Option<Verified>>>,
}

#[derive(Debug)]
struct Verified {
    digest: [u8; 32],
    format: BearerFormat,
    at: Timestamp,
    session: Rc<Session>,
}

impl BearerTokens {
    fn remembered(
        &self,
        digest: &[u8; 32],
        format: BearerFormat,
        now: Timestamp,
    ) -> Option<Rc<Session>> {
        let slots = self.slots.borrow();
        let known = slots.get(slot(digest))?.as_ref()?;
        let fresh = known.at <= now && now.since(known.at) < REMEMBERED_FOR;
        let same = known.digest == *digest && known.format == format;
        (fresh && same && known.session.is_live(now)).then(|| Rc::clone(&known.session))
    }

    fn remember(&self, verified: Verified) {
        let mut slots = self.slots.borrow_mut();
        if slots.is_empty() {
            slots.resize_with(REMEMBERED, || None);
        }
        if let Some(slot) = slots.get_mut(slot(&verified.digest)) {
            *slot = Some(verified);
        }
    }
}

fn slot(digest: &[u8; 32]) -> usize {
    let [first, second, ..] = *digest;
    usize::from(u16::from_be_bytes([first, second])) % REMEMBERED
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
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(session) = self.bearers.remembered(&digest, format, env.now) {
            return if self.is_revoked(&session, env) {
                Err(Box::new(self.refuse(request, Refusal::BearerToken)))
            } else {
                Ok(session)
            };
        }
        let Some((provider, metadata)) = self.known_provider() else {
            return Err(Box::new(hold(env.now)));
        };
        let own = [provider.settings().client_id.clone()];
        let expected = Expected {
            issuer: &metadata.discovered.issuer,
            format,
            audiences: match format {
                BearerFormat::AccessToken => provider.settings().access_token_audiences.as_slice(),
                BearerFormat::IdToken | BearerFormat::Session => &own,
            },
            now: env.now,
        };
        let verified = match bearer::verify(token, &metadata.keys, &expected) {
            Err(TokenProblem::UnknownKey) => match provider.refetch_keys(env) {
                NewKeys::Call(call) => {
                    let waiting = Waiting::on(Flow::BearerKeys(BearerKeys));
                    return Err(Box::new(Step::Call(call, waiting)));
                }
                NewKeys::Adopted => {
                    let metadata = self.known_provider().map(|(_, metadata)| metadata);
                    let keys = metadata.as_ref().map(|metadata| &metadata.keys);
                    keys.ok_or(TokenProblem::UnknownKey)
                        .and_then(|keys| bearer::verify(token, keys, &expected))
                }
                NewKeys::None => Err(TokenProblem::UnknownKey),
            },
            verified => verified,
        };
        let session = verified
            .ok()
            .and_then(|(claims, end)| self.stand_in(&self.translate(claims), end, &digest, env.now))
            .map(Rc::new)
            .filter(|session| !self.is_revoked(session, env));
        let Some(session) = session else {
            return Err(Box::new(self.refuse(request, Refusal::BearerToken)));
        };
        self.bearers.remember(Verified {
            digest,
            format,
            at: env.now,
            session: Rc::clone(&session),
        });
        Ok(session)
    }

    /// A session that lasts as long as the token, and no longer than any.
    fn stand_in(
        &self,
        claims: &Claims,
        end: Timestamp,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Option<Session> {
        let trust = &self.provider.as_ref()?.settings().email_trust;
        let identity = claims::identity(claims, trust, &self.needs).ok()?;
        let longest = self.config.session.lifetime.as_secs();
        let lifetime = end.plus(crate::oidc::LEEWAY).since(now).min(longest);
        let id = URL_SAFE_NO_PAD.encode(digest.get(..16)?);
        let mut session = Session::new(id, identity, now, lifetime);
        session.provider_session = crate::oidc::logout_token::provider_session(claims);
        Some(session.chosen_for(&self.policy_digest))
    }
}
