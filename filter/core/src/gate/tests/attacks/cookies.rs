//! C rows: cookies and sessions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::forge::encode;
use super::target::{Target, set_cookies};
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::gate::tests::world::{HTML, Jar, World, request, status};
use crate::http::cookie::MAX_SESSION_VALUE;
use crate::http::reply::Reply;
use crate::limits::MAX_ATTEMPTS;
use crate::session::seal::{Purpose, Sealer};
use crate::testing::{Fixture, config};

impl Target {
    /// The session's cookies: the first has the session's name.
    fn cookies(&mut self) -> Vec<(String, String)> {
        of_session(self.sign_in("alice@corp.test"))
    }

    /// Asserts that this `Cookie` header is no session, and that nothing breaks.
    fn is_no_session(&mut self, what: &str, cookie: &[u8]) {
        for more in [&[HTML][..], &[]] {
            let mut headers = vec![("cookie", cookie)];
            headers.extend(more);
            let Step::Reply(reply) = self.send("GET", "/", &headers) else {
                panic!("{what}: somebody is signed in")
            };
            assert!(matches!(reply.status, 303 | 401), "{what}: {reply:?}");
        }
        self.still_serves(what);
    }

    /// Asserts that this `Cookie` header is as valid as alice's own.
    fn is_alice(&mut self, what: &str, cookie: &[u8]) {
        let step = self.send("GET", "/", &[HTML, ("cookie", cookie)]);
        assert!(matches!(step, Step::Forward(_)), "{what}: {step:?}");
    }
}

/// Removes the cookie that only counts sign-ins.
fn of_session(jar: Jar) -> Vec<(String, String)> {
    let cookies = jar.0.into_iter();
    cookies
        .filter(|(name, _)| !name.ends_with("_login_count"))
        .collect()
}

fn header(cookies: &[(&str, &str)]) -> Vec<u8> {
    let pairs: Vec<String> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("; ").into_bytes()
}

/// Changes every bit of the value as it is sent. It is base64url, in which each bit of a character counts.
#[test]
fn c_01_bit_flips() {
    let mut target = Target::new();
    let (name, value) = target.cookies().remove(0);
    for place in 0..value.len() {
        for bit in 0..8 {
            let mut flipped = value.clone().into_bytes();
            flipped[place] ^= 1 << bit;
            let cookie = [name.as_bytes(), b"=", &flipped].concat();
            target.is_no_session(&format!("bit {bit} of byte {place}"), &cookie);
        }
    }
    target.is_alice("unchanged", &header(&[(&name, &value)]));
}

#[test]
fn c_02_truncated_and_extended() {
    let mut target = Target::new();
    let (name, value) = target.cookies().remove(0);
    let length = value.len();
    for changed in [
        value[..length - 1].to_owned(),
        value[1..].to_owned(),
        value[..length - 22].to_owned(),
        value[..length / 2].to_owned(),
        value[..1].to_owned(),
        String::new(),
        format!("{value}A"),
        format!("{value}AAAA"),
        format!("A{value}"),
        format!("{value}="),
        format!("{value}{value}"),
        format!("{value}{}", "A".repeat(60_000)),
    ] {
        target.is_no_session(
            &format!("{} bytes", changed.len()),
            &header(&[(&name, &changed)]),
        );
    }
}

/// Returns a session of several cookies, with long claims that do not compress.
fn long_session(target: &mut Target, email: &str) -> Vec<(String, String)> {
    let mut fixture = Fixture::new();
    let noise: Vec<String> = (0..200)
        .map(|_| format!("group-{}", fixture.env().token::<24>().unwrap()))
        .collect();
    let jar = target.world_with_claims(email, &json!({"groups": noise}));
    let cookies = of_session(jar);
    assert!(cookies.len() > 1, "the session needs several cookies");
    cookies
}

impl Target {
    fn world_with_claims(&mut self, email: &str, more: &serde_json::Value) -> Jar {
        let mut callback = self.come_back();
        let mut claims = self.world.claims(email, &callback.query["nonce"]);
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let token = self.forge.honest(&claims);
        let Step::Reply(reply) = self.answer(callback.step, &token) else {
            panic!("a reply")
        };
        assert_eq!(reply.status, 303, "{reply:?}");
        callback.jar.take(&reply);
        callback.jar
    }
}

/// Returns a configuration whose upstream gets the groups of all users.
fn telling() -> Target {
    Target::with(&json!({
        "pass_identity_headers": true, "jwt_claims_headers": {"x-groups": "groups"},
    }))
}

