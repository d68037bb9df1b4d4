//! The route of a request, and the routes without an upstream.

use anyhow::{Context as _, Result};
use http::Method;
use jetway_tests::{
    ALICE, APP, MALLORY, OTHER, Response, Route, Scene, Upstream, WILD, on_both_proxies,
};

on_both_proxies!(
    the_first_route_that_matches_is_taken,
    other_ports_are_misdirected,
    redirects_and_fixed_answers_are_given,
    redirects_and_fixed_answers_need_a_permit,
);

/// Routes with one upstream each, whose name is the route's.
#[derive(Default)]
struct Table {
    routes: Vec<Route>,
    upstreams: Vec<Upstream>,
}

impl Table {
    async fn add(&mut self, name: &str, host: &str, keys: &[&str]) -> Result<()> {
        let upstream = Upstream::start(name).await?;
        let route = Route::new(host, &upstream.address()).public().at_any_port();
        self.routes
            .push(keys.iter().fold(route, |route, key| route.key(key)));
        self.upstreams.push(upstream);
        Ok(())
    }
}

/// The port that one route names.
const SPECIAL_PORT: u16 = 9443;

async fn routes_that_overlap() -> Result<Table> {
    let mut table = Table::default();
    for (name, host, keys) in [
        ("exact", APP, ["path: /exact"].as_slice()),
        ("item", APP, &["regex: '/item/[0-9]+'"]),
        ("secret", APP, &["prefix: /admin/secret"]),
        ("admin", APP, &["prefix: /admin"]),
        ("late", APP, &["prefix: /admin/late"]),
        (
            "regex wins",
            APP,
            &["prefix: /both", "path: /both/path", "regex: '/both/[0-9]+'"],
        ),
        ("path wins", APP, &["prefix: /either", "path: /either/path"]),
        ("special", OTHER, &[]),
        ("any port", OTHER, &["prefix: /any"]),
        ("wild", "*.wild.localhost", &["prefix: /only"]),
        ("tame", "one.wild.localhost", &["prefix: /exact"]),
        ("api", "api-*.wild.localhost", &[]),
        ("middle", "a.*.middle.localhost", &[]),
    ] {
        table.add(name, host, keys).await?;
    }
    table.routes[7] = Route::new(OTHER, &table.upstreams[7].address())
        .public()
        .at_port(SPECIAL_PORT);
    Ok(table)
}

async fn the_first_route_that_matches_is_taken(scene: &mut Scene) -> Result<()> {
    let table = routes_that_overlap().await?;
    let _proxy = scene.serve(&table.routes).await?;

    let url = scene.url(APP, "/")?;
    let special = format!("{OTHER}:{SPECIAL_PORT}");
    let listening = scene.authority(APP);
    for (host, target, expected) in [
        (APP, "/exact", Some("exact")),
        (APP, "/exact?x=/admin", Some("exact")),
        (APP, "/exact/", None),
        (APP, "/Exact", None),
        (APP, "/item/42", Some("item")),
        (APP, "/item/42?q", Some("item")),
        (APP, "/item/42/more", None),
        (APP, "/my/item/42", None),
        (APP, "/admin/secret/plan", Some("secret")),
        (APP, "/admin", Some("admin")),
        (APP, "/administrator", Some("admin")),
        (APP, "/admin/late", Some("admin")),
        (APP, "/both/7", Some("regex wins")),
        (APP, "/both/path", None),
        (APP, "/either/path", Some("path wins")),
        (APP, "/either/other", None),
        (APP, "/", None),
        ("APP.localhost:443", "/exact", Some("exact")),
        (&listening, "/exact", Some("exact")),
        (OTHER, "/any/thing", Some("any port")),
        (OTHER, "/", None),
        (&special, "/", Some("special")),
        (&special, "/any/thing", Some("special")),
        ("two.wild.localhost", "/only", Some("wild")),
        ("a.b.wild.localhost:443", "/only", Some("wild")),
        ("wild.localhost", "/only", None),
        ("evilwild.localhost", "/only", None),
        ("two.wild.localhost.evil.localhost", "/only", None),
        ("one.wild.localhost", "/exact", Some("tame")),
        ("one.wild.localhost", "/only", None),
        ("API-7.Wild.localhost", "/zzz", Some("api")),
        ("api-7.wild.localhost", "/only", Some("wild")),
        ("a.b.middle.localhost", "/x", Some("middle")),
        ("b.b.middle.localhost", "/x", None),
        ("unknown.localhost", "/", None),
    ] {
        let answer = scene.dialer.get(&url, host, target).await?;
        let reached: Vec<usize> = (0..table.upstreams.len())
            .filter(|&place| !table.upstreams[place].take().is_empty())
            .collect();
        let what = format!("{host}{target}: {answer:?}, reached {reached:?}");
        match expected {
            Some(name) => {
                assert_eq!(answer.status, 200, "{what}");
                assert_eq!(answer.text(), format!("{name} GET {target}"), "{what}");
                assert_eq!(reached.len(), 1, "{what}");
            }
            None => {
                assert_eq!(answer.status, 404, "{what}");
                assert!(reached.is_empty(), "{what}");
            }
        }
    }
    Ok(())
}

