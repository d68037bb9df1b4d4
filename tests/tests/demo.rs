//! `jetway-demo` from a first user's point of view: its own provider and certificate, in front of a real Cockpit.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    ALICE, BOB, Cockpit, Dialer, Installed, MALLORY, Port, Process, Response, UnixUser, UserAgent,
    eventually, output_of, run_without_proxy,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;
use url::Url;

/// A running demo and a Cockpit that is configured for it.
struct Demo {
    process: Process,
    url: Url,
    dialer: Dialer,
    _cockpit: Option<Cockpit>,
    ports: [Port; 2],
    _folder: TempDir,
}

impl Demo {
    /// Starts `jetway-demo`. Cockpit gets the configuration that `jetway-demo --probe` prints, or is not started.
    async fn start(with_cockpit: bool) -> Result<Self> {
        Self::start_with(with_cockpit, &[]).await
    }

    /// Starts `jetway-demo` with single sign-on, for which there is a folder, and further arguments.
    async fn start_with(with_cockpit: bool, arguments: &[&str]) -> Result<Self> {
        let program = Installed::locate()?.demo()?;
        let folder = tempfile::Builder::new().prefix("jetway-demo-").tempdir()?;
        let (application, provider, upstream) =
            (Port::reserve()?, Port::reserve()?, Port::reserve()?);
        let mut command = Command::new(program);
        command
            .args(["--address", &format!("127.0.0.1:{}", application.number())])
            .args(["--provider-port", &provider.number().to_string()])
            .args([
                "--upstream",
                &format!("http://127.0.0.1:{}", upstream.number()),
            ])
            .args(arguments);
        if !arguments.is_empty() {
            std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
            command.arg("--session-folder").arg(folder.path());
        }
        let cockpit = if with_cockpit {
            Some(start_cockpit(&command, upstream, folder.path()).await?)
        } else {
            None
        };

        let authority = folder.path().join("authority.pem");
        command.arg("--authority").arg(&authority);
        let mut process = Process::start("demo", &command, folder.path())?;
        eventually(
            "the demo says that it is ready",
            Duration::from_secs(40),
            async || {
                process.ensure_running()?;
                ensure!(process.log().contains("Ctrl-C"), "not yet");
                Ok(())
            },
        )
        .await?;
        Ok(Self {
            process,
            url: Url::parse(&format!(
                "https://cockpit.localhost:{}/",
                application.number()
            ))?,
            dialer: Dialer::new(CertificateDer::from_pem_file(&authority)?),
            _cockpit: cockpit,
            ports: [application, provider],
            _folder: folder,
        })
    }

    fn provider_port(&self) -> u16 {
        self.ports[1].number()
    }

    fn user_agent(&self) -> UserAgent {
        UserAgent::new(self.dialer.clone())
    }

    /// Signs in at the demo provider and returns the application's response.
    async fn sign_in(&self, client: &mut UserAgent, account: &str) -> Result<Response> {
        let (page, shown) = client.follow(&self.url).await?;
        let shown = shown.expect(200)?.text();
        ensure!(
            page.host_str() == Some("idp.localhost"),
            "`{page}` is not the demo provider"
        );
        ensure!(
            shown.contains("not for production"),
            "the page says what it is: {shown}"
        );
        let request = between(&shown, "name=\"request\" value=\"", "\"")
            .context("the form names the sign-in")?;
        let fields = [("request", request), ("account", account)];
        let answer = client
            .post_form(&page.join("/authorize")?, &fields)
            .await?
            .expect(303)?;
        let callback = Url::parse(
            answer
                .header("location")
                .context("the provider redirects")?,
        )?;
        Ok(client.follow(&callback).await?.1)
    }
}

