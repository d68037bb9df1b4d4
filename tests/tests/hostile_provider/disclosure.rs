//! Responses and logs disclose no secrets and no software.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{APP, Scene};
use url::Url;

use crate::attacked::{Attacked, to_provider};

pub(crate) async fn i_01_logs_hold_no_secrets(scene: &mut Scene) -> Result<()> {
    let mut secrets = BTreeSet::from([
        scene.secrets.client.clone(),
        scene.secrets.cookie.clone(),
        "the-access-token".to_owned(),
    ]);
    let attacked = Attacked::start(scene).await?;
    let mut alice = scene.user_agent();
    let begun = alice.navigate(&attacked.url).await?;
    let authorize = to_provider(&mut alice, &attacked.url, begun).await?;
    secrets.extend(
        authorize
            .query_pairs()
            .filter(|(name, _)| matches!(&**name, "state" | "nonce"))
            .map(|(_, value)| value.into_owned()),
    );
    secrets.extend(
        alice
            .cookie_pairs(&attacked.url)
            .into_iter()
            .map(|(_, value)| value),
    );
    let back = alice.navigate(&authorize).await?;
    let callback = Url::parse(back.header("location").context("a redirect back")?)?;
    secrets.extend(
        callback
            .query_pairs()
            .filter(|(name, _)| name == "state")
            .map(|(_, value)| value.into_owned()),
    );
    alice.follow(&callback).await?.1.expect(200)?;
    secrets.extend(
        alice
            .cookie_pairs(&attacked.url)
            .into_iter()
            .map(|(_, value)| value)
            .filter(|value| value.len() > 16),
    );
    for asked in attacked.provider.asked() {
        secrets.extend(
            asked
                .parameters
                .into_iter()
                .filter(|(name, _)| name == "code_verifier")
                .map(|(_, value)| value),
        );
    }
    assert!(secrets.len() >= 8, "{} secrets were seen", secrets.len());
    drop(attacked);
    for entry in std::fs::read_dir(scene.logs())? {
        let path = entry?.path();
        let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        for secret in &secrets {
            ensure!(
                !log.contains(secret.as_str()),
                "`{}` holds the secret `{secret}`",
                path.display()
            );
        }
    }
    Ok(())
}

pub(crate) async fn i_08_no_server_and_no_via(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for path in ["/wanted", "/.pomerium/", "/.pomerium/nothing", "/%00"] {
        let url = scene.url(APP, path)?;
        let signed_in = attacked.innocent.navigate(&url).await?;
        for answer in [scene.user_agent().navigate(&url).await?, signed_in] {
            for name in [
                "server",
                "via",
                "x-powered-by",
                "x-envoy-upstream-service-time",
            ] {
                let value = answer.header(name).unwrap_or_default();
                let tells = value.contains(|character: char| character.is_ascii_digit());
                ensure!(
                    !tells,
                    "{path}: `{name}: {value}` tells a version or a time"
                );
            }
        }
    }
    let _ = &attacked.proxy;
    Ok(())
}
