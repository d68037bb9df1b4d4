//! The log: the proxy's behaviour when it cannot be written, and the summary of endless refusals.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use jetway_tests::{
    ALICE, APP, Channel, MALLORY, Process, Proxy, ProxyKind, Route, Scene, Upstream, eventually,
    on_both_proxies, run, within,
};
use tokio_tungstenite::tungstenite::Message;

on_both_proxies!(
    n_14_repeated_refusals_of_one_client_are_summed_up,
    a_request_id_on_a_page_leads_to_the_decision_and_the_access_line,
);

/// Longer than any expected event takes.
const LIMIT: Duration = Duration::from_secs(40);
/// The kernel's usual limit for the size of a pipe is one MiB.
const MORE_THAN_A_PIPE_HOLDS: usize = 4 * 1024 * 1024;
/// Requests in a row, each with a connection and a TLS handshake of its own.
const REQUESTS: usize = 40;

/// Standard error on a full disk.
#[test]
fn a_full_disk_stops_nothing() -> Result<()> {
    survives("a_full_disk_stops_nothing", || {
        let full = File::options().write(true).open("/dev/full")?;
        Ok(((), full.into()))
    })
}

/// The program that read the log has ended.
#[test]
fn a_reader_that_is_gone_stops_nothing() -> Result<()> {
    survives("a_reader_that_is_gone_stops_nothing", || {
        let (_, writer) = std::io::pipe()?;
        Ok(((), writer.into()))
    })
}

/// The program that should read the log does not read.
#[test]
fn a_reader_that_stands_still_stops_nothing() -> Result<()> {
    survives("a_reader_that_stands_still_stops_nothing", || {
        let (reader, writer) = std::io::pipe()?;
        // The proxy is blocked in this write until the reader has ended.
        let mut filler = writer.try_clone()?;
        std::thread::spawn(move || filler.write_all(&[b'.'; MORE_THAN_A_PIPE_HOLDS]));
        Ok((reader, writer.into()))
    })
}

/// Runs the proxy with this standard error through all its activities that are logged.
fn survives<Kept>(name: &str, errors: impl FnOnce() -> Result<(Kept, Stdio)>) -> Result<()> {
    run(name, ProxyKind::Host, async |scene: &mut Scene| {
        let (_kept, errors) = errors()?;
        let upstream = Upstream::start("app").await?;
        // An unused key causes a warning whenever the file is read.
        scene.keys = "log_level: info\n".to_owned();
        let route = || Route::new(APP, &upstream.address()).websockets();
        let (file, variables) = scene.file(&[route()])?;
        let mut command = Command::new(scene.installed.jetway()?);
        command
            .args(["run", "-c"])
            .arg(&file)
            .arg("--module-cache")
            .arg(&scene.installed.module_cache)
            .args(["--log-level", "debug"])
            .envs(variables);
        let mut process = Process::start_with_errors_to("host", &command, scene.logs(), errors)?;
        let url = scene.url(APP, "/")?;
        eventually("the proxy accepts connections", LIMIT, async || {
            process.ensure_running()?;
            scene.dialer.open(&url, "http/1.1").await
        })
        .await?;

        let mut alice = scene.user_agent();
        alice.sign_in(&url, ALICE).await?.1.expect(200)?;
        let mut channel = alice
            .upgrade(&scene.url(APP, "/socket")?, None)
            .await?
            .open()?;
        requests(scene, &mut alice).await?;
        echoed(&mut channel).await?;

        // A changed file, and a signal to read it.
        scene.file(&[route().only(MALLORY)])?;
        eventually("alice is refused", LIMIT, async || {
            alice.navigate(&url).await?.expect(403).map(drop)
        })
        .await?;
        scene.file(&[route()])?;
        process.hang_up()?;
        eventually("alice is back", LIMIT, async || {
            alice.navigate(&url).await?.expect(200).map(drop)
        })
        .await?;
        let mut channel = alice
            .upgrade(&scene.url(APP, "/socket")?, None)
            .await?
            .open()?;
        requests(scene, &mut alice).await?;
        echoed(&mut channel).await?;
        drop(channel);

        process.ensure_running()?;
        process.terminate();
        let status = process.finish(LIMIT).await?;
        ensure!(status.code() == Some(0), "it ended with {status}");
        Ok(())
    })
}

