//! I rows: secrets.

use serde_json::json;

use super::target::Target;
use crate::gate::step::Step;
use crate::gate::tests::world::{HTML, Jar, request};
use crate::http::reply::Reply;

/// Runs whole flows, and returns all output for logs and `Debug`, and the secrets that were used.
fn said_and_secret() -> (Vec<String>, Vec<String>, Vec<Reply>) {
    let mut target = Target::new();
    let (mut said, mut secret, mut replies) = (
        Vec::new(),
        vec!["the-client-secret".to_owned(), "A".repeat(43)],
        Vec::new(),
    );
    let mut jar = Jar::default();
    let query = target
        .world
        .depart("app.test", "/private?token=in-the-address", &mut jar);
    secret.extend([
        query["nonce"].clone(),
        query["state"].clone(),
        "in-the-address".to_owned(),
        "the-code".to_owned(),
    ]);
    secret.extend(jar.0.values().cloned());
    let step = target.world.callback("app.test", &query["state"], &jar);
    said.push(format!("{step:?}"));
    let Step::Call(call, waiting) = step else {
        panic!("a call")
    };
    let verifier = call
        .body
        .split('&')
        .find_map(|pair| pair.strip_prefix("code_verifier="))
        .unwrap();
    secret.push(verifier.to_owned());
    secret.extend(
        call.headers
            .iter()
            .filter(|(name, _)| *name == "authorization")
            .map(|(_, value)| value.clone()),
    );
    let token = target
        .forge
        .honest(&target.world.claims("alice@corp.test", &query["nonce"]));
    secret.push(token.clone());
    secret.push(token.rsplit('.').next().unwrap().to_owned());
    let mut keep = |step: &Step, replies: &mut Vec<Reply>| {
        said.push(format!("{step:?}"));
        if let Step::Reply(reply) = step {
            said.push(reply.event.to_string());
            replies.push(reply.clone());
        }
    };
    let step = target.answer(Step::Call(call, waiting), &token);
    keep(&step, &mut replies);
    jar.take(&replies[0]);
    secret.extend(jar.0.values().cloned());
    for (path, jar) in [
        ("/", &jar),
        ("/", &Jar::default()),
        ("/.pomerium/", &jar),
        ("/.pomerium/", &Jar::default()),
        ("/.pomerium/sign_out", &jar),
        (
            "/.pomerium/callback?code=the-code&state=x.y",
            &Jar::default(),
        ),
        ("/.pomerium/callback?error=access_denied", &Jar::default()),
        (
            "/.pomerium/callback?error=the-code-0123456789&error_description=the-code-0123456789",
            &Jar::default(),
        ),
        ("/.pomerium/nothing", &jar),
        ("/%00", &jar),
    ] {
        let step = target.world.visit("app.test", path, jar);
        keep(&step, &mut replies);
    }
    let mallory = target.sign_in("mallory@corp.test");
    let step = target.world.visit("app.test", "/", &mallory);
    keep(&step, &mut replies);
    let step = target.send("POST", "/", &[]);
    keep(&step, &mut replies);
    said.push(format!("{:?}", target.world.gate));
    (said, secret, replies)
}

#[test]
fn i_01_logs() {
    let (said, secret, _) = said_and_secret();
    for text in &said {
        for secret in &secret {
            assert!(
                !text.contains(secret.as_str()),
                "{secret} is told: {text:.200}"
            );
        }
    }
}

#[test]
fn i_04_cache_control() {
    let (_, _, replies) = said_and_secret();
    let statuses: std::collections::BTreeSet<u16> =
        replies.iter().map(|reply| reply.status).collect();
    assert!(
        [200, 303, 400, 401, 403, 404]
            .iter()
            .all(|status| statuses.contains(status)),
        "{statuses:?}"
    );
    for reply in replies {
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
        let referrer = reply.header("referrer-policy").unwrap_or_default();
        assert!(
            matches!(referrer, "no-referrer" | "same-origin"),
            "{reply:?}: {referrer}"
        );
    }
}

/// An unknown user sees the same as a refused user, except for their own name.
#[test]
fn i_05_user_enumeration() {
    let mut target = Target::new();
    let mut page = |email: &str| {
        let jar = target.sign_in(email);
        let Step::Reply(reply) = target.world.visit("app.test", "/", &jar) else {
            panic!("{email} is let through")
        };
        (reply.status, reply.body.replace(email, "SOMEBODY"))
    };
    assert_eq!(page("denied@corp.test"), page("unknown@elsewhere.test"));
}

