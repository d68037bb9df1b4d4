use std::collections::BTreeMap;

use super::*;
use crate::config::FoundBy;
use crate::session::Identity;
use crate::session::unix_user::UnixUser;
use crate::time::Timestamp;

fn session(id: &str, subject: &str) -> Session {
    let identity = Identity {
        subject: subject.to_owned(),
        email: None,
        email_verified: false,
        claims: BTreeMap::new(),
    };
    Session::new(id.to_owned(), identity, Timestamp(0), 1)
}

fn secret(byte: u8) -> Secret {
    Secret::new(vec![byte; 32])
}

/// A `!` after the user stands for administrative access.
fn bind(binder: &Binder, host: &str, session: &Session, user: &str) -> Binding {
    let standing = CockpitIdentity {
        user: UnixUser::new(user.trim_end_matches('!')).unwrap(),
        by: FoundBy::Table,
        administrator: user.ends_with('!'),
    };
    binder.bind(host, session, &standing)
}

fn alice() -> Binding {
    let binder = Binder::new(&secret(1), &[]);
    bind(&binder, "app.test", &session("i", "s"), "alice").of_login(true)
}

fn released(binding: &Binding, line: &str) -> String {
    match binding.release(line.as_bytes()) {
        ReleasedCookie::Unchanged => line.to_owned(),
        ReleasedCookie::Changed(line) => String::from_utf8(line).unwrap(),
        ReleasedCookie::Withheld => "withheld".to_owned(),
    }
}

fn admitted(binding: &Binding, header: &str) -> String {
    String::from_utf8(binding.admit(header.as_bytes())).unwrap()
}

/// The pair of a `Set-Cookie` value.
fn pair(line: &str) -> &str {
    line.split(';').next().unwrap()
}

#[test]
fn a_cookie_comes_back_as_it_was_set() {
    let alice = alice();
    for name in ["cockpit", "machine-cockpit+10.0.0.1", "cockpit+app"] {
        let set = format!("{name}=dj0yO2s9ZjFi==; Path=/; SameSite=Strict; HttpOnly");
        let line = released(&alice, &set);
        assert!(
            line.ends_with("; Path=/; SameSite=Strict; HttpOnly; Secure"),
            "{line}"
        );
        let header = format!("a=b;{}; CockpitLang=de-de; c", pair(&line));
        assert_eq!(
            admitted(&alice, &header),
            format!("a=b; {name}=dj0yO2s9ZjFi==; CockpitLang=de-de; c")
        );
    }
}

#[test]
fn no_other_visitor_can_use_it() {
    let line = released(&alice(), "cockpit=v");
    let binder = Binder::new(&secret(1), &[]);
    let others = [
        bind(&binder, "b.test", &session("i", "s"), "alice"),
        bind(&binder, "app.test", &session("j", "s"), "alice"),
        bind(&binder, "app.test", &session("i", "t"), "alice"),
        bind(&binder, "app.test", &session("i", "s"), "bob"),
        bind(&binder, "app.test", &session("i", "s"), "alice!"),
        bind(
            &Binder::new(&secret(2), &[]),
            "app.test",
            &session("i", "s"),
            "alice",
        ),
    ];
    for other in others {
        assert_eq!(admitted(&other, pair(&line)), "");
    }
    assert_eq!(admitted(&alice(), pair(&line)), "cockpit=v");
}

#[test]
fn an_earlier_secret_is_good_and_the_newest_signs() {
    let old = released(&alice(), "cockpit=v");
    let binder = Binder::new(&secret(2), &[secret(1)]);
    let now = bind(&binder, "app.test", &session("i", "s"), "alice").of_login(true);
    assert_eq!(admitted(&now, pair(&old)), "cockpit=v");
    assert_ne!(released(&now, "cockpit=v"), old);
}

#[test]
fn what_was_not_released_is_not_admitted() {
    let alice = alice();
    let line = released(&alice, "cockpit=v");
    let good = pair(&line);
    let tag = good.rsplit_once('.').unwrap().1;
    for pair in [
        "cockpit=v".to_owned(),
        "cockpit=deleted".to_owned(),
        "cockpit=".to_owned(),
        "cockpit".to_owned(),
        format!("cockpit=w.{tag}"),
        format!("cockpit=v{tag}"),
        format!("cockpit=.{tag}"),
        format!("Cockpit=v.{tag}"),
        format!("machine-cockpit=v.{tag}"),
        format!("x={good}"),
        format!("{good}A"),
        format!("{good},cockpit=evil"),
        format!("{good} cockpit=evil"),
        "x=1,cockpit=evil".to_owned(),
        "x=1 cockpit=evil".to_owned(),
        "x=1\tcockpit=evil".to_owned(),
        "CockpitLang=de cockpit=evil".to_owned(),
        "CockpitLang=de,x".to_owned(),
        "x=\"1; cockpit=evil\"".to_owned(),
    ] {
        let left = admitted(&alice, &pair);
        assert!(
            !left.to_ascii_lowercase().contains("cockpit"),
            "{pair}: {left}"
        );
    }
}

#[test]
fn cockpit_can_remove_its_cookie() {
    let line = "cockpit=deleted; PATH=/; Secure; HttpOnly";
    assert_eq!(alice().release(line.as_bytes()), ReleasedCookie::Unchanged);
    assert_eq!(released(&alice(), "other=1; secure"), "other=1; secure");
    assert_eq!(released(&alice(), "other=1"), "other=1; Secure");
    assert_eq!(released(&alice(), "no pair"), "no pair");
}

#[test]
fn only_a_login_sets_a_session_cookie() {
    let alice = alice().of_login(false);
    for line in [
        "cockpit=v; Path=/",
        " cockpit =v",
        "machine-cockpit+10.0.0.1=v",
    ] {
        assert_eq!(released(&alice, line), "withheld", "{line}");
    }
    assert_eq!(
        released(&alice, "cockpit=deleted; Secure"),
        "cockpit=deleted; Secure"
    );
    assert_eq!(released(&alice, "other=1; Secure"), "other=1; Secure");
}

#[test]
fn other_upstreams_of_the_host_see_none() {
    let line = released(&alice(), "cockpit=dj0yO2s9ZjFi");
    let header = format!("a=b;{}; cockpit=own; CockpitLang=de; c", pair(&line));
    assert_eq!(
        without_released(header.as_bytes()),
        b"a=b; cockpit=own; CockpitLang=de; c"
    );
}
