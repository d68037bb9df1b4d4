//! Answers one request to an admin listener.

use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use jetway_core::secret::Secret;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Overview, status};
use crate::metrics::{TextFormat, render};

/// The programs and people that a listener is for.
#[derive(Clone, Debug)]
pub(crate) enum Audience {
    /// A monitoring system, which may have to authenticate with these credentials (`USER:PASSWORD`).
    Metrics(Option<Secret>),
    /// Probes of a supervisor or load balancer: they learn whether the proxy works, and nothing else.
    Probes,
    /// Operators.
    Operators,
}

/// The content of an answer.
type Answer = Response<Full<Bytes>>;

/// Answers a request. `checks_host` says that the listener has a loopback address, to which a web page of any site could send
/// requests under a name of its own (DNS rebinding).
pub(super) fn answer<B>(
    request: &Request<B>,
    audience: &Audience,
    checks_host: bool,
    overview: &Overview,
) -> Answer {
    if checks_host && !names_this_machine(request.headers()) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "use an IP address or `localhost` as the host\n",
        );
    }
    if let Audience::Metrics(Some(credentials)) = audience
        && !has_credentials(request.headers(), credentials)
    {
        let mut answer = refuse(StatusCode::UNAUTHORIZED, "authentication is required\n");
        let challenge = HeaderValue::from_static("Basic realm=\"metrics\", charset=\"UTF-8\"");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return answer;
    }
    let Some(show) = find_page(audience, request.uri().path()) else {
        return refuse(StatusCode::NOT_FOUND, "no such page\n");
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        let methods = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(header::ALLOW, methods);
        return answer;
    }
    show(overview, request.headers())
}

type Page = fn(&Overview, &HeaderMap) -> Answer;

fn find_page(audience: &Audience, path: &str) -> Option<Page> {
    match (audience, path) {
        (Audience::Probes | Audience::Operators, "/healthz") => Some(show_health),
        (Audience::Probes | Audience::Operators, "/readyz" | "/startupz")
        | (Audience::Probes, "/status") => Some(show_readiness),
        (Audience::Operators, "/status") => Some(show_status),
        (Audience::Metrics(_) | Audience::Operators, "/metrics") => Some(show_metrics),
        _ => None,
    }
}

/// The process is alive if it answers.
fn show_health(_: &Overview, _: &HeaderMap) -> Answer {
    respond(StatusCode::OK, "text/plain", "OK\n".to_owned())
}

fn show_readiness(overview: &Overview, _: &HeaderMap) -> Answer {
    let (is_ready, detail) = status::describe_readiness(overview);
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    respond_with_json(status, &detail)
}

fn show_status(overview: &Overview, _: &HeaderMap) -> Answer {
    let detail = status::describe_status(overview, SystemTime::now());
    respond_with_json(StatusCode::OK, &detail)
}

fn show_metrics(overview: &Overview, headers: &HeaderMap) -> Answer {
    let Some(shared) = overview.active() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the proxy starts\n");
    };
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let format = TextFormat::accepted_by(accept.unwrap_or_default());
    let (is_ready, _) = status::describe_readiness(overview);
    match render(shared.read_metrics(is_ready), format) {
        Ok(text) => respond(StatusCode::OK, format.content_type(), text),
        Err(_) => refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "cannot write the metrics\n",
        ),
    }
}

fn respond_with_json(status: StatusCode, value: &Value) -> Answer {
    respond(status, "application/json", format!("{value:#}\n"))
}

fn refuse(status: StatusCode, text: &'static str) -> Answer {
    respond(status, "text/plain", text.to_owned())
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    const NO_SNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    answer
}

/// Returns whether the request is for an IP address or `localhost`, which no other site can resolve to this machine.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(authority) = http::uri::Authority::try_from(host.as_bytes()) else {
        return false;
    };
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Compares digests, so that the time of the comparison tells nothing about the credentials.
fn has_credentials(headers: &HeaderMap, expected: &Secret) -> bool {
    let given = headers.get(header::AUTHORIZATION);
    let given = given
        .and_then(|given| given.to_str().ok())
        .unwrap_or_default();
    let (scheme, encoded) = given.split_once(' ').unwrap_or_default();
    let given = STANDARD.decode(encoded.trim()).unwrap_or_default();
    scheme.eq_ignore_ascii_case("basic")
        && Sha256::digest(given) == Sha256::digest(expected.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(audience: &Audience, path: &str, lines: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(path);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let overview = Overview::default();
        answer(&request, audience, true, &overview)
            .status()
            .as_u16()
    }

    const LOCAL: (&str, &str) = ("host", "127.0.0.1:9901");

    #[test]
    fn each_audience_has_its_pages() {
        let (metrics, probes) = (Audience::Metrics(None), Audience::Probes);
        for (path, expected) in [
            ("/healthz", [404, 200, 200]),
            ("/readyz", [404, 503, 503]),
            ("/startupz", [404, 503, 503]),
            ("/status", [404, 503, 200]),
            ("/metrics", [503, 404, 503]),
            ("/", [404, 404, 404]),
        ] {
            let audiences = [&metrics, &probes, &Audience::Operators];
            let found = audiences.map(|audience| status(audience, path, &[LOCAL]));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn other_names_of_this_machine_are_refused() {
        for (host, expected) in [
            ("127.0.0.1", 200),
            ("[::1]:9901", 200),
            ("LOCALHOST:9901", 200),
            ("evil.test:9901", 421),
            ("localhost.evil.test", 421),
            ("", 421),
        ] {
            let found = status(&Audience::Operators, "/healthz", &[("host", host)]);
            assert_eq!(found, expected, "{host}");
        }
        assert_eq!(status(&Audience::Operators, "/healthz", &[]), 421);
        let twice = [LOCAL, ("host", "evil.test")];
        assert_eq!(status(&Audience::Operators, "/healthz", &twice), 421);
    }

    #[test]
    fn metrics_may_need_credentials() {
        let metrics = Audience::Metrics(Some(Secret::new(b"prom:s3cret".to_vec())));
        let with = |value: &str| status(&metrics, "/metrics", &[LOCAL, ("authorization", value)]);
        assert_eq!(status(&metrics, "/metrics", &[LOCAL]), 401);
        // The proxy has not started, but the client may ask.
        assert_eq!(with("Basic cHJvbTpzM2NyZXQ="), 503);
        assert_eq!(with("basic cHJvbTpzM2NyZXQ="), 503);
        for wrong in [
            "Basic cHJvbTpzM2NyZXR=",
            "Bearer cHJvbTpzM2NyZXQ=",
            "Basic",
            "",
        ] {
            assert_eq!(with(wrong), 401, "{wrong}");
        }
    }

    #[test]
    fn nothing_can_be_changed() {
        let request = Request::post("/healthz")
            .header("host", "localhost")
            .body(())
            .unwrap();
        let refused = answer(&request, &Audience::Operators, true, &Overview::default());
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()["allow"], "GET, HEAD");
    }
}
