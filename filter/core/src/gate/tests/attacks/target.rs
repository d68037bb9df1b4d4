//! The target of the attacks: a world with another user who is signed in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::forge::Forge;
use crate::config::Config;
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::gate::tests::world::{Headers, Jar, World, ok, request, status};
use crate::http::reply::Reply;
use crate::oidc::call::ProviderReply;
use crate::oidc::provider::{Absorbed, ProviderDue};
use crate::testing::{FakeProvider, Fixture, config};

/// A gate whose provider signs with [`Forge`]'s keys, and a user who is signed in all the time.
pub(super) struct Target {
    pub(super) world: World,
    pub(super) forge: Forge,
    innocent: Jar,
    /// How often the token endpoint, the key set and UserInfo were asked.
    pub(super) calls: BTreeMap<String, usize>,
    /// The answer of UserInfo: status and body. `None` is an honest provider without further claims.
    pub(super) userinfo: Option<(u16, String)>,
}

/// A sign-in that has come back from the provider.
pub(super) struct Callback {
    pub(super) jar: Jar,
    pub(super) query: BTreeMap<String, String>,
    pub(super) step: Step,
}

impl Target {
    pub(super) fn new() -> Self {
        Self::with(&json!({}))
    }

    /// Returns a target whose configuration is changed at its top level.
    pub(super) fn with(changes: &Value) -> Self {
        Self::of(config(changes))
    }

    fn of(config: Config) -> Self {
        let mut target = Self {
            world: World {
                gate: Gate::new(config),
                fixture: Fixture::new(),
                fake: FakeProvider::new(),
                last: Vec::new(),
                grant: serde_json::json!({}),
            },
            forge: Forge::new(),
            innocent: Jar::default(),
            calls: BTreeMap::new(),
            userinfo: None,
        };
        target.learn();
        target.innocent = target.sign_in("bob@corp.test");
        target.calls.clear();
        target
    }

    /// Lets the gate fetch the provider's documents.
    pub(super) fn learn(&mut self) {
        let keys = self.forge.key_set();
        let _ = self.world.gate.known_provider();
        if let ProviderDue::Call(_) = self.world.gate.due(&self.world.fixture.env()) {
            assert!(matches!(self.fetch(200, keys.as_bytes()), Absorbed::Ready));
        }
    }

    /// Lets the time of the next fetch come, in which the provider has these keys.
    pub(super) fn show_keys(&mut self, status: u16, body: &[u8]) -> Absorbed {
        self.world.fixture.now = self.world.fixture.now.plus(46 * 60);
        let _ = self.world.gate.known_provider();
        let due = self.world.gate.due(&self.world.fixture.env());
        assert!(
            matches!(due, ProviderDue::Call(_)),
            "the keys are looked at again: {due:?}"
        );
        self.fetch(status, body)
    }

    /// Answers a running fetch: the discovery document honestly, the keys with this set.
    fn fetch(&mut self, status: u16, body: &[u8]) -> Absorbed {
        let discovery = self.world.fake.discovery();
        let next = self
            .world
            .gate
            .absorb(&ok(&discovery), &self.world.fixture.env());
        assert!(matches!(next, Absorbed::Next(_)), "{next:?}");
        let keys = ProviderReply {
            status,
            body,
            date: &[],
        };
        self.world.gate.absorb(&keys, &self.world.fixture.env())
    }

    /// Begins a sign-in, in which the provider sends the browser back with a code.
    pub(super) fn come_back(&mut self) -> Callback {
        self.come_back_with(Jar::default())
    }

    pub(super) fn come_back_with(&mut self, mut jar: Jar) -> Callback {
        let query = self.world.depart("app.test", "/wanted?x=1", &mut jar);
        let step = self.world.callback("app.test", &query["state"], &jar);
        Callback { jar, query, step }
    }

    /// Answers the code with this ID token, and further calls honestly.
    pub(super) fn answer(&mut self, step: Step, id_token: &str) -> Step {
        let body = json!({"id_token": id_token, "access_token": "at", "token_type": "Bearer"});
        self.answer_with(step, 200, &body.to_string())
    }

    pub(super) fn answer_with(&mut self, mut step: Step, status: u16, body: &str) -> Step {
        loop {
            let Step::Call(call, waiting) = step else {
                return step;
            };
            *self.calls.entry(call.path.clone()).or_default() += 1;
            let (status, body) = match &*call.path {
                "/token" => (status, body.to_owned()),
                "/jwks" => (200, self.forge.key_set()),
                "/me" => {
                    let more = || (200, json!({"sub": subject(body)}).to_string());
                    self.userinfo.clone().unwrap_or_else(more)
                }
                other => panic!("a call to {other}"),
            };
            let reply = ProviderReply {
                status,
                body: body.as_bytes(),
                date: &[],
            };
            step = self.world.resume(waiting, &reply);
        }
    }

    /// Claims of the default token.
    pub(super) fn claims(&self, callback: &Callback) -> Value {
        self.world
            .claims("alice@corp.test", &callback.query["nonce"])
    }

