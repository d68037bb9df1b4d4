//! Metrics, health and status of the bundled host, as Prometheus and an operator read them, and the alert rules and the
//! dashboard that come with them. Envoy has its own listener for its own metrics.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use jetway_tests::{
    ALICE, APP, Installed, MALLORY, Port, Proxy, ProxyKind, Response, Route, Scene, Upstream,
    eventually, output_of, run, within,
};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use url::Url;

const REFERENCE: &str = include_str!("../../docs/metrics.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const ALERTS: &str = include_str!("../../docs/alerts.yaml");
const ALERT_TESTS: &str = include_str!("../files/alerts_test.yaml");
const DASHBOARD: &str = include_str!("../../docs/grafana.json");

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Longer than the two seconds in which a changed file is read.
const LIMIT: Duration = Duration::from_secs(30);
const CREDENTIALS: &str = "prometheus:open sesame";
const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
/// A part of a path, which no metric may show.
const CHOSEN_BY_CLIENT: &str = "chosen-by-the-client";

/// The listeners for Prometheus and for operators.
struct Monitoring {
    metrics: Port,
    socket: PathBuf,
}

impl Monitoring {
    /// Adds both listeners to the scene's file.
    fn prepare(scene: &mut Scene) -> Result<Self> {
        let (metrics, socket) = (Port::reserve()?, scene.folder().join("admin.sock"));
        scene.keys = format!(
            "metrics_address: 127.0.0.1:{}\nmetrics_basic_auth: {}\nadmin_address: unix:{}\n",
            metrics.number(),
            BASE64_STANDARD.encode(CREDENTIALS),
            socket.display()
        );
        Ok(Self { metrics, socket })
    }

    /// Asks `metrics_address` as Prometheus does.
    async fn scrape(&self, scene: &Scene, lines: &[(http::HeaderName, &str)]) -> Result<Response> {
        let url = Url::parse(&format!("http://127.0.0.1:{}", self.metrics.number()))?;
        let mut request = Request::get("/metrics");
        for (name, value) in lines {
            request = request.header(name, *value);
        }
        scene
            .dialer
            .exchange(&url, request.body(Bytes::new())?)
            .await
    }

    /// Returns the metrics in the format that this `Accept` asks for.
    async fn read(&self, scene: &Scene, accept: &str) -> Result<Response> {
        let credentials = format!("Basic {}", BASE64_STANDARD.encode(CREDENTIALS));
        let lines = [(AUTHORIZATION, credentials.as_str()), (ACCEPT, accept)];
        self.scrape(scene, &lines).await?.expect(200)
    }

    /// Waits until the metrics have all of these lines: a request is counted when its last byte has been sent, which its
    /// client may see earlier.
    async fn await_lines(&self, scene: &Scene, lines: &[&str]) -> Result<()> {
        eventually("the metrics have their values", LIMIT, async || {
            let text = self.read(scene, "").await?.text();
            for line in lines {
                ensure!(
                    text.lines().any(|own| own == *line),
                    "`{line}` is not in\n{text}"
                );
            }
            Ok(())
        })
        .await
    }

    /// Asks `admin_address`.
    async fn ask(&self, page: &str) -> Result<Response> {
        let stream = TokioIo::new(UnixStream::connect(&self.socket).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let driver = tokio::spawn(connection);
        let request = Request::get(page).header(HOST, "localhost");
        let (head, body) = sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?
            .into_parts();
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// Runs promtool with this input. It has to succeed without a word of complaint.
fn check_by_promtool(arguments: &[&str], input: &str) -> Result<()> {
    let installed = Installed::locate()?;
    let mut process = Command::new(installed.promtool()?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = process.stdin.take().context("promtool has an input")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = process.wait_with_output()?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && complaints.trim().is_empty(),
        "promtool ended with {}:\n{complaints}\n{input}",
        output.status
    );
    Ok(())
}

#[test]
fn prometheus_reads_what_users_did() -> Result<()> {
    let name = "prometheus_reads_what_users_did";
    run(name, ProxyKind::Host, async |scene: &mut Scene| {
        let monitoring = Monitoring::prepare(scene)?;
        let upstream = Upstream::start("app").await?;
        let route = Route::new(APP, &upstream.address()).websockets();
        let _proxy = scene.serve(&[route.key("name: desk")]).await?;
        let url = scene.url(APP, &format!("/{CHOSEN_BY_CLIENT}"))?;
        let mut alice = scene.user_agent();
        alice.sign_in(&url, ALICE).await?.1.expect(200)?;
        let mut mallory = scene.user_agent();
        mallory.sign_in(&url, MALLORY).await?.1.expect(403)?;
        let mut channel = alice.upgrade(&url, None).await?.open()?;
        let lines = [
            r#"jetway_requests_total{route="desk",status="2xx"} 1"#,
            r#"jetway_requests_total{route="",status="4xx"} 1"#,
            r#"jetway_route_duration_seconds_count{route="desk"} 1"#,
            // The request and the WebSocket of alice, and a page of the module after each sign-in.
            r#"jetway_decisions_total{decision="allow",reason=""} 4"#,
            r#"jetway_decisions_total{decision="deny",reason="email-unauthorized"} 1"#,
            // Each sign-in is a redirect to the provider, and one from the callback.
            r#"jetway_decisions_total{decision="login",reason=""} 4"#,
            "jetway_websockets_open 1.0",
            "jetway_websockets_opened_total 1",
            "jetway_plugin_traps_total 0",
            "jetway_provider_call_failures_total 0",
            "jetway_log_lines_dropped_total 0",
            "jetway_configuration_routes 1.0",
            "jetway_last_reload_successful 1.0",
            "jetway_ready 1.0",
        ];
        monitoring.await_lines(scene, &lines).await?;
        check_formats(&monitoring, scene).await?;
        check_operators_pages(&monitoring).await?;

        channel.close(None).await?;
        // Without the alert `close_notify` of TLS, the end of the connection would count as broken.
        within("the end of the WebSocket", LIMIT, async {
            while let Some(Ok(_)) = channel.next().await {}
            Ok(channel.get_mut().shutdown().await?)
        })
        .await?;
        let lines = [
            "jetway_websockets_open 0.0",
            r#"jetway_websockets_closed_total{reason="closed"} 1"#,
            r#"jetway_requests_total{route="desk",status="1xx"} 1"#,
            // The duration of a WebSocket is not one of a request.
            r#"jetway_route_duration_seconds_count{route="desk"} 1"#,
        ];
        monitoring.await_lines(scene, &lines).await
    })
}

/// Both formats have the same metrics, and promtool has no complaint.
async fn check_formats(monitoring: &Monitoring, scene: &Scene) -> Result<()> {
    let prometheus = monitoring.read(scene, "text/plain").await?;
    let media_type = prometheus.header("content-type").unwrap_or_default();
    ensure!(
        media_type.starts_with("text/plain; version=0.0.4"),
        "{media_type}"
    );
    let text = prometheus.text();
    check_by_promtool(&["check", "metrics"], &text)?;
    // promtool does not see what Prometheus refuses: two samples of one metric with the same labels.
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let mut seen = BTreeSet::new();
    for (sample, _) in samples.filter_map(|line| line.rsplit_once(' ')) {
        ensure!(seen.insert(sample), "`{sample}` is there twice:\n{text}");
    }
    for chosen in [CHOSEN_BY_CLIENT, ALICE, MALLORY] {
        ensure!(!text.contains(chosen), "a metric shows `{chosen}`:\n{text}");
    }
    let openmetrics = monitoring.read(scene, OPENMETRICS).await?;
    let media_type = openmetrics.header("content-type").unwrap_or_default();
    ensure!(
        media_type.starts_with("application/openmetrics-text; version=1.0.0"),
        "{media_type}"
    );
    let openmetrics = openmetrics.text();
    ensure!(openmetrics.ends_with("\n# EOF\n"), "{openmetrics}");
    for (name, is_counter) in documented_metrics() {
        ensure!(text.contains(&format!("# TYPE {name} ")), "{name}\n{text}");
        let family = name
            .strip_suffix("_total")
            .filter(|_| is_counter)
            .unwrap_or(name);
        let kind = format!("# TYPE {family} ");
        ensure!(openmetrics.contains(&kind), "{kind}\n{openmetrics}");
    }
    Ok(())
}

async fn check_operators_pages(monitoring: &Monitoring) -> Result<()> {
    monitoring.ask("/healthz").await?.expect(200)?;
    let ready = monitoring.ask("/readyz").await?.expect(200)?.json()?;
    for check in ["configuration", "plugin", "listeners"] {
        ensure!(ready["checks"][check] == true, "{ready:#}");
    }
    let status = monitoring.ask("/status").await?.expect(200)?.json()?;
    ensure!(
        status["ready"] == true
            && status["websockets_open"] == 1
            && status["configuration"]["routes"] == 1
            && status["certificates"][0]["name"] == APP,
        "{status:#}"
    );
    // The permissions of the socket protect it.
    let metrics = monitoring.ask("/metrics").await?.expect(200)?.text();
    let digest = format!(
        "jetway_configuration_info{{digest={}}}",
        status["configuration"]["digest"]
    );
    ensure!(metrics.contains(&digest), "`{digest}` is not in\n{metrics}");
    Ok(())
}

#[test]
fn metrics_need_their_credentials() -> Result<()> {
    let name = "metrics_need_their_credentials";
    run(name, ProxyKind::Host, async |scene: &mut Scene| {
        let monitoring = Monitoring::prepare(scene)?;
        let upstream = Upstream::start("app").await?;
        let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
        let wrong = format!("Basic {}", BASE64_STANDARD.encode("prometheus:open"));
        for lines in [vec![], vec![(AUTHORIZATION, wrong.as_str())]] {
            let refused = monitoring.scrape(scene, &lines).await?.expect(401)?;
            let challenge = refused.headers.get(WWW_AUTHENTICATE);
            ensure!(challenge.is_some(), "{refused:#?}");
            ensure!(!refused.text().contains("jetway_"), "{}", refused.text());
        }
        let text = monitoring.read(scene, "").await?.text();
        ensure!(text.contains("\njetway_build_info{"), "{text}");
        let (_, password) = CREDENTIALS.split_once(':').context("a password")?;
        let encoded = BASE64_STANDARD.encode(CREDENTIALS);
        let everything = text + &monitoring.ask("/status").await?.text() + &proxy.process.log();
        for secret in [password, &encoded] {
            ensure!(!everything.contains(secret), "{everything}");
        }
        Ok(())
    })
}

#[test]
fn a_failed_reload_is_shown_until_one_succeeds() -> Result<()> {
    let name = "a_failed_reload_is_shown_until_one_succeeds";
    run(name, ProxyKind::Host, async |scene: &mut Scene| {
        let monitoring = Monitoring::prepare(scene)?;
        let upstream = Upstream::start("app").await?;
        let route = || Route::new(APP, &upstream.address());
        let proxy: Proxy = scene.serve(&[route()]).await?;
        scene.rewrite(&proxy, &[Route::without_upstream(APP)])?;
        let failed = ["jetway_last_reload_successful 0.0", "jetway_ready 1.0"];
        monitoring.await_lines(scene, &failed).await?;
        scene.rewrite(&proxy, &[route(), route().prefix("/other")])?;
        let succeeded = [
            "jetway_last_reload_successful 1.0",
            "jetway_configuration_routes 2.0",
            r#"jetway_reloads_total{outcome="success"} 1"#,
        ];
        monitoring.await_lines(scene, &succeeded).await
    })
}

#[test]
fn promtool_accepts_the_alert_rules_and_their_tests() -> Result<()> {
    let installed = Installed::locate()?;
    for arguments in [
        ["check", "rules", "docs/alerts.yaml"],
        ["test", "rules", "tests/files/alerts_test.yaml"],
    ] {
        output_of(
            Command::new(installed.promtool()?)
                .current_dir(ROOT)
                .args(arguments),
        )?;
    }
    // promtool does not miss the test of an alert.
    let alerts = ALERTS
        .lines()
        .filter_map(|line| line.split_once("- alert: "));
    let names: Vec<&str> = alerts.map(|(_, name)| name).collect();
    ensure!(!names.is_empty(), "docs/alerts.yaml has no alert");
    for name in names {
        let tests: Vec<&str> = ALERT_TESTS
            .split("- alertname: ")
            .filter(|test| test.lines().next() == Some(name))
            .collect();
        let is_silent = |test: &&str| test.contains("exp_alerts: []");
        ensure!(
            tests.iter().any(is_silent) && !tests.iter().all(is_silent),
            "tests/files/alerts_test.yaml does not show when `{name}` fires and when not"
        );
    }
    Ok(())
}

#[test]
fn promtool_accepts_the_configuration_in_the_documentation() -> Result<()> {
    let (_, block) = OPERATIONS
        .split_once("```yaml\n# prometheus.yml\n")
        .context("docs/operations.md configures Prometheus")?;
    let (configuration, _) = block.split_once("```").context("the block ends")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, configuration)?;
    let installed = Installed::locate()?;
    // The files that it names belong to the operator's machine.
    let arguments = ["check", "config", "--syntax-only"];
    let mut check = Command::new(installed.promtool()?);
    output_of(check.args(arguments).arg(file))?;
    Ok(())
}

/// Prometheus evaluates no expression of the dashboard before a user opens it.
#[test]
fn the_expressions_of_the_dashboard_are_valid() -> Result<()> {
    let rules: Vec<Value> = dashboard_expressions()?
        .iter()
        .enumerate()
        .map(|(place, expression)| {
            // Grafana's variables.
            let expression = expression.replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("panel:{place}"), "expr": expression})
        })
        .collect();
    let file = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("rules.yaml");
    // JSON is YAML.
    std::fs::write(&path, file.to_string())?;
    let installed = Installed::locate()?;
    output_of(
        Command::new(installed.promtool()?)
            .args(["check", "rules"])
            .arg(path),
    )?;
    Ok(())
}

#[test]
fn alerts_and_dashboard_use_documented_metrics() -> Result<()> {
    let documented: Vec<&str> = documented_metrics().map(|(name, _)| name).collect();
    ensure!(documented.contains(&"jetway_ready"), "{documented:?}");
    let expressions = dashboard_expressions()?;
    for (source, text) in [("alerts.yaml", ALERTS), ("grafana.json", DASHBOARD)] {
        let used = metric_names(text);
        ensure!(!used.is_empty(), "docs/{source} uses no metric");
        for name in used {
            let is_part = |suffix| {
                let histogram = name.strip_suffix(suffix);
                histogram.is_some_and(|name| documented.contains(&name))
            };
            ensure!(
                documented.contains(&name)
                    || ["_bucket", "_sum", "_count"].into_iter().any(is_part),
                "docs/{source} uses `{name}`, which is not in docs/metrics.md"
            );
        }
    }
    for name in documented {
        let is_shown = expressions.iter().any(|own| own.contains(name));
        ensure!(is_shown, "docs/grafana.json does not show `{name}`");
    }
    Ok(())
}

/// Returns the names of all metrics of docs/metrics.md, and whether each is a counter.
fn documented_metrics() -> impl Iterator<Item = (&'static str, bool)> {
    REFERENCE.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((name, rest.starts_with("counter ")))
    })
}

/// Returns the words that begin like the name of a metric.
fn metric_names(text: &str) -> Vec<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("jetway_"))
        .collect()
}

/// Returns the expressions of all panels.
fn dashboard_expressions() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets
        .map(|target| {
            let expression = target["expr"].as_str().context("no expression")?;
            Ok(expression.to_owned())
        })
        .collect()
}
