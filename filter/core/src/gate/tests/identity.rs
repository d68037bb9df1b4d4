//! The information that upstreams get about users, and users about refusals.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Value, json};

use super::world::{HTML, Headers, Jar, World, request, status};
use crate::session::assertion::ASSERTION_HEADER;

/// Routes that forward the identity, one for users and one for everyone, and one that does not.
fn telling() -> Value {
    let people = json!({"allow": {"or": [{"domain": "corp.test"}, {"groups": {"has": "named"}}]}});
    let everybody = json!({"allow": {"or": [{"accept": true}]}});
    json!({
        "jwt_claims_headers": {"X-Email": "email", "remote_user": "user", "X-Groups": "groups", "X-Team": "team",
                               "X-Level": "level", "X-Issuer": "iss", "X-Missing": "nothing"},
        "routes": [
            {"from": "https://app.test", "to": "http://up", "pass_identity_headers": true, "policy": people},
            {"from": "https://open.test", "to": "http://up", "pass_identity_headers": true, "policy": everybody,
             "jwt_issuer_format": "IssuerURI"},
            {"from": "https://b.test", "to": "http://up", "policy": people,
             "set_request_headers": {"Authorization": "Bearer ${pomerium.jwt}"}},
            {"from": "https://c.test", "to": "http://up", "policy": people},
        ],
    })
}

fn visit(host: &str, jar: &Jar, extra: &[(&str, &[u8])]) -> Headers {
    let cookie = jar.header();
    let mut all = vec![("cookie", cookie.as_bytes())];
    all.extend_from_slice(extra);
    request("GET", host, "/", &all)
}

/// Returns header and claims of a token, verified with the keys that the host publishes.
pub(super) fn verified(world: &mut World, host: &str, token: &str) -> (Value, Value) {
    let keys = request("GET", host, "/.well-known/pomerium/jwks.json", &[]);
    let keys: Value = serde_json::from_str(&world.reply(&keys).body).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let read = |part: &str| serde_json::from_slice::<Value>(&bytes(part)).unwrap();
    let header = read(header);
    let key = &keys["keys"][0];
    assert_eq!((&key["kid"], &key["alg"]), (&header["kid"], &header["alg"]));
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        point.extend(bytes(key[coordinate].as_str().unwrap()));
    }
    let signature = Signature::from_slice(&bytes(signature)).unwrap();
    let public = VerifyingKey::from_sec1_bytes(&point).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    (header, read(claims))
}

#[test]
fn the_assertion_says_who_visits() {
    let mut world = World::with(&telling());
    let more = json!({"name": "Alice \u{c5}", "groups": ["a", "b"], "team": ["x", "y"], "level": 5, "iss": crate::testing::ISSUER});
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &more);
    let now = world.fixture.now.0;
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    let token = seen.get(ASSERTION_HEADER).unwrap();
    let (header, mut claims) = verified(&mut world, "app.test", &token);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("ES256"), &json!("JWT"))
    );
    let jti = claims["jti"].take();
    let sid = claims["sid"].take();
    assert_eq!(jti.as_str().unwrap().len(), 36);
    assert!(sid.as_str().unwrap().len() >= 16);
    let expected = json!({
        "iss": "app.test", "aud": "app.test", "jti": null, "iat": now, "nbf": now, "exp": now + 300,
        "sub": "s-alice@corp.test", "user": "s-alice@corp.test", "email": "alice@corp.test",
        "groups": ["a", "b"], "sid": null, "name": "Alice \u{c5}", "team": "x,y", "level": "5",
    });
    assert_eq!(claims, expected);
    for (name, value) in [
        ("x-email", "alice@corp.test"),
        ("remote_user", "s-alice@corp.test"),
        ("x-groups", "a,b"),
        ("x-team", "x,y"),
        ("x-level", "5"),
        ("x-issuer", "app.test"),
        ("x-missing", ""),
    ] {
        assert_eq!(seen.get(name).as_deref(), Some(value), "{name}");
    }
}

