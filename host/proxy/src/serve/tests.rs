//! Tests of the whole proxy with a small plugin that permits everything, between raw clients and upstreams.

mod bodies;
mod certificates;
mod clients;
mod connection_limits;
mod drain;
mod module_cache;
mod monitoring;
mod panics;
mod patience;
mod reload;
mod requests;
mod upstream;
mod websockets;

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::Duration;

use jetway_core::config::{Config, Route};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::callouts::ProviderAccess;
use crate::tls::Certificates;
use upstream::{Upstream, hex};

/// Far longer than any limit that a test sets.
const PATIENCE: Duration = Duration::from_secs(30);
/// More descriptors than any other test needs.
const OPEN_FILES: u64 = 20_000;
/// A limit that passes quickly.
const SHORT: Duration = Duration::from_millis(200);

/// Fails the test when something does not happen.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing happens"),
    }
}

fn plugin() -> &'static [u8] {
    static PLUGIN: OnceLock<Vec<u8>> = OnceLock::new();
    PLUGIN.get_or_init(|| wat::parse_str(include_str!("tests/plugin.wat")).unwrap())
}

/// Returns a configuration file with these routes, without TLS.
fn file(routes: &[Value]) -> Value {
    let routes: Vec<Value> = routes
        .iter()
        .enumerate()
        .map(|(index, route)| {
            let mut route = route.clone();
            route["from"] = format!("https://route{index}.test").into();
            route["allow_public_unauthenticated_access"] = true.into();
            route
        })
        .collect();
    json!({"insecure_server": true, "routes": routes})
}

fn read(file: &Value) -> Config {
    Config::read(file, &|_| None).unwrap().config
}

/// A proxy with one worker, on a port that the system chose.
struct Rig {
    running: Running,
    routes: Vec<String>,
}

impl Rig {
    fn start(config: Config) -> Self {
        Self::start_with(config, plugin())
    }

    fn start_with(config: Config, module: &'static [u8]) -> Self {
        Self::start_within(OPEN_FILES, config, module)
    }

    /// Starts a proxy with this limit on open files.
    fn start_within(open_files: u64, config: Config, module: &'static [u8]) -> Self {
        Self::start_changed(config, |settings| {
            settings.module = module;
            settings.open_files = open_files;
        })
    }

    /// Starts a proxy with changed settings.
    fn start_changed(config: Config, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_on(Vec::new(), config, change)
    }

    /// Starts a proxy with changed settings on the sockets of a service manager.
    fn start_on(
        sockets: Vec<InheritedSocket>,
        config: Config,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let routes = config.routes.iter().map(|route| route.id.clone()).collect();
        let mut settings = Settings {
            certificates: Certificates::read(&config.listener).unwrap(),
            config,
            file: json!({}),
            addresses: vec!["127.0.0.1:0".parse().unwrap()],
            workers: NonZeroUsize::MIN,
            module: plugin(),
            module_cache: None,
            provider_access: ProviderAccess::default(),
            open_files: OPEN_FILES,
            process: ProcessFacts::default(),
            drain_time: limits::GRACE,
        };
        change(&mut settings);
        Self {
            running: start_on(sockets, settings).unwrap(),
            routes,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.addresses[0]).await.unwrap()
    }

    /// Builds a request to a route, with further header lines, each with its line end.
    fn request(&self, method: &str, path: &str, route: usize, lines: &str) -> String {
        let id = self.routes.get(route).map_or("none", String::as_str);
        format!("{method} {path} HTTP/1.1\r\nhost: app.test\r\nx-test-route: {id}\r\n{lines}\r\n")
    }

    /// Returns the whole response to a GET.
    async fn get(&self, path: &str, route: usize, lines: &str) -> Answer {
        let request = self.request("GET", path, route, &format!("connection: close\r\n{lines}"));
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer::read(&mut stream).await
    }
}

/// Everything that arrived until the connection ended.
#[derive(Debug)]
struct Answer(String);

impl Answer {
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut bytes = Vec::new();
        // A connection that is aborted ends a response, too.
        let _ = within("an answer", stream.read_to_end(&mut bytes)).await;
        Self(String::from_utf8(bytes).unwrap())
    }

    fn status(&self) -> u16 {
        let word = self.0.split(' ').nth(1);
        word.unwrap_or_else(|| panic!("no answer: {self:?}"))
            .parse()
            .unwrap()
    }

    /// Returns a header field of the request as the upstream received it, from the body of the response.
    fn seen(&self, name: &str) -> Option<&str> {
        let (_, body) = self.0.split_once("\r\n\r\n").unwrap();
        let mut lines = body.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }
}

/// Reads until this string has arrived.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        bytes.push(within(end, stream.read_u8()).await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// The text message `hi` as a client sends it.
const HI: &[u8] = b"\x81\x82\x00\x00\x00\x00hi";

/// Sends [`HI`] on an open WebSocket to an upstream that sends it back.
async fn check_echo(stream: &mut TcpStream) {
    stream.write_all(HI).await.unwrap();
    let mut echo = [0; HI.len()];
    within("an echo", stream.read_exact(&mut echo))
        .await
        .unwrap();
    assert_eq!(echo, HI);
}
