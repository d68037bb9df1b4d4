//! Real browsers, headless.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use url::Url;

use crate::installed::target_folder;
use crate::{Process, Scene, UnixUser, eventually};

/// The program that drives the browser.
const PROGRAM: &str = include_str!("../peers/browser.mjs");

/// Time limit of one task. Including the browser's start it needs some ten seconds on an idle machine, and a minute more when it
/// waits for the end of a session.
const LIMIT: Duration = Duration::from_secs(130);

/// The task of the browser at an address, after signing in at the provider.
pub enum Task<'a> {
    /// Log in to Cockpit, run a command in its terminal and read the result.
    Terminal(&'a UnixUser),
    /// Use Cockpit as this user without a password: run a command in its terminal, log out there and in again, and open
    /// a link with a fragment.
    SingleSignOn(&'a str),
    /// Log out of Cockpit and in again: back to a page with a fragment, by the link alone, and with a sign-out instead.
    LogInAgain,
    /// Wait until Cockpit's page is disconnected, and connect again.
    Disconnection {
        /// Whether the user signs out in the background. Otherwise the session ends by itself.
        sign_out: bool,
    },
    /// Read the page that refuses the user, and sign out with its button.
    Refusal,
    /// Open pages in light and dark mode, on a phone and on a desktop, and leave screenshots in `target/pages/PROXY`.
    Pages(&'a [Page]),
}

impl Task<'_> {
    /// Returns the task as `tests/peers/browser.mjs` reads it.
    fn to_json(&self, scene: &Scene) -> Result<Value> {
        Ok(match self {
            Self::Terminal(user) => {
                json!({"kind": "terminal", "user": user.name, "password": user.password})
            }
            Self::SingleSignOn(user) => json!({"kind": "singleSignOn", "user": user}),
            Self::LogInAgain => json!({"kind": "logInAgain"}),
            Self::Disconnection { sign_out } => {
                json!({"kind": "disconnection", "signOut": sign_out})
            }
            Self::Refusal => json!({"kind": "refusal"}),
            Self::Pages(pages) => {
                let folder = target_folder()?.join("pages").join(scene.kind.name());
                std::fs::create_dir_all(&folder)?;
                let page = |page: &Page| json!({"name": page.name, "path": page.path, "signedIn": page.signed_in});
                let pages: Vec<Value> = pages.iter().map(page).collect();
                json!({"kind": "pages", "pages": pages, "folder": folder})
            }
        })
    }
}

/// A page to open.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Prefix of the screenshots' names.
    pub name: &'static str,
    /// Path and query.
    pub path: &'static str,
    /// Whether the page is opened after the sign-in, or before.
    pub signed_in: bool,
}

/// The task of a browser and its circumstances.
pub struct BrowserRun<'a> {
    /// The address to open.
    pub url: &'a Url,
    /// The account to sign in as, if any.
    pub account: Option<&'a str>,
    /// The task after the sign-in.
    pub task: Task<'a>,
    /// Prefix of the screenshot's name.
    pub name: &'a str,
}

/// A widely used browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Driven by Chrome's own protocol.
    Chromium,
    /// Driven by WebDriver BiDi.
    Firefox,
}

impl Browser {
    /// All browsers.
    pub const ALL: [Self; 2] = [Self::Chromium, Self::Firefox];

    /// Returns its name for file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    /// Opens the address, signs in as the account if there is one, does the task, and leaves a screenshot in
    /// `target/screenshots/NAME-BROWSER.png`. Returns what `tests/peers/browser.mjs` reports.
    ///
    /// # Errors
    /// Returns an error when the browser does not reach the end of its task.
    pub async fn perform(self, scene: &Scene, run: BrowserRun<'_>) -> Result<Value> {
        let folder = scene.folder().join(self.name());
        let profile = folder.join("profile");
        std::fs::create_dir_all(&profile)?;
        std::fs::write(folder.join("browser.mjs"), PROGRAM)?;
        std::os::unix::fs::symlink(&scene.installed.node_modules, folder.join("node_modules"))?;
        let report = folder.join("report.json");
        let (browser, executable) = match self {
            Self::Chromium => ("chrome", &scene.installed.chromium),
            Self::Firefox => ("firefox", &scene.installed.firefox),
        };
        let order = json!({
            "browser": browser, "executable": executable, "profile": profile, "url": run.url.as_str(),
            "account": run.account, "task": run.task.to_json(scene)?, "screenshot": screenshot(run.name, self)?,
            "report": report,
        });
        let mut command = Command::new(&scene.installed.node);
        command
            .arg("browser.mjs")
            .current_dir(&folder)
            .env("ORDER", order.to_string());
        let display = match self {
            Self::Chromium => None,
            Self::Firefox => Some(Display::start(scene).await?),
        };
        if let Some(display) = &display {
            command.env("DISPLAY", &display.name);
        }
        let mut process = Process::start(self.name(), &command, scene.logs())?;
        let status = process.finish(LIMIT).await?;
        ensure!(
            status.success(),
            "{} did not reach the end of its task:\n{}",
            self.name(),
            process.log()
        );
        let report = std::fs::read(report).context("the browser leaves a report")?;
        Ok(serde_json::from_slice(&report)?)
    }
}

/// A virtual display. Firefox needs a display for WebGL, which newer terminals of Cockpit use.
struct Display {
    name: String,
    _process: Process,
}

impl Display {
    async fn start(scene: &Scene) -> Result<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-nolisten", "tcp"]);
        command.args(["-screen", "0", "1280x800x24"]);
        let mut process = Process::start("display", &command, scene.logs())?;
        let number = eventually(
            "the display is there",
            Duration::from_secs(20),
            async || {
                process.ensure_running()?;
                // The number is on a line of its own, perhaps after warnings.
                let log = process.log();
                let number = log.lines().rev().find_map(|line| line.parse::<u32>().ok());
                number.context("the display has a number")
            },
        )
        .await?;
        Ok(Self {
            name: format!(":{number}"),
            _process: process,
        })
    }
}

fn screenshot(name: &str, browser: Browser) -> Result<PathBuf> {
    let folder = target_folder()?.join("screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}-{}.png", browser.name())))
}
