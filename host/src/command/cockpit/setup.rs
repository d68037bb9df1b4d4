//! `jetway cockpit setup`: single sign-on for the Cockpit of this machine.

mod helper;
mod systemd;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::trusted::Trusted;
use crate::cockpit::{COCKPIT_CONF, CockpitConf, Deed, Deployment, Layout, set_up, undo};
use crate::log;
use helper::Helper;

/// Set up single sign-on for the Cockpit of this machine, or take it back.
///
/// Writes the units of `jetway-cockpit-session`, its configuration with the public half of the file's signing key, and the
/// lines that Cockpit needs in cockpit.conf, whose other lines stay. What was changed is recorded, and `--undo` takes
/// exactly that back. Run again, it changes nothing.
///
/// The routes are those with a `cockpit` key that lead to one Cockpit, else those that look like Cockpit's; choose others
/// with --route. On a machine that shall not have the proxy's file and secrets, name what they come to instead: the public
/// host and the proxy's public keys.
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
    /// Without the file: let people log in to other hosts through this Cockpit.
    #[arg(long, requires = "host", conflicts_with_all = ["config", "undo"])]
    allow_other_hosts: bool,
    /// Only print what would be written.
    #[arg(long, conflicts_with = "undo")]
    print: bool,
    /// Take the last setup back.
    #[arg(long)]
    undo: bool,
    /// Work on another root folder, such as an image that is being made.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Only this route, by its name or its public host; may be repeated.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["host", "undo"])]
    route: Vec<String>,
    /// Where the program jetway-cockpit-session is.
    #[arg(long, value_name = "PATH", conflicts_with = "undo")]
    helper: Option<PathBuf>,
}

/// Sets up, prints or takes back.
///
/// # Errors
/// A file that cannot be used, no Cockpit, or a folder that cannot be written to.
pub(crate) fn run(args: &SetupArgs) -> anyhow::Result<()> {
    if args.undo {
        return take_back(&args.root);
    }
    let trusted = match (&args.config, &args.keys) {
        (Some(file), _) => Trusted::by_file(file, &args.route)?,
        (None, Some(keys)) => {
            Trusted::by_keys(&args.host, keys, args.allow_root, args.allow_other_hosts)?
        }
        (None, None) => bail!("name the configuration file with -c FILE, or --host and --keys"),
    };
    install(args, &trusted)
}

fn install(args: &SetupArgs, trusted: &Trusted) -> anyhow::Result<()> {
    let layout = layout(args)?;
    let helper = Helper::find(args.helper.as_deref(), &args.root);
    let deployment = Deployment {
        layout,
        hosts: &trusted.hosts,
        keys: &trusted.keys,
        helper: helper.path(),
        allow_root: trusted.allow_root,
        other_hosts: trusted.other_hosts,
    };
    if args.print {
        return crate::command::print(printed(&deployment).as_bytes());
    }
    helper.ensure_trustworthy(&args.root)?;
    let deeds = set_up(&args.root, &deployment)?;
    let mut text = format!("Cockpit {}\n", layout.releases());
    tell(&deeds, &mut text);
    if deeds.is_empty() {
        text.push_str("everything is as it should be: nothing was changed\n");
    }
    text.push_str(&trusted.notes);
    // Even if nothing was changed: an earlier setup may have written everything and then failed.
    text.push_str(&systemd::activate(layout, &args.root)?);
    crate::command::print(text.as_bytes())
}

fn take_back(root: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    let deeds = undo(root, || {
        text.push_str(&systemd::deactivate(root)?);
        Ok(())
    })?;
    tell(&deeds, &mut text);
    text.push_str(&systemd::forget(root)?);
    crate::command::print(text.as_bytes())
}

fn tell(deeds: &[Deed], text: &mut String) {
    for deed in deeds {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{deed}");
    }
}

fn layout(args: &SetupArgs) -> anyhow::Result<Layout> {
    match Layout::of(&args.root) {
        Some(layout) => Ok(layout),
        None if args.print => {
            log::print_message("no Cockpit is installed here: this is for release 330 and newer");
            Ok(Layout::DynamicGroup)
        }
        None => bail!(
            "no Cockpit is installed in `{}`: install `cockpit-ws` and `cockpit-bridge` first",
            args.root.display()
        ),
    }
}

/// Every file under its name, and the lines for cockpit.conf.
fn printed(deployment: &Deployment<'_>) -> String {
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
            "--host H --host I --keys K --allow-root --allow-other-hosts --print --helper P",
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
    fn what_is_printed_is_what_is_written() {
        let hosts = ["cockpit.example.com".to_owned()];
        let text = printed(&Deployment {
            layout: Layout::DynamicGroup,
            hosts: &hosts,
            keys: "{\"keys\":[]}",
            helper: Path::new("/h"),
            allow_root: false,
            other_hosts: false,
        });
        for part in [
            "# /etc/systemd/system/jetway-cockpit-session.socket\n",
            "# /etc/jetway/cockpit-session.jwks\n{\"keys\":[]}\n",
            "# in /etc/cockpit/cockpit.conf\n[WebService]\nProtocolHeader = X-Forwarded-Proto\n",
            "[OAuth]\nURL = /.pomerium/cockpit/token\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
