//! Every metric: its name, its labels, its meaning and where its values come from. docs/metrics.md is generated from it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::outgoing::OutgoingReading;
use super::route::STATUS_CLASSES;
use super::worker::WebsocketEnd;
use super::{HistogramReading, Readings};

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricType {
    /// Only grows.
    Counter,
    /// Grows and shrinks.
    Gauge,
    /// A distribution of durations in seconds.
    Histogram,
}

impl MetricType {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A value with the values of its labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Vec<String>,
    pub(super) value: SampleValue,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SampleValue {
    Count(u64),
    Level(f64),
    Durations(HistogramReading),
}

/// One metric.
pub(super) struct MetricRow {
    /// The name; that of a counter is shown with `_total`.
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    /// The names of its labels. No client chooses their values.
    pub(super) labels: &'static [&'static str],
    /// Its meaning, without a final period.
    pub(super) help: &'static str,
    pub(super) read: fn(&Readings) -> Vec<Sample>,
}

impl MetricRow {
    /// Returns the name as monitoring systems show it.
    pub(super) fn shown_name(&self) -> String {
        match self.kind {
            MetricType::Counter => format!("{}_total", self.name),
            MetricType::Gauge | MetricType::Histogram => self.name.to_owned(),
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Readings) -> Vec<Sample>,
) -> MetricRow {
    MetricRow {
        kind: MetricType::Counter,
        ..gauge(name, labels, help, read)
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Readings) -> Vec<Sample>,
) -> MetricRow {
    MetricRow {
        name,
        kind: MetricType::Gauge,
        labels,
        help,
        read,
    }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Readings) -> Vec<Sample>,
) -> MetricRow {
    MetricRow {
        kind: MetricType::Histogram,
        ..gauge(name, labels, help, read)
    }
}

/// Every metric.
pub(super) const TABLE: &[MetricRow] = &[
    counter(
        "jetway_requests",
        &["route", "status"],
        "Requests that have ended, by route and class of the status that the client got (`2xx`, or `none` without a response). The route is empty for requests that Jetway answered itself",
        read_requests,
    ),
    histogram(
        "jetway_route_duration_seconds",
        &["route"],
        "How long the requests of a route took, from their head to the end of the response, WebSockets excluded",
        |readings| {
            let routes = readings.routes.iter();
            let samples = routes.map(|(name, route)| durations(&[name], &route.duration));
            samples.collect()
        },
    ),
    histogram(
        "jetway_phase_duration_seconds",
        &["phase"],
        "How long a phase took: `tls_handshake` with a client, `decision` of the module with its calls to the provider and the body of a form for Jetway itself, `provider_connect`, `provider_call`, `upstream_connect`, `upstream_first_byte` until the head of the response, `total` as in `jetway_route_duration_seconds` for all requests",
        read_phases,
    ),
    counter(
        "jetway_decisions",
        &["decision", "reason"],
        "Requests by the decision of the module (`allow`, `deny` or `login`) and, for those that it answered, its first reason",
        read_decisions,
    ),
    counter(
        "jetway_websockets_opened",
        &[],
        "WebSockets that were opened",
        |readings| vec![count(&[], readings.workers.opened_websockets)],
    ),
    gauge(
        "jetway_websockets_open",
        &[],
        "WebSockets that are open",
        |readings| vec![level(&[], readings.workers.open_websockets())],
    ),
    counter(
        "jetway_websockets_closed",
        &["reason"],
        "WebSockets that have ended: `closed` by client or upstream, `broken`, `session_ended`, `plugin_lost`, `shutdown` of the proxy, `overrun` of a time limit",
        |readings| {
            let ends = WebsocketEnd::ALL
                .iter()
                .zip(readings.workers.closed_websockets);
            ends.map(|(end, closed)| count(&[end.word()], closed))
                .collect()
        },
    ),
    gauge(
        "jetway_client_connections",
        &[],
        "Client connections that are open",
        |readings| vec![level(&[], readings.clients.0)],
    ),
    gauge(
        "jetway_client_connections_limit",
        &[],
        "The most client connections, which follows from the limit on open files",
        |readings| vec![level(&[], readings.clients.1)],
    ),
    counter(
        "jetway_tls_handshake_failures",
        &[],
        "TLS handshakes with clients that failed",
        |readings| vec![count(&[], readings.workers.failed_handshakes)],
    ),
    gauge(
        "jetway_outgoing_connections",
        &["to"],
        "Connections to upstreams and to the identity provider (`provider`), idle ones included",
        |readings| {
            for_both(readings, |outgoing| {
                SampleValue::Level(to_level(outgoing.open))
            })
        },
    ),
    counter(
        "jetway_outgoing_connection_failures",
        &["to"],
        "Connections to upstreams and to the identity provider that could not be opened",
        |readings| {
            for_both(readings, |outgoing| {
                SampleValue::Count(outgoing.failed_connects)
            })
        },
    ),
    counter(
        "jetway_provider_call_failures",
        &[],
        "Calls to the identity provider without a response",
        |readings| vec![count(&[], readings.provider.failed_calls)],
    ),
    gauge(
        "jetway_plugin_instances",
        &[],
        "Instances of the module that exist: one per worker, and those of earlier configurations that are still in use",
        |readings| vec![level(&[], readings.plugin.instances)],
    ),
    counter(
        "jetway_plugin_traps",
        &[],
        "Instances of the module that stopped by an error or a deadline; the requests of their workers are refused until they are rebuilt",
        |readings| vec![count(&[], readings.plugin.traps)],
    ),
    gauge(
        "jetway_plugin_memory_bytes",
        &[],
        "WebAssembly memory of all instances",
        |readings| vec![level(&[], readings.plugin.memory_bytes)],
    ),
    counter(
        "jetway_reloads",
        &["outcome"],
        "Reloads of the configuration: `success`, or `failure` after which the previous one stays active",
        |readings| {
            let (successes, failures) = readings.reloads;
            vec![
                count(&["success"], successes),
                count(&["failure"], failures),
            ]
        },
    ),
    gauge(
        "jetway_last_reload_successful",
        &[],
        "1, or 0 when the last reload of the configuration failed and the previous one stays active",
        |readings| vec![level(&[], u64::from(!readings.has_failed_reload))],
    ),
    gauge(
        "jetway_ready",
        &[],
        "1 when `/readyz` answers 200, else 0",
        |readings| vec![level(&[], u64::from(readings.is_ready))],
    ),
    gauge(
        "jetway_configuration_info",
        &["digest"],
        "Always 1; the label is the SHA-256 digest of the active configuration without its secrets",
        |readings| vec![level(&[&readings.configuration.digest], 1)],
    ),
    gauge(
        "jetway_configuration_active_since_timestamp_seconds",
        &[],
        "When the active configuration became active",
        |readings| vec![timestamp(&[], readings.configuration.since)],
    ),
    gauge(
        "jetway_configuration_routes",
        &[],
        "Routes of the active configuration",
        |readings| vec![level(&[], readings.configuration.routes as u64)],
    ),
    gauge(
        "jetway_certificate_expiry_timestamp_seconds",
        &["name"],
        "The end of the validity of each certificate of the listener, by its first name; of several with the same first name, the earliest",
        read_certificates,
    ),
    counter(
        "jetway_limit_hits",
        &["limit"],
        "How often each limit was hit; docs/operations.md describes them",
        |readings| {
            let limits = readings.limits.iter();
            limits.map(|(limit, hits)| count(&[limit], *hits)).collect()
        },
    ),
    counter(
        "jetway_log_lines_dropped",
        &[],
        "Log lines that were dropped because the log could not be written fast enough",
        |readings| vec![count(&[], readings.dropped_log_lines)],
    ),
    gauge(
        "jetway_build_info",
        &["version"],
        "Always 1; the label is the version and the commit of this program",
        |readings| vec![level(&[readings.version], 1)],
    ),
];

