//! Session refresh: ahead of time, once, and no failure signs a user out without need.

use serde_json::{Value, json};

use super::world::{Jar, World, ok, request, status};
use crate::gate::*;
use crate::gate::{Progress, Refreshing};
use crate::session::refresh_state::REFRESH_WAIT;
use crate::testing::config;

pub(super) const ALICE: &str = "alice@corp.test";
/// How long an access token holds here, in seconds.
pub(super) const LIFE: u64 = 300;
/// From here on a session is due, whatever the random jitter is.
pub(super) const DUE: u64 = LIFE * 8 / 10;

/// Returns a world in which the provider issues refresh tokens, and alice's browser.
pub(super) fn renewable(changes: &Value) -> (World, Jar) {
    let mut world = World::with(changes);
    world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
    let jar = world.sign_in("app.test", "/", ALICE);
    (world, jar)
}

impl World {
    pub(super) fn later(&mut self, seconds: u64) {
        self.fixture.now = self.fixture.now.plus(seconds);
    }

    /// Returns the refresh that the timer would send now, and the refresh token that it uses.
    pub(super) fn begun_refresh(&mut self) -> Option<(String, Refreshing)> {
        let (call, refreshing) = self.gate.next_refresh(&mut self.fixture.env())?;
        assert_eq!((call.method, call.path.as_str()), ("POST", "/token"));
        let form = url::form_urlencoded::parse(call.body.as_bytes()).into_owned();
        let form: std::collections::BTreeMap<String, String> = form.collect();
        assert_eq!(form["grant_type"], "refresh_token");
        let shown = format!("{call:?} {refreshing:?}");
        assert!(!shown.contains(&form["refresh_token"]), "{shown}");
        Some((form["refresh_token"].clone(), *refreshing))
    }

    pub(super) fn finish(&mut self, refreshing: Refreshing, reply: &ProviderReply<'_>) -> String {
        match refreshing.resume(&self.gate, reply, &mut self.fixture.env()) {
            Progress::Over(event) => event.into_owned(),
            Progress::Call(call, _) => panic!("{call:?}"),
        }
    }

    /// Answers a refresh with a new refresh token and these claims beside those of a refreshed token of alice's.
    pub(super) fn refresh(
        &mut self,
        refreshing: Refreshing,
        refresh_token: &str,
        more: &Value,
    ) -> String {
        let claims = self.refreshed(more);
        self.grant["refresh_token"] = json!(refresh_token);
        let body = self.tokens(Some(&claims));
        self.finish(refreshing, &ok(&body))
    }

