//! `jetway init` without a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use rcgen::CertifiedKey;

/// Options that leave only the certificate open.
const COCKPIT: [&str; 11] = [
    "--host",
    "cockpit.example.com",
    "--provider-url",
    "https://idp.example.com",
    "--client-id",
    "jetway",
    "--client-secret-file",
    "secret-from-provider",
    "--allow",
    "alice@example.com",
    "--no-doctor",
];

/// A folder with a client secret and a certificate.
fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["cockpit.example.com".to_owned()])?;
    fs::write(folder.path().join("chain.pem"), cert.pem())?;
    let key = folder.path().join("key.pem");
    fs::write(&key, signing_key.serialize_pem())?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    fs::write(folder.path().join("secret-from-provider"), "s3cret\n")?;
    Ok(folder)
}

/// Runs `jetway` in a folder, without any of this process's environment.
fn jetway(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_jetway"))
        .args(arguments)
        .env_clear()
        .current_dir(folder)
        .output()?)
}

fn init(folder: &Path, further: &[&str]) -> Result<Output> {
    jetway(folder, &[&["init"], &COCKPIT[..], further].concat())
}

fn mode(path: &Path) -> Result<u32> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(metadata.permissions().mode() & 0o777)
}

#[test]
fn the_file_passes_the_check_and_the_secrets_are_private() -> Result<()> {
    let folder = folder()?;
    let certificate = ["--certificate", "chain.pem", "--certificate-key", "key.pem"];
    let ended = init(
        folder.path(),
        &[&certificate[..], &["--folder", "new"]].concat(),
    )?;
    let said = String::from_utf8(ended.stdout)?;
    ensure!(
        ended.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    for expected in [
        "redirect URI              https://cockpit.example.com/.pomerium/callback\n",
        "post-logout redirect URI  https://cockpit.example.com/.pomerium/signed_out\n",
        "jetway cockpit conf -c new/jetway.yaml",
        "jetway run -c new/jetway.yaml\n",
    ] {
        ensure!(said.contains(expected), "`{expected}` is missing in {said}");
    }
    let new = folder.path().join("new");
    ensure!(mode(&new.join("cookie-secret"))? == 0o600);
    ensure!(mode(&new.join("client-secret"))? == 0o600);
    ensure!(fs::read_to_string(new.join("client-secret"))? == "s3cret");
    ensure!(!said.contains("s3cret"));
    ensure!(!fs::read_to_string(new.join("jetway.yaml"))?.contains("s3cret"));
    let strict = jetway(&new, &["check", "--strict", "-c", "jetway.yaml"])?;
    ensure!(
        strict.status.success(),
        "{}",
        String::from_utf8_lossy(&strict.stderr)
    );
    Ok(())
}

#[test]
fn single_sign_on_maps_the_users() -> Result<()> {
    let folder = folder()?;
    let ended = init(
        folder.path(),
        &[
            "--allow",
            "@example.org",
            "--single-sign-on",
            "--plain-http",
            "127.0.0.1:8000",
        ],
    )?;
    let said = String::from_utf8(ended.stdout)?;
    ensure!(
        ended.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    ensure!(
        said.contains("sudo jetway cockpit setup -c ./jetway.yaml\n"),
        "{said}"
    );
    for (address, user) in [("alice@example.com", "alice"), ("bob@example.org", "bob")] {
        let explained = jetway(
            folder.path(),
            &[
                "explain",
                "-c",
                "jetway.yaml",
                "--as",
                address,
                "GET",
                "https://cockpit.example.com/",
            ],
        )?;
        let text = String::from_utf8(explained.stdout)?;
        ensure!(
            explained.status.success() && text.contains(user),
            "{address}: {text}"
        );
    }
    Ok(())
}

#[test]
fn missing_answers_are_named_all_at_once() -> Result<()> {
    let folder = folder()?;
    let ended = jetway(folder.path(), &["init", "--host", "cockpit.example.com"])?;
    let error = String::from_utf8(ended.stderr)?;
    ensure!(!ended.status.success());
    for option in [
        "--provider-url",
        "--client-id",
        "--client-secret-file",
        "--allow",
        "--certificate",
    ] {
        ensure!(error.contains(option), "`{option}` is missing in {error}");
    }
    ensure!(!error.contains("--host"), "{error}");
    ensure!(!folder.path().join("jetway.yaml").exists());
    Ok(())
}

#[test]
fn existing_files_stay_and_nothing_is_left_behind() -> Result<()> {
    let folder = folder()?;
    let path = folder.path().join("jetway.yaml");
    fs::write(&path, "mine")?;
    let ended = init(folder.path(), &["--plain-http", "127.0.0.1:8000"])?;
    let error = String::from_utf8(ended.stderr)?;
    ensure!(
        !ended.status.success() && error.contains("jetway.yaml"),
        "{error}"
    );
    ensure!(fs::read_to_string(&path)? == "mine");
    ensure!(!folder.path().join("cookie-secret").exists());
    ensure!(!folder.path().join("client-secret").exists());
    Ok(())
}

#[test]
fn answers_that_cannot_be_meant_are_refused() -> Result<()> {
    let folder = folder()?;
    for (further, expected) in [
        (
            &["--allow", "example.com"][..],
            "`example.com` is no email address and no domain",
        ),
        (
            &["--unix-user", "alice@example.com=root"],
            "single sign-on as root",
        ),
        (
            &["--provider", "oidcc"],
            "`oidcc` is no known identity provider",
        ),
        (
            &["--to", "http://localhost:3000", "--single-sign-on"],
            "add `--cockpit`",
        ),
    ] {
        let further = [further, &["--plain-http", "127.0.0.1:8000"]].concat();
        let ended = init(folder.path(), &further)?;
        let error = String::from_utf8(ended.stderr)?;
        ensure!(
            !ended.status.success() && error.contains(expected),
            "{expected}: {error}"
        );
        ensure!(!folder.path().join("jetway.yaml").exists());
    }
    Ok(())
}
