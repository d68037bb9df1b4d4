//! Routes, policies and upstreams see one path: no spelling of a path leads past its route.

mod applications;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::routes::public;
use super::world::{edited, request};
use crate::config::PathMatch;
use crate::gate::*;
use crate::testing::{Fixture, config};
use applications::{APPLICATIONS, compares_escapes, resolved};

/// The characters of a path segment beside letters and digits (RFC 3986 section 3.3), except `;`.
const RESERVED: &str = ":@+,=!$&'()*-._~";

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// It takes this route, and the upstream gets this path.
    Forwarded { route: usize, path: String },
    /// It is refused with this status.
    Refused(u16),
}

fn fate(gate: &Gate, path: &str) -> Fate {
    let headers = request("GET", "app.test", path, &[]);
    match gate.begin(&Request::new(&headers), &mut Fixture::new().env()) {
        Step::Forward(forward) => {
            let mut seen = edited(&headers, forward.edits()).into_iter();
            let (_, path) = seen.find(|(name, _)| name == ":path").unwrap();
            Fate::Forwarded {
                route: forward.forwarded().route.0,
                path: String::from_utf8(path).unwrap(),
            }
        }
        Step::Reply(reply) => Fate::Refused(reply.status),
        other => panic!("{path}: {other:?}"),
    }
}

fn forwarded(route: usize, path: &str) -> Fate {
    let path = path.to_owned();
    Fate::Forwarded { route, path }
}

fn gate(routes: &Value) -> Gate {
    Gate::new(config(&public(routes)))
}

/// A policy that allows no request.
fn closed() -> Value {
    json!({"allow": {"or": [{"reject": true}]}})
}

/// N-08: no escape of `:`, or of any other character of a segment, leads past a route for `/v1/users:`.
#[test]
fn n_08_reserved_characters_pass_no_route_by() {
    for character in RESERVED.chars() {
        let gate = gate(&json!([
            {"from": "https://app.test", "prefix": format!("/v1/users{character}"), "policy": closed()},
            {"from": "https://app.test"},
        ]));
        let code = u32::from(character);
        for spelling in [
            format!("/v1/users{character}delete"),
            format!("/v1/users%{code:02X}delete"),
            format!("/v1/users%{code:02x}delete"),
            format!("/v1/%75sers%{code:02x}%64elete?x=%3A"),
            format!("/v1//./users%{code:02x}delete"),
        ] {
            assert_eq!(fate(&gate, &spelling), Fate::Refused(403), "{spelling}");
        }
        // A path that is escaped twice is another path, and remains one.
        let twice = format!("/v1/users%25{code:02X}delete");
        assert_eq!(fate(&gate, &twice), forwarded(1, &twice));
        let innocent = "/v1/users?all=%3a";
        assert_eq!(fate(&gate, innocent), forwarded(1, innocent));
    }
}

/// N-08: policies and upstreams see the same path as routes.
#[test]
fn n_08_policies_and_upstreams_see_the_path_that_routes_see() {
    let gate = gate(&json!([{"from": "https://app.test", "policy": {
        "allow": {"or": [{"accept": true}]},
        "deny": {"or": [{"http_path": {"starts_with": "/v1/users:"}}, {"http_path": {"is": "/a b|c"}}]},
    }}]));
    for (path, expected) in [
        ("/v1/users:delete", Fate::Refused(403)),
        ("/v1/users%3Adelete", Fate::Refused(403)),
        ("/v1/users%3adelete;x", Fate::Refused(403)),
        ("/a%20b|c", Fate::Refused(403)),
        ("/a%20b%7cc", Fate::Refused(403)),
        (
            "/v1%2c2/%40me/%5bid%5d?a=%2c",
            forwarded(0, "/v1,2/@me/%5Bid%5D?a=%2c"),
        ),
        ("/v1/users", forwarded(0, "/v1/users")),
    ] {
        assert_eq!(fate(&gate, path), expected, "{path}");
    }
}

