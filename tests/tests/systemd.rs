//! Single sign-on on servers with a real systemd: Debian 12 with its own Cockpit, and Debian 13 with that of its backports.
//! `make test-systemd` runs this; `tests/machines.sh` makes the servers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    ALICE, BOB, Browser, COCKPIT, DUMMY, Diagnosis, MALLORY, Machine, Person, Placement, Proxy,
    ProxyKind, Release, Route, Scene, SessionKey, UserAgent, eventually, on_both_proxies, run,
    within,
};
use serde_json::Value;
use url::Url;

on_both_proxies!(
    the_guide_leads_to_single_sign_on_with_debian_12,
    the_guide_leads_to_single_sign_on_with_backports,
);

/// Makes two tests of each scenario, `NAME::bookworm` and `NAME::trixie`, with the bundled host.
macro_rules! on_both_releases {
    ($($scenario:ident),+ $(,)?) => {
        $(
            mod $scenario {
                use super::*;

                #[test]
                fn bookworm() -> Result<()> {
                    on(Release::Bookworm)
                }

                #[test]
                fn trixie() -> Result<()> {
                    on(Release::Trixie)
                }

                fn on(release: Release) -> Result<()> {
                    let name = format!("{}-{}", stringify!($scenario), release.name());
                    run(&name, ProxyKind::Host, async |scene: &mut Scene| super::$scenario(scene, release).await)
                }
            }
        )+
    };
}

on_both_releases!(
    sessions_are_the_systems_and_end_with_either,
    the_setup_outlives_a_reboot_and_is_taken_back,
    false_assertions_and_accounts_are_refused,
    no_user_becomes_another,
    the_doctor_finds_what_is_wrong_on_the_machine,
);

#[test]
fn administrators_become_root_by_polkit_where_sudo_is_sudo_rs() -> Result<()> {
    let name = "administrators_become_root_by_polkit";
    run(name, ProxyKind::Host, async |scene: &mut Scene| {
        administrators_become_root_by_polkit(scene).await
    })
}

const GUIDE: &str = include_str!("../../docs/guide.md");
/// Longer than any expected event takes.
const LIMIT: Duration = Duration::from_secs(40);
/// The rule for sudo in the guide, and its file.
const SUDO_RULE: &str = "%sudo ALL=(root) NOPASSWD: /usr/bin/cockpit-bridge --privileged";
const SUDO_FILE: &str = "/etc/sudoers.d/cockpit";
/// The doctor's checks of single sign-on, by requests to Cockpit and by reading the machine's files.
const SIGN_ON: &str = "cockpit-single-sign-on";
const PROGRAM: &str = "cockpit-session-helper";
/// Runs the setup with a file that has another secret.
const OTHER_SECRET: &str = "head -c 32 /dev/urandom | base64 > other-secret; chmod 600 other-secret; \
    sed 's,^cookie_secret_file:.*,cookie_secret_file: other-secret,' jetway.yaml > other.yaml; \
    jetway cockpit setup -c other.yaml";
/// Restarts after a change of units. The first line resets the limit of starts in a row.
const RESTART: &str = "systemctl daemon-reload; systemctl reset-failed; systemctl restart jetway-cockpit-session.socket; systemctl restart cockpit.service";
/// Units that the setup starts for logins.
const SESSIONS: &str = "jetway-cockpit-session@*";

/// A server with Cockpit, and a proxy in front of it.
struct Server {
    machine: Machine,
    base: Url,
    /// The operator's folder on the server.
    desk: PathBuf,
    _proxy: Proxy,
}

impl Server {
    /// Starts a server without any setup.
    async fn open(scene: &mut Scene, release: Release) -> Result<Self> {
        let machine = Machine::boot(release, scene.logs()).await?;
        make_accounts(&machine)?;
        let routes = [Route::to_cockpit(&machine.cockpit(), "alice", "bob")];
        let proxy = scene.serve(&routes).await?;
        let desk = install_file_and_programs(scene, &machine, &routes)?;
        Ok(Self {
            machine,
            base: scene.url(COCKPIT, "/")?,
            desk,
            _proxy: proxy,
        })
    }

