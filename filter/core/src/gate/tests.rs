//! Whole flows through the core.

mod attacks;
mod certificates;
mod explain;
mod headers;
mod identity;
mod requests;
mod rewriting;
mod routes;
mod sign_in;
mod world;
