//! `jetway explain`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::jetway;

const NOON: [&str; 2] = ["--at", "2026-11-24T12:00"];

fn explain(arguments: &[&str]) -> Result<String> {
    let arguments = [&["explain", "-c", "jetway.yaml"], &NOON[..], arguments].concat();
    let ended = jetway(&arguments)?;
    ensure!(ended.code == Some(0) && ended.err.is_empty(), "{ended:?}");
    Ok(ended.out)
}

fn explain_json(arguments: &[&str]) -> Result<Value> {
    let arguments = [arguments, &["--format", "json"]].concat();
    Ok(serde_json::from_str(&explain(&arguments)?)?)
}

/// Secrets that are only where the service runs are not needed.
#[test]
fn a_refusal_is_told_criterion_by_criterion() -> Result<()> {
    let told = explain(&[
        "--as",
        "mallory@example.com",
        "GET",
        "https://cockpit.example.com/",
    ])?;
    assert_eq!(told, include_str!("files/refused.txt"));
    Ok(())
}

#[test]
fn whoever_is_not_signed_in_is_sent_to_the_provider() -> Result<()> {
    let told = explain(&["GET", "cockpit.example.com/system"])?;
    assert_eq!(told, include_str!("files/login.txt"));
    Ok(())
}

#[test]
fn an_address_that_no_route_serves() -> Result<()> {
    let told = explain(&[
        "--as",
        "alice@example.com",
        "GET",
        "https://nothing.example.com/",
    ])?;
    assert_eq!(told, include_str!("files/no-route.txt"));
    Ok(())
}

#[test]
fn every_option_reaches_the_decision() -> Result<()> {
    let get = ["GET", "https://cockpit.example.com/"];
    for (options, decision, status) in [
        (&["--as", "alice@example.com"][..], "allow", 200),
        (&["--as", "bob@example.com"], "deny", 403),
        (
            &["--as", "bob@example.com", "--ip", "10.0.0.9"],
            "allow",
            200,
        ),
        (
            &["--as", "bob@example.com", "--ip", "::ffff:10.0.0.9"],
            "allow",
            200,
        ),
        (
            &["--as", "bob@example.com", "--ip", "2001:db8::1"],
            "deny",
            403,
        ),
        (
            &[
                "--as",
                "alice@example.com",
                "--claim",
                "email_verified=false",
            ],
            "deny",
            403,
        ),
        (
            &[
                "--claim",
                "sub=u7",
                "--claim",
                "groups=staff",
                "--claim",
                "groups=admins",
            ],
            "allow",
            200,
        ),
        (
            &["--claim", "sub=u7", "--claim", "groups=[\"admins\"]"],
            "allow",
            200,
        ),
        (
            &["--claim", "sub=u7", "--claim", "groups=administrators"],
            "deny",
            403,
        ),
        (&[], "login", 303),
        (&["--header", "Accept: application/json"], "login", 401),
        (&["--header", "Upgrade: websocket"], "login", 401),
    ] {
        let told = explain_json(&[options, &get[..]].concat())?;
        assert_eq!(
            (&told["decision"], &told["status"]),
            (&json!(decision), &json!(status)),
            "{options:?}"
        );
        assert_eq!(told["route"]["name"], "cockpit");
        assert!(told["reasons"].is_array());
    }
    Ok(())
}

#[test]
fn the_time_decides_in_its_zone() -> Result<()> {
    for (time, decision) in [
        ("2026-11-24T20:59:59", "allow"),
        ("2026-11-24T21:00", "deny"),
        ("2026-11-24T22:00:00+01:00", "deny"),
        ("2026-07-24T20:00:00Z", "deny"),
        ("2026-07-24T19:59:59Z", "allow"),
    ] {
        let arguments = [
            "explain",
            "-c",
            "jetway.yaml",
            "--as",
            "alice@example.com",
            "--format",
            "json",
        ];
        let ended = jetway(
            &[
                &arguments[..],
                &["--at", time, "GET", "cockpit.example.com"],
            ]
            .concat(),
        )?;
        let told: Value = serde_json::from_str(&ended.out)?;
        assert_eq!(told["decision"], decision, "{time}");
    }
    Ok(())
}

