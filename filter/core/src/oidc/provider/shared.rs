//! The state about the provider that the workers of a process share.

use serde::{Deserialize, Serialize};

use super::{KEY_REFETCH_PAUSE, LOST_AFTER};
use crate::config::ProviderSettings;
use crate::digest::hash_configuration;
use crate::env::Env;
use crate::store::update;
use crate::time::Timestamp;

/// The provider's documents as they were received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Documents {
    pub(super) fetched_at: Timestamp,
    pub(super) discovery: String,
    pub(super) keys: String,
}

/// The keys of the shared values about one provider. Another configuration in the same process may have another provider.
#[derive(Debug)]
pub(super) struct SharedProvider {
    documents: String,
    fetch: String,
    keys: String,
}

impl SharedProvider {
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

    /// Returns the documents that another worker has stored after `known` were fetched.
    pub(super) fn newer_than(&self, known: &Documents, env: &Env<'_>) -> Option<Documents> {
        let (value, _) = env.shared.read(&self.documents)?;
        let stored: Documents = serde_json::from_slice(&value).ok()?;
        let is_newer = stored.fetched_at > known.fetched_at
            || (stored.fetched_at == known.fetched_at && stored.keys != known.keys);
        is_newer.then_some(stored)
    }

    /// Shares documents, unless there are newer ones.
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

    /// Takes the turn to fetch the documents, and returns whether it was free: no other worker fetches them, and there is
    /// no pause.
    pub(super) fn begin_fetch(&self, env: &Env<'_>) -> bool {
        take_turn(&self.fetch, env.now.plus(LOST_AFTER), env)
    }

    /// Ends the turn to fetch the documents. The next one may begin at `next`.
    pub(super) fn end_fetch(&self, next: Timestamp, env: &Env<'_>) {
        update(env.shared, &self.fetch, |_| {
            Ok((next.0.to_be_bytes().to_vec(), ()))
        });
    }

    /// Takes the turn to fetch the keys alone, and returns whether it was free.
    pub(super) fn begin_key_fetch(&self, known: &Documents, env: &Env<'_>) -> bool {
        let is_recent = env.now.since(known.fetched_at) < KEY_REFETCH_PAUSE;
        !is_recent && take_turn(&self.keys, env.now.plus(KEY_REFETCH_PAUSE), env)
    }
}

/// Takes a turn that one worker may have at a time, until `until`, and returns whether it was free.
fn take_turn(key: &str, until: Timestamp, env: &Env<'_>) -> bool {
    let claimed = update(env.shared, key, |taken| {
        let taken: Option<[u8; 8]> = taken.try_into().ok();
        let free_at = taken.map_or(0, u64::from_be_bytes);
        // No turn is longer. A clock that was set back must not keep all workers waiting.
        if env.now.0 < free_at && free_at <= env.now.plus(KEY_REFETCH_PAUSE).0 {
            Err(false)
        } else {
            Ok((until.0.to_be_bytes().to_vec(), true))
        }
    });
    // Without shared data each worker takes its turn by itself.
    claimed.unwrap_or(true)
}
