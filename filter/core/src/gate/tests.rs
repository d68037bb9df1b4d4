//! Whole flows through the core.

mod explain;
mod requests;
mod sign_in;
mod world;