async fn start_cockpit(demo: &Command, port: Port, folder: &Path) -> Result<Cockpit> {
    let mut probe = Command::new(demo.get_program());
    let said = String::from_utf8(output_of(probe.args(demo.get_args()).arg("--probe"))?)?;
    let conf = said
        .strip_prefix("silent\n")
        .context("nothing answers before Cockpit is started")?;
    // The demo has not created the authority yet, and Cockpit speaks plain HTTP.
    let any = Dialer::new(CertificateDer::from(Vec::new()));
    let cockpit = Cockpit::start(port, conf, folder, &any).await?;
    let mut probe = Command::new(demo.get_program());
    let said = String::from_utf8(output_of(probe.args(demo.get_args()).arg("--probe"))?)?;
    ensure!(
        said.starts_with("ready\n"),
        "Cockpit has what it needs: {said}"
    );
    Ok(cockpit)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?
        .1
        .split_once(after)
        .map(|(found, _)| found)
}

#[test]
fn alice_and_bob_reach_cockpit_and_mallory_does_not() -> Result<()> {
    run_without_proxy(async || {
        let mut demo = Demo::start(true).await?;
        let user = UnixUser::create()?;

        let mut alice = demo.user_agent();
        let page = demo.sign_in(&mut alice, ALICE).await?.expect(200)?.text();
        ensure!(
            page.contains("login-user-input"),
            "Cockpit's login page comes next: {page}"
        );
        alice.log_in_to_cockpit(&demo.url, &user).await?;
        assert_eq!(
            alice.run_in_cockpit(&demo.url, "id -un").await?,
            format!("{}\n", user.name)
        );

        demo.sign_in(&mut demo.user_agent(), BOB)
            .await?
            .expect(200)?;

        let mut mallory = demo.user_agent();
        let page = demo
            .sign_in(&mut mallory, MALLORY)
            .await?
            .expect(403)?
            .text();
        ensure!(page.contains(MALLORY), "the page names the account: {page}");
        ensure!(
            mallory.log_in_to_cockpit(&demo.url, &user).await.is_err(),
            "nor does a Unix password help"
        );

        let said = demo.process.log();
        ensure!(
            said.contains("answers and accepts https://cockpit.localhost:"),
            "{said}"
        );
        demo.process.terminate();
        let status = demo.process.finish(Duration::from_secs(15)).await?;
        ensure!(
            status.success(),
            "a stop that was asked for is no failure: {status}"
        );
        Ok(())
    })
}

/// Returns whether this machine has a Unix user of this name.
fn has_account(name: &str) -> Result<bool> {
    let text = std::fs::read_to_string("/etc/passwd")?;
    let mut names = text.lines().filter_map(|line| line.split(':').next());
    Ok(names.any(|known| known == name))
}

/// Returns the rule by which an account becomes root in Cockpit.
fn sudo_rule(name: &str) -> PathBuf {
    Path::new("/etc/sudoers.d").join(name)
}

/// The Unix users that a demo has created, as it has announced them.
struct Users {
    alice: String,
    bob: String,
}

impl Users {
    fn read(said: &str) -> Result<Self> {
        let alice = between(said, "alice is the Unix user ", ", with administrative");
        let bob = between(said, "bob is the Unix user ", ", without");
        Ok(Self {
            alice: alice.with_context(|| said.to_owned())?.to_owned(),
            bob: bob.with_context(|| said.to_owned())?.to_owned(),
        })
    }

    fn ensure_present(&self) -> Result<()> {
        for name in [&self.alice, &self.bob] {
            ensure!(has_account(name)?, "{name} is created");
        }
        ensure!(sudo_rule(&self.alice).exists() && !sudo_rule(&self.bob).exists());
        Ok(())
    }

    fn ensure_gone(&self, said: &str) -> Result<()> {
        for name in [&self.alice, &self.bob] {
            ensure!(!has_account(name)?, "{name} is removed again");
            ensure!(!Path::new("/home").join(name).exists(), "{name}");
            ensure!(!sudo_rule(name).exists(), "{name}");
            let line = format!("removed: the Unix user {name}, ");
            ensure!(said.contains(&line), "it says so: {said}");
        }
        Ok(())
    }
}

