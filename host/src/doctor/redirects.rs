//! Follows the redirects of an application's first page as a browser at the public host does.

use std::net::IpAddr;

use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use jetway_core::config::{Origin, PathMatch, Route};
use jetway_core::gate::rewritten_location;
use url::Url;

use super::answer::Answer;
use super::finding::{Change, Finding};
use super::upstream_probe::UpstreamProbe;

const CHECK: &str = "upstream-redirect";
/// Most redirects that are followed: applications need one or two, and browsers give up after twenty.
const MOST_REDIRECTS: usize = 6;
/// Most characters of an address that are shown.
const MOST_SHOWN: usize = 200;

/// The end of a chain of redirects.
#[derive(Debug, PartialEq, Eq)]
enum RedirectEnd {
    /// A page, or an address that the browser can open.
    Reached,
    /// Another redirect of the same route, with the path below the application's root.
    Next(String),
    /// An address where no browser gets to.
    Unreachable(&'static str),
    /// An address that may be reachable in the network of the upstream alone.
    Doubtful(&'static str),
    /// A path of the public host that belongs to no route.
    NoRoute,
}

/// Follows the redirect of an answer to a request for `/`, and names the one that a browser cannot follow.
pub(super) async fn follow(probe: &UpstreamProbe<'_>, first: &Answer) -> Option<Finding> {
    let mut location = location_of(probe, first)?;
    let mut from = "/".to_owned();
    let mut cookies = Cookies::default();
    cookies.keep(first);
    for _ in 0..MOST_REDIRECTS {
        let path = match judge(probe, &from, &location) {
            RedirectEnd::Reached => return None,
            RedirectEnd::Next(path) => path,
            other => return report(probe, &location, &other),
        };
        let answer = probe.get_with(&path, cookies.headers()).await.ok()?;
        cookies.keep(&answer);
        location = location_of(probe, &answer)?;
        from = path;
    }
    let message = format!(
        "it redirects more than {MOST_REDIRECTS} times, at last to {}",
        shorten(&location)
    );
    Some(
        Finding::failure(CHECK, &probe.about, message)
            .seen("\"redirected you too many times\" (ERR_TOO_MANY_REDIRECTS)")
            .why("the application redirects in a circle, because it expects another scheme, host or path than it gets")
            .change(Change::act("set the public address in the application's own configuration").line(probe.public.to_string())),
    )
}

/// The cookies that the application has set: some redirect until they get one back.
#[derive(Default)]
struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Keeps the cookies of an answer. A few redirects set few cookies, and the size of each head is limited.
    fn keep(&mut self, answer: &Answer) {
        let lines = answer.headers.get_all(SET_COOKIE).into_iter();
        for line in lines.filter_map(|line| line.to_str().ok()) {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            self.0.retain(|(known, _)| known != name.trim());
            self.0
                .push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }

    fn headers(&self) -> HeaderMap {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let line = pairs.collect::<Vec<_>>().join("; ");
        let value = HeaderValue::from_str(&line).ok();
        let value = value.filter(|value| !value.is_empty());
        value.map(|value| (COOKIE, value)).into_iter().collect()
    }
}

/// Returns the target of a redirect as the browser gets it.
fn location_of(probe: &UpstreamProbe<'_>, answer: &Answer) -> Option<String> {
    let location = answer.location()?;
    Some(rewritten_location(probe.route, location).into_owned())
}

/// Judges a target of a redirect by a page at this path below the application's root.
fn judge(probe: &UpstreamProbe<'_>, from: &str, location: &str) -> RedirectEnd {
    let page = format!("{}{}", probe.public, probe.public_path(from));
    let target = Url::parse(&page).and_then(|page| page.join(location));
    let Ok(target) = target else {
        return RedirectEnd::Unreachable("it is not a valid address");
    };
    let Some(origin) = Origin::of(&target) else {
        // Such as an address of another program.
        return RedirectEnd::Reached;
    };
    if origin == probe.public {
        return judge_path(probe, &target);
    }
    let routes = &probe.subject.config.routes;
    let is_ours = routes.iter().any(|route| route.from.fits(&origin.host));
    if is_ours {
        return judge_own_host(probe, &origin);
    }
    if origin == probe.endpoint.origin || is_local_name(&origin.host) {
        return judge_inner_host(&origin);
    }
    RedirectEnd::Reached
}

/// Judges another origin with a host of a route.
fn judge_own_host(probe: &UpstreamProbe<'_>, origin: &Origin) -> RedirectEnd {
    if !origin.tls {
        return RedirectEnd::Unreachable(
            "the application takes the connection for plain http: it does not evaluate `X-Forwarded-Proto`, and Jetway does not listen for http",
        );
    }
    if origin.host == probe.public.host {
        return RedirectEnd::Unreachable(
            "the application writes another port than the public one: it does not use the port of `Host`",
        );
    }
    RedirectEnd::Reached
}

/// Judges an address of the upstream itself, or of a private network.
fn judge_inner_host(origin: &Origin) -> RedirectEnd {
    const WHY: &str = "the application writes its own address instead of the public one: it gets another `Host` than the browser's, or has an address in its configuration";
    if origin.is_loopback() {
        RedirectEnd::Unreachable(WHY)
    } else {
        RedirectEnd::Doubtful(WHY)
    }
}

/// Whether a host is known only in a local network: a private address, or a name without a dot.
fn is_local_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            address.is_private() || address.is_loopback() || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => !bare.contains('.'),
    }
}

