//! `jetway doctor`: diagnoses a deployment.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::CheckFailed;
use crate::cockpit::COCKPIT_CONF;
use crate::doctor::{self, Report, Subject};
use crate::terminal::Styles;

/// Diagnose the deployment: what breaks, why, what users would see, and how to fix it.
///
/// Checks the file with its secrets, the certificates, the listening address, the public names, the provider and each
/// upstream, Cockpit in particular. Each failure is reported with what users see in the browser, its cause, and the lines to
/// change. Nothing is changed. The exit status is 0 when nothing fails.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Cockpit's own configuration file, for a Cockpit on this machine.
    #[arg(long, value_name = "FILE", default_value = COCKPIT_CONF)]
    cockpit_conf: PathBuf,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: DoctorFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DoctorFormat {
    /// For people.
    Text,
    /// One JSON object with `file`, `ok` and `findings`.
    Json,
}

impl DoctorArgs {
    /// Examines this file as without further options.
    pub(super) fn of(file: &Path) -> Self {
        Self {
            config: file.to_owned(),
            cockpit_conf: COCKPIT_CONF.into(),
            format: DoctorFormat::Text,
        }
    }
}

/// Runs all checks and prints the report.
///
/// # Errors
/// [`CheckFailed`] when something fails.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let inspection = super::check::inspect(&args.config);
    let name = args.config.display().to_string();
    let mut findings = doctor::examine_file(&name, &inspection);
    if let Some(config) = inspection.config() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let subject = Subject {
            name: &name,
            inspection: &inspection,
            config,
            cockpit_conf: &args.cockpit_conf,
            now: now
                .context("this machine's clock is before 1970")?
                .as_secs(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        findings.extend(runtime.block_on(doctor::examine(&subject)));
        // Do not wait for a look-up that still waits for a name server.
        runtime.shutdown_background();
    }
    let report = Report::new(&name, findings);
    let printed = match args.format {
        DoctorFormat::Text => super::print(report.render_text(Styles::for_stdout()).as_bytes()),
        DoctorFormat::Json => super::print(format!("{}\n", report.render_json()?).as_bytes()),
    };
    if report.is_ok() {
        printed
    } else {
        Err(CheckFailed.into())
    }
}
