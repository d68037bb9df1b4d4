//! `jetway-demo` from a first user's point of view: its own provider and certificate, in front of a real Cockpit.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
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
    _ports: [Port; 2],
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
            _ports: [application, provider],
            _folder: folder,
        })
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

/// Returns the accounts of this machine that demos have created.
fn demo_accounts() -> Result<Vec<String>> {
    let text = std::fs::read_to_string("/etc/passwd")?;
    let names = text.lines().filter_map(|line| line.split(':').next());
    let ours = names.filter(|name| name.starts_with("jetway-demo-"));
    Ok(ours.map(str::to_owned).collect())
}

#[test]
fn single_sign_on_needs_no_password() -> Result<()> {
    run_without_proxy(async || {
        // As `make demo` starts it for root.
        let mut demo = Demo::start_with(true, &["--host", "cockpit.localhost"]).await?;
        let said = demo.process.log();
        let user = between(&said, "you are the Unix user ", "\n").context("it says who")?;
        ensure!(
            demo_accounts()?.contains(&user.to_owned()),
            "{user} is made"
        );

        for account in [ALICE, BOB] {
            let mut client = demo.user_agent();
            let page = demo.sign_in(&mut client, account).await?.expect(200)?;
            ensure!(
                page.text().contains("/.pomerium/cockpit/token"),
                "Cockpit's login page goes on by itself: {}",
                page.text()
            );
            let login = client
                .try_to_log_in_to_cockpit(&demo.url, "Bearer sso")
                .await?;
            login.expect(200)?;
            assert_eq!(
                client.run_in_cockpit(&demo.url, "id -un").await?,
                format!("{user}\n")
            );
        }
        demo.sign_in(&mut demo.user_agent(), MALLORY)
            .await?
            .expect(403)?;

        demo.process.terminate();
        let status = demo.process.finish(Duration::from_secs(20)).await?;
        ensure!(status.success(), "{status}");
        ensure!(
            !demo_accounts()?.contains(&user.to_owned()),
            "{user} is removed again"
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
        Ok(())
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

/// Runs `make demo` with a `cargo` that builds nothing. Returns whether it was called, and the output.
fn make_demo(arguments: &str) -> Result<(bool, String)> {
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
        .env("COCKPIT_URL", "http://127.0.0.1:1");
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
    Ok(())
}

#[test]
fn the_script_knows_the_usual_ports() -> Result<()> {
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
    Ok(())
}
