//! How much of a proxy may be in use at once: the numbers that both bodies keep. The bundled host counts itself, and Envoy
//! is told in the generated configuration.

/// Client connections of a process, unless the limit on open files allows fewer. At the buffers of both directions this is
/// a bound of about 3 GiB.
pub const CLIENT_CONNECTIONS: u32 = 50_000;

/// Connections to the upstreams of one route that are in use, open websockets among them: Envoy's default. A connection
/// carries one request at a time, so that this is the number of requests, too.
pub const UPSTREAM_CONNECTIONS: u32 = 1_024;

/// Requests that wait for a connection to the upstreams of one route; further ones are answered with 503. Envoy's default.
pub const UPSTREAM_PENDING: u32 = 1_024;

/// Requests under way to the upstreams of one route: Envoy's default.
pub const UPSTREAM_REQUESTS: u32 = 1_024;

/// What becomes of `circuit_breaker_thresholds`.
pub(crate) const BREAKER_NOTE: &str = "each route's upstreams get at most 1024 connections and requests, open websockets among them, while 1024 more requests wait; beyond, the answer is 503";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_tells_the_numbers() {
        for number in [UPSTREAM_CONNECTIONS, UPSTREAM_PENDING, UPSTREAM_REQUESTS] {
            assert!(BREAKER_NOTE.contains(&number.to_string()), "{number}");
        }
    }
}
