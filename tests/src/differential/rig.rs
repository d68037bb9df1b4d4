//! Runs conversations against both proxies and collects what differs.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::client::{LONG_SILENCE, SILENCE, converse};
use super::deployment::{Deployment, deployment, first};
use super::generate::{self, Material, Place, conversation};
use super::known::{KNOWN, Pair, is_explained};
use super::observation::{Outcome, mask, outcomes, shortened};
use super::recorder::Recorder;
use super::request::Conversation;
use super::sessions::Sessions;
use crate::{Dice, Port, ProxyKind, Scene};

/// Number of the first known difference's case, beyond those of any run.
const FIRST_EXAMPLE: usize = 1_000_000_000;

/// Conversations at once.
const AT_ONCE: usize = 24;

/// How many differences are collected before a run ends.
const ENOUGH: usize = 300;

/// The seed of a run without another, which fails for a change of the code and not by chance.
const DEFAULT_SEED: u64 = 40;

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
    /// So many cases, or as many as `JETWAY_DIFF_CASES` says. They are always the same, unless `JETWAY_DIFF_SEED` has another
    /// seed, or `random`.
    ///
    /// # Errors
    /// When one of the variables is no number.
    pub fn new(cases: usize, of_one: usize) -> Result<Self> {
        let dice = match std::env::var(SEED).as_deref() {
            Ok("random") => Dice::cast()?,
            Ok(text) => Dice::from_seed(text.parse().with_context(|| format!("`{SEED}`"))?),
            Err(_) => Dice::from_seed(DEFAULT_SEED),
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
    sessions: Sessions,
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
        let routes = &deployment.routes;
        let (host, envoy) = tokio::try_join!(
            scene.serve(routes),
            scene.serve_at(ProxyKind::Envoy, elsewhere.number(), routes)
        )?;
        let sessions = Sessions::begin(scene, &envoy).await?;
        scene.dialer = plain.clone();
        Ok(Self {
            dialer: plain,
            host,
            envoy,
            recorder,
            sessions,
        })
    }

    fn material<'m>(&'m self, deployment: &'m Deployment, public: u16) -> Material<'m> {
        Material {
            deployment,
            public,
            sessions: &self.sessions,
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
            let Some(example) = known.example else {
                continue;
            };
            let case = FIRST_EXAMPLE + number;
            let mut example = example(place);
            generate::number(case, &mut example);
            let host = self
                .observe(self.host.listen, case, (&example, SILENCE))
                .await?;
            let envoy = self
                .observe(self.envoy.listen, case, (&example, SILENCE))
                .await?;
            let mut pairs = Pair::all(&example, &host, &envoy);
            let differs = pairs.find(|pair| pair.host != pair.envoy);
            if !differs.as_ref().is_some_and(|pair| known.explains(pair)) {
                let text = differs.map(|pair| describe(&example, &pair)).transpose()?;
                let (row, text) = (known.row(), text.unwrap_or_default());
                gone.push(format!("case {case}\nThis is not so: {row}\n{text}"));
            }
        }
        Ok(gone)
    }

    /// A description of what differs, unless it is known. What differs has to do so twice: a proxy that gives up in the middle
    /// of a request may be quicker or slower.
    async fn difference(&self, case: usize, conversation: &Conversation) -> Result<Option<String>> {
        let mut found = None;
        for silence in [SILENCE, LONG_SILENCE] {
            let what = (conversation, silence);
            let host = self.observe(self.host.listen, case, what).await?;
            let envoy = self.observe(self.envoy.listen, case, what).await?;
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
        (conversation, silence): (&Conversation, Duration),
    ) -> Result<Vec<Outcome>> {
        let answers = converse(&self.dialer, port, conversation, silence).await?;
        let recorded = self.recorder.take(case).await;
        Ok(outcomes(conversation, &answers, &recorded))
    }
}

/// The first request whose outcomes differ for no known reason. What follows the end of either connection is not compared.
fn first_difference(
    conversation: &Conversation,
    host: &[Outcome],
    envoy: &[Outcome],
) -> Result<Option<String>> {
    for pair in Pair::all(conversation, host, envoy) {
        if pair.host != pair.envoy && !is_explained(&pair) {
            return Ok(Some(describe(conversation, &pair)?));
        }
        if pair.host.ends || pair.envoy.ends {
            break;
        }
    }
    Ok(None)
}

fn describe(conversation: &Conversation, pair: &Pair<'_>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let Conversation {
        protocol, source, ..
    } = conversation;
    let name = conversation.server_name;
    writeln!(text, "{protocol:?} from {source} to {name}")?;
    let mut before = conversation.requests.iter();
    for request in before
        .by_ref()
        .take_while(|one| !std::ptr::eq(*one, pair.request))
    {
        writeln!(text, "  after {}", shortened(&mask(&request.to_string())))?;
    }
    writeln!(text, "> {}", shortened(&mask(&pair.request.to_string())))?;
    if pair.host.answer.status == pair.envoy.answer.status {
        writeln!(text, "both  answer {}", pair.host.answer.status)?;
    }
    let (host, envoy) = (pair.host.lines(), pair.envoy.lines());
    for (name, own, other) in [("host ", &host, &envoy), ("envoy", &envoy, &host)] {
        for line in own.iter().filter(|line| !other.contains(line)) {
            let start = other.iter().map(|other| common(line, other)).max();
            let line = without_start(line, start.unwrap_or_default());
            writeln!(text, "{name} {}", shortened(&line))?;
        }
    }
    Ok(text)
}

/// How many bytes two lines begin with alike.
fn common(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(one, other)| one == other).count()
}

/// A long line from shortly before this place on.
fn without_start(line: &str, place: usize) -> String {
    match (line.get(..20), line.get(place.saturating_sub(60)..)) {
        (Some(start), Some(rest)) if place > 200 => format!("{start} ... {rest}"),
        _ => line.to_owned(),
    }
}
