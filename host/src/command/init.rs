//! `jetway init`: writes a first configuration with its secrets.

mod answers;
mod files;
mod prompt;
mod yaml;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jetway_core::contract::SIGNED_OUT_PATH;

use super::CheckFailed;
use super::check::{self, CheckArgs};
use super::doctor::{self, DoctorArgs};
use crate::doctor::collect_redirect_uris;
use answers::Answers;
use prompt::{NoTerminal, Terminal};

/// Name of the configuration file.
const FILE: &str = "jetway.yaml";

/// Write a first configuration: `jetway.yaml` and its secret files.
///
/// Asks for what the options do not say; without a terminal, the options have to say everything. Existing files are never
/// changed. Afterwards `jetway check` and `jetway doctor` examine the result.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// Public host name of the application, such as `cockpit.example.com`.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Address of the application; Cockpit on this machine if omitted.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// The application at `--to` is Cockpit.
    #[arg(long, requires = "to")]
    cockpit: bool,
    /// Identity provider: `oidc` or a preset such as `google` or `keycloak`.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Issuer URL of the identity provider; not needed for `apple`, `github` and `google`.
    #[arg(long, value_name = "URL")]
    provider_url: Option<String>,
    /// Client id that the provider gave for Jetway.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// File with the client secret; its content is copied to `client-secret`. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// Email address that may enter, or `@DOMAIN` for all addresses of a domain; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    allow: Vec<String>,
    /// Sign users in to Cockpit as the Unix user with the name before the `@` of their address.
    #[arg(long)]
    single_sign_on: bool,
    /// Sign this user in to Cockpit as this Unix user; may be repeated and implies `--single-sign-on`.
    #[arg(long, value_name = "ADDRESS=NAME")]
    unix_user: Vec<String>,
    /// Certificate chain of the host in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// Private key of the certificate in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// Listen on this loopback address without TLS, behind a proxy that terminates TLS.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "certificate")]
    plain_http: Option<String>,
    /// Folder for the files.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Do not run `jetway doctor`, which contacts the provider and the application.
    #[arg(long)]
    no_doctor: bool,
}

/// Gathers the answers, writes the files, examines them and prints the next steps.
///
/// # Errors
/// A missing answer, a file that exists or cannot be written, and [`CheckFailed`] when the check or the doctor finds a failure.
pub(crate) fn run(args: &InitArgs) -> anyhow::Result<()> {
    let answers = if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        Answers::gather(args, &mut Terminal)
    } else {
        Answers::gather(args, &mut NoTerminal::default())
    }?;
    files::write(&args.folder, &answers)?;
    let file = args.folder.join(FILE);
    let redirects = check::inspect(&file).config().map(collect_redirect_uris);
    super::print(describe_result(&file, &answers, &redirects.unwrap_or_default()).as_bytes())?;
    let is_sound = examine(args, &file)?;
    super::print(list_next_steps(&file, &answers).as_bytes())?;
    if is_sound {
        Ok(())
    } else {
        Err(CheckFailed.into())
    }
}

/// Lists the written files and the URIs to register at the provider.
fn describe_result(file: &Path, answers: &Answers, redirects: &[String]) -> String {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let mut text = String::new();
    for name in [FILE, files::COOKIE_SECRET, files::CLIENT_SECRET] {
        let _ = writeln!(text, "wrote {}", folder.join(name).display());
    }
    if redirects.is_empty() {
        return text;
    }
    text.push_str("\nRegister these URIs for the client at the identity provider:\n");
    for uri in redirects {
        let _ = writeln!(text, "  redirect URI              {uri}");
    }
    let _ = writeln!(
        text,
        "  post-logout redirect URI  https://{}{SIGNED_OUT_PATH}\n",
        answers.host
    );
    text
}

/// Runs the check and, unless it was declined, the doctor. Returns whether neither found a failure.
fn examine(args: &InitArgs, file: &Path) -> anyhow::Result<bool> {
    if !passes(check::run(&CheckArgs::of(file)))? {
        return Ok(false);
    }
    if args.no_doctor {
        return Ok(true);
    }
    passes(doctor::run(&DoctorArgs::of(file)))
}

/// Returns whether an examination found no failure. Its report is printed in either case.
fn passes(result: anyhow::Result<()>) -> anyhow::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.is::<CheckFailed>() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lists the commands that follow, with the path of the new file.
fn list_next_steps(file: &Path, answers: &Answers) -> String {
    let name = file.display();
    let mut text = "\nNext:\n".to_owned();
    match (answers.is_cockpit, answers.users.is_some()) {
        (true, true) => {
            let _ = writeln!(text, "  sudo jetway cockpit setup -c {name}");
        }
        (true, false) => {
            let _ = writeln!(
                text,
                "  jetway cockpit conf -c {name}    # lines for /etc/cockpit/cockpit.conf"
            );
        }
        (false, _) => {}
    }
    let _ = writeln!(text, "  jetway run -c {name}");
    text
}
