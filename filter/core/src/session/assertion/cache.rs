//! Assertions that were made a moment ago: signing costs more than everything else about a request.

use std::rc::Rc;

use super::{Assertion, Party, claims};
use crate::config::{IdentitySettings, IssuerFormat};
use crate::env::Env;
use crate::session::Session;
use crate::store::slot_cache::SlotCache;
use crate::time::Timestamp;

/// For how many seconds an assertion is told again. It keeps at least four of its five minutes for the upstream.
const REMEMBERED_FOR: u64 = 60;
/// How many one module instance remembers: at about 2 KB each, a megabyte.
const REMEMBERED: usize = 512;
/// Longest value of a claim header. Servers refuse requests with longer ones: a claim that no upstream can receive must
/// not take the others, and the request, with it.
const MAX_CLAIM_VALUE: usize = 8 * 1024;

/// Makes assertions, each visitor's once in a while.
///
/// A table with one place per slot needs no bookkeeping and cannot grow; two visitors who share a slot only cost a
/// signature each time they alternate.
#[derive(Debug, Default)]
pub(crate) struct Assertions {
    issued: SlotCache<CachedAssertion, REMEMBERED>,
}

/// An assertion, and whether it was made for this request.
#[derive(Debug)]
pub(crate) struct IssuedAssertion {
    /// The assertion.
    pub(crate) assertion: Rc<Assertion>,
    /// Whether this request is the first with it.
    pub(crate) is_new: bool,
}

struct CachedAssertion {
    /// Name of the session; with the party, it fixes everything that an assertion says.
    session: Box<str>,
    host: Box<str>,
    issuer_format: IssuerFormat,
    at: Timestamp,
    assertion: Rc<Assertion>,
}

impl Assertions {
    /// What an application is told about a visitor; `None` without a key or randomness.
    pub(crate) fn about(
        &self,
        session: &Session,
        party: Party<'_>,
        settings: &IdentitySettings,
        env: &mut Env<'_>,
    ) -> Option<IssuedAssertion> {
        if let Some(assertion) = self.remembered(&session.id, party, env.now) {
            let is_new = false;
            return Some(IssuedAssertion { assertion, is_new });
        }
        let key = settings.signing_key.as_ref()?;
        let (headers, id) = (&settings.claim_headers, env.bytes().ok()?);
        let claims = claims::of(session, party, settings, id, env.now);
        let mut incomplete = claims::incomplete(session, settings);
        let claim_values = headers
            .iter()
            .map(|(_, claim)| {
                let value = claims::header_value(&claims, session, claim);
                if value.len() > MAX_CLAIM_VALUE {
                    incomplete.insert(claim.clone());
                    return Vec::new();
                }
                value
            })
            .collect();
        let assertion = Rc::new(Assertion {
            token: key.sign(&claims)?,
            claim_values,
            incomplete,
        });
        self.issued.insert(
            (session.id.as_str(), party.host),
            CachedAssertion {
                session: session.id.as_str().into(),
                host: party.host.into(),
                issuer_format: party.issuer_format,
                at: env.now,
                assertion: Rc::clone(&assertion),
            },
        );
        let is_new = true;
        Some(IssuedAssertion { assertion, is_new })
    }

    fn remembered(&self, session: &str, party: Party<'_>, now: Timestamp) -> Option<Rc<Assertion>> {
        self.issued.find((session, party.host), |issued| {
            let is_same = *issued.session == *session && issued.party() == party;
            let is_usable = is_same && issued.at.is_recent(now, REMEMBERED_FOR);
            is_usable.then(|| Rc::clone(&issued.assertion))
        })
    }
}

impl CachedAssertion {
    fn party(&self) -> Party<'_> {
        Party {
            host: &self.host,
            issuer_format: self.issuer_format,
        }
    }
}
