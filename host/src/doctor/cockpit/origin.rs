//! Checks that Cockpit accepts the browser's WebSocket, and finds the wrong setting if it does not.
//!
//! Cockpit compares the `Origin` of a handshake with `Origins` in its file, or, without that, with the origin that it derives
//! from `http` or `https` and the `Host` that it gets. It answers without a login, so that handshakes with other values show
//! which ones it accepts.

use std::fmt::Write as _;

use http::StatusCode;

use super::local_conf::LocalConf;
use super::{CONNECTION_FAILED, restart_cockpit};
use crate::doctor::answer::{Answer, ProbeError};
use crate::doctor::finding::{Change, Finding};
use crate::doctor::upstream_probe::UpstreamProbe;

const CHECK: &str = "cockpit-origin";
const UPGRADE: &str = "cockpit-upgrade";
const SOCKET: &str = "/cockpit/socket";
/// A host that does not exist (RFC 2606): Cockpit accepts it only if it accepts every host.
const UNUSED_HOST: &str = "jetway-doctor.invalid";
/// Cockpit's message on a WebSocket without a login.
const NO_SESSION: &str = "no-session";

/// The settings of Cockpit's file, as far as they are visible from outside.
struct Traits {
    /// Whether `Origins` is set.
    has_origins: bool,
    /// Whether it considers the connection https: it speaks TLS, or trusts `X-Forwarded-Proto`.
    knows_https: bool,
    /// Origins that it accepts although no browser sends them here.
    accepted: Vec<String>,
}

/// Opens a WebSocket as a browser does, and closes it again.
pub(super) async fn examine(probe: &UpstreamProbe<'_>, local: &LocalConf) -> Vec<Finding> {
    let about = probe.about.as_str();
    let public = probe.public.to_string();
    let answer = match probe.handshake(SOCKET, &public).await {
        Ok(answer) => answer,
        Err(error) => return vec![report_error(about, &error)],
    };
    let finding = match answer.status {
        StatusCode::SWITCHING_PROTOCOLS => report_accepted(about, &public, &answer),
        StatusCode::FORBIDDEN => report_refused(probe, local).await,
        StatusCode::BAD_REQUEST => report_lost_upgrade(probe, &answer),
        _ => Finding::failure(UPGRADE, about, format!("a WebSocket handshake is answered with {}", answer.outcome()))
            .seen(CONNECTION_FAILED)
            .why("a server between Jetway and Cockpit answers instead of Cockpit, or Cockpit has another `UrlRoot`"),
    };
    vec![finding]
}

fn report_error(about: &str, error: &ProbeError) -> Finding {
    Finding::failure(
        UPGRADE,
        about,
        format!("a WebSocket handshake is not answered: {error}"),
    )
    .seen(CONNECTION_FAILED)
    .why("a server between Jetway and Cockpit blocks WebSockets")
}

fn report_accepted(about: &str, public: &str, answer: &Answer) -> Finding {
    if answer.text().contains(NO_SESSION) {
        Finding::ok(
            CHECK,
            about,
            format!("Cockpit accepts WebSockets from {public}"),
        )
    } else {
        Finding::warning(
            UPGRADE,
            about,
            "a WebSocket opens, and the server does not behave like Cockpit",
        )
        .seen(CONNECTION_FAILED)
        .why("a server between Jetway and Cockpit opens the WebSocket instead of Cockpit")
    }
}

fn report_lost_upgrade(probe: &UpstreamProbe<'_>, answer: &Answer) -> Finding {
    let message = format!(
        "Cockpit gets no WebSocket handshake: it answers {}",
        answer.outcome()
    );
    Finding::failure(UPGRADE, &probe.about, message)
        .seen(CONNECTION_FAILED)
        .why(
            "another proxy between Jetway and Cockpit drops the headers `Upgrade` and `Connection`",
        )
        .change(probe.in_route("to", "point the route at Cockpit itself"))
        .change(
            Change::act("or make that proxy forward upgrades; in nginx")
                .line("proxy_http_version 1.1;")
                .line("proxy_set_header Upgrade $http_upgrade;")
                .line("proxy_set_header Connection \"upgrade\";"),
        )
}

async fn report_refused(probe: &UpstreamProbe<'_>, local: &LocalConf) -> Finding {
    let traits = Traits::find(probe).await;
    let public = probe.public.to_string();
    let finding = Finding::failure(
        CHECK,
        &probe.about,
        describe_refusal(&public, &traits, probe),
    )
    .seen(CONNECTION_FAILED);
    let host = probe.host(SOCKET);
    let untouched = probe.handshake_as(SOCKET, &host, &public).await;
    if is_upgrade(untouched.as_ref()) {
        return explain_own_headers(probe, &public);
    }
    if traits.has_origins {
        return explain_origins(finding, &public, &traits, local);
    }
    match (traits.knows_https, probe.rewrites_host()) {
        (true, _) => finding
            .why(format!(
                "Cockpit gets the host `{}` and expects the origin https://{}",
                probe.host(SOCKET),
                probe.host(SOCKET)
            ))
            .change(keep_host(probe)),
        (false, false) => finding
            .why("Cockpit does not know that the browser uses https, and expects an origin with http://")
            .change(trust_proto(local, "write"))
            .change(restart_cockpit()),
        (false, true) => finding
            .why(format!(
                "Cockpit gets the host `{}` over http, and expects the origin http://{}",
                probe.host(SOCKET),
                probe.host(SOCKET)
            ))
            .change(keep_host(probe))
            .change(trust_proto(local, "and write"))
            .change(restart_cockpit()),
    }
}