#[test]
fn c_03_chunks_reordered_missing_extra_and_twice() {
    let mut target = telling();
    let cookies = long_session(&mut target, "alice@corp.test");
    let own: Vec<(&str, &str)> = cookies
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    target.is_alice("as they are", &header(&own));
    let mut backwards = own.clone();
    backwards.reverse();
    target.is_alice(
        "in another order: names count, places do not",
        &header(&backwards),
    );

    let mut swapped = own.clone();
    let last = own.len() - 1;
    (swapped[0].1, swapped[last].1) = (own[last].1, own[0].1);
    target.is_no_session("swapped", &header(&swapped));
    for missing in 0..own.len() {
        let mut fewer = own.clone();
        fewer.remove(missing);
        target.is_no_session("one missing", &header(&fewer));
    }
    let first = own[0].0;
    for place in [own.len(), 5, 9] {
        let extra = format!("{first}_{place}");
        let mut more = own.clone();
        more.push((&extra, own[last].1));
        target.is_no_session("one too many", &header(&more));
    }
    let mut twice = own.clone();
    twice.push(own[last]);
    target.is_no_session("one twice", &header(&twice));
    // A cookie that cannot be opened is removed.
    let Step::Reply(reply) = target.send("GET", "/", &[HTML, ("cookie", &header(&swapped))]) else {
        panic!("a reply")
    };
    let cleared: BTreeSet<&str> = set_cookies(&reply)
        .filter(|line| line.contains("Max-Age=0"))
        .filter_map(|line| line.split('=').next())
        .collect();
    assert!(
        own.iter().all(|(name, _)| cleared.contains(name)),
        "{cleared:?}"
    );
}

#[test]
fn c_04_chunks_of_two_sessions() {
    let mut target = telling();
    let alice = long_session(&mut target, "alice@corp.test");
    let bob = long_session(&mut target, "bob@corp.test");
    assert_eq!(alice.len(), bob.len());
    for place in 0..alice.len() {
        let mut mixed = alice.clone();
        mixed[place] = bob[place].clone();
        let mixed: Vec<(&str, &str)> = mixed
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        target.is_no_session("mixed", &header(&mixed));
    }
}