/// N-09: without a session there is no identity, and the client's own statements are removed in any case.
#[test]
fn n_09_upstreams_are_told_nothing_of_anonymous_users() {
    let mut file = telling();
    file["routes"][1]["set_request_headers"] = json!({"X-Token": "<${pomerium.jwt}>"});
    let mut world = World::with(&file);
    let forged: [(&str, &[u8]); 3] = [
        (ASSERTION_HEADER, b"forged"),
        ("x-email", b"forged"),
        ("x-pomerium-incomplete-claims", b"forged"),
    ];
    let seen = world.upstream(&visit("open.test:8443", &Jar::default(), &forged));
    for name in [
        ASSERTION_HEADER,
        "x-email",
        "remote_user",
        "x-groups",
        "x-team",
        "x-missing",
        "x-pomerium-incomplete-claims",
    ] {
        assert!(!seen.has_like(name), "{name}: {seen:?}");
    }
    assert_eq!(seen.get("x-token").as_deref(), Some("<>"));
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    assert_eq!(seen.get("x-email").as_deref(), Some("alice@corp.test"));
}

#[test]
fn an_address_that_is_not_verified_is_not_told() {
    let mut world = World::with(&telling());
    let more = json!({"email_verified": false, "groups": ["named"]});
    let jar = world.sign_in_with("app.test", "/", "mallory@corp.test", &more);
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    assert_eq!(seen.get("x-email").as_deref(), Some(""));
}

#[test]
fn the_same_token_stands_where_the_file_refers_to_it() {
    let mut world = World::with(&telling());
    let jar = world.sign_in("b.test", "/", "alice@corp.test");
    let seen = world.upstream(&visit("b.test", &jar, &[("authorization", b"Basic x")]));
    let value = seen.get("authorization").unwrap();
    let (_, claims) = verified(&mut world, "b.test", value.strip_prefix("Bearer ").unwrap());
    assert_eq!(claims["email"], "alice@corp.test");
    assert!(!seen.has_like(ASSERTION_HEADER) && !seen.has_like("x-email"));
}

#[test]
fn what_clients_claim_is_removed_on_every_route() {
    let mut world = World::with(&telling());
    let claimed: [(&str, &[u8]); 6] = [
        ("x_pomerium_jwt_assertion", b"evil"),
        ("x-pomerium-jwt-assertion-for", b"evil"),
        ("X.Email", b"evil"),
        ("remote-user", b"evil"),
        ("remote.user", b"evil"),
        ("x-team", b"evil"),
    ];
    let claimed = claimed.map(|(name, value)| (name.to_ascii_lowercase(), value));
    for host in ["app.test", "b.test", "c.test"] {
        let jar = world.sign_in(host, "/", "alice@corp.test");
        let extra: Vec<(&str, &[u8])> = claimed
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let seen = world.upstream(&visit(host, &jar, &extra));
        assert!(
            !seen.headers.iter().any(|(_, value)| value == b"evil"),
            "{host}: {seen:?}"
        );
    }
}

#[test]
fn an_assertion_is_reused_for_a_minute_and_for_one_user() {
    let mut world = World::with(&telling());
    let alice = world.sign_in("app.test", "/", "alice@corp.test");
    let bob = world.sign_in("app.test", "/", "bob@corp.test");
    let token = |world: &mut World, jar: &Jar| {
        let seen = world.upstream(&visit("app.test", jar, &[]));
        seen.get(ASSERTION_HEADER).unwrap()
    };
    let begun = world.fixture.now;
    let first = token(&mut world, &alice);
    assert_ne!(token(&mut world, &bob), first);
    world.fixture.now = begun.plus(59);
    assert_eq!(token(&mut world, &alice), first);
    world.fixture.now = begun.plus(60);
    let second = token(&mut world, &alice);
    assert_ne!(second, first);
    let id = |world: &mut World, token: &str| verified(world, "app.test", token).1["jti"].clone();
    assert_ne!(id(&mut world, &first), id(&mut world, &second));
    // A clock that was set back does not extend the use of an assertion.
    world.fixture.now = begun;
    assert_ne!(token(&mut world, &alice), second);
}

#[test]
fn identity_headers_can_be_removed_and_overruled() {
    let mut file = telling();
    file["routes"][0]["remove_request_headers"] = json!(["X-Email", "X-Pomerium-Jwt-Assertion"]);
    file["routes"][0]["set_request_headers"] = json!({"X-Team": "fixed"});
    let mut world = World::with(&file);
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &json!({"team": "x"}));
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    assert!(!seen.has_like("x-email") && !seen.has_like(ASSERTION_HEADER));
    assert_eq!(seen.get("x-team").as_deref(), Some("fixed"));
    assert_eq!(seen.get("x-groups").as_deref(), Some(""));
}