    fn refreshed(&self, more: &Value) -> Value {
        let mut claims = self.claims(ALICE, "");
        claims.as_object_mut().unwrap().remove("nonce");
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    /// A script's request; its cookies are kept, as a browser does.
    pub(super) fn fetch(&mut self, jar: &mut Jar) -> u16 {
        let cookies = jar.header();
        let step = self.begin(&request(
            "GET",
            "app.test",
            "/",
            &[("cookie", cookies.as_bytes())],
        ));
        jar.keep(&step);
        status(&step)
    }

    /// Returns another worker of the same process.
    pub(super) fn other_worker(&mut self, changes: &Value) -> Gate {
        let mut gate = Gate::new(config(changes));
        std::mem::swap(&mut self.gate, &mut gate);
        self.learn();
        std::mem::swap(&mut self.gate, &mut gate);
        gate
    }
}

impl Jar {
    /// Takes the cookies of the reply to a request.
    fn keep(&mut self, step: &Step) {
        match step {
            Step::Reply(reply) => self.take(reply),
            Step::Forward(forward) => {
                for line in forward.cookies() {
                    let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
                    self.0.insert(name.to_owned(), value.to_owned());
                }
            }
            _ => {}
        }
    }
}

#[test]
fn nothing_is_asked_before_a_session_is_due() {
    let (mut world, mut jar) = renewable(&json!({}));
    world.later(LIFE * 7 / 10 - 1);
    assert_eq!(world.fetch(&mut jar), 200);
    assert!(world.begun_refresh().is_none());
    world.later(LIFE / 10 + 1);
    assert_eq!(world.fetch(&mut jar), 200);
    assert_eq!(world.begun_refresh().unwrap().0, "r0");
}

#[test]
fn without_a_refresh_token_nothing_is_ever_asked() {
    let mut world = World::new();
    let mut jar = world.sign_in("app.test", "/", ALICE);
    world.later(13 * 3600);
    assert_eq!(world.fetch(&mut jar), 200);
    assert!(world.begun_refresh().is_none());
}

/// C-30.
#[test]
fn twenty_requests_at_once_on_two_workers_make_one_call_and_all_get_in() {
    let (mut world, jar) = renewable(&json!({}));
    let mut other = world.other_worker(&json!({}));
    world.later(DUE);
    let mut refreshes = Vec::new();
    for number in 0..20 {
        std::mem::swap(&mut world.gate, &mut other);
        assert_eq!(world.fetch(&mut jar.clone()), 200, "request {number}");
        refreshes.extend(world.begun_refresh());
    }
    let (token, refreshing) = refreshes.pop().unwrap();
    assert_eq!((token.as_str(), refreshes.len()), ("r0", 0));

    // Requests that arrive while the provider is asked are forwarded, and begin no refresh.
    assert_eq!(world.fetch(&mut jar.clone()), 200);
    assert!(world.begun_refresh().is_none());
    let event = world.refresh(refreshing, "r1", &json!({}));
    assert_eq!(event, "session refreshed account=\"alice@corp.test\"");

    // All copies get the new session, from both workers, and the old token is not used again.
    for _ in 0..4 {
        std::mem::swap(&mut world.gate, &mut other);
        let mut copy = jar.clone();
        assert_eq!(world.fetch(&mut copy), 200);
        assert_ne!(copy.0, jar.0, "the new session is in a new cookie");
        assert!(world.begun_refresh().is_none());
        let mut again = copy.clone();
        assert_eq!(world.fetch(&mut again), 200);
        assert_eq!(again.0, copy.0, "and stays in it");
    }
}

#[test]
fn a_rotated_refresh_token_is_never_used_twice() {
    let (mut world, old) = renewable(&json!({}));
    let mut jar = old.clone();
    let mut used = Vec::new();
    for round in 1..6 {
        world.later(DUE);
        // The oldest cookie is used as well, as in a second window.
        for jar in [&mut old.clone(), &mut jar] {
            assert_eq!(world.fetch(jar), 200);
            let Some((token, refreshing)) = world.begun_refresh() else {
                continue;
            };
            used.push(token);
            let _ = world.refresh(refreshing, &format!("r{round}"), &json!({}));
        }
    }
    assert_eq!(used, ["r0", "r1", "r2", "r3", "r4"]);
}

#[test]
fn an_overdue_session_waits_for_the_provider_once() {
    let (mut world, mut jar) = renewable(&json!({}));
    world.later(LIFE);
    let cookies = jar.header();
    let headers = request("GET", "app.test", "/", &[("cookie", cookies.as_bytes())]);
    let Step::Hold { until } = world.begin(&headers) else {
        panic!("the first request after a long pause waits")
    };
    assert_eq!(until, world.fixture.now.plus(REFRESH_WAIT));
    let (_, refreshing) = world.begun_refresh().unwrap();
    // If the provider takes too long, the request goes on with what is known, and so do others.
    world.later(REFRESH_WAIT);
    assert_eq!(world.fetch(&mut jar.clone()), 200);
    let late = world
        .gate
        .begin_without(&Request::new(&headers), &mut world.fixture.env());
    assert_eq!(status(&late), 200);
    let _ = world.refresh(refreshing, "r1", &json!({}));
    let step = world.begin(&headers);
    jar.keep(&step);
    assert_eq!(status(&step), 200);
    assert_eq!(world.fetch(&mut jar), 200);
}

/// While the provider is asked about an overdue session, no worker forwards a request of that session.
#[test]
fn every_request_of_an_overdue_session_waits_for_the_running_refresh() {
    let (mut world, jar) = renewable(&json!({}));
    let mut other = world.other_worker(&json!({}));
    world.later(LIFE);
    let headers = request(
        "GET",
        "app.test",
        "/",
        &[("cookie", jar.header().as_bytes())],
    );
    let begun_at = world.fixture.now;
    let is_held =
        |step: &Step| matches!(step, Step::Hold { until } if *until == begun_at.plus(REFRESH_WAIT));
    assert!(is_held(&world.begin(&headers)));
    let (_, refreshing) = world.begun_refresh().unwrap();
    world.later(REFRESH_WAIT - 1);
    for worker in 0..2 {
        let step = world.begin(&headers);
        assert!(is_held(&step), "worker {worker}: {step:?}");
        assert!(world.begun_refresh().is_none(), "worker {worker}");
        let unheld = world
            .gate
            .begin_without(&Request::new(&headers), &mut world.fixture.env());
        assert!(
            matches!(unheld, Step::Forward(_)),
            "worker {worker}: {unheld:?}"
        );
        std::mem::swap(&mut world.gate, &mut other);
    }
    for gate in [&world.gate, &other] {
        assert!(!gate.take_ended_refreshes(&world.fixture.env()), "it runs");
    }
    let _ = world.finish(refreshing, &refused());
    for worker in 0..2 {
        let is_news = world.gate.take_ended_refreshes(&world.fixture.env());
        assert!(is_news, "worker {worker}: requests begin again at once");
        let is_news = world.gate.take_ended_refreshes(&world.fixture.env());
        assert!(!is_news, "worker {worker}: once");
        assert_eq!(world.fetch(&mut jar.clone()), 401, "worker {worker}");
        std::mem::swap(&mut world.gate, &mut other);
    }
}

/// A provider that does not answer holds requests while it is asked, and not during the pause afterwards.
#[test]
fn a_pause_after_a_failed_refresh_holds_no_request() {
    let (mut world, jar) = renewable(&json!({}));
    let mut other = world.other_worker(&json!({}));
    world.later(LIFE);
    let step = world.visit("app.test", "/", &jar);
    assert!(matches!(step, Step::Hold { .. }), "{step:?}");
    let (_, refreshing) = world.begun_refresh().unwrap();
    let _ = world.finish(refreshing, &ProviderReply::NONE);
    for worker in 0..2 {
        assert_eq!(world.fetch(&mut jar.clone()), 200, "worker {worker}");
        std::mem::swap(&mut world.gate, &mut other);
    }
    world.later(crate::session::refresh::PAUSE);
    let step = world.visit("app.test", "/", &jar);
    assert!(matches!(step, Step::Hold { .. }), "{step:?}");
}

/// N-05: a worker that does not know the provider yet asks it before it accepts an overdue session.
#[test]
fn n_05_an_overdue_session_waits_for_a_provider_that_is_not_known_yet() {
    let (mut world, mut jar) = renewable(&json!({}));
    world.later(LIFE);
    world.gate = Gate::new(config(&json!({})));
    let cookies = jar.header();
    let headers = request("GET", "app.test", "/", &[("cookie", cookies.as_bytes())]);
    let Step::Hold { until } = world.begin(&headers) else {
        panic!("nothing is believed before the provider is asked")
    };
    assert_eq!(until, world.fixture.now.plus(REFRESH_WAIT));
    world.later(2);
    assert!(matches!(world.begin(&headers), Step::Hold { until: same } if same == until));
    let unheld = world
        .gate
        .begin_without(&Request::new(&headers), &mut world.fixture.env());
    assert_eq!(status(&unheld), 503, "what cannot wait is not let through");
    world.learn();
    assert!(matches!(world.begin(&headers), Step::Hold { .. }));
    let (_, refreshing) = world.begun_refresh().unwrap();
    let _ = world.finish(refreshing, &refused());
    assert_eq!(world.fetch(&mut jar), 401);
}

/// N-05: a provider that does not answer ends no session, even in a worker that never knew the provider.
#[test]
fn n_05_the_wait_for_an_unknown_provider_has_an_end() {
    let (mut world, mut jar) = renewable(&json!({}));
    world.later(LIFE);
    world.gate = Gate::new(config(&json!({})));
    let cookies = jar.header();
    let headers = request("GET", "app.test", "/", &[("cookie", cookies.as_bytes())]);
    assert!(matches!(world.begin(&headers), Step::Hold { .. }));
    world.later(REFRESH_WAIT);
    let late = world
        .gate
        .begin_without(&Request::new(&headers), &mut world.fixture.env());
    assert_eq!(status(&late), 200);
    assert_eq!(world.fetch(&mut jar), 200, "others do not wait once more");
}

/// N-05: the wait for the provider and the wait for the refresh have one deadline together.
#[test]
fn n_05_two_waits_have_one_deadline() {
    let (mut world, jar) = renewable(&json!({}));
    world.later(LIFE);
    world.gate = Gate::new(config(&json!({})));
    let cookies = jar.header();
    let headers = request("GET", "app.test", "/", &[("cookie", cookies.as_bytes())]);
    let since = world.fixture.now;
    assert!(matches!(world.begin(&headers), Step::Hold { .. }));
    world.later(REFRESH_WAIT - 1);
    world.learn();
    let held = Request::new(&headers).held_since(Some(since));
    let step = world.gate.begin(&held, &mut world.fixture.env());
    let deadline = since.plus(REFRESH_WAIT);
    assert!(
        matches!(step, Step::Hold { until } if until == deadline),
        "{step:?}"
    );
    world.later(1);
    let late = world.gate.begin(&held, &mut world.fixture.env());
    assert_eq!(status(&late), 200, "it is not held once more");
    let step = world.begin(&headers);
    assert!(
        matches!(step, Step::Hold { until } if until > deadline),
        "another request waits for the refresh: {step:?}"
    );
}

/// Policies are evaluated for the claims of a refresh with the next request, in every worker.
#[test]
fn refreshed_claims_are_judged_at_once() {
    let groups = json!({"routes": [{"from": "https://app.test", "to": "http://a",
        "policy": {"allow": {"and": [{"domain": "corp.test"}, {"groups": "admins"}]}}}]});
    let mut world = World::with(&groups);
    world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
    let told = json!({"groups": ["admins"]});
    let mut jar = world.sign_in_with("app.test", "/", ALICE, &told);
    let mut other = world.other_worker(&groups);
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 200);
    let (_, refreshing) = world.begun_refresh().unwrap();
    let _ = world.refresh(refreshing, "r1", &json!({"groups": ["guests"]}));
    assert_eq!(world.fetch(&mut jar.clone()), 403);
    std::mem::swap(&mut world.gate, &mut other);
    assert_eq!(world.fetch(&mut jar), 403);
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 403);
    let (_, refreshing) = world.begun_refresh().unwrap();
    let _ = world.refresh(refreshing, "r2", &json!({"groups": ["admins"]}));
    assert_eq!(world.fetch(&mut jar), 200);
}

