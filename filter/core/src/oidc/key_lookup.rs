//! Verifying a token whose key may not be known yet: providers rotate their keys.

use crate::oidc::call::ProviderCall;
use crate::oidc::provider::NewKeys;

/// A problem with a token that new keys may solve.
pub(crate) trait KeyProblem {
    /// Whether the token names a key that is not known.
    fn is_unknown_key(&self) -> bool;
}

/// The result of verifying a token whose key may not be known yet.
#[must_use]
pub(crate) enum LookedUp<T, E> {
    /// The token is verified, or has a problem.
    Verified(Result<T, E>),
    /// The token names an unknown key. This call fetches the provider's keys, and then the token is verified once more.
    Call(ProviderCall),
}

/// Verifies a token with the keys that are known, and once more if another worker has fetched newer ones.
///
/// `verify` verifies with the keys that are known at its call, `look` looks for newer ones when the token's key is
/// unknown.
pub(crate) fn verify_with_new_keys<T, E: KeyProblem>(
    verify: impl Fn() -> Result<T, E>,
    look: impl FnOnce() -> Result<NewKeys, E>,
) -> LookedUp<T, E> {
    let problem = match verify() {
        Err(problem) if problem.is_unknown_key() => problem,
        verified => return LookedUp::Verified(verified),
    };
    match look() {
        Ok(NewKeys::Adopted) => LookedUp::Verified(verify()),
        Ok(NewKeys::Call(call)) => LookedUp::Call(call),
        Ok(NewKeys::None) => LookedUp::Verified(Err(problem)),
        Err(problem) => LookedUp::Verified(Err(problem)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Problem {
        UnknownKey,
        Expired,
        NotAllowed,
    }

    impl KeyProblem for Problem {
        fn is_unknown_key(&self) -> bool {
            *self == Self::UnknownKey
        }
    }

    /// Verifies a token, with `first` as the first result and success as the second; returns the result and how often the
    /// token was verified.
    fn verify(
        first: Problem,
        found: Result<NewKeys, Problem>,
    ) -> (Option<Result<(), Problem>>, u32) {
        let (count, first) = (Cell::new(0), Cell::new(Some(first)));
        let verified = verify_with_new_keys(
            || {
                count.set(count.get() + 1);
                first.take().map_or(Ok(()), Err)
            },
            || found,
        );
        let result = match verified {
            LookedUp::Verified(result) => Some(result),
            LookedUp::Call(_) => None,
        };
        (result, count.get())
    }

    #[test]
    fn only_an_unknown_key_is_looked_for_and_only_once() {
        use Problem::{Expired, NotAllowed, UnknownKey};
        let call = crate::oidc::token::fetch(&crate::oidc::metadata::Endpoint::discovery(
            &crate::testing::provider_settings(),
        ));
        for (first, found, expected) in [
            (Expired, Ok(NewKeys::Adopted), (Some(Err(Expired)), 1)),
            (UnknownKey, Ok(NewKeys::Adopted), (Some(Ok(())), 2)),
            (UnknownKey, Ok(NewKeys::None), (Some(Err(UnknownKey)), 1)),
            (UnknownKey, Err(NotAllowed), (Some(Err(NotAllowed)), 1)),
            (UnknownKey, Ok(NewKeys::Call(call)), (None, 1)),
        ] {
            assert_eq!(verify(first, found), expected);
        }
    }
}
