use serde_json::json;

use super::*;
use crate::oidc::provider::{Absorbed, Provider, ProviderDue};
use crate::session::claim_filter::ClaimFilter;
use crate::testing::{CLIENT, FakeProvider, Fixture, ISSUER, config, provider_settings};

const SUBJECT: &str = "s-alice";

/// A provider whose metadata is known.
struct Scene {
    provider: Provider,
    needs: ClaimFilter,
    fake: FakeProvider,
    fixture: Fixture,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self {
            provider: Provider::new(provider_settings()),
            needs: ClaimFilter::default(),
            fake: FakeProvider::new(),
            fixture: Fixture::new(),
        };
        let documents = [scene.fake.discovery(), scene.fake.jwks()];
        let env = scene.fixture.env();
        let _ = scene.provider.metadata();
        assert!(matches!(scene.provider.due(&env), ProviderDue::Call(_)));
        let [discovery, keys] = documents.map(|document| {
            let absorbed = scene.provider.absorb(&ok(&document), &env);
            matches!(absorbed, Absorbed::Ready)
        });
        assert!(!discovery && keys);
        scene
    }

    fn github() -> Self {
        let github = config(&json!({"idp_provider": "github", "idp_provider_url": null}));
        Self {
            provider: Provider::new(github.provider.unwrap()),
            ..Self::new()
        }
    }

    /// Begins a sign-in with the nonce `n`.
    fn sign_in(&self) -> TokenFlow {
        begin(Expectation::SignIn {
            nonce: "n".to_owned(),
        })
    }

    /// Begins a refresh of a session of [`SUBJECT`] whose sign-in had a nonce that begins with `n`.
    fn refresh(&self) -> TokenFlow {
        begin(Expectation::Refresh {
            nonce: "n".to_owned(),
            subject: SUBJECT.to_owned(),
        })
    }

    fn resume(&mut self, flow: TokenFlow, body: &str) -> FlowStep {
        let source = ClaimSource {
            provider: &self.provider,
            needs: &self.needs,
        };
        flow.resume(&ok(body), source, &self.fixture.env())
    }

    /// A token endpoint's answer with these claims beside those of alice's ID token.
    fn answer(&self, more: &Value) -> String {
        let now = self.fixture.now.0;
        let mut claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": CLIENT, "exp": now + 300, "iat": now,
            "nonce": "n"});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        json!({"id_token": self.fake.sign(&claims), "access_token": "at", "refresh_token": "rt"})
            .to_string()
    }
}

fn begin(expectation: Expectation) -> TokenFlow {
    TokenFlow {
        expectation,
        stage: Stage::Redeeming(String::new()),
    }
}

fn ok(body: &str) -> ProviderReply<'_> {
    ProviderReply {
        status: 200,
        body: body.as_bytes(),
        date: &[],
    }
}

fn call(step: FlowStep) -> (String, TokenFlow) {
    match step {
        FlowStep::Call(call, flow) => (call.path, flow),
        FlowStep::Done(_) => panic!("the flow ended"),
        FlowStep::Failed(failure) => panic!("{:?}", failure.problem),
    }
}

fn done(step: FlowStep) -> VerifiedTokens {
    match step {
        FlowStep::Done(verified) => verified,
        FlowStep::Call(call, _) => panic!("{call:?}"),
        FlowStep::Failed(failure) => panic!("{:?}", failure.problem),
    }
}

/// The problem of a failed flow, and the refresh token that is good nevertheless.
fn failed(step: FlowStep) -> (FlowProblem, Option<String>) {
    match step {
        FlowStep::Failed(failure) => (failure.problem, failure.grant.refresh_token),
        FlowStep::Call(call, _) => panic!("{call:?}"),
        FlowStep::Done(_) => panic!("the flow did not fail"),
    }
}

#[test]
fn an_id_token_with_all_claims_ends_the_flow() {
    let mut scene = Scene::new();
    let answer = scene.answer(&json!({"email": "alice@corp.test"}));
    for flow in [scene.sign_in(), scene.refresh()] {
        let verified = done(scene.resume(flow, &answer));
        assert_eq!(verified.claims.as_ref().unwrap()["sub"], SUBJECT);
        assert_eq!(verified.tenant_source(), TenantSource::Claims);
        assert_eq!(verified.tokens.grant.refresh_token.as_deref(), Some("rt"));
    }
}

#[test]
fn a_sign_in_needs_an_id_token_and_a_refresh_does_not() {
    let mut scene = Scene::new();
    let answer = r#"{"access_token":"at","refresh_token":"rt"}"#;
    let (problem, _) = failed(scene.resume(scene.sign_in(), answer));
    let no_answer = FlowProblem::Endpoint(TokenEndpointProblem::NoAnswer);
    assert_eq!(problem, no_answer);
    let (path, flow) = call(scene.resume(scene.refresh(), answer));
    assert_eq!(path, "/me");
    let verified = done(scene.resume(flow, &json!({"sub": SUBJECT}).to_string()));
    assert_eq!(verified.tenant_source(), TenantSource::SignIn);
    assert!(verified.claims.is_some());
}