/// Returns the claims that are marked as incomplete, in the header and in the assertion.
fn incomplete(world: &mut World, jar: &Jar) -> (Option<String>, Value) {
    let seen = world.upstream(&visit("app.test", jar, &[]));
    let token = seen.get(ASSERTION_HEADER).unwrap();
    let (_, claims) = verified(world, "app.test", &token);
    (
        seen.get("x-pomerium-incomplete-claims"),
        claims["incomplete_claims"].clone(),
    )
}

#[test]
fn very_many_groups_do_not_prevent_a_sign_in() {
    let mut world = World::with(&telling());
    let mut groups: Vec<String> = (0..2000).map(|n| format!("group-{n}")).collect();
    groups.push("named".to_owned());
    let more = json!({"groups": groups, "email_verified": false});
    let jar = world.sign_in_with("app.test", "/", "mallory@corp.test", &more);
    assert!(jar.header().len() <= 3 * 4096);
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    assert_eq!(seen.get("x-groups").as_deref(), Some("named"));
    let warning = seen.warning.unwrap();
    assert!(
        warning.contains("incomplete claims: {\"groups\"} account=\"mallory@corp.test\"")
            && !warning.contains("group-1"),
        "{warning}"
    );
    let told = (Some("groups".to_owned()), json!(["groups"]));
    assert_eq!(incomplete(&mut world, &jar), told);
    let again = world.upstream(&visit("app.test", &jar, &[]));
    assert_eq!(again.warning, None, "one line for each assertion");
}

/// N-15: a name that does not fit takes nothing else with it, so that no user hides a group.
#[test]
fn n_15_an_oversized_claim_removes_no_other() {
    let mut world = World::with(&telling());
    for length in [6_000, 9_000, 40_000] {
        let name = "n".repeat(length);
        let more = json!({"name": name, "groups": ["admins", "x"], "team": ["blue"], "level": 5});
        let jar = world.sign_in_with("app.test", "/", "mallory@corp.test", &more);
        let seen = world.upstream(&visit("app.test", &jar, &[]));
        for (header, value) in [
            ("x-groups", "admins,x"),
            ("x-team", "blue"),
            ("x-level", "5"),
            ("x-email", "mallory@corp.test"),
        ] {
            assert_eq!(
                seen.get(header).as_deref(),
                Some(value),
                "{length} {header}"
            );
        }
        let token = seen.get(ASSERTION_HEADER).unwrap();
        let (_, claims) = verified(&mut world, "app.test", &token);
        let fits = claims["name"] == name;
        let told = if fits { Value::Null } else { json!(["name"]) };
        assert_eq!(claims["incomplete_claims"], told, "{length}");
        assert!(fits || (length > 6_000 && claims["name"] == ""), "{length}");
    }
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    assert_eq!(incomplete(&mut world, &jar), (None, Value::Null));
}

/// N-15: groups are dropped last, however large they are.
#[test]
fn n_15_groups_outlast_smaller_claims() {
    let mut world = World::with(&telling());
    let groups: Vec<String> = (0..600).map(|n| format!("group-{n:03}")).collect();
    let more = json!({"groups": groups, "team": "t".repeat(1500)});
    let jar = world.sign_in_with("app.test", "/", "mallory@corp.test", &more);
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    let told = seen.get("x-groups").unwrap();
    assert_eq!(told.split(',').count(), 600);
    assert_eq!(seen.get("x-team").as_deref(), Some(""));
    assert_eq!(
        incomplete(&mut world, &jar),
        (Some("team".to_owned()), json!(["team"]))
    );
}

/// N-15: no value can be read as another value or as two.
#[test]
fn n_15_claims_in_headers_are_encoded_in_one_way() {
    let mut world = World::with(&telling());
    let more = json!({
        "groups": ["adm\u{0}in", "x,admins", "\u{c5}", "100%"],
        "team": ["x,admins"],
        "level": " 5\r\nX-Admin: 1 ",
    });
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &more);
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    for (header, value) in [
        ("x-groups", "adm%00in,x%2Cadmins,%C3%85,100%25"),
        ("x-team", "x%2Cadmins"),
        ("x-level", "%205%0D%0AX-Admin: 1%20"),
    ] {
        assert_eq!(seen.get(header).as_deref(), Some(value), "{header}");
    }
    assert!(!seen.has_like("x-admin"));
    let token = seen.get(ASSERTION_HEADER).unwrap();
    let (_, claims) = verified(&mut world, "app.test", &token);
    assert_eq!(claims["groups"], more["groups"]);
    assert_eq!(claims["team"], "x%2Cadmins");
    assert_eq!(claims["level"], more["level"]);
    assert_eq!(claims.get("incomplete_claims"), None);
}

