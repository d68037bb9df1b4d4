//! `jetway cockpit setup` on root folders of its own: both layouts of Cockpit, twice, and back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

const CONFIGURATION: &str = "\
insecure_server: true
idp_provider: oidc
idp_provider_url: https://idp.example.com
idp_client_id: jetway
idp_client_secret: secret
cookie_secret: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
signing_key_file: signing-key.pem
routes:
  - from: https://cockpit.example.com
    to: http://localhost:9090
    cockpit: {users: {alice@example.com: alice}}
    policy: [{allow: {or: [{email: {is: alice@example.com}}]}}]
";
const CONF: &str = "etc/cockpit/cockpit.conf";
const OPERATORS: &str = "# ours\n[WebService]\nOrigins = https://lab.example\n";
/// Units of Cockpit that tell its releases apart.
const UNITS: [&str; 2] = ["cockpit.service", "cockpit-session-socket-user.service"];

struct Place {
    folder: TempDir,
}

impl Place {
    /// A root folder with a Cockpit of the older or the newer layout.
    fn new(newer: bool) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let place = Self {
            folder: tempfile::tempdir()?,
        };
        let units = place.root().join("usr/lib/systemd/system");
        std::fs::create_dir_all(&units)?;
        for unit in UNITS.iter().take(if newer { 2 } else { 1 }) {
            std::fs::write(units.join(unit), "")?;
        }
        std::fs::create_dir_all(place.root().join("etc/cockpit"))?;
        std::fs::write(place.root().join(CONF), OPERATORS)?;
        let file = place.folder.path().join("jetway.yaml");
        std::fs::write(&file, CONFIGURATION)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        place.jetway(&["keygen", "--signing-key", "--out", "signing-key.pem"])?;
        Ok(place)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn jetway(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(env!("CARGO_BIN_EXE_jetway"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .output()?;
        let errors = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "{errors}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn setup(&self, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["cockpit", "setup", "--root", "root"];
        all.extend(arguments);
        self.jetway(&all)
    }

    fn text(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root().join(path)).with_context(|| path.to_owned())
    }

    fn everything(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                let bytes = if path.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else {
                    std::fs::read(&path)?
                };
                found.insert(path, bytes);
            }
        }
        Ok(found)
    }
}

#[test]
fn it_is_set_up_once_and_taken_back_byte_for_byte() -> Result<()> {
    for newer in [false, true] {
        let place = Place::new(newer)?;
        let before = place.everything()?;
        let told = place.setup(&["-c", "jetway.yaml"])?;
        ensure!(
            told.contains("created   /etc/systemd/system/jetway-cockpit-session.socket\n"),
            "{told}"
        );
        ensure!(
            told.contains("changed   /etc/cockpit/cockpit.conf: [WebService] ProtocolHeader"),
            "{told}"
        );
        ensure!(told.contains("systemctl daemon-reload"), "{told}");

        let group = if newer {
            "cockpit-session-socket"
        } else {
            "cockpit-wsinstance"
        };
        let socket = place.text("etc/systemd/system/jetway-cockpit-session.socket")?;
        ensure!(
            socket.contains(&format!("SocketGroup={group}\n")),
            "{socket}"
        );
        let drop_in = "etc/systemd/system/cockpit-wsinstance-http.service.d/jetway.conf";
        ensure!(place.root().join(drop_in).exists() == newer);
        let conf = place.text(CONF)?;
        ensure!(conf.starts_with(OPERATORS), "{conf}");

        let after = place.everything()?;
        let again = place.setup(&["-c", "jetway.yaml"])?;
        ensure!(again.contains("nothing was changed"), "{again}");
        ensure!(place.everything()? == after);

        let undone = place.setup(&["--undo"])?;
        ensure!(
            undone.contains("restored  /etc/cockpit/cockpit.conf\n"),
            "{undone}"
        );
        ensure!(place.everything()? == before, "{undone}");
    }
    Ok(())
}

