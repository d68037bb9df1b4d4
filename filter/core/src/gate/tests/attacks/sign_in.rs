//! F rows: sign-ins.

use serde_json::json;

use super::target::{Callback, Target, assert_is_refused, changed, set_cookies, sets_no_session};
use crate::gate::step::Step;
use crate::gate::tests::world::{HTML, Jar, World, status};
use crate::http::reply::Reply;
use crate::oidc::metadata::Discovered;
use crate::testing::{ISSUER, provider_settings};

fn reply(step: Step) -> Reply {
    match step {
        Step::Reply(reply) => reply,
        other => panic!("a reply was expected, not {other:?}"),
    }
}

impl Target {
    /// A callback's query as it is, in a browser with these cookies.
    fn callback(&mut self, query: &str, jar: &Jar) -> Step {
        self.world
            .visit("app.test", &format!("/.pomerium/callback?{query}"), jar)
    }

    /// Asserts that a callback has no effect: no call is made and no session begins.
    fn refuses_callback(&mut self, query: &str, jar: &Jar) -> Reply {
        let reply = reply(self.callback(query, jar));
        assert!(
            (400..500).contains(&reply.status) || reply.status == 303,
            "{query}: {reply:?}"
        );
        assert!(sets_no_session(&reply), "{query}");
        self.still_serves(query);
        reply
    }
}

#[test]
fn f_01_state_missing_unknown_or_changed() {
    let mut target = Target::new();
    let mut jar = Jar::default();
    let query = target.world.depart("app.test", "/", &mut jar);
    let state = query["state"].clone();
    target.refuses_callback(&format!("code=c&iss={ISSUER}"), &jar);
    target.refuses_callback(&format!("code=c&state=&iss={ISSUER}"), &jar);
    target.refuses_callback(&format!("code=c&state=x.y&iss={ISSUER}"), &jar);
    for place in 0..state.len() {
        let mut flipped = state.clone().into_bytes();
        flipped[place] = if flipped[place] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        if flipped != state {
            target.refuses_callback(&format!("code=c&state={flipped}&iss={ISSUER}"), &jar);
        }
    }
    target.refuses_callback(&format!("code=c&state={state}A&iss={ISSUER}"), &jar);
    assert!(
        matches!(
            target.world.callback("app.test", &state, &jar),
            Step::Call(..)
        ),
        "the attempt is still good"
    );
}

#[test]
fn f_02_login_csrf() {
    let mut target = Target::new();
    let query = target.world.depart("app.test", "/", &mut Jar::default());
    target.refuses_callback(
        &format!("code=attackers&state={}&iss={ISSUER}", query["state"]),
        &Jar::default(),
    );
}

#[test]
fn f_03_state_fixation_by_a_sibling() {
    let mut target = Target::new();
    let mut attacker = Jar::default();
    let query = target.world.depart("app.test", "/", &mut attacker);
    let (name, value) = attacker.0.pop_first().unwrap();
    // A sibling host can set cookies for the domain, but not with this prefix.
    for planted in [
        name.trim_start_matches("__Host-").to_owned(),
        name.to_lowercase(),
        format!("x{name}"),
    ] {
        let jar = Jar([(planted, value.clone())].into());
        target.refuses_callback(
            &format!("code=attackers&state={}&iss={ISSUER}", query["state"]),
            &jar,
        );
    }
}

#[test]
fn f_06_callback_replayed() {
    let mut target = Target::new();
    let Callback {
        mut jar,
        query,
        step,
    } = target.come_back();
    for _ in 0..20 {
        let again = target.world.callback("app.test", &query["state"], &jar);
        assert!(
            matches!(again, Step::Reply(_)),
            "the code is redeemed once: {again:?}"
        );
    }
    let token = target
        .forge
        .honest(&target.world.claims("alice@corp.test", &query["nonce"]));
    let first = reply(target.answer(step, &token));
    assert_eq!(target.calls["/token"], 1);
    let before = jar.clone();
    jar.take(&first);
    let late = reply(target.world.callback("app.test", &query["state"], &jar));
    assert_eq!(
        (late.status, sets_no_session(&late)),
        (303, true),
        "somebody signed in goes on"
    );
    // With the earlier cookies, which an attacker who knows only the address does not have.
    let thief = reply(target.world.callback("app.test", &query["state"], &before));
    assert!(sets_no_session(&thief) && thief.status != 200);
    target.still_serves("a replayed callback");
}

