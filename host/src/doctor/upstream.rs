//! Checks each upstream of each route: its name, a connection, TLS, and a response.

use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use jetway_core::config::{Endpoint, Origin, Route, Upstreams};
use jetway_proxy::tls::Roots;
use jetway_proxy::upstream::{ConnectFault, Connector};

use super::Subject;
use super::answer::{Answer, ProbeError};
use super::cockpit;
use super::finding::{Change, Finding};
use super::names::look_up;
use super::redirects;
use super::repeated::{RepeatedAnswers, explain};
use super::upstream_probe::UpstreamProbe;
use super::upstream_tls::explain_tls;
use crate::cockpit::{looks_like_cockpit, public_origin};

const CHECK: &str = "upstream";
/// Most upstreams that are probed, because each may take seconds.
const MOST_PROBED: usize = 60;

/// Upstreams that are probed at the same time.
const AT_ONCE: usize = 8;

/// Probes the upstreams of all routes; the findings are in the order of the file.
pub(super) async fn examine(subject: &Subject<'_>, roots: &Roots) -> Vec<Finding> {
    let routes = subject.config.routes.iter().enumerate();
    let all: Vec<_> = routes
        .filter_map(|(index, route)| Some((index, route, route.target.upstreams()?)))
        .flat_map(|(index, route, upstreams)| {
            let endpoints = upstreams.endpoints.iter();
            endpoints.map(move |endpoint| (index, route, upstreams, endpoint))
        })
        .collect();
    let asked = all
        .iter()
        .take(MOST_PROBED)
        .map(|(index, route, upstreams, endpoint)| {
            check_endpoint(subject, (*index, route), (upstreams, endpoint), roots)
        });
    let found: Vec<Vec<Finding>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut findings = found.concat();
    let left_out = all.len().saturating_sub(MOST_PROBED);
    if left_out > 0 {
        let message = format!("{left_out} more upstreams were not checked");
        findings.push(Finding::warning(CHECK, subject.name, message));
    }
    findings
}

async fn check_endpoint(
    subject: &Subject<'_>,
    (index, route): (usize, &Route),
    (upstreams, endpoint): (&Upstreams, &Endpoint),
    roots: &Roots,
) -> Vec<Finding> {
    let about = format!("{} to {}", Subject::describe_route(route), endpoint.origin);
    let connector = match Connector::upstream(&endpoint.origin, &upstreams.tls, roots) {
        Ok(connector) => connector,
        Err(error) => {
            return vec![
                Finding::failure(CHECK, &about, format!("{error:#}"))
                    .seen("nothing: Jetway does not start"),
            ];
        }
    };
    let probe = UpstreamProbe {
        subject,
        about,
        index,
        route,
        endpoint,
        public: public_origin(subject.config, route),
        proto: if forwards_http(subject) {
            "http"
        } else {
            "https"
        },
        connector,
    };
    let answers = RepeatedAnswers::collect(&probe).await;
    let mut findings = Vec::new();
    if let Some(different) = answers.compare(&probe.about) {
        let addresses = list_addresses(&endpoint.origin).await;
        findings.push(different.why(explain(&addresses)));
    }
    let ping = match answers.into_first() {
        Ok(answer) => answer,
        Err(error) => return vec![report_unreachable(&probe, error)],
    };
    if cockpit::is_cockpit(&ping) {
        findings.push(Finding::ok(CHECK, &probe.about, "Cockpit answers there"));
        findings.extend(cockpit::examine(&probe).await);
        return findings;
    }
    findings.extend(check_application(&probe).await);
    if looks_like_cockpit(route) && !ping.status.is_success() {
        findings.extend(cockpit::report_missing(&probe, &ping));
    }
    findings
}

/// Returns the addresses of an upstream's name. `localhost` is this machine, whatever it resolves to.
async fn list_addresses(origin: &Origin) -> Vec<String> {
    if origin.is_loopback() {
        return Vec::new();
    }
    let found = look_up(&origin.host, origin.port).await.unwrap_or_default();
    found.iter().map(|found| found.ip().to_string()).collect()
}

/// Whether upstreams get `X-Forwarded-Proto: http`, because TLS ends at a proxy in front that is not trusted.
fn forwards_http(subject: &Subject<'_>) -> bool {
    let listener = &subject.config.listener;
    listener.insecure && listener.trusted_hops == 0
}

/// Explains why an upstream does not answer.
fn report_unreachable(probe: &UpstreamProbe<'_>, error: ProbeError) -> Finding {
    let status = match &error {
        ProbeError::Broken(error) if error.is_parse() => 502,
        ProbeError::Slow => 504,
        ProbeError::Connect(_) | ProbeError::Broken(_) | ProbeError::Unprepared => 503,
    };
    let (message, why, changes) = explain_error(probe, error);
    let finding = Finding::failure(CHECK, &probe.about, message)
        .seen(format!(
            "after the sign-in, a page that says that the application cannot be reached ({status})"
        ))
        .why(why);
    changes.into_iter().fold(finding, Finding::change)
}

