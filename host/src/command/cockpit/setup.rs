//! `jetway cockpit setup`: sets up single sign-on for the Cockpit of this machine.

mod helper;
mod systemd;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::trusted::{Grants, Trusted};
use crate::cockpit::{
    COCKPIT_CONF, CockpitConf, Deployment, Elevation, FileChange, Layout, has_polkit, set_up, undo,
};
use crate::log;
use helper::Helper;

/// Set up single sign-on for the Cockpit of this machine, or undo it.
///
/// Writes the units of `jetway-cockpit-session`, its configuration with the public half of the signing key, and the lines
/// that Cockpit needs in cockpit.conf, whose other lines are kept. All changes are recorded, and `--undo` reverts exactly
/// those. A second run changes nothing.
///
/// The routes are those with a `cockpit` key that lead to one Cockpit; choose others with --route. A route without the key
/// is an error, because the setup removes Cockpit's password form. On a machine that must not hold the proxy's configuration or secrets, pass the host and public keys
/// instead.
#[derive(Args, Debug)]
pub(crate) struct SetupArgs {
    /// The proxy's configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["host", "undo"])]
    config: Option<PathBuf>,
    /// Without the file: a public host of this Cockpit; may be repeated.
    #[arg(long, value_name = "HOST", requires = "keys", conflicts_with_all = ["config", "undo"])]
    host: Vec<String>,
    /// Without the file: the proxy's public keys, as `jetway cockpit keys` prints them.
    #[arg(long, value_name = "FILE", requires = "host", conflicts_with_all = ["config", "undo"])]
    keys: Option<PathBuf>,
    /// Without the file: let assertions name root.
    #[arg(long, requires = "host", conflicts_with_all = ["config", "undo"])]
    allow_root: bool,
    /// Without the file: let users log in to other hosts through this Cockpit.
    #[arg(long, requires = "host", conflicts_with_all = ["config", "undo"])]
    allow_other_hosts: bool,
    /// Without the file: give administrative access to the users whom `administrators` of the route allows.
    #[arg(long, requires = "host", conflicts_with_all = ["config", "undo"])]
    administrators: bool,
    /// Only print what would be written.
    #[arg(long, conflicts_with = "undo")]
    print: bool,
    /// Undo the last setup.
    #[arg(long)]
    undo: bool,
    /// Work on another root folder, such as an image that is being built.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Only this route, by its name or its public host; may be repeated.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["host", "undo"])]
    route: Vec<String>,
    /// Path of the program jetway-cockpit-session.
    #[arg(long, value_name = "PATH", conflicts_with = "undo")]
    helper: Option<PathBuf>,
}

/// Sets up, prints or undoes.
///
/// # Errors
/// A file that cannot be used, a missing Cockpit, or a folder that cannot be written to.
pub(crate) fn run(args: &SetupArgs) -> anyhow::Result<()> {
    if args.undo {
        return undo_setup(&args.root);
    }
    let trusted = match (&args.config, &args.keys) {
        (Some(file), _) => Trusted::by_file(file, &args.route)?,
        (None, Some(keys)) => {
            let grants = Grants {
                root: args.allow_root,
                other_hosts: args.allow_other_hosts,
                administrators: args.administrators,
            };
            Trusted::by_keys(&args.host, keys, grants)?
        }
        (None, None) => bail!("pass the configuration file with -c FILE, or --host and --keys"),
    };
    install(args, &trusted)
}

fn install(args: &SetupArgs, trusted: &Trusted) -> anyhow::Result<()> {
    let layout = detect_layout(args)?;
    let helper = Helper::find(args.helper.as_deref(), &args.root);
    let deployment = Deployment {
        layout,
        hosts: &trusted.hosts,
        keys: &trusted.keys,
        helper: helper.path(),
        allow_root: trusted.grants.root,
        other_hosts: trusted.grants.other_hosts,
        elevation: trusted
            .grants
            .administrators
            .then(|| Elevation::of(&args.root)),
    };
    if args.print {
        return crate::command::print(render_files(&deployment).as_bytes());
    }
    helper.ensure_trustworthy(&args.root)?;
    let changes = set_up(&args.root, &deployment)?;
    let mut text = format!("Cockpit {}\n", layout.releases());
    list_changes(&changes, &mut text);
    if changes.is_empty() {
        text.push_str("everything is set up already: nothing was changed\n");
    }
    text.push_str(&trusted.notes);
    text.push_str(elevation_note(deployment.elevation, &args.root));
    // This runs even if nothing was changed: an earlier setup may have written everything and then failed.
    text.push_str(&systemd::activate(layout, &args.root)?);
    crate::command::print(text.as_bytes())
}