#[test]
fn c_05_chunk_count() {
    let mut target = telling();
    let cookies = long_session(&mut target, "alice@corp.test");
    let (name, value) = &cookies[0];
    let (_, rest) = value.split_once('.').unwrap();
    for count in [
        "255",
        "-1",
        "99999999999",
        "",
        "0",
        "1",
        "+2",
        "02",
        "2.2",
        "18446744073709551617",
    ] {
        let forged = format!("{count}.{rest}");
        let mut changed: Vec<(&str, &str)> = vec![(name, &forged)];
        changed.extend(
            cookies[1..]
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        target.is_no_session(count, &header(&changed));
    }
    let mut without: Vec<(&str, &str)> = vec![(name, rest)];
    without.extend(
        cookies[1..]
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    target.is_no_session("absent", &header(&without));
    let longest = "A".repeat(MAX_SESSION_VALUE * 4);
    target.is_no_session("a value beyond all limits", &header(&[(name, &longest)]));
}

#[test]
fn c_08_another_deployments_key() {
    let mut target = Target::new();
    let mut other =
        World::with(&json!({"cookie_secret": "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="}));
    let jar = other.sign_in("app.test", "/", "alice@corp.test");
    target.is_no_session("another key", jar.header().as_bytes());
    // The same key, but sealed for another purpose or another host.
    let sealer = Sealer::new(&crate::secret::Secret::new(vec![0; 32]), &[]);
    let mut fixture = Fixture::new();
    let session = br#"{"id":"x","sub":"s","email":"alice@corp.test","email_verified":true}"#;
    let name = target.innocent().0.into_keys().next().unwrap();
    for (purpose, host) in [(Purpose::Attempt, "app.test"), (Purpose::Session, "b.test")] {
        let sealed = sealer
            .seal(purpose, host, session, &mut fixture.env())
            .unwrap();
        target.is_no_session("another purpose or host", &header(&[(&name, &sealed)]));
    }
}

#[test]
fn c_09_key_rotation() {
    let old = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let new = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    world.gate = Gate::new(config(
        &json!({"cookie_secret": new, "cookie_secret_previous": old}),
    ));
    world.learn();
    let Step::Forward(forward) = world.visit("app.test", "/", &jar) else {
        panic!("inside the window the old key is good")
    };
    let mut refreshed = jar.clone();
    for line in forward.cookies() {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        refreshed.0.insert(name.to_owned(), value.to_owned());
    }
    assert_ne!(
        refreshed.header(),
        jar.header(),
        "the cookie is sealed anew"
    );
    world.gate = Gate::new(config(&json!({"cookie_secret": new})));
    world.learn();
    assert_eq!(status(&world.visit("app.test", "/", &refreshed)), 200);
    assert_eq!(
        status(&world.visit("app.test", "/", &jar)),
        303,
        "after the window it is not"
    );
    let mut again = jar;
    let query = world.depart("app.test", "/", &mut again);
    let step = world.callback("app.test", &query["state"], &again);
    let claims = world.claims("alice@corp.test", &query["nonce"]);
    let Step::Reply(reply) = world.answer(step, &claims) else {
        panic!("a reply")
    };
    again.take(&reply);
    assert_eq!(
        status(&world.visit("app.test", "/", &again)),
        200,
        "and no loop comes of it"
    );
}

#[test]
fn c_10_version_downgrade() {
    let mut target = Target::new();
    let (name, value) = target.cookies().remove(0);
    let sealed =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &value).unwrap();
    for place in 0..4.min(sealed.len()) {
        for version in [0, 1, 2, 3, 127, 255] {
            let mut changed = sealed.clone();
            if changed[place] == version {
                continue;
            }
            changed[place] = version;
            target.is_no_session(
                &format!("byte {place} is {version}"),
                &header(&[(&name, &encode(&changed))]),
            );
        }
    }
}

/// Each sealing has a nonce of 24 random bytes (XChaCha20), which comes from the random source and never repeats.
#[test]
fn c_11_nonce_reuse() {
    let sealer = Sealer::new(&crate::secret::Secret::new(vec![7; 32]), &[]);
    let mut fixture = Fixture::new();
    let mut seen = BTreeSet::new();
    for _ in 0..10_000 {
        let sealed = sealer
            .seal(Purpose::Session, "app.test", b"x", &mut fixture.env())
            .unwrap();
        assert!(seen.insert(sealed), "two sealings of one text are alike");
    }
}

#[test]
fn c_13_idle_and_absolute_expiry() {
    let mut world = World::with(&json!({"cookie_idle_expire": "30m", "cookie_expire": "2h"}));
    let begun = world.fixture.now;
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let code = |world: &mut World, at: u64, jar: &Jar| {
        world.fixture.now = begun.plus(at);
        let cookies = jar.header();
        status(&world.begin(&request(
            "GET",
            "app.test",
            "/",
            &[("cookie", cookies.as_bytes())],
        )))
    };
    let (silent, mut active) = (
        world.sign_in("app.test", "/", "alice@corp.test"),
        jar.clone(),
    );
    assert_eq!(code(&mut world, 1800, &silent), 401);
    assert_eq!(code(&mut world, 1799, &jar), 200);
    // Constant activity keeps it until the end of its lifetime.
    for at in (600..7200).step_by(600) {
        world.fixture.now = begun.plus(at);
        let Step::Forward(forward) = world.visit("app.test", "/", &active) else {
            panic!("at {at} the session is good")
        };
        for line in forward.cookies() {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            active.0.insert(name.to_owned(), value.to_owned());
        }
    }
    assert_eq!(code(&mut world, 7199, &active), 200);
    assert_eq!(code(&mut world, 7200, &active), 401);
}

#[test]
fn c_18_nameless_and_prefix_spoof() {
    let mut target = Target::new();
    let (name, value) = target.cookies().remove(0);
    let lower = name.to_lowercase();
    for cookie in [
        format!("={name}={value}"),
        format!("  {name}={value}"),
        format!("\t{name}={value}"),
        format!("{lower}={value}"),
        format!("{name} ={value}"),
        format!("{name}\t={value}"),
        format!("{name}= {value}"),
        format!("{name}=\"{value}\""),
        format!("{name}%3D{value}"),
        format!("a=\"{name}={value}\""),
        format!("a={name}={value}"),
        format!("{name}=x, {name}={value}"),
    ] {
        target.is_no_session(&cookie, cookie.as_bytes());
    }
}

#[test]
fn c_19_binary() {
    let mut target = Target::new();
    let (name, value) = target.cookies().remove(0);
    let own = header(&[(&name, &value)]);
    for odd in [
        &b"a=\xff"[..],
        b"\x80=a",
        b"a=\x7f",
        "a=\u{e9}".as_bytes(),
        b"\xff",
        b"a=\x00",
    ] {
        target.is_no_session("binary alone", odd);
        for whole in [[odd, b"; ", &own].concat(), [&own[..], b"; ", odd].concat()] {
            target.is_alice("binary beside a session", &whole);
            target.still_serves("binary");
        }
        let both = target.send("GET", "/", &[HTML, ("cookie", odd), ("cookie", &own)]);
        assert!(matches!(both, Step::Forward(_)), "{both:?}");
        target.is_no_session("binary in our own", &[name.as_bytes(), b"=", odd].concat());
        target.is_no_session(
            "binary in an attempt's name",
            &[name.as_bytes(), b"_attempt_", odd, b"=x"].concat(),
        );
    }
}

#[test]
fn c_20_odd_syntax() {
    let mut target = Target::new();
    let (name, value) = target.cookies().remove(0);
    let own = String::from_utf8(header(&[(&name, &value)])).unwrap();
    let many: String = (0..300).map(|number| format!("c{number}=x; ")).collect();
    let ours: String = (0..300)
        .map(|number| format!("{name}_attempt_{number}=x; "))
        .collect();
    let long_name = format!("{}=x; ", "n".repeat(4096));
    let long_value = format!("a={}; ", "v".repeat(50 * 1024));
    for odd in [
        "a; ",
        "=; ",
        ";;;",
        "a=\"x\"; ",
        "$Version=1; ",
        "; ;  ; ",
        "a==b; ",
        &many,
        &long_name,
        &long_value,
    ] {
        target.is_no_session("odd syntax alone", odd.as_bytes());
        target.is_alice(
            "odd syntax in front of a session",
            format!("{odd}{own}").as_bytes(),
        );
        target.is_alice(
            "odd syntax behind a session",
            format!("{own}; {odd}").as_bytes(),
        );
        target.still_serves("odd syntax");
    }
    // Only a limited number of the proxy's own cookies is read; more forged ones only sign their own browser out.
    target.is_no_session("300 of our own", ours.as_bytes());
    let _ = target.send(
        "GET",
        "/",
        &[HTML, ("cookie", format!("{ours}{own}").as_bytes())],
    );
    target.still_serves("300 of our own and a session");
}

/// Returns every `Set-Cookie` line of these flows.
fn lines() -> Vec<String> {
    let mut target = telling();
    let mut lines = Vec::new();
    let mut keep = |reply: &Reply| lines.extend(set_cookies(reply).map(ToOwned::to_owned));
    let mut callback = target.come_back();
    let Step::Reply(begun) = target.world.visit("app.test", "/", &callback.jar) else {
        panic!("a reply")
    };
    keep(&begun);
    let token = target.forge.honest(&target.claims(&callback));
    let Step::Reply(done) = target.answer(callback.step, &token) else {
        panic!("a reply")
    };
    keep(&done);
    callback.jar.take(&done);
    let failing = target.come_back();
    let Step::Reply(failed) = target.answer_with(failing.step, 500, "") else {
        panic!("a reply")
    };
    keep(&failed);
    let long = Jar(long_session(&mut target, "alice@corp.test")
        .into_iter()
        .collect());
    for jar in [callback.jar, long] {
        let cookies = jar.header();
        let origin = ("origin", &b"https://app.test"[..]);
        let Step::Reply(out) = target.send(
            "POST",
            "/.pomerium/sign_out",
            &[HTML, origin, ("cookie", cookies.as_bytes())],
        ) else {
            panic!("a reply")
        };
        keep(&out);
    }
    lines
}

#[test]
fn c_23_flags() {
    let lines = lines();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let attributes: BTreeSet<&str> = line.split("; ").skip(1).collect();
        let named = |name: &str| attributes.contains(name);
        assert!(
            line.starts_with("__Host-")
                && named("Path=/")
                && named("Secure")
                && named("HttpOnly")
                && named("SameSite=Lax"),
            "{line}"
        );
        assert!(!line.to_lowercase().contains("domain="), "{line}");
    }
}

