//! Policies with real sign-ins: the provider's claims about a user decide.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jetway_tests::{
    ALICE, APP, BOB, CAROL, MALLORY, Route, Scene, Upstream, UserAgent, on_both_proxies,
};

on_both_proxies!(
    policies_look_at_claims,
    policies_look_at_requests_and_the_time,
);

/// The expected statuses of an anonymous client, alice, bob, mallory and carol, by a route's keys.
struct Case {
    name: &'static str,
    keys: &'static str,
    statuses: [u16; 5],
}

const fn case(name: &'static str, keys: &'static str, statuses: [u16; 5]) -> Case {
    Case {
        name,
        keys,
        statuses,
    }
}

/// 401 means a sign-in: these clients send the requests of scripts.
const CASES: [Case; 22] = [
    case(
        "group",
        "policy: [{allow: {or: [{groups: {has: admins}}]}}]",
        [401, 200, 403, 403, 403],
    ),
    case(
        "claimed-group",
        "policy: [{allow: {or: [{claim/groups: staff}]}}]",
        [401, 200, 200, 403, 200],
    ),
    case(
        "department",
        "policy: [{allow: {or: [{claim/department: {is: engineering}}]}}]",
        [401, 200, 403, 403, 403],
    ),
    case(
        "nested",
        "policy: [{allow: {or: [{claim/realm_access.roles: auditor}]}}]",
        [401, 200, 403, 403, 403],
    ),
    case(
        "number",
        "policy: [{allow: {or: [{claim/level: 5}]}}]",
        [401, 200, 403, 403, 403],
    ),
    case(
        "domain",
        "policy: [{allow: {or: [{domain: {is: example.com}}]}}]",
        [401, 200, 200, 200, 403],
    ),
    case(
        "email-in",
        "policy: [{allow: {or: [{email: {in: [bob@example.com, carol@example.com]}}]}}]",
        [401, 403, 200, 403, 403],
    ),
    case(
        "user",
        "policy: [{allow: {or: [{user: {is: carol@example.com}}]}}]",
        [401, 403, 403, 403, 200],
    ),
    case(
        "everybody",
        "policy: [{allow: {or: [{authenticated_user: true}]}}]",
        [401, 200, 200, 200, 200],
    ),
    case(
        "nobody",
        "policy: [{allow: {or: [{reject: true}]}}]",
        [403, 403, 403, 403, 403],
    ),
    case("none", "", [403, 403, 403, 403, 403]),
    case(
        "public",
        "policy: [{allow: {or: [{accept: true}]}}]",
        [200, 200, 200, 200, 200],
    ),
    case(
        "deny",
        "policy: [{allow: {or: [{authenticated_user: true}]}, deny: {or: [{groups: {has: guests}}]}}]",
        [401, 200, 200, 403, 200],
    ),
    // A rule about the user asks for a sign-in even where every client is permitted.
    case(
        "deny-in-public",
        "policy: [{allow: {or: [{accept: true}]}}, {deny: {or: [{user: {is: mallory@example.com}}]}}]",
        [401, 200, 200, 403, 200],
    ),
    case(
        "not",
        "policy: [{allow: {not: [{groups: {has: staff}}]}}]",
        [401, 403, 403, 200, 403],
    ),
    case(
        "and",
        "policy: [{allow: {and: [{groups: {has: staff}}, {email: {not: alice@example.com}}]}}]",
        [401, 403, 200, 403, 200],
    ),
    case(
        "nor",
        "policy: [{allow: {nor: [{groups: {has: staff}}, {groups: {has: admins}}]}}]",
        [401, 403, 200, 200, 200],
    ),
    case(
        "old-users",
        "allowed_users: [bob@example.com]",
        [401, 403, 200, 403, 403],
    ),
    case(
        "old-domains",
        "allowed_domains: [example.com]",
        [401, 200, 200, 200, 403],
    ),
    case(
        "old-claims",
        "allowed_idp_claims: {groups: [admins, guests]}",
        [401, 200, 403, 200, 403],
    ),
    case(
        "old-anybody",
        "allow_any_authenticated_user: true",
        [401, 200, 200, 200, 200],
    ),
    case(
        "old-public",
        "allow_public_unauthenticated_access: true",
        [200, 200, 200, 200, 200],
    ),
];

