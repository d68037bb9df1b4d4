//! Whether the provider knows the addresses that it is to send browsers back to.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use jetway_core::config::{Origin, ProviderSettings};
use jetway_core::contract::{CALLBACK_PATH, SIGN_IN_HOST_CALLBACK};
use jetway_core::env::{Env, NoRandomness};
use jetway_core::oidc::attempt::Attempt;
use jetway_core::oidc::authorization_url;
use jetway_core::oidc::metadata::Discovered;
use jetway_core::store::LocalShared;
use jetway_core::time::Timestamp;
use jetway_proxy::tls::Roots;
use url::Url;

use super::super::Subject;
use super::super::answer::{Answer, ask};
use super::super::finding::{Change, Finding};
use super::{at_provider, connector};
use crate::cockpit::public_origin;

const CHECK: &str = "redirect-uri";
/// Addresses that are tried: each is a request to the provider, and who has more hosts knows how to register them.
const MOST_TRIED: usize = 10;
/// Bytes of a page that are looked through for an error.
const MAX_PAGE: usize = 64 * 1024;
/// Characters of a provider's error that are repeated: those of the standards are shorter.
const MAX_ERROR: usize = 60;
/// Errors by which a provider says, at the redirect address, that nobody is signed in: the address is then accepted
/// (OpenID Connect Core 1.0, section 3.1.2.6).
const NOBODY_SIGNED_IN: [&str; 4] = [
    "login_required",
    "interaction_required",
    "account_selection_required",
    "consent_required",
];
/// Words in error pages, or in addresses of such pages, about an address that is not registered.
const UNREGISTERED: [&str; 6] = [
    "redirect_uri_mismatch",
    "invalid_redirect_uri",
    "invalid parameter: redirect_uri",
    "invalid redirect",
    "aadsts50011",
    "redirect_uri did not match",
];

/// Where the provider sends browsers back to: on the sign-in host, or for each route that asks who the visitor is. Hosts with wildcards have a
/// `*` in them.
pub(super) fn of_routes(subject: &Subject<'_>) -> Vec<String> {
    if let Some(sign_in) = &subject.config.session.sign_in_host {
        return vec![format!("{}{SIGN_IN_HOST_CALLBACK}", sign_in.origin)];
    }
    let routes = subject.config.routes.iter();
    let mut addresses: Vec<String> = routes
        .filter(|route| route.asks_for_identity())
        .map(|route| format!("{}{CALLBACK_PATH}", public_origin(subject.config, route)))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Which addresses the provider has to know, whether or not it can be asked.
pub(super) fn to_register(about: &str, redirects: &[String]) -> Finding {
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
        "to be registered as redirect URIs, letter by letter: {}{more}",
        shown.join(" ")
    );
    Finding::ok(CHECK, about, message)
}

/// Begins a sign-in for each address without finishing it, and looks whether the provider accepts the address.
pub(super) async fn examine(
    redirects: &[String],
    settings: &ProviderSettings,
    discovered: &Discovered,
    roots: &Roots,
    subject: &Subject<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let plain = redirects.iter().filter(|address| !address.contains('*'));
    for address in plain.take(MOST_TRIED) {
        findings.push(
            match authorization_address(address, settings, discovered, subject) {
                Some(asked) => attempt(address, &asked, roots).await,
                None => Finding::warning(
                    CHECK,
                    address,
                    "it could not be tried: this machine has no randomness",
                ),
            },
        );
    }
    for address in redirects.iter().filter(|address| address.contains('*')) {
        let message =
            "it cannot be tried: register one address for each host that the `*` stands for";
        findings.push(Finding::ok(CHECK, address, message));
    }
    findings
}