    pub(super) fn sign_in(&mut self, email: &str) -> Jar {
        let Callback {
            mut jar,
            query,
            step,
        } = self.come_back();
        let token = self
            .forge
            .honest(&self.world.claims(email, &query["nonce"]));
        let Step::Reply(reply) = self.answer(step, &token) else {
            panic!("a reply ends a sign-in")
        };
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some("/wanted?x=1")),
            "{reply:?}"
        );
        jar.take(&reply);
        jar
    }

    /// Runs a whole sign-in with a forged ID token, and returns its reply.
    pub(super) fn try_token(
        &mut self,
        forged: impl FnOnce(&Forge, Value) -> String,
    ) -> (Step, String) {
        let callback = self.come_back();
        let claims = self.claims(&callback);
        let token = forged(&self.forge, claims);
        let step = self.answer(callback.step, &token);
        (step, token)
    }

    /// Asserts that a forged ID token begins no session.
    pub(super) fn refuses_token(
        &mut self,
        what: &str,
        forged: impl FnOnce(&Forge, Value) -> String,
    ) {
        let (step, token) = self.try_token(forged);
        let Step::Reply(reply) = step else {
            panic!("{what}: {step:?}")
        };
        assert_is_refused(what, &reply);
        let signature = token.rsplit('.').next().unwrap_or_default();
        for part in [token.as_str(), signature] {
            let told = part.len() > 20 && (reply.body.contains(part) || reply.event.contains(part));
            assert!(!told, "{what}: the answer repeats the token");
        }
        self.still_serves(what);
    }

    /// The honest claims with one changed or, with `None`, left out.
    pub(super) fn refuses_claim(&mut self, name: &str, value: Option<Value>) {
        let what = format!("{name}: {value:?}");
        self.refuses_token(&what, |forge, claims| {
            forge.honest(&changed(claims, name, value))
        });
    }

    /// Asserts that an unusual but valid token signs alice in.
    pub(super) fn accepts_token(
        &mut self,
        what: &str,
        unusual: impl FnOnce(&Forge, Value) -> String,
    ) -> Jar {
        let Callback {
            mut jar,
            query,
            step,
        } = self.come_back();
        let claims = self.world.claims("alice@corp.test", &query["nonce"]);
        let token = unusual(&self.forge, claims);
        let Step::Reply(reply) = self.answer(step, &token) else {
            panic!("{what}: a reply ends a sign-in")
        };
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some("/wanted?x=1")),
            "{what}: {reply:?}"
        );
        jar.take(&reply);
        assert_eq!(
            status(&self.world.visit("app.test", "/", &jar)),
            200,
            "{what}"
        );
        jar
    }

    pub(super) fn accepts_claim(&mut self, name: &str, value: Value) -> Jar {
        let what = format!("{name}: {value}");
        self.accepts_token(&what, |forge, claims| {
            forge.honest(&changed(claims, name, Some(value)))
        })
    }

    /// Asserts that the other user is served as before.
    pub(super) fn still_serves(&mut self, after: &str) {
        let jar = self.innocent.clone();
        let step = self.world.visit("app.test", "/innocent", &jar);
        assert!(
            matches!(step, Step::Forward(_)),
            "{after}: the innocent visitor got {step:?}"
        );
    }

    /// Sends a request as it is, without a browser's headers.
    pub(super) fn send(&mut self, method: &str, path: &str, more: &[(&str, &[u8])]) -> Step {
        let headers: Headers = request(method, "app.test", path, more);
        self.world.begin(&headers)
    }

    pub(super) fn innocent(&self) -> Jar {
        self.innocent.clone()
    }
}

/// Returns `sub` of the ID token in a token response.
fn subject(answer: &str) -> Value {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let payload = answer["id_token"]
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap();
    let payload =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload);
    let claims: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
    claims["sub"].clone()
}

pub(super) fn changed(mut claims: Value, name: &str, value: Option<Value>) -> Value {
    let object = claims.as_object_mut().unwrap();
    match value {
        Some(value) => {
            object.insert(name.to_owned(), value);
        }
        None => {
            object.remove(name);
        }
    }
    claims
}

/// Asserts that a reply is a refusal, sets no session, and lets the browser forget the attempt.
pub(super) fn assert_is_refused(what: &str, reply: &Reply) {
    assert!(
        (400..500).contains(&reply.status) || reply.status == 502,
        "{what}: {reply:?}"
    );
    assert!(sets_no_session(reply), "{what}: a session was set");
    let cleared =
        set_cookies(reply).any(|line| line.contains("_attempt_") && line.contains("Max-Age=0"));
    assert!(cleared, "{what}: the attempt's cookie stays");
    assert!(
        reply.event.starts_with("refused: ") && !reply.event.contains('\n'),
        "{what}: {}",
        reply.event
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
}

pub(super) fn set_cookies(reply: &Reply) -> impl Iterator<Item = &str> {
    reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, line)| line.as_str())
}

pub(super) fn sets_no_session(reply: &Reply) -> bool {
    set_cookies(reply).all(|line| {
        line.contains("_attempt_") || line.contains("_login_count") || line.contains("Max-Age=0")
    })
}