/// Returns what the operator has to do, so that administrators become root in Cockpit.
fn elevation_note(elevation: Option<Elevation>, root: &Path) -> &'static str {
    match elevation {
        Some(Elevation::Polkit) if !has_polkit(root) => {
            "\nAdministrators become root by polkit, which is not installed: install the package `polkitd`.\n"
        }
        Some(Elevation::None) => {
            "\nAdministrators cannot become root: sudo has no option `-A`, and only Cockpit 355 or newer can do without.\n"
        }
        Some(Elevation::Sudo | Elevation::Polkit) | None => "",
    }
}

fn undo_setup(root: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    let changes = undo(root, || {
        text.push_str(&systemd::deactivate(root)?);
        Ok(())
    })?;
    list_changes(&changes, &mut text);
    text.push_str(&systemd::forget(root)?);
    crate::command::print(text.as_bytes())
}

fn list_changes(changes: &[FileChange], text: &mut String) {
    for deed in changes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{deed}");
    }
}

fn detect_layout(args: &SetupArgs) -> anyhow::Result<Layout> {
    match Layout::of(&args.root) {
        Some(layout) => Ok(layout),
        None if args.print => {
            log::print_message(
                "Cockpit is not installed: printing the setup for release 330 and newer",
            );
            Ok(Layout::DynamicGroup)
        }
        None => bail!(
            "Cockpit is not installed in `{}`: install `cockpit-ws` and `cockpit-bridge` first",
            args.root.display()
        ),
    }
}

/// Renders every file with its name, and the lines for cockpit.conf.
fn render_files(deployment: &Deployment<'_>) -> String {
    let mut text = String::new();
    for file in deployment.files() {
        let _ = writeln!(text, "# {}\n{}", file.path, file.text);
    }
    let mut conf = CockpitConf::default();
    for (section, key, value) in deployment.settings() {
        conf.set(section, key, value);
    }
    let _ = write!(text, "# in {COCKPIT_CONF}\n{}", conf.text());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: SetupArgs,
    }

    #[test]
    fn no_flag_is_ignored() {
        let takes = |flags: &str| {
            let words = std::iter::once("setup").chain(flags.split_whitespace());
            Program::try_parse_from(words).map(|program| program.args)
        };
        for good in [
            "-c F",
            "-c F --print --route a --route b --helper P --root D",
            "--host H --keys K",
            "--host H --host I --keys K --allow-root --allow-other-hosts --administrators --print --helper P",
            "--undo --root D",
            "--undo -c F",
        ] {
            assert!(takes(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "--print",
            "--host H",
            "--keys K",
            "-c F --host H --keys K",
            "-c F --keys K",
            "-c F --allow-root",
            "-c F --allow-other-hosts",
            "-c F --administrators",
            "--host H --keys K --route R",
            "--undo --host H --keys K",
            "--undo --keys K",
            "--undo --route R",
            "--undo --allow-root",
            "--undo --helper P",
            "--undo --print",
        ] {
            assert!(takes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_printed_files_are_those_that_are_written() {
        let hosts = ["cockpit.example.com".to_owned()];
        let text = render_files(&Deployment {
            layout: Layout::DynamicGroup,
            hosts: &hosts,
            keys: "{\"keys\":[]}",
            helper: Path::new("/h"),
            allow_root: false,
            other_hosts: false,
            elevation: Some(Elevation::Polkit),
        });
        for part in [
            "# /etc/systemd/system/jetway-cockpit-session.socket\n",
            "# /etc/jetway/cockpit-session.jwks\n{\"keys\":[]}\n",
            "# in /etc/cockpit/cockpit.conf\n[WebService]\nProtocolHeader = X-Forwarded-Proto\n",
            "[OAuth]\nURL = /.pomerium/cockpit/token\n",
            "# /etc/polkit-1/rules.d/50-jetway-cockpit.rules\n// Written by `jetway cockpit setup`",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
