//! A seeded simulation: users with cookie jars on two hosts, several workers, a provider that rotates its keys, is
//! down, answers late or with rubbish, an operator who rotates secrets and changes policies, and a virtual clock. After
//! every step the invariants must hold, by a model that knows who really signed in.
//!
//! `JETWAY_TEST_SEED=N` repeats one run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::world::{HTML, Headers, Jar, edited, ok, request};
use crate::gate::waiting::Waiting;
use crate::gate::*;
use crate::testing::{CLIENT, FakeProvider, Fixture, ISSUER, config};
use crate::time::Timestamp;

const HOSTS: [&str; 2] = ["app.test", "b.test"];
const PEOPLE: [&str; 3] = ["alice@corp.test", "bob@corp.test", "mallory@evil.test"];
const WORKERS: usize = 3;
const STEPS: usize = 400;
const LIFETIME: u64 = 3600;
/// The number of runs, each with a different seed.
const SEEDS: std::ops::Range<u64> = 1..13;

/// A repeatable random source (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// Where a browser is in a sign-in.
#[derive(Clone)]
struct Flow {
    person: usize,
    host: &'static str,
    state: String,
    nonce: String,
}

/// A call that the provider has not answered yet.
struct Pending {
    worker: usize,
    waiting: Waiting,
    callback: Headers,
    flow: Flow,
}

/// The model's knowledge of a session cookie.
#[derive(Clone, Debug)]
struct Known {
    person: usize,
    host: &'static str,
    ends: Timestamp,
    sealed_under: u8,
}

struct Simulation {
    dice: Dice,
    fixture: Fixture,
    gates: Vec<Gate>,
    /// The active cookie secrets, the newest first.
    secrets: Vec<u8>,
    /// The users who may use the application on `app.test`; the other is open to the whole domain.
    permitted: BTreeSet<usize>,
    keys: Vec<FakeProvider>,
    jars: BTreeMap<(usize, &'static str), Jar>,
    flows: Vec<Flow>,
    pending: Vec<Pending>,
    /// Every session cookie that was ever given, by its value.
    sessions: BTreeMap<String, Known>,
    /// Values of cookies that were signed out, or replaced by another session in the same browser.
    ended: BTreeSet<String>,
    permitted_requests: usize,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut simulation = Self {
            dice: Dice(seed),
            fixture: Fixture::new(),
            gates: Vec::new(),
            secrets: vec![1],
            permitted: BTreeSet::from([0, 1]),
            keys: vec![FakeProvider::with_key(1, "k1")],
            jars: BTreeMap::new(),
            flows: Vec::new(),
            pending: Vec::new(),
            sessions: BTreeMap::new(),
            ended: BTreeSet::new(),
            permitted_requests: 0,
        };
        simulation.gates = (0..WORKERS).map(|_| simulation.gate()).collect();
        simulation
    }

    /// A worker with the operator's file as it is now.
    fn gate(&self) -> Gate {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let secret = |byte: &u8| STANDARD.encode([*byte; 32]);
        let previous: Vec<String> = self.secrets[1..].iter().map(secret).collect();
        let emails: Vec<Value> = self
            .permitted
            .iter()
            .map(|person| json!({"email": PEOPLE[*person]}))
            .collect();
        let mut file = json!({
            "cookie_secret": secret(&self.secrets[0]),
            "cookie_expire": format!("{LIFETIME}s"),
            "pass_identity_headers": true,
            "jwt_claims_headers": {"x-mail": "email"},
            "routes": [
                {"from": "https://app.test", "to": "http://a", "policy": {"allow": {"or": emails}}},
                {"from": "https://b.test", "to": "http://b",
                 "policy": {"allow": {"or": [{"domain": "corp.test"}]}}},
            ],
        });
        if !previous.is_empty() {
            file["cookie_secret_previous"] = json!(previous.join(","));
        }
        Gate::new(config(&file))
    }

    fn run(&mut self) {
        for worker in 0..WORKERS {
            self.fetch(worker, true);
        }
        for _ in 0..STEPS {
            match self.dice.below(16) {
                0..=4 => self.open(),
                5..=6 => self.come_back(),
                7..=8 => self.answer(),
                9 => self.cross(),
                10 => self.move_cookie(),
                11 => self.sign_out(),
                12 => {
                    let seconds = [1, 30, 300, 1700][self.dice.below(4)];
                    self.fixture.now = self.fixture.now.plus(seconds);
                }
                13 => self.change_provider(),
                14 => self.change_file(),
                _ => {
                    let worker = self.dice.below(WORKERS);
                    let up = self.dice.below(3) > 0;
                    self.fetch(worker, up);
                }
            }
        }
    }