#[test]
fn the_pinned_key_is_the_public_half() -> Result<()> {
    let place = Place::new(false)?;
    place.setup(&["-c", "jetway.yaml"])?;
    let pinned = place.text("etc/jetway/cockpit-session.jwks")?;
    let key = std::fs::read(place.folder.path().join("signing-key.pem"))?;
    let key = jetway_core::session::signing_key::AssertionKey::from_pem(&key)
        .map_err(anyhow::Error::msg)?;
    assert_eq!(pinned.trim_end(), key.key_set());
    ensure!(!pinned.contains("\"d\""), "the private half stays here");
    let conf = place.text("etc/jetway/cockpit-session.conf")?;
    ensure!(conf.contains("\nhost = cockpit.example.com\n"), "{conf}");
    ensure!(
        conf.contains("\nkeys_file = /etc/jetway/cockpit-session.jwks\n"),
        "{conf}"
    );
    Ok(())
}

/// Where Cockpit has the way by a unit of systemd and no sudo that it can use, administrators need polkit's rule.
#[test]
fn administrators_without_sudo_get_a_rule_for_polkit() -> Result<()> {
    const RULE: &str = "etc/polkit-1/rules.d/50-jetway-cockpit.rules";
    let mapped = "users: {alice@example.com: alice}";
    let administrators = "administrators: [{allow: {or: [{email: {is: alice@example.com}}]}}]";
    for (key, has_manifest, expected) in [
        (mapped.to_owned(), true, false),
        (format!("{mapped}, {administrators}"), true, true),
        (format!("{mapped}, {administrators}"), false, false),
    ] {
        let place = Place::new(true)?;
        let file = place.folder.path().join("jetway.yaml");
        std::fs::write(&file, CONFIGURATION.replace(mapped, &key))?;
        if has_manifest {
            let shell = place.root().join("usr/share/cockpit/shell");
            std::fs::create_dir_all(&shell)?;
            let bridges = "{\"bridges\": [{\"method\": \"StartTransientUnit\"}]}";
            std::fs::write(shell.join("manifest.json"), bridges)?;
        }
        let before = place.everything()?;
        let told = place.setup(&["-c", "jetway.yaml"])?;
        ensure!(
            place.root().join(RULE).exists() == expected,
            "{key}: {told}"
        );
        ensure!(
            told.contains("install the package `polkitd`") == expected,
            "{told}"
        );
        ensure!(
            told.contains("Administrators cannot become root") != has_manifest,
            "{told}"
        );
        place.setup(&["--undo"])?;
        ensure!(place.everything()? == before);
    }
    let place = Place::new(true)?;
    std::fs::write(
        place.folder.path().join("jwks.json"),
        place.jetway(&["cockpit", "keys", "-c", "jetway.yaml"])?,
    )?;
    let by_keys = ["--host", "cockpit.example.com", "--keys", "jwks.json"];
    let told = place.setup(&[&by_keys[..], &["--administrators"]].concat())?;
    ensure!(told.contains("Administrators cannot become root"), "{told}");
    Ok(())
}

#[test]
fn print_writes_nothing() -> Result<()> {
    let place = Place::new(true)?;
    let before = place.everything()?;
    let printed = place.setup(&["-c", "jetway.yaml", "--print"])?;
    ensure!(
        printed.contains("UnixPath = /run/jetway/session\n"),
        "{printed}"
    );
    ensure!(
        printed.contains("SocketGroup=cockpit-session-socket\n"),
        "{printed}"
    );
    ensure!(place.everything()? == before);
    Ok(())
}

#[test]
fn a_route_that_maps_no_users_changes_nothing() -> Result<()> {
    let place = Place::new(true)?;
    let file = place.folder.path().join("jetway.yaml");
    let mapped = "    cockpit: {users: {alice@example.com: alice}}\n";
    ensure!(CONFIGURATION.contains(mapped));
    std::fs::write(&file, CONFIGURATION.replace(mapped, ""))?;
    let before = place.everything()?;
    let refused = place
        .setup(&["-c", "jetway.yaml"])
        .err()
        .context("it is refused")?;
    ensure!(
        refused.to_string().contains("has no `cockpit` key"),
        "{refused}"
    );
    ensure!(place.everything()? == before);
    Ok(())
}

#[test]
fn without_cockpit_nothing_is_set_up() -> Result<()> {
    let place = Place::new(false)?;
    std::fs::remove_file(place.root().join("usr/lib/systemd/system/cockpit.service"))?;
    let refused = place
        .setup(&["-c", "jetway.yaml"])
        .err()
        .context("it is refused")?;
    ensure!(
        refused
            .to_string()
            .contains("Cockpit is not installed in `root`"),
        "{refused}"
    );
    ensure!(!place.root().join("etc/jetway").exists());
    Ok(())
}