/// Sends requests, some of which are permitted.
async fn requests(scene: &Scene, alice: &mut jetway_tests::UserAgent) -> Result<()> {
    let url = scene.url(APP, "/page")?;
    for _ in 0..REQUESTS {
        alice.navigate(&url).await?.expect(200)?;
        scene.user_agent().fetch(&url).await?.expect(401)?;
    }
    Ok(())
}

async fn echoed(channel: &mut Channel) -> Result<()> {
    channel.send(Message::text("still there")).await?;
    let echo = within("an echo", LIMIT, async {
        let message = channel.next().await.context("the websocket ended")?;
        message.context("no message")
    })
    .await?;
    ensure!(echo.to_text()? == "still there", "{echo:?}");
    Ok(())
}

/// Number of refusals of one client.
const REFUSALS: u64 = 200;

/// N-14: repeated refusals of one client are a few lines and a sum.
async fn n_14_repeated_refusals_of_one_client_are_summed_up(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let proxy = scene
        .serve(&[Route::new(APP, &upstream.address()).prefix("/app")])
        .await?;
    let nowhere = scene.url(APP, "/nowhere")?;
    let mut mallory = scene.user_agent();
    for _ in 0..REFUSALS {
        mallory.navigate(&nowhere).await?.expect(404)?;
    }
    let decided = |line: &str| line.contains("refused: route-not-found");
    let (told, summed) = counted(&proxy, decided, |line| !line.contains("access:")).await?;
    ensure!(told < REFUSALS / 2, "{told} lines, and {summed} summed up");
    // Envoy's own access log has a line for each request, which the module cannot change.
    if proxy.kind == ProxyKind::Host {
        let logged = |line: &str| line.contains("path=/nowhere");
        let (told, summed) = counted(&proxy, logged, |line| line.contains("access:")).await?;
        ensure!(told < REFUSALS / 2, "{told} lines, and {summed} summed up");
    }
    let url = scene.url(APP, "/app")?;
    let signed_in = scene.user_agent().sign_in(&url, ALICE).await?.1;
    signed_in.expect(200).map(drop)
}

/// The id that a user reports is in the line of the decision and in the access line. Both name the account, and the access
/// line has the decision.
async fn a_request_id_on_a_page_leads_to_the_decision_and_the_access_line(
    scene: &mut Scene,
) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let route = Route::new(APP, &upstream.address()).only(ALICE);
    let proxy = scene.serve(&[route]).await?;
    let (page, permitted) = (
        scene.url(APP, "/private?secret=1")?,
        scene.url(APP, "/open")?,
    );
    let mut mallory = scene.user_agent();
    let refused = mallory.sign_in(&page, MALLORY).await?.1.expect(403)?;
    let id = request_id(&refused.text())?;
    let mut alice = scene.user_agent();
    alice.sign_in(&permitted, ALICE).await?.1.expect(200)?;
    eventually("the log has all lines", LIMIT, async || {
        let log = proxy.process.log();
        let decision = format!("request_id=\"{id}\" client=127.0.0.1 method=\"GET\"");
        let decision = find_line(&log, &["refused: forbidden", &decision])?;
        for part in [
            "account=\"mallory@example.com\"",
            "status=403",
            "path=\"/private\"",
        ] {
            ensure!(decision.contains(part), "no {part}: {decision}");
        }
        let denied = AccessLine::find(&proxy, &log, |line| line.is("request_id", &id))?;
        denied.expect([
            ("account", MALLORY),
            ("decision", "deny"),
            ("reasons", "email-unauthorized"),
            ("status", "403"),
            ("path", "/private"),
        ])?;
        let is_permitted = |line: &AccessLine| line.is("path", "/open") && line.is("status", "200");
        AccessLine::find(&proxy, &log, is_permitted)?
            .expect([("account", ALICE), ("decision", "allow")])?;
        let is_anonymous = |line: &AccessLine| line.is("path", "/open") && line.is("status", "303");
        AccessLine::find(&proxy, &log, is_anonymous)?.expect([("decision", "login")])
    })
    .await
}

/// The id on a page.
fn request_id(page: &str) -> Result<String> {
    let (_, id) = page
        .split_once("Request id ")
        .context("no id on the page")?;
    let end = id.find('<').context("no end of the id")?;
    Ok(id.get(..end).unwrap_or_default().to_owned())
}