/// N-08: Java's servers leave out what follows a `;`, others do not. A request is refused where that makes a difference.
#[test]
fn n_08_parameters_pass_no_route_by() {
    let gate = gate(&json!([
        {"from": "https://app.test", "path": "/admin", "policy": closed()},
        {"from": "https://app.test", "prefix": "/deep/", "policy": {
            "allow": {"or": [{"accept": true}]},
            "deny": {"or": [{"http_path": "/deep/admin"}]},
        }},
        {"from": "https://app.test"},
    ]));
    for path in [
        "/admin;x",
        "/admin;",
        "/admin%3Bx",
        "/admin%3b",
        "/;x/admin",
        "/a/..;x/../admin",
        "/deep;x/y",
        "/.pomerium;x/sign_out",
        "/pin;/../ping;x",
        // Tomcat would read `/deep/admin;x`, which neither of the two readings is.
        "/deep/;y/admin%3Bx",
        "/b%3bv;w",
    ] {
        assert_eq!(fate(&gate, path), Fate::Refused(400), "{path}");
    }
    for path in [
        "/deep/admin",
        "/deep/admin;x",
        "/deep/admin%3Bx",
        "/deep/;y/admin;x%3Bz",
    ] {
        assert_eq!(fate(&gate, path), Fate::Refused(403), "{path}");
    }
    for (path, route) in [("/b;v=1/c;w=2", 2), ("/deep/a;x", 1), ("/admin/;x", 2)] {
        assert_eq!(fate(&gate, path), forwarded(route, path), "{path}");
    }
    // A server that removes parameters before it decodes gets the path that was sent.
    assert_eq!(fate(&gate, "/b%3Bv"), forwarded(2, "/b%3Bv"));
    assert_eq!(fate(&gate, "/b;v%3bw"), forwarded(2, "/b;v%3Bw"));
}

/// One character of a path, and how it is written.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    AsItIs,
    Upper,
    Lower,
}

const SPELLINGS: [Spelling; 4] = [
    Spelling::AsItIs,
    Spelling::AsItIs,
    Spelling::Upper,
    Spelling::Lower,
];

/// A separator of segments in which nothing counts but one slash.
const SEPARATORS: [&str; 8] = ["/", "/", "/", "//", "/./", "/x/../", "/%2E/", "/;p/"];

const CHARACTERS: &str = "ab:@+,;=!$&'()*-._~ \"<>[]^`{|}%?#\u{e9}";

/// Segments that have characters of every kind.
fn segments() -> impl Strategy<Value = Vec<String>> {
    let characters: Vec<char> = CHARACTERS.chars().collect();
    let segment = proptest::collection::vec(proptest::sample::select(characters), 1..4);
    let segment = segment.prop_map(|characters| characters.into_iter().collect::<String>());
    proptest::collection::vec(segment, 1..4)
}

/// Writes segments in a random way: with escapes, dot segments, and parameters.
fn spelling(segments: &[String]) -> impl Strategy<Value = String> + use<> {
    let segments = segments.to_vec();
    let bytes: usize = segments.iter().map(String::len).sum();
    let characters = proptest::collection::vec(proptest::sample::select(&SPELLINGS), bytes);
    let count = segments.len();
    let separators = proptest::collection::vec(proptest::sample::select(&SEPARATORS), count);
    let parameters = proptest::collection::vec(proptest::bool::weighted(0.15), count);
    (characters, separators, parameters).prop_map(move |(characters, separators, parameters)| {
        let mut characters = characters.into_iter();
        let mut path = String::new();
        for ((segment, separator), has_parameter) in segments.iter().zip(separators).zip(parameters)
        {
            path.push_str(separator);
            for byte in segment.bytes() {
                let may_stand = byte.is_ascii_graphic() && !b"%?#".contains(&byte);
                match characters.next().unwrap() {
                    Spelling::AsItIs if may_stand => path.push(char::from(byte)),
                    Spelling::Lower => path.push_str(&format!("%{byte:02x}")),
                    _ => path.push_str(&format!("%{byte:02X}")),
                }
            }
            if has_parameter {
                path.push_str(";p=1");
            }
        }
        path
    })
}

/// Two ways to write a path, and how many of its characters are before the end of a route's prefix.
fn two_spellings() -> impl Strategy<Value = (String, String, usize)> {
    segments().prop_flat_map(|segments| {
        let ways = (spelling(&segments), spelling(&segments));
        (ways, 1..12_usize).prop_map(|((one, other), end)| (one, other, end))
    })
}

/// The properties that distinguish one path from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    /// A route that allows no request.
    ClosedRoute,
    /// A route that allows every request, as all others do.
    OpenRoute,
    /// A policy that refuses it.
    Policy,
}

