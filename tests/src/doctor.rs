//! `jetway doctor` with its report as JSON.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{Route, Scene};

/// The findings of `jetway doctor`.
#[derive(Debug)]
pub struct Diagnosis {
    status: Option<i32>,
    findings: Vec<Value>,
}

impl Diagnosis {
    /// Runs the doctor on the scene's file with these routes; `arguments` come after it.
    ///
    /// # Errors
    /// Returns an error when there is no report.
    pub async fn make(scene: &Scene, routes: &[Route], arguments: Vec<String>) -> Result<Self> {
        let (file, variables) = scene.file(routes)?;
        Self::of_file(scene, file, variables, arguments).await
    }

    /// Runs the doctor on a file, with these environment variables.
    ///
    /// # Errors
    /// Returns an error when there is no report.
    pub async fn of_file(
        scene: &Scene,
        file: PathBuf,
        variables: Vec<(String, String)>,
        arguments: Vec<String>,
    ) -> Result<Self> {
        let mut command = Command::new(scene.installed.jetway()?);
        command
            .args(["doctor", "--format", "json", "-c"])
            .arg(file)
            .args(arguments)
            .envs(variables);
        // Upstreams of the test answer on this thread in the meantime.
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        Self::read(&output)
    }

    /// Parses the report that a run printed.
    ///
    /// # Errors
    /// Returns an error when it printed none.
    pub fn read(output: &Output) -> Result<Self> {
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let findings = report["findings"].as_array().context("findings")?.clone();
        Ok(Self {
            status: output.status.code(),
            findings,
        })
    }

    /// Returns all findings.
    #[must_use]
    pub fn findings(&self) -> &[Value] {
        &self.findings
    }

    /// Returns the findings with this outcome: `ok`, `warning` or `failure`.
    pub fn of<'a>(&'a self, outcome: &'a str) -> impl Iterator<Item = &'a Value> {
        self.findings
            .iter()
            .filter(move |finding| finding["outcome"] == outcome)
    }

    /// Checks that no check fails, and that this one was made.
    ///
    /// # Errors
    /// Returns an error otherwise.
    pub fn expect_good(&self, check: &str) -> Result<()> {
        ensure!(
            self.status == Some(0),
            "{:?}",
            self.of("failure").collect::<Vec<_>>()
        );
        ensure!(
            self.of("ok").any(|finding| finding["check"] == check),
            "{check} is not among {:?}",
            self.findings
        );
        Ok(())
    }

    /// Checks that only this check fails, and returns its finding.
    ///
    /// # Errors
    /// Returns an error otherwise.
    pub fn expect_failure(&self, check: &str) -> Result<&Value> {
        ensure!(self.status == Some(1), "{:?}", self.findings);
        let failures: Vec<&Value> = self.of("failure").collect();
        match failures.as_slice() {
            [failure] if failure["check"] == check => Ok(failure),
            others => bail!("not {check} alone: {others:#?}"),
        }
    }
}

/// Checks that a finding says what users see, and contains these words.
///
/// # Errors
/// Returns an error otherwise.
pub fn ensure_mentions(finding: &Value, words: &[&str]) -> Result<()> {
    ensure!(
        finding["seen"].is_string(),
        "what a person sees is not told: {finding:#}"
    );
    let text = finding.to_string();
    for word in words {
        ensure!(text.contains(word), "`{word}` is not told: {finding:#}");
    }
    Ok(())
}
