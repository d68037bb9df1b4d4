//! Checks, from outside, that Cockpit works for users of a route.

mod container;
mod local_conf;
mod login_page;
mod origin;
mod settings;
mod single_sign_on;

use serde_json::Value;

use super::answer::Answer;
use super::finding::{Change, Finding};
use super::upstream::is_loop;
use super::upstream_probe::UpstreamProbe;
use super::upstream_tls::pin;
use local_conf::LocalConf;
use login_page::LoginPage;

const REDIRECT: &str = "cockpit-https";
const WEBSOCKETS: &str = "cockpit-websockets";
const LOGIN_TO: &str = "cockpit-login-to";
const ADDRESS: &str = "cockpit-client-address";
/// The effect in Cockpit when the login succeeds and its WebSocket does not open.
pub(super) const CONNECTION_FAILED: &str =
    "the login succeeds, then a white page says \"Connection failed\"";

/// Whether this is Cockpit's answer at `/ping`.
pub(super) fn is_cockpit(ping: &Answer) -> bool {
    let answer: Value = serde_json::from_slice(&ping.body).unwrap_or(Value::Null);
    ping.status.is_success() && answer["service"] == "cockpit"
}

/// Reports that another server answers where Cockpit is expected, or Cockpit below a path.
pub(super) fn report_missing(probe: &UpstreamProbe<'_>, ping: &Answer) -> Option<Finding> {
    let message = format!(
        "it looks like a route to Cockpit, and `/ping` answers {}",
        ping.outcome()
    );
    Some(
        Finding::warning("cockpit", &probe.about, message)
            .seen("\"Not found\", if Cockpit has a `UrlRoot` that the route does not have")
            .why("Cockpit answers only below its `UrlRoot`")
            .change(
                probe
                    .in_route("prefix", "if cockpit.conf has `UrlRoot = /admin`, write")
                    .line("prefix: /admin"),
            ),
    )
}

/// Checks one Cockpit.
pub(super) async fn examine(probe: &UpstreamProbe<'_>) -> Vec<Finding> {
    let local = LocalConf::of(probe);
    let mut findings: Vec<Finding> = check_websockets(probe).into_iter().collect();
    let page = match probe.get("/").await {
        Ok(answer) => answer,
        Err(error) => {
            let message = format!("it answers `/ping`, and not `/`: {error}");
            findings.push(
                Finding::failure(WEBSOCKETS, &probe.about, message)
                    .seen("an error page instead of Cockpit"),
            );
            return findings;
        }
    };
    if is_loop(&page, probe) || redirects_to_https(&page, probe) {
        findings.push(report_https(probe, &page, &local));
        return findings;
    }
    let page = LoginPage::read(&page);
    findings.extend(origin::examine(probe, &local).await);
    findings.extend(container::examine(probe, &page, &local));
    findings.extend(check_login_to(&page, probe, &local));
    findings.extend(check_client_address(&probe.about, &local));
    findings.extend(settings::examine(probe, &local));
    if probe.route.cockpit.is_some() {
        findings.extend(single_sign_on::examine(probe, &page, &local).await);
    }
    findings
}

/// Checks that the route allows WebSockets.
fn check_websockets(probe: &UpstreamProbe<'_>) -> Option<Finding> {
    (!probe.route.allow_websockets).then(|| {
        Finding::failure(
            WEBSOCKETS,
            &probe.about,
            "the route does not allow WebSockets",
        )
        .seen(CONNECTION_FAILED)
        .why("Cockpit needs a WebSocket, and a route has to allow it")
        .change(
            probe
                .in_route("allow_websockets", "in this route write")
                .line("allow_websockets: true"),
        )
    })
}

fn redirects_to_https(page: &Answer, probe: &UpstreamProbe<'_>) -> bool {
    !probe.endpoint.origin.tls
        && page
            .location()
            .is_some_and(|location| location.starts_with("https://"))
}

fn report_https(probe: &UpstreamProbe<'_>, page: &Answer, local: &LocalConf) -> Finding {
    let location = page.location().unwrap_or_default();
    let seen = if is_loop(page, probe) {
        "\"redirected you too many times\" (ERR_TOO_MANY_REDIRECTS)"
    } else {
        "the browser leaves this proxy for Cockpit's own address, which usually does not work"
    };
    let origin = &probe.endpoint.origin;
    let secured = Finding::failure(
        REDIRECT,
        &probe.about,
        format!("Cockpit redirects plain http to {location}"),
    )
    .seen(seen)
    .why("a Cockpit with TLS accepts plain http only from its own machine")
    .change(
        probe
            .in_route(
                "to",
                "use https for Cockpit; its certificate is usually self-signed, and then pinned",
            )
            .line(format!("to: https://{}:{}", origin.host, origin.port))
            .line("preserve_host_header: true"),
    );
    let pinned = pin(probe).into_iter().fold(secured, Finding::change);
    pinned.change(
        local
            .change_in(
                "WebService",
                "AllowUnencrypted",
                "or, if the network between is trusted, write",
            )
            .line("AllowUnencrypted = true"),
    )
}

/// Checks that Cockpit offers no logins to other machines.
fn check_login_to(
    page: &LoginPage,
    probe: &UpstreamProbe<'_>,
    local: &LocalConf,
) -> Option<Finding> {
    // A route with single sign-on blocks such logins unless they are allowed.
    // A Cockpit that requires a host is there for those logins.
    let wide_open = probe.route.cockpit.is_none() && page.connects_elsewhere && !page.requires_host;
    wide_open.then(|| {
        Finding::warning(LOGIN_TO, &probe.about, "Cockpit also logs users in to other machines")
            .seen("a field \"Connect to\" on Cockpit's login page")
            .why("before a login, every user with access can make this Cockpit connect by SSH to any address")
            .change(local.change_in("WebService", "LoginTo", "unless this is intended, write").line("LoginTo = false"))
    })
}

/// Checks that Cockpit reads the client's address from a header that this proxy sends.
fn check_client_address(about: &str, local: &LocalConf) -> Option<Finding> {
    const SENT: &str = "X-Forwarded-For";
    let key = "ForwardedForHeader";
    let conf = local.file()?;
    let change = || {
        local
            .change_in("WebService", key, "write")
            .line(format!("{key} = {SENT}"))
    };
    let finding = match conf.value("WebService", key) {
        Some(written) if written.value.eq_ignore_ascii_case(SENT) => return None,
        None => Finding::warning(ADDRESS, about, format!("`{key}` is not set")),
        Some(written) => {
            let value: String = written.value.chars().take(60).collect();
            Finding::warning(
                ADDRESS,
                about,
                format!("`{key}` is `{value}`, which this proxy does not send"),
            )
        }
    };
    Some(
        finding
            .seen("nothing; in Cockpit's log, each login comes from the proxy")
            .why("Cockpit knows the client's address only from the configured header")
            .change(change()),
    )
}

/// Creates the instruction to restart Cockpit on its machine.
pub(super) fn restart_cockpit() -> Change {
    Change::act("then restart Cockpit, which reads its file when it starts")
        .line("systemctl restart cockpit.service")
}