#[test]
fn i_06_claims_in_state() {
    let mut target = Target::new();
    let query = target
        .world
        .depart("app.test", "/private?secret=1", &mut Jar::default());
    let readable = |text: &str| {
        let decoded =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text)
                .unwrap_or_default();
        format!("{text} {}", String::from_utf8_lossy(&decoded))
    };
    for (name, value) in &query {
        for part in value.split('.') {
            let text = readable(part);
            assert!(
                !text.contains("private") && !text.contains("secret=1"),
                "{name}: {text}"
            );
        }
    }
    assert!(query["state"].len() < 80 && !query["redirect_uri"].contains('?'));
}

#[test]
fn i_07_metrics_and_admin_endpoints() {
    let mut target = Target::new();
    let jar = target.innocent();
    for path in [
        "/.pomerium/metrics",
        "/.pomerium/admin",
        "/.pomerium/debug/pprof/",
        "/.pomerium/config",
        "/.pomerium/readyz",
    ] {
        for jar in [&jar, &Jar::default()] {
            let Step::Reply(reply) = target.world.visit("app.test", path, jar) else {
                panic!("{path} reaches the upstream")
            };
            assert_eq!(reply.status, 404, "{path}");
        }
    }
    for path in [
        "/metrics",
        "/server_info",
        "/config_dump",
        "/stats/prometheus",
        "/readyz",
    ] {
        let Step::Reply(reply) = target.world.visit("app.test", path, &Jar::default()) else {
            panic!("{path} is let through")
        };
        assert_eq!(
            reply.status, 303,
            "{path} is the application's, after a sign-in"
        );
    }
}

#[test]
fn i_08_server_and_via() {
    let (_, _, replies) = said_and_secret();
    for reply in replies {
        for name in ["server", "via", "x-powered-by"] {
            assert_eq!(reply.header(name), None, "{reply:?}");
        }
    }
}

/// Formats everything by `Debug` that may be in scope when something fails.
#[test]
fn i_09_panic_output() {
    let mut target = Target::new();
    let jar = target.innocent();
    let cookies = jar.header();
    let headers = request(
        "GET",
        "app.test",
        "/",
        &[HTML, ("cookie", cookies.as_bytes())],
    );
    let step = target.world.begin(&headers);
    let said = format!("{step:?} {:?}", target.world.gate);
    for value in jar.0.values() {
        assert!(!said.contains(value.as_str()), "a session's cookie is told");
    }
    assert!(!said.contains("the-client-secret"));
}

#[test]
fn i_10_configuration_dump() {
    let file = json!({"cookie_secret": "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=", "idp_client_secret": "a-secret-of-the-client"});
    let config = crate::testing::config(&file);
    let said = format!("{config:?}");
    for secret in ["BBBBBBBB", "a-secret-of-the-client", "4, 16, 65"] {
        assert!(!said.contains(secret), "{secret}");
    }
}

#[test]
fn i_11_own_key_set() {
    let mut target = Target::with(&json!({"pass_identity_headers": true}));
    let mut set = || {
        let Step::Reply(reply) = target.send("GET", "/.well-known/pomerium/jwks.json", &[]) else {
            panic!("a reply")
        };
        serde_json::from_str::<serde_json::Value>(&reply.body).unwrap()
    };
    let first = set();
    assert_eq!(first, set(), "names stay");
    let keys = first["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(key.get(private).is_none(), "{private}");
        }
        assert!(key["kid"].is_string());
    }
    let mut again = Target::with(&json!({"pass_identity_headers": true}));
    let Step::Reply(reply) = again.send("GET", "/.well-known/pomerium/jwks.json", &[]) else {
        panic!("a reply")
    };
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&reply.body).unwrap(),
        first,
        "and over a start"
    );
}

#[test]
fn i_12_assertion_replay() {
    let mut target = Target::with(&json!({"pass_identity_headers": true}));
    let jar = target.innocent();
    let cookies = jar.header();
    let seen = target.world.upstream(&request(
        "GET",
        "app.test",
        "/",
        &[HTML, ("cookie", cookies.as_bytes())],
    ));
    let assertion = seen.get("x-pomerium-jwt-assertion").unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    let claims =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        claims["aud"], "app.test",
        "another route's upstream can tell"
    );
    let (issued, expires) = (
        claims["iat"].as_u64().unwrap(),
        claims["exp"].as_u64().unwrap(),
    );
    assert!(expires - issued <= 300, "{claims}");
    // A client's value under this name never arrives.
    let sent = [
        HTML,
        ("cookie", cookies.as_bytes()),
        ("x-pomerium-jwt-assertion", assertion.as_bytes()),
    ];
    let again = target
        .world
        .upstream(&request("GET", "app.test", "/", &sent));
    assert!(!again.get("x-pomerium-jwt-assertion").unwrap().contains('|'));
}
