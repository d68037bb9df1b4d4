//! Whether Cockpit accepts the browser's websocket, and which setting is wrong if it does not.
//!
//! Cockpit compares the `Origin` of a handshake with `Origins` in its file, or, without that, with the one origin that it
//! thinks it has: `http` or `https`, and the `Host` that it sees. It answers without a login, so the same question with
//! other values tells what it would have accepted.

use std::fmt::Write as _;

use http::StatusCode;

use super::super::Subject;
use super::super::answer::{Answer, Silence};
use super::super::finding::{Change, Finding};
use super::super::visit::Visit;
use super::local::Local;
use super::{CONNECTION_FAILED, restart};

const CHECK: &str = "cockpit-origin";
const UPGRADE: &str = "cockpit-upgrade";
const SOCKET: &str = "/cockpit/socket";
/// A host that nobody has (RFC 2606): Cockpit accepts it only if it accepts every host.
const NOBODYS: &str = "jetway-doctor.invalid";
/// What Cockpit says on a websocket without a login.
const NO_SESSION: &str = "no-session";

/// What Cockpit's file says, as far as it can be told from outside.
struct Traits {
    /// Whether `Origins` is set.
    has_origins: bool,
    /// Whether it takes the connection for https: it speaks TLS, or believes `X-Forwarded-Proto`.
    knows_https: bool,
    /// Origins that no browser sends here, and that it accepts nevertheless.
    accepted: Vec<String>,
}

/// Opens a websocket as a browser would, and closes it again.
pub(super) async fn examine(
    subject: &Subject<'_>,
    index: usize,
    visit: &Visit<'_>,
    about: &str,
    local: &Local,
) -> Vec<Finding> {
    let public = visit.public.to_string();
    let answer = match visit.handshake(SOCKET, &public).await {
        Ok(answer) => answer,
        Err(silence) => return vec![silent(about, silence)],
    };
    let finding = match answer.status {
        StatusCode::SWITCHING_PROTOCOLS => accepted(about, &public, &answer),
        StatusCode::FORBIDDEN => refused(subject, index, visit, about, local).await,
        StatusCode::BAD_REQUEST => lost(about, &answer, subject, index),
        _ => Finding::failure(UPGRADE, about, format!("a websocket handshake is answered with {}", answer.outcome()))
            .seen(CONNECTION_FAILED)
            .why("something between Jetway and Cockpit answers instead of Cockpit, or Cockpit has another `UrlRoot`"),
    };
    vec![finding]
}

fn silent(about: &str, silence: Silence) -> Finding {
    Finding::failure(
        UPGRADE,
        about,
        format!("a websocket handshake is not answered: {}", silence.told()),
    )
    .seen(CONNECTION_FAILED)
    .why("something between Jetway and Cockpit lets no websockets pass")
}

fn accepted(about: &str, public: &str, answer: &Answer) -> Finding {
    if answer.text().contains(NO_SESSION) {
        Finding::ok(
            CHECK,
            about,
            format!("Cockpit takes websockets from {public}"),
        )
    } else {
        Finding::warning(
            UPGRADE,
            about,
            "a websocket opens, and what answers does not speak as Cockpit does",
        )
        .seen(CONNECTION_FAILED)
        .why("something between Jetway and Cockpit opens the websocket instead of Cockpit")
    }
}

fn lost(about: &str, answer: &Answer, subject: &Subject<'_>, index: usize) -> Finding {
    let message = format!(
        "Cockpit gets no websocket handshake: it answers {}",
        answer.outcome()
    );
    Finding::failure(UPGRADE, about, message)
        .seen(CONNECTION_FAILED)
        .why(
            "another proxy between Jetway and Cockpit drops the headers `Upgrade` and `Connection`",
        )
        .change(subject.in_route(index, "to", "lead the route to Cockpit itself"))
        .change(
            Change::act("or let that proxy pass upgrades on; in nginx")
                .line("proxy_http_version 1.1;")
                .line("proxy_set_header Upgrade $http_upgrade;")
                .line("proxy_set_header Connection \"upgrade\";"),
        )
}