#[test]
fn a_refused_refresh_ends_the_session_in_all_workers() {
    let (mut world, mut jar) = renewable(&json!({}));
    let mut other = world.other_worker(&json!({}));
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 200);
    let (_, refreshing) = world.begun_refresh().unwrap();
    let event = world.finish(refreshing, &refused());
    assert_eq!(
        event,
        "session ended: the provider refuses to refresh it: the token endpoint answered status=400 \
         error=\"invalid_grant\" account=\"alice@corp.test\""
    );
    std::mem::swap(&mut world.gate, &mut other);
    assert_eq!(world.fetch(&mut jar.clone()), 401, "a script is told");
    let step = world.visit("app.test", "/", &jar);
    assert_eq!(status(&step), 303, "a person is sent to sign in");
    jar.keep(&step);
    assert!(!jar.0.contains_key("__Host-_pomerium"), "the cookie goes");
    assert!(world.begun_refresh().is_none());
}

#[test]
fn a_refusal_that_comes_after_another_refresh_ends_nothing() {
    let (mut world, jar) = renewable(&json!({}));
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar.clone()), 200);
    let (_, slow) = world.begun_refresh().unwrap();
    // The worker that was refreshing seems to have died.
    world.later(crate::session::refresh_state::LOCK);
    let step = world.visit("app.test", "/", &jar);
    assert!(matches!(step, Step::Hold { .. } | Step::Forward(_)));
    let (_, fast) = world.begun_refresh().unwrap();
    let _ = world.refresh(fast, "r1", &json!({}));
    let event = world.finish(slow, &refused());
    assert!(event.starts_with("refresh dropped"), "{event}");
    assert_eq!(world.fetch(&mut jar.clone()), 200);
}

