//! Route, policy and upstream never disagree: generated route tables and requests, the same file in the host and in
//! Envoy at the same time, compared with a small model and with `jetway explain`. `JETWAY_TEST_SEED` repeats a run.

mod model;
mod request;
mod table;

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{APP, Dialer, Dice, Port, ProxyKind, Response, Scene, Upstream, output_of, run};
use model::{Outcome, Place, outcome};
use request::{Request, request};
use serde_json::Value;
use table::{Access, Entry, table};

/// Tables in one file, and requests for each.
const TABLES: usize = 12;
const REQUESTS: usize = 100;
/// Fewer than routes, so that several routes lead to one.
const UPSTREAMS: usize = 4;
/// Requests of each table that `jetway explain` explains.
const EXPLAINED: usize = 6;

#[test]
fn both_proxies_the_model_and_explain_agree() -> Result<()> {
    let mut dice = Dice::cast()?;
    let seed = dice.seed;
    run(
        "both_proxies_the_model_and_explain_agree",
        ProxyKind::Host,
        async |scene: &mut Scene| compare(scene, &mut dice).await,
    )
    .with_context(|| format!("JETWAY_TEST_SEED={seed} repeats this"))
}

async fn compare(scene: &mut Scene, dice: &mut Dice) -> Result<()> {
    let mut upstreams = Vec::new();
    for number in 0..UPSTREAMS {
        upstreams.push(Upstream::start(&format!("u{number}")).await?);
    }
    let authorities: Vec<String> = upstreams.iter().map(Upstream::authority).collect();
    let tables: Vec<Vec<Entry>> = (0..TABLES)
        .map(|number| table(dice, number, UPSTREAMS))
        .collect();
    let entries = tables.iter().flatten();
    let routes: Vec<_> = entries.map(|entry| entry.route(&upstreams)).collect();
    let elsewhere = Port::reserve()?;
    let _host = scene.serve(&routes).await?;
    let _envoy = scene
        .serve_at(ProxyKind::Envoy, elsewhere.number(), &routes)
        .await?;
    let dialers = [
        (ProxyKind::Host, scene.dialer.clone(), scene.port()),
        (
            ProxyKind::Envoy,
            scene.dialer.detour(elsewhere.number()),
            elsewhere.number(),
        ),
    ];
    let place = |listening| Place {
        listening,
        authorities: &authorities,
    };

    for (number, entries) in tables.iter().enumerate() {
        let mut explained = 0;
        for _ in 0..REQUESTS {
            let request = request(dice, number, scene.port());
            for (body, dialer, listening) in &dialers {
                let (expected, _) = outcome(entries, &request, &place(*listening));
                let got = send(scene, dialer, &request, &upstreams)
                    .await
                    .with_context(|| format!("{body:?}: {request:?}"))?;
                ensure!(
                    got == expected,
                    "{body:?} has {got:?} instead of {expected:?} for {request:#?}\nin {entries:#?}"
                );
            }
            if request.plain && explained < EXPLAINED {
                explained += 1;
                let (expected, entry) = outcome(entries, &request, &place(scene.port()));
                let told = explain(scene, &request, &routes)?;
                check(&told, &expected, entry).with_context(|| {
                    format!("explain has {told} for {request:#?}\nin {entries:#?}")
                })?;
            }
        }
    }
    Ok(())
}

/// Sends a request and returns its outcome.
async fn send(
    scene: &Scene,
    dialer: &Dialer,
    request: &Request,
    upstreams: &[Upstream],
) -> Result<Outcome> {
    let url = scene.url(APP, "/")?;
    let answer = dialer
        .get(&url, &request.authority, &request.target)
        .await?;
    let mut reached = upstreams
        .iter()
        .enumerate()
        .flat_map(|(place, upstream)| upstream.take().into_iter().map(move |seen| (place, seen)));
    let first = reached.next();
    ensure!(
        reached.next().is_none(),
        "more than one request: {answer:?}"
    );
    let Some((upstream, seen)) = first else {
        ensure!(answer.status != 200, "an answer from nowhere: {answer:?}");
        return Ok(Outcome::Answer {
            status: answer.status.as_u16(),
        });
    };
    ensure!(
        answer.status == 200 && seen.values("x-jetway-route").is_empty(),
        "the upstream was asked: {answer:?} {seen:?}"
    );
    Ok(Outcome::Upstream {
        route: route_of(&answer)?,
        upstream,
        host: seen.value("host")?.to_owned(),
        target: seen.target,
    })
}

fn route_of(answer: &Response) -> Result<String> {
    let name = answer.header("x-route");
    Ok(name
        .with_context(|| format!("no route: {answer:?}"))?
        .to_owned())
}

/// Returns the outcome according to `jetway explain`.
fn explain(scene: &Scene, request: &Request, routes: &[jetway_tests::Route]) -> Result<Value> {
    let (file, variables) = scene.file(routes)?;
    let mut command = Command::new(scene.installed.jetway()?);
    command
        .args(["explain", "--format", "json", "-c"])
        .arg(file)
        .arg("GET")
        .arg(format!("https://{}{}", request.authority, request.target))
        .envs(variables);
    Ok(serde_json::from_slice(&output_of(&mut command)?)?)
}

/// Compares the explanation with the outcome, and with the route that decided, if one did.
fn check(told: &Value, expected: &Outcome, entry: Option<&Entry>) -> Result<()> {
    let name = entry.map_or(Value::Null, |entry| entry.name.as_str().into());
    let (decision, status) = match (expected, entry.map(|entry| entry.access)) {
        (Outcome::Upstream { .. }, _) => ("allow", 200),
        // `explain` asks as a user's browser does, which is redirected.
        (Outcome::Answer { .. }, Some(Access::SignIn)) => ("login", 303),
        (Outcome::Answer { status }, _) => ("deny", *status),
    };
    let route = &told["route"];
    let route = route.get("name").unwrap_or(route);
    ensure!(*route == name, "another route than {name}");
    ensure!(told["decision"] == decision, "not {decision}");
    ensure!(told["status"] == status, "not {status}");
    ensure!(told["reasons"].is_array(), "no reasons");
    Ok(())
}
