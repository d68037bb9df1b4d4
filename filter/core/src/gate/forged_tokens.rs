//! Remembers tokens with an invalid signature. A verification costs about as much as a TLS handshake, and any client may
//! send the same token again and again.

use std::cell::RefCell;
use std::rc::Rc;

use crate::digest;
use crate::oidc::metadata::Metadata;
use crate::store::slot_cache::SlotCache;
use crate::time::Timestamp;

/// How many tokens one module instance remembers as forged, at 40 bytes each.
const REMEMBERED: usize = 512;
/// For how long a token is remembered, in seconds. Only other keys could change the result, and these empty the cache.
const REMEMBERED_FOR: u64 = 60;

/// The digest by which a token is remembered.
pub(super) type TokenDigest = [u8; 32];

/// Returns the digest of a token.
pub(super) fn digest_of(token: &str) -> TokenDigest {
    digest::hash(token.as_bytes())
}

/// Tokens that none of the provider's keys has signed.
#[derive(Debug, Default)]
pub(super) struct ForgedTokens {
    /// The keys by which the tokens were verified.
    keys: RefCell<Option<Rc<Metadata>>>,
    tokens: SlotCache<(TokenDigest, Timestamp), REMEMBERED>,
}

impl ForgedTokens {
    /// Returns whether a token is known to be signed by none of these keys.
    pub(super) fn has(&self, digest: &TokenDigest, keys: &Rc<Metadata>, now: Timestamp) -> bool {
        let found = self.tokens.find(digest, |(token, at)| {
            (token == digest && at.is_recent(now, REMEMBERED_FOR)).then_some(())
        });
        found.is_some() && self.are_verified_by(keys)
    }

    /// Remembers that a token is signed by none of these keys.
    pub(super) fn remember(&self, digest: TokenDigest, keys: &Rc<Metadata>, now: Timestamp) {
        if !self.are_verified_by(keys) {
            self.tokens.clear();
            *self.keys.borrow_mut() = Some(Rc::clone(keys));
        }
        self.tokens.insert(digest, (digest, now));
    }

    /// Returns whether the tokens were verified by these keys.
    fn are_verified_by(&self, keys: &Rc<Metadata>) -> bool {
        let own = self.keys.borrow();
        own.as_ref().is_some_and(|own| Rc::ptr_eq(own, keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::keys::KeySet;
    use crate::oidc::metadata::Discovered;
    use crate::testing::{FakeProvider, provider_settings};

    const NOW: Timestamp = Timestamp(1_800_000_000);

    /// The provider's keys as they are after a fetch.
    fn fetched() -> Rc<Metadata> {
        let fake = FakeProvider::new();
        let discovery = fake.discovery();
        Rc::new(Metadata {
            discovered: Discovered::read(discovery.as_bytes(), &provider_settings()).unwrap(),
            keys: KeySet::read(fake.jwks().as_bytes()).unwrap(),
        })
    }

    #[test]
    fn forgeries_are_known_for_a_minute_and_as_long_as_the_keys() {
        let (keys, forged) = (fetched(), ForgedTokens::default());
        let (one, other) = (digest_of("a"), digest_of("b"));
        assert!(!forged.has(&one, &keys, NOW));
        forged.remember(one, &keys, NOW);
        assert!(forged.has(&one, &keys, NOW.plus(59)));
        assert!(!forged.has(&other, &keys, NOW));
        assert!(!forged.has(&one, &keys, NOW.plus(60)));
        let earlier = Timestamp(NOW.0 - 1);
        assert!(!forged.has(&one, &keys, earlier), "the clock was set back");
        let fresh = fetched();
        assert!(!forged.has(&one, &fresh, NOW));
        forged.remember(other, &fresh, NOW);
        assert!(!forged.has(&one, &keys, NOW) && !forged.has(&one, &fresh, NOW));
    }

    #[test]
    fn very_many_forgeries_take_bounded_room() {
        let (keys, forged) = (fetched(), ForgedTokens::default());
        for number in 0..10 * REMEMBERED {
            forged.remember(digest_of(&number.to_string()), &keys, NOW);
        }
        assert_eq!(forged.tokens.count_slots(), REMEMBERED);
    }
}
