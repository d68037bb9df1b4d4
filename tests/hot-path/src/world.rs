//! A gate with a clock, random bytes and shared data that are the same in every run.

use std::cell::Cell;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};
use jetway_core::config::Config;
use jetway_core::env::{Env, Random};
use jetway_core::gate::Gate;
use jetway_core::gate::step::Step;
use jetway_core::http::reply::Reply;
use jetway_core::http::request::Request;
use jetway_core::oidc::call::ProviderReply;
use jetway_core::oidc::provider::{Absorbed, ProviderDue};
use jetway_core::store::{LocalShared, SharedData};
use jetway_core::time::Timestamp;
use serde_json::Value;

use crate::provider::{ISSUER, Provider};
use crate::shape::{HOST, Headers, Shape};

/// The time of every decision, in Unix seconds.
pub const NOW: u64 = 1_800_000_000;

/// A gate with its environment and its provider.
pub struct World {
    /// The gate.
    pub gate: Gate,
    /// The clock, the random bytes and the shared data.
    pub clock: Clock,
    /// How often shared data was read.
    pub reads: Rc<Cell<u32>>,
    provider: Provider,
}

/// A fixed time, random bytes that repeat from run to run, and shared data.
pub struct Clock {
    now: Timestamp,
    random: Box<Random<'static>>,
    shared: CountedShared,
}

/// Shared data that counts how often it is read.
struct CountedShared {
    data: LocalShared,
    reads: Rc<Cell<u32>>,
}

impl SharedData for CountedShared {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.reads.set(self.reads.get() + 1);
        self.data.read(key)
    }

    fn write(&self, key: &str, value: &[u8], version: u32) -> bool {
        self.data.write(key, value, version)
    }
}

impl Clock {
    fn new(reads: Rc<Cell<u32>>) -> Self {
        let mut next = 0_u8;
        let random = move |into: &mut [u8]| {
            for byte in into {
                next = next.wrapping_mul(5).wrapping_add(1);
                *byte = next;
            }
            Ok(())
        };
        Self {
            now: Timestamp(NOW),
            random: Box::new(random),
            shared: CountedShared {
                data: LocalShared::default(),
                reads,
            },
        }
    }

    /// Returns the environment of a decision.
    pub fn env(&mut self) -> Env<'_> {
        Env {
            now: self.now,
            random: &mut *self.random,
            shared: &self.shared,
        }
    }
}

impl World {
    /// Creates a gate with the route of a shape.
    pub fn new(shape: &Shape) -> Result<Self> {
        let file = shape.file();
        let loaded = Config::read(&file, &|_| None);
        let loaded = loaded.map_err(|error| anyhow::anyhow!("{:?}", error.problems))?;
        let reads = Rc::new(Cell::new(0));
        Ok(Self {
            gate: Gate::new(loaded.config),
            clock: Clock::new(Rc::clone(&reads)),
            reads,
            provider: Provider::new()?,
        })
    }

    /// Signs a user in, and returns the `Cookie` header of the session.
    pub fn sign_in(&mut self) -> Result<String> {
        let page = request("/", &[("accept", "text/html")]);
        if !matches!(self.begin(&page), Step::Hold { .. }) {
            bail!("the first request must wait for the provider");
        }
        self.fetch_metadata()?;
        let Step::Reply(redirect) = self.begin(&page) else {
            bail!("a request without a session must be answered");
        };
        let location = redirect
            .header("location")
            .context("there is no redirect to the provider")?;
        let location = url::Url::parse(location)?;
        let parameter = |name: &str| {
            let found = location.query_pairs().find(|(known, _)| known == name);
            found
                .map(|(_, value)| value.into_owned())
                .with_context(|| format!("the redirect has no `{name}`"))
        };
        let path = format!(
            "/.pomerium/callback?code=c&state={}&iss={ISSUER}",
            parameter("state")?
        );
        let cookie = set_cookies(&redirect);
        let headers = request(&path, &[("accept", "text/html"), ("cookie", &cookie)]);
        let Step::Call(_, waiting) = self.begin(&headers) else {
            bail!("the callback must ask the provider for tokens");
        };
        let tokens = self.provider.tokens(&parameter("nonce")?, self.clock.now.0);
        let tokens = tokens.to_string();
        let env = &mut self.clock.env();
        match waiting.resume(&self.gate, &Request::new(&headers), &ok(&tokens), env) {
            Step::Reply(reply) if reply.status == 303 => Ok(set_cookies(&reply)),
            other => bail!("the sign-in must end with a redirect, but the step is {other:?}"),
        }
    }

    fn begin(&mut self, headers: &Headers) -> Step {
        self.gate
            .begin(&Request::new(headers), &mut self.clock.env())
    }

    fn fetch_metadata(&mut self) -> Result<()> {
        if !matches!(self.gate.due(&self.clock.env()), ProviderDue::Call(_)) {
            bail!("the provider's metadata must be due");
        }
        let replies: [Value; 2] = [Provider::discovery(), self.provider.jwks()];
        let absorbed = replies.map(|reply| {
            let reply = reply.to_string();
            self.gate.absorb(&ok(&reply), &self.clock.env())
        });
        if !matches!(absorbed, [Absorbed::Next(_), Absorbed::Ready]) {
            bail!("the provider must be usable");
        }
        Ok(())
    }
}

fn ok(body: &str) -> ProviderReply<'_> {
    ProviderReply {
        status: 200,
        body: body.as_bytes(),
        date: &[],
    }
}

fn request(path: &str, more: &[(&str, &str)]) -> Headers {
    let base = [(":method", "GET"), (":authority", HOST), (":path", path)];
    base.iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// Returns the cookies that a reply sets, as a browser sends them.
fn set_cookies(reply: &Reply) -> String {
    let lines = reply
        .headers
        .iter()
        .filter(|(name, _)| *name == "set-cookie");
    let pairs = lines.filter_map(|(_, line)| line.split(';').next());
    let kept: Vec<&str> = pairs.filter(|pair| !pair.ends_with('=')).collect();
    kept.join("; ")
}
