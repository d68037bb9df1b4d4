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

on_both_proxies!(n_14_repeated_refusals_of_one_client_are_summed_up);

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
