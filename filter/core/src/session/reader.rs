//! Opens session cookies.

use std::rc::Rc;

use crate::secret::is_equal_in_constant_time;
use crate::session::Session;
use crate::session::seal::{Purpose, Sealer};
use crate::store::slot_cache::SlotCache;
use crate::time::Timestamp;

/// How many opened sessions one module instance remembers: at about 1 KB each, a megabyte.
const REMEMBERED: usize = 1024;
/// Bytes at the end of a sealed value that choose its slot. They are from its authentication tag and so random.
const TAIL: usize = 8;

/// Opens session cookies and remembers the opened sessions, because a browser sends the same value with every request.
#[derive(Debug, Default)]
pub struct SessionReader {
    opened: SlotCache<CachedSession, REMEMBERED>,
}

struct CachedSession {
    host: Box<str>,
    sealed: Box<[u8]>,
    opened: OpenedSession,
}

/// A session from a sealed value.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// The session.
    pub session: Rc<Session>,
    /// Whether the newest secret sealed it, see [`crate::session::seal::Opened`].
    pub by_newest: bool,
}

impl SessionReader {
    /// Returns the session in a sealed value, if it was sealed for this host and is live.
    #[must_use]
    pub fn open(
        &self,
        sealer: &Sealer,
        host: &str,
        sealed: &[u8],
        now: Timestamp,
    ) -> Option<OpenedSession> {
        let opened = self.find(host, sealed).or_else(|| {
            let opened = sealer.open(Purpose::Session, host, sealed)?;
            let session = serde_json::from_slice::<Session>(&opened.plaintext).ok()?;
            let opened = OpenedSession {
                session: Rc::new(session),
                by_newest: opened.by_newest,
            };
            self.remember(host, sealed, &opened);
            Some(opened)
        })?;
        opened.session.is_live(now).then_some(opened)
    }

    /// Returns the remembered session of a sealed value.
    fn find(&self, host: &str, sealed: &[u8]) -> Option<OpenedSession> {
        self.opened.find(tail(sealed), |known| {
            let is_same = is_equal_in_constant_time(&known.sealed, sealed) && *known.host == *host;
            is_same.then(|| known.opened.clone())
        })
    }

    fn remember(&self, host: &str, sealed: &[u8], opened: &OpenedSession) {
        self.opened.insert(
            tail(sealed),
            CachedSession {
                host: host.into(),
                sealed: sealed.into(),
                opened: opened.clone(),
            },
        );
    }
}

fn tail(sealed: &[u8]) -> &[u8] {
    let start = sealed.len().saturating_sub(TAIL);
    sealed.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::secret::Secret;
    use crate::session::Identity;
    use crate::testing::Fixture;

    fn session(now: Timestamp) -> Session {
        let identity = Identity {
            subject: "s1".to_owned(),
            email: Some("alice@example.com".to_owned()),
            email_verified: true,
            claims: BTreeMap::new(),
        };
        Session::new("id".to_owned(), identity, now, 100)
    }

    #[test]
    fn remembered_sessions_still_expire_and_stay_on_their_host() {
        let mut fixture = Fixture::new();
        let sealer = Sealer::new(&Secret::new(vec![7; 32]), &[]);
        let begun = fixture.now;
        let plaintext = serde_json::to_vec(&session(begun)).unwrap();
        let sealed = sealer
            .seal(Purpose::Session, "app.test", &plaintext, &mut fixture.env())
            .unwrap();
        let reader = SessionReader::default();
        let open = |host, now| reader.open(&sealer, host, sealed.as_bytes(), now);
        assert!(open("app.test", begun).is_some());
        assert!(open("app.test", begun.plus(99)).is_some(), "remembered");
        assert!(open("b.test", begun).is_none());
        assert!(open("app.test", begun.plus(100)).is_none());
    }

    #[test]
    fn any_changed_byte_is_refused_beside_a_remembered_session() {
        let mut fixture = Fixture::new();
        let sealer = Sealer::new(&Secret::new(vec![7; 32]), &[]);
        let plaintext = serde_json::to_vec(&session(fixture.now)).unwrap();
        let sealed = sealer
            .seal(Purpose::Session, "app.test", &plaintext, &mut fixture.env())
            .unwrap();
        let reader = SessionReader::default();
        assert!(
            reader
                .open(&sealer, "app.test", sealed.as_bytes(), fixture.now)
                .is_some()
        );
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert!(
                reader
                    .open(&sealer, "app.test", &changed, fixture.now)
                    .is_none(),
                "place {place}"
            );
        }
    }
}
