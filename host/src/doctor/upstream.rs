//! Each upstream of each route: its name, a connection, TLS, an answer.

use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use jetway_core::config::{Endpoint, Origin, Route, Upstreams};
use jetway_proxy::tls::Roots;
use jetway_proxy::upstream::{ConnectFault, Connector};

use super::Subject;
use super::answer::{Answer, Silence};
use super::cockpit;
use super::finding::{Change, Finding};
use super::visit::Visit;
use crate::cockpit::{looks_like_cockpit, public_origin};

const CHECK: &str = "upstream";
/// Upstreams that are asked: past that, asking takes longer than anybody waits.
const MOST_ASKED: usize = 60;

/// Upstreams that are asked at the same time.
const AT_ONCE: usize = 8;

/// Asks the upstreams of all routes; the findings are in the order of the file.
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
        .take(MOST_ASKED)
        .map(|(index, route, upstreams, endpoint)| {
            of_endpoint(subject, *index, route, upstreams, endpoint, roots)
        });
    let found: Vec<Vec<Finding>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut findings = found.concat();
    let left_out = all.len().saturating_sub(MOST_ASKED);
    if left_out > 0 {
        let message = format!("{left_out} more upstreams were not asked");
        findings.push(Finding::warning(CHECK, subject.name, message));
    }
    findings
}

async fn of_endpoint(
    subject: &Subject<'_>,
    index: usize,
    route: &Route,
    upstreams: &Upstreams,
    endpoint: &Endpoint,
    roots: &Roots,
) -> Vec<Finding> {
    let about = format!("{} to {}", Subject::called(route), endpoint.origin);
    let connector = match Connector::upstream(&endpoint.origin, &upstreams.tls, roots) {
        Ok(connector) => connector,
        Err(error) => {
            return vec![
                Finding::failure(CHECK, &about, format!("{error:#}"))
                    .seen("nothing: Jetway does not start"),
            ];
        }
    };
    let visit = Visit {
        route,
        endpoint,
        public: public_origin(subject.config, route),
        proto: if told_http(subject) { "http" } else { "https" },
        connector,
    };
    let ping = match visit.get("/ping").await {
        Ok(answer) => answer,
        Err(silence) => {
            return vec![unreachable(
                &about,
                silence,
                subject,
                index,
                &endpoint.origin,
            )];
        }
    };
    if cockpit::is_cockpit(&ping) {
        let mut findings = vec![Finding::ok(CHECK, &about, "Cockpit answers there")];
        findings.extend(cockpit::examine(subject, index, &visit, &about).await);
        return findings;
    }
    let mut findings = vec![of_application(&about, &visit, subject, index).await];
    if looks_like_cockpit(route) && !ping.status.is_success() {
        findings.extend(cockpit::missing(&about, &ping, subject, index));
    }
    findings
}

/// Whether upstreams are told that visitors come over plain http: TLS ends at a proxy in front that is not believed.
fn told_http(subject: &Subject<'_>) -> bool {
    let listener = &subject.config.listener;
    listener.insecure && listener.trusted_hops == 0
}

