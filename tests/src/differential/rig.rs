//! Runs conversations against both proxies and collects what differs.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::client::converse;
use super::deployment::{Deployment, SESSIONS, deployment, first};
use super::generate::{self, Material, Place, conversation};
use super::known::{KNOWN, Pair};
use super::observation::{Outcome, mask, outcomes, shortened};
use super::recorder::Recorder;
use super::request::Conversation;
use crate::{Dice, Port, ProxyKind, Scene};

/// Number of the first known difference's case, beyond those of any run.
const FIRST_EXAMPLE: usize = 1_000_000_000;

/// Conversations at once.
const AT_ONCE: usize = 24;

/// How many differences are collected before a run ends.
const ENOUGH: usize = 300;

/// Environment variables with the seed of an earlier run, and with the number of cases.
const SEED: &str = "JETWAY_DIFF_SEED";
const CASES: &str = "JETWAY_DIFF_CASES";

/// How much is tried.
pub struct Plan {
    dice: Dice,
    /// Cases altogether.
    cases: usize,
    /// Cases of one configuration.
    of_one: usize,
}

impl Plan {
    /// So many cases, or as many as `JETWAY_DIFF_CASES` says, from the seed in `JETWAY_DIFF_SEED` or a new one.
    ///
    /// # Errors
    /// When one of the variables is no number.
    pub fn new(cases: usize, of_one: usize) -> Result<Self> {
        let dice = match std::env::var(SEED) {
            Ok(text) => Dice::from_seed(text.parse().with_context(|| format!("`{SEED}`"))?),
            Err(_) => Dice::cast()?,
        };
        let cases = match std::env::var(CASES) {
            Ok(text) => text.parse().with_context(|| format!("`{CASES}`"))?,
            Err(_) => cases,
        };
        Ok(Self {
            dice,
            cases,
            of_one,
        })
    }

    /// How many cases there are.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// How to repeat the run.
    #[must_use]
    pub fn repeat(&self) -> String {
        format!(
            "{SEED}={} {CASES}={} repeats this",
            self.dice.seed, self.cases
        )
    }
}

/// Tries what the plan says and returns a description of each difference that is not known.
///
/// # Errors
/// When a proxy or a peer does not start, or ends.
pub async fn compare(scene: &mut Scene, plan: &mut Plan) -> Result<Vec<String>> {
    let elsewhere = Port::reserve()?;
    let mut found = Vec::new();
    let mut tried = 0;
    while tried < plan.cases && found.len() < ENOUGH {
        let recorder = Recorder::start().await?;
        let draw = if tried == 0 { first } else { deployment };
        let deployment = draw(&mut plan.dice, &recorder.address());
        let rig = Rig::start(scene, &elsewhere, recorder, &deployment).await?;
        if tried == 0 {
            found.extend(rig.gone(&Place::new(scene.port())).await?);
        }
        let material = rig.material(&deployment, scene.port());
        let end = plan.cases.min(tried + plan.of_one);
        let conversations: Vec<_> = (tried..end)
            .map(|case| (case, conversation(&mut plan.dice, case, &material)))
            .collect();
        let differences = rig.differences(&conversations).await?;
        let keys = &deployment.keys;
        found.extend(differences.map(|text| format!("{text}\nkeys:\n{keys}\n")));
        tried = end;
    }
    Ok(found)
}

/// Both proxies with one configuration, in front of one upstream.
struct Rig {
    dialer: crate::Dialer,
    host: crate::Proxy,
    envoy: crate::Proxy,
    recorder: Recorder,
    cookies: Vec<(&'static str, String)>,
}

impl Rig {
    async fn start(
        scene: &mut Scene,
        elsewhere: &Port,
        recorder: Recorder,
        deployment: &Deployment,
    ) -> Result<Self> {
        let plain = scene.dialer.beginning_with(Vec::new());
        if deployment.proxy_protocol {
            scene.dialer = plain.beginning_with(&b"PROXY UNKNOWN\r\n"[..]);
        }
        scene.keys.clone_from(&deployment.keys);
        let host = scene.serve(&deployment.routes).await?;
        let envoy = scene
            .serve_at(ProxyKind::Envoy, elsewhere.number(), &deployment.routes)
            .await?;
        let cookies = cookies(scene, &envoy).await?;
        scene.dialer = plain.clone();
        Ok(Self {
            dialer: plain,
            host,
            envoy,
            recorder,
            cookies,
        })
    }

    fn material<'m>(&'m self, deployment: &'m Deployment, public: u16) -> Material<'m> {
        Material {
            deployment,
            public,
            cookies: &self.cookies,
        }
    }