async fn refused(
    subject: &Subject<'_>,
    index: usize,
    visit: &Visit<'_>,
    about: &str,
    local: &Local,
) -> Finding {
    let traits = Traits::find(visit).await;
    let public = visit.public.to_string();
    let finding =
        Finding::failure(CHECK, about, message(&public, &traits, visit)).seen(CONNECTION_FAILED);
    let host = visit.host(SOCKET);
    let untouched = visit.handshake_as(SOCKET, &host, &public).await;
    if opens(untouched.as_ref()) {
        return of_jetway(about, &public, visit, subject, index);
    }
    if traits.has_origins {
        return wrong_origins(finding, &public, &traits, local);
    }
    match (traits.knows_https, visit.rewrites_host()) {
        (true, _) => finding
            .why(format!(
                "Cockpit sees the host `{}` and takes https://{} for its origin",
                visit.host(SOCKET),
                visit.host(SOCKET)
            ))
            .change(keep_host(subject, index)),
        (false, false) => finding
            .why("Cockpit does not know that the visitor came over https: it thinks that its origin begins with http://")
            .change(believe(local, "write"))
            .change(restart()),
        (false, true) => finding
            .why(format!(
                "Cockpit sees the host `{}` over http, and takes http://{} for its origin",
                visit.host(SOCKET),
                visit.host(SOCKET)
            ))
            .change(keep_host(subject, index))
            .change(believe(local, "and write"))
            .change(restart()),
    }
}

/// What this proxy sends is what Cockpit refuses: it would accept the same over https and without the route's edits.
fn of_jetway(
    about: &str,
    public: &str,
    visit: &Visit<'_>,
    subject: &Subject<'_>,
    index: usize,
) -> Finding {
    let message = format!(
        "Cockpit refuses websockets from {public} (403, bad Origin), for what Jetway tells it"
    );
    let finding = Finding::failure(CHECK, about, message).seen(CONNECTION_FAILED);
    let spoilt = spoils(visit).join("`, `");
    if spoilt.is_empty() {
        return finding
            .why("Jetway listens without TLS and believes no proxy in front of it, so that it tells Cockpit `X-Forwarded-Proto: http`")
            .change(
                subject
                    .at_top("insecure_server", "if exactly one proxy in front terminates TLS, write")
                    .line("xff_num_trusted_hops: 1"),
            );
    }
    finding
        .why(format!("the route changes `{spoilt}` on the way, and Cockpit needs what the browser and Jetway sent"))
        .change(subject.in_route(
            index,
            "set_request_headers",
            &format!("take `{spoilt}` out of `set_request_headers` and `remove_request_headers`"),
        ))
}

/// Whether a handshake was accepted.
fn opens(answer: Result<&Answer, &Silence>) -> bool {
    answer.is_ok_and(|answer| answer.status == StatusCode::SWITCHING_PROTOCOLS)
}

fn message(public: &str, traits: &Traits, visit: &Visit<'_>) -> String {
    let mut message = format!("Cockpit refuses websockets from {public} (403, bad Origin)");
    // Writing to a text cannot fail.
    let _ = match (
        traits.has_origins,
        traits.knows_https,
        visit.rewrites_host(),
    ) {
        (true, ..) => write!(message, ": `Origins` lacks it"),
        (false, true, _) => write!(message, ": it sees another host"),
        (false, false, false) => write!(message, ": `ProtocolHeader` is missing"),
        (false, false, true) => write!(
            message,
            ": it sees another host, and `ProtocolHeader` is missing"
        ),
    };
    message
}

fn keep_host(subject: &Subject<'_>, index: usize) -> Change {
    subject
        .in_route(
            index,
            "preserve_host_header",
            "let Cockpit see the host that the browser sees: in this route write",
        )
        .line("preserve_host_header: true")
}

