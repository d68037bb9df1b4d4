//! The limits that all workers share, and that a reload keeps.

use std::sync::Arc;

use crate::limits::{Budget, Hit};
use crate::slots::ConnectionSlots;
use crate::upstream::{CircuitBreakers, DescriptorLimit, UpstreamLimits};

/// The limits of a process, shared by its workers.
pub(super) struct SharedLimits {
    /// Client connections.
    pub(super) slots: Arc<ConnectionSlots>,
    /// Upstream connections and requests.
    pub(super) upstreams: UpstreamLimits,
    /// Connections to the identity provider.
    pub(super) provider: DescriptorLimit,
}

impl SharedLimits {
    /// Creates the limits that a budget allows.
    pub(super) fn new(budget: &Budget) -> Arc<Self> {
        Arc::new(Self {
            slots: ConnectionSlots::new(budget.clients),
            upstreams: UpstreamLimits {
                descriptors: DescriptorLimit::new(budget.upstreams, Hit::UpstreamDescriptors),
                breakers: CircuitBreakers::new(budget.upstreams),
                metrics: Arc::default(),
            },
            provider: DescriptorLimit::new(budget.provider, Hit::ProviderDescriptors),
        })
    }
}
