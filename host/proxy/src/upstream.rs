//! Where permitted requests go: the routes' upstreams, with a few idle connections to each.

mod balance;
mod connect;
mod pool;
mod route;
#[cfg(test)]
mod tests;

pub(crate) use connect::prepare;
pub use connect::{ConnectFault, Connector};
pub(crate) use pool::{Lease, Pool, SendFault};
pub(crate) use route::{Destination, Routes, Upstream};
