//! Checks that the redirect URIs are registered at the provider.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use jetway_core::config::{Config, Origin, ProviderSettings};
use jetway_core::contract::{CALLBACK_PATH, SIGN_IN_HOST_CALLBACK};
use jetway_core::env::{Env, NoRandomness};
use jetway_core::oidc::attempt::Attempt;
use jetway_core::oidc::authorization_url;
use jetway_core::oidc::metadata::Discovered;
use jetway_core::store::LocalShared;
use jetway_core::time::Timestamp;
use jetway_proxy::tls::Roots;
use url::Url;

use super::{ProviderProbe, at_provider, connector_to};
use crate::cockpit::public_origin;
use crate::doctor::Subject;
use crate::doctor::answer::{Answer, ask};
use crate::doctor::finding::{Change, Finding};

const CHECK: &str = "redirect-uri";
/// Most URIs that are tried: each is a request to the provider, and more say nothing new.
const MOST_TRIED: usize = 10;
/// Most bytes of a page that are searched for an error.
const MAX_PAGE: usize = 64 * 1024;
/// Most characters of a provider's error that are repeated: those of the standards are shorter.
const MAX_ERROR: usize = 60;
/// Errors at the redirect URI that mean that the user is not signed in, which proves that the URI is accepted (OpenID
/// Connect Core 1.0, section 3.1.2.6).
const NOT_SIGNED_IN: [&str; 4] = [
    "login_required",
    "interaction_required",
    "account_selection_required",
    "consent_required",
];
/// Strings in error pages, or in their URLs, about a URI that is not registered.
const UNREGISTERED: [&str; 6] = [
    "redirect_uri_mismatch",
    "invalid_redirect_uri",
    "invalid parameter: redirect_uri",
    "invalid redirect",
    "aadsts50011",
    "redirect_uri did not match",
];

