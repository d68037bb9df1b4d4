//! Every command of README.md, CONTRIBUTING.md and docs/ is run. A command that is not in the table below fails the test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use jetway_tests::{
    Certificate, Installed, Port, Process, Secrets, eventually, output_of, run_without_proxy,
};
use tempfile::TempDir;

const README: &str = include_str!("../../README.md");
const GUIDE: &str = include_str!("../../docs/guide.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const DOCUMENTS: [&str; 6] = [
    README,
    GUIDE,
    OPERATIONS,
    include_str!("../../docs/envoy.md"),
    include_str!("../../docs/performance.md"),
    include_str!("../../CONTRIBUTING.md"),
];

/// How a command is run, and how its success is recognised.
enum How {
    /// In the operator's folder; its output contains this string.
    Prints(&'static str),
    /// In the operator's folder, where the files and servers that the file names do not exist: the command reports
    /// that, and fails.
    Finds(&'static str),
    /// As root on Cockpit's machine, which a folder replaces: this machine is not changed.
    OnCockpitsMachine(&'static str),
    /// On systemd: `systemd.rs` runs it with the rest of the guide, and `package.rs` does the same.
    UnderSystemd,
    /// In the operator's folder; it refuses, and standard error contains this string.
    Refuses(&'static str),
    /// In the operator's folder; it writes this file.
    Writes(&'static str),
    /// In the operator's folder; it serves until a signal stops it, after printing this.
    Serves(&'static str),
    /// In the repository.
    PrintsAtHome(&'static str),
    /// In the repository with its own ports; it serves until a signal stops it.
    Demo,
    /// The command runs this test itself.
    Ci,
    /// The command builds or tests parts of this repository, for which it would wait for the build that runs this test.
    Builds,
}

/// In the order in which they are run: later ones use the files of earlier ones.
const COMMANDS: &[(&str, How)] = &[
    ("make demo", How::Demo),
    (
        "COCKPIT_URL=http://server.example:9090 make demo",
        How::Demo,
    ),
    (
        "make demo ARGS=\"--host server.example --address 0.0.0.0\"",
        How::Demo,
    ),
    ("make test", How::Ci),
    ("make test-systemd", How::Ci),
    // A part of `make test`.
    ("make test-core", How::Ci),
    ("make help", How::PrintsAtHome("make demo")),
    (
        "make test-core-quick CORE_TESTS=gate::tests::sign_in",
        How::Builds,
    ),
    ("make quick-module", How::Builds),
    ("make instructions", How::Builds),
    ("make instructions WRITE=1", How::Builds),
    ("make profile", How::Builds),
    ("make bench", How::Builds),
    (
        "make bench ARGS=\"--only requests,tls --rounds 2\"",
        How::Builds,
    ),
    (
        "make bench ARGS=\"--jetway /tmp/before/jetway --json /tmp/before.json\"",
        How::Builds,
    ),
    (
        "JETWAY_FILTER_WASM=$PWD/target/module/wasm32-wasip1/module/jetway_filter.wasm cargo test --release -p jetway-tests --test sign_in",
        How::Builds,
    ),
    // Without a terminal.
    (
        "jetway init",
        How::Refuses("these options are missing: --host"),
    ),
    ("jetway keygen", How::Prints("cookie_secret: ")),
    (
        "jetway check -c jetway.yaml",
        How::Prints("jetway.yaml: ok, 1 route"),
    ),
    (
        "jetway cockpit conf -c jetway.yaml",
        How::Prints("Origins = https://cockpit.example.com"),
    ),
    ("jetway run -c jetway.yaml", How::Serves("listening on")),
    ("jetway module > jetway.wasm", How::Writes("jetway.wasm")),
    (
        "jetway envoy-config -c jetway.yaml --module jetway.wasm > envoy.yaml",
        How::Writes("envoy.yaml"),
    ),
    (
        "jetway doctor -c jetway.yaml",
        How::Finds("https://idp.example.com"),
    ),
    (
        "jetway check -c jetway.yaml",
        How::Prints("idp_provider_url"),
    ),
    (
        "jetway explain -c jetway.yaml --as mallory@example.com GET https://cockpit.example.com/",
        How::Prints("email-unauthorized"),
    ),
    (
        "jetway test -c jetway.yaml cases.yaml",
        How::Prints("3 passed, 0 failed"),
    ),
    (
        "jetway schema > jetway.schema.json",
        How::Writes("jetway.schema.json"),
    ),
    (SIGN_ON, How::Prints("the Unix user `alice`")),
    (
        "jetway cockpit setup -c jetway.yaml --print",
        How::OnCockpitsMachine("jetway-cockpit-session.socket"),
    ),
    (
        "sudo install -D -m 755 target/release/jetway-cockpit-session /usr/local/libexec/jetway-cockpit-session",
        How::OnCockpitsMachine(""),
    ),
    (
        "sudo jetway cockpit setup -c jetway.yaml",
        How::OnCockpitsMachine("jetway-cockpit-session.socket"),
    ),
    (
        "sudo systemctl try-restart cockpit.service",
        How::UnderSystemd,
    ),
    ("sudo jetway doctor -c jetway.yaml", How::UnderSystemd),
    (
        "sudo apt install ./target/debian/jetway_*.deb",
        How::UnderSystemd,
    ),
    ("sudoedit /etc/jetway/jetway.yaml", How::UnderSystemd),
    (
        "curl --fail --silent --unix-socket /run/jetway/admin.sock http://localhost/readyz",
        How::UnderSystemd,
    ),
    (
        "sudo systemctl enable --now jetway.socket jetway.service",
        How::UnderSystemd,
    ),
    (
        "jetway cockpit keys -c jetway.yaml > jwks.json",
        How::Writes("jwks.json"),
    ),
    (
        "sudo jetway cockpit setup --host cockpit.example.com --keys jwks.json",
        // The result is the same as with the file.
        How::OnCockpitsMachine("nothing was changed"),
    ),
    (
        "sudo jetway cockpit setup --undo",
        How::OnCockpitsMachine("cockpit.conf"),
    ),
];

/// From here on the file has the route with single sign-on.
const SIGN_ON: &str =
    "jetway explain -c jetway.yaml --as alice@example.com GET https://cockpit.example.com/";

#[test]
fn every_command_is_known() {
    let written: BTreeSet<&str> = DOCUMENTS.into_iter().flat_map(commands).collect();
    let known: BTreeSet<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    assert_eq!(written, known);
}

#[test]
fn the_commands_of_an_operator_work() -> Result<()> {
    run_without_proxy(async || {
        let place = Place::prepare()?;
        for (command, how) in COMMANDS {
            if *command == SIGN_ON {
                place.sign_on()?;
            }
            let result = match how {
                How::Finds(text) => place.finds(command, text),
                How::Refuses(text) => place.refuses(command, text),
                How::OnCockpitsMachine(text) => place.on_cockpits_machine(command, text),
                How::Prints(text) => place.prints(command, place.folder.path(), text),
                How::PrintsAtHome(text) => place.prints(command, &home(), text),
                How::Writes(file) => place.writes(command, file),
                How::Serves(text) => place.serves(command, text).await,
                How::Demo | How::Ci | How::Builds | How::UnderSystemd => Ok(()),
            };
            result.with_context(|| format!("`{command}`"))?;
        }
        Ok(())
    })
}

#[test]
fn the_demo_starts_what_it_needs_and_stops_it_again() -> Result<()> {
    run_without_proxy(async || {
        let place = Place::prepare()?;
        let said = place.demo("make demo", &[], &[]).await?;
        ensure!(said.contains("without a second password"), "{said}");
        // No server answers there, so the command is the same and no other machine is contacted.
        let silent = Port::reserve()?;
        let elsewhere = format!("http://127.0.0.1:{}", silent.number());
        place
            .demo("make demo", &[], &[("COCKPIT_URL", &elsewhere)])
            .await?;
        let said = place
            .demo(
                "make demo",
                &["--host", "server.example"],
                &[("COCKPIT_URL", &elsewhere)],
            )
            .await?;
        ensure!(said.contains("https://server.example:"), "{said}");
        Ok(())
    })
}

/// Returns the lines of a document's `sh` blocks.
fn commands(document: &'static str) -> impl Iterator<Item = &'static str> {
    blocks(document, "sh")
        .flat_map(str::lines)
        .filter(|line| !line.is_empty())
}

/// Returns a document's blocks in this language.
fn blocks(document: &'static str, language: &str) -> impl Iterator<Item = &'static str> {
    document
        .split(&format!("```{language}\n"))
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect::<Vec<_>>()
        .into_iter()
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// An operator's folder with the configuration of the README and the files that it names.
struct Place {
    folder: TempDir,
    path: String,
}

impl Place {
    fn prepare() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("jetway-readme-")
            .tempdir()?;
        let yaml = blocks(README, "yaml")
            .next()
            .context("the README has a file")?;
        let cases = blocks(OPERATIONS, "yaml")
            .next()
            .context("the page about operations has cases")?;
        std::fs::write(folder.path().join("cases.yaml"), cases)?;
        let port = Port::reserve()?;
        let listening = format!("address: 127.0.0.1:{}\n", port.number());
        ensure!(
            yaml.contains("address: :443\n"),
            "this test replaces the address"
        );
        std::fs::write(
            folder.path().join("jetway.yaml"),
            yaml.replace("address: :443\n", &listening),
        )?;
        let certificate = Certificate::create(folder.path(), &["cockpit.example.com"])?;
        std::fs::copy(&certificate.chain, folder.path().join("fullchain.pem"))?;
        std::fs::copy(&certificate.key, folder.path().join("privkey.pem"))?;
        let secrets = Secrets::draw()?;
        std::fs::write(folder.path().join("cookie-secret"), &secrets.cookie)?;
        std::fs::write(folder.path().join("client-secret"), &secrets.client)?;

        let installed = Installed::locate()?;
        let programs = installed
            .jetway()?
            .parent()
            .context("the binary is in a folder")?;
        let inherited = std::env::var("PATH").unwrap_or_default();
        Ok(Self {
            folder,
            path: format!("{}:{inherited}", programs.display()),
        })
    }

    fn shell(&self, command: &str, folder: &Path) -> Command {
        let mut shell = Command::new("bash");
        shell
            .stdin(Stdio::null())
            .args(["-euc", command])
            .current_dir(folder)
            .env("PATH", &self.path);
        shell
    }

    fn prints(&self, command: &str, folder: &Path, text: &str) -> Result<()> {
        let output = String::from_utf8(output_of(&mut self.shell(command, folder))?)?;
        ensure!(
            output.contains(text),
            "`{text}` is not in what it prints: {output}"
        );
        Ok(())
    }

    /// Adds the route of the guide to single sign-on to the file.
    fn sign_on(&self) -> Result<()> {
        let route = blocks(GUIDE, "yaml")
            .next()
            .context("the guide has a route")?;
        let file = self.folder.path().join("jetway.yaml");
        let text = std::fs::read_to_string(&file)?;
        let (top, _) = text
            .split_once("routes:\n")
            .context("the file has routes")?;
        std::fs::write(&file, format!("{top}{route}"))?;
        Ok(())
    }

    fn refuses(&self, command: &str, text: &str) -> Result<()> {
        let output = self.shell(command, self.folder.path()).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(1) && error.contains(text),
            "{}: {error}",
            output.status
        );
        Ok(())
    }

    fn finds(&self, command: &str, text: &str) -> Result<()> {
        let output = self.shell(command, self.folder.path()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.code() == Some(1) && said.contains(text),
            "{}: {said} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Runs a command of root's with a folder as the machine's root folder.
    fn on_cockpits_machine(&self, command: &str, text: &str) -> Result<()> {
        let machine = self.folder.path().join("machine");
        std::fs::create_dir_all(machine.join("etc/cockpit"))?;
        // This unit shows the command that a Cockpit is installed, of the release in Debian 12.
        let units = machine.join("usr/lib/systemd/system");
        std::fs::create_dir_all(&units)?;
        std::fs::write(units.join("cockpit.service"), "")?;
        let machine = machine.display();
        let command = command.strip_prefix("sudo ").unwrap_or(command);
        let command = if command.starts_with("install ") {
            let built = Installed::locate()?.cockpit_session()?;
            command
                .replace(
                    "target/release/jetway-cockpit-session",
                    &built.display().to_string(),
                )
                .replace("/usr/local", &format!("{machine}/usr/local"))
        } else {
            format!("{command} --root {machine}")
        };
        self.prints(&command, self.folder.path(), text)
    }

    fn writes(&self, command: &str, file: &str) -> Result<()> {
        output_of(&mut self.shell(command, self.folder.path()))?;
        let length = std::fs::metadata(self.folder.path().join(file))?.len();
        ensure!(length > 0, "`{file}` is empty");
        Ok(())
    }

    async fn serves(&self, command: &str, text: &str) -> Result<()> {
        let shell = self.shell(&format!("exec {command}"), self.folder.path());
        let mut process = Process::start("serves", &shell, self.folder.path())?;
        wait_for(&mut process, text).await?;
        stop(process).await
    }

    /// Runs `make demo` on free ports and returns its output.
    async fn demo(
        &self,
        command: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<String> {
        let (application, provider) = (Port::reserve()?, Port::reserve()?);
        let arguments = format!(
            "--address 127.0.0.1:{} --provider-port {} {}",
            application.number(),
            provider.number(),
            arguments.join(" ")
        );
        // The programs were built before this test; building again would wait for other builds.
        let command = command.replace("make", "make --assume-old=build");
        let mut shell = self.shell(&format!("exec {command} ARGS={arguments:?}"), &home());
        shell.envs(variables.iter().copied());
        if variables.is_empty() {
            shell.env_remove("COCKPIT_URL");
        }
        // A make that runs these tests would pass its own options down.
        shell.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        // A name of its own, because programs with the same name append to one log.
        let name = format!("demo-{}", application.number());
        let mut process = Process::start(&name, &shell, self.folder.path())?;
        wait_for(&mut process, "Ctrl-C").await?;
        let said = process.log();
        stop_demo(process).await?;
        Ok(said)
    }
}

async fn wait_for(process: &mut Process, text: &str) -> Result<()> {
    eventually(
        &format!("`{text}` is printed"),
        Duration::from_secs(60),
        async || {
            process.ensure_running()?;
            ensure!(process.log().contains(text), "it prints: {}", process.log());
            Ok(())
        },
    )
    .await
}

async fn stop(mut process: Process) -> Result<()> {
    process.terminate();
    let status = process.finish(Duration::from_secs(15)).await?;
    ensure!(
        status.success(),
        "a stop that was asked for is no failure: {status}"
    );
    Ok(())
}

/// Make itself reports that it was interrupted; what matters is that no process is left.
async fn stop_demo(mut process: Process) -> Result<()> {
    // Signals arrive at every moment of its end, as if Ctrl-C were held down.
    for _ in 0..40 {
        process.terminate();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    process.finish(Duration::from_secs(15)).await?;
    let said = process.log();
    let started = said
        .split_once("starting Cockpit's web service on 127.0.0.1:")
        .map(|(_, rest)| rest);
    if let Some((port, _)) = started.and_then(|rest| rest.split_once(' ')) {
        let port: u16 = port.parse()?;
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            bail!("Cockpit still answers on port {port}");
        }
    }
    Ok(())
}
