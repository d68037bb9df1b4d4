use serde_json::json;

use super::*;
use crate::store::SharedData as _;
use crate::testing::{FakeProvider, Fixture, ISSUER, provider_settings};
use crate::time::Timestamp;

fn reply(body: &str) -> ProviderReply<'_> {
    ProviderReply {
        status: 200,
        body: body.as_bytes(),
        date: &[],
    }
}

const DOWN: ProviderReply<'static> = ProviderReply {
    status: 503,
    body: b"no",
    date: &[],
};
const START: Timestamp = Timestamp(1_000_000);

/// A process with workers, each of which has its own state of the provider.
struct Process {
    fixture: Fixture,
}

impl Process {
    fn new() -> Self {
        let mut fixture = Fixture::new();
        fixture.now = START;
        Self { fixture }
    }

    fn at(&mut self, now: Timestamp) -> Env<'_> {
        self.fixture.now = now;
        self.fixture.env()
    }

    fn due(&mut self, provider: &Provider, now: Timestamp) -> ProviderDue {
        provider.due(&self.at(now))
    }

    fn calls(&mut self, provider: &Provider, now: Timestamp) -> bool {
        matches!(self.due(provider, now), ProviderDue::Call(_))
    }

    fn absorb(
        &mut self,
        provider: &Provider,
        reply: &ProviderReply<'_>,
        now: Timestamp,
    ) -> Absorbed {
        provider.absorb(reply, &self.at(now))
    }

    fn load(&mut self, provider: &Provider, fake: &FakeProvider, now: Timestamp) {
        let ProviderDue::Call(call) = self.due(provider, now) else {
            panic!("a call is due")
        };
        assert_eq!(
            (call.upstream.as_str(), call.path.as_str()),
            (ISSUER, "/.well-known/openid-configuration")
        );
        let Absorbed::Next(keys) = self.absorb(provider, &reply(&fake.discovery()), now) else {
            panic!("keys come next")
        };
        assert_eq!(keys.path, "/jwks");
        let absorbed = self.absorb(provider, &reply(&fake.jwks()), now);
        assert!(matches!(absorbed, Absorbed::Ready));
    }
}

fn wanted() -> Provider {
    let provider = Provider::new(provider_settings());
    assert!(provider.metadata().is_none());
    provider
}

fn has_key(provider: &Provider, id: &str) -> bool {
    let metadata = provider.metadata().unwrap();
    metadata.keys.candidates("ES256", Some(id)).count() == 1
}

#[test]
fn nothing_is_fetched_without_need_or_twice_at_a_time() {
    let mut process = Process::new();
    let provider = Provider::new(provider_settings());
    assert!(!process.calls(&provider, START));
    let _ = provider.metadata();
    assert!(process.calls(&provider, START));
    assert!(!process.calls(&provider, START));
    let other_worker = wanted();
    assert!(!process.calls(&other_worker, START));
    assert!(
        process.calls(&provider, START.plus(LOST_AFTER)),
        "a lost reply does not block fetches for ever"
    );
}

#[test]
fn what_one_worker_fetched_serves_all() {
    let mut process = Process::new();
    let (one, other) = (wanted(), wanted());
    process.load(&one, &FakeProvider::new(), START);
    assert!(matches!(process.due(&other, START), ProviderDue::Ready));
    assert!(has_key(&other, "k1"));
    assert!(matches!(process.due(&other, START), ProviderDue::Nothing));

    let later = START.plus(REFRESH_AFTER);
    process.load(&other, &FakeProvider::with_key(2, "k2"), later);
    assert!(matches!(process.due(&one, later), ProviderDue::Ready));
    assert!(has_key(&one, "k2"));

    // A new instance after a trap finds everything there.
    let fresh = wanted();
    assert!(matches!(process.due(&fresh, later), ProviderDue::Ready));
}

#[test]
fn refreshed_ahead_only_while_used() {
    let mut process = Process::new();
    let provider = wanted();
    process.load(&provider, &FakeProvider::new(), START);
    let later = START.plus(REFRESH_AFTER);
    assert!(!process.calls(&provider, later), "it was not used since");
    assert!(provider.metadata().is_some());
    assert!(process.calls(&provider, later));
}

