//! Runs the commands for systemd where it runs, and prints them elsewhere.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cockpit::{Layout, SOCKET_UNIT, UNITS, is_systemd_running};

/// Makes systemd load its units again.
const RELOAD: &str = "systemctl daemon-reload";
/// Restarts Cockpit's web service, which reads cockpit.conf when it starts. Open sessions end then.
const RESTART: &str = "systemctl try-restart cockpit.service";

/// Makes systemd load the new units.
///
/// # Errors
/// A command that fails.
pub(super) fn activate(layout: Layout, root: &Path) -> anyhow::Result<String> {
    let mut text = run(&activation(layout), root)?;
    let _ = write!(
        text,
        "\nCockpit reads its file when it starts, and a restart ends the open sessions. To restart it:\n  {RESTART}\n\
         From then on its login page leads to Jetway, also on Cockpit's own port, and has no form for a password.\n\
         If logins fail: run `jetway cockpit setup --undo` as root, over SSH.\n"
    );
    Ok(text)
}

fn activation(layout: Layout) -> Vec<String> {
    let mut commands = vec![RELOAD.to_owned()];
    // In newer releases, Cockpit's own services start the socket.
    if layout == Layout::StaticGroup {
        commands.push(format!("systemctl enable --now {SOCKET_UNIT}"));
    }
    commands
}

/// Stops the socket before its unit is removed. Cockpit does not need it by then, but systemd has to reload first: otherwise
/// it would stop Cockpit with the socket.
///
/// # Errors
/// A command that fails.
pub(super) fn deactivate(root: &Path) -> anyhow::Result<String> {
    if !root
        .join(UNITS.trim_start_matches('/'))
        .join(SOCKET_UNIT)
        .exists()
    {
        return Ok(String::new());
    }
    let stop = format!("systemctl disable --now {SOCKET_UNIT}");
    run(&[RELOAD.to_owned(), stop], root)
}

/// Makes systemd unload the units.
///
/// # Errors
/// A command that fails.
pub(super) fn forget(root: &Path) -> anyhow::Result<String> {
    let mut text = run(&[RELOAD.to_owned()], root)?;
    let _ = writeln!(
        text,
        "\nTo restart Cockpit, which ends open sessions:\n  {RESTART}"
    );
    Ok(text)
}

fn is_here(root: &Path) -> bool {
    root == Path::new("/") && is_systemd_running()
}

fn run(commands: &[String], root: &Path) -> anyhow::Result<String> {
    let here = is_here(root);
    let mut text = String::new();
    if !here {
        text.push_str("\nsystemd does not run here. On the machine where it does, run:\n");
    }
    for command in commands {
        if here {
            perform(command)?;
            let _ = writeln!(text, "ran       {command}");
        } else {
            let _ = writeln!(text, "  {command}");
        }
    }
    Ok(text)
}

fn perform(command: &str) -> anyhow::Result<()> {
    let mut words = command.split(' ');
    let program = words.next().context("a command has a name")?;
    let status = Command::new(program)
        .args(words)
        .status()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !status.success() {
        bail!("`{command}` ended with {status}");
    }
    Ok(())
}
