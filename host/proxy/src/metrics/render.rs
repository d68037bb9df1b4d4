//! Renders the metrics as text, in the format that the monitoring system asks for.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType as EncodedType;
use prometheus_client::registry::Registry;

use super::Readings;
use super::histogram::BOUNDS;
use super::table::{MetricRow, MetricType, Sample, SampleValue, TABLE};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// Prometheus text, version 0.0.4.
    Prometheus,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
}

impl TextFormat {
    /// Chooses the format by the value of `Accept`: OpenMetrics for a client that names it, as Prometheus does.
    pub(crate) fn accepted_by(accept: &str) -> Self {
        let names_it = |range: &str| {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let refuses = parameters.split(';').any(|parameter| {
                let weight = parameter.trim().strip_prefix("q=");
                weight.and_then(|weight| weight.parse::<f64>().ok()) == Some(0.0)
            });
            name.trim()
                .eq_ignore_ascii_case("application/openmetrics-text")
                && !refuses
        };
        if accept.split(',').any(names_it) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Returns the media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Renders these readings.
///
/// # Errors
/// Writing to a string does not fail.
pub(crate) fn render(readings: Readings, format: TextFormat) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(ReadingsCollector(readings)));
    let mut out = String::new();
    match format {
        TextFormat::Prometheus => prometheus_text::encode(&mut out, &registry)?,
        TextFormat::OpenMetrics => text::encode(&mut out, &registry)?,
    }
    Ok(out)
}

#[derive(Debug)]
struct ReadingsCollector(Readings);

impl Collector for ReadingsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for row in TABLE {
            let help = format!("{}.", row.help);
            let mut metric =
                encoder.encode_descriptor(row.name, &help, None, encoded_type(row.kind))?;
            for sample in (row.read)(&self.0) {
                encode_sample(row, &sample, &mut metric)?;
            }
        }
        Ok(())
    }
}

const fn encoded_type(kind: MetricType) -> EncodedType {
    match kind {
        MetricType::Counter => EncodedType::Counter,
        MetricType::Gauge => EncodedType::Gauge,
        MetricType::Histogram => EncodedType::Histogram,
    }
}

fn encode_sample(row: &MetricRow, sample: &Sample, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    if row.labels.is_empty() {
        return encode_value(&sample.value, metric);
    }
    let values = sample.labels.iter().map(String::as_str);
    let labels: Vec<(&str, &str)> = row.labels.iter().copied().zip(values).collect();
    encode_value(&sample.value, &mut metric.encode_family(&labels)?)
}

fn encode_value(value: &SampleValue, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    match value {
        SampleValue::Count(number) => metric.encode_counter::<NoLabelSet, u64, u64>(number, None),
        SampleValue::Level(level) => metric.encode_gauge(level),
        SampleValue::Durations(reading) => {
            let bounds = BOUNDS.iter().map(|bound| to_seconds(*bound));
            let bounds = bounds.chain(std::iter::once(f64::INFINITY));
            let buckets: Vec<(f64, u64)> = bounds.zip(reading.buckets).collect();
            let sum = to_seconds(reading.microseconds);
            metric.encode_histogram::<NoLabelSet>(sum, reading.count(), &buckets, None)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "monitoring systems store f64")]
const fn to_seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{CertificateReading, WebsocketEnd};
    use crate::metrics::{ConfigurationReading, Metrics, OutgoingMetrics};
    use http::StatusCode;
    use std::collections::BTreeSet;
    use std::time::{Duration, UNIX_EPOCH};

    fn readings() -> Readings {
        let metrics = Metrics::default();
        let worker = metrics.add_worker();
        worker.allowed.increment();
        worker.answered.count("deny", "domain-unauthorized");
        worker.answered.count("allow", "");
        worker.decision.observe(Duration::from_micros(70));
        worker.opened_websockets.add(3);
        worker.count_websocket_end(WebsocketEnd::SessionEnded);
        let route = metrics.add_route("a \"quoted\" \\ name\n");
        route.count(Some(StatusCode::OK), Some(Duration::from_millis(3)));
        let unused = metrics.add_route("unused");
        let since = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let readings = Readings {
            version: "1.2.3 (abc)",
            is_ready: true,
            routes: metrics.read_routes(),
            workers: metrics.read_workers(),
            upstreams: OutgoingMetrics::default().read(4),
            provider: OutgoingMetrics::default().read(1),
            clients: (5, 100),
            plugin: crate::metrics::PluginReading::default(),
            configuration: ConfigurationReading {
                digest: "d1".to_owned(),
                since,
                routes: 2,
                certificates: [2, 0, 1]
                    .map(|days| CertificateReading {
                        name: "a.test".to_owned(),
                        expires: since + Duration::from_secs(days * 86_400),
                    })
                    .to_vec(),
            },
            reloads: (1, 0),
            has_failed_reload: true,
            limits: vec![("open_files", 8)],
            dropped_log_lines: 6,
        };
        drop((worker, route, unused));
        readings
    }

    #[test]
    fn every_row_is_shown_with_its_labels() {
        let text = render(readings(), TextFormat::Prometheus).unwrap();
        for line in [
            r#"jetway_requests_total{route="a \"quoted\" \\ name\n",status="2xx"} 1"#,
            r#"jetway_decisions_total{decision="allow",reason=""} 2"#,
            r#"jetway_decisions_total{decision="deny",reason="domain-unauthorized"} 1"#,
            r#"jetway_phase_duration_seconds_bucket{phase="decision",le="0.0001"} 1"#,
            "jetway_websockets_open 2.0",
            r#"jetway_websockets_closed_total{reason="session_ended"} 1"#,
            r#"jetway_outgoing_connections{to="upstream"} 4.0"#,
            r#"jetway_certificate_expiry_timestamp_seconds{name="a.test"} 1700000000.0"#,
            r#"jetway_limit_hits_total{limit="open_files"} 8"#,
            "jetway_log_lines_dropped_total 6",
            "jetway_ready 1.0",
            "jetway_last_reload_successful 0.0",
            r#"jetway_build_info{version="1.2.3 (abc)"} 1.0"#,
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        assert!(!text.contains("unused"), "{text}");
        for row in TABLE {
            assert!(
                text.contains(&format!("# TYPE {} ", row.shown_name())),
                "{}",
                row.name
            );
        }
    }

    /// Prometheus refuses all metrics when one has two samples of the same labels.
    #[test]
    fn samples_of_a_metric_differ_in_their_labels() {
        let readings = readings();
        for row in TABLE {
            let samples = (row.read)(&readings);
            let labels: BTreeSet<_> = samples.iter().map(|sample| &sample.labels).collect();
            assert_eq!(labels.len(), samples.len(), "{}", row.name);
        }
    }

    /// Each sample has as many labels as its row names, or a value would stand under another's name.
    #[test]
    fn samples_have_the_labels_of_their_rows() {
        let readings = readings();
        for row in TABLE {
            for sample in (row.read)(&readings) {
                assert_eq!(sample.labels.len(), row.labels.len(), "{}", row.name);
            }
        }
    }

    #[test]
    fn openmetrics_is_chosen_by_a_client_that_names_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
        assert_eq!(TextFormat::accepted_by(prometheus), TextFormat::OpenMetrics);
        for accept in ["", "*/*", "text/plain", "application/openmetrics-text;q=0"] {
            assert_eq!(
                TextFormat::accepted_by(accept),
                TextFormat::Prometheus,
                "{accept}"
            );
        }
        let text = render(readings(), TextFormat::OpenMetrics).unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(text.contains("# TYPE jetway_requests counter\n"), "{text}");
    }
}