#[test]
fn kept_while_the_provider_is_down_but_not_for_ever() {
    let mut process = Process::new();
    let provider = wanted();
    process.load(&provider, &FakeProvider::new(), START);
    let _ = provider.metadata();
    let later = START.plus(REFRESH_AFTER);
    assert!(process.calls(&provider, later));
    let absorbed = process.absorb(&provider, &DOWN, later);
    assert!(matches!(absorbed, Absorbed::Failed(_)));
    assert!(provider.metadata().is_some());
    assert!(!process.calls(&provider, later), "a pause comes first");
    assert!(process.calls(&provider, later.plus(1)));
    let _ = process.absorb(&provider, &DOWN, later.plus(1));
    assert!(provider.metadata().is_some());
    let _ = process.due(&provider, START.plus(MAX_AGE));
    assert!(provider.metadata().is_none());
}

#[test]
fn pauses_grow_to_a_bound_for_all_workers() {
    let mut process = Process::new();
    let (provider, other) = (wanted(), wanted());
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert!(process.calls(&provider, now));
        let absorbed = process.absorb(&provider, &DOWN, now);
        assert!(matches!(absorbed, Absorbed::Failed(_)));
        assert!(!process.calls(&other, now));
        let taken = |process: &Process, now: Timestamp| {
            let (value, _) = process
                .fixture
                .shared
                .read(provider.shared.fetch())
                .unwrap();
            now.0 < u64::from_be_bytes(value.try_into().unwrap())
        };
        let pause = (0..100).find(|&seconds| !taken(&process, now.plus(seconds)));
        pauses.push(pause.unwrap());
        now = now.plus(pause.unwrap());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn documents_that_are_not_believed() {
    let good: serde_json::Value = serde_json::from_str(&FakeProvider::new().discovery()).unwrap();
    for (name, value) in [
        ("issuer", json!("https://evil.test")),
        ("issuer", json!(null)),
        ("jwks_uri", json!("http://169.254.169.254/")),
        ("jwks_uri", json!("file:///etc/passwd")),
        ("jwks_uri", json!("http://op.test/jwks")),
        ("jwks_uri", json!("https://op.test:444/jwks")),
        ("token_endpoint", json!("https://user@op.test/token")),
        ("token_endpoint", json!(5)),
        ("userinfo_endpoint", json!("https://evil.test/me")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("authorization_endpoint", json!("http://op.test/authorize")),
    ] {
        let mut document = good.clone();
        document[name] = value.clone();
        let (mut process, provider) = (Process::new(), wanted());
        assert!(process.calls(&provider, START));
        let absorbed = process.absorb(&provider, &reply(&document.to_string()), START);
        assert!(matches!(absorbed, Absorbed::Failed(_)), "{name} {value}");
        assert!(provider.metadata().is_none());
    }
}

/// N-21: a provider without S256 is not used, and the log has the reason.
#[test]
fn n_21_pkce_with_s256_is_needed_where_methods_are_named() {
    let settings = provider_settings();
    let document: serde_json::Value =
        serde_json::from_str(&FakeProvider::new().discovery()).unwrap();
    for (methods, fits) in [
        (json!(["S256"]), true),
        (json!(["plain", "S256"]), true),
        (json!([]), true),
        (json!(null), true),
        (json!(["plain"]), false),
        (json!(["s256"]), false),
    ] {
        let mut document = document.clone();
        document["code_challenge_methods_supported"] = methods.clone();
        let read = Discovered::read(document.to_string().as_bytes(), &settings);
        let why = read.err().map(|bad| bad.to_string());
        assert_eq!(why.is_none(), fits, "{methods}");
        assert!(why.is_none_or(|why| why.contains("S256")));
    }
}

/// N-21: one worker warns, once, of keys whose secret half is published.
#[test]
fn n_21_keys_that_show_their_secret_are_warned_of_once() {
    let (mut process, fake) = (Process::new(), FakeProvider::new());
    let (one, other) = (wanted(), wanted());
    let mut keys: serde_json::Value = serde_json::from_str(&fake.jwks()).unwrap();
    let list = keys["keys"].as_array_mut().unwrap();
    list.push(json!({"kty": "oct", "k": "AAAA"}));
    let keys = keys.to_string();
    let mut now = START;
    for round in 0..3 {
        assert!(process.calls(&one, now));
        let next = process.absorb(&one, &reply(&fake.discovery()), now);
        assert!(matches!(next, Absorbed::Next(_)));
        let ready = process.absorb(&one, &reply(&keys), now);
        assert!(matches!(ready, Absorbed::Ready));
        assert!(matches!(process.due(&other, now), ProviderDue::Ready));
        let warning = one.take_warning();
        assert_eq!(warning.is_some(), round == 0, "{warning:?}");
        assert_eq!(other.take_warning(), None);
        assert_eq!(one.take_warning(), None);
        now = now.plus(REFRESH_AFTER);
        assert!(one.metadata().is_some() && other.metadata().is_some());
    }
}

#[test]
fn a_slash_at_the_end_of_the_issuer_is_forgiven() {
    let mut document: serde_json::Value =
        serde_json::from_str(&FakeProvider::new().discovery()).unwrap();
    document["issuer"] = json!(format!("{ISSUER}/"));
    let discovered =
        Discovered::read(document.to_string().as_bytes(), &provider_settings()).unwrap();
    assert_eq!(
        discovered.issuer,
        format!("{ISSUER}/"),
        "tokens must have the issuer of the document"
    );
}

#[test]
fn keys_alone_are_fetched_once_a_minute() {
    let mut process = Process::new();
    let (provider, other) = (wanted(), wanted());
    process.load(&provider, &FakeProvider::new(), START);
    assert!(matches!(process.due(&other, START), ProviderDue::Ready));
    let mut look = |provider: &Provider, seconds| {
        let lookup = provider.refetch_keys(&process.at(START.plus(seconds)));
        matches!(lookup, NewKeys::Call(_))
    };
    assert!(!look(&provider, KEY_REFETCH_PAUSE - 1));
    assert!(look(&provider, KEY_REFETCH_PAUSE));
    assert!(!look(&provider, KEY_REFETCH_PAUSE + 1));
    assert!(!look(&other, KEY_REFETCH_PAUSE + 1), "for all workers");

    let now = START.plus(KEY_REFETCH_PAUSE + 1);
    provider.absorb_keys(&DOWN, &process.at(now));
    provider.absorb_keys(&reply("{}"), &process.at(now));
    assert!(has_key(&provider, "k1"), "a bad answer changes nothing");
    let rotated = FakeProvider::with_key(2, "k2").jwks();
    provider.absorb_keys(&reply(&rotated), &process.at(now));
    assert!(has_key(&provider, "k2"));
    let lookup = other.refetch_keys(&process.at(now));
    assert!(matches!(lookup, NewKeys::Adopted) && has_key(&other, "k2"));
}

/// A request that causes a fetch of keys and ends before the reply does not cost the others the keys.
#[test]
fn keys_that_were_missed_are_fetched_by_the_timer() {
    let mut process = Process::new();
    let provider = wanted();
    process.load(&provider, &FakeProvider::new(), START);
    let now = START.plus(KEY_REFETCH_PAUSE);
    let lookup = provider.refetch_keys(&process.at(now));
    assert!(matches!(lookup, NewKeys::Call(_)));
    assert!(provider.metadata().is_some() && !process.calls(&provider, now));
    provider.miss_keys();
    process.load(&provider, &FakeProvider::with_key(2, "k2"), now);
    assert!(has_key(&provider, "k2"));
    assert!(!process.calls(&provider, now.plus(1)), "once");

    // Another worker has fetched them meanwhile.
    let other = wanted();
    assert!(matches!(process.due(&other, now), ProviderDue::Ready));
    let now = now.plus(KEY_REFETCH_PAUSE);
    assert!(matches!(
        other.refetch_keys(&process.at(now)),
        NewKeys::Call(_)
    ));
    other.miss_keys();
    let rotated = FakeProvider::with_key(3, "k3").jwks();
    provider.absorb_keys(&reply(&rotated), &process.at(now));
    assert!(matches!(process.due(&other, now), ProviderDue::Ready));
    assert!(has_key(&other, "k3") && !process.calls(&other, now));
}

#[test]
fn unexpected_replies_change_nothing() {
    let (mut process, provider) = (Process::new(), wanted());
    let unexpected = FakeProvider::new().discovery();
    let absorbed = process.absorb(&provider, &reply(&unexpected), START);
    assert!(matches!(absorbed, Absorbed::Failed(_)));
    assert!(provider.metadata().is_none());
}