/// N-15: a value that is no string, or is too long for any server, is reported as incomplete.
#[test]
fn n_15_what_cannot_be_told_is_said_to_be_missing() {
    let mut file = telling();
    // A claim that a policy uses in full stays in the session, however long it is.
    file["routes"][0]["policy"] = json!({"allow": {"or": [{"claim/team": {"exclude": "x"}}]}});
    let mut world = World::with(&file);
    let more = json!({"groups": ["a", {"name": "admins"}], "team": "t".repeat(8200)});
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &more);
    let seen = world.upstream(&visit("app.test", &jar, &[]));
    assert_eq!(seen.get("x-groups").as_deref(), Some("a"));
    assert_eq!(seen.get("x-team").as_deref(), Some(""));
    let (header, claim) = incomplete(&mut world, &jar);
    assert_eq!(header.as_deref(), Some("groups,team"));
    assert_eq!(claim, json!(["groups"]), "the assertion has the team");
}

/// Both spellings of a domain are one user, to policies and to upstreams, in bytes that a header may have.
#[test]
fn an_internationalised_address_has_one_form() {
    for (policy, expected) in [
        (json!({"email": "jörg@müller.example"}), 200),
        (
            json!({"email": {"in": ["a@b.test", "jörg@XN--mller-KVA.example"]}}),
            200,
        ),
        (json!({"email": {"ends_with": "@MÜLLER.example"}}), 200),
        (json!({"email": {"starts_with": "jörg@mü"}}), 200),
        (json!({"email": {"contains": "üll"}}), 200),
        (json!({"email": {"not": "jörg@müller.example"}}), 403),
        (
            json!({"email": {"not_in": ["jörg@xn--mller-kva.example"]}}),
            403,
        ),
        (json!({"email": "jorg@müller.example"}), 403),
        (json!({"email": "jörg@muller.example"}), 403),
        (json!({"domain": "müller.example"}), 200),
        (json!({"domain": "MÜLLER.example"}), 200),
        (json!({"domain": "xn--mller-kva.example"}), 200),
        (json!({"domain": {"ends_with": "üller.example"}}), 200),
        (json!({"domain": {"ends_with": ".example"}}), 200),
        (json!({"domain": "muller.example"}), 403),
        // A part in ASCII may be of either spelling.
        (json!({"email": {"contains": "ller.ex"}}), 200),
        (json!({"email": {"contains": "LLER.ex"}}), 200),
        (json!({"email": {"ends_with": "ller.example"}}), 200),
        (json!({"email": {"ends_with": "-kva.example"}}), 200),
        (json!({"domain": {"starts_with": "xn--m"}}), 200),
        (json!({"domain": {"contains": "ller."}}), 200),
        (json!({"domain": {"starts_with": "mu"}}), 403),
    ] {
        for stated in ["jörg@müller.example", "jörg@xn--mller-kva.example"] {
            let mut file = telling();
            file["routes"][0]["policy"] = json!({"allow": {"or": [policy]}});
            let mut world = World::with(&file);
            let jar = world.sign_in("app.test", "/", stated);
            let step = world.begin(&visit("app.test", &jar, &[]));
            assert_eq!(status(&step), expected, "{policy} {stated}");
            if expected != 200 {
                continue;
            }
            let seen = world.upstream(&visit("app.test", &jar, &[]));
            let header = seen.get("x-email");
            assert_eq!(header.as_deref(), Some("j%C3%B6rg@xn--mller-kva.example"));
            let token = seen.get(ASSERTION_HEADER).unwrap();
            let (_, claims) = verified(&mut world, "app.test", &token);
            assert_eq!(claims["email"], "jörg@xn--mller-kva.example");
        }
    }
}

/// A part may mix labels in both spellings.
#[test]
fn a_part_of_an_address_may_mix_both_spellings() {
    let mixed = "ö.xn--mller-kva.example";
    for policy in [
        json!({"email": {"ends_with": format!("@{mixed}")}}),
        json!({"email": {"ends_with": mixed}}),
        json!({"email": {"contains": mixed}}),
        json!({"email": {"contains": "Ö.XN--mller-kva"}}),
        json!({"email": {"starts_with": format!("a@{mixed}")}}),
        json!({"domain": {"ends_with": mixed}}),
        json!({"domain": {"starts_with": mixed}}),
        json!({"domain": {"contains": mixed}}),
    ] {
        for (action, expected) in [("allow", 200), ("deny", 403)] {
            let mut file = telling();
            file["routes"][0]["policy"] = json!([
                {"allow": {"or": [{"domain": {"ends_with": ".example"}}]}},
                {action: {"or": [policy]}}]);
            if action == "allow" {
                file["routes"][0]["policy"] = json!({"allow": {"or": [policy]}});
            }
            let mut world = World::with(&file);
            let jar = world.sign_in("app.test", "/", "a@ö.müller.example");
            let step = world.begin(&visit("app.test", &jar, &[]));
            assert_eq!(status(&step), expected, "{action} {policy}");
        }
    }
}

