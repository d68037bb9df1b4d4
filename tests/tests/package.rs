//! The Debian package on servers with a real systemd: Debian 12 and 13. `make test-systemd` builds the packages and runs this.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::{
    ALICE, APP, COCKPIT, Load, Machine, Placement, ProxyKind, Release, Route, Scene, Upstream,
    output_of, run,
};

#[test]
fn bookworm() -> Result<()> {
    on(Release::Bookworm)
}

#[test]
fn trixie() -> Result<()> {
    on(Release::Trixie)
}

fn on(release: Release) -> Result<()> {
    let name = format!("package-{}", release.name());
    run(&name, ProxyKind::Host, async |scene: &mut Scene| {
        the_package_serves_is_upgraded_and_purged(scene, release).await
    })
}

/// The operator's folder.
const DESK: &str = "/etc/jetway";
const INSTALL: &str = "DEBIAN_FRONTEND=noninteractive dpkg --install /root/package.deb";
/// The state of the units, as systemctl prints it.
const STATE: &str = "systemctl is-active jetway.service jetway.socket || true";
/// The unit reads this secret from systemd (`LoadCredential=`).
const CREDENTIAL: &str = "/run/credentials/jetway.service/client-secret";
/// The line of the file with the address of the admin listener.
const ADMIN: &str = "admin_address: unix:/run/jetway/admin.sock";
/// The command of the documentation that asks it.
const IS_READY: &str =
    "curl --fail --silent --unix-socket /run/jetway/admin.sock http://localhost/readyz";
/// The highest exposure that `systemd-analyze security` may compute, in tenths.
const MAX_EXPOSURE: u32 = 15;

/// An older package is installed, filled in, started, upgraded under load, and purged.
async fn the_package_serves_is_upgraded_and_purged(
    scene: &mut Scene,
    release: Release,
) -> Result<()> {
    let machine = Machine::boot(release, scene.logs()).await?;
    let older = age(&package(scene, "jetway")?, scene.folder())?;
    install(&machine, &older)?;
    starts_nothing(&machine)?;

    let upstream = Upstream::start("app").await?;
    let routes = [Route::new(APP, &upstream.address())];
    fill_in(scene, &machine, &routes)?;
    machine
        .run("systemctl daemon-reload; systemctl enable --now jetway.socket jetway.service")
        .with_context(|| machine.journal("jetway*").unwrap_or_default())?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.user_agent();
    let signed_in = alice.sign_in(&url, ALICE).await;
    let (_, page) = signed_in.with_context(|| machine.journal("jetway*").unwrap_or_default())?;
    page.expect(200)?;
    is_contained(&machine)?;

    let before = main_process(&machine)?;
    bring(&machine, &package(scene, "jetway")?)?;
    let load = Load::start(&alice, &url);
    load.go_on().await?;
    machine.run_beside(INSTALL).await?;
    ensure!(
        main_process(&machine)? != before,
        "an upgrade restarts the proxy"
    );
    load.go_on().await?;
    let lost = load.finish().await;
    lost.with_context(|| machine.journal("jetway*").unwrap_or_default())?;
    the_setup_finds_the_helper(scene, &machine)?;
    leaves_nothing(&machine)
}

/// Returns the path of a package that was built.
fn package(scene: &Scene, name: &str) -> Result<PathBuf> {
    let programs = scene.installed.jetway()?.parent();
    let folder = programs.and_then(Path::parent);
    let folder = folder
        .context("the program is in target/PROFILE")?
        .join("debian");
    let prefix = format!("{name}_");
    let files = std::fs::read_dir(&folder)
        .with_context(|| format!("`{}` is missing: run `make deb`", folder.display()))?;
    let paths = files.map(|file| Ok(file?.path()));
    let found = paths.collect::<Result<Vec<_>>>()?.into_iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && name.ends_with(".deb")
    });
    found.with_context(|| format!("no package `{name}`: run `make deb`"))
}

/// Returns the same package with an older version.
fn age(package: &Path, folder: &Path) -> Result<PathBuf> {
    let (content, older) = (folder.join("package"), folder.join("older.deb"));
    let unpack = ["--raw-extract".as_ref(), package, &content];
    output_of(Command::new("dpkg-deb").args(unpack))?;
    let control = content.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control)?;
    let mut lines: Vec<&str> = text.lines().collect();
    let version = lines.iter_mut().find(|line| line.starts_with("Version: "));
    *version.context("a package has a version")? = "Version: 0.0.1-1";
    std::fs::write(&control, lines.join("\n") + "\n")?;
    let pack = ["-Znone".as_ref(), "--build".as_ref(), &*content, &older];
    output_of(Command::new("dpkg-deb").args(pack))?;
    Ok(older)
}

fn bring(machine: &Machine, package: &Path) -> Result<()> {
    machine.bring_as(package, Path::new("/root/package.deb"))
}

fn install(machine: &Machine, package: &Path) -> Result<()> {
    bring(machine, package)?;
    machine.run(INSTALL).map(drop)
}