#[test]
fn a_client_certificate_is_shown_by_its_file() -> Result<()> {
    let explain = |certificate: &[&str]| -> Result<Value> {
        let arguments = [
            &["explain", "-c", "certificates.yaml", "--format", "json"],
            certificate,
            &["GET", "machines.example.com"],
        ];
        let ended = jetway(&arguments.concat())?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(serde_json::from_str(&ended.out)?)
    };
    for (certificate, decision, status) in [
        (&[][..], "deny", 495),
        (&["--client-certificate", "missing"], "deny", 495),
        (&["--client-certificate", "invalid"], "deny", 495),
        (&["--client-certificate", "laptop.pem"], "allow", 200),
    ] {
        let told = explain(certificate)?;
        let got = (&told["decision"], &told["status"]);
        assert_eq!(got, (&json!(decision), &json!(status)), "{certificate:?}");
    }
    assert!(explain(&["--client-certificate", "jetway.yaml"]).is_err());
    Ok(())
}

/// An address says nothing about the identifier with which a policy compares `user`.
#[test]
fn the_identifier_of_a_user_is_an_option_of_its_own() -> Result<()> {
    const NOTE: &str = "note: the policy compares `user` with the claim `sub`, which an address does not determine: set it with --sub";
    let explain = |options: &[&str], url: &str| -> Result<String> {
        let file = ["explain", "-c", "subject.yaml"];
        let ended = jetway(&[&file[..], options, &["GET", url]].concat())?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(ended.out)
    };
    let mallory = ["--as", "mallory@example.com"];
    let told = explain(&mallory, "app.example.com")?;
    assert!(told.contains("\nallow: ") && told.contains(NOTE), "{told}");
    assert!(told.contains("{is: \"8f14e45f\"}  unknown `sub`"), "{told}");
    for (subject, decision) in [("8f14e45f", "\ndeny: "), ("c9f0f895", "\nallow: ")] {
        let options = [&mallory[..], &["--sub", subject]].concat();
        let told = explain(&options, "app.example.com")?;
        assert!(told.contains(decision) && !told.contains(NOTE), "{told}");
    }
    let told = explain(&["--as", "alice@example.com"], "list.example.com")?;
    assert!(told.contains("\nallow: ") && !told.contains(NOTE), "{told}");
    Ok(())
}

#[test]
fn secrets_are_not_shown() -> Result<()> {
    let get = [
        "--as",
        "alice@example.com",
        "GET",
        "https://cockpit.example.com/",
    ];
    assert!(!explain(&get)?.contains("9d1"));
    assert!(!explain_json(&get)?.to_string().contains("9d1"));
    Ok(())
}

#[test]
fn mistakes_on_the_command_line_are_told() -> Result<()> {
    for (arguments, part) in [
        (
            &["https://cockpit.example.com/", "GET"][..],
            "`GET https://cockpit.example.com/`",
        ),
        (
            &["https://cockpit.example.com/"],
            "`GET https://cockpit.example.com/`",
        ),
        (&["get", "cockpit.example.com"], "write `GET`"),
        (
            &["GET", "http://cockpit.example.com/x"],
            "`https://cockpit.example.com/x`",
        ),
        (
            &["--as", "alice", "GET", "cockpit.example.com"],
            "`--claim sub=alice`",
        ),
        (
            &["--claim", "groups", "GET", "cockpit.example.com"],
            "`NAME=VALUE`",
        ),
        (
            &["--claim", "groups=a", "GET", "cockpit.example.com"],
            "`sub`",
        ),
        (&["--ip", "10.0.0", "GET", "cockpit.example.com"], "10.0.0"),
        (
            &["--at", "noon", "GET", "cockpit.example.com"],
            "`2026-11-24T08:00`",
        ),
        (
            &["--header", "Accept", "GET", "cockpit.example.com"],
            "`Accept: text/html`",
        ),
    ] {
        let ended = jetway(&[&["explain", "-c", "jetway.yaml"], arguments].concat())?;
        let said = ended.err;
        assert_ne!(ended.code, Some(0), "{arguments:?}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert_eq!(ended.out, "");
    }
    Ok(())
}

#[test]
fn a_file_with_problems_is_refused_with_all_of_them() -> Result<()> {
    let ended = jetway(&["explain", "-c", "broken.yaml", "GET", "app.example.com"])?;
    let said = ended.err;
    assert_eq!(ended.code, Some(1));
    for part in ["broken.yaml:2:11", "broken.yaml:7:", "2 problems"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(
        !said.contains("cookie_secret"),
        "missing secrets do not matter: {said}"
    );
    Ok(())
}
