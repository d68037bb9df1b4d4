//! How many connections there may be: what the system's limit on open files leaves room for.

use anyhow::{Context as _, ensure};
use jetway_core::capacity::CLIENT_CONNECTIONS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    LEAST_CLIENTS, MANY_OPEN_FILES, OPEN_FILES, OPEN_FILES_LISTENER, OPEN_FILES_WORKER,
    PROVIDER_CONNECTIONS,
};

/// Raises the limit on open files as far as the system allows, and returns it.
///
/// # Errors
/// A system that refuses what it said it would allow.
pub(crate) fn raise_open_files() -> anyhow::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised).context("cannot raise the limit on open files")?;
    }
    Ok(maximum.unwrap_or(MANY_OPEN_FILES))
}

/// What needs descriptors whatever clients do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// Threads that serve.
    pub(crate) workers: usize,
    /// Addresses to listen on, by each of them.
    pub(crate) addresses: usize,
}

/// The descriptors of a process, by what they are for. Each kind of connection has its own, so that none can take those of
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// All of them.
    pub(crate) open_files: u64,
    /// For connections of clients.
    pub(crate) clients: u32,
    /// For connections to upstreams, idle ones included.
    pub(crate) upstreams: u32,
    /// For connections to the provider.
    pub(crate) providers: u32,
}

impl Budget {
    /// Divides them: what the process itself needs comes first, then the provider. Clients get half of the rest, because
    /// most of what they ask for needs a connection to an upstream at the same time.
    ///
    /// # Errors
    /// Too few.
    pub(crate) fn of(open_files: u64, needs: Needs) -> anyhow::Result<Self> {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (workers, addresses) = (count(needs.workers), count(needs.addresses));
        let own = OPEN_FILES
            .saturating_add(workers.saturating_mul(OPEN_FILES_WORKER))
            .saturating_add(workers.saturating_mul(addresses.saturating_mul(OPEN_FILES_LISTENER)));
        let left = open_files.saturating_sub(own);
        let providers = (left / 16).clamp(1, PROVIDER_CONNECTIONS);
        let left = left.saturating_sub(providers);
        ensure!(
            left >= LEAST_CLIENTS * 2,
            "the limit on open files ({open_files}) is too low: {} are needed",
            own + LEAST_CLIENTS * 2 + LEAST_CLIENTS / 4
        );
        let clients = (left / 2).min(u64::from(CLIENT_CONNECTIONS));
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self {
            open_files,
            clients: narrow(clients),
            // Clients that speak HTTP/2 ask for much over one connection.
            upstreams: narrow((left - clients).min(u64::from(CLIENT_CONNECTIONS) * 2)),
            providers: narrow(providers),
        })
    }
}

/// What one client address may have of something that all share: half. Others then always find something, and an office
/// behind one address has enough.
pub(crate) const fn share_of_one(all: u32) -> u32 {
    if all < 2 { 1 } else { all / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(open_files: u64, workers: usize) -> Option<Budget> {
        let needs = Needs {
            workers,
            addresses: 1,
        };
        Budget::of(open_files, needs).ok()
    }

    #[test]
    fn clients_leave_descriptors_for_upstreams_and_the_provider() {
        let budget = budget(1_024, 2).unwrap();
        assert_eq!(budget.providers, 57);
        assert_eq!((budget.clients, budget.upstreams), (432, 433));
    }

    #[test]
    fn there_is_an_end_to_what_a_process_takes() {
        let budget = budget(u64::MAX, 2).unwrap();
        assert_eq!(budget.clients, CLIENT_CONNECTIONS);
        assert_eq!(budget.upstreams, CLIENT_CONNECTIONS * 2);
    }

    #[test]
    fn too_few_are_an_error_that_says_how_many_are_needed() {
        let needs = Needs {
            workers: 2,
            addresses: 1,
        };
        let refused = Budget::of(64, needs).err().unwrap().to_string();
        assert!(refused.contains("(64) is too low"), "{refused}");
        let needed = refused.rsplit(' ').nth(2).unwrap().parse().unwrap();
        assert!(Budget::of(needed, needs).is_ok(), "{refused}");
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let open_files = raise_open_files().unwrap();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(open_files, current.unwrap_or(MANY_OPEN_FILES));
    }

    proptest! {
        #[test]
        fn nothing_is_given_twice(open_files in 0_u64..2_000_000, workers in 1_usize..256) {
            if let Some(budget) = budget(open_files, workers) {
                let given = [budget.clients, budget.upstreams, budget.providers];
                let given: u64 = given.into_iter().map(u64::from).sum();
                prop_assert!(given + OPEN_FILES + workers as u64 * OPEN_FILES_WORKER <= open_files);
                prop_assert!(u64::from(budget.clients) >= LEAST_CLIENTS);
            }
        }
    }
}