/// Explains a refusal that this proxy's headers cause: Cockpit accepts the same over https and without the route's edits.
fn explain_own_headers(probe: &UpstreamProbe<'_>, public: &str) -> Finding {
    let message = format!(
        "Cockpit refuses WebSockets from {public} (403, bad Origin), because of the headers that Jetway sends"
    );
    let finding = Finding::failure(CHECK, &probe.about, message).seen(CONNECTION_FAILED);
    let spoilt = find_spoilt_headers(probe).join("`, `");
    if spoilt.is_empty() {
        return finding
            .why("Jetway listens without TLS and trusts no proxy in front of it, so that it sends `X-Forwarded-Proto: http` to Cockpit")
            .change(
                probe
                    .subject
                    .at_top("insecure_server", "if exactly one proxy in front terminates TLS, write")
                    .line("xff_num_trusted_hops: 1"),
            );
    }
    finding
        .why(format!("the route changes `{spoilt}`, and Cockpit needs the values of the browser and of Jetway"))
        .change(probe.in_route(
            "set_request_headers",
            &format!("remove `{spoilt}` from `set_request_headers` and `remove_request_headers`"),
        ))
}

/// Whether Cockpit accepted a handshake.
fn is_upgrade(answer: Result<&Answer, &ProbeError>) -> bool {
    answer.is_ok_and(|answer| answer.status == StatusCode::SWITCHING_PROTOCOLS)
}

fn describe_refusal(public: &str, traits: &Traits, probe: &UpstreamProbe<'_>) -> String {
    let mut message = format!("Cockpit refuses WebSockets from {public} (403, bad Origin)");
    // Writing to a string cannot fail.
    let _ = match (
        traits.has_origins,
        traits.knows_https,
        probe.rewrites_host(),
    ) {
        (true, ..) => write!(message, ": `Origins` lacks it"),
        (false, true, _) => write!(message, ": it gets another host"),
        (false, false, false) => write!(message, ": `ProtocolHeader` is missing"),
        (false, false, true) => write!(
            message,
            ": it gets another host, and `ProtocolHeader` is missing"
        ),
    };
    message
}

fn keep_host(probe: &UpstreamProbe<'_>) -> Change {
    probe
        .in_route(
            "preserve_host_header",
            "to send the browser's host to Cockpit, write in this route",
        )
        .line("preserve_host_header: true")
}

fn trust_proto(local: &LocalConf, what: &str) -> Change {
    local
        .change_in("WebService", "ProtocolHeader", what)
        .line("ProtocolHeader = X-Forwarded-Proto")
}

fn explain_origins(finding: Finding, public: &str, traits: &Traits, local: &LocalConf) -> Finding {
    let written = local
        .file()
        .and_then(|conf| conf.value("WebService", "Origins"));
    let mut why = match (&written, traits.accepted.as_slice()) {
        (Some(written), _) => format!("`Origins` is `{}`", shorten(written.value)),
        (None, []) => "`Origins` is set to other addresses".to_owned(),
        (None, accepted) => format!("`Origins` has `{}`", accepted.join("` and `")),
    };
    for accepted in &traits.accepted {
        let _ = write!(why, "; {}", explain_mistake(accepted, public));
    }
    why.push_str("; Cockpit compares it exactly with the page's origin");
    let line = match written.map(|written| written.value) {
        // Other origins of the operator are kept, except misspellings of this one.
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
        .change(local.change_in("WebService", "Origins", "write").line(line))
        .change(restart_cockpit())
}

/// Explains the mistake in an origin that Cockpit accepts instead of the page's.
fn explain_mistake(accepted: &str, public: &str) -> String {
    if accepted.starts_with("wss:") || accepted.starts_with("ws:") {
        "browsers send `https://` for a WebSocket, never `wss://`".to_owned()
    } else if accepted.ends_with('/') {
        "an origin has no slash at its end".to_owned()
    } else if accepted.starts_with("http:") {
        format!("browsers use {public}, over https")
    } else {
        format!("the port must be the browser's: {public}")
    }
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().take(LONGEST).collect()
}

/// Returns the headers that Cockpit needs and that the route replaces or removes.
fn find_spoilt_headers<'v>(probe: &'v UpstreamProbe<'_>) -> Vec<&'v str> {
    const NEEDED: [&str; 2] = ["x-forwarded-proto", "origin"];
    let edits = &probe.route.request_headers;
    let set = edits.set.iter().map(|(name, _)| name.as_str());
    let changed = set.chain(edits.remove.iter().map(String::as_str));
    changed.filter(|name| NEEDED.contains(name)).collect()
}

impl Traits {
    /// Sends handshakes with other origins than the page's.
    async fn find(probe: &UpstreamProbe<'_>) -> Self {
        let accepts = async |host: &str, origin: &str| {
            is_upgrade(probe.handshake_as(SOCKET, host, origin).await.as_ref())
        };
        // Without `Origins`, Cockpit accepts every host that it gets.
        let knows_https = accepts(UNUSED_HOST, &format!("https://{UNUSED_HOST}")).await;
        let has_origins =
            !knows_https && !accepts(UNUSED_HOST, &format!("http://{UNUSED_HOST}")).await;
        let mut accepted = Vec::new();
        if has_origins {
            for origin in list_misspellings(probe) {
                if accepts(&probe.host(SOCKET), &origin).await {
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

/// Returns common misspellings of the page's origin.
fn list_misspellings(probe: &UpstreamProbe<'_>) -> Vec<String> {
    let public = probe.public.to_string();
    let authority = probe.public.authority();
    let host = &probe.public.host;
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
