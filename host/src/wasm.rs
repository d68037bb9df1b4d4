//! The plugin that decides, as the proxy runs it.

pub(crate) use proxy_wasm_host::{
    CallFuture, CallReply, Callouts, ConnectionFacts, Ended, LocalReply, Module, PeerCertificate,
    PluginSettings, RequestHead, ResponseHead, Shared, Stream, StreamFacts, TlsFacts, Verdict,
    Wanted, Worker,
};