async fn policies_look_at_claims(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let route = |name: &str| {
        Route::new(APP, &upstream.address())
            .key(&format!("path: /{name}"))
            .no_policy()
    };
    let mut routes: Vec<Route> = CASES
        .iter()
        .map(|case| route(case.name).key(case.keys))
        .collect();
    routes.push(route("told").only(BOB).key("show_error_details: true"));
    routes.push(route("untold").only(BOB));
    let _proxy = scene.serve(&routes).await?;

    let door = scene.url(APP, "/everybody")?;
    let mut clients = vec![("nobody", scene.user_agent())];
    for account in [ALICE, BOB, MALLORY, CAROL] {
        let mut client = scene.user_agent();
        let signed_in = client.sign_in(&door, account).await?.1;
        signed_in.expect(200).with_context(|| account.to_owned())?;
        clients.push((account, client));
    }
    for case in &CASES {
        let url = scene.url(APP, &format!("/{}", case.name))?;
        for ((who, client), expected) in clients.iter_mut().zip(case.statuses) {
            upstream.take();
            let answer = client.fetch(&url).await?;
            assert_eq!(answer.status, expected, "{who} at {}", case.name);
            let reached = upstream.take().len();
            assert_eq!(
                reached,
                usize::from(expected == 200),
                "{who} at {}",
                case.name
            );
        }
    }

    let (_, alice) = &mut clients[1];
    let told = alice
        .navigate(&scene.url(APP, "/told")?)
        .await?
        .expect(403)?;
    assert!(
        told.text().contains("email-unauthorized"),
        "{}",
        told.text()
    );
    let untold = alice
        .navigate(&scene.url(APP, "/untold")?)
        .await?
        .expect(403)?;
    assert!(
        !untold.text().contains("email-unauthorized"),
        "{}",
        untold.text()
    );
    Ok(())
}

/// One anonymous request and its expected status.
type Ask = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
);

const PREFLIGHT: [(&str, &str); 2] = [
    ("origin", "https://elsewhere.example"),
    ("access-control-request-method", "PUT"),
];

const ASKS: [Ask; 24] = [
    ("GET", "/read", &[], 200),
    ("HEAD", "/read", &[], 200),
    ("POST", "/read", &[], 403),
    ("DELETE", "/read", &[], 403),
    ("GET", "/paths/open/x", &[], 200),
    ("GET", "/paths/open?x=/closed", &[], 200),
    ("GET", "/paths/closed?x=/paths/open", &[], 403),
    ("GET", "/paths/open/../closed", &[], 403),
    ("GET", "/paths/%6fpen/x", &[], 200),
    ("GET", "/paths/a%20b", &[], 200),
    ("GET", "/over", &[], 403),
    ("GET", "/since", &[], 200),
    ("GET", "/between", &[], 200),
    ("GET", "/daily", &[], 200),
    ("GET", "/weekly", &[], 200),
    ("GET", "/clock", &[], 200),
    ("GET", "/never", &[], 403),
    ("OPTIONS", "/cors", &PREFLIGHT, 200),
    ("OPTIONS", "/cors", &[], 401),
    (
        "OPTIONS",
        "/cors",
        &[("origin", "https://elsewhere.example")],
        401,
    ),
    ("GET", "/cors", &PREFLIGHT, 401),
    ("PUT", "/cors", &[], 401),
    ("OPTIONS", "/no-cors", &PREFLIGHT, 401),
    ("OPTIONS", "/preflight", &PREFLIGHT, 200),
];

async fn policies_look_at_requests_and_the_time(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let route = |prefix: &str, policy: &str| {
        Route::new(APP, &upstream.address())
            .prefix(prefix)
            .policy(&format!("- allow: {{{policy}}}"))
    };
    let alice_only = format!("or: [email: {{is: {ALICE}}}]");
    let routes = [
        route("/read", "and: [http_method: {in: [GET, HEAD]}]"),
        route(
            "/paths",
            "or: [{http_path: {starts_with: /paths/open}}, {http_path: /paths/a b}]",
        ),
        route("/over", "and: [date: {before: '2020-01-01T00:00:00Z'}]"),
        route("/since", "and: [date: {after: '2020-01-01'}]"),
        route(
            "/between",
            "and: [date: {after: 2020-01-01, before: '2120-01-01T00:00:00+02:00'}]",
        ),
        route("/daily", "and: [day_of_week: '*']"),
        route("/weekly", "and: [day_of_week: 'mon-fri,saturday,Sun']"),
        route(
            "/clock",
            "or: [{time_of_day: {timezone: Europe/Berlin, after: '8 AM', before: '6:30 PM'}}, \
             {time_of_day: {timezone: Europe/Berlin, after: '18:30', before: '08:00:00'}}]",
        ),
        route(
            "/never",
            "and: [{time_of_day: {timezone: UTC, after: '8:00', before: '20:00'}}, \
             {time_of_day: {timezone: UTC, after: '20:00', before: '8:00'}}]",
        ),
        route("/cors", &alice_only).key("cors_allow_preflight: true"),
        route("/no-cors", &alice_only),
        route("/preflight", "or: [cors_preflight: true]"),
    ];
    let _proxy = scene.serve(&routes).await?;
    let mut client = scene.user_agent();
    for (method, path, headers, expected) in ASKS {
        upstream.take();
        let answer = ask(scene, &mut client, (method, path), headers).await?;
        assert_eq!(answer, expected, "{method} {path} {headers:?}");
        let reached = upstream.take().len();
        assert_eq!(
            reached,
            usize::from(expected == 200),
            "{method} {path} {headers:?}"
        );
    }
    Ok(())
}

async fn ask(
    scene: &Scene,
    client: &mut UserAgent,
    (method, path): (&str, &str),
    headers: &[(&'static str, &'static str)],
) -> Result<u16> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    let method: Method = method.parse()?;
    let answer = client
        .send(method, &scene.url(APP, path)?, headers, Bytes::new())
        .await?;
    Ok(answer.status.as_u16())
}
