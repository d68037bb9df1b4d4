//! Limits on concurrent connections and requests that apply in both proxies: the bundled host enforces them itself, and the
//! generated Envoy configuration states them.

/// Client connections of a process. In the bundled host, the limit on open files may allow fewer. With both buffers of each
/// connection full, this is about 3 GiB.
pub const CLIENT_CONNECTIONS: u32 = 50_000;

/// Upstream connections of one route that are in use, open websockets included: Envoy's default. A connection carries one
/// request at a time, so that this limits the requests as well.
pub const UPSTREAM_CONNECTIONS: u32 = 1_024;

/// Pending requests of one route, which wait for an upstream connection: Envoy's default. Excess requests get a 503.
pub const UPSTREAM_PENDING: u32 = 1_024;

/// Active requests of one route: Envoy's default.
pub const UPSTREAM_REQUESTS: u32 = 1_024;

/// The note on `circuit_breaker_thresholds` in REFERENCE.md.
pub(crate) const BREAKER_NOTE: &str = "fixed: 1024 connections, 1024 requests and 1024 pending requests per route, open websockets included; excess requests get a 503";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_has_the_numbers() {
        for number in [UPSTREAM_CONNECTIONS, UPSTREAM_PENDING, UPSTREAM_REQUESTS] {
            assert!(BREAKER_NOTE.contains(&number.to_string()), "{number}");
        }
    }
}