/// A gate that tells this path in its canonical form from all others. Behind the route for exactly this path are routes for
/// what begins with so many of its characters, and with one more, and a last one for the rest.
fn gate_around(path: &str, end: usize, difference: Difference) -> Gate {
    let open = json!({"allow": {"or": [{"accept": true}]}});
    let denies = json!({
        "allow": open["allow"],
        "deny": {"or": [{"http_path": {"is": crate::http::path::decode(path)}}]},
    });
    let policies = match difference {
        Difference::ClosedRoute => [closed(), open.clone(), closed(), open],
        Difference::OpenRoute => [open.clone(), open.clone(), open.clone(), open],
        Difference::Policy => [denies.clone(), denies.clone(), denies.clone(), denies],
    };
    let routes: Vec<Value> = (0..)
        .zip(policies)
        .map(|(number, policy)| json!({"from": "https://app.test", "path": format!("/{number}"), "policy": policy}))
        .collect();
    let mut file = config(&public(&json!(routes)));
    let beginning = |end: usize| PathMatch::Prefix(path.chars().take(end).collect());
    let paths = [
        PathMatch::Exact(path.to_owned()),
        beginning(end + 1),
        beginning(end),
        PathMatch::Any,
    ];
    for (route, path) in file.routes.iter_mut().zip(paths) {
        route.path = path;
    }
    Gate::new(file)
}

fn has_parameter(path: &str) -> bool {
    path.contains(';') || path.to_ascii_lowercase().contains("%3b")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// N-08: two spellings that an application takes for one path take one route, and the application gets one path,
    /// unless they are refused because servers disagree about them.
    #[test]
    fn n_08_no_two_spellings_of_a_path_take_different_routes(
        (one, other, end) in two_spellings(),
        difference in proptest::sample::select(&[Difference::ClosedRoute, Difference::OpenRoute, Difference::Policy]),
    ) {
        let Ok(plain) = crate::http::path::canonical(&one) else {
            return Ok(());
        };
        let gate = gate_around(&plain, end, difference);
        let fates = [fate(&gate, &one), fate(&gate, &other)];
        for (name, reading) in APPLICATIONS {
            let same = reading(&one).is_some() && reading(&one) == reading(&other);
            if !same {
                continue;
            }
            match &fates {
                [Fate::Forwarded { route, path }, Fate::Forwarded { route: second, path: sent }] => {
                    prop_assert_eq!(route, second, "{}", name);
                    prop_assert_eq!(reading(path), reading(sent), "{}", name);
                }
                [Fate::Forwarded { .. }, Fate::Refused(403)] => {
                    prop_assert!(has_parameter(&other), "{}: {} passes {} by", name, one, other);
                }
                [Fate::Refused(403), Fate::Forwarded { .. }] => {
                    prop_assert!(has_parameter(&one), "{}: {} passes {} by", name, other, one);
                }
                [Fate::Refused(_), _] | [_, Fate::Refused(_)] => {}
            }
        }
    }

    /// N-08: applications that decode a path read the one that they get as they would read the one that was sent, dot
    /// segments and empty ones left aside.
    #[test]
    fn n_08_an_application_gets_what_was_sent(
        one in "(/[ab.%:|]{0,3}|/[ab.]{0,2}%(2[0-9a-f]|3[aAbB]|40|41|7[cC])[ab.]{0,2}){1,3}",
    ) {
        let gate = gate_around("/", 1, Difference::OpenRoute);
        if let Fate::Forwarded { path, .. } = fate(&gate, &one) {
            for (name, reading) in APPLICATIONS.into_iter().filter(|(name, _)| !compares_escapes(name)) {
                let plain = |path: &str| reading(path).map(|path| resolved(&path));
                prop_assert_eq!(plain(&one), plain(&path), "{}: {} {}", name, one, path);
            }
        }
    }

    /// N-08: of two paths that upstreams get, no application takes one for the other, unless both take the same route.
    #[test]
    fn n_08_an_application_gets_each_path_in_one_spelling(
        one in "(/[ab.;%:|]{0,3}|/%(2[0-9a-f]|3[aAbB]|40|41|7[cC])){1,3}",
        other in "(/[ab.;%:|]{0,3}|/%(2[0-9a-f]|3[aAbB]|40|41|7[cC])){1,3}",
        end in 1..6_usize,
    ) {
        let (Ok(plain), Ok(_)) = (crate::http::path::canonical(&one), crate::http::path::canonical(&other)) else {
            return Ok(());
        };
        let gate = gate_around(&plain, end, Difference::OpenRoute);
        if let [Fate::Forwarded { route, path }, Fate::Forwarded { route: second, path: sent }] =
            [fate(&gate, &one), fate(&gate, &other)]
        {
            for (name, reading) in APPLICATIONS {
                if path != sent && reading(&path) == reading(&sent) {
                    prop_assert!(path.contains(';') || sent.contains(';'), "{}: {} {}", name, path, sent);
                    prop_assert_eq!(route, second, "{}: {} {}", name, path, sent);
                }
            }
        }
    }
}