async fn attempt(redirect: &str, asked: &Url, roots: &Roots) -> Finding {
    let origin = Origin::of(asked);
    let Some((origin, connector)) =
        origin.and_then(|origin| Some((origin.clone(), connector(&origin.to_string(), roots)?)))
    else {
        return Finding::warning(
            CHECK,
            redirect,
            "the provider's authorization endpoint cannot be asked",
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
        Err(silence) => Finding::failure(CHECK, redirect, format!("the provider's authorization endpoint: {}", silence.told()))
            .seen("the browser cannot open the provider's page, if it is in the same network as this machine"),
    }
}

/// What an answer to the beginning of a sign-in says about the address.
fn judge(redirect: &str, answer: &Answer) -> Finding {
    let back = answer
        .location()
        .filter(|location| location.starts_with(redirect))
        .map(|location| error_of(location).unwrap_or_default())
        .or_else(|| posted_error(redirect, &answer.text()));
    if let Some(error) = back {
        if error.is_empty() || NOBODY_SIGNED_IN.contains(&error.as_str()) {
            return Finding::ok(CHECK, redirect, "the provider accepts it");
        }
        return Finding::failure(CHECK, redirect, format!("the provider accepts the address and refuses the rest: {error}"))
            .seen("instead of the provider's sign-in page, a page of Jetway that says that it did not work")
            .why(format!("the provider's error is `{error}` (RFC 6749, section 4.1.2.1)"))
            .change(at_provider("allow this client the authorization code flow, and the scopes of the file"));
    }
    let elsewhere = answer.location().unwrap_or_default().to_lowercase();
    let page = answer.text().to_lowercase();
    let is_error = answer.status.is_client_error() || answer.status.is_server_error();
    let named = UNREGISTERED
        .iter()
        .any(|words| elsewhere.contains(words) || (page.contains(words) && !is_error));
    let error_page = elsewhere.contains("/error") || error_of(&elsewhere).is_some();
    if answer.status.is_server_error() {
        return Finding::failure(
            CHECK,
            redirect,
            format!(
                "the provider answers the beginning of a sign-in with {}",
                answer.outcome()
            ),
        )
        .seen("an error page of the provider instead of its sign-in page");
    }
    if is_error || named || error_page {
        return Finding::failure(CHECK, redirect, refusal(answer))
            .seen("an error page of the provider instead of its sign-in page")
            .why("a provider sends browsers only to addresses that are registered for the client, letter by letter; or it does not know the client")
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
            "the provider answers the beginning of a sign-in with {}",
            answer.outcome()
        ),
    )
    .change(Change::act("register this redirect URI if it is not yet").line(redirect))
}

/// The refusal with the provider's own word, if there is a short one.
fn refusal(answer: &Answer) -> String {
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

/// The parameter `error` of an address.
fn error_of(address: &str) -> Option<String> {
    let base = Url::parse("https://provider.invalid/").ok()?;
    let url = base.join(address).ok()?;
    let mut pairs = url.query_pairs();
    let (_, error) = pairs.find(|(name, _)| name == "error")?;
    Some(error.chars().take(MAX_ERROR).collect())
}

/// The parameter `error` of a form that sends itself to the redirect address (`response_mode=form_post`).
fn posted_error(redirect: &str, page: &str) -> Option<String> {
    let (_, field) = page
        .contains(redirect)
        .then(|| page.split_once("name=\"error\""))??;
    let (field, _) = field.split_once('>')?;
    let (_, value) = field.split_once("value=\"")?;
    let (error, _) = value.split_once('"')?;
    Some(error.chars().take(MAX_ERROR).collect())
}

/// A beginning that ends by itself: `prompt=none` lets a provider answer at the redirect address at once, because nobody
/// is signed in.
fn authorization_address(
    redirect: &str,
    settings: &ProviderSettings,
    discovered: &Discovered,
    subject: &Subject<'_>,
) -> Option<Url> {
    let address = begin(subject, |attempt, _| {
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

/// Begins a sign-in that nobody will finish, and does something with it; `None` without randomness.
pub(super) fn begin<T>(
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

    use super::super::super::finding::Outcome;
    use super::super::super::testing;
    use super::*;

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

    /// How providers answer, as far as their documentation tells.
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

    /// Does something with a file that has a provider.
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

    /// The parameters of the trial sign-in with a file.
    fn asked(rest: &str) -> Vec<(String, String)> {
        with_subject(rest, |subject| {
            let settings = subject.config.provider.as_ref().unwrap();
            let endpoint = |name: &str| format!("{}/{name}", settings.issuer);
            let document = serde_json::json!({
                "issuer": settings.issuer, "authorization_endpoint": endpoint("authorize"),
                "token_endpoint": endpoint("token"), "jwks_uri": endpoint("keys"),
            });
            let discovered = Discovered::read(document.to_string().as_bytes(), settings).unwrap();
            let address = authorization_address(REDIRECT, settings, &discovered, subject).unwrap();
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

    /// The provider is asked as at a sign-in, but for `prompt`: one that answers by a form refuses a request for another
    /// way, and one that answers by a redirect need not know forms.
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

    /// Visitors of a `cockpit` route sign in whatever its policy says.
    #[test]
    fn each_route_that_signs_in_is_registered() {
        let addresses = with_subject(ROUTES, of_routes);
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
    fn what_is_to_be_registered_is_said() {
        let found = judge(
            REDIRECT,
            &answer(400, None, "redirect_uri did not match any of the client's"),
        );
        assert_eq!(found.changes[0].lines, [REDIRECT]);
        assert!(found.message.contains("redirect_uri"), "{}", found.message);
    }
}
