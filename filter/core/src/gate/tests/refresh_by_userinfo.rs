//! A refresh without an ID token: claims of the last ID token stay, and claims of UserInfo follow UserInfo.

use serde_json::{Value, json};

use super::refresh::{ALICE, DUE, LIFE};
use super::world::{Jar, World, ok};
use crate::gate::{Progress, Step};
use crate::oidc::call::ProviderReply;

impl World {
    /// Refreshes a session that is due without an ID token, and returns the line in the log. UserInfo gives this reply.
    pub(super) fn refresh_by_userinfo(
        &mut self,
        jar: &mut Jar,
        reply: &ProviderReply<'_>,
    ) -> String {
        self.later(DUE);
        let _ = self.fetch(jar);
        let (_, refreshing) = self.begun_refresh().unwrap();
        let body = self.tokens(None);
        let progress = refreshing.resume(&self.gate, &ok(&body), &mut self.fixture.env());
        let Progress::Call(call, refreshing) = progress else {
            panic!("{progress:?}")
        };
        assert_eq!(call.path, "/me");
        self.finish(*refreshing, reply)
    }

    /// Signs alice in with these claims in the ID token beside those that identify it, and with this UserInfo, which is
    /// asked for what is missing.
    fn sign_in_by(&mut self, id_token: &Value, userinfo: &Value) -> Jar {
        let mut jar = Jar::default();
        let query = self.depart("app.test", "/", &mut jar);
        let step = self.callback("app.test", &query["state"], &jar);
        let mut claims = self.claims(ALICE, &query["nonce"]);
        for name in ["email", "email_verified"] {
            claims.as_object_mut().unwrap().remove(name);
        }
        add(&mut claims, id_token);
        let mut step = self.answer(step, &claims);
        if let Step::Call(_, waiting) = step {
            step = self.resume(waiting, &ok(&about_alice(userinfo)));
        }
        let Step::Reply(reply) = step else {
            panic!("a reply ends a sign-in")
        };
        assert_eq!(reply.status, 303, "{reply:?}");
        jar.take(&reply);
        jar
    }
}

fn add(claims: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
}

fn about_alice(userinfo: &Value) -> String {
    let mut claims = json!({"sub": format!("s-{ALICE}")});
    add(&mut claims, userinfo);
    claims.to_string()
}

/// One route for all signed-in users for whom `deny` does not match.
fn denying(criterion: &Value) -> Value {
    json!({"routes": [{"from": "https://app.test", "to": "http://a",
        "policy": {"allow": {"and": [{"authenticated_user": true}]}, "deny": {"or": [criterion]}}}]})
}

/// One route for users for whom `allow` matches.
fn allowing(criterion: &Value) -> Value {
    json!({"routes": [{"from": "https://app.test", "to": "http://a",
        "policy": {"allow": {"and": [criterion]}}}]})
}

/// Signs alice in, refreshes her session by this UserInfo, twice, and expects these statuses.
fn check(file: &Value, id_token: &Value, userinfo: [&Value; 2], [before, after]: [u16; 2]) {
    let mut world = World::with(file);
    world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
    let [first, later] = userinfo;
    let mut jar = world.sign_in_by(id_token, first);
    let case = format!("{file} {id_token} {first} {later}");
    assert_eq!(world.fetch(&mut jar), before, "{case}");
    for turn in 0..2 {
        let event = world.refresh_by_userinfo(&mut jar, &ok(&about_alice(later)));
        assert!(event.starts_with("session refreshed"), "{event}");
        assert_eq!(world.fetch(&mut jar), after, "{turn}: {case}");
    }
}

fn address() -> Value {
    json!({"email": ALICE, "email_verified": true})
}

#[test]
fn a_denied_claim_of_the_id_token_stays_denied() {
    for (criterion, id_token) in [
        (
            json!({"groups": "contractors"}),
            json!({"groups": ["contractors"]}),
        ),
        (json!({"claim/org.unit": 5}), json!({"org": {"unit": 5}})),
        (
            json!({"claim/Level": {"is": "low"}}),
            json!({"level": "low"}),
        ),
    ] {
        let file = denying(&criterion);
        let mut stated = address();
        add(&mut stated, &id_token);
        check(&file, &stated, [&json!({}), &address()], [403, 403]);
        check(&file, &stated, [&json!({}), &json!({})], [403, 403]);
    }
}

#[test]
fn userinfo_replaces_the_claims_that_it_names() {
    let file = denying(&json!({"groups": "contractors"}));
    let mut stated = address();
    add(&mut stated, &json!({"groups": ["contractors"], "other": 1}));
    for (userinfo, after) in [
        (json!({"groups": ["staff"]}), 200),
        (json!({"Groups": ["staff"]}), 200),
        (json!({"groups": []}), 200),
        (json!({"groups": null}), 403),
        (json!({"Groups": null}), 403),
        (json!({"groups.all": ["staff"], "group": ["staff"]}), 403),
        (json!({"groups": ["staff", "contractors"]}), 403),
    ] {
        check(&file, &stated, [&json!({}), &userinfo], [403, after]);
    }
    let nested = denying(&json!({"claim/org.unit": "x"}));
    let mut stated = address();
    add(&mut stated, &json!({"org": {"unit": "x"}}));
    for (userinfo, after) in [
        (json!({"org": {"unit": "y"}}), 200),
        (json!({"org": {"unit": null}}), 403),
        (json!({"org": "y"}), 200),
        // Another part of the same claim says nothing about this one.
        (json!({"org": {"name": "y"}}), 403),
        (json!({"or": 1}), 403),
    ] {
        check(&nested, &stated, [&json!({}), &userinfo], [403, after]);
    }
}

