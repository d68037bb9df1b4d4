//! What the workers of a process know of the provider together.

use serde::{Deserialize, Serialize};

use super::{KEY_REFETCH_PAUSE, LOST_AFTER};
use crate::config::ProviderSettings;
use crate::digest::hash_configuration;
use crate::env::Env;
use crate::store::update;
use crate::time::Timestamp;

/// The provider's documents as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Documents {
    pub(super) fetched_at: Timestamp,
    pub(super) discovery: String,
    pub(super) keys: String,
}

/// Names of the shared values about one provider. Another configuration of the same process may have another provider.
#[derive(Debug)]
pub(super) struct Common {
    documents: String,
    fetch: String,
    keys: String,
}

impl Common {
    pub(super) fn of(settings: &ProviderSettings) -> Self {
        let mut provider = format!("{:?} {}", settings.kind, settings.issuer);
        for origin in settings.origins() {
            provider.push_str(&format!(" {origin}"));
        }
        let name = hash_configuration(provider.as_bytes());
        Self {
            documents: format!("jetway provider {name}"),
            fetch: format!("jetway provider fetch {name}"),
            keys: format!("jetway provider keys {name}"),
        }
    }

    #[cfg(test)]
    pub(super) fn fetch(&self) -> &str {
        &self.fetch
    }

    /// The documents that another worker stored after `known` were fetched.
    pub(super) fn newer_than(&self, known: &Documents, env: &Env<'_>) -> Option<Documents> {
        let (value, _) = env.shared.read(&self.documents)?;
        let stored: Documents = serde_json::from_slice(&value).ok()?;
        let newer = stored.fetched_at > known.fetched_at
            || (stored.fetched_at == known.fetched_at && stored.keys != known.keys);
        newer.then_some(stored)
    }

    /// Shares documents, unless newer ones are there.
    pub(super) fn store(&self, documents: &Documents, env: &Env<'_>) {
        let Ok(value) = serde_json::to_vec(documents) else {
            return;
        };
        update(
            env.shared,
            &self.documents,
            |stored| match serde_json::from_slice::<Documents>(stored) {
                Ok(stored) if stored.fetched_at > documents.fetched_at => Err(()),
                _ => Ok((value.clone(), ())),
            },
        );
    }

    /// Whether this worker shall fetch: no other does, and no pause lasts.
    pub(super) fn begin_fetch(&self, env: &Env<'_>) -> bool {
        claim(&self.fetch, env.now.plus(LOST_AFTER), env)
    }

    /// The fetch is over; the next one may begin at `next`.
    pub(super) fn end_fetch(&self, next: Timestamp, env: &Env<'_>) {
        update(env.shared, &self.fetch, |_| {
            Ok((next.0.to_be_bytes().to_vec(), ()))
        });
    }

    /// Whether this worker shall look for new keys.
    pub(super) fn may_refetch_keys(&self, known: &Documents, env: &Env<'_>) -> bool {
        let recent = env.now.since(known.fetched_at) < KEY_REFETCH_PAUSE;
        !recent && claim(&self.keys, env.now.plus(KEY_REFETCH_PAUSE), env)
    }
}

/// Takes something that one worker may do at a time, until `until`. Says whether it was free.
fn claim(key: &str, until: Timestamp, env: &Env<'_>) -> bool {
    let claimed = update(env.shared, key, |taken| {
        let taken: Option<[u8; 8]> = taken.try_into().ok();
        let free_at = taken.map_or(0, u64::from_be_bytes);
        // A clock that was set back must not keep everybody waiting: nothing is taken for longer.
        if env.now.0 < free_at && free_at <= env.now.plus(KEY_REFETCH_PAUSE).0 {
            Err(false)
        } else {
            Ok((until.0.to_be_bytes().to_vec(), true))
        }
    });
    // Shared data that cannot be written to is no reason to keep everybody out.
    claimed.unwrap_or(true)
}
