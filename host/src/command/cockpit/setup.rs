//! `jetway cockpit setup`: single sign-on for the Cockpit of this machine.

mod helper;
mod systemd;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use jetway_core::config::{Config, Route};

use crate::cockpit::{
    COCKPIT_CONF, COCKPIT_SETTINGS, CockpitConf, Deed, Deployment, Layout, chosen, set_up, undo,
};
use crate::config::{self, ConfigFile};
use helper::Helper;

/// What to do without a key that logins can be signed with.
const NO_KEY: &str = "there is no key on the curve P-256 to sign logins with: `jetway keygen --signing-key --out signing-key.pem` \
    makes one; then write `signing_key_file: signing-key.pem`";

/// Set up single sign-on for the Cockpit of this machine, or take it back.
///
/// Writes the units of `jetway-cockpit-session`, its configuration with the public half of the file's signing key, and the
/// lines that Cockpit needs in cockpit.conf, whose other lines stay. What was changed is recorded, and `--undo` takes
/// exactly that back. Run again, it changes nothing.
///
/// The routes are those with a `cockpit` key, else those that look like Cockpit's; choose others with --route.
#[derive(Args, Debug)]
pub(crate) struct SetupArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE", required_unless_present = "undo")]
    config: Option<PathBuf>,
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
    #[arg(long, value_name = "NAME", conflicts_with = "undo")]
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
    match &args.config {
        _ if args.undo => take_back(&args.root),
        Some(file) => install(args, file),
        None => bail!("name the configuration file with -c FILE"),
    }
}

fn install(args: &SetupArgs, file: &Path) -> anyhow::Result<()> {
    let loaded = config::load_and_warn(file)?;
    let routes = routes(&loaded.config, &args.route)?;
    let hosts = hosts(&routes)?;
    let key = loaded
        .config
        .identity
        .signing_key
        .as_ref()
        .context(NO_KEY)?;
    let keys = verifiable(key.key_set())?;
    let layout = layout(args)?;
    let helper = Helper::find(args.helper.as_deref(), &args.root);
    let deployment = Deployment {
        layout,
        hosts: &hosts,
        keys: &keys,
        helper: helper.path(),
        allow_root: allow_root(&routes),
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
    text.push_str(&derived_key_note(&loaded));
    text.push_str(&missing_key_note(&routes));
    if !deeds.is_empty() {
        text.push_str(&systemd::activate(layout, &args.root)?);
    }
    crate::command::print(text.as_bytes())
}

fn take_back(root: &Path) -> anyhow::Result<()> {
    let mut text = systemd::deactivate(root)?;
    tell(&undo(root)?, &mut text);
    text.push_str(&systemd::forget(root)?);
    crate::command::print(text.as_bytes())
}

fn tell(deeds: &[Deed], text: &mut String) {
    for deed in deeds {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{deed}");
    }
}

/// The routes that are set up: named ones, those with `cockpit`, or those that look like it.
fn routes<'a>(config: &'a Config, names: &[String]) -> anyhow::Result<Vec<&'a Route>> {
    let signing: Vec<&Route> = config
        .routes
        .iter()
        .filter(|route| route.cockpit.is_some())
        .collect();
    if names.is_empty() && !signing.is_empty() {
        return Ok(signing);
    }
    chosen(config, names)
}

/// Whether a route lets somebody be root: then so does the helper.
fn allow_root(routes: &[&Route]) -> bool {
    routes
        .iter()
        .filter_map(|route| route.cockpit.as_ref())
        .any(|cockpit| cockpit.allow_root)
}

/// The helper verifies ES256 alone, which is what Jetway signs logins with.
fn verifiable(keys: String) -> anyhow::Result<String> {
    if !keys.contains("\"ES256\"") {
        bail!("{NO_KEY}");
    }
    Ok(keys)
}

/// The audiences of assertions.
fn hosts(routes: &[&Route]) -> anyhow::Result<Vec<String>> {
    let mut hosts: Vec<String> = Vec::new();
    for route in routes {
        if route.from.is_wildcard() {
            bail!(
                "`{}` stands for many hosts, and each Cockpit accepts only its own: write a route for this one",
                route.from.host
            );
        }
        if !hosts.contains(&route.from.host) {
            hosts.push(route.from.host.clone());
        }
    }
    Ok(hosts)
}

fn layout(args: &SetupArgs) -> anyhow::Result<Layout> {
    match Layout::of(&args.root) {
        Some(layout) => Ok(layout),
        None if args.print => {
            eprintln!("no Cockpit is installed here: this is for release 330 and newer");
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
    for (section, key, value) in COCKPIT_SETTINGS {
        conf.set(section, key, value);
    }
    let _ = write!(text, "# in {COCKPIT_CONF}\n{}", conf.text());
    text
}

/// A key that was not chosen changes with the secret that it follows from.
fn derived_key_note(loaded: &ConfigFile) -> String {
    if loaded.config.identity.signing_key_text.is_some() {
        return String::new();
    }
    "\nThe pinned key follows from `cookie_secret`: when that changes, run this again. A key of its own stays:\n\
     \x20 jetway keygen --signing-key --out signing-key.pem\n\
     \x20 signing_key_file: signing-key.pem          in the configuration file\n"
        .to_owned()
}

/// Without `cockpit`, a route signs nobody in.
fn missing_key_note(routes: &[&Route]) -> String {
    let mut text = String::new();
    for route in routes.iter().filter(|route| route.cockpit.is_none()) {
        let _ = write!(
            text,
            "\nThe route `{}` does not say yet who becomes which Unix user:\n\
             \x20 cockpit:\n\
             \x20   users:\n\
             \x20     alice@example.com: alice\n",
            route.name
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_is_written() {
        let hosts = ["cockpit.example.com".to_owned()];
        let text = printed(&Deployment {
            layout: Layout::DynamicGroup,
            hosts: &hosts,
            keys: "{\"keys\":[]}",
            helper: Path::new("/h"),
            allow_root: false,
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
