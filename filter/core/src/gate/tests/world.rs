//! A gate with its surroundings: a clock, a provider that signs for real, a browser's cookie jar.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::*;
use crate::testing::{CLIENT, FakeProvider, Fixture, ISSUER, config};

pub(super) type Headers = Vec<(String, Vec<u8>)>;

/// A gate with its surroundings.
pub(super) struct World {
    pub(super) gate: Gate,
    pub(super) fixture: Fixture,
    pub(super) fake: FakeProvider,
}

/// What a browser keeps for one host.
#[derive(Clone, Default)]
pub(super) struct Jar(pub(super) BTreeMap<String, String>);

impl Jar {
    pub(super) fn take(&mut self, reply: &Reply) {
        for (_, line) in reply
            .headers
            .iter()
            .filter(|(name, _)| *name == "set-cookie")
        {
            assert!(
                line.starts_with("__Host-") && line.ends_with("; Secure; HttpOnly; SameSite=Lax"),
                "{line}"
            );
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0;") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(super) fn header(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

pub(super) fn request(method: &str, host: &str, path: &str, extra: &[(&str, &[u8])]) -> Headers {
    let base = [
        (":method", method.as_bytes()),
        (":authority", host.as_bytes()),
        (":path", path.as_bytes()),
    ];
    base.iter()
        .chain(extra)
        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect()
}

pub(super) const HTML: (&str, &[u8]) = ("accept", b"text/html");

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            gate: Gate::new(config(&json!({}))),
            fixture: Fixture::new(),
            fake: FakeProvider::new(),
        };
        world.learn();
        world
    }

    /// Lets the gate fetch the provider's metadata.
    pub(super) fn learn(&mut self) {
        let _ = self.gate.known_provider();
        let now = self.fixture.now;
        if self.gate.due(now).is_some() {
            let discovery = self.fake.discovery();
            assert!(matches!(
                self.gate.absorb(&ok(&discovery), now),
                Absorbed::Next(_)
            ));
            assert!(matches!(
                self.gate.absorb(&ok(&self.fake.jwks()), now),
                Absorbed::Ready
            ));
        }
    }

    pub(super) fn begin(&mut self, headers: &Headers) -> Step {
        self.gate
            .begin(&Request::new(headers), &mut self.fixture.env())
    }

    pub(super) fn reply(&mut self, headers: &Headers) -> Reply {
        match self.begin(headers) {
            Step::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn visit(&mut self, host: &str, path: &str, jar: &Jar) -> Step {
        let cookies = jar.header();
        self.begin(&request(
            "GET",
            host,
            path,
            &[HTML, ("cookie", cookies.as_bytes())],
        ))
    }

    /// Opens an address without a session; what came back is the redirect to the provider.
    pub(super) fn depart(
        &mut self,
        host: &str,
        path: &str,
        jar: &mut Jar,
    ) -> BTreeMap<String, String> {
        let Step::Reply(reply) = self.visit(host, path, jar) else {
            panic!("a redirect was expected")
        };
        assert_eq!(
            (reply.status, reply.header("cache-control")),
            (303, Some("no-store"))
        );
        jar.take(&reply);
        let location = url::Url::parse(reply.header("location").unwrap()).unwrap();
        assert_eq!(
            (
                location.origin().ascii_serialization().as_str(),
                location.path()
            ),
            (ISSUER, "/authorize")
        );
        location.query_pairs().into_owned().collect()
    }

    pub(super) fn callback(&mut self, host: &str, state: &str, jar: &Jar) -> Step {
        let path = format!("/.pomerium/callback?code=the-code&state={state}&iss={ISSUER}");
        self.visit(host, &path, jar)
    }

    pub(super) fn claims(&self, email: &str, nonce: &str) -> Value {
        let now = self.fixture.now.0;
        json!({"iss": ISSUER, "sub": format!("s-{email}"), "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce,
               "email": email, "email_verified": true})
    }

    /// Answers a waiting sign-in with a token response.
    pub(super) fn answer(&mut self, step: Step, claims: &Value) -> Step {
        let Step::Call(call, waiting) = step else {
            panic!("a call was expected, not {step:?}")
        };
        assert_eq!(call.path, "/token");
        assert!(!format!("{call:?} {waiting:?}").contains("the-code"));
        let body = json!({"id_token": self.fake.sign(claims), "access_token": "at"}).to_string();
        waiting.resume(&self.gate, &ok(&body), &mut self.fixture.env())
    }

    pub(super) fn sign_in(&mut self, host: &str, path: &str, email: &str) -> Jar {
        let mut jar = Jar::default();
        let query = self.depart(host, path, &mut jar);
        let step = self.callback(host, &query["state"], &jar);
        let claims = self.claims(email, &query["nonce"]);
        let Step::Reply(reply) = self.answer(step, &claims) else {
            panic!("a reply ends a sign-in")
        };
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some(path)),
            "{reply:?}"
        );
        jar.take(&reply);
        assert_eq!(jar.0.len(), 1, "only the session is left");
        jar
    }
}

pub(super) fn ok(body: &str) -> ProviderReply<'_> {
    ProviderReply {
        status: 200,
        body: body.as_bytes(),
    }
}

pub(super) fn status(step: &Step) -> u16 {
    match step {
        Step::Reply(reply) => reply.status,
        Step::Forward(_) => 200,
        Step::Call(..) | Step::Hold { .. } => 0,
    }
}
