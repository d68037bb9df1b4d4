//! Upstreams that do not answer, or do not finish.

use std::time::Duration;

use anyhow::Result;
use jetway_tests::{APP, Manner, Route, Scene, Upstream, on_both_proxies, within};

on_both_proxies!(a_silent_upstream_is_not_waited_for);

/// Longer than any limit here, and shorter than the default limits.
const OUTER: Duration = Duration::from_secs(20);

async fn a_silent_upstream_is_not_waited_for(scene: &mut Scene) -> Result<()> {
    let (silent, stalls, answers) = (
        Upstream::start("silent").await?,
        Upstream::start("stalls").await?,
        Upstream::start("answers").await?,
    );
    silent.behave(Manner::IsSilent);
    stalls.behave(Manner::Stalls);
    let silent_route = |prefix: &str, keys: &str| {
        Route::new(APP, &silent.address())
            .prefix(prefix)
            .public()
            .key(keys)
    };
    let routes = [
        silent_route("/own", "timeout: 400ms"),
        silent_route("/file", ""),
        silent_route("/idle", "timeout: 0s\nidle_timeout: 500ms"),
        Route::new(APP, &stalls.address())
            .prefix("/stalls")
            .public()
            .key("timeout: 0s\nidle_timeout: 500ms"),
        Route::new(APP, &answers.address()).public(),
    ];
    // The variable overrides the key of the same name.
    scene.keys = "default_upstream_timeout: 1h".to_owned();
    scene
        .variables
        .push(("DEFAULT_UPSTREAM_TIMEOUT".to_owned(), "600ms".to_owned()));
    let _proxy = scene.serve(&routes).await?;
    let mut client = scene.user_agent();
    for path in ["/own", "/file", "/idle"] {
        let url = scene.url(APP, path)?;
        let answer = within(path, OUTER, client.fetch(&url)).await?;
        assert_eq!(answer.status, 504, "{path}: {answer:?}");
    }
    let url = scene.url(APP, "/stalls")?;
    let cut = within("the stalled answer ends", OUTER, async {
        Ok(client.fetch(&url).await)
    })
    .await?;
    assert!(
        cut.is_err(),
        "an answer that was cut is no whole one: {cut:?}"
    );
    client.fetch(&scene.url(APP, "/")?).await?.expect(200)?;
    Ok(())
}
