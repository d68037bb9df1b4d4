//! Looking for a key that a token names and that is not known.

use std::net::IpAddr;

use super::Gate;
use crate::env::Env;
use crate::gate::address_limit::AddressLimit;
use crate::gate::waiting::Waiting;
use crate::oidc::provider::NewKeys;
use crate::store::ExpiringTable;

/// How often tokens of one client address may make us fetch the provider's keys because theirs are not known.
///
/// Keys are fetched once a minute at most for all clients together. Without this limit one client could take every turn,
/// and a logout token that is signed by a key of this very minute would find none.
const KEY_FETCHES: AddressLimit = AddressLimit {
    counts: ExpiringTable {
        kind: "key fetches",
        count: 4,
        bytes: 8 * 1024,
    },
    most: 2,
    seconds: 600,
};

/// A client has made us look for keys too often; it may again after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyFetches(pub(super) u64);

impl Gate {
    /// The request that waited is gone, and the answer that it waited for is not coming. Keys that were looked for are
    /// fetched without it: whoever goes away takes them from nobody else.
    pub fn abandon(&self, waiting: &Waiting) {
        if let Some(provider) = self
            .provider
            .as_ref()
            .filter(|_| waiting.is_awaiting_keys())
        {
            provider.miss_keys();
        }
    }

    /// Looks for a key that a token of this client names and that is not known.
    ///
    /// # Errors
    /// When this client has caused too many fetches, and no other worker has newer keys.
    pub(super) fn look_for_keys(
        &self,
        client: Option<IpAddr>,
        env: &Env<'_>,
    ) -> Result<NewKeys, TooManyFetches> {
        let Some(provider) = &self.provider else {
            return Ok(NewKeys::None);
        };
        if provider.adopt_keys(env) {
            return Ok(NewKeys::Adopted);
        }
        if let Some(seconds) = KEY_FETCHES.wait(client, env) {
            return Err(TooManyFetches(seconds));
        }
        let keys = provider.refetch_keys(env);
        if matches!(keys, NewKeys::Call(_)) {
            KEY_FETCHES.count(client, env);
        }
        Ok(keys)
    }
}