/// A user who loses the last group may have no such claim any more.
#[test]
fn a_claim_of_userinfo_goes_when_userinfo_does_not_name_it() {
    let file = allowing(&json!({"groups": "admins"}));
    let admins = json!({"groups": ["admins"]});
    check(&file, &address(), [&admins, &admins], [200, 200]);
    check(&file, &address(), [&admins, &json!({})], [200, 403]);
    let mut stated = address();
    add(&mut stated, &admins);
    check(&file, &stated, [&json!({}), &json!({})], [200, 200]);
}

/// UserInfo is asked here for the nickname that the ID token does not have.
#[test]
fn a_claim_of_both_goes_when_userinfo_does_not_name_it() {
    let file = json!({"routes": [{"from": "https://app.test", "to": "http://a", "policy": [
        {"allow": {"and": [{"groups": "admins"}]}},
        {"deny": {"or": [{"claim/nickname": "x"}]}}]}]});
    let mut stated = address();
    add(&mut stated, &json!({"groups": ["admins"]}));
    let both = json!({"groups": ["admins"], "nickname": "y"});
    check(&file, &stated, [&both, &both], [200, 200]);
    check(&file, &stated, [&both, &json!({})], [200, 403]);
    // A claim that only the ID token has stays.
    let nickname = json!({"nickname": "y", "groups": null});
    check(&file, &stated, [&nickname, &json!({})], [200, 200]);
}

#[test]
fn the_address_of_the_id_token_stays_unless_userinfo_names_another() {
    let denied = denying(&json!({"email": ALICE}));
    let allowed = allowing(&json!({"email": ALICE}));
    let other = json!({"email": "bob@corp.test", "email_verified": true});
    let claim = denying(&json!({"claim/email": ALICE}));
    for (userinfo, is_same) in [
        (json!({}), true),
        (json!({"email": ALICE}), true),
        (address(), true),
        (other, false),
        // `null` names nothing, and a confirmation is about no other address.
        (json!({"email": null}), true),
        (json!({"email_verified": true}), true),
        (json!({"hd": "corp.test", "tid": "t"}), true),
        (json!({"email": "malformed"}), false),
    ] {
        let [then_denied, then_allowed] = if is_same { [403, 200] } else { [200, 403] };
        check(
            &denied,
            &address(),
            [&json!({}), &userinfo],
            [403, then_denied],
        );
        check(
            &claim,
            &address(),
            [&json!({}), &userinfo],
            [403, then_denied],
        );
        check(
            &allowed,
            &address(),
            [&json!({}), &userinfo],
            [200, then_allowed],
        );
    }
    // UserInfo takes back what the ID token has confirmed.
    let taken_back = json!({"email_verified": false});
    check(&allowed, &address(), [&json!({}), &taken_back], [200, 403]);
    // An address that only UserInfo has is gone when UserInfo does not name it.
    check(&allowed, &json!({}), [&address(), &json!({})], [200, 403]);
}

/// Only an ID token takes back a denial, even when UserInfo has not named the address meanwhile.
#[test]
fn a_denial_is_not_forgotten_with_the_address() {
    let file = allowing(&json!({"email": ALICE}));
    let denied = json!({"email": ALICE, "email_verified": false});
    let confirmed = json!({"email_verified": true});
    for (id_token, userinfo, updates) in [
        (&denied, json!({}), [&confirmed, &address()]),
        (&json!({}), denied.clone(), [&json!({}), &address()]),
        (
            &address(),
            json!({}),
            [&json!({"email_verified": false}), &address()],
        ),
    ] {
        let mut world = World::with(&file);
        world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
        let mut jar = world.sign_in_by(id_token, &userinfo);
        for update in updates {
            let event = world.refresh_by_userinfo(&mut jar, &ok(&about_alice(update)));
            assert!(event.starts_with("session refreshed"), "{event}");
            assert_eq!(world.fetch(&mut jar), 403, "{id_token} {userinfo} {update}");
        }
    }
}

/// Where silence verifies nothing, the confirmation of the ID token counts for its own address only.
#[test]
fn the_confirmation_of_the_id_token_is_about_its_address() {
    let mut file = allowing(&json!({"domain": "corp.test"}));
    add(
        &mut file,
        &json!({"idp_provider": "auth0", "idp_provider_url": crate::testing::ISSUER}),
    );
    for (id_token, userinfo, after) in [
        (address(), json!({}), 200),
        (address(), json!({"email": ALICE}), 200),
        (address(), json!({"email": "bob@corp.test"}), 403),
        // UserInfo has confirmed it at the sign-in, and does not any more.
        (json!({"email": ALICE}), json!({"email": ALICE}), 403),
    ] {
        check(&file, &id_token, [&address(), &userinfo], [200, after]);
    }
}
