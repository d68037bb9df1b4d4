//! The attacks of `tests/files/attacks.tsv` on the core. A test is named for the row that it runs; `tests/tests/attacks.rs`
//! compares the names with the rows. Attacks on connections are there, too.

mod certification;
mod cookies;
mod forge;
mod keys;
mod leaks;
mod proxies;
mod return_address;
mod sign_in;
mod target;
mod tokens;
mod websockets;
