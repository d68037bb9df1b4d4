//! Whole flows through the core.

mod certificates;
mod explain;
mod headers;
mod identity;
mod renewal;
mod requests;
mod rewriting;
mod routes;
mod sign_in;
mod streams;
mod world;