/// Returns the line of a log that has all of these parts.
fn find_line<'l>(log: &'l str, parts: &[&str]) -> Result<&'l str> {
    let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
    let found = log.lines().find(has_all);
    found.with_context(|| format!("no line with {parts:?} in {log}"))
}

/// A line of a proxy's access log: JSON in Envoy, text in the host.
struct AccessLine<'l> {
    line: &'l str,
    json: Option<serde_json::Value>,
}

impl<'l> AccessLine<'l> {
    fn find(proxy: &Proxy, log: &'l str, fits: impl Fn(&Self) -> bool) -> Result<Self> {
        let mut lines = log.lines().filter_map(|line| match proxy.kind {
            ProxyKind::Host => line
                .contains(" access: ")
                .then_some(Self { line, json: None }),
            ProxyKind::Envoy => {
                let json = Some(serde_json::from_str(line).ok()?);
                Some(Self { line, json })
            }
        });
        lines.find(fits).context("no access line")
    }

    fn is(&self, field: &str, value: &str) -> bool {
        match &self.json {
            Some(json) => {
                let written = match &json[field] {
                    serde_json::Value::String(string) => string.clone(),
                    other => other.to_string(),
                };
                written == value
            }
            None => format!("{} ", self.line).contains(&format!(" {field}={value} ")),
        }
    }

    fn expect<'v>(&self, fields: impl IntoIterator<Item = (&'v str, &'v str)>) -> Result<()> {
        for (field, value) in fields {
            ensure!(self.is(field, value), "not {field}={value}: {}", self.line);
        }
        Ok(())
    }
}

/// A log of JSON lines has the values of a decision as fields.
#[test]
fn json_lines_have_fields() -> Result<()> {
    run(
        "json_lines_have_fields",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let route = Route::new(APP, &upstream.address()).only(ALICE);
            let (file, variables) = scene.file(&[route])?;
            let mut command = Command::new(scene.installed.jetway()?);
            command
                .args(["run", "--log-format", "json", "-c"])
                .arg(&file)
                .envs(variables);
            let mut process = Process::start("host", &command, scene.logs())?;
            let url = scene.url(APP, "/private?secret=1")?;
            eventually("the proxy accepts connections", LIMIT, async || {
                process.ensure_running()?;
                scene.dialer.open(&url, "http/1.1").await
            })
            .await?;
            let refused = scene.user_agent().sign_in(&url, MALLORY).await?.1;
            let id = request_id(&refused.expect(403)?.text())?;
            eventually("the log has both lines", LIMIT, async || {
            let log = process.log();
            for (target, fields) in [
                (
                    "plugin",
                    serde_json::json!({
                        "message": "refused: forbidden", "account": MALLORY, "status": 403, "method": "GET",
                        "path": "/private", "reasons": "email-unauthorized", "client": "127.0.0.1",
                    }),
                ),
                (
                    "access",
                    serde_json::json!({
                        "decision": "deny", "account": MALLORY, "status": 403, "method": "GET", "path": "/private",
                        "reasons": "email-unauthorized", "client": "127.0.0.1",
                    }),
                ),
            ] {
                let mut lines = log.lines().filter_map(|line| {
                    let line: serde_json::Value = serde_json::from_str(line).ok()?;
                    (line["target"] == target && line["request_id"] == *id).then_some(line)
                });
                let line = lines.next().with_context(|| format!("no line of {target}: {log}"))?;
                for (name, value) in fields.as_object().into_iter().flatten() {
                    ensure!(line[name] == *value, "{name} is not {value}: {line}");
                }
            }
            Ok(())
        })
        .await
        },
    )
}

/// Returns the number of lines of a kind, and the number of requests in its summaries, once all refusals are accounted
/// for.
async fn counted(
    proxy: &Proxy,
    is_line: impl Fn(&str) -> bool,
    is_summary: impl Fn(&str) -> bool,
) -> Result<(u64, u64)> {
    eventually("all refusals are in the log", LIMIT, async || {
        let log = proxy.process.log();
        let told = log.lines().filter(|line| is_line(line)).count() as u64;
        let summaries = log
            .lines()
            .filter(|line| is_summary(line))
            .filter_map(|line| line.split_once(" further requests of 127.0.0.1 "))
            .filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok());
        let summed = summaries.sum::<u64>();
        ensure!(told + summed == REFUSALS, "{told} and {summed}");
        Ok((told, summed))
    })
    .await
}
