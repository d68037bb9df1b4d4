//! Configurations by chance.

use crate::{ALICE, APP, BOB, Dice, OTHER, Route, WILD};

/// An operator's file.
pub(crate) struct Deployment {
    /// Keys beside `routes`.
    pub keys: String,
    /// The routes.
    pub routes: Vec<Route>,
    /// Whether connections begin with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
    /// Paths for requests, in their plain form.
    pub(crate) paths: Vec<String>,
}

/// Keys of the whole file, of which some are chosen.
const KEYS: &[&str] = &[
    "pass_identity_headers: true",
    "jwt_claims_headers: {X-Email: email, X-Groups: groups}",
    "reserved_request_headers: [x-any]",
    "set_response_headers: {X-Everywhere: 'yes', Referrer-Policy: no-referrer}",
    "page_contact: mailto:help@example.com",
    "default_upstream_timeout: 5s",
    "cookie_name: app",
    "jwt_issuer_format: uri",
];

/// The users of a route.
const POLICIES: &[&str] = &[
    "- allow: {or: [accept: true]}",
    "- allow: {or: [accept: true]}",
    "- allow: {or: [authenticated_user: true]}",
    "- allow: {or: [email: {is: alice@example.com}]}",
    "- allow: {or: [groups: {has: admins}]}",
    "- allow: {or: [http_method: {is: GET}, http_method: {is: QUERY}]}",
    "- allow: {and: [domain: {is: example.com}, http_path: {contains: a}]}",
    "- allow: {or: [accept: true]}\n- deny: {or: [email: {is: mallory@example.com}]}",
    "- allow: {or: [reject: true]}",
    "- allow: {or: [source_ip: 127.0.0.7, source_ip: 203.0.113.0/24]}",
];

/// Further keys of a route that leads to the upstream.
const ROUTE_KEYS: &[&str] = &[
    "allow_websockets: true",
    "preserve_host_header: true",
    "host_rewrite: literal.example.com",
    "host_rewrite_header: x-any",
    "pass_identity_headers: true",
    "show_error_details: true",
    "cors_allow_preflight: true",
    "set_request_headers: {X-Set: 'v', X-Jwt: '${pomerium.jwt}'}",
    "remove_request_headers: [user-agent, x-forwarded-for]",
    "set_response_headers: {X-Route: 'r'}",
    "rewrite_response_headers: [{header: location, prefix: 'http://127.0.0.1:1/', value: /moved/}]",
    "timeout: 10s",
];

/// Where a route leads that has no upstream.
const ANSWERS: &[&str] = &[
    "redirect: {path_redirect: /elsewhere}",
    "redirect: {host_redirect: new.example.com, response_code: 307}",
    "redirect: {prefix_rewrite: /new, strip_query: true}",
    "response: {status: 418, body: short}",
];

const PREFIXES: &[&str] = &["/a", "/a/b", "/b/", "/new", "/p%20q", "/c+d@", "/x.y"];

/// The file of every run's first cases, in which all known differences can be seen.
pub(crate) fn first(dice: &mut Dice, upstream: &str) -> Deployment {
    let keys = "xff_num_trusted_hops: 1\nuse_proxy_protocol: true";
    with_routes(dice, upstream, keys.to_owned())
}

/// Draws a file whose routes lead to this upstream.
pub(crate) fn deployment(dice: &mut Dice, upstream: &str) -> Deployment {
    let mut keys: Vec<String> = KEYS
        .iter()
        .filter(|_| dice.once_in(3))
        .map(|key| (*key).to_owned())
        .collect();
    keys.push(format!(
        "xff_num_trusted_hops: {}",
        dice.pick(&[0, 0, 1, 2])
    ));
    if dice.once_in(3) {
        keys.push("use_proxy_protocol: true".to_owned());
    }
    with_routes(dice, upstream, keys.join("\n"))
}

fn with_routes(dice: &mut Dice, upstream: &str, keys: String) -> Deployment {
    let mut paths = vec!["/".to_owned(), "/public/x".to_owned()];
    let public = Route::new(APP, upstream).prefix("/public/");
    let mut routes = vec![public.public().websockets()];
    for host in [APP, OTHER, "*.wild.localhost"] {
        let first = dice.below(PREFIXES.len());
        for place in 0..2 + dice.below(3) {
            let prefix = PREFIXES[(first + place) % PREFIXES.len()];
            paths.push(prefix.to_owned());
            routes.push(route(dice, host, upstream).prefix(prefix));
        }
        routes.push(general(dice, host, upstream));
    }
    Deployment {
        proxy_protocol: keys.contains("use_proxy_protocol"),
        keys,
        routes,
        paths,
    }
}

/// The route for every other path, which lets alice and bob in, so that a session can begin there.
fn general(dice: &mut Dice, host: &str, upstream: &str) -> Route {
    let route = Route::new(host, upstream);
    if dice.once_in(2) {
        route.websockets()
    } else {
        route
    }
}

fn route(dice: &mut Dice, host: &str, upstream: &str) -> Route {
    let policy = dice.pick(POLICIES);
    if dice.once_in(5) {
        let answer = dice.pick(ANSWERS);
        return Route::without_upstream(host).policy(policy).key(answer);
    }
    let mut route = Route::new(host, upstream).policy(policy);
    let mut names_host = false;
    for key in ROUTE_KEYS {
        let is_host = key.contains("host_");
        if dice.once_in(4) && !(is_host && names_host) {
            names_host |= is_host;
            route = route.key(key);
        }
    }
    if dice.once_in(6) {
        route = route.key("prefix_rewrite: /re/written");
    }
    route
}

/// The users that sign in, and the hosts at which they do.
pub(crate) const SESSIONS: &[(&str, &str)] =
    &[(APP, ALICE), (APP, BOB), (OTHER, ALICE), (WILD, ALICE)];
