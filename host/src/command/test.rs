//! `jetway test`: compares decisions with expected ones.

mod case;
mod certificate;
mod expectation;
mod fields;
mod json;
mod junit;
mod policy_case;
mod suite;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CheckFailed;
use super::explain::{OfflineGate, render};
use crate::config;
use crate::terminal::{Styles, escape_controls};
use suite::{CaseResult, Failure, Heading, Suite};

/// Compare decisions with expected ones, for continuous integration.
///
/// CASES is a YAML or JSON file with a list of cases, or with the list under `cases`. Nothing is sent anywhere. The last
/// line counts the cases that passed and failed; the exit status is 1 when one failed. `--format` writes reports for programs.
#[derive(Args, Debug)]
#[command(after_long_help = FORMAT)]
pub(crate) struct TestArgs {
    /// Configuration file (YAML or JSON) that the cases test; without it each case has its own policy.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also explain failures of cases with their own policy.
    #[arg(long)]
    explain: bool,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: TestFormat,
    /// File with the cases.
    cases: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TestFormat {
    /// For people: each failure on a line, and the totals.
    Text,
    /// One JSON object with `passed`, `failed` and `cases`: `name`, `line`, `passed`, and of a failure `message` and
    /// `explanation`, as `jetway explain` prints it.
    Json,
    /// A JUnit report (XML), which most systems for continuous integration read.
    Junit,
}

const FORMAT: &str = "\
Cases for a configuration file (jetway test -c jetway.yaml cases.yaml):

  cases:
    - name: alice gets in                      # shown when it fails
      as: alice@example.com                    # the verified email; anonymous if omitted
      claims: {groups: [admins], sub: u1}      # further claims; `user` is compared with `sub`
      ip: 192.0.2.7                            # the client's address
      at: 2026-11-24T08:00                     # in UTC, or RFC 3339; now if omitted
      headers: {Upgrade: websocket}            # without Accept and Sec-Fetch-Mode: a browser opening a page
      client_certificate: {san_dns: [laptop]}  # or `missing`, or `invalid`
      request: GET https://cockpit.example.com/
      expect: allow                            # or deny, or login

    - request: {method: POST, url: https://cockpit.example.com/, headers: {Accept: application/json}}
      expect: {decision: login, status: 401, route: cockpit, reasons: [user-unauthenticated]}

  Only the keys in `expect` are compared. `route` is a name or an id, or null for none.

Cases with their own policy (jetway test cases.json):

  - name: only alice
    policy: \"{allow: {or: [{email: alice@example.com}]}}\"   # YAML as a string, or data
    route: {allowed_domains: [example.com]}                 # instead, or in addition: keys of a route
    request: {method: GET, host: app.example.com, path: /, source_ip: 192.0.2.7,
              time: 2026-11-24T08:00:00Z, headers: {},
              client_cert: {ca_configured: true, presented: true, valid: true, san_dns: []}}
    user: {sub: u1, email: bob@example.com, claims: {}}     # or null
    expect: deny                                            # or allow, login, invalid

  Each failure is one line. `id`, `note`, `pomerium` and `source` are remarks.";

/// Runs the cases, and prints the failures and the totals, or a report for a program.
///
/// # Errors
/// A file that cannot be used, or [`CheckFailed`] when a case failed.
pub(crate) fn run(args: &TestArgs) -> anyhow::Result<()> {
    let gate = match &args.config {
        Some(path) => Some(OfflineGate::new(config::load_without_secrets(path)?.config)),
        None => None,
    };
    let styles = Styles::for_stdout();
    let suite = Suite::open(&args.cases, styles)?;
    let is_passed = match args.format {
        TestFormat::Text => {
            let explained = gate.is_some() || args.explain;
            print_text(suite, gate.as_ref(), explained, styles)?
        }
        TestFormat::Json | TestFormat::Junit => {
            let results: Vec<CaseResult> = suite.run(gate.as_ref()).collect();
            let report = match args.format {
                TestFormat::Junit => junit::render(suite.name(), &results),
                _ => json::render(&results)?,
            };
            super::print(report.as_bytes())?;
            results.iter().all(|result| result.failure.is_none())
        }
    };
    if is_passed {
        Ok(())
    } else {
        Err(CheckFailed.into())
    }
}

/// Prints each failure as soon as it is found, and then the totals. Returns whether all cases passed.
fn print_text(
    suite: Suite,
    gate: Option<&OfflineGate>,
    explained: bool,
    styles: Styles,
) -> anyhow::Result<bool> {
    let (mut passed, mut failed) = (0_usize, 0_usize);
    let mut problems = Vec::new();
    for CaseResult { heading, failure } in suite.run(gate) {
        match failure {
            None => passed += 1,
            Some(failure) => {
                failed += 1;
                let line = render_line(&heading, &failure, styles);
                super::print(line.as_bytes())?;
                if explained {
                    super::print(render_details(&failure, styles).as_bytes())?;
                }
                problems.extend(failure.problems);
            }
        }
    }
    if explained && !problems.is_empty() {
        let report = suite.into_report(problems, styles);
        super::print(format!("\n{report}\n\n").as_bytes())?;
    }
    super::print(format!("{}\n", render_totals(passed, failed, styles)).as_bytes())?;
    Ok(failed == 0)
}

fn render_totals(passed: usize, failed: usize, styles: Styles) -> String {
    let text = format!("{passed} passed, {failed} failed");
    if failed == 0 {
        styles.good(text)
    } else {
        styles.bad(text)
    }
}

/// Renders one line about a failure.
fn render_line(heading: &Heading, failure: &Failure, styles: Styles) -> String {
    format!(
        "{} {}  {}: {}\n",
        styles.bad("FAIL"),
        styles.faint(escape_controls(&heading.place())),
        styles.strong(escape_controls(&heading.name)),
        escape_controls(&failure.message)
    )
}

/// Renders the actual decision, indented.
fn render_details(failure: &Failure, styles: Styles) -> String {
    let Some((explanation, destination)) = &failure.explanation else {
        return String::new();
    };
    let mut text = "\n".to_owned();
    for line in render(explanation, destination.as_deref(), styles).lines() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("    {line}").trim_end());
    }
    text.push('\n');
    text
}