#[test]
fn c_24_clearing() {
    let lines = lines();
    let attributes = |line: &str| -> BTreeMap<String, ()> {
        line.split("; ")
            .skip(1)
            .filter(|part| !part.starts_with("Max-Age"))
            .map(|part| (part.to_owned(), ()))
            .collect()
    };
    let cleared: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("Max-Age=0"))
        .collect();
    assert!(
        cleared.iter().any(|line| line.contains("_attempt_"))
            && cleared.iter().any(|line| !line.contains("_attempt_"))
    );
    for clear in cleared {
        let name = clear.split('=').next().unwrap();
        assert!(clear[name.len()..].starts_with("=; "), "{clear}");
        let set = lines
            .iter()
            .find(|line| line.split('=').next() == Some(name) && !line.contains("Max-Age=0"));
        if let Some(set) = set {
            assert_eq!(attributes(clear), attributes(set));
        }
    }
}

#[test]
fn c_25_upstream_sets_our_cookie() {
    let mut target = Target::new();
    let (name, _) = target.cookies().remove(0);
    let cookies = target.innocent().header();
    let Step::Forward(forward) = target.send("GET", "/", &[HTML, ("cookie", cookies.as_bytes())])
    else {
        panic!("let through")
    };
    let lower = name.to_lowercase();
    let answer: Vec<(String, Vec<u8>)> = [
        format!("{name}=evil; Path=/; Secure"),
        format!("{lower}=evil"),
        format!(" {name} =evil"),
        format!("{name}_1=evil"),
        format!("{name}_attempt_x=evil"),
        "own=good; HttpOnly".to_owned(),
    ]
    .into_iter()
    .map(|line| ("set-cookie".to_owned(), line.into_bytes()))
    .collect();
    let seen = target.world.answer_of(forward.forwarded(), &answer);
    assert_eq!(
        seen.get("set-cookie").as_deref(),
        Some("own=good; HttpOnly")
    );
    target.still_serves("an upstream's cookies");
}