    /// Starts a server and follows the guide.
    async fn set_up(scene: &mut Scene, release: Release) -> Result<Self> {
        let server = Self::open(scene, release).await?;
        server.follow_the_guide().await?;
        Ok(server)
    }

    /// Runs an operator's command in the operator's folder.
    fn operate(&self, command: &str) -> Result<String> {
        self.machine
            .run(&format!("cd {}; {command}", self.desk.display()))
    }

    /// Runs the commands of the guide in their order, up to the one that reverts the setup.
    async fn follow_the_guide(&self) -> Result<()> {
        for command in guide() {
            self.operate(command)
                .with_context(|| format!("`{command}`"))?;
        }
        self.machine.wait_for_cockpit().await
    }

    /// Makes changes of units and files take effect.
    async fn restart(&self) -> Result<()> {
        self.machine
            .run(RESTART)
            .with_context(|| self.machine.journal("cockpit*").unwrap_or_default())?;
        self.machine.wait_for_cockpit().await
    }

    async fn enter(&self, client: &mut UserAgent, account: &str) -> Result<()> {
        client
            .sign_on_to_cockpit(&self.base, account)
            .await
            .with_context(|| self.machine.journal(SESSIONS).unwrap_or_default())?;
        Ok(())
    }

    /// Runs `jetway doctor` there.
    fn doctor(&self) -> Result<Diagnosis> {
        let command = format!(
            "cd {}; jetway doctor --format json -c jetway.yaml",
            self.desk.display()
        );
        Diagnosis::read(&self.machine.try_to_run(&command)?)
    }

