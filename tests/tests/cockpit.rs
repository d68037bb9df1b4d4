//! Real Cockpit behind the proxy: its own login, its websocket, and its pages in a real browser.

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    ALICE, Browser, BrowserRun, COCKPIT, Cockpit, MALLORY, Port, Proxy, Route, Scene, Task,
    UnixUser, on_both_proxies,
};
use serde_json::Value;

on_both_proxies!(
    cockpit_logs_in_and_runs_a_command,
    a_user_uses_the_terminal_in_a_browser,
    a_user_without_permission_sees_why_and_signs_out,
);

/// Cockpit configured by `jetway cockpit conf`, and the proxy in front of it.
async fn serve_cockpit(scene: &Scene) -> Result<(Cockpit, Proxy)> {
    let port = Port::reserve()?;
    let route = Route::new(COCKPIT, &format!("http://127.0.0.1:{}", port.number()))
        .websockets()
        .preserve_host();
    let routes = [route];
    let conf = scene.jetway("cockpit conf", &routes)?;
    let cockpit = Cockpit::start(port, &conf, scene.logs(), &scene.dialer).await?;
    Ok((cockpit, scene.serve(&routes).await?))
}

async fn cockpit_logs_in_and_runs_a_command(scene: &mut Scene) -> Result<()> {
    let user = UnixUser::create()?;
    let _running = serve_cockpit(scene).await?;
    let base = scene.url(COCKPIT, "/")?;

    let mut anonymous = scene.user_agent();
    let refused = anonymous.log_in_to_cockpit(&base, &user).await;
    assert!(
        refused.is_err(),
        "a Unix password alone does not reach Cockpit"
    );

    let mut alice = scene.user_agent();
    let (_, page) = alice.sign_in(&base, ALICE).await?;
    let page = page.expect(200)?.text();
    assert!(
        page.contains("login-user-input"),
        "Cockpit's own login page comes next: {page}"
    );
    alice.log_in_to_cockpit(&base, &user).await?;
    let output = alice.run_in_cockpit(&base, "id -un; echo $((6*7))").await?;
    assert_eq!(output, format!("{}\n42\n", user.name));
    Ok(())
}

async fn a_user_uses_the_terminal_in_a_browser(scene: &mut Scene) -> Result<()> {
    let user = UnixUser::create()?;
    let _running = serve_cockpit(scene).await?;
    let url = scene.url(COCKPIT, "/system/terminal")?;
    let name = format!("terminal-{}", scene.kind.name());
    for browser in Browser::ALL {
        let report = browser
            .perform(
                scene,
                BrowserRun {
                    url: &url,
                    account: Some(ALICE),
                    task: Task::Terminal(&user),
                    name: &name,
                },
            )
            .await?;
        judge_terminal(&report, &user)?;
    }
    Ok(())
}

fn judge_terminal(report: &Value, user: &UnixUser) -> Result<()> {
    let row = report["row"]
        .as_str()
        .context("the report has the terminal's row")?;
    ensure!(
        row.starts_with(&format!("OK:{}:", user.name)),
        "the terminal says `{row}`"
    );

    let cookies = report["cookies"]
        .as_array()
        .context("the report has the cookies")?;
    let session = cookies.iter().find(|cookie| {
        cookie["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("__Host-"))
    });
    let session = session.context("the browser has a session cookie")?;
    assert_eq!(
        (&session["secure"], &session["httpOnly"]),
        (&true.into(), &true.into()),
        "{session}"
    );
    Ok(())
}

async fn a_user_without_permission_sees_why_and_signs_out(scene: &mut Scene) -> Result<()> {
    let _running = serve_cockpit(scene).await?;
    let url = scene.url(COCKPIT, "/")?;
    let name = format!("refusal-{}", scene.kind.name());
    for browser in Browser::ALL {
        let report = browser
            .perform(
                scene,
                BrowserRun {
                    url: &url,
                    account: Some(MALLORY),
                    task: Task::Refusal,
                    name: &name,
                },
            )
            .await?;
        judge_refusal(&report)?;
    }
    Ok(())
}

fn judge_refusal(report: &Value) -> Result<()> {
    let text = report["text"]
        .as_str()
        .context("the report has the page's text")?;
    assert!(text.contains(MALLORY), "the page names the account: {text}");
    assert_eq!(report["status"], 403);
    let signed_out = report["signedOut"]
        .as_str()
        .context("the report has the last page's text")?;
    assert!(
        !signed_out.contains(MALLORY),
        "the user is signed out: {signed_out}"
    );
    Ok(())
}
