//! Whole flows through the core.

mod attacks;
mod certificates;
mod cockpit;
mod errand;
mod explain;
mod fuzz;
mod handed;
mod headers;
mod identity;
mod pages;
mod paths;
mod programs;
mod provider_logout;
mod providers;
mod renewal;
mod repeats;
mod requests;
mod returning;
mod rewriting;
mod routes;
mod sign_in;
mod sign_out;
mod simulation;
mod streams;
mod world;