/// Returns the redirect URIs: one on the sign-in host, or one for each route that needs the user's identity. Hosts with
/// wildcards contain a `*`.
pub(crate) fn collect_redirect_uris(config: &Config) -> Vec<String> {
    if let Some(sign_in) = &config.session.sign_in_host {
        return vec![format!("{}{SIGN_IN_HOST_CALLBACK}", sign_in.origin)];
    }
    let routes = config.routes.iter();
    let mut addresses: Vec<String> = routes
        .filter(|route| route.asks_for_identity())
        .map(|route| format!("{}{CALLBACK_PATH}", public_origin(config, route)))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Lists the URIs that must be registered, even if the provider cannot be reached.
pub(super) fn list_uris(about: &str, redirects: &[String]) -> Finding {
    let shown: Vec<&str> = redirects
        .iter()
        .take(MOST_TRIED)
        .map(String::as_str)
        .collect();
    let more = match redirects.len().saturating_sub(MOST_TRIED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "register exactly these redirect URIs: {}{more}",
        shown.join(" ")
    );
    Finding::ok(CHECK, about, message)
}

/// Begins a sign-in for each URI without finishing it, and checks that the provider accepts the URI.
pub(super) async fn examine(redirects: &[String], probe: &ProviderProbe<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let plain = redirects.iter().filter(|address| !address.contains('*'));
    for address in plain.take(MOST_TRIED) {
        findings.push(
            match build_trial_url(address, probe.settings, probe.discovered, probe.subject) {
                Some(asked) => try_sign_in(address, &asked, probe.roots).await,
                None => Finding::warning(
                    CHECK,
                    address,
                    "it cannot be checked: this machine has no randomness",
                ),
            },
        );
    }
    for address in redirects.iter().filter(|address| address.contains('*')) {
        let message = "it cannot be checked: register one URI for each host that the `*` matches";
        findings.push(Finding::ok(CHECK, address, message));
    }
    findings
}

async fn try_sign_in(redirect: &str, asked: &Url, roots: &Roots) -> Finding {
    let origin = Origin::of(asked);
    let Some((origin, connector)) =
        origin.and_then(|origin| Some((origin.clone(), connector_to(&origin.to_string(), roots)?)))
    else {
        return Finding::warning(
            CHECK,
            redirect,
            "the provider's authorization endpoint cannot be called",
        );
    };
    let path = match asked.query() {
        Some(query) => format!("{}?{query}", asked.path()),
        None => asked.path().to_owned(),
    };
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = path.parse().unwrap_or_default();
    for (name, value) in [
        (header::HOST, origin.authority()),
        (header::ACCEPT, "text/html".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            request.headers_mut().insert(name, value);
        }
    }
    match ask(&connector, request, MAX_PAGE).await {
        Ok(answer) => judge(redirect, &answer),
        Err(error) => Finding::failure(
            CHECK,
            redirect,
            format!("the provider's authorization endpoint: {}", error),
        )
        .seen(
            "the browser cannot open the provider's page, if it is in the network of this machine",
        ),
    }
}

/// Evaluates the response to the beginning of a sign-in.
fn judge(redirect: &str, answer: &Answer) -> Finding {
    let back = answer
        .location()
        .filter(|location| location.starts_with(redirect))
        .map(|location| find_error(location).unwrap_or_default())
        .or_else(|| find_posted_error(redirect, &answer.text()));
    if let Some(error) = back {
        if error.is_empty() || NOT_SIGNED_IN.contains(&error.as_str()) {
            return Finding::ok(CHECK, redirect, "the provider accepts it");
        }
        return Finding::failure(
            CHECK,
            redirect,
            format!("the provider accepts the redirect URI and refuses the request: {error}"),
        )
        .seen("Jetway's page about a failed sign-in instead of the provider's sign-in page")
        .why(format!(
            "the provider's error is `{error}` (RFC 6749, section 4.1.2.1)"
        ))
        .change(at_provider(
            "allow this client the authorization code flow and the scopes of the file",
        ));
    }
    let elsewhere = answer.location().unwrap_or_default().to_lowercase();
    let page = answer.text().to_lowercase();
    let is_error = answer.status.is_client_error() || answer.status.is_server_error();
    let named = UNREGISTERED
        .iter()
        .any(|words| elsewhere.contains(words) || (page.contains(words) && !is_error));
    let error_page = elsewhere.contains("/error") || find_error(&elsewhere).is_some();
    if answer.status.is_server_error() {
        return Finding::failure(
            CHECK,
            redirect,
            format!(
                "the provider answers a sign-in request with {}",
                answer.outcome()
            ),
        )
        .seen("an error page of the provider instead of its sign-in page");
    }
    if is_error || named || error_page {
        return Finding::failure(CHECK, redirect, describe_refusal(answer))
            .seen("an error page of the provider instead of its sign-in page")
            .why("a provider redirects browsers only to URIs that are registered for the client exactly as they are; or it does not know the client")
            .change(
                at_provider("register this redirect URI for the client of `idp_client_id`").line(redirect),
            );
    }
    if answer.status == StatusCode::OK || answer.status.is_redirection() {
        return Finding::ok(
            CHECK,
            redirect,
            "the provider answers with its sign-in page",
        );
    }
    Finding::warning(
        CHECK,
        redirect,
        format!(
            "the provider answers a sign-in request with {}",
            answer.outcome()
        ),
    )
    .change(Change::act("register this redirect URI if it is not registered").line(redirect))
}

/// Describes the refusal, with the provider's own error if there is a short one.
fn describe_refusal(answer: &Answer) -> String {
    let words = [
        "redirect_uri",
        "client_id",
        "invalid_client",
        "unauthorized_client",
        "unregistered",
    ];
    let page = answer.text().to_lowercase();
    let told = words.iter().find(|word| page.contains(**word));
    match told {
        Some(word) => format!(
            "the provider refuses it: {}, about `{word}`",
            answer.outcome()
        ),
        None => format!("the provider refuses it: {}", answer.outcome()),
    }
}

/// Returns the parameter `error` of a URL.
fn find_error(address: &str) -> Option<String> {
    let base = Url::parse("https://provider.invalid/").ok()?;
    let url = base.join(address).ok()?;
    let mut pairs = url.query_pairs();
    let (_, error) = pairs.find(|(name, _)| name == "error")?;
    Some(error.chars().take(MAX_ERROR).collect())
}

/// Returns the field `error` of a form that is posted to the redirect URI (`response_mode=form_post`).
fn find_posted_error(redirect: &str, page: &str) -> Option<String> {
    let (_, field) = page
        .contains(redirect)
        .then(|| page.split_once("name=\"error\""))??;
    let (field, _) = field.split_once('>')?;
    let (_, value) = field.split_once("value=\"")?;
    let (error, _) = value.split_once('"')?;
    Some(error.chars().take(MAX_ERROR).collect())
}

/// Builds the URL of a sign-in that ends by itself: with `prompt=none`, a provider answers at the redirect URI immediately,
/// because the user is not signed in.
fn build_trial_url(
    redirect: &str,
    settings: &ProviderSettings,
    discovered: &Discovered,
    subject: &Subject<'_>,
) -> Option<Url> {
    let address = begin_trial(subject, |attempt, _| {
        Some(authorization_url(settings, discovered, attempt, redirect))
    })?;
    let mut asked = address.clone();
    let others = address.query_pairs().filter(|(name, _)| name != "prompt");
    asked
        .query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair("prompt", "none");
    Some(asked)
}

/// Begins a sign-in that is never finished, and passes it to `then`; `None` without randomness.
pub(super) fn begin_trial<T>(
    subject: &Subject<'_>,
    then: impl FnOnce(&Attempt, &mut Env<'_>) -> Option<T>,
) -> Option<T> {
    let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| NoRandomness);
    let mut env = Env {
        now: Timestamp(subject.now),
        random: &mut random,
        shared: &LocalShared::default(),
    };
    let attempt = Attempt::begin("/", &mut env).ok()?;
    then(&attempt, &mut env)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::doctor::finding::Outcome;
    use crate::doctor::testing;

    const REDIRECT: &str = "https://app.example.com/.pomerium/callback";

    fn answer(status: u16, location: Option<&str>, body: &str) -> Answer {
        let mut headers = http::HeaderMap::new();
        if let Some(location) = location {
            headers.insert("location", location.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            reason: String::new(),
            headers,
            body: Bytes::from(body.to_owned()),
        }
    }

    /// The responses of providers according to their documentation.
    #[test]
    fn answers_of_providers() {
        let back = |error: &str| format!("{REDIRECT}?error={error}&state=x");
        let form = |error: &str| {
            format!(
                "<form method=post action='{REDIRECT}'><input type=hidden name=\"error\" value=\"{error}\"/></form>"
            )
        };
        for (answer, expected) in [
            (answer(303, Some(&back("login_required")), ""), Outcome::Ok),
            (
                answer(302, Some(&back("interaction_required")), ""),
                Outcome::Ok,
            ),
            (answer(302, Some("/login?x=redirect_uri"), ""), Outcome::Ok),
            (
                answer(200, None, "<a href='?redirect_uri=x'>sign in</a>"),
                Outcome::Ok,
            ),
            (
                answer(302, Some(&back("unauthorized_client")), ""),
                Outcome::Failure,
            ),
            (
                answer(302, Some(&back("invalid_scope")), ""),
                Outcome::Failure,
            ),
            (answer(400, None, "invalid redirect_uri"), Outcome::Failure),
            (
                answer(302, Some("https://idp/signin/oauth/error?authError=x"), ""),
                Outcome::Failure,
            ),
            (
                answer(200, None, "AADSTS50011: The redirect URI"),
                Outcome::Failure,
            ),
            (
                answer(200, None, "Invalid parameter: redirect_uri"),
                Outcome::Failure,
            ),
            (answer(200, None, &form("login_required")), Outcome::Ok),
            (answer(200, None, &form("invalid_scope")), Outcome::Failure),
            (answer(502, None, ""), Outcome::Failure),
        ] {
            let found = judge(REDIRECT, &answer);
            assert_eq!(found.outcome, expected, "{answer:?}: {found:?}");
        }
    }

    const PROVIDER: &str = "\
insecure_server: true
cookie_secret: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
idp_provider: oidc
idp_provider_url: https://idp.test
idp_client_id: client
idp_client_secret: secret
";

    /// Runs a closure with a file that has a provider.
    fn with_subject<T>(rest: &str, then: impl FnOnce(&Subject<'_>) -> T) -> T {
        let inspection = testing::file(&format!("{PROVIDER}{rest}")).inspect();
        let config = inspection.config();
        then(&Subject {
            name: "jetway.yaml",
            inspection: &inspection,
            config: config.unwrap_or_else(|| panic!("{}", inspection.render(false))),
            cockpit_conf: Path::new("cockpit.conf"),
            now: 1_800_000_000,
        })
    }

    /// Returns the parameters of the trial sign-in with a file.
    fn asked(rest: &str) -> Vec<(String, String)> {
        with_subject(rest, |subject| {
            let settings = subject.config.provider.as_ref().unwrap();
            let endpoint = |name: &str| format!("{}/{name}", settings.issuer);
            let document = serde_json::json!({
                "issuer": settings.issuer, "authorization_endpoint": endpoint("authorize"),
                "token_endpoint": endpoint("token"), "jwks_uri": endpoint("keys"),
            });
            let discovered = Discovered::read(document.to_string().as_bytes(), settings).unwrap();
            let address = build_trial_url(REDIRECT, settings, &discovered, subject).unwrap();
            address.query_pairs().into_owned().collect()
        })
    }

    const ROUTES: &str = "routes:
  - {from: https://app.test, to: 'http://127.0.0.1:1', policy: [{allow: {or: [{email: {is: alice@test}}]}}]}
  - {from: https://open.test, to: 'http://127.0.0.1:1', allow_public_unauthenticated_access: true}
  - from: https://cockpit.test
    to: http://127.0.0.1:9090
    policy: [{allow: {or: [{accept: true}]}}]
    cockpit: {local_part_of: [test]}
";

    /// The trial equals a sign-in except for `prompt`: a provider that answers with a form may refuse a request for another
    /// response mode, and one that answers with a redirect may not support forms.
    #[test]
    fn the_trial_is_a_sign_in() {
        for (mode, expected) in [("form_post", Some("form_post")), ("query", None)] {
            let pairs = asked(&format!(
                "idp_response_mode: {mode}\nidp_request_params: {{prompt: login, hd: test}}\n{ROUTES}"
            ));
            let values = |wanted: &str| -> Vec<&str> {
                let found = pairs.iter().filter(|(name, _)| name == wanted);
                found.map(|(_, value)| value.as_str()).collect()
            };
            assert_eq!(values("response_mode"), Vec::from_iter(expected));
            assert_eq!(values("redirect_uri"), [REDIRECT]);
            assert_eq!(values("hd"), ["test"]);
            assert_eq!(values("prompt"), ["none"]);
        }
    }

    /// Users of a `cockpit` route sign in for every policy.
    #[test]
    fn each_route_that_signs_in_is_registered() {
        let addresses = with_subject(ROUTES, |subject| collect_redirect_uris(subject.config));
        let path = "/.pomerium/callback";
        assert_eq!(
            addresses,
            [
                format!("https://app.test{path}"),
                format!("https://cockpit.test{path}")
            ]
        );
    }

    #[test]
    fn the_uri_to_register_is_reported() {
        let found = judge(
            REDIRECT,
            &answer(400, None, "redirect_uri did not match any of the client's"),
        );
        assert_eq!(found.changes[0].lines, [REDIRECT]);
        assert!(found.message.contains("redirect_uri"), "{}", found.message);
    }
}
