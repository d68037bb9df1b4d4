//! The plugin's own HTTP calls, which go only to the origins of the identity provider.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Limited};
use jetway_core::config::ProviderSettings;

use crate::body::RequestBody;
use crate::limits;
use crate::tls::{Roots, Trust};
use crate::upstream::{Connector, DescriptorLimit, Pool};
use crate::wasm::{CallFuture, CallReply, HttpCalls};

/// Overrides how the provider is reached.
#[derive(Clone, Debug)]
pub struct ProviderAccess {
    /// The trust in its certificate.
    pub trust: Trust,
    /// Its address; `None` for the addresses that its name resolves to.
    pub address: Option<SocketAddr>,
}

impl Default for ProviderAccess {
    fn default() -> Self {
        Self {
            trust: Trust::System,
            address: None,
        }
    }
}

/// The provider's origins by the names that the plugin uses for them, such as `https://idp.example.com`.
pub(crate) struct Providers {
    pools: HashMap<String, Rc<Pool>>,
}

impl Providers {
    /// Prepares connections to each origin of the provider, which take these descriptors. Without a provider there are
    /// none.
    ///
    /// # Errors
    /// The system has no certificate authorities, and an origin needs them.
    pub(crate) fn new(
        provider: Option<&ProviderSettings>,
        access: &ProviderAccess,
        roots: &Roots,
        descriptors: &DescriptorLimit,
    ) -> anyhow::Result<Self> {
        let origins = provider.map(ProviderSettings::origins).unwrap_or_default();
        let pools = origins.into_iter().map(|origin| {
            let connector = Connector::new(origin, &access.trust, roots)?;
            let connector = match access.address {
                Some(address) => connector.at(address),
                None => connector,
            };
            Ok((
                origin.to_string(),
                Pool::new(connector, descriptors.clone()),
            ))
        });
        Ok(Self {
            pools: pools.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Closes idle connections that are past their age.
    pub(crate) fn sweep(&self) {
        for pool in self.pools.values() {
            pool.sweep();
        }
    }
}

impl HttpCalls for Providers {
    fn send(
        &self,
        upstream: &str,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Option<CallFuture> {
        let pool = Rc::clone(self.pools.get(upstream)?);
        let name = upstream.to_owned();
        Some(Box::pin(async move {
            let started = Instant::now();
            let result = tokio::time::timeout(timeout, call(&pool, request)).await;
            let metrics = pool.metrics();
            metrics.calls.observe(started.elapsed());
            if !matches!(result, Ok(Ok(_))) {
                metrics.failed_calls.increment();
            }
            match result {
                Ok(Ok(reply)) => reply,
                Ok(Err(error)) => {
                    tracing::warn!(provider = name, "a call to the provider failed: {error:#}");
                    CallReply::unreachable()
                }
                Err(_) => {
                    tracing::warn!(
                        provider = name,
                        "a call to the provider took longer than {timeout:?}"
                    );
                    CallReply::timed_out()
                }
            }
        }))
    }
}

async fn call(pool: &Rc<Pool>, request: Request<Bytes>) -> anyhow::Result<CallReply> {
    let (mut head, body) = request.into_parts();
    // Hyper writes the length of the body that is really sent.
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::TRANSFER_ENCODING);
    let (response, lease) = pool
        .send(Request::from_parts(head, RequestBody::whole(body)))
        .await?;
    let (head, body) = response.into_parts();
    // A redirect is a response like any other, because following it would lead past the list of origins.
    let body = Limited::new(body, limits::PROVIDER_ANSWER)
        .collect()
        .await
        .map_err(anyhow::Error::from_boxed)?;
    lease.release();
    Ok(CallReply {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Hit;
    use http::StatusCode;
    use jetway_core::config::Origin;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    const LONG: Duration = Duration::from_secs(10);

    async fn listen() -> (TcpListener, String, Providers) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = Origin {
            tls: false,
            host: "127.0.0.1".to_owned(),
            port,
        };
        let connector = Connector::new(&origin, &Trust::System, &Roots::default()).unwrap();
        let pool = Pool::new(
            connector,
            DescriptorLimit::new(10, Hit::ProviderDescriptors),
        );
        let name = origin.to_string();
        (
            listener,
            name.clone(),
            Providers {
                pools: HashMap::from([(name, pool)]),
            },
        )
    }

    fn request() -> Request<Bytes> {
        Request::post("/token")
            .header("host", "idp.test")
            .header("content-length", "99")
            .body("a=b".into())
            .unwrap()
    }

    /// Accepts one connection, reads a request with a body of three bytes, answers and closes.
    async fn answer(listener: &TcpListener, answer: &[u8]) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\na=b") {
            seen.push(stream.read_u8().await.unwrap());
        }
        // The caller may have read enough before everything is written.
        let _ = stream.write_all(answer).await;
        String::from_utf8(seen).unwrap()
    }

    async fn exchange(response: &[u8]) -> (String, CallReply) {
        LocalSet::new()
            .run_until(async {
                let (listener, name, providers) = listen().await;
                let call = providers.send(&name, request(), LONG).unwrap();
                tokio::join!(answer(&listener, response), call)
            })
            .await
    }

    #[tokio::test]
    async fn a_call_and_its_response() {
        let (seen, reply) =
            exchange(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nx-a: b\r\n\r\nok").await;
        assert!(seen.starts_with("POST /token HTTP/1.1\r\n"), "{seen}");
        assert!(
            seen.contains("host: idp.test\r\n") && seen.contains("content-length: 3\r\n"),
            "{seen}"
        );
        assert_eq!(
            (reply.status, reply.body.as_ref()),
            (StatusCode::CREATED, b"ok".as_slice())
        );
        assert_eq!(reply.headers["x-a"], "b");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (_, reply) = exchange(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
        assert_eq!(reply.status, StatusCode::FOUND);
    }

    #[tokio::test]
    async fn a_response_that_is_too_large_is_refused() {
        let mut response = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            limits::PROVIDER_ANSWER + 1
        )
        .into_bytes();
        response.resize(response.len() + limits::PROVIDER_ANSWER + 1, b'x');
        let (_, reply) = exchange(&response).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn other_origins_are_not_called() {
        let (_listener, _, providers) = listen().await;
        assert!(
            providers
                .send("http://127.0.0.1:1", request(), LONG)
                .is_none()
        );
        assert!(providers.send("", request(), LONG).is_none());
    }

    #[tokio::test]
    async fn silence_and_refusal_are_replies() {
        LocalSet::new()
            .run_until(async {
                let (listener, name, providers) = listen().await;
                let silent = providers
                    .send(&name, request(), Duration::from_millis(20))
                    .unwrap()
                    .await;
                assert_eq!(silent.status, StatusCode::GATEWAY_TIMEOUT);
                drop(listener);
                let refused = providers.send(&name, request(), LONG).unwrap().await;
                assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
            })
            .await;
    }
}