    /// Returns the sessions of a Unix user that logind lists.
    fn logind_sessions(&self, user: &str) -> Result<Vec<String>> {
        let list = self
            .machine
            .run("loginctl list-sessions --no-legend --no-pager")?;
        let of_user = list.lines().filter(|line| line.contains(user));
        Ok(of_user
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    async fn expect_no_session(&self, user: &str) -> Result<()> {
        eventually("logind has no session any more", LIMIT, async || {
            let sessions = self.web_sessions(user)?;
            ensure!(sessions.is_empty(), "{sessions:?}");
            Ok(())
        })
        .await
    }

    /// Returns those that Cockpit began.
    fn web_sessions(&self, user: &str) -> Result<Vec<String>> {
        let all = self.logind_sessions(user)?;
        let of_web = |id: &String| {
            let kind = self.machine.run(&format!(
                "loginctl show-session {id} --property=Type --value"
            ));
            // A session that has ended in the meantime is not listed.
            kind.is_ok_and(|kind| kind.trim() == "web")
        };
        Ok(all.into_iter().filter(of_web).collect())
    }
}

/// Creates alice and bob: she may use sudo, and neither needs a password.
fn make_accounts(machine: &Machine) -> Result<()> {
    ensure!(
        GUIDE.contains(SUDO_RULE) && GUIDE.contains(SUDO_FILE),
        "the guide has the rule for sudo"
    );
    // Numbers that no account of this machine has, because the harness kills the processes of its accounts.
    machine
        .run(&format!(
            "useradd --uid 54321 --create-home --shell /bin/bash --groups sudo alice\n\
             useradd --uid 54322 --create-home --shell /bin/bash bob\n\
             echo '{SUDO_RULE}' > {SUDO_FILE}; chmod 440 {SUDO_FILE}"
        ))
        .map(drop)
}

/// Installs the operator's file and the built programs there.
fn install_file_and_programs(
    scene: &mut Scene,
    machine: &Machine,
    routes: &[Route],
) -> Result<PathBuf> {
    // The proxy has its secrets in its environment; those of this file are in files.
    let placement = std::mem::replace(&mut scene.secrets.placement, Placement::Files);
    let written = scene.file(routes);
    scene.secrets.placement = placement;
    let (file, _) = written?;
    let desk = file.parent().context("the file is in a folder")?;
    machine.bring(desk)?;
    // The machine trusts only the authority of the test's certificates.
    let known = Path::new("/etc/ssl/certs/ca-certificates.crt");
    machine.bring_as(scene.authority_file(), known)?;
    let built = desk.join("target/release/jetway-cockpit-session");
    machine.bring_as(&scene.installed.cockpit_session()?, &built)?;
    machine.bring_as(
        scene.installed.jetway()?,
        Path::new("/usr/local/bin/jetway"),
    )?;
    Ok(desk.to_owned())
}

/// Returns the commands of the guide for the proxy and Cockpit on one machine: those between the route and the removal.
fn guide() -> Vec<&'static str> {
    GUIDE
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .flat_map(|(block, _)| block.lines())
        .filter(|line| {
            !line.is_empty()
                && !["--undo", "explain", "jwks.json"]
                    .iter()
                    .any(|word| line.contains(word))
        })
        .collect()
}

async fn the_guide_leads_to_single_sign_on_with_debian_12(scene: &mut Scene) -> Result<()> {
    the_guide_leads_to_single_sign_on(scene, Release::Bookworm).await
}

async fn the_guide_leads_to_single_sign_on_with_backports(scene: &mut Scene) -> Result<()> {
    the_guide_leads_to_single_sign_on(scene, Release::Trixie).await
}

/// In both browsers: an administrator in Chromium, and a user with limited access in Firefox.
async fn the_guide_leads_to_single_sign_on(scene: &mut Scene, release: Release) -> Result<()> {
    let server = Server::set_up(scene, release).await?;
    let people = [
        (ALICE, "alice", "Administrative access", Browser::Chromium),
        (BOB, "bob", "Limited access", Browser::Firefox),
    ];
    for (account, user, access, browser) in people {
        let name = format!("systemd-{}-{}", release.name(), scene.kind.name());
        let person = Person {
            account,
            user,
            access,
        };
        person
            .signs_on_once(scene, &server.base, browser, &name)
            .await
            .with_context(|| server.machine.journal(SESSIONS).unwrap_or_default())?;
    }
    let journal = server.machine.journal(SESSIONS)?;
    ensure!(
        journal.contains(ALICE) && journal.contains(BOB) && !journal.contains("eyJ"),
        "the journal says who, and no assertion: {journal}"
    );
    Ok(())
}

/// Ended at the proxy, by systemd or by logind: session, websocket and bridge end together.
async fn sessions_are_the_systems_and_end_with_either(
    scene: &mut Scene,
    release: Release,
) -> Result<()> {
    let server = Server::set_up(scene, release).await?;
    let sign_out = server.base.join("/.pomerium/sign_out")?;
    let mut alice = scene.user_agent();
    for end in ["sign-out", "unit", "logind"] {
        server.enter(&mut alice, ALICE).await?;
        assert_eq!(alice.user_in_cockpit(&server.base).await?, "alice");
        let sessions = server.web_sessions("alice")?;
        ensure!(sessions.len() == 1, "{end}: {sessions:?}");
        let mut other = alice.clone();
        let base = server.base.clone();
        let working = other.run_in_cockpit(&base, "exec sleep 600");
        let ending = async {
            eventually("the command runs", LIMIT, async || {
                server.machine.run("pgrep -x -u alice sleep").map(drop)
            })
            .await?;
            match end {
                "sign-out" => alice.post_form(&sign_out, &[]).await.map(drop),
                "unit" => server
                    .machine
                    .run(&format!("systemctl stop '{SESSIONS}'"))
                    .map(drop),
                _ => server
                    .machine
                    .run(&format!("loginctl terminate-session {}", sessions.concat()))
                    .map(drop),
            }
        };
        let (worked, ended) = within("the session ends", LIMIT, async {
            Ok(tokio::join!(working, ending))
        })
        .await?;
        ended.with_context(|| end.to_owned())?;
        ensure!(worked.is_err(), "{end}: the command went on");
        server.expect_no_session("alice").await?;
        eventually("nothing of Cockpit runs any more", LIMIT, async || {
            let left = server
                .machine
                .try_to_run("pgrep -u alice -f 'cockpit-bridge|sleep 600'")?;
            ensure!(
                !left.status.success(),
                "{}",
                String::from_utf8_lossy(&left.stdout)
            );
            Ok(())
        })
        .await
        .with_context(|| end.to_owned())?;
        alice.forget();
    }
    Ok(())
}

async fn the_setup_outlives_a_reboot_and_is_taken_back(
    scene: &mut Scene,
    release: Release,
) -> Result<()> {
    let mut server = Server::open(scene, release).await?;
    let before = server.machine.run(FILES)?;
    server.follow_the_guide().await?;
    let again = server.operate("sudo jetway cockpit setup -c jetway.yaml")?;
    ensure!(again.contains("nothing was changed"), "{again}");
    let without_file = server.operate(
        "jetway cockpit keys -c jetway.yaml > jwks.json\n\
         sudo jetway cockpit setup --host cockpit.localhost --keys jwks.json",
    )?;
    ensure!(
        without_file.contains("nothing was changed"),
        "{without_file}"
    );

    server.machine.reboot().await?;
    let mut alice = scene.user_agent();
    server.enter(&mut alice, ALICE).await?;
    assert_eq!(alice.user_in_cockpit(&server.base).await?, "alice");

    // The folder for temporary files is empty after a boot, and is not needed for this.
    let told = server.machine.run("sudo jetway cockpit setup --undo")?;
    ensure!(
        told.contains("removed   /etc/systemd/system/jetway-cockpit-session.socket"),
        "{told}"
    );
    assert_eq!(
        server.machine.run(FILES)?,
        before,
        "everything is as it was"
    );
    server
        .machine
        .run("systemctl try-restart cockpit.service; systemctl is-system-running")?;
    server.machine.wait_for_cockpit().await?;
    ensure!(
        !server.machine.path("/run/jetway/session")?.exists(),
        "the socket is gone"
    );
    // Users with a password log in as before.
    server.machine.run("echo bob:Looking-Glass-1 | chpasswd")?;
    let cockpit = Url::parse(&server.machine.cockpit())?;
    let mut bob = scene.user_agent();
    let mut anonymous = scene.user_agent();
    let basic = "Basic Ym9iOkxvb2tpbmctR2xhc3MtMQ==";
    bob.try_to_log_in_to_cockpit(&cockpit, basic)
        .await?
        .expect(200)?;
    anonymous
        .try_to_log_in_to_cockpit(&cockpit, "Bearer x.y.z")
        .await?
        .expect(401)?;
    Ok(())
}

/// Returns names, rights and contents of all files that the setup may change, folders included.
const FILES: &str = "find /etc/systemd /etc/cockpit /etc/jetway 2>/dev/null | sort | while read -r file; do \
    stat -c '%n %A %U %G' \"$file\"; [ -d \"$file\" ] || sha256sum <\"$file\"; done";

async fn false_assertions_and_accounts_are_refused(
    scene: &mut Scene,
    release: Release,
) -> Result<()> {
    let key = SessionKey::draw()?;
    let file = scene.folder().join("signing-key.pem");
    jetway_tests::write_private(&file, &key.private_pem()?)?;
    scene.keys = format!("signing_key_file: {}", file.display());
    let server = Server::set_up(scene, release).await?;
    server.machine.run(
        "useradd --uid 54323 --create-home --shell /usr/sbin/nologin visitor\n\
         useradd --uid 54324 --create-home --shell /bin/bash --expiredate 1 former",
    )?;
    let cockpit = Url::parse(&server.machine.cockpit())?;
    let mut client = scene.user_agent();
    let past = |claims: &mut Value| {
        for claim in ["iat", "nbf", "exp"] {
            claims[claim] = (claims[claim].as_u64().unwrap_or_default() - 600).into();
        }
    };
    let good = key.assertion("alice")?;
    let (head, signature) = good.rsplit_once('.').context("an assertion has parts")?;
    // Another first digit: still base64, and another signature.
    let digit = if signature.starts_with('A') { 'B' } else { 'A' };
    let turned = format!("{digit}{}", signature.get(1..).unwrap_or_default());
    for (what, assertion, status) in [
        ("root", key.assertion("root")?, 403),
        ("unknown", key.assertion("nobody-here")?, 403),
        ("no shell", key.assertion("visitor")?, 403),
        ("expired account", key.assertion("former")?, 403),
        ("garbage", "x.y.z".to_owned(), 401),
        ("tampered", format!("{head}.{turned}"), 401),
        ("another key", SessionKey::draw()?.assertion("alice")?, 401),
        (
            "wrong audience",
            key.assertion_with("alice", |_, claims| {
                claims["aud"] = "other.localhost".into()
            })?,
            401,
        ),
        (
            "expired",
            key.assertion_with("alice", |_, claims| past(claims))?,
            401,
        ),
        ("good", good.clone(), 200),
        ("replayed", good, 401),
    ] {
        let mut once = client.clone();
        let answer = once
            .try_to_log_in_to_cockpit(&cockpit, &format!("Bearer {assertion}"))
            .await?;
        ensure!(
            answer.status.as_u16() == status,
            "{what}: {} {}\n{}",
            answer.status,
            answer.text(),
            server.machine.journal(SESSIONS)?
        );
    }
    // A refusal is not a failure of the machine.
    server.machine.run("systemctl is-system-running")?;
    let journal = server.machine.journal(SESSIONS)?;
    ensure!(!journal.contains("Failed with result"), "{journal}");
    client
        .try_to_log_in_to_cockpit(&server.base, DUMMY)
        .await?
        .expect(401)?;
    Ok(())
}

async fn no_user_becomes_another(scene: &mut Scene, release: Release) -> Result<()> {
    let server = Server::set_up(scene, release).await?;
    let mut alice = scene.user_agent();
    let login = alice.sign_on_to_cockpit(&server.base, ALICE).await?;
    assert_eq!(alice.user_in_cockpit(&server.base).await?, "alice");

    let mut bob = scene.user_agent();
    bob.sign_in(&server.base, BOB).await?;
    bob.keep_cookies(&server.base, &login);
    ensure!(
        bob.user_in_cockpit(&server.base).await.is_err(),
        "alice's cookie is no session for bob"
    );
    let login = bob.try_to_log_in_to_cockpit(&server.base, DUMMY).await?;
    login.expect(200)?;
    assert_eq!(bob.user_in_cockpit(&server.base).await?, "bob");

    let mut mallory = scene.user_agent();
    let (_, page) = mallory.sign_in(&server.base, MALLORY).await?;
    ensure!(page.expect(403)?.text().contains("no Unix user"));
    let login = mallory
        .try_to_log_in_to_cockpit(&server.base, DUMMY)
        .await?;
    login.expect(403)?;
    Ok(())
}

const OPEN_FOLDER: &str = "install -D -m 755 /usr/local/libexec/jetway-cockpit-session /srv/open/session\n\
    chmod 777 /srv/open\n\
    mkdir /etc/systemd/system/jetway-cockpit-session@.service.d\n\
    printf '[Service]\\nExecStart=\\nExecStart=-/srv/open/session\\n' \
      > /etc/systemd/system/jetway-cockpit-session@.service.d/other.conf";

/// A fault on the machine, and what the doctor says about it.
struct Fault {
    what: &'static str,
    /// Shell commands that cause it.
    lines: &'static str,
    /// The checks that fail or warn.
    checks: &'static [&'static str],
    /// Words of the report.
    words: &'static [&'static str],
}