/// Returns the message, the cause and the fixes for an error.
fn explain_error(probe: &UpstreamProbe<'_>, error: ProbeError) -> (String, String, Vec<Change>) {
    let origin = &probe.endpoint.origin;
    let to = |what: &str| probe.in_route("to", what);
    match error {
        ProbeError::Connect(ConnectFault::Resolve { name, source }) => (
            format!("cannot resolve the name `{name}`: {source}"),
            "no name server of this machine knows it".to_owned(),
            vec![to(
                "write a name that this machine can resolve, or an address",
            )],
        ),
        ProbeError::Connect(ConnectFault::Connect { address, source }) => (
            format!("{address} does not accept the connection: {source}"),
            "no server listens there, or a firewall blocks the connection".to_owned(),
            vec![if looks_like_cockpit_port(origin) {
                Change::act("start Cockpit there").line("systemctl enable --now cockpit.socket")
            } else {
                to("start the application there, or correct the address and the port")
            }],
        ),
        ProbeError::Connect(ConnectFault::Tls(error)) => {
            let cause = explain_tls(probe, &error);
            (format!("TLS fails: {error}"), cause.why, cause.changes)
        }
        ProbeError::Connect(ConnectFault::Slow) | ProbeError::Slow => (
            "no response in time".to_owned(),
            "a firewall drops the packets, or the machine is off".to_owned(),
            vec![to("check the address and the port")],
        ),
        other => (
            format!("a server listens there, and its response is not HTTP: {other}"),
            "the port belongs to another program, or it expects TLS".to_owned(),
            vec![
                to("write the URL with the scheme of the server").line(format!(
                    "to: {}://{}:{}",
                    if origin.tls { "http" } else { "https" },
                    origin.host,
                    origin.port
                )),
            ],
        ),
    }
}

fn looks_like_cockpit_port(origin: &Origin) -> bool {
    const COCKPIT_PORT: u16 = 9090;
    origin.port == COCKPIT_PORT
}

async fn check_application(probe: &UpstreamProbe<'_>) -> Vec<Finding> {
    let about = probe.about.as_str();
    let answer = probe.get("/").await;
    let redirect = match &answer {
        Ok(answer) if !is_loop(answer, probe) => redirects::follow(probe, answer).await,
        Ok(_) | Err(_) => None,
    };
    let finding = match answer {
        Err(error) => report_unreachable(probe, error),
        Ok(answer) if is_loop(&answer, probe) => report_redirect_loop(probe, &answer),
        Ok(answer) if is_plain_to_tls(&answer, probe) => Finding::failure(
            CHECK,
            about,
            "it expects TLS, and the route uses plain http",
        )
        .seen("an error page of the application instead of the application")
        .why("`to` has http, and the port expects https")
        .change(probe.in_route("to", "write").line(format!(
            "to: https://{}:{}",
            probe.endpoint.origin.host, probe.endpoint.origin.port
        ))),
        Ok(answer) if answer.status.is_server_error() => {
            Finding::warning(CHECK, about, format!("it answers {}", answer.outcome()))
                .seen("the application's own error page")
                .why("the application, or a proxy in front of it, is not ready")
                .change(Change::act("check the application's log"))
        }
        Ok(answer) => Finding::ok(CHECK, about, format!("it answers {}", answer.outcome())),
    };
    std::iter::once(finding).chain(redirect).collect()
}

/// Whether an upstream over plain HTTP redirects the browser to the URL at which it already is.
pub(super) fn is_loop(answer: &Answer, probe: &UpstreamProbe<'_>) -> bool {
    let Some(url) = answer
        .location()
        .and_then(|location| url::Url::parse(location).ok())
    else {
        return false;
    };
    let asked = url.path() == probe.path("/") || url.path() == "/";
    !probe.endpoint.origin.tls
        && asked
        && Origin::of(&url).is_some_and(|origin| origin == probe.public)
}

fn report_redirect_loop(probe: &UpstreamProbe<'_>, answer: &Answer) -> Finding {
    let location = answer.location().unwrap_or_default();
    Finding::failure(
        CHECK,
        &probe.about,
        format!("it redirects to {location}, where the browser already is"),
    )
    .seen("\"redirected you too many times\" (ERR_TOO_MANY_REDIRECTS)")
    .why("it requires https, is reached over plain http, and ignores `X-Forwarded-Proto`")
    .change(probe.in_route(
        "to",
        "use https for it, or make it trust `X-Forwarded-Proto`",
    ))
}

/// Whether the response is that of a web server to a plain request on a TLS port.
fn is_plain_to_tls(answer: &Answer, probe: &UpstreamProbe<'_>) -> bool {
    let text = answer.text().to_lowercase();
    !probe.endpoint.origin.tls
        && answer.status == StatusCode::BAD_REQUEST
        && (text.contains("plain http request was sent to https")
            || text.contains("http request to an https server"))
}
