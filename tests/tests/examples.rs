//! Envoy itself accepts the examples of the documentation.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{Authority, Installed, Secrets, output_of};

/// Where the examples expect the module and the certificate.
const EXPECTED: &str = "/etc/jetway";

#[test]
fn envoy_accepts_every_example() -> Result<()> {
    let installed = Installed::locate()?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy-config/examples");
    let mut accepted = 0;
    for entry in std::fs::read_dir(&examples)? {
        let path = entry?.path();
        if path
            .to_str()
            .is_some_and(|path| path.ends_with(".envoy.yaml"))
        {
            validate(&installed, &path).with_context(|| format!("`{}`", path.display()))?;
            accepted += 1;
        }
    }
    ensure!(
        accepted > 0,
        "there are no examples in `{}`",
        examples.display()
    );
    Ok(())
}

/// Loads the module and reads its configuration, as at a start.
fn validate(installed: &Installed, example: &Path) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("jetway-example-")
        .tempdir()?;
    let module = output_of(Command::new(installed.jetway()?).arg("module"))?;
    std::fs::write(folder.path().join("jetway.wasm"), module)?;

    let text = std::fs::read_to_string(example)?;
    let place = folder
        .path()
        .to_str()
        .context("the folder's name is text")?;
    ensure!(
        text.contains(EXPECTED),
        "the example has other paths than this test replaces"
    );
    let text = text.replace(EXPECTED, place);
    write_certificates(folder.path(), &text)?;
    let file = folder.path().join("envoy.yaml");
    std::fs::write(&file, text)?;

    let mut envoy = Command::new(&installed.envoy);
    envoy
        .args([
            "--mode",
            "validate",
            "--log-level",
            "warn",
            "--use-dynamic-base-id",
            "-c",
        ])
        .arg(&file);
    output_of(envoy.envs(Secrets::draw()?.variables()))?;
    Ok(())
}

/// Writes the files that the example expects in this folder: authorities, keys and certificates, recognised by their
/// names.
fn write_certificates(folder: &Path, example: &str) -> Result<()> {
    let authority = Authority::create("Jetway test authority")?;
    let (chain, key) = authority
        .issue(&["cockpit.example.com"])?
        .write(folder, "certificate")?;
    std::fs::create_dir(folder.join("tls"))?;
    let place = folder.to_str().context("the folder's name is text")?;
    let named = example
        .lines()
        .filter_map(|line| line.trim().strip_prefix("filename: "))
        .filter(|path| path.starts_with(place) && path.ends_with(".pem"));
    for path in named {
        if path.ends_with("ca.pem") {
            std::fs::write(path, authority.pem())?;
        } else if path.ends_with("key.pem") {
            std::fs::copy(&key, path)?;
        } else {
            std::fs::copy(&chain, path)?;
        }
    }
    Ok(())
}
