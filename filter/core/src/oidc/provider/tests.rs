use serde_json::json;

use super::*;
use crate::testing::{FakeProvider, ISSUER, provider_settings};

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

fn wanted() -> Provider {
    let provider = Provider::new(provider_settings());
    assert!(provider.metadata().is_none());
    provider
}

fn load(provider: &Provider, fake: &FakeProvider, now: Timestamp) {
    let call = provider.due(now).unwrap();
    assert_eq!(
        (call.upstream.as_str(), call.path.as_str()),
        (ISSUER, "/.well-known/openid-configuration")
    );
    let Absorbed::Next(keys) = provider.absorb(&reply(&fake.discovery()), now) else {
        panic!("keys come next")
    };
    assert_eq!(keys.path, "/jwks");
    assert!(matches!(
        provider.absorb(&reply(&fake.jwks()), now),
        Absorbed::Ready
    ));
}

#[test]
fn nothing_is_fetched_for_nobody_and_never_twice_at_a_time() {
    let provider = Provider::new(provider_settings());
    assert!(provider.due(START).is_none());
    let _ = provider.metadata();
    assert!(provider.due(START).is_some());
    assert!(provider.due(START).is_none());
    assert!(
        provider.due(START.plus(LOST_AFTER)).is_some(),
        "a lost answer does not block for ever"
    );
}

#[test]
fn refreshed_ahead_only_while_used() {
    let provider = wanted();
    let fake = FakeProvider::new();
    load(&provider, &fake, START);
    let later = START.plus(REFRESH_AFTER);
    assert!(provider.due(later).is_none(), "nobody asked since");
    assert!(provider.metadata().is_some());
    assert!(provider.due(later.plus(0)).is_some());
}

#[test]
fn kept_while_the_provider_is_down() {
    let provider = wanted();
    load(&provider, &FakeProvider::new(), START);
    let _ = provider.metadata();
    let later = START.plus(REFRESH_AFTER);
    assert!(provider.due(later).is_some());
    assert!(matches!(provider.absorb(&DOWN, later), Absorbed::Failed(_)));
    assert!(provider.metadata().is_some());
    assert!(provider.due(later).is_none(), "a pause comes first");
    assert!(provider.due(later.plus(1)).is_some());
}

#[test]
fn pauses_grow_to_a_bound() {
    let provider = wanted();
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert!(provider.due(now).is_some());
        assert!(matches!(provider.absorb(&DOWN, now), Absorbed::Failed(_)));
        let pause = (0..100).find(|&seconds| {
            let state = provider.state.borrow();
            now.plus(seconds) >= state.retry_at
        });
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
        let provider = wanted();
        assert!(provider.due(START).is_some());
        let absorbed = provider.absorb(&reply(&document.to_string()), START);
        assert!(matches!(absorbed, Absorbed::Failed(_)), "{name} {value}");
        assert!(provider.metadata().is_none());
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
        "tokens must say what the document says"
    );
}

#[test]
fn keys_alone_are_fetched_once_a_minute() {
    let provider = wanted();
    load(&provider, &FakeProvider::new(), START);
    assert!(
        provider
            .refetch_keys(START.plus(KEY_REFETCH_PAUSE - 1))
            .is_none()
    );
    assert!(
        provider
            .refetch_keys(START.plus(KEY_REFETCH_PAUSE))
            .is_some()
    );
    assert!(
        provider
            .refetch_keys(START.plus(KEY_REFETCH_PAUSE + 1))
            .is_none()
    );
    provider.absorb_keys(&DOWN);
    provider.absorb_keys(&reply("{}"));
    assert_eq!(
        provider
            .metadata()
            .unwrap()
            .keys
            .candidates("ES256", Some("k1"))
            .count(),
        1,
        "a bad answer changes nothing"
    );
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let provider = wanted();
    assert!(matches!(
        provider.absorb(&reply(&FakeProvider::new().discovery()), START),
        Absorbed::Failed(_)
    ));
    assert!(provider.metadata().is_none());
}
