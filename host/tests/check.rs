//! `jetway check`, as a person and as a program use it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

const GOOD: &str = "\
insecure_server: true
routes:
  - name: wiki
    from: https://wiki.example.com
    to: http://127.0.0.1:8080
    allow_public_unauthenticated_access: true
";

/// The output of one run, and its exit code.
struct Answer {
    status: Option<i32>,
    output: String,
    errors: String,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        ensure!(self.errors.is_empty(), "{}", self.errors);
        serde_json::from_str(&self.output).with_context(|| self.output.clone())
    }
}

struct Place(TempDir);

impl Place {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join(name);
        std::fs::write(&path, content)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    fn check(&self, text: &str, arguments: &[&str]) -> Result<Answer> {
        self.check_with(text, arguments, &[])
    }

    fn check_with(
        &self,
        text: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Answer> {
        self.write("jetway.yaml", text, 0o600)?;
        let output = Command::new(env!("CARGO_BIN_EXE_jetway"))
            .args(["check", "-c", "jetway.yaml"])
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(variables.iter().copied())
            .output()?;
        Ok(Answer {
            status: output.status.code(),
            output: String::from_utf8(output.stdout)?,
            errors: String::from_utf8(output.stderr)?,
        })
    }
}

#[test]
fn a_good_file_passes_and_its_keys_are_told() -> Result<()> {
    let answer = Place::new()?.check(GOOD, &["--strict"])?;
    ensure!(
        answer.status == Some(0) && answer.errors.is_empty(),
        "{}",
        answer.errors
    );
    let lines: Vec<&str> = answer.output.lines().collect();
    ensure!(lines.first() == Some(&"honoured"), "{lines:?}");
    ensure!(
        lines.last() == Some(&"jetway.yaml: ok, 1 route"),
        "{lines:?}"
    );
    let from = lines
        .iter()
        .find(|line| line.trim().starts_with("routes[].from "));
    let words: Vec<&str> = from.context("from")?.split_whitespace().collect();
    ensure!(
        words.starts_with(&["routes[].from", "line", "4"]),
        "{words:?}"
    );
    Ok(())
}

#[test]
fn a_warning_fails_only_when_strict() -> Result<()> {
    let place = Place::new()?;
    let text = format!("{GOOD}    tiemout: 30s\nlog_level: debug\n");
    let answer = place.check(&text, &[])?;
    ensure!(answer.status == Some(0));
    ensure!(
        answer.errors.contains("warning: unknown key `tiemout`"),
        "{}",
        answer.errors
    );
    ensure!(
        answer.errors.contains("jetway.yaml:7:5"),
        "{}",
        answer.errors
    );
    ensure!(
        answer.errors.contains("did you mean `timeout`?"),
        "{}",
        answer.errors
    );
    ensure!(
        answer
            .errors
            .contains("route `wiki` (https://wiki.example.com)")
    );
    ensure!(
        answer
            .output
            .ends_with("jetway.yaml: ok, 1 route, 2 warnings\n"),
        "{}",
        answer.output
    );

    let answer = place.check(&text, &["--strict"])?;
    ensure!(answer.status == Some(1));
    ensure!(
        answer.errors.contains("error: unknown key `tiemout`"),
        "{}",
        answer.errors
    );
    ensure!(
        answer
            .output
            .ends_with("jetway.yaml: 1 problem, 1 warning\n"),
        "{}",
        answer.output
    );

    let text = format!("{GOOD}log_level: debug\n");
    let answer = place.check(&text, &["--strict"])?;
    ensure!(answer.status == Some(1));
    let last = "jetway.yaml: 1 warning, which --strict does not allow\n";
    ensure!(answer.output.ends_with(last), "{}", answer.output);
    Ok(())
}

#[test]
fn problems_are_in_the_order_of_the_file() -> Result<()> {
    let text = "\
timeout_idle: soon
routes:
  - from: https://a.example.com
    to: nowhere
    policy: [{allow: {or: [{emial: x}]}}]
autocert: true
";
    let answer = Place::new()?.check(text, &[])?;
    ensure!(answer.status == Some(1));
    let problems = answer.errors.split("error: ").skip(1);
    let places: Vec<&str> = problems
        .filter_map(|problem| {
            problem
                .lines()
                .nth(1)?
                .trim()
                .strip_prefix("--> jetway.yaml:")
        })
        .collect();
    ensure!(
        places == ["1:15", "4:9", "5:29", "6:1"],
        "{}",
        answer.errors
    );
    ensure!(
        answer.output.contains("refused\n  autocert "),
        "{}",
        answer.output
    );
    Ok(())
}

#[test]
fn a_program_gets_one_object() -> Result<()> {
    let place = Place::new()?;
    let text = format!("{GOOD}    tiemout: 30s\nlog_level: debug\n").replace("http:", "htp:");
    let answer = place.check(&text, &["--format", "json"])?;
    ensure!(answer.status == Some(1));
    let told = answer.json()?;
    ensure!(
        told["file"] == "jetway.yaml" && told["ok"] == false,
        "{told}"
    );
    let problem = &told["problems"][0];
    ensure!(problem["path"] == "routes[0].to", "{told}");
    ensure!(
        (&problem["line"], &problem["column"]) == (&json!(5), &json!(9)),
        "{told}"
    );
    ensure!(problem["route"] == "wiki", "{told}");
    ensure!(
        problem["message"].is_string() && problem["help"].is_string(),
        "{told}"
    );
    ensure!(told["warnings"][0]["path"] == "routes[0].tiemout", "{told}");
    let key = |name: &str| {
        let mut keys = told["keys"].as_array().into_iter().flatten();
        keys.find(|key| key["key"] == name)
            .cloned()
            .unwrap_or_default()
    };
    ensure!(key("log_level")["treatment"] == "ignored", "{told}");
    ensure!(key("log_level")["reason"].is_string(), "{told}");
    ensure!(key("tiemout")["treatment"] == "unknown", "{told}");
    let from = key("from");
    ensure!(
        from["treatment"] == "honoured" && from["path"] == "routes[0].from",
        "{told}"
    );
    ensure!(
        from["by"]
            .as_array()
            .is_some_and(|by| by.contains(&json!("filter"))),
        "{told}"
    );
    Ok(())
}

#[test]
fn secret_files_are_looked_at() -> Result<()> {
    let place = Place::new()?;
    let text = "\
insecure_server: true
cookie_secret_file: secret
idp_provider: oidc
idp_provider_url: https://idp.example.com
idp_client_id: x
idp_client_secret_file: missing
routes: [{from: https://a.example.com, to: http://b, allow_any_authenticated_user: true}]
";
    place.write(
        "secret",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        0o644,
    )?;
    let answer = place.check(text, &[])?;
    ensure!(answer.status == Some(1));
    let tried = place.path().canonicalize()?.join("missing");
    let expected = format!(
        "there is no secret `missing` (looked for `{}`)",
        tried.display()
    );
    ensure!(answer.errors.contains(&expected), "{}", answer.errors);
    ensure!(answer.errors.contains("(mode 0644)"), "{}", answer.errors);
    ensure!(
        answer.errors.contains("run `chmod 600 secret`"),
        "{}",
        answer.errors
    );
    ensure!(!answer.errors.contains("AAAA"), "{}", answer.errors);

    place.write(
        "secret",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        0o600,
    )?;
    place.write("other", "s3cret\n", 0o600)?;
    // The variable stands for the key.
    let variables = [("IDP_CLIENT_SECRET_FILE", "other")];
    let answer = place.check_with(text, &["--format", "json"], &variables)?;
    let told = answer.json()?;
    ensure!(told["ok"] == true, "{told}");

    let answer = place.check_with(text, &[], &[("COOKIE_SECRET", "short")])?;
    ensure!(answer.status == Some(1));
    ensure!(
        answer
            .errors
            .contains("the environment variable `COOKIE_SECRET`"),
        "{}",
        answer.errors
    );
    Ok(())
}

#[test]
fn files_that_are_named_are_read() -> Result<()> {
    let place = Place::new()?;
    let text = GOOD.replace(
        "insecure_server: true",
        "certificate_file: a.pem\ncertificate_key_file: b.pem",
    );
    let answer = place.check(&text, &[])?;
    ensure!(answer.status == Some(1));
    ensure!(
        answer.errors.contains("jetway.yaml:1:19"),
        "{}",
        answer.errors
    );
    ensure!(
        answer.errors.contains("jetway.yaml:2:23"),
        "{}",
        answer.errors
    );

    let made = rcgen::generate_simple_self_signed(vec!["wiki.example.com".to_owned()])?;
    place.write("a.pem", made.cert.pem(), 0o644)?;
    place.write("b.pem", made.signing_key.serialize_pem(), 0o640)?;
    let answer = place.check(&text, &[])?;
    ensure!(answer.status == Some(0), "{}", answer.errors);
    ensure!(
        answer.errors.contains("users of its group"),
        "{}",
        answer.errors
    );
    ensure!(!answer.errors.contains("a.pem"), "{}", answer.errors);

    let other = rcgen::generate_simple_self_signed(vec!["wiki.example.com".to_owned()])?;
    place.write("b.pem", other.signing_key.serialize_pem(), 0o600)?;
    let answer = place.check(&text, &[])?;
    ensure!(answer.status == Some(1));
    ensure!(
        answer.errors.contains("cannot use the certificate `a.pem`"),
        "{}",
        answer.errors
    );
    Ok(())
}

#[test]
fn certificates_for_upstreams_and_of_clients_are_read() -> Result<()> {
    let place = Place::new()?;
    let made = rcgen::generate_simple_self_signed(vec!["wiki.example.com".to_owned()])?;
    place.write("a.pem", made.cert.pem(), 0o600)?;
    place.write("b.pem", made.signing_key.serialize_pem(), 0o600)?;
    let text = format!("{GOOD}    tls_custom_ca_file: b.pem\n").replace("http:", "https:");
    let answer = place.check(&text, &[])?;
    ensure!(answer.status == Some(1));
    ensure!(
        answer.errors.contains("jetway.yaml:7:25"),
        "{}",
        answer.errors
    );
    ensure!(answer.errors.contains("route `wiki`"), "{}", answer.errors);
    let answer = place.check(&text.replace("b.pem", "a.pem"), &[])?;
    ensure!(answer.status == Some(0), "{}", answer.errors);

    let tls =
        "certificate_file: a.pem\ncertificate_key_file: b.pem\ndownstream_mtls: {ca_file: b.pem}";
    let text = GOOD.replace("insecure_server: true", tls);
    let answer = place.check(&text, &[])?;
    ensure!(answer.status == Some(1));
    ensure!(
        answer.errors.contains("jetway.yaml:3:1"),
        "{}",
        answer.errors
    );
    let answer = place.check(&text.replace("ca_file: b.pem", "ca_file: a.pem"), &[])?;
    ensure!(answer.status == Some(0), "{}", answer.errors);
    Ok(())
}

/// The proxy does not start with a file that the check refuses, and reports the same problems at once.
#[test]
fn run_reports_every_problem_of_the_check() -> Result<()> {
    let place = Place::new()?;
    let made = rcgen::generate_simple_self_signed(vec!["wiki.example.com".to_owned()])?;
    let other = rcgen::generate_simple_self_signed(vec!["wiki.example.com".to_owned()])?;
    place.write("a.pem", made.cert.pem(), 0o600)?;
    place.write("b.pem", other.signing_key.serialize_pem(), 0o600)?;
    let tls = "address: 127.0.0.1:0\ncertificate_file: a.pem\ncertificate_key_file: b.pem";
    let text = format!("{GOOD}    tls_custom_ca_file: b.pem\n")
        .replace("http:", "https:")
        .replace("insecure_server: true", tls);
    let checked = place.check(&text, &[])?;
    ensure!(checked.output.contains("2 problems"), "{}", checked.errors);
    let run = Command::new(env!("CARGO_BIN_EXE_jetway"))
        .args(["run", "-c", "jetway.yaml"])
        .current_dir(place.path())
        .env_clear()
        .output()?;
    let errors = String::from_utf8(run.stderr)?;
    ensure!(run.status.code() == Some(1), "{errors}");
    for part in ["jetway.yaml:2:19", "jetway.yaml:9:25", "2 problems"] {
        ensure!(errors.contains(part), "{part}: {errors}");
    }
    Ok(())
}

#[test]
fn other_formats_are_refused_by_name() -> Result<()> {
    let place = Place::new()?;
    let answer = place.check("[routes]\nfrom = 1\n", &[])?;
    ensure!(answer.status == Some(1));
    ensure!(answer.errors.contains("TOML"), "{}", answer.errors);
    // JSON is YAML.
    let json = r#"{"insecure_server": true, "routes": [{"from": "https://a.example.com",
        "to": "http://b", "allow_public_unauthenticated_access": true}]}"#;
    let answer = place.check(json, &["--strict"])?;
    ensure!(answer.status == Some(0), "{}", answer.errors);
    Ok(())
}
