//! Commands for a file before it is deployed: `jetway check`, `explain`, `test` and `schema`, as built.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jetway_tests::{Authority, Installed, write_private};
use serde_json::Value;
use tempfile::TempDir;

/// The test cases of the policy language.
const VECTORS: &str = include_str!("../../filter/core/src/policy/tests/ppl.json");
const POMERIUM: &str = include_str!("../files/pomerium.yaml");
const MISTAKEN: &str = include_str!("../files/mistaken.yaml");
const CASES: &str = include_str!("../files/cases.yaml");

/// The result of a command.
struct Ended {
    success: bool,
    code: Option<i32>,
    /// Standard output.
    out: String,
    /// Standard error.
    err: String,
}

/// A folder with files, in which commands run.
struct Desk {
    folder: TempDir,
    jetway: PathBuf,
}

impl Desk {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::create("for a file")?;
        let issued = authority.issue(&["*.example.com"])?;
        let secret = BASE64_STANDARD.encode([7; 32]);
        for (name, text) in [
            ("jetway.yaml", POMERIUM),
            ("mistaken.yaml", MISTAKEN),
            ("cases.yaml", CASES),
            ("ppl.json", VECTORS),
            ("fullchain.pem", &issued.chain),
            ("authority.pem", &authority.pem()),
        ] {
            std::fs::write(folder.path().join(name), text)?;
        }
        for (name, text) in [
            ("privkey.pem", &issued.key),
            ("signing-key.pem", &issued.key),
            ("cookie-secret", &secret),
            ("client-secret", &secret),
            ("shared-secret", &secret),
        ] {
            write_private(&folder.path().join(name), text)?;
        }
        Ok(Self {
            folder,
            jetway: std::path::absolute(Installed::locate()?.jetway()?)?,
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<Ended> {
        let output = Command::new(&self.jetway)
            .args(arguments)
            .current_dir(self.folder.path())
            .output()?;
        Ok(Ended {
            success: output.status.success(),
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join(name), text)?)
    }
}

impl Ended {
    fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    fn succeeded(self) -> Result<Self> {
        ensure!(
            self.success,
            "it ended with {:?}: {}",
            self.code,
            self.all()
        );
        Ok(self)
    }

    fn answered_no(self) -> Result<Self> {
        ensure!(
            self.code == Some(1),
            "it ended with {:?}: {}",
            self.code,
            self.all()
        );
        Ok(self)
    }
}

#[test]
fn the_vectors_of_the_policy_language_pass() -> Result<()> {
    let desk = Desk::new()?;
    let ended = desk.run(&["test", "ppl.json"])?.succeeded()?;
    assert_eq!(ended.out.lines().last(), Some("163 passed, 0 failed"));

    let mut vectors: Vec<Value> = serde_json::from_str(VECTORS)?;
    let first = vectors.first_mut().context("there are vectors")?;
    let name = first["name"]
        .as_str()
        .context("a vector has a name")?
        .to_owned();
    first["expect"] = "deny".into();
    desk.write("wrong.json", &serde_json::to_string(&vectors)?)?;
    let ended = desk.run(&["test", "wrong.json"])?.answered_no()?;
    assert_eq!(ended.out.lines().last(), Some("162 passed, 1 failed"));
    assert!(ended.out.contains(&name), "{}", ended.out);
    Ok(())
}

#[test]
fn a_file_for_pomerium_is_read_and_reported() -> Result<()> {
    let desk = Desk::new()?;
    let ended = desk.run(&["check", "-c", "jetway.yaml"])?.succeeded()?;
    let report = ended.all();
    for key in [
        "authenticate_service_url",
        "databroker_storage_type",
        "http_redirect_addr",
        "metrics_address",
        "runtime_flags",
        "shared_secret_file",
        "cookie_same_site",
    ] {
        assert!(report.contains(key), "`{key}` is not reported:\n{report}");
    }
    let strict = desk.run(&["check", "-c", "jetway.yaml", "--strict"])?;
    strict.answered_no()?;

    let json = desk.run(&["check", "-c", "jetway.yaml", "--format", "json"])?;
    let report: Value = serde_json::from_str(&json.succeeded()?.out)?;
    assert!(report.is_object(), "{report}");

    let ended = desk
        .run(&["test", "-c", "jetway.yaml", "cases.yaml"])?
        .succeeded()?;
    assert_eq!(ended.out.lines().last(), Some("7 passed, 0 failed"));
    desk.write(
        "wrong.yaml",
        &CASES.replacen("expect: login", "expect: allow", 1),
    )?;
    let ended = desk
        .run(&["test", "-c", "jetway.yaml", "wrong.yaml"])?
        .answered_no()?;
    assert_eq!(ended.out.lines().last(), Some("6 passed, 1 failed"));
    for word in ["strangers sign in", "claim/groups", "user-unauthenticated"] {
        assert!(ended.out.contains(word), "no `{word}` in\n{}", ended.out);
    }
    Ok(())
}

#[test]
fn mistakes_are_reported_all_at_once_with_their_places() -> Result<()> {
    let desk = Desk::new()?;
    let report = desk
        .run(&["check", "-c", "mistaken.yaml"])?
        .answered_no()?
        .all();
    for word in [
        "mistaken.yaml:12:",
        "prefx",
        "did you mean `prefix`",
        "Wiki",
    ] {
        assert!(report.contains(word), "no `{word}` in\n{report}");
    }
    let mut last = 0;
    for (line, word, help) in [
        (8, "tracing_provider", ""),
        (
            10,
            "https://app.example.com/inside",
            "https://app.example.com",
        ),
        (17, "(unclosed", ""),
        (21, "emial", "email"),
        (23, "10.0.0.0/33", ""),
        (25, "418", "308"),
        (26, "5 minutes", ""),
    ] {
        let place = format!("mistaken.yaml:{line}:");
        assert!(report.contains(word), "no `{word}` in\n{report}");
        assert!(report.contains(help), "no `{help}` in\n{report}");
        let found = report[last..]
            .find(&place)
            .with_context(|| format!("no `{place}` after the place before it in\n{report}"))?;
        last += found;
    }
    Ok(())
}

#[test]
fn a_decision_is_explained() -> Result<()> {
    let desk = Desk::new()?;
    let explain = |more: &[&str]| -> Result<Ended> {
        let arguments = ["explain", "-c", "jetway.yaml"].into_iter();
        desk.run(&arguments.chain(more.iter().copied()).collect::<Vec<_>>())?
            .succeeded()
    };
    let alice = ["--as", "alice@example.com", "--claim", "groups=staff"];
    let place = ["GET", "https://cockpit.example.com/x"];
    let json = |more: &[&str]| -> Result<Value> {
        let arguments = [more, &["--format", "json"], &place].concat();
        Ok(serde_json::from_str(&explain(&arguments)?.out)?)
    };
    let told = json(&[&alice[..], &["--ip", "198.51.100.1"]].concat())?;
    assert_eq!(
        (&told["decision"], &told["status"]),
        (&"allow".into(), &200.into()),
        "{told}"
    );
    assert_eq!(told["route"]["name"], "Cockpit", "{told}");
    let told = json(&[&alice[..], &["--ip", "192.0.2.1"]].concat())?;
    assert_eq!(
        (&told["decision"], &told["status"]),
        (&"deny".into(), &403.into()),
        "{told}"
    );
    assert_eq!(
        told["reasons"],
        serde_json::json!(["source-ip-ok"]),
        "{told}"
    );
    let told = json(&[])?;
    assert_eq!(told["decision"], "login", "{told}");

    let text = explain(&[&alice[..], &place].concat())?.out;
    for word in ["Cockpit", "domain", "claim/groups", "source_ip"] {
        assert!(text.contains(word), "no `{word}` in\n{text}");
    }
    Ok(())
}

#[test]
fn the_schema_names_the_keys() -> Result<()> {
    let schema: Value = serde_json::from_str(&Desk::new()?.run(&["schema"])?.succeeded()?.out)?;
    for key in ["routes", "jwt_claims_headers", "downstream_mtls"] {
        assert!(
            schema["properties"][key].is_object(),
            "no `{key}` in {schema}"
        );
    }
    Ok(())
}
