//! Where permitted requests go: the routes' upstreams, with a few idle connections to each.

mod balance;
mod breaker;
mod connect;
mod descriptors;
mod pool;
mod route;
#[cfg(test)]
mod tests;

pub(crate) use breaker::Breakers;
pub(crate) use connect::{ConnectFault, Connector, prepare};
pub(crate) use descriptors::Descriptors;
pub(crate) use pool::{Lease, Pool, SendFault};
pub(crate) use route::{Destination, Routes, Shared, Upstream};
