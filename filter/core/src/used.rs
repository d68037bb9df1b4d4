//! Attempts whose callback has come: each may redeem one code.

use std::collections::{HashSet, VecDeque};

/// How many are remembered. The provider accepts a code once anyway; this spares it the repeats.
const REMEMBERED: usize = 4096;

/// The names of the latest used attempts.
#[derive(Debug, Default)]
pub(crate) struct UsedAttempts {
    order: VecDeque<Box<str>>,
    names: HashSet<Box<str>>,
}

impl UsedAttempts {
    /// Whether the name is new; from then on it is not.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        if !self.names.insert(name.into()) {
            return false;
        }
        self.order.push_back(name.into());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_and_bounded() {
        let mut used = UsedAttempts::default();
        assert!(used.insert("a") && !used.insert("a"));
        for number in 0..REMEMBERED {
            assert!(used.insert(&number.to_string()));
        }
        assert_eq!(used.names.len(), REMEMBERED);
        assert!(used.insert("a"), "the oldest gave way");
    }
}