#[test]
fn c_26_upstream_reads_our_cookie() {
    let mut target = Target::new();
    let (name, value) = target.cookies().remove(0);
    let sent = format!("z=1; {name}={value}; a=\"q\"; {name}_attempt_x=y;b=%00; c;  d=e; A=1; a=2");
    let seen = target.world.upstream(&request(
        "GET",
        "app.test",
        "/",
        &[HTML, ("cookie", sent.as_bytes())],
    ));
    let cookies = seen.get("cookie").unwrap();
    assert!(
        !cookies.to_lowercase().contains(&name.to_lowercase()),
        "{cookies}"
    );
    let others: Vec<&str> = cookies.split(';').map(str::trim).collect();
    assert_eq!(
        others,
        ["z=1", "a=\"q\"", "b=%00", "c", "d=e", "A=1", "a=2"]
    );
}

#[test]
fn c_27_login_state_flood() {
    let mut target = Target::new();
    let mut jar = Jar::default();
    for number in 0..200 {
        let Step::Reply(reply) = target
            .world
            .visit("app.test", &format!("/page/{number}"), &jar)
        else {
            panic!("a reply")
        };
        // A page stops a loop; time passes, and the user begins again.
        assert!(matches!(reply.status, 303 | 400..500), "{reply:?}");
        jar.take(&reply);
        let attempts = jar
            .0
            .keys()
            .filter(|name| name.contains("_attempt_"))
            .count();
        assert!(attempts <= MAX_ATTEMPTS, "{attempts} attempts");
        assert!(jar.header().len() < 2048, "{} bytes", jar.header().len());
        target.world.fixture.now = target.world.fixture.now.plus(31);
        target.learn();
    }
    target.still_serves("a flood");
}

/// Attempts are sealed one by one and never compressed, and a session's claims are never sealed beside an address that an
/// attacker chose: the length of a cookie reveals only its own length.
#[test]
fn c_37_compression_oracle() {
    let mut target = Target::new();
    let mut length = |path: &str| {
        let mut jar = Jar::default();
        let _ = target.world.depart("app.test", path, &mut jar);
        jar.0
            .iter()
            .find(|(name, _)| name.contains("_attempt_"))
            .unwrap()
            .1
            .len()
    };
    assert_eq!(
        length(&format!("/{}", "a".repeat(400))),
        length(&format!("/{}", "abcdefgh".repeat(50)))
    );
    let mut target = Target::new();
    let session = |target: &mut Target, path: &str| {
        let mut jar = Jar::default();
        let query = target.world.depart("app.test", path, &mut jar);
        let step = target.world.callback("app.test", &query["state"], &jar);
        let token = target
            .forge
            .honest(&target.world.claims("alice@corp.test", &query["nonce"]));
        let Step::Reply(reply) = target.answer(step, &token) else {
            panic!("a reply")
        };
        set_cookies(&reply)
            .find(|line| !line.contains("Max-Age=0"))
            .unwrap()
            .len()
    };
    assert_eq!(
        session(&mut target, "/"),
        session(&mut target, "/alice@corp.test/s-alice@corp.test")
    );
}