#[test]
fn f_07_foreign_state_beside_a_session() {
    let mut target = Target::new();
    let query = target.world.depart("app.test", "/", &mut Jar::default());
    let jar = target.innocent();
    let answer = target.refuses_callback(
        &format!("code=attackers&state={}&iss={ISSUER}", query["state"]),
        &jar,
    );
    assert!(
        set_cookies(&answer).next().is_none(),
        "the session is left alone"
    );
}

/// In the victim's own attempt, a provider that checks PKCE refuses the attacker's code, and the nonce reveals it in any case.
#[test]
fn f_08_code_injection() {
    let mut target = Target::new();
    let victim = target.come_back();
    let refused = reply(target.answer_with(victim.step, 400, r#"{"error":"invalid_grant"}"#));
    assert_is_refused("a provider that checks", &refused);
    let attacker = target.world.depart("app.test", "/", &mut Jar::default());
    let victim = target.come_back();
    let token = target
        .forge
        .honest(&target.world.claims("mallory@corp.test", &attacker["nonce"]));
    assert_is_refused(
        "a provider that does not",
        &reply(target.answer(victim.step, &token)),
    );
    target.still_serves("an injected code");
}

/// A provider that ignores PKCE works, because state and nonce suffice, as the rows before show. PKCE is always sent.
#[test]
fn f_10_provider_ignores_pkce() {
    let mut target = Target::new();
    let Callback { query, step, .. } = target.come_back();
    assert_eq!(
        (
            query["code_challenge_method"].as_str(),
            query["code_challenge"].len()
        ),
        ("S256", 43)
    );
    let Step::Call(call, waiting) = step else {
        panic!("a call")
    };
    let verifier = call
        .body
        .split('&')
        .find_map(|pair| pair.strip_prefix("code_verifier="))
        .unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(verifier.as_bytes());
    assert_eq!(super::forge::encode(&digest), query["code_challenge"]);
    let token = target
        .forge
        .honest(&target.world.claims("alice@corp.test", &query["nonce"]));
    assert_eq!(
        reply(target.answer(Step::Call(call, waiting), &token)).status,
        303
    );
}

#[test]
fn f_13_duplicate_parameters() {
    let mut target = Target::new();
    let mut jar = Jar::default();
    let query = target.world.depart("app.test", "/", &mut jar);
    let state = &query["state"];
    for parameters in [
        format!("code=a&code=b&state={state}&iss={ISSUER}"),
        format!("code=a&code=a&state={state}&iss={ISSUER}"),
        format!("code=a&state={state}&state={state}&iss={ISSUER}"),
        format!("code=a&state={state}&state=x&iss={ISSUER}"),
        format!("code=a&error=access_denied&state={state}&iss={ISSUER}"),
        format!("code=a&state={state}&iss={ISSUER}&iss=https://evil.test"),
        format!("code=a&c%6fde=b&state={state}&iss={ISSUER}"),
    ] {
        assert_eq!(
            target.refuses_callback(&parameters, &jar).status,
            400,
            "{parameters}"
        );
    }
}

#[test]
fn f_14_callback_method() {
    let mut target = Target::new();
    let mut jar = Jar::default();
    let query = target.world.depart("app.test", "/", &mut jar);
    let path = format!(
        "/.pomerium/callback?code=c&state={}&iss={ISSUER}",
        query["state"]
    );
    let cookies = jar.header();
    for method in ["HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "PROPFIND"] {
        let answer = reply(target.send(method, &path, &[HTML, ("cookie", cookies.as_bytes())]));
        assert_eq!(answer.status, 405, "{method}");
        target.still_serves(method);
    }
    assert!(
        matches!(
            target.world.callback("app.test", &query["state"], &jar),
            Step::Call(..)
        ),
        "the code is unused"
    );
}

#[test]
fn f_15_error_callback_xss() {
    let mut target = Target::new();
    for (what, parameters) in [
        ("a script", "error=%3Cscript%3Ealert(1)%3C/script%3E"),
        (
            "a broken attribute",
            "error=x&error_description=%22%3E%3Cimg%20onerror=alert(1)%3E",
        ),
        (
            "line ends",
            "error=a%0d%0aSet-Cookie:%20x=y&error_description=%0d%0ax",
        ),
        ("bad UTF-8", "error=%ff%fe&error_description=%c3%28"),
        ("an address", "error=x&error_uri=javascript:alert(1)"),
        ("an escape sequence", "error=%1b%5b31m"),
    ] {
        for own in [false, true] {
            let mut jar = Jar::default();
            let query = target.world.depart("app.test", "/", &mut jar);
            let state = if own {
                format!("&state={}&iss={ISSUER}", query["state"])
            } else {
                String::new()
            };
            let answer = target.refuses_callback(&format!("{parameters}{state}"), &jar);
            for forbidden in ["<script", "<img", "javascript:", "\u{1b}"] {
                assert!(!answer.body.contains(forbidden), "{what}: {}", answer.body);
            }
            let bare = |text: &str| !text.contains(['\r', '\n', '\u{1b}']);
            assert!(
                bare(&answer.event) && answer.headers.iter().all(|(_, value)| bare(value)),
                "{what}"
            );
            assert!(
                answer
                    .header("content-security-policy")
                    .is_some_and(|policy| policy.contains("default-src 'none'")),
                "{what}"
            );
        }
    }
    let long = format!("error={0}&error_description={0}", "x".repeat(10 * 1024));
    assert!(target.refuses_callback(&long, &Jar::default()).body.len() < 16 * 1024);
}

#[test]
fn f_16_error_without_state() {
    let mut target = Target::new();
    let mut jar = Jar::default();
    let query = target.world.depart("app.test", "/", &mut jar);
    let answer = target.refuses_callback("error=access_denied", &jar);
    assert_eq!(answer.status, 403);
    assert!(
        set_cookies(&answer).next().is_none(),
        "other attempts are left alone"
    );
    assert!(matches!(
        target.world.callback("app.test", &query["state"], &jar),
        Step::Call(..)
    ));
}

#[test]
fn f_19_token_endpoint_redirects() {
    let mut target = Target::new();
    for status in [301, 302, 303, 307, 308] {
        let callback = target.come_back();
        let answer = reply(target.answer_with(callback.step, status, ""));
        assert_is_refused("a redirect", &answer);
        assert_eq!(answer.status, 502);
        target.still_serves("a redirect");
    }
}

#[test]
fn f_20_client_secret_encoding() {
    let mut world =
        World::with(&json!({"idp_client_id": "a:b", "idp_client_secret": "p+% \u{e9}:x"}));
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let Step::Call(call, _) = world.callback("app.test", &query["state"], &jar) else {
        panic!("a call")
    };
    let sent = call
        .headers
        .iter()
        .find(|(name, _)| *name == "authorization")
        .unwrap();
    let sent = sent.1.strip_prefix("Basic ").unwrap();
    let sent = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, sent).unwrap();
    assert_eq!(String::from_utf8(sent).unwrap(), "a%3Ab:p%2B%25+%C3%A9%3Ax");
    assert!(!format!("{call:?}").contains("p+"));
}

#[test]
fn f_22_discovery_ssrf() {
    let target = Target::new();
    let honest: serde_json::Value = serde_json::from_str(&target.world.fake.discovery()).unwrap();
    assert!(Discovered::read(honest.to_string().as_bytes(), &provider_settings()).is_ok());
    for member in ["jwks_uri", "token_endpoint", "userinfo_endpoint"] {
        for address in [
            "http://169.254.169.254/",
            "https://169.254.169.254/",
            "file:///etc/passwd",
            "http://op.test/jwks",
            "https://op.test:8443/jwks",
            "https://op.test@evil.test/jwks",
            "https://evil.test/jwks",
            "https://op.test.evil.test/",
            "//evil.test/",
            "/jwks",
            "",
            "gopher://op.test/",
        ] {
            let document = changed(honest.clone(), member, Some(json!(address)));
            let read = Discovered::read(document.to_string().as_bytes(), &provider_settings());
            assert!(read.is_err(), "{member}: {address}");
        }
    }
    for address in [
        "http://evil.test/authorize",
        "javascript:alert(1)",
        "file:///x",
    ] {
        let document = changed(
            honest.clone(),
            "authorization_endpoint",
            Some(json!(address)),
        );
        let read = Discovered::read(document.to_string().as_bytes(), &provider_settings());
        assert!(read.is_err(), "{address}");
    }
}

impl Target {
    /// Returns the status for a user with these claims.
    fn admits(&mut self, email: serde_json::Value, more: &serde_json::Value) -> bool {
        let Callback {
            mut jar,
            query,
            step,
        } = self.come_back();
        let mut claims = self.world.claims("x@corp.test", &query["nonce"]);
        claims["email"] = email;
        for (name, value) in more.as_object().unwrap() {
            if value == "absent" {
                claims = changed(claims, name, None);
            } else {
                claims[name] = value.clone();
            }
        }
        let token = self.forge.honest(&claims);
        let answer = reply(self.answer(step, &token));
        if answer.status != 303 {
            assert_is_refused("no identity", &answer);
            return false;
        }
        jar.take(&answer);
        let code = status(&self.world.visit("app.test", "/", &jar));
        assert!(matches!(code, 200 | 403), "{code}");
        self.still_serves("somebody odd");
        code == 200
    }
}

#[test]
fn f_25_email_verified() {
    for (mode, expected) in [
        (json!({}), [false, false, false, false, true, true, true]),
        (
            json!({"require_email_verified": "strict"}),
            [false, false, false, false, false, true, true],
        ),
    ] {
        let mut target = Target::with(&mode);
        let values = [
            json!(false),
            json!("false"),
            json!(1),
            json!(null),
            json!("absent"),
            json!("true"),
            json!(true),
        ];
        for (value, expected) in values.into_iter().zip(expected) {
            let more = json!({"email_verified": value});
            assert_eq!(
                target.admits(json!("alice@corp.test"), &more),
                expected,
                "{mode} {value}"
            );
        }
    }
}

#[test]
fn f_26_email_case() {
    let mut target = Target::new();
    let by_domain = |target: &mut Target, email: &str| target.admits(json!(email), &json!({}));
    assert!(
        by_domain(&mut target, "alice@CORP.TEST"),
        "domains have no case"
    );
    let whole = by_domain(&mut target, "Alice@CORP.TEST");
    assert_eq!(
        whole,
        by_domain(&mut target, "ALICE@corp.test"),
        "one answer for every spelling"
    );
}

#[test]
fn f_27_email_domain_tricks() {
    let policy = json!([{"from": "https://app.test", "to": "http://a", "policy": {"allow": {"or": [
        {"domain": "corp.test"}, {"email": "bob@corp.test"}]}}}]);
    let mut target = Target::with(&json!({"routes": policy}));
    assert!(target.admits(json!("a@corp.test"), &json!({})));
    for email in [
        "a@corp.test.evil",
        "a@evil@corp.test",
        "\"a@corp.test\"@evil",
        "a@corp.test\n",
        "a@corp.test\0",
        "a@corp.test.",
        "a@sub.corp.test",
        "@corp.test",
        "a@",
        "a@corp.test,b@evil",
        "a@corp.test b@evil",
        "a@\u{441}orp.test",
        "a@evil.test#@corp.test",
        "corp.test",
        "",
    ] {
        assert!(!target.admits(json!(email), &json!({})), "{email:?}");
    }
}

#[test]
fn f_29_email_type() {
    let mut target = Target::new();
    for email in [
        json!(["alice@corp.test", "m@evil"]),
        json!(["alice@corp.test"]),
        json!({"alice@corp.test": true}),
        json!(1),
        json!(null),
        json!(true),
        json!(format!("{}@corp.test", "a".repeat(10 * 1024))),
    ] {
        assert!(!target.admits(email.clone(), &json!({})), "{email:.40}");
    }
}

#[test]
fn f_30_hd_and_email() {
    let policy = |rule: serde_json::Value| {
        json!({"routes": [{"from": "https://app.test", "to": "http://a", "policy": {"allow": {"or": [
            rule, {"email": "bob@corp.test"}]}}}]})
    };
    let mut by_email = Target::with(&policy(json!({"domain": "corp.test"})));
    assert!(!by_email.admits(json!("a@gmail.test"), &json!({"hd": "corp.test"})));
    assert!(by_email.admits(json!("a@corp.test"), &json!({"hd": "gmail.test"})));
    let mut by_claim = Target::with(&policy(json!({"claim/hd": "corp.test"})));
    assert!(by_claim.admits(json!("a@gmail.test"), &json!({"hd": "corp.test"})));
    assert!(!by_claim.admits(json!("a@corp.test"), &json!({"hd": "gmail.test"})));
}

#[test]
fn f_31_groups_shape() {
    let mut target = Target::with(
        &json!({"routes": [{"from": "https://app.test", "to": "http://a", "policy":
        {"allow": {"or": [{"groups": {"has": "admins"}}, {"email": "bob@corp.test"}]}}}]}),
    );
    let many: Vec<String> = (0..10_000).map(|number| format!("g{number}")).collect();
    for groups in [
        json!("admins,dev"),
        json!("admins dev"),
        json!({"admins": true}),
        json!([["admins"]]),
        json!({"0": "admins"}),
        json!(["admins\r\nx-evil: 1"]),
        json!(["ADMINS"]),
        json!(["admins "]),
        json!(many),
        json!(null),
        json!(1),
    ] {
        let label = format!("{:.40}", groups.to_string());
        assert!(
            !target.admits(json!("a@corp.test"), &json!({"groups": groups})),
            "{label}"
        );
    }
    assert!(target.admits(json!("a@corp.test"), &json!({"groups": ["dev", "admins"]})));
}

/// In alice's browser, a sign-in that began before hers ends as bob: she keeps her session.
#[test]
fn f_32_identity_switch() {
    let mut target = Target::new();
    let mut other_tab = Jar::default();
    let query = target.world.depart("app.test", "/", &mut other_tab);
    let mut jar = target.sign_in("alice@corp.test");
    let session = jar.clone();
    jar.0.extend(other_tab.0);
    let answer = reply(target.world.callback("app.test", &query["state"], &jar));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    jar.take(&answer);
    assert_eq!(jar.header(), session.header());
    let page = reply(target.world.visit("app.test", "/.pomerium/", &jar));
    assert!(page.body.contains("alice@corp.test") && !page.body.contains("bob@corp.test"));
}

#[test]
fn f_33_session_fixation() {
    let mut target = Target::new();
    // The victim's browser has the attacker's session, planted before the sign-in.
    let planted = target.sign_in("bob@corp.test");
    let mut jar = Jar(planted
        .0
        .into_keys()
        .map(|name| (name, "planted".to_owned()))
        .collect());
    let query = target.world.depart("app.test", "/", &mut jar);
    let step = target.world.callback("app.test", &query["state"], &jar);
    let token = target
        .forge
        .honest(&target.world.claims("alice@corp.test", &query["nonce"]));
    let answer = reply(target.answer(step, &token));
    jar.take(&answer);
    assert!(
        jar.0.values().all(|value| value != "planted"),
        "the value is replaced"
    );
    let (mut first, mut second) = (
        target.sign_in("alice@corp.test"),
        target.sign_in("alice@corp.test"),
    );
    assert_ne!(
        first.0.pop_first(),
        second.0.pop_first(),
        "every sign-in makes a session of its own"
    );
}

#[test]
fn f_35_logout_csrf() {
    let mut target = Target::new();
    let jar = target.innocent();
    let cookies = jar.header();
    let cookie = ("cookie", cookies.as_bytes());
    for (what, method, more) in [
        (
            "an image",
            "GET",
            vec![
                ("sec-fetch-site", &b"cross-site"[..]),
                ("sec-fetch-dest", b"image"),
            ],
        ),
        (
            "a link",
            "GET",
            vec![HTML, ("sec-fetch-site", b"cross-site")],
        ),
        (
            "a form",
            "POST",
            vec![
                ("origin", b"https://evil.test"),
                ("sec-fetch-site", b"cross-site"),
            ],
        ),
        (
            "a form of a sibling",
            "POST",
            vec![
                ("origin", b"https://b.test"),
                ("sec-fetch-site", b"same-site"),
            ],
        ),
        ("a form without origin", "POST", vec![]),
        (
            "a sandboxed form",
            "POST",
            vec![("origin", b"null"), ("sec-fetch-site", b"cross-site")],
        ),
        ("an old browser's form", "POST", vec![("origin", b"null")]),
    ] {
        let mut headers = more;
        headers.push(cookie);
        let answer = reply(target.send(method, "/.pomerium/sign_out", &headers));
        assert!(set_cookies(&answer).next().is_none(), "{what}: {answer:?}");
        target.still_serves(what);
    }
}

#[test]
fn f_36_login_page_framing() {
    let mut target = Target::new();
    let jar = target.innocent();
    for (path, jar) in [
        ("/.pomerium/", jar.clone()),
        ("/.pomerium/", Jar::default()),
        ("/.pomerium/sign_out", jar),
        ("/.pomerium/signed_out", Jar::default()),
        ("/.pomerium/callback?error=x", Jar::default()),
        ("/.pomerium/nothing", Jar::default()),
        ("/%00", Jar::default()),
    ] {
        let page = reply(target.world.visit("app.test", path, &jar));
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
    }
}

#[test]
fn f_37_third_party_initiated_login() {
    let mut target = Target::new();
    for parameters in [
        "iss=https://evil.test&target_link_uri=https://evil.test/",
        "iss=https://op.test&target_link_uri=https://evil.test/&login_hint=alice",
    ] {
        let answer = reply(target.world.visit(
            "app.test",
            &format!("/.pomerium/sign_in?{parameters}"),
            &Jar::default(),
        ));
        let location = answer.header("location").unwrap_or_default();
        assert!(!location.contains("evil"), "{location}");
        target.still_serves(parameters);
    }
}

#[test]
fn f_38_form_with_an_expired_session() {
    let mut target = Target::new();
    for method in ["POST", "PUT", "DELETE"] {
        for more in [
            vec![HTML],
            vec![HTML, ("sec-fetch-mode", b"navigate")],
            vec![],
        ] {
            let answer = reply(target.send(method, "/form", &more));
            assert!(matches!(answer.status, 303 | 401), "{method}: {answer:?}");
        }
    }
}

#[test]
fn f_40_clock_jump() {
    let mut target = Target::new();
    let start = target.world.fixture.now;
    for jump in [start.0 + 3600, start.0 - 3600, 0, u64::MAX, start.0] {
        target.world.fixture.now = crate::time::Timestamp(jump);
        let jar = target.innocent();
        for jar in [jar, Jar::default()] {
            for path in ["/", "/.pomerium/", "/.pomerium/callback?code=c&state=a.b"] {
                let _ = target.world.visit("app.test", path, &jar);
            }
        }
        let _ = target.world.gate.due(&target.world.fixture.env());
    }
    target.world.fixture.now = start;
    target.still_serves("a clock that came back");
}