fn believe(local: &Local, what: &str) -> Change {
    local
        .conf("WebService", "ProtocolHeader", what)
        .line("ProtocolHeader = X-Forwarded-Proto")
}

fn wrong_origins(finding: Finding, public: &str, traits: &Traits, local: &Local) -> Finding {
    let written = local
        .file()
        .and_then(|conf| conf.value("WebService", "Origins"));
    let mut why = match (&written, traits.accepted.as_slice()) {
        (Some(written), _) => format!("`Origins` is `{}`", shortened(written.value)),
        (None, []) => "`Origins` is set to other addresses".to_owned(),
        (None, accepted) => format!("`Origins` has `{}`", accepted.join("` and `")),
    };
    for accepted in &traits.accepted {
        let _ = write!(why, "; {}", reproach(accepted, public));
    }
    why.push_str("; Cockpit compares it with the page's origin, letter by letter");
    let line = match written.map(|written| written.value) {
        // The operator's other addresses stay, but for those that are misspellings of this one.
        Some(value) => {
            let others = value
                .split([' ', ','])
                .filter(|word| !word.is_empty() && !traits.accepted.iter().any(|bad| bad == word));
            let mut all: Vec<&str> = vec![public];
            all.extend(others);
            format!("Origins = {}", all.join(" "))
        }
        None => format!("Origins = {public}"),
    };
    finding
        .why(why)
        .change(local.conf("WebService", "Origins", "write").line(line))
        .change(restart())
}

/// What is wrong with an origin that Cockpit accepts instead of the page's.
fn reproach(accepted: &str, public: &str) -> String {
    if accepted.starts_with("wss:") || accepted.starts_with("ws:") {
        "browsers send `https://` for a websocket, too, never `wss://`".to_owned()
    } else if accepted.ends_with('/') {
        "an origin has no slash at its end".to_owned()
    } else if accepted.starts_with("http:") {
        format!("visitors come by {public}, over https")
    } else {
        format!("the port has to be the browser's: {public}")
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().take(LONGEST).collect()
}

/// Headers that Cockpit looks at, and that the route replaces or removes.
fn spoils<'v>(visit: &'v Visit<'_>) -> Vec<&'v str> {
    const NEEDED: [&str; 2] = ["x-forwarded-proto", "origin"];
    let edits = &visit.route.request_headers;
    let set = edits.set.iter().map(|(name, _)| name.as_str());
    let changed = set.chain(edits.remove.iter().map(String::as_str));
    changed.filter(|name| NEEDED.contains(name)).collect()
}

impl Traits {
    /// Asks for other origins than the page's.
    async fn find(visit: &Visit<'_>) -> Self {
        let accepts = async |host: &str, origin: &str| {
            opens(visit.handshake_as(SOCKET, host, origin).await.as_ref())
        };
        // Without `Origins`, Cockpit accepts the host that it sees, whichever that is.
        let knows_https = accepts(NOBODYS, &format!("https://{NOBODYS}")).await;
        let has_origins = !knows_https && !accepts(NOBODYS, &format!("http://{NOBODYS}")).await;
        let mut accepted = Vec::new();
        if has_origins {
            for origin in misspellings(visit) {
                if accepts(&visit.host(SOCKET), &origin).await {
                    accepted.push(origin);
                }
            }
        }
        Self {
            has_origins,
            knows_https,
            accepted,
        }
    }
}

/// What people write instead of the page's origin.
fn misspellings(visit: &Visit<'_>) -> Vec<String> {
    let public = visit.public.to_string();
    let authority = visit.public.authority();
    let host = &visit.public.host;
    let mut origins = vec![
        format!("wss://{authority}"),
        format!("{public}/"),
        format!("http://{authority}"),
        format!("https://{host}"),
        format!("https://{host}:443"),
        format!("wss://{host}"),
        format!("https://{host}/"),
        format!("http://{host}"),
    ];
    let mut known = vec![public];
    origins.retain(|origin| {
        let new = !known.contains(origin);
        known.push(origin.clone());
        new
    });
    origins
}