    fn user_and_host(&mut self) -> (usize, &'static str) {
        let person = self.dice.below(PEOPLE.len());
        (person, HOSTS[self.dice.below(HOSTS.len())])
    }

    fn jar(&self, person: usize, host: &'static str) -> Jar {
        self.jars.get(&(person, host)).cloned().unwrap_or_default()
    }

    /// A user opens an address.
    fn open(&mut self) {
        let (person, host) = self.user_and_host();
        let jar = self.jar(person, host);
        let step = self.send(host, "/page", &jar);
        let Step::Reply(reply) = step else {
            return;
        };
        self.take(person, host, &reply, false);
        let to = reply
            .header("location")
            .and_then(|to| url::Url::parse(to).ok());
        if let Some(to) = to.filter(|to| to.host_str() == Some("op.test")) {
            let query: BTreeMap<_, _> = to.query_pairs().into_owned().collect();
            self.flows.push(Flow {
                person,
                host,
                state: query["state"].clone(),
                nonce: query["nonce"].clone(),
            });
        }
    }

    /// Sends a navigation to a random worker, and compares the result with the model.
    fn send(&mut self, host: &'static str, path: &str, jar: &Jar) -> Step {
        let cookies = jar.header();
        let headers = request("GET", host, path, &[HTML, ("cookie", cookies.as_bytes())]);
        let worker = self.dice.below(WORKERS);
        let step = self.gates[worker].begin(&Request::new(&headers), &mut self.fixture.env());
        self.check(&step, &headers, host, jar);
        step
    }

    /// Asserts the invariants.
    fn check(&mut self, step: &Step, headers: &Headers, host: &str, jar: &Jar) {
        match step {
            Step::Forward(forward) => {
                self.permitted_requests += 1;
                let cookie = jar.0.get("__Host-_pomerium").expect("a session");
                let known = &self.sessions[cookie];
                assert_eq!(known.host, host, "a cookie of another host");
                assert!(self.fixture.now < known.ends, "a session that is over");
                assert!(!self.ended.contains(cookie), "a session that was ended");
                assert!(
                    self.secrets.contains(&known.sealed_under),
                    "a secret of old"
                );
                let upstream = edited(headers, forward.edits());
                let mail = upstream.iter().find(|(name, _)| name == "x-mail");
                let mail = String::from_utf8_lossy(&mail.expect("a claim").1).into_owned();
                assert_eq!(mail, PEOPLE[known.person], "somebody else's session");
                let may = if host == "app.test" {
                    self.permitted.contains(&known.person)
                } else {
                    known.person < 2
                };
                assert!(may, "the policy does not permit {mail} on {host}");
                let leaks = upstream.iter().any(|(_, value)| {
                    let value = String::from_utf8_lossy(value);
                    value.contains(cookie.as_str())
                });
                assert!(!leaks, "the upstream sees the session");
            }
            Step::Reply(reply) => {
                let fine = matches!(reply.status, 200 | 303 | 400 | 401 | 403 | 502 | 503);
                assert!(fine, "{reply:?}");
                for value in jar.0.values().filter(|value| !value.is_empty()) {
                    assert!(!reply.event.contains(value.as_str()), "{reply:?}");
                    assert!(!reply.body.contains(value.as_str()), "{reply:?}");
                }
                let lines = reply
                    .headers
                    .iter()
                    .filter(|(name, _)| *name == "set-cookie");
                assert!(lines.count() < 16, "cookies pile up: {reply:?}");
            }
            Step::Call(..) | Step::Hold { .. } | Step::ReadBody { .. } => {}
        }
    }

    /// Keeps a reply's cookies. A session may begin only when the provider has just named its user.
    fn take(&mut self, person: usize, host: &'static str, reply: &Reply, may_begin: bool) {
        let mut jar = self.jar(person, host);
        let before = jar.0.get("__Host-_pomerium").cloned();
        jar.take(reply);
        let after = jar.0.get("__Host-_pomerium").cloned();
        if let Some(value) = after.filter(|value| Some(value) != before.as_ref()) {
            let earlier = before
                .as_ref()
                .and_then(|before| self.sessions.get(before))
                .cloned();
            let known = if may_begin {
                // A new sign-in has replaced the previous session.
                self.ended.extend(before);
                Known {
                    person,
                    host,
                    ends: self.fixture.now.plus(LIFETIME),
                    sealed_under: self.secrets[0],
                }
            } else {
                let earlier = earlier.expect("no session comes out of nothing");
                Known {
                    sealed_under: self.secrets[0],
                    ..earlier
                }
            };
            self.sessions.insert(value, known);
        }
        assert!(jar.0.len() <= 8, "{:?}", jar.0.keys());
        self.jars.insert((person, host), jar);
    }

