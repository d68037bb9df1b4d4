//! Issues assertions and remembers them for a minute, because a signature costs more than the rest of a request.

use std::rc::Rc;

use crate::config::{IdentitySettings, IssuerFormat};
use crate::env::Env;
use crate::session::Session;
use crate::session::assertion::claims::AssertionSource;
use crate::session::assertion::{Assertion, Party};
use crate::store::slot_cache::SlotCache;
use crate::time::Timestamp;

/// For how many seconds an assertion is used again. It is valid for at least four of its five minutes when an upstream gets it.
const REMEMBERED_FOR: u64 = 60;
/// How many assertions one module instance remembers: at about 2 KB each, a megabyte.
const REMEMBERED: usize = 512;
/// Longest value of a claim header. Servers refuse requests with longer headers: one claim that no upstream can receive must
/// not make the whole request fail.
const MAX_CLAIM_VALUE: usize = 8 * 1024;

/// Issues assertions, and uses each one again for a while.
#[derive(Debug, Default)]
pub(crate) struct Assertions {
    issued: SlotCache<CachedAssertion, REMEMBERED>,
}

/// An assertion, and whether it was made for this request.
#[derive(Debug)]
pub(crate) struct IssuedAssertion {
    /// The assertion.
    pub(crate) assertion: Rc<Assertion>,
    /// Whether this request is the first one with it.
    pub(crate) is_new: bool,
}

struct CachedAssertion {
    /// Id of the session. With the party, it determines everything that an assertion says.
    session: Box<str>,
    host: Box<str>,
    issuer_format: IssuerFormat,
    issued_at: Timestamp,
    assertion: Rc<Assertion>,
}

impl Assertions {
    /// Returns the assertion about a user for an application; `None` without a key or randomness.
    pub(crate) fn about(
        &self,
        session: &Session,
        party: Party<'_>,
        settings: &IdentitySettings,
        env: &mut Env<'_>,
    ) -> Option<IssuedAssertion> {
        if let Some(assertion) = self.find(&session.id, party, env.now) {
            let is_new = false;
            return Some(IssuedAssertion { assertion, is_new });
        }
        let source = AssertionSource {
            session,
            party,
            settings,
        };
        let assertion = Rc::new(issue(&source, env)?);
        let entry = CachedAssertion {
            session: session.id.as_str().into(),
            host: party.host.into(),
            issuer_format: party.issuer_format,
            issued_at: env.now,
            assertion: Rc::clone(&assertion),
        };
        self.issued.insert((session.id.as_str(), party.host), entry);
        let is_new = true;
        Some(IssuedAssertion { assertion, is_new })
    }

    /// Returns a remembered assertion.
    fn find(&self, session: &str, party: Party<'_>, now: Timestamp) -> Option<Rc<Assertion>> {
        self.issued.find((session, party.host), |issued| {
            let is_same = *issued.session == *session && issued.party() == party;
            let is_usable = is_same && issued.issued_at.is_recent(now, REMEMBERED_FOR);
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

/// Makes an assertion with its claim headers; `None` without a key or randomness.
fn issue(source: &AssertionSource<'_>, env: &mut Env<'_>) -> Option<Assertion> {
    let key = source.settings.signing_key.as_ref()?;
    let claims = source.claims(env.bytes().ok()?, env.now);
    let mut incomplete = source.incomplete();
    let headers = source.settings.claim_headers.iter();
    let claim_values = headers
        .map(|(_, claim)| {
            let value = source.header_value(&claims, claim);
            if value.len() > MAX_CLAIM_VALUE {
                incomplete.insert(claim.clone());
                return Vec::new();
            }
            value
        })
        .collect();
    Some(Assertion {
        token: key.sign(&claims)?,
        claim_values,
        incomplete,
    })
}
