//! Telling systemd, when it runs; else saying what to run.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cockpit::{Layout, SOCKET_UNIT, UNITS, systemd_runs};

/// Its web service reads cockpit.conf when it starts; sessions that are open then end.
const RESTART: &str = "systemctl try-restart cockpit.service";

/// Makes systemd know the new units.
///
/// # Errors
/// A command that fails.
pub(super) fn activate(layout: Layout, root: &Path) -> anyhow::Result<String> {
    let mut commands = vec!["systemctl daemon-reload".to_owned()];
    // With newer releases, Cockpit's own services start the socket.
    if layout == Layout::StaticGroup {
        commands.push(format!("systemctl enable --now {SOCKET_UNIT}"));
    }
    let mut text = run(&commands, root)?;
    let _ = write!(
        text,
        "\nCockpit reads its file when it starts, which ends the sessions that are open. When nobody minds:\n  {RESTART}\n"
    );
    Ok(text)
}

/// Stops the socket before its unit goes.
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
    run(&[format!("systemctl disable --now {SOCKET_UNIT}")], root)
}

/// Makes systemd forget the units.
///
/// # Errors
/// A command that fails.
pub(super) fn forget(root: &Path) -> anyhow::Result<String> {
    let mut text = run(&["systemctl daemon-reload".to_owned()], root)?;
    let _ = writeln!(
        text,
        "\nWhen nobody minds that open Cockpit sessions end:\n  {RESTART}"
    );
    Ok(text)
}

fn run(commands: &[String], root: &Path) -> anyhow::Result<String> {
    let here = root == Path::new("/") && systemd_runs();
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
