//! Sign-ins against the provider without a network: each test is a browser and a client in a few lines.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use jwt_simple::algorithms::{ECDSAP256PublicKeyLike as _, ES256PublicKey};
use jwt_simple::prelude::VerificationOptions;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use super::{Asked, Client, Owners, Provider, Rights};

const ISSUER: &str = "https://idp.localhost:8444";
const APPLICATION: &str = "https://cockpit.localhost:8443";
const REDIRECT_URI: &str = "https://cockpit.localhost:8443/.pomerium/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A provider with its one browser and its one client.
struct World {
    provider: Provider,
    secret: String,
    cookies: BTreeMap<String, String>,
    now: u64,
}

impl World {
    fn new() -> Self {
        let client = Client::register(APPLICATION).unwrap();
        let secret = client.secret().to_owned();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        Self {
            provider: Provider::new(ISSUER.to_owned(), client, Owners::Anyone, Rights::Own),
            secret,
            cookies: BTreeMap::new(),
            now,
        }
    }

    fn ask(
        &mut self,
        method: Method,
        target: &str,
        headers: &HeaderMap,
        body: &str,
    ) -> Response<Bytes> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        self.provider.answer(&Asked {
            method: &method,
            path,
            query,
            headers,
            body: body.as_bytes(),
            now: self.now,
        })
    }

    /// Sends a request of the user's browser, which keeps cookies.
    fn browse(&mut self, method: Method, target: &str, body: &str) -> Response<Bytes> {
        let sent = self.cookies.clone();
        self.browse_with(&sent, method, target, body)
    }

    /// Sends a request that the browser has begun when it had these cookies.
    fn browse_with(
        &mut self,
        cookies: &BTreeMap<String, String>,
        method: Method,
        target: &str,
        body: &str,
    ) -> Response<Bytes> {
        let mut headers = HeaderMap::new();
        let line: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !line.is_empty() {
            let line = HeaderValue::from_str(&line.join("; ")).unwrap();
            headers.insert(header::COOKIE, line);
        }
        let answer = self.ask(method, target, &headers, body);
        for line in answer.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("; Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Opens the sign-in page and returns the name of the sign-in in its form.
    fn open(&mut self) -> String {
        let answer = self.browse(Method::GET, &authorize(&[]), "");
        name_in_form(&answer)
    }

    fn choose(&mut self, request: &str, account: &str) -> Response<Bytes> {
        let form = pairs(&[("request", request), ("account", account)]);
        self.browse(Method::POST, "/authorize", &form)
    }

    /// Signs in and returns the code.
    fn code(&mut self, account: &str) -> String {
        let request = self.open();
        let answer = self.choose(&request, account);
        assert_eq!(answer.status(), 303);
        returned(&answer, "code").unwrap()
    }

    fn redeem(&mut self, changes: &[(&str, &str)]) -> (u16, Value) {
        let basic = STANDARD.encode(format!("jetway-demo:{}", self.secret));
        self.redeem_as(&format!("Basic {basic}"), changes)
    }

    fn redeem_as(&mut self, authorization: &str, changes: &[(&str, &str)]) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if !authorization.is_empty() {
            headers.insert(
                header::AUTHORIZATION,
                HeaderValue::from_str(authorization).unwrap(),
            );
        }
        let usual = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        let answer = self.ask(
            Method::POST,
            "/token",
            &headers,
            &pairs(&changed(&usual, changes)),
        );
        (
            answer.status().as_u16(),
            serde_json::from_slice(answer.body()).unwrap(),
        )
    }

    fn key(&mut self) -> ES256PublicKey {
        let answer = self.ask(Method::GET, "/jwks.json", &HeaderMap::new(), "");
        let set: Value = serde_json::from_slice(answer.body()).unwrap();
        ES256PublicKey::from_jwk(&set["keys"][0].to_string()).unwrap()
    }
}

/// Returns an authorization request that is valid except for the changes; an empty value removes the parameter.
/// Returns the name of the sign-in in the form of its page.
fn name_in_form(answer: &Response<Bytes>) -> String {
    assert_eq!(answer.status(), 200);
    let page = text(answer);
    let start = page.find("name=\"request\" value=\"").unwrap() + 22;
    page[start..].split('"').next().unwrap().to_owned()
}

