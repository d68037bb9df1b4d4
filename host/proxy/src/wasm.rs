//! The plugin that decides, as the proxy runs it. The benchmark `plain_proxy` replaces this module by one that permits
//! every request.

pub(crate) use proxy_wasm_host::{
    CallFuture, CallReply, ConnectionFacts, Ended, Engine, HttpCalls, Level, LocalReply, Log,
    Module, ModuleCache, PeerCertificate, Plugin, PluginConfig, RequestHead, ResponseHead,
    Services, Shared, Stream, StreamFacts, TlsFacts, TracingLog, Verdict, Wanted,
};
