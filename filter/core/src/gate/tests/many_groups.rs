//! Users with more groups than a session can hold: upstreams learn that the list is incomplete, and no decision changes.

use serde_json::{Value, json};

use super::refresh::{ALICE, DUE, LIFE};
use super::world::{Jar, World, request, status};
use crate::gate::Step;

/// Groups that need three times as many bytes as a session has, and then those that policies name.
fn groups(named: &[&str]) -> Value {
    let mut groups: Vec<String> = (0..300)
        .map(|n| format!("g-{n:03}-{}", "x".repeat(100)))
        .collect();
    groups.extend(named.iter().map(ToString::to_string));
    json!(groups)
}

fn file(policy: &Value) -> Value {
    json!({
        "jwt_claims_headers": {"X-Groups": "groups", "X-Name": "name", "X-Team": "team"},
        "routes": [{"from": "https://app.test", "to": "http://up", "pass_identity_headers": true, "policy": policy}],
    })
}

fn fetch(jar: &Jar) -> super::world::Headers {
    request(
        "GET",
        "app.test",
        "/",
        &[("cookie", jar.header().as_bytes())],
    )
}

/// Groups that cannot be kept take no small claim with them.
#[test]
fn small_claims_outlast_groups_that_do_not_fit() {
    let mut world = World::with(&file(&json!({"allow": {"or": [{"groups": "ops"}]}})));
    let more = json!({"name": "Alice", "team": ["blue"], "groups": groups(&["ops"])});
    let jar = world.sign_in_with("app.test", "/", ALICE, &more);
    let seen = world.upstream(&fetch(&jar));
    for (header, value) in [
        ("x-groups", "ops"),
        ("x-name", "Alice"),
        ("x-team", "blue"),
        ("x-pomerium-incomplete-claims", "groups"),
    ] {
        assert_eq!(seen.get(header).as_deref(), Some(value), "{header}");
    }
    let warning = seen.warning.unwrap();
    assert!(
        warning.contains(r#"incomplete claims: {"groups"}"#),
        "{warning}"
    );
}

/// With groups that do not fit, a large claim is dropped beside them and a small one is not.
#[test]
fn a_large_claim_follows_the_groups() {
    let mut world = World::with(&file(&json!({"allow": {"or": [{"groups": "ops"}]}})));
    let more = json!({"name": "n".repeat(9_000), "team": ["blue"], "groups": groups(&["ops"])});
    let jar = world.sign_in_with("app.test", "/", ALICE, &more);
    let seen = world.upstream(&fetch(&jar));
    for (header, value) in [
        ("x-groups", "ops"),
        ("x-name", ""),
        ("x-team", "blue"),
        ("x-pomerium-incomplete-claims", "groups,name"),
    ] {
        assert_eq!(seen.get(header).as_deref(), Some(value), "{header}");
    }
}

/// A session is shortened by what no policy names, so that `deny`, `not` and `exclude` decide as by the whole list.
#[test]
fn a_shortened_list_decides_as_the_whole_one() {
    let everyone = json!({"allow": {"or": [{"authenticated_user": true}]}});
    let mut denied = everyone.clone();
    denied["deny"] = json!({"or": [{"groups": "contractors"}]});
    let mut twice = everyone;
    twice["deny"] =
        json!({"and": [{"claim/GROUPS": "contractors"}, {"groups": {"has": "guests"}}]});
    for policy in [
        denied,
        twice,
        json!({"allow": {"not": [{"groups": "contractors"}]}}),
        json!({"allow": {"nor": [{"groups": {"has": "contractors"}}]}}),
        json!({"allow": {"and": [{"groups": {"exclude": "contractors"}}]}}),
    ] {
        for (named, expected) in [(&["staff"][..], 200), (&["contractors", "guests"], 403)] {
            let mut world = World::with(&file(&policy));
            let more = json!({"groups": groups(named)});
            let jar = world.sign_in_with("app.test", "/", ALICE, &more);
            assert_eq!(
                status(&world.begin(&fetch(&jar))),
                expected,
                "{policy} {named:?}"
            );
        }
    }
}

/// A new policy asks to sign in again: the groups that it names may be among the dropped ones.
#[test]
fn a_policy_about_dropped_groups_asks_to_sign_in_again() {
    let mut world = World::with(&file(
        &json!({"allow": {"or": [{"authenticated_user": true}]}}),
    ));
    let more = json!({"groups": groups(&["contractors"])});
    let jar = world.sign_in_with("app.test", "/", ALICE, &more);
    assert_eq!(status(&world.begin(&fetch(&jar))), 200);
    let stricter = file(&json!({
        "allow": {"or": [{"authenticated_user": true}]},
        "deny": {"or": [{"groups": "contractors"}]},
    }));
    world.gate = crate::gate::Gate::new(crate::testing::config(&stricter));
    world.learn();
    assert_eq!(status(&world.begin(&fetch(&jar))), 401);
}

/// A policy that depends on the whole list refuses users whose list does not fit, at the sign-in and at a refresh.
#[test]
fn a_list_that_a_policy_needs_whole_has_to_fit() {
    let policy = json!({"allow": {"or": [{"groups": {"is": "ops"}}, {"domain": "corp.test"}]}});
    let mut world = World::with(&file(&policy));
    world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let step = world.callback("app.test", &query["state"], &jar);
    let mut claims = world.claims(ALICE, &query["nonce"]);
    claims["groups"] = groups(&[]);
    claims["team"] = json!("blue");
    let Step::Reply(reply) = world.answer(step, &claims) else {
        panic!("a reply")
    };
    assert!(reply.event.contains("sign-in-too-large"), "{}", reply.event);

    let mut jar = world.sign_in_with(
        "app.test",
        "/",
        ALICE,
        &json!({"groups": ["ops"], "team": "blue"}),
    );
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 200);
    let (_, refreshing) = world.begun_refresh().unwrap();
    let event = world.refresh(
        refreshing,
        "r1",
        &json!({"groups": groups(&[]), "team": "blue"}),
    );
    assert_eq!(
        event,
        "session ended: the claims that policies need do not fit into it account=\"alice@corp.test\""
    );
    assert_eq!(world.fetch(&mut jar), 401);
}