#[test]
fn alice_is_an_administrator_and_bob_is_not_and_both_users_are_removed() -> Result<()> {
    run_without_proxy(async || {
        // As `make demo` starts it for root.
        let mut demo = Demo::start_with(true, &["--host", "cockpit.localhost"]).await?;
        let users = Users::read(&demo.process.log())?;
        users.ensure_present()?;
        for (account, user, is_administrator) in
            [(ALICE, &users.alice, true), (BOB, &users.bob, false)]
        {
            let mut client = demo.user_agent();
            let page = demo.sign_in(&mut client, account).await?.expect(200)?;
            ensure!(
                page.text().contains("/.pomerium/cockpit/token"),
                "Cockpit's login page goes on by itself: {}",
                page.text()
            );
            ensure!(page.header("strict-transport-security").is_none());
            let login = client
                .try_to_log_in_to_cockpit(&demo.url, "Bearer sso")
                .await?;
            login.expect(200)?;
            assert_eq!(
                client.run_in_cockpit(&demo.url, "id -un").await?,
                format!("{user}\n")
            );
            let as_root = client.run_as_root_in_cockpit(&demo.url, "id -un").await;
            match as_root {
                Ok(name) => ensure!(is_administrator && name == "root\n", "{account}: {name}"),
                Err(error) => ensure!(!is_administrator, "{account}: {error:#}"),
            }
            let session = client.navigate(&demo.url.join("/.pomerium/")?).await?;
            let text = session.expect(200)?.text();
            let word = if is_administrator { "with" } else { "without" };
            let line = format!("as the Unix user {user}, {word} administrative access");
            ensure!(text.contains(&line), "{line}: {text}");
        }
        demo.sign_in(&mut demo.user_agent(), MALLORY)
            .await?
            .expect(403)?;

        demo.process.terminate();
        let status = demo.process.finish(Duration::from_secs(20)).await?;
        ensure!(status.success(), "{status}");
        users.ensure_gone(&demo.process.log())
    })
}

#[test]
fn a_closed_terminal_removes_what_ctrl_c_removes() -> Result<()> {
    run_without_proxy(async || {
        let mut demo = Demo::start_with(true, &["--host", "cockpit.localhost"]).await?;
        let users = Users::read(&demo.process.log())?;
        users.ensure_present()?;
        demo.process.hang_up()?;
        let status = demo.process.finish(Duration::from_secs(20)).await?;
        ensure!(status.success(), "{status}");
        users.ensure_gone(&demo.process.log())
    })
}

/// The script starts a Cockpit for the demo, which ends with it.
#[test]
fn the_script_says_what_it_has_removed_and_what_stays() -> Result<()> {
    run_without_proxy(async || {
        let folder = tempfile::tempdir()?;
        let release = folder.path().join("release");
        std::fs::create_dir(&release)?;
        std::os::unix::fs::symlink(Installed::locate()?.demo()?, release.join("jetway-demo"))?;
        let (application, provider) = (Port::reserve()?, Port::reserve()?);
        let mut command = Command::new("bash");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/demo.sh"))
            .args(["--address", &format!("127.0.0.1:{}", application.number())])
            .args(["--provider-port", &provider.number().to_string()])
            .env("CARGO_TARGET_DIR", folder.path())
            .env_remove("COCKPIT_URL");
        let mut script = Process::start("script", &command, folder.path())?;
        eventually("the demo is ready", Duration::from_secs(60), async || {
            script.ensure_running()?;
            ensure!(script.log().contains("Ctrl-C"), "not yet");
            Ok(())
        })
        .await?;
        let said = script.log();
        ensure!(
            said.contains("answers and accepts https://cockpit.localhost:"),
            "{said}"
        );
        let users = Users::read(&said)?;
        users.ensure_present()?;
        script.hang_up()?;
        let status = script.finish(Duration::from_secs(30)).await?;
        ensure!(status.success(), "{status}");
        let said = script.log();
        users.ensure_gone(&said)?;
        for part in [
            "removed: Cockpit's web service of the demo",
            "stays: the build in",
        ] {
            ensure!(said.contains(part), "{part}: {said}");
        }
        Ok(())
    })
}

