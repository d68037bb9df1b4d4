//! Routes with several upstreams.

use anyhow::Result;
use jetway_tests::{APP, OTHER, Route, Scene, Upstream, on_both_proxies};

on_both_proxies!(requests_are_spread_by_weight);

/// Tolerance of a share: each thread of a proxy keeps its own turn, which starts anywhere.
const TOLERANCE: usize = 6;

async fn requests_are_spread_by_weight(scene: &mut Scene) -> Result<()> {
    let (one, two, three) = (
        Upstream::start("one").await?,
        Upstream::start("two").await?,
        Upstream::start("three").await?,
    );
    let list = |upstreams: &[(&Upstream, &str)]| {
        let entries: Vec<String> = upstreams
            .iter()
            .map(|(upstream, weight)| format!("\"{}{weight}\"", upstream.address()))
            .collect();
        format!("to: [{}]", entries.join(", "))
    };
    let weighted = list(&[(&one, ",5"), (&two, ",3"), (&three, ",2")]);
    let even = list(&[(&one, ""), (&two, ""), (&three, "")]);
    let routes = [
        Route::without_upstream(APP).public().key(&weighted),
        Route::without_upstream(OTHER).public().key(&even),
    ];
    let _proxy = scene.serve(&routes).await?;
    let mut client = scene.user_agent();
    for (host, requests, shares) in [(APP, 100, [50, 30, 20]), (OTHER, 90, [30, 30, 30])] {
        let url = scene.url(host, "/")?;
        for _ in 0..requests {
            client.fetch(&url).await?.expect(200)?;
        }
        let mut got = [0; 3];
        for (upstream, got) in [&one, &two, &three].into_iter().zip(&mut got) {
            let seen = upstream.take();
            *got = seen.len();
            for seen in seen {
                assert_eq!(seen.value("host")?, upstream.authority());
                assert_eq!(seen.value("x-forwarded-host")?, scene.authority(host));
            }
        }
        assert_eq!(got.iter().sum::<usize>(), requests);
        for (got, share) in got.iter().zip(&shares) {
            assert!(
                got.abs_diff(*share) <= TOLERANCE,
                "{host}: {got} instead of {share}"
            );
        }
    }
    Ok(())
}