/// C-32 is the last case: the answer is lost, so the old token is used once more, and the provider refuses it.
#[test]
fn a_provider_without_a_usable_answer_ends_no_session() {
    for (name, reply) in [
        ("unreachable", ProviderReply::NONE),
        ("down", reply(503, "")),
        ("broken", reply(500, "{\"error\":\"invalid_grant\"}")),
        ("rubbish", reply(200, "<html>")),
        ("empty", reply(200, "{}")),
        (
            "our own mistake",
            reply(401, "{\"error\":\"invalid_client\"}"),
        ),
    ] {
        let (mut world, mut jar) = renewable(&json!({}));
        world.later(DUE);
        assert_eq!(world.fetch(&mut jar), 200);
        let (_, refreshing) = world.begun_refresh().unwrap();
        let event = world.finish(refreshing, &reply);
        assert!(
            event.starts_with("session not refreshed"),
            "{name}: {event}"
        );
        world.later(crate::session::refresh::PAUSE - 1);
        assert_eq!(world.fetch(&mut jar), 200, "{name}");
        assert!(world.begun_refresh().is_none(), "{name}: not again so soon");
        world.later(LIFE);
        let step = world.visit("app.test", "/", &jar);
        assert!(matches!(step, Step::Hold { .. }), "{name}: {step:?}");
        let (token, refreshing) = world.begun_refresh().unwrap();
        assert_eq!(token, "r0", "{name}");
        let _ = world.finish(refreshing, &refused());
        assert_eq!(world.fetch(&mut jar), 401, "{name}");
        assert!(world.begun_refresh().is_none(), "{name}: no loop");
    }
}