fn faults(release: Release) -> [Fault; 6] {
    let no_program: &[&str] = match release {
        // Its Cockpit treats the silence as a refusal.
        Release::Bookworm => &[PROGRAM],
        Release::Trixie => &[SIGN_ON, PROGRAM],
    };
    [
        Fault {
            what: "another group",
            lines: "sed -i 's/^SocketGroup=.*/SocketGroup=root/' /etc/systemd/system/jetway-cockpit-session.socket",
            checks: &[SIGN_ON, PROGRAM],
            words: &["Cockpit cannot open the socket", "group root"],
        },
        Fault {
            what: "another cookie secret",
            lines: OTHER_SECRET,
            checks: &[PROGRAM],
            words: &["is not Jetway's signing key"],
        },
        Fault {
            what: "a key that is none",
            lines: "echo '{\"keys\": []}' > /etc/jetway/cockpit-session.jwks",
            checks: &[SIGN_ON, PROGRAM],
            words: &[
                "the program that verifies assertions for Cockpit fails",
                "journalctl",
            ],
        },
        Fault {
            what: "another host",
            lines: "sed -i 's/^host = .*/host = other.example/' /etc/jetway/cockpit-session.conf",
            checks: &[PROGRAM],
            words: &["host = other.example cockpit.localhost"],
        },
        Fault {
            what: "no program",
            lines: "mv /usr/local/libexec/jetway-cockpit-session /etc/elsewhere",
            checks: no_program,
            words: &["the program does not exist", "install -D"],
        },
        Fault {
            what: "a program in a world-writable folder, by a drop-in file",
            lines: OPEN_FOLDER,
            checks: &[PROGRAM],
            words: &[
                "users other than root can change /srv/open",
                "/srv/open/session",
            ],
        },
    ]
}

