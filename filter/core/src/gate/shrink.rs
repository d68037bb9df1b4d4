//! Shortens sessions that have to fit into a browser's cookies, into the shared data, or into an address.

use crate::gate::terms::SessionTerms;
use crate::session::Session;

/// A part that a session can give up.
enum Sacrifice {
    /// The provider's hint, without which the provider asks one more question at the sign-out.
    Hint,
    /// The values of a claim that no policy uses, which only upstreams would get.
    Claim(String),
}

impl SessionTerms {
    /// Returns a session, and then the same session with less and less in it.
    ///
    /// The provider's hint is dropped first. Then follow the claims that only upstreams get, one by one, the largest first
    /// and the groups last: a user who chooses a long name must not get rid of a group. The values that policies name are
    /// kept, and the session is marked as incomplete. A user with very many groups can still sign in.
    pub(super) fn shrinking(&self, session: &Session) -> impl Iterator<Item = Session> {
        let mut session = session.clone();
        let mut sacrifices = None;
        let mut is_first = true;
        std::iter::from_fn(move || {
            if !std::mem::replace(&mut is_first, false) {
                let sacrifices = sacrifices.get_or_insert_with(|| self.sacrifices(&session));
                match sacrifices.next()? {
                    Sacrifice::Hint => session.id_token = None,
                    Sacrifice::Claim(name) => self.policy_claims.trim(&name, &mut session),
                }
            }
            Some(session.clone())
        })
    }

    fn sacrifices(&self, session: &Session) -> std::vec::IntoIter<Sacrifice> {
        let groups = &self.groups_claim;
        let mut claims: Vec<(bool, usize, &str)> = session
            .claims()
            .map(|(name, values)| {
                let length = values.iter().map(|value| value.to_string().len()).sum();
                (name.eq_ignore_ascii_case(groups), length, name)
            })
            .collect();
        claims
            .sort_unstable_by_key(|&(is_groups, length, _)| (is_groups, std::cmp::Reverse(length)));
        let claims = claims.into_iter();
        let claims = claims.map(|(_, _, name)| Sacrifice::Claim(name.to_owned()));
        let all: Vec<Sacrifice> = std::iter::once(Sacrifice::Hint).chain(claims).collect();
        all.into_iter()
    }
}
