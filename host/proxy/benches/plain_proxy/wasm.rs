//! Replaces the plugin: each request is permitted at once, and nothing else is reported or decided.

pub(crate) use proxy_wasm_host::{
    CallFuture, CallReply, ConnectionFacts, HttpCalls, Level, LocalReply, Log, ModuleCache,
    PeerCertificate, PluginConfig, RequestHead, ResponseHead, Services, Shared, StreamFacts,
    TlsFacts, TracingLog, Verdict,
};

use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use anyhow::ensure;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use jetway_core::contract::ROUTE_HEADER;

static ROUTE: OnceLock<HeaderValue> = OnceLock::new();

/// Chooses the route that every request gets.
pub(crate) fn permit_everything_for(route: &str) -> anyhow::Result<()> {
    let id = HeaderValue::from_str(route)?;
    ensure!(ROUTE.set(id).is_ok(), "the route is already chosen");
    Ok(())
}

pub(crate) struct Engine;

impl Engine {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn with_cache(self, _: ModuleCache) -> Self {
        self
    }
}

#[derive(Clone)]
pub(crate) struct Module;

impl Module {
    pub(crate) fn compile(_: &Engine, _: &[u8]) -> anyhow::Result<Self> {
        Ok(Self)
    }
}

pub(crate) struct Plugin;

impl Plugin {
    pub(crate) fn start(_: &Module, _: Rc<PluginConfig>, _: Services) -> anyhow::Result<Rc<Self>> {
        Ok(Rc::new(Self))
    }

    pub(crate) fn request(
        self: &Rc<Self>,
        mut head: RequestHead,
        _: bool,
        _: StreamFacts,
    ) -> (Stream, Verdict<RequestHead>) {
        match ROUTE.get() {
            Some(route) => {
                head.headers
                    .insert(HeaderName::from_static(ROUTE_HEADER), route.clone());
                (Stream, Verdict::Continue(head))
            }
            None => (Stream, Verdict::Failed),
        }
    }

    pub(crate) fn hold(&self) {}

    pub(crate) fn serve(&self) {}

    pub(crate) fn is_live(&self) -> bool {
        true
    }

    pub(crate) async fn shutdown(&self) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    Lost,
}

#[expect(clippy::large_enum_variant, reason = "as in the proxy itself")]
pub(crate) enum Wanted {
    Nothing(Verdict<RequestHead>),
    Body,
}

pub(crate) struct Stream;

impl Stream {
    pub(crate) async fn resumed(&mut self) -> Verdict<RequestHead> {
        Verdict::Failed
    }

    pub(crate) fn response(&mut self, head: ResponseHead, _: bool) -> Verdict<ResponseHead> {
        Verdict::Continue(head)
    }

    pub(crate) async fn response_resumed(&mut self) -> Verdict<ResponseHead> {
        Verdict::Failed
    }

    pub(crate) async fn wanted(&mut self) -> Wanted {
        Wanted::Nothing(Verdict::Failed)
    }

    pub(crate) fn request_body(&mut self, _: &[u8], _: bool) -> Verdict<RequestHead> {
        Verdict::Failed
    }

    pub(crate) fn kept_body(&self) -> usize {
        0
    }

    pub(crate) fn take_body(&mut self) -> Bytes {
        Bytes::new()
    }

    pub(crate) fn client_spoke(&self, _: u64, _: &[u8]) {}

    pub(crate) async fn closed(&self) -> Ended {
        std::future::pending().await
    }

    pub(crate) fn attached_property(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    pub(crate) fn poll_closed(&self, _: &Context<'_>) -> Poll<Ended> {
        Poll::Pending
    }
}