    /// The provider sends a browser back, now or twice or late.
    fn come_back(&mut self) {
        if self.flows.is_empty() {
            return;
        }
        let place = self.dice.below(self.flows.len());
        let flow = if self.dice.below(4) == 0 {
            self.flows[place].clone()
        } else {
            self.flows.swap_remove(place)
        };
        self.call_back(&flow, flow.person);
    }

    /// A browser opens a flow's callback.
    fn call_back(&mut self, flow: &Flow, person: usize) {
        let jar = self.jar(person, flow.host);
        let path = format!(
            "/.pomerium/callback?code=the-code&state={}&iss={ISSUER}",
            flow.state
        );
        let cookies = jar.header();
        let callback = request(
            "GET",
            flow.host,
            &path,
            &[HTML, ("cookie", cookies.as_bytes())],
        );
        let worker = self.dice.below(WORKERS);
        let step = self.gates[worker].begin(&Request::new(&callback), &mut self.fixture.env());
        self.check(&step, &callback, flow.host, &jar);
        match step {
            Step::Call(_, waiting) => {
                assert_eq!(person, flow.person, "a sign-in goes on in another browser");
                self.pending.push(Pending {
                    worker,
                    waiting,
                    callback,
                    flow: flow.clone(),
                });
            }
            Step::Reply(reply) => self.take(person, flow.host, &reply, false),
            _ => {}
        }
    }

    /// The provider answers a call: correctly, incorrectly, or about another user.
    fn answer(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let place = self.dice.below(self.pending.len());
        let pending = self.pending.swap_remove(place);
        let flow = pending.flow;
        let now = self.fixture.now.0;
        let claims = json!({
            "iss": ISSUER, "sub": format!("s{}", flow.person), "aud": CLIENT, "exp": now + 300,
            "iat": now, "nonce": flow.nonce, "email": PEOPLE[flow.person], "email_verified": true,
        });
        let current = self.keys.last().expect("a key");
        let with = |name: &str, value: Value| {
            let mut changed = claims.clone();
            changed[name] = value;
            changed
        };
        let kind = self.dice.below(10);
        let token = match kind {
            0 => FakeProvider::with_key(99, "k1").sign(&claims),
            1 => current.sign(&with("nonce", json!("another"))),
            2 => current.sign(&with("aud", json!("another"))),
            3 => current.sign(&with("exp", json!(now - 61))),
            4 => "rubbish".to_owned(),
            _ => current.sign(&claims),
        };
        let body = json!({"id_token": token}).to_string();
        let reply = match kind {
            5 => ProviderReply::NONE,
            6 => ProviderReply {
                status: 500,
                ..ok("<html>")
            },
            _ => ok(&body),
        };
        // The worker may have another configuration by now, as after a reload.
        let gate = &self.gates[pending.worker];
        let callback = Request::new(&pending.callback);
        let mut step = pending
            .waiting
            .resume(gate, &callback, &reply, &mut self.fixture.env());
        if let Step::Call(call, waiting) = step {
            assert_eq!(call.path, "/jwks");
            let keys = self.jwks();
            step = waiting.resume(gate, &callback, &ok(&keys), &mut self.fixture.env());
        }
        let Step::Reply(reply) = step else {
            panic!("a sign-in ends: {step:?}")
        };
        let may_begin = kind > 6 && reply.status == 303;
        self.take(flow.person, flow.host, &reply, may_begin);
    }

    /// A user opens the callback of another user's sign-in (F-02, F-07).
    fn cross(&mut self) {
        if self.flows.is_empty() {
            return;
        }
        let flow = self.flows[self.dice.below(self.flows.len())].clone();
        let other = (flow.person + 1) % PEOPLE.len();
        self.call_back(&flow, other);
    }

