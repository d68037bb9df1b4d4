//! The upstreams of the routes, and a pool of idle connections to each.

mod balance;
mod circuit_breaker;
mod client_requests;
mod connector;
mod descriptor_limit;
mod pool;
mod route;
#[cfg(test)]
mod tests;

pub(crate) use circuit_breaker::CircuitBreakers;
pub use connector::{ConnectFault, Connector};
pub(crate) use descriptor_limit::DescriptorLimit;
pub(crate) use pool::{Lease, Pool, SendFault};
pub(crate) use route::{Destination, Routes, Upstream, UpstreamLimits};
