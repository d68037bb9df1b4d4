//! Cockpit, asked from outside: would it work for visitors of this route?

mod local;
mod login_page;
mod origin;
mod single_sign_on;

use serde_json::Value;

use super::Subject;
use super::answer::Answer;
use super::finding::{Change, Finding};
use super::upstream::is_loop;
use super::visit::Visit;
use local::Local;
use login_page::LoginPage;

const REDIRECT: &str = "cockpit-https";
const WEBSOCKETS: &str = "cockpit-websockets";
const LOGIN_TO: &str = "cockpit-login-to";
const ADDRESS: &str = "cockpit-client-address";
/// What Cockpit shows when it is logged in to and its websocket does not open.
pub(super) const CONNECTION_FAILED: &str =
    "the login succeeds, then a white page says \"Connection failed\"";

/// Whether this is Cockpit's answer at `/ping`.
pub(super) fn is_cockpit(ping: &Answer) -> bool {
    let answer: Value = serde_json::from_slice(&ping.body).unwrap_or(Value::Null);
    ping.status.is_success() && answer["service"] == "cockpit"
}

/// Something else answers where Cockpit is expected, or Cockpit below a path.
pub(super) fn missing(
    about: &str,
    ping: &Answer,
    subject: &Subject<'_>,
    index: usize,
) -> Option<Finding> {
    let message = format!(
        "it looks like a route to Cockpit, and `/ping` answers {}",
        ping.outcome()
    );
    Some(
        Finding::warning("cockpit", about, message)
            .seen("\"Not found\", if Cockpit has a `UrlRoot` that the route does not have")
            .why("Cockpit answers below its `UrlRoot` only")
            .change(
                subject
                    .in_route(
                        index,
                        "prefix",
                        "if cockpit.conf has `UrlRoot = /admin`, write",
                    )
                    .line("prefix: /admin"),
            ),
    )
}

/// Everything about one Cockpit.
pub(super) async fn examine(
    subject: &Subject<'_>,
    index: usize,
    visit: &Visit<'_>,
    about: &str,
) -> Vec<Finding> {
    let local = Local::of(visit, subject);
    let mut findings: Vec<Finding> = websockets(subject, index, visit, about)
        .into_iter()
        .collect();
    let page = match visit.get("/").await {
        Ok(answer) => answer,
        Err(silence) => {
            let message = format!("it answers `/ping`, and not `/`: {}", silence.told());
            findings.push(
                Finding::failure(WEBSOCKETS, about, message)
                    .seen("an error page instead of Cockpit"),
            );
            return findings;
        }
    };
    if is_loop(&page, visit) || redirects_to_https(&page, visit) {
        findings.push(wants_https(subject, index, visit, about, &page, &local));
        return findings;
    }
    let page = LoginPage::read(&page);
    findings.extend(origin::examine(subject, index, visit, about, &local).await);
    findings.extend(login_to(&page, visit, about, &local));
    findings.extend(client_address(about, &local));
    if visit.route.cockpit.is_some() {
        findings.extend(single_sign_on::examine(subject, visit, about, &page, &local).await);
    }
    findings
}

/// The route has to let websockets pass.
fn websockets(
    subject: &Subject<'_>,
    index: usize,
    visit: &Visit<'_>,
    about: &str,
) -> Option<Finding> {
    (!visit.route.allow_websockets).then(|| {
        Finding::failure(WEBSOCKETS, about, "the route lets no websockets pass")
            .seen(CONNECTION_FAILED)
            .why("everything that Cockpit shows comes over a websocket, and a route has to allow that")
            .change(subject.in_route(index, "allow_websockets", "in this route write").line("allow_websockets: true"))
    })
}

fn redirects_to_https(page: &Answer, visit: &Visit<'_>) -> bool {
    !visit.endpoint.origin.tls
        && page
            .location()
            .is_some_and(|location| location.starts_with("https://"))
}

fn wants_https(
    subject: &Subject<'_>,
    index: usize,
    visit: &Visit<'_>,
    about: &str,
    page: &Answer,
    local: &Local,
) -> Finding {
    let location = page.location().unwrap_or_default();
    let seen = if is_loop(page, visit) {
        "\"redirected you too many times\" (ERR_TOO_MANY_REDIRECTS)"
    } else {
        "the browser leaves this proxy for Cockpit's own address, and mostly finds nothing there"
    };
    let origin = &visit.endpoint.origin;
    Finding::failure(
        REDIRECT,
        about,
        format!("Cockpit redirects plain http to {location}"),
    )
    .seen(seen)
    .why("a Cockpit with TLS takes plain http from its own machine only")
    .change(
        subject
            .in_route(
                index,
                "to",
                "ask Cockpit over https; its certificate is mostly one that nobody signed",
            )
            .line(format!("to: https://{}:{}", origin.host, origin.port))
            .line("preserve_host_header: true")
            .line("tls_skip_verify: true"),
    )
    .change(
        local
            .conf(
                "WebService",
                "AllowUnencrypted",
                "or, if nobody can listen in between, write",
            )
            .line("AllowUnencrypted = true"),
    )
}

/// Logins to other machines by way of Cockpit.
fn login_to(page: &LoginPage, visit: &Visit<'_>, about: &str, local: &Local) -> Option<Finding> {
    // Routes that sign in to Cockpit let only those through that are meant to be.
    let wide_open = visit.route.cockpit.is_none() && page.connects_elsewhere;
    wide_open.then(|| {
        Finding::warning(LOGIN_TO, about, "Cockpit logs visitors in to other machines, too")
            .seen("a field \"Connect to\" on Cockpit's login page")
            .why("before a login, everybody whom the policy lets in can make this Cockpit connect by SSH to any address")
            .change(local.conf("WebService", "LoginTo", "unless it is wanted, write").line("LoginTo = false"))
    })
}

/// Whether Cockpit takes the visitor's address from a header that this proxy sends.
fn client_address(about: &str, local: &Local) -> Option<Finding> {
    const SENT: &str = "X-Forwarded-For";
    let key = "ForwardedForHeader";
    let conf = local.file()?;
    let change = || {
        local
            .conf("WebService", key, "write")
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
            .seen("nothing; in Cockpit's log each login comes from the proxy")
            .why("Cockpit knows the visitor's address only from a header that it was told of")
            .change(change()),
    )
}

/// A change at the machine where Cockpit is.
pub(super) fn restart() -> Change {
    Change::act("then restart Cockpit: it reads its file when it starts")
        .line("systemctl restart cockpit.service")
}