async fn the_doctor_finds_what_is_wrong_on_the_machine(
    scene: &mut Scene,
    release: Release,
) -> Result<()> {
    let server = Server::open(scene, release).await?;
    let expect = |what: &str, checks: &[&str], words: &[&str]| -> Result<()> {
        let found = server.doctor()?;
        let report = serde_json::to_string(found.findings())?;
        let wrong = found.of("failure").chain(found.of("warning"));
        let wrong: BTreeSet<&str> = wrong.filter_map(|one| one["check"].as_str()).collect();
        let expected: BTreeSet<&str> = checks.iter().copied().collect();
        ensure!(wrong == expected, "{what}: {wrong:?} in {report}");
        for word in words {
            ensure!(report.contains(word), "{what}: `{word}` is not in {report}");
        }
        Ok(())
    };
    expect(
        "nothing is set up",
        &["cockpit-origin", "cockpit-client-address", SIGN_ON, PROGRAM],
        &["jetway cockpit setup"],
    )?;
    server.follow_the_guide().await?;
    let good = [
        "the unit is active",
        "only the group",
        "the pinned key is Jetway's signing key",
    ];
    expect("all is well", &[], &good)?;
    server.machine.run("cp -a /etc /etc.good")?;
    for fault in faults(release) {
        server.operate(fault.lines)?;
        server.restart().await?;
        expect(fault.what, fault.checks, fault.words)?;
        server.machine.run(
            "[ ! -e /etc/elsewhere ] || mv /etc/elsewhere /usr/local/libexec/jetway-cockpit-session\n\
             rm -rf /etc/systemd/system/jetway-cockpit-session@.service.d\n\
             cp -a /etc.good/jetway /etc.good/systemd /etc/",
        )?;
        server.restart().await?;
        expect("all is well again", &[], &good)?;
    }
    if release == Release::Bookworm {
        // Newer releases start it at the first connection.
        server
            .machine
            .run("systemctl stop jetway-cockpit-session.socket")?;
        expect("stopped", &[SIGN_ON, PROGRAM], &["the unit is not active"])?;
    }
    Ok(())
}

