//! What upstreams are told about the visitor, signed (`X-Pomerium-Jwt-Assertion`).

/// A key that signs assertions; never printed.
pub struct AssertionKey {}

impl std::fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AssertionKey(..)")
    }
}