fn authorize(changes: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let usual = [
        ("client_id", "jetway-demo"),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "openid profile email"),
        ("state", "a state & more"),
        ("nonce", "a nonce"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    format!("/authorize?{}", pairs(&changed(&usual, changes)))
}

fn changed<'a>(
    usual: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = usual
        .iter()
        .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes).copied().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn text(answer: &Response<Bytes>) -> &str {
    std::str::from_utf8(answer.body()).unwrap()
}

fn location(answer: &Response<Bytes>) -> url::Url {
    url::Url::parse(answer.headers()[header::LOCATION].to_str().unwrap()).unwrap()
}

/// Returns a parameter that the client gets by redirect.
fn returned(answer: &Response<Bytes>, name: &str) -> Option<String> {
    let location = location(answer);
    assert!(
        location.as_str().starts_with(&format!("{REDIRECT_URI}?")),
        "{location}"
    );
    location
        .query_pairs()
        .find(|(candidate, _)| candidate == name)
        .map(|(_, value)| value.into_owned())
}

#[test]
fn a_sign_in_ends_with_an_id_token_that_verifies() {
    let mut world = World::new();
    let request = world.open();
    let answer = world.choose(&request, "alice@example.com");
    assert_eq!(
        returned(&answer, "state").as_deref(),
        Some("a state & more")
    );
    assert_eq!(returned(&answer, "iss").as_deref(), Some(ISSUER));
    let code = returned(&answer, "code").unwrap();
    let (status, tokens) = world.redeem(&[("code", &code)]);
    assert_eq!(status, 200, "{tokens}");

    let options = VerificationOptions {
        allowed_issuers: Some([ISSUER.to_owned()].into()),
        allowed_audiences: Some(["jetway-demo".to_owned()].into()),
        required_nonce: Some("a nonce".to_owned()),
        ..VerificationOptions::default()
    };
    let token = tokens["id_token"].as_str().unwrap();
    let claims = world
        .key()
        .verify_token::<Map<String, Value>>(token, Some(options))
        .unwrap();
    assert_eq!(claims.subject.as_deref(), Some("demo-alice"));
    assert_eq!(claims.issued_at.unwrap().as_secs(), world.now);
    assert_eq!(claims.expires_at.unwrap().as_secs(), world.now + 3600);
    assert_eq!(claims.custom["email"], "alice@example.com");
    assert_eq!(claims.custom["email_verified"], true);
    assert_eq!(claims.custom["name"], "Alice");
    assert_eq!(
        claims.custom["groups"],
        serde_json::json!(["admins", "developers"])
    );

    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_str(&bearer).unwrap(),
    );
    let userinfo = world.ask(Method::GET, "/userinfo", &headers, "");
    let userinfo: Value = serde_json::from_slice(userinfo.body()).unwrap();
    assert_eq!(userinfo["sub"], "demo-alice");
    assert_eq!(userinfo["email"], "alice@example.com");
}

#[test]
fn the_metadata_names_endpoints_of_the_issuer() {
    let mut world = World::new();
    let answer = world.ask(
        Method::GET,
        "/.well-known/openid-configuration",
        &HeaderMap::new(),
        "",
    );
    let metadata: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(metadata["issuer"], ISSUER);
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
    ] {
        assert!(
            metadata[name]
                .as_str()
                .unwrap()
                .starts_with(&format!("{ISSUER}/")),
            "{name}"
        );
    }
}

#[test]
fn claims_follow_the_scope() {
    let mut world = World::new();
    let answer = world.browse(Method::GET, &authorize(&[("scope", "openid")]), "");
    assert_eq!(answer.status(), 200);
    let page = text(&answer).to_owned();
    let start = page.find("name=\"request\" value=\"").unwrap() + 22;
    let answer = world.choose(page[start..].split('"').next().unwrap(), "bob@example.com");
    let code = returned(&answer, "code").unwrap();
    let (_, tokens) = world.redeem(&[("code", &code)]);
    let token = tokens["id_token"].as_str().unwrap();
    let claims = world
        .key()
        .verify_token::<Map<String, Value>>(token, None)
        .unwrap();
    assert!(claims.custom.is_empty(), "{:?}", claims.custom);
}