/// Another account of the machine must not become root by the demo.
#[test]
fn a_program_of_another_account_cannot_sign_in() -> Result<()> {
    run_without_proxy(async || {
        let demo = Demo::start_with(true, &["--host", "cockpit.localhost"]).await?;
        let user = UnixUser::create()?;
        let issuer = format!("https://127.0.0.1:{}/", demo.provider_port());
        let ask = |other: Option<&str>| {
            let mut command = Command::new("setpriv");
            if let Some(name) = other {
                command.args(["--reuid", name, "--regid", name, "--clear-groups"]);
            }
            command.args(["curl", "--silent", "--insecure", "--max-time", "20"]);
            output_of(command.args(["--write-out", "%{http_code}", &issuer]))
        };
        let own = String::from_utf8(ask(None)?)?;
        ensure!(
            own.contains("This is the demo provider") && own.ends_with("200"),
            "{own}"
        );
        let foreign = String::from_utf8(ask(Some(&user.name))?)?;
        ensure!(
            foreign.contains("Not from this account") && foreign.ends_with("403"),
            "{foreign}"
        );
        Ok(())
    })
}

#[test]
fn the_password_is_one_flag_away_and_public_addresses_get_no_shell() -> Result<()> {
    run_without_proxy(async || {
        let mut demo = Demo::start_with(true, &["--password"]).await?;
        let said = demo.process.log();
        ensure!(said.contains("Cockpit's own login page"), "{said}");
        let user = UnixUser::create()?;
        let mut alice = demo.user_agent();
        demo.sign_in(&mut alice, ALICE).await?.expect(200)?;
        alice.log_in_to_cockpit(&demo.url, &user).await?;
        demo.process.terminate();
        demo.process.finish(Duration::from_secs(20)).await?;

        // Where anyone can be alice, Cockpit keeps its own login.
        let port = Port::reserve()?;
        let mut open = Command::new(Installed::locate()?.demo()?);
        open.args(["--probe", "--session-folder", "/run/jetway"])
            .args(["--address", &format!("0.0.0.0:{}", port.number())]);
        let said = String::from_utf8(output_of(&mut open)?)?;
        ensure!(!said.contains("UnixPath"), "{said}");
        Ok(())
    })
}

#[test]
fn without_cockpit_it_starts_and_says_what_is_missing() -> Result<()> {
    run_without_proxy(async || {
        let demo = Demo::start(false).await?;
        let said = demo.process.log();
        ensure!(
            said.contains("nothing answers at http://127.0.0.1:"),
            "{said}"
        );
        ensure!(said.contains("COCKPIT_URL="), "{said}");
        demo.sign_in(&mut demo.user_agent(), ALICE)
            .await?
            .expect(503)?;
        eventually(
            "the failure is logged",
            Duration::from_secs(30),
            async || {
                let said = demo.process.log();
                ensure!(
                    said.contains("no usable response for a permitted request"),
                    "{said}"
                );
                Ok(())
            },
        )
        .await
    })
}

/// The demo provider is in the demo alone: no other program contains its pages.
#[test]
fn the_proxy_itself_has_no_provider() -> Result<()> {
    const ON_EACH_PAGE: &[u8] = b"Anyone can sign in as any account here";
    let installed = Installed::locate()?;
    for (program, expected) in [
        (installed.jetway()?.to_owned(), false),
        (installed.demo()?, true),
    ] {
        let bytes = std::fs::read(&program)?;
        let found = bytes
            .windows(ON_EACH_PAGE.len())
            .any(|window| window == ON_EACH_PAGE);
        ensure!(found == expected, "{}", program.display());
    }
    Ok(())
}

/// The script of `make demo`, which checks ports before `jetway-demo` is built.
const SCRIPT: &str = include_str!("../../host/demo.sh");

/// Runs `make demo` with a `cargo` that builds nothing, into a new folder. Returns whether it was called, and the output.
fn make_demo(arguments: &str) -> Result<(bool, String)> {
    make_demo_with(arguments, &[("COCKPIT_URL", "http://127.0.0.1:1")])
}

