//! `jetway doctor` without any peer: what it says about files and this machine, and how it ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a configuration file, and what it names.
struct Place(TempDir);

impl Place {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.path().join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// A certificate for `app.localhost` that is valid between these years.
    fn certificate(&self, years: (i32, i32)) -> Result<()> {
        let mut params = CertificateParams::new(vec!["app.localhost".to_owned()])?;
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate()?;
        self.write("fullchain.pem", &params.self_signed(&key)?.pem())?;
        self.write("privkey.pem", &key.serialize_pem())
    }

    fn doctor(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let output = Command::new(env!("CARGO_BIN_EXE_jetway"))
            .args(["doctor", "-c", "jetway.yaml"])
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            // The one authority that this machine knows: the certificate that has signed itself.
            .env("SSL_CERT_FILE", "fullchain.pem")
            .output()?;
        let errors = String::from_utf8(output.stderr)?;
        ensure!(errors.is_empty(), "{errors}");
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    }

    fn report(&self) -> Result<(Option<i32>, Value)> {
        let (status, text) = self.doctor(&["--format", "json"])?;
        Ok((
            status,
            serde_json::from_str(&text).with_context(|| text.clone())?,
        ))
    }
}

/// A port of loopback on which no program listens at the moment.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn file(port: u16, to: &str) -> String {
    format!(
        "address: 127.0.0.1:{port}\n\
         certificate_file: fullchain.pem\n\
         certificate_key_file: privkey.pem\n\
         routes:\n\
         \x20 - from: https://app.localhost\n\
         \x20   to: {to}\n\
         \x20   allow_public_unauthenticated_access: true\n"
    )
}

fn failures(report: &Value) -> Vec<&Value> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings
        .filter(|finding| finding["outcome"] == "failure")
        .collect()
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_its_lines() -> Result<()> {
    let place = Place::new()?;
    place.write(
        "jetway.yaml",
        "routes:\n  - from: http://app.localhost\n    to: http://127.0.0.1:1\n",
    )?;
    let (status, report) = place.report()?;
    ensure!(status == Some(1) && report["ok"] == false, "{report:#}");
    let failures = failures(&report);
    let from = failures
        .iter()
        .find(|failure| failure["message"].to_string().contains("`https://`"));
    let from = from.with_context(|| report.to_string())?;
    ensure!(
        from["check"] == "file" && from["changes"][0]["line"] == 2,
        "{from:#}"
    );
    ensure!(
        from["seen"].to_string().contains("does not start"),
        "{from:#}"
    );
    let (status, text) = place.doctor(&[])?;
    ensure!(
        status == Some(1) && text.contains("jetway.yaml:2: "),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_missing_file_is_a_failure() -> Result<()> {
    let (status, report) = Place::new()?.report()?;
    ensure!(status == Some(1), "{report:#}");
    ensure!(
        failures(&report)[0]["message"]
            .to_string()
            .contains("there is no configuration"),
        "{report:#}"
    );
    Ok(())
}

#[test]
fn certificates_out_of_their_time_are_named() -> Result<()> {
    for (years, words) in [
        ((2020, 2021), "it expired on 2021-01-01"),
        ((2900, 2901), "it is not valid before 2900-01-01"),
    ] {
        let place = Place::new()?;
        place.certificate(years)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        drop(answering(&listener));
        let address = format!("http://{}", listener.local_addr()?);
        place.write("jetway.yaml", &file(free_port()?, &address))?;
        let (status, report) = place.report()?;
        ensure!(status == Some(1), "{report:#}");
        let [failure] = failures(&report)[..] else {
            anyhow::bail!("{report:#}");
        };
        ensure!(failure["check"] == "certificate", "{failure:#}");
        ensure!(failure["message"] == words, "{failure:#}");
        ensure!(
            failure["seen"]
                .to_string()
                .contains("NET::ERR_CERT_DATE_INVALID"),
            "{failure:#}"
        );
    }
    Ok(())
}

/// Answers every connection with an empty page, until the test's process ends.
fn answering(listener: &TcpListener) -> Result<std::thread::JoinHandle<()>> {
    use std::io::{Read as _, Write as _};
    let listener = listener.try_clone()?;
    Ok(std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    }))
}

#[test]
fn nothing_wrong_ends_with_status_0() -> Result<()> {
    let place = Place::new()?;
    place.certificate((2020, 2900))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    drop(answering(&listener));
    let address = format!("http://{}", listener.local_addr()?);
    place.write("jetway.yaml", &file(free_port()?, &address))?;
    let (status, text) = place.doctor(&[])?;
    ensure!(status == Some(0), "{text}");
    ensure!(text.ends_with("\njetway.yaml: ok\n"), "{text}");
    ensure!(
        text.contains("the port is free") && text.contains("it answers 200 OK"),
        "{text}"
    );
    Ok(())
}

#[test]
fn an_upstream_that_is_not_there_is_named_with_its_line() -> Result<()> {
    let place = Place::new()?;
    place.certificate((2020, 2900))?;
    let port = free_port()?;
    place.write(
        "jetway.yaml",
        &file(free_port()?, &format!("http://127.0.0.1:{port}")),
    )?;
    let (status, report) = place.report()?;
    ensure!(status == Some(1), "{report:#}");
    let [failure] = failures(&report)[..] else {
        anyhow::bail!("{report:#}");
    };
    ensure!(
        failure["check"] == "upstream" && failure["changes"][0]["line"] == 6,
        "{failure:#}"
    );
    ensure!(failure["seen"].to_string().contains("503"), "{failure:#}");
    Ok(())
}

#[test]
fn nothing_is_changed() -> Result<()> {
    let place = Place::new()?;
    place.certificate((2020, 2900))?;
    place.write("jetway.yaml", &file(free_port()?, "http://127.0.0.1:1"))?;
    let names = |path: &Path| -> Result<Vec<_>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            names.push((entry.file_name(), entry.metadata()?.modified()?));
        }
        names.sort();
        Ok(names)
    };
    let before = names(place.0.path())?;
    place.report()?;
    ensure!(names(place.0.path())? == before);
    Ok(())
}
