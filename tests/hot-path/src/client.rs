//! A browser whose requests go through the module in the bundled host, for tests and measurements.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};
use proxy_wasm_host::{
    CallFuture, CallReply, Clock, ConnectionFacts, HttpCalls, LocalReply, Module, Plugin,
    PluginConfig, RequestHead, ResponseHead, Services, StreamFacts, Verdict,
};

use crate::provider::{ISSUER, Provider};
use crate::shape::{HOST, Headers, Shape};
use crate::world::NOW;

/// A browser of which the requests go through the module.
pub struct Client {
    plugin: Rc<Plugin>,
    upstream: Rc<ProviderUpstream>,
}

impl Client {
    /// Starts a plugin with the configuration of a shape.
    pub fn start(module: &Module, shape: &Shape) -> Result<Self> {
        let config = PluginConfig {
            name: "gate".to_owned(),
            root_id: "root".to_owned(),
            vm_id: String::new(),
            vm_configuration: Vec::new(),
            configuration: shape.file().to_string().into_bytes(),
            variables: Vec::new(),
        };
        let upstream = Rc::new(ProviderUpstream {
            provider: Provider::new()?,
            nonce: RefCell::default(),
        });
        let services = Services {
            calls: Rc::<ProviderUpstream>::clone(&upstream),
            clock: Rc::new(FixedClock),
            ..Services::default()
        };
        let plugin = Plugin::start(module, Rc::new(config), services)?;
        Ok(Self { plugin, upstream })
    }

    /// Signs a user in, and returns the `Cookie` header of the session.
    pub async fn sign_in(&self) -> Result<String> {
        let redirect = self.open("/", "").await?;
        let location = redirect.headers.get("location");
        let location = location.context("there is no redirect to the provider")?;
        let location = url::Url::parse(location.to_str()?)?;
        let query: BTreeMap<String, String> = location.query_pairs().into_owned().collect();
        let parameter = |name| query.get(name).with_context(|| format!("no `{name}`"));
        self.upstream.nonce.replace(parameter("nonce")?.clone());
        let state = parameter("state")?;
        let path = format!("/.pomerium/callback?code=c&state={state}&iss={ISSUER}");
        let reply = self.open(&path, &set_cookies(&redirect)?).await?;
        if reply.status != StatusCode::SEE_OTHER {
            bail!("the sign-in must end with a redirect, not with {reply:?}");
        }
        set_cookies(&reply)
    }

    /// Opens a page that the module answers itself.
    async fn open(&self, path: &str, cookie: &str) -> Result<LocalReply> {
        let headers = [
            (":method", "GET"),
            (":authority", HOST),
            (":path", path),
            ("accept", "text/html"),
            ("cookie", cookie),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let (mut stream, mut verdict) = self.plugin.request(head(&headers)?, true, facts()?);
        if matches!(verdict, Verdict::Paused) {
            verdict = stream.resumed().await;
        }
        match verdict {
            Verdict::Reply(reply) => Ok(reply),
            other => bail!("the module must reply, not {other:?}"),
        }
    }

    /// Sends a request that the module forwards, and the response.
    pub fn visit(&self, headers: &Headers) -> Result<()> {
        let (mut stream, verdict) = self.plugin.request(head(headers)?, true, facts()?);
        if !matches!(verdict, Verdict::Continue(_)) {
            bail!("the request must be forwarded, not {verdict:?}");
        }
        let response = ResponseHead {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
        };
        match stream.response(response, true) {
            Verdict::Continue(_) => Ok(()),
            other => bail!("the response must be forwarded, not {other:?}"),
        }
    }
}

/// A time that never changes.
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The identity provider.
struct ProviderUpstream {
    provider: Provider,
    /// The nonce of the sign-in.
    nonce: RefCell<String>,
}

impl HttpCalls for ProviderUpstream {
    fn send(&self, _: &str, request: Request<Bytes>, _: Duration) -> Option<CallFuture> {
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => Provider::discovery(),
            "/jwks" => self.provider.jwks(),
            "/token" => self.provider.tokens(&self.nonce.borrow(), NOW),
            _ => return None,
        };
        Some(Box::pin(async move {
            CallReply {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: body.to_string().into(),
            }
        }))
    }
}

/// Returns the head of a request with these headers.
fn head(headers: &[(String, Vec<u8>)]) -> Result<RequestHead> {
    let pseudo = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_slice())
            .with_context(|| format!("the request needs `{name}`"))
    };
    let mut others = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        let name = HeaderName::try_from(name.as_str())?;
        others.append(name, HeaderValue::from_bytes(value)?);
    }
    Ok(RequestHead {
        method: http::Method::from_bytes(pseudo(":method")?)?,
        scheme: Scheme::HTTPS,
        authority: HeaderValue::from_bytes(pseudo(":authority")?)?,
        path: pseudo(":path")?.try_into()?,
        headers: others,
    })
}

fn facts() -> Result<StreamFacts> {
    let peer = "203.0.113.7:51072".parse()?;
    Ok(StreamFacts {
        received: UNIX_EPOCH + Duration::from_secs(NOW),
        version: Version::HTTP_11,
        source: peer,
        connection: Rc::new(ConnectionFacts {
            id: 1,
            peer,
            destination: "127.0.0.1:443".parse()?,
            tls: None,
        }),
    })
}

/// Returns the cookies that a reply sets, as a browser sends them.
fn set_cookies(reply: &LocalReply) -> Result<String> {
    let mut kept = Vec::new();
    for line in reply.headers.get_all("set-cookie") {
        let pair = line.to_str()?.split(';').next().unwrap_or_default();
        if !pair.ends_with('=') {
            kept.push(pair);
        }
    }
    Ok(kept.join("; "))
}
