//! Spreads requests over several upstreams in proportion to their weights.

use std::cell::Cell;

/// Smooth weighted round robin: each member gets its exact share within one round, and its turns are spread over the round.
/// As in Envoy without health checks, members that cannot be reached get their turns too.
pub(super) struct Balance<T> {
    members: Vec<Member<T>>,
    total: i64,
}

struct Member<T> {
    item: T,
    weight: i64,
    /// Grows by the weight at each turn. The member with the largest credit gets the turn, which costs the sum of all
    /// weights.
    credit: Cell<i64>,
}

impl<T> Balance<T> {
    /// Balances over these members, each with its weight.
    pub(super) fn new(members: impl IntoIterator<Item = (T, u32)>) -> Self {
        let members: Vec<Member<T>> = members
            .into_iter()
            .map(|(item, weight)| Member {
                item,
                weight: i64::from(weight),
                credit: Cell::new(0),
            })
            .collect();
        Self {
            total: members.iter().map(|member| member.weight).sum(),
            members,
        }
    }

    /// Returns the member whose turn it is; `None` when there are no members.
    pub(super) fn next(&self) -> Option<&T> {
        if let [only] = self.members.as_slice() {
            return Some(&only.item);
        }
        for member in &self.members {
            member
                .credit
                .set(member.credit.get().saturating_add(member.weight));
        }
        // The first of several equals.
        let chosen = self.members.iter().reduce(|best, other| {
            if other.credit.get() > best.credit.get() {
                other
            } else {
                best
            }
        })?;
        chosen
            .credit
            .set(chosen.credit.get().saturating_sub(self.total));
        Some(&chosen.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns(weights: &[u32], count: usize) -> Vec<usize> {
        let balance = Balance::new(weights.iter().copied().enumerate());
        (0..count).map(|_| *balance.next().unwrap()).collect()
    }

    #[test]
    fn turns_are_spread_over_the_round() {
        assert_eq!(turns(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(turns(&[7], 3), [0, 0, 0]);
    }

    #[test]
    fn a_balance_without_members_has_no_turns() {
        assert!(Balance::<()>::new([]).next().is_none());
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let balance = Balance::new(vec![((), u32::MAX); 1_000]);
        assert!((0..10_000).all(|_| balance.next().is_some()));
    }

    proptest! {
        #[test]
        fn each_round_gives_each_member_its_weight(weights in prop::collection::vec(1_u32..20, 1..8)) {
            let round = weights.iter().sum::<u32>() as usize;
            let turns = turns(&weights, round * 3);
            for turns in turns.chunks(round) {
                for (member, weight) in weights.iter().enumerate() {
                    let had = turns.iter().filter(|turn| **turn == member).count();
                    prop_assert_eq!(had, *weight as usize);
                }
            }
        }
    }
}
