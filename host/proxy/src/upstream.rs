//! Where permitted requests go: the routes' upstreams, with a few idle connections to each.

mod balance;
mod circuit_breaker;
mod client_requests;
mod connect;
mod descriptor_limit;
mod pool;
mod route;
#[cfg(test)]
mod tests;

pub(crate) use circuit_breaker::CircuitBreakers;
pub(crate) use connect::prepare;
pub use connect::{ConnectFault, Connector};
pub(crate) use descriptor_limit::DescriptorLimit;
pub(crate) use pool::{Lease, Pool, SendFault};
pub(crate) use route::{Destination, Routes, Upstream, UpstreamLimits};