fn sample(labels: &[&str], value: SampleValue) -> Sample {
    Sample {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        value,
    }
}

fn count(labels: &[&str], number: u64) -> Sample {
    sample(labels, SampleValue::Count(number))
}

fn level(labels: &[&str], number: u64) -> Sample {
    sample(labels, SampleValue::Level(to_level(number)))
}

/// Returns a number as monitoring systems store it. It is exact up to 2^53, which no level here reaches.
#[expect(clippy::cast_precision_loss, reason = "monitoring systems store f64")]
const fn to_level(number: u64) -> f64 {
    number as f64
}

fn timestamp(labels: &[&str], time: SystemTime) -> Sample {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    sample(labels, SampleValue::Level(to_level(since.as_secs())))
}

fn durations(labels: &[&str], reading: &HistogramReading) -> Sample {
    sample(labels, SampleValue::Durations(reading.clone()))
}

fn read_requests(readings: &Readings) -> Vec<Sample> {
    let unrouted = std::iter::once(("", &readings.workers.unrouted));
    let routes = readings.routes.iter();
    let routes = routes.map(|(name, route)| (name.as_str(), &route.requests));
    let numbers = unrouted.chain(routes).flat_map(|(route, requests)| {
        let classes = STATUS_CLASSES.iter().zip(requests);
        classes.map(move |(class, number)| count(&[route, class], *number))
    });
    numbers.collect()
}

fn read_phases(readings: &Readings) -> Vec<Sample> {
    let Readings {
        workers,
        provider,
        upstreams,
        ..
    } = readings;
    vec![
        durations(&["tls_handshake"], &workers.handshake),
        durations(&["decision"], &workers.decision),
        durations(&["provider_connect"], &provider.connects),
        durations(&["provider_call"], &provider.calls),
        durations(&["upstream_connect"], &upstreams.connects),
        durations(&["upstream_first_byte"], &workers.first_byte),
        durations(&["total"], &workers.total),
    ]
}

/// The module answers some permitted requests itself, such as those for the pages of a sign-in: they are in the same sample as
/// the forwarded ones.
fn read_decisions(readings: &Readings) -> Vec<Sample> {
    let (allowed, forwarded) = (("allow", ""), readings.workers.allowed);
    let mut decisions = BTreeMap::from([(allowed, forwarded)]);
    for ((decision, reason), number) in &readings.workers.answered {
        let sum = decisions.entry((decision, reason)).or_default();
        *sum = sum.wrapping_add(*number);
    }
    let samples = decisions
        .iter()
        .map(|((decision, reason), number)| count(&[decision, reason], *number));
    samples.collect()
}

fn read_certificates(readings: &Readings) -> Vec<Sample> {
    let mut ends = BTreeMap::new();
    for certificate in &readings.configuration.certificates {
        let end = ends
            .entry(certificate.name.as_str())
            .or_insert(certificate.expires);
        *end = certificate.expires.min(*end);
    }
    let samples = ends.iter().map(|(name, end)| timestamp(&[name], *end));
    samples.collect()
}

fn for_both(readings: &Readings, value: fn(&OutgoingReading) -> SampleValue) -> Vec<Sample> {
    vec![
        sample(&["upstream"], value(&readings.upstreams)),
        sample(&["provider"], value(&readings.provider)),
    ]
}

/// Renders all metrics as a Markdown table.
pub fn render_reference() -> String {
    let mut text =
        String::from("| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n");
    for row in TABLE {
        let labels: Vec<String> = row
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            row.shown_name(),
            row.kind.word(),
            labels.join(", "),
            row.help
        ));
    }
    text
}
