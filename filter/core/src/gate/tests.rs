//! Whole flows through the core.

mod attacks;
mod bearer;
mod certificates;
mod cockpit;
mod cross_host_sign_in;
mod explain;
mod fuzz;
mod handover;
mod headers;
mod identity;
mod pages;
mod paths;
mod provider_logout;
mod providers;
mod refresh;
mod repeats;
mod requests;
mod returning;
mod rewriting;
mod routes;
mod sign_in;
mod sign_in_causes;
mod sign_out;
mod simulation;
mod streams;
mod world;
