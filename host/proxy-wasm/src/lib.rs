//! The proxy-wasm runtime of the bundled proxy: runs the plugin's module on wasmtime, one long-lived instance per worker.
//!
//! # How the proxy uses it
//!
//! ```text
//! once per process   Module::compile(bytes)  ->  Module (Clone + Send + Sync)
//!                    Shared::new()           ->  Arc<Shared>: shared data and metrics of all workers
//! once per worker    Worker::start(&module, Rc<PluginSettings>, Arc<Shared>, Rc<dyn Callouts>) -> Rc<Worker>
//! once per request   worker.request(RequestHead, end_of_stream, StreamFacts) -> (Stream, Verdict<RequestHead>)
//!                      Verdict::Paused  ->  stream.resumed().await  -> Verdict<RequestHead>, never Paused
//!                        with a body: stream.wanted().await, then stream.request_body(chunk, end), until one has it
//!                      Verdict::Continue(head): forward `head`, then
//!                    stream.response(ResponseHead, end_of_stream)   -> Verdict<ResponseHead>
//!                      Verdict::Paused  ->  stream.response_resumed().await
//!                    drop(stream): log, done, delete, exactly once
//! ```
//!
//! `Worker::start` and everything after it must run inside a tokio `LocalSet` (or `LocalRuntime`) of a current-thread
//! runtime, as ticks, HTTP calls and rebuilds are local tasks. Nothing here is `Send` but [`Module`] and [`Shared`].
//!
//! - Header maps are moved in and come back in the verdict; nothing is copied but what the plugin reads.
//! - `Verdict::Reply` is the plugin's own answer, already shown to its `on_response_headers`; do not call
//!   [`Stream::response`] for it. `content-length` is left to the proxy.
//! - `Verdict::Failed` means: answer 503, never forward. There is no live instance, the plugin trapped or missed its
//!   deadline, it kept the request paused for too long, or it left a head that is no valid HTTP.
//! - `Verdict::Closed` means: the plugin reset the stream; close it without an answer.
//! - [`Stream::closed`] tells of a stream that was already forwarded (a websocket) that it has to end.
//!
//! # What is different from Envoy
//!
//! - Bodies and trailers stream past the plugin, and body buffers read as empty. `on_response_body` and the trailers
//!   callbacks are never called, and `on_request_body` in two cases only:
//!   - `on_request_headers` paused the request and no HTTP call is under way that was made for it. Then it sees the body as
//!     in Envoy with `allow_on_headers_stop_iteration`: all that was kept so far, until it continues the request or answers
//!     it. It may change what is kept. A request that is let through with its head costs nothing of this.
//!   - The client spoke over its open websocket, now and then ([`Stream::client_spoke`]): the size is the number of bytes
//!     since the last call, or of a short piece alone, and the buffer has the first few of the piece that is told. What it
//!     returns does not matter.
//! - A body callback may keep all of a body or nothing: `StopIterationAndWatermark` and `StopIterationNoBuffer` keep it, too.
//! - A header map that is not available reads as absent (`NOT_FOUND`) where Envoy returns `BAD_ARGUMENT`, on which the
//!   Rust SDK panics. Writing to one is `BAD_ARGUMENT` in both: an edit never gets lost unnoticed. During `on_log` no
//!   header map is available, since the heads have moved on; `response.code` is.
//! - A head that the plugin made invalid (control characters in a value, no `:path`) refuses the request; Envoy answers
//!   503 or 404. In a response the invalid field is dropped with a warning, where Envoy would write it out.
//! - A trap ends every stream of the instance at once and the instance is rebuilt with backoff. Nothing passes meanwhile.
//! - `on_response_headers` may not pause a local reply: it is sent regardless.
//! - Shared queues, gRPC calls and foreign functions answer with the failing status that the SDKs accept.
#![forbid(unsafe_code)]

mod abi;
mod backoff;
mod callbacks;
mod calls;
mod context;
mod engine;
mod guest;
mod head;
mod instance;
mod log;
mod maps;
mod metrics;
mod pairs;
mod property;
mod request_body;
mod settings;
mod shared;
mod state;
mod status;
mod stream;
#[cfg(test)]
mod tests;
mod worker;

pub use calls::{CallFuture, CallReply, Callouts};
pub use engine::Module;
pub use head::{
    ConnectionFacts, LocalReply, PeerCertificate, RequestHead, ResponseHead, StreamFacts, TlsFacts,
    Verdict,
};
pub use settings::PluginSettings;
pub use shared::Shared;
pub use stream::{Ended, Stream, Wanted};
pub use worker::Worker;