#[test]
fn a_provider_that_stays_away_does_not_prolong_a_session() {
    let (mut world, mut jar) = renewable(&json!({"cookie_expire": "1h"}));
    let begun = world.fixture.now;
    for _ in 0..100 {
        world.later(crate::session::refresh_state::LOCK);
        if world.fixture.now >= begun.plus(3600) {
            break;
        }
        let headers = request(
            "GET",
            "app.test",
            "/",
            &[("cookie", jar.header().as_bytes())],
        );
        let step = world
            .gate
            .begin_without(&Request::new(&headers), &mut world.fixture.env());
        assert!(matches!(status(&step), 200 | 503));
        if let Some((_, refreshing)) = world.begun_refresh() {
            let _ = world.finish(refreshing, &ProviderReply::NONE);
        }
        assert_eq!(world.fetch(&mut jar), 200);
    }
    world.fixture.now = begun.plus(3600);
    assert_eq!(world.fetch(&mut jar), 401);
}

/// J-56, and OpenID's `refresh-token-invalid-issuer` and `refresh-token-invalid-sub`.
#[test]
fn a_refresh_never_switches_the_identity() {
    let issuer = crate::testing::ISSUER;
    for (name, more, cause) in [
        (
            "sub",
            json!({"sub": "s-bob@corp.test"}),
            "token-subject".to_owned(),
        ),
        (
            "iss",
            json!({"iss": "https://evil.test"}),
            format!(r#"iss expected="{issuer}" received="https://evil.test""#),
        ),
        (
            "aud",
            json!({"aud": "other"}),
            format!(
                r#"expected="{}" received aud="other" azp=none"#,
                crate::testing::CLIENT
            ),
        ),
        (
            "nonce",
            json!({"nonce": "another"}),
            "token-nonce".to_owned(),
        ),
    ] {
        let (mut world, mut jar) = renewable(&json!({}));
        world.later(DUE);
        assert_eq!(world.fetch(&mut jar), 200);
        let (_, refreshing) = world.begun_refresh().unwrap();
        let event = world.refresh(refreshing, "r1", &more);
        assert_eq!(
            event,
            format!("session ended: identity_changed: {cause} account=\"alice@corp.test\""),
            "{name}"
        );
        assert_eq!(world.fetch(&mut jar), 401, "{name}");
    }
}

/// The log has the provider's own words, as for a sign-in, and no token.
#[test]
fn the_log_says_why_a_refresh_has_failed() {
    let refused = r#"{"error":"invalid_grant","error_description":"token r0 of 0123456789abcdef0123 expired"}"#;
    let client = r#"{"error":"invalid_client"}"#;
    for (reply, expected) in [
        (
            reply(400, refused),
            r#"session ended: the provider refuses to refresh it: the token endpoint answered status=400 error="invalid_grant" description="token [hidden] of [hidden] expired""#,
        ),
        (
            reply(401, client),
            r#"session not refreshed: the provider gave no usable answer: the token endpoint answered status=401 error="invalid_client""#,
        ),
        (
            ProviderReply::NONE,
            "session not refreshed: the provider gave no usable answer: the token endpoint did not answer",
        ),
    ] {
        let (mut world, mut jar) = renewable(&json!({}));
        world.later(DUE);
        assert_eq!(world.fetch(&mut jar), 200);
        let (_, refreshing) = world.begun_refresh().unwrap();
        let event = world.finish(refreshing, &reply);
        assert_eq!(event, format!("{expected} account=\"alice@corp.test\""));
    }
}

/// UserInfo that cannot be used is a cause of its own.
#[test]
fn the_log_says_what_userinfo_answered_in_a_refresh() {
    for (reply, expected) in [
        (
            reply(500, r#"{"error":"server_error"}"#),
            r#"session not refreshed: UserInfo gave no usable answer: UserInfo answered status=500 error="server_error""#,
        ),
        (
            ok(r#"{"sub":"s-bob@corp.test"}"#),
            "session ended: identity_changed: UserInfo is about another `sub`",
        ),
    ] {
        let (mut world, mut jar) = renewable(&json!({}));
        let event = world.refresh_by_userinfo(&mut jar, &reply);
        assert_eq!(event, format!("{expected} account=\"alice@corp.test\""));
    }
}

/// An invalid ID token changes nothing, but the refresh token that came with it is the valid one now.
#[test]
fn a_token_that_does_not_hold_changes_nothing_but_the_refresh_token() {
    let (mut world, mut jar) = renewable(&json!({}));
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 200);
    let (_, refreshing) = world.begun_refresh().unwrap();
    let event = world.refresh(refreshing, "r1", &json!({"exp": 5}));
    assert!(event.contains("token-expired"), "{event}");
    assert_eq!(world.fetch(&mut jar), 200);
    assert!(world.begun_refresh().is_none());
    world.later(crate::session::refresh::PAUSE);
    assert_eq!(world.fetch(&mut jar), 200);
    assert_eq!(world.begun_refresh().unwrap().0, "r1");
}

#[test]
fn a_refresh_without_an_id_token_asks_userinfo_who_it_is() {
    let (mut world, mut jar) = renewable(&json!({}));
    for (sub, expected) in [("s-alice@corp.test", 200), ("s-bob@corp.test", 401)] {
        world.later(DUE);
        assert_eq!(world.fetch(&mut jar), 200);
        let (_, refreshing) = world.begun_refresh().unwrap();
        let body = world.tokens(None);
        let progress = refreshing.resume(&world.gate, &ok(&body), &mut world.fixture.env());
        let Progress::Call(call, refreshing) = progress else {
            panic!("{progress:?}")
        };
        assert_eq!(call.path, "/me");
        let told = json!({"sub": sub, "email": ALICE, "email_verified": true}).to_string();
        let _ = world.finish(*refreshing, &ok(&told));
        assert_eq!(world.fetch(&mut jar), expected);
    }
}

/// The tenant was verified at the sign-in: UserInfo need not repeat it, and must not name another tenant.
#[test]
fn userinfo_without_a_tenant_does_not_contradict_the_sign_in() {
    let google = json!({"idp_provider": "google", "idp_provider_url": crate::testing::ISSUER,
        "idp_allowed_tenants": ["corp.test"]});
    for (more, expected) in [
        (json!({}), 200),
        (json!({"hd": null}), 200),
        (json!({"hd": "corp.test"}), 200),
        (json!({"hd": "evil.test"}), 401),
    ] {
        let mut world = World::with(&google);
        world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
        let mut jar = world.sign_in_with("app.test", "/", ALICE, &json!({"hd": "corp.test"}));
        world.later(DUE);
        assert_eq!(world.fetch(&mut jar), 200);
        let (_, refreshing) = world.begun_refresh().unwrap();
        let body = world.tokens(None);
        let progress = refreshing.resume(&world.gate, &ok(&body), &mut world.fixture.env());
        let Progress::Call(_, refreshing) = progress else {
            panic!("{progress:?}")
        };
        let mut told = json!({"sub": "s-alice@corp.test", "email": ALICE, "email_verified": true});
        for (name, value) in more.as_object().unwrap() {
            told[name] = value.clone();
        }
        let event = world.finish(*refreshing, &ok(&told.to_string()));
        assert_eq!(world.fetch(&mut jar), expected, "{more} {event}");
    }
}

/// The provider has said that the address is not verified. UserInfo that says nothing about it does not change that.
#[test]
fn userinfo_does_not_verify_a_denied_address() {
    let google = json!({"idp_provider": "google", "idp_provider_url": crate::testing::ISSUER,
        "idp_allowed_tenants": ["corp.test"]});
    let mut world = World::with(&google);
    world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
    let denied = json!({"hd": "corp.test", "email_verified": false});
    let mut jar = world.sign_in_with("app.test", "/", ALICE, &denied);
    assert_eq!(world.fetch(&mut jar), 403);
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 403);
    let (_, refreshing) = world.begun_refresh().unwrap();
    let body = world.tokens(None);
    let progress = refreshing.resume(&world.gate, &ok(&body), &mut world.fixture.env());
    let Progress::Call(_, refreshing) = progress else {
        panic!("{progress:?}")
    };
    let userinfo = json!({"sub": "s-alice@corp.test", "email": ALICE});
    let event = world.finish(*refreshing, &ok(&userinfo.to_string()));
    assert!(event.starts_with("session refreshed"), "{event}");
    assert_eq!(world.fetch(&mut jar), 403);
}

/// An ID token names the tenant: without it the user has left the tenant.
#[test]
fn a_refreshed_id_token_has_to_name_the_tenant() {
    let google = json!({"idp_provider": "google", "idp_provider_url": crate::testing::ISSUER,
        "idp_allowed_tenants": ["corp.test"]});
    for (more, expected) in [(json!({"hd": "corp.test"}), 200), (json!({}), 401)] {
        let mut world = World::with(&google);
        world.grant = json!({"refresh_token": "r0", "expires_in": LIFE});
        let mut jar = world.sign_in_with("app.test", "/", ALICE, &json!({"hd": "corp.test"}));
        world.later(DUE);
        assert_eq!(world.fetch(&mut jar), 200);
        let (_, refreshing) = world.begun_refresh().unwrap();
        let event = world.refresh(refreshing, "r1", &more);
        assert_eq!(world.fetch(&mut jar), expected, "{more} {event}");
    }
}

/// N-01: Ping has the address in `mail`, in its UserInfo too.
#[test]
fn n_01_a_refresh_knows_pings_mail() {
    let ping = json!({"idp_provider": "ping", "idp_provider_url": crate::testing::ISSUER});
    for (word, expected) in [(json!(true), 200), (json!(false), 403)] {
        let (mut world, mut jar) = renewable(&ping);
        world.later(DUE);
        assert_eq!(world.fetch(&mut jar), 200);
        let (_, refreshing) = world.begun_refresh().unwrap();
        let body = world.tokens(None);
        let progress = refreshing.resume(&world.gate, &ok(&body), &mut world.fixture.env());
        let Progress::Call(_, refreshing) = progress else {
            panic!("{progress:?}")
        };
        let told = json!({"sub": "s-alice@corp.test", "mail": ALICE, "email_verified": word});
        let event = world.finish(*refreshing, &ok(&told.to_string()));
        assert_eq!(world.fetch(&mut jar), expected, "{word} {event}");
    }
}

/// The provider has rotated its signing keys since.
#[test]
fn a_refresh_fetches_new_keys() {
    let (mut world, mut jar) = renewable(&json!({}));
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 200);
    let (_, refreshing) = world.begun_refresh().unwrap();
    world.fake = crate::testing::FakeProvider::with_key(2, "k2");
    let claims = world.refreshed(&json!({}));
    let body = world.tokens(Some(&claims));
    let progress = refreshing.resume(&world.gate, &ok(&body), &mut world.fixture.env());
    let Progress::Call(call, refreshing) = progress else {
        panic!("{progress:?}")
    };
    assert_eq!(call.path, "/jwks");
    let keys = world.fake.jwks();
    let event = world.finish(*refreshing, &ok(&keys));
    assert!(event.starts_with("session refreshed"), "{event}");
}

