//! A server with systemd and its own Cockpit: a container that is booted, and whose changes are discarded with it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::installed::target_folder;
use crate::{HOSTS, Port, Process, eventually, output_of};

/// Time for a machine to boot while this one is busy.
const BOOT: Duration = Duration::from_secs(60);
/// Time for an orderly shutdown.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// Time limit of a command on a machine.
const COMMAND: Duration = Duration::from_secs(90);

/// Root's search path for programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Puts a writable layer over the root folder ($1), in the folder $2, and boots it there under the name $3. systemd is
/// placed in the control groups that the remaining arguments name: two machines in one group would end each other's
/// services. The network is shared with the tests. This is the first process of a namespace: when it ends, by any
/// signal, the kernel ends all others. systemd-nspawn is not the first process, because it would then log elsewhere.
/// signal, the kernel ends all the others; as systemd-nspawn logs elsewhere when it is the first, it is not.
const ENTER: &str = r#"
root=$1 folder=$2 name=$3; shift 3
for group; do mkdir "$group"; echo $$ >"$group/cgroup.procs"; done
mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/changes,workdir=$folder/work" "$folder/root"
systemd-nspawn --boot --quiet --register=no --keep-unit --console=pipe --link-journal=no --resolv-conf=off \
  --timezone=off --hostname=server --machine="$name" --directory="$folder/root" \
  || exit
"#;

/// The release that is installed on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 12 with its own Cockpit, 287.
    Bookworm,
    /// Debian 13 with the Cockpit of its backports, 372 or newer.
    Trixie,
}

impl Release {
    /// Returns the name of its root folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// A running machine. Dropping it stops it.
#[derive(Debug)]
pub struct Machine {
    release: Release,
    /// `None` between two boots.
    boot: Option<Boot>,
    /// The loopback port of Cockpit.
    cockpit: Port,
    folder: TempDir,
    logs: PathBuf,
}

impl Machine {
    /// Boots a new machine and waits until its Cockpit answers.
    ///
    /// # Errors
    /// Returns an error when the caller is not root, the root folders are missing, or the machine does not boot.
    pub async fn boot(release: Release, logs: &Path) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "machines are booted by root: run the tests as root"
        );
        let folder = tempfile::Builder::new()
            .prefix("jetway-machine-")
            .tempdir()?;
        for name in ["changes", "work", "root"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let cockpit = Port::reserve()?;
        prepare(&folder.path().join("changes"), cockpit.number())?;
        let boot = start(release, folder.path(), logs).await?;
        let machine = Self {
            release,
            boot: Some(boot),
            cockpit,
            folder,
            logs: logs.to_owned(),
        };
        machine.wait_for_cockpit().await?;
        Ok(machine)
    }

    /// Returns the address of its Cockpit: plain HTTP on loopback.
    #[must_use]
    pub fn cockpit(&self) -> String {
        format!("http://127.0.0.1:{}", self.cockpit.number())
    }

    /// Shuts it down and boots it again, with all changes.
    ///
    /// # Errors
    /// Returns an error when it does not shut down or does not boot.
    pub async fn reboot(&mut self) -> Result<()> {
        // The shell may end before it can report its status.
        let _ = self.try_to_run("systemctl poweroff")?;
        if let Some(mut boot) = self.boot.take() {
            boot.process.finish(SHUTDOWN).await?;
        }
        self.boot = Some(start(self.release, self.folder.path(), &self.logs).await?);
        self.wait_for_cockpit().await
    }

    /// Returns the process id of its systemd on this machine.
    fn init(&self) -> Result<u32> {
        let boot = self.boot.as_ref().context("the machine is not up")?;
        Ok(boot.init)
    }

    /// Runs lines of a shell as root, and returns their output.
    ///
    /// # Errors
    /// Returns an error with the output when a line fails.
    pub fn run(&self, lines: &str) -> Result<String> {
        Ok(String::from_utf8(output_of(&mut inside(
            self.init()?,
            lines,
        ))?)?)
    }

    /// Runs lines of a shell as root while the test goes on, and returns their output.
    ///
    /// # Errors
    /// Returns an error with the output when a line fails.
    pub async fn run_beside(&self, lines: &str) -> Result<String> {
        let mut command = inside(self.init()?, lines);
        let output = tokio::task::spawn_blocking(move || output_of(&mut command));
        Ok(String::from_utf8(output.await??)?)
    }

    /// Runs lines of a shell as root, and returns their output even if they fail.
    ///
    /// # Errors
    /// Returns an error when the shell cannot be started.
    pub fn try_to_run(&self, lines: &str) -> Result<Output> {
        inside(self.init()?, lines)
            .output()
            .context("timeout cannot be started")
    }

    /// Returns the path on this machine of its file at an absolute path.
    ///
    /// # Errors
    /// Returns an error when the machine is not running.
    pub fn path(&self, path: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/root{path}", self.init()?)))
    }

    /// Copies a file or a folder of this machine to the same path there.
    ///
    /// # Errors
    /// Returns an error when it cannot be copied.
    pub fn bring(&self, path: &Path) -> Result<()> {
        self.bring_as(path, path)
    }

    /// Copies a file or a folder of this machine to an absolute path there.
    ///
    /// # Errors
    /// Returns an error when it cannot be copied.
    pub fn bring_as(&self, path: &Path, place: &Path) -> Result<()> {
        let place = self.path(&place.display().to_string())?;
        let above = place.parent().context("a file is in a folder")?;
        std::fs::create_dir_all(above)?;
        let mut copy = Command::new("cp");
        copy.args(["--recursive", "--preserve=mode", "--no-target-directory"])
            .arg(path)
            .arg(place);
        output_of(&mut copy).map(drop)
    }

