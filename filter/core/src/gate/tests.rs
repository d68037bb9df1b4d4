//! Whole flows through the core.

mod requests;
mod sign_in;
mod world;