    /// Descriptions of what differs in some of these cases.
    async fn differences(
        &self,
        conversations: &[(usize, Conversation)],
    ) -> Result<impl Iterator<Item = String>> {
        let found: Vec<Option<String>> = stream::iter(conversations)
            .map(|(case, conversation)| self.difference(*case, conversation))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten())
    }

    /// The known differences that are not there.
    async fn gone(&self, place: &Place) -> Result<Vec<String>> {
        let mut gone = Vec::new();
        for (number, known) in KNOWN.iter().enumerate() {
            let case = FIRST_EXAMPLE + number;
            let mut example = (known.example)(place);
            generate::number(case, &mut example);
            let host = self.observe(self.host.listen, case, &example).await?;
            let envoy = self.observe(self.envoy.listen, case, &example).await?;
            let outcomes = example
                .requests
                .first()
                .zip(host.first().zip(envoy.first()));
            let (request, (host, envoy)) = outcomes.context("an example has a request")?;
            let pair = Pair {
                request,
                host,
                envoy,
            };
            if host == envoy || !(known.is_it)(&pair) {
                let text = describe(&example, &pair)?;
                gone.push(format!(
                    "case {case}\nThis is not so: {}\n{text}",
                    known.row()
                ));
            }
        }
        Ok(gone)
    }

    /// A description of what differs, unless it is known. What differs has to do so twice: a proxy that gives up in the middle
    /// of a request may be quicker or slower.
    async fn difference(&self, case: usize, conversation: &Conversation) -> Result<Option<String>> {
        let mut found = None;
        for _ in 0..2 {
            let host = self.observe(self.host.listen, case, conversation).await?;
            let envoy = self.observe(self.envoy.listen, case, conversation).await?;
            found = first_difference(conversation, &host, &envoy)?
                .map(|text| format!("case {case}\n{text}"));
            if found.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn observe(
        &self,
        port: u16,
        case: usize,
        conversation: &Conversation,
    ) -> Result<Vec<Outcome>> {
        let answers = converse(&self.dialer, port, conversation).await?;
        let recorded = self.recorder.take(case).await;
        Ok(outcomes(&conversation.requests, &answers, &recorded))
    }
}

/// The first request whose outcomes differ for no known reason. What follows the end of either connection is not compared.
fn first_difference(
    conversation: &Conversation,
    host: &[Outcome],
    envoy: &[Outcome],
) -> Result<Option<String>> {
    for (request, (host, envoy)) in conversation.requests.iter().zip(host.iter().zip(envoy)) {
        let pair = Pair {
            request,
            host,
            envoy,
        };
        let known = KNOWN.iter().any(|known| (known.is_it)(&pair));
        if host != envoy && !known {
            return Ok(Some(describe(conversation, &pair)?));
        }
        if host.ends || envoy.ends {
            break;
        }
    }
    Ok(None)
}

/// Cookies of sessions, and some that hold no longer or never did.
async fn cookies(scene: &Scene, envoy: &crate::Proxy) -> Result<Vec<(&'static str, String)>> {
    let mut cookies = Vec::new();
    for (number, (host, account)) in SESSIONS.iter().enumerate() {
        let url = scene.url(host, "/")?;
        let mut browser = scene.user_agent();
        if number % 2 == 1 {
            // So that both proxies know the provider's metadata.
            browser.detour(envoy.listen);
        }
        browser.sign_in(&url, account).await?;
        let cookie = browser.cookies(&url).context("a session is a cookie")?;
        let mut damaged = cookie.clone();
        damaged.pop();
        let twice = format!("{cookie}; {cookie}");
        let beside = format!("theme=dark; {cookie}; a=b");
        cookies.extend([cookie, damaged, twice, beside].map(|cookie| (*host, cookie)));
    }
    Ok(cookies)
}

fn describe(conversation: &Conversation, pair: &Pair<'_>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let Conversation {
        protocol, source, ..
    } = conversation;
    let name = conversation.server_name;
    writeln!(text, "{protocol:?} from {source} to {name}")?;
    writeln!(text, "> {}", shortened(&mask(&pair.request.to_string())))?;
    let (host, envoy) = (pair.host.lines(), pair.envoy.lines());
    for (name, own, other) in [("host ", &host, &envoy), ("envoy", &envoy, &host)] {
        for line in own.iter().filter(|line| !other.contains(line)) {
            writeln!(text, "{name} {}", shortened(line))?;
        }
    }
    Ok(text)
}