fn make_demo_with(arguments: &str, variables: &[(&str, &str)]) -> Result<(bool, String)> {
    let folder = tempfile::tempdir()?;
    let (cargo, asked) = (folder.path().join("cargo"), folder.path().join("asked"));
    std::fs::write(
        &cargo,
        format!("#!/bin/sh\ntouch '{}'\nexit 1\n", asked.display()),
    )?;
    std::fs::set_permissions(&cargo, Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH")?;
    let mut make = Command::new("make");
    make.args(["demo", &format!("ARGS={arguments}")])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("CARGO_TARGET_DIR", folder.path())
        .envs(variables.iter().copied());
    // Variables of a make, or a sudo, that runs these tests.
    for name in ["MAKEFLAGS", "MAKELEVEL", "SUDO_USER"] {
        make.env_remove(name);
    }
    let output = make.output()?;
    ensure!(!output.status.success(), "without a build there is no demo");
    let said = [output.stdout, output.stderr].concat();
    Ok((asked.exists(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn arguments_that_the_demo_refuses_are_reported_before_anything_is_built() -> Result<()> {
    for (arguments, part) in [
        ("--hots example.org", "`--hots` is not an option"),
        ("--host", "the option --host needs a value"),
        (
            "--host cockpit.localhost:8443",
            "the port goes to --address",
        ),
        (
            "--host https://cockpit.localhost",
            "the port goes to --address",
        ),
        (
            "--unix-user no-such-user",
            "there is no Unix user `no-such-user`",
        ),
    ] {
        let (asked, said) = make_demo(arguments)?;
        ensure!(said.contains(part), "{part}: {said}");
        ensure!(!asked, "{arguments}: cargo was started: {said}");
    }
    Ok(())
}

#[test]
fn a_taken_port_is_reported_before_anything_is_built() -> Result<()> {
    let held = TcpListener::bind("127.0.0.1:0")?;
    let held_port = held.local_addr()?.port();
    let (free, other) = (Port::reserve()?, Port::reserve()?);
    for arguments in [
        format!("--address 127.0.0.1:{held_port}"),
        format!(
            "--address=0.0.0.0:{held_port} --provider-port {}",
            free.number()
        ),
        format!(
            "--address 127.0.0.1:{} --provider-port {held_port}",
            free.number()
        ),
    ] {
        let (asked, said) = make_demo(&arguments)?;
        ensure!(
            said.contains(&format!("port {held_port} is taken")),
            "{said}"
        );
        ensure!(!asked, "{arguments}: cargo was started: {said}");
    }
    let (asked, said) = make_demo(&format!(
        "--address 127.0.0.1:{} --provider-port {}",
        free.number(),
        other.number()
    ))?;
    ensure!(asked, "with free ports it is built: {said}");
    ensure!(
        said.contains("The first build takes about ten minutes"),
        "it says how long that takes: {said}"
    );
    Ok(())
}

#[test]
fn the_script_knows_the_usual_ports_and_the_options() -> Result<()> {
    let mut help = Command::new(Installed::locate()?.demo()?);
    let help = String::from_utf8(output_of(help.args(["--help"]))?)?;
    let usual = |name: &str| {
        let line = SCRIPT.lines().find_map(|line| line.strip_prefix(name));
        line.with_context(|| format!("the script sets `{name}`"))
    };
    let address = format!("{}:{}", usual("usual_address=")?, usual("usual_port=")?);
    for value in [&address, usual("usual_provider_port=")?] {
        ensure!(
            help.contains(&format!("[default: {value}]")),
            "{value}: {help}"
        );
    }
    let known: Vec<&str> = ["options=(", "flags=("]
        .into_iter()
        .map(|list| usual(list).map(|names| names.trim_end_matches(')')))
        .collect::<Result<_>>()?;
    let known: Vec<&str> = known.iter().flat_map(|names| names.split(' ')).collect();
    let words = help.split_whitespace();
    for option in words.filter(|word| word.starts_with("--")) {
        let option = option.trim_end_matches(['.', ',', ':', ')', ']']);
        ensure!(known.contains(&option), "{option} of {help} in {known:?}");
    }
    Ok(())
}