/// Replaces sudo by sudo-rs, which Cockpit does not use because it has no option `-A`.
const SUDO_RS: &str =
    "rm /etc/sudoers.d/cockpit; ln -sf sudo-rs /usr/bin/sudo; ! sudo -A --help 2>/dev/null";
/// Starts the unit that Cockpit's bridge would start, with another program in it, as any program in a session can try.
const OWN_UNIT: &str = "exec busctl call --allow-interactive-authorization=no org.freedesktop.systemd1 /org/freedesktop/systemd1 \
    org.freedesktop.systemd1.Manager StartTransientUnit 'ssa(sv)a(sa(sv))' cockpit-superuser-$$.service fail 2 \
    Type s oneshot ExecStart 'a(sasb)' 1 /bin/true 1 /bin/true false 0 2>&1";
/// Starts a unit with another name.
const OTHER_UNIT: &str = "systemd-run --quiet --no-ask-password --unit=other.service true 2>&1";
/// The rule for polkit.
const POLKIT_RULE: &str = "/etc/polkit-1/rules.d/50-jetway-cockpit.rules";
/// The check of the doctor about administrators.
const ADMINISTRATORS: &str = "cockpit-administrators";

/// The sessions of administrators, and no others, become root by polkit.
async fn administrators_become_root_by_polkit(scene: &mut Scene) -> Result<()> {
    let server = Server::open(scene, Release::Trixie).await?;
    server.machine.run(SUDO_RS)?;
    let before = server.machine.run(POLKIT_FILES)?;
    server.follow_the_guide().await?;
    expect_administrators(&server, "ok", "by polkit")?;

    let mut alice = scene.user_agent();
    server.enter(&mut alice, ALICE).await?;
    let user = alice.run_as_root_in_cockpit(&server.base, "id -u").await;
    let user = user.with_context(|| server.machine.journal("*").unwrap_or_default())?;
    assert_eq!(user, "0\n");
    let mut bob = scene.user_agent();
    server.enter(&mut bob, BOB).await?;
    assert_eq!(bob.user_in_cockpit(&server.base).await?, "bob");
    ensure!(
        bob.run_as_root_in_cockpit(&server.base, "id -u")
            .await
            .is_err(),
        "bob is not an administrator"
    );
    only_the_unit_of_marked_sessions_starts(&server, &mut alice, &mut bob).await?;

    alice
        .post_form(&server.base.join("/.pomerium/sign_out")?, &[])
        .await?;
    server.expect_no_session("alice").await?;
    eventually("no session is marked any more", LIMIT, async || {
        let marks = server.machine.run("ls /run/jetway/administrators")?;
        ensure!(marks.is_empty(), "{marks}");
        let left = server
            .machine
            .try_to_run("pgrep -f '[c]ockpit-bridge --privileged'")?;
        ensure!(!left.status.success(), "a bridge of root is left");
        Ok(())
    })
    .await?;
    server.machine.run(&format!("mv {POLKIT_RULE} /root/"))?;
    expect_administrators(
        &server,
        "warning",
        "the rule by which administrators become root is missing",
    )?;
    server
        .machine
        .run(&format!("mv /root/50-jetway-cockpit.rules {POLKIT_RULE}"))?;
    server.machine.run("jetway cockpit setup --undo")?;
    assert_eq!(server.machine.run(POLKIT_FILES)?, before);
    Ok(())
}

