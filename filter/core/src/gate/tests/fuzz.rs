//! Fuzz targets behind a provider's signature: the bytes are signed by the provider, or are replies within a flow.

use serde_json::json;

use super::world::{HTML, Jar, World, ok, request};
use crate::gate::*;
use crate::oidc::call::ProviderReply;

const FORM: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");

/// The placeholder in seeds for the nonce of the sign-in.
const NONCE: &str = "NONCE";

/// Answers each further call of a step, until the user gets a reply.
fn settle(world: &mut World, mut step: Step, answer: &[u8]) {
    for _ in 0..5 {
        let Step::Call(_, waiting) = step else { break };
        let reply = ProviderReply {
            status: 200,
            body: answer,
            date: &[],
        };
        step = world.resume(waiting, &reply);
    }
    assert!(
        matches!(step, Step::Reply(_) | Step::Forward(_)),
        "{step:?}"
    );
}

/// Signs in with these claims in the ID token.
fn sign_in(claims: &str, userinfo: &[u8]) {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/x", &mut jar);
    let step = world.callback("app.test", &query["state"], &jar);
    let Step::Call(_, waiting) = step else {
        panic!("a call was expected, not {step:?}")
    };
    let token = world
        .fake
        .sign_text(&claims.replace(NONCE, &query["nonce"]));
    let tokens = json!({"access_token": "at", "id_token": token}).to_string();
    let step = world.resume(waiting, &ok(&tokens));
    settle(&mut world, step, userinfo);
}

#[test]
fn id_token() {
    jetway_fuzz_driver::run("id_token", |bytes| {
        sign_in(&String::from_utf8_lossy(bytes), b"{}");
    });
}

#[test]
fn userinfo() {
    let now = World::new().fixture.now.0;
    let claims = json!({"iss": crate::testing::ISSUER, "sub": "s", "aud": crate::testing::CLIENT,
                        "iat": now, "exp": now + 300, "nonce": NONCE});
    jetway_fuzz_driver::run("userinfo", |bytes| sign_in(&claims.to_string(), bytes));
}

#[test]
fn logout_token() {
    jetway_fuzz_driver::run("logout_token", |bytes| {
        let mut world = World::new();
        let token = world.fake.sign_text(&String::from_utf8_lossy(bytes));
        let signed = format!("logout_token={token}");
        let headers = request("POST", "app.test", "/.pomerium/backchannel_logout", &[FORM]);
        for body in [signed.as_bytes(), bytes] {
            let request = Request::new(&headers).body(body);
            let step = world.gate.begin(&request, &mut world.fixture.env());
            settle(&mut world, step, bytes);
        }
    });
}

#[test]
fn bearer_token() {
    let mut worlds: Vec<World> = ["idp_identity_token", "idp_access_token"]
        .map(|format| World::with(&json!({"bearer_token_format": format, "idp_access_token_allowed_audiences": ["rp"]})))
        .into();
    jetway_fuzz_driver::run("bearer_token", |bytes| {
        for world in &mut worlds {
            let token = world.fake.sign_text(&String::from_utf8_lossy(bytes));
            for value in [format!("Bearer {token}").as_bytes(), bytes] {
                let headers = request("GET", "app.test", "/", &[("authorization", value)]);
                let step = world.begin(&headers);
                settle(world, step, bytes);
            }
        }
    });
}

#[test]
fn callback() {
    jetway_fuzz_driver::run("callback", |bytes| {
        let mut world = World::new();
        let mut jar = Jar::default();
        let query = world.depart("app.test", "/x", &mut jar);
        let text = String::from_utf8_lossy(bytes).replace("STATE", &query["state"]);
        let cookies = jar.header();
        let known = [HTML, FORM, ("cookie", cookies.as_bytes())];
        let path = format!("/.pomerium/callback?{text}");
        let step = world.begin(&request("GET", "app.test", &path, &known));
        settle(&mut world, step, b"{}");
        let headers = request("POST", "app.test", "/.pomerium/callback", &known);
        let posted = Request::new(&headers).body(text.as_bytes());
        let step = world.gate.begin(&posted, &mut world.fixture.env());
        settle(&mut world, step, b"{}");
    });
}
