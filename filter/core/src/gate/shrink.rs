//! Shortens sessions that have to fit into a browser's cookies, into the shared data, or into an address.

use std::cmp::Reverse;

use crate::gate::terms::SessionTerms;
use crate::session::Session;

/// A part that a session can give up.
enum Sacrifice {
    /// The provider's hint, without which the provider asks one more question at the sign-out.
    Hint,
    /// The values of a claim that no policy uses, which only upstreams would get.
    Claim(String),
    /// The same for the groups. The other claims come back: they were in vain.
    Groups(Vec<String>),
}

impl SessionTerms {
    /// Returns a session, and then shorter and shorter forms of it.
    ///
    /// The provider's hint is dropped first. Then follow the claims that only upstreams get, one by one, the largest first
    /// and the groups last: a user who chooses a long name must not get rid of a group. When the groups do not fit even
    /// without all other claims, they are dropped alone, so that a name is not lost beside them; then the others follow
    /// once more. The values that policies name are kept, so that shortening changes no decision, and the session is marked
    /// as incomplete. A user with very many groups can still sign in.
    pub(super) fn shrinking(&self, session: &Session) -> impl Iterator<Item = Session> {
        let whole = session.clone();
        let mut shorter = whole.clone();
        let mut sacrifices = None;
        let mut is_first = true;
        std::iter::from_fn(move || {
            if !std::mem::replace(&mut is_first, false) {
                let sacrifices = sacrifices.get_or_insert_with(|| self.sacrifices(&whole));
                match sacrifices.next()? {
                    Sacrifice::Hint => shorter.id_token = None,
                    Sacrifice::Claim(name) => self.policy_claims.trim(&name, &mut shorter),
                    Sacrifice::Groups(names) => {
                        shorter = whole.clone();
                        shorter.id_token = None;
                        for name in names {
                            self.policy_claims.trim(&name, &mut shorter);
                        }
                    }
                }
            }
            Some(shorter.clone())
        })
    }

    /// Returns what a session gives up, in this order.
    fn sacrifices(&self, session: &Session) -> std::vec::IntoIter<Sacrifice> {
        let mut claims: Vec<(usize, &str)> = session
            .claims()
            .map(|(name, values)| {
                let length = values.iter().map(|value| value.to_string().len()).sum();
                (length, name)
            })
            .collect();
        claims.sort_unstable_by_key(|&(length, _)| Reverse(length));
        let names = claims.into_iter().map(|(_, name)| name.to_owned());
        let is_groups = |name: &String| name.eq_ignore_ascii_case(&self.groups_claim);
        let (groups, others): (Vec<String>, Vec<String>) = names.partition(is_groups);
        let one_by_one = || others.iter().cloned().map(Sacrifice::Claim);
        let all: Vec<Sacrifice> = std::iter::once(Sacrifice::Hint)
            .chain(one_by_one())
            .chain(std::iter::once(Sacrifice::Groups(groups)))
            .chain(one_by_one())
            .collect();
        all.into_iter()
    }
}
