//! The proxy's own pages in a real browser, and its responses to API clients.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    APP, Browser, BrowserRun, MALLORY, Manner, Page, Port, Route, Scene, Task, Upstream,
    on_both_proxies,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

on_both_proxies!(
    every_page_is_fit_for_phones_keyboards_and_dark_rooms,
    api_clients_get_outages_as_plain_errors,
);

/// The operator's settings for the pages; the logo is in a file of its own.
const BRANDING: &str = "page_name: Lab & Co
page_contact: help@lab.example
primary_color: '#0b6e4f'
darkmode_primary_color: '#7fd8b4'
error_message_first_paragraph: '100 % of new colleagues ask Ada for access.'
";
const LOGO: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='48' height='48'><circle cx='24' cy='24' r='20' fill='#0b6e4f'/></svg>";

const PAGES: [Page; 10] = [
    page("nobody", "/.pomerium/", false),
    page("sign-in-error", "/.pomerium/callback?state=x&code=y", false),
    page("signed-out", "/.pomerium/signed_out", false),
    page("404", "/.pomerium/nothing", false),
    page("502", "/nonsense", false),
    page("503", "/gone", false),
    page("504", "/silent", false),
    page("refusal", "/", true),
    page("who-am-i", "/.pomerium/", true),
    page("sign-out", "/.pomerium/sign_out", true),
];

const fn page(name: &'static str, path: &'static str, signed_in: bool) -> Page {
    Page {
        name,
        path,
        signed_in,
    }
}

/// Starts upstreams: one that does not speak HTTP, one that does not exist, and one that never answers.
struct Outages {
    routes: Vec<Route>,
    _nonsense: JoinSet<()>,
    _gone: Port,
    _silent: Upstream,
}

impl Outages {
    async fn begin() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let nonsense = format!("http://{}", listener.local_addr()?);
        let mut server = JoinSet::new();
        server.spawn(speak_no_http(listener));
        let gone = Port::reserve()?;
        let silent = Upstream::start("silent").await?;
        silent.behave(Manner::IsSilent);
        let to_gone = format!("http://127.0.0.1:{}", gone.number());
        Ok(Self {
            routes: vec![
                Route::new(APP, &nonsense).prefix("/nonsense").public(),
                Route::new(APP, &to_gone).prefix("/gone").public(),
                Route::new(APP, &silent.address())
                    .prefix("/silent")
                    .public()
                    .key("timeout: 1s"),
                Route::new(APP, &silent.address()),
            ],
            _nonsense: server,
            _gone: gone,
            _silent: silent,
        })
    }
}

async fn speak_no_http(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n")
            && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0)
        {}
        // The proxy may have closed the connection.
        let _ = stream
            .write_all(b"220 mail.example.com ESMTP\r\n\r\n")
            .await;
    }
}

async fn every_page_is_fit_for_phones_keyboards_and_dark_rooms(scene: &mut Scene) -> Result<()> {
    let logo = scene.folder().join("logo.svg");
    std::fs::write(&logo, LOGO)?;
    scene.keys = format!("{BRANDING}logo_file: {}\n", logo.display());
    let outages = Outages::begin().await?;
    let _proxy = scene.serve(&outages.routes).await?;
    let url = scene.url(APP, "/")?;
    let name = format!("pages-{}", scene.kind.name());
    let findings = Browser::Chromium
        .perform(
            scene,
            BrowserRun {
                url: &url,
                account: Some(MALLORY),
                task: Task::Pages(&PAGES),
                name: &name,
            },
        )
        .await?;
    let findings = findings.as_array().context("the report is a list")?;
    assert_eq!(findings.len(), 4 * PAGES.len());
    for found in findings {
        judge(found, url.authority()).with_context(|| format!("{found:#}"))?;
    }
    Ok(())
}

fn judge(found: &Value, host: &str) -> Result<()> {
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    let list = |key: &str| found[key].as_array().cloned().unwrap_or_default();
    let status = match text("name") {
        "sign-in-error" => 400,
        "refusal" => 403,
        "404" => 404,
        "502" => 502,
        "503" => 503,
        "504" => 504,
        _ => 200,
    };
    ensure!(found["status"] == status, "status");
    ensure!(list("errors").is_empty(), "the browser complains");
    ensure!(list("elsewhere").is_empty(), "further requests");
    ensure!(text("language") == "en" && found["landmarks"] == 1);
    ensure!(found["tooWide"] == 0, "it scrolls sideways");
    ensure!(list("pictures") == [true], "the logo is shown");
    let (first, rest) = list("headings")
        .split_first()
        .map(|(first, rest)| (first.clone(), rest.to_vec()))
        .context("no heading")?;
    ensure!(
        first == "H1" && rest.iter().all(|heading| heading == "H2"),
        "the headings' order"
    );
    ensure!(text("title").ends_with(" – Lab & Co"), "the title");
    let paper = if text("scheme") == "dark" {
        "rgb(20, 23, 27)"
    } else {
        "rgb(246, 247, 249)"
    };
    ensure!(text("paper") == paper, "the colours");
    let controls = list("controls");
    ensure!(
        !controls.is_empty() && list("reached") == controls,
        "the keyboard reaches everything, and it shows"
    );
    let id = text("text")
        .split_once("Request id ")
        .map(|(_, id)| id.trim());
    ensure!(id.is_some_and(|id| !id.is_empty()), "the request id");
    ensure!(text("text").contains("help@lab.example"), "the contact");
    if matches!(status, 404 | 502..=504) {
        ensure!(text("text").contains(host), "the address");
    }
    let refuses = status >= 400;
    ensure!(
        text("text").contains("100 % of new colleagues") == refuses,
        "the paragraph"
    );
    Ok(())
}

async fn api_clients_get_outages_as_plain_errors(scene: &mut Scene) -> Result<()> {
    let outages = Outages::begin().await?;
    let _proxy = scene.serve(&outages.routes).await?;
    for (path, status) in [("/nonsense", 502), ("/gone", 503), ("/silent", 504)] {
        let answer = scene
            .user_agent()
            .fetch(&scene.url(APP, path)?)
            .await?
            .expect(status)?;
        ensure!(
            answer.header("content-type") == Some("application/json"),
            "{answer:?}"
        );
        ensure!(
            answer.header("retry-after") == (status == 503).then_some("5"),
            "{answer:?}"
        );
        let told: Value = serde_json::from_str(&answer.text())?;
        ensure!(told["status"] == status, "{told}");
        ensure!(
            told["error"]
                .as_str()
                .is_some_and(|error| error.starts_with("the application ")),
            "{told}"
        );
        ensure!(
            told["request_id"].as_str().is_some_and(|id| !id.is_empty()),
            "{told}"
        );
    }
    Ok(())
}