async fn other_ports_are_misdirected(scene: &mut Scene) -> Result<()> {
    let table = routes_that_overlap().await?;
    let _proxy = scene.serve(&table.routes).await?;
    let url = scene.url(APP, "/")?;
    for host in [
        "APP.localhost:1",
        "a.b.wild.localhost:77",
        "api-7.wild.localhost:80",
    ] {
        let answer = scene.dialer.get(&url, host, "/only").await?;
        assert_eq!(answer.status, 421, "{host}: {answer:?}");
        let reached = table
            .upstreams
            .iter()
            .any(|upstream| !upstream.take().is_empty());
        assert!(!reached, "{host}");
    }
    Ok(())
}

fn routes_without_upstream() -> Vec<Route> {
    let here = |path: &str, keys: &str| Route::without_upstream(APP).prefix(path).key(keys);
    let public = |path: &str, keys: &str| here(path, keys).public();
    let all = "redirect: {https_redirect: true, host_redirect: new.example.com, port_redirect: 8443, \
               path_redirect: /there, response_code: 302, strip_query: true}";
    vec![
        public("/all", all),
        public(
            "/scheme",
            "redirect: {scheme_redirect: http, host_redirect: plain.example.com}",
        ),
        public(
            "/prefix",
            "redirect: {prefix_rewrite: /new, response_code: 308}",
        ),
        public(
            "/query",
            "redirect: {path_redirect: '/q?a=b', response_code: 307}",
        ),
        public(
            "/port",
            "redirect: {port_redirect: 444, response_code: 303}",
        ),
        public("/fixed", "response: {status: 418, body: short and stout}"),
        here("/private", "redirect: {host_redirect: secret.example.com}").only(ALICE),
        here("/closed", "response: {status: 200, body: for alice}").only(ALICE),
        Route::without_upstream("*.wild.localhost")
            .key("response: {status: 200, body: in the wild}")
            .only(ALICE),
    ]
}

async fn redirects_and_fixed_answers_are_given(scene: &mut Scene) -> Result<()> {
    let routes = routes_without_upstream();
    let _proxy = scene.serve(&routes).await?;
    let authority = scene.authority(APP);
    let url = scene.url(APP, "/")?;

    for (target, status, location) in [
        (
            "/all/x?y=1",
            302,
            "https://new.example.com:8443/there".to_owned(),
        ),
        (
            "/scheme/x?y=1",
            301,
            "http://plain.example.com/scheme/x?y=1".to_owned(),
        ),
        (
            "/prefix/x?y=1",
            308,
            format!("https://{authority}/new/x?y=1"),
        ),
        ("/query/x?y=1", 307, format!("https://{authority}/q?a=b")),
        ("/port/x?y=1", 303, format!("https://{APP}:444/port/x?y=1")),
    ] {
        let answer = scene.dialer.get(&url, &authority, target).await?;
        let answer = answer.expect(status).context(target)?;
        assert_eq!(
            answer.header("location"),
            Some(location.as_str()),
            "{target}"
        );
    }
    let answer = scene.dialer.get(&url, &authority, "/fixed/any").await?;
    assert_eq!(answer.expect(418)?.text(), "short and stout");

    Ok(())
}

/// A redirect is subject to the policy like any other response: a client without a permit does not learn where it leads.
async fn redirects_and_fixed_answers_need_a_permit(scene: &mut Scene) -> Result<()> {
    let _proxy = scene.serve(&routes_without_upstream()).await?;
    let (private, closed) = (scene.url(APP, "/private")?, scene.url(APP, "/closed")?);
    let mut anonymous = scene.user_agent();
    for url in [&private, &closed] {
        anonymous.fetch(url).await?.expect(401)?;
        // An anonymous user is asked to sign in first.
        anonymous.way_to(&scene.provider.issuer(), url).await?;
    }
    let mut mallory = scene.user_agent();
    mallory.sign_in(&private, MALLORY).await?.1.expect(403)?;
    for url in [&private, &closed] {
        let answer = mallory.navigate(url).await?.expect(403)?;
        assert!(answer.header("location").is_none(), "{answer:?}");
        assert!(!answer.text().contains("for alice"), "{answer:?}");
    }
    let mut alice = scene.user_agent();
    let entered = alice.sign_in(&closed, ALICE).await?.1.expect(200)?;
    assert_eq!(entered.text(), "for alice");
    // The provider has a session for alice; a host that only a wildcard names has a session of its own.
    let wild = scene.url(WILD, "/x?y")?;
    let (end, answer) = alice.follow(&wild).await?;
    assert_eq!(
        (end, answer.expect(200)?.text()),
        (wild, "in the wild".to_owned())
    );
    let answer = alice.navigate(&private).await?.expect(301)?;
    assert!(
        leads_to(&answer, "https://secret.example.com/private"),
        "{answer:?}"
    );
    let answer = alice
        .send(
            Method::POST,
            &private,
            http::HeaderMap::new(),
            bytes::Bytes::new(),
        )
        .await?;
    assert!(
        leads_to(&answer, "https://secret.example.com/private"),
        "{answer:?}"
    );
    Ok(())
}

fn leads_to(answer: &Response, start: &str) -> bool {
    answer.status.is_redirection()
        && answer
            .header("location")
            .is_some_and(|location| location.starts_with(start))
}
