//! One host on which all users sign in, for all routes.

use anyhow::{Result, ensure};
use jetway_tests::{ALICE, APP, COCKPIT, MALLORY, OTHER, Route, Scene, Upstream, on_both_proxies};
use url::Url;

on_both_proxies!(
    one_sign_in_serves_all_hosts_and_one_sign_out_ends_it,
    another_browser_cannot_use_a_ticket,
    n_07_no_ticket_leaves_for_a_port_that_no_route_has,
);

async fn one_sign_in_serves_all_hosts_and_one_sign_out_ends_it(scene: &mut Scene) -> Result<()> {
    scene.keys = format!("authenticate_service_url: {}", scene.url(OTHER, "")?);
    let (one, two) = (Upstream::start("one").await?, Upstream::start("two").await?);
    let routes = [
        Route::new(APP, &one.address()),
        Route::new(COCKPIT, &two.address()),
    ];
    let _proxy = scene.serve(&routes).await?;
    let first = scene.url(APP, "/deep?a=1")?;
    let second = scene.url(COCKPIT, "/elsewhere")?;

    let mut alice = scene.user_agent();
    let (end, answer) = alice.sign_in(&first, ALICE).await?;
    assert_eq!(end, first);
    answer.expect(200)?;
    let tokens = scene.provider.count("POST", "/token").await?;
    let (end, answer) = alice.follow(&second).await?;
    assert_eq!(end, second, "without another form");
    answer.expect(200)?;
    assert_eq!(scene.provider.count("POST", "/token").await?, tokens);

    let out = scene.url(APP, "/.pomerium/sign_out")?;
    let answer = alice.post_form(&out, &[]).await?.expect(303)?;
    alice.fetch(&second).await?.expect(401)?;
    let next = answer.leads_to(&out)?;
    ensure!(
        next.as_ref().and_then(|next| next.host_str()) == Some(OTHER),
        "the sign-in host signs out, too: {next:?}"
    );
    let answer = alice.navigate(&next.unwrap_or(out)).await?.expect(303)?;
    let location = answer.header("location").unwrap_or_default().to_owned();
    ensure!(
        location.starts_with(&scene.provider.issuer()),
        "and then the provider: {location}"
    );
    alice.confirm_sign_out(&Url::parse(&location)?).await?;
    let (form, _) = alice.follow(&first).await?;
    ensure!(form.host_str() != Some(APP), "alice is signed in at {form}");
    Ok(())
}

async fn another_browser_cannot_use_a_ticket(scene: &mut Scene) -> Result<()> {
    scene.keys = format!("authenticate_service_url: {}", scene.url(OTHER, "")?);
    let upstream = Upstream::start("one").await?;
    let routes = [
        Route::new(APP, &upstream.address()),
        Route::new(COCKPIT, &upstream.address()),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    // Mallory is signed in there, and sends a user the address with her ticket.
    let mut mallory = scene.user_agent();
    mallory
        .sign_in(&scene.url(COCKPIT, "/")?, MALLORY)
        .await?
        .1
        .expect(403)?;
    let callback = scene.url(APP, "/.pomerium/callback")?;
    let ticket = mallory.way_to(callback.as_str(), &url).await?;
    let mut alice = scene.user_agent();
    alice.navigate(&ticket).await?.expect(400)?;
    alice.fetch(&url).await?.expect(401)?;
    assert!(upstream.take().is_empty());
    Ok(())
}

/// Mallory begins under a port of her own, and sends alice the resulting address.
async fn n_07_no_ticket_leaves_for_a_port_that_no_route_has(scene: &mut Scene) -> Result<()> {
    scene.keys = format!("authenticate_service_url: {}", scene.url(OTHER, "")?);
    let upstream = Upstream::start("one").await?;
    let _proxy = scene
        .serve(&[Route::new(APP, &upstream.address()).at_any_port()])
        .await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    upstream.take();
    for (host, target) in [
        (format!("{APP}:4444"), "/"),
        (format!("{APP}:4444"), "/.pomerium/sign_in"),
        (format!("{OTHER}:4444"), "/.pomerium/sign_in"),
    ] {
        let answer = scene.dialer.get(&url, &host, target).await?;
        assert_eq!(answer.status, 421, "{host}{target}: {answer:?}");
        assert_eq!(answer.header("location"), None, "{host}{target}");
    }
    assert!(upstream.take().is_empty());
    alice.navigate(&url).await?.expect(200)?;
    Ok(())
}
