//! Runs proxy-wasm plugins (ABI 0.2.0 and 0.2.1) on wasmtime, in any proxy.
//!
//! A proxy compiles a [`Module`] once, starts a [`Plugin`] with its [`PluginConfig`] on each of its threads, and opens
//! a [`Stream`] for each request. It passes heads and body chunks to the stream and gets the plugin's decision as a
//! [`Verdict`]. The traits in [`Services`] connect a plugin to the proxy. Messages are types of the `http` crate; the
//! proxy may use any HTTP library. The crate uses tokio, on one thread.
//!
//! ```
//! use std::rc::Rc;
//! use std::time::SystemTime;
//!
//! use http::{HeaderMap, HeaderValue, Method, Version, uri::{PathAndQuery, Scheme}};
//! use proxy_wasm_host::{
//!     ConnectionFacts, Engine, Module, Plugin, PluginConfig, RequestHead, Services, StreamFacts, Verdict,
//! };
//!
//! // A plugin that adds `x-plugin: hello` to each request.
//! let wasm = wat::parse_str(r#"(module
//!     (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
//!     (memory (export "memory") 1)
//!     (data (i32.const 16) "x-pluginhello")
//!     (func (export "proxy_abi_version_0_2_1"))
//!     (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
//!     (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
//!         (drop (call $add (i32.const 0) (i32.const 16) (i32.const 8) (i32.const 24) (i32.const 5)))
//!         (i32.const 0)))"#)?;
//! let module = Module::compile(&Engine::new()?, &wasm)?;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! tokio::task::LocalSet::new().block_on(&runtime, async {
//!     let config = Rc::new(PluginConfig { name: "greeter".to_owned(), ..PluginConfig::default() });
//!     let plugin = Plugin::start(&module, config, Services::default())?;
//!     let head = RequestHead {
//!         method: Method::GET,
//!         scheme: Scheme::HTTPS,
//!         authority: HeaderValue::from_static("app.example.com"),
//!         path: PathAndQuery::from_static("/"),
//!         headers: HeaderMap::new(),
//!     };
//!     let facts = StreamFacts {
//!         received: SystemTime::now(),
//!         version: Version::HTTP_11,
//!         source: "203.0.113.9:51072".parse()?,
//!         connection: Rc::new(ConnectionFacts {
//!             id: 1,
//!             peer: "203.0.113.9:51072".parse()?,
//!             destination: "192.0.2.1:443".parse()?,
//!             tls: None,
//!         }),
//!     };
//!     let (_stream, verdict) = plugin.request(head, true, facts);
//!     let Verdict::Continue(head) = verdict else { panic!("the plugin lets every request pass") };
//!     assert_eq!(head.headers["x-plugin"], "hello");
//!     plugin.shutdown().await;
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Request flow
//!
//! ```text
//! once per process   Engine::new(), Module::compile(&engine, bytes)  ->  Module (Clone + Send + Sync)
//! once per thread    Plugin::start(&module, Rc<PluginConfig>, Services)  ->  Rc<Plugin>
//! once per request   plugin.request(RequestHead, end_of_stream, StreamFacts) -> (Stream, Verdict<RequestHead>)
//!                      Verdict::Paused  ->  stream.resumed().await  -> Verdict<RequestHead>, never Paused
//!                        with a body: stream.wanted().await, then stream.request_body(chunk, end), until one has it
//!                      Verdict::Continue(head): forward `head`, then
//!                    stream.response(ResponseHead, end_of_stream)   -> Verdict<ResponseHead>
//!                      Verdict::Paused  ->  stream.response_resumed().await
//!                    drop(stream): log, done, delete, exactly once
//! ```
//!
//! [`Plugin::start`] and everything after it must run inside a tokio `LocalSet` (or `LocalRuntime`) of a current-thread
//! runtime, as timers, HTTP calls and rebuilds are local tasks. Only [`Engine`], [`Module`] and [`Shared`] are `Send`.
//!
//! - Header maps are moved in and returned in the verdict; only the values that the plugin reads are copied.
//! - [`Verdict::Reply`] is the plugin's own response, which its `on_response_headers` has already seen; do not call
//!   [`Stream::response`] for it. The proxy sets `content-length`.
//! - [`Verdict::Failed`] means: answer 503, never forward. There is no running instance, the plugin trapped or missed
//!   its deadline, it kept the request paused for too long, or it left a head that is not valid HTTP.
//! - [`Verdict::Closed`] means: the plugin reset the stream; close it without a response.
//! - [`Stream::closed`] completes when a stream that was already forwarded, such as a WebSocket, has to end.
//!
//! # Differences from Envoy
//!
//! - Bodies and trailers stream past the plugin, and body buffers read as empty. `on_response_body` and the trailers
//!   callbacks are never called, and `on_request_body` is called in two cases only:
//!   - `on_request_headers` paused the request and no HTTP call that was made for it is in progress. Then the plugin
//!     sees the body as in Envoy with `allow_on_headers_stop_iteration`: all that is buffered so far, until the plugin
//!     continues the request or answers it. The plugin may change the buffered body. This costs nothing for a request
//!     that is continued with its head.
//!   - The client sent data over its open websocket, at intervals ([`Stream::client_spoke`]): the size is the number of
//!     bytes since the last call, or of a short piece alone, and the buffer has the first few bytes of the reported
//!     piece. The return value is ignored.
//! - A body callback either keeps a whole body or none of it: `StopIterationAndWatermark` and `StopIterationNoBuffer`
//!   keep it as well.
//! - A header map that is not available reads as absent (`NOT_FOUND`) where Envoy returns `BAD_ARGUMENT`, on which the
//!   Rust SDK panics. Writing to one is `BAD_ARGUMENT` in both, so that no edit is lost silently. During `on_log` no
//!   header map is available, since the heads have been forwarded; `response.code` is available.
//! - A head that the plugin made invalid (control characters in a value, no `:path`) refuses the request; Envoy answers
//!   503 or 404. An invalid field of a response is dropped with a warning, where Envoy would write it out.
//! - A trap ends every stream of the instance at once, and the instance is rebuilt with backoff. No request is
//!   forwarded meanwhile. A panic of the host or of one of its [`Services`] counts as a trap. A panic in an HTTP call
//!   becomes its reply, with status 503.
//! - `on_response_headers` cannot pause a local reply: the reply is sent regardless.
//! - Shared queues, gRPC calls and foreign functions return the failing status that the SDKs accept.