#[test]
fn userinfo_is_about_the_same_user() {
    let mut scene = Scene::new();
    let answer = scene.answer(&json!({}));
    for (userinfo, problem) in [
        (
            json!({"sub": SUBJECT, "email": "a@b.test"}).to_string(),
            None,
        ),
        (
            json!({"sub": "s-bob", "email": "a@b.test"}).to_string(),
            Some(TokenProblem::Subject.into()),
        ),
        (
            json!({"email": "a@b.test"}).to_string(),
            Some(TokenProblem::Subject.into()),
        ),
        ("[]".to_owned(), Some(FlowProblem::UserInfo)),
        ("<html>".to_owned(), Some(FlowProblem::UserInfo)),
    ] {
        for flow in [scene.sign_in(), scene.refresh()] {
            let (path, flow) = call(scene.resume(flow, &answer));
            assert_eq!(path, "/me");
            let step = scene.resume(flow, &userinfo);
            match problem {
                None => assert_eq!(done(step).claims.unwrap()["email"], "a@b.test"),
                Some(problem) => {
                    let grant = Some("rt".to_owned());
                    assert_eq!(failed(step), (problem, grant), "{userinfo}");
                }
            }
        }
    }
}

#[test]
fn tokens_of_another_user_or_sign_in_are_refused() {
    let mut scene = Scene::new();
    let full = json!({"email": "alice@corp.test"});
    for (more, sign_in, refresh) in [
        (json!({"sub": "s-bob"}), None, Some(TokenProblem::Subject)),
        (json!({"nonce": "n2"}), Some(TokenProblem::Nonce), None),
        (
            json!({"nonce": "m"}),
            Some(TokenProblem::Nonce),
            Some(TokenProblem::Nonce),
        ),
        (
            json!({"iss": "https://evil.test"}),
            Some(TokenProblem::Issuer),
            Some(TokenProblem::Issuer),
        ),
    ] {
        let mut claims = full.clone();
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let answer = scene.answer(&claims);
        for (flow, problem) in [(scene.sign_in(), sign_in), (scene.refresh(), refresh)] {
            let step = scene.resume(flow, &answer);
            match problem {
                None => assert!(done(step).claims.is_some(), "{more}"),
                Some(problem) => assert_eq!(failed(step).0, problem.into(), "{more}"),
            }
        }
    }
}

#[test]
fn keys_are_fetched_once() {
    let mut scene = Scene::new();
    scene.fixture.now = scene.fixture.now.plus(60);
    let full = json!({"email": "alice@corp.test"});
    let rotated = FakeProvider::with_key(2, "k2");
    let known_keys = scene.fake.jwks();
    scene.fake = FakeProvider::with_key(2, "k2");
    let answer = scene.answer(&full);
    let (path, flow) = call(scene.resume(scene.sign_in(), &answer));
    assert_eq!(path, "/jwks");
    assert!(flow.is_awaiting_keys());
    // The keys are the same as before: the flow has failed, and does not ask again.
    let unknown = TokenProblem::UnknownKey.into();
    assert_eq!(failed(scene.resume(flow, &known_keys)).0, unknown);

    scene.fixture.now = scene.fixture.now.plus(60);
    let answer = scene.answer(&full);
    let (_, flow) = call(scene.resume(scene.refresh(), &answer));
    assert!(done(scene.resume(flow, &rotated.jwks())).claims.is_some());
}

#[test]
fn github_is_asked_for_one_resource_after_the_other() {
    let mut scene = Scene::github();
    let token = r#"{"access_token":"at","token_type":"bearer"}"#;
    let mut step = scene.resume(scene.sign_in(), token);
    for (path, answer) in [
        ("/user", json!({"node_id": "N1", "login": "alice"})),
        (
            "/user/emails?per_page=100",
            json!([{"email": "alice@corp.test", "primary": true, "verified": true}]),
        ),
        ("/user/orgs?per_page=100", json!([{"login": "corp"}])),
    ] {
        let (asked, flow) = call(step);
        assert_eq!(asked, path);
        step = scene.resume(flow, &answer.to_string());
    }
    let claims = done(step).claims.unwrap();
    assert_eq!(
        (&claims["sub"], &claims["groups"]),
        (&json!("N1"), &json!(["corp"]))
    );

    let (_, flow) = call(scene.resume(scene.sign_in(), token));
    let problem = failed(scene.resume(flow, "{}")).0;
    assert_eq!(problem, FlowProblem::UserInfo);
    let refused = r#"{"error":"bad_verification_code"}"#;
    let problem = failed(scene.resume(scene.sign_in(), refused)).0;
    assert_eq!(SignInProblem::from(problem), SignInProblem::CodeRefused);
}
