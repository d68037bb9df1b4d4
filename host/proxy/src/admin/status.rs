//! Health and status as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Overview, Stage};
use crate::metrics::Readings;

const DAY: u64 = 24 * 3600;

/// Returns whether the proxy can serve requests, with each condition.
pub(super) fn describe_readiness(overview: &Overview) -> (bool, Value) {
    let stage = overview.stage();
    let active = overview.active();
    let instances = active.as_ref().map_or(0, |shared| shared.live_instances());
    let workers = active
        .as_ref()
        .map_or(0, |shared| shared.process.workers.get() as u64);
    let checks = [
        ("configuration", active.is_some()),
        ("plugin", active.is_some() && instances >= workers),
        ("listeners", stage == Stage::Serving),
    ];
    let is_ready = checks.iter().all(|(_, is_met)| *is_met);
    let checks: serde_json::Map<String, Value> = checks
        .into_iter()
        .map(|(name, is_met)| (name.to_owned(), is_met.into()))
        .collect();
    (
        is_ready,
        json!({"ready": is_ready, "stage": stage_word(stage), "checks": checks}),
    )
}

const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Starting => "starting",
        Stage::Serving => "serving",
        Stage::Stopping => "stopping",
    }
}

/// Describes the process for operators, at this time.
pub(super) fn describe_status(overview: &Overview, now: SystemTime) -> Value {
    let (is_ready, readiness) = describe_readiness(overview);
    let Some(shared) = overview.active() else {
        return json!({"ready": is_ready, "stage": readiness["stage"]});
    };
    let readings = shared.read_metrics(is_ready);
    let configuration = &readings.configuration;
    let age = now.duration_since(configuration.since).unwrap_or_default();
    json!({
        "version": readings.version,
        "ready": is_ready,
        "stage": readiness["stage"],
        "checks": readiness["checks"],
        "workers": shared.process.workers.get(),
        "configuration": {
            "digest": configuration.digest,
            "active_since": seconds_since_1970(configuration.since),
            "age_seconds": age.as_secs(),
            "routes": configuration.routes,
        },
        "websockets_open": readings.workers.open_websockets(),
        "client_connections": {"open": readings.clients.0, "limit": readings.clients.1},
        "plugin": {
            "instances": readings.plugin.instances,
            "traps": readings.plugin.traps,
            "memory_bytes": readings.plugin.memory_bytes,
        },
        "reloads": {"success": readings.reloads.0, "failure": readings.reloads.1},
        "certificates": list_certificates(&readings, now),
        "limit_hits": readings.limits.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        "log_lines_dropped": readings.dropped_log_lines,
    })
}

fn list_certificates(readings: &Readings, now: SystemTime) -> Vec<Value> {
    let certificates = readings.configuration.certificates.iter();
    let described = certificates.map(|certificate| {
        let left = certificate.expires.duration_since(now);
        json!({
            "name": certificate.name,
            "expires": seconds_since_1970(certificate.expires),
            "days_left": left.map_or(0, |left| left.as_secs() / DAY),
        })
    });
    described.collect()
}

fn seconds_since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}