mod abi;
mod activity;
mod backoff;
mod call_counts;
mod callbacks;
mod calls;
mod config;
mod context;
mod engine;
mod guest;
mod head;
mod instance;
mod log;
mod maps;
mod metrics;
mod module;
mod module_cache;
mod pairs;
mod plugin;
mod property;
mod request_body;
mod services;
mod shared;
mod start_error;
mod state;
mod status;
mod stream;
#[cfg(test)]
mod tests;

pub use activity::PluginActivity;
pub use call_counts::CallCounts;
pub use calls::{CallFuture, CallReply, HttpCalls, NoCalls};
pub use config::PluginConfig;
pub use engine::{Engine, EngineError};
pub use head::{
    ConnectionFacts, LocalReply, PeerCertificate, RequestHead, ResponseHead, StreamFacts, TlsFacts,
    Verdict,
};
pub use log::{Level, Log, TracingLog};
pub use metrics::{MetricError, MetricKind, MetricReading, MetricTable, Metrics};
pub use module::{Module, ModuleError};
pub use module_cache::{ModuleCache, ModuleCacheError};
pub use plugin::Plugin;
pub use services::{Clock, NoProperties, Properties, Services, Shared, SystemClock};
pub use shared::{MemoryData, NotStored, SharedData};
pub use start_error::StartError;
pub use stream::{Ended, Stream, Wanted};