/// C-29.
#[test]
fn a_sign_out_during_a_refresh_wins() {
    let (mut world, mut jar) = renewable(&json!({}));
    world.later(DUE);
    assert_eq!(world.fetch(&mut jar), 200);
    let (_, refreshing) = world.begun_refresh().unwrap();
    let mut copy = jar.clone();
    let cookies = jar.header();
    // The provider is asked to revoke the token as well; its answer does not matter.
    let _ = world.begin(&request(
        "POST",
        "app.test",
        "/.pomerium/sign_out",
        &[
            ("cookie", cookies.as_bytes()),
            ("origin", b"https://app.test"),
        ],
    ));
    let event = world.refresh(refreshing, "r1", &json!({}));
    assert!(event.starts_with("refresh dropped"), "{event}");
    assert_eq!(world.fetch(&mut copy), 401, "a copy of the cookie");
}

/// C-13: activity extends the idle limit, and never the lifetime.
#[test]
fn idle_and_absolute_ends_to_the_second() {
    let changes = json!({"cookie_idle_expire": "10m", "cookie_expire": "1h"});
    let mut world = World::with(&changes);
    let mut jar = world.sign_in("app.test", "/", ALICE);
    world.later(599);
    assert_eq!(world.fetch(&mut jar.clone()), 200, "idle - 1");
    // That request counted, even if its browser did not keep the cookie.
    world.later(599);
    assert_eq!(world.fetch(&mut jar), 200);
    world.later(600);
    assert_eq!(world.fetch(&mut jar), 401, "idle");

    let begun = world.fixture.now;
    let mut first = world.sign_in("app.test", "/", ALICE);
    let mut jar = first.clone();
    while world.fixture.now < begun.plus(3300) {
        world.later(300);
        assert_eq!(world.fetch(&mut jar), 200);
    }
    world.fixture.now = begun.plus(3599);
    assert_eq!(world.fetch(&mut jar.clone()), 200, "absolute - 1");
    world.fixture.now = begun.plus(3600);
    assert_eq!(world.fetch(&mut jar), 401, "absolute");
    assert_eq!(world.fetch(&mut first), 401, "absolute");
}

pub(super) fn refused() -> ProviderReply<'static> {
    reply(400, "{\"error\":\"invalid_grant\"}")
}

fn reply(status: u16, body: &str) -> ProviderReply<'_> {
    ProviderReply {
        status,
        body: body.as_bytes(),
        date: &[],
    }
}