    /// A user moves a cookie to the other host, or into another browser's jar.
    fn move_cookie(&mut self) {
        let (person, host) = self.user_and_host();
        let other = HOSTS[usize::from(host == HOSTS[0])];
        let jar = self.jar(person, host);
        if let Step::Forward(_) = self.send(other, "/page", &jar) {
            unreachable!("`check` has found the cookie's host")
        }
    }

    fn sign_out(&mut self) {
        let (person, host) = self.user_and_host();
        let jar = self.jar(person, host);
        let cookies = jar.header();
        let origin = format!("https://{host}");
        let foreign = self.dice.below(3) == 0;
        let origin = if foreign {
            "https://evil.test"
        } else {
            &origin
        };
        let headers = request(
            "POST",
            host,
            "/.pomerium/sign_out",
            &[
                HTML,
                ("origin", origin.as_bytes()),
                ("cookie", cookies.as_bytes()),
            ],
        );
        let worker = self.dice.below(WORKERS);
        let gate = &self.gates[worker];
        let mut step = gate.begin(&Request::new(&headers), &mut self.fixture.env());
        if let Step::Hold { .. } = step {
            step = gate.begin_without(&Request::new(&headers), &mut self.fixture.env());
        }
        let Step::Reply(reply) = step else {
            panic!("{step:?}")
        };
        if foreign {
            assert_eq!(reply.status, 403);
            return;
        }
        // From here on every cookie of that session is invalid, in all workers.
        let value = jar.0.get("__Host-_pomerium").cloned();
        self.take(person, host, &reply, false);
        if let Some(value) = value
            && self.secrets.contains(&self.sessions[&value].sealed_under)
        {
            self.ended.insert(value.clone());
            let copy = Jar(BTreeMap::from([("__Host-_pomerium".to_owned(), value)]));
            for _ in 0..WORKERS {
                let _ = self.send(host, "/page", &copy);
            }
        }
    }

    fn change_provider(&mut self) {
        let number = u8::try_from(self.keys.len() + 1).unwrap_or(u8::MAX);
        let name: &'static str = Box::leak(format!("k{number}").into_boxed_str());
        self.keys.push(FakeProvider::with_key(number, name));
    }

    /// The operator changes the file: every worker gets it, one after the other.
    fn change_file(&mut self) {
        match self.dice.below(4) {
            0 => {
                let newest = self.secrets[0].wrapping_add(1).max(1);
                self.secrets.insert(0, newest);
                self.secrets.truncate(3);
            }
            1 => self.secrets.truncate(1),
            2 => {
                self.permitted.remove(&1);
            }
            _ => {
                self.permitted.insert(1);
            }
        }
        for worker in 0..WORKERS {
            self.gates[worker] = self.gate();
            self.fetch(worker, true);
        }
    }

    fn jwks(&self) -> String {
        let mut keys = Vec::new();
        for provider in self.keys.iter().rev().take(2) {
            let set: Value = serde_json::from_str(&provider.jwks()).expect("a set");
            keys.extend(set["keys"].as_array().expect("keys").clone());
        }
        json!({ "keys": keys }).to_string()
    }

    /// A worker fetches from the provider, which may be down.
    fn fetch(&mut self, worker: usize, up: bool) {
        let gate = &self.gates[worker];
        let _ = gate.known_provider();
        let mut next = match gate.due(&self.fixture.env()) {
            ProviderDue::Call(call) => Some(call),
            ProviderDue::Ready | ProviderDue::Nothing => None,
        };
        while let Some(call) = next {
            let body = if call.path == "/jwks" {
                self.jwks()
            } else {
                self.keys[0].discovery()
            };
            let reply = if up { ok(&body) } else { ProviderReply::NONE };
            next = match gate.absorb(&reply, &self.fixture.env()) {
                Absorbed::Next(call) => Some(call),
                Absorbed::Ready | Absorbed::Failed(_) => None,
            };
        }
    }
}

#[test]
fn whatever_happens_the_promises_hold() {
    let seeds: Vec<u64> = match std::env::var("JETWAY_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => SEEDS.collect(),
    };
    let mut permitted = 0;
    for seed in seeds {
        let mut simulation = Simulation::new(seed);
        let run = std::panic::AssertUnwindSafe(|| simulation.run());
        if let Err(problem) = std::panic::catch_unwind(run) {
            eprintln!("JETWAY_TEST_SEED={seed} repeats this");
            std::panic::resume_unwind(problem);
        }
        permitted += simulation.permitted_requests;
    }
    // Without any successful request the invariants would hold trivially.
    assert!(permitted > 0, "nobody got in");
}
