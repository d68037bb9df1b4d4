//! Tests of the runtime with small plugins in WebAssembly text format.

mod bodies;
mod calls;
mod faults;
mod headers;
mod services;
mod streams;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use tokio::task::LocalSet;

use super::*;

/// The beginning of every plugin here: host functions under short names, a memory with a bump allocator, and two
/// functions that report to the test. `$report` adds a line `x-status` with one character, `0` plus the number; `$tell`
/// adds a line `x-value`.
const PRELUDE: &str = r#"
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
    (import "env" "proxy_set_header_map_pairs" (func $set_pairs (param i32 i32 i32) (result i32)))
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_buffer_bytes" (func $set_buffer (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_shared_data" (func $shared (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_shared_data" (func $set_shared (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_define_metric" (func $metric (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
    (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
    (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
    (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
    (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_effective_context" (func $choose (param i32) (result i32)))
    (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
    (import "env" "proxy_http_call"
        (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_done" (func $proxy_done (result i32)))
    (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
    (import "env" "proxy_get_log_level" (func $level (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (func (export "proxy_abi_version_0_2_1"))
    (global $heap (mut i32) (i32.const 65536))
    (func $allocate (export "proxy_on_memory_allocate") (param $size i32) (result i32)
        (local $address i32)
        (local.set $address (global.get $heap))
        (global.set $heap (i32.add (global.get $heap) (local.get $size)))
        (local.get $address))
    (data (i32.const 512) "x-statusx-value")
    (func $report (param $status i32)
        (i32.store8 (i32.const 540) (i32.add (i32.const 48) (local.get $status)))
        (drop (call $add (i32.const 0) (i32.const 512) (i32.const 8) (i32.const 540) (i32.const 1))))
    (func $tell (param $address i32) (param $size i32)
        (drop (call $add (i32.const 0) (i32.const 520) (i32.const 7) (local.get $address) (local.get $size))))
"#;

/// First address of the plugin's strings.
const TEXTS: usize = 1024;

/// Compiles a plugin. In its body, `@name` means the address and the size of the string of that name.
fn plugin(texts: &[(&str, &[u8])], body: &str) -> Module {
    let mut body = body.to_owned();
    let mut data = String::new();
    let mut address = TEXTS;
    for (name, text) in texts {
        let place = format!("(i32.const {address}) (i32.const {})", text.len());
        body = body.replace(&format!("@{name}"), &place);
        let bytes = text.iter().fold(String::new(), |mut bytes, byte| {
            write!(bytes, "\\{byte:02x}").unwrap();
            bytes
        });
        writeln!(data, "(data (i32.const {address}) \"{bytes}\")").unwrap();
        address += text.len();
    }
    assert!(!body.contains('@'), "unknown text in {body}");
    let text = format!("(module {PRELUDE} {data} {body})");
    let engine = Engine::new().unwrap();
    Module::compile(&engine, &wat::parse_str(text).unwrap()).unwrap()
}

/// The upstreams of the plugin's calls: one that answers and one that never does.
#[derive(Default)]
struct Upstreams {
    requests: RefCell<Vec<(Request<Bytes>, Duration)>>,
    /// Counts calls in progress.
    alive: Rc<()>,
}

impl HttpCalls for Upstreams {
    fn send(
        &self,
        upstream: &str,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Option<CallFuture> {
        self.requests.borrow_mut().push((request, timeout));
        let alive = Rc::clone(&self.alive);
        match upstream {
            "https://idp" => Some(Box::pin(async move {
                let mut headers = HeaderMap::new();
                headers.insert("x-idp", HeaderValue::from_static("yes"));
                drop(alive);
                CallReply {
                    status: StatusCode::CREATED,
                    headers,
                    body: Bytes::from_static(b"keys"),
                }
            })),
            "https://defect" => panic!("on purpose, in a host function"),
            "https://late-defect" => Some(Box::pin(async {
                tokio::task::yield_now().await;
                panic!("on purpose, in a call")
            })),
            "https://slow" => Some(Box::pin(async move {
                tokio::time::sleep(timeout).await;
                drop(alive);
                CallReply::timed_out()
            })),
            _ => None,
        }
    }
}

/// A plugin and its services.
struct Rig {
    plugin: Rc<Plugin>,
    shared: Shared,
    metrics: Arc<MetricTable>,
    upstreams: Rc<Upstreams>,
}

impl Rig {
    fn new(module: &Module) -> Self {
        Self::beside(module, &Shared::default())
    }

    /// Shares data with another plugin.
    fn beside(module: &Module, shared: &Shared) -> Self {
        Self::start(module, shared).unwrap()
    }

    fn start(module: &Module, shared: &Shared) -> Result<Self, StartError> {
        let upstreams = Rc::new(Upstreams::default());
        let metrics = Arc::new(MetricTable::default());
        let shared = Shared {
            data: Arc::clone(&shared.data),
            metrics: Arc::<MetricTable>::clone(&metrics),
            activity: Arc::clone(&shared.activity),
        };
        let services = Services {
            calls: Rc::<Upstreams>::clone(&upstreams),
            shared: shared.clone(),
            ..Services::default()
        };
        let plugin = Plugin::start(module, Rc::new(config()), services)?;
        Ok(Self {
            plugin,
            shared,
            metrics,
            upstreams,
        })
    }

    fn request(&self, head: RequestHead) -> (Stream, Verdict<RequestHead>) {
        self.plugin.request(head, true, facts())
    }

    /// Sends a request that the plugin continues.
    fn passed(&self, head: RequestHead) -> (Stream, RequestHead) {
        let (stream, verdict) = self.request(head);
        (stream, continued(verdict))
    }

    /// Sends a request that the plugin pauses.
    fn paused(&self) -> Stream {
        let (stream, verdict) = self.request(head(&[]));
        assert!(matches!(verdict, Verdict::Paused), "{verdict:?}");
        stream
    }

    /// Returns the value of a metric.
    fn metric(&self, name: &str) -> Option<u64> {
        let readings = self.metrics.readings();
        readings
            .iter()
            .find(|reading| reading.name == name)
            .map(|reading| reading.value)
    }

    /// Waits, in the test's own time, until an instance is running.
    async fn live(&self) {
        while !self.plugin.is_live() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn config() -> PluginConfig {
    PluginConfig {
        name: "gate".to_owned(),
        root_id: "root".to_owned(),
        vm_id: String::new(),
        vm_configuration: b"machine".to_vec(),
        configuration: b"{\"a\":1}".to_vec(),
        variables: vec![("KEY".to_owned(), b"s3cret".to_vec())],
    }
}

fn facts() -> StreamFacts {
    StreamFacts {
        received: SystemTime::UNIX_EPOCH + Duration::from_nanos(7),
        version: Version::HTTP_2,
        source: "127.0.0.1:51072".parse().unwrap(),
        connection: Rc::new(ConnectionFacts {
            id: 9,
            peer: "127.0.0.1:51072".parse().unwrap(),
            destination: "127.0.0.1:8443".parse().unwrap(),
            tls: None,
        }),
    }
}

/// Facts about a client behind a trusted proxy, which uses TLS and has shown a certificate.
fn facts_with_certificate() -> StreamFacts {
    let mut facts = facts();
    facts.source = "203.0.113.9:0".parse().unwrap();
    let tls = TlsFacts {
        version: "TLSv1.3",
        server_name: Some("app.example.com".to_owned()),
        certificate: Some(PeerCertificate {
            digest: "c0ffee".to_owned(),
            dns_name: Some("laptop.example.com".to_owned()),
            uri: None,
            forwarded: HeaderValue::from_static("Hash=c0ffee"),
        }),
    };
    Rc::get_mut(&mut facts.connection).unwrap().tls = Some(tls);
    facts
}

fn head(lines: &[(&'static str, &[u8])]) -> RequestHead {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).unwrap(),
        );
    }
    RequestHead {
        method: Method::GET,
        scheme: Scheme::HTTPS,
        authority: HeaderValue::from_static("app.example.com"),
        path: PathAndQuery::from_static("/a?b=c"),
        headers,
    }
}

fn response(lines: &[(&'static str, &[u8])]) -> ResponseHead {
    ResponseHead {
        status: StatusCode::OK,
        headers: head(lines).headers,
    }
}

fn continued<Head: std::fmt::Debug>(verdict: Verdict<Head>) -> Head {
    match verdict {
        Verdict::Continue(head) => head,
        other => panic!("not continued: {other:?}"),
    }
}

fn replied<Head: std::fmt::Debug>(verdict: Verdict<Head>) -> LocalReply {
    match verdict {
        Verdict::Reply(reply) => reply,
        other => panic!("not answered: {other:?}"),
    }
}

/// Returns all values of a field, joined by blanks.
fn lines(headers: &HeaderMap, name: &str) -> String {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    values.join(" ")
}

/// Runs a test on one thread with a clock that jumps ahead when all tasks wait.
fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}