/// Judges a path of the public origin.
fn judge_path(probe: &UpstreamProbe<'_>, target: &Url) -> RedirectEnd {
    let path = target.path();
    let mut routes = probe.subject.config.routes.iter();
    let of_host = |route: &&Route| route.from.fits(&probe.public.host);
    let route = routes.find(|route| of_host(route) && route.path.serves(path));
    match route {
        None => RedirectEnd::NoRoute,
        Some(route) if route.name == probe.route.name => match &route.path {
            PathMatch::Prefix(prefix) => {
                let below = path.strip_prefix(prefix.trim_end_matches('/'));
                RedirectEnd::Next(with_query(below.unwrap_or(path), target))
            }
            PathMatch::Any => RedirectEnd::Next(with_query(path, target)),
            PathMatch::Exact(_) | PathMatch::Regex(_) => RedirectEnd::Reached,
        },
        Some(_) => RedirectEnd::Reached,
    }
}

fn with_query(path: &str, target: &Url) -> String {
    match target.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn report(probe: &UpstreamProbe<'_>, location: &str, end: &RedirectEnd) -> Option<Finding> {
    let about = probe.about.as_str();
    let location = shorten(location);
    let at_application = || {
        Change::act("set the public address in the application's own configuration")
            .line(probe.public.to_string())
    };
    match end {
        RedirectEnd::Reached | RedirectEnd::Next(_) => None,
        RedirectEnd::Unreachable(why) => Some(
            Finding::failure(CHECK, about, format!("it redirects to {location}, where no browser gets to"))
                .seen("\"This site can't be reached\", after the sign-in")
                .why(*why)
                .change(keep_host(probe))
                .change(at_application()),
        ),
        RedirectEnd::Doubtful(why) => Some(
            Finding::warning(CHECK, about, format!("it redirects to {location}, which is not the public address"))
                .seen("\"This site can't be reached\", after the sign-in, for users outside of the upstream's network; others leave this proxy")
                .why(*why)
                .change(keep_host(probe))
                .change(at_application()),
        ),
        RedirectEnd::NoRoute => Some(
            Finding::failure(CHECK, about, format!("it redirects to {location}, and no route has that path"))
                .seen("Jetway's page \"Not found\", after the sign-in")
                .why("the application does not know the path under which it is published")
                .change(probe.in_route("prefix", "give the application a host of its own, or the same path in its own configuration")),
        ),
    }
}

fn keep_host(probe: &UpstreamProbe<'_>) -> Change {
    if probe.rewrites_host() {
        probe
            .in_route(
                "preserve_host_header",
                "to send the browser's host to the application, write in this route",
            )
            .line("preserve_host_header: true")
    } else {
        probe
            .in_route(
                "rewrite_response_headers",
                "or let Jetway replace the address",
            )
            .line("rewrite_response_headers:")
            .line(format!(
                "  - {{header: Location, prefix: '{}', value: '{}'}}",
                probe.endpoint.origin, probe.public
            ))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MOST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing;

    fn judged(route: &str, location: &str) -> RedirectEnd {
        testing::with_probe(route, |probe| judge(probe, "/", location))
    }

    #[test]
    fn redirects_that_a_browser_cannot_follow_are_named() {
        const PLAIN: &str = "preserve_host_header: true";
        for location in [
            "http://app.test/x",
            "https://app.test:9090/",
            "http://127.0.0.1:1/login",
            "http://localhost:9090/",
            "http://[::1]:80/",
            "https://[",
        ] {
            assert!(
                matches!(judged(PLAIN, location), RedirectEnd::Unreachable(_)),
                "{location}: {:?}",
                judged(PLAIN, location)
            );
        }
        for location in [
            "https://10.0.0.5/",
            "http://server:8080/x",
            "//192.168.1.2/",
        ] {
            assert!(
                matches!(judged(PLAIN, location), RedirectEnd::Doubtful(_)),
                "{location}"
            );
        }
        for location in [
            "https://login.example.com/?x",
            "mailto:a@b",
            "https://203.0.113.9/",
        ] {
            assert_eq!(judged(PLAIN, location), RedirectEnd::Reached, "{location}");
        }
    }

    #[test]
    fn redirects_of_the_same_route_are_followed() {
        const BELOW: &str = "prefix: /a/";
        assert_eq!(
            judged(BELOW, "login?next=1"),
            RedirectEnd::Next("/login?next=1".to_owned())
        );
        assert_eq!(
            judged(BELOW, "https://app.test/a/x"),
            RedirectEnd::Next("/x".to_owned())
        );
        assert_eq!(judged(BELOW, "/login"), RedirectEnd::NoRoute);
        assert_eq!(
            judged("preserve_host_header: true", "/login"),
            RedirectEnd::Next("/login".to_owned())
        );
    }

    #[test]
    fn the_target_is_the_one_that_the_browser_gets() {
        const REWRITES: &str = "rewrite_response_headers: [{header: Location, prefix: 'http://127.0.0.1:1', value: 'https://app.test'}]";
        testing::with_probe(REWRITES, |probe| {
            let location = rewritten_location(probe.route, "http://127.0.0.1:1/x");
            assert_eq!(
                judge(probe, "/", &location),
                RedirectEnd::Next("/x".to_owned())
            );
        });
    }
}
