//! What upstreams are told about the visitor, signed (`X-Pomerium-Jwt-Assertion`).

mod key;

pub use key::AssertionKey;
