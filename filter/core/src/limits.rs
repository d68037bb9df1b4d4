//! Limits that more than one part of the system applies.
//!
//! The limits on concurrent connections and requests apply in both proxies: the bundled host enforces them itself, and the
//! generated Envoy configuration states them.

use std::time::Duration;

/// Client connections of a process. In the bundled host, the limit on open files may allow fewer. With both buffers of each
/// connection full, this is about 3 GiB.
pub const CLIENT_CONNECTIONS: u32 = 50_000;

/// Upstream connections of one route that are in use, with open WebSockets: Envoy's default. A connection carries one
/// request at a time, so that this limits the requests as well.
pub const UPSTREAM_CONNECTIONS: u32 = 1_024;

/// Pending requests of one route, which wait for an upstream connection: Envoy's default. Excess requests get a 503.
pub const UPSTREAM_PENDING: u32 = 1_024;

/// Active requests of one route: Envoy's default.
pub const UPSTREAM_REQUESTS: u32 = 1_024;

/// Tolerated difference between the clocks of the proxy and the provider, in seconds.
pub const LEEWAY: u64 = 60;

/// How many sign-in attempts one browser may have, one per tab. A further one replaces the oldest.
pub const MAX_ATTEMPTS: usize = 5;

/// How long a user may take at the provider, in seconds.
pub const ATTEMPT_LIFETIME: u64 = 600;

/// How long a browser keeps an attempt, in seconds. An expired one still names the address at which to start again. An hour is
/// enough for a forgotten tab, and each attempt enlarges every request.
pub const ATTEMPT_KEPT: u64 = 3600;

/// How long one call to the provider may take, in milliseconds.
pub const CALL_TIMEOUT_MS: u32 = 10_000;

/// Longest lifetime of a session that can be configured. Browsers keep cookies for up to 400 days (RFC 6265bis), which is too long
/// for a sign-in.
pub const MAX_SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The note on `circuit_breaker_thresholds` in docs/configuration.md.
pub(crate) const BREAKER_NOTE: &str = "fixed: 1024 connections, 1024 requests and 1024 pending requests per route, open WebSockets included; excess requests get a 503";

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
