//! Behaviour that only the bundled host has.

use std::time::Duration;

use anyhow::{Result, ensure};
use jetway_tests::{
    ALICE, APP, Load, Placement, ProxyKind, Route, Scene, ServiceManager, Upstream, run,
};

#[test]
fn secrets_may_stand_in_the_file_or_beside_it() -> Result<()> {
    run(
        "secrets_may_stand_in_the_file_or_beside_it",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let url = scene.url(APP, "/")?;
            for placement in [Placement::Inline, Placement::Files] {
                scene.secrets.placement = placement;
                let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
                scene
                    .user_agent()
                    .sign_in(&url, ALICE)
                    .await?
                    .1
                    .expect(200)?;
                let log = proxy.process.log();
                for secret in [&scene.secrets.cookie, &scene.secrets.client] {
                    assert!(
                        !log.contains(secret.as_str()),
                        "{placement:?}: a secret is in the log"
                    );
                }
            }
            Ok(())
        },
    )
}

/// 256 open files allow about 70 client connections.
#[test]
fn idle_connections_do_not_block_new_clients() -> Result<()> {
    run(
        "idle_connections_do_not_block_new_clients",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            scene.open_files = Some(256);
            let upstream = Upstream::start("app").await?;
            let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
            let url = scene.url(APP, "/")?;
            let mut idle = Vec::new();
            for client in 1..=250 {
                let dialer = scene.dialer.coming_from([127, 0, 3, client].into());
                idle.push(dialer.open(&url, "http/1.1").await?);
                if client % 125 == 0 {
                    scene
                        .user_agent()
                        .sign_in(&url, ALICE)
                        .await?
                        .1
                        .expect(200)?;
                }
            }
            let mut refused = 0;
            for _ in 0..200 {
                // Idle connections are not evicted for more connections of an address that has its share.
                match scene.dialer.open(&url, "http/1.1").await {
                    Ok(stream) => idle.push(stream),
                    Err(_) => refused += 1,
                }
            }
            assert!(refused > 0, "the share of one address is limited");
            let log = proxy.process.log();
            for told in [
                "open_files=256",
                "limit=\"idle_eviction\"",
                "limit=\"client_connection_share\"",
            ] {
                assert!(log.contains(told), "{told}: {log}");
            }
            let elsewhere = scene.dialer.coming_from([127, 0, 4, 1].into());
            let host = scene.authority(APP);
            elsewhere.get(&url, &host, "/.pomerium/").await?;
            Ok(())
        },
    )
}

#[test]
fn the_host_stops_on_a_signal() -> Result<()> {
    run(
        "the_host_stops_when_told",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let mut proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
            let url = scene.url(APP, "/")?;
            scene
                .user_agent()
                .sign_in(&url, ALICE)
                .await?
                .1
                .expect(200)?;
            proxy.process.terminate();
            let status = proxy.process.finish(Duration::from_secs(15)).await?;
            assert!(
                status.success(),
                "a stop that was asked for is no failure: {status}"
            );
            assert!(
                scene.user_agent().navigate(&url).await.is_err(),
                "nothing listens any more"
            );
            Ok(())
        },
    )
}

#[test]
fn a_restart_on_a_kept_socket_loses_no_connection_and_no_request() -> Result<()> {
    run(
        "a_restart_on_a_kept_socket",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let upstream = Upstream::start("app").await?;
            let routes = [Route::new(APP, &upstream.address())];
            let manager = ServiceManager::listen(scene)?;
            let first = manager.start(scene, &routes).await?;
            let url = scene.url(APP, "/")?;
            let mut alice = scene.user_agent();
            alice.sign_in(&url, ALICE).await?.1.expect(200)?;
            let load = Load::start(&alice, &url);
            load.go_on().await?;
            manager.stop(first).await?;
            let second = manager.start(scene, &routes).await?;
            load.go_on().await?;
            load.finish().await?;

            manager.wait_for("WATCHDOG=1").await?;
            second.hang_up()?;
            manager.wait_for("RELOADING=1").await?;
            let ready = manager.wait_for("READY=1").await?;
            ensure!(ready.contains("STATUS=serving configuration "), "{ready}");
            Ok(())
        },
    )
}
