//! Counts requests by the client that sent them, up to a share for each client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::{ClientNetwork, client_share};

/// Counts the requests in progress of all clients, each of which may have its share of a limit.
pub(super) struct ClientRequests {
    share: u32,
    /// Contains only clients with a request, so that it is never larger than the number of requests.
    counts: Mutex<HashMap<ClientNetwork, u32>>,
}

/// A request that counts for its client. Dropping it ends the count.
pub(super) struct ClientRequest {
    requests: Arc<ClientRequests>,
    client: ClientNetwork,
}

impl ClientRequests {
    /// Creates an empty count for clients that share `limit`.
    pub(super) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            share: client_share(limit),
            counts: Mutex::default(),
        })
    }

    /// Counts a request; `None` when the client has its share.
    pub(super) fn count(self: &Arc<Self>, client: ClientNetwork) -> Option<ClientRequest> {
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= self.share {
            return None;
        }
        *count += 1;
        Some(ClientRequest {
            requests: Arc::clone(self),
            client,
        })
    }

    /// Locks the counts. No code panics while it holds the lock, so that the counts are valid even if the lock is poisoned.
    fn counts(&self) -> MutexGuard<'_, HashMap<ClientNetwork, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many clients have a request.
    #[cfg(test)]
    pub(super) fn clients(&self) -> usize {
        self.counts().len()
    }
}

impl Drop for ClientRequest {
    fn drop(&mut self) {
        let mut counts = self.requests.counts();
        let count = counts.get(&self.client).copied();
        let left = count.unwrap_or_default().saturating_sub(1);
        if left == 0 {
            counts.remove(&self.client);
        } else {
            counts.insert(self.client, left);
        }
    }
}