#[test]
fn a_foreign_client_or_address_is_never_redirected_to() {
    let mut world = World::new();
    for change in [
        ("client_id", "other"),
        ("redirect_uri", "https://evil.example/.pomerium/callback"),
        (
            "redirect_uri",
            "https://cockpit.localhost:8443/.pomerium/callback/",
        ),
        (
            "redirect_uri",
            "https://cockpit.localhost:8443/.pomerium/callback?x=1",
        ),
    ] {
        let answer = world.browse(Method::GET, &authorize(&[change]), "");
        assert_eq!(answer.status(), 400, "{change:?}");
        assert!(
            answer.headers().get(header::LOCATION).is_none(),
            "{change:?}"
        );
    }
}

#[test]
fn a_request_that_falls_short_is_sent_back_with_an_error() {
    let mut world = World::new();
    for (change, code) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("scope", "email"), "invalid_scope"),
        (("nonce", ""), "invalid_request"),
        (("state", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("prompt", "none"), "login_required"),
        (("request", "x"), "request_not_supported"),
    ] {
        let answer = world.browse(Method::GET, &authorize(&[change]), "");
        assert_eq!(answer.status(), 303, "{change:?}");
        assert_eq!(
            returned(&answer, "error").as_deref(),
            Some(code),
            "{change:?}"
        );
        assert_eq!(returned(&answer, "code"), None);
    }
}

#[test]
fn another_browser_cannot_finish_a_sign_in() {
    let mut world = World::new();
    let request = world.open();
    let own = std::mem::take(&mut world.cookies);
    assert_eq!(world.choose(&request, "alice@example.com").status(), 400);
    let other = world.open();
    let foreign = world.cookies.values().next().unwrap().clone();
    world.cookies = own
        .keys()
        .map(|name| (name.clone(), foreign.clone()))
        .collect();
    assert_eq!(world.choose(&request, "alice@example.com").status(), 400);
    assert_eq!(world.choose(&other, "alice@example.com").status(), 400);
    world.cookies = own;
    assert_eq!(world.choose(&request, "alice@example.com").status(), 303);
    assert_eq!(
        world.choose(&request, "alice@example.com").status(),
        400,
        "a form works once"
    );
}

#[test]
fn two_tabs_do_not_disturb_each_other() {
    let mut world = World::new();
    let first = world.open();
    let second = world.open();
    assert_eq!(world.choose(&first, "alice@example.com").status(), 303);
    assert_eq!(world.choose(&second, "bob@example.com").status(), 303);
    assert!(world.cookies.is_empty(), "{:?}", world.cookies);
}

#[test]
fn two_tabs_that_open_at_once_both_sign_in() {
    let mut world = World::new();
    // Neither request brings the other's cookie.
    let none = BTreeMap::new();
    let open = |world: &mut World| {
        let answer = world.browse_with(&none, Method::GET, &authorize(&[]), "");
        name_in_form(&answer)
    };
    let (first, second) = (open(&mut world), open(&mut world));
    assert_eq!(world.choose(&first, "alice@example.com").status(), 303);
    assert_eq!(world.choose(&second, "alice@example.com").status(), 303);
}

#[test]
fn a_sign_in_can_be_cancelled() {
    let mut world = World::new();
    let request = world.open();
    let answer = world.browse(
        Method::POST,
        "/authorize",
        &pairs(&[("request", &request), ("cancel", "yes")]),
    );
    assert_eq!(returned(&answer, "error").as_deref(), Some("access_denied"));
    assert_eq!(
        returned(&answer, "state").as_deref(),
        Some("a state & more")
    );
}

#[test]
fn an_unknown_account_is_refused() {
    let mut world = World::new();
    let request = world.open();
    assert_eq!(world.choose(&request, "eve@example.com").status(), 400);
}

#[test]
fn a_code_works_once_and_for_sixty_seconds() {
    let mut world = World::new();
    let code = world.code("alice@example.com");
    assert_eq!(world.redeem(&[("code", &code)]).0, 200);
    assert_eq!(world.redeem(&[("code", &code)]).1["error"], "invalid_grant");

    let code = world.code("alice@example.com");
    world.now += 59;
    assert_eq!(world.redeem(&[("code", &code)]).0, 200);
    let code = world.code("alice@example.com");
    world.now += 60;
    assert_eq!(world.redeem(&[("code", &code)]).1["error"], "invalid_grant");
}