/// Nothing listens after the installation, and the file does nothing before it is filled in.
fn starts_nothing(machine: &Machine) -> Result<()> {
    let state = machine.run(STATE)?;
    ensure!(state == "inactive\ninactive\n", "{state}");
    let started = machine.try_to_run("systemctl start jetway.service")?;
    ensure!(
        !started.status.success(),
        "a file without routes starts nothing"
    );
    let journal = machine.journal("jetway.service")?;
    ensure!(journal.contains("no routes"), "{journal}");
    machine
        .run("systemctl stop jetway.service; systemctl reset-failed")
        .map(drop)
}

/// Fills in the file, as the documentation says: the certificate and its key beside it, one secret as a credential.
fn fill_in(scene: &mut Scene, machine: &Machine, routes: &[Route]) -> Result<()> {
    scene.secrets.placement = Placement::Files;
    let (file, _) = scene.file(routes)?;
    let own = scene.folder().display().to_string();
    let text = std::fs::read_to_string(file)?.replace(&own, DESK);
    let secret = format!("{DESK}/idp_client_secret");
    ensure!(text.contains(&secret), "the file names the secret: {text}");
    let mut names = Vec::new();
    for path in text.lines().filter_map(|line| line.split_once("_file: ")) {
        let name = Path::new(path.1).file_name().context("a path has a name")?;
        machine.bring_as(&scene.folder().join(name), &Path::new(DESK).join(name))?;
        names.push(name.to_owned());
    }
    // As an editor does: the mode and the group stay.
    let path = machine.path(&format!("{DESK}/jetway.yaml"))?;
    let text = text.replace(&secret, CREDENTIAL);
    std::fs::write(path, format!("{text}\n{ADMIN}\n"))?;
    let known = Path::new("/etc/ssl/certs/ca-certificates.crt");
    machine.bring_as(scene.authority_file(), known)?;
    let port = scene.port();
    machine
        .run(&format!(
            "cd {DESK}\n\
             chown jetway:jetway cookie_secret *.pem; chmod 600 cookie_secret *.pem\n\
             chown root:root idp_client_secret; chmod 600 idp_client_secret; chmod 644 {known}\n\
             mkdir -p /etc/systemd/system/jetway.service.d /etc/systemd/system/jetway.socket.d\n\
             printf '[Service]\\nLoadCredential=client-secret:{secret}\\n' > /etc/systemd/system/jetway.service.d/override.conf\n\
             printf '[Socket]\\nListenStream=\\nListenStream=127.0.0.1:{port}\\n' > /etc/systemd/system/jetway.socket.d/override.conf",
            known = known.display()
        ))
        .map(drop)
}

fn main_process(machine: &Machine) -> Result<String> {
    machine.run("systemctl show --property=MainPID --value jetway.service")
}

/// The proxy runs in its own account, says how it is, and the unit takes all rights away that it does not need.
fn is_contained(machine: &Machine) -> Result<()> {
    let process = main_process(machine)?;
    let owner = machine.run(&format!("ps -o user= -p {process}"))?;
    ensure!(owner.trim() == "jetway", "{owner}");
    let status = machine.run("systemctl show --property=StatusText --value jetway.service")?;
    ensure!(status.starts_with("serving configuration "), "{status}");
    machine.run(IS_READY)?;
    let journal = machine.journal("jetway.service")?;
    ensure!(!journal.contains("warning"), "{journal}");
    let analysis = machine.run("systemd-analyze security --no-pager jetway.service")?;
    let (_, exposure) = analysis.rsplit_once(": ").context("a last line")?;
    let exposure = exposure.split(' ').next().unwrap_or_default();
    let tenths: u32 = exposure.replace('.', "").parse()?;
    ensure!(tenths <= MAX_EXPOSURE, "{analysis}");
    Ok(())
}

/// `jetway cockpit setup` writes units that run the program of the package.
fn the_setup_finds_the_helper(scene: &Scene, machine: &Machine) -> Result<()> {
    install(machine, &package(scene, "jetway-cockpit-session")?)?;
    let host = scene.authority(COCKPIT);
    let host = host.split(':').next().unwrap_or_default();
    let printed = machine.run(&format!(
        "cd {DESK}; jetway cockpit keys -c jetway.yaml > /root/keys; jetway cockpit setup --host {host} --keys /root/keys --print"
    ))?;
    let program = "ExecStart=/usr/libexec/jetway-cockpit-session\n";
    ensure!(printed.contains(program), "{printed}");
    Ok(())
}

/// A removal stops the proxy, and a purge leaves the operator's own files and nothing else.
fn leaves_nothing(machine: &Machine) -> Result<()> {
    machine.run("dpkg --remove jetway jetway-cockpit-session")?;
    let state = machine.run(STATE)?;
    ensure!(state == "inactive\ninactive\n", "{state}");
    machine.run(&format!(
        "rm {DESK}/*secret {DESK}/*.pem; dpkg --purge jetway jetway-cockpit-session"
    ))?;
    let left =
        machine.run("find / -xdev -name '*jetway*' -not -path '/proc/*' -not -path '/tmp/*'")?;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}
