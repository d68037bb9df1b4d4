//! What there is for all workers together, whatever configuration is in force.

use std::sync::Arc;

use crate::connection::Seats;
use crate::limits::{Budget, Hit};
use crate::upstream::{Breakers, Descriptors, Shared};

/// Places, descriptors and what is under way.
pub(super) struct Capacity {
    /// Of connections of clients.
    pub(super) seats: Arc<Seats>,
    /// Of connections to upstreams.
    pub(super) upstreams: Shared,
    /// For connections to the provider.
    pub(super) providers: Descriptors,
}

impl Capacity {
    /// As much as the budget allows.
    pub(super) fn of(budget: &Budget) -> Arc<Self> {
        Arc::new(Self {
            seats: Seats::new(budget.clients),
            upstreams: Shared {
                descriptors: Descriptors::new(budget.upstreams, Hit::Upstreams),
                breakers: Breakers::default(),
            },
            providers: Descriptors::new(budget.providers, Hit::Providers),
        })
    }
}
