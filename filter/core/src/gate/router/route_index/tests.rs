use std::cell::RefCell;

use super::*;
use crate::config::{PathMatch, Route};
use crate::testing::config;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const LISTENING: u16 = 8443;

/// Tries the routes in the order of the file, which is what the index has to answer.
fn scan(routes: &[Route], host: &str, port: u16, path: &str) -> Option<usize> {
    let is_named = routes.iter().any(|route| route.from.host == host);
    let serves = |route: &Route| {
        let has_port = match route.from.port {
            Some(own) => own == port,
            None => port == HTTPS || port == LISTENING,
        };
        let has_host = if is_named {
            route.from.host == host
        } else {
            route.from.fits(host)
        };
        has_port && has_host && route.path.serves(path)
    };
    routes.iter().position(serves)
}

fn scan_origin(routes: &[Route], host: &str, port: u16) -> KnownOrigin {
    // The routes are for every path here, so that host and port alone decide.
    if scan(routes, host, port, "/").is_some() {
        return KnownOrigin::Yes;
    }
    let is_known = routes.iter().any(|route| route.from.fits(host));
    if is_known {
        KnownOrigin::OtherPort
    } else {
        KnownOrigin::No
    }
}

/// The most routes of a generated file.
const MOST: usize = 24;

thread_local! {
    /// Routes of which a test replaces addresses and paths: reading a file for each case would take too long.
    static ROUTES: RefCell<Vec<Route>> = {
        let routes: Vec<Value> = (0..MOST).map(|number| model(number, ".*")).collect();
        RefCell::new(config(&json!({"routes": routes})).routes)
    };
    /// Regular expressions of paths.
    static REGEXES: Vec<PathMatch> = {
        let routes = config(&json!({"routes": [model(0, "/a.*"), model(1, "/[ab]?")]})).routes;
        routes.into_iter().map(|route| route.path).collect()
    };
}

fn model(number: usize, regex: &str) -> Value {
    json!({
        "from": "https://model.t",
        "to": format!("http://upstream-{number}"),
        "regex": regex,
        "policy": {"allow": {"or": [{"accept": true}]}},
    })
}

/// Calls `check` with routes that have these addresses and paths.
fn with_routes<T>(routes: Vec<(From, PathMatch)>, check: impl FnOnce(&[Route]) -> T) -> T {
    let count = routes.len();
    ROUTES.with_borrow_mut(|all| {
        for (route, (from, path)) in all.iter_mut().zip(routes) {
            (route.from, route.path) = (from, path);
        }
        check(&all[..count])
    })
}

fn regex(number: usize) -> PathMatch {
    REGEXES.with(|regexes| regexes[number].clone())
}

fn some_from() -> impl Strategy<Value = From> {
    let host = prop_oneof![
        "[ab]{1,2}\\.(t|at)",
        "\\*\\.(t|at)",
        "[ab]{0,2}\\*[ab]?\\.(t|at)",
        "\\*[ab]\\*\\.t",
        Just("*".to_owned()),
    ];
    let port = prop_oneof![4 => Just(None), 1 => Just(Some(9443))];
    (host, port).prop_map(|(host, port)| From { host, port })
}

fn some_path() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        1 => Just(PathMatch::Any),
        3 => "/[ab/]{0,3}".prop_map(PathMatch::Exact),
        4 => "/[ab/]{0,3}".prop_map(PathMatch::Prefix),
        1 => (0..2_usize).prop_map(regex),
    ]
}

fn some_origin() -> impl Strategy<Value = (String, u16)> {
    let port = prop_oneof![Just(443), Just(8443), Just(9443), Just(1)];
    ("[ab]{1,3}\\.(t|at)", port)
}

proptest! {
    #[test]
    fn the_index_answers_as_the_order_of_the_file(
        routes in vec((some_from(), some_path()), 1..=MOST),
        requests in vec((some_origin(), "/[ab/]{0,4}"), 16),
    ) {
        with_routes(routes, |routes| {
            let index = RouteIndex::new(routes, LISTENING);
            for ((host, port), path) in requests {
                prop_assert_eq!(
                    index.find(routes, &host, port, &path),
                    scan(routes, &host, port, &path),
                    "{} {} {}", host, port, path
                );
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_index_knows_the_origins_of_the_file(
        froms in vec(some_from(), 1..8),
        origins in vec(some_origin(), 16),
    ) {
        let routes = froms.into_iter().map(|from| (from, PathMatch::Any)).collect();
        with_routes(routes, |routes| {
            let index = RouteIndex::new(routes, LISTENING);
            for (host, port) in origins {
                let authority = Authority { host: host.as_str().into(), port: Some(port) };
                prop_assert_eq!(index.origin(&authority), scan_origin(routes, &host, port), "{} {}", host, port);
            }
            Ok(())
        })?;
    }
}
