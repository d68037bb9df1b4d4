//! Cookies that no browser sends by itself, and those of the application.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method};
use jetway_tests::Scene;

use crate::attacked::Attacked;

pub(crate) async fn c_19_c_20_odd_cookies_break_nothing(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    let own = attacked
        .innocent
        .cookies(&attacked.url)
        .context("the innocent user has cookies")?;
    let name = own.split('=').next().unwrap_or_default();
    let odd: Vec<Vec<u8>> = vec![
        b"a=\xff".to_vec(),
        b"\x80=a".to_vec(),
        "a=\u{e9}".as_bytes().to_vec(),
        format!("{name}=\u{e9}").into_bytes(),
        format!("{name}_attempt_\u{e9}=x").into_bytes(),
        format!("{name}_1=x; {name}_1=y").into_bytes(),
        format!("{name}=2.x; {name}_1=99999999999.y").into_bytes(),
        b"=;;;".to_vec(),
        b"$Version=1; a=\"x;y\"".to_vec(),
        "c=x; ".repeat(300).into_bytes(),
    ];
    for cookie in odd {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(&cookie)?);
        let answer = scene
            .user_agent()
            .send(Method::GET, &attacked.url, headers.clone(), Bytes::new())
            .await?;
        ensure!(
            matches!(answer.status.as_u16(), 400 | 401 | 431),
            "{cookie:?}: {}",
            answer.status
        );
        attacked.still_serves("an odd cookie").await?;
        // Beside a session, as a second header.
        if !cookie.starts_with(name.as_bytes()) {
            let answer = attacked
                .innocent
                .send(Method::GET, &attacked.url, headers, Bytes::new())
                .await?;
            ensure!(
                matches!(answer.status.as_u16(), 200 | 400),
                "{cookie:?}: {}",
                answer.status
            );
            attacked.upstream.take();
        }
    }
    Ok(())
}

pub(crate) async fn c_26_the_application_sees_its_own_cookies(scene: &mut Scene) -> Result<()> {
    let mut attacked = Attacked::start(scene).await?;
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        attacked.innocent.version = version;
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("b=2; a=1"));
        headers.append(COOKIE, HeaderValue::from_static("c=\"3\""));
        attacked
            .innocent
            .send(Method::GET, &attacked.url, headers, Bytes::new())
            .await?
            .expect(200)?;
        let seen = attacked.upstream.take_one()?;
        let cookies: Vec<String> = seen
            .values("cookie")
            .into_iter()
            .flat_map(|line| {
                String::from_utf8_lossy(line)
                    .split(';')
                    .map(|pair| pair.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(cookies, ["b=2", "a=1", "c=\"3\""], "{version:?}");
    }
    attacked.innocent.version = http::Version::HTTP_11;
    attacked.still_serves("cookies of the application").await
}
