//! Tokens whose signature did not fit a moment ago: each verification costs about what a TLS handshake does, and anybody
//! may send tokens again and again.

use std::cell::RefCell;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::oidc::metadata::Metadata;
use crate::time::Timestamp;

/// How many tokens one module instance remembers as forged, at 40 bytes each.
const REMEMBERED: usize = 512;
/// For how long, in seconds. Only other keys could change the verdict, and those empty the table.
const REMEMBERED_FOR: u64 = 60;

/// The digest by which a token is remembered.
pub(super) type TokenDigest = [u8; 32];

/// The digest of a token.
pub(super) fn digest_of(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

/// The place of a digest in a table of this size.
pub(super) fn slot(digest: &TokenDigest, size: usize) -> usize {
    let [first, second, ..] = *digest;
    usize::from(u16::from_be_bytes([first, second])) % size
}

/// Tokens whose signature no key of the provider had made a moment ago.
#[derive(Debug, Default)]
pub(super) struct ForgedTokens {
    known: RefCell<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The keys by which they were judged.
    keys: Option<Rc<Metadata>>,
    /// A table with one place per slot: it needs no bookkeeping and cannot grow.
    slots: Vec<Option<(TokenDigest, Timestamp)>>,
}

impl Known {
    fn are_of(&self, keys: &Rc<Metadata>) -> bool {
        self.keys.as_ref().is_some_and(|own| Rc::ptr_eq(own, keys))
    }
}

impl ForgedTokens {
    /// Whether a token is known to be signed by none of these keys.
    pub(super) fn has(&self, digest: &TokenDigest, keys: &Rc<Metadata>, now: Timestamp) -> bool {
        let known = self.known.borrow();
        if !known.are_of(keys) {
            return false;
        }
        let found = known.slots.get(slot(digest, REMEMBERED)).copied().flatten();
        found.is_some_and(|(token, at)| {
            token == *digest && at <= now && now.since(at) < REMEMBERED_FOR
        })
    }

    /// Remembers that a token is signed by none of these keys.
    pub(super) fn remember(&self, digest: TokenDigest, keys: &Rc<Metadata>, now: Timestamp) {
        let mut known = self.known.borrow_mut();
        if !known.are_of(keys) {
            known.keys = Some(Rc::clone(keys));
            known.slots.clear();
            known.slots.resize(REMEMBERED, None);
        }
        if let Some(place) = known.slots.get_mut(slot(&digest, REMEMBERED)) {
            *place = Some((digest, now));
        }
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
        assert_eq!(forged.known.borrow().slots.len(), REMEMBERED);
    }
}