#[test]
fn a_code_is_bound_to_its_verifier_and_address_and_spent_by_a_wrong_one() {
    for change in [
        (
            "code_verifier",
            "another-verifier-of-43-characters-xxxxxxxxx",
        ),
        ("code_verifier", ""),
        ("redirect_uri", "https://cockpit.localhost:8443/other"),
    ] {
        let mut world = World::new();
        let code = world.code("alice@example.com");
        assert_eq!(
            world.redeem(&[("code", &code), change]).1["error"],
            "invalid_grant",
            "{change:?}"
        );
        assert_eq!(
            world.redeem(&[("code", &code)]).1["error"],
            "invalid_grant",
            "{change:?}"
        );
    }
}

#[test]
fn the_client_has_to_prove_itself_in_exactly_one_way() {
    let mut world = World::new();
    let code = world.code("alice@example.com");
    let secret = world.secret.clone();
    let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
    let refused: [(String, Vec<(&str, &str)>); 6] = [
        (String::new(), vec![]),
        (basic("jetway-demo:wrong".into()), vec![]),
        (basic(format!("other:{secret}")), vec![]),
        (
            basic(format!("jetway-demo:{secret}")),
            vec![("client_id", "jetway-demo"), ("client_secret", &secret)],
        ),
        (
            String::new(),
            vec![("client_id", "jetway-demo"), ("client_secret", "wrong")],
        ),
        ("Basic !".into(), vec![]),
    ];
    for (authorization, mut changes) in refused {
        changes.push(("code", &code));
        let (status, answer) = world.redeem_as(&authorization, &changes);
        assert_eq!(
            (status, &answer["error"]),
            (401, &Value::from("invalid_client"))
        );
    }
    let posted = [
        ("client_id", "jetway-demo"),
        ("client_secret", secret.as_str()),
        ("code", code.as_str()),
    ];
    assert_eq!(world.redeem_as("", &posted).0, 200);
}

#[test]
fn pages_forbid_scripts_and_let_the_form_lead_to_the_application_only() {
    let mut world = World::new();
    let answer = world.browse(Method::GET, &authorize(&[]), "");
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(
        policy.contains("form-action 'self' https://cockpit.localhost:8443;"),
        "{policy}"
    );
    assert!(text(&answer).contains("not for production"));
    for account in super::ACCOUNTS {
        assert!(text(&answer).contains(account.email));
    }
}

#[test]
fn signing_out_returns_to_the_application_and_nowhere_else() {
    let mut world = World::new();
    let target = |address: &str| {
        format!(
            "/end_session?{}",
            pairs(&[("post_logout_redirect_uri", address), ("state", "s")])
        )
    };
    let answer = world.browse(
        Method::GET,
        &target("https://cockpit.localhost:8443/.pomerium/signed_out"),
        "",
    );
    assert_eq!(
        location(&answer).as_str(),
        "https://cockpit.localhost:8443/.pomerium/signed_out?state=s"
    );
    for elsewhere in [
        "https://evil.example/",
        "https://cockpit.localhost:84430/",
        "https://cockpit.localhost:8443@evil/",
    ] {
        let answer = world.browse(Method::GET, &target(elsewhere), "");
        assert_eq!(answer.status(), 400, "{elsewhere}");
    }
    assert_eq!(world.browse(Method::GET, "/end_session", "").status(), 200);
}

#[test]
fn repeated_parameters_are_refused_everywhere() {
    let mut world = World::new();
    assert_eq!(
        world
            .browse(Method::GET, &format!("{}&state=x", authorize(&[])), "")
            .status(),
        400
    );
    assert_eq!(
        world.redeem(&[("code", "a"), ("code", "b")]).1["error"],
        "invalid_request"
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut world = World::new();
    assert_eq!(world.browse(Method::GET, "/nothing", "").status(), 404);
    assert_eq!(world.browse(Method::DELETE, "/authorize", "").status(), 404);
    assert_eq!(world.browse(Method::GET, "/", "").status(), 200);
}