/// Returns names, rights and contents of the rules for polkit.
const POLKIT_FILES: &str = "find /etc/polkit-1 -exec stat -c '%n %A %U %G' {} + | sort; cat /etc/polkit-1/rules.d/* 2>/dev/null || true";

/// In the session of an administrator one unit starts; in no other session of that user or of another does it.
async fn only_the_unit_of_marked_sessions_starts(
    server: &Server,
    alice: &mut UserAgent,
    bob: &mut UserAgent,
) -> Result<()> {
    let allowed = alice.run_in_cockpit(&server.base, OWN_UNIT).await?;
    ensure!(
        allowed.contains("/org/freedesktop/systemd1/job/"),
        "{allowed}"
    );
    let refused = alice.run_in_cockpit(&server.base, OTHER_UNIT).await?;
    ensure!(refused.contains("authentication required"), "{refused}");
    let refused = bob.run_in_cockpit(&server.base, OWN_UNIT).await?;
    ensure!(refused.contains("authentication required"), "{refused}");
    // Further processes of alice: in a session that Jetway has not opened, and in none.
    for properties in ["--property=PAMName=login", "--property=Nice=1"] {
        let command = format!(
            "systemd-run --quiet --wait --pipe --expand-environment=no --uid=alice {properties} sh -c \"{}\" || true",
            OWN_UNIT.replace('$', "\\$")
        );
        let refused = server.machine.run(&command)?;
        ensure!(
            refused.contains("authentication required"),
            "{properties}: {refused}"
        );
    }
    Ok(())
}

/// Checks the doctor's finding about administrators.
fn expect_administrators(server: &Server, outcome: &str, words: &str) -> Result<()> {
    let found = server.doctor()?;
    let finding = found
        .findings()
        .iter()
        .find(|finding| finding["check"] == ADMINISTRATORS)
        .context("a finding about administrators")?;
    ensure!(
        finding["outcome"] == outcome && finding.to_string().contains(words),
        "{finding:#}"
    );
    Ok(())
}