/// Why nothing answers.
fn unreachable(
    about: &str,
    silence: Silence,
    subject: &Subject<'_>,
    index: usize,
    origin: &Origin,
) -> Finding {
    let to = |what: &str| subject.in_route(index, "to", what);
    let status = match &silence {
        Silence::Broken(error) if error.is_parse() => 502,
        Silence::Slow => 504,
        Silence::Connect(_) | Silence::Broken(_) | Silence::Unprepared => 503,
    };
    let (message, why, change) = match silence {
        Silence::Connect(ConnectFault::Resolve { name, source }) => (
            format!("the name `{name}` is not found: {source}"),
            "this machine's name servers do not know it".to_owned(),
            to("write a name that this machine can find, or an address"),
        ),
        Silence::Connect(ConnectFault::Connect { address, source }) => (
            format!("{address} accepts no connection: {source}"),
            "nothing listens there, or a firewall is between".to_owned(),
            if looks_like_cockpit_port(origin) {
                Change::act("start Cockpit there").line("systemctl enable --now cockpit.socket")
            } else {
                to("start the application there, or write its right address and port")
            },
        ),
        Silence::Connect(ConnectFault::Tls(error)) => (
            format!("TLS fails: {error}"),
            "its certificate is not from an authority that this machine trusts, is for another name, or it speaks no TLS".to_owned(),
            to("name the authority that signed it, or, for a certificate that nobody signed on a machine of your own, skip the check")
                .line("tls_custom_ca_file: /etc/jetway/upstream-ca.pem")
                .line("# or: tls_skip_verify: true"),
        ),
        Silence::Connect(ConnectFault::Slow) | Silence::Slow => (
            "nothing answers in time".to_owned(),
            "a firewall drops what is sent there, or the machine is off".to_owned(),
            to("compare the address and the port"),
        ),
        other => (
            format!("something listens there, and its answer is no HTTP: {}", other.told()),
            "the port is another program's, or it expects TLS".to_owned(),
            to("write the address with the scheme that it speaks").line(format!(
                "to: {}://{}:{}",
                if origin.tls { "http" } else { "https" },
                origin.host,
                origin.port
            )),
        ),
    };
    Finding::failure(CHECK, about, message)
        .seen(format!(
            "after the sign-in, a page that says that the application cannot be reached ({status})"
        ))
        .why(why)
        .change(change)
}

fn looks_like_cockpit_port(origin: &Origin) -> bool {
    const COCKPIT_PORT: u16 = 9090;
    origin.port == COCKPIT_PORT
}

async fn of_application(
    about: &str,
    visit: &Visit<'_>,
    subject: &Subject<'_>,
    index: usize,
) -> Finding {
    match visit.get("/").await {
        Err(silence) => unreachable(about, silence, subject, index, &visit.endpoint.origin),
        Ok(answer) if is_loop(&answer, visit) => redirect_loop(about, &answer, subject, index),
        Ok(answer) if is_plain_to_tls(&answer, visit) => {
            Finding::failure(CHECK, about, "it speaks TLS there, and is asked without")
                .seen("an error page of the application instead of the application")
                .why("`to` says http, and the port expects https")
                .change(subject.in_route(index, "to", "write").line(format!(
                    "to: https://{}:{}",
                    visit.endpoint.origin.host, visit.endpoint.origin.port
                )))
        }
        Ok(answer) if answer.status.is_server_error() => {
            Finding::warning(CHECK, about, format!("it answers {}", answer.outcome()))
                .seen("the application's own error page")
                .why("the application, or a proxy in front of it, is not ready")
                .change(Change::act("look into the application's log"))
        }
        Ok(answer) => Finding::ok(CHECK, about, format!("it answers {}", answer.outcome())),
    }
}

/// Whether an upstream that is asked over plain HTTP sends the visitor to the address that the visitor is at.
pub(super) fn is_loop(answer: &Answer, visit: &Visit<'_>) -> bool {
    let Some(url) = answer
        .location()
        .and_then(|location| url::Url::parse(location).ok())
    else {
        return false;
    };
    let asked = url.path() == visit.path("/") || url.path() == "/";
    !visit.endpoint.origin.tls
        && asked
        && Origin::of(&url).is_some_and(|origin| origin == visit.public)
}

fn redirect_loop(about: &str, answer: &Answer, subject: &Subject<'_>, index: usize) -> Finding {
    let location = answer.location().unwrap_or_default();
    Finding::failure(
        CHECK,
        about,
        format!("it redirects to {location}, where the visitor is already"),
    )
    .seen("\"redirected you too many times\" (ERR_TOO_MANY_REDIRECTS)")
    .why("it is asked over plain http, wants https, and does not look at `X-Forwarded-Proto`")
    .change(subject.in_route(
        index,
        "to",
        "ask it over https, or let it believe `X-Forwarded-Proto`",
    ))
}

/// Web servers say so in words when they are asked in plain text on a TLS port.
fn is_plain_to_tls(answer: &Answer, visit: &Visit<'_>) -> bool {
    let text = answer.text().to_lowercase();
    !visit.endpoint.origin.tls
        && answer.status == StatusCode::BAD_REQUEST
        && (text.contains("plain http request was sent to https")
            || text.contains("http request to an https server"))
}
