//! A gate with its environment: a clock, a provider that signs tokens, a browser's cookie jar.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::gate::step::{Forward, Forwarded};
use crate::gate::waiting::Waiting;
use crate::gate::*;
use crate::http::edit::Edit;
use crate::testing::{CLIENT, FakeProvider, Fixture, ISSUER, config};

pub(super) type Headers = Vec<(String, Vec<u8>)>;

/// A gate with its environment.
pub(super) struct World {
    pub(super) gate: Gate,
    pub(super) fixture: Fixture,
    pub(super) fake: FakeProvider,
    /// The last request, with which a waiting step is resumed.
    pub(super) last: Headers,
    /// The members that the provider's token responses have beside the tokens.
    pub(super) grant: Value,
}

/// Headers as one side sees them.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) headers: Headers,
    /// The values by which the response to a request is edited.
    pub(super) forwarded: Option<Forwarded>,
    /// The warning for the log.
    pub(super) warning: Option<String>,
}

impl Sight {
    /// Returns a request as the upstream gets it.
    pub(super) fn of(headers: &Headers, forward: &Forward) -> Self {
        Self {
            headers: edited(headers, forward.edits()),
            forwarded: Some(forward.forwarded().clone()),
            warning: forward.warning().map(str::to_owned),
        }
    }

    /// Returns the value of a header, with lines joined by `|`; `None` when it is missing.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let lines: Vec<String> = self
            .headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect();
        (!lines.is_empty()).then(|| lines.join("|"))
    }

    /// Returns whether a header is there, in any spelling of its name.
    pub(super) fn has_like(&self, name: &str) -> bool {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
        self.headers
            .iter()
            .any(|(known, _)| plain(known) == plain(name))
    }
}

/// Applies edits as a proxy does.
pub(super) fn edited(headers: &Headers, edits: &[Edit<'_>]) -> Headers {
    let mut headers = headers.clone();
    for edit in edits {
        match edit {
            Edit::Remove(name) => headers.retain(|(known, _)| known != name),
            Edit::Set(name, value) => {
                headers.retain(|(known, _)| known != name);
                headers.push((name.to_string(), value.to_vec()));
            }
            Edit::Add(name, value) => headers.push((name.to_string(), value.to_vec())),
        }
    }
    headers
}

/// The cookies that a browser keeps for one host.
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
/// The key of RFC 6455 section 1.3.
pub(super) const KEY: (&str, &[u8]) = ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==");

impl World {
    pub(super) fn new() -> Self {
        Self::with(&json!({}))
    }

    /// Returns a world whose configuration is changed at its top level.
    pub(super) fn with(changes: &Value) -> Self {
        let mut world = Self {
            gate: Gate::new(config(changes)),
            fixture: Fixture::new(),
            fake: FakeProvider::new(),
            last: Headers::new(),
            grant: json!({}),
        };
        world.learn();
        world
    }

    /// Lets the gate fetch the provider's metadata.
    pub(super) fn learn(&mut self) {
        let _ = self.gate.known_provider();
        if let ProviderDue::Call(_) = self.gate.due(&self.fixture.env()) {
            let discovery = self.fake.discovery();
            assert!(matches!(
                self.gate.absorb(&ok(&discovery), &self.fixture.env()),
                Absorbed::Next(_)
            ));
            assert!(matches!(
                self.gate
                    .absorb(&ok(&self.fake.jwks()), &self.fixture.env()),
                Absorbed::Ready
            ));
        }
    }

    pub(super) fn begin(&mut self, headers: &Headers) -> Step {
        self.last.clone_from(headers);
        self.gate
            .begin(&Request::new(headers), &mut self.fixture.env())
    }

    pub(super) fn reply(&mut self, headers: &Headers) -> Reply {
        match self.begin(headers) {
            Step::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Returns a request that has to be forwarded as the upstream gets it.
    pub(super) fn upstream(&mut self, headers: &Headers) -> Sight {
        match self.begin(headers) {
            Step::Forward(forward) => Sight::of(headers, &forward),
            other => panic!("{other:?}"),
        }
    }

    /// Returns what a browser gets when the upstream answers a forwarded request with these headers.
    pub(super) fn answer_of(&self, forwarded: &Forwarded, answer: &Headers) -> Sight {
        // A proxy passes a response's headers only for a route that reads them, or when the response sets cookies.
        let sets_cookie = answer.iter().any(|(name, _)| name == "set-cookie");
        let shown = if self.gate.reads_answer(forwarded) || sets_cookie {
            answer.clone()
        } else {
            Vec::new()
        };
        Sight {
            headers: edited(answer, &self.gate.edit_answer(forwarded, &shown).edits),
            forwarded: None,
            warning: None,
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

    /// Opens an address without a session, and returns the redirect to the provider.
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
        let body = self.tokens(Some(claims));
        self.resume(waiting, &ok(&body))
    }

    /// Returns a token response with these claims in its ID token.
    pub(super) fn tokens(&self, claims: Option<&Value>) -> String {
        let mut answer = self.grant.clone();
        answer["access_token"] = json!("at");
        if let Some(claims) = claims {
            answer["id_token"] = json!(self.fake.sign(claims));
        }
        answer.to_string()
    }

    /// Resumes a waiting request with the provider's reply.
    pub(super) fn resume(&mut self, waiting: Waiting, reply: &ProviderReply<'_>) -> Step {
        waiting.resume(
            &self.gate,
            &Request::new(&self.last),
            reply,
            &mut self.fixture.env(),
        )
    }

    pub(super) fn sign_in(&mut self, host: &str, path: &str, email: &str) -> Jar {
        self.sign_in_with(host, path, email, &json!({}))
    }

    /// Signs a user in, with further claims.
    pub(super) fn sign_in_with(
        &mut self,
        host: &str,
        path: &str,
        email: &str,
        more: &Value,
    ) -> Jar {
        let (reply, jar) = self.finish_sign_in(host, path, (email, more));
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some(path)),
            "{reply:?}"
        );
        let begun = |name: &String| name.contains("_attempt_");
        assert!(!jar.0.keys().any(begun), "only the session is left");
        jar
    }

    /// Signs a user in, and returns the last reply.
    pub(super) fn finish_sign_in(
        &mut self,
        host: &str,
        path: &str,
        (email, more): (&str, &Value),
    ) -> (Reply, Jar) {
        let mut jar = Jar::default();
        let query = self.depart(host, path, &mut jar);
        let step = self.callback(host, &query["state"], &jar);
        let mut claims = self.claims(email, &query["nonce"]);
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut step = self.answer(step, &claims);
        if let Step::Call(call, waiting) = step {
            // UserInfo is asked for what the token lacks, and lacks it as well.
            assert_eq!(call.path, "/me");
            let info = json!({"sub": claims["sub"]}).to_string();
            step = self.resume(waiting, &ok(&info));
        }
        let Step::Reply(reply) = step else {
            panic!("a reply ends a sign-in")
        };
        jar.take(&reply);
        (reply, jar)
    }
}

pub(super) fn ok(body: &str) -> ProviderReply<'_> {
    ProviderReply {
        status: 200,
        body: body.as_bytes(),
        date: &[],
    }
}

pub(super) fn status(step: &Step) -> u16 {
    match step {
        Step::Reply(reply) => reply.status,
        Step::Forward(_) => 200,
        Step::Call(..) | Step::Hold { .. } | Step::ReadBody { .. } => 0,
    }
}
