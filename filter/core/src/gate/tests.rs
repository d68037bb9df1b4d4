//! Whole flows through the core.

mod certificates;
mod cockpit;
mod explain;
mod headers;
mod identity;
mod pages;
mod provider_logout;
mod providers;
mod requests;
mod rewriting;
mod routes;
mod sign_in;
mod sign_out;
mod world;