/// The older keys compare addresses in the same form.
#[test]
fn allowed_users_and_domains_know_both_spellings() {
    for (key, value) in [
        ("allowed_users", "jörg@müller.example"),
        ("allowed_users", "jörg@xn--mller-kva.example"),
        ("allowed_domains", "müller.example"),
        ("allowed_domains", "xn--MLLER-kva.example"),
    ] {
        let mut world = World::with(&json!({"routes": [
            {"from": "https://app.test", "to": "http://up", key: [value]}]}));
        for (stated, expected) in [
            ("jörg@müller.example", 200),
            ("jörg@xn--mller-kva.example", 200),
            ("jo\u{308}rg@müller.example", 403),
            ("jörg@muller.example", 403),
        ] {
            let jar = world.sign_in("app.test", "/", stated);
            let step = world.begin(&visit("app.test", &jar, &[]));
            assert_eq!(status(&step), expected, "{key} {value} {stated}");
        }
    }
}

/// N-22: an address that no header and no list can carry as it is, or that looks like another one, is none.
#[test]
fn n_22_an_odd_address_is_none() {
    let mut world = World::with(&telling());
    for odd in [
        "alice\u{ff20}corp.test@corp.test",
        "alice\u{202e}@corp.test",
        "alice,bob\u{e9}@corp.test",
        "\u{ff41}lice@corp.test",
        "alice@corp\u{3002}test",
        "alice@\u{ff43}orp.test",
        "alice\u{200b}@corp.test",
    ] {
        let more = json!({"groups": ["named"]});
        let jar = world.sign_in_with("app.test", "/", odd, &more);
        let seen = world.upstream(&visit("app.test", &jar, &[]));
        assert_eq!(seen.get("x-email").as_deref(), Some(""), "{odd:?}");
    }
}

#[test]
fn applications_find_the_keys() {
    let mut world = World::with(&telling());
    for host in ["app.test:8443", "open.test:8443"] {
        for path in ["/.well-known/pomerium", "/.well-known/pomerium/"] {
            let reply = world.reply(&request("GET", host, path, &[]));
            let told: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(
                told["jwks_uri"],
                format!("https://{host}/.well-known/pomerium/jwks.json")
            );
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        }
        let reply = world.reply(&request(
            "HEAD",
            host,
            "/.well-known/pomerium/jwks.json",
            &[("origin", b"https://else.test")],
        ));
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("cache-control"), Some("max-age=60"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let keys: Value = serde_json::from_str(&reply.body).unwrap();
        assert!(keys["keys"][0].get("d").is_none(), "the public half");
    }
    for (method, path, expected) in [
        ("POST", "/.well-known/pomerium", 405),
        ("GET", "/.well-known/pomerium/x", 404),
        ("GET", "/.well-known/pomerium/../pomerium/x", 404),
    ] {
        let reply = world.reply(&request(method, "app.test", path, &[]));
        assert_eq!(reply.status, expected, "{method} {path}");
    }
}

#[test]
fn refusals_say_why_where_the_file_says_so() {
    for tells in [true, false] {
        let mut file = telling();
        file["routes"][0]["show_error_details"] = json!(tells);
        let mut world = World::with(&file);
        let jar = world.sign_in("app.test", "/", "mallory@else.test").header();
        let cookie = ("cookie", jar.as_bytes());
        let page = world.reply(&request("GET", "app.test", "/", &[HTML, cookie]));
        assert_eq!(page.status, 403);
        assert_eq!(
            page.body
                .contains("domain-unauthorized, groups-unauthorized"),
            tells
        );
        let answer = world.reply(&request("GET", "app.test", "/", &[cookie]));
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        let reasons = json!(["domain-unauthorized", "groups-unauthorized"]);
        assert_eq!(answer.get("reasons"), tells.then_some(&reasons));
    }
}
