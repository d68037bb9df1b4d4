//! Divides the process's file descriptors among the kinds of connections.

use anyhow::{Context as _, ensure};
use jetway_core::limits::CLIENT_CONNECTIONS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    DESCRIPTORS_PER_LISTENER, DESCRIPTORS_PER_WORKER, MIN_CLIENTS, PROCESS_DESCRIPTORS,
    PROVIDER_CONNECTIONS, UNLIMITED_OPEN_FILES,
};

/// Raises the soft limit on open files to the hard limit and returns it.
///
/// # Errors
/// The system refuses to raise the limit.
pub fn raise_open_files() -> anyhow::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised).context("cannot raise the limit on open files")?;
    }
    Ok(maximum.unwrap_or(UNLIMITED_OPEN_FILES))
}

/// The connections of each kind that the limit on open files allows. Each kind has descriptors of its own, so that clients
/// cannot use up those for upstreams, the provider and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Client connections.
    pub(crate) clients: u32,
    /// Upstream connections, idle ones included.
    pub(crate) upstreams: u32,
    /// Connections to the identity provider, idle ones included.
    pub(crate) provider: u32,
}

impl Budget {
    /// Divides `open_files` descriptors for a process with this many workers, each of which listens on `addresses`
    /// addresses. Clients get half of what the process and the provider leave, because most requests need an upstream
    /// connection as well.
    ///
    /// # Errors
    /// There are too few descriptors; the message says how many are needed.
    pub(crate) fn new(open_files: u64, workers: usize, addresses: usize) -> anyhow::Result<Self> {
        let workers = u64::try_from(workers)?;
        let addresses = u64::try_from(addresses)?;
        let per_worker = addresses
            .saturating_mul(DESCRIPTORS_PER_LISTENER)
            .saturating_add(DESCRIPTORS_PER_WORKER);
        let reserved = workers
            .saturating_mul(per_worker)
            .saturating_add(PROCESS_DESCRIPTORS);
        let left = open_files.saturating_sub(reserved);
        let provider = (left / 16).clamp(1, PROVIDER_CONNECTIONS);
        let left = left.saturating_sub(provider);
        ensure!(
            left >= MIN_CLIENTS * 2,
            "the limit on open files is {open_files}, but at least {} are needed",
            reserved.saturating_add(MIN_CLIENTS * 2 + MIN_CLIENTS / 4)
        );
        let clients = (left / 2).min(u64::from(CLIENT_CONNECTIONS));
        // One HTTP/2 client connection can carry requests for many upstream connections.
        let upstreams = (left - clients).min(u64::from(CLIENT_CONNECTIONS) * 2);
        Ok(Self {
            clients: u32::try_from(clients)?,
            upstreams: u32::try_from(upstreams)?,
            provider: u32::try_from(provider)?,
        })
    }
}

/// Returns how much of a shared limit one client may use: half. The other half stays free for other clients, and half is
/// enough for an office behind one address.
pub(crate) const fn client_share(limit: u32) -> u32 {
    if limit < 2 { 1 } else { limit / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clients_leave_descriptors_for_upstreams_and_the_provider() {
        let expected = Budget {
            clients: 442,
            upstreams: 443,
            provider: 59,
        };
        assert_eq!(Budget::new(1_024, 2, 1).unwrap(), expected);
    }

    #[test]
    fn a_process_does_not_use_all_that_a_large_limit_allows() {
        let budget = Budget::new(u64::MAX, 2, 1).unwrap();
        assert_eq!(budget.clients, CLIENT_CONNECTIONS);
        assert_eq!(budget.upstreams, CLIENT_CONNECTIONS * 2);
    }

    #[test]
    fn an_error_says_how_many_descriptors_are_needed() {
        let error = Budget::new(64, 2, 1).err().unwrap().to_string();
        assert!(error.contains("is 64, but at least"), "{error}");
        let needed = error.split(' ').rev().nth(2).unwrap().parse().unwrap();
        assert!(Budget::new(needed, 2, 1).is_ok(), "{error}");
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_limit() {
        let open_files = raise_open_files().unwrap();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(open_files, current.unwrap_or(UNLIMITED_OPEN_FILES));
    }

    proptest! {
        #[test]
        fn no_descriptor_is_assigned_twice(open_files in 0_u64..2_000_000, workers in 1_usize..256) {
            if let Ok(budget) = Budget::new(open_files, workers, 1) {
                let assigned = [budget.clients, budget.upstreams, budget.provider];
                let assigned: u64 = assigned.into_iter().map(u64::from).sum();
                let reserved = PROCESS_DESCRIPTORS + workers as u64 * DESCRIPTORS_PER_WORKER;
                prop_assert!(assigned + reserved <= open_files);
                prop_assert!(u64::from(budget.clients) >= MIN_CLIENTS);
            }
        }
    }
}
