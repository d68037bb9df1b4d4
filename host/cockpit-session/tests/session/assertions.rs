//! Invalid assertions and answers: no account is touched, and the client does not learn why.

use std::net::Shutdown;

use anyhow::Result;
use jetway_tests::{SessionKey, UnixUser};
use serde_json::{Value, json};

use crate::{Login, Place};

fn refused(place: &Place, token: &str, reason: &str) -> Result<()> {
    let login = Login::begin(place, token)?;
    login.refused_because("authentication-failed", "not valid for this server", reason)
}

#[test]
fn bad_assertions_are_refused() -> Result<()> {
    let place = Place::new()?;
    let user = UnixUser::create()?;
    type Change = fn(&mut Value, &mut Value);
    let changes: [(&str, Change); 10] = [
        ("type is not", |header, _| header["typ"] = "JWT".into()),
        ("not signed with ES256", |header, _| {
            header["alg"] = "none".into()
        }),
        ("not signed with ES256", |header, _| {
            header["alg"] = "HS256".into()
        }),
        ("another host", |_, claims| {
            claims["aud"] = "evil.localhost".into()
        }),
        ("issuer", |_, claims| {
            claims["iss"] = "https://evil.localhost/".into()
        }),
        ("expired", |_, claims| {
            for claim in ["iat", "nbf", "exp"] {
                claims[claim] = (claims[claim].as_u64().unwrap_or_default() - 3600).into();
            }
        }),
        ("becomes valid", |_, claims| {
            claims["nbf"] = (claims["nbf"].as_u64().unwrap_or_default() + 3600).into();
        }),
        ("longer than 60 seconds", |_, claims| {
            claims["exp"] = (claims["exp"].as_u64().unwrap_or_default() + 1).into();
        }),
        ("session at the proxy has ended", |_, claims| {
            claims["session_exp"] = 1.into()
        }),
        ("claim is missing", |_, claims| claims["jti"] = Value::Null),
    ];
    for (reason, change) in changes {
        let token = place.key.assertion_with(&user.name, change)?;
        refused(&place, &token, reason)?;
    }
    refused(
        &place,
        &SessionKey::draw()?.assertion(&user.name)?,
        "not made with a pinned key",
    )?;
    for garbage in ["x", "..", "a.b.c", &"x".repeat(9000)] {
        refused(&place, garbage, "the assertion is refused")?;
    }

    let token = place.key.assertion(&user.name)?;
    let (rest, signature) = token.rsplit_once('.').unwrap_or_default();
    let tampered = format!(
        "{rest}.{}{}",
        if signature.starts_with('A') { 'B' } else { 'A' },
        &signature[1..]
    );
    refused(&place, &tampered, "not made with a pinned key")?;
    // The refused attempts have not used it up.
    Login::begin(&place, &token)?.report()?;
    Ok(())
}

#[test]
fn an_assertion_is_good_for_one_login() -> Result<()> {
    let place = Place::new()?;
    let user = UnixUser::create()?;
    let token = place.key.assertion(&user.name)?;
    let mut first = Login::begin(&place, &token)?;
    first.report()?;
    refused(&place, &token, "used before")?;
    first.send(b"exit 0\n")?;
    first.end()?;
    refused(&place, &token, "used before")?;

    // The assertion is used up although there was no session: a second use would be a theft.
    let token = place.key.assertion("jetway-nobody")?;
    Login::begin(&place, &token)?.refused("access-denied", "no account")?;
    refused(&place, &token, "used before")
}

#[test]
fn other_keys_can_be_pinned_while_it_runs() -> Result<()> {
    let place = Place::new()?;
    let user = UnixUser::create()?;
    let next = SessionKey::draw()?;
    place.session.trust(&next.public_pem()?)?;
    refused(
        &place,
        &place.key.assertion(&user.name)?,
        "not made with a pinned key",
    )?;
    Login::begin(&place, &next.assertion(&user.name)?)?.report()?;
    Ok(())
}

#[test]
fn answers_that_are_none_end_the_login() -> Result<()> {
    let place = Place::new()?;
    let answer = |fields: Value, reason: &str| -> Result<()> {
        let mut login = Login::connect(&place, place.session.command(), "")?;
        login.answer(&fields)?;
        let ending = login.refused("protocol-error", "did not send the sign-in")?;
        assert!(ending.log.contains(reason), "{}", ending.log);
        Ok(())
    };
    answer(
        json!({"cookie": "x", "response": "Bearer x"}),
        "another challenge",
    )?;
    answer(json!({"response": "Basic eDp5"}), "no bearer token")?;
    answer(
        json!({"command": "init", "response": "Bearer x"}),
        "not the JSON",
    )?;
    for (bytes, reason) in [
        (
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            "does not begin with its length",
        ),
        (b"99999\n\n", "longer than"),
        (b"4\n\n{x}", "not the JSON"),
        (b"5\n1:1\nx", "no control message"),
    ] {
        let mut login = Login::connect(&place, place.session.command(), "")?;
        login.receive()?;
        login.send(bytes)?;
        let ending = login.refused("protocol-error", "did not send the sign-in")?;
        assert!(ending.log.contains(reason), "{}", ending.log);
    }
    Ok(())
}

#[test]
fn a_web_service_that_does_not_answer_is_not_waited_for() -> Result<()> {
    let place = Place::new()?;
    let mut silent = Login::connect(&place, place.session.command(), "")?;
    silent.receive()?;
    silent.send(b"12")?;
    let mut gone = Login::connect(&place, place.session.command(), "")?;
    gone.receive()?;
    gone.close(Shutdown::Write)?;
    gone.refused("protocol-error", "")?;
    let ending = silent.refused("protocol-error", "")?;
    assert!(
        ending.log.contains("no answer to the challenge: timed out"),
        "{}",
        ending.log
    );
    Ok(())
}