    /// Returns the journal of units whose names match a pattern.
    ///
    /// # Errors
    /// Returns an error when the journal cannot be read.
    pub fn journal(&self, units: &str) -> Result<String> {
        self.run(&format!(
            "journalctl --no-pager --output=cat --unit='{units}'"
        ))
    }

    /// Waits until Cockpit answers. The first connection starts it.
    ///
    /// # Errors
    /// Returns an error when it does not.
    pub async fn wait_for_cockpit(&self) -> Result<()> {
        eventually("the machine's Cockpit answers", BOOT, async || {
            let mut stream =
                TcpStream::connect((Ipv4Addr::LOCALHOST, self.cockpit.number())).await?;
            let request = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await?;
            let mut answer = String::new();
            stream.take(4096).read_to_string(&mut answer).await?;
            ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            Ok(())
        })
        .await
    }
}

/// A booted machine. Dropping it stops it.
#[derive(Debug)]
struct Boot {
    process: Process,
    init: u32,
    _groups: ControlGroups,
}

/// Folders of control groups, one in each hierarchy that systemd may use. Dropping them removes them, which works once
/// the machine has stopped.
/// machine is down.
#[derive(Debug)]
struct ControlGroups(Vec<PathBuf>);

impl ControlGroups {
    /// Creates groups below those of this process.
    fn named(name: &str) -> Result<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        let hierarchies = [
            // The unified hierarchy, alone or beside older ones, and systemd's own older one.
            ("0::", "/sys/fs/cgroup"),
            ("0::", "/sys/fs/cgroup/unified"),
            (":name=systemd:", "/sys/fs/cgroup/systemd"),
        ];
        let group = |(kind, folder): (&str, &str)| {
            let (_, path) = own.lines().find_map(|line| line.split_once(kind))?;
            let parent = format!("{folder}{path}");
            let is_group = Path::new(&parent).join("cgroup.procs").exists();
            is_group.then(|| Path::new(&parent).join(name))
        };
        let groups: Vec<PathBuf> = hierarchies.into_iter().filter_map(group).collect();
        ensure!(
            !groups.is_empty(),
            "no control groups in which a machine could be are at /sys/fs/cgroup"
        );
        Ok(Self(groups))
    }
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        for group in &self.0 {
            remove_group(group);
        }
    }
}

/// Removes a group with the groups below it. A group with processes stays.
fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}

/// Writes the differences from the root folder before the machine is booted: Cockpit's port, and names.
fn prepare(changes: &Path, port: u16) -> Result<()> {
    let socket = changes.join("etc/systemd/system/cockpit.socket.d/port.conf");
    std::fs::create_dir_all(socket.parent().context("a file is in a folder")?)?;
    let listen = format!("[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n");
    std::fs::write(socket, listen)?;
    let names = HOSTS.join(" ");
    let hosts = format!("127.0.0.1 localhost server {names} idp.localhost\n::1 localhost\n");
    Ok(std::fs::write(changes.join("etc/hosts"), hosts)?)
}

async fn start(release: Release, folder: &Path, logs: &Path) -> Result<Boot> {
    let root = target_folder()?.join("peers/machines").join(release.name());
    if !root.is_dir() {
        bail!("`{}` is missing: run tests/machines.sh", root.display());
    }
    let name = folder.file_name().context("the folder has a name")?;
    let name = name.to_string_lossy().replace('.', "").to_lowercase();
    let groups = ControlGroups::named(&name)?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--mount-proc", "--fork", "--kill-child"])
        .args(["--", "sh", "-euc", ENTER, "sh"])
        .args([root.as_path(), folder])
        .arg(name)
        .args(&groups.0);
    let mut process = Process::start("machine", &command, logs)?;
    let mut init = None;
    eventually("the machine is up", BOOT, async || {
        process.ensure_running()?;
        let leader = init_below(process.id()).context("systemd is not started yet")?;
        let state = inside(leader, "systemctl is-system-running").output()?;
        ensure!(
            state.status.success(),
            "{}{}",
            String::from_utf8_lossy(&state.stdout),
            failed_units(leader)
        );
        init = Some(leader);
        Ok(())
    })
    .await?;
    Ok(Boot {
        process,
        init: init.context("it is up")?,
        _groups: groups,
    })
}

/// Returns the process id of the machine's systemd, below a process of this machine.
fn init_below(process: u32) -> Option<u32> {
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).ok()?;
    children.split_whitespace().find_map(|child| {
        let child = child.parse().ok()?;
        if is_init(child) {
            Some(child)
        } else {
            init_below(child)
        }
    })
}

/// Returns whether a process is the first in the namespace that systemd-nspawn made in its own, so that the tests' is
/// the third.
fn is_init(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let ids: Vec<&str> = ids.unwrap_or_default().split_whitespace().collect();
    matches!(ids[..], [_, _, "1"])
}

/// Returns what systemd and its journal report about failed units.
fn failed_units(init: u32) -> String {
    let lines = "systemctl --failed --no-pager --no-legend --plain; journalctl --no-pager --priority=warning --boot | tail -n 40";
    let output = inside(init, lines).output();
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// Returns a command that runs lines of a shell on the machine of this process, with root's environment there.
fn inside(init: u32, lines: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", &COMMAND.as_secs().to_string(), "nsenter"])
        .arg(format!("--target={init}"))
        .args(["--all", "--wdns=/", "--", "sh", "-euc", lines])
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null());
    command
}
