//! Telling systemd, when it runs; else saying what to run.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cockpit::{Layout, SOCKET_UNIT, UNITS, systemd_runs};

/// Makes systemd read its units.
const RELOAD: &str = "systemctl daemon-reload";
/// Its web service reads cockpit.conf when it starts; sessions that are open then end.
const RESTART: &str = "systemctl try-restart cockpit.service";

/// Makes systemd know the new units.
///
/// # Errors
/// A command that fails.
pub(super) fn activate(layout: Layout, root: &Path) -> anyhow::Result<String> {
    let mut text = run(&activation(layout), root)?;
    let _ = write!(
        text,
        "\nCockpit reads its file when it starts, which ends the sessions that are open. When nobody minds:\n  {RESTART}\n\
         From then on its login page leads to Jetway, on its own port as well, and has no form for a password.\n\
         If nobody gets in any more: `jetway cockpit setup --undo` as root, over SSH.\n"
    );
    Ok(text)
}

fn activation(layout: Layout) -> Vec<String> {
    let mut commands = vec![RELOAD.to_owned()];
    // With newer releases, Cockpit's own services start the socket.
    if layout == Layout::StaticGroup {
        commands.push(format!("systemctl enable --now {SOCKET_UNIT}"));
    }
    commands
}

/// Stops the socket before its unit goes. By then nothing of Cockpit needs it any more, which systemd has to learn first: it
/// would end Cockpit with it.
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

/// Makes systemd forget the units.
///
/// # Errors
/// A command that fails.
pub(super) fn forget(root: &Path) -> anyhow::Result<String> {
    let mut text = run(&[RELOAD.to_owned()], root)?;
    let _ = writeln!(
        text,
        "\nWhen nobody minds that open Cockpit sessions end:\n  {RESTART}"
    );
    Ok(text)
}

fn is_here(root: &Path) -> bool {
    root == Path::new("/") && systemd_runs()
}

fn run(commands: &[String], root: &Path) -> anyhow::Result<String> {
    let here = is_here(root);
    let mut text = String::new();
    if !here {
        text.push_str("\nsystemd does not run here. Where it does:\n");
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
        .with_context(|| format!("`{program}` cannot be started"))?;
    if !status.success() {
        bail!("`{command}` ended with {status}");
    }
    Ok(())
}
