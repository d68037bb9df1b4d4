//! Sessions that have to fit: into a browser's cookies, into what workers share, into an address.

use super::Gate;
use crate::session::Session;

/// What a session can give up.
enum Sacrifice {
    /// The provider's hint, without which it asks one question more at the sign-out.
    Hint,
    /// The values of a claim that no policy asks for, which only upstreams would get.
    Claim(String),
}

impl Gate {
    /// Returns a session, and then the same with less and less in it.
    ///
    /// The provider's hint goes first, then one claim after the other that only upstreams get, the largest first and the
    /// groups last: a user who chooses a long name must not get rid of a group. What is left of a claim are the values
    /// that policies name, and the session remembers that it is incomplete. A user with very many groups can still sign in.
    pub(super) fn shrinking(&self, session: &Session) -> impl Iterator<Item = Session> {
        let mut session = session.clone();
        let mut sacrifices = None;
        let mut is_first = true;
        std::iter::from_fn(move || {
            if !std::mem::replace(&mut is_first, false) {
                let sacrifices = sacrifices.get_or_insert_with(|| self.sacrifices(&session));
                match sacrifices.next()? {
                    Sacrifice::Hint => session.id_token = None,
                    Sacrifice::Claim(name) => self.policy_needs.trim(&name, &mut session),
                }
            }
            Some(session.clone())
        })
    }

    fn sacrifices(&self, session: &Session) -> std::vec::IntoIter<Sacrifice> {
        let groups = &self.config.identity.groups_claim;
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
